"""`Variable`, which older programs wrap around their tensors."""

from __future__ import annotations

from typing import Any

from autograd_core.tensor import Tensor


class _AnyTensor(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor)


class Variable(metaclass=_AnyTensor):
    """An older form of a tensor: `Variable(t)` is a tensor on the memory of `t`, and every tensor is a Variable.

    >>> import autograd_core as ag
    >>> ag.autograd.Variable(ag.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Any = None, requires_grad: bool = False) -> Any:
        from autograd_core import interop

        if data is None:
            data = interop.tensor([])
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable: data must be a Tensor, got {type(data).__name__}; use ag.tensor(...)")
        return data.detach().requires_grad_(requires_grad)

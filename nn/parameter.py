"""Parameters and buffers: the tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.tensor import adopt


class Parameter(Tensor):
    """A tensor that a `Module` counts among its parameters as soon as it is assigned as an attribute.

    data: a tensor, whose memory is shared; empty when left out. requires_grad: whether it is trained. Raises
    `RuntimeError` for integer data with `requires_grad=True`, `TypeError` for anything but a tensor.

    >>> import autograd_core as ag
    >>> ag.nn.Parameter(ag.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        _share(self, data)
        self.requires_grad_(requires_grad)


class Buffer(Tensor):
    """A tensor that is part of a module's state without being trained; assigning it registers a buffer.

    persistent: whether `state_dict()` holds it.

    >>> import autograd_core as ag
    >>> m = ag.nn.Module(); m.mean = ag.nn.Buffer(ag.zeros(1)); list(m.state_dict())
    ['mean']
    """

    persistent: bool = True

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        _share(self, data)
        self.persistent = persistent

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = super().__deepcopy__(memo)
        copied.persistent = self.persistent  # type: ignore[attr-defined]
        return copied


def _share(self: Tensor, data: Tensor | None) -> None:
    if data is None:
        data = ag.empty(0)
    if not isinstance(data, Tensor):
        kind = type(self).__name__
        raise TypeError(f"{kind} expects a Tensor, got {type(data).__name__}; write nn.{kind}(ag.tensor(...))")
    adopt(self, data)

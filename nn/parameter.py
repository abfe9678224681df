"""Parameters and buffers: the tensors that a module registers when they are assigned to it; and those of lazy modules,
which have no shape yet."""

from __future__ import annotations

import copy
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

    _copies_grad = False  # As in PyTorch: a deep copy of a parameter begins without a gradient.

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


# The slot in which a Tensor keeps its array, behind the property of the class below.
_array: Any = Tensor.__dict__["_data"]


class _Uninitialized:
    """A tensor whose shape is not known yet: it has a dtype and a device, and whatever needs more raises."""

    __slots__ = ()

    _becomes: type = Tensor

    def _fail(self, *_: Any) -> Any:
        raise ValueError(
            f"an uninitialized {self._becomes.__name__} was used: it gets its shape at the first call of its module. "
            "Call the module once on an input of the right size before"
        )

    # What a Tensor computes on.
    _data = property(_fail, lambda self, array: _array.__set__(self, array))

    @property
    def data(self) -> Any:
        empty = ag.empty(0)
        empty._data, empty._backend = _array.__get__(self), self._backend
        return empty

    @data.setter
    def data(self, value: Tensor) -> None:
        self._data, self._backend = _array.__get__(value), value._backend  # type: ignore[misc]

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            f"the shape of an uninitialized {self._becomes.__name__} is not known before its module's first call; it "
            "cannot be loaded into a module that has one"
        )

    @property
    def dtype(self) -> ag.dtype:
        return self.data.dtype

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def detach(self) -> Any:
        return self

    def to(self, *args: Any, **kwargs: Any) -> Any:
        moved = copy.deepcopy(self)
        moved.data = self.data.to(*args, **kwargs)
        return moved

    def materialize(self, shape: Any, device: Any = None, dtype: ag.dtype | None = None) -> None:
        """Become an ordinary parameter or buffer of `shape`, with undefined values, in place."""
        old = self.data
        made = ag.empty(shape, device=device or old.device, dtype=dtype or old.dtype)
        self.__class__ = self._becomes
        self.data = made

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            kind, arguments, state = self.__reduce_ex__(None)
            memo[id(self)] = kind(*arguments)
            memo[id(self)].__dict__.update(state)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        old = self.data
        return type(self), (self._requires_grad, str(old.device), old.dtype), self.__dict__  # type: ignore[attr-defined]


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter of a lazy module before the first call: it has no shape, and `materialize(shape)` gives it one.

    Reading its shape raises `RuntimeError`, computing with it `ValueError`.

    >>> import autograd_core as ag
    >>> p = ag.nn.UninitializedParameter(); p
    <UninitializedParameter>
    >>> p.materialize((2, 3)); p.shape
    ag.Size([2, 3])
    """

    _becomes = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: ag.dtype | None = None) -> None:
        adopt(self, ag.empty(0, device=device, dtype=dtype))
        self._requires_grad = requires_grad


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer of a lazy module before the first call: see `UninitializedParameter`.

    >>> import autograd_core as ag
    >>> b = ag.nn.UninitializedBuffer(); b.materialize(4); b.shape
    ag.Size([4])
    """

    _becomes = Buffer

    def __init__(
        self,
        requires_grad: bool = False,
        device: Any = None,
        dtype: ag.dtype | None = None,
        persistent: bool = True,
    ) -> None:
        adopt(self, ag.empty(0, device=device, dtype=dtype))
        self._requires_grad = requires_grad
        self.persistent = persistent


def is_lazy(param: Any) -> bool:
    """Whether `param` is an uninitialized parameter or buffer."""
    return isinstance(param, _Uninitialized)

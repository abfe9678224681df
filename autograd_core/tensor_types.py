"""`ag.FloatTensor` and its kin: PyTorch's old names for a dtype on a kind of device; they construct and compare."""

from __future__ import annotations

from typing import Any

import autograd_core as ag
from autograd_core import devices, dtypes
from autograd_core.tensor import Size, Tensor

_NAMES = {
    "HalfTensor": dtypes.float16, "FloatTensor": dtypes.float32, "DoubleTensor": dtypes.float64,
    "ByteTensor": dtypes.uint8, "CharTensor": dtypes.int8, "ShortTensor": dtypes.int16, "IntTensor": dtypes.int32,
    "LongTensor": dtypes.int64, "BoolTensor": dtypes.bool_,
}  # fmt: skip


class TensorType:
    """A dtype on a kind of device. `FloatTensor(2, 3)` is uninitialised, `FloatTensor([1, 2])` holds the values;
    `isinstance(t, FloatTensor)` compares dtype and kind of device.

    Raises `TypeError` for a tensor of another dtype, and for what is neither sizes nor a sequence.

    >>> import autograd_core as ag
    >>> ag.LongTensor([1, 2]), isinstance(ag.ones(2, device="cpu"), ag.FloatTensor)
    (tensor([1, 2]), True)
    """

    def __init__(self, name: str, dtype: dtypes.dtype, kind: str) -> None:
        self.__name__, self.dtype, self.kind = name, dtype, kind

    def __call__(self, *args: Any, device: Any = None) -> Tensor:
        where = devices.device(self.kind if device is None else device)
        if where.type != self.kind:
            raise RuntimeError(f"{self.__name__}: legacy constructor expects device type {self.kind}, got {where}")
        if len(args) == 1 and not isinstance(args[0], int):
            return self._of(args[0], where)
        return ag.empty(*(args or (0,)), dtype=self.dtype, device=where)

    def _of(self, data: Any, where: devices.device) -> Tensor:
        if isinstance(data, Size):
            return ag.empty(data, dtype=self.dtype, device=where)
        if isinstance(data, Tensor):
            if not isinstance(data, self):  # type: ignore[arg-type]
                raise TypeError(
                    f"{self.__name__}: expected a tensor of {self.dtype} on {self.kind}, got {data.dtype} on "
                    f"{data.device}; convert it with .to()"
                )
            return data.detach()
        if isinstance(data, float) or not hasattr(data, "__len__"):
            raise TypeError(f"{self.__name__}: data must be a sequence (got {type(data).__name__}); or give sizes")
        return ag.tensor(data, dtype=self.dtype, device=where)

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype is self.dtype and x.device.type == self.kind

    def __repr__(self) -> str:
        return f"<tensor type {name_of(self.dtype, self.kind)}>"


TYPES = {
    (kind, name): TensorType(name, dtype, kind) for kind in ("cpu", "cuda") for name, dtype in _NAMES.items()
}  # fmt: skip
_BY_DTYPE = {dtype: name for name, dtype in _NAMES.items()}


def name_of(dtype: dtypes.dtype, kind: str) -> str:
    """What `Tensor.type()` says, as PyTorch does: 'torch.FloatTensor', 'torch.cuda.FloatTensor'."""
    return f"torch.{'' if kind == 'cpu' else kind + '.'}{_BY_DTYPE[dtype]}"


def find(value: Any) -> TensorType | None:
    """The type that `value` is or names; None for anything that is no type. Raises `ValueError` for an unknown name."""
    if not isinstance(value, str):
        return value if isinstance(value, TensorType) else None
    parts = value.split(".")
    found = TYPES.get(("cuda" if "cuda" in parts[:-1] else "cpu", parts[-1]))
    if found is None or parts[:-1] not in ([], ["torch"], ["cuda"], ["torch", "cuda"], ["ag"], ["ag", "cuda"]):
        raise ValueError(f"invalid type: {value!r}; expected for example 'torch.FloatTensor', or a dtype")
    return found


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return TYPES["cpu", name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Data types of tensors, and PyTorch's rules of type promotion.

A `dtype` is our own object. Both built-in backends hold it as the NumPy dtype in `dtype.native`.
Promotion is the table below, not NumPy's: Python numbers and zero-dimensional tensors do not
widen a tensor of the same category (bool < integer < floating point).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

import numpy as np

__all__ = ["dtype", "finfo", "get_default_dtype", "iinfo", "promote_types", "set_default_dtype"]


class dtype:
    """The type of a tensor's elements, such as `ag.float32`.

    `itemsize` is in bytes, `is_floating_point` and `is_signed` say what they name.

    >>> import autograd_core as ag
    >>> ag.float32, ag.float32.itemsize, ag.int64.is_floating_point
    (ag.float32, 4, False)
    """

    __slots__ = ("category", "is_floating_point", "is_signed", "itemsize", "name", "native")

    def __init__(self, name: str) -> None:
        self.name = name
        self.native = np.dtype(name)
        self.itemsize: int = self.native.itemsize
        self.is_floating_point: bool = self.native.kind == "f"
        self.is_signed: bool = self.native.kind in "if"
        self.category: int = {"b": 0, "u": 1, "i": 1, "f": 2}[self.native.kind]

    @property
    def is_complex(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"ag.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_by_name, (self.name,))


def _by_name(name: str) -> dtype:
    return BY_NAME[name]


bool_ = dtype("bool")
uint8 = dtype("uint8")
int8 = dtype("int8")
int16 = dtype("int16")
int32 = dtype("int32")
int64 = dtype("int64")
float16 = dtype("float16")
float32 = dtype("float32")
float64 = dtype("float64")

ALL = (bool_, uint8, int8, int16, int32, int64, float16, float32, float64)
BY_NAME = {d.name: d for d in ALL}
_LIMITS = {d: (int(np.iinfo(d.native).min), int(np.iinfo(d.native).max)) for d in ALL if d.category == 1}
FROM_NATIVE: dict[Any, dtype] = {d.native: d for d in ALL}

# Ranks within one category; uint8 with int8 needs int16, which `_promote` handles.
_RANK = {d: i for i, d in enumerate(ALL)}

_default = float32


def get_default_dtype() -> dtype:
    """The floating-point type of new tensors made from Python numbers (float32 unless changed).

    >>> import autograd_core as ag
    >>> ag.get_default_dtype()
    ag.float32
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the floating-point type of new tensors. Raises `TypeError` unless it is a floating-point dtype.

    >>> import autograd_core as ag
    >>> ag.set_default_dtype(ag.float32)
    """
    global _default
    if not (isinstance(d, dtype) and d.is_floating_point):
        raise TypeError(f"set_default_dtype: expected a floating-point dtype such as ag.float32, got {d!r}")
    _default = d


def from_native(native: Any) -> dtype:
    """Our dtype for a NumPy dtype; a `TypeError` names what is supported."""
    found = FROM_NATIVE.get(native)
    if found is None:
        supported = ", ".join(d.name for d in ALL)
        raise TypeError(f"arrays of type {native} are not supported; convert to one of: {supported}")
    return found


def as_dtype(value: Any) -> dtype:
    """`value` as our dtype: an `ag.dtype`, or Python's `float`, `int`, `bool`."""
    if isinstance(value, dtype):
        return value
    if value is float:
        return _default
    if value is int:
        return int64
    if value is bool:
        return bool_
    raise TypeError(f"expected a dtype such as ag.float32, got {value!r}; a NumPy dtype is written ag.{value}")


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that both convert to by PyTorch's rules.

    >>> import autograd_core as ag
    >>> ag.promote_types(ag.int64, ag.float16)
    ag.float16
    """
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if {a, b} == {uint8, int8}:
        return int16
    return a if _RANK[a] > _RANK[b] else b


def of_number(value: object) -> dtype:
    """The dtype a Python number has as an operand: bool, int64 or the default floating-point type."""
    if isinstance(value, bool):
        return bool_
    return int64 if isinstance(value, int) else _default


def holds(d: dtype, value: int) -> bool:
    """Whether the whole number `value` is in the range of the integer dtype `d`; true for other dtypes."""
    limits = _LIMITS.get(d)
    return limits is None or limits[0] <= value <= limits[1]


def whole_number(value: Any, d: dtype, operation: str) -> Any:
    """The Python number `value` as one of the integer or bool dtype `d`. Raises RuntimeError if it has none."""
    if d.category == 0:
        return value
    if isinstance(value, float) and isfinite(value):
        value = int(value)
    if d is uint8 and isinstance(value, int) and -256 < value < 0:
        return value % 256  # As PyTorch: bytes wrap.
    if isinstance(value, float) or not holds(d, value):
        raise RuntimeError(f"{operation}: value {value} cannot be converted to {d} without overflow")
    return value


def result_of(dimensioned: Iterable[dtype], zero_dim: Iterable[dtype], numbers: Iterable[dtype]) -> dtype:
    """PyTorch's promotion over three priorities: tensors with dimensions, 0-d tensors, Python numbers.

    A lower priority changes the result only when its category is higher.
    """
    result: dtype | None = None
    for group in (dimensioned, zero_dim, numbers):
        best: dtype | None = None
        for d in group:
            best = d if best is None else promote_types(best, d)
        if best is not None and (result is None or best.category > result.category):
            result = best
    assert result is not None
    return result


class finfo:
    """Limits of a floating-point dtype: `eps`, `max`, `min`, `tiny`, `bits`.

    >>> import autograd_core as ag
    >>> ag.finfo(ag.float32).bits
    32
    """

    def __init__(self, type: dtype | None = None) -> None:
        info = np.finfo((type or _default).native)
        self.bits, self.eps, self.max, self.min = int(info.bits), float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.dtype = (type or _default).name


class iinfo:
    """Limits of an integer dtype: `max`, `min`, `bits`.

    >>> import autograd_core as ag
    >>> ag.iinfo(ag.uint8).max
    255
    """

    def __init__(self, type: dtype) -> None:
        info = np.iinfo(type.native)
        self.bits, self.max, self.min = int(info.bits), int(info.max), int(info.min)
        self.dtype = type.name

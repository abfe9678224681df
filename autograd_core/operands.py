"""The operands of a call: Python numbers and arrays made tensors, dtypes promoted, and errors for what does not fit."""

from __future__ import annotations

import math
from typing import Any

from autograd_core import dtypes
from autograd_core.tensor import Tensor, wrap
from autograd_core.vocabulary import V

constants: dict[Any, Tensor] = {}


class _DoesNotFit(RuntimeError):
    """A number outside the range of a dtype."""


def number_like(value: Any, backend: Any, native: Any) -> Tensor:
    """A 0-d constant tensor for a Python number, shared between calls."""
    key: Any = (value, value.__class__, native, backend)
    if not value:
        key = (*key, math.copysign(1.0, value))  # 0.0 and -0.0 compare equal.
    found = constants.get(key)
    if found is None:
        try:
            if not dtypes.holds(dtypes.from_native(native), value):
                raise OverflowError
            array = backend.full((), value, native)
        except OverflowError:
            raise _DoesNotFit(f"the number {value} does not fit into {dtypes.from_native(native)}") from None
        found = wrap(array, backend)
        if value == value:  # A NaN never does.
            if len(constants) > 4096:
                constants.clear()
            constants[key] = found
    return found


def constant_like(value: Any, like: Tensor, d: Any) -> Tensor:
    """A 0-d constant of dtype `d` on the device of `like`; of integers, `new_full` says what does not fit."""
    if d.is_floating_point and type(value) in (int, float, bool):
        return number_like(value, like._backend, d.native)
    return like.new_full((), value, dtype=d)


def numbers_to_tensors(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """The operands with a Python number turned into a 0-d tensor of the dtype that promotion asks for."""
    tensor, other = (x, y) if isinstance(x, Tensor) else (y, x)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected at least one Tensor, got {type(x).__name__} and {type(y).__name__}")
    if not isinstance(other, (bool, int, float)):
        array = array_operand(tensor, other) if tensor is x or name == "div" else None
        if array is not None:
            return (tensor, array) if tensor is x else (array, tensor)
        other = _as_number(name, other)
    native = tensor._data.dtype
    d = dtypes.of_number(other)
    if d.category > dtypes.from_native(native).category:
        native = d.native
    try:
        number = number_like(other, tensor._backend, native)
    except _DoesNotFit:
        number = _beyond(name, other, tensor, native, tensor is x)
    return (tensor, number) if tensor is x else (number, tensor)


_COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge"}


def _beyond(name: str, value: int, tensor: Tensor, native: Any, last: bool) -> Tensor:
    """A whole number that the integer dtype of the other operand cannot hold, as the operand of `name`."""
    if native.kind == "f" or not -(1 << 63) <= value < 1 << 64 and name not in _COMPARISONS:
        raise RuntimeError(f"the number {value} does not fit into {dtypes.from_native(native)}") from None
    wide = dtypes.get_default_dtype().native
    if name in _COMPARISONS:  # It compares as infinity does, and rounding could not make it equal.
        return number_like(math.inf if value > 0 else -math.inf, tensor._backend, wide)
    if name == "div":
        return number_like(float(value), tensor._backend, wide)
    if name in ("maximum", "minimum") or (name == "pow" and last):  # Bounds and exponents are not wrapped.
        return tensor.new_full((), value)
    low = 0 if native.kind == "u" else -1 << native.itemsize * 8 - 1
    # As PyTorch: wrapped.
    return number_like((value - low) % (1 << native.itemsize * 8) + low, tensor._backend, native)


def array_operand(x: Tensor, other: Any) -> Tensor | None:
    """A NumPy array beside the CPU tensor `x` as a tensor, as in PyTorch; None for anything else."""
    if type(other).__module__ != "numpy" or not getattr(other, "shape", ()) or x._backend.name != "cpu":
        return None
    from autograd_core.interop import tensor

    return tensor(other, device="cpu")


def _as_number(name: str, value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()  # A NumPy scalar.
    raise TypeError(
        f"{name}: cannot combine a Tensor with {type(value).__name__}; convert it with ag.tensor(...) or "
        "ag.from_numpy(...)"
    )


def promote_operands(name: str, floating: bool, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Both operands on one device and in the dtype of PyTorch's promotion; the flag says whether anything changed."""
    if x._backend is not y._backend:
        # As in PyTorch, a zero-dimensional CPU tensor may meet any device.
        if y._data.ndim == 0 and y._backend.name == "cpu":
            return x, y.to(x.device), True
        if x._data.ndim == 0 and x._backend.name == "cpu":
            return x.to(y.device), y, True
        raise device_error(name, (x, y))
    common = result_type(x, y)
    if floating and not common.is_floating_point:
        common = dtypes.get_default_dtype()
    native = common.native
    changed = x._data.dtype != native or y._data.dtype != native
    if x._data.dtype != native:
        x = V.cast(x, native)
    if y._data.dtype != native:
        y = V.cast(y, native)
    return x, y, changed


def result_type(*operands: Any) -> dtypes.dtype:
    """The dtype an operation on `operands` (tensors and Python numbers) has by PyTorch's promotion.

    >>> import autograd_core as ag
    >>> ag.result_type(ag.ones(2, dtype=ag.int32), 1.5)
    ag.float32
    """
    tensors = [t for t in operands if isinstance(t, Tensor)]
    return dtypes.result_of(
        [t.dtype for t in tensors if t._data.ndim],
        [t.dtype for t in tensors if not t._data.ndim],
        [dtypes.of_number(o) for o in operands if not isinstance(o, Tensor)],
    )


# -- errors -----------------------------------------------------------------------------------------------


def device_error(name: str, tensors: tuple[Any, ...]) -> RuntimeError:
    found = ", ".join(
        f"argument {i}: shape {tuple(t.shape)} on {t.device}" for i, t in enumerate(tensors) if t is not None
    )
    return RuntimeError(f"{name}: expected all tensors on the same device, got {found}. Move one with .to(device).")


def kernel_error(name: str, error: TypeError, *tensors: Tensor) -> Exception:
    """What a `TypeError` of a kernel means to the user: a dtype that the operation does not take."""
    if all(t._data.dtype.kind == "f" for t in tensors):
        return error
    found = " and ".join(str(t.dtype) for t in tensors)
    return NotImplementedError(f"{name} is not implemented for {found}; convert with .float() or .long() first")


def broadcast_error(name: str, x: Tensor, y: Tensor) -> RuntimeError:
    return RuntimeError(
        f"{name}: shapes {tuple(x.shape)} and {tuple(y.shape)} cannot be broadcast together: counted from the last, "
        "each pair of sizes must be equal or one of them 1. Use reshape, unsqueeze or transpose to line them up."
    )

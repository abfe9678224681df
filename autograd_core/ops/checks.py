"""Checks that the operations of neural networks share, and how a backward composition enters the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import inplace
from autograd_core.operands import device_error
from autograd_core.primitive import V
from autograd_core.tensor import Tensor


def composite(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a composition of primitives in `V` under the name of the backend's fused kernel that it equals.

    A rule that calls `F.<name>` then runs one kernel on raw arrays, and on Tensors the composition, which is
    differentiable to any order.
    """
    setattr(V, function.__name__, function)
    return function


def require_tensors(operation: str, **tensors: Any) -> None:
    """Raise `TypeError` where an argument is neither a Tensor nor None."""
    for name, t in tensors.items():
        if t is not None and not isinstance(t, Tensor):
            hint = "; convert it with ag.tensor(...)" if t.__class__.__module__ in ("numpy", "builtins") else ""
            raise TypeError(f"{operation}: argument {name!r} must be a Tensor, got {type(t).__name__}{hint}")


def alike(*tensors: Any) -> bool:
    """Whether all are Tensors of one floating-point dtype on one device, or None (not the first).

    To find that nothing is wrong takes a sixth of the time that `require_same` needs to say what is.
    """
    first = tensors[0]
    if not isinstance(first, Tensor):
        return False
    dtype, backend = first._data.dtype, first._backend
    for t in tensors:
        if t is not None and (not isinstance(t, Tensor) or t._data.dtype is not dtype or t._backend is not backend):
            return False
    return bool(dtype.kind == "f")


def require_same(operation: str, **tensors: Tensor | None) -> None:
    """Raise `TypeError` for what is no Tensor, `RuntimeError` unless all have one floating-point dtype and one
    device."""
    if not alike(*tensors.values()):
        require_float(operation, require_alike(operation, **tensors))


def require_alike(operation: str, **tensors: Tensor | None) -> Tensor:
    """Raise `TypeError` for what is no Tensor, `RuntimeError` unless all have one dtype and one device; the first."""
    if alike(*tensors.values()):
        return next(iter(tensors.values()))  # type: ignore[return-value]
    require_tensors(operation, **tensors)
    given = {name: t for name, t in tensors.items() if t is not None}
    first = next(iter(given.values()))
    if any(t._data.dtype != first._data.dtype for t in given.values()):
        found = ", ".join(f"{name} {t.dtype}" for name, t in given.items())
        raise RuntimeError(
            f"{operation}: expected all tensors to have the same dtype, got {found}. Convert with .to(dtype)."
        )
    if any(t._backend is not first._backend for t in given.values()):
        raise device_error(operation, tuple(given.values()))
    return first


def require_float(operation: str, *tensors: Tensor) -> None:
    """Raise `TypeError` for what is no Tensor, `NotImplementedError` (a `RuntimeError`) for integers and bools."""
    for x in tensors:
        if not isinstance(x, Tensor):
            require_tensors(operation, input=x)
        if x._data.dtype.kind != "f":
            raise NotImplementedError(
                f"{operation} is not implemented for {x.dtype}, for floating point alone; convert with .float()"
            )


def refuse_bool(operation: str, x: Tensor) -> None:
    """Raise `NotImplementedError` (a `RuntimeError`) for bools."""
    if x._data.dtype.kind == "b":
        raise NotImplementedError(f"{operation} is not implemented for bool tensors; convert with .long()")


def pair(operation: str, name: str, value: Any, least: int, count: int = 2) -> tuple[int, ...]:
    """`value` as a tuple of `count` ints, each at least `least`; a single int stands for all."""
    values = (value,) * count if isinstance(value, int) else value
    if isinstance(values, list | tuple) and len(values) == 1:
        values = tuple(values) * count
    if (
        not isinstance(values, list | tuple)
        or len(values) != count
        or not all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    ):
        expected = "an int" if count == 1 else f"an int or a tuple of {count} ints"
        raise TypeError(f"{operation}: {name} must be {expected}, got {value!r}")
    if any(v < least for v in values):
        raise RuntimeError(f"{operation}: {name} must be at least {least}, got {value!r}")
    return tuple(values)


def maybe_inplace(flag: bool, name: str, function: Callable[..., Tensor], x: Tensor, *params: Any) -> Tensor:
    """`function(x, *params)`, written into `x` itself if `flag`."""
    if flag:
        return inplace.update(x, f"{name}_", function, *params)
    return function(x, *params)

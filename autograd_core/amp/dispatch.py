"""What autocast does before an operation: casts its tensors as the operation's rule says, and steps aside inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from autograd_core import dtypes
from autograd_core.amp.state import cast, state
from autograd_core.tensor import Tensor

# The rules. `OWN_DTYPE`: in float32 unless the call names a dtype. `ASIDE`: as it is, with autocast off inside.
# `MIXED`: computed in float32, returned in the dtype of the first tensor. `WITHIN`: like `LOWER`, but autocast stays on
# inside. `REFUSED`: an error.
LOWER, FLOAT32, OWN_DTYPE, PROMOTE, ASIDE, MIXED, WITHIN, REFUSED = range(8)

Rule = dict[str, Any]  # kind of device, or "" for those without a rule of their own -> the rule, or when it holds
_OFF: dict[str, dtypes.dtype] = {}


def call(rule: Rule, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`function(*args, **kwargs)` by its rule, if autocast is on in this thread for the device of its tensors."""
    active = state.active
    if not active:
        return function(*args, **kwargs)
    tensors = [x for x in _tensors((*args, *kwargs.values())) if x._backend.name in active]
    kind = tensors[0]._backend.name if tensors else ""
    action = rule.get(kind, rule.get(""))
    if callable(action):
        action = action(*args, **kwargs)
    if action is None or (not tensors and action != ASIDE):
        return function(*args, **kwargs)
    if action == OWN_DTYPE:
        named = any(isinstance(x, dtypes.dtype) for x in (*args, *kwargs.values()))
        action = ASIDE if named else FLOAT32
    if action == REFUSED:
        raise RuntimeError(
            f"{function.__name__} is unsafe to autocast: its input was likely made in float16, where a probability "
            "close to 0 or 1 is rounded to it. Use binary_cross_entropy_with_logits (BCEWithLogitsLoss) on the values "
            "before the sigmoid, or compute it in float32 within autocast(enabled=False)"
        )
    result_dtype = None
    if action == MIXED:
        first = tensors[0]
        if _is_eligible(first) and _any_float32(tensors):
            result_dtype, wide = first.dtype, cast(first, dtypes.float32)
            args = tuple([wide if x is first else x for x in args])
            kwargs = {name: wide if x is first else x for name, x in kwargs.items()}
    elif action != ASIDE:
        to = active[kind]
        if action == FLOAT32 or (action == PROMOTE and _any_float32(tensors)):
            to = dtypes.float32
        args = tuple([_converted(x, kind, to) for x in args])
        kwargs = {name: _converted(x, kind, to) for name, x in kwargs.items()}
    if action == WITHIN:
        return function(*args, **kwargs)
    state.active = _OFF
    try:
        result = function(*args, **kwargs)
    finally:
        state.active = active
    return result if result_dtype is None else cast(result, result_dtype)


def _is_eligible(x: Tensor) -> bool:
    dtype = x._data.dtype
    return dtype.kind == "f" and dtype.itemsize < 8


def _any_float32(tensors: list[Tensor]) -> bool:
    return any(x._data.dtype == dtypes.float32.native for x in tensors)


def _tensors(values: Any) -> Iterator[Tensor]:
    for x in values:
        if isinstance(x, Tensor):
            yield x
        elif x.__class__ in (list, tuple):
            yield from _tensors(x)


def _converted(x: Any, kind: str, to: dtypes.dtype) -> Any:
    if isinstance(x, Tensor):
        return cast(x, to) if _is_eligible(x) and x._backend.name == kind else x
    if x.__class__ in (list, tuple):
        return x.__class__([_converted(item, kind, to) for item in x])
    return x

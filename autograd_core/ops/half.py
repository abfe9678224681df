"""float16 computed in float32 and rounded once, for functions of several steps: what lies between may be beyond it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autograd_core import dtypes
from autograd_core.tensor import Tensor

_HALF = dtypes.float16.native


def in_float32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function` of a tensor and more; of float16, all of them are converted, and the result is converted back."""

    @functools.wraps(function)
    def call(x: Tensor, *rest: Any, **options: Any) -> Tensor:
        if x._data.dtype != _HALF:
            return function(x, *rest, **options)
        wide = [a.float() if isinstance(a, Tensor) else a for a in (x, *rest)]
        return function(*wide, **options).half()

    return call


class _Wide:
    """What a rule reads of its node, the saved numbers in float32."""

    def __init__(self, F: Any, ctx: Any) -> None:
        self.saved = tuple([F.cast(x, dtypes.float32.native) for x in ctx.saved])
        self.inputs, self.params, self.shape = ctx.inputs, ctx.params, ctx.shape


def rule_in_float32(rule: Any) -> Any:
    """A primitive's rule whose steps would overflow or underflow in float16 where their result does not."""

    @functools.wraps(rule)
    def call(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        if (g._data if isinstance(g, Tensor) else g).dtype != _HALF:
            return rule(F, g, ctx)
        found = rule(F, F.cast(g, dtypes.float32.native), _Wide(F, ctx))
        return tuple([None if x is None else F.cast(x, _HALF) for x in found])

    return call

"""Activations as scalar functions for Numba's ufuncs (see `scalar.py`), where one pass beats NumPy's several.

Only those that win at every size: without a vectorised exp, the sigmoid-like ones are faster by NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autograd_core.backends.cpu.scalar import compile_ufunc


def erf(x):
    return math.erf(x)


def gelu(x):
    half = type(x)(0.5)
    return x * (half + half * math.erf(x * type(x)(0.7071067811865476)))


def gelu_backward(g, x):
    half = type(x)(0.5)
    density = type(x)(0.3989422804014327) * math.exp(-half * x * x)
    return g * (half + half * math.erf(x * type(x)(0.7071067811865476)) + x * density)


def leaky_relu(x, slope):
    return x if x > 0 else x * slope


def leaky_relu_backward(g, x, slope):
    return g if x > 0 else g * slope


# Function, its arrays, and its numbers after them.
_FUNCTIONS: tuple[tuple[Callable[..., Any], int, int], ...] = (
    (erf, 1, 0),
    (gelu, 1, 0),
    (gelu_backward, 2, 0),
    (leaky_relu, 1, 1),
    (leaky_relu_backward, 2, 1),
)


def install(backend: Any) -> None:
    """Replace the portable bodies of `backend`; each function is compiled when it is first called."""
    for function, arrays, numbers in _FUNCTIONS:
        setattr(backend, function.__name__, _lifted(backend, function, arrays, numbers))


def _lifted(backend: Any, function: Callable[..., Any], arrays: int, numbers: int) -> Callable[..., Any]:
    portable = getattr(type(backend), function.__name__).__get__(backend)
    ufunc: Any = None

    def call(*args: Any) -> Any:
        nonlocal ufunc
        kind = args[0].dtype
        if kind.char not in "fd":
            return portable(*args)
        if ufunc is None:
            ufunc = compile_ufunc(function, arrays + numbers)
        return ufunc(*args[:arrays], *[kind.type(number) for number in args[arrays:]]) if numbers else ufunc(*args)

    call.__name__ = function.__name__
    return call

"""Calls of backend kernels that reach every Numba-CUDA kernel in each of its forms; two test files go through them.

A case is (name of the kernel, arguments, what may be NaN or infinite in them). Arguments are NumPy arrays, and what
the kernel takes beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_core.backends.base import Backend
from autograd_core.backends.cuda import kernels

Case = tuple[str, tuple[Any, ...]]
FLOATS = ("e", "f", "d")


class NumpyBackend(Backend):
    """The portable bodies on NumPy arrays."""

    xp: Any = np

    def from_host(self, host: Any) -> Any:
        return np.array(host)

    def to_host(self, x: Any) -> Any:
        return np.asarray(x)


class KernelBackend(NumpyBackend):
    """The same with Numba's kernels before them, run by `launch`; fresh memory is poisoned."""

    def __init__(self, launch: Any) -> None:
        super().__init__()
        kernels.install(self, launch)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        out = np.empty(shape, dtype)
        out.view(np.uint8 if out.ndim else out.dtype).fill(0x7F) if out.ndim and out.size else None
        return out


def cases(family: str) -> Iterator[Case]:
    """The calls of one family, the same ones every time."""
    yield from FAMILIES[family](np.random.default_rng(0))


def _special(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Numbers with zeros of both signs, infinities, NaN, and the largest and smallest among them."""
    x = rng.standard_normal(shape).astype(dtype)
    flat, info = x.reshape(-1), np.finfo(dtype)
    values = (np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, info.min, info.tiny, info.smallest_subnormal)
    for i, v in enumerate(values):
        if 3 * i < flat.size:
            flat[3 * i] = v
    return x


def softmaxes(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        for shape, axis in (
            ((3, 5), 1),
            ((2, 300), -1),
            ((2, 7, 3), 1),
            ((4,), 0),
            ((0, 3), 1),
            ((2, 40), 0),
            ((1, 1100), 1),
        ):
            if 1100 in shape and dtype != "f":
                continue
            x, g = (rng.standard_normal(shape).astype(dtype) * 3 for _ in range(2))
            for name in ("softmax", "log_softmax"):
                yield name, (x, axis)
                yield f"{name}_backward", (g, np.exp(-abs(x)), axis)
    for dtype in FLOATS:
        x = _special(rng, (10, 3), dtype)
        for name in ("softmax", "log_softmax"):
            for axis in (0, 1):
                yield name, (x, axis)
                yield f"{name}_backward", (x, np.abs(x), axis)
    x = rng.standard_normal((5, 8)).astype("f")
    yield "softmax", (x.T, 1)
    yield "softmax_backward", (x[::2, ::2], x[1::2, ::2][:2].repeat(2, 0)[:3], 1)


def cross_entropies(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        for rows, cols in ((5, 3), (150, 4), (2, 200)):
            x = rng.standard_normal((rows, cols)).astype(dtype) * 4
            target = rng.integers(0, cols, rows)
            target[1] = -100
            wide = x.astype("d")
            logsum = np.log(np.exp(wide).sum(1)).astype("d" if dtype == "d" else "f")
            yield "cross_entropy", (x, target, -100)
            count = np.array(rows - 1, logsum.dtype)
            yield "cross_entropy_backward", (np.array(1.5, dtype), x, target, logsum, count, -100)
    x = _special(rng, (9, 3), "f")
    yield "cross_entropy", (x, np.arange(9) % 3, -1)
    yield "cross_entropy", (x[3:], np.full(6, 2), 2)
    yield "cross_entropy", (x.T[::2], np.array([4, 0], "int32"), 7)


FAMILIES = {"softmax": softmaxes, "cross_entropy": cross_entropies}

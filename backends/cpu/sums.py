"""Sums of all elements, and over the axes before and behind a block that stays: gradients of biases, averages.

NumPy makes a reduction of each short row of its own: over (256, 6, 28, 28) to 6 sums it takes twice as long as a copy.
Columns it sums row by row in their dtype: of 100,000 numbers in float32 four digits are left. Here parts of up to
`_CHUNK` numbers are summed in their dtype, such sums in float64, in an order that does not depend on the number of
threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import PARALLEL_FROM, kernel

Array = Any

SMALLEST = 1 << 13  # Elements from which this is faster than NumPy.
_SHORTEST = 16  # Numbers of a sum that lie side by side; with fewer, whole rows are added to one another.
_CHUNK = 1024
_PART = 4096
_ROWS = 64  # A chunk of rows that are added to one another.
_TASKS = 8  # With a chunk each at the least; NumPy is as exact, and faster, with fewer.


def block_sums(x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array | None:
    """The sums of x, which has elements, over `axes`, or None where NumPy is to make them."""
    if x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return None
    if axes is None or len(axes) == x.ndim:
        return _total(x).reshape((1,) * x.ndim if keepdims else ())
    kept = [axis for axis in range(x.ndim) if axis not in axes and axis - x.ndim not in axes]
    if not kept or kept[-1] - kept[0] >= len(kept):
        return None
    before, behind = math.prod(x.shape[: kept[0]]), math.prod(x.shape[kept[-1] + 1 :])
    shape = tuple(x.shape[axis] for axis in kept)
    if behind >= _SHORTEST:
        out = np.empty(math.prod(shape), x.dtype)
        run = _sums if x.size >= PARALLEL_FROM and out.size > 1 else _sums.serial
        run(x.reshape(-1), before, behind, out)
    elif before < _TASKS * _ROWS and behind > 1:
        out = np.empty(math.prod(shape), x.dtype)
        run = _short_sums if x.size >= PARALLEL_FROM else _short_sums.serial
        run(x.reshape(-1), before, behind, out)
    elif before >= _TASKS * _ROWS:
        totals = np.empty((_TASKS, x.size // before))
        run = _columns if x.size >= PARALLEL_FROM else _columns.serial
        run(x.reshape(-1), before, totals)
        out = totals.reshape(_TASKS, -1, behind).sum((0, 2)).astype(x.dtype)
    else:
        return None
    return out.reshape(tuple(n if axis in kept else 1 for axis, n in enumerate(x.shape)) if keepdims else shape)


def row_products(x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array | None:
    """The products of all elements or over the last axes, in float64; None where NumPy is to make them."""
    if x.dtype.char not in "fd" or not x.flags.c_contiguous or x.size < SMALLEST:
        return None
    kept = x.ndim if axes is None else min((axis % x.ndim for axis in axes), default=x.ndim)
    if axes is None:
        kept = 0
    elif len(axes) != x.ndim - kept:
        return None
    behind = math.prod(x.shape[kept:])
    if behind < _SHORTEST:
        return None
    out = np.empty(x.shape[:kept], x.dtype)
    run = _products if x.size >= PARALLEL_FROM and out.size > 1 else _products.serial
    run(x.reshape(-1), behind, out.reshape(-1))
    return out.reshape(x.shape[:kept] + (1,) * (x.ndim - kept)) if keepdims else out


@kernel(parallel=True, fastmath={"reassoc", "contract", "nsz"})
def _products(x, behind, out, worker, workers):
    n = out.size
    for k in range(worker * n // workers, (worker + 1) * n // workers):
        total, at = 1.0, np.uint64(k * behind)
        for j in range(np.uint64(behind)):
            total *= x[at + j]
        out[k] = total


def _total(x: Array) -> Array:
    """The sum of all elements: of parts, whose sums are added in float64."""
    flat, whole = x.reshape(-1), x.size // _PART
    sums = np.empty(whole + 1)
    (_sums if x.size >= PARALLEL_FROM else _sums.serial)(flat, 1, _PART, sums[:whole])
    sums[whole] = np.add.reduce(flat[whole * _PART :])
    return np.asarray(np.add.reduce(sums), x.dtype)


@kernel(parallel=True, fastmath={"reassoc", "contract", "nsz"})
def _sums(x, before, behind, out, worker, workers):
    n = out.size
    for k in range(worker * n // workers, (worker + 1) * n // workers):
        total = 0.0
        for i in range(before):
            for start in range(0, behind, _CHUNK):
                part, at = x.dtype.type(0), np.uint64((i * n + k) * behind + start)
                for j in range(np.uint64(min(_CHUNK, behind - start))):
                    part += x[at + j]
                total += part
        out[k] = total


@kernel(parallel=True)
def _short_sums(x, before, behind, out, worker, workers):
    n = out.size
    for k in range(worker * n // workers, (worker + 1) * n // workers):
        total = 0.0
        for i in range(before):
            at = np.uint64((i * n + k) * behind)
            for j in range(np.uint64(behind)):
                total += x[at + j]
        out[k] = total


@kernel(parallel=True)
def _columns(x, rows, totals, worker, workers):
    """Row t of `totals` gets the sums over the columns of part t of the rows."""
    tasks, n = totals.shape
    part = np.empty(n, x.dtype)
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        total = totals[task]
        total[:] = 0
        end = (task + 1) * rows // tasks
        for start in range(task * rows // tasks, end, _ROWS):
            part[:] = 0
            for i in range(start, min(start + _ROWS, end)):
                at = np.uint64(i * n)
                for j in range(np.uint64(n)):
                    part[j] += x[at + j]
            for j in range(n):
                total[j] += part[j]

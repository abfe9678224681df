"""Products of float32 matrices as loops around the tile of `micro.py`.

The right matrix is laid out in panels of three vectors; a task multiplies a band of rows by them, `_DEPTH` terms of a
sum at a time (Goto, van de Geijn, "Anatomy of high-performance matrix multiplication", 2008). Measured on a Zen 5
beside OpenBLAS, one thread each: 32 x 256 x 1024 (a step of an LSTM) in 0.6 of its time, 768 x 128 x 512 (a layer of a
small GPT) in 0.5, 1024^3 in 0.55, 64^3 in 1.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends.cpu import micro
from autograd_core.backends.cpu.cache import kernel

Array = Any

# Set before the kernel is compiled.
_three: Any = None
_two: Any = None
_one: Any = None
_turn: Any = None
_ROWS = _LANES = 0

_DEPTH = 512  # Terms of a sum in one go: the panels of so many stay in the cache.
_HIGH = 128  # Rows of a task.
_PARALLEL = 1 << 20  # Multiplications from which several threads are faster than one.


def multiply(a: Array, a_turned: bool, b: Array, b_turned: bool, m: int, n: int, k: int) -> Array:
    """The product (m, n) of a (m, k) and b (k, n), none empty, contiguous; a turned one is stored as its transpose."""
    global _three, _two, _one, _turn, _ROWS, _LANES
    if _three is None:
        _LANES, _ROWS = micro.shape()
        _one, _two, _turn = micro.product_tile(1), micro.product_tile(2), micro.turn_tile()
        _three = micro.product_tile(3)
    out = np.empty((m, n), np.float32)
    panels = np.empty(-(-n // _LANES) * _LANES * k, np.float32)
    large = m * n * k >= _PARALLEL
    b = b.reshape(-1)
    (_lay_out if large else _lay_out.serial)(b, b_turned, panels, n, k)
    (_multiply if large else _multiply.serial)(a.reshape(-1), a_turned, panels, out.reshape(-1), m, n, k)
    return out


@kernel(parallel=True, uses=micro.SOURCE)
def _lay_out(b, b_turned, panels, n, k, worker, workers):
    """Panels of three vectors, the last of as many as it needs; each of k rows."""
    wide = 3 * _LANES
    count = (n + wide - 1) // wide
    for panel in range(worker * count // workers, (worker + 1) * count // workers):
        first = panel * wide
        rest = min(wide, n - first)
        width = (rest + _LANES - 1) // _LANES * _LANES
        base = first * k
        if b_turned:
            for j in range(0, width, _LANES):
                whole = k // _LANES * _LANES if first + j + _LANES <= n else 0
                for i in range(0, whole, _LANES):
                    _turn(b, (first + j) * k + i, k, panels, base + i * width + j, width)
                for q in range(j, j + _LANES):
                    for i in range(whole, k):
                        panels[base + i * width + q] = b[(first + q) * k + i] if q < rest else np.float32(0)
        else:
            for i in range(k):
                to, source = np.uint64(base + i * width), np.uint64(i * n + first)
                for q in range(np.uint64(rest)):
                    panels[to + q] = b[source + q]
                for q in range(np.uint64(rest), np.uint64(width)):
                    panels[to + q] = 0


@kernel(parallel=True, uses=micro.SOURCE)
def _multiply(a, a_turned, panels, out, m, n, k, worker, workers):
    wide = 3 * _LANES
    count = (n + wide - 1) // wide
    offsets = np.empty(4 * _DEPTH, np.int64)
    for vectors in range(1, 4):
        for i in range(_DEPTH):
            offsets[vectors * _DEPTH + i] = i * vectors * _LANES
    bands = (m + _HIGH - 1) // _HIGH
    parts = 1 if bands >= 2 * workers else min(count, (2 * workers + bands - 1) // bands)
    tasks = bands * parts
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        band, part = task // parts, task % parts
        top = band * m // bands
        end = (band + 1) * m // bands
        packed = np.empty((end - top + _ROWS) * min(k, _DEPTH) if a_turned else 1, np.float32)
        corner = np.empty(_ROWS * wide, np.float32)
        for start in range(0, k, _DEPTH):
            deep = min(_DEPTH, k - start)
            if a_turned:
                for i in range(deep):
                    source = np.uint64((start + i) * m + top)
                    for block in range((end - top) // _ROWS):
                        to, at = np.uint64((block * deep + i) * _ROWS), source + np.uint64(block * _ROWS)
                        for r in range(np.uint64(_ROWS)):
                            packed[to + r] = a[at + r]
                    whole = (end - top) // _ROWS * _ROWS
                    for r in range(whole, end - top):
                        packed[whole * deep + i * _ROWS + r - whole] = a[(start + i) * m + top + r]
            for panel in range(part * count // parts, (part + 1) * count // parts):
                first = panel * wide
                rest = min(wide, n - first)
                vectors = (rest + _LANES - 1) // _LANES
                b_at = first * k + start * vectors * _LANES
                fits = rest == vectors * _LANES
                for row in range(top, end, _ROWS):
                    high = min(_ROWS, end - row)
                    c, c_at, c_row = out, row * n + first, n
                    if not fits:
                        c, c_at, c_row = corner, 0, wide
                        if start:
                            for r in range(high):
                                for q in range(rest):
                                    corner[r * wide + q] = out[(row + r) * n + first + q]
                    left, left_at, left_row, left_step = a, row * k + start, k, 1
                    if a_turned:
                        left, left_at, left_row, left_step = packed, (row - top) * deep, 1, _ROWS
                    if vectors == 3:
                        _three(high, left, left_at, left_row, left_step, panels, b_at, offsets, 3 * _DEPTH, deep,
                               c, c_at, c_row, start)  # fmt: skip
                    elif vectors == 2:
                        _two(high, left, left_at, left_row, left_step, panels, b_at, offsets, 2 * _DEPTH, deep,
                             c, c_at, c_row, start)  # fmt: skip
                    else:
                        _one(high, left, left_at, left_row, left_step, panels, b_at, offsets, _DEPTH, deep,
                             c, c_at, c_row, start)  # fmt: skip
                    if not fits:
                        for r in range(high):
                            for q in range(rest):
                                out[(row + r) * n + first + q] = corner[r * wide + q]

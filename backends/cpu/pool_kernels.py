"""Max pooling by Numba, plane by plane: the loops of `backends/neural_pool.py` fused into one pass each way.

Innermost indices are unsigned so that the loops vectorise (see `conv_kernels.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import kernel, prange

Array = Any

PARALLEL_FROM = 1 << 14  # Elements from which several threads are faster than one.


def usable(x: Array) -> bool:
    return x.dtype.char in "fd" and x.size > 0


def forward(x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any) -> tuple[Array, Array]:
    """`max_pool2d`."""
    x = np.ascontiguousarray(x)
    n, channels, height, width = x.shape
    places = np.uint8 if kernel[0] * kernel[1] <= 255 else np.int32
    y = np.empty((n, channels, *size), x.dtype)
    place = np.empty(y.shape, places)
    run = _forward if x.size >= PARALLEL_FROM else _forward.serial
    run(x.reshape(-1, height, width), y.reshape(-1, *size), place.reshape(-1, *size), *kernel, *stride, *padding, *dilation)
    return y, place


def backward(g: Array, place: Array, shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Array:
    """`max_pool2d_backward`."""
    g = np.ascontiguousarray(g)
    gx = np.zeros(shape, g.dtype)
    run = _backward if gx.size >= PARALLEL_FROM else _backward.serial
    size, planes = g.shape[2:], (-1, *shape[2:])
    run(g.reshape(-1, *size), place.reshape(-1, *size), gx.reshape(planes), kernel[1], *stride, *padding, *dilation)
    return gx


@kernel(parallel=True)
def _forward(x, y, place, kh, kw, sh, sw, top, left, dh, dw):
    planes, height, width = x.shape
    rows, columns = y.shape[1], y.shape[2]
    step = np.uint64(sw)
    for plane in prange(planes):
        for row in range(rows):
            best, at = y[plane, row], place[plane, row]
            # A window of nothing above -inf keeps its first element inside the input.
            i = max(0, -((row * sh - top) // dh))
            for q in range(columns):
                best[q] = -np.inf
                at[q] = i * kw + max(0, -((q * sw - left) // dw))
            for i in range(kh):
                line = row * sh - top + i * dh
                if 0 <= line < height:
                    values = x[plane, line]
                    for j in range(kw):
                        low = max(0, (left - j * dw + sw - 1) // sw)
                        end = max(low, min(columns, (width - 1 - j * dw + left) // sw + 1))
                        start, to = np.uint64(low * sw + j * dw - left), np.uint64(low)
                        k = place.dtype.type(i * kw + j)
                        for q in range(np.uint64(end - low)):
                            v = values[start + q * step]
                            b = best[to + q]
                            greater = (not (v <= b)) & (b == b)  # True where v is NaN; a NaN that leads stays.
                            best[to + q] = v if greater else b
                            at[to + q] = k if greater else at[to + q]


@kernel(parallel=True)
def _backward(g, place, gx, kw, sh, sw, top, left, dh, dw):
    planes, rows, columns = g.shape
    for plane in prange(planes):
        out = gx[plane]
        for row in range(rows):
            for q in range(columns):
                k = np.int64(place[plane, row, q])
                line, column = row * sh - top + k // kw * dh, q * sw - left + k % kw * dw
                out[np.uint64(line), np.uint64(column)] += g[plane, row, q]

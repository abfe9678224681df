"""Max pooling by Numba, plane by plane: the loops of `backends/neural_pool.py` fused into one pass each way.

Innermost indices are unsigned so that the loops vectorise (see `conv_kernels.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import kernel

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
    arrays = x.reshape(-1, height, width), y.reshape(-1, *size), place.reshape(-1, *size)
    if _halves((height, width), kernel, stride, padding, dilation, size):
        (_forward_halves if x.size >= PARALLEL_FROM else _forward_halves.serial)(*arrays)
    else:
        run = _forward if x.size >= PARALLEL_FROM else _forward.serial
        run(*arrays, *kernel, *stride, *padding, *dilation)
    return y, place


def backward(g: Array, place: Array, shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Array:
    """`max_pool2d_backward`."""
    g = np.ascontiguousarray(g)
    size, planes = g.shape[2:], (-1, *shape[2:])
    arrays = g.reshape(-1, *size), place.reshape(-1, *size)
    if _halves(shape[2:], kernel, stride, padding, dilation, size):
        gx = np.empty(shape, g.dtype)
        (_backward_halves if gx.size >= PARALLEL_FROM else _backward_halves.serial)(*arrays, gx.reshape(planes))
    else:
        gx = np.zeros(shape, g.dtype)
        run = _backward if gx.size >= PARALLEL_FROM else _backward.serial
        run(*arrays, gx.reshape(planes), kernel[1], *stride, *padding, *dilation)
    return gx


def _halves(plane: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any) -> bool:
    """Whether the windows are 2 x 2 and lie side by side inside the plane: the common case."""
    inside = 2 * size[0] <= plane[0] and 2 * size[1] <= plane[1]
    return inside and kernel == (2, 2) and stride == (2, 2) and padding == (0, 0) and dilation == (1, 1)


@kernel(parallel=True)
def _forward_halves(x, y, place, worker, workers):
    planes, height, width = x.shape
    rows, columns = y.shape[1], y.shape[2]
    x_flat, y_flat, place_flat = x.reshape(-1), y.reshape(-1), place.reshape(-1)
    two = np.uint64(2)
    for plane in range(worker * planes // workers, (worker + 1) * planes // workers):
        for row in range(rows):
            above = np.uint64((plane * height + 2 * row) * width)
            below = above + np.uint64(width)
            to = np.uint64((plane * rows + row) * columns)
            for q in range(np.uint64(columns)):
                a, b = x_flat[above + q * two], x_flat[above + q * two + np.uint64(1)]
                c, d = x_flat[below + q * two], x_flat[below + q * two + np.uint64(1)]
                # True where the second is greater or NaN.
                right = (b > a) | (b != b)
                upper = b if right else a
                right_below = (d > c) | (d != d)
                lower = d if right_below else c
                down = (lower > upper) | (lower != lower)
                y_flat[to + q] = lower if down else upper
                place_flat[to + q] = np.uint8(2) + np.uint8(right_below) if down else np.uint8(right)


@kernel(parallel=True)
def _backward_halves(g, place, gx, worker, workers):
    planes, height, width = gx.shape
    rows, columns = g.shape[1], g.shape[2]
    g_flat, place_flat, gx_flat = g.reshape(-1), place.reshape(-1), gx.reshape(-1)
    for plane in range(worker * planes // workers, (worker + 1) * planes // workers):
        start = np.uint64(plane * height * width)
        for q in range(np.uint64(height * width)):
            gx_flat[start + q] = 0
        for row in range(rows):
            to = start + np.uint64(2 * row * width)
            source = np.uint64((plane * rows + row) * columns)
            for q in range(np.uint64(columns)):
                k = np.uint64(place_flat[source + q])
                at = to + q * np.uint64(2) + (k & np.uint64(1)) + (k >> np.uint64(1)) * np.uint64(width)
                gx_flat[at] = g_flat[source + q]


@kernel(parallel=True)
def _forward(x, y, place, kh, kw, sh, sw, top, left, dh, dw, worker, workers):
    planes, height, width = x.shape
    rows, columns = y.shape[1], y.shape[2]
    x_flat, y_flat, place_flat = x.reshape(-1), y.reshape(-1), place.reshape(-1)
    step = np.uint64(sw)
    for plane in range(worker * planes // workers, (worker + 1) * planes // workers):
        for row in range(rows):
            base = (plane * rows + row) * columns
            # A window of nothing above -inf keeps its first element inside the input.
            first = max(0, -((row * sh - top) // dh)) * kw
            for q in range(columns):
                y_flat[base + q] = -np.inf
                place_flat[base + q] = first + max(0, -((q * sw - left) // dw))
            for i in range(kh):
                line = row * sh - top + i * dh
                if line < 0 or line >= height:
                    continue
                for j in range(kw):
                    low = max(0, (left - j * dw + sw - 1) // sw)
                    end = max(low, min(columns, (width - 1 - j * dw + left) // sw + 1))
                    start = np.uint64((plane * height + line) * width + low * sw + j * dw - left)
                    to = np.uint64(base + low)
                    k = place.dtype.type(i * kw + j)
                    for q in range(np.uint64(end - low)):
                        v, best = x_flat[start + q * step], y_flat[to + q]
                        greater = (v > best) | (v != v)
                        y_flat[to + q] = v if greater else best
                        place_flat[to + q] = k if greater else place_flat[to + q]


@kernel(parallel=True)
def _backward(g, place, gx, kw, sh, sw, top, left, dh, dw, worker, workers):
    planes, rows, columns = g.shape
    for plane in range(worker * planes // workers, (worker + 1) * planes // workers):
        out = gx[plane]
        for row in range(rows):
            for q in range(columns):
                k = np.int64(place[plane, row, q])
                line, column = row * sh - top + k // kw * dh, q * sw - left + k % kw * dw
                out[np.uint64(line), np.uint64(column)] += g[plane, row, q]

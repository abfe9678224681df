"""Convolution in float32 by Numba: each thread lays out the windows of its images and multiplies them by BLAS.

The images are cut into blocks: `m` whole images, or, for large ones, `span` rows of the output of one image. A block's
windows, (inner, pixels), stay in the thread's cache. Blocks are dealt to tasks by the shapes alone, so sums have a
fixed order, whatever the number of threads.

Each kernel is self-contained (see `cache.py`), hence the repeated layout loops. Their innermost indices are unsigned:
with signed ones Numba tests each for being negative, and the loops do not vectorise (measured: 3 to 8 times slower).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends.cpu import blas
from autograd_core.backends.cpu.cache import kernel, prange

Array = Any
_sgemm: Any = None  # Set before the first kernel is compiled.

_BLOCK = 1 << 16  # Elements of one block's windows: 256 KiB, for the second-level cache.
_PIXELS = 256  # So many columns a product has at least, where there are so many.
_SMALL = 1 << 15  # Fewer multiplications than this by one thread.
_TASKS = 8  # Into which the work is cut.


def usable(*arrays: Array) -> bool:
    """Whether the kernels take these arrays: float32, none empty, and BLAS found."""
    return all(a.dtype == np.float32 and a.size for a in arrays) and blas.available()


def _prepare() -> None:
    global _sgemm
    if _sgemm is None:
        _sgemm = blas.gemm("s")


def _blocks(n: int, inner: int, rows: int, columns: int) -> tuple[int, int]:
    """Images and rows of one block."""
    pixels = rows * columns
    fits = max(1, _BLOCK // max(inner, 1))
    if pixels > max(fits, _PIXELS):
        return 1, max(1, max(fits, _PIXELS) // columns)
    return max(1, min(max(_PIXELS, fits) // pixels, -(-n // _TASKS))), rows


def _run(kernel: Any, work: int, *args: Any) -> None:
    with blas.one_thread():
        (kernel if work > _SMALL else kernel.serial)(*args)


def forward(x: Array, w: Array, b: Array, size: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """`conv2d`; `size` is the output's (rows, columns)."""
    _prepare()
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    out, inner = w.shape[0], w.shape[1] * w.shape[2] * w.shape[3]
    y = np.empty((x.shape[0], out, *size), np.float32)
    m, span = _blocks(x.shape[0], inner * groups, size[0], size[1])
    bias = np.zeros(out, np.float32) if b is None else np.ascontiguousarray(b)
    _run(
        _forward, y.size * inner, x, w.reshape(out, inner), bias, y, _TASKS, m, span,
        *w.shape[2:], *stride, padding[0], padding[2], *dilation, groups,
    )  # fmt: skip
    return y


def weight_grad(g: Array, x: Array, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """`conv2d_weight_grad`."""
    _prepare()
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    n, out, rows, columns = g.shape
    inner = shape[1] * shape[2] * shape[3]
    m, span = _blocks(n, inner * groups, rows, columns)
    # A sum for each task, as long as these do not outweigh the images.
    tasks = max(2, min(_TASKS, (1 << 20) // (out * inner)))
    gw = np.zeros((tasks, out, inner), np.float32)
    _run(
        _weight_grad, g.size * inner, g, x, gw, tasks, m, span,
        *shape[2:], *stride, padding[0], padding[2], *dilation, groups,
    )  # fmt: skip
    total = gw[0]
    for part in gw[1:]:
        total += part
    return total.reshape(shape).copy()  # The other tasks' sums need not stay.


def input_grad(g: Array, w: Array, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """`conv2d_input_grad`."""
    _prepare()
    g, w = np.ascontiguousarray(g), np.ascontiguousarray(w)
    n, out, rows, columns = g.shape
    inner = w.shape[1] * w.shape[2] * w.shape[3]
    m, span = _blocks(n, inner * groups, rows, columns)
    gx = np.zeros(shape, np.float32)
    _run(
        _input_grad, g.size * inner, g, w.reshape(out, inner), gx, _TASKS, m, span,
        *w.shape[2:], *stride, padding[0], padding[2], *dilation, groups,
    )  # fmt: skip
    return gx


@kernel(parallel=True)
def _forward(x, w, b, y, tasks, m, span, kh, kw, sh, sw, top, left, dh, dw, groups):
    n, channels, height, width = x.shape
    out, rows, columns = y.shape[1], y.shape[2], y.shape[3]
    inner = w.shape[1]
    per_group = out // groups
    images = (n + m - 1) // m
    bands = (rows + span - 1) // span
    x_flat, y_flat, w_flat = x.reshape(-1), y.reshape(-1), w.reshape(-1)
    for task in prange(tasks):
        windows = np.empty(inner * groups * m * span * columns, np.float32)
        product = np.empty(out * m * span * columns if m > 1 else 1, np.float32)
        for item in range(task * images * bands // tasks, (task + 1) * images * bands // tasks):
            first = item // bands * m
            count = min(m, n - first)
            top_row = item % bands * span
            high = min(span, rows - top_row)
            pixels = count * high * columns
            for k in range(channels * kh * kw):
                c, i, j = k // (kh * kw), k // kw % kh, k % kw
                low = max(0, (left - j * dw + sw - 1) // sw)
                end = max(low, min(columns, (width - 1 - j * dw + left) // sw + 1))
                at = k * pixels
                for image in range(first, first + count):
                    for row in range(top_row, top_row + high):
                        line = row * sh - top + i * dh
                        inside = end if 0 <= line < height else low
                        to = np.uint64(at)
                        for q in range(np.uint64(low)):
                            windows[to + q] = 0
                        to = np.uint64(at + low)
                        start = ((image * channels + c) * height + line) * width + low * sw + j * dw - left
                        source = np.uint64(start)
                        if sw == 1:
                            for q in range(np.uint64(inside - low)):
                                windows[to + q] = x_flat[source + q]
                        else:
                            for q in range(np.uint64(inside - low)):
                                windows[to + q] = x_flat[source + q * np.uint64(sw)]
                        to = np.uint64(at + inside)
                        for q in range(np.uint64(columns - inside)):
                            windows[to + q] = 0
                        at += columns
            if m == 1:
                base = first * out * rows * columns + top_row * columns
                for o in range(out):
                    to = np.uint64(base + o * rows * columns)
                    for q in range(np.uint64(pixels)):
                        y_flat[to + q] = b[o]
                for group in range(groups):
                    _sgemm(
                        101, 111, 111, per_group, pixels, inner, np.float32(1),
                        w_flat[group * per_group * inner :].ctypes, inner,
                        windows[group * inner * pixels :].ctypes, pixels, np.float32(1),
                        y_flat[base + group * per_group * rows * columns :].ctypes, rows * columns,
                    )  # fmt: skip
            else:
                for group in range(groups):
                    _sgemm(
                        101, 111, 111, per_group, pixels, inner, np.float32(1),
                        w_flat[group * per_group * inner :].ctypes, inner,
                        windows[group * inner * pixels :].ctypes, pixels, np.float32(0),
                        product[group * per_group * pixels :].ctypes, pixels,
                    )  # fmt: skip
                area = rows * columns
                for image in range(count):
                    for o in range(out):
                        to = np.uint64(((first + image) * out + o) * area)
                        source = np.uint64(o * pixels + image * area)
                        for q in range(np.uint64(area)):
                            y_flat[to + q] = product[source + q] + b[o]


@kernel(parallel=True)
def _weight_grad(g, x, gw, tasks, m, span, kh, kw, sh, sw, top, left, dh, dw, groups):
    n, channels, height, width = x.shape
    out, rows, columns = g.shape[1], g.shape[2], g.shape[3]
    inner = gw.shape[2]
    per_group = out // groups
    images = (n + m - 1) // m
    bands = (rows + span - 1) // span
    area = rows * columns
    x_flat, g_flat = x.reshape(-1), g.reshape(-1)
    for task in prange(tasks):
        windows = np.empty(inner * groups * m * span * columns, np.float32)
        gathered = np.empty(out * m * span * columns if m > 1 else 1, np.float32)
        total = gw[task].reshape(-1)
        for item in range(task * images * bands // tasks, (task + 1) * images * bands // tasks):
            first = item // bands * m
            count = min(m, n - first)
            top_row = item % bands * span
            high = min(span, rows - top_row)
            pixels = count * high * columns
            for k in range(channels * kh * kw):
                c, i, j = k // (kh * kw), k // kw % kh, k % kw
                low = max(0, (left - j * dw + sw - 1) // sw)
                end = max(low, min(columns, (width - 1 - j * dw + left) // sw + 1))
                at = k * pixels
                for image in range(first, first + count):
                    for row in range(top_row, top_row + high):
                        line = row * sh - top + i * dh
                        inside = end if 0 <= line < height else low
                        to = np.uint64(at)
                        for q in range(np.uint64(low)):
                            windows[to + q] = 0
                        to = np.uint64(at + low)
                        start = ((image * channels + c) * height + line) * width + low * sw + j * dw - left
                        source = np.uint64(start)
                        if sw == 1:
                            for q in range(np.uint64(inside - low)):
                                windows[to + q] = x_flat[source + q]
                        else:
                            for q in range(np.uint64(inside - low)):
                                windows[to + q] = x_flat[source + q * np.uint64(sw)]
                        to = np.uint64(at + inside)
                        for q in range(np.uint64(columns - inside)):
                            windows[to + q] = 0
                        at += columns
            if m > 1:
                for o in range(out):
                    for image in range(count):
                        to = np.uint64(o * pixels + image * area)
                        source = np.uint64(((first + image) * out + o) * area)
                        for q in range(np.uint64(area)):
                            gathered[to + q] = g_flat[source + q]
            for group in range(groups):
                if m > 1:
                    rows_of_g = gathered[group * per_group * pixels :]
                    step = pixels
                else:
                    rows_of_g = g_flat[(first * out + group * per_group) * area + top_row * columns :]
                    step = area
                _sgemm(
                    101, 111, 112, per_group, inner, pixels, np.float32(1), rows_of_g.ctypes, step,
                    windows[group * inner * pixels :].ctypes, pixels, np.float32(1),
                    total[group * per_group * inner :].ctypes, inner,
                )  # fmt: skip


@kernel(parallel=True)
def _input_grad(g, w, gx, tasks, m, span, kh, kw, sh, sw, top, left, dh, dw, groups):
    n, channels, height, width = gx.shape
    out, rows, columns = g.shape[1], g.shape[2], g.shape[3]
    inner = w.shape[1]
    per_group = out // groups
    images = (n + m - 1) // m
    bands = (rows + span - 1) // span
    area = rows * columns
    g_flat, w_flat, gx_flat = g.reshape(-1), w.reshape(-1), gx.reshape(-1)
    for task in prange(tasks):
        windows = np.empty(inner * groups * m * span * columns, np.float32)
        gathered = np.empty(out * m * span * columns if m > 1 else 1, np.float32)
        # Bands of one image overlap in gx: whole images go to one task.
        for item in range(task * images // tasks * bands, (task + 1) * images // tasks * bands):
            first = item // bands * m
            count = min(m, n - first)
            top_row = item % bands * span
            high = min(span, rows - top_row)
            pixels = count * high * columns
            if m > 1:
                for o in range(out):
                    for image in range(count):
                        to = np.uint64(o * pixels + image * area)
                        source = np.uint64(((first + image) * out + o) * area)
                        for q in range(np.uint64(area)):
                            gathered[to + q] = g_flat[source + q]
            for group in range(groups):
                if m > 1:
                    rows_of_g = gathered[group * per_group * pixels :]
                    step = pixels
                else:
                    rows_of_g = g_flat[(first * out + group * per_group) * area + top_row * columns :]
                    step = area
                _sgemm(
                    101, 112, 111, inner, pixels, per_group, np.float32(1),
                    w_flat[group * per_group * inner :].ctypes, inner, rows_of_g.ctypes, step, np.float32(0),
                    windows[group * inner * pixels :].ctypes, pixels,
                )  # fmt: skip
            for k in range(channels * kh * kw):
                c, i, j = k // (kh * kw), k // kw % kh, k % kw
                low = max(0, (left - j * dw + sw - 1) // sw)
                end = max(low, min(columns, (width - 1 - j * dw + left) // sw + 1))
                at = k * pixels
                for image in range(first, first + count):
                    for row in range(top_row, top_row + high):
                        line = row * sh - top + i * dh
                        if 0 <= line < height:
                            start = ((image * channels + c) * height + line) * width + low * sw + j * dw - left
                            to, source = np.uint64(start), np.uint64(at + low)
                            if sw == 1:
                                for q in range(np.uint64(end - low)):
                                    gx_flat[to + q] += windows[source + q]
                            else:
                                for q in range(np.uint64(end - low)):
                                    gx_flat[to + q * np.uint64(sw)] += windows[source + q]
                        at += columns

"""Batch norm, layer norm and the classification loss by Numba: one pass over memory where NumPy takes several.

Long sums are of short ones in float64, in an order that does not depend on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import PARALLEL_FROM, kernel

Array = Any

_CHUNK = 1024  # So many numbers are summed in their own dtype, such sums in float64.
_ROWS = 32  # Rows likewise.
_TASKS = 16
_SUMS = {"reassoc", "contract", "nsz"}  # Lets sums vectorise; NaN and infinity keep their meaning.


def usable(x: Array) -> bool:
    return x.dtype.char in "fd" and x.size > 0


def planes(x: Array) -> Array:
    """(N, C, ...) as contiguous (N, C, elements)."""
    return np.ascontiguousarray(x).reshape(x.shape[0], x.shape[1], -1)


def batch_norm_stats(x: Array) -> tuple[Array, Array]:
    mean, var = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    run, data = (_stats, planes(x)) if x.ndim > 2 else (_column_stats, np.ascontiguousarray(x))
    (run if x.size >= PARALLEL_FROM else run.serial)(data, mean, var)
    return mean, var


def batch_norm(x: Array, scale: Array, mean: Array, b: Array) -> Array:
    y = np.empty(x.shape, x.dtype)
    if x.ndim > 2:
        run, data, into = _scale, planes(x), y.reshape(x.shape[0], x.shape[1], -1)
    else:
        run, data, into = _column_scale, np.ascontiguousarray(x), y
    (run if x.size >= PARALLEL_FROM else run.serial)(data, mean, scale, b, into)
    return y


def batch_norm_backward(
    g: Array, x: Array, scale: Array, mean: Array, rstd: Array, training: bool, want_x: bool
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb)"""
    gx = np.empty(x.shape if want_x else (0, x.shape[1], 0)[: x.ndim], x.dtype)
    gw, gb = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    if x.ndim > 2:
        into = gx.reshape(gx.shape[0], gx.shape[1], -1) if want_x else gx
        run, args = _batch_backward, (planes(g), planes(x), scale, mean, rstd, training, into, gw, gb)
    else:
        columns = np.ascontiguousarray(g), np.ascontiguousarray(x)
        run, args = _column_backward, (*columns, scale, mean, rstd, training, gx, gw, gb)
    (run if x.size >= PARALLEL_FROM else run.serial)(*args)
    return gx, gw, gb


@kernel(parallel=True, fastmath=_SUMS)
def _stats(x, mean, var, worker, workers):
    n, channels, size = x.shape
    count = n * size
    x_flat = x.reshape(-1)
    for c in range(worker * channels // workers, (worker + 1) * channels // workers):
        total = 0.0
        for i in range(n):
            for start in range(0, size, _CHUNK):
                part, at = x.dtype.type(0), np.uint64((i * channels + c) * size + start)
                for k in range(np.uint64(min(_CHUNK, size - start))):
                    part += x_flat[at + k]
                total += part
        m = total / count
        centre = x.dtype.type(m)
        squares = 0.0
        for i in range(n):
            for start in range(0, size, _CHUNK):
                part, at = x.dtype.type(0), np.uint64((i * channels + c) * size + start)
                for k in range(np.uint64(min(_CHUNK, size - start))):
                    d = x_flat[at + k] - centre
                    part += d * d
                squares += part
        mean[c] = m
        var[c] = squares / count - (m - centre) * (m - centre)


@kernel(parallel=True)
def _scale(x, mean, scale, b, y, worker, workers):
    n, channels, size = x.shape
    planes = n * channels
    for plane in range(worker * planes // workers, (worker + 1) * planes // workers):
        i, c = plane // channels, plane % channels
        m, s, shift = mean[c], scale[c], b[c]
        for k in range(size):
            y[i, c, k] = (x[i, c, k] - m) * s + shift


@kernel(parallel=True, fastmath=_SUMS)
def _batch_backward(g, x, scale, mean, rstd, training, gx, gw, gb, worker, workers):
    n, channels, size = x.shape
    count = n * size
    g_flat, x_flat = g.reshape(-1), x.reshape(-1)
    for c in range(worker * channels // workers, (worker + 1) * channels // workers):
        m, r = mean[c], rstd[c]
        sum_g = 0.0
        sum_gx = 0.0
        for i in range(n):
            for start in range(0, size, _CHUNK):
                part_g, part_gx = x.dtype.type(0), x.dtype.type(0)
                at = np.uint64((i * channels + c) * size + start)
                for k in range(np.uint64(min(_CHUNK, size - start))):
                    part_g += g_flat[at + k]
                    part_gx += g_flat[at + k] * (x_flat[at + k] - m)
                sum_g += part_g
                sum_gx += part_gx
        gw[c] = sum_gx * r
        gb[c] = sum_g
        if gx.size:
            s = scale[c]
            slope = x.dtype.type(sum_gx / count * r * r) if training else x.dtype.type(0)
            shift = x.dtype.type(sum_g / count) if training else x.dtype.type(0)
            for i in range(n):
                for k in range(size):
                    gx[i, c, k] = (g[i, c, k] - shift - (x[i, c, k] - m) * slope) * s


# Of (N, C), whose channels are columns: the threads share them, and rows are added to one another.


@kernel(parallel=True, fastmath={"contract"})
def _column_stats(x, mean, var, worker, workers):
    n, channels = x.shape
    first, end = worker * channels // workers, (worker + 1) * channels // workers
    count, flat = np.uint64(end - first), x.reshape(-1)
    total, squares, centre = np.zeros(end - first), np.zeros(end - first), np.empty(end - first, x.dtype)
    for i in range(n):
        at = np.uint64(i * channels + first)
        for k in range(count):
            total[k] += flat[at + k]
    for k in range(count):
        total[k] /= n
        centre[k] = total[k]
    for i in range(n):
        at = np.uint64(i * channels + first)
        for k in range(count):
            d = flat[at + k] - centre[k]
            squares[k] += d * d
    for k in range(end - first):
        mean[first + k] = total[k]
        var[first + k] = squares[k] / n - (total[k] - centre[k]) * (total[k] - centre[k])


@kernel(parallel=True)
def _column_scale(x, mean, scale, b, y, worker, workers):
    n, channels = x.shape
    x_flat, y_flat = x.reshape(-1), y.reshape(-1)
    for i in range(worker * n // workers, (worker + 1) * n // workers):
        at = np.uint64(i * channels)
        for k in range(np.uint64(channels)):
            y_flat[at + k] = (x_flat[at + k] - mean[k]) * scale[k] + b[k]


@kernel(parallel=True, fastmath={"contract"})
def _column_backward(g, x, scale, mean, rstd, training, gx, gw, gb, worker, workers):
    n, channels = x.shape
    kind = x.dtype.type
    first, end = worker * channels // workers, (worker + 1) * channels // workers
    count, g_flat, x_flat, gx_flat = np.uint64(end - first), g.reshape(-1), x.reshape(-1), gx.reshape(-1)
    m, s = mean[first:end], scale[first:end]
    sum_g, sum_gx = np.zeros(end - first), np.zeros(end - first)
    for i in range(n):
        at = np.uint64(i * channels + first)
        for k in range(count):
            sum_g[k] += g_flat[at + k]
            sum_gx[k] += g_flat[at + k] * (x_flat[at + k] - m[k])
    shift, slope = np.zeros(end - first, x.dtype), np.zeros(end - first, x.dtype)
    for k in range(end - first):
        r = rstd[first + k]
        gw[first + k], gb[first + k] = sum_gx[k] * r, sum_g[k]
        if training:
            shift[k], slope[k] = kind(sum_g[k] / n), kind(sum_gx[k] / n * r * r)
    if gx.size:
        for i in range(n):
            at = np.uint64(i * channels + first)
            for k in range(count):
                gx_flat[at + k] = (g_flat[at + k] - shift[k] - (x_flat[at + k] - m[k]) * slope[k]) * s[k]


# -- group norm: the statistics of groups, then the channels of each sample as channels of one ------------


def group_norm(x: Array, w: Array, b: Array, groups: int, eps: float) -> tuple[Array, Array, Array]:
    n, channels = x.shape[:2]
    x, y = np.ascontiguousarray(x), np.empty(x.shape, x.dtype)
    mean, var = np.empty(n * groups, x.dtype), np.empty(n * groups, x.dtype)
    (_stats if x.size >= PARALLEL_FROM else _stats.serial)(x.reshape(1, n * groups, -1), mean, var)
    rstd = 1 / np.sqrt(var + x.dtype.type(eps))
    scale = np.repeat(rstd, channels // groups)
    if w is not None:
        scale *= np.tile(w, n)
    shift = np.zeros(n * channels, x.dtype) if b is None else np.tile(b, n)
    run = _scale if x.size >= PARALLEL_FROM else _scale.serial
    folded = (1, n * channels, -1)
    run(x.reshape(folded), np.repeat(mean, channels // groups), scale, shift, y.reshape(folded))
    return y, mean.reshape(n, groups, 1), rstd.reshape(n, groups, 1)


def group_norm_backward(
    g: Array, x: Array, w: Array, mean: Array, rstd: Array, groups: int, want_x: bool
) -> tuple[Any, Any, Any]:
    """(gx, gw, gb)"""
    n, channels = x.shape[:2]
    each, size = channels // groups, x.size // (n * groups)
    folded = (1, n * channels, -1)
    flat_g, flat_x = np.ascontiguousarray(g).reshape(folded), np.ascontiguousarray(x).reshape(folded)
    centre = np.repeat(mean.reshape(-1), each)
    sum_gx, sum_g, none = np.empty(n * channels), np.empty(n * channels), np.empty((0, n * channels, 0), x.dtype)
    run = _batch_backward if x.size >= PARALLEL_FROM else _batch_backward.serial
    run(flat_g, flat_x, centre, centre, np.ones_like(centre), False, none, sum_gx, sum_g)
    of_groups = (n, groups, each)
    wide = rstd.astype(np.float64)
    gw = (sum_gx.reshape(of_groups) * wide).sum(0).reshape(-1).astype(x.dtype)
    gb = sum_g.reshape(n, channels).sum(0).astype(x.dtype)
    if not want_x:
        return None, gw, gb
    weight = np.ones((groups, each), x.dtype) if w is None else w.reshape(groups, each)
    shift = (sum_g.reshape(of_groups) * weight).sum(2, keepdims=True) / size * wide
    slope = (sum_gx.reshape(of_groups) * weight).sum(2, keepdims=True) / size * wide**3
    gx = np.empty(x.shape, x.dtype)
    run = _plane_gradient if x.size >= PARALLEL_FROM else _plane_gradient.serial
    of_channels = [np.broadcast_to(a, of_groups).reshape(-1).astype(x.dtype) for a in (weight * rstd, shift, slope)]
    run(flat_g, flat_x, centre, *of_channels, gx.reshape(folded))
    return gx, gw, gb


@kernel(parallel=True)
def _plane_gradient(g, x, mean, scale, shift, slope, gx, worker, workers):
    n, channels, size = x.shape
    planes = n * channels
    for plane in range(worker * planes // workers, (worker + 1) * planes // workers):
        i, c = plane // channels, plane % channels
        m, a, b, s = mean[c], scale[c], shift[c], slope[c]
        for k in range(size):
            gx[i, c, k] = g[i, c, k] * a - b - (x[i, c, k] - m) * s


# -- layer norm -------------------------------------------------------------------------------------------


def layer_norm(x: Array, w: Array, b: Array, dims: int, eps: float) -> tuple[Array, Array, Array]:
    lead = x.shape[: x.ndim - dims]
    rows = math.prod(lead)
    features = x.size // rows
    y = np.empty(x.shape, x.dtype)
    mean, rstd = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    weight = np.ones(features, x.dtype) if w is None else np.ascontiguousarray(w).reshape(-1)
    bias = np.zeros(features, x.dtype) if b is None else np.ascontiguousarray(b).reshape(-1)
    run = _layer if x.size >= PARALLEL_FROM else _layer.serial
    run(np.ascontiguousarray(x).reshape(rows, features), weight, bias, eps, y.reshape(rows, features), mean, rstd)
    keep = lead + (1,) * dims
    return y, mean.reshape(keep), rstd.reshape(keep)


def layer_norm_backward(
    g: Array, x: Array, w: Array, mean: Array, rstd: Array, dims: int, wants: tuple[bool, bool, bool]
) -> tuple[Any, Any, Any]:
    rows = mean.size
    features = x.size // rows
    shape = x.shape[x.ndim - dims :]
    flat_g, flat_x = (np.ascontiguousarray(a).reshape(rows, features) for a in (g, x))
    weight = np.ones(features, x.dtype) if w is None else np.ascontiguousarray(w).reshape(-1)
    gx = np.empty(x.shape if wants[0] else (0,), x.dtype)
    tasks = max(1, min(_TASKS, rows // _ROWS, (4 << 20) // features)) if wants[1] or wants[2] else _TASKS
    sums = np.zeros((tasks, 2, features if wants[1] or wants[2] else 0))
    run = _layer_backward if x.size >= PARALLEL_FROM else _layer_backward.serial
    run(flat_g, flat_x, weight, mean.reshape(-1), rstd.reshape(-1), gx.reshape(-1, features), sums)
    gw, gb = (sums[:, i].sum(0).astype(x.dtype).reshape(shape) if wants[1 + i] else None for i in (0, 1))
    return gx if wants[0] else None, gw, gb


@kernel(parallel=True, fastmath=_SUMS)
def _layer(x, w, b, eps, y, mean, rstd, worker, workers):
    rows, features = x.shape
    kind = x.dtype.type
    x_flat = x.reshape(-1)
    for row in range(worker * rows // workers, (worker + 1) * rows // workers):
        total = 0.0
        for start in range(0, features, _CHUNK):
            part, at = kind(0), np.uint64(row * features + start)
            for k in range(np.uint64(min(_CHUNK, features - start))):
                part += x_flat[at + k]
            total += part
        m = total / features
        centre = kind(m)
        squares = 0.0
        for start in range(0, features, _CHUNK):
            part, at = kind(0), np.uint64(row * features + start)
            for k in range(np.uint64(min(_CHUNK, features - start))):
                d = x_flat[at + k] - centre
                part += d * d
            squares += part
        scale = kind(1.0 / math.sqrt(squares / features - (m - centre) * (m - centre) + eps))
        mean[row], rstd[row] = centre, scale
        for k in range(features):
            y[row, k] = (x[row, k] - centre) * scale * w[k] + b[k]


@kernel(parallel=True, fastmath=_SUMS)
def _layer_backward(g, x, w, mean, rstd, gx, sums, worker, workers):
    """One pass over the rows; `sums` (tasks, 2, features) get the gradients by weight and bias, a part a task."""
    rows, features = x.shape
    kind = x.dtype.type
    g_flat, x_flat, gx_flat = g.reshape(-1), x.reshape(-1), gx.reshape(-1)
    tasks = sums.shape[0]
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        kept = sums.shape[2]
        by_weight, by_bias = np.empty(kept, x.dtype), np.empty(kept, x.dtype)
        by_weight[:] = 0
        by_bias[:] = 0
        first, end = task * rows // tasks, (task + 1) * rows // tasks
        for row in range(first, end):
            m, r, line = mean[row], rstd[row], np.uint64(row * features)
            if gx.size:
                sum_g = 0.0
                sum_gn = 0.0
                for start in range(0, features, _CHUNK):
                    part_g, part_gn, begin = kind(0), kind(0), np.uint64(start)
                    for k in range(np.uint64(min(_CHUNK, features - start))):
                        v = g_flat[line + begin + k] * w[begin + k]
                        part_g += v
                        part_gn += v * (x_flat[line + begin + k] - m)
                    sum_g += part_g
                    sum_gn += part_gn
                shift, slope = kind(sum_g / features), kind(sum_gn / features * r * r)
                for k in range(np.uint64(features)):
                    gx_flat[line + k] = (g_flat[line + k] * w[k] - shift - (x_flat[line + k] - m) * slope) * r
            if kept:
                for k in range(np.uint64(kept)):
                    by_bias[k] += g_flat[line + k]
                for k in range(np.uint64(kept)):
                    by_weight[k] += g_flat[line + k] * ((x_flat[line + k] - m) * r)
                if (row - first) % _ROWS == _ROWS - 1 or row == end - 1:
                    for k in range(kept):
                        sums[task, 0, k] += by_weight[k]
                        sums[task, 1, k] += by_bias[k]
                        by_weight[k] = 0
                        by_bias[k] = 0


@kernel
def embedding_backward(g, index, padding, gw):
    for i in range(index.size):
        row = index[i]
        if row != padding:
            for k in range(g.shape[1]):
                gw[row, k] += g[i, k]

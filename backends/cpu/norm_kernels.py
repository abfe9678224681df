"""Batch norm, layer norm and the classification loss by Numba: one pass over memory where NumPy takes several.

Sums are accumulated in float64, in an order that does not depend on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import kernel, prange

Array = Any

PARALLEL_FROM = 1 << 14  # Elements from which several threads are faster than one.
_SUMS = {"reassoc", "contract", "nsz"}  # Lets sums vectorise; NaN and infinity keep their meaning.


def usable(x: Array) -> bool:
    return x.dtype.char in "fd" and x.size > 0


def planes(x: Array) -> Array:
    """(N, C, ...) as contiguous (N, C, elements)."""
    return np.ascontiguousarray(x).reshape(x.shape[0], x.shape[1], -1)


def batch_norm_stats(x: Array) -> tuple[Array, Array]:
    mean, var = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    (_stats if x.size >= PARALLEL_FROM else _stats.serial)(planes(x), mean, var)
    return mean, var


def batch_norm(x: Array, scale: Array, mean: Array, b: Array) -> Array:
    y = np.empty(x.shape, x.dtype)
    (_scale if x.size >= PARALLEL_FROM else _scale.serial)(
        planes(x), mean, scale, b, y.reshape(x.shape[0], x.shape[1], -1)
    )
    return y


def batch_norm_backward(
    g: Array, x: Array, scale: Array, mean: Array, rstd: Array, training: bool, want_x: bool
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb)"""
    gx = np.empty(x.shape if want_x else (0, x.shape[1], 0), x.dtype)
    gw, gb = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    run = _batch_backward if x.size >= PARALLEL_FROM else _batch_backward.serial
    run(
        planes(g),
        planes(x),
        scale,
        mean,
        rstd,
        training,
        gx.reshape(gx.shape[0], gx.shape[1], -1) if want_x else gx,
        gw,
        gb,
    )
    return gx, gw, gb


@kernel(parallel=True, fastmath=_SUMS)
def _stats(x, mean, var):
    n, channels, size = x.shape
    count = n * size
    for c in prange(channels):
        total = 0.0
        for i in range(n):
            for k in range(size):
                total += np.float64(x[i, c, k])
        m = total / count
        squares = 0.0
        for i in range(n):
            for k in range(size):
                d = np.float64(x[i, c, k]) - m
                squares += d * d
        mean[c] = m
        var[c] = squares / count


@kernel(parallel=True)
def _scale(x, mean, scale, b, y):
    n, channels, size = x.shape
    for plane in prange(n * channels):
        i, c = plane // channels, plane % channels
        m, s, shift = mean[c], scale[c], b[c]
        for k in range(size):
            y[i, c, k] = (x[i, c, k] - m) * s + shift


@kernel(parallel=True, fastmath=_SUMS)
def _batch_backward(g, x, scale, mean, rstd, training, gx, gw, gb):
    n, channels, size = x.shape
    count = n * size
    for c in prange(channels):
        m, r = mean[c], rstd[c]
        sum_g = 0.0
        sum_gx = 0.0
        for i in range(n):
            for k in range(size):
                v = np.float64(g[i, c, k])
                sum_g += v
                sum_gx += v * np.float64(x[i, c, k] - m)
        gw[c] = sum_gx * r
        gb[c] = sum_g
        if gx.size:
            s = scale[c]
            slope = x.dtype.type(sum_gx / count * r * r) if training else x.dtype.type(0)
            shift = x.dtype.type(sum_g / count) if training else x.dtype.type(0)
            for i in range(n):
                for k in range(size):
                    gx[i, c, k] = (g[i, c, k] - shift - (x[i, c, k] - m) * slope) * s


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
    gw, gb = (np.empty(features if want else 0, x.dtype) for want in wants[1:])
    parallel = x.size >= PARALLEL_FROM
    if wants[0]:
        run = _layer_backward if parallel else _layer_backward.serial
        run(flat_g, flat_x, weight, mean.reshape(-1), rstd.reshape(-1), gx.reshape(rows, features))
    if wants[1] or wants[2]:
        run = _layer_sums if parallel else _layer_sums.serial
        run(flat_g, flat_x, mean.reshape(-1), rstd.reshape(-1), gw, gb)
    return (
        gx if wants[0] else None,
        gw.reshape(shape) if wants[1] else None,
        gb.reshape(shape) if wants[2] else None,
    )


@kernel(parallel=True, fastmath=_SUMS)
def _layer(x, w, b, eps, y, mean, rstd):
    rows, features = x.shape
    kind = x.dtype.type
    for row in prange(rows):
        total = 0.0
        for k in range(features):
            total += np.float64(x[row, k])
        m = total / features
        squares = 0.0
        for k in range(features):
            d = np.float64(x[row, k]) - m
            squares += d * d
        centre, scale = kind(m), kind(1.0 / math.sqrt(squares / features + eps))
        mean[row], rstd[row] = centre, scale
        for k in range(features):
            y[row, k] = (x[row, k] - centre) * scale * w[k] + b[k]


@kernel(parallel=True, fastmath=_SUMS)
def _layer_backward(g, x, w, mean, rstd, gx):
    rows, features = x.shape
    kind = x.dtype.type
    for row in prange(rows):
        m, r = mean[row], rstd[row]
        sum_g = 0.0
        sum_gn = 0.0
        for k in range(features):
            v = np.float64(g[row, k] * w[k])
            sum_g += v
            sum_gn += v * np.float64(x[row, k] - m)
        shift, slope = kind(sum_g / features), kind(sum_gn / features * r * r)
        for k in range(features):
            gx[row, k] = (g[row, k] * w[k] - shift - (x[row, k] - m) * slope) * r


@kernel(parallel=True)
def _layer_sums(g, x, mean, rstd, gw, gb):
    rows, features = x.shape
    span = 64  # Columns of one task: rows are then read a few cache lines at a time.
    for part in prange((features + span - 1) // span):
        first = part * span
        width = min(span, features - first)
        sums, products = np.zeros(width), np.zeros(width)
        for row in range(rows):
            m, r = mean[row], rstd[row]
            for k in range(width):
                v = g[row, first + k]
                sums[k] += v
                products[k] += v * ((x[row, first + k] - m) * r)
        if gw.size:
            gw[first : first + width] = products
        if gb.size:
            gb[first : first + width] = sums


# -- embedding --------------------------------------------------------------------------------------------


@kernel
def embedding_backward(g, index, padding, gw):
    for i in range(index.size):
        row = index[i]
        if row != padding:
            for k in range(g.shape[1]):
                gw[row, k] += g[i, k]

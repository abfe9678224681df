"""Layer norm and batch norm, forward and backward. Group norm is made of them.

A sum over rows (the gradients of weight and bias, the statistics of a channel) is cut into chunks by the shape alone,
a block or a thread each, and the chunks' results are joined in order by a second kernel.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.cuda.kernels.blocks import block_sum, real_of, row_threads, spread

Array = Any
Wants = tuple[bool, bool, bool]


# -- layer norm: a block for each row ---------------------------------------------------------------------------------


def layer_norm_rows(cuda, real, threads, weighted, shifted):
    total = block_sum(cuda, real, threads)

    def body(out, mean, rstd, x, w, b, cols, eps):
        buffer = cuda.shared.array(threads, real)
        t, r = cuda.threadIdx.x, cuda.blockIdx.x
        start = r * cols
        part = real(0)
        j = t
        while j < cols:
            part += real(x[start + j])
            j += threads
        middle = total(buffer, t, part) / real(cols)
        part = real(0)
        j = t
        while j < cols:
            d = real(x[start + j]) - middle
            part += d * d
            j += threads
        scale = real(1) / math.sqrt(total(buffer, t, part) / real(cols) + eps)
        j = t
        while j < cols:
            y = (real(x[start + j]) - middle) * scale
            if weighted:
                y *= real(w[j])
            if shifted:
                y += real(b[j])
            out[start + j] = y
            j += threads
        if t == 0:
            mean[r] = middle
            rstd[r] = scale

    return body


def layer_norm_input_rows(cuda, real, threads, weighted):
    total = block_sum(cuda, real, threads)

    def body(out, g, x, w, mean, rstd, cols):
        buffer = cuda.shared.array(threads, real)
        t, r = cuda.threadIdx.x, cuda.blockIdx.x
        start, middle, scale = r * cols, real(mean[r]), real(rstd[r])
        sum_g, sum_gn = real(0), real(0)
        j = t
        while j < cols:
            v = real(g[start + j])
            if weighted:
                v *= real(w[j])
            sum_g += v
            sum_gn += v * ((real(x[start + j]) - middle) * scale)
            j += threads
        sum_g = total(buffer, t, sum_g) / real(cols)
        sum_gn = total(buffer, t, sum_gn) / real(cols)
        j = t
        while j < cols:
            v = real(g[start + j])
            if weighted:
                v *= real(w[j])
            normal = (real(x[start + j]) - middle) * scale
            out[start + j] = (v - sum_g - normal * sum_gn) * scale
            j += threads

    return body


def layer_norm_weight_chunks(cuda, real):
    """Sums of g and of g times the normalised x over the rows of a chunk: a thread for each column and chunk."""

    def body(sums_g, sums_gn, g, x, mean, rstd, rows, cols, per, n):
        i = cuda.grid(1)
        while i < n:
            chunk, j = i // cols, i % cols
            sum_g, sum_gn = real(0), real(0)
            last = min((chunk + 1) * per, rows)
            for r in range(chunk * per, last):
                v = real(g[r * cols + j])
                sum_g += v
                sum_gn += v * ((real(x[r * cols + j]) - real(mean[r])) * real(rstd[r]))
            sums_g[i] = sum_g
            sums_gn[i] = sum_gn
            i += cuda.gridsize(1)

    return body


def join_chunks(cuda, real):
    """`out[j]`: the sum of `sums[chunk, j]` over the chunks, in order."""

    def body(out, sums, chunks, cols):
        j = cuda.grid(1)
        while j < cols:
            value = real(0)
            for chunk in range(chunks):
                value += sums[chunk * cols + j]
            out[j] = value
            j += cuda.gridsize(1)

    return body


# -- batch norm: x is (n, channels, inner); a channel is cut into chunks, a block each --------------------------------


def channel_moments(cuda, real, threads):
    """Of each chunk of each channel the mean, and the sum of squared deviations from it."""
    total = block_sum(cuda, real, threads)

    def body(means, squares, x, count, channels, inner, per, chunks):
        buffer = cuda.shared.array(threads, real)
        t, c, chunk = cuda.threadIdx.x, cuda.blockIdx.x // chunks, cuda.blockIdx.x % chunks
        first, last = chunk * per, min((chunk + 1) * per, count)
        part = real(0)
        k = first + t
        while k < last:
            part += real(x[(k // inner * channels + c) * inner + k % inner])
            k += threads
        middle = total(buffer, t, part) / real(last - first)
        part = real(0)
        k = first + t
        while k < last:
            d = real(x[(k // inner * channels + c) * inner + k % inner]) - middle
            part += d * d
            k += threads
        part = total(buffer, t, part)
        if t == 0:
            means[c * chunks + chunk] = middle
            squares[c * chunks + chunk] = part

    return body


def join_moments(cuda, real):
    """Mean and biased variance of each channel (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979)."""

    def body(mean, var, means, squares, count, channels, per, chunks):
        c = cuda.grid(1)
        while c < channels:
            middle, square = means[c * chunks], squares[c * chunks]
            for chunk in range(1, chunks):
                before = real(chunk * per)
                here = real(min((chunk + 1) * per, count) - chunk * per)
                d = means[c * chunks + chunk] - middle
                middle += d * (here / (before + here))
                square += squares[c * chunks + chunk] + d * d * (before * here / (before + here))
            mean[c] = middle
            var[c] = square / real(count)
            c += cuda.gridsize(1)

    return body


def batch_norm_map(cuda, real, weighted, shifted):
    def body(out, x, w, b, mean, var, n, channels, inner, eps):
        i = cuda.grid(1)
        while i < n:
            c = i // inner % channels
            scale = real(1) / math.sqrt(real(var[c]) + eps)
            if weighted:
                scale *= real(w[c])
            y = (real(x[i]) - real(mean[c])) * scale
            if shifted:
                y += real(b[c])
            out[i] = y
            i += cuda.gridsize(1)

    return body


def channel_gradient_sums(cuda, real, threads):
    """Of each chunk of each channel the sums of g and of g times the normalised x; laid out as (chunks, channels)."""
    total = block_sum(cuda, real, threads)

    def body(sums_g, sums_gn, g, x, mean, var, count, channels, inner, per, chunks, eps):
        buffer = cuda.shared.array(threads, real)
        t, c, chunk = cuda.threadIdx.x, cuda.blockIdx.x // chunks, cuda.blockIdx.x % chunks
        middle, rstd = real(mean[c]), real(1) / math.sqrt(real(var[c]) + eps)
        last = min((chunk + 1) * per, count)
        sum_g, sum_gn = real(0), real(0)
        k = chunk * per + t
        while k < last:
            i = (k // inner * channels + c) * inner + k % inner
            v = real(g[i])
            sum_g += v
            sum_gn += v * ((real(x[i]) - middle) * rstd)
            k += threads
        sum_g = total(buffer, t, sum_g)
        sum_gn = total(buffer, t, sum_gn)
        if t == 0:
            sums_g[chunk * channels + c] = sum_g
            sums_gn[chunk * channels + c] = sum_gn

    return body


def batch_norm_input_map(cuda, real, weighted, training):
    def body(out, g, x, w, mean, var, sum_g, sum_gn, n, count, channels, inner, eps):
        i = cuda.grid(1)
        while i < n:
            c = i // inner % channels
            rstd = real(1) / math.sqrt(real(var[c]) + eps)
            v = real(g[i])
            if training:
                normal = (real(x[i]) - real(mean[c])) * rstd
                v -= normal * (sum_gn[c] / real(count)) + sum_g[c] / real(count)
            if weighted:
                rstd *= real(w[c])
            out[i] = v * rstd
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def _given(*arrays: Array) -> tuple[Array, ...]:
    return tuple(a for a in arrays if a is not None)


def _chunks(count: int, at_once: int, enough: int) -> tuple[int, int]:
    """(how many chunks, elements of each): at least `at_once` in one, and no more than `enough` of them."""
    chunks = max(1, min(enough, count // at_once))
    per = -(-count // chunks)
    return -(-count // per), per


def layer_norm(
    gpu: Any, portable: Any, x: Array, w: Array, b: Array, dims: int, eps: float
) -> tuple[Array, Array, Array]:
    real = real_of(*_given(x, w, b))
    lead, inner = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
    if real is None or not x.size or any(p.shape != inner for p in _given(w, b)):
        return portable(x, w, b, dims, eps)
    x = gpu.contiguous(x)
    rows, cols = math.prod(lead), math.prod(inner)
    out, shape, threads = gpu.empty(x.shape, x.dtype), (*lead, *(1,) * dims), row_threads(cols)
    mean, rstd = gpu.empty(shape, real), gpu.empty(shape, real)
    gpu.launch(
        layer_norm_rows, (real, threads, w is not None, b is not None), rows, threads, out, mean, rstd, x,
        x if w is None else gpu.contiguous(w), x if b is None else gpu.contiguous(b), cols, real(eps),
    )  # fmt: skip
    return out, mean, rstd


def layer_norm_backward(
    gpu: Any, portable: Any, g: Array, x: Array, w: Array, mean: Array, rstd: Array, dims: int, eps: float, wants: Wants
) -> tuple[Any, Any, Any]:
    real = real_of(*_given(g, x, w, mean, rstd))
    lead, inner = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
    if real is None or not x.size or (w is not None and w.shape != inner):
        return portable(g, x, w, mean, rstd, dims, eps, wants)
    g, x, mean, rstd = (gpu.contiguous(a) for a in (g, x, mean, rstd))
    rows, cols = math.prod(lead), math.prod(inner)
    gx = gw = gb = None
    if wants[1] or wants[2]:
        dtype = x.dtype if w is None else w.dtype
        chunks, per = _chunks(rows, 16, 64)
        sums_g, sums_gn = gpu.empty((chunks, cols), real), gpu.empty((chunks, cols), real)
        gpu.launch(
            layer_norm_weight_chunks, (real,), *spread(chunks * cols), sums_g, sums_gn, g, x, mean, rstd, rows, cols,
            per, chunks * cols,
        )  # fmt: skip
        gw = _joined(gpu, real, sums_gn, inner, dtype) if wants[1] else None
        gb = _joined(gpu, real, sums_g, inner, dtype) if wants[2] else None
    if wants[0]:
        gx, threads = gpu.empty(x.shape, x.dtype), row_threads(cols)
        gpu.launch(
            layer_norm_input_rows, (real, threads, w is not None), rows, threads, gx, g, x,
            x if w is None else gpu.contiguous(w), mean, rstd, cols,
        )  # fmt: skip
    return gx, gw, gb


def _joined(gpu: Any, real: Any, sums: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    out = gpu.empty(shape, dtype)
    gpu.launch(join_chunks, (real,), *spread(out.size), out, sums, sums.shape[0], out.size)
    return out


def _channels(x: Array) -> tuple[int, int, int]:
    """(channels, elements of a plane, elements of a channel)."""
    inner = math.prod(x.shape[2:])
    return x.shape[1], inner, x.shape[0] * inner


def batch_norm_stats(gpu: Any, portable: Any, x: Array) -> tuple[Array, Array]:
    real = real_of(x)
    if real is None or not x.size:
        return portable(x)
    x = gpu.contiguous(x)
    channels, inner, count = _channels(x)
    chunks, per = _chunks(count, 2048, 32)
    means, squares = gpu.empty((channels, chunks), real), gpu.empty((channels, chunks), real)
    mean, var, threads = gpu.empty((channels,), real), gpu.empty((channels,), real), row_threads(per)
    gpu.launch(
        channel_moments, (real, threads), channels * chunks, threads, means, squares, x, count, channels, inner, per,
        chunks,
    )  # fmt: skip
    gpu.launch(join_moments, (real,), *spread(channels), mean, var, means, squares, count, channels, per, chunks)
    return mean, var


def batch_norm(
    gpu: Any, portable: Any, x: Array, w: Array, b: Array, mean: Array, var: Array, eps: float, training: bool
) -> Array:
    real = real_of(*_given(x, w, b, mean, var))
    if real is None or not x.size:
        return portable(x, w, b, mean, var, eps, training)
    x, out = gpu.contiguous(x), gpu.empty(x.shape, x.dtype)
    channels, inner, _ = _channels(x)
    w, b, weighted, shifted = x if w is None else w, x if b is None else b, w is not None, b is not None
    gpu.launch(
        batch_norm_map, (real, weighted, shifted), *spread(x.size), out, x, *map(gpu.contiguous, (w, b, mean, var)),
        x.size, channels, inner, real(eps),
    )  # fmt: skip
    return out


def batch_norm_backward(
    gpu: Any,
    portable: Any,
    g: Array,
    x: Array,
    w: Array,
    mean: Array,
    var: Array,
    eps: float,
    training: bool,
    wants: Wants,
) -> tuple[Any, Any, Any]:
    real = real_of(*_given(g, x, w, mean, var))
    if real is None or not x.size:
        return portable(g, x, w, mean, var, eps, training, wants)
    g, x, mean, var = (gpu.contiguous(a) for a in (g, x, mean, var))
    channels, inner, count = _channels(x)
    dtype = x.dtype if w is None else w.dtype
    gx = gw = gb = None
    sum_g = sum_gn = mean  # Not read where they are not needed.
    if wants[1] or wants[2] or (wants[0] and training):
        chunks, per = _chunks(count, 2048, 32)
        sums_g, sums_gn, threads = (
            gpu.empty((chunks, channels), real),
            gpu.empty((chunks, channels), real),
            row_threads(per),
        )
        gpu.launch(
            channel_gradient_sums, (real, threads), channels * chunks, threads, sums_g, sums_gn, g, x, mean, var, count,
            channels, inner, per, chunks, real(eps),
        )  # fmt: skip
        sum_g = _joined(gpu, real, sums_g, (channels,), real)
        sum_gn = _joined(gpu, real, sums_gn, (channels,), real)
        gw = gpu.backend.cast(sum_gn, dtype) if wants[1] else None
        gb = gpu.backend.cast(sum_g, dtype) if wants[2] else None
    if wants[0]:
        gx = gpu.empty(x.shape, x.dtype)
        gpu.launch(
            batch_norm_input_map, (real, w is not None, training), *spread(x.size), gx, g, x,
            x if w is None else gpu.contiguous(w), mean, var, sum_g, sum_gn, x.size, count, channels, inner, real(eps),
        )  # fmt: skip
    return gx, gw, gb


KERNELS = (layer_norm, layer_norm_backward, batch_norm_stats, batch_norm, batch_norm_backward)

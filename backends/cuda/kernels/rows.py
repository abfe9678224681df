"""Softmax, log-softmax and cross-entropy: a block for each row, or a thread where rows lie across memory."""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.cuda.kernels.blocks import block_max, block_sum, real_of, row_threads, spread

Array = Any


def softmax_rows(cuda, real, threads, logarithm):
    total, greatest = block_sum(cuda, real, threads), block_max(cuda, real, threads)

    def body(out, x, cols):
        buffer = cuda.shared.array(threads, real)
        t, start = cuda.threadIdx.x, cuda.blockIdx.x * cols
        top = real(-math.inf)
        j = t
        while j < cols:
            v = real(x[start + j])
            if v > top:
                top = v
            j += threads
        top = greatest(buffer, t, top)
        part = real(0)
        j = t
        while j < cols:
            part += math.exp(real(x[start + j]) - top)
            j += threads
        part = total(buffer, t, part)
        shift = math.log(part)
        j = t
        while j < cols:
            v = real(x[start + j]) - top
            if logarithm:
                out[start + j] = v - shift
            else:
                out[start + j] = math.exp(v) / part
            j += threads

    return body


def softmax_columns(cuda, real, logarithm):
    def body(out, x, rows, cols, inner):
        r = cuda.grid(1)
        while r < rows:
            start = r // inner * cols * inner + r % inner
            top = real(-math.inf)
            for j in range(cols):
                v = real(x[start + j * inner])
                if v > top:
                    top = v
            part = real(0)
            for j in range(cols):
                part += math.exp(real(x[start + j * inner]) - top)
            shift = math.log(part)
            for j in range(cols):
                v = real(x[start + j * inner]) - top
                if logarithm:
                    out[start + j * inner] = v - shift
                else:
                    out[start + j * inner] = math.exp(v) / part
            r += cuda.gridsize(1)

    return body


def softmax_backward_rows(cuda, real, threads, logarithm):
    total = block_sum(cuda, real, threads)

    def body(out, g, y, cols):
        buffer = cuda.shared.array(threads, real)
        t, start = cuda.threadIdx.x, cuda.blockIdx.x * cols
        part = real(0)
        j = t
        while j < cols:
            if logarithm:
                part += real(g[start + j])
            else:
                part += real(g[start + j]) * real(y[start + j])
            j += threads
        part = total(buffer, t, part)
        j = t
        while j < cols:
            gv, yv = real(g[start + j]), real(y[start + j])
            if logarithm:
                out[start + j] = gv - math.exp(yv) * part
            else:
                out[start + j] = yv * gv - yv * part
            j += threads

    return body


def softmax_backward_columns(cuda, real, logarithm):
    def body(out, g, y, rows, cols, inner):
        r = cuda.grid(1)
        while r < rows:
            start = r // inner * cols * inner + r % inner
            part = real(0)
            for j in range(cols):
                if logarithm:
                    part += real(g[start + j * inner])
                else:
                    part += real(g[start + j * inner]) * real(y[start + j * inner])
            for j in range(cols):
                gv, yv = real(g[start + j * inner]), real(y[start + j * inner])
                if logarithm:
                    out[start + j * inner] = gv - math.exp(yv) * part
                else:
                    out[start + j * inner] = yv * gv - yv * part
            r += cuda.gridsize(1)

    return body


def cross_entropy_rows(cuda, real, threads):
    total, greatest = block_sum(cuda, real, threads), block_max(cuda, real, threads)

    def body(losses, logsum, x, target, cols, ignored):
        buffer = cuda.shared.array(threads, real)
        t, r = cuda.threadIdx.x, cuda.blockIdx.x
        start = r * cols
        top = real(-math.inf)
        j = t
        while j < cols:
            v = real(x[start + j])
            if v > top:
                top = v
            j += threads
        top = greatest(buffer, t, top)
        part = real(0)
        j = t
        while j < cols:
            part += math.exp(real(x[start + j]) - top)
            j += threads
        part = total(buffer, t, part)
        if t == 0:
            found = math.log(part) + top
            logsum[r] = found
            k = target[r]
            if k == ignored:
                losses[r] = real(0)
            elif k < 0 or k >= cols:
                losses[r] = real(math.nan)  # Raised elsewhere; here no other memory may be read.
            else:
                losses[r] = found - real(x[start + k])

    return body


def cross_entropy_mean(cuda, real, threads):
    total = block_sum(cuda, real, threads)

    def body(loss, count, losses, target, rows, ignored):
        buffer = cuda.shared.array(threads, real)
        t = cuda.threadIdx.x
        part, counted = real(0), real(0)
        r = t
        while r < rows:
            part += losses[r]
            if target[r] != ignored:
                counted += real(1)
            r += threads
        part = total(buffer, t, part)
        counted = total(buffer, t, counted)
        if t == 0:
            count[0] = counted
            loss[0] = part / counted

    return body


def cross_entropy_gradient(cuda, real):
    def body(out, g, x, target, logsum, count, n, cols, ignored):
        i = cuda.grid(1)
        scale = real(g[0]) / real(count[0])
        while i < n:
            r = i // cols
            k = target[r]
            if k == ignored:
                out[i] = real(0)
            else:
                p = math.exp(real(x[i]) - logsum[r])
                if k == i - r * cols:
                    p -= real(1)
                out[i] = p * scale
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def _shape(x: Array, axis: int) -> tuple[int, int]:
    """(rows, elements from one to the next in a row)."""
    inner = 1
    for n in x.shape[axis % x.ndim + 1 :]:
        inner *= n
    return x.size // x.shape[axis], inner


def _forward(gpu: Any, portable: Any, x: Array, axis: int, logarithm: bool) -> Array:
    real = real_of(x)
    if real is None or not x.size or not x.ndim:
        return portable(x, axis)
    x, out, cols = gpu.contiguous(x), gpu.empty(x.shape, x.dtype), x.shape[axis]
    rows, inner = _shape(x, axis)
    if inner == 1:
        threads = row_threads(cols)
        gpu.launch(softmax_rows, (real, threads, logarithm), rows, threads, out, x, cols)
    else:
        gpu.launch(softmax_columns, (real, logarithm), *spread(rows), out, x, rows, cols, inner)
    return out


def _backward(gpu: Any, portable: Any, g: Array, y: Array, axis: int, logarithm: bool) -> Array:
    real = real_of(g, y)
    if real is None or not y.size or not y.ndim or g.shape != y.shape:
        return portable(g, y, axis)
    g, y, out, cols = gpu.contiguous(g), gpu.contiguous(y), gpu.empty(y.shape, y.dtype), y.shape[axis]
    rows, inner = _shape(y, axis)
    if inner == 1:
        threads = row_threads(cols)
        gpu.launch(softmax_backward_rows, (real, threads, logarithm), rows, threads, out, g, y, cols)
    else:
        gpu.launch(softmax_backward_columns, (real, logarithm), *spread(rows), out, g, y, rows, cols, inner)
    return out


def softmax(gpu: Any, portable: Any, x: Array, axis: int) -> Array:
    return _forward(gpu, portable, x, axis, False)


def log_softmax(gpu: Any, portable: Any, x: Array, axis: int) -> Array:
    return _forward(gpu, portable, x, axis, True)


def softmax_backward(gpu: Any, portable: Any, g: Array, y: Array, axis: int) -> Array:
    return _backward(gpu, portable, g, y, axis, False)


def log_softmax_backward(gpu: Any, portable: Any, g: Array, y: Array, axis: int) -> Array:
    return _backward(gpu, portable, g, y, axis, True)


def cross_entropy(gpu: Any, portable: Any, x: Array, target: Array, ignored: int) -> tuple[Array, Array, Array]:
    real = real_of(x)
    if real is None or not x.size or target.dtype.kind != "i":
        return portable(x, target, ignored)
    rows, cols = x.shape
    gpu.backend._check_range("cross_entropy", target, cols, ignored)
    x, target = gpu.contiguous(x), gpu.contiguous(target)
    losses, logsum, count = gpu.empty((rows,), real), gpu.empty((rows,), real), gpu.empty((), real)
    loss, threads = gpu.empty((), x.dtype), row_threads(cols)
    gpu.launch(cross_entropy_rows, (real, threads), rows, threads, losses, logsum, x, target, cols, ignored)
    threads = row_threads(rows)
    gpu.launch(cross_entropy_mean, (real, threads), 1, threads, loss, count, losses, target, rows, ignored)
    return loss, logsum, count


def cross_entropy_backward(
    gpu: Any, portable: Any, g: Array, x: Array, target: Array, logsum: Array, count: Array, ignored: int
) -> Array:
    real = real_of(g, x, logsum, count)
    if real is None or not x.size or target.dtype.kind != "i":
        return portable(g, x, target, logsum, count, ignored)
    x, target, out = gpu.contiguous(x), gpu.contiguous(target), gpu.empty(x.shape, x.dtype)
    gpu.launch(
        cross_entropy_gradient, (real,), *spread(x.size), out, gpu.contiguous(g), x, target, gpu.contiguous(logsum),
        gpu.contiguous(count), x.size, x.shape[1], ignored,
    )  # fmt: skip
    return out


KERNELS = (
    softmax, log_softmax, softmax_backward, log_softmax_backward, cross_entropy, cross_entropy_backward,
)  # fmt: skip

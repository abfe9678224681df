"""SGD and Adam on all parameters of a group at once, and the norm of all gradients: kernels with tables of addresses.

A block works on a chunk of one tensor; which, it reads from two small arrays that the sizes of the tensors determine.
What Adam's options and step counts amount to is worked out by one thread for each tensor, in float64 and rounded once,
as in the portable bodies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_core.backends.cuda.graphs import current
from autograd_core.backends.cuda.kernels.blocks import block_sum, real_of, spread
from autograd_core.backends.cuda.launch import PointerTable

Array = Any
Arrays = tuple[Array, ...]

_CHUNK = 4096  # elements of a tensor that a block works on
_THREADS = 256
_COEFFICIENTS = 8


def sgd_update(cuda, real, decayed, heavy, nesterov, maximize, first):
    tiny = real(np.finfo(real).tiny)

    def body(params, grads, buffers, owners, starts, sizes, lr, momentum, dampening, decay, chunk):
        k = owners[cuda.blockIdx.x]
        p, g, b = params[k], grads[k], buffers[k]
        rate, mu, share, shrink = real(lr[0]), real(momentum[0]), real(1.0 - dampening[0]), real(decay[0])
        i = starts[cuda.blockIdx.x] + cuda.threadIdx.x
        last = min(starts[cuda.blockIdx.x] + chunk, sizes[k])
        while i < last:
            d = g[i]
            if maximize:
                d = -d
            if decayed:
                d += shrink * p[i]
            if heavy:
                m = b[i] * mu
                if first:
                    m += d
                else:
                    m += share * d
                if abs(m) < tiny:
                    m = real(0)
                b[i] = m
                if nesterov:
                    d += mu * m
                else:
                    d = m
            p[i] = p[i] - rate * d
            i += cuda.blockDim.x

    return body


def adam_coefficients(cuda, real, decayed):
    def body(out, steps, n, width, lr, beta1, beta2, eps, decay):
        k = cuda.grid(1)
        if k < n:
            step = steps[k]
            step[0] = step[0] + 1
            t = np.float64(step[0])
            out[k * width] = real(1.0 - beta1[0])
            out[k * width + 1] = real(beta2[0])
            out[k * width + 2] = real(1.0 - beta2[0])
            out[k * width + 3] = real(math.sqrt(1.0 - beta2[0] ** t))
            out[k * width + 4] = real(eps[0])
            out[k * width + 5] = real(lr[0] / (1.0 - beta1[0] ** t))
            if decayed:
                out[k * width + 6] = real(decay[0])
                out[k * width + 7] = real(1.0 - lr[0] * decay[0])

    return body


def adam_update(cuda, real, amsgrad, decayed, decoupled, maximize):
    tiny = real(np.finfo(real).tiny)

    def body(params, grads, means, squares, maxima, owners, starts, sizes, coefficients, width, chunk):
        k = owners[cuda.blockIdx.x]
        p, g, ms, vs, tops = params[k], grads[k], means[k], squares[k], maxima[k]
        rest1, keep2, rest2 = coefficients[k * width], coefficients[k * width + 1], coefficients[k * width + 2]
        root, eps, rate = coefficients[k * width + 3], coefficients[k * width + 4], coefficients[k * width + 5]
        i = starts[cuda.blockIdx.x] + cuda.threadIdx.x
        last = min(starts[cuda.blockIdx.x] + chunk, sizes[k])
        while i < last:
            w, d, m, v = p[i], g[i], ms[i], vs[i]
            if maximize:
                d = -d
            if decayed and not decoupled:
                d += coefficients[k * width + 6] * w
            m += (d - m) * rest1
            v = v * keep2 + rest2 * d * d
            if abs(m) < tiny:
                m = real(0)
            if abs(v) < tiny:
                v = real(0)
            ms[i] = m
            vs[i] = v
            if amsgrad:
                top = tops[i]
                if v > top or v != v:
                    top = v
                tops[i] = top
                v = top
            if decayed and decoupled:
                w *= coefficients[k * width + 7]
            p[i] = w - rate * (m / (math.sqrt(v) / root + eps))
            i += cuda.blockDim.x

    return body


def square_sums(cuda, real, threads):
    """Of each chunk of each tensor the sum of squares."""
    total = block_sum(cuda, real, threads)

    def body(out, tensors, owners, starts, sizes, chunk):
        buffer = cuda.shared.array(threads, real)
        block, t = cuda.blockIdx.x, cuda.threadIdx.x
        x = tensors[owners[block]]
        last = min(starts[block] + chunk, sizes[owners[block]])
        part = real(0)
        i = starts[block] + t
        while i < last:
            v = real(x[i])
            part += v * v
            i += threads
        part = total(buffer, t, part)
        if t == 0:
            out[block] = part

    return body


def root_of_sum(cuda, real, threads):
    total = block_sum(cuda, real, threads)

    def body(out, sums, n):
        buffer = cuda.shared.array(threads, real)
        t = cuda.threadIdx.x
        part = real(0)
        i = t
        while i < n:
            part += sums[i]
            i += threads
        part = total(buffer, t, part)
        if t == 0:
            out[0] = math.sqrt(part)

    return body


def scale_tensors(cuda, real):
    def body(tensors, owners, starts, sizes, factor, chunk):
        k = owners[cuda.blockIdx.x]
        x, scale = tensors[k], real(factor[0])
        i = starts[cuda.blockIdx.x] + cuda.threadIdx.x
        last = min(starts[cuda.blockIdx.x] + chunk, sizes[k])
        while i < last:
            x[i] = real(x[i]) * scale
            i += cuda.blockDim.x

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def _chunks(gpu: Any, tensors: list[Array]) -> tuple[Array, Array, Array]:
    """For each chunk its tensor and where it starts in it, and the tensors' sizes: device arrays that are kept."""
    sizes = tuple([x.size for x in tensors])
    if current.graph is not None:
        first, starts, counts = (current.graph.upload(np.array(column, np.int64)) for column in _columns(sizes))
        return first, starts, counts
    key = (gpu.backend.xp.cuda.get_current_stream().ptr, sizes)  # On another stream the copy may not have arrived.
    found = gpu.layouts.get(key)
    if found is None:
        if len(gpu.layouts) >= 64:
            del gpu.layouts[next(iter(gpu.layouts))]
        columns = [np.array(column, np.int64) for column in _columns(sizes)]
        found = gpu.layouts[key] = tuple(map(gpu.backend.from_host, columns))
    return found


def _columns(sizes: tuple[int, ...]) -> tuple[Any, ...]:
    pairs = [(k, start) for k, n in enumerate(sizes) for start in range(0, n, _CHUNK)]
    return (*zip(*pairs), sizes)


def _groups(*lists: Arrays) -> Iterator[list[int]]:
    """The places of the lists whose arrays have elements, and equal dtypes."""
    groups: dict[str, list[int]] = {}
    for i, arrays in enumerate(zip(*lists)):
        if arrays[0].size:
            groups.setdefault("".join([a.dtype.char for a in arrays]), []).append(i)
    yield from groups.values()


def _taken(places: list[int], *lists: Arrays) -> list[PointerTable]:
    return [PointerTable([arrays[i] for i in places]) for arrays in lists]


def _updatable(params: Arrays, *states: Arrays) -> bool:
    """Whether the kernels are made for all of these: what they write lies in order, in one dtype, and nothing twice."""
    return len(set(map(id, params))) == len(params) and all(
        x.dtype.char in "fd" and all(s.dtype == x.dtype and s.flags.c_contiguous for s in rest) and x.flags.c_contiguous
        for x, *rest in zip(params, *states)
    )


def sgd_all_(
    gpu: Any, portable: Any, params: Arrays, grads: Arrays, buffers: Arrays | None, lr: Array, momentum: Array,
    dampening: Array, weight_decay: Array | None, nesterov: bool, maximize: bool, first: bool,
) -> Arrays:  # fmt: skip
    heavy = buffers is not None
    if not _updatable(params, grads, *((buffers,) if heavy else ())):
        return portable(params, grads, buffers, lr, momentum, dampening, weight_decay, nesterov, maximize, first)
    for places in _groups(params):
        real = real_of(params[places[0]])
        p, g, b = _taken(places, params, grads, grads if buffers is None else buffers)
        owners, starts, sizes = _chunks(gpu, p.arrays)
        constants = (real, weight_decay is not None, heavy, nesterov, maximize, first)
        gpu.launch(
            sgd_update, constants, owners.size, _THREADS, p, g, b, owners, starts, sizes, lr, momentum, dampening,
            lr if weight_decay is None else weight_decay, _CHUNK,
        )  # fmt: skip
    return params


def adam_all_(
    gpu: Any, portable: Any, params: Arrays, grads: Arrays, exp_avgs: Arrays, exp_avg_sqs: Arrays,
    max_exp_avg_sqs: Arrays | None, steps: Arrays, lr: Array, beta1: Array, beta2: Array, eps: Array,
    weight_decay: Array | None, decoupled: bool, maximize: bool,
) -> Arrays:  # fmt: skip
    amsgrad, decayed = max_exp_avg_sqs is not None, weight_decay is not None
    tops = exp_avg_sqs if max_exp_avg_sqs is None else max_exp_avg_sqs
    if not _updatable(params, grads, exp_avgs, exp_avg_sqs, tops) or not all(x.size for x in params):
        return portable(
            params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps, lr, beta1, beta2, eps, weight_decay,
            decoupled, maximize,
        )  # fmt: skip
    decay = weight_decay if decayed else lr
    for places in _groups(params, steps):
        real, n = real_of(params[places[0]]), len(places)
        p, g, m, v, top, t = _taken(places, params, grads, exp_avgs, exp_avg_sqs, tops, steps)
        owners, starts, sizes = _chunks(gpu, p.arrays)
        coefficients = gpu.empty((n, _COEFFICIENTS), real)
        gpu.launch(
            adam_coefficients, (real, decayed), *spread(n), coefficients, t, n, _COEFFICIENTS, lr, beta1, beta2, eps,
            decay,
        )  # fmt: skip
        gpu.launch(
            adam_update, (real, amsgrad, decayed, decoupled, maximize), owners.size, _THREADS, p, g, m, v, top, owners,
            starts, sizes, coefficients, _COEFFICIENTS, _CHUNK,
        )  # fmt: skip
    return params


def sgd_(gpu: Any, portable: Any, param: Array, grad: Array, buffer: Array | None, *rest: Any) -> Array:
    if not _updatable((param,), (grad,), *(() if buffer is None else ((buffer,),))):
        return portable(param, grad, buffer, *rest)
    sgd_all_(gpu, None, (param,), (grad,), None if buffer is None else (buffer,), *rest)
    return param


def adam_(
    gpu: Any, portable: Any, param: Array, grad: Array, m: Array, v: Array, top: Array | None, step: Array, *rest: Any
) -> Array:
    if not param.size or not _updatable((param,), (grad,), (m,), (v,), *(() if top is None else ((top,),))):
        return portable(param, grad, m, v, top, step, *rest)
    adam_all_(gpu, None, (param,), (grad,), (m,), (v,), None if top is None else (top,), (step,), *rest)
    return param


def total_norm(gpu: Any, portable: Any, tensors: Arrays) -> Array:
    real, given = real_of(*tensors), [gpu.contiguous(x) for x in tensors if x.size]
    if real is None or not given or len({x.dtype for x in tensors}) > 1:
        return portable(tensors)
    owners, starts, sizes = _chunks(gpu, given)
    sums, out = gpu.empty((owners.size,), real), gpu.empty((), real)
    gpu.launch(
        square_sums, (real, _THREADS), owners.size, _THREADS, sums, PointerTable(given), owners, starts, sizes, _CHUNK
    )
    gpu.launch(root_of_sum, (real, _THREADS), 1, _THREADS, out, sums, sums.size)
    return out


def scale_all_(gpu: Any, portable: Any, tensors: Arrays, factor: Array) -> Arrays:
    if any(real_of(x) is None or not x.flags.c_contiguous for x in tensors) or real_of(factor) is None:
        return portable(tensors, factor)
    for places in _groups(tensors):
        (x,) = _taken(places, tensors)
        owners, starts, sizes = _chunks(gpu, x.arrays)
        constants = (real_of(x.arrays[0], factor),)
        gpu.launch(scale_tensors, constants, owners.size, _THREADS, x, owners, starts, sizes, factor, _CHUNK)
    return tensors


KERNELS = (sgd_, adam_, sgd_all_, adam_all_, total_norm, scale_all_)

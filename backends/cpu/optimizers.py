"""Optimiser updates as one pass over the memory each, with Numba.

Parameter, gradient and state are read once and written once (measured: Adam over 10 million float32 in 6 ms against 45
ms for NumPy in place). Operations and their order are those of the portable bodies in `backends/optimizers.py`, so the
results differ from them by the rounding of a power at most. What a kernel cannot take (other dtypes than float32 and
float64, parameters or state that are not contiguous) goes to the portable body.

Each kernel is self-contained (see `cache.py`). `low` is the smallest normal number: smaller moments become zero.
`before` is a copy of `step`, the number of updates so far: several threads read it while one of them counts on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import kernel
from autograd_core.backends.optimizers import OptimizerKernels

Array = Any

# Elements from which two threads are faster than one (measured): a parallel call costs some microseconds.
PARALLEL_FROM = 1 << 16

_ZERO = np.array(0.0)
_ABSENT = {"f": np.empty(0, np.float32), "d": np.empty(0, np.float64)}


@kernel(parallel=True)
def _sgd(param, grad, lr, weight_decay, maximize, worker, workers):
    n = param.size
    kind = param.dtype.type
    rate = kind(lr[()])
    decay = kind(weight_decay[()])
    sign = kind(-1.0 if maximize else 1.0)
    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):
        p = param[i]
        g = sign * grad[i]
        if decay != 0:
            g += decay * p
        param[i] = p - rate * g


@kernel(parallel=True)
def _sgd_momentum(
    param, grad, buffer, lr, momentum, dampening, weight_decay, nesterov, maximize, first, worker, workers,
):  # fmt: skip
    n = param.size
    kind = param.dtype.type
    low = kind(1.1754943508222875e-38 if param.itemsize == 4 else 2.2250738585072014e-308)
    rate = kind(lr[()])
    mu = kind(momentum[()])
    share = kind(1.0 if first else 1.0 - dampening[()])
    decay = kind(weight_decay[()])
    sign = kind(-1.0 if maximize else 1.0)
    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):
        p = param[i]
        g = sign * grad[i]
        if decay != 0:
            g += decay * p
        b = buffer[i] * mu + share * g
        b = kind(0) if abs(b) < low else b
        buffer[i] = b
        param[i] = p - rate * (g + mu * b if nesterov else b)


@kernel(parallel=True)
def _adam(
    param, grad, exp_avg, exp_avg_sq, largest, before, step, lr, beta1, beta2, eps, weight_decay,
    amsgrad, decoupled, maximize, worker, workers,
):  # fmt: skip
    n = param.size
    kind = param.dtype.type
    low = kind(1.1754943508222875e-38 if param.itemsize == 4 else 2.2250738585072014e-308)
    t = float(before[()]) + 1.0
    if worker == 0:
        step[()] = t
    root = kind(math.sqrt(1.0 - beta2[()] ** t))
    rate = kind(lr[()] / (1.0 - beta1[()] ** t))
    rest1 = kind(1.0 - beta1[()])
    keep2 = kind(beta2[()])
    rest2 = kind(1.0 - beta2[()])
    small = kind(eps[()])
    decay = kind(0.0 if decoupled else weight_decay[()])
    shrink = kind(1.0 - lr[()] * weight_decay[()] if decoupled else 1.0)
    sign = kind(-1.0 if maximize else 1.0)
    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):
        p = param[i]
        g = sign * grad[i]
        if decay != 0:
            g += decay * p
        m = exp_avg[i]
        m += (g - m) * rest1
        v = exp_avg_sq[i] * keep2 + rest2 * g * g
        m = kind(0) if abs(m) < low else m
        v = kind(0) if abs(v) < low else v
        exp_avg[i] = m
        exp_avg_sq[i] = v
        if amsgrad:
            most = largest[i]
            v = v if v > most or v != v else most
            largest[i] = v
        param[i] = p * shrink - rate * (m / (math.sqrt(v) / root + small))


@kernel(parallel=True)
def _nadam(
    param, grad, exp_avg, exp_avg_sq, product_before, mu_product, before, step,
    lr, beta1, beta2, eps, momentum_decay, weight_decay, decoupled, maximize, worker, workers,
):  # fmt: skip
    n = param.size
    kind = param.dtype.type
    low = kind(1.1754943508222875e-38 if param.itemsize == 4 else 2.2250738585072014e-308)
    t = float(before[()]) + 1.0
    if worker == 0:
        step[()] = t
    mu = beta1[()] * (1.0 - 0.5 * 0.96 ** (t * momentum_decay[()]))
    next_mu = beta1[()] * (1.0 - 0.5 * 0.96 ** ((t + 1.0) * momentum_decay[()]))
    product = float(product_before[()] * mu_product.dtype.type(mu))
    if worker == 0:
        mu_product[()] = product
    correction = kind(1.0 - beta2[()] ** t)
    rate_g = kind(lr[()] * (1.0 - mu) / (1.0 - product))
    rate_m = kind(lr[()] * next_mu / (1.0 - product * next_mu))
    rest1 = kind(1.0 - beta1[()])
    keep2 = kind(beta2[()])
    rest2 = kind(1.0 - beta2[()])
    small = kind(eps[()])
    decay = kind(0.0 if decoupled else weight_decay[()])
    shrink = kind(1.0 - lr[()] * weight_decay[()] if decoupled else 1.0)
    sign = kind(-1.0 if maximize else 1.0)
    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):
        p = param[i]
        g = sign * grad[i]
        if decay != 0:
            g += decay * p
        m = exp_avg[i]
        m += (g - m) * rest1
        v = exp_avg_sq[i] * keep2 + rest2 * g * g
        m = kind(0) if abs(m) < low else m
        v = kind(0) if abs(v) < low else v
        exp_avg[i] = m
        exp_avg_sq[i] = v
        d = math.sqrt(v / correction) + small
        param[i] = p * shrink - rate_g * (g / d) - rate_m * (m / d)


@kernel(parallel=True)
def _rmsprop(
    param, grad, square_avg, grad_avg, buffer, before, step, lr, alpha, eps, momentum, weight_decay,
    centered, heavy, maximize, worker, workers,
):  # fmt: skip
    n = param.size
    kind = param.dtype.type
    low = kind(1.1754943508222875e-38 if param.itemsize == 4 else 2.2250738585072014e-308)
    if worker == 0:
        step[()] = before[()] + 1
    rate = kind(lr[()])
    keep = kind(alpha[()])
    rest = kind(1.0 - alpha[()])
    small = kind(eps[()])
    mu = kind(momentum[()])
    decay = kind(weight_decay[()])
    sign = kind(-1.0 if maximize else 1.0)
    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):
        p = param[i]
        g = sign * grad[i]
        if decay != 0:
            g += decay * p
        v = square_avg[i] * keep + rest * g * g
        v = kind(0) if abs(v) < low else v
        square_avg[i] = v
        if centered:
            m = grad_avg[i]
            m += (g - m) * rest
            m = kind(0) if abs(m) < low else m
            grad_avg[i] = m
            v -= m * m
        u = g / (math.sqrt(v) + small)
        if heavy:
            u += buffer[i] * mu
            u = kind(0) if abs(u) < low else u
            buffer[i] = u
        param[i] = p - rate * u


@kernel(parallel=True)
def _adagrad(
    param, grad, sum, before, step, lr, lr_decay, eps, weight_decay, maximize, worker, workers,
):  # fmt: skip
    n = param.size
    kind = param.dtype.type
    if worker == 0:
        step[()] = before[()] + 1
    rate = kind(lr[()] / (1.0 + float(before[()]) * lr_decay[()]))
    small = kind(eps[()])
    decay = kind(weight_decay[()])
    sign = kind(-1.0 if maximize else 1.0)
    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):
        p = param[i]
        g = sign * grad[i]
        if decay != 0:
            g += decay * p
        s = sum[i] + g * g
        sum[i] = s
        param[i] = p - rate * (g / (math.sqrt(s) + small))


class OnePassOptimizers(OptimizerKernels):
    """The updates, each by its Numba kernel where that can take the arrays, else by the portable body."""

    xp = np

    def sgd_(
        self, param: Array, grad: Array, momentum_buffer: Array | None, lr: Array, momentum: Array, dampening: Array,
        weight_decay: Array | None, nesterov: bool, maximize: bool, first: bool,
    ) -> Array:  # fmt: skip
        if _fit(param, grad, momentum_buffer):
            large = param.size >= PARALLEL_FROM
            decay = _ZERO if weight_decay is None else weight_decay
            if momentum_buffer is None:
                (_sgd if large else _sgd.serial)(param.ravel(), grad.ravel(), lr, decay, maximize)
            else:
                (_sgd_momentum if large else _sgd_momentum.serial)(
                    param.ravel(), grad.ravel(), momentum_buffer.ravel(),
                    lr, momentum, dampening, decay, nesterov, maximize, first,
                )  # fmt: skip
            return param
        return super().sgd_(
            param, grad, momentum_buffer, lr, momentum, dampening, weight_decay, nesterov, maximize, first
        )

    def adam_(
        self, param: Array, grad: Array, exp_avg: Array, exp_avg_sq: Array, max_exp_avg_sq: Array | None, step: Array,
        lr: Array, beta1: Array, beta2: Array, eps: Array, weight_decay: Array | None, decoupled: bool, maximize: bool,
    ) -> Array:  # fmt: skip
        if _fit(param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq):
            (_adam if param.size >= PARALLEL_FROM else _adam.serial)(
                param.ravel(), grad.ravel(), exp_avg.ravel(), exp_avg_sq.ravel(), _flat(max_exp_avg_sq, param),
                step.copy(), step, lr, beta1, beta2, eps, _ZERO if weight_decay is None else weight_decay,
                max_exp_avg_sq is not None, decoupled, maximize,
            )  # fmt: skip
            return param
        return super().adam_(
            param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, step,
            lr, beta1, beta2, eps, weight_decay, decoupled, maximize,
        )  # fmt: skip

    def nadam_(
        self, param: Array, grad: Array, exp_avg: Array, exp_avg_sq: Array, mu_product: Array, step: Array, lr: Array,
        beta1: Array, beta2: Array, eps: Array, momentum_decay: Array, weight_decay: Array | None,
        decoupled: bool, maximize: bool,
    ) -> Array:  # fmt: skip
        if _fit(param, grad, exp_avg, exp_avg_sq):
            (_nadam if param.size >= PARALLEL_FROM else _nadam.serial)(
                param.ravel(), grad.ravel(), exp_avg.ravel(), exp_avg_sq.ravel(), mu_product.copy(), mu_product,
                step.copy(), step, lr, beta1, beta2, eps, momentum_decay,
                _ZERO if weight_decay is None else weight_decay, decoupled, maximize,
            )  # fmt: skip
            return param
        return super().nadam_(
            param, grad, exp_avg, exp_avg_sq, mu_product, step,
            lr, beta1, beta2, eps, momentum_decay, weight_decay, decoupled, maximize,
        )  # fmt: skip

    def rmsprop_(
        self, param: Array, grad: Array, square_avg: Array, grad_avg: Array | None, momentum_buffer: Array | None,
        step: Array, lr: Array, alpha: Array, eps: Array, momentum: Array, weight_decay: Array | None, maximize: bool,
    ) -> Array:  # fmt: skip
        if _fit(param, grad, square_avg, grad_avg, momentum_buffer):
            (_rmsprop if param.size >= PARALLEL_FROM else _rmsprop.serial)(
                param.ravel(), grad.ravel(), square_avg.ravel(), _flat(grad_avg, param), _flat(momentum_buffer, param),
                step.copy(), step, lr, alpha, eps, momentum, _ZERO if weight_decay is None else weight_decay,
                grad_avg is not None, momentum_buffer is not None, maximize,
            )  # fmt: skip
            return param
        return super().rmsprop_(
            param, grad, square_avg, grad_avg, momentum_buffer, step, lr, alpha, eps, momentum, weight_decay, maximize
        )

    def adagrad_(
        self, param: Array, grad: Array, sum: Array, step: Array, lr: Array, lr_decay: Array, eps: Array,
        weight_decay: Array | None, maximize: bool,
    ) -> Array:  # fmt: skip
        if _fit(param, grad, sum):
            (_adagrad if param.size >= PARALLEL_FROM else _adagrad.serial)(
                param.ravel(), grad.ravel(), sum.ravel(), step.copy(), step, lr, lr_decay, eps,
                _ZERO if weight_decay is None else weight_decay, maximize,
            )  # fmt: skip
            return param
        return super().adagrad_(param, grad, sum, step, lr, lr_decay, eps, weight_decay, maximize)


def flat_update(
    kernel: str, size: int, dtype: Any, args: tuple[Any, ...], flat: Any, copied: Any
) -> tuple[Any, tuple[Any, ...]] | None:
    """`OptimizerKernels.flat_update`, for SGD and Adam."""
    run: Any
    given: tuple[Any, ...]
    if kernel == "sgd_":
        param, grad, buffer, lr, momentum, dampening, decay, nesterov, maximize, first = args
        decay = _ZERO if decay is None else decay
        if buffer is None:
            run, given = _sgd, (flat(param), flat(grad), lr, decay, maximize)
        else:
            state = (flat(buffer), lr, momentum, dampening, decay, nesterov, maximize, first)
            run, given = _sgd_momentum, (flat(param), flat(grad), *state)
    elif kernel == "adam_":
        param, grad, m, v, top, step, lr, beta1, beta2, eps, decay, decoupled, maximize = args
        largest = _ABSENT[dtype.char] if top is None else flat(top)
        options = (lr, beta1, beta2, eps, _ZERO if decay is None else decay, top is not None, decoupled, maximize)
        run, given = _adam, (flat(param), flat(grad), flat(m), flat(v), largest, copied(step), step, *options)
    else:
        return None
    return run if size >= PARALLEL_FROM else run.serial, given


for _kernel, _positions in ((_sgd, (0,)), (_sgd_momentum, (0, 2)), (_adam, (0, 2, 3, 4, 6))):
    _kernel.writes = _kernel.serial.writes = _positions


def _fit(param: Array, grad: Array, *state: Array | None) -> bool:
    """Whether a kernel can take these. A gradient may be strided: it is copied."""
    size = param.size
    if param.dtype.char not in "fd" or grad.dtype is not param.dtype or grad.size != size:
        return False
    if not param.flags.c_contiguous:
        return False
    for array in state:
        if array is not None and (array.size != size or not array.flags.c_contiguous):
            return False
    return True


def _flat(array: Array | None, param: Array) -> Array:
    return _ABSENT[param.dtype.char] if array is None else array.ravel()


def install(backend: Any) -> None:
    """Make the one-pass updates the kernels of `backend`."""
    one_pass = OnePassOptimizers()
    for name in ("sgd_", "adam_", "nadam_", "rmsprop_", "adagrad_"):
        setattr(backend, name, getattr(one_pass, name))
    backend.flat_update = flat_update

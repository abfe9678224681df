"""Calls of backend kernels that reach every Numba-CUDA kernel in each of its forms; two test files go through them.

A case is (name of the kernel, arguments, what may be NaN or infinite in them). Arguments are NumPy arrays, and what
the kernel takes beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from simulated_cuda import SimulatedCudaBackend
from simulated_cuda import ndarray as device_array

from autograd_core.backends.base import Backend
from autograd_core.backends.cpu.lifted import KERNELS as LIFTED
from autograd_core.backends.cuda import kernels

Case = tuple[str, tuple[Any, ...]]
FLOATS = ("e", "f", "d")


class NumpyBackend(Backend):
    """The portable bodies on NumPy arrays."""

    xp: Any = np


class KernelBackend(SimulatedCudaBackend):
    """The CUDA backend on the simulated device, with Numba's kernels started by `launch`; fresh memory is poisoned."""

    name = "kernels"

    def __init__(self, launch: Any, index: int = 0) -> None:
        self._launch = launch
        super().__init__(index)

    def _stay_on_device(self) -> None:
        kernels.install(self, self._launch)  # Where the CUDA backend does it.
        super()._stay_on_device()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        host = np.empty(shape, dtype)
        host.reshape(-1).view(np.uint8)[...] = 0xFF  # NaN, -1, or the largest number.
        return device_array(host)


def on_device(value: Any) -> Any:
    """NumPy arrays, also inside tuples, as arrays of the simulated device with the same strides."""
    if isinstance(value, tuple | list):
        return type(value)(on_device(v) for v in value)
    return device_array(np.copy(value, order="K")) if isinstance(value, np.ndarray) else value


def on_host(value: Any) -> Any:
    """The way back."""
    if isinstance(value, tuple | list):
        return type(value)(on_host(v) for v in value)
    return value.get() if isinstance(value, device_array) else value


def cases(family: str) -> Iterator[Case]:
    """The calls of one family, the same ones every time."""
    yield from FAMILIES[family](np.random.default_rng(0))


def _special(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Numbers with zeros of both signs, infinities, NaN, and the largest and smallest among them."""
    x = rng.standard_normal(shape).astype(dtype)
    flat, info = x.reshape(-1), np.finfo(dtype)
    values = (np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, info.min, info.tiny, info.smallest_subnormal)
    for i, v in enumerate(values):
        if 3 * i < flat.size:
            flat[3 * i] = v
    return x


def softmaxes(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        for shape, axis in (
            ((3, 5), 1),
            ((2, 300), -1),
            ((2, 7, 3), 1),
            ((4,), 0),
            ((0, 3), 1),
            ((2, 40), 0),
            ((1, 1100), 1),
        ):
            if 1100 in shape and dtype != "f":
                continue
            x, g = (rng.standard_normal(shape).astype(dtype) * 3 for _ in range(2))
            for name in ("softmax", "log_softmax"):
                yield name, (x, axis)
                yield f"{name}_backward", (g, np.exp(-abs(x)), axis)
    for dtype in FLOATS:
        x = _special(rng, (10, 3), dtype)
        for name in ("softmax", "log_softmax"):
            for axis in (0, 1):
                yield name, (x, axis)
                yield f"{name}_backward", (x, np.abs(x), axis)
    x = rng.standard_normal((5, 8)).astype("f")
    yield "softmax", (x.T, 1)
    yield "softmax_backward", (x[::2, ::2], x[1::2, ::2][:2].repeat(2, 0)[:3], 1)


def cross_entropies(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        for rows, cols in ((5, 3), (150, 4), (2, 200)):
            x = rng.standard_normal((rows, cols)).astype(dtype) * 4
            target = rng.integers(0, cols, rows)
            target[1] = -100
            wide = x.astype("d")
            logsum = np.log(np.exp(wide).sum(1)).astype("d" if dtype == "d" else "f")
            yield "cross_entropy", (x, target, -100)
            count = np.array(rows - 1, logsum.dtype)
            yield "cross_entropy_backward", (np.array(1.5, dtype), x, target, logsum, count, -100)
    x = _special(rng, (9, 3), "f")
    yield "cross_entropy", (x, np.arange(9) % 3, -1)
    yield "cross_entropy", (x[3:], np.full(6, 2), 2)
    yield "cross_entropy", (x.T[::2], np.array([4, 0], "int32"), 7)


def layer_norms(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        for shape, dims in (((3, 5), 1), ((2, 300), 1), ((2, 3, 4), 2), ((45, 3), 1), ((0, 3), 1), ((4,), 1)):
            x, g = (rng.standard_normal(shape).astype(dtype) * 2 + 1 for _ in range(2))
            inner = shape[len(shape) - dims :]
            w, b = (rng.standard_normal(inner).astype("f" if dtype == "e" else dtype) for _ in range(2))
            wide = x.astype("f" if dtype == "e" else dtype)
            axes = tuple(range(x.ndim - dims, x.ndim))
            mean = wide.mean(axes, keepdims=True)
            rstd = (1 / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)).astype(wide.dtype)
            yield "layer_norm", (x, w, b, dims, 1e-5)
            yield "layer_norm_backward", (g, x, w, mean, rstd, dims, 1e-5, (True, True, True))
            if dtype == "f":
                yield "layer_norm", (x, None, None, dims, 1e-5)
                yield "layer_norm", (x, w, None, dims, 0.1)
                yield "layer_norm_backward", (g, x, None, mean, rstd, dims, 1e-5, (True, False, False))
                yield "layer_norm_backward", (g, x, w, mean, rstd, dims, 1e-5, (False, False, True))
    x = np.where(rng.random((9, 4)) < 0.2, np.nan, rng.standard_normal((9, 4))).astype("f")
    x[4:6] = np.inf, -np.inf, 1, 2
    yield "layer_norm", (x, None, None, 1, 1e-5)
    yield "layer_norm", (x.T, np.ones(18, "f")[::2], None, 1, 1e-5)


def batch_norms(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        for shape in ((6, 3), (2, 3, 4, 5), (3, 2, 700), (30, 1, 150), (0, 3, 2)):
            if max(shape) > 100 and dtype != "f":
                continue
            x, g = (rng.standard_normal(shape).astype(dtype) * 2 + 30 for _ in range(2))
            x[shape[0] // 2 :] -= 20  # So that the parts of a channel differ.
            w, b = (rng.standard_normal(shape[1]).astype("f" if dtype == "e" else dtype) for _ in range(2))
            mean = rng.standard_normal(shape[1]).astype(w.dtype) + 30
            var = rng.random(shape[1]).astype(w.dtype) + 3
            yield "batch_norm_stats", (x,)
            yield "batch_norm", (x, w, b, mean, var, 1e-5, True)
            yield "batch_norm_backward", (g - 30, x, w, mean, var, 1e-5, True, (True, True, True))
            if dtype == "f":
                yield "batch_norm", (x, None, None, mean, var, 0.1, False)
                yield "batch_norm_backward", (g - 30, x, w, mean, var, 1e-5, False, (True, False, True))
                yield "batch_norm_backward", (g - 30, x, None, mean, var, 1e-5, True, (True, False, False))
                yield "batch_norm_backward", (g - 30, x, None, mean, var, 1e-5, False, (True, False, False))
    x = rng.standard_normal((4, 3, 2)).astype("f")
    x[1, 0, 1], x[2, 2, 0] = np.nan, np.inf
    yield "batch_norm_stats", (x,)
    yield "batch_norm_stats", (x.transpose((1, 2, 0)),)


def _pools(rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """(input, kernel, stride, padding, dilation, size)."""
    for dtype in FLOATS:
        x = rng.integers(-4, 5, (2, 3, 7, 6)).astype(dtype)
        for kernel, stride, padding, dilation, size in (
            ((2, 2), (2, 2), (0, 0), (1, 1), (3, 3)),
            ((3, 2), (1, 2), (1, 1), (1, 1), (7, 4)),
            ((3, 3), (2, 3), (1, 0), (2, 1), (3, 2)),
            ((3, 3), (2, 2), (1, 1), (1, 1), (4, 4)),  # rounded up
        ):
            yield x, kernel, stride, padding, dilation, size
    yield _special(rng, (1, 2, 6, 6), "f"), (2, 2), (2, 2), (0, 0), (1, 1), (3, 3)
    late = np.where(np.arange(16).reshape(1, 1, 4, 4) % 5 == 0, np.nan, 1.0).astype("f")
    yield late[..., ::-1], (2, 2), (2, 2), (0, 0), (1, 1), (2, 2)
    yield np.full((1, 1, 4, 4), -np.inf, "f"), (3, 3), (2, 2), (1, 1), (1, 1), (2, 2)
    yield np.full((1, 1, 4, 4), np.nan, "f"), (3, 3), (2, 2), (1, 1), (1, 1), (2, 2)
    yield rng.standard_normal((1, 1, 20, 18)).astype("f"), (17, 16), (1, 1), (0, 0), (1, 1), (4, 3)
    yield rng.standard_normal((6, 7, 2, 1)).astype("f").transpose((2, 3, 0, 1)), (2, 2), (2, 2), (0, 0), (1, 1), (3, 3)
    yield np.zeros((0, 1, 4, 4), "f"), (2, 2), (2, 2), (0, 0), (1, 1), (2, 2)


def pools(rng: np.random.Generator) -> Iterator[Case]:
    portable = NumpyBackend()
    for x, kernel, stride, padding, dilation, size in _pools(rng):
        yield "max_pool2d", (x, kernel, stride, padding, dilation, size)
        g = rng.standard_normal((*x.shape[:2], *size)).astype(x.dtype)
        with np.errstate(all="ignore"):
            place = portable.max_pool2d(x, kernel, stride, padding, dilation, size)[1]
        yield "max_pool2d_backward", (g, place, x.shape, kernel, stride, padding, dilation)
        if dilation == (1, 1):
            for divisor in ("padded", "inside", 3):
                yield "avg_pool2d", (x, kernel, stride, padding, size, divisor)
                yield "avg_pool2d_backward", (g, x.shape, kernel, stride, padding, divisor)


def convolutions(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        for shape, kernel, stride, padding, dilation, groups in (
            ((2, 4, 6, 5), (3, 2), (1, 1), (0, 0, 0, 0), (1, 1), 1),
            ((2, 4, 6, 5), (3, 3), (2, 1), (1, 1, 2, 0), (1, 2), 2),
            ((0, 4, 6, 5), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
        ):
            x = rng.standard_normal(shape).astype(dtype)
            w = rng.standard_normal((4, 4 // groups, *kernel)).astype(dtype)
            params = (stride, padding, dilation, groups)
            yield "conv2d", (x, w, rng.standard_normal(4).astype(dtype), *params)
            with np.errstate(all="ignore"):
                y = NumpyBackend().conv2d(x, w, None, *params)
            g = rng.standard_normal(y.shape).astype(dtype)
            yield "conv2d_input_grad", (g, w, shape, *params)
            yield "conv2d_weight_grad", (g, x, w.shape, *params)


def draws(rng: np.random.Generator) -> Iterator[Case]:
    """These are equal bit for bit: the test compares them so."""
    for n in ((), (1,), (3, 7), (130,), (0,)):
        for i, dtype in enumerate((np.float16, np.float32, np.float64)):
            state = np.array([0x123456789ABCDEF + i, 2**33 + i], np.uint64)
            yield "random_bits", (state, n)
            yield "random_uniform", (state, n, dtype, -1.1, 3.3)
            yield "random_uniform", (state, n, dtype, 1.0, 1.0 + 2.0**-9)
            yield "random_normal", (state, n, dtype, 0.3, 1.7)
            yield "random_bernoulli", (state, n, dtype, 0.3)
        state = np.array([2**64 - 1, 7], np.uint64)
        yield "random_bernoulli", (state, n, np.bool_, 0.5)
        yield "random_bernoulli", (state, n, np.int64, 0.9)
        yield "random_integers", (state, n, np.int64, -(2**62), 2**62 + 5)
        yield "random_integers", (state, n, np.int32, -3, 10)
    yield "random_permutation", (state, 13, np.int64)
    yield "random_permutation", (state, 0, np.int64)
    yield "random_normal", (np.array([5, 0], np.uint64), (3000,), np.float32, 0.0, 1.0)
    yield "random_normal", (np.array([6, 0], np.uint64), (1000,), np.float64, 0.0, 1.0)


_NUMBERS = {
    "leaky_relu": (0.1,), "elu": (1.5, 1.1, 0.7), "softplus": (2.0, 3.0), "hardtanh": (-0.5, 0.5), "dropout": (2.0,),
    "clamp": (-0.5, 0.5), "huber": (1.3,), "smooth_l1": (1.3,),
}  # fmt: skip


def elementwise(rng: np.random.Generator) -> Iterator[Case]:
    for name, arrays in LIFTED.items():
        numbers = _NUMBERS.get(name.removesuffix("_backward"), ())
        for dtype in FLOATS:
            x, y = ((rng.standard_normal((5, 7)) * 2).astype(dtype) for _ in range(2))
            yield name, (*(x, y)[:arrays], *numbers)
            if dtype != "e":
                yield name, (*(_special(rng, (6, 5), dtype), _special(rng, (6, 5), dtype))[:arrays], *numbers)
        x = rng.standard_normal((600,)).astype("f")
        yield name, (*(x[::2], x[1::2])[:arrays], *numbers)
    yield "gelu", (np.zeros((0, 3), "f"),)
    yield "tanh_backward", (np.ones((3, 1), "f"), x[:4])


def scatters(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in FLOATS:
        g = rng.standard_normal((3, 5, 4)).astype(dtype)
        index = rng.integers(0, 6, (3, 5))
        yield "embedding_backward", (g, index, 6, -1)
        yield "embedding_backward", (g, np.full((3, 5), 2, "int32"), 6, 2)
        yield "embedding_backward", (g[:, :0], index[:, :0], 6, 0)
        if dtype == "e":
            continue
        x = rng.standard_normal((4, 3, 2)).astype(dtype)
        rows, value = np.array([3, 0, 3, -1, 2, 3]), rng.standard_normal((6, 3, 2)).astype(dtype)
        yield "add_at", (x, rows, value)
        yield "add_at", (x, (slice(None), np.array([[1, 1], [0, 1]])), np.asarray(value[0, 0, 0]))
        yield "add_at", (x, (slice(None), slice(None), np.array([1, 1, 0])), value[:4, :, 0].reshape(4, 3, 1))
        yield "add_at", (x, (rows, np.array([0, 1, 0, 0, 2, 0])), value[:, 0])
        yield "add_at", (x.transpose(2, 1, 0), np.array([0, 1, 1]), value[:3, :, :1])
        yield "scatter_add", (x, rng.integers(0, 3, (4, 7, 2)), rng.standard_normal((4, 7, 2)).astype(dtype), 1)
        yield "gather_backward", (value[:, :, 0], rng.integers(0, 4, (6, 3)), (6, 5), 1)
        yield "index_put", (x, value, (rows,), True)
    yield "embedding_backward", (_special(rng, (8, 4), "f"), rng.integers(0, 3, (8,)), 3, -1)
    # Runs that end with a chunk, begin with one, fill several, and are skipped.
    g = rng.standard_normal((100, 2)).astype("d")
    for index in (np.full(100, 3), np.arange(100) // 8, np.arange(100) // 16, np.arange(100) // 27, np.arange(100) % 7):
        yield "embedding_backward", (g, index, 13, -1)
        yield "embedding_backward", (g, index, 13, 3)


def _buffer(value: float) -> Any:
    return np.array(value)


def updates(rng: np.random.Generator) -> Iterator[Case]:
    for dtype in ("f", "d"):
        shapes = [(3, 5), (7,), (), (70, 60)] if dtype == "f" else [(2, 3), (1,)]
        params, grads, m, v, top = (
            tuple(np.asarray(rng.standard_normal(s).astype(dtype)) for s in shapes) for _ in range(5)
        )
        v, top = tuple(np.asarray(abs(x)) for x in v), tuple(np.asarray(abs(x)) for x in top)
        grads[0].reshape(-1)[:4] = np.nan, np.inf, 0, 1e-30
        m[0].reshape(-1)[2], v[0].reshape(-1)[2] = np.finfo(dtype).smallest_subnormal, 0
        few = slice(None, 2)
        yield "total_norm", (grads[1:],)
        yield "total_norm", (grads,)
        yield "scale_all_", (params, np.asarray(0.3, dtype))
        for decay, nesterov, maximize, first in (
            (None, False, False, False),
            (_buffer(0.1), True, True, False),
            (_buffer(0.1), False, False, True),
        ):
            options = (_buffer(0.01), _buffer(0.9), _buffer(0.2), decay, nesterov, maximize, first)
            yield "sgd_all_", (params[few], grads[few], m[few], *options)
            yield "sgd_all_", (params, grads, None, *options)
            yield "sgd_", (params[0], grads[0], m[0], *options)
        for k, (amsgrad, decay, decoupled, maximize) in enumerate(
            ((False, None, False, False), (True, _buffer(0.1), False, True), (False, _buffer(0.1), True, False))
        ):
            steps = tuple(np.array(i, "f") for i in range(len(shapes)))
            options = (_buffer(0.01), _buffer(0.9), _buffer(0.999), _buffer(1e-8), decay, decoupled, maximize)
            chosen = slice(None) if k == 0 else few
            tops = top[chosen] if amsgrad else None
            yield "adam_all_", (params[chosen], grads[chosen], m[chosen], v[chosen], tops, steps[chosen], *options)
            yield "adam_", (params[0], grads[0], m[0], v[0], top[0] if amsgrad else None, steps[1], *options)
    half = tuple(rng.standard_normal(s).astype("e") * 300 for s in ((4,), (3, 3)))
    yield "total_norm", (half,)
    yield "scale_all_", (half, np.asarray(0.5, "f"))


def recurrences(rng: np.random.Generator) -> Iterator[Case]:
    def normal(dtype: str, *shape: int) -> Any:
        return rng.standard_normal(shape).astype(dtype)

    for mode, gates in (("LSTM", 4), ("GRU", 3), ("RNN_TANH", 1), ("RNN_RELU", 1)):
        for k, dtype in enumerate(("f", "d")):
            steps, n, units, wide = 3, 2, 5, gates * 5
            w = normal(dtype, wide, units)
            biases = (None, None) if k else (normal(dtype, wide), normal(dtype, wide))
            mask = rng.random((steps, n)) < 0.6 if k else None
            c0 = normal(dtype, n, units) if mode == "LSTM" else None
            for reverse in (False, True):
                z, h0 = normal(dtype, steps, n, wide), normal(dtype, n, units)
                yield "recurrent_scan", (z, h0, c0, w, *biases, mask, mode, reverse)
                kept = NumpyBackend().recurrent_scan(z, h0, c0, w, *biases, mask, mode, reverse)
                g = None if k and reverse else normal(dtype, steps, n, units)
                gh, gc = (
                    (None, None) if k else (normal(dtype, n, units), None if c0 is None else normal(dtype, n, units))
                )
                yield "recurrent_scan_backward", (g, gh, gc, h0, c0, w, *kept, mask, mode, reverse)


FAMILIES = {
    "softmax": softmaxes, "cross_entropy": cross_entropies, "layer_norm": layer_norms, "batch_norm": batch_norms,
    "pooling": pools, "convolution": convolutions, "draws": draws, "elementwise": elementwise, "scatter": scatters,
    "updates": updates, "recurrence": recurrences,
}  # fmt: skip

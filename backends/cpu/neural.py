"""The neural kernels of the CPU: where NumPy's or Numba's own way is faster than the portable body.

Every kernel here has the portable body's value (sums in another order). What it cannot take (float16, empty arrays)
goes to that body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.backends.cpu import (
    attention_kernels,
    conv_kernels,
    norm_kernels,
    pool_kernels,
    recurrent_kernels,
    softmax_kernels,
)
from autograd_core.backends.cpu.products import dot
from autograd_core.backends.cpu.selection import within
from autograd_core.backends.neural import NeuralKernels
from autograd_core.backends.neural_conv import _output_shape

Array = Any

_float32 = np.dtype("float32")
_float64 = np.dtype("float64")
_SMALL = 4096  # Up to here scalar exponentials beat several passes of NumPy's vectorised one (measured).


class CpuNeuralKernels(NeuralKernels):
    """Overrides in NumPy alone."""

    def linear(self, x: Array, w: Array, b: Array) -> Array:
        if x.dtype is not _float32 and x.dtype is not _float64:
            return super().linear(x, w, b)
        if x.ndim == 2:
            if x.shape[0] <= 16 and x.shape[1] >= 256 and b is not None:
                # Few rows: the transposed product is faster (10 x 784 x 30: 10.5 us against 13.5).
                return np.add(w.dot(x.T).T, b, order="C")
            y = dot(x, w.T)
        else:
            rows = 1
            for n in x.shape[:-1]:
                rows *= n
            y = dot(x.reshape(rows, x.shape[-1]), w.T).reshape(*x.shape[:-1], w.shape[0])
        if b is not None:
            y += b
        return y

    def linear_weight_grad(self, g: Array, x: Array) -> Array:
        if x.dtype is not _float32 and x.dtype is not _float64:
            return super().linear_weight_grad(g, x)
        if g.ndim != 2:
            rows = 1
            for n in g.shape[:-1]:
                rows *= n
            g, x = g.reshape(rows, g.shape[-1]), x.reshape(rows, x.shape[-1])
        return dot(g.T, x)

    def mse_loss(self, x: Array, y: Array) -> Array:
        if x.size and (x.dtype is _float32 or x.dtype is _float64):
            d = np.subtract(x, y).reshape(-1)
            return d.dot(d) / x.dtype.type(d.size)
        return super().mse_loss(x, y)


def install(backend: Any) -> None:
    """Put Numba's kernels before the portable ones of `backend`."""
    for function in (
        conv2d, conv2d_input_grad, conv2d_weight_grad, max_pool2d, max_pool2d_backward, batch_norm_stats, batch_norm,
        batch_norm_backward, layer_norm, layer_norm_backward, cross_entropy, cross_entropy_backward, embedding_backward,
        group_norm, group_norm_backward, softmax, softmax_backward, log_softmax, log_softmax_backward,
        recurrent_scan, recurrent_scan_backward, recurrent_scan_backward_, attention, attention_backward,
    ):  # fmt: skip
        setattr(backend, function.__name__, bound(function, backend))


def bound(function: Callable[..., Any], backend: Any) -> Callable[..., Any]:
    """`function` with the backend's portable kernel of its name as the first argument."""
    portable = getattr(type(backend), function.__name__).__get__(backend)

    def call(*args: Any) -> Any:
        return function(portable, *args)

    call.__name__ = function.__name__
    return call


# Each takes the portable kernel, then that kernel's arguments.


def conv2d(portable: Any, x: Array, w: Array, b: Array, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    if not conv_kernels.usable(x, w):
        return portable(x, w, b, stride, padding, dilation, groups)
    size = _output_shape(x.shape, w.shape[2:], stride, padding, dilation)
    return conv_kernels.forward(x, w, b, size, stride, padding, dilation, groups)


def conv2d_input_grad(
    portable: Any, g: Array, w: Array, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Array:
    gx = conv_kernels.input_grad(g, w, shape, stride, padding, dilation, groups) if conv_kernels.usable(g, w) else None
    return portable(g, w, shape, stride, padding, dilation, groups) if gx is None else gx


def conv2d_weight_grad(
    portable: Any, g: Array, x: Array, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Array:
    gw = conv_kernels.weight_grad(g, x, shape, stride, padding, dilation, groups) if conv_kernels.usable(g, x) else None
    return portable(g, x, shape, stride, padding, dilation, groups) if gw is None else gw


def max_pool2d(portable: Any, x: Array, *geometry: Any) -> Any:
    return (pool_kernels.forward if pool_kernels.usable(x) else portable)(x, *geometry)


def max_pool2d_backward(portable: Any, g: Array, place: Array, *geometry: Any) -> Array:
    return (pool_kernels.backward if pool_kernels.usable(g) else portable)(g, place, *geometry)


def batch_norm_stats(portable: Any, x: Array) -> tuple[Array, Array]:
    return (norm_kernels.batch_norm_stats if _has_channels(x) else portable)(x)


def batch_norm(
    portable: Any, x: Array, w: Array, b: Array, mean: Array, var: Array, eps: float, training: bool
) -> Array:
    if not (_has_channels(x) and _all_of(x.dtype, w, b, mean, var)):
        return portable(x, w, b, mean, var, eps, training)
    scale = _rstd(var, eps)
    return norm_kernels.batch_norm(x, scale if w is None else scale * w, mean, np.zeros_like(mean) if b is None else b)


def batch_norm_backward(
    portable: Any, g: Array, x: Array, w: Array, mean: Array, var: Array, eps: float, training: bool, wants: Any
) -> tuple[Any, Any, Any]:
    if not (_has_channels(x) and _all_of(x.dtype, g, w, mean, var)):
        return portable(g, x, w, mean, var, eps, training, wants)
    rstd = _rstd(var, eps)
    found = norm_kernels.batch_norm_backward(g, x, rstd if w is None else rstd * w, mean, rstd, training, wants[0])
    return tuple(gradient if wanted else None for gradient, wanted in zip(found, wants))  # type: ignore[return-value]


def _has_channels(x: Array) -> bool:
    return norm_kernels.usable(x) and x.ndim > 1


def _all_of(dtype: Any, *arrays: Array) -> bool:
    return all(a is None or a.dtype == dtype for a in arrays)


def _rstd(var: Array, eps: float) -> Array:
    return 1 / np.sqrt(var + eps)


def layer_norm(portable: Any, x: Array, w: Array, b: Array, dims: int, eps: float) -> Any:
    return (norm_kernels.layer_norm if norm_kernels.usable(x) else portable)(x, w, b, dims, eps)


def layer_norm_backward(
    portable: Any, g: Array, x: Array, w: Array, mean: Array, rstd: Array, dims: int, eps: float, wants: Any
) -> Any:
    if not norm_kernels.usable(x):
        return portable(g, x, w, mean, rstd, dims, eps, wants)
    return norm_kernels.layer_norm_backward(g, x, w, mean, rstd, dims, wants)


def group_norm(portable: Any, x: Array, w: Array, b: Array, groups: int, eps: float) -> Any:
    if not (norm_kernels.usable(x) and x.ndim > 2 and _all_of(x.dtype, w, b)):
        return portable(x, w, b, groups, eps)
    return norm_kernels.group_norm(x, w, b, groups, eps)


def group_norm_backward(
    portable: Any, g: Array, x: Array, w: Array, mean: Array, rstd: Array, groups: int, eps: float, wants: Any
) -> Any:
    if not (norm_kernels.usable(x) and x.ndim > 2 and _all_of(x.dtype, g, w, mean, rstd)):
        return portable(g, x, w, mean, rstd, groups, eps, wants)
    found = norm_kernels.group_norm_backward(g, x, w, mean, rstd, groups, wants[0])
    return tuple(gradient if wanted else None for gradient, wanted in zip(found, wants))


def cross_entropy(portable: Any, x: Array, target: Array, ignored: int) -> Any:
    if not _takes_rows(x) or not _in_range(target, x.shape[1], ignored):
        return portable(x, target, ignored)  # Raises, with the reason, for a class out of range.
    return softmax_kernels.cross_entropy(x, target, ignored)


def cross_entropy_backward(
    portable: Any, g: Array, x: Array, target: Array, logsum: Array, count: Array, ignored: int
) -> Array:
    run = softmax_kernels.cross_entropy_backward if _takes_rows(x) else portable
    return run(g, x, target, logsum, count, ignored)


def _in_range(target: Array, classes: int, ignored: int) -> bool:
    """Whether every class is one of `classes` or `ignored`."""
    if target.size == 0:
        return False
    if within(target, classes):
        return True
    return bool(((target == ignored) | ((target >= 0) & (target < classes))).all())


def _takes_rows(x: Array) -> bool:
    """Whether the rows' kernels are faster: in float64, whose exponential is the C library's, for few numbers."""
    return softmax_kernels.usable(1, x) and (x.dtype.char == "f" or x.size <= _SMALL)


def softmax(portable: Any, x: Array, axis: int) -> Array:
    return _rowwise("softmax", portable, axis, x)


def log_softmax(portable: Any, x: Array, axis: int) -> Array:
    return _rowwise("log_softmax", portable, axis, x)


def softmax_backward(portable: Any, g: Array, y: Array, axis: int) -> Array:
    return _rowwise("softmax_backward", portable, axis, g, y)


def log_softmax_backward(portable: Any, g: Array, y: Array, axis: int) -> Array:
    return _rowwise("log_softmax_backward", portable, axis, g, y)


def _rowwise(name: str, portable: Any, axis: int, *arrays: Array) -> Array:
    x = arrays[0]
    if softmax_kernels.usable(axis, *arrays) and (x.dtype.char == "f" or name == "softmax_backward"):
        return softmax_kernels.rowwise(name, *arrays)
    return portable(*arrays, axis)


def embedding_backward(portable: Any, g: Array, index: Array, rows: int, padding: int) -> Array:
    if g.dtype.char not in "fd" or not g.size:
        return portable(g, index, rows, padding)
    features = g.shape[-1]
    gw = np.zeros((rows, features), g.dtype)
    flat = np.ascontiguousarray(index).reshape(-1)
    norm_kernels.embedding_backward(np.ascontiguousarray(g).reshape(flat.size, features), flat, padding, gw)
    return gw


def recurrent_scan(portable: Any, z: Array, h0: Array, *rest: Any) -> tuple[Array, Array, Array]:
    return (recurrent_kernels.scan if recurrent_kernels.usable(z, h0) else portable)(z, h0, *rest)


def recurrent_scan_backward(portable: Any, g: Array, gh: Array, gc: Array, h0: Array, *rest: Any) -> Any:
    run = recurrent_kernels.scan_backward if recurrent_kernels.usable(h0, rest[2]) else portable
    return run(g, gh, gc, h0, *rest)


def recurrent_scan_backward_(portable: Any, g: Array, gh: Array, gc: Array, h0: Array, *rest: Any) -> Any:
    run: Any = recurrent_kernels.scan_backward
    if not recurrent_kernels.usable(h0, rest[2]):
        return portable(g, gh, gc, h0, *rest)
    return run(g, gh, gc, h0, *rest, over=True)


def attention(portable: Any, q: Array, k: Array, v: Array, *rest: Any) -> tuple[Array, Array]:
    return (attention_kernels.forward if attention_kernels.usable(q, k, v) else portable)(q, k, v, *rest)


def attention_backward(portable: Any, g: Array, q: Array, k: Array, v: Array, *rest: Any) -> Any:
    run = attention_kernels.backward if attention_kernels.usable(g, q, k, v) else portable
    return run(g, q, k, v, *rest)

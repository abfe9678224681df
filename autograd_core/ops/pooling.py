"""Pooling: maxima, means and power averages over windows of signals, images and volumes.

A maximum's place in its window is found once, in forward; gradients of any order then are linear maps that read
and write at those places. One-dimensional pooling is the two-dimensional one on images of height 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import pair, require_float, require_tensors
from autograd_core.ops.convolution import SIZES
from autograd_core.primitive import V, primitive, unary
from autograd_core.tensor import Tensor, wrap

_F: Any = V


def _declare_max(name: str) -> Any:
    """A maximum, its gradient, and the adjoint of that."""
    backward, pick = f"{name}_backward", f"{name}_pick"

    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        *geometry, _ = ctx.params
        return (getattr(F, backward)(g, ctx.saved[0], tuple(ctx.inputs[0].shape), *geometry),)

    def backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        place, _, *geometry = ctx.params
        return (getattr(F, pick)(g, place, *geometry),)

    def pick_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        place, *geometry = ctx.params
        return (getattr(F, backward)(g, place, tuple(ctx.inputs[0].shape), *geometry),)

    primitive(backward, backward_rule, inputs=1)
    primitive(pick, pick_rule, inputs=1)
    return primitive(name, rule, inputs=1, extras=1)


def _declare_avg(name: str) -> Any:
    """A mean and its gradient."""
    backward = f"{name}_backward"

    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        kernel, stride, padding, _, divisor = ctx.params
        return (getattr(F, backward)(g, tuple(ctx.inputs[0].shape), kernel, stride, padding, divisor),)

    def backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        _, kernel, stride, padding, divisor = ctx.params
        return (getattr(F, name)(g, kernel, stride, padding, tuple(ctx.inputs[0].shape[2:]), divisor),)

    unary(backward, backward_rule)
    return unary(name, rule)


_max_pool2d, _max_pool3d = _declare_max("max_pool2d"), _declare_max("max_pool3d")
_avg_pool2d, _avg_pool3d = _declare_avg("avg_pool2d"), _declare_avg("avg_pool3d")


def _size(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows stand along an axis of `n`; with `ceil_mode` the last must begin in input or left padding."""
    span = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1
    return count


def _geometry(
    name: str, dims: int, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Tensor, tuple[Any, ...]]:
    """The input as (N, C, H, W) or (N, C, D, H, W), and (kernel, stride, padding, dilation, size) as tuples."""
    if x.ndim not in (dims + 1, dims + 2):
        sizes = SIZES[dims]
        raise RuntimeError(f"{name}: expected input of shape (N, C, {sizes}) or (C, {sizes}), got {tuple(x.shape)}")
    if not x._data.size and 0 in x.shape[x.ndim - dims - 1 :]:
        raise RuntimeError(f"{name}: expected input with non-zero channels and sizes, got shape {tuple(x.shape)}")
    shape = tuple(x.shape)[x.ndim - dims :]
    try:
        geometry = _cached_windows(name, dims, shape, kernel, stride, padding, dilation, ceil_mode)
    except TypeError:  # A list, which cannot be looked up, or a mistake, which is told by its name.
        geometry = _windows(name, dims, shape, kernel, stride, padding, dilation, ceil_mode)
    if dims == 1:
        x = x.unsqueeze(-2)
    return (x if x.ndim == max(dims, 2) + 2 else x.unsqueeze(0)), geometry


def _windows(
    name: str, dims: int, shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Any, ...]:
    """(kernel, stride, padding, dilation, size) as tuples, for planes of `shape`."""
    k = pair(name, "kernel_size", kernel, 1, dims)
    s = k if stride is None or stride == () or stride == [] else pair(name, "stride", stride, 1, dims)
    p = pair(name, "padding", padding, 0, dims)
    d = pair(name, "dilation", dilation, 1, dims)
    for axis in range(dims):
        # As PyTorch has it: in three dimensions the kernel itself counts, not what it spans.
        if 2 * p[axis] > (k[axis] if dims == 3 else d[axis] * (k[axis] - 1) + 1):
            raise RuntimeError(
                f"{name}: pad should be at most half of effective kernel size, but got pad={p[axis]}, "
                f"kernel_size={k[axis]} and dilation={d[axis]}"
            )
    if dims == 1:
        k, s, p, d = (1, *k), (1, *s), (0, *p), (1, *d)
    n = shape if dims > 1 else (1, *shape)
    size = tuple(_size(n[a], k[a], s[a], p[a], d[a], ceil_mode) for a in range(len(k)))
    if min(size) < 1:
        raise RuntimeError(
            f"{name}: input of size {tuple(n[-dims:])} gives an output of size {size[-dims:]}: too small for "
            f"kernel_size={kernel}, stride={stride}, padding={padding}, dilation={dilation}"
        )
    return k, s, p, d, size


_cached_windows = lru_cache(maxsize=256, typed=True)(_windows)


def _restored(y: Tensor, x: Tensor, dims: int) -> Tensor:
    """What was computed on (N, C, ...) in the layout of the input `x`."""
    if dims == 1:
        y = y.squeeze(2)
    return y if x.ndim == dims + 2 else y.squeeze(0)


# -- maxima -----------------------------------------------------------------------------------------------


def max_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[n, c, i, j] = max over k, l of x[n, c, i s + k d - p, j s + l d - p].

    input: (N, C, H, W) or (C, H, W); `stride` is `kernel_size` unless given; `padding` is of minus infinity.
    `ceil_mode` lets the last window hang over the edge. With `return_indices` also the int64 place of each maximum in
    its flattened plane. The first of equal maxima gets the gradient. Raises `RuntimeError` where no window fits, or
    for padding of more than half a window.

    >>> import autograd_core as ag
    >>> ag.nn.functional.max_pool2d(ag.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _max("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d(
    input: Tensor,
    kernel_size: int | tuple[int],
    stride: int | tuple[int] | None = None,
    padding: int | tuple[int] = 0,
    dilation: int | tuple[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[n, c, i] = max over k of x[n, c, i s + k d - p]; input (N, C, L) or (C, L). See `max_pool2d`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.max_pool1d(ag.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    return _max("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] | None = None,
    padding: int | tuple[int, int, int] = 0,
    dilation: int | tuple[int, int, int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool2d` with a depth: input (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.functional.max_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), (1, 2, 2))
    tensor([[[[3.]],
    <BLANKLINE>
             [[7.]]]])
    """
    return _max("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max(
    name: str,
    dims: int,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil: bool,
    return_indices: bool,
) -> Any:
    require_tensors(name, input=x)
    if x.dtype is dtypes.bool_ or dims == 1:
        require_float(name, x)
    images, geometry = _geometry(name, dims, x, kernel, stride, padding, dilation, ceil)
    y = _restored((_max_pool3d if dims == 3 else _max_pool2d)(images, *geometry), x, dims)
    if not return_indices:
        return y
    backend = images._backend
    find = backend.max_pool3d if dims == 3 else backend.max_pool2d
    place_to_index = backend.max_pool3d_indices if dims == 3 else backend.max_pool2d_indices
    indices = place_to_index(find(images._data, *geometry)[1], images._data.shape, *geometry[:4])
    return y, _restored(wrap(indices, backend), x, dims)


# -- means ------------------------------------------------------------------------------------------------


def avg_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """y[n, c, i, j] = mean over k, l of x[n, c, i s + k - p, j s + l - p].

    input: (N, C, H, W) or (C, H, W); `stride` is `kernel_size` unless given; `padding` is of zeros, which the mean
    counts if `count_include_pad`; `divisor_override` replaces the count. Raises `RuntimeError` where no window fits,
    or for padding of more than half a window.

    >>> import autograd_core as ag
    >>> ag.nn.functional.avg_pool2d(ag.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    return _avg("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool1d(
    input: Tensor,
    kernel_size: int | tuple[int],
    stride: int | tuple[int] | None = None,
    padding: int | tuple[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """y[n, c, i] = mean over k of x[n, c, i s + k - p]; input (N, C, L) or (C, L). See `avg_pool2d`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.avg_pool1d(ag.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    return _avg("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool3d(
    input: Tensor,
    kernel_size: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] | None = None,
    padding: int | tuple[int, int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool2d` with a depth: input (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.functional.avg_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    return _avg("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg(
    name: str,
    dims: int,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil: bool,
    count_pad: bool,
    override: int | None,
) -> Tensor:
    if override is not None and (not isinstance(override, int) or override == 0):
        raise RuntimeError(f"{name}: divisor_override must be a nonzero int, got {override!r}")
    require_tensors(name, input=x)
    if x.dtype is not dtypes.int64:
        require_float(name, x)
    images, (k, s, p, _, size) = _geometry(name, dims, x, kernel, stride, padding, 1, ceil)
    n = images.shape[2:]
    if dims == 3 and any(a < b for a, b in zip(n, k)):
        raise RuntimeError(f"{name}: input of size {tuple(n)} is smaller than kernel_size={kernel}")
    divisor: Any = override
    if override is None:
        whole = all((size[a] - 1) * s[a] + k[a] <= n[a] + 2 * p[a] for a in range(len(k)))
        divisor = math.prod(k) if whole and (count_pad or not any(p)) else "padded" if count_pad else "inside"
    return _restored((_avg_pool3d if dims == 3 else _avg_pool2d)(images, k, s, p, size, divisor), x, dims)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: int | tuple[int],
    stride: int | tuple[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """y[n, c, i] = (sum over k of x[n, c, i s + k]^p)^(1 / p), p = norm_type; see `lp_pool2d`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.lp_pool1d(ag.tensor([[3.0, 4.0, 0.0, 2.0]]), 2, 2)
    tensor([[5., 2.]])
    """
    return _power("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """y[n, c, i, j] = (sum over k, l of x[n, c, i s + k, j s + l]^p)^(1 / p), p = norm_type.

    input: (N, C, H, W) or (C, H, W); `stride` is `kernel_size` unless given; `ceil_mode` lets the last window hang over
    the edge, its sum being scaled up to that of a whole window. p = 2 is the pooling of Sermanet, Chintala and LeCun,
    "Convolutional neural networks applied to house numbers digit classification", 2012. Where the sum is 0 so is the
    gradient. Raises `RuntimeError` where no window fits.

    >>> import autograd_core as ag
    >>> ag.nn.functional.lp_pool2d(ag.full((1, 2, 2), 3.0), 2, 2)
    tensor([[[6.]]])
    """
    return _power("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool2d` with a depth: input (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.functional.lp_pool3d(ag.ones(1, 2, 2, 2), 3, 2)
    tensor([[[[2.]]]])
    """
    return _power("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


def _power(name: str, dims: int, x: Tensor, p: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    require_float(name, x)
    if not isinstance(p, int | float) or p == 0:
        raise RuntimeError(f"{name}: norm_type must be a nonzero number, got {p!r}")
    count = 1
    for k in pair(name, "kernel_size", kernel_size, 1, dims):
        count *= k
    mean = _avg(name, dims, _F.pow(x, p), kernel_size, stride, 0, ceil_mode, True, None)
    # The root has no derivative at 0.
    zero = _F.eq(mean, 0)
    root = _F.pow(_F.mul(_F.where(zero, mean.new_ones(()), mean), count), 1 / p)
    return _F.where(zero, mean.new_zeros(()), root)


FUNCTIONS: tuple[str, ...] = ("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d")
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

"""Pooling: maxima and means over windows of images and signals.

A maximum's place in its window is found once, in forward; gradients of any order then are linear maps that read
and write at those places. One-dimensional pooling is the two-dimensional one on images of height 1.
"""

from __future__ import annotations

from typing import Any

from autograd_core.ops.checks import pair, require_float
from autograd_core.primitive import V, primitive, unary
from autograd_core.tensor import Tensor, wrap


def _max_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    *geometry, _ = ctx.params
    return (F.max_pool2d_backward(g, ctx.saved[0], tuple(ctx.inputs[0].shape), *geometry),)


def _max_backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    place, _, *geometry = ctx.params
    return (F.max_pool2d_pick(g, place, *geometry),)


def _pick_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    place, *geometry = ctx.params
    return (F.max_pool2d_backward(g, place, tuple(ctx.inputs[0].shape), *geometry),)


def _avg_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    kernel, stride, padding, _, divisor = ctx.params
    return (F.avg_pool2d_backward(g, tuple(ctx.inputs[0].shape), kernel, stride, padding, divisor),)


def _avg_backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    _, kernel, stride, padding, divisor = ctx.params
    return (F.avg_pool2d(g, kernel, stride, padding, tuple(ctx.inputs[0].shape[2:]), divisor),)


_max_pool2d = primitive("max_pool2d", _max_rule, inputs=1, extras=1)
max_pool2d_backward = primitive("max_pool2d_backward", _max_backward_rule, inputs=1)
max_pool2d_pick = primitive("max_pool2d_pick", _pick_rule, inputs=1)
_avg_pool2d = unary("avg_pool2d", _avg_rule)
avg_pool2d_backward = unary("avg_pool2d_backward", _avg_backward_rule)


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
    """The input as (N, C, H, W), and (kernel, stride, padding, dilation, size) as pairs."""
    require_float(name, x)
    if x.ndim not in (dims + 1, dims + 2):
        sizes = "L" if dims == 1 else "H, W"
        raise RuntimeError(f"{name}: expected input of shape (N, C, {sizes}) or (C, {sizes}), got {tuple(x.shape)}")
    k = pair(name, "kernel_size", kernel, 1, dims)
    s = k if stride is None or stride == () or stride == [] else pair(name, "stride", stride, 1, dims)
    p = pair(name, "padding", padding, 0, dims)
    d = pair(name, "dilation", dilation, 1, dims)
    for axis in range(dims):
        if 2 * p[axis] > d[axis] * (k[axis] - 1) + 1:
            raise RuntimeError(
                f"{name}: pad should be at most half of effective kernel size, but got pad={p[axis]}, "
                f"kernel_size={k[axis]} and dilation={d[axis]}"
            )
    if dims == 1:
        k, s, p, d = (1, *k), (1, *s), (0, *p), (1, *d)
        x = x.unsqueeze(-2)
    n = x.shape[-2:]
    size = tuple(_size(n[a], k[a], s[a], p[a], d[a], ceil_mode) for a in (0, 1))
    if min(size) < 1:
        raise RuntimeError(
            f"{name}: input of size {tuple(n[2 - dims :])} gives an output of size {size[2 - dims :]}: too small for "
            f"kernel_size={kernel}, stride={stride}, padding={padding}, dilation={dilation}"
        )
    return (x if x.ndim == 4 else x.unsqueeze(0)), (k, s, p, d, size)


def _restored(y: Tensor, x: Tensor, dims: int) -> Tensor:
    """(N, C, rows, columns) in the layout of the input `x`."""
    if dims == 1:
        y = y.squeeze(2)
    return y if x.ndim == dims + 2 else y.squeeze(0)  # type: ignore[no-any-return]


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
    images, geometry = _geometry(name, dims, x, kernel, stride, padding, dilation, ceil)
    y = _restored(_max_pool2d(images, *geometry), x, dims)
    if not return_indices:
        return y
    backend = images._backend
    _, place = backend.max_pool2d(images._data, *geometry)
    indices = backend.max_pool2d_indices(place, images._data.shape, *geometry[:4])
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
    images, (k, s, p, _, size) = _geometry(name, dims, x, kernel, stride, padding, 1, ceil)
    n = images.shape[2:]
    divisor: Any = override
    if override is None:
        whole = all((size[a] - 1) * s[a] + k[a] <= n[a] + 2 * p[a] for a in (0, 1))
        divisor = k[0] * k[1] if whole and (count_pad or p == (0, 0)) else "padded" if count_pad else "inside"
    return _restored(_avg_pool2d(images, k, s, p, size, divisor), x, dims)


def adaptive_avg_pool2d(input: Tensor, output_size: int | None | tuple[int | None, int | None]) -> Tensor:
    """Means over a grid of OH x OW bins: bin i covers rows floor(i H / OH) to ceil((i + 1) H / OH) - 1.

    input: (N, C, H, W) or (C, H, W). None in `output_size` keeps the input's size.

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_avg_pool2d(ag.arange(4.0).reshape(1, 2, 2), 1)
    tensor([[[1.5000]]])
    """
    sizes = output_size if isinstance(output_size, list | tuple) else (output_size, output_size)
    return _adaptive("adaptive_avg_pool2d", 2, input, sizes)


def adaptive_avg_pool1d(input: Tensor, output_size: int | tuple[int]) -> Tensor:
    """Means over OL bins: bin i covers floor(i L / OL) to ceil((i + 1) L / OL) - 1; input (N, C, L) or (C, L).

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_avg_pool1d(ag.tensor([[1.0, 3.0, 5.0]]), 2)
    tensor([[2., 4.]])
    """
    return _adaptive(
        "adaptive_avg_pool1d", 1, input, output_size if isinstance(output_size, list | tuple) else (output_size,)
    )


def _adaptive(name: str, dims: int, x: Tensor, sizes: Any) -> Tensor:
    require_float(name, x)
    if x.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}: expected a tensor of {dims + 1} or {dims + 2} dimensions, got shape {tuple(x.shape)}"
        )
    n = tuple(x.shape[-dims:])
    if len(sizes) != dims or not all(s is None or (isinstance(s, int) and s >= 0) for s in sizes):
        raise RuntimeError(f"{name}: output_size must be {dims} nonnegative ints, got {sizes!r}")
    bins = tuple(size if b is None else b for b, size in zip(sizes, n))
    if 0 in n:
        raise RuntimeError(
            f"{name}: expected input with non-zero size in its last dimensions, got shape {tuple(x.shape)}"
        )
    if all(b == 1 for b in bins):
        return V.mean(x, tuple(range(x.ndim - dims, x.ndim)), True)  # type: ignore[no-any-return,attr-defined]
    if all(b and size % b == 0 for b, size in zip(bins, n)):
        kernel = tuple(size // b for b, size in zip(bins, n))
        return _avg(name, dims, x, kernel, None, 0, False, True, None)
    # The mean over bins of an axis is a product with a constant matrix.
    backend, native = x._backend, x._data.dtype
    y = V.matmul(x, wrap(backend.averaging_matrix(n[-1], bins[-1], native), backend).mT)  # type: ignore[attr-defined]
    if dims == 2:
        y = V.matmul(wrap(backend.averaging_matrix(n[0], bins[0], native), backend), y)  # type: ignore[attr-defined]
    return y  # type: ignore[no-any-return]


FUNCTIONS: tuple[str, ...] = ("max_pool1d", "max_pool2d", "avg_pool1d", "adaptive_avg_pool1d")
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

"""Convolutions in one, two and three dimensions, and their transposes.

A convolution is linear in its input and in its weight; the gradient by either is a primitive of its own, and the three
are one another's gradients. One-dimensional convolution is the two-dimensional one on images of height 1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import alike, pair, require_alike, require_float
from autograd_core.ops.padding import pad
from autograd_core.primitive import V, primitive
from autograd_core.tensor import Tensor

Shape = tuple[int, ...]

SIZES = {1: "L", 2: "H, W", 3: "D, H, W"}  # How messages write the spatial dimensions.


def _declare(name: str) -> Any:
    """A convolution and its gradients by input and by weight."""
    by_input, by_weight = f"{name}_input_grad", f"{name}_weight_grad"

    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        x, w = ctx.saved
        ex, ew, eb = ctx.inputs
        return (
            None if ex is None else getattr(F, by_input)(g, w, tuple(ex.shape), *ctx.params),
            None if ew is None else getattr(F, by_weight)(g, x, tuple(ew.shape), *ctx.params),
            None if eb is None else F.sum(g, (0, *range(2, len(g.shape))), False),
        )

    def input_grad_rule(F: Any, c: Any, ctx: Any) -> tuple[Any, ...]:
        g, w = ctx.saved
        eg, ew = ctx.inputs
        geometry = ctx.params[1:]
        return (
            None if eg is None else getattr(F, name)(c, w, None, *geometry),
            None if ew is None else getattr(F, by_weight)(g, c, tuple(ew.shape), *geometry),
        )

    def weight_grad_rule(F: Any, c: Any, ctx: Any) -> tuple[Any, ...]:
        g, x = ctx.saved
        eg, ex = ctx.inputs
        geometry = ctx.params[1:]
        return (
            None if eg is None else getattr(F, name)(x, c, None, *geometry),
            None if ex is None else getattr(F, by_input)(g, c, tuple(ex.shape), *geometry),
        )

    primitive(by_input, input_grad_rule, inputs=2, saves=(0, 1))
    primitive(by_weight, weight_grad_rule, inputs=2, saves=(0, 1))
    return primitive(name, rule, inputs=3, saves=(0, 1))


_conv2d = _declare("conv2d")
_conv3d = _declare("conv3d")


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, o, i, j] = b[o] + sum over c, k, l of w[o, c, k, l] x[n, c, i s + k d - p, j s + l d - p]
    (cross-correlation).

    input: (N, C, H, W) or (C, H, W); weight: (O, C / groups, KH, KW); bias: (O,). `padding` in elements of zero on each
    side, or 'valid' (none) or 'same' (as much as keeps the size; stride 1 only). Channels are split into `groups`
    that do not see each other. Returns (N, O, OH, OW) with OH = floor((H + 2p - d (KH - 1) - 1) / s) + 1.
    Raises `RuntimeError` if shapes, dtypes or devices do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.conv2d(ag.ones(1, 1, 3, 3), ag.ones(1, 1, 2, 2), stride=2)
    tensor([[[[4.]]]])
    """
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, o, i] = b[o] + sum over c, k of w[o, c, k] x[n, c, i s + k d - p]; see `conv2d`.

    input: (N, C, L) or (C, L); weight: (O, C / groups, K); bias: (O,). Returns (N, O, OL).

    >>> import autograd_core as ag
    >>> ag.nn.functional.conv1d(ag.tensor([[1.0, 2.0, 3.0]]), ag.ones(1, 1, 2))
    tensor([[3., 5.]])
    """
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int, int] = 1,
    padding: int | tuple[int, int, int] | str = 0,
    dilation: int | tuple[int, int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """`conv2d` with one more sum, over the depth.

    input: (N, C, D, H, W) or (C, D, H, W); weight: (O, C / groups, KD, KH, KW); bias: (O,). Returns
    (N, O, OD, OH, OW).

    >>> import autograd_core as ag
    >>> ag.nn.functional.conv3d(ag.ones(1, 3, 3, 3), ag.ones(1, 1, 2, 2, 2), stride=2)
    tensor([[[[8.]]]])
    """
    return _convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _convolve(
    name: str, dims: int, x: Tensor, w: Tensor, b: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    if not alike(x, w, b):
        _check_types(name, x, w, b)
    given = (name, dims, x._data.shape, w._data.shape, None if b is None else b._data.shape)
    try:
        stride, dilation, sides = _cached_geometry(*given, stride, padding, dilation, groups)
    except TypeError:  # A list, which cannot be looked up, or a mistake, which is told by its name.
        stride, dilation, sides = _geometry(*given, stride, padding, dilation, groups)
    is_batch = x._data.ndim == dims + 2
    batched = x if is_batch else x.unsqueeze(0)
    if dims == 1:
        batched, w = batched.unsqueeze(2), w.unsqueeze(2)
        stride, dilation, sides = (1, *stride), (1, *dilation), (0, 0, *sides)
    y = (_conv3d if dims == 3 else _conv2d)(batched, w, b, stride, sides, dilation, groups)
    if dims == 1:
        y = y.squeeze(2)
    return y if is_batch else y.squeeze(0)


def _geometry(
    name: str, dims: int, x: Shape, w: Shape, b: Shape | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> tuple[Any, Any, Any]:
    """Stride, dilation and padding on each side, axis by axis; for shapes that fit."""
    kernel = w[2:]
    stride = pair(name, "stride", stride, 1, dims)
    dilation = pair(name, "dilation", dilation, 1, dims)
    sides = _sides(name, dims, padding, kernel, stride, dilation)
    _check_shapes(name, dims, x, w, w[:1], b, groups)
    channels = x[len(x) - dims - 1]
    if w[1] * groups != channels:
        raise RuntimeError(
            f"{name}: given groups={groups} and weight of shape {w}, expected input of shape {x} to have "
            f"{w[1] * groups} channels, got {channels} channels instead"
            + ("; if the first dimension counts images, use unsqueeze(1)" if w[1] * groups == 1 else "")
        )
    if w[0] % groups:
        raise RuntimeError(f"{name}: the {w[0]} output channels of the weight are not divisible by groups={groups}")
    padded = tuple(size + sides[2 * axis] + sides[2 * axis + 1] for axis, size in enumerate(x[len(x) - dims :]))
    if any(size < d * (k - 1) + 1 for size, d, k in zip(padded, dilation, kernel)):
        raise RuntimeError(
            f"{name}: padded input size per channel {padded} is smaller than the kernel {kernel} with "
            f"dilation {dilation}; use a smaller kernel, or more padding"
        )
    return stride, dilation, sides


# A layer meets the same shapes again and again.
_cached_geometry = lru_cache(maxsize=1024, typed=True)(_geometry)


def _check_types(name: str, x: Tensor, w: Tensor, b: Tensor | None) -> None:
    for argument, t in (("input", x), ("weight", w)):
        if t is None:
            raise TypeError(f"{name}: argument {argument!r} must be a Tensor, got NoneType")
    if require_alike(name, input=x, weight=w, bias=b).dtype is not dtypes.int64:
        require_float(name, x)


def _check_shapes(name: str, dims: int, x: Shape, w: Shape, out: Shape, b: Shape | None, groups: int) -> None:
    sizes = SIZES[dims]
    if len(w) != dims + 2:
        raise RuntimeError(f"{name}: expected a weight of {dims + 2} dimensions, got shape {w}")
    if len(x) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}: expected input of shape (N, C, {sizes}) or (C, {sizes}), got {x}; use unsqueeze() or reshape()"
        )
    if isinstance(groups, int) and w[0] < groups or 0 in w[2:] or (len(out) and not out[0]):
        raise RuntimeError(
            f"{name}: expected a weight with an output channel for each of {groups} groups and a kernel of at least 1 "
            f"in each dimension, got shape {w}"
        )
    if 0 in x[-dims:]:
        raise RuntimeError(f"{name}: only the batch and the channels of the input may be empty, got shape {x}")
    if not isinstance(groups, int) or groups < 1:
        raise RuntimeError(f"{name}: groups must be a positive int, got {groups!r}")
    if b is not None and b != out:
        raise RuntimeError(f"{name}: bias of shape {b}, expected {out} for a weight of {w}")


def _sides(name: str, dims: int, padding: Any, kernel: Any, stride: Any, dilation: Any) -> tuple[int, ...]:
    """Padding before and after, axis by axis."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0) * dims
        if padding != "same":
            raise RuntimeError(f"{name}: padding must be 'valid', 'same', an int or ints, got {padding!r}")
        if any(s != 1 for s in stride):
            raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions, got stride {stride}")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return tuple(side for total in totals for side in (total // 2, total - total // 2))
    return tuple(side for p in pair(name, "padding", padding, 0, dims) for side in (p, p))


# -- transposed -------------------------------------------------------------------------------------------


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    output_padding: int | tuple[int, int] = 0,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """The adjoint of `conv2d` as a map of images: each input element spreads the kernel, times itself, over the output.

    input: (N, C, H, W) or (C, H, W); weight: (C, O / groups, KH, KW); bias: (O,). Returns (N, O, OH, OW) with
    OH = (H - 1) s - 2 p + d (KH - 1) + output_padding + 1. Raises `RuntimeError` if shapes, dtypes or devices do not
    fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.conv_transpose2d(ag.ones(1, 1, 1, 1), ag.ones(1, 1, 2, 2))
    tensor([[[[1., 1.],
              [1., 1.]]]])
    """
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] = 0,
    output_padding: int | tuple[int] = 0,
    groups: int = 1,
    dilation: int | tuple[int] = 1,
) -> Tensor:
    """The adjoint of `conv1d`; see `conv_transpose2d`.

    input: (N, C, L) or (C, L); weight: (C, O / groups, K); bias: (O,). Returns (N, O, OL).

    >>> import autograd_core as ag
    >>> ag.nn.functional.conv_transpose1d(ag.tensor([[1.0, 2.0]]), ag.ones(1, 1, 2))
    tensor([[1., 3., 2.]])
    """
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int, int] = 1,
    padding: int | tuple[int, int, int] = 0,
    output_padding: int | tuple[int, int, int] = 0,
    groups: int = 1,
    dilation: int | tuple[int, int, int] = 1,
) -> Tensor:
    """The adjoint of `conv3d`; see `conv_transpose2d`.

    input: (N, C, D, H, W) or (C, D, H, W); weight: (C, O / groups, KD, KH, KW); bias: (O,). Returns
    (N, O, OD, OH, OW).

    >>> import autograd_core as ag
    >>> ag.nn.functional.conv_transpose3d(ag.ones(1, 1, 1, 1), ag.ones(1, 1, 1, 2, 2))
    tensor([[[[1., 1.],
              [1., 1.]]]])
    """
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _transposed(
    name: str,
    dims: int,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Any,
    padding: Any,
    extra: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    _check_types(name, x, w, b)
    stride = pair(name, "stride", stride, 1, dims)
    dilation = pair(name, "dilation", dilation, 1, dims)
    padding = pair(name, "padding", padding, 0, dims)
    extra = pair(name, "output_padding", extra, 0, dims)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            f"{name}: output padding must be smaller than either stride or dilation, got output_padding {extra}, "
            f"stride {stride}, dilation {dilation}"
        )
    out = (w.shape[1] * groups,) if w.ndim > 1 else ()
    _check_shapes(name, dims, x._data.shape, w._data.shape, out, None if b is None else b._data.shape, groups)
    channels = x.shape[x.ndim - dims - 1]
    if w.shape[0] != channels or channels % groups:
        raise RuntimeError(
            f"{name}: input of shape {tuple(x.shape)} has {channels} channels; expected {w.shape[0]}, the first size "
            "of the "
            f"weight {tuple(w.shape)}, and a multiple of groups={groups}"
        )
    sizes = tuple(
        (x.shape[x.ndim - dims + a] - 1) * stride[a]
        - 2 * padding[a]
        + dilation[a] * (w.shape[2 + a] - 1)
        + extra[a]
        + 1
        for a in range(dims)
    )
    if min(sizes) < 1:
        raise RuntimeError(f"{name}: the output would have size {sizes} for input {tuple(x.shape)}; use less padding")
    sides = tuple(side for p in padding for side in (p, p))
    tails = (0,) * dims
    if any(e >= s for e, s in zip(extra, stride)):
        # One more window would fit into the output: what lies beyond the last is appended.
        sides = tuple(side for p, e in zip(padding, extra) for side in (p, max(p - e, 0)))
        tails = tuple(max(e - p, 0) for p, e in zip(padding, extra))
        sizes = tuple(size - tail for size, tail in zip(sizes, tails))
    batched = x if x.ndim == dims + 2 else x.unsqueeze(0)
    if dims == 1:
        batched, w = batched.unsqueeze(2), w.unsqueeze(2)
        stride, dilation, sides, sizes, tails = (1, *stride), (1, *dilation), (0, 0, *sides), (1, *sizes), (0, *tails)
    shape = (batched.shape[0], w.shape[1] * groups, *sizes)
    adjoint = V.conv3d_input_grad if dims == 3 else V.conv2d_input_grad
    y = adjoint(batched, w, shape, stride, sides, dilation, groups)
    if any(tails):
        y = pad(y, [side for tail in reversed(tails) for side in (0, tail)])
    if b is not None:
        y = y + b.reshape(-1, *(1,) * len(sizes))
    if dims == 1:
        y = y.squeeze(2)
    return y if x.ndim == dims + 2 else y.squeeze(0)


FUNCTIONS: tuple[str, ...] = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

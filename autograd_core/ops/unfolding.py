"""Images as the columns of their windows, and back; channels in another order."""

from __future__ import annotations

import math
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import pair, require_float, require_tensors
from autograd_core.primitive import V, unary
from autograd_core.tensor import Tensor

_F: Any = V


def _unfold_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.col2im(g, tuple(ctx.inputs[0].shape), *ctx.params),)


def _fold_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.im2col(g, *ctx.params[1:]),)


_im2col = unary("im2col", _unfold_rule)
_col2im = unary("col2im", _fold_rule)


def unfold(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    dilation: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    stride: int | tuple[int, int] = 1,
) -> Tensor:
    """The windows of images as columns: y[n, (c, k, l), (i, j)] = x[n, c, i s + k d - p, j s + l d - p].

    input: (N, C, H, W) or (C, H, W). Returns (N, C KH KW, L), L the number of windows, row by row. Raises
    `RuntimeError` where no window fits, `NotImplementedError` for numbers that are neither floating-point nor bool.

    >>> import autograd_core as ag
    >>> ag.nn.functional.unfold(ag.arange(6.0).reshape(1, 1, 2, 3), 2)
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    require_tensors("unfold", input=input)
    if input.dtype is not dtypes.bool_:
        require_float("unfold", input)
    geometry, _ = _geometry("unfold", kernel_size, dilation, padding, stride)
    if input.ndim not in (3, 4) or 0 in input.shape[input.ndim - 3 :]:
        raise RuntimeError(
            f"unfold: expected input of shape (N, C, H, W) or (C, H, W), of which only N may be 0, got "
            f"{tuple(input.shape)}"
        )
    _windows("unfold", tuple(input.shape[-2:]), *geometry)
    if input.ndim == 3:
        return _im2col(input.unsqueeze(0), *geometry).squeeze(0)
    return _im2col(input, *geometry)


def fold(
    input: Tensor,
    output_size: int | tuple[int, int],
    kernel_size: int | tuple[int, int],
    dilation: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    stride: int | tuple[int, int] = 1,
) -> Tensor:
    """The adjoint of `unfold`: each pixel is the sum of its values in all windows that hold it.

    input: (N, C KH KW, L) or (C KH KW, L) with L the number of windows in images of `output_size` (H, W). Returns
    (N, C, H, W). Raises `RuntimeError` for sizes that do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.fold(ag.ones(1, 4, 2), (2, 3), 2)
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    require_tensors("fold", input=input)
    if input.dtype is not dtypes.bool_:
        require_float("fold", input)
    geometry, kernel = _geometry("fold", kernel_size, dilation, padding, stride)
    height, width = pair("fold", "output_size", output_size, 1)
    inner = math.prod(kernel)
    if input.ndim not in (2, 3) or 0 in input.shape[input.ndim - 2 :]:
        raise RuntimeError(
            f"fold: expected input of shape (N, C KH KW, L) or (C KH KW, L), of which only N may be 0, got "
            f"{tuple(input.shape)}"
        )
    if input.shape[-2] % inner:
        raise RuntimeError(
            f"fold: expected the size of input's dimension {input.ndim - 2} to be divisible by the {inner} elements of "
            f"kernel_size={kernel}, got shape {tuple(input.shape)}"
        )
    count = math.prod(_windows("fold", (height, width), *geometry))
    if input.shape[-1] != count:
        raise RuntimeError(
            f"fold: output_size={(height, width)} with kernel_size={kernel}, dilation={dilation}, padding={padding}, "
            f"stride={stride} has {count} windows, but the last size of input {tuple(input.shape)} is "
            f"{input.shape[-1]}"
        )
    columns = input if input.ndim == 3 else input.unsqueeze(0)
    y = _col2im(columns, (columns.shape[0], columns.shape[1] // inner, height, width), *geometry)
    return y if input.ndim == 3 else y.squeeze(0)


def _geometry(name: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """(kernel, stride, sides, dilation) as the kernels take them, and the kernel's size."""
    kernel = pair(name, "kernel_size", kernel_size, 1)
    rows, columns = pair(name, "padding", padding, 0)
    sides = (rows, rows, columns, columns)
    return (kernel, pair(name, "stride", stride, 1), sides, pair(name, "dilation", dilation, 1)), kernel


def _windows(name: str, image: Any, kernel: Any, stride: Any, sides: Any, dilation: Any) -> tuple[int, ...]:
    """How many windows stand in rows and in columns."""
    counts = tuple((image[a] + 2 * sides[2 * a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in (0, 1))
    if min(counts) < 1:
        raise RuntimeError(
            f"{name}: no window of kernel_size={kernel} with dilation={dilation} fits images of {image} with "
            f"padding={sides[::2]}: their numbers would be {counts}"
        )
    return counts


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels dealt out anew: the channels of (N, C, ...) as `groups` rows, read column by column.

    Zhang et al., "ShuffleNet", 2018. Raises `RuntimeError` unless `groups` divides the channels.

    >>> import autograd_core as ag
    >>> ag.nn.functional.channel_shuffle(ag.arange(6).reshape(1, 6, 1), 2).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """
    require_tensors("channel_shuffle", input=input)
    if input.ndim < 3:
        raise RuntimeError(
            f"channel_shuffle: expected input of at least 3 dimensions (N, C, ...), got shape {tuple(input.shape)}"
        )
    if not isinstance(groups, int) or groups < 1 or input.shape[1] % groups:
        raise RuntimeError(
            f"channel_shuffle: the number of channels must be divisible by groups, a positive int; got groups={groups} "
            f"for input of shape {tuple(input.shape)}"
        )
    n, c = input.shape[:2]
    rows = input.reshape(n, groups, c // groups, *input.shape[2:])
    return rows.transpose(1, 2).reshape(input.shape)


FUNCTIONS: tuple[str, ...] = ("channel_shuffle",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

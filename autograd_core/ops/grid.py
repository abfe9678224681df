"""Images and volumes looked at through a grid of positions: spatial transformers.

Source: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.interop import tensor as make_tensor
from autograd_core.ops.checks import require_same, require_tensors
from autograd_core.ops.creation import arange, zeros
from autograd_core.ops.joining import stack
from autograd_core.ops.resampling import _cubic
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V
_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The positions in [-1, 1] at which `grid_sample` makes the affine map `theta` of an image of `size`.

    theta: (N, 2, 3) for size (N, C, H, W), or (N, 3, 4) for (N, C, D, H, W). Returns (N, H, W, 2) or
    (N, D, H, W, 3), x first. `align_corners` (False unless given): -1 and 1 are the centres of the border's pixels
    rather than their outer edges. Raises `ValueError` for a theta or sizes that do not fit, `NotImplementedError` for
    a size of another length.

    >>> import autograd_core as ag
    >>> theta = ag.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> ag.nn.functional.affine_grid(theta, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    require_tensors("affine_grid", theta=theta)
    if theta._data.dtype.kind != "f":
        raise ValueError(f"affine_grid: expected theta of floating-point dtype, got {theta.dtype}")
    sizes = tuple(size)
    if len(sizes) not in (4, 5):
        raise NotImplementedError(f"affine_grid: expected size (N, C, H, W) or (N, C, D, H, W), got {sizes}")
    dims = len(sizes) - 2
    if tuple(theta.shape[1:]) != (dims, dims + 1) or theta.ndim != 3 or theta.shape[0] != sizes[0]:
        raise ValueError(
            f"affine_grid: expected theta of shape ({sizes[0]}, {dims}, {dims + 1}) for size {sizes}, got "
            f"{tuple(theta.shape)}"
        )
    if min(sizes) <= 0:
        raise ValueError(f"affine_grid: expected non-zero, positive sizes, got {sizes}")
    align_corners = _aligned("affine_grid", align_corners)
    shape = sizes[2:]
    axes = []
    for i, n in enumerate(shape):
        # Pixel centres, from -1 to 1 for the outer ones' centres or for their edges.
        reach = float(n - 1) if align_corners else float(n)
        values = [(2 * k - (n - 1)) / reach if reach else 0.0 for k in range(n)]
        column = make_tensor(values, dtype=theta.dtype, device=theta.device).reshape((n,) + (1,) * (dims - 1 - i))
        axes.append(column.expand(shape))
    axes.reverse()
    base = stack([*axes, _F.fill(axes[0], 1.0)], -1).reshape(1, -1, dims + 1)
    grid = base.expand(sizes[0], -1, -1) @ theta.transpose(1, 2)
    return grid.reshape(sizes[0], *shape, dims)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The values of `input` at the positions in `grid`, interpolated.

    input: (N, C, H, W) and grid (N, H', W', 2), or (N, C, D, H, W) and (N, D', H', W', 3); positions in [-1, 1], x
    (along W) first. mode: 'bilinear' (trilinear for volumes), 'nearest', 'bicubic' (images only; Keys, 1981, with
    a = -0.75). padding_mode: positions outside give 'zeros', the value at the 'border', or that of the 'reflection' at
    it. `align_corners` (False unless given): see `affine_grid`. Returns (N, C, H', W') or (N, C, D', H', W').
    Raises `ValueError` for an unknown mode, `RuntimeError` for shapes, dtypes or devices that do not fit.

    >>> import autograd_core as ag
    >>> image = ag.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> ag.nn.functional.grid_sample(image, ag.zeros(1, 1, 1, 2), align_corners=False)
    tensor([[[[2.5000]]]])
    """
    name = "grid_sample"
    if mode not in _MODES:
        raise ValueError(f"{name}: expected mode to be one of {', '.join(_MODES)}, got {mode!r}")
    if padding_mode not in _PADDINGS:
        raise ValueError(f"{name}: expected padding_mode to be one of {', '.join(_PADDINGS)}, got {padding_mode!r}")
    align_corners = _aligned(name, align_corners)
    require_same(name, input=input, grid=grid)
    dims = input.ndim - 2
    shapes = f"input {tuple(input.shape)} and grid {tuple(grid.shape)}"
    if dims not in (2, 3) or grid.ndim != input.ndim or grid.shape[0] != input.shape[0] or grid.shape[-1] != dims:
        raise RuntimeError(
            f"{name}: expected input (N, C, H, W) and grid (N, H', W', 2), or input (N, C, D, H, W) and grid "
            f"(N, D', H', W', 3), got {shapes}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(f"{name}: expected an input of non-empty spatial dimensions, got {shapes}")
    if mode == "bicubic" and dims != 2:
        raise RuntimeError(f"{name}: bicubic interpolation only supports 4-D input, got {shapes}")
    if input._data.dtype.itemsize < 4:
        wide = dtypes.float32.native
        sampled = _sample(_F.cast(input, wide), _F.cast(grid, wide), mode, padding_mode, align_corners)
        return _F.cast(sampled, input._data.dtype)
    return _sample(input, grid, mode, padding_mode, align_corners)


def _aligned(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(f"{name}: align_corners is not given, and taken to be False", stacklevel=3)
    return bool(align_corners)


def _sample(input: Tensor, grid: Tensor, mode: str, padding: str, aligned: bool) -> Tensor:
    """A weighted sum of look-ups in a table with a row a pixel, and one more row, of zeros, for those outside."""
    n, channels, *sizes = input.shape
    shape = tuple(grid.shape[1:-1])
    pixels = input.permute(0, *range(2, input.ndim), 1).reshape(-1, channels)
    blank = zeros(1, channels, dtype=input.dtype, device=input.device)
    table = _F.cat((pixels, blank), 0)
    image = arange(n, device=input.device).reshape((n,) + (1,) * len(shape))
    positions = []
    for i, size in enumerate(sizes):  # The grid has x, the last axis, first.
        x = grid.select(-1, len(sizes) - 1 - i)
        x = ((x + 1) * ((size - 1) / 2)) if aligned else ((x + 1) * size - 1) / 2
        positions.append(x if mode == "bicubic" else _bounded(x, size, padding, aligned))
    along = _TAPS[mode]
    total: Any = None
    for choice in itertools.product(*(along(x) for x in positions)):
        row: Any = image
        weight: Any = None
        inside: Any = None
        for (index, share), size in zip(choice, sizes):
            if mode == "bicubic":
                index = _bounded(index, size, padding, aligned)
            valid = _F.logical_and(_F.ge(index, 0), _F.le(index, size - 1))
            inside = valid if inside is None else _F.logical_and(inside, valid)
            safe = _F.cast(_F.where(valid, index, _F.fill(index, 0.0)), dtypes.int64.native)
            row = row * size + safe
            if share is not None:
                weight = share if weight is None else _F.mul(weight, share)
        row = _F.where(inside, row, _F.fill(row, pixels.shape[0]))
        part = _F.embedding(table, row, -1)
        if weight is not None:
            part = _F.mul(part, weight.unsqueeze(-1))
        total = part if total is None else _F.add(total, part)
    if mode == "nearest":
        # The grid has a gradient, which is zero.
        total = _F.add(total, _F.fill(positions[0], 0.0).unsqueeze(-1))
    return total.permute(0, total.ndim - 1, *range(1, total.ndim - 1))


def _bounded(x: Tensor, size: int, padding: str, aligned: bool) -> Tensor:
    """Positions counted in pixels, brought inside [0, size - 1] as `padding` says. On the border they have gradient
    0. As in PyTorch, what is no number counts as the lower one."""
    if padding == "zeros":
        return x
    if padding == "reflection":
        low, high = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
        span = high - low
        if span == 0:
            return _F.mul(x, 0.0)
        distance = x - low
        distance = _F.where(_F.lt(distance, 0), _F.neg(distance), distance)
        extra = _F.fmod(distance, span)
        odd = _F.ne(_F.remainder(_F.floor(_F.div(distance.detach(), span)), 2), 0)
        x = _F.where(odd, _F.sub(span, extra), extra) + low
    inside = _F.where(_F.lt(x, size - 1), x, _F.fill(x, float(size - 1)))
    return _F.where(_F.gt(x, 0), inside, _F.fill(x, 0.0))


# -- one axis: where to look, and with which weight --------------------------------------------------------


def _nearest(x: Tensor) -> list[tuple[Any, Any]]:
    return [(_F.round(x.detach()), None)]


def _linear(x: Tensor) -> list[tuple[Any, Any]]:
    low = _F.floor(x.detach())
    share = _F.sub(x, low)
    return [(low, _F.sub(1.0, share)), (_F.add(low, 1.0), share)]


def _bicubic(x: Tensor) -> list[tuple[Any, Any]]:
    low = _F.floor(x.detach())
    return [(_F.add(low, float(k - 1)), w) for k, w in enumerate(_cubic(_F.sub(x, low)))]


_TAPS: dict[str, Callable[[Tensor], list[tuple[Any, Any]]]] = {
    "bilinear": _linear,
    "nearest": _nearest,
    "bicubic": _bicubic,
}

FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

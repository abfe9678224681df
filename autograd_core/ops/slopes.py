"""Numerical gradients along a grid, slices brought to a norm, and reducing writes by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.joining import cat
from autograd_core.ops.reductions import norm
from autograd_core.ops.selection import scatter_reduce
from autograd_core.tensor import Tensor


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The partial derivatives of the function whose values on a grid are `input`, one tensor a dimension of `dim`.

    Second-order central differences inside (Fornberg, "Generation of finite difference formulas on arbitrarily spaced
    grids", 1988), differences of `edge_order` (1 or 2) at the ends. spacing: the distance of the points (of all
    dimensions, or one each), or their coordinates, a vector a dimension.

    >>> import autograd_core as ag
    >>> ag.gradient(ag.tensor([1.0, 4.0, 9.0]))
    (tensor([3., 4., 5.]),)
    """
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    spacing = 1 if spacing is None else spacing
    if isinstance(dim, int):
        axes = [input._dim(dim)]
    elif dim is None:
        several = isinstance(spacing, list | tuple)
        if several and len(spacing) != input.ndim:
            raise RuntimeError(
                f"gradient: expected spacing for each of the {input.ndim} dimensions, got {len(spacing)}"
            )
        axes = list(range(input.ndim))
    else:
        axes = [input._dim(d) for d in dim]
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"gradient: dim appears multiple times in {dim}")
    spaces = list(spacing) if isinstance(spacing, list | tuple) else [spacing] * len(axes)
    if len(spaces) != len(axes):
        raise RuntimeError(f"gradient: expected {len(axes)} spacings, one a dimension, got {len(spaces)}")
    if input.dtype.category < 2:
        input = input.to(input.dtype if input.dtype.category else _no_bools(input))
    return tuple(_slope(input, axis, space, edge_order) for axis, space in zip(axes, spaces))


def _no_bools(input: Tensor) -> Any:
    raise NotImplementedError(f"gradient is not implemented for {input.dtype}; convert with .float()")


def _slope(x: Tensor, axis: int, space: Any, edge_order: int) -> Tensor:
    n = x.shape[axis]
    if n <= edge_order:
        raise RuntimeError(f"gradient: expected each dimension to have at least {edge_order + 1} points, got {n}")
    shape = [1] * x.ndim
    if isinstance(space, Tensor) and space.ndim:
        if space.shape != (n,):
            raise RuntimeError(f"gradient: expected {n} coordinates for dimension {axis}, got {tuple(space.shape)}")
        shape[axis] = n - 1
        steps = space.diff().reshape(*shape)
    else:
        shape[axis] = 1
        d = x.dtype if x.is_floating_point() else dtypes.get_default_dtype()
        steps = x.new_tensor([float(space)], dtype=d).reshape(*shape)
        shape[axis] = n - 1
        steps = steps.expand(*shape)

    def part(t: Tensor, start: int, stop: int) -> Tensor:
        return t.narrow(axis, start, stop - start)

    a, b = part(steps, 0, n - 2), part(steps, 1, n - 1)
    inner = (
        part(x, 0, n - 2) * (-b / (a * (a + b)))
        + part(x, 1, n - 1) * ((b - a) / (a * b))
        + part(x, 2, n) * (a / (b * (a + b)))
    )
    ends = []
    for place, direction in ((0, 1), (n - 1, -1)):
        points = [part(x, place + direction * k, place + direction * k + 1) for k in range(edge_order + 1)]
        near = [part(steps, k, k + 1) for k in ((0, 1) if direction > 0 else (n - 2, n - 3))[:edge_order]]
        if edge_order == 1:
            ends.append((points[1] - points[0]) / (near[0] * direction))
        else:
            h, k = near
            slope = (
                points[0] * (-(2 * h + k) / (h * (h + k)))
                + points[1] * ((h + k) / (h * k))
                - points[2] * (h / (k * (h + k)))
            )
            ends.append(slope * direction)
    return cat([ends[0], inner, ends[1]], axis)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along `dim` whose p-norm is above `maxnorm` scaled down to it: by maxnorm / (norm + 1e-7).

    >>> import autograd_core as ag
    >>> ag.renorm(ag.tensor([[3.0, 4.0], [0.0, 1.0]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    if not input.is_floating_point():
        raise NotImplementedError(f"renorm is not implemented for {input.dtype}; convert with .float()")
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported, got p={p}")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim}")
    axis = input._dim(dim)
    size = norm(input, p, tuple(d for d in range(input.ndim) if d != axis), True)
    return input * e.where(e.gt(size, maxnorm), maxnorm / (size + 1e-7), 1.0)


def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of `input` where slice `index[i]` along `dim` is reduced with slice i of `source`.

    `reduce`: 'prod', 'mean', 'amax' or 'amin'. Without `include_self` the slice itself takes part only where `index`
    does not name it.

    >>> import autograd_core as ag
    >>> ag.index_reduce(ag.ones(2), 0, ag.tensor([0, 0]), ag.tensor([2.0, 3.0]), "prod")
    tensor([6., 1.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): expected reduce to be prod, mean, amax or amin, got {reduce!r}")
    axis = input._dim(dim)
    if index.ndim > 1:
        raise IndexError(f"index_reduce(): index must be a vector, got shape {tuple(index.shape)}")
    if index.dtype.name not in ("int32", "int64"):
        raise RuntimeError(f"index_reduce(): expected an int32 or int64 index, got {index.dtype}; use .long()")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"index_reduce(): source must have the dtype of the input, {input.dtype}, got {source.dtype}"
        )
    places = index.reshape(-1).long()
    expected = list(input.shape)
    if input.ndim:
        expected[axis] = places.numel()
    if list(source.shape) != expected and not (source.numel() == 1 == places.numel() and input.ndim <= 1):
        raise RuntimeError(
            f"index_reduce(): source has shape {tuple(source.shape)}, expected {tuple(expected)}: that of the input "
            f"{tuple(input.shape)}, with the {places.numel()} indices along dim {dim}"
        )
    if not input.ndim:
        return scatter_reduce(
            input.reshape(1), 0, places, source.reshape(-1), reduce, include_self=include_self
        ).reshape(())
    shape = [1] * input.ndim
    shape[axis] = places.numel()
    source = source.reshape(*expected)
    spread = places.reshape(*shape).expand(*expected)
    return scatter_reduce(input, axis, spread, source, reduce, include_self=include_self)


FUNCTIONS = ("gradient", "renorm", "index_reduce")
METHODS: Sequence[str] = ("renorm", "index_reduce")
INPLACE = ("renorm", "index_reduce")

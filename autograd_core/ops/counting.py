"""The most frequent value, histograms, runs of equal values, and indices into grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.creation import linspace
from autograd_core.ops.cumulative import cummax
from autograd_core.ops.gathering import argsort, gather, scatter_add
from autograd_core.ops.indexing import nonzero
from autograd_core.ops.joining import cat
from autograd_core.ops.reductions import ValuesAndIndices, any, argmax, cumsum, picked_and_indices
from autograd_core.ops.selection import searchsorted
from autograd_core.tensor import Tensor


class HistogramAndEdges(NamedTuple):
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The most frequent value along `dim`, of several the least, and where it last stands.

    >>> import autograd_core as ag
    >>> ag.mode(ag.tensor([2, 1, 2, 3, 3]))
    ValuesAndIndices(values=tensor(2), indices=tensor(2))
    """
    axis = input._dim(dim)
    if not input._data.ndim:
        return ValuesAndIndices(input.clone(), input.new_zeros((), dtype=dtypes.int64))
    n = input._data.shape[axis]
    if not n:
        raise IndexError(f"mode(): Expected reduction dim {dim} to have non-zero size, got {tuple(input.shape)}")
    order = argsort(input.detach(), axis, stable=True)
    values = gather(input.detach(), axis, order)
    place = input.new_tensor(list(range(n)), dtype=dtypes.int64).reshape(
        *[-1 if d == axis else 1 for d in range(input.ndim)]
    )
    first = e.ne(values, values.roll(1, axis)).logical_or(e.eq(place, 0))
    # The place within the run of equal values; the first to be greatest is the end of the first longest run.
    run = place - cummax(e.where(first, place, 0), axis).values
    last = argmax(run, axis, keepdim=True)
    indices = gather(order, axis, last)
    return picked_and_indices(input, axis, indices, keepdim)


# -- histograms -------------------------------------------------------------------------------------------


def _edges(name: str, x: Tensor, bins: Any, bounds: Any) -> Tensor:
    """The edges of the bins of a vector `x`: given, or evenly spaced over `bounds` or the range of the values."""
    if isinstance(bins, Tensor):
        if bins.ndim != 1 or not bins.numel():
            raise RuntimeError(f"{name}: bin edges must be a vector with at least one element, got {tuple(bins.shape)}")
        if bins.dtype is not x.dtype:
            raise RuntimeError(f"{name}: bin edges must have the dtype of the input, {x.dtype}, got {bins.dtype}")
        return bins.detach()
    if not isinstance(bins, int) or bins < 1:
        raise RuntimeError(f"{name}: the number of bins must be a positive int, got {bins}")
    if bounds is not None:
        low, high = bounds
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"{name}: range [{low}, {high}] is not finite")
        if low > high:
            raise RuntimeError(f"{name}: min should not exceed max, got [{low}, {high}]")
    elif x.numel():
        low, high = x.min().item(), x.max().item()
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"{name}: the values range over [{low}, {high}], which is not finite; pass range=")
    else:
        low, high = 0.0, 1.0
    if low == high:
        low, high = low - 0.5, high + 0.5
    return linspace(low, high, bins + 1, dtype=x.dtype, device=x.device)


def _bin(x: Tensor, edges: Tensor) -> Tensor:
    """The bin of each element, -1 outside; the last bin holds its upper edge."""
    bins = edges.numel() - 1
    found = searchsorted(edges, x.contiguous(), right=True) - 1
    found = e.where(e.eq(x, edges[-1]), bins - 1, found)
    return e.where(e.lt(found, bins), found, -1)


def _counted(places: Tensor, inside: Tensor, size: int, weight: Tensor | None, like: Tensor) -> Tensor:
    one = like.new_ones(places.shape) if weight is None else weight.detach().reshape(-1)
    kept = e.where(inside, one, like.new_zeros(()))
    return scatter_add(like.new_zeros(size), 0, e.where(inside, places, 0), kept)


def _checked_weight(name: str, weight: Tensor | None, shape: Any, x: Tensor) -> None:
    if weight is None:
        return
    if tuple(weight.shape) != tuple(shape):
        raise RuntimeError(f"{name}: weight must have shape {tuple(shape)}, got {tuple(weight.shape)}")
    if weight.dtype is not x.dtype:
        raise RuntimeError(f"{name}: weight must have the dtype of the input, {x.dtype}, got {weight.dtype}")


def histogram(
    input: Tensor,
    bins: int | Tensor,
    *,
    range: tuple[float, float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> HistogramAndEdges:
    """How many values (or what weight) fall into each bin, and the bins' edges; the last bin holds both its edges.

    bins: their number, over `range` or that of the values, or a vector of edges. density: so that the integral is 1.
    It has no gradient.

    >>> import autograd_core as ag
    >>> ag.histogram(ag.tensor([1.0, 2.0, 1.0]), 2, range=(0.0, 2.0)).hist
    tensor([0., 3.])
    """
    _float("histogram", input)
    if range is not None and isinstance(bins, Tensor):
        raise TypeError("histogram: range belongs to a number of bins, not to given edges")
    _checked_weight("histogram", weight, input.shape, input)
    x = input.detach().reshape(-1)
    edges = _edges("histogram", x, bins, range)
    places = _bin(x, edges)
    hist = _counted(places, e.ge(places, 0), edges.numel() - 1, weight, x)
    if density:
        hist = hist / (hist.sum() * edges.diff())
    return HistogramAndEdges(hist, edges)


def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> HistogramAndEdges:
    """`histogram` of points: `input` is (..., D), the result has one dimension for each of the D coordinates.

    bins: a number for all, a number each, or a vector of edges each. range: low and high of each coordinate in turn.

    >>> import autograd_core as ag
    >>> ag.histogramdd(ag.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]), bins=[2, 2]).hist
    tensor([[0., 1.],
            [2., 0.]])
    """
    _float("histogramdd", input)
    if input.ndim < 2:
        raise RuntimeError(f"histogramdd: expected points of shape (..., D), got shape {tuple(input.shape)}")
    _checked_weight("histogramdd", weight, input.shape[:-1], input)
    count = input.shape[-1]
    x = input.detach().reshape(-1, count)
    given = [bins] * count if isinstance(bins, int) else list(bins)
    if len(given) != count or (range is not None and len(range) != 2 * count):
        raise RuntimeError(f"histogramdd: expected bins for {count} coordinates and a range of {2 * count} numbers")
    bounds = [None] * count if range is None else [tuple(range[2 * d : 2 * d + 2]) for d, _ in enumerate(given)]
    edges = [_edges("histogramdd", x[:, d], b, r) for d, (b, r) in enumerate(zip(given, bounds))]
    sizes = [edge.numel() - 1 for edge in edges]
    flat, inside = x.new_zeros(x.shape[0], dtype=dtypes.int64), x.new_ones(x.shape[0], dtype=dtypes.bool_)
    for d, (edge, size) in enumerate(zip(edges, sizes)):
        places = _bin(x[:, d], edge)
        flat, inside = flat * size + places, inside.logical_and(e.ge(places, 0))
    hist = _counted(flat, inside, math.prod(sizes), weight, x).reshape(*sizes)
    if density:
        hist = hist / hist.sum()
        for d, edge in enumerate(edges):
            hist = hist / edge.diff().reshape(*[-1 if i == d else 1 for i, _ in enumerate(sizes)])
    return HistogramAndEdges(hist, tuple(edges))  # type: ignore[arg-type]


def _float(name: str, x: Tensor) -> None:
    if x._data.dtype.kind != "f":
        raise NotImplementedError(f"{name} is not implemented for {x.dtype}; convert with .float()")


# -- runs and indices -------------------------------------------------------------------------------------


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equal elements (or of equal slices along `dim`); also which run each element is in, and
    how long the runs are, where asked for.

    >>> import autograd_core as ag
    >>> ag.unique_consecutive(ag.tensor([1, 1, 2, 1]), return_counts=True)
    (tensor([1, 2, 1]), tensor([2, 1, 1]))
    """
    x = input.detach()
    axis = 0 if dim is None else input._dim(dim)
    if dim is None:
        x = x.reshape(-1)
    n = x.shape[axis]
    if not n and x.numel() != math.prod(s for d, s in enumerate(x.shape) if d != axis) * n:
        raise RuntimeError(f"unique_consecutive: no slices along dim {dim} of shape {tuple(x.shape)}")
    rows = x.movedim(axis, 0).reshape(n, -1) if n else x.new_zeros(0, 1)
    changed = any(e.ne(rows[1:], rows[:-1]), 1)
    first = cat([x.new_ones(min(n, 1), dtype=dtypes.bool_), changed]) if n else x.new_zeros(0, dtype=dtypes.bool_)
    starts = nonzero(first).reshape(-1)
    found: list[Any] = [x.index_select(axis, starts)]
    if return_inverse:
        inverse = cumsum(first.to(dtypes.int64), 0) - 1
        found.append(inverse.reshape(input.shape) if dim is None else inverse)
    if return_counts:
        found.append(cat([starts[1:], starts.new_full((min(n, 1),), n)]) - starts)
    return found[0] if len(found) == 1 else tuple(found)


def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero(input)`; rows of `fill_value` where there are fewer.

    >>> import autograd_core as ag
    >>> ag.nonzero_static(ag.tensor([0, 3]), size=2)
    tensor([[ 1],
            [-1]])
    """
    if size < 0:
        raise RuntimeError(f"nonzero_static: size must be non-negative, got {size}")
    found = nonzero(input)[:size]
    return cat([found, found.new_full((size - found.shape[0], input.ndim), fill_value)])


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates of flat `indices` in a tensor of `shape`, one tensor a dimension.

    >>> import autograd_core as ag
    >>> ag.unravel_index(ag.tensor([3, 5]), (2, 3))
    (tensor([1, 1]), tensor([0, 2]))
    """
    if indices._data.dtype.kind not in "iu":
        raise ValueError(f"unravel_index: expected integer indices, got {indices.dtype}; convert with .long()")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not all(isinstance(n, int) for n in sizes):
        raise TypeError(f"unravel_index: shape must be an int or a sequence of ints, got {shape!r}")
    if min(sizes, default=0) < 0:
        raise ValueError(f"unravel_index: sizes must be non-negative, got {sizes}")
    found, step, flat = [], 1, indices.long()
    for size in reversed(sizes):
        found.append((flat // step) % size)
        step *= size
    return tuple(reversed(found))


FUNCTIONS = ("mode", "histogram", "histogramdd", "unique_consecutive", "nonzero_static", "unravel_index")
METHODS = ("mode", "histogram", "unique_consecutive", "nonzero_static")
INPLACE = ()

"""Counts and histograms; distinct values, runs of equal ones, and which values are among others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from autograd_core import dtypes
from autograd_core.operands import result_type
from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import require_float
from autograd_core.ops.creation import linspace
from autograd_core.ops.cumulative import cumsum
from autograd_core.ops.gathering import scatter_add
from autograd_core.ops.indexing import nonzero
from autograd_core.ops.joining import cat
from autograd_core.ops.reductions import any
from autograd_core.ops.sorting import searchsorted
from autograd_core.tensor import Tensor, wrap


class HistogramAndEdges(NamedTuple):
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


# -- counts and histograms --------------------------------------------------------------------------------


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero.

    >>> import autograd_core as ag
    >>> ag.count_nonzero(ag.tensor([0, 3, 4]))
    tensor(2)
    """
    return e.ne(input, 0).sum(dim)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each integer 0, 1, ... occurs in a vector; or the sum of the `weights` at its places.

    >>> import autograd_core as ag
    >>> ag.bincount(ag.tensor([1, 1, 3]))
    tensor([0, 2, 0, 1])
    """
    if input._data.dtype.kind in "fb":
        raise NotImplementedError(f"bincount is not implemented for {input.dtype}; convert with .long()")
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength should be >= 0, got {minlength}")
    if input._data.ndim != 1 or bool((input < 0).any()):
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs, got shape {tuple(input.shape)}")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(
            f"bincount: weights should be 1-d and have the same length as input, got {tuple(weights.shape)}"
        )
    backend = input._backend
    index = input.to(dtypes.int64)._data
    if weights is None:
        return wrap(backend.bincount(index, None, minlength), backend)
    w = weights.detach()
    out = wrap(backend.bincount(index, w.to(dtypes.float64)._data, minlength), backend)
    return out.to(w.dtype) if w.dtype is dtypes.float32 else out


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal intervals from `min` to `max` (both 0: of the data); others
    are left out.

    >>> import autograd_core as ag
    >>> ag.histc(ag.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    require_float("histc", input)
    if bins <= 0:
        raise RuntimeError(f"histc: bins must be > 0, but got {bins}")
    x = input.detach().reshape(-1)
    low, high = float(min), float(max)
    if low == high and x.numel():
        low, high = x.min().item(), x.max().item()
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"histc: max must be larger than min, got {low} and {high}")
    inside = e.logical_and(x >= low, x <= high)
    place = e.clamp(e.floor((e.where(inside, x, x.new_full((), low)) - low) * bins / (high - low)), max=bins - 1)
    counts = bincount(place.to(dtypes.int64), inside.to(dtypes.float64), bins)
    return counts.to(input.dtype)


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
    require_float("histogram", input)
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
    require_float("histogramdd", input)
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


# -- equal values -----------------------------------------------------------------------------------------


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements (or slices along `dim`), in order in any case; on request where each element's equal stands
    among them, and how often each occurs. The shape depends on the data: on CUDA this synchronises.

    >>> import autograd_core as ag
    >>> ag.unique(ag.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    axis = None if dim is None else input._dim(dim)
    backend = input._backend
    values, inverse, counts = (wrap(a, backend) for a in backend.unique(input._data, axis))
    inverse = inverse.reshape(input.shape if axis is None else (-1,))
    found = (values, *((inverse,) if return_inverse else ()), *((counts,) if return_counts else ()))
    return found if len(found) > 1 else values


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


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among `test_elements` (or is not, with `invert`). One of both may be a number.

    `assume_unique` allows to leave out a search for duplicates; the result is the same.

    >>> import autograd_core as ag
    >>> ag.isin(ag.tensor([1, 2, 3]), ag.tensor([2, 5]))
    tensor([False, True, False])
    """
    like = elements if isinstance(elements, Tensor) else test_elements
    if not isinstance(like, Tensor):
        raise TypeError("isin: expected at least one Tensor among elements and test_elements")
    if like._data.dtype.kind == "b":
        raise RuntimeError("isin: bool tensors are not supported; convert with .long()")
    d = result_type(elements, test_elements)
    x, y = (t.to(d) if isinstance(t, Tensor) else like.new_full((), t, dtype=d) for t in (elements, test_elements))
    if x._backend is not y._backend:
        raise RuntimeError(f"isin: expected both tensors on one device, got {x.device} and {y.device}; use .to()")
    found = wrap(x._backend.as_array(x._backend.isin(x._data, y._data)), x._backend)
    return e.logical_not(found) if invert else found


METHODS = ("count_nonzero", "bincount", "histc", "histogram", "unique", "unique_consecutive")
FUNCTIONS = (*METHODS, "histogramdd", "isin")
INPLACE = ()

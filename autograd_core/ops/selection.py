"""Further indexing: flat indices, writing to slices, scatters that reduce, and search in sorted sequences."""

from __future__ import annotations

import builtins
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import arithmetic
from autograd_core.ops import elementwise as e
from autograd_core.ops.gathering import _scatter_arguments, gather, scatter, scatter_add
from autograd_core.ops.indexing import _index_put, nonzero
from autograd_core.ops.shape import broadcast_tensors
from autograd_core.primitive import V, primitive
from autograd_core.tensor import Tensor, wrap

# -- primitives: scatters that reduce ---------------------------------------------------------------------


def _scatter_extremum_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """All elements that equal the result at their place share its gradient."""
    x, index, source, y = ctx.saved
    (axis,) = ctx.params
    hit_x, hit_source = F.eq(x, y), F.eq(source, F.gather(y, index, axis))
    one, zero = F.fill(source, 1.0), F.fill(source, 0.0)
    count = F.scatter_add(F.where(hit_x, F.fill(x, 1.0), F.fill(x, 0.0)), index, F.where(hit_source, one, zero), axis)
    share = F.div(g, count)
    return F.where(hit_x, share, F.fill(x, 0.0)), None, F.where(hit_source, F.gather(share, index, axis), zero)


def _scatter_prod_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """Each factor's gradient is the product of the others: that of the nonzero ones, times the zeros among them.

    If there is one such zero, it enters by a sum, so that the gradient of this gradient is right there, too.
    """
    x, index, source, _ = ctx.saved
    (axis,) = ctx.params

    def pieces(t: Any) -> tuple[Any, Any, Any]:
        zero, one, nothing = F.eq(t, 0.0), F.fill(t, 1.0), F.fill(t, 0.0)
        return F.where(zero, one, t), F.where(zero, one, nothing), F.where(zero, t, nothing)

    of_x, of_source = pieces(x), pieces(source)
    scatters = (F.scatter_prod, F.scatter_add, F.scatter_add)
    totals = [scatter(a, index, b, axis) for scatter, a, b in zip(scatters, of_x, of_source)]

    def others(own: Any, of_all: Any, g: Any) -> Any:
        (factor, zero, value), (product, count, total) = own, of_all
        zeros = F.sub(count, zero)
        alone, pair = F.eq(zeros, 0.0), F.eq(zeros, 1.0)
        nothing = F.fill(factor, 0.0)
        rest = F.where(alone, F.fill(factor, 1.0), F.where(pair, F.sub(total, value), nothing))
        return F.mul(F.div(F.mul(g, product), factor), rest)

    picked = [F.gather(t, index, axis) for t in totals]
    return others(of_x, totals, g), None, others(of_source, picked, F.gather(g, index, axis))


_scatter_amax: Any = primitive("scatter_amax", _scatter_extremum_rule, inputs=3, saves=(0, 1, 2), saves_output=True)
_scatter_amin: Any = primitive("scatter_amin", _scatter_extremum_rule, inputs=3, saves=(0, 1, 2), saves_output=True)
_scatter_prod: Any = primitive("scatter_prod", _scatter_prod_rule, inputs=3, saves=(0, 1, 2), saves_output=True)


# -- flat indices and slices ------------------------------------------------------------------------------


def _flat_index(name: str, input: Tensor, index: Tensor) -> Tensor:
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index.dtype}; use .long()")
    n = input.numel()
    backend: Any = index._backend
    message = f"{name}(): out of range: tried to access index {{}} on a tensor of {n} elements."
    backend.check_range(index._data, -n, n, IndexError, message)
    return index.reshape(-1)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened `input` at `index`, in the shape of `index`. Negative indices count from the end.

    >>> import autograd_core as ag
    >>> ag.take(ag.tensor([[4, 3], [6, 9]]), ag.tensor([0, 3]))
    tensor([4, 9])
    """
    flat = _flat_index("take", input, index)
    return input.reshape(-1)[flat].reshape(index.shape)


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `source` written (or added) at `index` of its flattened elements.

    >>> import autograd_core as ag
    >>> ag.put(ag.zeros(3), ag.tensor([1]), ag.tensor([5.0]))
    tensor([0., 5., 0.])
    """
    flat = _flat_index("put_", input, index)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got {input.dtype} and {source.dtype}"
        )
    if source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"{source.numel()} and {index.numel()}"
        )
    out = _index_put(input.reshape(-1), source.reshape(-1), (flat._data,), accumulate)
    return out.reshape(input.shape)


def _along(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
    """The input with at least one dimension, and the index that names its slices along `dim`."""
    axis = input._dim(dim)
    if index._data.dtype.char not in "lqi":
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, got {index.dtype}; use .long()")
    if index._data.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, got shape {tuple(index.shape)}")
    n = input._data.shape[axis] if input._data.ndim else 1
    backend: Any = index._backend
    message = f"{name}(): index {{}} is out of bounds for dimension {dim} with size {n}"
    backend.check_range(index._data, -n if name == "index_fill_" else 0, n, IndexError, message)
    x = input if input._data.ndim else input.reshape(1)
    return x, (builtins.slice(None),) * axis + (index.reshape(-1)._data,)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of `input` with the slices that the vector `index` names filled with one number (or 0-d tensor).

    >>> import autograd_core as ag
    >>> ag.index_fill(ag.zeros(3), 0, ag.tensor([0, 2]), 1)
    tensor([1., 0., 1.])
    """
    x, where = _along("index_fill_", input, dim, index)
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._data.ndim} dimension(s)."
            )
        value = value.to(x.dtype)
    else:
        value = x.new_full((), value)
    # By a mask, so that an index that is named twice counts once in the gradient of `value`.
    axis = len(where) - 1
    named = x.new_zeros(x._data.shape[axis], dtype=dtypes.bool_)
    named = _index_put(named, named.new_ones(()), where[-1:], False)
    named = named.reshape((-1,) + (1,) * (x._data.ndim - axis - 1))
    return e.where(named, value, x).reshape(input.shape)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` with the slices of `source` written to the slices that the vector `index` names.

    >>> import autograd_core as ag
    >>> ag.index_copy(ag.zeros(3), 0, ag.tensor([2]), ag.ones(1))
    tensor([0., 0., 1.])
    """
    x, where = _along("index_copy_", input, dim, index)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got {input.dtype} and {source.dtype}"
        )
    s = source if source._data.ndim else source.reshape(1)
    axis = len(where) - 1
    expected = (*x._data.shape[:axis], index.numel(), *x._data.shape[axis + 1 :])
    if tuple(s.shape) != expected:
        if s._data.ndim == x._data.ndim and s._data.shape[axis] == index.numel():
            raise RuntimeError(
                "index_copy_(): Source/destination tensor must have same slice shapes, got "
                f"{tuple(s.shape)}, expected {expected}"
            )
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel()}) should be equal to source.size(dim); "
            f"source has shape {tuple(s.shape)}"
        )
    return _index_put(x, s, where, False).reshape(input.shape)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of `source`, one after the other, where `mask` is true; else `input`.

    >>> import autograd_core as ag
    >>> ag.masked_scatter(ag.zeros(3), ag.tensor([True, False, True]), ag.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    if mask._data.dtype.kind != "b":
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}; use mask != 0"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input.dtype} and {source.dtype}"
        )
    x, m = broadcast_tensors(input, mask)
    place = m.reshape(-1).cumsum(0)
    if place.numel() and int(place[-1]) > source.numel():
        raise RuntimeError(
            f"masked_scatter: Number of elements of source < number of ones in mask ({source.numel()} < "
            f"{int(place[-1])})"
        )
    if not source.numel():
        return x + source.sum() if source.requires_grad else x.clone()  # The sum of nothing is 0.
    picked = source.reshape(-1)[e.clamp(place - 1, min=0)].reshape(m.shape)
    return e.where(m, picked, x)


# -- scatters that reduce ---------------------------------------------------------------------------------

_START = {"sum": 0.0, "mean": 0.0, "prod": 1.0}


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of `input` where each element is reduced with those of `src` that `index` sends there along `dim`.

    `reduce`: 'sum', 'prod', 'mean', 'amax' or 'amin'. Without `include_self` the element itself takes part only where
    `index` sends nothing. Gradients are of first order where a product has more than two zeros or extremes are tied.

    >>> import autograd_core as ag
    >>> ag.scatter_reduce(ag.ones(2), 0, ag.tensor([0, 0, 1]), ag.tensor([2.0, 3.0, 4.0]), "sum")
    tensor([6., 5.])
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if reduce == "mean" and input._data.dtype.kind == "b":
        raise NotImplementedError("scatter_reduce: a mean of bool tensors is not implemented; convert with .float()")
    axis, src = _scatter_arguments("scatter_reduce", input, dim, index, src)
    if not input._data.ndim:
        out = scatter_reduce(input.reshape(1), 0, index.reshape(-1), src.reshape(-1), reduce, include_self=include_self)
        return out.reshape(())
    x = input
    if not include_self:
        x = scatter(x, axis, index, input.new_full(index.shape, _neutral(reduce, input.dtype)))
    if reduce in ("sum", "mean"):
        out = scatter_add(x, axis, index, src)
        if reduce == "sum":
            return out
        ones = input.new_ones(index.shape, dtype=dtypes.int64)
        count = scatter_add(input.new_full(input.shape, int(include_self), dtype=dtypes.int64), axis, index, ones)
        count = e.clamp(count, min=1)
        return out / count if input._data.dtype.kind == "f" else arithmetic.floor_divide(out, count).to(input.dtype)
    kernel = {"prod": _scatter_prod, "amax": _scatter_amax, "amin": _scatter_amin}[reduce]
    return kernel(x, index, src, axis)


def _neutral(reduce: str, d: dtypes.dtype) -> Any:
    """What changes nothing in the reduction."""
    if reduce in _START:
        return int(_START[reduce]) if d.category < 2 else _START[reduce]
    if d is dtypes.bool_:
        return reduce == "amin"
    if d.is_floating_point:
        return -float("inf") if reduce == "amax" else float("inf")
    limits = dtypes.iinfo(d)
    return limits.min if reduce == "amax" else limits.max


# -- search -----------------------------------------------------------------------------------------------


def argwhere(input: Tensor) -> Tensor:
    """The indices of the nonzero elements, one row each.

    >>> import autograd_core as ag
    >>> ag.argwhere(ag.tensor([0, 3]))
    tensor([[1]])
    """
    return nonzero(input)


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each value of `input` (a tensor or number) belongs in `sorted_sequence`, sorted along its last dimension.

    The index i has seq[i-1] < v <= seq[i]; with `right` (or side='right') seq[i-1] <= v < seq[i]. The leading
    dimensions are the same, or the sequence is a vector. `sorter` are the indices that sort a sequence that is not
    sorted.

    >>> import autograd_core as ag
    >>> ag.searchsorted(ag.tensor([1, 3, 5]), ag.tensor([3, 6]))
    tensor([1, 3])
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"searchsorted(): side can only be 'left' or 'right' but got {side!r}")
    if side == "left" and right:
        raise RuntimeError(
            "searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    seq = sorted_sequence
    if not isinstance(input, Tensor):
        if seq._data.ndim != 1:
            raise RuntimeError(
                f"searchsorted(): a number can only be searched in a vector, got shape {tuple(seq.shape)}"
            )
        input = seq.new_full(
            (),
            input,
            dtype=None if not isinstance(input, float) or seq.is_floating_point() else dtypes.get_default_dtype(),
        )
    if not seq._data.ndim:
        raise RuntimeError("searchsorted(): expected a sorted sequence of at least one dimension")
    if seq._data.ndim != 1 and seq._data.shape[:-1] != input._data.shape[:-1]:
        raise RuntimeError(
            "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            f"boundaries tensor and input value tensor must match, but got {tuple(seq.shape)} and {tuple(input.shape)}"
        )
    if seq._data.dtype.kind == "b" or input._data.dtype.kind == "b":
        raise NotImplementedError("searchsorted is not implemented for bool tensors; convert with .long()")
    if sorter is not None:
        if sorter.dtype is not dtypes.int64 or sorter.shape != seq.shape:
            raise RuntimeError(
                f"searchsorted(): sorter must be int64 of shape {tuple(seq.shape)}, got {sorter.dtype} "
                f"{tuple(sorter.shape)}"
            )
        seq = gather(seq, -1, sorter)
    backend = seq._backend
    if input._backend is not backend:
        raise RuntimeError(
            f"searchsorted(): expected both tensors on one device, got {seq.device} and {input.device}; use .to()"
        )
    edges, values = seq._data, input._data
    found = wrap(backend.as_array(backend.searchsorted(edges, values, right or side == "right")), backend)
    return found.to(dtypes.int32) if out_int32 else found


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the interval between sorted `boundaries` that each value lies in (see `searchsorted`).

    >>> import autograd_core as ag
    >>> ag.bucketize(ag.tensor([0.5, 2.5]), ag.tensor([1.0, 2.0]))
    tensor([0, 2])
    """
    if boundaries._data.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries tensor must be 1 dimension, but got shape {tuple(boundaries.shape)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# -- writing to a view of a copy --------------------------------------------------------------------------


def _written(name: str, input: Tensor, src: Tensor, expected: tuple[int, ...], step: tuple[Any, ...]) -> Tensor:
    if tuple(src.shape) != tuple(expected):
        raise RuntimeError(
            f"{name}: expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(expected)}"
        )
    if src._data.dtype != input._data.dtype:
        src = e.cast(src, input._data.dtype)
    return V.view_scatter(input, src, (step,))


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` in the place of `input.select(dim, index)`.

    >>> import autograd_core as ag
    >>> ag.select_scatter(ag.zeros(2, 2), ag.ones(2), 0, 0)
    tensor([[1., 1.],
            [0., 0.]])
    """
    expected = input.select(dim, index).shape
    return _written(
        "select_scatter", input, src, expected, ("slice", ((builtins.slice(None),) * input._dim(dim) + (index,),))
    )


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` in the place of `input[start:end:step]` along `dim`.

    >>> import autograd_core as ag
    >>> ag.slice_scatter(ag.zeros(3), ag.ones(2), start=1)
    tensor([0., 1., 1.])
    """
    if step < 1:
        raise RuntimeError(f"slice step must be positive, got {step}")
    index = (builtins.slice(None),) * input._dim(dim) + (builtins.slice(start, end, step),)
    return _written("slice_scatter", input, src, input[index].shape, ("slice", (index,)))


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` on the diagonal.

    >>> import autograd_core as ag
    >>> ag.diagonal_scatter(ag.zeros(2, 2), ag.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    expected = input.diagonal(offset, dim1, dim2).shape
    return _written(
        "diagonal_scatter", input, src, expected, ("diagonal", (offset, input._dim(dim1), input._dim(dim2)))
    )


FUNCTIONS = (
    "take", "put", "index_fill", "index_copy", "masked_scatter", "scatter_reduce", "argwhere", "searchsorted",
    "bucketize",
    "select_scatter", "slice_scatter", "diagonal_scatter",
)  # fmt: skip
METHODS = tuple(name for name in FUNCTIONS if name not in ("searchsorted", "bucketize"))
INPLACE = ("put", "index_fill", "index_copy", "masked_scatter", "scatter_reduce")

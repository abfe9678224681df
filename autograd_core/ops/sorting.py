"""Sorting, the places in it, and search in what is sorted."""

from __future__ import annotations

from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import refuse_bool
from autograd_core.ops.gathering import gather
from autograd_core.ops.reductions import ValuesAndIndices, picked_and_indices
from autograd_core.tensor import Tensor, wrap


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim` (always stable).

    >>> import autograd_core as ag
    >>> ag.argsort(ag.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    axis = input._dim(dim)
    backend = input._backend
    if not input.ndim:
        return input.new_zeros((), dtype=dtypes.int64)
    return wrap(backend.argsort(input._data, axis, descending), backend)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesAndIndices:
    """The elements in order along `dim`, and where they came from.

    >>> import autograd_core as ag
    >>> ag.sort(ag.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    indices = argsort(input, dim, descending)
    return picked_and_indices(input, input._dim(dim), indices, True)


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension.

    >>> import autograd_core as ag
    >>> ag.msort(ag.tensor([3, 1, 2]))
    tensor([1, 2, 3])
    """
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices:
    """The `k` greatest (or least) elements along `dim`, in order, and their indices.

    >>> import autograd_core as ag
    >>> ag.topk(ag.tensor([3, 1, 2]), 2).indices
    tensor([0, 2])
    """
    axis = input._dim(dim)
    refuse_bool("topk", input)
    n = input._data.shape[axis] if input.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: selected index k={k} out of range for dimension {dim} of size {n}")
    if not input.ndim:
        return ValuesAndIndices(input.clone(), input.new_zeros((), dtype=dtypes.int64))
    indices = wrap(input._backend.first_sorted(input._data, axis, k, largest), input._backend)
    return picked_and_indices(input, axis, indices, True)


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
    refuse_bool("searchsorted", seq)
    refuse_bool("searchsorted", input)
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


FUNCTIONS = ("argsort", "sort", "msort", "topk", "searchsorted", "bucketize")
METHODS = ("argsort", "sort", "msort", "topk")
INPLACE: tuple[str, ...] = ()

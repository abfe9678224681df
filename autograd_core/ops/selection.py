"""Reading and writing by flat indices, and copies with some slices or masked elements replaced."""

from __future__ import annotations

import builtins
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.gathering import scatter_reduce
from autograd_core.ops.indexing import _index_put
from autograd_core.ops.shape import broadcast_tensors
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

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
    "take", "put", "index_fill", "index_copy", "index_reduce", "masked_scatter", "select_scatter", "slice_scatter",
    "diagonal_scatter",
)  # fmt: skip
METHODS = FUNCTIONS
INPLACE = ("put", "index_fill", "index_copy", "index_reduce", "masked_scatter")

"""Joining, splitting and turning tensors: the names that are compositions of views, `cat` and `split`."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.joining import cat, meshgrid, split, stack
from autograd_core.primitive import V
from autograd_core.tensor import Tensor


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    """`function` of one tensor; of several, or of a sequence, a tuple of results."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return function(tensors[0])
    parts = tensors[0] if len(tensors) == 1 else tensors
    return tuple(function(t) for t in parts)


def _at_least_3d(t: Tensor) -> Tensor:
    if t._data.ndim == 2:
        return t.unsqueeze(2)
    return t.reshape(1, -1, 1) if t._data.ndim < 2 else t


def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors with one dimension, others as they are; of several tensors a tuple.

    >>> import autograd_core as ag
    >>> ag.atleast_1d(ag.tensor(2))
    tensor([2])
    """
    return _each(lambda t: t if t._data.ndim else t.reshape(1), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """With fewer than two dimensions: as one row. Of several tensors a tuple.

    >>> import autograd_core as ag
    >>> ag.atleast_2d(ag.tensor([1, 2])).shape
    ag.Size([1, 2])
    """
    return _each(lambda t: t if t._data.ndim > 1 else t.reshape(1, -1), tensors)


def atleast_3d(*tensors: Any) -> Any:
    """A vector as (1, n, 1), a matrix as (n, m, 1), others as they are; of several tensors a tuple.

    >>> import autograd_core as ag
    >>> ag.atleast_3d(ag.tensor([1, 2])).shape
    ag.Size([1, 2, 1])
    """
    return _each(_at_least_3d, tensors)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the third dimension, after `atleast_3d`.

    >>> import autograd_core as ag
    >>> ag.dstack((ag.ones(2), ag.zeros(2))).shape
    ag.Size([1, 2, 2])
    """
    return cat(_several("dstack", tensors, _at_least_3d), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined as columns: vectors become one column each.

    >>> import autograd_core as ag
    >>> ag.column_stack((ag.tensor([1, 2]), ag.tensor([3, 4])))
    tensor([[1, 3],
            [2, 4]])
    """
    return cat(_several("column_stack", tensors, lambda t: t if t._data.ndim > 1 else t.reshape(-1, 1)), 1)


def _several(name: str, tensors: Sequence[Tensor], shaped: Any) -> list[Tensor]:
    if not len(tensors):
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return [shaped(t) for t in tensors]


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts along `dim`: before, between and after the given indices; or that many nearly equal parts,
    the first ones longer.

    >>> import autograd_core as ag
    >>> ag.tensor_split(ag.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if not input._data.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = input._dim(dim)
    n = input._data.shape[axis]
    given = indices_or_sections
    if isinstance(given, Tensor):
        given = given.tolist()
    if isinstance(given, int):
        if given < 1:
            raise RuntimeError(f"number of sections must be larger than 0, got {given}")
        size, longer = divmod(n, given)
        given = list(itertools.accumulate([size + (i < longer) for i in range(given - 1)]))
    lead = (builtins.slice(None),) * axis
    starts, ends = [0, *given], [*given, n]
    return tuple(input[(*lead, builtins.slice(a, b))] for a, b in zip(starts, ends))


def _split_along(name: str, input: Tensor, given: Any, axis: int, ndim: int) -> tuple[Tensor, ...]:
    if input._data.ndim < ndim:
        raise RuntimeError(
            f"{name} requires a tensor with at least {ndim} dimension, but got a tensor with "
            f"{input._data.ndim} dimensions!"
        )
    if isinstance(given, int) and (given < 1 or input._data.shape[axis] % given):
        raise RuntimeError(
            f"{name} attempted to split along dimension {axis}, but the size of the dimension "
            f"{input._data.shape[axis]} is not divisible by the split_size {given}!"
        )
    return tensor_split(input, given, axis)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts (or parts between indices) along the second dimension; of a vector along its only one.

    >>> import autograd_core as ag
    >>> ag.hsplit(ag.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _split_along("hsplit", input, indices_or_sections, 1 if input._data.ndim > 1 else 0, 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts (or parts between indices) along the first dimension of a tensor of at least two.

    >>> import autograd_core as ag
    >>> [t.shape for t in ag.vsplit(ag.zeros(4, 3), 2)]
    [ag.Size([2, 3]), ag.Size([2, 3])]
    """
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts (or parts between indices) along the third dimension.

    >>> import autograd_core as ag
    >>> [t.shape for t in ag.dsplit(ag.zeros(1, 2, 4), 2)]
    [ag.Size([1, 2, 2]), ag.Size([1, 2, 2])]
    """
    return _split_along("dsplit", input, indices_or_sections, 2, 3)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of the given sizes along `dim`.

    >>> import autograd_core as ag
    >>> ag.split_with_sizes(ag.arange(3), [1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return split(input, list(split_sizes), dim)


def fliplr(input: Tensor) -> Tensor:
    """The second dimension reversed.

    >>> import autograd_core as ag
    >>> ag.fliplr(ag.tensor([[1, 2]]))
    tensor([[2, 1]])
    """
    if input._data.ndim < 2:
        raise RuntimeError(f"fliplr: Input must be >= 2-d, got shape {tuple(input.shape)}")
    return input.flip(1)


def flipud(input: Tensor) -> Tensor:
    """The first dimension reversed.

    >>> import autograd_core as ag
    >>> ag.flipud(ag.tensor([1, 2]))
    tensor([2, 1])
    """
    if input._data.ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d, got a 0-d tensor")
    return input.flip(0)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned `k` times by 90 degrees in the plane of `dims`, from the first towards the second.

    >>> import autograd_core as ag
    >>> ag.rot90(ag.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input._data.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input._data.ndim}")
    a, b = (input._dim(d) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k == 1:
        return input.flip(b).transpose(a, b)
    if k == 2:
        return input.flip((a, b))
    return input.flip(a).transpose(a, b) if k == 3 else input.clone()


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices (in dimensions `dim1`, `dim2` of the result) whose diagonals are the last dimension of `input`.

    >>> import autograd_core as ag
    >>> ag.diag_embed(ag.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    a, b = (input._dim(d, extra=1) for d in (dim1, dim2))
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape = input._data.shape
    n = shape[-1] + builtins.abs(offset)
    zeros = input.new_zeros((*shape[:-1], n, n))
    last = input._data.ndim
    out: Tensor = V.view_scatter(zeros, input, (("diagonal", (offset, last - 1, last)),))
    return out.movedim((last - 1, last), (a, b))


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A square matrix with the flattened input on its diagonal.

    >>> import autograd_core as ag
    >>> ag.diagflat(ag.tensor([1, 2]), 1).shape
    ag.Size([3, 3])
    """
    return diag_embed(input.reshape(-1), offset)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given matrices along its diagonal (vectors count as one row), zeros elsewhere.

    >>> import autograd_core as ag
    >>> ag.block_diag(ag.ones(1, 2), ag.ones(1, 1))
    tensor([[1., 1., 0.],
            [0., 0., 1.]])
    """
    for i, t in enumerate(tensors):
        if t._data.ndim > 2:
            raise RuntimeError(
                f"block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t._data.ndim} dimensions"
            )
    blocks = [t if t._data.ndim == 2 else t.reshape(1, -1) for t in tensors]
    width = builtins.sum(b._data.shape[1] for b in blocks)
    rows, start = [], 0
    for b in blocks:
        height, n = b._data.shape
        rows.append(cat((b.new_zeros((height, start)), b, b.new_zeros((height, width - start - n))), 1))
        start += n
    return cat(rows, 0)


def _vectors(name: str, tensors: Sequence[Tensor]) -> None:
    for t in tensors:
        if t._data.ndim != 1:
            raise RuntimeError(f"{name}: Expect a 1D vector, but got shape {list(t.shape)}")


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All tuples of one element of each vector, one row each, the last changing fastest; a single vector as it is.

    >>> import autograd_core as ag
    >>> ag.cartesian_prod(ag.tensor([1, 2]), ag.tensor([3, 4])).shape
    ag.Size([4, 2])
    """
    _vectors("cartesian_prod", tensors)
    if len(tensors) == 1:
        return tensors[0]
    return stack([g.reshape(-1) for g in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of `r` elements of a vector in their order, one row each.

    >>> import autograd_core as ag
    >>> ag.combinations(ag.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    _vectors("combinations", (input,))
    if r < 0:
        raise RuntimeError(f"combinations: expect a non-negative number, but got {r}")
    if not r:
        return input.new_empty((0,))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    flat = [i for row in choose(range(input._data.shape[0]), r) for i in row]
    index = input.new_tensor(flat, dtype=dtypes.int64)
    return input[index].reshape(-1, r)


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input`, every element `value` (a number or a 0-d tensor).

    >>> import autograd_core as ag
    >>> ag.fill(ag.zeros(2), 3)
    tensor([3., 3.])
    """
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._data.ndim} dimensions."
            )
        return V.replace(input, value)
    return e.fill(input, value)


def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Summed to `size`, to which the input must be broadcast: the inverse of `expand`.

    >>> import autograd_core as ag
    >>> ag.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    target = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)
    shape = tuple(input._data.shape)
    lead = len(shape) - len(target)
    if lead < 0 or any(n not in (1, m) for n, m in zip(target, shape[lead:])):
        raise RuntimeError(f"sum_to_size: size {list(target)} is not expandable to size {list(shape)}")
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(target) if n == 1 and shape[lead + i] != 1)
    if not target:
        return input.sum()
    return input.sum(axes).reshape(target) if axes else input


_OF_SEVERAL = (
    "dstack",
    "column_stack",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "cartesian_prod",
    "combinations",
)
_OF_ONE = (
    "tensor_split",
    "hsplit",
    "vsplit",
    "dsplit",
    "split_with_sizes",
    "fliplr",
    "flipud",
    "rot90",
    "diag_embed",
    "diagflat",
)
FUNCTIONS = (*_OF_SEVERAL, *_OF_ONE, "fill")
METHODS = (*_OF_ONE, "sum_to_size")
INPLACE = ()

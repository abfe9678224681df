"""Joining and splitting: cat, stack, split, chunk, unbind, repeat, tile, meshgrid, diag."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes, interop
from autograd_core.ops import elementwise as e
from autograd_core.ops.creation import arange
from autograd_core.ops.shape import (
    _diagonal,
    _reshape,
    _reshape_to,
    _sizes,
    expand,
    narrow,
    ravel,
    select,
    unsqueeze,
)
from autograd_core.primitive import V, apply, primitive
from autograd_core.tensor import Tensor


def _cat_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    axis, sizes = ctx.params
    grads: list[Any] = []
    start = 0
    for edge, n in zip(ctx.inputs, sizes):
        index = (builtins.slice(None),) * axis + (builtins.slice(start, start + n),)
        grads.append(None if edge is None else F.slice(g, index))
        start += n
    return tuple(grads)


_cat = primitive("cat", _cat_rule, inputs=-1)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension. Raises `RuntimeError` where other sizes differ.

    >>> import autograd_core as ag
    >>> ag.cat([ag.zeros(1), ag.ones(2)])
    tensor([0., 1., 1.])
    """
    if isinstance(tensors, Tensor):
        raise TypeError("cat(): argument 'tensors' must be a tuple or list of Tensors, not Tensor")
    parts = list(tensors)
    if not parts:
        raise ValueError("cat: expected a non-empty list of Tensors")
    if _same_kind(parts):
        try:
            return _cat_with_sizes(tuple(parts), parts[0]._dim(dim))
        except ValueError:  # The sizes differ: what follows says which.
            pass
    for i, x in enumerate(parts):
        if not isinstance(x, Tensor):
            raise TypeError(f"cat: expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
        if not x._data.ndim:
            raise RuntimeError(f"cat: zero-dimensional tensor (at position {i}) cannot be concatenated; use stack")
    # As in PyTorch, an empty one-dimensional tensor joins with anything.
    solid = [x for x in parts if x._data.shape != (0,)] or parts[:1]
    axis = solid[0]._dim(dim)
    for i, x in enumerate(solid):
        mine, first = list(x._data.shape), list(solid[0]._data.shape)
        if len(mine) == len(first):
            mine[axis] = first[axis] = 0
        if mine != first:
            raise RuntimeError(
                f"cat: sizes of tensors must match except in dimension {axis}. Got {tuple(solid[0].shape)} and "
                f"{tuple(x.shape)} (position {i})"
            )
    common = solid[0].dtype
    for x in parts[0:]:
        common = dtypes.promote_types(common, x.dtype)
    solid = [x if x.dtype is common else e.cast(x, common.native) for x in solid]
    return _cat_with_sizes(tuple(solid), axis)


def _same_kind(parts: list[Any]) -> bool:
    """Whether all are Tensors of one dtype and one number of dimensions, so that the kernel needs no help."""
    first = parts[0]
    if not isinstance(first, Tensor) or not first._data.ndim:
        return False
    dtype, dims = first._data.dtype, first._data.ndim
    for x in parts:
        if not isinstance(x, Tensor) or x._data.dtype is not dtype or x._data.ndim != dims:
            return False
    return True


def _cat_with_sizes(tensors: tuple[Tensor, ...], axis: int) -> Tensor:
    out = apply(_cat.primitive, tensors, (axis,), as_list=True)
    if out._node is not None:
        out._node.params = (axis, tuple(x._data.shape[axis] for x in tensors))
    return out


V.cat = lambda tensors, axis: _cat_with_sizes(tuple(tensors), axis)  # type: ignore[attr-defined]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension.

    >>> import autograd_core as ag
    >>> ag.stack([ag.zeros(2), ag.ones(2)]).shape
    ag.Size([2, 2])
    """
    if isinstance(tensors, Tensor):
        raise TypeError("stack(): argument 'tensors' must be a tuple or list of Tensors, not a Tensor")
    parts = list(tensors)
    if not parts:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, x in enumerate(parts):
        if x._data.shape != parts[0]._data.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {tuple(parts[0].shape)} at entry 0 "
                f"and {tuple(x.shape)} at entry {i}"
            )
    axis = parts[0]._dim(dim, extra=1)
    return cat([unsqueeze(x, axis) for x in parts], axis)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second dimension (the first, for vectors).

    >>> import autograd_core as ag
    >>> ag.hstack([ag.zeros(1), ag.ones(1)])
    tensor([0., 1.])
    """
    parts = [x if x._data.ndim else _reshape_to(x, (1,)) for x in tensors]
    if not parts:
        raise RuntimeError("hstack expects a non-empty TensorList")
    return cat(parts, 0 if parts[0]._data.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the first dimension, vectors as rows.

    >>> import autograd_core as ag
    >>> ag.vstack([ag.zeros(2), ag.ones(2)]).shape
    ag.Size([2, 2])
    """
    parts = [x if x._data.ndim > 1 else _reshape_to(x, (1, x._data.size)) for x in tensors]
    if not parts:
        raise RuntimeError("vstack expects a non-empty TensorList")
    return cat(parts, 0)


def _forbid_inplace(parts: list[Tensor]) -> tuple[Tensor, ...]:
    for part in parts:
        part._step = None
    return tuple(parts)


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces along `dim`: of one size (the last may be smaller), or of the given sizes.

    >>> import autograd_core as ag
    >>> [p.shape[0] for p in ag.split(ag.arange(5), 2)]
    [2, 2, 1]
    """
    axis = tensor._dim(dim)
    n = tensor._data.shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be positive, but got split_size={size}")
        sizes = [builtins.min(size, n - s) for s in range(0, n, size)] if n else [0]
    else:
        sizes = list(split_size_or_sections)
        if builtins.sum(sizes) != n:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension "
                f"{dim}), but got {sizes}"
            )
    parts, start = [], 0
    for size in sizes:
        parts.append(narrow(tensor, axis, start, size))
        start += size
    return _forbid_inplace(parts)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size along `dim` (the last may be smaller).

    >>> import autograd_core as ag
    >>> [p.shape[0] for p in ag.chunk(ag.arange(5), 2)]
    [3, 2]
    """
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._data.shape[input._dim(dim)]
    return (
        split(input, builtins.max(-(-n // chunks), 1) if n else 0, dim)
        if n
        else _forbid_inplace([narrow(input, dim, 0, 0)] * chunks)
    )


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of all slices along `dim`.

    >>> import autograd_core as ag
    >>> len(ag.unbind(ag.zeros(3, 2)))
    3
    """
    axis = input._dim(dim)
    return _forbid_inplace([select(input, axis, i) for i in range(input._data.shape[axis])])


def repeat(self: Tensor, *sizes: Any) -> Tensor:
    """A copy repeated `sizes` times along each dimension; new dimensions in front."""
    times = _sizes(sizes, "repeat")
    if len(times) < self._data.ndim:
        raise RuntimeError(
            f"repeat: number of dimensions of repeat dims {times} can not be smaller than number of dimensions of "
            f"tensor {tuple(self.shape)}"
        )
    shape = (1,) * (len(times) - self._data.ndim) + self._data.shape
    spread = _reshape_to(self, tuple(n for size in shape for n in (1, size)))
    spread = expand(spread, tuple(n for pair in zip(times, shape) for n in pair))
    out = _reshape(spread, tuple(a * b for a, b in zip(times, shape)))
    return out if out._base is None else e.clone(out)


def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Like `repeat`, with missing counts in front taken as 1.

    >>> import autograd_core as ag
    >>> ag.tile(ag.arange(2), (2,))
    tensor([0, 1, 0, 1])
    """
    counts = tuple(dims) if not isinstance(dims, int) else (dims,)
    return repeat(input, (1,) * (input._data.ndim - len(counts)) + counts)


def repeat_interleave(
    input: Tensor, repeats: int | Tensor | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element repeated `repeats` times in place, along `dim` or of the flattened tensor.

    repeats: a number for all, or a vector of one for each. `output_size` is what they add up to. With `input` alone,
    that is the vector, and the indices 0, 1, ... are repeated. Raises `RuntimeError` where the sizes do not fit.

    >>> import autograd_core as ag
    >>> ag.repeat_interleave(ag.arange(2), ag.tensor([2, 1]))
    tensor([0, 0, 1])
    """
    if repeats is None:
        repeats, input, dim = input, arange(input.numel(), device=input.device), 0
    if isinstance(repeats, Tensor):
        if repeats._data.dtype.char not in "lqi" or repeats._data.ndim > 1:
            raise RuntimeError(
                f"repeat_interleave: repeats must be of int64 or int32 and a vector, got {repeats.dtype} of shape "
                f"{tuple(repeats.shape)}"
            )
        counts = [repeats.item()] if not repeats._data.ndim else repeats.tolist()
    elif isinstance(repeats, int):
        counts = [repeats]
    else:
        raise TypeError(f"repeat_interleave: expected an int or a tensor of counts, got {type(repeats).__name__}")
    if any(n < 0 for n in counts):
        raise RuntimeError(f"repeat_interleave: repeats can not be negative, got {counts}")
    if dim is None:
        input, dim = ravel(input), 0
    axis = input._dim(dim)
    shape = input._data.shape or (1,)
    if len(counts) not in (1, shape[axis]):
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got {len(counts)} counts for "
            f"size {shape[axis]}"
        )
    total = sum(counts) if len(counts) == shape[axis] else counts[0] * shape[axis]
    if output_size is not None and output_size != total:
        raise RuntimeError(f"repeat_interleave: output_size is {output_size}, but the repeats add up to {total}")
    if len(counts) > 1:
        found: Any = interop.tensor([i for i, n in enumerate(counts) for _ in range(n)], dtype=dtypes.int64)
        return input.index_select(axis, found.to(input.device))
    repeats = counts[0]
    if dim is None:
        input, dim = ravel(input), 0
    axis = input._dim(dim)
    shape = input._data.shape
    spread = expand(unsqueeze(input, axis + 1), (*shape[: axis + 1], repeats, *shape[axis + 1 :]))
    return _reshape_to(spread, (*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]))


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinate grids of vectors, in matrix ('ij') or Cartesian ('xy') order.

    >>> import autograd_core as ag
    >>> [g.shape for g in ag.meshgrid(ag.arange(2), ag.arange(3))]
    [ag.Size([2, 3]), ag.Size([2, 3])]
    """
    parts = list(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else list(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing}")
    swap = indexing == "xy" and len(parts) > 1
    if swap:
        parts[0], parts[1] = parts[1], parts[0]
    shape = tuple(x._data.size for x in parts)
    grids = [
        expand(_reshape_to(x, tuple(x._data.size if j == i else 1 for j in range(len(parts)))), shape)
        for i, x in enumerate(parts)
    ]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A square matrix with the vector `input` on its diagonal; or the diagonal of a matrix, as a copy.

    >>> import autograd_core as ag
    >>> ag.diag(ag.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input._data.ndim == 2:
        return e.clone(_diagonal(input, diagonal, 0, 1))
    if input._data.ndim != 1:
        raise RuntimeError(f"diag: expected a vector or matrix, got shape {tuple(input.shape)}")
    n = input._data.shape[0] + builtins.abs(diagonal)
    return V.view_scatter(input.new_zeros((n, n)), input, (("diagonal", (diagonal, 0, 1)),))


PUBLIC = {"concat": cat, "concatenate": cat}
FUNCTIONS = (
    *PUBLIC, "cat", "stack", "hstack", "vstack", "split", "chunk", "unbind", "tile", "repeat_interleave", "meshgrid",
    "diag",
)  # fmt: skip
METHODS = ("split", "chunk", "unbind", "tile", "repeat", "repeat_interleave", "diag")
INPLACE = ()

"""Shapes: views (reshape, permute, expand, slice, diagonal, unfold), joining and splitting."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.primitive import V, apply, primitive, unary
from autograd_core.tensor import Size, Tensor

# -- primitives; those named in a view's chain are view kernels -------------------------------------------


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def _cat_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    axis, sizes = ctx.params
    grads: list[Any] = []
    start = 0
    for edge, n in zip(ctx.inputs, sizes):
        index = (builtins.slice(None),) * axis + (builtins.slice(start, start + n),)
        grads.append(None if edge is None else F.slice(g, index))
        start += n
    return tuple(grads)


def _diagonal_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    zeros = F.fill(F.expand(F.reshape(F.sum(g, None, False), ()), tuple(ctx.inputs[0].shape)), 0.0)
    return (F.view_scatter(zeros, g, (("diagonal", ctx.params),)),)


def _unfold_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    axis, size, step = ctx.params
    return (F.unfold_backward(g, tuple(ctx.inputs[0].shape), axis, size, step),)


_reshape = unary("reshape", lambda F, g, ctx: (F.reshape(g, ctx.inputs[0].shape),), view=True)
_permute = unary("permute", lambda F, g, ctx: (F.permute(g, _inverse(ctx.params[0])),), view=True)
_expand = unary("expand", lambda F, g, ctx: (g,), view=True)  # The engine sums over what was stretched.
_slice = unary("slice", lambda F, g, ctx: (F.slice_backward(g, tuple(ctx.inputs[0].shape), ctx.params[0]),), view=True)
_slice_backward = unary("slice_backward", lambda F, g, ctx: (F.slice(g, ctx.params[1]),))
_diagonal = unary("diagonal", _diagonal_rule, view=True)
_unfold = unary("unfold", _unfold_rule, view=True)
_unfold_backward = unary("unfold_backward", lambda F, g, ctx: (F.unfold(g, *ctx.params[1:]),))
_flip = unary("flip", lambda F, g, ctx: (F.flip(g, ctx.params[0]),))
_roll = unary("roll", lambda F, g, ctx: (F.roll(g, tuple(-s for s in ctx.params[0]), ctx.params[1]),))
_tril = unary("tril", lambda F, g, ctx: (F.tril(g, ctx.params[0]),))
_triu = unary("triu", lambda F, g, ctx: (F.triu(g, ctx.params[0]),))
_contiguous = unary("contiguous", lambda F, g, ctx: (g,))
_cat = primitive("cat", _cat_rule, inputs=-1)


def _sizes(args: tuple[Any, ...], name: str) -> tuple[int, ...]:
    """Sizes given as several ints or as one sequence."""
    sizes = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
    if isinstance(sizes, Tensor):
        sizes = sizes.tolist()
    try:
        return tuple([n.__index__() for n in sizes])
    except (TypeError, AttributeError):
        raise TypeError(f"{name}: expected sizes as ints, got {args}") from None


def _resolve(x: Tensor, shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """`shape` with a -1 replaced by what is left. Raises `RuntimeError` where the number of elements differs."""
    count = x._data.size
    if math.prod(shape) == count and (count or builtins.min(shape) >= 0) and -1 not in shape:
        return shape
    if -1 in shape:
        if shape.count(-1) > 1:
            raise RuntimeError(f"{name}: only one dimension can be inferred, got shape {shape}")
        rest = -math.prod(shape)
        if rest > 0 and count % rest == 0:
            return tuple([count // rest if n == -1 else n for n in shape])
        if rest == 0:
            raise RuntimeError(f"{name}: cannot reshape tensor of 0 elements into shape {list(shape)}: -1 is ambiguous")
    raise RuntimeError(f"{name}: shape '{list(shape)}' is invalid for input of size {count} (shape {tuple(x.shape)})")


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape (-1: inferred): a view where the strides allow it, else a copy.

    >>> import autograd_core as ag
    >>> ag.arange(6).reshape(2, -1).shape
    ag.Size([2, 3])
    """
    sizes = shape if shape and shape[0].__class__ is int else _sizes(shape, "reshape")
    return _reshape(input, _resolve(input, sizes, "reshape"))  # type: ignore[no-any-return]


def _reshape_to(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    return _reshape(x, sizes)  # type: ignore[no-any-return]


def view(self: Tensor, *shape: Any) -> Tensor:
    """Like `reshape`, but never a copy: `RuntimeError` where the strides allow no view. (`view(dtype)` raises.)"""
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        raise RuntimeError("view(dtype) is not supported: use .to(dtype) to convert the values")
    t = _reshape(self, _resolve(self, _sizes(shape, "view"), "view"))
    if t._base is None:
        raise RuntimeError(
            f"view size is not compatible with input tensor's size {tuple(self.shape)} and stride {self.stride()} "
            "(at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return t


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`self.view(other.shape)`."""
    return view(self, other._data.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`self.reshape(other.shape)`."""
    return reshape(self, other._data.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` joined into one.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3, 4).flatten(1).shape
    ag.Size([2, 12])
    """
    first, last = input._dim(start_dim), input._dim(end_dim)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = input._data.shape
    if not shape:
        return _reshape_to(input, (1,))
    return _reshape_to(input, shape[:first] + (math.prod(shape[first : last + 1]),) + shape[last + 1 :])


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` split into `sizes` (one may be -1).

    >>> import autograd_core as ag
    >>> ag.zeros(2, 6).unflatten(1, (2, -1)).shape
    ag.Size([2, 2, 3])
    """
    axis = input._dim(dim)
    shape, given = input._data.shape, tuple(sizes)
    if -1 in given:
        rest = -math.prod(given)
        given = tuple([shape[axis] // rest if n == -1 and rest else n for n in given])
    if math.prod(given) != shape[axis]:
        raise RuntimeError(
            f"unflatten: sizes {tuple(sizes)} don't multiply up to the size of dim {dim} ({shape[axis]})"
        )
    return _reshape_to(input, shape[:axis] + given + shape[axis + 1 :])


def ravel(input: Tensor) -> Tensor:
    """The elements in one dimension.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3).ravel().shape
    ag.Size([6])
    """
    return _reshape_to(input, (input._data.size,))


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of size 1 (all, or those named).

    >>> import autograd_core as ag
    >>> ag.zeros(1, 2, 1).squeeze(0).shape
    ag.Size([2, 1])
    """
    dims = range(input.ndim) if dim is None else [input._dim(d) for d in ([dim] if isinstance(dim, int) else dim)]
    shape = input._data.shape
    return _reshape_to(input, tuple([n for i, n in enumerate(shape) if n != 1 or i not in dims]))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of size 1 inserted at `dim`.

    >>> import autograd_core as ag
    >>> ag.zeros(2).unsqueeze(-1).shape
    ag.Size([2, 1])
    """
    axis = input._dim(dim, extra=1)
    shape = input._data.shape
    return _reshape_to(input, (*shape[:axis], 1, *shape[axis:]))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """A view with the dimensions in another order.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3, 4).permute(2, 0, 1).shape
    ag.Size([4, 2, 3])
    """
    axes = tuple(input._dim(d) for d in _sizes(dims, "permute"))
    if len(axes) != input._data.ndim:
        raise RuntimeError(
            f"permute: got {len(axes)} dims for a tensor of {input._data.ndim} dimensions (shape {tuple(input.shape)})"
        )
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"permute: duplicate dims are not allowed, got {axes}")
    return _permute(input, axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dimensions swapped.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3).transpose(0, 1).shape
    ag.Size([3, 2])
    """
    a, b = input._dim(dim0), input._dim(dim1)
    axes = list(range(input._data.ndim))
    if axes:
        axes[a], axes[b] = b, a
    order = tuple(axes)
    return _permute(input, order)


def t(input: Tensor) -> Tensor:
    """The transposed matrix (a view); tensors of fewer than two dimensions as they are.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3).t().shape
    ag.Size([3, 2])
    """
    if input._data.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input._data.ndim}D; use .mT or .transpose(-2, -1)"
        )
    return transpose(input, 0, -1)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to new places, the others keeping their order.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3, 4).movedim(0, -1).shape
    ag.Size([3, 4, 2])
    """
    sources = [input._dim(d) for d in ([source] if isinstance(source, int) else source)]
    targets = [input._dim(d) for d in ([destination] if isinstance(destination, int) else destination)]
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise RuntimeError(
            f"movedim: source {source} and destination {destination} must name the same number of distinct dims"
        )
    rest = iter([d for d in range(input._data.ndim) if d not in sources])
    place = dict(zip(targets, sources))
    return permute(input, [place[d] if d in place else next(rest) for d in range(input._data.ndim)])


def expand(self: Tensor, *sizes: Any) -> Tensor:
    """A view with dimensions of size 1 stretched (-1: as it is); new dimensions in front.

    >>> import autograd_core as ag
    >>> ag.ones(2, 1).expand(-1, 3).shape
    ag.Size([2, 3])
    """
    target = _sizes(sizes, "expand")
    shape = self._data.shape
    lead = len(target) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand: the number of sizes {target} must not be less than the dimensions of {tuple(shape)}"
        )
    out = tuple([shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(target)])
    for i, n in enumerate(out):
        if n < 0 or (i >= lead and shape[i - lead] not in (1, n)):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size "
                f"({shape[i - lead] if i >= lead else 'none'}) at non-singleton dimension {i}. "
                f"Target sizes: {target}. Tensor sizes: {tuple(shape)}"
            )
    return _expand(self, out)


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`self.expand(other.shape)`."""
    return expand(self, other._data.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """A view of `input` broadcast to `size`.

    >>> import autograd_core as ag
    >>> ag.broadcast_to(ag.ones(3), (2, 3)).shape
    ag.Size([2, 3])
    """
    return expand(input, tuple(size))


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that all `shapes` broadcast to. Raises `RuntimeError` where they do not.

    >>> import autograd_core as ag
    >>> ag.broadcast_shapes((2, 1), (3,))
    ag.Size([2, 3])
    """
    sizes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    out = [1] * builtins.max((len(s) for s in sizes), default=0)
    for s in sizes:
        for i in range(1, len(s) + 1):
            if s[-i] != 1:
                if out[-i] not in (1, s[-i]):
                    raise RuntimeError(
                        f"Shape mismatch: shapes {', '.join(map(str, sizes))} cannot be broadcast together"
                    )
                out[-i] = s[-i]
    return Size(out)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape.

    >>> import autograd_core as ag
    >>> [t.shape for t in ag.broadcast_tensors(ag.ones(2, 1), ag.ones(3))]
    [ag.Size([2, 3]), ag.Size([2, 3])]
    """
    shape = broadcast_shapes(*(x._data.shape for x in tensors))
    return tuple(expand(x, shape) for x in tensors)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonal of dimensions `dim1`, `dim2`, as the last dimension.

    >>> import autograd_core as ag
    >>> ag.tensor([[1, 2], [3, 4]]).diagonal()
    tensor([1, 4])
    """
    a, b = input._dim(dim1), input._dim(dim2)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    params = (offset, a, b)
    return _diagonal(input, *params)


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of all windows of `size` along `dimension`, every `step`, as a new last dimension."""
    axis = self._dim(dimension)
    if not 0 <= size <= self._data.shape[axis] or step <= 0:
        raise RuntimeError(
            f"unfold: size {size} and step {step} do not fit dimension {dimension} of size {self._data.shape[axis]}"
        )
    params = (axis, size, step)
    return _unfold(self, *params)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A view of `length` elements from `start` along `dim`.

    >>> import autograd_core as ag
    >>> ag.narrow(ag.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    axis = input._dim(dim)
    n = input._data.shape[axis]
    start = start + n if start < 0 else start
    if length < 0 or not 0 <= start <= n - length:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n}) of dim {dim}")
    return _slice(input, (builtins.slice(None),) * axis + (builtins.slice(start, start + length),))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """A view of the slice `index` along `dim`, without that dimension.

    >>> import autograd_core as ag
    >>> ag.select(ag.arange(6).reshape(2, 3), 1, 0)
    tensor([0, 3])
    """
    axis = input._dim(dim)
    n = input._data.shape[axis]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {tuple(input.shape)} at dimension {dim}"
        )
    return _slice(input, (builtins.slice(None),) * axis + (index % n,))


def contiguous(self: Tensor) -> Tensor:
    """The tensor itself if its memory is in row-major order, else a copy that is."""
    return self if self._data.flags.c_contiguous else _contiguous(self)


def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order along `dims` reversed.

    >>> import autograd_core as ag
    >>> ag.flip(ag.arange(3), (0,))
    tensor([2, 1, 0])
    """
    axes = tuple(input._dim(d) for d in _sizes(dims, "flip"))
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"flip: dim appears multiple times in the list of dims {axes}")
    return _contiguous(_flip(input, axes))  # type: ignore[no-any-return]


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along `dims`, those that fall off entering at the other end.

    >>> import autograd_core as ag
    >>> ag.roll(ag.arange(4), 1)
    tensor([3, 0, 1, 2])
    """
    amounts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None:
        return _reshape_to(_roll(ravel(input), amounts, (0,)), input._data.shape)
    axes = tuple(input._dim(d) for d in ((dims,) if isinstance(dims, int) else dims))
    if len(axes) != len(amounts):
        raise RuntimeError(f"roll: shifts and dims must align, got {len(amounts)} shifts and {len(axes)} dims")
    return _roll(input, amounts, axes)  # type: ignore[no-any-return]


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle, the rest zero.

    >>> import autograd_core as ag
    >>> ag.tril(ag.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle("tril", _tril, input, diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle, the rest zero.

    >>> import autograd_core as ag
    >>> ag.triu(ag.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triangle("triu", _triu, input, diagonal)


def _triangle(name: str, function: Any, input: Tensor, diagonal: int) -> Tensor:
    if input._data.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got shape {tuple(input.shape)}")
    return function(input, diagonal)  # type: ignore[no-any-return]


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension. Raises `RuntimeError` where other sizes differ.

    >>> import autograd_core as ag
    >>> ag.cat([ag.zeros(1), ag.ones(2)])
    tensor([0., 1., 1.])
    """
    parts = list(tensors)
    if not parts:
        raise ValueError("cat: expected a non-empty list of Tensors")
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


def _cat_with_sizes(tensors: tuple[Tensor, ...], axis: int) -> Tensor:
    out = apply(_cat.primitive, tensors, (axis,), as_list=True)
    if out._node is not None:
        out._node.params = (axis, tuple(x._data.shape[axis] for x in tensors))
    return out  # type: ignore[no-any-return]


V.cat = lambda tensors, axis: _cat_with_sizes(tuple(tensors), axis)  # type: ignore[attr-defined]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension.

    >>> import autograd_core as ag
    >>> ag.stack([ag.zeros(2), ag.ones(2)]).shape
    ag.Size([2, 2])
    """
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
    return cat(parts, 0 if parts and parts[0]._data.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the first dimension, vectors as rows.

    >>> import autograd_core as ag
    >>> ag.vstack([ag.zeros(2), ag.ones(2)]).shape
    ag.Size([2, 2])
    """
    return cat([x if x._data.ndim > 1 else _reshape_to(x, (1, x._data.size)) for x in tensors], 0)


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
    return out if out._data.flags.owndata or out._data.size == 0 else clone_contiguous(out)  # type: ignore[no-any-return]


def clone_contiguous(x: Tensor) -> Tensor:
    return e.clone(x)  # type: ignore[no-any-return]


def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Like `repeat`, with missing counts in front taken as 1.

    >>> import autograd_core as ag
    >>> ag.tile(ag.arange(2), (2,))
    tensor([0, 1, 0, 1])
    """
    counts = tuple(dims) if not isinstance(dims, int) else (dims,)
    return repeat(input, (1,) * (input._data.ndim - len(counts)) + counts)


def repeat_interleave(input: Tensor, repeats: int, dim: int | None = None) -> Tensor:
    """Each element repeated `repeats` times in place, along `dim` or of the flattened tensor.

    >>> import autograd_core as ag
    >>> ag.repeat_interleave(ag.arange(2), 2)
    tensor([0, 0, 1, 1])
    """
    if not isinstance(repeats, int):
        raise TypeError(f"repeat_interleave: expected an int count, got {type(repeats).__name__}")
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
        return e.clone(_diagonal(input, diagonal, 0, 1))  # type: ignore[no-any-return]
    if input._data.ndim != 1:
        raise RuntimeError(f"diag: expected a vector or matrix, got shape {tuple(input.shape)}")
    n = input._data.shape[0] + builtins.abs(diagonal)
    return V.view_scatter(input.new_zeros((n, n)), input, (("diagonal", (diagonal, 0, 1)),))  # type: ignore[no-any-return]


PROPERTIES = {
    "T": lambda self: permute(self, tuple(range(self._data.ndim))[::-1]),
    "mT": lambda self: transpose(self, -2, -1),
}
_ALIASES = {"swapaxes": transpose, "swapdims": transpose, "moveaxis": movedim, "concat": cat, "concatenate": cat}
PUBLIC = {"flip": flip, "roll": roll, "tril": tril, "triu": triu, **_ALIASES}
FUNCTIONS = (
    *PUBLIC, "reshape", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "permute", "transpose", "t", "movedim",
    "broadcast_to", "broadcast_shapes", "broadcast_tensors", "diagonal", "narrow", "select", "cat", "stack", "hstack",
    "vstack", "split", "chunk", "unbind", "tile", "repeat_interleave", "meshgrid", "diag",
)  # fmt: skip
_NOT_METHODS = (
    "cat",
    "concat",
    "concatenate",
    "stack",
    "hstack",
    "vstack",
    "meshgrid",
    "broadcast_shapes",
    "broadcast_tensors",
)
METHODS = (
    *(n for n in FUNCTIONS if n not in _NOT_METHODS), "view", "view_as", "reshape_as", "expand", "expand_as", "repeat",
    "unfold", "contiguous",
)  # fmt: skip
INPLACE = ("tril", "triu")

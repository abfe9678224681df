"""Shapes: views (reshape, permute, expand, slice, diagonal, unfold), and the order of elements (flip, roll, tril)."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.primitive import V, unary
from autograd_core.tensor import Size, Tensor

# -- primitives; those named in a view's chain are view kernels -------------------------------------------


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def _diagonal_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    zeros = F.fill(F.expand(F.reshape(F.sum(g, None, False), ()), tuple(ctx.inputs[0].shape)), 0.0)
    return (F.view_scatter(zeros, g, (("diagonal", ctx.params),)),)


def _unfold_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    axis, size, step = ctx.params
    return (F.unfold_backward(g, tuple(ctx.inputs[0].shape), axis, size, step),)


_reshape = unary("reshape", lambda F, g, ctx: (F.reshape(g, ctx.inputs[0].shape),), view=True)
_permute = unary("permute", lambda F, g, ctx: (F.permute(g, _inverse(ctx.params[0])),), view=True)
_expand = unary("expand", lambda F, g, ctx: (g,), view=True)  # The engine sums over what was stretched.
V.stretch = _expand  # type: ignore[attr-defined]
_slice = unary("slice", lambda F, g, ctx: (F.slice_backward(g, ctx.inputs[0].shape, ctx.params[0]),), view=True)
_slice_backward = unary("slice_backward", lambda F, g, ctx: (F.slice(g, ctx.params[1]),))
_diagonal = unary("diagonal", _diagonal_rule, view=True)
_unfold = unary("unfold", _unfold_rule, view=True)
_unfold_backward = unary("unfold_backward", lambda F, g, ctx: (F.unfold(g, *ctx.params[1:]),))
_flip = unary("flip", lambda F, g, ctx: (F.flip(g, ctx.params[0]),))
_roll = unary("roll", lambda F, g, ctx: (F.roll(g, tuple(-s for s in ctx.params[0]), ctx.params[1]),))
_tril = unary("tril", lambda F, g, ctx: (F.tril(g, ctx.params[0]),))
_triu = unary("triu", lambda F, g, ctx: (F.triu(g, ctx.params[0]),))
_contiguous = unary("contiguous", lambda F, g, ctx: (g,))


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
    try:
        t = _reshape(input, sizes)
        if t._data.shape == sizes:
            return t
    except ValueError:
        pass
    # A size was to be inferred, or the sizes are wrong.
    return _reshape(input, _resolve(input, sizes, "reshape"))


def _reshape_to(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    return _reshape(x, sizes)


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
    if not self._data.ndim:
        self = _reshape_to(self, (1,))
        if (size, step > 0) == (0, True):
            return _slice(self, (builtins.slice(0, 0),))
        if (size, step > 0) == (1, True):
            return self
    if not 0 <= size <= self._data.shape[axis] or step <= 0:
        raise RuntimeError(
            f"unfold: size {size} and step {step} do not fit dimension {dimension} of size {self._data.shape[axis]}"
        )
    params = (axis, size, step)
    return _unfold(self, *params)


def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """A view of `length` elements from `start` along `dim`.

    >>> import autograd_core as ag
    >>> ag.narrow(ag.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    if not input._data.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = input._dim(dim)
    n = input._data.shape[axis]
    if isinstance(start, Tensor):
        if start._data.ndim or start._data.dtype.kind not in "iu":
            raise RuntimeError(
                f"narrow: start must be an 0-dim integral Tensor, got {start.dtype} {tuple(start.shape)}"
            )
        start = start.item()
    if not -n <= start <= n:
        raise IndexError(f"narrow: start out of range (expected to be in range of [{-n}, {n}], but got {start})")
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


def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """A copy with the order along `dims` reversed.

    >>> import autograd_core as ag
    >>> ag.flip(ag.arange(3), (0,))
    tensor([2, 1, 0])
    """
    axes = tuple(input._dim(d) for d in _sizes(axes if dims is None else (dims,), "flip"))
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"flip: dim appears multiple times in the list of dims {axes}")
    return _contiguous(_flip(input, axes))


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along `dims`, those that fall off entering at the other end.

    >>> import autograd_core as ag
    >>> ag.roll(ag.arange(4), 1)
    tensor([3, 0, 1, 2])
    """
    amounts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if not amounts:
        raise RuntimeError("roll: `shifts` required")
    if dims is None:
        return _reshape_to(_roll(ravel(input), amounts, (0,)), input._data.shape)
    axes = tuple(input._dim(d) for d in ((dims,) if isinstance(dims, int) else dims))
    if len(axes) != len(amounts):
        raise RuntimeError(f"roll: shifts and dims must align, got {len(amounts)} shifts and {len(axes)} dims")
    return _roll(input, amounts, axes)


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
    return function(input, diagonal)


PROPERTIES = {
    "T": lambda self: permute(self, tuple(range(self._data.ndim))[::-1]),
    "mT": lambda self: transpose(self, -2, -1),
}
PUBLIC = {
    "flip": flip, "roll": roll, "tril": tril, "triu": triu,
    "swapaxes": transpose, "swapdims": transpose, "moveaxis": movedim,
}  # fmt: skip
FUNCTIONS = (
    *PUBLIC, "reshape", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "permute", "transpose", "t", "movedim",
    "broadcast_to", "broadcast_shapes", "broadcast_tensors", "diagonal", "narrow", "select",
)  # fmt: skip
METHODS = (
    *(n for n in FUNCTIONS if not n.startswith("broadcast_") or n == "broadcast_to"), "view", "view_as", "reshape_as",
    "expand", "expand_as", "unfold", "contiguous",
)  # fmt: skip
INPLACE = ("tril", "triu")

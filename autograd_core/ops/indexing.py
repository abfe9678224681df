"""Indexing: `x[...]` for reading and writing, selection by a vector of indices or a mask."""

from __future__ import annotations

import builtins
from typing import Any

from autograd_core import dtypes, interop, storage
from autograd_core.inplace import check_writable, update, write
from autograd_core.operands import constant_like
from autograd_core.ops import elementwise as e
from autograd_core.ops.gathering import _check_bounds
from autograd_core.ops.joining import cat
from autograd_core.ops.shape import _slice
from autograd_core.primitive import primitive, unary
from autograd_core.tensor import Tensor, wrap


def _index_put_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    indices, accumulate = ctx.params
    if accumulate:
        gx = g
    else:
        gx = None if ctx.inputs[0] is None else F.index_put(g, F.fill(F.index(g, indices), 0.0), indices, False)
    return gx, None if ctx.inputs[1] is None else F.index(g, indices)


_index = unary("index", lambda F, g, ctx: (F.index_backward(g, tuple(ctx.inputs[0].shape), ctx.params[0]),))
_index_backward = unary("index_backward", lambda F, g, ctx: (F.index(g, ctx.params[1]),))
_index_put = primitive("index_put", _index_put_rule, inputs=2)
replace = primitive("replace", lambda F, g, ctx: (F.fill(g, 0.0), g), inputs=2)

_FULL = builtins.slice(None)


# -- x[...] -----------------------------------------------------------------------------------------------


def getitem(self: Tensor, index: Any) -> Tensor:
    """A view by ints, slices, None and Ellipsis; a copy by integer or boolean tensors, or a mixture."""
    cls = index.__class__
    if cls is int or (cls is builtins.slice and (index.step is None or index.step > 0)):
        try:
            return _slice(self, (index,))
        except (IndexError, TypeError) as error:
            raise _index_error(self, error) from None
    if cls is Tensor and index._data.dtype.char in "lq" and index._backend is self._backend and self._data.ndim:
        try:
            return _index(self, (index._data,))
        except IndexError as error:
            raise _index_error(self, error) from None
    basic, arrays = _parse(self, index)
    out = _take(self, basic) if basic is not None else self
    if arrays is None:
        return out
    _check_range(out, arrays)
    try:
        return _index(out, arrays)
    except IndexError as error:
        raise _index_error(self, error) from None


def _take(x: Tensor, basic: tuple[Any, ...]) -> Tensor:
    try:
        t = _slice(x, basic)
    except (IndexError, ValueError, TypeError) as error:
        raise _index_error(x, error) from None
    for item in basic:
        if item.__class__ is builtins.slice and item.step is not None and int(item.step) <= 0:
            raise ValueError(f"step must be greater than zero, got {item.step}; use flip() to reverse")
    return t


def _index_error(x: Tensor, error: Exception) -> Exception:
    return type(error)(f"indexing a tensor of shape {tuple(x.shape)}: {error}")


def _parse(x: Tensor, index: Any) -> tuple[tuple[Any, ...] | None, tuple[Any, ...] | None]:
    """`index` as a basic index (None: all) and, on the view that it takes, index arrays (None: none).

    As in PyTorch, ints select first, so that index tensors on both sides of an int count as neighbours.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    items = [_item(x, i) for i in items]
    used = builtins.sum(
        i.ndim if _is_mask(i) else 1 for i in items if i is not None and i is not Ellipsis and not isinstance(i, bool)
    )
    if used > x._data.ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {x._data.ndim} (shape {tuple(x.shape)}): got {used}"
        )
    if (
        items.count(Ellipsis) > 1
        if all(not hasattr(i, "dtype") for i in items)
        else builtins.sum(i is Ellipsis for i in items) > 1
    ):
        raise IndexError("an index can only have a single ellipsis ('...')")
    if not any(hasattr(i, "dtype") or isinstance(i, bool) for i in items):
        return tuple(items), None
    basic: list[Any] = []
    arrays: list[Any] = []
    for i in items:
        if i is Ellipsis:
            fill = [_FULL] * (x._data.ndim - used)
            basic += fill
            arrays += fill
        elif isinstance(i, bool):
            arrays.append(x._backend.full((), i, dtypes.bool_.native))
        elif hasattr(i, "dtype"):
            basic += [_FULL] * (i.ndim if _is_mask(i) else 1)
            arrays.append(i)
        else:
            basic.append(i)
            if not isinstance(i, int):
                arrays.append(_FULL)
    trivial = all(b is _FULL for b in basic)
    return None if trivial else tuple(basic), tuple(arrays)


def _is_mask(item: Any) -> bool:
    return hasattr(item, "dtype") and item.dtype.kind == "b"


def _item(x: Tensor, item: Any) -> Any:
    """One entry of an index: an int, slice, None, Ellipsis, Python bool, or a raw index array on the device of `x`."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return item
    if isinstance(item, int):
        return item
    if isinstance(item, builtins.slice):
        parts = [v.__index__() if isinstance(v, Tensor) else v for v in (item.start, item.stop, item.step)]
        return builtins.slice(*parts)
    if isinstance(item, list | tuple | range):
        item = interop.tensor(list(item) or [], dtype=None if list(item) else dtypes.int64, device=x.device)
    elif not isinstance(item, Tensor):
        if hasattr(item, "__index__") and (not hasattr(item, "shape") or (not item.shape and item.dtype.kind in "iu")):
            return item.__index__()  # Also a number of NumPy's.
        if hasattr(item, "dtype"):
            item = interop.tensor(item, device=x.device)
        else:
            raise (TypeError if isinstance(item, str) else IndexError)(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Tensors are valid indices "
                f"(got {type(item).__name__})"
            )
    if item._backend is not x._backend:
        if item._backend.name != "cpu":
            raise RuntimeError(
                f"indexing: the index is on {item.device}, the tensor on {x.device}; move one with .to()"
            )
        item = item.to(x.device)
    kind = item._data.dtype.kind
    if kind == "f":
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, got {item.dtype}; use .long()"
        )
    if item._data.dtype.char == "B":
        item = e.ne(item, 0)  # uint8 counts as a mask, as in PyTorch.
    return item._data


def _check_range(x: Tensor, arrays: tuple[Any, ...]) -> None:
    """A mask must have the shape of the dimensions that it selects from. (The kernel checks ranges of integers.)"""
    axis = 0
    for item in arrays:
        if _is_mask(item) and item.ndim:
            covered = x._data.shape[axis : axis + item.ndim]
            if tuple(item.shape) != tuple(covered):
                raise IndexError(
                    f"The shape of the mask {tuple(item.shape)} at index {axis} does not match the shape of the "
                    "indexed "
                    f"tensor {tuple(x.shape)} at index {axis}"
                )
            axis += item.ndim
        elif not (_is_mask(item) and not item.ndim):
            axis += 1


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """Write `value` (a number or a tensor that broadcasts) where `index` points."""
    basic, arrays = _parse(self, index)
    whole = index is Ellipsis or (index.__class__ is builtins.slice and index == _FULL)  # Then no view lies between.
    target = self if basic is None or whole else _take(self, basic)
    if arrays is None:
        if isinstance(value, Tensor):
            value = _fit(target, value)
            update(target, "copy_", replace, value)
        else:
            update(target, "fill_", e.fill, _number(value, target, "fill_"))
        return
    _check_range(target, arrays)
    if isinstance(value, Tensor):
        value = e.cast(value, self._data.dtype) if value._data.dtype != self._data.dtype else value
        if value._backend is not self._backend:
            value = _fit(target, value)
    else:
        value = self.new_full((), _number(value, self, "index_put_"))
    recording = check_writable(target, "index_put_", value)
    try:
        if recording:
            old = wrap(target._data, target._backend, target.grad_fn)
            write(target, _index_put(old, value, arrays, False), "index_put_")
        else:
            target._backend.set_index_(target._data, value._data, arrays)
            storage.mark_mutated(target._backend, target._data, "index_put_")
    except IndexError as error:
        raise _index_error(self, error) from None
    except ValueError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {tuple(value.shape)} cannot be broadcast to the indexing "
            "result of a "
            f"tensor of shape {tuple(target.shape)}"
        ) from None


def _number(value: Any, x: Tensor, operation: str) -> Any:
    """`value` as a number that the dtype of `x` can hold."""
    if not isinstance(value, bool | int | float) and getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | int | float):
        return value if x._data.dtype.kind == "f" else dtypes.whole_number(value, x.dtype, operation)
    raise TypeError(f"can't assign a {type(value).__name__} to a tensor; use a number or ag.tensor(...)")


def _fit(target: Tensor, value: Tensor) -> Tensor:
    """`value` on the device of `target`, its shape checked for broadcasting (leading 1s may be too many)."""
    if value._backend is not target._backend:
        if value._data.ndim:
            raise RuntimeError(
                f"assignment: expected all tensors on the same device, got {target.device} and {value.device}; "
                "use .to()"
            )
        value = value.to(target.device)
    shape, into = value._data.shape, target._data.shape
    while len(shape) > len(into) and shape[0] == 1:
        value = value.squeeze(0)
        shape = value._data.shape
    if len(shape) > len(into) or any(a not in (1, b) for a, b in zip(reversed(shape), reversed(into))):
        raise RuntimeError(
            f"The expanded size of the tensor {tuple(into)} must match the existing size {tuple(value.shape)}: "
            "cannot assign"
        )
    return value


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write `src`, broadcast and converted, into this tensor."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_: expected a Tensor, got {type(src).__name__}")
    if src._backend is not self._backend:
        src = src.to(self.device)
    return update(self, "copy_", replace, _fit(self, src))


def fill_(self: Tensor, value: Any) -> Tensor:
    """Write one number into every element."""
    if isinstance(value, Tensor):
        return copy_(self, value)
    return update(self, "fill_", e.fill, _number(value, self, "fill_"))


def zero_(self: Tensor) -> Tensor:
    """Write 0 into every element."""
    return update(self, "zero_", e.fill, 0)


# -- by a vector or a mask ---------------------------------------------------------------------------------


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of `input` along `dim` that the vector `index` names.

    >>> import autograd_core as ag
    >>> ag.index_select(ag.tensor([5, 6, 7]), 0, ag.tensor([2, 0]))
    tensor([7, 5])
    """
    axis = input._dim(dim)
    if index.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, got shape {tuple(index.shape)}")
    if not input.ndim:
        return input.clone()
    if index._data.dtype.char in "lq" and index._data.ndim and index._backend is input._backend:
        try:
            return _index(input, (_FULL,) * axis + (index._data,))
        except IndexError as error:
            raise _index_error(input, error) from None
    return getitem(input, (_FULL,) * axis + (index.reshape(-1),))


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of `input` with `alpha * source` added to the slices that `index` names, in order.

    >>> import autograd_core as ag
    >>> ag.index_add(ag.zeros(2), 0, ag.tensor([0, 0]), ag.ones(2))
    tensor([2., 0.])
    """
    axis = input._dim(dim)
    weighted = source if alpha == 1 else e.mul(source, input.new_full((), alpha))
    if not input.ndim:
        return index_add(input.reshape(1), 0, index, weighted.reshape(-1)).reshape(())
    _check_bounds("index_add", index, input._data.shape[axis])
    slices = (*input._data.shape[:axis], index.numel(), *input._data.shape[axis + 1 :])
    if source._data.shape != slices:
        raise RuntimeError(
            f"index_add: expected a source of shape {slices}, since self has shape {tuple(input.shape)} and the index "
            f"{index.numel()} elements for dim {dim}, got {tuple(source.shape)}"
        )
    return _index_put(input, weighted, (_FULL,) * axis + (index._data,), True)


def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `values` written (or added) where the tuple of index tensors points.

    >>> import autograd_core as ag
    >>> ag.index_put(ag.zeros(3), (ag.tensor([1]),), ag.ones(1))
    tensor([0., 1., 0.])
    """
    basic, arrays = _parse(input, tuple(indices))
    if basic is not None or arrays is None:
        raise TypeError("index_put: expected a tuple of tensors")
    try:
        return _index_put(input, values, arrays, accumulate)
    except IndexError as error:
        raise _index_error(input, error) from None


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where `mask` is true, else `input`.

    >>> import autograd_core as ag
    >>> ag.masked_fill(ag.ones(2), ag.tensor([True, False]), 0.0)
    tensor([0., 1.])
    """
    if mask._data.dtype.kind != "b":
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}; use mask != 0"
        )
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"masked_fill only supports a 0-dimensional value tensor, but got tensor with {value.ndim} "
                "dimension(s)."
            )
        value = value.to(input.dtype)
    else:
        value = constant_like(value, input, input.dtype)
    return e.where(mask, value, input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where `mask` is true, in one dimension (the shape depends on the data: on CUDA this synchronises).

    >>> import autograd_core as ag
    >>> ag.masked_select(ag.arange(3), ag.tensor([True, False, True]))
    tensor([0, 2])
    """
    from autograd_core.ops.shape import broadcast_tensors

    if mask._data.dtype.kind != "b":
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, got {mask.dtype}")
    x, m = broadcast_tensors(input, mask)
    return getitem(x, m)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the nonzero elements: one row each, or (`as_tuple`) one vector a dimension.

    >>> import autograd_core as ag
    >>> ag.nonzero(ag.tensor([0, 3, 4]))
    tensor([[1],
            [2]])
    """
    backend = input._backend
    if as_tuple and not input.ndim:
        input = input.reshape(1)
    found = wrap(backend.nonzero(input._data), backend)
    return tuple(e.clone(column) for column in found.unbind(1)) if as_tuple else found


def argwhere(input: Tensor) -> Tensor:
    """The indices of the nonzero elements, one row each.

    >>> import autograd_core as ag
    >>> ag.argwhere(ag.tensor([0, 3]))
    tensor([[1]])
    """
    return nonzero(input)


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


FUNCTIONS = (
    "index_select", "index_add", "index_put", "masked_fill", "masked_select", "nonzero", "argwhere", "nonzero_static",
    "unravel_index",
)  # fmt: skip
METHODS = (*(name for name in FUNCTIONS if name != "unravel_index"), "copy_", "fill_", "zero_")
INPLACE = ("index_add", "index_put", "masked_fill")
OPERATORS = {"__getitem__": getitem, "__setitem__": setitem}

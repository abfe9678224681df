"""Views by strides, and in-place changes of shape: `squeeze_`, `unsqueeze_`, `t_`, `transpose_`, `resize_`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autograd_core import modes, storage
from autograd_core.inplace import _set_history, check_writable
from autograd_core.ops import shape as s
from autograd_core.ops.creation import _shape
from autograd_core.primitive import V, edge_of, unary
from autograd_core.tensor import Tensor, wrap

Step = tuple[str, tuple[Any, ...]]

_as_strided: Any = unary(
    "as_strided", lambda F, g, ctx: (F.as_strided_backward(g, tuple(ctx.inputs[0].shape), *ctx.params),), view=True
)
_as_strided_backward: Any = unary("as_strided_backward", lambda F, g, ctx: (F.as_strided(g, *ctx.params[1:]),))


# -- views by strides -------------------------------------------------------------------------------------


def _offset(self: Tensor) -> int:
    """How many elements lie in this tensor's storage before its first one."""
    backend, x = self._backend, self._data
    return (backend.address(x) - backend.address(backend.storage_key(x))) // int(x.dtype.itemsize)


def _checked(name: str, input: Tensor, size: Any, stride: Any, offset: int | None) -> tuple[Any, Any, int, int]:
    """Size, stride, offset in the storage, and the number of elements up to the last one that they reach."""
    sizes, strides = tuple(size), tuple(stride)
    if len(sizes) != len(strides):
        raise RuntimeError(f"{name}: mismatch in length of strides {strides} and shape {sizes}")
    if any(n < 0 for n in sizes) or any(n < 0 for n in strides):
        raise RuntimeError(f"{name}: negative sizes and strides are not supported, got {sizes} and {strides}")
    start = _offset(input) if offset is None else offset
    if start < 0:
        raise RuntimeError(f"{name}: storage_offset must be non-negative, got {start}")
    reach = 1 + sum((n - 1) * m for n, m in zip(sizes, strides)) if math.prod(sizes) else 0
    memory = input._backend.storage_key(input._data)
    if reach and (start + reach) * input.element_size() > memory.nbytes:
        raise RuntimeError(
            f"{name}: sizes {sizes}, strides {strides} and storage offset {start} are out of bounds for a storage of "
            f"{memory.nbytes // input.element_size()} elements"
        )
    return sizes, strides, start, reach


def _in_memory_order(x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """`x` with its dimensions in the order of their strides, and that order."""
    steps = x._data.strides
    order = tuple(sorted(range(x.ndim), key=lambda d: -steps[d]))
    return (x if order == tuple(range(x.ndim)) else s.permute(x, order)), order


def _holds(x: Tensor, start: int, reach: int) -> bool:
    """Whether `x` is a gapless block in its storage that holds `reach` elements from `start`."""
    first = _offset(x)
    return bool(x._data.flags.c_contiguous) and (not reach or first <= start <= first + x.numel() - reach)


def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the storage of `input`: element (i, j, ...) lies at storage_offset + i stride[0] + j stride[1] + ...

    storage_offset: by default that of `input`. Elements may overlap; their gradients add up. Raises `RuntimeError`
    where the view would leave the storage.

    >>> import autograd_core as ag
    >>> ag.as_strided(ag.arange(6), (2, 2), (1, 2))
    tensor([[0, 2],
            [1, 3]])
    """
    sizes, strides, start, reach = _checked("as_strided", input, size, stride, storage_offset)
    for candidate in (input, input._base):
        if candidate is not None:
            block, _ = _in_memory_order(candidate)
            if _holds(block, start, reach):
                first = _offset(block) if reach else start
                return _as_strided(block, sizes, strides, start - first)
    if edge_of(input) is not None:
        raise RuntimeError(
            f"as_strided: the memory of a tensor of shape {tuple(input.shape)} and stride {input.stride()} has gaps or "
            "ends before the view does, so that the view has no gradient; use contiguous() or detach() first"
        )
    return _without_history(input, sizes, strides, start)


def _without_history(input: Tensor, sizes: Any, strides: Any, start: int) -> Tensor:
    """A view of the whole storage, which cannot be changed in place where gradients are wanted."""
    backend = input._backend
    memory = _memory(input)
    made = wrap(backend.as_strided(memory, sizes, strides, start), backend)
    made._base, made._source = input if input._base is None else input._base, input
    made._step, made._seen = None, storage.last_change
    return made


def _memory(x: Tensor) -> Any:
    """The storage of `x` as a contiguous array of its dtype."""
    memory = x._backend.storage_key(x._data)
    if memory.dtype != x._data.dtype or not memory.flags.c_contiguous:
        raise RuntimeError(
            f"the storage of a tensor of shape {tuple(x.shape)} and {x.dtype} is no plain block of memory; use clone()"
        )
    return memory


def as_strided_copy(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of `as_strided`."""
    return V.clone(as_strided(input, size, stride, storage_offset))


def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of `input` with `src` in the place of `as_strided(input, size, stride, storage_offset)`.

    >>> import autograd_core as ag
    >>> ag.as_strided_scatter(ag.zeros(4), ag.ones(2), (2,), (2,))
    tensor([1., 0., 1., 0.])
    """
    sizes, strides, start, reach = _checked("as_strided_scatter", input, size, stride, storage_offset)
    if tuple(src.shape) != sizes:
        raise RuntimeError(f"as_strided_scatter: expected src of shape {sizes}, got {tuple(src.shape)}")
    block, order = _in_memory_order(input)
    if not _holds(block, start, reach):
        raise RuntimeError(
            f"as_strided_scatter: the memory of a tensor of shape {tuple(input.shape)} and stride {input.stride()} has "
            "gaps or ends before the view does; use contiguous() first"
        )
    if src.dtype is not input.dtype:
        src = src.to(input.dtype)
    step = ("as_strided", (sizes, strides, start - _offset(block)))
    made = V.view_scatter(block, src, (step,))
    return made if block is input else s.permute(made, s._inverse(order))


# -- in-place changes of shape ----------------------------------------------------------------------------


def _changed(x: Tensor, name: str, data: Any, step: Step | None, inverse: Step | None, node: Any = None) -> Tensor:
    """Give `x` another view of its memory. `step` leads to it, `inverse` back; None where there is no way.

    Views taken of `x` before keep their way to it: it leads to `_before`, which stands for `x` as it was.
    """
    storage.mark_mutated(x._backend, x._data, name)
    stamp = storage.last_change
    if x._base is None:
        # `now` stands for `x` at the end of the way: leading to `x` itself would make a reference cycle.
        now = wrap(data, x._backend)
        before = _stand_in(x, now, now, inverse, stamp)
        if x._reshaped:  # The way from an earlier shape went on to this one.
            earlier = x._before._source
            earlier._before, earlier._reshaped = _stand_in(x, now, now, inverse, stamp), stamp
    else:
        before = _stand_in(x, x._base, x._source, x._step, x._seen)
        x._source, x._seen = before, stamp
        x._step = None if x._step is None else step
    if x._reshaped:
        before._before, before._reshaped = x._before, x._reshaped
    x._before, x._reshaped, x._data = before, stamp, data
    if node is not None:
        _set_history(x, node)
    return x


def _stand_in(x: Tensor, base: Tensor, source: Tensor, step: Step | None, seen: int) -> Tensor:
    made = wrap(x._data, x._backend)
    made._base, made._source, made._step, made._seen = base, source, step, seen
    return made


def _by_view(x: Tensor, name: str, step: Step, inverse: Step) -> Tensor:
    check_writable(x, name)
    edge = edge_of(x)
    with modes.enable_grad():  # Also without gradients: a history must have the shape of its tensor.
        made = getattr(V, step[0])(wrap(x._data, x._backend, None if edge is x else edge), *step[1])
    return _changed(x, name, made._data, step, inverse, made._node)


def _into_shape(x: Tensor, name: str, shape: tuple[int, ...]) -> Tensor:
    return _by_view(x, name, ("reshape", (shape,)), ("reshape", (tuple(x.shape),)))


def squeeze_(self: Tensor, dim: Any = None) -> Tensor:
    """In-place form of `squeeze`."""
    return _into_shape(self, "squeeze_", tuple(s.squeeze(self.detach(), dim).shape))


def unsqueeze_(self: Tensor, dim: int) -> Tensor:
    """In-place form of `unsqueeze`."""
    return _into_shape(self, "unsqueeze_", tuple(s.unsqueeze(self.detach(), dim).shape))


def _transposing(name: str) -> Any:
    def method(self: Tensor, dim0: int, dim1: int) -> Tensor:
        a, b = self._dim(dim0), self._dim(dim1)
        axes = list(range(self.ndim))
        if axes:
            axes[a], axes[b] = b, a
        step = ("permute", (tuple(axes),))
        return _by_view(self, name, step, step)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "In-place form of `transpose`."
    return method


transpose_, swapaxes_, swapdims_ = map(_transposing, ("transpose_", "swapaxes_", "swapdims_"))


def t_(self: Tensor) -> Tensor:
    """In-place form of `t`."""
    if self.ndim > 2:
        raise RuntimeError(f"t_() expects a tensor with <= 2 dimensions, but self is {self.ndim}D; use transpose_")
    return transpose_(self, 0, -1)


def as_strided_(self: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """In-place form of `as_strided`, for tensors without history (else `RuntimeError`)."""
    if self.requires_grad:
        raise RuntimeError("as_strided_: not for tensors that require grad; use as_strided, or detach()")
    sizes, strides, start, _ = _checked("as_strided_", self, size, stride, storage_offset)
    return _changed(self, "as_strided_", _without_history(self, sizes, strides, start)._data, None, None)


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape, over the same memory in row-major order; new elements hold anything.

    If the storage is too small, this tensor moves to a new one (views of the old stay there). memory_format: only the
    contiguous one. Raises `RuntimeError` for tensors that require grad.
    """
    shape = _shape(sizes, "resize_")
    if self.requires_grad:
        raise RuntimeError("resize_: cannot resize variables that require grad; use detach(), or reshape")
    if not _is_contiguous_format(memory_format):
        raise RuntimeError(f"resize_: only the contiguous memory format is supported, got {memory_format}")
    if shape == tuple(self.shape):
        return self
    check_writable(self, "resize_")
    start, count = _offset(self), math.prod(shape)
    backend, memory = self._backend, _memory(self)
    if start + count > memory.size:
        larger = backend.empty((start + count,), memory.dtype)
        kept = min(memory.size, start + count)
        backend.copy_(
            backend.slice(larger, (slice(0, kept),)),
            backend.slice(backend.reshape(memory, (memory.size,)), (slice(0, kept),)),
        )
        memory = larger
    steps = tuple(math.prod(shape[d + 1 :]) for d, _ in enumerate(shape))
    return _changed(self, "resize_", backend.as_strided(memory, shape, steps, start), None, None)


def _is_contiguous_format(memory_format: Any) -> bool:
    return memory_format is None or getattr(memory_format, "name", "") in ("contiguous_format", "preserve_format")


def resize_as_(self: Tensor, tensor: Tensor, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of `tensor`."""
    return resize_(self, tuple(tensor.shape), memory_format=memory_format)


PUBLIC = {"storage_offset": _offset}
FUNCTIONS = ("as_strided", "as_strided_copy", "as_strided_scatter")
METHODS: Sequence[str] = (
    "as_strided", "as_strided_scatter", "as_strided_", "storage_offset", "squeeze_", "unsqueeze_", "t_", "transpose_",
    "swapaxes_", "swapdims_", "resize_", "resize_as_",
)  # fmt: skip
INPLACE = ()

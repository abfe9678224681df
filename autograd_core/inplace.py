"""In-place changes and views: on the tape an in-place change is a functional update.

`x.mul_(y)` computes `x * y`, writes it into the memory of `x`, and gives `x` the new history. If `x` is a view,
the base gets the history "base with this region replaced" (`view_scatter`), and every other view of the base
is known to be stale by the storage clock: it makes its history anew when next asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import dtypes, modes, storage
from autograd_core.primitive import V, edge_of, make_node, primitive
from autograd_core.tensor import Tensor, wrap

_SHAPE_ALONE = {"squeeze_", "unsqueeze_", "transpose_", "swapaxes_", "swapdims_", "resize_"}
# Operations whose rule does not look at the old value: they need no copy of it.
_IGNORES_SELF = {"add_", "sub_", "copy_", "zero_", "fill_", "neg_", "view_scatter"}
# Operations that read a 0-d tensor as a number, before they write.
_READS_A_NUMBER = {"copy_", "fill_", "masked_fill_", "index_fill_"}


def regenerate_view(view: Tensor) -> None:
    """Give a stale view the history that its base has now. Raises `RuntimeError` where the way cannot be replayed."""
    assert view._base is not None
    chain = view._chain
    if chain is None:
        if view._node is not None or view._base.requires_grad:
            raise RuntimeError(
                f"a view of shape {tuple(view.shape)} that was created in no_grad mode, or by a function that returns "
                "several views, is used after its base was modified inplace: its history is lost. Use a clone() of it, "
                "or take the view again."
            )
        return
    with modes.enable_grad():
        t = view._base
        for name, params in chain:
            t = getattr(V, name)(t, *params)
    _set_history(view, t._node)


def _set_history(x: Tensor, edge: Any) -> None:
    """Give `x` a new history; `retain_grad` stays with the tensor."""
    old = x._node
    x._node = edge
    if old is not None and edge is not None and old.extra is not None and old.extra.retained is not None:
        if old.extra.retained() is x:
            old.extra.retained = None
            x.retain_grad()


def _scatter_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (chain,) = ctx.params
    selected = g
    for name, params in chain:
        selected = getattr(F, name)(selected, *params)
    to_base = None if ctx.inputs[0] is None else F.view_scatter(g, F.fill(selected, 0.0), chain)
    return to_base, selected


view_scatter = primitive("view_scatter", _scatter_rule, inputs=2)


def check_writable(x: Tensor, operation: str, *others: Any) -> bool:
    """Raise `RuntimeError` where an in-place change of `x` by `others` could only give a wrong gradient.

    Returns whether the change belongs on the tape.
    """
    shape, strides = x._data.shape, x._data.strides
    base = x if x._base is None else x._base
    # One number may be written twice to one place, as long as no gradient passes through.
    idempotent = operation in ("fill_", "zero_") and not (modes.state.grad and base.requires_grad)
    harmless = idempotent or operation in _SHAPE_ALONE
    if 0 in strides and not harmless and x._data.size and any(s == 0 and n > 1 for n, s in zip(shape, strides)):
        raise RuntimeError(
            f"{operation}: unsupported operation: more than one element of the written-to tensor refers to a single "
            "memory location. Please clone() the tensor before performing the operation."
        )
    if x._inference and not modes.state.inference:
        raise RuntimeError(
            f"{operation}: inplace update of an inference tensor outside inference_mode is not allowed; change a "
            "clone()"
        )
    if not modes.state.grad:
        return False
    if not (base.requires_grad or x.requires_grad or any(isinstance(o, Tensor) and o.requires_grad for o in others)):
        return False
    if x._base is None:
        if x._requires_grad and x._node is None:
            raise RuntimeError(
                f"{operation}: a leaf Variable that requires grad is being used in an in-place operation. "
                "Do it under no_grad(), or on a clone()."
            )
        return True
    if x._base._requires_grad and x._base._node is None:
        raise RuntimeError(
            f"{operation}: a view of a leaf Variable that requires grad is being used in an in-place operation. "
            "Do it under no_grad(), or on a clone()."
        )
    if x._node is None and (x._requires_grad or base.requires_grad):
        raise RuntimeError(
            f"{operation}: a leaf Variable that requires grad is being used in an in-place operation: a view that was "
            "taken before its base got a history. Take the view again, or use a clone()."
        )
    if x._chain is None:
        raise RuntimeError(
            f"{operation}: this view was created in no_grad mode, or by a function that returns several views, and is "
            "being modified inplace with grad mode enabled. Use a clone(), or make the view where gradients are on."
        )
    return True


def _overlaps_partly(x: Tensor, y: Tensor) -> bool:
    """Whether two gapless blocks of one memory overlap without being the same."""
    backend, a, b = x._backend, x._data, y._data
    if y._backend is not backend or a is b or backend.storage_key(a) is not backend.storage_key(b):
        return False
    if not all(d.flags.c_contiguous or d.flags.f_contiguous for d in (a, b)):
        return False
    start, other = backend.address(a), backend.address(b)
    if start == other and a.shape == b.shape and a.strides == b.strides:
        return False
    return bool(start < other + b.nbytes and other < start + a.nbytes)


def update(x: Tensor, operation: str, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`x` becomes `function(x, *args)`: its memory is written, its history and that of its base rewritten."""
    recording = check_writable(x, operation, *args, *kwargs.values())
    for other in (*args, *kwargs.values()):
        if isinstance(other, Tensor) and _overlaps_partly(x, other):
            if not other._data.ndim and operation in _READS_A_NUMBER:
                args = tuple(V.clone(a) if a is other else a for a in args)
                continue
            raise RuntimeError(
                f"{operation}: unsupported operation: some elements of the input tensor (shape "
                f"{tuple(other.shape)}) and "
                f"the written-to tensor (shape {tuple(x.shape)}) refer to a single memory location. Please clone() the "
                "input before performing the operation."
            )
    old = x
    if recording and operation not in _IGNORES_SELF:
        # The rule may save the old value, which is about to be overwritten.
        old = wrap(x._backend.clone(x._data), x._backend, edge_of(x))
    new = function(old, *args, **kwargs)
    write(x, new, operation)
    return x


def write(x: Tensor, new: Tensor, operation: str) -> None:
    """Write the value of `new` into the memory of `x`, whose history becomes that of `new`; checked beforehand."""
    if new._data.shape != x._data.shape:
        raise RuntimeError(
            f"{operation}: output with shape {tuple(x.shape)} doesn't match the broadcast shape {tuple(new.shape)}; "
            "an in-place operation cannot change the shape of its tensor"
        )
    if new._data.dtype != x._data.dtype:
        if dtypes.from_native(new._data.dtype).category > x.dtype.category:
            raise RuntimeError(
                f"{operation}: result type {new.dtype} can't be cast to the desired output type {x.dtype}; "
                "use the out-of-place form, or convert the tensor first"
            )
        new = V.cast(new, x._data.dtype)
    backend = x._backend
    edge = edge_of(new) if x._data.dtype.kind == "f" else None
    if edge is None and modes.state.grad and edge_of(x) is not None:
        edge = edge_of(V.replace(x, new))  # The gradient of the old value is zero, not absent.
    base = x._base
    base_edge = None if base is None else edge_of(base)
    backend.copy_(x._data, new._data)
    storage.mark_mutated(backend, x._data, operation)
    if not modes.state.grad:
        return
    if edge is not None:
        if edge.primitive.saves_output and edge.saved and edge.saved[-1] is new._data:
            # The rule reads the output: from now on that is this memory, and a later change of it is an error.
            edge.saved = (*edge.saved[:-1], x._data)
            edge.stamp = storage.tick()
    if base is None:
        _set_history(x, edge)
    elif edge is not None or base_edge is not None:
        scattered = make_node(view_scatter.primitive, backend, (base_edge, edge), (), (x._chain,), base._data.shape)
        _set_history(base, scattered)
        if edge is not None:
            _set_history(x, edge)  # Until it is next asked for, and made anew from the base's.


def inplace(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The in-place method `name` of an out-of-place function."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return update(self, name, function, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place form of `{name[:-1]}`: writes the result into this tensor and returns it."
    return method

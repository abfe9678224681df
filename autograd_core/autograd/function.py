"""Custom operations: subclass `Function`, write `forward` and `backward`, call `apply`."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

from autograd_core import engine, modes
from autograd_core.primitive import Primitive, V, edge_of, make_node, pick_node
from autograd_core.tensor import Tensor, wrap


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, and any attribute."""

    needs_input_grad: tuple[bool, ...] = ()
    _to_save: tuple[Tensor | None, ...] = ()
    _dirty: tuple[Tensor, ...] = ()
    _non_differentiable: tuple[Tensor, ...] = ()
    _materialize = True
    _node: Any = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for `backward`, where `ctx.saved_tensors` returns them (and checks them unchanged)."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save tensors, but got {type(t).__name__}; set it as an attribute"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        if self._node is not None:
            engine._check_saved(self._node())
        return tuple(restore(self) for restore in self._saved)

    _saved: tuple[Callable[[FunctionCtx], Tensor | None], ...] = ()

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say that `forward` changed these inputs in place; they must be returned too."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that these outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """False: `backward` gets None, not zeros, for unused outputs."""
        self._materialize = value


class Function:
    """A custom differentiable operation.

    Static methods `forward(ctx, *args)` and `backward(ctx, *grad_outputs)`; `backward` returns one gradient for each
    argument of forward (None for what is no tensor). Written in differentiable operations, it can be differentiated
    again.

    >>> import autograd_core as ag
    >>> class Double(ag.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x): return x * 2
    ...     @staticmethod
    ...     def backward(ctx, g): return g * 2
    >>> x = ag.ones(1, requires_grad=True); Double.apply(x).backward(); x.grad
    tensor([2.])
    """

    _not_static = ""

    def __init_subclass__(cls) -> None:
        cls._not_static = next((n for n in ("forward", "backward") if isinstance(vars(cls).get(n), FunctionType)), "")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a custom autograd.Function needs a static method forward(ctx, *args)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        raise NotImplementedError("setup_context is called when forward takes no ctx; define it")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError("a custom autograd.Function needs a static method backward(ctx, *grad_outputs)")

    def __call__(self, *args: Any) -> Any:
        raise RuntimeError(f"call {type(self).__name__}.apply(...): a custom Function is used by its class")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` without recording what happens inside, and put one node on the tape."""
        ctx = FunctionCtx()
        edges = tuple(edge_of(a) if isinstance(a, Tensor) else None for a in args)
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        recording = modes.state.grad and any(ctx.needs_input_grad)
        split = cls.setup_context is not Function.setup_context
        if cls._not_static:
            raise RuntimeError(f"{cls.__name__}.{cls._not_static} must be static: put @staticmethod before it")
        with modes.no_grad():
            outcome = cls.forward(*args) if split else cls.forward(ctx, *args)
            if split:
                cls.setup_context(ctx, args, outcome)
        outputs = outcome if isinstance(outcome, tuple) else (outcome,)
        if recording and any(d.is_leaf and d.requires_grad for d in ctx._dirty):
            raise RuntimeError(f"{cls.__name__}: a leaf that requires grad was changed in place; clone() it first")
        results = tuple(_fresh(o, args, ctx) for o in outputs)
        if not recording:
            _bind_saved(ctx, None, args, edges, outputs, results)
            return results if isinstance(outcome, tuple) else results[0]
        backend = next(o for o in results if isinstance(o, Tensor))._backend
        several = len(results) > 1
        node = make_node(
            _primitive_for(cls, ctx, args, results, several),
            backend,
            edges,
            (),
            (),
            None if several else results[0]._data.shape,
        )
        ignored = {id(t) for t in ctx._non_differentiable}
        for i, (raw, out) in enumerate(zip(outputs, results)):
            if not isinstance(out, Tensor) or id(raw) in ignored or out._data.dtype.kind != "f":
                continue
            history = pick_node(backend, node, i, len(results), out._data.shape) if several else node
            if out._base is not None and any(raw is d for d in ctx._dirty):
                raise RuntimeError("a Function that changes a view in place is not supported; clone() the view first")
            out._node, out._requires_grad = history, False
        _bind_saved(ctx, node, args, edges, outputs, results)
        return results if isinstance(outcome, tuple) else results[0]


def _fresh(out: Any, args: tuple[Any, ...], ctx: FunctionCtx) -> Any:
    """An output as a tensor of its own: an input returned as it is becomes an alias, unless it was marked dirty."""
    if not isinstance(out, Tensor) or any(out is d for d in ctx._dirty):
        return out
    return wrap(out._data, out._backend)


def _bind_saved(
    ctx: FunctionCtx,
    node: Any,
    args: tuple[Any, ...],
    edges: tuple[Any, ...],
    outputs: tuple[Any, ...],
    results: tuple[Any, ...],
) -> None:
    """Replace the saved tensors by arrays with the way to their history: a node must not own its own output."""
    arrays = []
    saved: list[Callable[[FunctionCtx], Tensor | None]] = []
    for t in ctx._to_save:
        if t is None:
            saved.append(lambda ctx: None)
            continue
        edge = next((e for a, e in zip(args, edges) if a is t), None)
        position = next((i for i, o in enumerate(outputs) if o is t), None)
        if edge is None and position is not None and node is not None:
            saved.append(_saved_output(t._data, t._backend, position, len(results)))
        elif edge is None and t.requires_grad and t._node is not None:
            saved.append(_constant(t._data, t._backend, t._node))
        else:
            saved.append(_constant(t._data, t._backend, edge))
        arrays.append(t._data)
    ctx._saved = tuple(saved)
    ctx._to_save = ()
    if node is not None:
        node.saved = tuple(arrays)
        ctx._node = weakref.ref(node)


def _constant(array: Any, backend: Any, edge: Any) -> Callable[[FunctionCtx], Tensor]:
    return lambda ctx: wrap(array, backend, edge)


def _saved_output(array: Any, backend: Any, position: int, outputs: int) -> Callable[[FunctionCtx], Tensor]:
    """An output with its history, made at each call: held here, it would make the node own itself."""

    def restore(ctx: FunctionCtx) -> Tensor:
        node = ctx._node()
        return wrap(array, backend, node if outputs == 1 else pick_node(backend, node, position, outputs, array.shape))

    return restore


def _primitive_for(
    cls: type[Function], ctx: FunctionCtx, args: tuple[Any, ...], results: tuple[Any, ...], several: bool
) -> Primitive:
    inputs = [(a._data.shape, a._data.dtype, a._backend) if isinstance(a, Tensor) else None for a in args]
    shapes = [(o._data.shape, o._data.dtype, o._backend) if isinstance(o, Tensor) else None for o in results]

    def rule(F: Any, g: Any, node: Any) -> tuple[Any, ...]:
        on_tensors = F is V
        given = list(g) if several else [g]
        cotangents: list[Any] = []
        for value, meta in zip(given, shapes):
            if value is None and ctx._materialize and meta is not None:
                shape, native, backend = meta
                cotangents.append(wrap(backend.zeros(shape, native), backend))
            else:
                cotangents.append(value if on_tensors or value is None else wrap(F.as_array(value), F))
        with modes.set_grad_enabled(on_tensors):
            returned = cls.backward(ctx, *cotangents)
        grads = returned if isinstance(returned, tuple) else (returned,)
        if len(grads) != len(node.inputs):
            if len(grads) > len(node.inputs) and all(x is None for x in grads[len(node.inputs) :]):
                grads = grads[: len(node.inputs)]
            else:
                raise RuntimeError(
                    f"function {cls.__name__}Backward returned an incorrect number of gradients "
                    f"(expected {len(node.inputs)}, got {len(grads)})"
                )
        for i, (edge, x) in enumerate(zip(node.inputs, grads)):
            if edge is not None and x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"{cls.__name__}.backward: gradient {i} is {type(x).__name__}, expected a Tensor or None"
                )
        return tuple(
            None if edge is None or x is None else _fitted(cls, i, x, meta, on_tensors, edge)
            for i, (edge, x, meta) in enumerate(zip(node.inputs, grads, inputs))
        )

    return Primitive(cls.__name__, rule)


def _fitted(cls: type[Function], i: int, x: Tensor, meta: Any, on_tensors: bool, edge: Any) -> Any:
    """The gradient that the user's `backward` returned, checked against the input that it belongs to."""
    shape, native, backend = meta
    found = tuple(x._data.shape)
    lead = len(found) - len(shape)
    if lead < 0 or any(m not in (1, n) for m, n in zip(shape, found[lead:])):
        raise RuntimeError(
            f"{cls.__name__}.backward returned an invalid gradient at index {i}: got shape {found}, but expected a "
            f"shape compatible with {tuple(shape)}, that of the input"
        )
    if x._backend is not backend:
        raise RuntimeError(f"{cls.__name__}.backward: gradient {i} is on {x.device}, its input is not; use .to()")
    if x._data.dtype != native:
        x = V.cast(x, native)
    if on_tensors:
        return x
    # As a view, an array that the user may still hold is never taken over as a leaf's `.grad`.
    return x._data if edge.__class__ is engine.Node else backend.slice(x._data, (Ellipsis,))


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a `backward` whose result must not be differentiated again: doing so is an error.

    >>> import autograd_core as ag
    >>> ag.autograd.once_differentiable(lambda ctx, g: g)(None, ag.ones(1))
    tensor([1.])
    """

    def wrapper(ctx: Any, *grad_outputs: Any) -> Any:
        with modes.no_grad():
            returned = backward(ctx, *grad_outputs)
        if not modes.state.grad:
            return returned
        grads = returned if isinstance(returned, tuple) else (returned,)
        guarded = tuple(_refuse.apply(g, *grad_outputs) if isinstance(g, Tensor) else g for g in grads)
        return guarded if isinstance(returned, tuple) else guarded[0]

    return wrapper


class _refuse(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, *sources: Tensor) -> Tensor:
        return g.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

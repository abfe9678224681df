"""Primitives: how one differentiable operation is declared, and how a call of it lands on the tape.

A primitive is declared once, by `unary`, `binary` or `primitive`: its name (which is also the name of the
backend's kernel), its rule `vjp(F, g, ctx)`, and what of its inputs and output the rule needs saved. The declaration
returns the differentiable function on Tensors and enters it in the vocabulary `V` under the same name and with the same
positional arguments as the kernel. So a rule written against `F` runs on raw arrays (`F` is the backend) and on
Tensors (`F` is `V`) alike.

    tanh = unary("tanh", lambda F, g, ctx: (F.tanh_backward(g, ctx.saved[0]),), saves_output=True)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import dtypes, modes, storage
from autograd_core.engine import Extra, Node, Trace
from autograd_core.operands import broadcast_error, device_error, kernel_error, numbers_to_tensors, promote_operands
from autograd_core.storage import tick
from autograd_core.tensor import Tensor, wrap
from autograd_core.userline import user_line
from autograd_core.vocabulary import V as V

Rule = Callable[[Any, Any, Any], tuple[Any, ...]]
_new = object.__new__


class Primitive:
    """The declaration of one operation; see the module's docstring."""

    __slots__ = ("elementwise", "extras", "is_pick", "name", "one_to_one", "saves", "saves_output", "vjp")

    def __init__(
        self, name: str, vjp: Rule, saves: tuple[int, ...] = (), saves_output: bool = False, extras: int = 0
    ) -> None:
        self.name, self.vjp, self.saves, self.saves_output, self.extras = name, vjp, saves, saves_output, extras
        self.is_pick = name == "pick"
        self.one_to_one = False  # One input, and the rule's gradient has its shape.
        self.elementwise = False  # The rule's gradients have the output's shape: broadcasting is still to be undone.

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def saved_tensors(self, node: Node) -> tuple[Any, ...]:
        """What `node` saved, as Tensors with their history, for rules read on Tensors (`create_graph`)."""
        saved = node.saved or ()
        tensors: list[Any] = []
        for array, position in zip(saved, self.saves):
            edge = node.inputs[position] if array is not None else None
            tensors.append(None if array is None else wrap(array, node.backend, edge))
        if self.saves_output:
            tensors.append(wrap(saved[len(self.saves)], node.backend, node))
        tensors.extend(saved[len(tensors) :])
        return tuple(tensors)


def unary(
    name: str,
    vjp: Rule,
    *,
    saves: tuple[int, ...] = (),
    saves_output: bool = False,
    floating: bool = False,
    view: bool = False,
) -> Any:
    """Declare a primitive of one tensor and static parameters.

    `floating`: integer and bool inputs are converted to the default floating-point dtype first.
    `view`: the result shares the memory of the input (checked for `reshape`, which may have to copy).
    """
    p = Primitive(name, vjp, saves, saves_output)
    p.one_to_one = name != "expand"
    saves_input = bool(saves)
    may_copy = name == "reshape"

    def call(x: Tensor, *params: Any) -> Tensor:
        backend = x._backend
        data = x._data
        if floating and x._node is None and data.dtype.kind != "f":  # What has a history is of floating point.
            return call(V.cast(x, dtypes.get_default_dtype().native), *params)
        try:
            if not params:
                out = backend.kernel(data)
            elif len(params) == 1:
                out = backend.kernel(data, params[0])
            elif len(params) == 2:
                out = backend.kernel(data, params[0], params[1])
            else:  # 0.1 us more than the calls above.
                out = backend.kernel(data, *params)
        except TypeError as error:
            raise kernel_error(name, error, x) from None
        shape = out.shape
        if not shape:
            out = backend.as_array(out)
        t = _new(Tensor)
        t._backend = backend
        t._data = out
        t._requires_grad = False
        base = x._base
        edge: Any = x._node if base is None or x._seen == storage.last_change else x._current_node()
        if edge is None:
            edge = x if x._requires_grad else None
        overrides = modes.overrides
        if edge is None or (overrides and not modes.state.grad):
            t._node = None
        else:
            n = t._node = Node()
            n.primitive = p
            n.backend = backend
            n.inputs = (edge,)
            n.params = params
            n.shape = shape
            n.saved = (data,) if saves_input else (out,) if saves_output else ()
            n.stamp = tick()
            n.extra = None
        if view and not (
            may_copy and not data.flags.c_contiguous and backend.storage_key(out) is not backend.storage_key(data)
        ):
            t._base = x if base is None else base
            t._source = x
            t._step = (name, params)
            t._seen = storage.last_change
        else:
            t._base = None
        if overrides:
            _note_modes(t)
        return t

    return _declare(p, _with_kernel(name, call))


def binary(
    name: str,
    vjp: Rule,
    *,
    saves: tuple[int, ...] = (),
    floating: bool = False,
    crosswise: bool = False,
    mismatch: Any = None,
    promote: Any = None,
    elementwise: bool = True,
) -> Any:
    """Declare a primitive of two tensors that broadcast; either operand of a call may be a Python number.

    Operands are promoted to their common dtype; `floating`: to the default floating-point dtype if that is an integer.
    `crosswise`: each gradient reads the other operand only, so an operand is saved only if the other wants a gradient.
    `mismatch(name, x, y)` makes the error for shapes that do not fit, by default `broadcast_error`;
    `promote` stands in for `promote_operands`.
    """
    mismatch, promote = mismatch or broadcast_error, promote or promote_operands
    p = Primitive(name, vjp, saves)
    p.elementwise = elementwise
    saves_both = saves == (0, 1)
    saves_second = saves == (1,)

    def call(x: Any, y: Any) -> Tensor:
        if not isinstance(y, Tensor):
            x, y = numbers_to_tensors(name, x, y)
        try:
            backend = x._backend
        except AttributeError:
            return call(*numbers_to_tensors(name, x, y))
        xd = x._data
        yd = y._data
        if (
            xd.dtype is not yd.dtype
            or y._backend is not backend
            or (floating and x._node is None and xd.dtype.kind != "f")
        ):
            x, y, changed = promote(name, floating, x, y)
            if changed:
                return call(x, y)
            backend = x._backend
        try:
            out = backend.kernel(xd, yd)
        except ValueError:
            raise mismatch(name, x, y) from None
        except TypeError as error:
            raise kernel_error(name, error, x, y) from None
        shape = out.shape
        if not shape:
            out = backend.as_array(out)
        t = _new(Tensor)
        t._backend = backend
        t._data = out
        t._base = None
        t._requires_grad = False
        ex = x._node if x._base is None or x._seen == storage.last_change else x._current_node()
        if ex is None and x._requires_grad:
            ex = x
        ey = y._node if y._base is None or y._seen == storage.last_change else y._current_node()
        if ey is None and y._requires_grad:
            ey = y
        overrides = modes.overrides
        if (ex is None and ey is None) or (overrides and not modes.state.grad):
            t._node = None
        else:
            n = t._node = Node()
            n.primitive = p
            n.backend = backend
            n.inputs = (ex, ey)
            n.params = ()
            n.shape = shape
            if crosswise:
                n.saved = (None if ey is None else xd, None if ex is None else yd)
            elif saves_both:
                n.saved = (xd, yd)
            else:
                n.saved = (yd,) if saves_second else ()
            n.stamp = tick()
            n.extra = None
        if overrides:
            _note_modes(t)
        return t

    return _declare(p, _with_kernel(name, call))


def predicate(name: str) -> Any:
    """Declare an operation of two tensors or numbers that promote and broadcast, whose result has no gradient."""

    def call(x: Any, y: Any) -> Tensor:
        if not isinstance(y, Tensor) or not isinstance(x, Tensor):
            x, y = numbers_to_tensors(name, x, y)
        if x._data.dtype is not y._data.dtype or y._backend is not x._backend:
            x, y, _ = promote_operands(name, False, x, y)
        backend = x._backend
        try:
            out = getattr(backend, name)(x._data, y._data)
        except ValueError:
            raise broadcast_error(name, x, y) from None
        return wrap(backend.as_array(out), backend)

    return _declare(Primitive(name, _no_gradient), call)


def _no_gradient(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (None,) * len(ctx.inputs)


def primitive(
    name: str, vjp: Rule, *, inputs: int, saves: tuple[int, ...] = (), saves_output: bool = False, extras: int = 0
) -> Any:
    """Declare a primitive of `inputs` tensors (None where optional) and static parameters; -1: of a list of tensors.

    `extras`: how many arrays the kernel returns beside its output, for the rule alone. They come last in
    `ctx.saved`, raw also under `create_graph`: a rule may only pass them on as parameters.
    The caller has checked shapes and dtypes; `apply` checks devices.
    """
    p = Primitive(name, vjp, saves, saves_output, extras)
    as_list = inputs == -1

    def call(*args: Any) -> Tensor:
        if as_list:
            return apply(p, tuple(args[0]), args[1:], as_list=True)
        return apply(p, args[:inputs], args[inputs:])

    return _declare(p, call)


def _with_kernel(name: str, call: Any) -> Any:
    """`call`, in which `backend.kernel` reads `backend.<name>`: `getattr` with a variable name takes 20 ns more."""
    code = call.__code__
    call.__code__ = code.replace(co_names=tuple([name if n == "kernel" else n for n in code.co_names]))
    return call


def _declare(p: Primitive, call: Any) -> Any:
    call.__name__ = call.__qualname__ = p.name
    call.primitive = p
    setattr(V, p.name, call)
    return call


def apply(p: Primitive, tensors: tuple[Tensor | None, ...], params: tuple[Any, ...], as_list: bool = False) -> Any:
    """Call the kernel of `p` on `tensors` and record the call if one of them wants a gradient."""
    # One pass over the tensors: a fully connected layer comes here, and pays for every loop.
    backend: Any = None
    arrays: list[Any] = []
    edges: list[Any] = []
    recording = False
    for t in tensors:
        if t is None:
            arrays.append(None)
            edges.append(None)
            continue
        if t._backend is not backend:
            if backend is not None:
                raise device_error(p.name, tensors)
            backend = t._backend
        arrays.append(t._data)
        edge: Any = t._node if t._base is None else t._current_node()
        if edge is None and t._requires_grad:
            edge = t
        if edge is not None:
            recording = True
        edges.append(edge)
    kernel = getattr(backend, p.name)
    out = kernel(tuple(arrays), *params) if as_list else kernel(*arrays, *params)
    saved: tuple[Any, ...] = ()
    if p.extras:
        saved, out = tuple(out[1:]), out[0]
    out = backend.as_array(out)
    result = wrap(out, backend)
    if recording and (not modes.overrides or modes.state.grad):
        if p.saves_output:
            saved = (out, *saved)
        saved = (*[arrays[i] for i in p.saves], *saved)
        result._node = make_node(p, backend, tuple(edges), saved, params, out.shape)
    if modes.overrides:
        _note_modes(result)
    return result


def make_node(
    p: Primitive, backend: Any, edges: tuple[Any, ...], saved: tuple[Any, ...], params: tuple[Any, ...], shape: Any
) -> Node:
    n = Node()
    n.primitive = p
    n.backend = backend
    n.inputs = edges
    n.params = params
    n.shape = shape
    n.saved = saved
    n.stamp = tick()
    n.extra = None
    return n


def edge_of(t: Tensor | None) -> Any:
    """The edge that leads to `t`: its node, `t` itself if it is a leaf that requires grad, or None."""
    if t is None:
        return None
    node = t._node if t._base is None else t._current_node()
    return t if node is None and t._requires_grad else node


_PICK = Primitive("pick", lambda F, g, ctx: ())


def pick_node(backend: Any, parent: Node, position: int, outputs: int, shape: Any) -> Node:
    """The node of one output of a node with several; its `extra` sends it past the engine's common path."""
    n = make_node(_PICK, backend, (parent,), (), (position, outputs), shape)
    n.extra = Extra()
    return n


def apply_many(
    p: Primitive, tensors: tuple[Tensor | None, ...], params: tuple[Any, ...], outputs: int
) -> tuple[Tensor, ...]:
    """Like `apply` for a kernel that returns `outputs` differentiable arrays (and `p.extras` more).

    The rule's cotangent `g` is a list with one entry an output, None where that output was not used.
    """
    backend = next(t for t in tensors if t is not None)._backend
    if any(t is not None and t._backend is not backend for t in tensors):
        raise device_error(p.name, tensors)
    arrays = tuple([None if t is None else t._data for t in tensors])
    returned = getattr(backend, p.name)(*arrays, *params)
    results = tuple(wrap(backend.as_array(out), backend) for out in returned[:outputs])
    edges = tuple([edge_of(t) for t in tensors])
    if any(e is not None for e in edges) and (not modes.overrides or modes.state.grad):
        saved = tuple([arrays[i] for i in p.saves]) + tuple(returned[outputs:])
        parent = make_node(p, backend, edges, saved, params, None)
        for i, t in enumerate(results):
            if t._data.dtype.kind == "f":
                t._node = pick_node(backend, parent, i, outputs, t._data.shape)
    for t in results:
        if modes.overrides:
            _note_modes(t)
    return results


def _note_modes(t: Tensor) -> None:
    """The rare work of a call under inference or anomaly mode."""
    if modes.state.inference:
        t._inference = True
    if t._base is not None and not modes.state.grad:
        t._step = None  # As in PyTorch, a view made without gradients may not be changed in place with them.
    node = t._node
    if node is not None and modes.state.anomaly and node.extra is None:
        node.extra = Extra()
        nan = False
        if modes.state.check_nan and t._data.dtype.kind == "f":
            backend = t._backend
            nan = bool(backend.to_host(backend.as_array(backend.any(backend.isnan(t._data), None, False))))
        node.extra.trace = Trace(node.primitive.name, user_line(), nan)

"""Gradients of compiled functions: the graph of one recorded call, made anew for others.

A replay of a function whose result can be differentiated leaves one node on the tape. It keeps what the nodes of the
recorded call had saved, in the values of the replay. When backward reaches it for the first time, the recorded graph is
built again on these values and walked by the engine under a tape: that gives the gradients and, for all later
calls, a plan of the backward pass. Under `create_graph` the graph itself is built again, connected to the
inputs, so that gradients of gradients are those of eager mode.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import engine
from autograd_core.compiler.capture import Tape, plan_of
from autograd_core.compiler.plan import CONSTANT, LIVE, Plan
from autograd_core.engine import Extra, Node
from autograd_core.primitive import _PICK, Primitive, V, make_node
from autograd_core.recorder import Ref, decode
from autograd_core.tensor import Tensor

Optimise = Callable[[Plan], Plan]

_PASS = Primitive("pass", lambda F, g, ctx: (g,))  # Stands where the graph meets what is outside of it.
_MOST_PLANS = 8


class NoGraph(Exception):
    """The graph of a call cannot be made anew; the message says why."""


class Template:
    """The graph between the outputs of a recorded call and what lies outside of it.

    outputs: tensors with a history. start: the clock when the call began. `edges`: the nodes and leaves outside that
    gradients flow to; `keep`: the slots whose values the graph needs. Raises `NoGraph`.
    """

    def __init__(self, outputs: Sequence[Tensor], start: int, tape: Tape) -> None:
        self.edges: list[Any] = []
        self.keep: list[int] = []
        self._tape = tape
        self._kept: dict[int, int] = {}  # slot -> its position in `keep`.
        roots: list[Any] = [t.grad_fn for t in outputs]
        own = sorted(engine.nodes_behind(roots, start), key=lambda node: node.stamp)
        numbers = {node: i for i, node in enumerate(own)}
        self._nodes = [self._entry(node, numbers) for node in own]
        self.roots = [numbers[root] for root in roots]
        del self._tape  # And with it the arrays that it holds.
        self.shapes = [tuple(t._data.shape) for t in outputs]

    def _entry(self, node: Node, numbers: dict[Node, int]) -> tuple[Any, ...]:
        p = node.primitive
        declared = getattr(getattr(V, p.name, None), "primitive", None)
        # The rule of a custom Function is a closure over its context, which belongs to one call.
        if p is not _PICK and declared is not p and getattr(p.vjp, "__closure__", ()) is not None:
            raise NoGraph(
                f"its result depends on {p.name!r}, a custom autograd.Function, whose backward a plan of the forward "
                "pass alone cannot call: compile the whole training step, with backward() in it"
            )
        extra = node.extra
        if extra is not None and (extra.hooks or extra.post_hooks or extra.retained is not None or extra.unpack):
            raise NoGraph(
                f"a hook, retain_grad() or a checkpoint concerns a tensor inside (the result of {p.name}): compile the "
                "whole training step, with backward() in it"
            )
        engine._check_saved(node)
        inputs = [None if edge is None else self._place(edge, numbers) for edge in node.inputs]
        return p, inputs, self._encode(node.saved), self._encode(node.params), node.shape

    def _place(self, edge: Any, numbers: dict[Node, int]) -> tuple[bool, int]:
        """Whether an edge leads to a node of the graph, and its number; else its position in `edges`."""
        if edge.__class__ is Node and edge in numbers:
            return True, numbers[edge]
        for i, known in enumerate(self.edges):  # By identity: tensors compare by value.
            if known is edge:
                return False, i
        self.edges.append(edge)
        return False, len(self.edges) - 1

    def _encode(self, value: Any) -> Any:
        """`value` with arrays replaced by their positions among the kept ones."""
        if value.__class__ in (tuple, list):
            return value.__class__([self._encode(part) for part in value])
        if not (hasattr(value, "dtype") and hasattr(value, "shape")):
            return value
        slot = self._tape.slot_of(value)
        if slot is None:
            raise NoGraph("its backward needs an array that no recorded call has made")
        if slot not in self._kept:
            self._kept[slot] = len(self.keep)
            self.keep.append(slot)
        return Ref(self._kept[slot])

    def build(self, kept: Sequence[Any], backend: Any, edges: Sequence[Any]) -> tuple[list[Node], list[Node]]:
        """The graph on the values `kept`: the nodes of the outputs, and one at each of `edges`, where it leads on."""
        ends = [
            make_node(_PASS, backend, (edge,), (), (), shape_of(recorded))
            for edge, recorded in zip(edges, self.edges, strict=True)
        ]
        nodes: list[Node] = []
        for p, inputs, saved, params, shape in self._nodes:
            found = tuple([None if i is None else nodes[i[1]] if i[0] else ends[i[1]] for i in inputs])
            node = make_node(p, backend, found, decode(saved, kept), decode(params, kept), shape)
            if p is _PICK:
                node.extra = Extra()
            nodes.append(node)
        return [nodes[i] for i in self.roots], ends


class Backward:
    """The rule of the one node that stands for a compiled function; see the module."""

    def __init__(self, template: Template, backend: Any, name: str, optimise: Optimise) -> None:
        self.template, self.backend, self.name, self.optimise = template, backend, name, optimise
        self.plans: dict[Any, tuple[Plan, list[int | None]]] = {}
        self._lock = threading.Lock()
        self.primitive = Primitive(f"compiled_{name}", self.rule)
        self.edge_shapes = [shape_of(edge) for edge in template.edges]
        # A plan keeps no tensor of the recorded call alive.
        template.edges = [_Shape(shape) for shape in self.edge_shapes]

    def rule(self, F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        """The gradients of the outside edges, from that of the output or a list of those of several."""
        several = len(self.template.roots) > 1
        cotangents = list(g) if several else [g]
        if F is V:
            return self._differentiable(cotangents, ctx)
        wanted = tuple([edge is not None for edge in ctx.inputs])
        key = (wanted, *[None if c is None else (c.strides, c.dtype) for c in cotangents])
        found = self.plans.get(key)
        given = [c for c in cotangents if c is not None]
        if found is not None:
            plan, places = found
            with self._lock:
                arrays = plan.runner(*ctx.saved, *given)
            return tuple([None if i is None else arrays[i] for i in places])
        if len(self.plans) >= _MOST_PLANS:
            return self._walk(ctx.saved, cotangents, wanted)
        return self._record(key, ctx.saved, cotangents, wanted)

    def _walk(self, kept: Sequence[Any], cotangents: list[Any], wanted: Sequence[bool]) -> tuple[Any, ...]:
        roots, ends = self.template.build(kept, self.backend, [None] * len(wanted))
        given = [(root, c) for root, c in zip(roots, cotangents) if c is not None]
        order = {end: i for i, end in enumerate([end for end, want in zip(ends, wanted) if want])}
        found = engine.run_backward([root for root, _ in given], [c for _, c in given], wanted=order)
        return tuple([found[order[end]] if want else None for end, want in zip(ends, wanted)])

    def _record(self, key: Any, kept: Sequence[Any], cotangents: list[Any], wanted: Sequence[bool]) -> tuple[Any, ...]:
        given = [c for c in cotangents if c is not None]
        tape = Tape(self.backend, strict=False)
        slots = [tape.use(array) for array in (*kept, *given)]
        with tape:
            grads = self._walk(kept, cotangents, wanted)
        if tape.problems or len(set(slots)) != len(slots):  # Two of the arrays are one: not so at another call.
            return grads
        outputs = [tape.use(grad) for grad in grads if grad is not None]
        positions = iter(range(len(outputs)))
        places = [None if grad is None else next(positions) for grad in grads]
        for slot in tape.slots:
            if slot.kind == LIVE:
                slot.kind = CONSTANT  # The graph holds all that varies.
        plan = plan_of(tape, [*kept, *given], outputs, f"backward of {self.name}")
        if not plan.written:
            self.plans[key] = self.optimise(plan), places
        return grads

    def _differentiable(self, cotangents: list[Any], ctx: Any) -> tuple[Any, ...]:
        # A second derivative may lead to inputs that this one is not wanted of.
        roots, ends = self.template.build(ctx.saved, self.backend, ctx.edges)
        given = [(root, c) for root, c in zip(roots, cotangents) if c is not None]
        order = {end: i for i, end in enumerate([end for end, e in zip(ends, ctx.inputs) if e is not None])}
        found = engine.run_backward(
            [root for root, _ in given], [c for _, c in given], retain_graph=True, vocabulary=V, wanted=order
        )
        return tuple([None if end not in order else found[order[end]] for end in ends])


class _Shape:
    """What is left of an edge of the recorded call."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def shape_of(edge: Any) -> tuple[int, ...]:
    return tuple(edge._data.shape if isinstance(edge, Tensor) else edge.shape)


def is_spent(t: Tensor, start: int) -> bool:
    """Whether backward has already freed a part of the history of `t` that is younger than `start`."""
    return any(node.saved is engine._FREED for node in engine.nodes_behind([t.grad_fn], start))


def dead_node(backend: Any, name: str, shape: tuple[int, ...]) -> Node:
    """The history of a result whose backward ran in the compiled step: a second one is an error, as in eager mode."""
    return make_node(Primitive(f"compiled_{name}", lambda F, g, ctx: ()), backend, (), engine._FREED, (), shape)

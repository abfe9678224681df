"""The engine: graph nodes, and the backward walk over them.

A `Node` is one recorded call of a primitive. Its `inputs` are edges: the node that produced the input, or the
leaf tensor itself, or None where no gradient is wanted. The walk is iterative. Its topological order is that of
creation, youngest first: a node's inputs are always older than the node (measured against consumer counts, which need
a pass over the graph first: a chain takes 0.75 of the time). Broadcasting is undone here, on the edge, so that no rule
has to.

A rule (`primitive.vjp`) is called as `vjp(F, cotangent, ctx)` and returns a tuple with one gradient an input.
`F` is the vocabulary: the backend's kernels on raw arrays, or, under `create_graph`, the differentiable
functions on Tensors. `ctx` has `saved`, `params`, `inputs` (a None edge means: not wanted, return None) and `shape`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Any

from autograd_core import modes, storage

if TYPE_CHECKING:
    from autograd_core.primitive import Primitive
    from autograd_core.tensor import Tensor

Edge = Any  # Node | Tensor (a leaf) | None
_FREED: tuple[Any, ...] = ("freed",)


class Node:
    """One recorded call; `Tensor.grad_fn` is the node that produced the tensor."""

    __slots__ = ("__weakref__", "backend", "extra", "inputs", "params", "primitive", "saved", "shape", "stamp")

    primitive: Primitive
    backend: Any
    inputs: tuple[Edge, ...]
    saved: tuple[Any, ...]  # Arrays: saved inputs, then the output, then the kernel's extra outputs.
    params: tuple[Any, ...]
    shape: tuple[int, ...]
    stamp: int  # The tick of creation: orders the nodes, and tells what was changed in place since.
    extra: Extra | None

    def name(self) -> str:
        """The operation's name, as in `MulBackward`."""
        return "".join(part.capitalize() for part in self.primitive.name.split("_")) + "Backward"

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The edges, as PyTorch shows them: `(node or leaf or None, 0)`."""
        return tuple((edge, 0) for edge in self.inputs)

    def _ensure_extra(self) -> Extra:
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    def register_prehook(self, hook: Callable[[tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `hook(grad_outputs)` before this node's rule; a returned tuple replaces them."""
        return _register(self._ensure_extra().hooks, lambda g: _first(hook((g,))))

    def register_hook(self, hook: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after this node's rule; a returned tuple replaces grad_inputs."""
        return _register(self._ensure_extra().post_hooks, hook)


class Extra:
    """What few nodes have: hooks, a tensor that retains its gradient, the line of the forward call.

    Under `utils.checkpoint`, `unpack(node)` computes what the node saved once more, and `since` is when it did so.
    """

    __slots__ = ("hooks", "post_hooks", "retained", "since", "trace", "unpack")

    def __init__(self) -> None:
        self.hooks: dict[int, Callable[[Any], Any]] = {}
        self.post_hooks: dict[int, Callable[..., Any]] = {}
        self.retained: weakref.ref[Tensor] | None = None
        self.trace: Trace | None = None
        self.unpack: Callable[[Node], None] | None = None
        self.since = 0


class Trace:
    """Where a node was recorded (anomaly mode), and whether its result already held a NaN."""

    __slots__ = ("line", "nan_in_forward", "operation")

    def __init__(self, operation: str, line: str, nan_in_forward: bool) -> None:
        self.operation, self.line, self.nan_in_forward = operation, line, nan_in_forward


class RemovableHandle:
    """Returned when a hook is registered; `remove()` takes the hook away. Also a context manager."""

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks, self.id = hooks, key

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


_hook_count = 0


def _register(hooks: dict[int, Any], hook: Any) -> RemovableHandle:
    global _hook_count
    _hook_count += 1
    hooks[_hook_count] = hook
    return RemovableHandle(hooks, _hook_count)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


class _Context:
    """What a rule sees of a node when some edges are pruned, or when it is read on Tensors."""

    __slots__ = ("backend", "edges", "inputs", "params", "saved", "shape")

    backend: Any
    edges: tuple[Edge, ...]  # All inputs of the node; `inputs` has None for those whose gradient nobody wants.
    inputs: tuple[Edge, ...]
    params: tuple[Any, ...]
    saved: tuple[Any, ...]
    shape: tuple[int, ...]


def run_backward(
    roots: Sequence[Edge],
    cotangents: Sequence[Any],
    *,
    retain_graph: bool = False,
    vocabulary: Any = None,
    wanted: dict[Edge, int] | None = None,
) -> list[Any]:
    """Walk the graph from `roots`; cotangents are raw arrays, or Tensors when `vocabulary` is given.

    Without `wanted`, gradients accumulate into the leaves' `.grad`. With it (edge to position), they are returned in a
    list and no leaf is touched. `vocabulary` is the differentiable vocabulary, for `create_graph`.

    Of the nodes that have a cotangent, the youngest is next: all its consumers are younger, hence done. `follow` is
    the one the last rule reached first; in a chain it is the only one, and the heap stays empty.
    """
    needed = None if wanted is None else _on_a_path(roots, wanted)
    plain = wanted is None and vocabulary is None
    results: list[Any] = [] if wanted is None else [None] * len(wanted)
    heap: list[int] = []  # The stamps of the waiting nodes, negated: the youngest comes first.
    youngest = 0  # The first of the heap, if there is one.
    waiting: dict[int, tuple[Node, Any]] = {}  # By stamp: the waiting nodes and their cotangents.
    leaves: dict[Tensor, Any] = {}
    owned: set[Edge] = set()  # Edges whose sum the engine allocated, and may add to in place.

    def deliver(edge: Edge, g: Any, F: Any) -> None:
        """Add `g` to the cotangent of `edge`."""
        nonlocal youngest
        if edge.__class__ is Node:
            if edge.shape is not None and g.shape != edge.shape:  # Only a node of several outputs has no shape.
                g = _sum_to(F, g, edge.shape)
            if edge.stamp in waiting:
                waiting[edge.stamp] = (edge, plus(edge, waiting[edge.stamp][1], g, F))
            else:
                waiting[edge.stamp] = (edge, g)
                heappush(heap, -edge.stamp)
                youngest = -heap[0]
        else:
            if g.shape != edge._data.shape:
                g = _sum_to(F, g, edge._data.shape)
            leaves[edge] = plus(edge, leaves[edge], g, F) if edge in leaves else g

    def plus(edge: Edge, total: Any, g: Any, F: Any) -> Any:
        if edge in owned:
            F.add(total, g, total)
            return total
        total = F.add(total, g)
        if vocabulary is None:
            total = F.as_array(total)
            owned.add(edge)
        return total

    for root, g in zip(roots, cotangents, strict=True):
        if root.__class__ is Node and root.stamp not in waiting:
            waiting[root.stamp] = (root, g)
            heap.append(-root.stamp)
        else:
            deliver(root, g, vocabulary or _backend_of(root))
    heap.sort()  # What is sorted is a heap.
    if heap:
        youngest = -heap[0]

    follow: Node | None = None
    g = None
    while True:
        if follow is None:
            if not heap:
                break
            heappop(heap)
            node, g = waiting.pop(youngest)
            youngest = -heap[0] if heap else 0
        elif heap and youngest > follow.stamp:
            waiting[follow.stamp] = (follow, g)
            node, g = waiting.pop(youngest)
            heapreplace(heap, -follow.stamp)
            youngest = -heap[0]
        else:
            node = follow
        follow = None
        p = node.primitive
        if plain and node.extra is None:
            if node.stamp < storage.last_change or node.saved is _FREED:
                _check_saved(node)
            F = node.backend
            inputs = node.inputs
            rule = p.vjp
            grads = rule(F, g, node)
        else:
            g = _before_rule(node, g, vocabulary)
            if wanted is not None:
                if node in wanted:
                    results[wanted[node]] = g
                if node not in needed:  # type: ignore[operator]
                    continue
            if p.is_pick:
                _pick(node, g, waiting, deliver)
                continue
            if node.extra is not None and node.extra.unpack is not None:
                node.extra.unpack(node)
            if node.stamp < storage.last_change or node.saved is _FREED:
                _check_saved(node)
            F = vocabulary or node.backend
            ctx: Any = node if plain else _context(node, needed, wanted, vocabulary)
            inputs = ctx.inputs
            grads = p.vjp(F, g, ctx)
            if node.extra is not None:
                grads = _after_rule(node, grads, g, ctx, vocabulary)
        if not retain_graph and node.saved:
            node.saved = _FREED
        # Mostly one input wants a gradient, and its node is next: without a loop over pairs (0.2 us) or the heap.
        if p.one_to_one:
            edge, grad = inputs[0], grads[0]
        elif len(inputs) == 2:
            edge, other = inputs
            grad = grads[0]
            if other is None or grads[1] is None:
                pass
            elif edge is None or grad is None:
                edge, grad = other, grads[1]
            elif other is edge:
                grad = F.add(grad, grads[1])
            else:
                deliver(other, grads[1], F)
        else:
            edge = grad = None
            for other, another in zip(inputs, grads):
                if other is None or another is None:
                    continue
                if edge is None:
                    edge, grad = other, another
                else:
                    deliver(other, another, F)
        if edge is None or grad is None:
            continue
        if edge.__class__ is Node and (not waiting or edge.stamp not in waiting):
            if not p.one_to_one and (node.shape if p.elementwise else grad.shape) != edge.shape:
                grad = _sum_to(F, grad, edge.shape)
            follow = edge
            g = grad
        else:
            deliver(edge, grad, F)

    _finish(leaves, owned, cotangents, wanted, results, vocabulary)
    return results


def nodes_behind(roots: Iterable[Edge], since: int = 0) -> Iterator[Node]:
    """Each node that `roots` lead to, once; not those with a stamp before `since`, nor what is behind them."""
    stack: list[Any] = list(dict.fromkeys(edge for edge in roots if edge.__class__ is Node))
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node.stamp < since:
            continue
        yield node
        for edge in node.inputs:
            if edge.__class__ is Node and edge not in seen:
                seen.add(edge)
                stack.append(edge)


def _on_a_path(roots: Sequence[Edge], wanted: dict[Edge, int]) -> set[Edge]:
    """The nodes from which a wanted edge can be reached: no other needs its rule run."""
    consumers: dict[Edge, list[Node]] = {}
    for node in nodes_behind(roots):
        for edge in node.inputs:
            if edge is not None:
                consumers.setdefault(edge, []).append(node)
    needed: set[Edge] = set()
    stack: list[Any] = list(wanted)
    while stack:
        for node in consumers.get(stack.pop(), ()):
            if node not in needed:
                needed.add(node)
                stack.append(node)
    return needed


def _context(node: Node, needed: set[Edge] | None, wanted: dict[Edge, int] | None, vocabulary: Any) -> _Context:
    ctx = _Context()
    ctx.backend, ctx.params, ctx.shape = node.backend, node.params, node.shape
    ctx.inputs = ctx.edges = node.inputs
    ctx.saved = node.saved
    if wanted is not None and needed is not None:
        ctx.inputs = tuple(edge if edge in needed or edge in wanted else None for edge in node.inputs)
    if vocabulary is not None:
        ctx.saved = node.primitive.saved_tensors(node)
    return ctx


def _sum_to(F: Any, grad: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum `grad` over the dimensions along which an input of `shape` was stretched."""
    extra = len(grad.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and grad.shape[i + extra] != 1)
    return F.reshape(F.sum(grad, axes, False), shape)


def _check_saved(node: Node) -> None:
    """Raise when what `node` saved was freed, or changed in place since."""
    if node.saved is _FREED:
        raise RuntimeError(
            f"backward through the graph a second time: the tensors that {node.primitive.name} saved were freed by the "
            "first backward. Call the first one with backward(retain_graph=True), or compute the loss again."
        )
    stamp = node.stamp if node.extra is None else max(node.stamp, node.extra.since)
    indices = [item for p in node.params if p.__class__ is tuple for item in p]
    for array in (*(node.saved or ()), *indices):
        if hasattr(array, "dtype"):
            operation = storage.changed_since(node.backend, array, stamp)
            if operation is not None:
                raise RuntimeError(
                    f"a tensor of shape {tuple(array.shape)} that {node.primitive.name} saved for its gradient was "
                    f"changed by an inplace operation ({operation}) before backward. Use the out-of-place form, or "
                    "apply it to a clone()."
                )


def _pick(node: Node, g: Any, waiting: dict[int, tuple[Node, Any]], deliver: Callable[[Edge, Any, Any], None]) -> None:
    """Hand the cotangent of one output to its many-output node, whose cotangent is a list."""
    parent = node.inputs[0]
    position, outputs = node.params
    if parent.stamp not in waiting:
        deliver(parent, [None] * outputs, None)
    waiting[parent.stamp][1][position] = g


def _backend_of(edge: Edge) -> Any:
    return edge.backend if edge.__class__ is Node else edge._backend


def _wrap(edge: Edge, g: Any, vocabulary: Any) -> Any:
    from autograd_core.tensor import wrap

    return g if vocabulary is not None or g is None else wrap(g, _backend_of(edge))


def _run_hooks(owner: Any, hooks: dict[int, Any], g: Any, vocabulary: Any) -> Any:
    for hook in list(hooks.values()):
        tensor = _wrap(owner, g, vocabulary)
        with modes.set_grad_enabled(vocabulary is not None):
            changed = hook(tensor)
        if changed is not None:
            if tuple(changed.shape) != tuple(tensor.shape):
                raise RuntimeError(
                    f"a gradient hook returned shape {tuple(changed.shape)}, expected {tuple(tensor.shape)}"
                )
            g = changed if vocabulary is not None else changed._data
    # A hook may keep what it saw or returned: as a view, it is never taken over as somebody's `.grad`.
    return g if vocabulary is not None else _backend_of(owner).slice(g, (Ellipsis,))


def _before_rule(node: Node, g: Any, vocabulary: Any) -> Any:
    """Tensor hooks, then `retain_grad`."""
    extra = node.extra
    if extra is None:
        return g
    if extra.hooks:
        g = _run_hooks(node, extra.hooks, g, vocabulary)
    tensor = extra.retained() if extra.retained is not None else None
    if tensor is not None:
        tensor._accumulate_grad(g, vocabulary is not None, steal=False)
    return g


def _after_rule(node: Node, grads: tuple[Any, ...], g: Any, ctx: Any, vocabulary: Any) -> tuple[Any, ...]:
    """The node's own hooks, and the NaN check of anomaly mode."""
    extra = node.extra
    assert extra is not None
    for hook in list(extra.post_hooks.values()):
        outcome = hook(tuple(_wrap(node, x, vocabulary) for x in grads), (_wrap(node, g, vocabulary),))
        if outcome is not None:
            given = tuple(x if vocabulary is not None or x is None else x._data for x in outcome)
            shapes = [None if x is None else tuple(x.shape) for x in given]
            expected = [None if x is None else tuple(x.shape) for x in grads]
            if len(given) != len(grads) or any(
                a != b for a, b in zip(shapes, expected) if a is not None and b is not None
            ):
                raise RuntimeError(
                    f"hook on the node of {node.primitive.name}: returned gradients of shapes {shapes}, expected as "
                    f"many, and of the shapes, that it was given: {expected}"
                )
            grads = given
    if extra.trace is not None and modes.state.check_nan:
        for i, (edge, grad) in enumerate(zip(ctx.inputs, grads)):
            if edge is not None and grad is not None:
                array = grad if vocabulary is None else grad._data
                if bool(
                    node.backend.to_host(
                        node.backend.as_array(node.backend.any(node.backend.ne(array, array), None, False))
                    )
                ):
                    _raise_nan(node, i)
    return grads


def _raise_nan(node: Node, position: int) -> None:
    assert node.extra is not None and node.extra.trace is not None
    trace = node.extra.trace
    text = f"backward of {trace.operation} returned NaN for its input {position}; recorded at {trace.line}"
    first, oldest = None, 0
    for current in nodes_behind([node]):  # The NaN may be older: look for the first forward result that held one.
        found = current.extra.trace if current.extra is not None else None
        if found is not None and found.nan_in_forward and (first is None or current.stamp < oldest):
            first, oldest = found, current.stamp
    if first is not None:
        text += f"\nthe first NaN appeared in forward, in the result of {first.operation} at {first.line}"
    raise RuntimeError(text)


def _finish(
    leaves: dict[Any, Any], owned: set[Any], given: Sequence[Any], wanted: Any, results: list[Any], vocabulary: Any
) -> None:
    """Give each leaf its gradient: to `.grad`, or into `results`."""
    # A gradient may be stolen only if nothing else holds its memory: it owns it, and no root or other leaf shares it.
    taken = {id(g) for g in given}
    for leaf, g in leaves.items():
        if wanted is not None and leaf not in wanted:
            continue
        if leaf._hooks is not None:
            g = _run_hooks(leaf, leaf._hooks, g, vocabulary)
        if wanted is not None:
            results[wanted[leaf]] = g
            continue
        steal = leaf in owned and leaf._hooks is None
        if not steal and vocabulary is None:
            steal = id(g) not in taken and leaf._backend.storage_key(g) is g
            taken.add(id(g))
        leaf._accumulate_grad(g, vocabulary is not None, steal)

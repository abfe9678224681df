"""Checkpointing of activations: less memory for more computation.

Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost" (2016).

The function runs once and is recorded as always; then what its nodes saved is dropped. When backward reaches the first
of these nodes, the function runs again, its new nodes hand what they saved to the old ones, and backward goes on. So
the graph is the one without checkpointing: the gradients have the same bits, hooks and `autograd.grad` work, and so do
gradients of gradients.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import autograd_core as ag
from autograd_core import devices, modes, random, storage
from autograd_core.amp.autocast_mode import autocast_again
from autograd_core.engine import Node, _check_saved, nodes_behind
from autograd_core.primitive import V, edge_of
from autograd_core.random import default_generator
from autograd_core.trees import tensors_in

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn"]

_Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function was not the same as the first, or cannot be made."""


def noop_context_fn() -> _Contexts:
    """Two contexts that do nothing, for the first run and the second.

    >>> len(ag.utils.checkpoint.noop_context_fn())
    2
    """
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], _Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, keeping only its inputs; backward runs it again for what it needs.

    preserve_rng_state: the second run draws the same random numbers (dropout masks) from the default generators.
    determinism_check: "default" compares shapes and dtypes of the two runs, "none" the operations only. debug: an
    error lists the operations of both. context_fn() gives a context for each run. Both values of `use_reentrant` do
    the same; with True, as in PyTorch, there can be no `kwargs`, `context_fn` or `debug`. The second run is always a
    whole one (`early_stop` saves nothing), and whatever the function does besides, it does twice.

    Raises ValueError for unknown options. In backward, `CheckpointError` (a RuntimeError) if the second run differs
    from the first, or if an argument or parameter was changed in place since.

    >>> x = ag.ones(2, requires_grad=True)
    >>> ag.utils.checkpoint.checkpoint(lambda x: x.exp().log(), x, use_reentrant=False).sum().backward(); x.grad
    tensor([1., 1.])
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: determinism_check should be 'default' or 'none', got {determinism_check!r}")
    if use_reentrant:
        if kwargs:
            raise ValueError(f"checkpoint: use_reentrant=True takes no keyword arguments, got {sorted(kwargs)}")
        if context_fn is not noop_context_fn or debug:
            raise ValueError("checkpoint: context_fn and debug need use_reentrant=False")
    first_context, second_context = context_fn()
    if not modes.state.grad:
        with first_context:
            return function(*args, **kwargs)
    run = _Run(function, args, kwargs, second_context, preserve_rng_state, determinism_check == "default", debug)
    with first_context, run.autocast():  # A weight cast before the first run would be cast within the second.
        outputs = function(*args, **kwargs)
    run.pack(outputs)
    return outputs


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run a `Sequential` or list of functions in `segments` parts, each but the last one checkpointed.

    The only keyword left is `preserve_rng_state`. Raises ValueError for others, and for more segments than functions.

    >>> model = ag.nn.Sequential(ag.nn.Linear(3, 3), ag.nn.ReLU(), ag.nn.Linear(3, 1))
    >>> ag.utils.checkpoint.checkpoint_sequential(model, 2, ag.ones(1, 3), use_reentrant=False).shape
    ag.Size([1, 1])
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(f"checkpoint_sequential: unexpected keyword arguments {sorted(kwargs)}")
    steps = list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"checkpoint_sequential: segments should be 1 to {len(steps)}, got {segments}")
    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        part = steps[start : start + size]
        input = checkpoint(_chain(part), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _chain(steps[size * (segments - 1) :])(input)


def _chain(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return run


_PACKED: tuple[Any, ...] = ("computed again in backward",)


class _Run:
    """One call of a checkpointed function: all that a second one needs. Its nodes hold it; it holds them weakly."""

    def __init__(
        self, function: Any, args: Any, kwargs: Any, context: Any, preserve: bool, check: bool, debug: bool
    ) -> None:
        self._call: Any = (function, args, kwargs, context)
        self.autocast = autocast_again()
        self._check, self._debug = check, debug
        self._tensors = tuple(tensors_in((args, kwargs)))
        for tensor in self._tensors:
            edge_of(tensor)  # A stale view makes its history anew now rather than inside the function.
        generators: Iterable[ag.Generator] = ()
        if preserve:
            for backend in (devices.backend_of(), *(tensor._backend for tensor in self._tensors)):
                default_generator(backend)  # Makes it where the function would be the first to draw from it.
            generators = random._defaults.values()
        self._random = [(generator, generator._backend.clone(generator.state)) for generator in generators]
        self._begun = storage.tick()

    def pack(self, outputs: Any) -> None:
        """Take away what the nodes between arguments and outputs have saved."""
        nodes = _nodes(outputs, self._begun)
        self._ended = storage.tick()
        self._nodes = [weakref.ref(node) for node in nodes]
        self._first_run = [_describe(node) for node in nodes]
        leaves = {id(edge): edge for node in nodes for edge in node.inputs if isinstance(edge, ag.Tensor)}
        self._leaves = tuple(leaves.values())
        for node in nodes:
            node.saved = _PACKED
            node._ensure_extra().unpack = self._unpack

    def _unpack(self, asked: Node) -> None:
        """Run the function again, and hand to the nodes of the first run what those of the second have saved."""
        for tensors, since in ((self._tensors, self._begun), (self._leaves, self._ended)):
            for tensor in tensors:
                if operation := storage.changed_since(tensor._backend, tensor._data, since):
                    raise CheckpointError(
                        f"checkpoint: a tensor of shape {tuple(tensor.shape)} that the function reads was changed in "
                        f"place ({operation}) after it ran, so it cannot be run again for backward. Use the "
                        "out-of-place form, or apply it to a clone()"
                    )
        function, args, kwargs, context = self._call
        before = [(generator, generator._backend.clone(generator.state)) for generator, _ in self._random]
        _set_states(self._random)
        begun = storage.tick()
        try:
            with modes.enable_grad(), context, self.autocast():
                again = _nodes(function(*args, **kwargs), begun)
        finally:
            _set_states(before)
        self._compare(again)
        since = storage.tick()
        for reference, new in zip(self._nodes, again):
            node = reference()
            if node is not None and node.saved is _PACKED:
                _hand_over(new, node, since)
        # The graph may outlive backward; what was kept for it should not.
        self._call = self._tensors = self._leaves = self._random = None  # type: ignore[assignment]
        if asked.saved is _PACKED and asked.extra is not None and asked.extra.unpack is not None:
            asked.extra.unpack(asked)

    def _compare(self, again: list[Node]) -> None:
        second_run = [_describe(node) for node in again]
        first, second = self._first_run, second_run
        if not self._check:
            first, second = [d[:1] for d in first], [d[:1] for d in second]
        if first == second:
            return
        place = next((i for i, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))
        one, two = (_show(run[place]) if place < len(run) else "nothing" for run in (self._first_run, second_run))
        text = (
            f"checkpoint: the function did not do the same when it ran again in backward: {one} became {two}. It must "
            "depend on its arguments and parameters only, and on random numbers of the default generators"
        )
        if self._debug:
            for name, run in (("First", self._first_run), ("Second", second_run)):
                text += f"\n{name} run, from the output back:\n" + "\n".join(map(_show, run))
        raise CheckpointError(text)


def _hand_over(new: Node, node: Node, since: int) -> None:
    extra = node._ensure_extra()
    if new.saved is not _PACKED:
        _check_saved(new)  # Against changes in place within the function; the engine looks for later ones.
        node.saved, new.saved = new.saved, ()
        extra.unpack, extra.since = None, since
        return

    def unpack(node: Node) -> None:  # Of a checkpoint inside this one: it stays packed until its own turn comes.
        if new.saved is _PACKED:
            new.extra.unpack(new)  # type: ignore[union-attr, misc]
        _hand_over(new, node, storage.tick())

    extra.unpack = unpack


def _set_states(states: list[tuple[Any, Any]]) -> None:
    for generator, state in states:
        generator._backend.copy_(generator.state, state)


def _nodes(outputs: Any, begun: int) -> list[Node]:
    """The nodes made since `begun` that lead to `outputs` and saved something, in an order fixed by the graph.

    A custom `Function` keeps what it saved: its context belongs to the user.
    """
    found = []
    for node in nodes_behind(map(edge_of, tensors_in(outputs)), begun + 1):
        declared = V.__dict__.get(node.primitive.name)
        if node.saved and declared is not None and declared.primitive is node.primitive:
            found.append(node)
    return found


def _describe(node: Node) -> tuple[Any, ...]:
    if node.saved is _PACKED:
        return node.primitive.name, node.shape, "packed"
    return node.primitive.name, node.shape, tuple([(x.shape, x.dtype) for x in node.saved if hasattr(x, "dtype")])


def _show(description: tuple[Any, ...]) -> str:
    name, shape, saved = description
    what = saved if isinstance(saved, str) else ", ".join(f"{dtype} of shape {size}" for size, dtype in saved)
    return f"{name} of shape {shape}, which saves {what}"

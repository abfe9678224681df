"""Hooks of modules: functions that are called before and after forward, and when gradients pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import Tensor, autograd, is_grad_enabled, modes, storage
from autograd_core.engine import RemovableHandle, _register


class Passing:
    """How many training passes a model's only hook, a forward pre-hook, need not see: each counts `left` down.

    What watches a model now and then puts one into its tables, so that the passes between cost next to nothing.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0


class HookTables:
    """The hooks of one module in the order of their calls, each with its options."""

    __slots__ = ("backward", "backward_pre", "forward", "forward_pre", "passing")

    def __init__(self) -> None:
        self.passing: Passing | None = None
        self.forward_pre: dict[int, Any] = {}
        self.forward: dict[int, Any] = {}
        self.backward_pre: dict[int, Any] = {}
        self.backward: dict[int, Any] = {}


def forget_empty_tables(model: Any) -> None:
    """Modules of `model` that have no hooks any more take the short way again, as if they had never had one."""
    for module in model.modules():
        hooks = module._hooks
        if hooks is not None and not (hooks.forward_pre or hooks.forward or hooks.backward_pre or hooks.backward):
            del module.__dict__["_hooks"]


class Hooked:
    """The part of `Module` that registers hooks and calls them."""

    # None until the first hook: a call without hooks pays one attribute lookup.
    _hooks: HookTables | None = None
    forward: Callable[..., Any]
    training: bool

    def _register(self, table: str, entry: Any, prepend: bool) -> RemovableHandle:
        if self._hooks is None:
            self._hooks = HookTables()
        self._hooks.passing = None
        hooks = getattr(self._hooks, table)
        others = dict(hooks)
        handle = _register(hooks, entry)
        if prepend:
            for key in others:
                del hooks[key]
            hooks.update(others)
        return handle

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns (if not None) replaces the arguments.

        with_kwargs: call `hook(module, args, kwargs)`, which may return a new pair of both. prepend: before all others.

        >>> import autograd_core as ag
        >>> m = ag.nn.Identity(); handle = m.register_forward_pre_hook(lambda module, args: args[0] + 1); m(ag.zeros(1))
        tensor([1.])
        """
        return self._register("forward_pre", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; what it returns (if not None) replaces the output.

        with_kwargs: call `hook(module, args, kwargs, output)`. always_call: also when forward raised, with output None.

        >>> import autograd_core as ag
        >>> m = ag.nn.Identity(); handle = m.register_forward_hook(lambda module, args, out: out + 1); m(ag.zeros(1))
        tensor([1.])
        """
        return self._register("forward", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the outputs' gradients are known; a returned tuple replaces them."""
        return self._register("backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the positional inputs are known.

        A returned tuple replaces `grad_input`. An input or output that is no tensor, or wants no gradient, has None.
        While such a hook is there, the module's inputs and outputs must not be changed in place (`RuntimeError`).
        """
        return self._register("backward", hook, prepend)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hooks = self._hooks
        assert hooks is not None
        passing = hooks.passing
        if passing is not None and passing.left and self.training and not modes.overrides:
            passing.left -= 1
            return self.forward(*args, **kwargs)
        if hooks.forward or hooks.backward or hooks.backward_pre:
            return self._call_with_all_hooks(hooks, args, kwargs)
        for hook, with_kwargs in tuple(hooks.forward_pre.values()):
            if with_kwargs:
                args, kwargs = _call_pre_hook(self, hook, True, args, kwargs)
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        if hooks.forward or hooks.backward or hooks.backward_pre:  # registered by a hook
            return self._call_with_all_hooks(hooks, args, kwargs, pre=False)
        return self.forward(*args, **kwargs)

    def _call_with_all_hooks(
        self, hooks: HookTables, args: tuple[Any, ...], kwargs: dict[str, Any], pre: bool = True
    ) -> Any:
        called: set[int] = set()
        try:
            for hook, with_kwargs in list(hooks.forward_pre.values()) if pre else ():
                args, kwargs = _call_pre_hook(self, hook, with_kwargs, args, kwargs)
            watch = None
            if hooks.backward or hooks.backward_pre:
                watch = _BackwardWatch(self, hooks)
                args = watch.watch_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, (hook, with_kwargs, _) in list(hooks.forward.items()):
                called.add(key)
                changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                if changed is not None:
                    result = changed
            return result if watch is None else watch.watch_outputs(result)
        except Exception:
            for key, (hook, with_kwargs, always_call) in list(hooks.forward.items()):
                if always_call and key not in called:
                    if with_kwargs:
                        hook(self, args, kwargs, None)
                    else:
                        hook(self, args, None)
            raise


def _call_pre_hook(
    module: Hooked, hook: Callable[..., Any], with_kwargs: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not with_kwargs:
        changed = hook(module, args)
        if changed is None:
            return args, kwargs
        return (changed if isinstance(changed, tuple) else (changed,)), kwargs
    changed = hook(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise RuntimeError(
            f"a forward pre-hook with kwargs must return None or a tuple (args, kwargs), but got {changed}"
        )
    return changed


class _Watch(autograd.Function):
    """The identity on tensors that shows their gradients to `see`, which may replace them."""

    @staticmethod
    def forward(ctx: Any, see: Callable[..., Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.see = see
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        return (None, *ctx.see(grads))


class _BackwardWatch:
    """The backward hooks of one call of a module: they need the gradients of its inputs and of its outputs."""

    def __init__(self, module: Hooked, hooks: HookTables) -> None:
        self.module, self.hooks = module, hooks
        self.n_inputs = 0
        self.watched: list[int] = []
        self.n_outputs = 1
        self.watched_outputs: list[int] = []
        self.grad_output: tuple[Any, ...] = ()

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        changed, self.watched = _watch(args, self._on_grad_input)
        return changed

    def watch_outputs(self, result: Any) -> Any:
        outputs = result if isinstance(result, tuple | list) else (result,)
        self.n_outputs = len(outputs)
        changed, self.watched_outputs = _watch(tuple(outputs), self._on_grad_output)
        if isinstance(result, tuple | list):
            return changed if type(result) is tuple else type(result)(changed)
        return changed[0]

    def _on_grad_output(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        full = _spread(grads, self.watched_outputs, self.n_outputs)
        for hook in list(self.hooks.backward_pre.values()):
            full = _replaced("full backward pre-hook", hook(self.module, full), full)
        self.grad_output = full
        if not self.watched:
            for hook in list(self.hooks.backward.values()):
                if hook(self.module, (None,) * self.n_inputs, full) is not None:
                    raise RuntimeError(
                        "a full backward hook returned gradients for inputs, but none requires one; return None"
                    )
        return tuple(full[i] for i in self.watched_outputs)

    def _on_grad_input(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        full = _spread(grads, self.watched, self.n_inputs)
        for hook in list(self.hooks.backward.values()):
            full = _replaced("full backward hook", hook(self.module, full, self.grad_output), full)
        return tuple(full[i] for i in self.watched)


def _watch(values: tuple[Any, ...], see: Callable[..., Any]) -> tuple[tuple[Any, ...], list[int]]:
    """`values` with every tensor that wants a gradient watched, and their positions."""
    positions = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not positions or not is_grad_enabled():
        return values, []
    changed = list(values)
    for i, watched in zip(positions, _Watch.apply(see, *(values[i] for i in positions)), strict=True):
        # A view that cannot be replayed: changing it in place is an error rather than a gradient that ignores it.
        watched._base = values[i] if values[i]._base is None else values[i]._base
        watched._source, watched._step, watched._seen = values[i], None, storage.last_change
        changed[i] = watched
    return tuple(changed), positions


def _spread(grads: tuple[Any, ...], positions: list[int], n: int) -> tuple[Any, ...]:
    full: list[Any] = [None] * n
    for i, g in zip(positions, grads, strict=True):
        full[i] = g
    return tuple(full)


def _replaced(kind: str, returned: Any, current: tuple[Any, ...]) -> tuple[Any, ...]:
    if returned is None:
        return current
    changed = returned if isinstance(returned, tuple) else (returned,)
    if len(changed) != len(current):
        raise RuntimeError(f"a {kind} must return {len(current)} gradients, one a tensor, but returned {len(changed)}")
    return changed

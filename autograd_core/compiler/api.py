"""`ag.compile`, and the module that it makes of a module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from autograd_core import recorder
from autograd_core.compiler.function import Compiled, every
from autograd_core.nn.module import Module, indent

_BACKENDS = ("inductor", "aot_eager", "eager")
_MODES = (None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
_PREFIX = "_orig_mod."


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str = "inductor",
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    disable: bool = False,
    check: int = 0,
    cache_size: int = 8,
) -> Any:
    """`model` (a function or a module), recorded at its first call and replayed at later ones without Python's cost.

    A function may be a whole training step. What is replayed is what eager mode computes: parameters, `.grad`, the
    state of optimisers, running statistics and random generators are updated in place, learning rates are read
    at every call. Another shape, dtype, device, plain argument or setting makes another recording.

    fullgraph: what cannot be replayed (reading a value, a shape that depends on values, an effect on Python's objects)
    is a `CompileError` that names the line; else it runs as it is, with one warning. backend: "inductor" optimises the
    recorded calls, "aot_eager" replays them as they are, "eager" compiles nothing. check: every so many replays, run
    the function itself as well and compare (`CompileError` if they differ). cache_size: how many recordings are kept.
    mode: "reduce-overhead" (and "max-autotune") replays by CUDA graphs on a GPU; elsewhere no mode changes anything.
    `dynamic` and `options` are PyTorch's, and change nothing; `disable` returns `model`. Without `model`, a decorator.

    Raises TypeError for what cannot be called, ValueError for an unknown backend or mode, or a negative number.

    >>> import autograd_core as ag
    >>> @ag.compile
    ... def f(x): return (x * x).sum()
    >>> f(ag.ones(3)), f(ag.ones(3))
    (tensor(3.), tensor(3.))
    """
    if backend not in _BACKENDS:
        raise ValueError(f"compile: unknown backend {backend!r}; expected one of {', '.join(map(repr, _BACKENDS))}")
    if mode not in _MODES:
        raise ValueError(f"compile: unknown mode {mode!r}; expected one of {', '.join(map(repr, _MODES))}")
    if check < 0 or cache_size < 1:
        raise ValueError(f"compile: expected check >= 0 and cache_size >= 1, got {check} and {cache_size}")

    def made(function: Callable[..., Any]) -> Any:
        if disable or backend == "eager":
            return function
        if not callable(function):
            raise TypeError(f"compile: expected a function or a module, got {type(function).__name__}")
        if isinstance(function, type):
            name = function.__name__
            raise TypeError(f"compile: got the class {name}; compile an object of it: compile({name}(...))")
        if isinstance(function, Compiled | OptimizedModule):
            return function
        graphs = mode in ("reduce-overhead", "max-autotune")
        compiled = Compiled(function, fullgraph, check, cache_size, backend == "inductor", graphs)
        return OptimizedModule(function, compiled) if isinstance(function, Module) else compiled

    return made if model is None else made(model)


def reset() -> None:
    """Forget the recordings of all compiled functions.

    >>> import autograd_core as ag
    >>> ag.compiler.reset()
    """
    for compiled in list(every):
        compiled.reset()


def is_compiling() -> bool:
    """Whether the call that is being made is recorded, so that what is skipped now is skipped in replays, too.

    >>> import autograd_core as ag
    >>> ag.compiler.is_compiling()
    False
    """
    return bool(recorder.recording) and bool(recorder._mine())


class OptimizedModule(Module):
    """A compiled module: calls are replayed, everything else is the module's own. Made by `ag.compile(module)`.

    Parameters, `state_dict` (under the module's own names), `train()` and attributes are those of `_orig_mod`.

    >>> import autograd_core as ag
    >>> model = ag.compile(ag.nn.Linear(2, 1)); list(model.state_dict()), model(ag.zeros(3, 2)).shape
    (['weight', 'bias'], ag.Size([3, 1]))
    """

    def __init__(self, module: Module, compiled: Compiled) -> None:
        own = self.__dict__
        own["_orig_mod"], own["_compiled"] = module, compiled
        for name in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_state_hooks"):
            own[name] = module.__dict__[name]

    @property
    def training(self) -> bool:  # type: ignore[override]
        return self._orig_mod.training

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["_compiled"](*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._orig_mod.forward(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_orig_mod"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_orig_mod"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_orig_mod"], name)

    def train(self, mode: bool = True) -> OptimizedModule:
        self._orig_mod.train(mode)
        return self

    def _register(self, table: str, entry: Any, prepend: bool) -> Any:
        return self._orig_mod._register(table, entry, prepend)

    def _apply(self, fn: Callable[..., Any]) -> OptimizedModule:
        self._orig_mod._apply(fn)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return self._orig_mod.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As of the module itself; names may have PyTorch's prefix `_orig_mod.`."""
        named = {name.removeprefix(_PREFIX): value for name, value in state_dict.items()}
        if hasattr(state_dict, "_metadata"):
            named = _WithMetadata(named)
            named._metadata = {
                name.removeprefix(_PREFIX[:-1]).removeprefix("."): m for name, m in state_dict._metadata.items()
            }
        return self._orig_mod.load_state_dict(named, *args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> OptimizedModule:
        module = copy.deepcopy(self._orig_mod, memo)
        return OptimizedModule(module, self._compiled.anew(module))

    def __reduce__(self) -> Any:
        return _again, (self._orig_mod, *self._compiled.options)

    def __repr__(self) -> str:
        return f"OptimizedModule(\n  (_orig_mod): {indent(repr(self._orig_mod))}\n)"


class _WithMetadata(dict[str, Any]):
    _metadata: dict[str, Any]


def _again(module: Module, *options: Any) -> OptimizedModule:
    return OptimizedModule(module, Compiled(module, *options))

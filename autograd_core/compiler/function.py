"""The callable around a compiled function or module: its cache of recordings, and what it says when it cannot help."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from autograd_core import modes, recorder
from autograd_core.compiler.builder import Builder, Problem
from autograd_core.compiler.capture import CompileError, record
from autograd_core.compiler.checking import checked
from autograd_core.compiler.conditions import autocast, profiling
from autograd_core.compiler.entry import MISS, Entry
from autograd_core.compiler.guards import Walk
from autograd_core.compiler.optimize import optimize
from autograd_core.compiler.places import Names
from autograd_core.compiler.plan import Plan
from autograd_core.compiler.signature import Given, Unsuitable, arguments, differences, parameter_names
from autograd_core.userline import warn_user

_MOST_NOTICES = 8
_MOST_KEYS = 1000
every: weakref.WeakSet[Compiled] = weakref.WeakSet()  # Of all compiled functions.
_one_at_a_time = threading.Lock()  # For recordings, in all threads.


def _as_it_is(plan: Plan) -> Plan:
    return plan


def _for_graphs(plan: Plan) -> Plan:
    plan = optimize(plan)
    plan.in_graphs = True
    return plan


class Compiled:
    """A compiled function: call it as the function itself. Made by `ag.compile`, which says what it takes."""

    def __init__(
        self, function: Callable[..., Any], fullgraph: bool = False, check: int = 0, cache_size: int = 8,
        optimised: bool = True, graphs: bool = False,
    ) -> None:  # fmt: skip
        self.function = function
        self.fullgraph, self.check, self.cache_size = fullgraph, check, cache_size
        self.options = (fullgraph, check, cache_size, optimised, graphs)
        self._optimise = _as_it_is if not optimised else _for_graphs if graphs else optimize
        self._calls = 0
        name = getattr(function, "__name__", type(function).__name__)
        self.name = name if name.isidentifier() else "function"
        self.attribute = ""  # Under which a class keeps it.
        self.entries: list[Entry] = []  # The one used last comes first.
        self._eager: dict[Any, str] = {}  # Of calls that cannot be replayed: why.
        self._doubts: dict[Any, str] = {}  # What the first recording of such a call objected to.
        self._notices: dict[str, int] = {}
        self._parameters = parameter_names(function)
        self._lock = threading.RLock()
        every.add(self)
        if not isinstance(function, type):
            functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        entries = self.entries
        if entries and not recorder.recording and not recorder.watches:
            with self._lock:
                attempt = self._attempt_checked if self.check and self._is_due() else None
                for entry in entries:
                    result = entry.attempt(args, kwargs) if attempt is None else attempt(entry, args, kwargs)
                    if result is not MISS:
                        if entry is not entries[0]:
                            entries.remove(entry)
                            entries.insert(0, entry)
                        return result
        return self._eagerly(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method, compiled for each instance."""
        if instance is None:
            return self
        name = self.attribute or self.name
        bound = instance.__dict__.get(name)
        if bound is None:
            bound = instance.__dict__[name] = self.anew(self.function.__get__(instance, owner))
        return bound

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = self.attribute or name  # Of `fast = compile(slow)` in a class: not the function's name.

    def anew(self, function: Callable[..., Any]) -> Compiled:
        """`function` compiled with the same options."""
        return Compiled(function, *self.options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Compiled anew: recordings belong to the objects that they were made with."""
        return self.anew(copy.deepcopy(self.function, memo))

    def __reduce__(self) -> Any:
        owner = getattr(self.function, "__self__", None)
        if isinstance(inspect.getattr_static(type(owner), self.name, None), Compiled):
            return _method, (owner, self.name)
        name = getattr(self.function, "__qualname__", "")
        found: Any = sys.modules.get(getattr(self.function, "__module__", ""))
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name  # A decorated function is found by its name.
        return Compiled, (self.function, *self.options)

    def _is_due(self) -> bool:
        self._calls += 1
        return self._calls % self.check == 0

    def _attempt_checked(self, entry: Entry, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return checked(entry, self.function, args, kwargs)

    @property
    def plans(self) -> list[Plan]:
        """The plans recorded so far, that of the last call first; those of backward passes after their own."""
        found = []
        for entry in self.entries:
            found.append(entry.plan)
            if entry.backward is not None:
                found += [plan for plan, _ in entry.backward.plans.values()]
        return found

    def reset(self) -> None:
        """Forget all recordings."""
        with self._lock:
            self.entries.clear()
            self._eager.clear()
            self._doubts.clear()
            self._notices.clear()

    # -- calls that are not replayed ----------------------------------------------------------------------

    def _eagerly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the function itself; record it where that can help later calls."""
        function = self.function
        if recorder.recording or recorder.watches or modes.state.anomaly or profiling():
            return function(*args, **kwargs)
        try:
            given = arguments(self._parameters, args, kwargs)
        except Unsuitable as error:
            self._cannot(str(error), "arguments", CompileError if self.fullgraph else None)
            return function(*args, **kwargs)
        described = {argument.name: argument.describe() for argument in given.leaves}
        if len(self._eager) + len(self._doubts) > _MOST_KEYS:
            self._eager.clear()
            self._doubts.clear()
        key = (modes.state.grad, getattr(function, "training", None), tuple(described.items()))
        if key in self._eager:
            return function(*args, **kwargs)
        if not _one_at_a_time.acquire(blocking=False):
            return function(*args, **kwargs)
        try:
            return self._record(args, kwargs, given, described, key)
        finally:
            _one_at_a_time.release()

    def _record(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: Given,
        described: dict[str, tuple[Any, ...]],
        key: Any,
    ) -> Any:
        function = self.function
        with self._lock:
            if autocast():
                # Casts of weights belong to the recording.
                sys.modules["autograd_core.amp.state"].clear_autocast_cache()
            names = Names()
            before = Walk(function, names)
            failed = self._why(args, kwargs)
            recording = record(lambda: function(*args, **kwargs), self.fullgraph)
            if recording.problems:
                self._eager[key] = recording.problems[0]
                self._cannot(recording.problems[0], recording.problems[0], CompileError if self.fullgraph else None)
                return recording.result
            if recording.tape is None or not recording.tape.calls:
                self._eager[key] = "it computes nothing"
                return recording.result
            after = Walk(function, names)
            for optimizer in recording.tape.optimizers:
                after.also(optimizer, type(optimizer).__name__)
            builder = Builder(self.name, given, names, before, after, recording, self._optimise)
            try:
                if given.has_changed(self._parameters, args, kwargs):
                    raise Problem("it changes a list or dict that it is given; return what is new, or change a copy")
                entry = builder.build(described)
            except Problem as problem:
                return self._object(key, str(problem), recording.result)
            self._doubts.pop(key, None)
            self._add(entry, failed, described)
            return recording.result

    def _object(self, key: Any, problem: str, result: Any) -> Any:
        """A recording failed after its step was made. What a first step does once, a second one no longer does."""
        if key not in self._doubts:
            self._doubts[key] = problem
            return result
        self._eager[key] = problem
        self._cannot(problem, problem, CompileError if self.fullgraph else None)
        return result

    def _cannot(self, why: str, about: str, error: type[CompileError] | None) -> None:
        text = f"ag.compile: {self.name} cannot be replayed: {why}"
        if error is not None:
            raise error(text)
        if about not in self._notices:
            self._notices[about] = 1
            warn_user(f"{text}. It runs without being compiled; fullgraph=True makes this an error")

    # -- the cache --------------------------------------------------------------------------------------

    def _why(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """What made the latest recording unfit for this call, beside its arguments."""
        return self.entries[0].first_failing(args, kwargs) if self.entries else ""

    def _add(self, entry: Entry, failed: str, described: dict[str, tuple[Any, ...]]) -> None:
        if self.entries:
            self._notice(failed, described)
        # The first step of a training makes gradients and state that later ones find; its recording fits no other.
        self.entries.insert(0, entry)
        del self.entries[self.cache_size :]

    def _notice(self, failed: str, described: dict[str, tuple[Any, ...]]) -> None:
        changed = [differences(old.described, described) for old in self.entries]
        nearest = min(changed, key=len)
        full = len(self.entries) >= self.cache_size
        if nearest:
            name, what, cure = nearest[0]
            text = f"{self.name} is recorded again, as its argument {name} {what}"
            advice = f"If this goes on, {cure}"
        elif failed.startswith("the gradient of") or not failed:
            return  # The step after the first.
        else:
            name, text = failed, f"{self.name} is recorded again, as {failed} changed"
            advice = "If this goes on, keep it as it is, or in a tensor"
        count = self._notices[name] = self._notices.get(name, 0) + 1
        if full and count <= _MOST_NOTICES:
            self._notices[name] = _MOST_NOTICES
            warn_user(
                f"ag.compile: {text}, and the cache of {self.cache_size} recordings is full: {name} keeps it from "
                f"being replayed. {advice}"
            )
        elif count < _MOST_NOTICES:
            warn_user(f"ag.compile: {text}. {advice}")


def _method(owner: Any, name: str) -> Compiled:
    """The compiled method of an object that may be in the making."""
    decorated: Compiled = inspect.getattr_static(type(owner), name)
    return decorated.anew(decorated.function.__get__(owner))

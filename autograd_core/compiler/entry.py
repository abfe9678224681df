"""One recorded call made repeatable: its guards, its plan and its effects on Python's objects, as one function.

`Entry.attempt(args, kwargs)` checks every condition, reads the live arrays, runs the plan, assigns the new gradients
and returns the result; or it returns `MISS`, having done nothing, where the recording does not fit the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import storage
from autograd_core.backends.matrices import LinAlgError
from autograd_core.compiler.backward import Backward
from autograd_core.compiler.plan import Plan
from autograd_core.primitive import edge_of, make_node, pick_node
from autograd_core.tensor import Tensor, wrap

MISS = object()


class Entry:
    """See the module. `described`: the arguments of the recorded call, by name; `plan`: what a replay runs."""

    def __init__(
        self, name: str, described: dict[str, tuple[Any, ...]], plan: Plan, optimise: Callable[[Plan], Plan],
        backward: Backward | None,
    ) -> None:  # fmt: skip
        self.name, self.described, self._recorded, self.backward = name, described, plan, backward
        self._optimise: Callable[[Plan], Plan] | None = optimise
        self.conditions: list[tuple[str, str]] = []
        self.names: dict[str, Any] = {}
        self.source = ""
        self.attempt: Callable[[tuple[Any, ...], dict[str, Any]], Any] = lambda args, kwargs: MISS
        self.bound: list[Any] = []  # [the function that runs the plan, the live arrays it runs on]
        self.marks: list[Any] = []  # What storage notes of the memory that a replay changes.
        self.written: set[int] = set()  # Ids of the arrays that own it.
        # For `checking`: the local variables that stand for arguments, the arrays that a replay writes to, and what it
        # assigns to: (name, source that reads it, source that assigns `value` to it).
        self.locals: dict[str, str] = {}
        self.changed: list[tuple[str, str]] = []
        self.assigned: list[tuple[str, str, str]] = []

    @property
    def plan(self) -> Plan:
        """What a replay runs. Optimised when first asked for: a recording that fits no other call is not worth it."""
        if self._optimise is not None:
            self._recorded, self._optimise = self._optimise(self._recorded), None
        return self._recorded

    def first_failing(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """What a call differs in from the recorded one."""
        scope = dict(self.names, args=args, kwargs=kwargs)
        for condition, name in self.conditions:
            try:
                holds = eval(condition, scope)
            except Exception:
                holds = False
            if not holds:
                return name
        return ""

    # -- made by the builder ------------------------------------------------------------------------------

    def compile(self, names: dict[str, Any], live: Sequence[int], guards: Sequence[Callable[[], None]]) -> None:
        """Make `attempt` of `source`, which names what `names` has. live: the slots whose arrays it reads each time."""
        backend = self._recorded.backend
        names.update(
            __name__=__name__, MISS=MISS, LinAlgError=LinAlgError, wrap=wrap, inference=_inference, backend=backend,
            edge_of=edge_of,
            make_node=make_node, pick_node=pick_node, bound=self.bound, written=self.written, marks=self.marks,
            mark_all=storage.mark_all, mark_mutated=storage.mark_mutated, owner=backend.storage_key,
            fresh=lambda: is_fresh(guards), rebind=lambda arrays: self._rebind(live, arrays),
            compiled=None if self.backward is None else self.backward.primitive,
        )  # fmt: skip
        exec(compile(self.source, f"<compiled {self.name}>", "exec"), names)
        self.names, self.attempt = names, names["attempt"]
        # Bound at the first replay: generating code for a plan that is never used again would be in vain.
        self.bound[:] = [None if live else self._first_run, tuple([None] * len(live))]

    def _first_run(self, *arrays: Any) -> Any:
        self.bound[0] = self.plan.runner
        return self.bound[0](*arrays)

    def _rebind(self, live: Sequence[int], arrays: tuple[Any, ...]) -> Any:
        """Take the live arrays as they are now. What runs the plan on them, or None where they do not fit it."""
        plan, backend = self.plan, self.plan.backend
        bases: dict[int, int] = {}  # id of an owner of memory -> the base slot that it stands for.
        starts: dict[int, int] = {}  # base slot -> its address.
        for k, array in zip(live, arrays):
            slot = plan.slots[k]
            if not isinstance(array, backend.array_type) or array.shape != slot.shape or array.dtype != slot.dtype:
                return None
            if tuple(array.strides) != slot.strides:
                return None
            if bases.setdefault(id(backend.storage_key(array)), slot.base) != slot.base:
                return None  # What was two memories has become one.
            start = backend.address(array) - slot.offset
            if starts.setdefault(slot.base, start) != start:
                return None
        if len(starts) != len(bases):
            return None
        position = {k: i for i, k in enumerate(live)}
        plan.bind([arrays[position[k]] if k in position else plan.slots[k].array for k in plan.live])
        written = plan.written
        changed = [array for k, array in zip(live, arrays) if plan.slots[k].base in written]
        self.written.clear()
        self.written.update(id(backend.storage_key(array)) for array in changed)
        self.marks[:] = storage.records(backend, changed, self.name)
        self.bound[:] = [plan.runner, arrays]
        return plan.runner


def is_fresh(guards: Sequence[Callable[[], None]]) -> bool:
    """Whether what the step itself has said of its validity holds."""
    try:
        for guard in guards:
            guard()
    except RuntimeError:
        return False
    return True


def _inference(t: Tensor) -> Tensor:
    t._inference = True
    return t

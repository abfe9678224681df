"""Reuse: a loop writes its result where an array lay that nobody needs any more.

Less memory is held at a time, and less is touched: the result goes to lines of the cache that were read a moment ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autograd_core.compiler.calls import reads, results
from autograd_core.compiler.passes.elementwise import is_elementwise
from autograd_core.compiler.plan import MADE, Plan, Slot
from autograd_core.recorder import Call, Ref

_SMALLEST = 1 << 15  # bytes: what is smaller stays in the cache anyway


class Loop:
    """Elementwise calls that are one loop: `steps` on names of arrays, whose slots `inputs` and `outputs` give."""

    def __init__(self, plan: Plan, calls: list[Call], outputs: list[int]) -> None:
        self.plan = plan
        made = [k for call in calls for k in results(call)]
        self.inputs = list(dict.fromkeys(k for call in calls for k in reads(call) if k not in set(made)))
        self.outputs = outputs
        self.inside = [k for k in made if k not in outputs]
        self.names = {k: f"x{n}" for n, k in enumerate(self.inputs)} | {k: f"y{n}" for n, k in enumerate(made)}
        self.steps = [
            (
                str(call.kernel),
                [self.names[a.index] if isinstance(a, Ref) else a for a in call.args],
                self.names[results(call)[0]],
            )
            for call in calls
        ]

    def call(self, into: Mapping[int, int]) -> Call:
        """The call of the loop, the outputs in `into` lying where those inputs were."""
        place = {self.names[k]: self.names[source] for k, source in into.items()}
        function = self.plan.backend.fuse(
            self.steps, [self._layout(k) for k in self.inputs], [self._layout(k) for k in self.outputs], place
        )
        self.plan.spared[id(function)] = sum(self.plan.slots[k].nbytes for k in self.inside)
        result: Any = Ref(self.outputs[0]) if len(self.outputs) == 1 else tuple(Ref(k) for k in self.outputs)
        return Call(function, tuple(Ref(k) for k in self.inputs), {}, result)

    def _layout(self, k: int) -> Any:
        slot = self.plan.slots[k]
        return self.names[k], slot.shape, tuple(n // slot.dtype.itemsize for n in slot.strides), slot.dtype


def generate_loops(plan: Plan, loops: Mapping[int, Loop]) -> None:
    """Replace call number i by the generated loop `loops[i]`, with results in memory that has become free.

    Elementwise calls that are no part of a loop become one of their own where they can take memory over.
    """
    slots = plan.slots
    last: dict[int, int] = {}  # base -> the last call that reads its memory
    for i, call in enumerate(plan.calls):
        for k in reads(call):
            last[slots[k].base] = i
    views = {slot.base for slot in slots if slot.base != slot.index}
    kept = {slots[k].base for k in plan.outputs} | views
    calls = []
    for i, call in enumerate(plan.calls):
        loop = loops.get(i)
        if loop is None and is_elementwise(call, plan):
            loop = Loop(plan, [call], results(call))
        if loop is None:
            calls.append(call)
            continue
        free = [
            k for k in loop.inputs if slots[k].kind == MADE and k not in kept and slots[k].base == k and last[k] == i
        ]
        into: dict[int, int] = {}
        for k in loop.outputs:
            for source in free:
                if _alike(slots[k], slots[source]):
                    into[k] = source
                    free.remove(source)
                    break
        calls.append(loop.call(into) if into or i in loops else call)
    plan.calls = calls


def _alike(a: Slot, b: Slot) -> bool:
    """Whether an array can lie exactly where another one was."""
    dense = a.nbytes >= _SMALLEST and len(set(a.strides)) == len(a.strides) and 0 not in a.strides
    return dense and (a.shape, a.strides, a.dtype) == (b.shape, b.strides, b.dtype)

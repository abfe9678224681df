"""Fusion: elementwise calls on one shape become one loop, which reads and writes memory once.

A call joins the groups that make its arguments, or that read the same arrays, where no other call must come between
them. What only members of a group use is never written to memory.
"""

from __future__ import annotations

from typing import Any

from autograd_core.compiler.calls import reads, results
from autograd_core.compiler.passes.elementwise import is_elementwise
from autograd_core.compiler.passes.grouping import Groups
from autograd_core.compiler.passes.reuse import Loop, generate_loops
from autograd_core.compiler.plan import Plan
from autograd_core.recorder import Call, Ref

# A loop with more arrays than this is slower than two: the processor follows only so many streams.
_MOST_ARRAYS = 12
_MOST_CALLS = 40
# Calls that only read the same array are merged if they are so near: else results would be held for longer.
_NEAR = 12


def fuse_elementwise(plan: Plan) -> None:
    """Replace groups of elementwise calls by generated loops (`Backend.fuse`)."""
    if not plan.backend.can_fuse:
        return
    groups = Groups(plan)
    slots = plan.slots
    fusible = [is_elementwise(call, plan) for call in plan.calls]
    key: list[Any] = [None] * len(plan.calls)
    readers: dict[int, list[int]] = {}
    for i, call in enumerate(plan.calls):
        for k in set(reads(call)):
            readers.setdefault(k, []).append(i)
    for i, call in enumerate(plan.calls):
        if not fusible[i]:
            continue
        result = slots[results(call)[0]]
        dtypes = {slots[k].dtype.str for k in reads(call)} | {result.dtype.str}
        key[i] = (result.shape, frozenset(dtypes - {"|b1"}))
        producers = [groups.maker[k] for k in reads(call) if k in groups.maker]
        siblings = [j for k in reads(call) if slots[k].shape == result.shape for j in readers[k] if i - _NEAR < j < i]
        for j in dict.fromkeys([*producers, *siblings]):
            a, b = groups.of[i], groups.of[j]
            if a == b or not fusible[j] or key[j] != key[i]:
                continue
            members = groups.members[a] + groups.members[b]
            if len(members) <= _MOST_CALLS and _arrays(plan, members) <= _MOST_ARRAYS and groups.may_merge(a, b):
                groups.merge(a, b)
    used_by: dict[int, set[int]] = {}
    for i, call in enumerate(plan.calls):
        for k in reads(call):
            used_by.setdefault(k, set()).add(groups.of[i])
    seen = {*plan.outputs, *(slot.base for slot in slots if slot.base != slot.index)}
    calls: list[Call] = []
    loops: dict[int, Loop] = {}
    for members in groups.order():
        if len(members) == 1:
            calls.append(plan.calls[members[0]])
            continue
        group = groups.of[members[0]]
        made = [k for i in members for k in results(plan.calls[i])]
        kept = [k for k in made if k in seen or used_by.get(k, set()) - {group}]
        loops[len(calls)] = Loop(plan, [plan.calls[i] for i in members], kept)
        # Stands for the loop until it is generated.
        calls.append(Call("loop", tuple(Ref(k) for k in loops[len(calls)].inputs), {}, tuple(Ref(k) for k in kept)))
    plan.calls = calls
    generate_loops(plan, loops)


def _arrays(plan: Plan, members: list[int]) -> int:
    """How many arrays of full size a loop would read or write (every result that might be kept counts)."""
    made = {k for i in members for k in results(plan.calls[i])}
    read = {k for i in members for k in reads(plan.calls[i])} - made
    inside = {k for i in members for k in reads(plan.calls[i])} & made
    return len(read) + len(made - inside)

"""Fusion: elementwise calls on one shape become one loop, which reads and writes memory once.

A call joins the groups that make its arguments, or that read the same arrays, where no other call must come between
them. What only members of a group use is never written to memory.
"""

from __future__ import annotations

from typing import Any

from autograd_core.compiler.calls import reads, results
from autograd_core.compiler.passes.elementwise import is_elementwise
from autograd_core.compiler.passes.grouping import Groups
from autograd_core.compiler.plan import Plan
from autograd_core.recorder import Call, Ref

# A loop with more arrays than this is slower than two: the processor follows only so many streams.
_MOST_ARRAYS = 12
_MOST_CALLS = 40


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
        made = slots[results(call)[0]]
        dtypes = {slots[k].dtype.str for k in reads(call)} | {made.dtype.str}
        key[i] = (made.shape, frozenset(dtypes - {"|b1"}))
        producers = [groups.maker[k] for k in reads(call) if k in groups.maker]
        siblings = [j for k in reads(call) if slots[k].shape == made.shape for j in readers[k] if j < i]
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
    calls = []
    for members in groups.order():
        if not fusible[members[0]] or not _worth_it(plan, members):
            calls += [plan.calls[i] for i in members]
            continue
        group = groups.of[members[0]]
        made = [k for i in members for k in results(plan.calls[i])]
        kept = [k for k in made if k in seen or used_by.get(k, set()) - {group}]
        calls.append(_fused(plan, [plan.calls[i] for i in members], kept))
    plan.calls = calls


def _worth_it(plan: Plan, members: list[int]) -> bool:
    """Alone, a call is better off as a loop only if NumPy has no loop for it that is as good."""
    return len(members) > 1


def _arrays(plan: Plan, members: list[int]) -> int:
    """How many arrays of full size a loop would read or write (every result that might be kept counts)."""
    made = {k for i in members for k in results(plan.calls[i])}
    read = {k for i in members for k in reads(plan.calls[i])} - made
    inside = {k for i in members for k in reads(plan.calls[i])} & made
    return len(read) + len(made - inside)


def _fused(plan: Plan, calls: list[Call], kept: list[int]) -> Call:
    made = {k for call in calls for k in results(call)}
    inputs = list(dict.fromkeys(k for call in calls for k in reads(call) if k not in made))
    place = {k: f"x{n}" for n, k in enumerate(inputs)}
    place |= {k: f"y{n}" for n, k in enumerate(k for call in calls for k in results(call))}
    steps = [
        (str(call.kernel), [place[a.index] if isinstance(a, Ref) else a for a in call.args], place[results(call)[0]])
        for call in calls
    ]

    def layout(k: int) -> Any:
        slot = plan.slots[k]
        return place[k], slot.shape, tuple(n // slot.dtype.itemsize for n in slot.strides), slot.dtype

    function = plan.backend.fuse(steps, [layout(k) for k in inputs], [layout(k) for k in kept])
    plan.spared[id(function)] = sum(plan.slots[k].nbytes for k in made if k not in kept)
    result: Any = Ref(kept[0]) if len(kept) == 1 else tuple(Ref(k) for k in kept)
    return Call(function, tuple(Ref(k) for k in inputs), {}, result)

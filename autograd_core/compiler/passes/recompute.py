"""Recomputation: what is cheap, and needed again only much later, is computed twice rather than kept.

The peak of a training step's memory lies between forward and backward, where all that backward will read is held. An
elementwise result whose arguments are held anyway need not be (an activation whose derivative reads its input, say),
nor one that a few sums and products lead to from there.
"""

from __future__ import annotations

from autograd_core.compiler.calls import reads, renumbered, results, written_by
from autograd_core.compiler.passes.elementwise import is_elementwise
from autograd_core.compiler.plan import MADE, Plan
from autograd_core.recorder import Call, Ref

_SMALLEST = 1 << 18  # bytes
_FAR = 12  # calls between two uses
_STEPS = {"add", "sub", "mul", "neg", "relu", "square", "abs"}  # Cheap enough to be one of several on the way.
_MOST_STEPS = 6
_LITTLE = 64  # So many times smaller, an argument (a channel's mean, say) may as well be held for longer.


def recompute_cheap_results(plan: Plan) -> None:
    """Compute an elementwise result anew before a late use, if what it comes from is held until then anyway."""
    if not plan.backend.can_fuse:  # As a call of its own it would cost more than it spares.
        return
    slots = plan.slots
    shared = {slot.base for slot in slots if slot.base != slot.index} | {slots[k].base for k in plan.outputs}
    written: dict[int, list[int]] = {}  # base -> the calls that write to its memory
    uses: dict[int, list[int]] = {}
    last: dict[int, int] = {}  # base -> the last call that reads its memory
    maker: dict[int, Call] = {}
    made_at: dict[int, int] = {}
    for i, call in enumerate(plan.calls):
        for k in set(reads(call)):
            uses.setdefault(k, []).append(i)
            last[slots[k].base] = i
        for k in written_by(call):
            written.setdefault(slots[k].base, []).append(i)
        if is_elementwise(call, plan):
            (k,) = results(call)
            maker[k], made_at[k] = call, i
    before: dict[int, list[Call]] = {}  # calls to insert before call number ...
    new: dict[int, tuple[int, int]] = {}  # slot -> from which call on, and its stand-in

    def way(k: int, late: int) -> list[Call] | None:
        """The calls that make k of what is held until call `late`, or None."""
        steps: list[Call] = []
        for a in dict.fromkeys(reads(maker[k])):
            if any(made_at[k] < i < late for i in written.get(slots[a].base, ())):
                return None
            held = slots[a].kind != MADE or (last[slots[a].base] > late and a not in new)
            if held or slots[a].nbytes * _LITTLE <= slots[k].nbytes:
                continue
            # What was written to since it was made is no longer what its call gives.
            cheap = a in maker and maker[a].kernel in _STEPS and slots[a].base not in written
            found = way(a, late) if cheap else None
            if found is None:
                return None
            steps += [step for step in found if step not in steps]
        return [*steps, maker[k]]

    for i, call in enumerate(plan.calls):
        k = next(iter(results(call)), -1)
        if maker.get(k) is not call or slots[k].nbytes < _SMALLEST or k not in uses or k in shared or k in written:
            continue
        places = [i, *uses[k]]
        late = max(places[1:], key=lambda use: use - places[places.index(use) - 1])
        if late - places[places.index(late) - 1] < _FAR:
            continue
        steps = way(k, late)
        if steps is None or len(steps) > _MOST_STEPS:
            continue
        again: dict[int, int] = {}
        for step in steps:
            (made,) = results(step)
            slot = plan.add_slot(MADE, slots[made].shape, slots[made].dtype, strides=slots[made].strides)
            again[made] = slot.index
            before.setdefault(late, []).append(Call(step.kernel, renumbered(step.args, again), {}, Ref(slot.index)))
        new[k] = late, again[k]
    calls = []
    for i, call in enumerate(plan.calls):
        calls += before.get(i, [])
        stands_in = {k: again for k, (since, again) in new.items() if i >= since}
        call.args = renumbered(call.args, stands_in)
        call.kwargs = {name: renumbered(value, stands_in) for name, value in call.kwargs.items()}
        calls.append(call)
    plan.calls = calls

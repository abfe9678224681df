"""Recomputation: what is cheap, and needed again only much later, is computed twice rather than kept.

The peak of a training step's memory lies between forward and backward, where all that backward will read is held. An
elementwise result whose arguments are held anyway need not be (an activation whose derivative reads its input, say).
"""

from __future__ import annotations

from autograd_core.compiler.calls import reads, renumbered, results, written_by
from autograd_core.compiler.passes.elementwise import is_elementwise
from autograd_core.compiler.plan import MADE, Plan
from autograd_core.recorder import Call, Ref

_SMALLEST = 1 << 18  # bytes
_FAR = 12  # calls between two uses


def recompute_cheap_results(plan: Plan) -> None:
    """Compute an elementwise result anew before a late use, if its arguments are held until then anyway."""
    if not plan.backend.can_fuse:  # As a call of its own it would cost more than it spares.
        return
    slots = plan.slots
    shared = {slot.base for slot in slots if slot.base != slot.index} | {slots[k].base for k in plan.outputs}
    written = {slots[k].base for call in plan.calls for k in written_by(call)}
    uses: dict[int, list[int]] = {}
    last: dict[int, int] = {}  # base -> the last call that reads its memory
    for i, call in enumerate(plan.calls):
        for k in set(reads(call)):
            uses.setdefault(k, []).append(i)
            last[slots[k].base] = i
    before: dict[int, list[Call]] = {}  # calls to insert before call number ...
    new: dict[int, tuple[int, int]] = {}  # slot -> from which call on, and its stand-in
    for i, call in enumerate(plan.calls):
        if not is_elementwise(call, plan):
            continue
        (k,) = results(call)
        if slots[k].nbytes < _SMALLEST or k in shared or k in written or k not in uses:
            continue
        places = [i, *uses[k]]
        late = max(places[1:], key=lambda use: use - places[places.index(use) - 1])
        if late - places[places.index(late) - 1] < _FAR:
            continue
        inputs = [a for a in reads(call) if slots[a].size > 1]
        held = all(slots[a].kind != MADE or (last[slots[a].base] > late and a not in new) for a in inputs)
        if held and not any(slots[a].base in written for a in inputs):
            again = plan.add_slot(MADE, slots[k].shape, slots[k].dtype, strides=slots[k].strides)
            before.setdefault(late, []).append(Call(call.kernel, call.args, call.kwargs, Ref(again.index)))
            new[k] = late, again.index
    calls = []
    for i, call in enumerate(plan.calls):
        calls += before.get(i, [])
        stands_in = {k: again for k, (since, again) in new.items() if i >= since}
        call.args = renumbered(call.args, stands_in)
        call.kwargs = {name: renumbered(value, stands_in) for name, value in call.kwargs.items()}
        calls.append(call)
    plan.calls = calls

"""Overwriting: a kernel that makes a large array from another one that nobody needs afterwards writes it there."""

from __future__ import annotations

from autograd_core.compiler.calls import reads
from autograd_core.compiler.plan import MADE, Plan

# Kernel -> its form that may write over an argument (`calls._WRITES` says which), and that argument's position.
FORMS = {"recurrent_backward": ("recurrent_backward_", 12)}


def write_over_last_uses(plan: Plan) -> None:
    """Let the kernels of `FORMS` write over an array that a call of the plan made, and that they are last to read."""
    slots = plan.slots
    kept = {slots[k].base for k in plan.outputs} | {slot.base for slot in slots if slot.base != slot.index}
    last: dict[int, int] = {}  # base -> the last call that reads its memory
    for i, call in enumerate(plan.calls):
        for k in reads(call):
            last[slots[k].base] = i
    for i, call in enumerate(plan.calls):
        if call.kernel in FORMS:
            form, position = FORMS[call.kernel]
            k = call.args[position].index
            alone = reads(call).count(k) == 1 and slots[k].kind == MADE and slots[k].base == k and k not in kept
            if alone and last[k] == i:
                call.kernel = form

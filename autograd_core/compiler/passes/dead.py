"""Dead calls: what nobody looks at is not computed."""

from __future__ import annotations

from autograd_core.compiler.calls import reads, results, written_by
from autograd_core.compiler.plan import MADE, Plan

_CHECKS = {"check_none", "check_range"}  # They give nothing, and raise where a value is wrong.


def remove_dead_calls(plan: Plan) -> None:
    """Drop the calls whose results are not needed, and that change nothing which is.

    Memory is needed if it is returned, was there before the step, or is read by a later call that is needed. Calls
    without a result are checks of values: they stay.
    """
    slots = plan.slots
    needed = {slots[k].base for k in plan.outputs} | {slot.index for slot in slots if slot.kind != MADE}
    kept = []
    for call in reversed(plan.calls):
        touched = [*results(call), *written_by(call)]
        if call.kernel in _CHECKS or any(slots[k].base in needed or k in needed for k in touched):
            needed.update(k for j in reads(call) for k in (j, slots[j].base))
            kept.append(call)
    plan.calls = kept[::-1]

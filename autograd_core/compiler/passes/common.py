"""Common calls: what has been computed already is not computed again."""

from __future__ import annotations

from typing import Any

from autograd_core.compiler.calls import reads, refs, renumbered, results, written_by
from autograd_core.compiler.plan import Plan
from autograd_core.recorder import Call


def share_common_calls(plan: Plan) -> None:
    """Let calls of one kernel with equal arguments be one, if memory they read is not written to in between.

    Results that somebody writes to or sees stay arrays of their own.
    """
    slots = plan.slots
    own = {slots[k].base for call in plan.calls for k in written_by(call)}
    own |= {slots[k].base for k in plan.visible}
    new: dict[int, int] = {}
    version: dict[int, int] = {}  # base -> how often it has been written to
    known: dict[Any, Call] = {}
    kept = []
    for call in plan.calls:
        call.args = renumbered(call.args, new)
        call.kwargs = {name: renumbered(value, new) for name, value in call.kwargs.items()}
        made, written = results(call), written_by(call)
        if not written and made and all(k not in reads(call) for k in made):
            versions = tuple(version.get(slots[k].base, 0) for k in reads(call))
            key = (call.kernel, repr(call.args), repr(sorted(call.kwargs.items())), versions)
            before = known.setdefault(key, call)
            if before is not call and not any(slots[k].base in own for k in (*made, *results(before))):
                new.update(zip(refs(call.result), refs(before.result), strict=True))
                continue
        for k in written:
            version[slots[k].base] = version.get(slots[k].base, 0) + 1
        kept.append(call)
    plan.calls = kept
    for slot in slots:
        slot.base = new.get(slot.base, slot.base)

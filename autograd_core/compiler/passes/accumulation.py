"""Sums of gradients: an addition into an array that nobody else holds becomes one that makes a new array.

So it can be fused like any other; `reuse.py` then puts the result back where the old array lay, if nobody needs that.
"""

from __future__ import annotations

from autograd_core.compiler.calls import refs, renumbered
from autograd_core.compiler.plan import MADE, Plan
from autograd_core.recorder import Call, Ref


def make_additions_new(plan: Plan) -> None:
    """Rewrite `x = add(x, y, x)` as `z = add(x, y)`, with z for x from there on, where x has no views."""
    slots = plan.slots
    shared = {slot.base for slot in slots if slot.base != slot.index}
    new: dict[int, int] = {}
    calls = []
    for call in plan.calls:
        args, kwargs = renumbered(call.args, new), {name: renumbered(v, new) for name, v in call.kwargs.items()}
        if call.kernel == "add" and len(call.args) == 3 and isinstance(call.args[2], Ref):
            (target,) = refs(call.args[2])
            slot = slots[target]
            if slot.kind == MADE and slot.base == target and target not in shared:
                fresh = plan.add_slot(MADE, slot.shape, slot.dtype, strides=slot.strides)
                calls.append(Call("add", args[:2], kwargs, Ref(fresh.index)))
                new[target] = fresh.index
                continue
        result = renumbered(call.result, new) if call.result is not None else None
        calls.append(Call(call.kernel, args, kwargs, result))
    plan.calls = calls
    plan.outputs = [new.get(k, k) for k in plan.outputs]

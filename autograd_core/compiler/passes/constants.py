"""Constants: what is the same at every run is computed once."""

from __future__ import annotations

from autograd_core.compiler.calls import reads, refs, results, written_by
from autograd_core.compiler.plan import CONSTANT, Plan
from autograd_core.recorder import decode

# Above this a constant is rather computed again than kept.
_LARGEST = 1 << 24  # bytes


def fold_constants(plan: Plan) -> None:
    """Make the calls whose arguments are constants now, and keep their results, which nobody may write to or see."""
    slots = plan.slots
    own = {slots[k].base for call in plan.calls for k in written_by(call)} | {slots[k].base for k in plan.visible}
    kept = []
    for call in plan.calls:
        made = results(call)
        if (
            not written_by(call)
            and made
            and all(slots[k].kind == CONSTANT for k in reads(call))
            and not any(slots[k].base in own or slots[k].nbytes > _LARGEST for k in made)
            and isinstance(call.kernel, str)
        ):
            known = {k: slots[k].array for k in reads(call)}
            value = getattr(plan.backend, call.kernel)(
                *decode(call.args, known), **{name: decode(value, known) for name, value in call.kwargs.items()}
            )
            arrays = [value] if len(made) == 1 and not isinstance(value, tuple | list) else list(value)
            for k, array in zip(refs(call.result), arrays, strict=True):
                slots[k].kind, slots[k].array = CONSTANT, array
        else:
            kept.append(call)
    plan.calls = kept

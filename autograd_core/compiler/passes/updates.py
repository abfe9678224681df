"""Updates bound to their kernels: what an optimiser's update asks at each call is known of a plan.

Whether dtypes agree and memory lies in order is settled here, and parameters and state, which stay where they are, are
flattened once. Of a network so small that an update takes a microsecond, this is half of it.
"""

from __future__ import annotations

from autograd_core.compiler.calls import refs
from autograd_core.compiler.plan import LIVE, MADE, Plan
from autograd_core.recorder import Call, Ref

# Kernel -> how many of its first arguments are arrays of the parameter's shape (None where there is none).
_ARRAYS = {"sgd_": 3, "adam_": 5}


def bind_updates(plan: Plan) -> None:
    """Replace updates by calls of `Backend.flat_update`'s functions, where the backend has them."""
    slots = plan.slots
    calls: list[Call] = []

    def flat(ref: Ref) -> Ref:
        slot = slots[ref.index]
        if len(slot.shape) == 1:
            return ref
        view = plan.add_slot(MADE, (slot.size,), slot.dtype, base=slot.base, offset=slot.offset)
        calls.append(Call("reshape", (ref, (-1,)), {}, Ref(view.index)))
        return Ref(view.index)

    def copied(ref: Ref) -> Ref:
        copy = plan.add_slot(MADE, slots[ref.index].shape, slots[ref.index].dtype)
        calls.append(Call("clone", (ref,), {}, Ref(copy.index)))
        return Ref(copy.index)

    for call in plan.calls:
        bound = None
        if call.kernel in _ARRAYS:
            param, grad, *state = (slots[k] for k in refs(call.args[: _ARRAYS[call.kernel]]))
            alike = all(
                s.shape == param.shape and s.dtype == param.dtype and s.contiguous for s in (param, grad, *state)
            )
            if alike and param.dtype.str in ("<f4", "<f8") and all(s.kind == LIVE for s in (param, *state)):
                bound = plan.backend.flat_update(call.kernel, param.size, param.dtype, call.args, flat, copied)
        calls.append(call if bound is None else Call(bound[0], bound[1], {}, None))
    plan.calls = calls

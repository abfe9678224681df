"""Batch norm written out: with the statistics at hand it is elementwise, so that a loop can take it in.

Its neighbours (a sum with the shortcut, an activation) are then made in the same pass over memory, and what backward
needs of them can be computed again from the convolution's result, which is held anyway (`recompute.py`).
"""

from __future__ import annotations

from autograd_core.compiler.calls import reads, refs, results
from autograd_core.compiler.passes.elementwise import is_elementwise
from autograd_core.compiler.plan import MADE, Plan
from autograd_core.recorder import Call, Ref

_SMALLEST = 1 << 16  # bytes: below, more calls cost more than the pass over memory that is spared


def write_out_batch_norm(plan: Plan) -> None:
    """Replace `batch_norm` by `(x - mean) * scale + bias` where an elementwise call reads its result."""
    if not plan.backend.can_fuse:
        return
    slots = plan.slots
    wanted = {k for call in plan.calls if is_elementwise(call, plan) for k in reads(call)}
    calls: list[Call] = []

    def made(kernel: str, *args: object, like: int, shape: tuple[int, ...] | None = None, view: bool = False) -> Ref:
        """The result of a new call, laid out as `like` if it has its shape."""
        slot = slots[like]
        again = plan.add_slot(
            MADE, shape or slot.shape, slot.dtype, strides=None if shape else slot.strides,
            base=slot.base if view else None, offset=slot.offset if view else 0,
        )  # fmt: skip
        calls.append(Call(kernel, args, {}, Ref(again.index)))
        return Ref(again.index)

    for call in plan.calls:
        if call.kernel != "batch_norm" or not _is_suitable(call, plan, wanted):
            calls.append(call)
            continue
        x, w, b, mean, var, eps, _ = call.args
        (y,) = results(call)
        row = (1, slots[y].shape[1], *(1 for _ in slots[y].shape[2:]))
        scale = made("rsqrt", made("add", var, eps, like=var.index), like=var.index)
        if w is not None:
            scale = made("mul", scale, w, like=var.index)
        along = [made("reshape", a, row, like=a.index, shape=row, view=True) for a in (mean, scale)]
        value = made("mul", made("sub", x, along[0], like=y), along[1], like=y)
        if b is None:
            calls[-1].result = Ref(y)
        else:
            bias = made("reshape", b, row, like=b.index, shape=row, view=True)
            calls.append(Call("add", (value, bias), {}, Ref(y)))
    plan.calls = calls


def _is_suitable(call: Call, plan: Plan, wanted: set[int]) -> bool:
    slots = plan.slots
    (y,) = results(call)
    taken = [slots[k] for k in refs(call.args)]
    alike = {slot.dtype.str for slot in [*taken, slots[y]]} in ({"<f4"}, {"<f8"})
    return y in wanted and slots[y].nbytes >= _SMALLEST and alike and all(slot.contiguous for slot in taken[1:])

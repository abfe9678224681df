"""Which calls work element by element, and as which function of scalars."""

from __future__ import annotations

from autograd_core.backends import scalars
from autograd_core.compiler.calls import refs, results
from autograd_core.compiler.plan import Plan
from autograd_core.recorder import Call, Ref

# The functions written in scalars.py, and those that every target has itself.
NAMES = {*scalars.FUNCTIONS, "exp", "expm1", "log", "log1p", "tanh", "erf", "sqrt", "abs", "isnan"}
_COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge", "isnan"}


def is_elementwise(call: Call, plan: Plan) -> bool:
    """Whether `call` is one of `NAMES` on arrays of one floating dtype (and masks), and its result has an axis."""
    if call.kernel not in NAMES or call.kwargs or not isinstance(call.result, Ref):
        return False
    (made,) = results(call)
    slot = plan.slots[made]
    if not slot.shape or not slot.size or made in refs(call.args):
        return False
    if not all(isinstance(a, Ref | float | int) for a in call.args):
        return False
    kinds = {plan.slots[k].dtype.str for k in refs(call.args)}
    if call.kernel not in _COMPARISONS:
        kinds.add(slot.dtype.str)
    # Arithmetic on masks is another matter than on numbers.
    if call.kernel != "where" and any(kind[1] == "b" for kind in kinds):
        return False
    return kinds - {"|b1"} in ({"<f4"}, {"<f8"})

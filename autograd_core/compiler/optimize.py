"""The passes in their order, and what each of them did."""

from __future__ import annotations

from collections.abc import Callable

from autograd_core.compiler.passes.accumulation import make_additions_new
from autograd_core.compiler.passes.common import share_common_calls
from autograd_core.compiler.passes.constants import fold_constants
from autograd_core.compiler.passes.dead import remove_dead_calls
from autograd_core.compiler.passes.fusion import fuse_elementwise
from autograd_core.compiler.passes.normalization import write_out_batch_norm
from autograd_core.compiler.passes.overwriting import write_over_last_uses
from autograd_core.compiler.passes.recompute import recompute_cheap_results
from autograd_core.compiler.passes.updates import bind_updates
from autograd_core.compiler.plan import Plan

PASSES: tuple[Callable[[Plan], None], ...] = (
    make_additions_new,
    remove_dead_calls,
    fold_constants,
    share_common_calls,
    write_out_batch_norm,
    recompute_cheap_results,
    remove_dead_calls,  # Of a result computed again before each of its uses, the first is in vain.
    fuse_elementwise,
    write_over_last_uses,
    bind_updates,
)


def optimize(plan: Plan) -> Plan:
    """Run the passes over `plan`, which they change; `plan.report` then says how many calls each of them left."""
    plan.report = [("recorded", len(plan.calls))]
    for run in PASSES:
        run(plan)
        plan.report.append((run.__name__, len(plan.calls)))
    return plan

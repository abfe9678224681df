"""What became of a recording: `plan.explain()` in words, `plan.draw()` as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograd_core.compiler.calls import kernel_name, reads, results
from autograd_core.compiler.plan import MADE, Plan

if TYPE_CHECKING:
    from autograd_core.insight.draw import Drawing

_PASSES = {
    "recorded": "recorded",
    "make_additions_new": "sums of gradients made new arrays",
    "remove_dead_calls": "dead calls removed",
    "fold_constants": "constants computed",
    "share_common_calls": "common calls shared",
    "recompute_cheap_results": "cheap results computed again",
    "fuse_elementwise": "elementwise calls fused",
}


def explain(plan: Plan, source: bool = True) -> str:
    """Calls after each pass, each generated loop with the calls in it and the memory it spares; then their `source`."""
    lines = [f"{plan.name}: {len(plan.calls)} calls on {plan.backend.describe()}", ""]
    before = None
    for name, count in plan.report:
        change = "" if before is None else f"{count - before:+d}" if count != before else "no change"
        lines.append(f"  {_PASSES.get(name, name):<36}{count:>6} calls  {change}".rstrip())
        before = count
    spared = 0
    fused = [call for call in plan.calls if hasattr(call.kernel, "loop")]
    for call in fused:
        loop = call.kernel.loop  # type: ignore[attr-defined]
        lines += ["", f"  {kernel_name(call)}: {len(loop.steps)} calls in one loop over {_by(loop.dims)}"]
        lines += [
            f"      {result} = {kernel}({', '.join(map(str, arguments))})" for kernel, arguments, result in loop.steps
        ]
        bytes_spared = plan.spared.get(id(call.kernel), 0)
        spared += bytes_spared
        lines.append(f"      not written to memory: {_size(bytes_spared)}")
    if fused:
        lines += ["", f"  {_size(spared)} of results are never written to memory at each run"]
    text = "\n".join(lines)
    if source:
        for kernel_source in dict.fromkeys(call.kernel.source for call in fused):  # type: ignore[attr-defined]
            text += "\n\n# " + "-" * 98 + "\n" + kernel_source.rstrip()
        text += "\n\n# " + "-" * 98 + "\n" + plan.source().rstrip()
    return text + "\n"


def draw(plan: Plan) -> Drawing:
    """The plan's calls as a graph, from what it is given at the top to what it returns at the bottom."""
    from autograd_core.insight.draw import Drawing, _Box

    boxes: list[_Box] = []
    maker: dict[int, int] = {}
    for call in plan.calls:
        inputs = []
        for k in dict.fromkeys(reads(call)):
            if k not in maker:
                slot = plan.slots[k]
                if slot.kind != MADE and slot.size <= 1 and not slot.origin:
                    continue  # Learning rates and other options.
                maker[k] = len(boxes)
                boxes.append(_Box(slot.origin or slot.kind, _by(slot.shape), "leaf"))
            inputs.append(maker[k])
        made = results(call)
        label = kernel_name(call)
        if hasattr(call.kernel, "loop"):
            label = " + ".join(kernel for kernel, *_ in call.kernel.loop.steps)
            label = label if len(label) <= 40 else label[:37] + "..."
        kind = "result" if set(made) & set(plan.outputs) else "call"
        boxes.append(_Box(label, ", ".join(_by(plan.slots[k].shape) for k in made), kind, list(dict.fromkeys(inputs))))
        for k in made:
            maker[k] = len(boxes) - 1
    return Drawing(boxes)


def _by(shape: object) -> str:
    return " x ".join(map(str, shape)) or "1"  # type: ignore[call-overload]


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 1 << 20 else f"{count / 1024:.1f} KiB"

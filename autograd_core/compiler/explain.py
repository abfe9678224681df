"""What became of a recording: `plan.explain()` in words, `plan.draw()` as a picture."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from autograd_core.compiler.calls import kernel_name, reads, results, written_by
from autograd_core.compiler.plan import MADE, SCRATCH, Plan
from autograd_core.compiler.replay import VIEWS
from autograd_core.insight.summary import size_text
from autograd_core.recorder import Call

if TYPE_CHECKING:
    from autograd_core.insight.draw import Drawing

_PASSES = {
    "recorded": "recorded",
    "make_additions_new": "sums of gradients made new arrays",
    "remove_dead_calls": "dead calls removed",
    "fold_constants": "constants computed",
    "share_common_calls": "common calls shared",
    "write_out_batch_norm": "batch norm written out",
    "recompute_cheap_results": "cheap results computed again",
    "fuse_elementwise": "elementwise calls fused",
    "write_over_last_uses": "results put over last uses",
    "bind_updates": "updates bound to their kernels",
}
_SHOWN = 6  # Groups of loops, and kernels, in the short form.


def explain(plan: Plan, full: bool = False) -> str:
    """Calls after each pass, memory, what was fused, what moves most memory; with `full`, every loop and the source."""
    fused = [call for call in plan.calls if hasattr(call.kernel, "loop")]
    lines = [f"{plan.name}: {len(plan.calls)} calls on {plan.backend.describe()}", ""]
    before = None
    for name, count in plan.report:
        change = "" if before is None else f"{count - before:+d}" if count != before else "no change"
        lines.append(f"  {_PASSES.get(name, name):<36}{count:>6} calls  {change}".rstrip())
        before = count
    lines += [*([] if plan.report else ["  replayed as they were recorded, without passes"]), ""]
    lines.append(f"  the results of one run take at most {size_text(peak(plan))} at a time, beside what stays")
    lines += _loops(plan, fused) if full else _fused(plan, fused)
    if fused:
        lines.append(
            f"  {size_text(sum(_spared(plan, call) for call in fused))} of results are never written to memory"
        )
    lines += _graphs(plan)
    if not full:
        lines += [*_largest(plan), "", "explain(full=True) shows each loop and the generated source, draw() the graph."]
        return "\n".join(lines) + "\n"
    sources = [*dict.fromkeys(call.kernel.source for call in fused), plan.source()]  # type: ignore[attr-defined]
    return "\n".join(lines) + "\n" + "".join(f"\n# {'-' * 98}\n{source.rstrip()}\n" for source in sources)


def _graphs(plan: Plan) -> list[str]:
    """What CUDA graphs hold."""
    graphed = plan.graphed
    if not plan.in_graphs:
        return []
    if graphed is None:
        why = "are made by the next replays" if plan.backend.can_capture else f"{plan.backend.name} has none"
        return [f"  graphs: {why}"]
    if graphed.why_not:
        return [f"  no graphs: {graphed.why_not}"]
    if not graphed.graphs and not graphed.outside:
        return ["  graphs: are made by the next replays"]
    held = f"{graphed.calls} of {_count(len(plan.calls), 'call')} in {_count(graphed.graphs, 'graph')}"
    lines = [f"  {held}, which keep {size_text(graphed.nbytes)}"]
    outside = {getattr(kernel, "__name__", kernel): why for kernel, why in graphed.outside.items()}
    return [*lines, *(f"  not in graphs: {name} ({why})" for name, why in outside.items())]


def _loops(plan: Plan, fused: list[Call]) -> list[str]:
    """Every loop, call by call."""
    lines = [""]
    for call in fused:
        loop = call.kernel.loop  # type: ignore[attr-defined]
        lines.append(f"  {kernel_name(call)}: {len(loop.steps)} calls in one loop over {_by(loop.dims)}")
        lines += [f"      {to} = {kernel}({', '.join(map(str, arguments))})" for kernel, arguments, to in loop.steps]
        lines += [f"      not written to memory: {size_text(_spared(plan, call))}", ""]
    return lines


def _fused(plan: Plan, fused: list[Call]) -> list[str]:
    """How many calls became loops, and the loops that spare most; equal ones once, with their number."""
    if not fused:
        return ["", "  nothing was fused"]
    groups: dict[tuple[Any, ...], list[Call]] = {}
    for call in fused:
        loop = call.kernel.loop  # type: ignore[attr-defined]
        groups.setdefault((tuple(kernel for kernel, *_ in loop.steps), tuple(loop.dims)), []).append(call)
    ranked = sorted(groups.items(), key=lambda item: -sum(_spared(plan, call) for call in item[1]))
    calls = sum(len(kernels) * len(alike) for (kernels, _), alike in ranked)
    lines = [
        "",
        f"  {_count(calls, 'elementwise call')} in {_count(len(fused), 'loop')}, by the memory that they spare",
    ]
    for (kernels, dims), alike in ranked[:_SHOWN]:
        spared = sum(_spared(plan, call) for call in alike)
        lines.append(
            f"{len(alike):>6} x {_short(' + '.join(kernels)):<44} over {_by(dims):<16} {size_text(spared):>10}"
        )
    if len(ranked) > _SHOWN:
        lines.append(f"         and {_count(len(ranked) - _SHOWN, 'other')}")
    return lines


def _largest(plan: Plan) -> list[str]:
    """The kernels by the sizes of the arrays that their calls read and write."""
    moved: dict[str, list[int]] = {}
    for call in plan.calls:
        if call.kernel not in VIEWS:
            label = kernel_name(call)
            if hasattr(call.kernel, "loop"):
                label = " + ".join(kernel for kernel, *_ in call.kernel.loop.steps)
            arrays = [*dict.fromkeys((*reads(call), *results(call))), *written_by(call)]
            moved.setdefault(label, []).append(sum(_bytes(plan, k) for k in arrays))
    total = sum(map(sum, moved.values()))
    ranked = sorted(moved.items(), key=lambda item: -sum(item[1]))[:_SHOWN]
    lines = ["", f"  arrays of {size_text(total)} are read and written by a run, most of them by"] if ranked else []
    for label, sizes in ranked:
        share = f"{sum(sizes) / max(total, 1):.0%}"
        lines.append(f"{len(sizes):>6} x {_short(label):<66} {size_text(sum(sizes)):>10} {share:>5}")
    return lines


def peak(plan: Plan) -> int:
    """The most bytes that the results of a run take at a time, each until its last use.

    Arguments, parameters and other arrays that stay are not counted, nor what a kernel allocates for itself.
    """
    slots = plan.slots
    place: dict[int, int] = {}  # Base -> the base in whose memory it lies: a loop may write where an array lay.
    last: dict[int, int] = {}
    for i, call in enumerate(plan.calls):
        loop = getattr(call.kernel, "loop", None)
        if loop is not None:
            for (name, *_), k in zip(loop.outputs, results(call)):
                if name in loop.into:
                    taken = call.args[int(loop.into[name][1:])]
                    place[k] = place.get(slots[taken.index].base, slots[taken.index].base)
        for k in (*reads(call), *results(call)):
            last[place.get(slots[k].base, slots[k].base)] = i
    for k in plan.outputs:
        last[place.get(slots[k].base, slots[k].base)] = len(plan.calls)
    held: set[int] = set()
    most = now = sum(slot.nbytes for slot in slots if slot.kind == SCRATCH)
    for i, call in enumerate(plan.calls):
        for k in results(call):
            memory = place.get(slots[k].base, slots[k].base)
            if slots[memory].kind == MADE and memory not in held:
                held.add(memory)
                now += slots[memory].nbytes
        most = max(most, now)
        gone = {k for k in held if last[k] == i}
        held -= gone
        now -= sum(slots[k].nbytes for k in gone)
    return most


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
        label = _short(label)
        kind = "result" if set(made) & set(plan.outputs) else "call"
        boxes.append(_Box(label, ", ".join(_by(plan.slots[k].shape) for k in made), kind, list(dict.fromkeys(inputs))))
        for k in made:
            maker[k] = len(boxes) - 1
    return Drawing(boxes)


def _spared(plan: Plan, call: Call) -> int:
    return plan.spared.get(id(call.kernel), 0)


def _bytes(plan: Plan, k: int) -> int:
    """The size of an array; what it repeats by strides of 0 counts once."""
    slot = plan.slots[k]
    return int(slot.dtype.itemsize) * prod(n for n, stride in zip(slot.shape, slot.strides) if stride or n == 0)


def _by(shape: object) -> str:
    return " x ".join(map(str, shape)) or "1"  # type: ignore[call-overload]


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + "s" * (n != 1)


def _short(label: str) -> str:
    return label if len(label) <= 44 else label[:41] + "..."

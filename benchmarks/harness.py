"""Timing two libraries side by side: in one process, in alternating blocks, with as many threads each.

A workload is one function of the library, so that both run the same source. It returns a step without arguments; the
step may return a loss, and the two libraries' last losses are then compared: a fast wrong answer is no result.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import autograd_core as ag
from autograd_core.backends.cpu import threads

Step = Callable[[], Any]


@dataclass(frozen=True)
class Workload:
    """What to time: `build(lib)` returns a step that does `units` of `unit`; `target` is the ratio aimed at."""

    name: str
    build: Callable[[Any], Step]
    units: int = 1
    unit: str = "step"
    target: float | None = None


@dataclass(frozen=True)
class Result:
    """Microseconds a unit (medians over the rounds), and ours / peer: median and quartiles of the rounds' ratios."""

    name: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    target: float | None = None
    loss_difference: float | None = None  # relative, after the same number of steps

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_peer(name: str | None) -> Any:
    """The peer's module, set to as many threads as we use; None where there is none or it is not installed.

    Call `threads.set_num_threads` before, not after it.
    """
    if name is None:
        return None
    if name != "torch":
        raise ValueError(f"unknown peer {name!r}: expected torch")
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads.get_num_threads())
    return torch


def measure(
    workload: Workload, peer: Any = None, *, rounds: int = 25, block: float = 0.02, warmup: float = 0.3
) -> Result:
    """Time `workload` on autograd-core and, where given, on `peer`, in alternating blocks of about `block` seconds.

    Both are warmed up for `warmup` seconds first (kernels compile, caches fill). Which goes first changes with every
    round. The garbage collector runs between the blocks, not in them.
    """
    steps = [workload.build(lib) for lib in (ag, peer) if lib is not None]
    counts = [0] * len(steps)
    lengths = []
    for side, step in enumerate(steps):
        step()
        done, start = 0, time.perf_counter()
        while done < 2 or time.perf_counter() - start < warmup:
            step()
            done += 1
        counts[side] = done + 1
        lengths.append(max(1, round(block / ((time.perf_counter() - start) / done))))
    seconds: list[list[float]] = [[] for _ in steps]
    losses: list[Any] = [None] * len(steps)
    gc.collect()
    gc.freeze()  # What is alive now stays; looking through it between all blocks would take longer than they do.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            for side in range(len(steps)) if turn % 2 == 0 else reversed(range(len(steps))):
                step, length = steps[side], lengths[side]
                start = time.perf_counter()
                for _ in range(length):
                    losses[side] = step()
                seconds[side].append((time.perf_counter() - start) / length)
                counts[side] += length
            gc.collect()
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
    scale = 1e6 / workload.units
    ours = statistics.median(seconds[0]) * scale
    if peer is None:
        return Result(workload.name, workload.unit, ours, target=workload.target)
    low, ratio, high = statistics.quantiles([a / b for a, b in zip(*seconds, strict=True)], n=4)
    difference = None
    if losses[0] is not None:
        # The one that took fewer steps catches up, so that the losses are those of the same step.
        for side, step in enumerate(steps):
            for _ in range(max(counts) - counts[side]):
                losses[side] = step()
        a, b = (float(loss.detach()) for loss in losses)
        difference = abs(a - b) / max(abs(b), 1e-12)
    return Result(
        workload.name, workload.unit, ours, statistics.median(seconds[1]) * scale, ratio, low, high,
        workload.target, difference,
    )  # fmt: skip


HEADER = f"{'':26}{'ours us':>10}{'torch us':>10}{'ratio':>8}{'quartiles':>14}{'target':>8}  {'a':5} loss apart"


def line(result: Result) -> str:
    """One row of the table; what the peer would have is blank where there is none."""

    def cell(value: float | None, width: int, form: str) -> str:
        return f"{'' if value is None else format(value, form):>{width}}"

    spread = "" if result.low is None else f"{result.low:.2f}-{result.high:.2f}"
    return (
        f"{result.name:26}{cell(result.ours, 10, '.2f')}{cell(result.peer, 10, '.2f')}{cell(result.ratio, 8, '.2f')}"
        f"{spread:>14}{cell(result.target, 8, '.2f')}  {result.unit:5} {cell(result.loss_difference, 0, '.1e')}"
    ).rstrip()

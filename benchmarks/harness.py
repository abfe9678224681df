"""Timing a workload on two sides in alternating blocks, with as many threads each, and what is kept of it.

A workload is one source text for both libraries (see `kit.py`). Each side is a process of its own (`sides.py`), idle
while the other one's block runs. The step's losses, or a number that its results determine, are compared at the end: a
fast wrong answer is no result.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from autograd_core.benchmarks.sides import Side
from autograd_core.benchmarks.workloads import Workload


@dataclass
class Result:
    """Microseconds a unit: medians and quartiles over the rounds; `ratio` is ours / peer, pair by pair of blocks.

    Peak memory in bytes above what the imports cost; flops and bytes are a step's least work, where it is known.
    loss_difference: of the losses after the same number of steps, relative to the peer's (to its first loss
    where that has almost vanished). What was not measured is None.
    """

    name: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    target: float | None = None
    loss_difference: float | None = None
    ours_low: float | None = None
    ours_high: float | None = None
    peer_low: float | None = None
    peer_high: float | None = None
    ours_memory: int | None = None
    peer_memory: int | None = None
    ours_whole: int | None = None
    peer_whole: int | None = None
    flops: float | None = None  # of one unit, as `bytes`
    bytes: float | None = None
    rounds: int = 0
    size: float | None = None
    group: str = ""
    device: str = "cpu"
    beside: str | None = None  # the peer's name
    options: dict[str, Any] = field(default_factory=dict)  # with which the peer was fastest

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    workload: Workload,
    ours: Side,
    peer: Side | None = None,
    *,
    rounds: int = 25,
    block: float = 0.02,
    warmup: float = 0.3,
    rest: float = 0.06,
    budget: float = 20.0,
) -> Result:
    """Time `workload` in alternating blocks of about `block` seconds, after `warmup` seconds of each side.

    Which side goes first changes with every round. Where `rounds` would take a side longer than `budget` seconds there
    are fewer of them, though at least 3. Beside a peer, nothing runs for `rest` seconds before each block: the idle
    workers of OpenBLAS spin for about 30 ms, and would take a core from the other side.
    """
    sides = [side for side in (ours, peer) if side is not None]
    paces = [side.warm_up(warmup) for side in sides]
    lengths = [max(1, round(block / pace)) for pace in paces]
    longest = max(length * pace for length, pace in zip(lengths, paces))
    rounds = min(rounds, max(3, int(budget / longest)))
    untimed = 1 if longest < 0.2 else 0
    seconds: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds):
        for side in range(len(sides)) if turn % 2 == 0 else reversed(range(len(sides))):
            if peer is not None:
                time.sleep(rest)
            seconds[side].append(sides[side].run(lengths[side], untimed) / lengths[side])
    ends = [side.finish(0, True) for side in sides]
    steps = max(end["steps"] for end in ends)
    scale = 1e6 / workload.units
    result = Result(workload.name, workload.unit, 0.0, target=workload.target, rounds=rounds, size=workload.size)
    result.ours_low, result.ours, result.ours_high = _quartiles([scale * s for s in seconds[0]])
    result.ours_memory, result.ours_whole = ends[0]["memory"], ends[0]["whole"]
    result.flops, result.bytes = (
        None if (n := ends[0][key]) is None else n / workload.units for key in ("flops", "bytes")
    )
    if peer is not None:
        result.peer_low, result.peer, result.peer_high = _quartiles([scale * s for s in seconds[1]])
        result.peer_memory, result.peer_whole = ends[1]["memory"], ends[1]["whole"]
        result.low, result.ratio, result.high = _quartiles([a / b for a, b in zip(*seconds, strict=True)])
        if ends[0]["number"] is not None:
            # The one that took fewer steps catches up, so that the losses are those of the same step.
            mine, other = (side.finish(steps) for side in sides)
            least = 1e-3 * abs(other["first"]) if other["first"] is not None else 0.0
            result.loss_difference = abs(mine["number"] - other["number"]) / max(abs(other["number"]), least, 1e-12)
    return result


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high

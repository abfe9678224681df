"""Where the time of a compiled step goes: `python tools/time_plan.py gpt resnet` times each call of the replayed plan.

Prints, for workloads of the benchmark by the names of their functions (`mlp_small`, ...), the kernels with their number
of calls, their time and its share of the sum, of each call the lower decile over many replays. `--calls` prints each.
"""

from __future__ import annotations

import argparse
import collections
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import autograd_core as ag
from autograd_core.benchmarks.kit import Kit, workload
from autograd_core.compiler import replay

_FILES = {"mlp_small": "mlp"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="+")
    parser.add_argument("--calls", action="store_true", help="each call, in the order of the plan")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to repeat each step (default: 3)")
    arguments = parser.parse_args()
    stamps: list[float] = []
    texts: list[str] = []
    written = replay._written

    def stamped(plan: Any) -> tuple[str, dict[str, Any]]:
        """The function that runs the plan, with a stamp of the time before each call and at the end."""
        source, names = written(plan)
        lines, inside = [], False
        texts.clear()
        for line in source.splitlines():
            if inside and line.startswith("        ") and not line.strip().startswith("del "):
                lines.append("        stamp(now())")
                texts.append(line.strip())
            lines.append(line)
            inside = inside or line.lstrip().startswith("def run(")
        return "\n".join(lines) + "\n", names | {"stamp": stamps.append, "now": time.perf_counter}

    replay._written = stamped
    for name in arguments.workloads:
        sizes = {"size": 1 << 20} if name == "elementwise" else {}
        step = getattr(workload(_FILES.get(name, name)), name)(ag, Kit(ag, compiled=True), **sizes)
        for _ in range(6):
            step()
        runs = []
        end = time.perf_counter() + arguments.seconds
        while time.perf_counter() < end or len(runs) < 10:
            stamps.clear()
            step()
            runs.append([b - a for a, b in zip(stamps, stamps[1:])])
        times = [sorted(taken)[len(runs) // 10] * 1e6 for taken in zip(*runs)]
        print(f"{name}: {len(times)} calls, {sum(times):.0f} us")
        kernels: dict[str, list[float]] = collections.defaultdict(list)
        for text, taken in zip(texts, times):
            if arguments.calls:
                print(f"{taken:10.1f} us  {text[:110]}")
            kernels[text.split(" = ")[-1].split("(")[0].removeprefix("k_")].append(taken)
        for kernel, each in sorted(kernels.items(), key=lambda item: -sum(item[1])):
            print(f"{sum(each):10.1f} us {sum(each) / sum(times):6.1%} {len(each):4} x {kernel[:70]}")


if __name__ == "__main__":
    main()

"""Do the thread pools of NumPy's BLAS, our kernels and PyTorch leave one another alone?

Child processes run the step of `mlp.py` with default settings: one library alone, and both, imported in either order
and taking turns. Idle workers of one pool that spin would show as a slower step of the other library.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core.benchmarks import kit

_CHILD = """
import importlib, json, statistics, sys, time
from importlib.util import module_from_spec, spec_from_file_location

names, path, turns, seconds = sys.argv[1].split("+"), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
libraries = [importlib.import_module(name) for name in names]
spec = spec_from_file_location("kit", path)
kit = module_from_spec(spec)
spec.loader.exec_module(kit)
steps = [kit.workload("mlp").mlp(library, kit.Kit(library)) for library in libraries]
for step in steps:
    for _ in range(5):
        step()
times = {name: [] for name in names}
for _ in range(turns):
    for name, step in zip(names, steps):
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            step()
            times[name].append(time.perf_counter() - start)
print(json.dumps({name: 1e3 * statistics.median(values) for name, values in times.items()}))
"""

_ALONE, _TORCH = "autograd_core", "torch"
_ROWS = {
    "PyTorch alone": [_TORCH],
    "autograd-core alone": [_ALONE],
    "PyTorch imported first": [_TORCH, _ALONE],
    "PyTorch imported after": [_ALONE, _TORCH],
}


def run_child(names: list[str], turns: int = 4, seconds: float = 0.3) -> dict[str, float]:
    """Median milliseconds a step, by library, in a fresh process that imports `names` in this order."""
    assert ag.__file__ is not None and kit.__file__ is not None
    environment = os.environ | {"PYTHONPATH": str(Path(ag.__file__).parent.parent)}
    command = [sys.executable, "-c", _CHILD, "+".join(names), kit.__file__, str(turns), str(seconds)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"the child process with {' and '.join(names)} failed:\n{result.stderr}")
    times: dict[str, float] = json.loads(result.stdout)
    return times


def report(with_torch: bool, processes: int = 3) -> list[dict[str, Any]]:
    """Run every row in `processes` fresh processes, taking turns, and print the medians."""
    rows = {title: names for title, names in _ROWS.items() if with_torch or _TORCH not in names}
    found: dict[str, list[dict[str, float]]] = {title: [] for title in rows}
    for _ in range(processes):
        for title, names in rows.items():
            found[title].append(run_child(names))
    medians = {
        title: {name: statistics.median(times[name] for times in found[title]) for name in names}
        for title, names in rows.items()
    }
    base = medians.get("PyTorch alone", {}).get(_TORCH)
    print(f"\n{'784-512-512-10 step, ms':26}{'ours':>8}{'torch':>8}{'ours / torch alone':>20}{'torch slowed by':>17}")
    for title, row in medians.items():
        ours, torch = row.get(_ALONE), row.get(_TORCH)
        cells = [
            (8, "" if ours is None else f"{ours:.2f}"),
            (8, "" if torch is None else f"{torch:.2f}"),
            (20, "" if ours is None or base is None else f"{ours / base:.2f}"),
            (17, "" if ours is None or torch is None or base is None else f"{torch / base - 1:+.0%}"),
        ]
        print(f"{title:26}{''.join(f'{text:>{width}}' for width, text in cells)}".rstrip(), flush=True)
    return [{"imports": title, **row} for title, row in medians.items()]

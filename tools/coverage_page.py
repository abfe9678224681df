"""Compare every name of the scope with PyTorch, and write docs/coverage.md from the results.

    python tools/coverage_page.py                    all names, on the CPU and on the simulated device: some ten minutes
    python tools/coverage_page.py --device cuda      the same on the first CUDA device
    python tools/coverage_page.py --processes 2      the names dealt out to two processes

The state of a name is what the comparisons said (`tests/sweep`), never whether the name exists.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "sweep")]
PAGE = ROOT / "docs" / "coverage.md"

KINDS = {"functions": "functions and methods", "utilities": "utilities", "modules": "modules",
         "optimisers": "optimisers", "schedulers": "schedulers"}  # fmt: skip
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
HEADER = "| Name | State | Dtypes | Gradients | Devices | Compared |"
FLOATS = ("float16", "float32", "float64")


def compare(index: int, devices: tuple[str, ...]) -> dict[str, Any]:
    """One name's results, as plain data."""
    import sweep_names
    from simulated_cuda import SimulatedCudaBackend
    from sweep_scope import read_scope

    import autograd_core as ag

    warnings.simplefilter("ignore")
    ag.register_backend("simulated", lambda: SimulatedCudaBackend)
    name = read_scope()[index]
    report = sweep_names.sweep(name, devices)
    failed, passed = report.failed, report.passed
    bad = {(check, dtype) for check, dtype, _ in failed}
    return {
        "tier": name.tier, "kind": name.kind, "family": name.family, "title": name.title, "state": report.state,
        "dtypes": sorted({d for check, d, _ in passed if check in ("values", "steps") and (check, d) not in bad}),
        "orders": [i for i, check in enumerate(("gradient", "second gradient"), 1)
                   if any(c == check for c, _, _ in passed) and not any(c == check for c, _, _ in failed)],
        "devices": [device for device in devices if any(d == device for _, _, d in passed)
                    and not any(d == device for _, _, d in failed)],
        "passed": sum(passed.values()), "failed": sum(failed.values()), "excused": dict(report.excused),
        "differs": _differs(report),
    }  # fmt: skip


def _differs(report: Any) -> str:
    """What differs: each kind of comparison that failed, with the message of its first failure."""
    counts: dict[str, int] = {}
    for (check, _, _), count in report.failed.items():
        counts[check] = counts.get(check, 0) + count
    parts = []
    for check, count in counts.items():
        first = next((f.message for f in report.failures if f.check == check), "")
        parts.append(f"{check} ({count}): {first[:110]}")
    return "; ".join(parts).replace("|", "\\|").replace("<", "&lt;")


def gather(devices: tuple[str, ...], processes: int) -> list[dict[str, Any]]:
    from sweep_scope import read_scope

    names = read_scope()
    start = time.perf_counter()
    found: dict[int, dict[str, Any]] = {}

    def show(index: int, result: dict[str, Any]) -> None:
        found[index] = result
        note = "" if result["state"] == "complete" else f"  {result['state']} {result['differs'][:90]}"
        spent = time.perf_counter() - start
        print(f"[{len(found):3}/{len(names)}] {spent:5.0f} s  {result['title']}{note}", flush=True)

    if processes == 1:
        for index in range(len(names)):
            show(index, compare(index, devices))
    else:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            tasks = {pool.submit(compare, index, devices): index for index in range(len(names))}
            for task in as_completed(tasks):
                show(tasks[task], task.result())
    return [found[index] for index in range(len(names))]


def _dtypes(have: Iterable[str]) -> str:
    left = set(have)
    parts = []
    for label, group in (("ints", INTEGERS), ("floats", FLOATS)):
        if left >= set(group):
            left -= set(group)
            parts.append(label)
    order = ("bool", *INTEGERS, *FLOATS)
    return ", ".join([*(d for d in order if d in left), *parts]) or "-"


def _share(results: list[dict[str, Any]]) -> str:
    complete = sum(r["state"] == "complete" for r in results)
    partial = sum(r["state"] == "partial" for r in results)
    missing = len(results) - complete - partial
    percent = 100 * complete / len(results)
    return f"{complete} of {len(results)} | {percent:.1f} % | {partial} | {missing}"


def page(results: list[dict[str, Any]], devices: tuple[str, ...]) -> str:
    import torch

    total = sum(r["passed"] + r["failed"] for r in results)
    excused: dict[str, int] = {}
    for result in results:
        for reason, count in result["excused"].items():
            excused[reason] = excused.get(reason, 0) + count
    lines = [
        "# Coverage of PyTorch's vocabulary",
        "",
        f"Written by `make coverage`, from {total} comparisons with PyTorch {torch.__version__.split('+')[0]}.",
        f"Devices: {' and '.join(devices)} (`simulated`: the CUDA backend on stand-ins for CuPy's arrays, no GPU).",
        "The samples are PyTorch's own: scalars, empty, broadcast and non-contiguous inputs, every keyword, its error",
        "inputs. Compared are values, dtypes, shapes, the method and the in-place form, gradients of first and second",
        "order, and the class of the error. *Complete*: all of it agrees. *Partial*: something differs, as stated.",
        "*Gradients*: the orders that agree in all samples.",
        "",
        "| Tier | Complete | Share | Partial | Missing |",
        "|---|---|---|---|---|",
    ]
    for tier in (1, 2, 3):
        lines.append(f"| **{tier}** | {_share([r for r in results if r['tier'] == tier])} |")
        for kind, label in KINDS.items():
            chosen = [r for r in results if r["tier"] == tier and r["kind"] == kind]
            if chosen:
                lines.append(f"| {tier}: {label} | {_share(chosen)} |")
    lines += ["", "Samples excused, for [differences on purpose](differences-from-pytorch.md):", ""]
    lines += [f"- {reason}: {count}" for reason, count in sorted(excused.items())] or ["- none"]
    for tier in (1, 2, 3):
        for kind, label in KINDS.items():
            lines += _section(tier, label, [r for r in results if r["tier"] == tier and r["kind"] == kind])
    return "\n".join(lines) + "\n"


def _section(tier: int, label: str, results: list[dict[str, Any]]) -> list[str]:
    if not results:
        return []
    lines = ["", f"## Tier {tier}: {label}"]
    for family in dict.fromkeys(r["family"] for r in results):
        lines += ["", f"**{family}**", "", HEADER, "|---|---|---|---|---|---|"]
        for r in (r for r in results if r["family"] == family):
            state = r["state"] if r["state"] != "partial" else f"partial. {r['differs']}"
            orders, devices = (", ".join(map(str, r[key])) or "-" for key in ("orders", "devices"))
            count = r["passed"] + r["failed"]
            lines.append(f"| `{r['title']}` | {state} | {_dtypes(r['dtypes'])} | {orders} | {devices} | {count} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", help="cpu, simulated, cuda; may be given again; cpu and simulated")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--results", type=Path, help="also write the results as JSON; an existing file is only read")
    options = parser.parse_args()
    devices = tuple(options.device or ("cpu", "simulated"))
    if options.results and options.results.exists():
        results = json.loads(options.results.read_text())
    else:
        results = gather(devices, options.processes)
        if options.results:
            options.results.write_text(json.dumps(results, indent=1))
    PAGE.write_text(page(results, devices))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

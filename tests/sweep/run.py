"""Run the sweep by hand, without PyTest:

    python tests/sweep/run.py gather            one name or several (also nn.Linear, optim.Adam, shell patterns)
    python tests/sweep/run.py --tier 1          a tier; --family, --kind alike
    python tests/sweep/run.py --sampled         the small size that the test suite runs
    python tests/sweep/run.py --device cpu gather

It prints a block for every name that is not complete: what failed, on which sample, and how.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

import sweep_names  # noqa: E402
from simulated_cuda import SimulatedCudaBackend  # noqa: E402
from sweep_report import SAMPLED, WHOLE  # noqa: E402
from sweep_scope import read_scope  # noqa: E402

import autograd_core as ag  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names or shell patterns; all without any")
    parser.add_argument("--tier", type=int)
    parser.add_argument("--kind", help="functions, modules, optimisers, schedulers, utilities")
    parser.add_argument("--family", help="part of a family's title in scope.txt")
    parser.add_argument("--device", action="append", help="cpu, simulated; both without")
    parser.add_argument("--sampled", action="store_true")
    parser.add_argument("--most", type=int, default=30, help="failures shown for a name (30)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ag.register_backend("simulated", lambda: SimulatedCudaBackend)
    wanted = [
        name
        for name in read_scope()
        if options.tier in (None, name.tier)
        and options.kind in (None, name.kind)
        and (options.family or "") in name.family
        and (not options.names or any(fnmatch.fnmatch(n, p) for p in options.names for n in (name.path, name.title)))
    ]
    if not wanted:
        parser.error("no such name in scope.txt")
    bad = 0
    for name in wanted:
        start = time.perf_counter()
        report = sweep_names.sweep(
            name, tuple(options.device or ("cpu", "simulated")), SAMPLED if options.sampled else WHOLE
        )
        took = time.perf_counter() - start
        if report.state != "complete":
            bad += 1
            print(report.text(options.most), flush=True)
        elif len(wanted) < 30:
            print(f"{name.title}: complete, {sum(report.passed.values())} comparisons, {took:.1f} s", flush=True)
    print(f"{len(wanted) - bad} of {len(wanted)} names complete")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())

"""`autograd-core bench`: how long things take, and PyTorch beside it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core.cli.errors import UserError

_TIMED = ("overhead", "mlp", "mlp-small")
_OTHERS = ("depth", "threads")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="time workloads, with PyTorch beside where it is installed",
        description="Time workloads in alternating blocks with a peer; at a ratio below 1 autograd-core is faster.",
    )
    parser.add_argument(
        "workloads", nargs="*", metavar="workload", help=f"any of {', '.join([*_TIMED, *_OTHERS])} (default: all)"
    )
    parser.add_argument("--peer", choices=("torch", "none"), default="torch", help="compare with (default: torch)")
    parser.add_argument("--rounds", type=int, default=25, help="alternating blocks of each (default: 25)")
    parser.add_argument("--threads", type=int, help="threads of both sides (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    chosen = arguments.workloads or [*_TIMED, *_OTHERS]
    unknown = [name for name in chosen if name not in (*_TIMED, *_OTHERS)]
    if unknown:
        raise UserError(f"unknown workload {unknown[0]!r}: expected {', '.join([*_TIMED, *_OTHERS])}", status=2)
    if arguments.rounds < 2:
        raise UserError(f"--rounds must be at least 2, got {arguments.rounds}", status=2)
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError(f"--threads must be at least 1, got {arguments.threads}", status=2)
    if arguments.json is not None and not arguments.json.absolute().parent.is_dir():
        raise UserError(f"--json: the folder {arguments.json.absolute().parent} does not exist", status=2)

    from autograd_core.backends.cpu import threads
    from autograd_core.benchmarks import harness
    from autograd_core.benchmarks.workloads import WORKLOADS

    if arguments.threads is not None:
        threads.set_num_threads(arguments.threads)
    peer = harness.load_peer(None if arguments.peer == "none" else arguments.peer)
    print(_heading(arguments.peer, peer))
    report: dict[str, Any] = {
        "version": ag.__version__,
        "peer": arguments.peer,
        "peer_version": getattr(peer, "__version__", None),
    }
    timed = [workload for name in chosen if name in _TIMED for workload in WORKLOADS[name]]
    if timed:
        print(harness.HEADER)
        report["results"] = []
        for workload in timed:
            result = harness.measure(workload, peer, rounds=arguments.rounds)
            print(harness.line(result), flush=True)
            report["results"].append(result.as_dict())
    if "depth" in chosen:
        from autograd_core.benchmarks import depth

        report["depth"] = depth.report()
    if "threads" in chosen:
        from autograd_core.benchmarks import thread_pools

        report["threads"] = thread_pools.report(with_torch=peer is not None)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _heading(wanted: str, peer: Any) -> str:
    from autograd_core.backends.cpu import threads

    if peer is not None:
        beside = f"beside PyTorch {peer.__version__}"
    else:
        beside = "alone" if wanted == "none" else "alone (PyTorch is not installed: its columns stay blank)"
    return f"autograd-core {ag.__version__} {beside}, {threads.get_num_threads()} threads each; ratio = ours / peer"

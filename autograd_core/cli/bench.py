"""`autograd-core bench`: how long things take, with peers beside, and what became of it since the last time."""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import datetime
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core.cli.errors import UserError
from autograd_core.cli.progress import Display, display

_TIMED = (
    "overhead", "mlp", "mlp-small", "lenet", "resnet", "lstm", "gpt", "adam", "elementwise", "softmax", "layernorm",
    "conv", "operations", "layers", "matmul", "inference", "graph-depth", "import", "first-step", "memory",
)  # fmt: skip
_OTHERS = ("depth", "threads")
_PEERS = ("torch", "torch.compile", "jax", "none")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="time workloads, with PyTorch beside where it is installed",
        description="Time workloads in alternating blocks with a peer, each side in a process of its own; at a ratio "
        "below 1 autograd-core is faster.",
    )
    parser.add_argument(
        "workloads", nargs="*", metavar="workload", help=f"any of {', '.join([*_TIMED, *_OTHERS])} (default: all)"
    )
    parser.add_argument("--device", default="cpu", help="devices, with commas between: cpu,cuda (default: cpu)")
    parser.add_argument(
        "--peer",
        default="torch",
        help=f"peers to compare with, with commas between: {', '.join(_PEERS)} (default: torch)",
    )
    parser.add_argument("--compile", action="store_true", help="our steps through autograd_core.compile")
    parser.add_argument("--rounds", type=int, default=25, help="alternating blocks of each (default: 25)")
    parser.add_argument("--threads", type=int, help="threads of both sides (default: all, or OMP_NUM_THREADS)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw the results there as PNGs (needs matplotlib)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write results and table into a new folder there, named by device and date",
    )
    parser.add_argument(
        "--compare", nargs=2, type=Path, metavar=("A", "B"), help="only set two results (files or folders) side by side"
    )
    parser.add_argument("--sweep", action="store_true", help="training steps at several batch sizes, for --plot")
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes: does everything run?")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.compare is not None:
        return _compare(*arguments.compare)
    chosen = arguments.workloads or [*_TIMED, *_OTHERS]
    devices, peers = _checked(arguments, chosen)

    from autograd_core.backends.cpu import threads

    wanted, why = _wanted_threads(arguments.threads)
    before = threads.get_num_threads()
    if wanted is not None:
        threads.set_num_threads(wanted)
    count = threads.get_num_threads()  # Not more than there are, whatever was asked for.
    versions = {peer: _version(peer) for peer in peers if peer != "none"}
    print(_heading(versions, f"{_threads(count)} each{why}"))
    if arguments.tiny:
        print("--tiny: everything has the smallest size, whatever its name says; the times mean nothing")
    report: dict[str, Any] = {
        "format": 2,
        "version": ag.__version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": _machine(),
        "thread_count": count,
        "tiny": arguments.tiny,
        "complete": False,
        "peers": versions,
        "ceilings": {},
        "results": [],
    }
    try:
        _fill(report, arguments, chosen, devices, peers)
        report["complete"] = True
    finally:  # What was measured before an error or Ctrl-C is not lost.
        threads.set_num_threads(before)
        _write(arguments, report)
    return 0


def _wanted_threads(asked: int | None) -> tuple[int | None, str]:
    """How many threads the sides are to use, None for all, and a word on why.

    OMP_NUM_THREADS limits BLAS and PyTorch where they start; it shall mean the same for both sides and all their pools.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked is None and limit.isdigit() and int(limit) > 0:
        return int(limit), " (OMP_NUM_THREADS)"
    return asked, ""


def _threads(count: int) -> str:
    return f"{count} thread" + "s" * (count != 1)


def _fill(
    report: dict[str, Any], arguments: argparse.Namespace, chosen: list[str], devices: list[str], peers: list[str]
) -> None:
    """Measure what was asked for into `report`, row by row."""
    from autograd_core.benchmarks import report as reports
    from autograd_core.benchmarks.workloads import SWEPT, WORKLOADS, sweep

    count, ceilings = report["thread_count"], report["ceilings"]
    groups = {group: sweep(group) if arguments.sweep and group in SWEPT else WORKLOADS[group] for group in _TIMED}
    timed = [(group, workload) for group in chosen if group in _TIMED for workload in groups[group]]
    runs = [(device, peer, *each) for device in devices for peer in peers for each in timed]
    if runs:
        print(reports.header())
        with _Shown(len(runs)) as shown:
            for done, (device, peer, group, workload) in enumerate(runs):
                shown.show(done, f"{workload.name} on {device}" + ("" if peer == "none" else f" beside {peer}"))
                if device not in ceilings:
                    ceilings[device] = _ceilings(shown, device, count, arguments.tiny)
                result = _measure(shown, workload, device, peer, count, arguments)
                result.group = group
                report["results"].append(result.as_dict())
                shown.note(reports.line(report["results"][-1], ceilings[device]))
            for device, found in ceilings.items():  # Once more, for the case of a slow moment at the start.
                again = _ceilings(shown, device, count, arguments.tiny)
                ceilings[device] = {key: max(value, again[key]) for key, value in found.items()}
    if "depth" in chosen:
        from autograd_core.benchmarks import depth

        report["depth"] = depth.report(*((100, 1000) if arguments.tiny else ()))
    if "threads" in chosen:
        from autograd_core.benchmarks import thread_pools

        report["threads"] = thread_pools.report(with_torch=report["peers"].get("torch") is not None)


def _checked(arguments: argparse.Namespace, chosen: list[str]) -> tuple[list[str], list[str]]:
    """The devices and the peers asked for. Raises UserError for a bad argument."""
    unknown = [name for name in chosen if name not in (*_TIMED, *_OTHERS)]
    if unknown:
        raise UserError(f"unknown workload {unknown[0]!r}: expected {', '.join([*_TIMED, *_OTHERS])}", status=2)
    if arguments.rounds < 2:
        raise UserError(f"--rounds must be at least 2, got {arguments.rounds}", status=2)
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError(f"--threads must be at least 1, got {arguments.threads}", status=2)
    if arguments.json is not None and not arguments.json.absolute().parent.is_dir():
        raise UserError(f"--json: the folder {arguments.json.absolute().parent} does not exist", status=2)
    if arguments.plot is not None:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            raise UserError(
                "--plot needs matplotlib: pip install matplotlib, or the extra 'examples'", status=2
            ) from None
    for option, folder in (("--plot", arguments.plot), ("--out", arguments.out)):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UserError(f"{option}: {folder} is not a folder", status=2)
    peers = list(dict.fromkeys(arguments.peer.split(",")))
    for peer in peers:
        if peer not in _PEERS:
            raise UserError(f"--peer: unknown peer {peer!r}: expected {', '.join(_PEERS)}", status=2)
    devices = []
    for name in dict.fromkeys(arguments.device.split(",")):
        try:
            devices.append(str(ag.zeros(1, device=name).device))
        except (RuntimeError, ValueError, ImportError) as error:
            raise UserError(f"--device {name}: {error}", status=2) from None
    return devices, peers


class _Shown:
    """The progress bar, which is there from the first thing shown to the end."""

    def __init__(self, steps: int) -> None:
        self._display: Display = display(steps, 0)
        self.show, self.note = self._display.show, self._display.note

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *error: object) -> None:
        self._display.close()


def _measure(shown: _Shown, workload: Any, device: str, peer: str, threads: int, arguments: argparse.Namespace) -> Any:
    """One workload beside one peer; where the peer cannot run it, a note says why, and its columns stay blank."""
    from contextlib import ExitStack

    from autograd_core.benchmarks import harness, sides

    tiny = arguments.tiny
    quick: dict[str, Any] = {"block": 1e-4, "warmup": 0.0, "rest": 0.0} if tiny else {}
    # For the BLAS of either side, also one that is loaded later or without threadpoolctl.
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    own: dict[str, Any] = {"compiled": True} if arguments.compile and workload.task == "serve" else {}

    def attempt(library: str | None) -> harness.Result:
        with ExitStack() as stack:
            other: sides.Side | None = None
            options: dict[str, Any] = {}
            if library is not None:
                compiled = peer == "torch.compile"
                options = sides.fastest(workload, library, device, threads, compiled, environment, tiny)
                other = stack.enter_context(
                    sides.open_side(workload, library, device, threads, options, environment, tiny)
                )
            ours = stack.enter_context(
                sides.open_side(workload, "autograd_core", device, threads, own, environment, tiny)
            )
            for name, side in ((library, other), ("autograd_core", ours)):
                if isinstance(side, sides.Remote) and side.first.get("threads", threads) != threads:
                    shown.note(f"{name} computes {workload.name} with {_threads(side.first['threads'])}, not {threads}")
            result = harness.measure(workload, ours, other, rounds=arguments.rounds, **quick)
        result.name += ", compiled" * bool(own)
        result.device, result.beside, result.options = device, None if peer == "none" else peer, options
        return result

    if peer != "none" and sides.installed(peer) is not None:
        try:
            return attempt(peer.split(".")[0])
        except (sides.Missing, RuntimeError) as error:
            shown.note(f"{peer} does not run {workload.name} on {device}: {_short(error)}")
    try:
        return attempt(None)
    except (sides.Missing, RuntimeError) as error:
        raise UserError(f"{workload.name} on {device}: {error}") from None


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _ceilings(shown: _Shown, device: str, threads: int, tiny: bool) -> dict[str, float]:
    from autograd_core.benchmarks import report, roofline

    found = roofline.ceilings(device, threads, *((64, 1, 0.0) if tiny else ()))
    shown.note(report.ceiling_line(device, found))
    return found


def _version(peer: str) -> str | None:
    from autograd_core.benchmarks import sides

    return sides.installed(peer)


def _heading(versions: dict[str, str | None], threads: str) -> str:
    titles = {"torch": "PyTorch", "torch.compile": "torch.compile", "jax": "JAX"}
    there = [f"{titles[peer]} {version}" for peer, version in versions.items() if version is not None]
    text = f"autograd-core {ag.__version__} {'beside ' + ', '.join(there) if there else 'alone'}, {threads}"
    for peer, version in versions.items():
        if version is None:
            text += f" ({titles[peer]} is not installed: its columns stay blank)"
    return text + "; ratio = ours / peer"


def _machine() -> dict[str, Any]:
    import numpy

    processor = platform.processor() or platform.machine()
    try:
        rows = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        processor = next(row.split(":", 1)[1].strip() for row in rows if row.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _write(arguments: argparse.Namespace, report: dict[str, Any]) -> None:
    from autograd_core._atomic import write_atomically
    from autograd_core.benchmarks import report as reports

    text = (json.dumps(report, indent=2) + "\n").encode()
    try:
        if arguments.json is not None:
            write_atomically(arguments.json, [text])
        if arguments.out is not None:
            folder = arguments.out / reports.folder_name(report)
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "results.json", [text])
            write_atomically(folder / "table.md", [reports.markdown(report).encode()])
            print(f"wrote {folder}")
        if arguments.plot is not None:
            for path in reports.plot(report, arguments.plot):
                print(f"drew {path}")
    except OSError as error:
        raise UserError(f"cannot write the results: {error}") from None


def _compare(a: Path, b: Path) -> int:
    from autograd_core.benchmarks import report as reports

    try:
        lines = reports.compare(reports.load(a), reports.load(b))
    except (OSError, ValueError) as error:
        raise UserError(f"--compare: {error}", status=2) from None
    print("\n".join(lines))
    return 0

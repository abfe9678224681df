"""The two sides of a comparison: processes, each with one library in it, that run a workload when they are told to."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import autograd_core as ag
from autograd_core.benchmarks import child, kit
from autograd_core.benchmarks.workloads import Workload

_CHILD = str(Path(__file__).with_name("child.py"))
# What the libraries import at first use, so that it counts as import and not as memory of the workload.
_PRELOAD = {"autograd_core": ["autograd_core.nn", "autograd_core.optim", "numba"], "torch": [], "jax": ["jax.numpy"]}


class Missing(Exception):
    """The library, or the device for it, is not here."""


class Side(Protocol):
    """What `harness.measure` asks of either side; `child.Runner` is one in this process."""

    def warm_up(self, seconds: float) -> float: ...
    def run(self, count: int, untimed: int = 0) -> float: ...
    def finish(self, steps: int, count: bool = False) -> dict[str, Any]: ...


def local(workload: Workload, lib: Any = ag, device: str = "cpu") -> child.Runner:
    """A side in this process, with the small sizes."""
    spec = {"file": workload.file, "function": workload.function, "sizes": workload.tiny, "device": device}
    return child.Runner(lib, spec, kit)


def installed(peer: str) -> str | None:
    """The version of `peer`, or None where it is not installed; nothing is imported."""
    from importlib import metadata

    package = peer.split(".")[0]
    try:
        return metadata.version(package) if importlib.util.find_spec(package) is not None else None
    except (ValueError, metadata.PackageNotFoundError):
        return None


def specification(
    workload: Workload, library: str, device: str, threads: int, options: dict[str, Any], tiny: bool
) -> dict[str, Any]:
    return {
        "task": workload.task, "library": library, "preload": [] if workload.task == "first" else _PRELOAD[library],
        "threads": threads, "device": device, "function": workload.function,
        "file": "in_jax" if library == "jax" else workload.file,
        "sizes": workload.tiny if tiny else workload.sizes, "options": options, "before": list(workload.before),
    }  # fmt: skip


class Remote:
    """A process of its own that serves one workload. A context manager.

    Raises `Missing` where the library or its device is not there, RuntimeError with the process's words if it fails.
    """

    def __init__(self, spec: dict[str, Any], environment: dict[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-P", _CHILD, json.dumps(spec)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env=_environment(spec["library"]) | environment,
        )  # fmt: skip
        self._title = f"{spec['library']} ({spec['file'] or spec['task']})"
        try:
            self.first = self._answer()
            if "missing" in self.first:
                raise Missing(self.first["missing"])
        except BaseException:
            self.close()
            raise

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        row = self._process.stdout.readline()
        if row:
            return json.loads(row)
        self._process.wait()
        self._errors.seek(0)
        raise RuntimeError(f"the process of {self._title} failed:\n{self._errors.read()[-2000:].strip()}")

    def _ask(self, *command: Any) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # It died; the answer says why.
        return self._answer()

    def warm_up(self, seconds: float) -> float:
        return float(self._ask("warm_up", seconds))

    def run(self, count: int, untimed: int = 0) -> float:
        return float(self._ask("run", count, untimed))

    def finish(self, steps: int, count: bool = False) -> dict[str, Any]:
        return dict(self._ask("finish", steps, count))

    def close(self) -> None:
        """End the process: it stops when its commands do, and is killed if it does not."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self._process.kill()
        self.close()


class Fresh:
    """A side whose every step is a new process that tells how long something took in it: an import, a first step."""

    def __init__(self, spec: dict[str, Any], environment: dict[str, str], cold: bool) -> None:
        self._spec, self._environment, self._cold = spec, environment, cold
        self._folder = tempfile.TemporaryDirectory(prefix="autograd-core-bench-")
        self._steps = 0

    def run(self, count: int, untimed: int = 0) -> float:
        total = 0.0
        for _ in range(count):
            self._steps += 1
            cache = Path(self._folder.name, str(self._steps) if self._cold else "cache")
            cache.mkdir(exist_ok=True)
            # Both caches of kernels that are compiled at first use: ours and that of torch.compile.
            places = {"AUTOGRAD_CORE_CACHE": str(cache), "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor")}
            with Remote(self._spec, self._environment | places) as process:
                total += process.first["seconds"]
        return total

    def warm_up(self, seconds: float) -> float:
        return self.run(1)  # which fills the cache, if it is kept

    def finish(self, steps: int, count: bool = False) -> dict[str, Any]:
        return {
            "number": None,
            "first": None,
            "memory": None,
            "whole": None,
            "steps": self._steps,
            "flops": None,
            "bytes": None,
        }

    def __enter__(self) -> Fresh:
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()


def _environment(library: str) -> dict[str, str]:
    environment = dict(os.environ)
    if library == "autograd_core":
        assert ag.__file__ is not None
        environment["PYTHONPATH"] = str(Path(ag.__file__).parent.parent)
    return environment


def open_side(
    workload: Workload,
    library: str,
    device: str,
    threads: int,
    options: dict[str, Any],
    environment: dict[str, str],
    tiny: bool = False,
) -> AbstractContextManager[Side]:
    """The side of `library` (a module's name) for `workload`, in processes of its own."""
    spec = specification(workload, library, device, threads, options, tiny)
    return Remote(spec, environment) if workload.task == "serve" else Fresh(spec, environment, workload.cold)


def fastest(
    workload: Workload,
    library: str,
    device: str,
    threads: int,
    compiled: bool,
    environment: dict[str, str],
    tiny: bool = False,
) -> dict[str, Any]:
    """The options with which the peer runs `workload` fastest, each tried in a process of its own."""
    if library == "jax":
        return {}
    choices = [dict(variant) | ({"compiled": True} if compiled else {}) for variant in workload.variants]
    if len(choices) == 1 or workload.task != "serve":
        return choices[0] if workload.task == "serve" else {"compiled": compiled}
    seconds = []
    for options in choices:
        with Remote(specification(workload, library, device, threads, options, tiny), environment) as side:
            side.warm_up(0.3)
            seconds.append(min(side.run(1) for _ in range(5)))
    return choices[seconds.index(min(seconds))]

"""The process that runs one workload on one library: a script, which imports nothing of ours unless it is asked for.

`python -P child.py SPEC` with a JSON object reads commands as lines of JSON and answers each with one. SPEC holds

- `library` (the module to import), `preload` (what it would otherwise import later), `threads`, `device`;
- `file`, `function`, `sizes`: the workload; `options`: keyword arguments of `Kit`;
- `task`: `serve`, or `import` or `first`, which answer once with the seconds that the import, or the first step
  with the import and all that comes before it, took beyond a warm step.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import sys
import time
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_BEGIN = time.perf_counter()


class Runner:
    """One workload built for one library; what the harness asks of either side, in this process or in another."""

    def __init__(self, lib: Any, spec: dict[str, Any], kits: Any) -> None:
        self._base = _reset_peak()
        self.kit = kits.Kit(lib, spec["device"], **spec.get("options", {}))
        source = kits.workload(spec["file"])
        self.step = getattr(source, spec["function"])(lib, self.kit, **spec["sizes"])
        self.steps = 0
        self.last: Any = None
        self.first_loss: float | None = None
        self._warm = False

    def warm_up(self, seconds: float) -> float:
        """Run for `seconds`, and twice at least; seconds a step at the end."""
        self.run(1)
        self.first_loss = None if self.last is None else float(self.last.detach())
        done, times, start = 0, [], time.perf_counter()
        while done < 2 or time.perf_counter() - start < seconds:
            times.append(self.run(1))
            done += 1
        gc.collect()
        self._warm = True
        gc.freeze()  # What is alive now stays; looking through it after every block would take longer than they do.
        return statistics.median(times[-max(2, done // 2) :])

    def run(self, count: int, untimed: int = 0) -> float:
        """Seconds for `count` steps, after some to wake the threads. No garbage is collected among them."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            for _ in range(untimed):
                self.step()
            self.kit.synchronize()
            start = time.perf_counter()
            for _ in range(count):
                self.last = self.step()
            self.kit.synchronize()
            taken = time.perf_counter() - start
        finally:
            if collecting:
                gc.enable()
        self.steps += count + untimed
        if self.last is not None:
            # The loss's graph need not be alive in the next block. Reading it waits for the device, too.
            self.last = self.last.detach()
        if self._warm:
            gc.collect()
        return taken

    def finish(self, steps: int, count: bool = False) -> dict[str, Any]:
        """The loss after `steps` steps in all (or the check's number), the peak memory in bytes: `memory` above what
        the imports cost, `whole` of the process."""
        whole = None if self._base is None else _peak()
        memory = None if self._base is None or whole is None else whole - self._base
        if self.kit.device.startswith("cuda"):
            peak = getattr(getattr(self.kit.lib, "cuda", None), "max_memory_allocated", None)
            memory = None if peak is None else peak()
        if self.steps < steps:
            self.run(steps - self.steps)
        if self.last is not None:
            number: float | None = float(self.last)
        else:
            number = None if self.kit.check is None else self.kit.check()
        if count:
            self.kit.count()
        gc.unfreeze()
        return {
            "number": number, "first": self.first_loss, "memory": memory, "whole": whole, "steps": self.steps,
            "flops": self.kit.flops, "bytes": self.kit.bytes,
        }  # fmt: skip


def _reset_peak() -> int | None:
    """Bytes resident now, from where the peak is counted; None where this system does not tell."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    with suppress(ImportError):
        return _peak()
    return None


def _peak() -> int:
    if sys.platform.startswith("linux"):
        return _status("VmHWM")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _status(field: str) -> int:
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith(field + ":"):
            return 1024 * int(row.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


def _import(spec: dict[str, Any]) -> Any:
    if spec["library"] == "jax" and hasattr(os, "sched_setaffinity"):  # It takes as many threads as it may use cores.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: spec["threads"]])
    lib = importlib.import_module(spec["library"])
    for name in spec.get("preload", ()):
        with suppress(ImportError):
            importlib.import_module(name)
            if name == "numba":  # Before its first function, whatever that is, it imports what it knows of NumPy.
                importlib.import_module("numba.core.registry").cpu_target.target_context.refresh()
    if hasattr(lib, "set_num_threads"):
        lib.set_num_threads(spec["threads"])
    kits = _kits()
    kits.Kit(lib, spec["device"]).normal(1)  # fails here, and says why, where there is no such device
    if not hasattr(kits.workload(spec["file"]), spec["function"]):
        raise NotImplementedError(f"{spec['file']}.py has no {spec['function']}")
    return lib


def _kits() -> Any:
    found = spec_from_file_location("benchmark_kit", Path(__file__).with_name("kit.py"))
    assert found is not None and found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # What a library prints is not an answer.
    spec = json.loads(sys.argv[1])

    def answer(value: Any) -> None:
        channel.write(json.dumps(value) + "\n")

    if spec["task"] == "import":
        for name in spec.get("before", ()):
            importlib.import_module(name)
        start = time.perf_counter()
        importlib.import_module(spec["library"])
        answer({"seconds": time.perf_counter() - start})
        return
    try:
        lib = _import(spec)
    except Exception as error:
        answer({"missing": f"{type(error).__name__}: {error}"})
        return
    runner = Runner(lib, spec, _kits())
    if spec["task"] == "first":
        runner.run(1)
        first = time.perf_counter() - _BEGIN
        answer({"seconds": first - statistics.median(runner.run(1) for _ in range(5))})
        return
    count = getattr(lib, "get_num_threads", None)
    answer({"ready": True} | ({} if count is None else {"threads": count()}))
    for row in sys.stdin:
        command, *arguments = json.loads(row)
        answer(getattr(runner, command)(*arguments))


if __name__ == "__main__":
    main()

"""Where the time and the memory of a program go: by operation and by module, forward, backward and update.

    with ag.profiler.profile() as prof:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(prof.table())
    prof.export_chrome_trace("trace.json")  # for chrome://tracing or https://ui.perfetto.dev

Every array computation is a call of a backend's kernel by name (see `recorder.py`): a profile stands before these
kernels while its block runs, and before `nn.Module.__call__`. When no profile is active both are untouched.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from autograd_core import devices, engine, storage
from autograd_core._atomic import write_atomically
from autograd_core.shadows import Shadows, is_array

__all__ = ["Event", "Row", "profile"]

_lock = threading.Lock()
_active: profile | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One kernel call: seconds since the profile began, and for how long it ran.

    bytes: of the arrays it read and wrote. memory: bytes held, once it had returned, by all arrays made in the profile.
    module: the dotted path of the module, from the outermost one's class, or of the optimiser; "" outside of all.
    """

    name: str
    start: float
    seconds: float
    bytes: int
    memory: int
    module: str
    phase: str


@dataclass(slots=True)
class Row:
    """The events of one operation or module together: seconds in all and by phase, bytes moved, the peak of memory.

    total: for a module, the seconds of its children included; else the same as `seconds`.
    """

    name: str
    calls: int = 0
    seconds: float = 0.0
    forward: float = 0.0
    backward: float = 0.0
    update: float = 0.0
    total: float = 0.0
    bytes: int = 0
    peak: int = 0

    def _add(self, event: Event) -> None:
        self.calls += 1
        self.seconds += event.seconds
        setattr(self, event.phase, getattr(self, event.phase) + event.seconds)
        self.bytes += event.bytes
        self.peak = max(self.peak, event.memory)


class profile:
    """Profiles what the current thread does inside the `with` block, on all devices in use when it is entered.

    After the block, `events` has every kernel call, `seconds` the time of the whole block, and `peak` the most bytes
    that arrays made in it held at once. A kernel's own temporary arrays are not seen. On a GPU each call is waited
    for, so that its time is its own. A backward kernel counts for the module whose forward recorded the operation.
    `transfers` counts what crossed between a GPU and the host: "to_device" and "to_host" (copies; "bytes_to_device",
    "bytes_to_host"), "synchronizations", and "hidden", reads inside a kernel.

    Raises RuntimeError if a profile is active already.

    >>> import autograd_core as ag
    >>> x = ag.ones(3, requires_grad=True)
    >>> with ag.profiler.profile() as prof:
    ...     (x * x).sum().backward()
    >>> next((row.name, row.calls) for row in prof.operations() if row.name == "sum")
    ('sum', 1)
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.spans: list[tuple[str, float, float]] = []  # path, start and seconds of each module's forward
        self.seconds = 0.0
        self.peak = 0
        self.transfers: dict[str, int] = {}
        self._begin = 0.0
        self._thread = 0
        self._inside = 0  # depth of kernel calls
        self._memory = 0
        self._owners: dict[int, weakref.ref[Any]] = {}  # arrays whose memory has been seen
        self._shadows = Shadows()
        self._counts: list[tuple[Any, dict[str, int]]] = []
        self._watches = ExitStack()
        self._call: Any = None
        self._stack: list[str] = []
        self._names: dict[int, str] = {}  # of the modules within the outermost one that is running
        self._ticks: list[int] = []  # When which module began to run, or went on, to find that of a node.
        self._paths: list[str] = []

    # -- standing before kernels and modules ------------------------------------------------------------

    def __enter__(self) -> profile:
        global _active
        from autograd_core.nn.module import Module

        devices.backend_of()
        with _lock:
            if _active is not None:
                raise RuntimeError("profile: a profile is active already; one at a time")
            _active = self
        self._thread = threading.get_ident()
        for backend in list(devices._backends.values()):
            counts, watched = getattr(backend, "counts", None), getattr(backend, "watched", None)
            if counts is not None and watched is not None:
                self._counts.append((counts, counts.as_dict()))
                self._watches.enter_context(watched())
            self._shadows.cast(backend, functools.partial(self._timed, backend))
        self._call = Module.__call__
        Module.__call__ = self._named(self._call)  # type: ignore[method-assign]
        self._begin = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        global _active
        from autograd_core.nn.module import Module

        self.seconds = time.perf_counter() - self._begin
        Module.__call__ = self._call  # type: ignore[method-assign]
        self._shadows.remove()
        self._owners.clear()
        self._watches.close()
        for counts, before in self._counts:
            for what, n in counts.as_dict().items():
                self.transfers[what] = self.transfers.get(what, 0) + n - before[what]
        with _lock:
            _active = None

    def _timed(self, backend: Any, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        wait = getattr(backend, "wait", backend.synchronize)  # Not counted as the program's own waiting.

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._inside or threading.get_ident() != self._thread:
                return kernel(*args, **kwargs)
            module, phase = self._where(sys._getframe(1))
            read = self._seen(backend, args, made=False) + self._seen(backend, kwargs, made=False)
            self._inside += 1
            start = time.perf_counter()
            try:
                result = kernel(*args, **kwargs)
                wait()
            finally:
                end = time.perf_counter()
                self._inside -= 1
            if name == "as_array" and result is args[0]:
                return result
            moved = read + self._seen(backend, result, made=True)
            self.peak = max(self.peak, self._memory)
            self.events.append(Event(name, start - self._begin, end - start, moved, self._memory, module, phase))
            return result

        return call

    def _named(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return forward(module, *args, **kwargs)
            stack = self._stack
            if not stack:
                root = type(module).__name__
                self._names = {id(m): f"{root}.{name}".rstrip(".") for name, m in module.named_modules()}
            path = self._names.get(id(module)) or f"{stack[-1]}.{type(module).__name__}"
            stack.append(path)
            self._mark()
            start = time.perf_counter()
            try:
                return forward(module, *args, **kwargs)
            finally:
                self.spans.append((path, start - self._begin, time.perf_counter() - start))
                stack.pop()
                self._mark()

        _MODULE_CALLS.add(__call__.__code__)
        return __call__

    def _mark(self) -> None:
        self._ticks.append(storage.tick())
        self._paths.append(self._stack[-1] if self._stack else "")

    def _where(self, frame: Any) -> tuple[str, str]:
        """Module and phase of a kernel call: of what is nearest on the way out, a module, a rule or an update."""
        while frame is not None:
            code = frame.f_code
            if code in _MODULE_CALLS:
                return self._stack[-1], "forward"
            if code is _RUN_BACKWARD:
                node = frame.f_locals.get("node")
                if node is None:
                    return "", "backward"
                place = bisect_right(self._ticks, node.stamp) - 1
                return (self._paths[place] if place >= 0 else ""), "backward"
            if code.co_name == "step" and code.co_filename.startswith(_OPTIM) and "self" in frame.f_locals:
                return f"{type(frame.f_locals['self']).__name__}.step", "update"
            frame = frame.f_back
        return "", "forward"

    def _seen(self, backend: Any, value: Any, made: bool) -> int:
        """Bytes of the arrays in `value`; memory that appears first in a result (`made`) counts until it is freed."""
        if is_array(value):
            size = int(value.size) * int(value.dtype.itemsize)
            owner = backend.storage_key(value)
            if id(owner) not in self._owners:
                self._watch(owner, int(owner.size) * int(owner.dtype.itemsize) if made else 0)
            return size
        if isinstance(value, dict):
            value = value.values()
        elif value.__class__ not in (tuple, list):
            return 0
        return sum(self._seen(backend, part, made) for part in value)

    def _watch(self, owner: Any, size: int) -> None:
        key, owners = id(owner), self._owners

        def freed(_: Any) -> None:
            if owners.pop(key, None) is not None:
                self._memory -= size

        try:
            owners[key] = weakref.ref(owner, freed)
        except TypeError:  # a scalar of the array library, which is no array yet
            return
        self._memory += size

    # -- what came of it --------------------------------------------------------------------------------

    def operations(self) -> list[Row]:
        """One row for each kernel, the one with the most time first."""
        rows: dict[str, Row] = {}
        for event in self.events:
            rows.setdefault(event.name, Row(event.name))._add(event)
        for row in rows.values():
            row.total = row.seconds
        return sorted(rows.values(), key=lambda row: -row.seconds)

    def modules(self) -> list[Row]:
        """One row for each module that was called, in the order of the first kernel; `total` includes its children."""
        rows: dict[str, Row] = {}
        for event in self.events:
            parts = event.module.split(".") if event.phase != "update" else [event.module]
            for end in range(1, len(parts) + 1):
                path = ".".join(parts[:end])
                rows.setdefault(path, Row(path)).total += event.seconds
            rows[event.module]._add(event)
        called = {path for path, _, _ in self.spans}
        return [row for path, row in rows.items() if row.calls or path in called]

    def table(self, by: str = "operation", limit: int | None = None) -> str:
        """The rows by "operation" or "module" as text, at most `limit` of them. Raises ValueError for another `by`."""
        if by not in ("operation", "module"):
            raise ValueError(f"profile.table: by must be 'operation' or 'module', got {by!r}")
        rows = self.operations() if by == "operation" else self.modules()
        width = max([len(by), 20, *(len(row.name) for row in rows[:limit])])
        heads = ("calls", "ms", "share", "forward", "backward", "update", "with inner", "MiB moved", "MiB peak")
        lines = [f"{by:<{width}}" + "".join(f"{head:>11}" for head in heads)]
        busy = sum(event.seconds for event in self.events)
        for row in rows[:limit]:
            times = [row.seconds, row.forward, row.backward, row.update, row.total]
            ms, *phases = (f"{1e3 * t:>11.3f}" for t in times)
            share = f"{row.seconds / busy if busy else 0.0:>11.1%}"
            memory = f"{row.bytes / 2**20:>11.2f}{row.peak / 2**20:>11.2f}"
            lines.append(f"{row.name or '(no module)':<{width}}{row.calls:>11}{ms}{share}{''.join(phases)}{memory}")
        if limit is not None and len(rows) > limit:
            lines.append(f"... and {len(rows) - limit} more")
        lines.append(
            f"{len(self.events)} kernel calls took {1e3 * busy:.3f} ms of {1e3 * self.seconds:.3f} ms, "
            f"the most memory held was {self.peak / 2**20:.2f} MiB"
        )
        t = {what: n for what, n in self.transfers.items() if n}
        if t:
            copies = [
                f"{t[way]} {'copy' if t[way] == 1 else 'copies'} {words} ({t.get('bytes_' + way, 0) / 2**20:.2f} MiB)"
                for way, words in (("to_device", "to the device"), ("to_host", "to the host"))
                if way in t
            ]
            named = (("synchronizations", "waits"), ("hidden", "reads inside kernels"))
            lines.append(", ".join([*copies, *(f"{t[what]} {words}" for what, words in named if what in t)]))
        return "\n".join(lines)

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the calls, the modules' forwards and the memory over time as a trace file. Raises OSError."""
        write_atomically(path, [json.dumps({"traceEvents": list(self._trace()), "displayTimeUnit": "ms"}).encode()])

    def _trace(self) -> Iterator[dict[str, Any]]:
        place = {"pid": os.getpid(), "tid": self._thread}
        for path, start, seconds in self.spans:
            yield {"name": path, "cat": "module", "ph": "X", "ts": 1e6 * start, "dur": 1e6 * seconds, **place}
        for event in self.events:
            start, end = 1e6 * event.start, 1e6 * (event.start + event.seconds)
            arguments = {"module": event.module, "bytes": event.bytes}
            yield {
                "name": event.name, "cat": event.phase, "ph": "X", "ts": start, "dur": end - start, "args": arguments,
                **place,
            }  # fmt: skip
            yield {"name": "memory", "ph": "C", "ts": end, "args": {"bytes": event.memory}, **place}


_MODULE_CALLS: set[Any] = set()  # the code of what stands before Module.__call__: one object, whoever made it
_RUN_BACKWARD = engine.run_backward.__code__
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_OPTIM = tuple(os.path.join(folder, "optim", "") for folder in (_PACKAGE, os.path.dirname(_PACKAGE)))

"""What `cupy.cuda` is to the simulated device: devices, streams, events and memory pools, without a GPU.

Work on the simulated device is done at once, so streams and events keep their order by themselves; times are the host's.
Only what a stream captures is not: it is noted, and what it has changed is put back when the capture ends.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

DEVICES = 2
NAME = "SIMULATED CUDA device (NumPy on the CPU)"
TOTAL = 8 << 30


class _Current(threading.local):
    device = 0


current = _Current()
used = [0] * DEVICES  # Bytes of arrays on each device.


class _Process:
    """A CUDA context does not survive a fork: in a child of a process that used a device, every use of one fails."""

    in_use = lost = False


process = _Process()


def _forked() -> None:
    process.lost = process.in_use


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Device:
    """One of the devices; current inside `with`."""

    def __init__(self, device: int | None = None) -> None:
        self.id = current.device if device is None else int(device)
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(current.device)
        current.device = self.id
        return self

    def __exit__(self, *error: object) -> None:
        current.device = self._before.pop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __int__(self) -> int:
        return self.id

    def use(self) -> None:
        current.device = self.id

    def synchronize(self) -> None:
        refuse("waiting for the device")

    @property
    def compute_capability(self) -> str:
        return "80"

    @property
    def mem_info(self) -> tuple[int, int]:
        return TOTAL - used[self.id], TOTAL


class Runtime:
    """`cupy.cuda.runtime`."""

    getDevice = staticmethod(lambda: current.device)
    getDeviceCount = staticmethod(lambda: DEVICES)
    memGetInfo = staticmethod(lambda: (TOTAL - used[current.device], TOTAL))
    deviceSynchronize = staticmethod(lambda: None)
    streamSynchronize = staticmethod(lambda stream: None)
    driverGetVersion = staticmethod(lambda: 12080)
    runtimeGetVersion = staticmethod(lambda: 12080)

    @staticmethod
    def setDevice(device: int) -> None:
        current.device = int(device)

    @staticmethod
    def getDeviceProperties(device: int) -> dict[str, Any]:
        return {
            "name": NAME.encode(), "major": 8, "minor": 0, "totalGlobalMem": TOTAL, "multiProcessorCount": 1,
            "warpSize": 32, "maxThreadsPerBlock": 1024, "sharedMemPerBlock": 49152,
        }  # fmt: skip


class Graph:
    """What a stream has captured: functions of NumPy, and the arrays that their results lie in.

    As on a GPU, `launch` makes the same calls on the same memory, whatever lies there by then.
    """

    def __init__(self) -> None:
        self.broken = ""
        self._work: list[tuple[Callable[[], Any], list[np.ndarray]]] = []
        self._before: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # Memory that was touched, and what lay there.

    def touch(self, value: Any) -> None:
        for x in arrays_in(value):
            if isinstance(x, np.generic):
                continue
            while isinstance(x.base, np.ndarray) or hasattr(x.base, "base"):
                x = x.base
            if id(x) not in self._before:
                self._before[id(x)] = x, np.array(x)

    def note(self, work: Callable[[], Any], results: Any) -> None:
        self._work.append((work, arrays_in(results)))

    def end(self) -> None:
        for memory, before in self._before.values():
            memory[...] = before

    def launch(self, stream: Any = None) -> None:
        with np.errstate(all="ignore"):
            for work, places in self._work:
                for place, value in zip(places, arrays_in(work()), strict=True):
                    if place is not value:
                        place[...] = value


def arrays_in(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray | np.generic):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [x for part in value for x in arrays_in(part)] if isinstance(value, tuple | list) else []


def capturing() -> Graph | None:
    """The graph that the current stream captures."""
    return get_current_stream()._graph


def refuse(what: str, breaks: bool = True) -> None:
    """While a stream captures, `what` is an error; one that `breaks` the capture is told again at its end."""
    graph = capturing()
    if graph is not None:
        if breaks:
            graph.broken = what
        raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} while a stream is capturing")


class Stream:
    """A stream: everything on it is done already."""

    null: Stream
    ptr: int = 0

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None:
        self.non_blocking = non_blocking
        self.priority = priority or 0
        self.device_id = current.device
        self._before: list[Stream] = []
        self._graph: Graph | None = None
        if not null:
            self.ptr = id(self)

    def begin_capture(self, mode: Any = None) -> None:
        if self is Stream.null or self._graph is not None:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: the null stream, or one that is capturing")
        self._graph = Graph()

    def end_capture(self) -> Graph:
        graph, self._graph = self._graph, None
        assert graph is not None, "the stream is not capturing"
        graph.end()
        if graph.broken:
            raise RuntimeError(f"cudaErrorStreamCaptureInvalidated: {graph.broken}")
        return graph

    def __enter__(self) -> Stream:
        self._before.append(get_current_stream())
        _streams.current = self
        return self

    def __exit__(self, *error: object) -> None:
        _streams.current = self._before.pop()

    def use(self) -> Stream:
        _streams.current = self
        return self

    def synchronize(self) -> None:
        refuse("waiting for a stream")

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        pass

    @property
    def done(self) -> bool:
        return True


class ExternalStream(Stream):
    """A stream of another library."""

    def __init__(self, ptr: int, device_id: int = -1) -> None:
        super().__init__()
        self.ptr = ptr


class Event:
    """A moment."""

    ptr = 0
    done = True

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self._at: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        self._at = time.perf_counter()

    def synchronize(self) -> None:
        pass


class _Streams(threading.local):
    current: Stream | None = None
    allocator: Any = None


_streams = _Streams()
Stream.null = Stream(null=True)


def get_current_stream(device_id: int = -1) -> Stream:
    return _streams.current or Stream.null


def get_elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds."""
    if start._at is None or end._at is None:
        raise RuntimeError("cudaErrorInvalidResourceHandle: an event was not recorded")
    return (end._at - start._at) * 1e3


class Pool:
    """The memory pool of the current device; it keeps nothing for later."""

    def malloc(self, size: int) -> int:
        """Arrays are made by NumPy: here is only told how many bytes are in use."""
        if used[current.device] + size > TOTAL:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes")
        used[current.device] += size
        return size

    def used_bytes(self) -> int:
        return used[current.device]

    total_bytes = used_bytes

    def free_bytes(self) -> int:
        return 0

    def free_all_blocks(self, stream: Any = None) -> None:
        pass

    def n_free_blocks(self) -> int:
        return 0


_allocator: Any = Pool().malloc


class PinnedMemory(bytearray):
    """Page-locked host memory, as a buffer."""

    ptr = property(lambda self: np.frombuffer(self, "uint8").ctypes.data if self else 0)
    mem = property(lambda self: self)

    def size(self) -> int:
        return len(self)


class OutOfMemoryError(MemoryError):
    """`cupy.cuda.memory.OutOfMemoryError`."""


class MemoryPointer:
    """Where an array's first element lies, and on which device."""

    __slots__ = ("device_id", "mem", "ptr")

    def __init__(self, ptr: int, device_id: int, mem: Any) -> None:
        self.ptr, self.device_id, self.mem = ptr, device_id, mem


class memory:
    """`cupy.cuda.memory`."""

    OutOfMemoryError = OutOfMemoryError
    MemoryPointer = MemoryPointer


class cuda:
    """`cupy.cuda`."""

    Device = Device
    Stream = Stream
    ExternalStream = ExternalStream
    Event = Event
    MemoryPointer = MemoryPointer
    runtime = Runtime
    memory = memory
    get_current_stream = staticmethod(get_current_stream)
    get_elapsed_time = staticmethod(get_elapsed_time)
    get_device_id = staticmethod(lambda: current.device)
    alloc_pinned_memory = staticmethod(PinnedMemory)
    is_available = staticmethod(lambda: True)
    get_allocator = staticmethod(lambda: _streams.allocator or _allocator)

    @staticmethod
    def set_allocator(allocator: Any = None) -> None:
        global _allocator
        _allocator = allocator or Pool().malloc

    @staticmethod
    @contextlib.contextmanager
    def using_allocator(allocator: Any = None) -> Iterator[None]:
        before, _streams.allocator = _streams.allocator, allocator
        try:
            yield
        finally:
            _streams.allocator = before

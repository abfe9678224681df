"""The CUDA device's memory: how much is in use and was at most, page-locked host buffers, and what to say when it is
full.

Every allocation passes one function, which stands before CuPy's own allocator. It raises `OutOfMemoryError` with what
`explain` knows, and keeps the peak: the bytes in use are counted exactly (which takes as long as there are arrays) only
when the allocations since the last count could have led above the highest count so far.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.backends.cuda.counts import reading

Array = Any


class OutOfMemoryError(RuntimeError):
    """A device has no memory left for an array; the message names the operation and the largest arrays."""


class _Peaks:
    """For one device: the most bytes in use, the bytes at the last exact count, and those allocated since; `held`, the
    most that the pool held when last asked."""

    def __init__(self) -> None:
        self.most = self.counted = self.since = self.held = 0


_peaks: dict[int, _Peaks] = {}
_lock = threading.Lock()
# Set from outside: (ordinal of the device, bytes asked for) -> what the error says beside the numbers.
explain: Callable[[int, int], str] | None = None
# Page-locked arrays, by the identity of the array that owns the memory.
_pinned: dict[int, weakref.ref[Any]] = {}


def watch(xp: Any) -> None:
    """Stand before the allocator of the array library; once for all devices."""
    inner = xp.cuda.get_allocator()
    if getattr(inner, "watches", None) is xp:
        return
    current = xp.cuda.runtime.getDevice

    def allocate(size: int) -> Any:
        try:
            pointer = inner(size)
        except xp.cuda.memory.OutOfMemoryError as error:
            raise OutOfMemoryError(_message(xp, current(), size)) from error
        peaks = _peaks.get(current())
        if peaks is not None:
            peaks.since += size
            if peaks.counted + peaks.since > peaks.most:
                count(xp, peaks)
        return pointer

    allocate.watches = xp  # type: ignore[attr-defined]
    xp.cuda.set_allocator(allocate)


def count(xp: Any, peaks: _Peaks) -> None:
    """Count the bytes in use on the current device exactly."""
    with _lock:
        peaks.counted, peaks.since = int(xp.get_default_memory_pool().used_bytes()), 0
        peaks.most = max(peaks.most, peaks.counted)


def _message(xp: Any, ordinal: int, size: int) -> str:
    pool = xp.get_default_memory_pool()
    free, total = xp.cuda.runtime.memGetInfo()
    text = (
        f"cuda:{ordinal} out of memory: {readable(size)} were asked for; of {readable(total)} on the device "
        f"{readable(free)} are free, this process uses {readable(pool.used_bytes())} and keeps "
        f"{readable(pool.total_bytes() - pool.used_bytes())} for later arrays."
    )
    more = ""
    if explain is not None:
        try:
            more = explain(ordinal, size)
        except Exception as error:  # The error to be told is that memory is out.
            more = f"\n(no more is known: {error})"
    return f"{text}{more}\nUse a smaller batch, utils.checkpoint, autocast, or free what is not needed"


def readable(size: int) -> str:
    """`size` bytes in the unit that suits: '1.50 GiB'."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:.2f} {unit}"
    return f"{size} bytes"


def is_pinned(owner: Array) -> bool:
    """Whether `owner`, the array that owns its memory, is page-locked."""
    found = _pinned.get(id(owner))
    return found is not None and found() is owner


class CudaMemory:
    """Mixed into `CudaBackend`."""

    xp: Any
    device: Any
    ordinal: int
    counts: Any

    def _watch_memory(self) -> None:
        watch(self.xp)
        _peaks.setdefault(self.ordinal, _Peaks())
        self._in_flight: list[tuple[Any, Array]] = []

    # -- how much ---------------------------------------------------------------------------------------

    def memory_used(self) -> int:
        """The bytes of this device's arrays."""
        with self.device:
            return int(self.xp.get_default_memory_pool().used_bytes())

    def memory_peak(self) -> int:
        """The most bytes that this device's arrays had at once, since it was opened or `reset_memory_peak`."""
        with self.device:
            count(self.xp, _peaks[self.ordinal])
        return _peaks[self.ordinal].most

    def reset_memory_peak(self) -> None:
        """Let the peaks begin at what is in use and held now."""
        with self.device:
            _peaks[self.ordinal].most = _peaks[self.ordinal].held = 0
            count(self.xp, _peaks[self.ordinal])

    def memory_held(self) -> int:
        """The bytes that CuPy's pool holds, those kept for the next array included."""
        with self.device:
            return int(self.xp.get_default_memory_pool().total_bytes())

    def memory_held_peak(self) -> int:
        """The most that `memory_held` was: a pool shrinks when its memory is released, and then only."""
        peaks = _peaks[self.ordinal]
        peaks.held = max(peaks.held, self.memory_held())
        return peaks.held

    def memory_info(self) -> tuple[int, int]:
        """The device's free and total bytes, as the driver tells them."""
        with self.device:
            free, total = self.xp.cuda.runtime.memGetInfo()
        return int(free), int(total)

    def release_memory(self) -> None:
        """Give the memory that no array uses back to the driver."""
        self.memory_held_peak()
        with self.device:
            self.xp.get_default_memory_pool().free_all_blocks()
        self.xp.get_default_pinned_memory_pool().free_all_blocks()

    # -- page-locked host memory, and copies that do not wait -------------------------------------------

    def pinned_empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A NumPy array in page-locked memory, which the device copies from and to while the host goes on."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        memory = self.xp.cuda.alloc_pinned_memory(max(size, 1))
        owner = np.frombuffer(memory, np.uint8, size)
        key = id(owner)
        _pinned[key] = weakref.ref(owner, lambda _: _pinned.pop(key, None))
        return owner.view(dtype).reshape(shape)

    def from_host_async(self, host: Array) -> Array:
        """`from_host` that does not wait: `host` is kept until the copy is done, and must not be changed until then."""
        host = np.ascontiguousarray(host).reshape(host.shape)
        self.counts.to_device += 1
        self.counts.bytes_to_device += host.nbytes
        out = self.xp.empty(host.shape, host.dtype)
        stream = self.xp.cuda.get_current_stream()
        out.set(host, stream=stream)
        self._keep(stream, host)
        return out

    def to_host_async(self, x: Array) -> Array:
        """`to_host` into page-locked memory without waiting: its values are there after the stream is synchronised."""
        self.counts.to_host += 1
        self.counts.bytes_to_host += x.nbytes
        out = self.pinned_empty(x.shape, x.dtype)
        stream = self.xp.cuda.get_current_stream()
        source = self.xp.ascontiguousarray(x)
        reading.asked_for = True
        try:
            source.get(stream=stream, out=out, blocking=False)
        finally:
            reading.asked_for = False
        self._keep(stream, (source, out))
        return out

    def _keep(self, stream: Any, arrays: Any) -> None:
        """Keep `arrays` until what has been given to `stream` is done."""
        with _lock:
            self._in_flight = [pair for pair in self._in_flight if not pair[0].done]
            self._in_flight.append((stream.record(), arrays))

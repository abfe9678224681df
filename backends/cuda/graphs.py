"""CUDA graphs: work for the device, noted once and then started as a whole by one call of the driver.

    with backend.capture() as graph:
        ...kernels...       # noted, not run
    graph.launch()          # run, as often as one likes, on the same memory

A graph names memory by its address: whatever is allocated while it is noted stays allocated as long as the graph is.
What cannot be noted raises: products and factorisations, since CuPy's cuBLAS and cuSOLVER refuse; copies from and to
the host; sorting, and whatever else waits for the device. Kernels must have run once before, so that they are loaded.
While one thread captures, others may give work to the device, but not wait for all of it: they wait for the capture.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from autograd_core.backends.cuda.checks import Check

Array = Any


class _Current(threading.local):
    graph: Graph | None = None


# The graph that this thread is noting.
current = _Current()
# Held by who captures, and by who waits for a whole device, which would break the capture.
alone = threading.RLock()


class NotCapturable(RuntimeError):
    """A kernel needs something in the middle of a capture that a graph cannot do again."""


class Graph:
    """See the module. `nbytes`: what was allocated for it."""

    def __init__(self, backend: Any) -> None:
        self.nbytes = 0
        self.noted: list[Check] = []  # Checks of values whose numbers the graph writes.
        self._uploads: list[tuple[Array, Any]] = []  # To be filled from the host, once, before the first launch.
        self._backend = backend
        self._held: list[Any] = []
        self._context = contextlib.ExitStack()
        self._graph: Any = None

    def __enter__(self) -> Self:
        cuda = self._backend.xp.cuda
        self._backend.checks.prepare()
        self.turn = self._backend.checks.turn
        self._outside, self._allocate = cuda.get_current_stream(), cuda.get_allocator()
        self._stream = cuda.Stream(non_blocking=True)
        with contextlib.ExitStack() as context:
            context.enter_context(alone)
            context.enter_context(self._stream)
            context.enter_context(cuda.using_allocator(self._hold))
            self._stream.begin_capture()
            self._context = context.pop_all()
        current.graph = self
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        current.graph = None
        try:
            self._graph = self._stream.end_capture()
        except Exception:  # Of a capture that an error has broken off, it says only that.
            if error is None:
                raise
        finally:
            self._context.close()
        if error is None:
            for array, host in self._uploads:
                array.set(host)

    def upload(self, host: Any) -> Array:
        """An array of the device that holds `host` from the first launch on."""
        array = self._backend.xp.empty(host.shape, host.dtype)
        self._uploads.append((array, host))
        return array

    def _hold(self, size: int) -> Any:
        with self._outside:  # Memory is lent by stream, and this is where the graph will run.
            pointer = self._allocate(size)
        self._held.append(pointer)
        self.nbytes += size
        return pointer

    @property
    def fits(self) -> bool:
        """Whether the graph may be launched now: on the stream that was current, and no check is to be waited for."""
        stream = self._backend.xp.cuda.get_current_stream()
        return bool(stream.ptr == self._outside.ptr) and not self._backend.checks.immediate

    @property
    def is_stale(self) -> bool:
        """Whether the numbers of its checks have been given to others."""
        return bool(self._backend.checks.turn != self.turn)

    def launch(self) -> None:
        """Run what was noted, after all earlier work on the stream."""
        self._graph.launch(self._outside)
        if self.noted:
            self._backend.checks.again(self.noted)

"""Streams, in which work on a CUDA device is done in order, and events, which mark a place in them."""

from __future__ import annotations

from typing import Any

from autograd_core import devices
from autograd_core.cuda.common import backend_of


class Stream:
    """A queue of work on a CUDA device, beside those of other streams.

    device: where, by default the current one. priority: lower numbers go first. Use it by `with ag.cuda.stream(s):`.
    A tensor made on one stream is used on another only after `wait_stream`, and kept until that one is done: its memory
    goes back to the stream that it was made on. Raises `RuntimeError` without a GPU.
    """

    def __init__(self, device: Any = None, priority: int = 0, *, _stream: Any = None) -> None:
        self._backend = backend_of(device)
        if _stream is None:
            with self._backend.device:
                _stream = self._backend.xp.cuda.Stream(non_blocking=True, priority=priority)
        self._stream = _stream

    @property
    def device(self) -> devices.device:
        """Where its work is done."""
        return devices.device_of(self._backend)

    @property
    def cuda_stream(self) -> int:
        """The driver's handle."""
        return int(self._stream.ptr)

    def query(self) -> bool:
        """Whether all work given to it is done."""
        return bool(self._stream.done)

    def synchronize(self) -> None:
        """Wait until all work given to it is done."""
        self._stream.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """Mark this place in the stream by `event`, or a new one, which is returned."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let later work in this stream wait for `event`; the host goes on."""
        self._stream.wait_event(event._of(self._backend))

    def wait_stream(self, stream: Stream) -> None:
        """Let later work in this stream wait for what has been given to `stream`; the host goes on."""
        self.wait_event(stream.record_event())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.device, self._key()) == (other.device, other._key())

    def __hash__(self) -> int:
        return hash((self.device, self._key()))

    def _key(self) -> Any:
        return self._stream.ptr or id(self._stream)

    def __repr__(self) -> str:
        return f"<ag.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A place in a stream: to wait for, or (enable_timing=True) to measure between.

    blocking: `synchronize` lets the host sleep rather than spin. interprocess: usable by other processes.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        if enable_timing and interprocess:
            raise RuntimeError("Event: a timing event cannot be shared between processes; leave one of the two out")
        self._options = {"block": blocking, "disable_timing": not enable_timing, "interprocess": interprocess}
        self._backend: Any = None
        self._event: Any = None

    def _of(self, backend: Any) -> Any:
        if self._event is None:
            self._backend = backend
            with backend.device:
                self._event = backend.xp.cuda.Event(**self._options)
        return self._event

    def record(self, stream: Stream | None = None) -> None:
        """Mark this place in `stream`, by default the current one. Raises `RuntimeError` without a GPU."""
        stream = current_stream() if stream is None else stream
        self._of(stream._backend).record(stream._stream)

    def wait(self, stream: Stream | None = None) -> None:
        """Let later work in `stream`, by default the current one, wait for this event."""
        (current_stream() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether all work before it is done; True if it was never recorded."""
        return True if self._event is None else bool(self._event.done)

    def synchronize(self) -> None:
        """Wait until all work before it is done."""
        if self._event is not None:
            self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """The milliseconds from this event to `end_event`. Raises `RuntimeError` unless both were made with
        enable_timing=True, recorded, and reached."""
        for event, name in ((self, "the start"), (end_event, "the end")):
            if event._options["disable_timing"]:
                raise RuntimeError(f"elapsed_time: {name} event must be created with enable_timing=True")
            if event._event is None:
                raise RuntimeError(f"elapsed_time: {name} event must be recorded before calculating elapsed time")
            if not event.query():
                raise RuntimeError(f"elapsed_time: {name} event is not completed yet; call synchronize() first")
        return float(self._backend.xp.cuda.get_elapsed_time(self._event, end_event._event))

    def __repr__(self) -> str:
        return f"<ag.cuda.Event {'recorded' if self._event is not None else 'uninitialized'}>"


class StreamContext:
    """`with ag.cuda.stream(s):` work given by this thread goes to `s`, on its device; None changes nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            self._device = devices._default.cuda
            devices._default.cuda = self.stream._backend.ordinal
            with self.stream._backend.device:  # CuPy has a current stream on each device.
                self.stream._stream.__enter__()

    def __exit__(self, *error: object) -> None:
        if self.stream is not None:
            with self.stream._backend.device:
                self.stream._stream.__exit__(*error)
            devices._default.cuda = self._device


def stream(stream: Stream | None) -> StreamContext:
    """A context in which work given by this thread goes to `stream`, on its device; None changes nothing.

    >>> import autograd_core as ag
    >>> with ag.cuda.stream(None):
    ...     pass
    """
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream that work on a CUDA device goes to in this thread. Raises `RuntimeError` if there is none."""
    backend = backend_of(device)
    with backend.device:
        return Stream(devices.device_of(backend), _stream=backend.xp.cuda.get_current_stream())


def default_stream(device: Any = None) -> Stream:
    """The stream that work on a CUDA device goes to by default. Raises `RuntimeError` if there is no device."""
    backend = backend_of(device)
    return Stream(devices.device_of(backend), _stream=backend.xp.cuda.Stream.null)


def set_stream(stream: Stream | None) -> None:
    """Let work given by this thread go to `stream` from now on; None changes nothing."""
    if stream is not None:
        with stream._backend.device:
            stream._stream.use()

"""How often data crossed between host and device, and how often the host waited."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# What of an array makes the host wait for it and read it.
_READS = (
    "get", "item", "tolist", "tobytes", "__bool__", "__int__", "__float__", "__index__", "__complex__",
)  # fmt: skip


class _Reading(threading.local):
    asked_for = False


# Whether this thread is in a read-out that the program asked for.
reading = _Reading()


class Counts:
    """Since the device was opened: arrays copied to the device and to the host, and their bytes; `synchronizations`,
    how often the host waited for all of the device's work; `hidden`, reads inside kernels, counted within `watched`."""

    __slots__ = ("bytes_to_device", "bytes_to_host", "hidden", "synchronizations", "to_device", "to_host")

    def __init__(self) -> None:
        self.to_device = self.bytes_to_device = self.to_host = self.bytes_to_host = 0
        self.synchronizations = self.hidden = 0

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


@contextmanager
def watched(backend: Any) -> Iterator[Counts]:
    """Also count, inside the block, reads of the device's arrays that go past `to_host`: a kernel that makes the host
    wait. `nonzero` and boolean indexing read the number of elements that they find."""
    array, counts = backend.array_type, backend.counts
    before = {name: array.__dict__.get(name) for name in _READS}
    for name in _READS:
        found = getattr(array, name, None)
        if found is not None:
            setattr(array, name, _counted(found, backend, counts))
    try:
        yield counts
    finally:
        for name, own in before.items():
            if own is not None:
                setattr(array, name, own)
            elif name in array.__dict__:
                delattr(array, name)


def _counted(read: Callable[..., Any], backend: Any, counts: Counts) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not reading.asked_for and self.device.id == backend.ordinal:
            counts.hidden += 1
        return read(self, *args, **kwargs)

    return call

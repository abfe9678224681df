"""Who wrote to which memory, and when: version counters of storages.

One clock ticks for graph nodes and in-place changes alike. A node remembers the tick of its creation, a storage
that of its last change. If no change at all is younger than a node, nothing that it saved can have changed, and
one comparison of integers is all that backward pays. Views, `detach()` and the base share one record, since it
belongs to the array that owns the memory.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable
from typing import Any

tick = itertools.count(1).__next__  # Atomic, so threads may share it.
last_change = 0


class _Record:
    __slots__ = ("operation", "owner", "stamp", "version")

    def __init__(self, owner: weakref.ref[Any]) -> None:
        self.owner = owner
        self.version = 0
        self.stamp = 0
        self.operation = ""


_records: dict[int, _Record] = {}


def mark_mutated(backend: Any, array: Any, operation: str) -> None:
    """Note that `operation` has just changed the memory of `array`."""
    global last_change
    owner = backend.storage_key(array)
    key = id(owner)
    record = _records.get(key)
    if record is None:
        record = _records[key] = _Record(weakref.ref(owner, lambda _: _records.pop(key, None)))
    last_change = record.stamp = tick()
    record.version += 1
    record.operation = operation


def mark_each(tensors: Iterable[Any], operation: str) -> None:
    """`mark_mutated` for many Tensors, in half the time. Before they change: of a failure half-way all are noted."""
    global last_change
    last_change = stamp = tick()
    for t in tensors:
        record = _records.get(id(t._backend.storage_key(t._data)))
        if record is None:
            mark_mutated(t._backend, t._data, operation)
            continue
        record.stamp = stamp
        record.version += 1
        record.operation = operation


def records(backend: Any, arrays: Iterable[Any], operation: str) -> list[Any]:
    """For `mark_all`: what is noted of the memory of `arrays`, which the caller keeps alive."""
    found = []
    for array in arrays:
        mark_mutated(backend, array, operation)
        found.append(_records[id(backend.storage_key(array))])
    return list(dict.fromkeys(found))


def mark_all(changed: list[Any]) -> None:
    """Note that the memories of `records` have just been changed."""
    global last_change
    last_change = stamp = tick()
    for record in changed:
        record.stamp = stamp
        record.version += 1


def version(backend: Any, array: Any) -> int:
    """How often the memory of `array` was changed in place."""
    record = _records.get(id(backend.storage_key(array)))
    return 0 if record is None else record.version


def changed_since(backend: Any, array: Any, stamp: int) -> str | None:
    """The in-place operation that changed the memory of `array` after `stamp`, or None."""
    record = _records.get(id(backend.storage_key(array)))
    return record.operation if record is not None and record.stamp > stamp else None

"""Checks of values that wait for no one: what is wrong is noted on the device, and raised at the next read-out.

Each check folds what it found into one number on the device, by `maximum`, so that any order of the folds gives the
same number; the host looks at the numbers when it has to wait for the device anyway.
"""

from __future__ import annotations

import itertools
import os
import threading
from dataclasses import dataclass
from typing import Any

from autograd_core.backends.cuda.graphs import current

Array = Any

_SLOTS = 1024


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold: the number noted stays below `limit`. `offset` turns the number into the value that it stands
    for, which takes the place of `{}` in `message`."""

    error: type[Exception]
    message: str
    limit: int
    offset: int

    def failure(self, number: int) -> Exception:
        value = number if number < 2**63 else number - 2**64
        return self.error(self.message.replace("{}", str(value + self.offset)))


class DeferredChecks:
    """The numbers of one device and the checks that they belong to.

    immediate: look at each number at once (AUTOGRAD_CORE_CHECK=1), so that an error is raised on the line that made it.
    """

    def __init__(self, xp: Any) -> None:
        self._xp = xp
        self._numbers: Array = None
        self._slots: dict[Check, int] = {}
        self._latest: dict[Check, int] = {}  # When each check was made last.
        self._moments = itertools.count()
        self._lock = threading.RLock()
        self.immediate = os.environ.get("AUTOGRAD_CORE_CHECK", "0") not in ("", "0")
        self.pending = False
        self.turn = 0  # How often the numbers were given to other checks.

    def prepare(self) -> None:
        """Make sure that there are numbers."""
        with self._lock:
            if self._numbers is None:
                self._numbers = self._xp.zeros((_SLOTS,), "uint64")

    def clear(self) -> None:
        """Give all numbers back, for other checks."""
        with self._lock:
            self._slots.clear()
            self._latest.clear()
            if self._numbers is not None:
                self._numbers[...] = 0
            self.turn += 1
            self.pending = False

    def again(self, checks: list[Check]) -> None:
        """The device has made `checks` once more, by itself."""
        with self._lock:
            for check in checks:
                self._latest[check] = next(self._moments)
            self.pending = True

    def note(self, check: Check, number: Array) -> None:
        """Keep the greater of `number`, a 0-d array, and the number kept for `check`."""
        with self._lock:
            self.prepare()
            slot = self._slots.get(check)
            if slot is None:
                if len(self._slots) == _SLOTS:
                    self.raise_pending()
                    self.clear()
                slot = self._slots[check] = len(self._slots)
            self._latest[check] = next(self._moments)
            place = self._numbers[slot]
            self._xp.maximum(place, number, out=place)
            self.pending = True
            if current.graph is not None:
                current.graph.noted.append(check)
        if self.immediate:
            self.raise_pending()

    def raise_pending(self) -> None:
        """Read the numbers, and raise the check that failed since the last time: of several the one made first."""
        if not self.pending:
            return
        with self._lock:
            self.pending = False
            numbers = self._numbers[: len(self._slots)].get()
            failed = [check for check, slot in self._slots.items() if int(numbers[slot]) >= check.limit]
            if not failed:
                return
            first = min(failed, key=lambda check: self._latest[check])
            found = int(numbers[self._slots[first]])
            self._numbers[...] = 0
        raise first.failure(found)

"""What the sweep of one name found."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sweep_excused import excuse
from sweep_scope import Name

KEPT = 12


@dataclass(frozen=True)
class Effort:
    """How much of a name to try: `None` means all of it."""

    gradients: int | None = None
    values: int | None = None
    other_dtypes: int | None = None
    errors: int | None = None


WHOLE = Effort()
SAMPLED = Effort(gradients=2, values=2, other_dtypes=1, errors=2)


def chosen(items: list[Any], count: int | None, seed: str) -> list[Any]:
    """`count` of the items, in order; the same ones for the same seed."""
    if count is None or len(items) <= count:
        return items
    picked = sorted(random.Random(zlib.crc32(seed.encode())).sample(range(len(items)), count))
    return [items[i] for i in picked]


@dataclass
class Failure:
    check: str
    dtype: str
    device: str
    sample: str
    message: str

    def __str__(self) -> str:
        return f"{self.check} {self.dtype} {self.device} {self.sample[:300]}\n        {self.message[:400]}"


@dataclass
class Report:
    """Counts by (check, dtype, device), and the failures (at most KEPT of a check and dtype are kept in full)."""

    name: Name
    missing: bool = False
    passed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.missing:
            return "missing"
        return "partial" if self.failed or not self.passed else "complete"

    def attempt(self, check: str, dtype: str, device: str, sample: str, action: Callable[[], None]) -> bool:
        """Run one comparison; whatever it raises is a failure, save what is excused."""
        from sweep_compare import Beyond

        try:
            action()
        except Beyond:
            return False
        except Exception as error:
            message = f"{type(error).__name__}: {error}" if type(error).__name__ != "Wrong" else str(error)
            reason = excuse(self.name.path, check, dtype, sample, message)
            if reason is not None:
                self.excused[reason] += 1
                return True
            self.failed[check, dtype, device] += 1
            if sum(f.check == check and f.dtype == dtype for f in self.failures) < KEPT:
                self.failures.append(Failure(check, dtype, device, sample, " ".join(message.split())))
            return False
        self.passed[check, dtype, device] += 1
        return True

    def merged(self) -> list[Failure]:
        """The failures, those of several devices that say the same as one."""
        found: dict[tuple[str, ...], list[str]] = {}
        for f in self.failures:
            found.setdefault((f.check, f.dtype, f.sample, f.message), []).append(f.device)
        return [Failure(key[0], key[1], "+".join(on), key[2], key[3]) for key, on in found.items()]

    def text(self, most: int = 10**9) -> str:
        """The report for a person: one block."""
        total = sum(self.passed.values()) + sum(self.failed.values())
        lines = [
            f"{self.name.title} (tier {self.name.tier}): {self.state}, {sum(self.failed.values())} of {total} failed"
        ]
        if self.missing:
            return lines[0]
        summary: Counter[str] = Counter()
        for (check, dtype, _), count in self.failed.items():
            summary[f"{check} {dtype}"] += count
        if summary:
            lines.append("    " + ", ".join(f"{key}: {count}" for key, count in summary.most_common()))
        lines += [f"    {failure}" for failure in self.merged()[:most]]
        return "\n".join(lines)

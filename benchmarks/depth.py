"""Long chains: built, differentiated and freed without recursion, in time linear in their length."""

from __future__ import annotations

import gc
import time
from typing import Any

import autograd_core as ag


def measure(length: int) -> dict[str, float]:
    """Seconds to build, differentiate and free a chain of `length` operations on one number."""
    x = ag.ones(1, requires_grad=True)
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()  # Its passes over all objects alive would be timed too; nothing here needs it.
    try:
        start = time.perf_counter()
        y = x
        for _ in range(length):
            y = -y
        built = time.perf_counter()
        y.backward()
        differentiated = time.perf_counter()
        del y
        freed = time.perf_counter()
    finally:
        if collecting:
            gc.enable()
    assert x.grad is not None and x.grad.item() == (-1.0) ** length
    return {
        "length": length,
        "build": built - start,
        "backward": differentiated - built,
        "free": freed - differentiated,
    }


def report(short: int = 100_000, long: int = 1_000_000) -> list[dict[str, Any]]:
    """Measure both lengths, the short one first, and print a table: microseconds a link should not grow."""
    measure(1000)
    rows = [measure(short), measure(long)]
    print(f"\n{'chain of negations':>22}{'build s':>10}{'backward s':>12}{'free s':>9}{'us a link':>11}")
    for row in rows:
        total = row["build"] + row["backward"] + row["free"]
        print(
            f"{int(row['length']):>22,}{row['build']:>10.3f}{row['backward']:>12.3f}{row['free']:>9.3f}"
            f"{1e6 * total / row['length']:>11.2f}",
            flush=True,
        )
    return rows

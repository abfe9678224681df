"""Keeping freed memory for the next array.

A training step frees and asks for the same large arrays again and again. By default the C library hands each back to
the system at once, and the next one is paid for page by page as it is first touched, which costs more than the
arithmetic on it: a small GPT's step took 0.5 to 0.7 of the time with memory kept, `tanh(x) sigmoid(x) + gelu(x)`
of a million values 0.6. So glibc is told, when the first CPU array is made, to keep what is freed for the process.
Other systems and C libraries are left alone, as is a process whose user has tuned `malloc` (`MALLOC_*` or
`GLIBC_TUNABLES` in its environment), or who sets `AUTOGRAD_CORE_MALLOC=system`.
"""

from __future__ import annotations

import os
import sys

# Parameters of glibc's mallopt(3): up to this size arrays come from the heap, and so much of its end may lie idle.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_ON_HEAP = 1 << 25  # The most that glibc allows.
_IDLE = 1 << 29


def keep_freed_memory() -> bool:
    """See the module; whether it has been done. Raises `ValueError` if AUTOGRAD_CORE_MALLOC says something unknown."""
    choice = os.environ.get("AUTOGRAD_CORE_MALLOC", "")
    if choice not in ("", "keep", "system"):
        raise ValueError(f"AUTOGRAD_CORE_MALLOC={choice!r}: expected 'keep' or 'system' (or leave it unset)")
    if choice == "system" or sys.platform != "linux":
        return False
    if not choice and any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # Another C library.
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_ON_HEAP)) and bool(mallopt(_M_TRIM_THRESHOLD, _IDLE))

"""How much of a CUDA device's memory is in use."""

from __future__ import annotations

from typing import Any

from autograd_core import devices
from autograd_core.backends.cuda.memory import readable
from autograd_core.cuda.common import backend_of


def _none() -> bool:
    return not devices.is_available("cuda")


def memory_allocated(device: Any = None) -> int:
    """The bytes of all arrays of a CUDA device; 0 where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.memory_allocated() >= 0
    True
    """
    return 0 if _none() else int(backend_of(device).memory_used())


def max_memory_allocated(device: Any = None) -> int:
    """The most that `memory_allocated` was since the device was first used or `reset_peak_memory_stats`; 0 without one.

    >>> import autograd_core as ag
    >>> ag.cuda.max_memory_allocated() >= ag.cuda.memory_allocated()
    True
    """
    return 0 if _none() else int(backend_of(device).memory_peak())


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let `max_memory_allocated` begin anew; does nothing where there is no CUDA.

    >>> import autograd_core as ag
    >>> ag.cuda.reset_peak_memory_stats()
    """
    if not _none():
        backend_of(device).reset_memory_peak()


def reset_max_memory_allocated(device: Any = None) -> None:
    """PyTorch's older name of `reset_peak_memory_stats`.

    >>> import autograd_core as ag
    >>> ag.cuda.reset_max_memory_allocated()
    """
    reset_peak_memory_stats(device)


def memory_reserved(device: Any = None) -> int:
    """The bytes that are held of a CUDA device's memory, those kept for the next array included; 0 where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.memory_reserved() >= ag.cuda.memory_allocated()
    True
    """
    return 0 if _none() else int(backend_of(device).memory_held())


def max_memory_reserved(device: Any = None) -> int:
    """The most that `memory_reserved` was since `reset_peak_memory_stats`; 0 where there is no device.

    >>> import autograd_core as ag
    >>> ag.cuda.max_memory_reserved() >= ag.cuda.memory_reserved()
    True
    """
    return 0 if _none() else int(backend_of(device).memory_held_peak())


def memory_stats(device: Any = None) -> dict[str, int]:
    """The counts of memory under PyTorch's keys; empty where there is no device.

    >>> import autograd_core as ag
    >>> ag.cuda.memory_stats().get("allocated_bytes.all.current", 0) == ag.cuda.memory_allocated()
    True
    """
    if _none():
        return {}
    return {
        "allocated_bytes.all.current": memory_allocated(device),
        "allocated_bytes.all.peak": max_memory_allocated(device),
        "reserved_bytes.all.current": memory_reserved(device),
        "reserved_bytes.all.peak": max_memory_reserved(device),
    }


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """The free and the total bytes of a CUDA device, as the driver tells them. Raises `RuntimeError` if there is none.

    >>> import autograd_core as ag
    >>> if ag.cuda.is_available():
    ...     free, total = ag.cuda.mem_get_info()
    """
    free, total = backend_of(device).memory_info()
    return free, total


def empty_cache() -> None:
    """Give memory that no tensor uses back to the driver; does nothing where there is no CUDA.

    >>> import autograd_core as ag
    >>> ag.cuda.empty_cache()
    """
    for (kind, _), backend in list(devices._backends.items()):
        if kind == "cuda":
            backend.release_memory()  # type: ignore[attr-defined]


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The memory of a CUDA device as text, with its largest arrays unless `abbreviated`. Raises `RuntimeError` if there
    is none."""
    backend = backend_of(device)
    free, total = backend.memory_info()
    rows = (
        ("in use by arrays", backend.memory_used()),
        ("most in use", backend.memory_peak()),
        ("held", backend.memory_held()),
        ("free on the device", free),
        ("of the device", total),
    )
    lines = [f"memory of cuda:{backend.ordinal} ({backend.describe()})"]
    lines += [f"  {name:<20}{readable(size):>14}" for name, size in rows]
    if not abbreviated:
        from autograd_core.cuda.holders import table

        lines.append(table(backend))
    return "\n".join(lines)

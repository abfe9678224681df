"""Batches in page-locked memory, for `DataLoader(pin_memory=True)`."""

from collections.abc import Mapping
from typing import Any

import autograd_core as ag
from autograd_core.userline import warn_user


def can_pin() -> bool:
    """Whether there is a CUDA device to pin for; warns if not."""
    if ag.cuda.is_available():
        return True
    warn_user("DataLoader: pin_memory=True has no effect, since there is no CUDA device")
    return False


def pinned(batch: Any) -> Any:
    """`batch` with its tensors in page-locked memory; other objects by their own `pin_memory()`, if they have one."""
    if isinstance(batch, ag.Tensor):
        return batch.pin_memory() if batch.device.type == "cpu" else batch
    if isinstance(batch, str | bytes):
        return batch
    if isinstance(batch, Mapping):
        items = {key: pinned(value) for key, value in batch.items()}
        return items if type(batch) is dict else type(batch)(items)  # type: ignore[call-arg]
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(pinned(value) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(pinned(value) for value in batch)
    return batch.pin_memory() if hasattr(batch, "pin_memory") else batch

"""The backend behind what `ag.cuda` takes as a device."""

from __future__ import annotations

from typing import Any

from autograd_core import devices


def backend_of(device: Any) -> Any:
    """The backend of a device, string or index; None: of the current device. Raises `RuntimeError` if it is not there,
    `ValueError` if it is no CUDA device."""
    if isinstance(device, int):
        device = f"cuda:{device}"
    backend = devices.backend_of("cuda" if device is None else device)
    if backend.name != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {device}")
    return backend

"""Kernels of recurrent networks."""

from __future__ import annotations

from typing import Any


class RecurrentKernels:
    """Mixed into `Backend`."""

    def parts(self, x: Any, axis: int) -> tuple[Any, ...]:
        """All slices along `axis`, as views."""
        lead = (slice(None),) * axis
        return tuple(x[(*lead, i)] for i in range(x.shape[axis]))

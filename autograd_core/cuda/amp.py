"""`ag.cuda.amp`: PyTorch's older names of what is in `ag.amp`, for CUDA."""

from __future__ import annotations

import functools
import warnings
from typing import Any

from autograd_core import amp, dtypes

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


def _old(name: str, new: str) -> None:
    warnings.warn(f"ag.cuda.amp.{name} is deprecated, as in PyTorch: use ag.amp.{new}", FutureWarning, stacklevel=3)


class autocast(amp.autocast):
    """`ag.amp.autocast("cuda", ...)`."""

    def __init__(self, enabled: bool = True, dtype: dtypes.dtype = dtypes.float16, cache_enabled: bool = True) -> None:
        _old("autocast(...)", "autocast('cuda', ...)")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`ag.amp.GradScaler("cuda", ...)`."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _old("GradScaler(...)", "GradScaler('cuda', ...)")
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


def custom_fwd(fwd: Any = None, *, cast_inputs: dtypes.dtype | None = None) -> Any:
    """`ag.amp.custom_fwd(..., device_type="cuda")`."""
    _old("custom_fwd", "custom_fwd(..., device_type='cuda')")
    return functools.partial(amp.custom_fwd, device_type="cuda")(fwd, cast_inputs=cast_inputs)


def custom_bwd(bwd: Any) -> Any:
    """`ag.amp.custom_bwd(..., device_type="cuda")`."""
    _old("custom_bwd", "custom_bwd(..., device_type='cuda')")
    return amp.custom_bwd(bwd, device_type="cuda")

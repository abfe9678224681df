"""Automatic mixed precision: `autocast` and `GradScaler`. docs/amp.md explains it and lists the operations."""

from autograd_core.amp.autocast_mode import autocast, custom_bwd, custom_fwd
from autograd_core.amp.grad_scaler import GradScaler
from autograd_core.amp.state import is_autocast_available

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

"""One name of the scope, compared with PyTorch."""

from __future__ import annotations

from sweep_modules import sweep_module
from sweep_operations import sweep_operation
from sweep_report import WHOLE, Effort, Report
from sweep_scope import Name
from sweep_training import sweep_optimiser, sweep_scheduler, sweep_utility

SWEEPS = {
    "functions": sweep_operation,
    "modules": sweep_module,
    "optimisers": sweep_optimiser,
    "schedulers": sweep_scheduler,
    "utilities": sweep_utility,
}


def sweep(name: Name, devices: tuple[str, ...] = ("cpu", "strict"), effort: Effort = WHOLE) -> Report:
    """Compare one name with PyTorch on each of the devices."""
    return SWEEPS[name.kind](name, devices, effort)

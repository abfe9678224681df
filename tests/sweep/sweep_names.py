"""One name of the scope, compared with PyTorch."""

from __future__ import annotations

import os

os.environ.setdefault("AUTOGRAD_CORE_CHECK", "1")  # Errors of values on the line that makes them, on every device.

import torch
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


def sweep(name: Name, devices: tuple[str, ...] = ("cpu", "simulated"), effort: Effort = WHOLE) -> Report:
    """Compare one name with PyTorch on each of the devices."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # The samples are small; two pools of threads on the same cores wait for each other.
    try:
        return SWEEPS[name.kind](name, devices, effort)
    finally:
        torch.set_num_threads(threads)

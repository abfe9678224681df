"""One name of the scope, compared with PyTorch."""

from __future__ import annotations

from sweep_operations import sweep_operation
from sweep_report import Effort, Report
from sweep_scope import Name


def sweep(name: Name, devices: tuple[str, ...] = ("cpu", "strict"), effort: Effort = Effort()) -> Report:  # noqa: B008
    if name.kind == "functions":
        return sweep_operation(name, devices, effort)
    return Report(name, missing=True)

"""PyTorch's switch for TF32 in matrix products: `allow_tf32`, False by default.

True lets products of float32 matrices on CUDA devices round their factors to TF32, 10 bits of mantissa in place of 23,
which tensor cores multiply several times faster. It holds for convolutions too, which are products here.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    allow_tf32: bool


class _Switches(types.ModuleType):
    """This module, so that a device hears of the switch when it is set."""

    _allowed = False

    @property
    def allow_tf32(self) -> bool:
        return self._allowed

    @allow_tf32.setter
    def allow_tf32(self, value: Any) -> None:
        if not isinstance(value, bool):
            raise RuntimeError(f"backends.cuda.matmul.allow_tf32: expected a bool, got {value!r}")
        self._allowed = value
        for listener in listeners:
            listener(value)


# What devices in use do when the switch is set.
listeners: list[Callable[[bool], None]] = []
sys.modules[__name__].__class__ = _Switches

"""autograd-core: a PyTorch-style deep-learning library in pure Python on NumPy, CuPy and Numba."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autograd_core._layout import install_finder

__version__ = "0.1.0"

install_finder()

# Loaded at first use (PEP 562), so that `import autograd_core` stays cheap.
_LAZY_MODULES = ("backends", "benchmarks", "nn", "optim")

if TYPE_CHECKING:
    from autograd_core import backends as backends
    from autograd_core import benchmarks as benchmarks
    from autograd_core import nn as nn
    from autograd_core import optim as optim


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return import_module(f"autograd_core.{name}")
    raise AttributeError(f"module 'autograd_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES})

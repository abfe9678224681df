"""Helpers around training: `utils.data` feeds it, `utils.checkpoint` saves memory."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Loaded at first use (PEP 562), so that `import autograd_core` stays cheap.
_LAZY_MODULES = ("checkpoint", "data")

if TYPE_CHECKING:
    from autograd_core.utils import checkpoint as checkpoint
    from autograd_core.utils import data as data


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return import_module(f"autograd_core.utils.{name}")
    raise AttributeError(f"module 'autograd_core.utils' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES})

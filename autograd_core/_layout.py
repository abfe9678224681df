"""Finds `autograd_core.nn` and its siblings in a bare checkout.

The repository keeps `nn/`, `optim/`, ... beside `autograd_core/`; installing moves them inside. In a checkout that
nobody installed, a finder bridges the difference for exactly these names. Putting the repository root on
`autograd_core.__path__` would be shorter, but then `autograd_core.autograd_core` exists and every class twice.
"""

import os.path
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

SIBLINGS = ("backends", "benchmarks", "examples", "nn", "optim")

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(_PACKAGE)


class _CheckoutFinder:
    """A meta path finder for the sub-packages that stand beside `autograd_core/`."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [_ROOT], target) if fullname in self.names else None


def install_finder() -> None:
    """Make the siblings importable where they are not inside the package. Does nothing once installed."""
    names = frozenset(
        f"autograd_core.{name}"
        for name in SIBLINGS
        if not os.path.isdir(os.path.join(_PACKAGE, name)) and os.path.isfile(os.path.join(_ROOT, name, "__init__.py"))
    )
    if names:
        # First in line: an editable install of another checkout must not lend its nn to this autograd_core.
        sys.meta_path.insert(0, _CheckoutFinder(names))

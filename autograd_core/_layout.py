"""Finds `autograd_core.nn` and its siblings in a bare checkout.

The repository keeps `nn/`, `optim/`, ... beside `autograd_core/`; installing moves them inside. In a checkout that
nobody installed, a finder bridges the difference for exactly these names. Putting the repository root on
`autograd_core.__path__` would be shorter, but then `autograd_core.autograd_core` exists and every class twice.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

SIBLINGS = ("backends", "benchmarks", "examples", "nn", "optim")

_PACKAGE = Path(__file__).resolve().parent


class _CheckoutFinder:
    """A meta path finder for the sub-packages that stand beside `autograd_core/`."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = self.folders.get(fullname)
        if folder is None:
            return None
        return spec_from_file_location(fullname, folder / "__init__.py", submodule_search_locations=[str(folder)])


def install_finder() -> None:
    """Make the siblings importable where they are not inside the package. Does nothing once installed."""
    folders = {
        f"autograd_core.{name}": _PACKAGE.parent / name
        for name in SIBLINGS
        if not (_PACKAGE / name).is_dir() and (_PACKAGE.parent / name / "__init__.py").is_file()
    }
    if folders:
        # First in line: an editable install of another checkout must not mix its nn with this autograd_core.
        sys.meta_path.insert(0, _CheckoutFinder(folders))

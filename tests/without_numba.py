"""A pytest plugin (`-p without_numba`): Python behaves as if Numba, llvmlite and TBB were not installed."""

import sys
from typing import Any

_HIDDEN = ("numba", "llvmlite", "tbb")


class _Hiding:
    """A module finder that finds all but the hidden packages."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.split(".")[0] in _HIDDEN else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


assert "numba" not in sys.modules, "Numba was imported before the plugin could hide it"
sys.meta_path[:] = [_Hiding(finder) for finder in sys.meta_path]

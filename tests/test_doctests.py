"""Every example in every docstring, module by module.

By `doctest.testmod` on the module imported under its one name; pytest's own collector would import each file once more,
under a second name.
"""

import builtins
import doctest
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

import autograd_core as ag

SIBLINGS = ("backends", "benchmarks", "examples", "nn", "optim")
OPTIONAL = {"cupy", "cupyx", "matplotlib", "numba", "numba_cuda_mlir", "nvmath", "cudnn", "rich", "sklearn", "torch"}


def module_names() -> Iterator[str]:
    """Every module of the package, found by its files, so that one that fails to import fails here."""
    for package in ("autograd_core", *(f"autograd_core.{name}" for name in SIBLINGS)):
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.submodule_search_locations, f"{package} is not importable"
        folder = Path(list(spec.submodule_search_locations)[0])
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[-1] != "__main__":  # importing it would run the command
                yield ".".join((package, *parts[: -1 if parts[-1] == "__init__" else None]))


@pytest.mark.host("the examples show what is printed on the CPU")
@pytest.mark.parametrize("name", sorted(set(module_names())))
def test_examples_in_docstrings(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{name} needs {error.name}, which is not installed")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.testmod(module, extraglobs={**vars(builtins), "ag": ag}, optionflags=flags)
    assert failed == 0, f"{failed} examples of {name} failed; their output is above"

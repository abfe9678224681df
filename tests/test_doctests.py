"""Every example in every docstring, module by module.

By `doctest.testmod` on the module imported under its one name; pytest's own collector would import each file once more,
under a second name.
"""

import builtins
import doctest
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag

SIBLINGS = ("backends", "benchmarks", "examples", "nn", "optim")
OPTIONAL = {"cupy", "cupyx", "matplotlib", "numba", "numba_cuda_mlir", "rich", "sklearn", "torch"}


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


@pytest.mark.host("docstrings are the same whatever the device")
@pytest.mark.parametrize(
    "owner", [ag, ag.Tensor, ag.nn, ag.nn.functional, ag.nn.init, ag.nn.utils, ag.optim, ag.linalg, ag.special, ag.cuda]
)
def test_every_public_name_has_a_docstring(owner: Any) -> None:
    def described(name: str) -> bool:
        value = inspect.getattr_static(owner, name, None) or getattr(owner, name)  # A property rather than its value.
        ours = callable(value) and str(getattr(value, "__module__", "")).startswith("autograd_core")
        return not (ours or isinstance(value, property)) or bool(value.__doc__)

    assert [name for name in dir(owner) if not name.startswith("_") and not described(name)] == []


def test_examples_are_attached() -> None:
    for thing in (
        ag.sqrt,
        ag.Tensor.sqrt,
        ag.nn.functional.tanh,
        ag.special.expm1,
        ag.ceil,
        ag.Tensor.__dict__["shape"],
    ):
        assert ">>> ag." in (inspect.getdoc(thing) or ""), thing

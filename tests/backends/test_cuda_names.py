"""What the bodies of `backends/` ask of the array namespace is there in CuPy, by the list in `cupy_names.txt`."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated_cuda import offered

pytestmark = pytest.mark.host("files are the same whatever the device")

ROOT = Path(__file__).parents[2]
FILES = [
    *sorted((ROOT / "backends").glob("*.py")),
    *(ROOT / "backends" / "cuda" / f"{name}.py" for name in ("backend", "checks", "indexing", "views")),
]
# What is reached through other names than those of the list.
SUBMODULES = {"_core", "cuda", "lib", "linalg", "lib.stride_tricks"}
NAMESPACE = {"get_default_memory_pool", "get_default_pinned_memory_pool", "errstate"}
UFUNC_METHODS = {"at"}


def chain(node: ast.AST) -> str | None:
    """`linalg.qr` of `self.xp.linalg.qr` or `xp.linalg.qr`; None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    parts.reverse()
    for at, part in enumerate(parts[:-1]):
        if part in ("xp", "_xp") and (at == 0 or parts[:at] == ["self"]):
            return ".".join(parts[at + 1 :])
    return None


def uses() -> Iterator[tuple[str, str, ast.Call | None]]:
    for path in FILES:
        tree = ast.parse(path.read_text())
        called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            name = chain(node) if isinstance(node, ast.Attribute) else None
            if name is not None:
                yield name, f"{path.name}:{node.lineno}", called.get(id(node))


USES = list(uses())


def test_there_are_uses() -> None:
    names = {name for name, _, _ in USES}
    assert len(names) > 100 and {"matmul", "linalg.svd", "maximum.at", "argsort"} <= names


def test_every_name_is_offered() -> None:
    missing = []
    for name, place, _ in USES:
        head, _, method = name.rpartition(".")
        if name in SUBMODULES or name.startswith(("cuda.", "_core.")) or name in NAMESPACE:
            continue
        if name not in offered() and not (head in offered() and method in UFUNC_METHODS):
            missing.append(f"{place}: cupy.{name}")
    assert not missing, missing


def test_every_call_has_parameters_that_are_offered() -> None:
    wrong = []
    for name, place, call in USES:
        allowed: Any = offered().get(name)
        if call is None or not isinstance(allowed, tuple):
            continue
        starred = any(isinstance(a, ast.Starred) for a in call.args)
        given = {k.arg for k in call.keywords if k.arg is not None}
        if not given <= allowed[1] or (not starred and len(call.args) > allowed[0]):
            wrong.append(f"{place}: cupy.{name} with {len(call.args)} arguments and {sorted(given)}, has {allowed}")
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("name", "expected"),
    [("triu", (2, {"m", "k"})), ("linalg.qr", (2, {"a", "mode"})), ("broadcast_to", (2, {"array", "shape"}))],
)
def test_the_list_says_what_cupy_takes(name: str, expected: Any) -> None:
    assert offered()[name] == (expected[0], frozenset(expected[1]))


def test_the_list_has_the_loops_of_ufuncs() -> None:
    assert ("ff", "f") in offered()["add"] and ("l", "l") in offered()["floor"] and ("e", "e") in offered()["sqrt"]
    assert offered()["array"][0] == 6 and math.isfinite(offered()["array"][0])
    assert "empty_like" in offered() and "float_power" in offered() and "errstate" not in offered()


def test_ufuncs_give_the_dtypes_that_numpys_give() -> None:
    """CuPy takes the first of its loops that the operands fit into: for those of our dtypes that NumPy takes, the
    result is of the same dtype. So the simulated device, which asks NumPy, has CuPy's dtypes."""
    kinds, differ, compared = [np.dtype(c) for c in "?bBhilefd"], [], 0
    for name in sorted({name for name, _, _ in USES}):
        loops, ufunc = offered().get(name), getattr(np, name, None)
        if not isinstance(loops, list) or not isinstance(ufunc, np.ufunc):
            continue
        for operands in itertools.product(kinds, repeat=ufunc.nin):
            try:
                *_, found = ufunc.resolve_dtypes((*operands, *(None,) * ufunc.nout))
            except TypeError:
                continue
            fits = (loop for loop in loops if all(np.can_cast(k, c) for k, c in zip(operands, loop[0], strict=True)))
            given = next(fits, None)
            compared += 1
            if given is None or np.dtype(given[1][-1]) != found:
                differ.append((name, operands, given, found))
    assert compared > 2000 and not differ, differ


def test_the_list_is_that_of_cupy() -> None:
    """With CuPy installed (no GPU is needed), everything that we use and that is listed is there."""
    cupy = pytest.importorskip("cupy", reason="the list is compared with CuPy where it is installed")
    gone = []
    for name in {name for name, _, _ in USES} & offered().keys():
        found: Any = cupy
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is None:
            gone.append(name)
    assert not gone, f"CuPy {cupy.__version__} has no {gone}"

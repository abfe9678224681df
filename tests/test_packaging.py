"""One import name, who may import whom, and what a built wheel holds."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.host("files and imports are the same whatever the device")

ROOT = Path(__file__).resolve().parent.parent
SIBLINGS = ("backends", "benchmarks", "examples", "nn", "optim")
ARRAY_LIBRARIES = {"numpy", "cupy", "cupyx", "numba", "numba_cuda_mlir"}

# Files outside backends/ that may import NumPy, each with the reason why no vocabulary call could take its place.
MAY_IMPORT_NUMPY = {
    "autograd_core/dtypes.py": "names the NumPy type that each of our dtypes is on the host",
    "autograd_core/interop.py": "converts host data (lists, arrays, buffers) to tensors and back",
    "autograd_core/pickling.py": "finds the host memory that tensors share",
    "autograd_core/serialization.py": "safetensors reads and writes host arrays",
    "autograd_core/utils/data/collate.py": "recognises the NumPy samples that a dataset yields",
    "autograd_core/utils/data/worker.py": "seeds NumPy's generator in worker processes",
    "autograd_core/utils/data/readers.py": "parses data files into host arrays",
}
# Files of optim/ that may import nn. None but they may, and optim loads them only when they are asked for, so that
# `import autograd_core.optim` stays light.
MAY_IMPORT_NN = {"optim/swa_utils.py": "an averaged model is a module, and update_bn looks for batch norms"}
# Programs for people rather than library code: they read versions, draw curves and time NumPy beside us.
PROGRAMS = ("autograd_core/cli/", "benchmarks/", "examples/")


def source_files(*folders: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every (line, dotted module) that the code imports, at any depth, `import_module("...")` included.

    `from a import b` gives a and a.b, since b may be a module; a relative import gives its dots.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def violation(path: str, module: str) -> str | None:
    """Why the file at `path` may not import `module`, or None where it may."""
    folder = path.split("/")[0]
    if module.startswith("."):
        return "imports are absolute"
    if module.split(".")[0] in SIBLINGS:
        return f"the package is autograd_core.{module}"
    if within(module, *ARRAY_LIBRARIES) and folder != "backends" and not path.startswith(PROGRAMS):
        if path not in MAY_IMPORT_NUMPY or not within(module, "numpy"):
            return "arrays are touched in backends/ only"
    if not within(module, "autograd_core"):
        return None
    if folder == "backends" and module != "autograd_core" and not within(module, "autograd_core.backends"):
        return "backends/ imports nothing of ours but itself"
    if path in MAY_IMPORT_NN and within(module, "autograd_core.nn"):
        return None
    others = [f"autograd_core.{name}" for name in SIBLINGS if name != folder]
    if folder in ("nn", "optim") and within(module, *others):
        return f"{folder}/ is built from autograd_core only"
    return None


def violations(path: str, source: str) -> list[str]:
    found = ((line, module, violation(path, module)) for line, module in imported(ast.parse(source)))
    return [f"{path}:{line}: imports {module}, but {why}" for line, module, why in found if why]


def test_import_boundaries() -> None:
    broken = [
        line
        for path in source_files("autograd_core", *SIBLINGS)
        for line in violations(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("path", "source", "allowed"),
    [
        ("nn/a.py", "import numpy as np", False),
        ("nn/a.py", "def f():\n    from numpy import linalg", False),
        ("optim/a.py", "import importlib\nnp = importlib.import_module('numpy')", False),
        ("optim/a.py", "from autograd_core import backends", False),
        ("optim/a.py", "import autograd_core.nn.functional", False),
        ("optim/swa_utils.py", "from autograd_core import nn", True),
        ("optim/swa_utils.py", "from autograd_core import backends", False),
        ("nn/a.py", "from autograd_core.backends.cpu import kernels", False),
        ("nn/a.py", "from autograd_core import Tensor\nfrom autograd_core.nn import functional", True),
        ("nn/a.py", "from . import functional", False),
        ("nn/a.py", "import nn", False),
        ("autograd_core/tensor.py", "import numpy", False),
        ("autograd_core/tensor.py", "import numbaz, mynumpy", True),
        ("autograd_core/interop.py", "import numpy as np", True),
        ("autograd_core/interop.py", "import cupy", False),
        ("autograd_core/tensor.py", "from autograd_core.backends import get", True),
        ("backends/cpu/a.py", "import numpy, numba\nfrom autograd_core.backends.base import Backend", True),
        ("backends/cpu/a.py", "from autograd_core import Tensor", False),
        ("backends/cpu/a.py", "from autograd_core.dtypes import float32", False),
        ("examples/a.py", "import numpy", True),
    ],
)
def test_the_import_rules_themselves(path: str, source: str, allowed: bool) -> None:
    assert (violations(path, source) == []) is allowed


@pytest.mark.parametrize("path", sorted(MAY_IMPORT_NUMPY))
def test_each_exception_is_still_needed(path: str) -> None:
    modules = {module for _, module in imported(ast.parse((ROOT / path).read_text(encoding="utf-8")))}
    assert "numpy" in modules, f"{path} imports no NumPy any more: take it off the list"


@pytest.mark.parametrize("path", sorted(MAY_IMPORT_NN))
def test_each_exception_of_optim_is_still_needed(path: str) -> None:
    modules = {module for _, module in imported(ast.parse((ROOT / path).read_text(encoding="utf-8")))}
    assert "autograd_core.nn" in modules, f"{path} imports nn no more: take it off the list"


def run_python(code: str, path: Path, cwd: Path) -> str:
    """What `code` prints in a fresh interpreter that has `path` first on sys.path."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    result = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def packaging_files(target: Path) -> Path:
    """A copy of what a build reads, so that building leaves nothing in the checkout."""
    for folder in ("autograd_core", *SIBLINGS):
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools", minversion="77", reason="building a wheel needs setuptools >= 77")
    source, out = packaging_files(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("dist")
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    result = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session", params=["checkout", "wheel"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import the package from: a bare copy of the checkout, and an unpacked wheel."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "checkout":
        return packaging_files(folder)
    zipfile.ZipFile(request.getfixturevalue("wheel")).extractall(folder)
    return folder


def test_subpackages_import_under_their_one_name(home: Path, tmp_path: Path) -> None:
    # The user's own modules of the same names come first on sys.path, and are left alone.
    for name in SIBLINGS:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
    code = f"""
import importlib, json
names = ["autograd_core." + name for name in {SIBLINGS!r}]
print(json.dumps([importlib.import_module(name).__file__ for name in ["autograd_core", *names]]))
"""
    files = json.loads(run_python(code, home, cwd=tmp_path))
    assert all(Path(file).is_relative_to(home.resolve()) for file in files), files


def test_the_package_does_not_contain_itself(home: Path, tmp_path: Path) -> None:
    code = """
import importlib.util, autograd_core
names = ("autograd_core.autograd_core", "autograd_core.tests", "autograd_core.docs", "autograd_core.nothing")
print([name for name in names if importlib.util.find_spec(name)])
"""
    assert run_python(code, home, cwd=tmp_path).strip() == "[]"


def test_importing_the_package_stays_light(home: Path, tmp_path: Path) -> None:
    code = "import sys, json, autograd_core; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(run_python(code, home, cwd=tmp_path))
    heavy = ("numba", "cupy", "torch", "safetensors", "matplotlib", "sklearn", "rich")
    heavy += tuple(f"autograd_core.{name}" for name in ("nn", "optim", "benchmarks", "examples", "cli"))
    assert [module for module in loaded if within(module, *heavy)] == []


def test_importing_optim_loads_no_nn(home: Path, tmp_path: Path) -> None:
    code = """
import sys, autograd_core.optim as optim
print("autograd_core.nn" in sys.modules, "swa_utils" in dir(optim))
print(optim.swa_utils.AveragedModel.__name__, "autograd_core.nn" in sys.modules)
"""
    assert run_python(code, home, cwd=tmp_path).split() == ["False", "True", "AveragedModel", "True"]


def test_lazy_names_load_and_are_listed(home: Path, tmp_path: Path) -> None:
    code = """
import autograd_core as ag
assert {"nn", "optim", "backends"} <= set(dir(ag)), dir(ag)
print(ag.nn.__name__, ag.optim.__name__, ag.backends.__name__)
try:
    ag.no_such_name
except AttributeError as error:
    print(error)
"""
    out = run_python(code, home, cwd=tmp_path)
    assert out.splitlines()[0] == "autograd_core.nn autograd_core.optim autograd_core.backends"
    assert "no_such_name" in out


@pytest.mark.parametrize("name", SIBLINGS)
def test_a_second_name_is_refused(name: str) -> None:
    code = f"""
try:
    import {name}
except ImportError as error:
    print(error)
"""
    assert f"import autograd_core.{name}, not {name}" in run_python(code, ROOT, cwd=ROOT)


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    ours = {
        path if path.startswith("autograd_core/") else f"autograd_core/{path}"
        for path in source_files("autograd_core", *SIBLINGS)
    }
    packaged = {name for name in names if name.endswith(".py")}
    assert packaged == ours, (
        f"missing: {sorted(ours - packaged)}, unknown: {sorted(packaged - ours)}; see pyproject.toml"
    )
    assert "autograd_core/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_offers_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "autograd-core = autograd_core.cli:main" in archive.read(entry_points).decode()


def test_every_folder_of_modules_is_a_listed_package() -> None:
    folders = {Path(path).parent.as_posix() for path in source_files("autograd_core", *SIBLINGS)}
    packages = {("autograd_core/" + f if f.split("/")[0] in SIBLINGS else f).replace("/", ".") for f in folders}
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages), "add the package to [tool.setuptools] packages in pyproject.toml"
    missing = [folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()]
    assert not missing, f"no __init__.py in {missing}"

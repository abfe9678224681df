"""Ten programs of the kind people write, from one source text under PyTorch and under this library.

Their losses agree step for step. What differs between the libraries is the stream of random numbers, so both draw from
one NumPy generator here: the initial weights, noise, masks and orders are then the same without a word in the programs.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import autograd_core as ag

PROGRAMS = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_"))


def translated(source: str) -> str:
    """The program after `import torch` became `import autograd_core as torch`, in all spellings."""
    source = re.sub(r"^import torch$", "import autograd_core as torch", source, flags=re.M)
    return re.sub(r"^(import|from) torch\b", r"\1 autograd_core", source, flags=re.M)


def load(path: Path, package: str) -> Callable[..., list[float]]:
    """`main` of the program under the given package."""
    source = path.read_text()
    program = ModuleType(f"{path.stem}_under_{package}")
    sys.modules[program.__name__] = program  # Dataclasses look their module up.
    exec(compile(source if package == "torch" else translated(source), str(path), "exec"), program.__dict__)
    return program.main  # type: ignore[no-any-return]


def random_functions(torch: Any) -> dict[tuple[Any, str], Any]:
    """Replacements of the random functions that the programs use, which draw from NumPy."""
    streams = {kind: np.random.default_rng(seed) for seed, kind in enumerate(("normal", "uniform", "int"))}

    def made(array: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> Any:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        dtype = dtype or (torch.get_default_dtype() if tensor.is_floating_point() else tensor.dtype)
        return tensor.to(device or torch.get_default_device(), dtype).requires_grad_(requires_grad)

    def shape(size: tuple[Any, ...]) -> tuple[int, ...]:
        return tuple(size[0]) if size and not isinstance(size[0], int) else size

    def randn(*size: Any, **options: Any) -> Any:
        return made(streams["normal"].standard_normal(shape(size)), **options)

    def rand(*size: Any, **options: Any) -> Any:
        return made(streams["uniform"].random(shape(size)), **options)

    def randint(low: int, high: Any = None, size: Any = None, **options: Any) -> Any:
        if size is None:
            low, high, size = 0, low, high
        return made(streams["int"].integers(low, high, size), **options)

    def randperm(n: int, **options: Any) -> Any:
        # By `n` alone: the samplers of the two libraries do not draw equally often.
        return made(np.random.default_rng(n).permutation(n), device="cpu")

    def like(draw: Any) -> Any:
        return lambda x, **options: draw(*x.shape, **{"dtype": x.dtype, "device": x.device, **options})

    def normal_(self: Any, mean: float = 0, std: float = 1, *, generator: Any = None) -> Any:
        with torch.no_grad():
            return self.copy_(like(randn)(self) * std + mean)

    def uniform_(self: Any, a: float = 0, b: float = 1, *, generator: Any = None) -> Any:
        with torch.no_grad():
            return self.copy_(like(rand)(self) * (b - a) + a)

    def multinomial(probs: Any, num_samples: int, replacement: bool = False, **_: Any) -> Any:
        bounds = probs.detach().cumsum(-1)
        u = rand(*probs.shape[:-1], num_samples, dtype=probs.dtype, device=probs.device)
        return (bounds.unsqueeze(-2) / bounds[..., -1:, None] <= u.unsqueeze(-1)).sum(-1)

    def dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        return x * (like(rand)(x) >= p) / (1 - p) if training and p else x

    functional = import_module(f"{torch.__name__}.nn.functional")
    data = import_module(f"{torch.__name__}.utils.data.dataset")
    return {
        (torch, "randn"): randn,
        (torch, "rand"): rand,
        (torch, "randn_like"): like(randn),
        (torch, "rand_like"): like(rand),
        (torch, "randint"): randint,
        (torch, "randperm"): randperm,
        (data if hasattr(data, "randperm") else torch, "randperm"): randperm,
        (torch, "multinomial"): multinomial,
        (torch.Tensor, "normal_"): normal_,
        (torch.Tensor, "uniform_"): uniform_,
        (functional, "dropout"): dropout,
    }


@contextmanager
def one_source_of_randomness(package: str) -> Iterator[Any]:
    torch = import_module(package)
    # PyTorch's test database, once another test has imported it, forbids switches such as cudnn.benchmark.
    switches = getattr(torch.backends, "__allow_nonbracketed_mutation", nullcontext)
    with pytest.MonkeyPatch.context() as patch, switches():
        for (owner, name), replacement in random_functions(torch).items():
            patch.setattr(owner, name, replacement)
        yield torch


def run(path: Path, package: str, dtype: str, device: str) -> list[float]:
    with one_source_of_randomness(package) as torch:
        before, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
        torch.set_default_dtype(getattr(torch, dtype))
        try:
            return load(path, package)(device)
        finally:
            torch.set_default_dtype(before)
            torch.set_float32_matmul_precision(precision)


@pytest.fixture(autouse=True)
def _switches_as_before() -> Iterator[None]:
    yield
    ag.set_float32_matmul_precision("highest")
    ag.backends.cudnn.benchmark = False


_theirs: dict[tuple[Path, str], list[float]] = {}


def pytorchs(path: Path, dtype: str) -> list[float]:
    if (path, dtype) not in _theirs:
        _theirs[path, dtype] = run(path, "torch", dtype, "cpu")
    return _theirs[path, dtype]


def check(path: Path, dtype: str, device: str) -> None:
    tolerance = {"float32": 2e-4, "float64": 1e-9}[dtype]
    expected = pytorchs(path, dtype)
    got = run(path, "autograd_core", dtype, device)
    assert len(got) == len(expected) >= 10 and all(math.isfinite(value) for value in expected)
    for step, values in enumerate(zip(got, expected)):
        assert values[0] == pytest.approx(values[1], rel=tolerance, abs=tolerance), f"number {step}"


def test_there_are_ten() -> None:
    assert len(PROGRAMS) >= 10


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_losses_equal_pytorchs_step_for_step(path: Path, dtype: str, device: str) -> None:
    pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    check(path, dtype, device)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_with_the_model_on_another_device_than_the_default(path: Path, device: str) -> None:
    """The programs make their data on the host and say `.to(device)`, as one does for a GPU."""
    pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    ag.set_default_device("cpu")
    check(path, "float32", "simulated" if device == "cpu" else device)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_runs_unpatched_and_repeats(path: Path, device: str) -> None:
    """With the library's own random numbers, and no PyTorch: the same seed gives the same losses to the bit."""
    first = load(path, "autograd_core")(device)
    assert all(math.isfinite(value) for value in first)
    assert load(path, "autograd_core")(device) == first

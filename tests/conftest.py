"""Where the suite runs: `pytest --device cpu|cuda`. The device chosen is the default device of every test.

`cuda` is the first GPU where there is one, else the simulated device of `simulated_cuda.py`; the first line of the run
and its last say which. In a run on the CPU the tables of operations also visit the simulated device, as `simulated`. A
test that is about host memory itself is marked `@pytest.mark.host("why")` and skipped elsewhere.

On devices that raise errors of values late (`docs/cuda.md`) the suite has them raised at once.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("AUTOGRAD_CORE_CHECK", "1")

import simulated_cuda

import autograd_core as ag
from autograd_core.backends.cuda import kernels

ag.register_backend("simulated", lambda: simulated_cuda.SimulatedCudaBackend)

HAS_SAFETENSORS = importlib.util.find_spec("safetensors") is not None
TORCH = "2.13."  # The release that the comparisons are with.
SIMULATED = "SIMULATED: no GPU took part, the CUDA backend ran on stand-ins for CuPy's arrays"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        default="cpu",
        choices=("cpu", "simulated", "cuda"),
        help="the default device of all tests (cpu); cuda: a GPU, or where there is none the simulated device",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Infinities and NaNs are results. (pytest takes away the filter that the CPU backend sets.)
    for module in ("autograd_core", "simulated_cuda", "simulated_arrays"):
        config.addinivalue_line("filterwarnings", f"ignore::RuntimeWarning:{module}")
    config.addinivalue_line("markers", "host(reason): needs tensors in host memory; skipped on other devices")
    config.addinivalue_line("markers", "gpu(reason): needs a real GPU; skipped on the simulated device")
    if config.getoption("--device") == "cuda" and not ag.devices.is_available("cuda"):
        simulated_cuda.use_as_cuda()
    if "torch" not in sys.modules and not _torch_version().startswith(TORCH):
        sys.modules["torch"] = None  # type: ignore[assignment]  # Another release's answers are other ones.


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return TORCH


def where_it_runs(config: pytest.Config) -> str:
    """The device in words."""
    chosen = config.getoption("--device")
    if chosen == "cpu":
        return "CPU; the tables of operations also on the simulated CUDA device"
    backend = ag.devices.backend_of(chosen)
    if backend.simulated:
        return f"device {chosen}: {SIMULATED} ({simulated_cuda.real_reason()})"
    return f"device cuda: {backend.describe()}, CuPy {backend.xp.__version__}; {kernels.status(backend)}"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.get_terminal_writer().line(where_it_runs(session.config))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--device") != "cpu":
        terminalreporter.write_line(where_it_runs(config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = config.getoption("--device")
    real = chosen == "cuda" and not ag.devices.backend_of("cuda").simulated
    for item in items:
        for name, skipped, why in (("host", chosen != "cpu", "host memory only"), ("gpu", not real, "needs a GPU")):
            mark = item.get_closest_marker(name)
            if mark is not None and skipped:
                item.add_marker(pytest.mark.skip(reason=f"{why}: {mark.args[0] if mark.args else item.name}"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A machine with a GPU may have little more than NumPy and CuPy: what needs safetensors is then skipped."""
    outcome = yield
    error = outcome.excinfo[1] if outcome.excinfo else None  # type: ignore[attr-defined]
    while error is not None and not HAS_SAFETENSORS:
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "safetensors":
            outcome.force_exception(pytest.skip.Exception("checkpoints need safetensors", _use_item_location=True))  # type: ignore[attr-defined]
        error = error.__cause__ or error.__context__


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device that the run was asked for."""
    return str(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def simulated(device: str) -> bool:
    """Whether the run is on the simulated device, which is slow."""
    return device != "cpu" and getattr(ag.devices.backend_of(device), "simulated", True)


@pytest.fixture
def cuda_backend(device: str) -> Iterator[Any]:
    """A GPU or the simulated device, which is then the default one; its checks of values raise late."""
    where = "cuda" if device == "cuda" else "simulated"
    found = ag.devices.backend_of(where)
    before, found.checks.immediate = found.checks.immediate, False
    found.checks.clear()  # A full table is read when one more check comes, which some tests would take for a wait.
    ag.set_default_device(where)
    yield found
    found.checks.immediate = before
    found.checks.pending = False


@pytest.fixture(autouse=True)
def _on_device(device: str) -> Iterator[None]:
    """Every test starts with the chosen default device, float32 and gradients on, and leaves them so."""
    ag.set_default_device(device)
    ag.set_default_dtype(ag.float32)
    yield
    ag.set_default_device(device)
    ag.set_default_dtype(ag.float32)
    assert ag.is_grad_enabled(), "the test left gradients off"

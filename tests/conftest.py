"""Where the suite runs: `pytest --device cpu|strict|cuda`. The device chosen is the default device of every test.

`strict` is the backend of `strict_backend.py`, whose arrays refuse to mix with NumPy's. A test that is about host memory
itself is marked `@pytest.mark.host("why")` and skipped elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from strict_backend import StrictBackend

import autograd_core as ag

ag.register_backend("strict", lambda: StrictBackend)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", choices=("cpu", "strict", "cuda"), help="the default device of all tests (cpu)"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Infinities and NaNs are results. (pytest takes away the filter that the CPU backend sets.)
    for module in ("autograd_core", "strict_backend"):
        config.addinivalue_line("filterwarnings", f"ignore::RuntimeWarning:{module}")
    config.addinivalue_line("markers", "host(reason): needs tensors in host memory; skipped on other devices")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = config.getoption("--device")
    if chosen == "cuda" and not ag.devices.is_available("cuda"):
        reason = f"--device cuda: {ag.devices._kinds['cuda']().unavailable_reason()}"
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))
    for item in items:
        mark = item.get_closest_marker("host")
        if mark is not None and chosen != "cpu":
            item.add_marker(pytest.mark.skip(reason=f"host memory only: {mark.args[0] if mark.args else item.name}"))


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device that the run was asked for."""
    return str(request.config.getoption("--device"))


@pytest.fixture(autouse=True)
def _on_device(device: str) -> Iterator[None]:
    """Every test starts with the chosen default device, float32 and gradients on, and leaves them so."""
    if device == "cuda" and not ag.devices.is_available("cuda"):
        yield
        return
    ag.set_default_device(device)
    ag.set_default_dtype(ag.float32)
    yield
    ag.set_default_device(device)
    ag.set_default_dtype(ag.float32)
    assert ag.is_grad_enabled(), "the test left gradients off"

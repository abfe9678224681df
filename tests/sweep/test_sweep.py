"""Every name of the scope against PyTorch, on the CPU and on the simulated CUDA device: a seeded sample; marked slow, all of it.

One name: `python -m pytest tests/sweep -k gather`, or with more detail `python tests/sweep/run.py gather`.
"""

from __future__ import annotations

import pytest
from sweep_scope import Name, read_scope, read_unfinished

torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
pytest.importorskip("expecttest", reason="PyTorch's samples need expecttest")

from sweep_names import sweep  # noqa: E402
from sweep_report import SAMPLED, WHOLE, Effort  # noqa: E402

SCOPE = read_scope()
UNFINISHED = read_unfinished()
names = pytest.mark.parametrize("name", SCOPE, ids=[f"{name.tier}-{name.title}" for name in SCOPE])


def _run(name: Name, effort: Effort, chosen: str) -> None:
    devices = ("cuda",) if chosen == "cuda" else ("cpu", "simulated")
    report = sweep(name, devices, effort)
    if report.missing:
        pytest.skip(f"{name.title} is not there yet")
    if report.failed and name.title in UNFINISHED:
        pytest.xfail(report.text(1))
    assert not report.failed, report.text(6)
    assert effort is SAMPLED or name.title not in UNFINISHED, f"{name.title} is complete: take it out of unfinished.txt"
    assert report.passed, f"{name.title}: nothing was compared"


@pytest.mark.filterwarnings("ignore")
@names
def test_sampled(name: Name, device: str) -> None:
    _run(name, SAMPLED, device)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@names
def test_whole(name: Name, device: str) -> None:
    _run(name, WHOLE, device)

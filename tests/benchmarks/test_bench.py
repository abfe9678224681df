"""The benchmarks run and report what they should; how long things take is never judged here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.benchmarks import depth, harness, mlp, overhead, thread_pools
from autograd_core.benchmarks.workloads import WORKLOADS
from autograd_core.cli import main

ALL = [workload for group in WORKLOADS.values() for workload in group]
QUICK = {"rounds": 2, "block": 1e-4, "warmup": 0.0}

pytestmark = pytest.mark.host("workloads are made from host arrays")


@pytest.mark.parametrize("workload", ALL, ids=[workload.name for workload in ALL])
def test_every_workload_runs_alone(workload: harness.Workload) -> None:
    result = harness.measure(workload, **QUICK)
    assert result.ours > 0 and result.peer is None and result.ratio is None
    assert workload.name in harness.line(result)


@pytest.mark.parametrize("workload", ALL, ids=[workload.name for workload in ALL])
def test_every_workload_runs_beside_pytorch(workload: harness.Workload) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    result = harness.measure(workload, torch, **QUICK)
    assert result.ours > 0 and result.peer and result.ratio and result.low <= result.ratio <= result.high
    if workload.unit == "step":
        assert result.loss_difference < 1e-4, "the two libraries did not learn the same"


def test_the_chain_and_the_mix_have_the_gradients_they_should() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    for build in (overhead.chain, overhead.mix, *(overhead.alone(f) for f in overhead.OPERATIONS.values())):
        gradients = []
        for lib in (ag, torch):
            leaves = []
            from_numpy = lib.from_numpy
            try:
                lib.from_numpy = lambda array, f=from_numpy, kept=leaves: kept.append(f(array)) or kept[-1]
                step = build(lib)
            finally:
                lib.from_numpy = from_numpy
            step()
            gradients.append([leaf.grad.numpy() for leaf in leaves if leaf.grad is not None])
        assert len(gradients[0]) == len(gradients[1]) > 0
        for ours, theirs in zip(*gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)


def test_losses_are_compared_after_the_same_number_of_steps() -> None:
    class Counter:
        """A library whose n-th step has the loss n."""

        def __init__(self) -> None:
            self.n = 0

        def step(self) -> ag.Tensor:
            self.n += 1
            return ag.tensor(float(self.n))

    built = []

    def build(lib: object) -> harness.Step:
        built.append(Counter())
        return built[-1].step

    result = harness.measure(harness.Workload("count", build), peer=object(), **QUICK)
    assert built[0].n == built[1].n and result.loss_difference == 0


def test_depth_frees_what_it_built(capsys: pytest.CaptureFixture[str]) -> None:
    rows = depth.report(short=1_000, long=20_000)
    assert [row["length"] for row in rows] == [1_000, 20_000]
    assert "20,000" in capsys.readouterr().out


def test_thread_pools_without_pytorch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_child = thread_pools.run_child
    monkeypatch.setattr(thread_pools, "run_child", lambda names: run_child(names, turns=1, seconds=0.01))
    rows = thread_pools.report(with_torch=False, processes=1)
    assert [row["imports"] for row in rows] == ["autograd-core alone"] and rows[0]["autograd_core"] > 0
    assert "autograd-core alone" in capsys.readouterr().out


def test_thread_pools_report_ratios(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    milliseconds = {"autograd_core": 3.0, "torch": 2.0}
    monkeypatch.setattr(
        thread_pools, "run_child", lambda names: {name: milliseconds[name] * len(names) for name in names}
    )
    rows = thread_pools.report(with_torch=True, processes=2)
    assert rows[3] == {"imports": "PyTorch imported after", "autograd_core": 6.0, "torch": 4.0}
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last == ["PyTorch", "imported", "after", "6.00", "4.00", "3.00", "+100%"]


def test_a_child_that_fails_is_reported() -> None:
    with pytest.raises(RuntimeError, match="no_such_library failed"):
        thread_pools.run_child(["no_such_library"])


def test_the_mlp_imports_nothing_of_ours() -> None:
    assert mlp.__file__ is not None
    assert "autograd_core" not in Path(mlp.__file__).read_text(encoding="utf-8").split('"""')[2]


def test_the_command_leaves_a_missing_peer_blank(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    measure = harness.measure
    monkeypatch.setattr(harness, "measure", lambda workload, peer, rounds: measure(workload, peer, **QUICK))
    target = tmp_path / "bench.json"
    assert main(["bench", "overhead", "mlp-small", "--peer", "torch", "--json", str(target)]) == 0
    out = capsys.readouterr().out
    assert "PyTorch is not installed: its columns stay blank" in out
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["peer_version"] is None
    assert [result["name"] for result in report["results"]] == [
        w.name for w in WORKLOADS["overhead"] + WORKLOADS["mlp-small"]
    ]
    assert all(result["ratio"] is None and result["ours"] > 0 for result in report["results"])

"""The benchmarks run and report what they should; how long things take is never judged here."""

import contextlib
import copy
import importlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.benchmarks import (
    child,
    depth,
    harness,
    kit,
    overhead,
    report,
    roofline,
    sides,
    thread_pools,
    workloads,
)
from autograd_core.benchmarks.workloads import WORKLOADS, Workload
from autograd_core.cli import bench, main

ALL = [workload for group in WORKLOADS.values() for workload in group if workload.task == "serve"]
# One of each source text and of each choice of network or operation.
CHOICES = ("network", "operation", "name")
EACH = list({(w.file, w.function, *map(w.tiny.get, CHOICES)): w for w in reversed(ALL)}.values())
MODELS = [w for w in EACH if w.file != "operations"]  # The tables of operations cover those on every device.
QUICK = {"rounds": 2, "block": 1e-4, "warmup": 0.0, "rest": 0.0}

pytestmark = pytest.mark.host("workloads are made from host arrays")


@pytest.mark.parametrize("workload", EACH, ids=[workload.name for workload in EACH])
def test_every_workload_runs_and_computes_what_pytorch_computes(workload: Workload) -> None:
    torch = importlib.import_module("torch") if sides.installed("torch") else None
    peer = None if torch is None else sides.local(workload, torch)
    result = harness.measure(workload, sides.local(workload), peer, **QUICK)
    assert 0 < result.ours_low <= result.ours <= result.ours_high
    assert workload.name in report.line(result.as_dict())
    if peer is None:
        assert result.peer is None and result.ratio is None and result.loss_difference is None
        return
    assert result.peer and result.ratio and result.low <= result.ratio <= result.high
    if workload.file != "overhead":
        assert result.loss_difference is not None and result.loss_difference < 1e-3


@pytest.mark.parametrize("workload", MODELS, ids=[workload.name for workload in MODELS])
def test_every_workload_runs_on_another_device(workload: Workload) -> None:
    numbers = []
    for device in ("cpu", "simulated"):
        runner = sides.local(workload, device=device)
        runner.run(3)
        numbers.append(runner.finish(3, True)["number"])
    assert (numbers[0] is None) == (workload.file == "overhead")
    assert numbers[1] == (None if numbers[0] is None else pytest.approx(numbers[0], rel=1e-4))


def test_every_variant_of_the_peer_computes_the_same() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    for group in ("lenet", "gpt", "adam", "conv"):
        workload, numbers = WORKLOADS[group][0], []
        for options in workload.variants:
            spec = {"file": workload.file, "function": workload.function, "sizes": workload.tiny, "device": "cpu"}
            numbers.append(child.Runner(torch, spec | {"options": options}, kit).finish(3)["number"])
        assert len(numbers) > 1 and numbers == pytest.approx([numbers[0]] * len(numbers), rel=1e-3)


@pytest.mark.parametrize("group", ["mlp-small", "lenet", "gpt", "elementwise", "inference"])
def test_compiled_steps_compute_the_same(group: str) -> None:
    workload = WORKLOADS[group][0]
    spec = {"file": workload.file, "function": workload.function, "sizes": workload.tiny, "device": "cpu"}
    numbers = []
    for options in ({}, {"compiled": True}):
        runner = child.Runner(ag, spec | {"options": options}, kit)
        runner.run(6)
        numbers.append(runner.finish(6)["number"])
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4)


def test_the_chain_and_the_mix_have_the_gradients_they_should() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    for workload in WORKLOADS["overhead"]:
        gradients = []
        for lib in (ag, torch):
            leaves: list[Any] = []
            from_numpy = lib.from_numpy
            try:
                lib.from_numpy = lambda array, f=from_numpy, kept=leaves: kept.append(f(array)) or kept[-1]
                step = getattr(overhead, workload.function)(lib, kit.Kit(lib), **workload.sizes)
            finally:
                lib.from_numpy = from_numpy
            step()
            gradients.append([leaf.grad.numpy() for leaf in leaves if leaf.grad is not None])
        assert len(gradients[0]) == len(gradients[1]) > 0
        for ours, theirs in zip(*gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)


class Counter:
    """A side whose n-th step has the loss n and takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.n, self.seconds = 0, seconds

    def warm_up(self, seconds: float) -> float:
        return self.run(2) / 2

    def run(self, count: int, untimed: int = 0) -> float:
        self.n += count + untimed
        return self.seconds * count

    def finish(self, steps: int, count: bool = False) -> dict[str, Any]:
        self.n = max(self.n, steps)
        return {
            "number": float(self.n),
            "first": 1.0,
            "memory": 7,
            "whole": 9,
            "steps": self.n,
            "flops": 60.0,
            "bytes": None,
        }


def test_losses_are_compared_after_the_same_number_of_steps() -> None:
    ours, peer = Counter(0.001), Counter(0.004)
    workload = Workload("count", "", "", units=2, unit="op")
    result = harness.measure(workload, ours, peer, rounds=5, rest=0.0)
    assert ours.n == peer.n and result.loss_difference == 0
    assert (result.ours, result.peer, result.ratio) == pytest.approx((500, 2000, 0.25))
    assert (result.low, result.high, result.flops, result.bytes) == pytest.approx((0.25, 0.25, 30, None))


def test_a_long_step_gets_fewer_rounds() -> None:
    assert harness.measure(Workload("long", "", ""), Counter(4.0), rounds=25).rounds == 5


def test_the_work_of_models_is_counted() -> None:
    def flops(group: str, **sizes: Any) -> Any:
        workload = WORKLOADS[group][0]
        spec = {"file": workload.file, "function": workload.function, "sizes": sizes, "device": "cpu"}
        return child.Runner(ag, spec, kit).finish(1, True)["flops"]

    assert flops("mlp", batch=3, hidden=5) == 3 * 2 * 3 * (784 * 5 + 5 * 5 + 5 * 10)
    convolutions = 6 * 28 * 28 * 25 + 16 * 10 * 10 * 6 * 25
    assert flops("lenet", batch=2) == 3 * 2 * 2 * (convolutions + 400 * 120 + 120 * 84 + 84 * 10)
    assert flops("lstm", batch=2, length=3, width=8) == 3 * 2 * 6 * (4 * 8 * (8 + 8) + 8 * 65)
    attention = 2 * 2 * 2 * 8 * 8 * 16
    assert flops("gpt", batch=2, layers=1, width=16, block=8) == 3 * (
        2 * 16 * (16 * 48 + 16 * 16 + 2 * 16 * 64 + 16 * 65) + attention
    )
    assert flops("conv", batch=1, inside=2, outside=3, image=6, kernel=3, stride=2) == 3 * 2 * 3 * 9 * 18


def test_a_sweep_makes_the_batches_that_it_names() -> None:
    for group, batches in workloads.SWEPT.items():
        swept = workloads.sweep(group)
        assert [w.size for w in swept] == list(batches) and len({w.name for w in swept}) == len(swept)
        least = swept[0]
        spec = {"file": least.file, "function": least.function, "device": "cpu"}
        counts = []
        for batch in batches[:2]:
            runner = child.Runner(ag, spec | {"sizes": least.tiny | {"batch": batch}}, kit)
            runner.run(1)
            counts.append(runner.finish(1, True)["flops"])
        assert counts[1] == pytest.approx(counts[0] * batches[1] / batches[0])


def test_workloads_import_nothing_of_ours() -> None:
    folder = Path(str(kit.__file__)).parent
    for name in {"kit", "child", "in_jax", *(w.file for w in ALL)}:
        assert "autograd_core" not in (folder / f"{name}.py").read_text(encoding="utf-8").split('"""', 2)[2], name


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


# -- processes --------------------------------------------------------------------------------------------


def test_a_process_of_its_own_computes_the_same_and_tells_its_memory() -> None:
    workload = WORKLOADS["mlp"][0]
    with sides.open_side(workload, "autograd_core", "cpu", 1, {}, {}, tiny=True) as side:
        side.warm_up(0.0)
        assert side.run(2, 1) > 0
        end = side.finish(10)
    here = sides.local(workload)
    here.run(10)
    assert end["steps"] == 10 and end["number"] == pytest.approx(here.finish(10)["number"], rel=1e-4)
    if sys.platform.startswith("linux"):
        # Weights, their gradients and one step's draws at least; not the interpreter with all that it imported.
        weights = 4 * (784 * 512 + 512 * 512)
        assert 2 * weights < end["memory"] < 400e6 and end["memory"] + 30e6 < end["whole"] < 1e9


def test_a_process_tells_that_its_library_is_missing() -> None:
    spec = sides.specification(WORKLOADS["mlp"][0], "torch", "cpu", 1, {}, True) | {"library": "no_such_library"}
    with pytest.raises(sides.Missing, match="No module named 'no_such_library'"):
        sides.Remote(spec, {})


def _compare_with_jax(name: str) -> None:
    pytest.importorskip("jax", reason="comparisons with JAX need jax")
    workload = WORKLOADS[name][0]
    ours = sides.local(workload)
    ours.run(3)
    with sides.open_side(workload, "jax", "cpu", 1, {}, {}, tiny=True) as side:
        assert side.finish(3)["number"] == pytest.approx(ours.finish(3)["number"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "resnet", "lstm", "gpt"])
def test_what_jax_trains_is_the_same_network(name: str) -> None:
    _compare_with_jax(name)


def test_a_workload_that_jax_has_not_is_missing_and_the_others_compute_the_same() -> None:
    for name in ("mlp", "mlp-small", "elementwise", "softmax", "layernorm", "conv", "matmul"):
        _compare_with_jax(name)
    with pytest.raises(sides.Missing, match="in_jax.py has no adam"):
        sides.open_side(WORKLOADS["adam"][0], "jax", "cpu", 1, {}, {}, tiny=True)


def test_a_process_that_fails_tells_why() -> None:
    spec = sides.specification(WORKLOADS["mlp"][0], "autograd_core", "cpu", 1, {"no_such_option": 1}, True)
    with pytest.raises(RuntimeError, match="no_such_option"):
        sides.Remote(spec, {})


def test_imports_and_first_steps_are_timed_in_fresh_processes(tmp_path: Path) -> None:
    imports, first = WORKLOADS["import"][1], WORKLOADS["first-step"][1]
    for workload in (imports, first):
        with sides.open_side(workload, "autograd_core", "cpu", 1, {}, {}, tiny=True) as side:
            assert 0 < side.run(1) < 100 and side.finish(1)["steps"] == 1


@pytest.mark.parametrize(
    ("variable", "asked", "count", "heading"),
    [
        ("1", None, 1, "1 thread each (OMP_NUM_THREADS); "),
        ("1", 2, 2, "2 threads each; "),
    ],
)
def test_the_heading_says_how_many_threads_the_sides_use(
    variable: str, asked: int | None, count: int, heading: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    """The sides are asked; a BLAS has its number from the environment."""
    before = ag.get_num_threads()
    if count > before:
        count, heading = before, f"{before} thread{'s' * (before != 1)} each"
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr(bench, "_ceilings", lambda *_: {"flops": 1e9, "bytes": 2e9})
    seen: list[dict[str, Any]] = []
    opened = sides.open_side

    def watched(workload: Workload, library: str, *rest: Any) -> Any:
        side = opened(workload, library, *rest)
        seen.append({"threads": side.first["threads"], "environment": rest[3]})  # type: ignore[attr-defined]
        return side

    monkeypatch.setattr(sides, "open_side", watched)
    command = ["bench", "mlp-small", "--tiny", "--rounds", "2", "--peer", "none", "--json", str(tmp_path / "a.json")]
    assert main([*command, *([] if asked is None else ["--threads", str(asked)])]) == 0
    assert heading in capsys.readouterr().out.splitlines()[0]
    assert json.loads((tmp_path / "a.json").read_text())["thread_count"] == count
    assert seen and all(side["threads"] == count for side in seen)
    for side in seen:
        assert set(side["environment"].values()) == {str(count)} and "OMP_NUM_THREADS" in side["environment"]
    assert ag.get_num_threads() == before


# -- the command and its files ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a tiny run without its peer wrote and printed."""
    folder, printed = tmp_path_factory.mktemp("bench"), io.StringIO()
    command = ["bench", "mlp-small", "softmax", "--tiny", "--rounds", "2", "--json", str(folder / "bench.json")]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setitem(sys.modules, "torch", None)  # importing it fails
        patch.setattr(bench, "_ceilings", lambda *_: {"flops": 1e9, "bytes": 2e9})
        assert main([*command, "--out", str(folder / "out")]) == 0
    (out,) = (folder / "out").iterdir()
    report = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
    return {"report": report, "printed": printed.getvalue(), "folder": out}


@pytest.fixture
def written(tiny_run: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(tiny_run)


def test_the_command_leaves_a_missing_peer_blank(written: dict[str, Any]) -> None:
    assert "PyTorch is not installed: its columns stay blank" in written["printed"]
    run = written["report"]
    assert run["peers"] == {"torch": None} and run["tiny"] is run["complete"] is True and run["format"] == 2
    assert [result["name"] for result in run["results"]] == [
        w.name for g in ("mlp-small", "softmax") for w in WORKLOADS[g]
    ]
    for result in run["results"]:
        assert result["beside"] == "torch" and result["device"] == "cpu" and result["ours"] > 0
        assert all(result[key] is None for key in ("peer", "ratio", "low", "high", "peer_memory", "loss_difference"))
    assert set(run["results"][0]) == set(harness.Result.__dataclass_fields__)

    folder = written["folder"]
    assert folder.name.startswith("cpu-") and folder.name.endswith(run["date"][:16].replace(":", "-").lower())
    assert json.loads((folder / "results.json").read_text(encoding="utf-8")) == run
    table = (folder / "table.md").read_text(encoding="utf-8")
    row = next(row for row in table.splitlines() if row.startswith("| softmax 768 x 65 |"))
    assert row.split("|")[3].strip() == "" and row.split("|")[4].strip() == "", (
        "a peer that was not there has no number"
    )


def test_two_runs_are_compared(written: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written["folder"]
    later = json.loads(json.dumps(written["report"]))
    slower, alone = later["results"][0], later["results"].pop()
    for key in ("ours", "ours_low", "ours_high"):
        slower[key] = 2 * written["report"]["results"][0]["ours_high"]
    (tmp_path / "later.json").write_text(json.dumps(later), encoding="utf-8")
    assert main(["bench", "--compare", str(folder), str(tmp_path / "later.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(slower["name"]) and lines[1].endswith("slower")
    assert lines[2].startswith("softmax 768 x 65") and " 1.00 " in lines[2] and lines[2].endswith("torch")
    assert lines[3].split("only in A")[0].strip() == alone["name"]


def test_a_peer_that_fails_leaves_blanks_and_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sides, "installed", lambda peer: "1.0")
    monkeypatch.setattr(bench, "_ceilings", lambda *_: {"flops": 1e9, "bytes": 2e9})
    open_side, opened = sides.open_side, []

    def failing(workload: Workload, library: str, *rest: Any, **more: Any) -> Any:
        opened.append(library)
        if library == "jax":
            raise sides.Missing("ImportError: it is broken")
        return open_side(workload, library, *rest, **more)

    monkeypatch.setattr(sides, "open_side", failing)
    monkeypatch.setitem(WORKLOADS, "import", WORKLOADS["import"][:1])
    path = tmp_path / "a.json"
    assert main(["bench", "import", "--peer", "jax", "--tiny", "--rounds", "2", "--json", str(path)]) == 0
    assert "jax does not run import on cpu: ImportError: it is broken" in capsys.readouterr().out
    rows = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert opened == ["jax", "autograd_core"]
    assert all(row["peer"] is None and row["ratio"] is None and row["ours"] > 0 for row in rows)


def test_what_was_measured_before_an_error_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def measure(shown: Any, workload: Workload, *rest: Any) -> harness.Result:
        if "cached" in workload.name:
            raise KeyboardInterrupt
        return harness.Result(workload.name, workload.unit, 1.0)

    monkeypatch.setattr(bench, "_measure", measure)
    monkeypatch.setattr(bench, "_ceilings", lambda *_: {"flops": 1e9, "bytes": 2e9})
    command = ["bench", "import", "first-step", "--json", str(tmp_path / "a.json"), "--out", str(tmp_path)]
    assert main(command) == 130
    run = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert run["complete"] is False
    assert [row["name"] for row in run["results"]] == ["import", "import beyond NumPy's", "first step of mlp, cold"]
    (table,) = tmp_path.glob("*/table.md")
    assert "The run was broken off" in table.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"), [("[1]", "is no report"), ("nothing", "is no JSON file"), (None, "No such file")]
)
def test_what_is_no_report_is_not_compared(
    content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["bench", "--compare", str(path), str(path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peer", "theano"], "unknown peer 'theano'"),
        (["--device", "abacus"], "--device abacus"),
        (["--plot", __file__], "is not a folder"),
        (["--out", __file__], "is not a folder"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "--plot" in arguments:
        pytest.importorskip("matplotlib", reason="plots need matplotlib")
    assert main(["bench", "mlp", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_pictures_and_crossover(written: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    assert report.plot(written["report"], tmp_path / "a") == [tmp_path / "a" / "curve-softmax.png"]
    run = written["report"]
    for row in run["results"]:
        row.update(ratio=0.5, low=0.4, high=0.7, peer=2 * row["ours"])
    faster = [
        row | {"device": "cuda:0", "ours": row["ours"] / 2, "beside": None, "ratio": None} for row in run["results"]
    ]
    names = [path.name for path in report.plot(run | {"results": run["results"] + faster}, tmp_path / "b")]
    assert names == ["ratio-cpu-torch.png", "curve-softmax.png"]
    assert all((tmp_path / "b" / name).stat().st_size > 1000 for name in names)

    cpu, cuda = [(1.0, 1.0), (10.0, 10.0), (100.0, 100.0)], [(1.0, 10.0), (10.0, 10.0), (100.0, 10.0)]
    assert report.crossover(cpu, cuda) == pytest.approx(10.0)
    assert report.crossover(cpu, [(1.0, 10.0), (100.0, 10.0)]) == pytest.approx(10.0)
    assert report.crossover(cuda, cpu) is None


def test_ceilings_are_measured() -> None:
    found = roofline.ceilings("cpu", min(2, os.cpu_count() or 1), size=32, megabytes=1, seconds=0.0)
    assert found["flops"] > 0 and found["bytes"] > 0
    row = harness.Result("a", "op", 2.0, flops=1000.0, bytes=4000.0).as_dict()
    assert report.line(row, {"flops": 1e9, "bytes": 4e9}).split()[-4:] == ["0.5", "50%", "2.0", "50%"]

"""Each experiment in its quick form: does it find what the literature found, in direction and in size?"""

import json
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import experiments
from autograd_core.cli import main

ROOT = Path(__file__).resolve().parent.parent.parent


def run_quick(name: str, folder: Path, *more: str) -> dict[str, Any]:
    """The result that the command writes; where matplotlib is there, the pictures are looked at too."""
    device = str(ag.get_default_device())
    assert main(["experiment", name, "--quick", "--device", device, "--out", str(folder), *more]) == 0
    report = json.loads((folder / "result.json").read_text())
    assert report["experiment"] == name and report["quick"] is True and report["seed"] == 0
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return report["result"]
    pictures = [path for path in folder.iterdir() if path.suffix in (".png", ".gif")]
    assert pictures and all(path.read_bytes()[:4] in (b"\x89PNG", b"GIF8") for path in pictures)
    return report["result"]


def test_every_experiment_has_a_row_in_the_documents_and_a_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "--list"]) == 0
    listed = capsys.readouterr().out
    documented = (ROOT / "docs" / "experiments.md").read_text()
    for name in experiments.NAMES:
        assert experiments.load(name).TITLE in listed
        assert f"`{name}`" in documented and f"autograd-core experiment {name}" in documented


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment"]) == 2
    assert "which one? backprop-equations" in capsys.readouterr().err
    assert main(["experiment", "none"]) == 2
    (tmp_path / "file").write_text("")
    assert main(["experiment", "backprop-equations", "--out", str(tmp_path / "file")]) == 1
    assert "cannot make the folder" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown experiment 'none': expected one of backprop"):
        experiments.load("none")


def test_without_matplotlib_the_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert main(["experiment", "backprop-equations", "--quick", "--out", str(tmp_path)]) == 0
    assert "no picture (pip install matplotlib" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_backprop_equations(tmp_path: Path) -> None:
    result = run_quick("backprop-equations", tmp_path)
    assert set(result["greatest_gap"]) == {"BP1", "BP2", "BP3", "BP4"}
    assert all(gap < 1e-12 for gap in result["greatest_gap"].values())
    assert list(result["counts"].values()) == [301, 1_001_000, 6]
    assert len(result["pairs"]) == 301 and len({by_hand for by_hand, _ in result["pairs"]}) > 300


def test_a_wrong_equation_of_backpropagation_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd_core.experiments import backprop_equations

    monkeypatch.setattr(ag, "outer", lambda delta, a: (delta[:, None] * a[None]) * 1.001)
    gaps = {name: (a - b).abs().max() / b.abs().max() for name, a, b in backprop_equations.equations()}
    assert gaps["BP4"].item() > 5e-4 and gaps["BP3"].item() < 1e-12

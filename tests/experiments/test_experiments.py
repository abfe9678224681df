"""Each experiment in its quick form: does it find what the literature found, in direction and in size?"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
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


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten noisy patterns of 28 x 28 pixels in MNIST's format: 1000 to learn from, 300 to test on."""
    folder = tmp_path_factory.mktemp("digits")
    rng = np.random.default_rng(0)
    patterns = rng.random((10, 28, 28)) < 0.19  # MNIST's share of ink
    for prefix, count in (("train", 1000), ("t10k", 300)):
        labels = rng.integers(0, 10, count)
        flipped = rng.random((count, 28, 28)) < 0.1
        for name, array in (("images-idx3", (patterns[labels] ^ flipped) * 255), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{prefix}-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


def test_initialisation(tmp_path: Path, digits: Path) -> None:
    from autograd_core.experiments.initialisation import growth

    result = run_quick("initialisation", tmp_path, "--data", str(digits))
    rows = {(row["initialisation"], row["activation"]): row for row in result["variances"]}

    def factors(*key: str) -> tuple[float, float]:
        return growth(rows[key], "forward"), growth(rows[key], "backward")

    for initialisation in ("LeCun normal", "Glorot normal", "Glorot uniform"):
        assert factors(initialisation, "linear") == pytest.approx((1, 1), abs=0.1)
        assert factors(initialisation, "ReLU") == pytest.approx((0.5, 0.5), abs=0.12)  # half is cut off
    assert factors("He normal", "ReLU") == pytest.approx((1, 1), abs=0.15)
    assert factors("unit normal", "linear") == pytest.approx((128, 128), rel=0.1)  # the width
    assert factors("LeCun normal", "SELU")[0] == pytest.approx(1, abs=0.05)
    assert factors("Glorot uniform", "sigmoid")[1] == pytest.approx(1 / 16, abs=0.015)  # its slope at 0, squared
    first, *_, last = result["saturation"]["history"]
    assert first["mean"] == pytest.approx([0.5] * 4, abs=0.03)
    assert last["mean"][:3] == pytest.approx([0.5] * 3, abs=0.03) and last["mean"][3] < 0.475  # only the top one falls


def test_an_experiment_on_mnist_without_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "initialisation", "--quick", "--out", str(tmp_path), "--data", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"reads MNIST from --data FOLDER (now {tmp_path})" in said and "download=True" not in said
    assert "`autograd-core train mnist --download` fetches it into data/mnist" in said


def test_the_list_says_which_data_each_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "--list"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[: len(experiments.NAMES)])
    for name in experiments.NAMES:
        module = experiments.load(name)
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        data = "mnist" if "mnist_images(" in source else "tinyshakespeare" if "read(settings)" in source else "-"
        assert rows[name].split(maxsplit=1) == [data, module.TITLE]


def test_optimizers(tmp_path: Path) -> None:
    result = run_quick("optimizers", tmp_path)
    rows = {(row["surface"], row["optimizer"]): row for row in result["runs"]}
    valley = {optimizer: row["steps"] or 999 for (surface, optimizer), row in rows.items() if surface == "long valley"}
    assert (
        valley["momentum"] * 2.5 < valley["gradient descent"] and valley["RMSprop"] * 2.5 < valley["gradient descent"]
    )
    assert rows["saddle", "Adadelta"]["steps"] is None  # starts with tiny steps, whatever the rate
    path = rows["saddle", "momentum"]["path"]
    assert (
        path[0][1] == 0.001 and path[-1][1] == pytest.approx(1, abs=0.02) and rows["saddle", "momentum"]["steps"] < 40
    )


def test_universality(tmp_path: Path) -> None:
    result = run_quick("universality", tmp_path)
    built = {row["units"]: row["greatest"] for row in result["rows"] if row["how"] == "built"}
    for units in (40, 80):
        assert built[2 * units] == pytest.approx(built[units] / 2, rel=0.1)  # twice the units, half the error
    trained = {row["units"]: row["mean"] for row in result["rows"] if row["how"] == "trained"}
    assert trained[32] < trained[2] / 2
    ends = [result["curve"][0], result["curve"][-1]]
    assert ends == pytest.approx([0.25, 0.6 + 0.3 * math.sin(15) + 0.05 * math.cos(50)])


def test_parity(tmp_path: Path) -> None:
    result = run_quick("parity", tmp_path)
    for row in result["built"]:
        n = row["bits"]
        units = {"and-or": 2 ** (n - 1), "one layer": n, "folding": 2 * int(math.log2(n))}
        for kind, count in units.items():
            assert row[kind] == {"units": count, "checked": 2**n, "greatest_error": 0.0}
    share = {tuple(row["hidden"]): row["accuracy"] for row in result["trained"]}
    assert share[(1,)] < 0.8 and share[(8, 8)] == share[(16,)] == 1.0


def test_a_parity_network_one_unit_short_is_wrong() -> None:
    from autograd_core.experiments import parity

    network, patterns = parity.comb(8), parity.all_patterns(8)
    with ag.no_grad():
        network[0].weight[-1] = 0.0
        assert (network(patterns)[:, 0] - parity.odd(patterns)).abs().max().item() >= 1


def test_unstable_gradients(tmp_path: Path, digits: Path) -> None:
    result = run_quick("unstable-gradients", tmp_path, "--data", str(digits))
    speeds = {row["hidden"]: [middle for _, middle, _ in row["spread"]] for row in result["speeds"]}
    for hidden in (2, 3, 4):
        assert len(speeds[hidden]) == hidden
        for earlier, later in zip(speeds[hidden], speeds[hidden][1:]):
            assert 2.5 < later / earlier < 10  # Nielsen's own factors are 3.5 to 5.7
    assert speeds[1][0] / speeds[4][0] > 50
    exploding = result["chains"]["exploding recipe"]
    assert exploding == pytest.approx([25.0**3 / 4, 25.0**2 / 4, 25 / 4, 1 / 4], rel=1e-6)  # w sigma'(0) = 25
    assert result["factors"]["share below 1/4"] > 0.75
    cures = {row["name"]: row for row in result["cures"]}
    assert cures["sigmoid, Nielsen's initialisation"]["ratio"] < 1e-3
    for name in ("tanh, Glorot", "ReLU, He", "sigmoid, batch norm", "sigmoid, residual"):
        assert cures[name]["ratio"] > 0.1
        assert cures[name]["accuracy"] > cures["sigmoid, Nielsen's initialisation"]["accuracy"] + 0.2


def test_activations(tmp_path: Path, digits: Path) -> None:
    result = run_quick("activations", tmp_path, "--data", str(digits))
    rows = {row["name"]: row for row in result["activations"]}
    assert len(rows) == 20 and all(row["milliseconds"] > 0 for row in rows.values())
    means = {"Sigmoid": 0.5, "Tanh": 0.0, "ReLU": 1 / math.sqrt(2 * math.pi), "SELU": 0.0, "Softsign": 0.0}
    for name, mean in means.items():
        assert rows[name]["mean"] == pytest.approx(mean, abs=0.03)
    assert rows["SELU"]["deviation"] == pytest.approx(1, abs=0.03)
    for name, greatest in {"Sigmoid": 1 / 4, "Tanh": 1, "ReLU": 1, "GELU": 1.129, "SELU": 1.758}.items():
        assert max(rows[name]["slope"]) == pytest.approx(greatest, abs=1e-3)
    for race in result["races"]:
        assert race["errors"][-1] < race["errors"][0] / 2

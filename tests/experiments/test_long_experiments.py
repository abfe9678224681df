"""The experiments whose full form takes long: the finding in the quick form, and that a killed run continues."""

import json
import math
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_experiments import digits as digits  # the fixture
from test_experiments import run_quick

import autograd_core as ag
from autograd_core import experiments
from autograd_core.cli import main
from autograd_core.examples import write_text
from autograd_core.experiments import char_gpt, char_rnn, long_memory, mnist, mnist_best, pretraining, text
from autograd_core.experiments.resume import InputError, Training, Unfinished, seed_of
from autograd_core.experiments.settings import Settings

# The finding does not depend on the device, and trainings on the arrays of `strict` take minutes; the tests of killed
# runs go through the same code there.
trains = pytest.mark.host("trains for some seconds")


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of sentences whose every word says which words may follow: pairs of characters tell little."""
    folder = tmp_path_factory.mktemp("text")
    draw = random.Random(0)
    letters = "abcdefghij"
    words = ["".join(draw.choices(letters, k=draw.randint(3, 6))) for _ in range(24)]
    after = {word: draw.sample(words, 2) for word in words}
    word, made = words[0], []
    for _ in range(12_000):
        made.append(word)
        word = draw.choice(after[word])
    (folder / "input.txt").write_text(" ".join(made))
    return folder


@trains
def test_char_gpt(tmp_path: Path, sentences: Path) -> None:
    result = run_quick("char-gpt", tmp_path, "--data", str(sentences))
    (row,) = result["rows"]
    counted = result["counted"]
    assert counted["all characters alike"] == pytest.approx(math.log(11))
    assert counted["frequencies after the last character"] < counted["frequencies"] < math.log(11)
    # ln 2 a word of some five characters and a space is all there is to know.
    assert row["held_out"] < counted["frequencies after the last character"] / 3
    assert row["history"][0][2] == pytest.approx(math.log(11), abs=0.1)
    known = set((sentences / "input.txt").read_text().split())
    written = row["sample"].split()[1:-1]
    assert sum(word in known for word in written) > 0.7 * len(written)


@trains
def test_char_rnn(tmp_path: Path, sentences: Path) -> None:
    result = run_quick("char-rnn", tmp_path, "--data", str(sentences))
    (row,) = result["rows"]
    assert row["held_out"] < result["counted"]["frequencies after the last character"] / 3
    first, last = (value for _, _, value in row["history"])
    assert last < first
    # The model that was kept is the one that was measured.
    model, characters = text.load(tmp_path / "lstm.safetensors")
    read = text.read(Settings(quick=True, data=str(sentences)))
    assert characters == read.characters
    device = ag.get_default_device()
    assert char_rnn.loss_on(model, read.held_out.to(device)) == pytest.approx(row["held_out"], rel=1e-4)
    # Every word has two that follow it equally often: only a temperature of nearly nothing tells their logits apart.
    once, again = (text.sample(model, characters, "ab", 20, temperature=1e-9) for _ in range(2))
    assert once == again and once.startswith("ab") and len(once) == 22
    path = str(tmp_path / "lstm.safetensors")
    options = ["--prompt", "ab", "--length", "20", "--temperature", "1e-9"]
    assert write_text.main([path, *options]) == once
    assert write_text.main([path, "--length", "1"])[0] in characters  # The text has no new line to begin with.
    for model, prompt in ((path, "ß"), (str(tmp_path / "empty"), "a"), (str(tmp_path / "cut"), "a")):
        (tmp_path / "empty").write_bytes(b"")
        (tmp_path / "cut").write_bytes(Path(path).read_bytes()[:-100])
        with pytest.raises(SystemExit, match="2"):
            write_text.main([model, "--prompt", prompt])
    ag.save({"kind": "rnn", "characters": "ab"}, tmp_path / "half.safetensors")
    with pytest.raises(InputError, match="is damaged: KeyError\\('config'\\)"):
        text.load(tmp_path / "half.safetensors")


def test_the_gpt_sees_no_later_character() -> None:
    ag.manual_seed(0)
    model = char_gpt.GPT(7, char_gpt.QUICK)
    x = ag.randint(7, (2, 10))
    changed = x.clone()
    changed[:, 6:] = (x[:, 6:] + 1) % 7
    with ag.no_grad():
        before, after = model(x), model(changed)
    assert ag.equal(before[:, :6], after[:, :6]) and not ag.allclose(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize("step, expected", [(0, 1e-3 / 101), (99, 1e-3 * 100 / 101), (100, 1e-3), (1050, 5.5e-4)])
def test_the_learning_rate_of_the_gpt(step: int, expected: float) -> None:
    config = char_gpt.CONFIGS["CPU configuration"]
    assert char_gpt.rate(config, step) == pytest.approx(expected, rel=1e-6)
    assert char_gpt.rate(config, config.steps) == pytest.approx(1e-4)


def test_samples_refuse_what_the_model_cannot_know() -> None:
    model = char_gpt.GPT(3, char_gpt.QUICK)
    with pytest.raises(ValueError, match="such as the model knows; got \\['z'\\]"):
        text.sample(model, "abc", "az", 3)
    with pytest.raises(ValueError, match="at least one character"):
        text.sample(model, "abc", "", 3)
    with pytest.raises(ValueError, match="must be positive, got 0"):
        text.sample(model, "abc", "a", 3, temperature=0)


def test_a_text_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "char-rnn", "--quick", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert "input.txt: any text will do" in message and "--data FOLDER" in message and "mnist" not in message


@trains
def test_long_memory(tmp_path: Path) -> None:
    result = run_quick("long-memory", tmp_path)
    rows = {row["name"]: row for row in result["rows"]}
    far = 19  # the first number is that far from the end, or farther
    for name in ("LSTM, gates open", "GRU, gates open"):
        assert rows[name]["squared error"] < 0.1 * rows[name]["variance"]
        assert rows[name]["reach at the start"][far] > 0.01
    for name in ("plain RNN", "LSTM"):
        assert rows[name]["squared error"] > 0.5 * rows[name]["variance"]
        assert rows[name]["reach at the start"][far] < 1e-3
    for row in rows.values():
        assert row["variance"] == pytest.approx(1 / 24, rel=0.15)


def test_the_adding_problem() -> None:
    x, target = long_memory.sequences(500, 30)
    values, markers = x[:, :, 0], x[:, :, 1]
    assert (markers[:, 0] == -1).all() and (markers[:, -1] == -1).all()
    marked = markers[:, 1:-1]
    assert ((marked == 0) | (marked == 1)).all() and (marked.sum(1) == 2).all()
    assert ((markers[:, 1:10] == 1).sum(1) >= 1).all() and (markers[:, 15:-1] == 0).all()
    assert ag.allclose(0.5 + (values * (markers == 1)).sum(1) / 4, target)


def test_open_gates_begin_by_remembering() -> None:
    for kind in ("LSTM, gates open", "GRU, gates open"):
        cell = long_memory.Adder(kind, 100, 16).cell
        gate = ag.sigmoid(cell.bias_ih_l0[16:32] + cell.bias_hh_l0[16:32])
        steps = 1 / (1 - gate)
        assert 1.99 < steps.min().item() and 50 < steps.max().item() < 101


@trains
def test_pretraining(tmp_path: Path, digits: Path) -> None:
    result = run_quick("pretraining", tmp_path, "--data", str(digits))
    error = {row["name"]: row["test"] for row in result["rows"]}
    noise = 784 * 0.1 * 0.9
    assert result["mean image"] > 130
    # Three linear numbers do not tell ten patterns apart; a deep code of three does, if it can be trained.
    assert error["pre-trained, sigmoid"] < 1.2 * noise < 0.8 * result["PCA"]
    assert error["small random weights, sigmoid"] > 0.95 * result["mean image"]
    assert error["He's weights, ReLU"] < 1.2 * noise
    greedy = next(row["greedy"] for row in result["rows"] if row["greedy"])
    assert [layer for layer, _ in greedy] == [1] * 10 + [2] * 10 + [3] * 10
    assert greedy[9][1] < greedy[0][1] and greedy[19][1] < greedy[10][1]


def test_a_boltzmann_machine_learns_what_contrastive_divergence_says() -> None:
    """The slope against the formula, unit by unit, where nothing is drawn at random: with hidden units at 0 or 1."""
    ag.manual_seed(0)
    model = pretraining.Autoencoder((4, 3, 2), pretraining.PARTS[0])
    with ag.no_grad():
        machine = pretraining.Machine(model, 0)
        machine.w.copy_(ag.tensor([[90.0, 0, 0, 0], [0, 90, 0, 0], [0, 0, 90, 0]]))
        machine.b.fill_(-45.0)
        w, v = machine.w.clone(), ag.tensor([[1.0, 0, 1, 0.25]])
        machine.learn(v, 0.5)
        h, v1 = ag.tensor([[1.0, 0, 1]]), ag.tensor([[1.0, 0.5, 1, 0.5]])
        slope = h.t() @ v - ag.tensor([[1.0, 0.5, 1]]).t() @ v1 - 0.0002 * w
        assert ag.allclose(machine.w, w + 0.1 * slope, atol=1e-4)
        assert ag.allclose(machine.a, 0.1 * (v - v1)[0], atol=1e-5)
        assert ag.allclose(machine.b, -45 + 0.1 * ag.tensor([0.0, -0.5, 0]), atol=1e-4)


@pytest.fixture(scope="module")
def moved_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits of 8 x 8 pixels, three times as large, anywhere in 28 x 28: where they are, tells nothing."""
    datasets = pytest.importorskip("sklearn.datasets", reason="its digits stand in for MNIST's")
    rng = np.random.default_rng(0)
    digits = datasets.load_digits()
    images = np.zeros((1797, 28, 28))
    for image, small, (y, x) in zip(images, digits.images, rng.integers(0, 5, (1797, 2))):
        image[y : y + 24, x : x + 24] = np.kron(small, np.ones((3, 3))) / 16 * 255
    order = rng.permutation(1797)
    folder = tmp_path_factory.mktemp("moved")
    for prefix, part in (("train", order[:1300]), ("t10k", order[1300:])):
        for name, array in (("images-idx3", images[part]), ("labels-idx1", digits.target[part])):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{prefix}-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


@trains
def test_mnist(tmp_path: Path, moved_digits: Path) -> None:
    result = run_quick("mnist", tmp_path, "--data", str(moved_digits))
    rows = {row["name"]: row for row in result["rows"]}
    accuracy = {name: row["accuracy"] for name, row in rows.items()}
    assert accuracy["fully connected"] > 0.5
    assert accuracy["ReLU and L2"] > accuracy["fully connected"] + 0.04
    for row in rows.values():  # of the pass that does best on the held-out images
        assert row["held_out"][row["epoch"] - 1] == max(row["held_out"])
        assert row["test"][row["epoch"] - 1] == row["accuracy"] and len(row["test"]) == 8


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("fully connected", 785 * 100 + 101 * 10),
        ("one convolution", 26 * 20 + 2881 * 100 + 101 * 10),
        ("one convolution, L2 pooling", 26 * 20 + 2881 * 100 + 101 * 10),
        ("ReLU and L2", 26 * 20 + 501 * 40 + 641 * 100 + 101 * 10),
        ("dropout", 26 * 20 + 501 * 40 + 641 * 1000 + 1001 * 1000 + 1001 * 10),
    ],
)
def test_the_networks_of_the_ladder(name: str, parameters: int) -> None:
    rung = mnist.RUNGS[name]
    network = mnist.initialise(rung.network(rung.relu))
    assert text.parameters_of(network) == parameters
    assert ag.equal(network(ag.rand(2, 1, 28, 28)), ag.zeros(2, 10))  # no answer is preferred at first


def test_images_moved_by_a_pixel() -> None:
    image = ag.zeros(2, 1, 28, 28)
    image[0, 0, 5, 7] = 1.0
    image[1, 0, 0, 0] = 1.0
    moved = mnist.shifted(image)
    assert moved.shape == (10, 1, 28, 28)
    places = [part[0].nonzero().tolist() for part in moved[::2]]
    assert sorted(places) == sorted([[[5, 7]], [[6, 7]], [[4, 7]], [[5, 8]], [[5, 6]]])
    assert moved[1::2].sum().item() == 3  # what leaves the picture is gone


def test_the_vote_of_five() -> None:
    given = ["11", "12", "20", "23", "14"]
    assert mnist.vote(given, [1, 0]) == 1.0  # 1 of 1, 1, 2, 2, 1; of 1, 2, 0, 3, 4 the smallest
    assert mnist.vote(given, [1, 4]) == mnist.vote(given, [2, 0]) == 0.5
    assert mnist.vote(["7"], [7]) == 1.0 and mnist.vote(["7"], [1]) == 0.0


@trains
def test_mnist_best(tmp_path: Path, moved_digits: Path) -> None:
    result = run_quick("mnist-best", tmp_path, "--data", str(moved_digits))
    single = [row["accuracy"] for row in result["rows"]]
    assert len(single) == 3 and min(single) > 0.3
    # Probabilities are kept to four digits, which may decide a draw otherwise.
    assert result["ensemble"][0] == pytest.approx(single[0], abs=3.5 / result["tests"])
    assert result["ensemble"][-1] > sum(single) / 3
    assert all(row["answer"] != row["label"] for row in result["wrong"])


def test_distortion_keeps_the_digit_and_moves_every_one_differently() -> None:
    ag.manual_seed(0)
    image = ag.zeros(1, 1, 28, 28)
    image[0, 0, 10:18, 10:18] = 1.0
    bent = mnist_best.distorted(image.expand(50, 1, 28, 28))
    ink = bent.sum((1, 2, 3))
    assert 32 < ink.min().item() and ink.max().item() < 128 and bent.max().item() <= 1.0 + 1e-5
    assert (bent - bent[:1]).abs().sum((1, 2, 3))[1:].min().item() > 1
    rows = ag.arange(28.0).reshape(1, 1, 28, 1)
    middle = (bent * rows).sum((1, 2, 3)) / ink
    assert middle.mean().item() == pytest.approx(13.5, abs=0.5) and 0.3 < middle.std().item() < 2


def test_an_image_is_moved_by_parts_of_a_pixel() -> None:
    image = ag.zeros(1, 1, 6, 6)
    image[0, 0, 2, 3] = 1.0
    moved = mnist_best.moved(image, 1.0, -0.5)[0, 0]
    expected = ag.zeros(6, 6)
    expected[3, 2] = expected[3, 3] = 0.5
    assert ag.allclose(moved, expected, atol=1e-6)


@trains
def test_learning_slowdown(tmp_path: Path, moved_digits: Path) -> None:
    result = run_quick("learning-slowdown", tmp_path, "--data", str(moved_digits))
    neurons = {(row["cost"], row["start"]): row for row in result["neurons"]}
    last = {key: row["outputs"][-1] for key, row in neurons.items()}
    assert last["quadratic", "nearly right"] == pytest.approx(0.09, abs=0.005)  # as published
    assert last["quadratic", "badly wrong"] == pytest.approx(0.20, abs=0.005)
    slow, fast = (neurons[cost, "badly wrong"] for cost in ("quadratic", "cross-entropy"))
    a = 1 / (1 + math.exp(-4.0))
    assert slow["slopes"][0] == pytest.approx(a * a * (1 - a)) and fast["slopes"][0] == pytest.approx(a)
    assert slow["steps to 1/2"] > 5 * neurons["quadratic", "nearly right"]["steps to 1/2"]
    assert fast["steps to 1/2"] < slow["steps to 1/2"] / 10
    after_one = {row["name"]: row["accuracies"][0] for row in result["rows"]}
    assert len(after_one) == 2 and min(after_one.values()) > 0.1


@trains
def test_overfitting(tmp_path: Path, moved_digits: Path) -> None:
    result = run_quick("overfitting", tmp_path, "--data", str(moved_digits))
    rows = {row["name"]: row for row in result["rows"]}
    nothing = rows["nothing"]
    assert nothing["train"][-1] == 1.0 and nothing["accuracy"] < 0.8  # by heart
    assert nothing["test_costs"][-1] > min(nothing["test_costs"]) * 1.02
    assert min(rows[name]["accuracy"] for name in ("L2", "dropout")) > nothing["accuracy"] + 0.01
    assert rows["dropout"]["test_costs"][-1] < nothing["test_costs"][-1]
    assert rows["L1"]["zeros"] > 0.15 > 10 * nothing["zeros"]  # L1 empties weights, L2 shrinks them
    assert rows["L2"]["zeros"] < 0.1


def real(name: str, file: str) -> str:
    """The folder above the data set `name`, or the test is skipped."""
    places = [os.environ.get("AUTOGRAD_CORE_DATA"), Path(__file__).resolve().parents[3] / "shared" / "data"]
    for place in filter(None, places):
        if list(Path(place, name).glob(f"{file}*")):
            return str(place)
    pytest.skip(f"no {name}/{file}; set AUTOGRAD_CORE_DATA to the folder that holds {name}")


@trains
@pytest.mark.slow
def test_on_mnist_itself(tmp_path: Path) -> None:
    data = real("mnist", "train-images-idx3-ubyte")
    ladder = {row["name"]: row["accuracy"] for row in run_quick("mnist", tmp_path / "a", "--data", data)["rows"]}
    assert ladder["ReLU and L2"] > ladder["fully connected"] + 0.04
    result = run_quick("pretraining", tmp_path / "b", "--data", data)
    error = {row["name"]: row["test"] for row in result["rows"]}
    assert error["pre-trained, sigmoid"] < result["PCA"] < 0.9 * error["small random weights, sigmoid"]


@trains
@pytest.mark.slow
def test_on_shakespeare_himself(tmp_path: Path) -> None:
    data = real("tinyshakespeare", "input.txt")
    for name in ("char-gpt", "char-rnn"):
        result = run_quick(name, tmp_path / name, "--data", data)
        assert len(result["characters"]) > 50
        (row,) = result["rows"]
        assert row["held_out"] < result["counted"]["frequencies"] - 0.5


# -- continuing --------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


class KillAt:
    """A display that ends the process, as far as a test can, at a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def show(self, step: int, text: str) -> None:
        if step == self.at:
            raise Killed


def without_times(result: Any) -> Any:
    if isinstance(result, dict):
        return {key: without_times(value) for key, value in result.items() if key not in ("seconds", "model")}
    return [without_times(value) for value in result] if isinstance(result, list) else result


@pytest.mark.parametrize("name, kills", [("char-gpt", (7,)), ("char-rnn", (30,)), ("long-memory", (13, 35))])
def test_a_killed_run_continues_bit_for_bit(
    tmp_path: Path, sentences: Path, monkeypatch: pytest.MonkeyPatch, name: str, kills: tuple[int, ...]
) -> None:
    monkeypatch.setattr(char_gpt, "QUICK", char_gpt.Config(1, 2, 8, 8, 4, 0.2, 12, 1e-2, 2))
    monkeypatch.setattr(char_rnn, "QUICK", {"LSTM": char_rnn.Config("LSTM", 1, 8, 40, 50, 3, 1e-2)})
    monkeypatch.setattr(long_memory, "NETWORKS", {k: long_memory.NETWORKS[k] for k in ("LSTM", "GRU")})
    monkeypatch.setattr(long_memory, "QUICK_MOST", 20)
    experiment = experiments.load(name)

    def run(folder: Path, kill: int | None) -> Any:
        unfinished = Unfinished(folder, {"name": name}, resume=True, every=0.0)
        settings = Settings(0, True, str(sentences), unfinished=unfinished)
        if kill is not None:
            settings.display = KillAt(kill)
        ag.manual_seed(ag.randint(1000, ()).item())  # a part's numbers are its own
        return experiment.run(settings)

    whole = run(tmp_path / "whole" / "unfinished", None)
    for kill in kills:
        with pytest.raises(Killed):
            run(tmp_path / "killed" / "unfinished", kill)
        assert list((tmp_path / "killed" / "unfinished").glob("*.safetensors"))
    continued = run(tmp_path / "killed" / "unfinished", None)
    assert without_times(continued) == without_times(whole)


def test_what_is_kept_of_a_training(tmp_path: Path) -> None:
    settings = Settings(unfinished=Unfinished(tmp_path / "unfinished", {"name": "x"}, resume=False, every=0.0))
    training = Training(settings, "A b", weights=ag.nn.Linear(2, 1))
    for step in training.steps(10):
        training.notes["drawn"] = ag.rand(()).item()
        if step == 3:
            break
    again = Training(settings, "A b", weights=ag.nn.Linear(2, 1))
    assert again.step == 3 and settings.done == 3
    assert ag.equal(again.parts["weights"].weight, training.parts["weights"].weight)
    settings.unfinished.keep("A b", [1, 2])  # type: ignore[union-attr]
    assert [path.name for path in (tmp_path / "unfinished").iterdir()] == ["parts.json"]
    assert Unfinished(tmp_path / "unfinished", {"name": "x"}, resume=True).parts == {"A b": [1, 2]}
    with pytest.raises(ValueError, match="holds the run {'name': 'x'}, which cannot be continued as {'name': 'y'}"):
        Unfinished(tmp_path / "unfinished", {"name": "y"}, resume=True)
    (tmp_path / "unfinished" / "parts.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        Unfinished(tmp_path / "unfinished", {"name": "x"}, resume=True)


def test_parts_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path)]
    assert main(["experiment", "parity", "--only", "x"]) == 2
    assert "so little time that it has no parts" in capsys.readouterr().err
    assert main(["experiment", "char-rnn", "--only", "x"]) == 2
    assert "--only 'x': the parts of char-rnn are 'LSTM', 'GRU'" in capsys.readouterr().err
    assert main(["experiment", "char-rnn", "--only", "LSTM", "--quick"]) == 2
    (tmp_path / "unfinished").mkdir()
    assert main(["experiment", "long-memory", *out]) == 2
    assert "--resume continues it" in capsys.readouterr().err
    run = {"name": "long-memory", "seed": 1, "quick": False, "device": str(ag.get_default_device())}
    (tmp_path / "unfinished" / "parts.json").write_text(json.dumps({"run": run, "parts": {}}))
    assert main(["experiment", "long-memory", "--resume", "--device", str(ag.get_default_device()), *out]) == 1
    assert "cannot be continued as" in capsys.readouterr().err


def test_a_quick_run_leaves_what_a_full_one_has_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path)]
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "parts.json").write_text("{}")
    assert main(["experiment", "char-rnn", "--quick", "--data", str(tmp_path / "nowhere"), *out]) == 1
    assert "there is no" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["unfinished"]
    assert (tmp_path / "unfinished" / "parts.json").read_text() == "{}"


def test_files_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    options = ["--data", str(data), "--out", str(out), "--device", str(ag.get_default_device())]

    def fails(*command: str) -> str:
        assert main(["experiment", *command, *options]) in (1, 2)
        return capsys.readouterr().err

    (data / "input.txt").write_bytes("Größe ".encode("latin-1") * 1000)
    assert "is no UTF-8 text" in fails("char-rnn", "--quick")
    (data / "input.txt").write_text("ab " * 20)
    assert "has 60 characters: expected a text of at least 1000" in fails("char-rnn", "--quick")
    (data / "input.txt").write_text("ab " * 500)
    assert "a part of it has 150 characters, the model reads 256" in fails("char-gpt", "--only", "GPU configuration")
    (data / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    (data / "train-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
    assert str(data) in fails("mnist", "--quick") and "Traceback" not in capsys.readouterr().err
    shutil.rmtree(out)
    settings = Settings(unfinished=Unfinished(out / "unfinished", {}, resume=False))
    Training(settings, "LSTM", model=ag.nn.Linear(1, 1)).save()
    settings.unfinished.checkpoint("LSTM").write_bytes(b"")  # type: ignore[union-attr]
    with pytest.raises(InputError, match="cannot be continued .* remove it to train this part from its beginning"):
        Training(settings, "LSTM", model=ag.nn.Linear(1, 1))
    shutil.rmtree(out)
    out.mkdir()
    (out / "unfinished").write_text("")
    assert "is a file, where a folder is needed" in fails("long-memory")


def test_seeds_of_parts() -> None:
    assert len({seed_of(seed, name) for seed in (0, 1) for name in ("a", "b")}) == 4
    assert all(0 <= seed_of(seed, "a") < 2**63 for seed in (0, 2**63 - 1))

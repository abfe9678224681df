"""The command line: what it prints, what it writes, and what it says to a user's mistakes."""

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.cli import main, progress

ROOT = Path(__file__).resolve().parent.parent.parent
CHECKPOINT = "checkpoint.safetensors"


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten patterns of 8 x 8 pixels with little noise, in MNIST's format: 96 to learn from, 20 to test on."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (10, 8, 8))
    for prefix, count in (("train", 96), ("t10k", 20)):
        labels = np.arange(count) % 10
        images = np.clip(patterns[labels] + rng.normal(0, 20, (count, 8, 8)), 0, 255)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return folder


def train(data: Path, out: Path, *more: str) -> int:
    return main(
        ["train", "mnist", "--data", str(data), "--out", str(out), "--batch-size", "16", "--epochs", "3", *more]
    )


def model_bits(out: Path) -> dict[str, bytes]:
    model = ag.load(out / CHECKPOINT, map_location="cpu")["model"]
    return {name: value.numpy().tobytes() for name, value in model.items()}


def test_info_names_versions_devices_and_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["autograd-core"].strip() == ag.__version__
    assert rows["numpy"].strip() == np.__version__
    for name in (
        "device cpu",
        "device cuda",
        "default device",
        "kernels",
        "thread layer",
        "threads",
        "BLAS",
        "kernel cache",
    ):
        assert rows[name].strip()


def test_it_runs_as_a_module_from_another_folder(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "autograd_core", "--version"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.strip() == f"autograd-core {ag.__version__}", result.stderr


def test_train_learns_and_says_where_the_results_are(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert train(data, out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all(line.startswith(f"epoch  {i + 1} of 3  loss") for i, line in enumerate(lines[:3]))
    state = ag.load(out / CHECKPOINT, map_location="cpu")
    history = state["history"]
    assert history[-1]["loss"] < history[0]["loss"] and history[-1]["train_accuracy"] > history[0]["train_accuracy"]
    assert lines[3].startswith(f"mnist: accuracy {history[-1]['test_accuracy']:.2%} on 20 test images, ")
    assert f"checkpoint {out / CHECKPOINT}" in lines[3] and str(state["position"]["step"]) == "18"
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert "no learning curve" in lines[3] and not (out / "curve.png").exists()
    else:
        assert (out / "curve.png").read_bytes().startswith(
            b"\x89PNG"
        ) and f"learning curve {out / 'curve.png'}" in lines[3]


def test_the_final_accuracy_is_that_of_the_saved_weights(data: Path, tmp_path: Path) -> None:
    from autograd_core.examples.digits import DigitNet
    from autograd_core.utils.data import mnist

    assert train(data, tmp_path / "out") == 0
    state = ag.load(tmp_path / "out" / CHECKPOINT, map_location="cpu")
    model = DigitNet(8, width=16).to("cpu").eval()
    model.load_state_dict(state["model"])
    images, labels = mnist(data, train=False)
    right = (model(images.float().unsqueeze(1) / 255).argmax(1) == labels).float().mean().item()
    assert right == pytest.approx(state["history"][-1]["test_accuracy"])


def test_the_seed_decides_everything(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert train(data, tmp_path / name, "--seed", seed) == 0
    assert model_bits(tmp_path / "a") == model_bits(tmp_path / "b") != model_bits(tmp_path / "c")


def test_a_stopped_run_resumes_in_mid_epoch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from autograd_core.cli.trainer import Trainer

    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert train(data, straight) == 0
    save = Trainer.save

    def save_and_stop(trainer: Trainer) -> None:
        save(trainer)
        if trainer.step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "save", save_and_stop)
    assert train(data, stopped, "--checkpoint-every", "5") == 130
    monkeypatch.undo()
    assert f"--resume {stopped / CHECKPOINT}" in capsys.readouterr().err
    assert ag.load(stopped / CHECKPOINT, map_location="cpu")["loader"]["given"] == 4
    assert train(data, stopped, "--resume") == 0
    assert "at step 10 of 18" in capsys.readouterr().out
    assert model_bits(straight) == model_bits(stopped)


def test_fresh_runs_never_share_a_folder(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", "mnist", "--data", str(data), "--epochs", "1", "--batch-size", "48"]
    assert main(command) == main(command) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["mnist", "mnist-2"]
    assert main(["train", "mnist", "--data", str(data), "--resume"]) == 0  # the latest
    assert not (tmp_path / "runs" / "mnist-3").exists()


def damage(data: Path, out: Path, what: str) -> list[str]:
    """Prepare a mistake; returns the arguments that run into it."""
    command = ["train", "mnist", "--data", str(data), "--out", str(out)]
    images = data / "train-images-idx3-ubyte"
    if what == "no folder":
        return ["train", "mnist", "--data", str(data / "nowhere")]
    if what == "missing file":
        images.unlink()
    elif what == "truncated file":
        images.write_bytes(images.read_bytes()[:-100])
    elif what == "truncated gzip":
        packed = gzip.compress(images.read_bytes())
        images.unlink()
        images.with_name(images.name + ".gz").write_bytes(packed[:200])
    elif what == "labels beyond 9":
        write_idx(data / "train-labels-idx1-ubyte", np.full(96, 12))
    elif what == "labels too few":
        write_idx(data / "train-labels-idx1-ubyte", np.zeros(95))
    elif what == "resume without a checkpoint":
        command.append("--resume")
    elif what == "output is a file":
        out.write_text("")
    elif what == "corrupt checkpoint":
        out.mkdir()
        (out / CHECKPOINT).write_bytes(b"\x08\0\0\0\0\0\0\0 garbage")
        command.append("--resume")
    elif what == "foreign checkpoint":
        out.mkdir()
        ag.save({"weight": ag.ones(2)}, out / CHECKPOINT)
        command.append("--resume")
    else:
        assert train(data, out, "--epochs", "1") == 0
        if what == "other settings":
            command += ["--resume", "--lr", "0.5"]
        elif what == "resume into a taken folder":
            assert train(data, out.with_name("other"), "--epochs", "1") == 0
            command += ["--resume", str(out.with_name("other") / CHECKPOINT)]
        elif what == "other data":
            rng = np.random.default_rng(1)
            write_idx(images, rng.integers(0, 256, (96, 8, 8)))
            command.append("--resume")
        else:
            assert what == "taken folder"
    return command


MISTAKES = [
    ("no folder", 1, "does not exist"),
    ("missing file", 1, "neither train-images-idx3-ubyte nor"),
    ("truncated file", 1, "is truncated"),
    ("truncated gzip", 1, "is truncated"),
    ("labels beyond 9", 1, "the training labels reach 12"),
    ("labels too few", 1, "96 images but 95 labels"),
    ("resume without a checkpoint", 1, "does not exist"),
    ("output is a file", 1, "cannot make the folder"),
    ("corrupt checkpoint", 1, "cannot be loaded"),
    ("foreign checkpoint", 1, "is no checkpoint of `autograd-core train`"),
    ("other settings", 2, "is of a run with --lr 0.003, got 0.5"),
    ("other data", 1, "comes from a run on other data"),
    ("resume into a taken folder", 2, "holds the checkpoint of another run"),
    ("taken folder", 2, "holds the checkpoint of another run"),
]


@pytest.mark.parametrize(("what", "status", "message"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_mistakes_get_a_message_and_no_traceback(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, status: int, message: str
) -> None:
    out = tmp_path / "out"
    command = damage(data, out, what)
    before = (out / CHECKPOINT).read_bytes() if (out / CHECKPOINT).exists() else None
    capsys.readouterr()
    assert main(command) == status
    error = capsys.readouterr().err
    assert error.startswith("autograd-core train: error: ") and message in error and "Traceback" not in error
    if before is not None:
        assert (out / CHECKPOINT).read_bytes() == before, "the file that was there is lost"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["fly"], "invalid choice: 'fly'"),
        (["train"], "required: task"),
        (["train", "cifar"], "invalid choice: 'cifar'"),
        (["train", "digits", "--epochs", "0"], "--epochs: expected a positive integer, got 0"),
        (["train", "digits", "--epochs", "many"], "--epochs: invalid int value: 'many'"),
        (["train", "digits", "--lr", "-1"], "--lr: expected a positive number, got -1"),
        (["train", "digits", "--lr", "nan"], "--lr: expected a positive number, got nan"),
        (["train", "digits", "--seed", "-3"], "--seed: expected an integer from 0"),
        (["train", "digits", "--data", "x"], "--data and --download are for mnist"),
        (["train", "digits", "--device", "abacus"], "Invalid device string: 'abacus'"),
        (["train", "digits", "--device", "cuda:x"], "Invalid device string: 'cuda:x'"),
        (["bench", "nothing"], "unknown workload 'nothing'"),
        (["bench", "overhead", "--rounds", "1"], "--rounds must be at least 2"),
        (["bench", "overhead", "--json", "no/such/folder/f.json"], "does not exist"),
    ],
)
def test_bad_arguments_end_with_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


@pytest.mark.skipif(ag.devices.is_available("cuda"), reason="there is a CUDA device here")
def test_without_a_gpu(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
    assert main(["train", "digits", "--device", "cuda"]) == 1
    assert "device cuda: " in capsys.readouterr().err
    assert train(data, tmp_path / "out", "--device", "auto", "--epochs", "1") == 0
    shown = capsys.readouterr()
    assert "warning: device auto: using the CPU, since" in shown.err and "of training on cpu" in shown.out


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from autograd_core.cli import trainer

    honest = trainer.F.cross_entropy
    calls = 0

    def broken(*args: Any, **kwargs: Any) -> ag.Tensor:
        nonlocal calls
        calls += 1
        return honest(*args, **kwargs) * (float("nan") if calls == 8 else 1.0)

    monkeypatch.setattr(trainer.F, "cross_entropy", broken)
    out = tmp_path / "out"
    assert train(data, out, "--checkpoint-every", "5") == 1
    error = capsys.readouterr().err
    assert "the loss became nan at step 8 (epoch 2)" in error and "--lr (now 0.003)" in error
    assert f"the checkpoint of step 6 is kept: {out / CHECKPOINT}" in error
    state = ag.load(out / CHECKPOINT, map_location="cpu")
    assert state["position"]["step"] == 6
    assert all(bool(ag.isfinite(value).all()) for value in state["model"].values())


def test_weights_that_are_not_finite_are_never_saved(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # So high a rate makes the weights overflow in the very step after a loss that was still finite.
    out = tmp_path / "out"
    assert train(data, out, "--lr", "1e38", "--checkpoint-every", "1") == 1
    error = capsys.readouterr().err
    assert "finite" in error or "the loss became" in error
    assert not (out / CHECKPOINT).exists() or all(
        bool(ag.isfinite(value).all()) for value in ag.load(out / CHECKPOINT, map_location="cpu")["model"].values()
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_demo_reads_digits(seed: int, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    assert main(["train", "digits", "--seed", str(seed), "--out", str(tmp_path)]) == 0
    history = ag.load(tmp_path / CHECKPOINT, map_location="cpu")["history"]
    assert history[-1]["test_accuracy"] >= 0.985


class Stream:
    """A standard output that is or is no terminal."""

    def __init__(self, terminal: bool) -> None:
        self.text, self._terminal, self.encoding = "", terminal, "utf-8"

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return self._terminal

    def fileno(self) -> int:
        raise OSError("not a file")


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "log"])
def test_progress(rich: bool, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if rich:
        pytest.importorskip("rich", reason="the bar of rich needs rich")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    stream = Stream(terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    with progress.Progress(100) as shown:
        for step in range(1, 101):
            shown.update(step, 32, 0.25, 0.5)
        shown.note("epoch 1 done")
    assert "epoch 1 done" in stream.text
    if terminal:
        assert "100/100" in stream.text and "loss 0.2500  accuracy 50.00%" in stream.text and "images/s" in stream.text
    else:
        assert stream.text == "epoch 1 done\n", "a log holds whole lines only, and few of them"


def test_a_log_gets_a_line_every_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
    stream = Stream(terminal=False)
    monkeypatch.setattr(sys, "stdout", stream)
    with progress.Progress(100) as shown:
        for step in range(1, 101):
            now += 1.0
            shown.update(step, 32, 0.25, 0.5)
    lines = stream.text.splitlines()
    assert 5 <= len(lines) <= 7
    assert lines[0] == "step 15 of 100  loss 0.2500  accuracy 50.00%  32 images/s"

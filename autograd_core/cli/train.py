"""`autograd-core train digits|mnist`."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core.cli.errors import UserError

_CHECKPOINT = "checkpoint.safetensors"


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a convolutional network to read digits",
        description="Train a small convolutional network, and report its accuracy on images it has not seen. The loss "
        "is of labels smoothed by 0.1: that of a perfect prediction is 0.5, not 0.",
    )
    parser.add_argument("task", choices=("digits", "mnist"), help="scikit-learn's 8x8 digits, or MNIST's of 28x28")
    parser.add_argument(
        "--device", default=None, help="cpu, cuda, cuda:N, auto or check (default: AUTOGRAD_CORE_DEVICE, else cpu)"
    )
    parser.add_argument("--epochs", type=_count, help="passes over the training images (default: digits 20, mnist 5)")
    parser.add_argument("--batch-size", type=_count, help="images a step (default: digits 64, mnist 128)")
    parser.add_argument("--lr", type=_rate, help="learning rate at the start (default: digits 0.004, mnist 0.003)")
    parser.add_argument("--seed", type=seed, help="of weights, order and split (default: 0)")
    parser.add_argument("--data", metavar="FOLDER", help="the folder of MNIST's IDX files (default: data/mnist)")
    parser.add_argument("--download", action="store_true", help="fetch MNIST files that the folder lacks")
    parser.add_argument("--limit", type=_count, metavar="N", help="train on the first N images only")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where results go (default: a new one, runs/TASK)")
    parser.add_argument("--checkpoint-every", type=_count, default=0, metavar="STEPS", help="save also between epochs")
    parser.add_argument(
        "--resume", nargs="?", type=Path, const=Path(), metavar="FILE",
        help="continue a run to its end: from this checkpoint, or the one in --out (without --out: the latest in "
        "runs). Its epochs, batch size, learning rate, seed and limit are those it began with",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text}")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2^63 - 1, got {text}")
    return value


# Their names appear in argparse's messages: "invalid int value: 'x'".
_count.__name__ = seed.__name__ = "int"
_rate.__name__ = "float"


def run(arguments: argparse.Namespace) -> int:
    if arguments.task == "digits" and (arguments.data or arguments.download):
        raise UserError("--data and --download are for mnist; digits come with scikit-learn", status=2)
    device = choose_device(arguments.device)

    # Only now: these load nn, optim and with them much of the library.
    from autograd_core.cli import data as datasets
    from autograd_core.cli.trainer import DEFAULTS, Trainer, read_checkpoint

    given = {name: getattr(arguments, name) for name in asdict(DEFAULTS["digits"])}
    if arguments.resume is None:
        source, state = None, None
        chosen = {name: value for name, value in given.items() if value is not None}
        settings = replace(DEFAULTS[arguments.task], **chosen)
    else:
        source = _checkpoint_to_resume(arguments)
        settings, state = read_checkpoint(source, device)
        for name, value in given.items():
            if value is not None and value != getattr(settings, name):
                flag = name if name == "task" else "--" + name.replace("_", "-")
                raise UserError(
                    f"{source} is of a run with {flag} {getattr(settings, name)}, got {value}; leave it out", status=2
                )
    _check_free(arguments.out, source)
    data = datasets.load(settings.task, arguments.data, arguments.download, settings.limit, settings.seed)
    out = arguments.out or (source.parent if source else None)
    out = _make_folder(settings.task, out)
    trainer = Trainer(settings, data, device, out / _CHECKPOINT, arguments.checkpoint_every)
    if source is not None and state is not None:
        trainer.restore(state, source)
        if trainer.step < trainer.steps:
            print(f"continuing {source} at step {trainer.step} of {trainer.steps}", flush=True)
        else:
            print(f"{source} is of a finished run; to train longer, start a new one with more --epochs", flush=True)
    try:
        trainer.run()
    except KeyboardInterrupt:
        hint = (
            f"; continue from step {trainer.saved_step} with --resume {trainer.save_to}" if trainer.saved_step else ""
        )
        raise UserError(f"interrupted at step {trainer.step}{hint}", status=130) from None
    _finish(trainer, data, out)
    return 0


def choose_device(text: str | None) -> ag.device:
    try:
        device = ag.get_default_device() if text is None else ag.device(text)
    except RuntimeError as error:  # no such name
        raise UserError(str(error) if text is None else f"--device: {error}", status=2) from None
    try:
        return ag.zeros(1, device=device).device
    except RuntimeError as error:  # no such device here
        raise UserError(str(error)) from None


def _check_free(out: Path | None, source: Path | None) -> None:
    """Refuse to write over the checkpoint of another run."""
    if out is None or not (out / _CHECKPOINT).exists():
        return
    if source is None or not source.samefile(out / _CHECKPOINT):
        raise UserError(f"{out} holds the checkpoint of another run: --resume continues it, or choose another --out", 2)


def _make_folder(task: str, out: Path | None) -> Path:
    """The folder `out`, or a new one: runs/TASK, runs/TASK-2, ..."""
    number = 1
    while True:
        folder = out or Path("runs", task if number == 1 else f"{task}-{number}")
        try:
            folder.mkdir(parents=True, exist_ok=out is not None)
            return folder
        except FileExistsError as error:
            if out is not None:
                raise UserError(f"cannot make the folder {folder}: {error}") from None
            number += 1
        except OSError as error:
            raise UserError(f"cannot make the folder {folder}: {error}") from None


def _checkpoint_to_resume(arguments: argparse.Namespace) -> Path:
    if arguments.resume != Path():
        return Path(arguments.resume)
    if arguments.out is not None:
        return Path(arguments.out, _CHECKPOINT)
    found = [path for path in Path("runs").glob(f"{arguments.task}*/{_CHECKPOINT}") if path.is_file()]
    if not found:
        raise UserError(f"--resume: there is no runs/{arguments.task}*/{_CHECKPOINT} to continue")
    return max(found, key=lambda path: path.stat().st_mtime)


def _finish(trainer: Any, data: Any, out: Path) -> None:
    from autograd_core.cli import curve

    picture = out / "curve.png"
    task, accuracy = trainer.settings.task, trainer.history[-1]["test_accuracy"]
    try:
        drawn = curve.draw(trainer.history, picture, f"{task} on {trainer.device}")
        where = f"learning curve {picture}" if drawn else "no learning curve (pip install matplotlib)"
    except OSError as error:
        where = f"no learning curve ({error})"
    print(
        f"{task}: accuracy {accuracy:.2%} on {len(data.test_labels)} {data.test_name} images, {trainer.seconds:.1f} s "
        f"of training on {trainer.device}; checkpoint {trainer.save_to}; {where}"
    )

"""`autograd-core experiment NAME`: run a finding of the literature again, and see the picture."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core import experiments
from autograd_core.cli.errors import UserError
from autograd_core.cli.progress import Display, display
from autograd_core.cli.train import choose_device, seed


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "experiment",
        help="run an experiment of the literature again",
        description="Run an experiment of the literature again: prints a table, writes result.json and pictures. "
        "docs/experiments.md has the published figures beside ours.",
    )
    parser.add_argument("name", nargs="?", choices=experiments.NAMES, metavar="NAME", help="--list shows them")
    parser.add_argument("--list", action="store_true", help="name the experiments")
    parser.add_argument(
        "--device", default=None, help="cpu, cuda, cuda:N or auto (default: AUTOGRAD_CORE_DEVICE, else cpu)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of every random draw (default: 0)")
    parser.add_argument("--quick", action="store_true", help="a small form that takes seconds")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where results go (default: runs/experiments/NAME)")
    parser.add_argument(
        "--data", default="data/mnist", metavar="FOLDER", help="MNIST's IDX files (default: data/mnist)"
    )
    parser.set_defaults(run=run)


class _Bar:
    """A progress bar that opens with the first step, when the experiment has said how many there are."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings
        self._display: Display | None = None

    def show(self, step: int, text: str) -> None:
        if self._display is None:
            self._display = display(self._settings.steps, 0)
        self._display.show(step, text)

    def close(self) -> None:
        if self._display is not None:
            self._display.close()


def run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        for name in experiments.NAMES:
            print(f"{name:20}{experiments.load(name).TITLE}")
        return 0
    if arguments.name is None:
        raise UserError(f"which one? {', '.join(experiments.NAMES)} (--list says what they show)", status=2)
    device = choose_device(arguments.device)
    out = arguments.out or Path("runs", "experiments", arguments.name)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {out}: {error}") from None

    from autograd_core.experiments.settings import Settings

    experiment = experiments.load(arguments.name)
    settings = Settings(arguments.seed, arguments.quick, arguments.data)
    bar = settings.display = _Bar(settings)
    start = time.perf_counter()
    before = ag.get_default_device()
    ag.set_default_device(device)
    try:
        ag.manual_seed(arguments.seed)
        result = experiment.run(settings)
    except FileNotFoundError as error:
        raise UserError(
            f"{error} (here: --data FOLDER; `autograd-core train mnist --download` fetches the files into data/mnist)"
        ) from None
    finally:
        bar.close()
        ag.set_default_device(before)
    seconds = time.perf_counter() - start
    print(experiment.TITLE, *experiment.lines(result), sep="\n")
    report = {
        "experiment": arguments.name,
        "title": experiment.TITLE,
        "version": ag.__version__,
        "device": str(device),
        "seed": arguments.seed,
        "quick": arguments.quick,
        "seconds": round(seconds, 1),
        "result": result,
    }
    path = out / "result.json"
    try:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        try:
            pictures = ", ".join(str(picture) for picture in experiment.draw(result, out))
        except ImportError:
            pictures = "no picture (pip install matplotlib, or the extra 'examples')"
    except OSError as error:
        raise UserError(f"cannot write the results: {error}") from None
    print(f"{seconds:.1f} s on {device}; {path}; {pictures}")
    return 0

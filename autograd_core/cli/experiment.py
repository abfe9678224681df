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
        "--device", default=None, help="cpu, cuda, cuda:N, auto or check (default: AUTOGRAD_CORE_DEVICE, else cpu)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of every random draw (default: 0)")
    parser.add_argument("--quick", action="store_true", help="a small form that takes seconds")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where results go (default: runs/experiments/NAME)")
    parser.add_argument(
        "--data", default="data", metavar="FOLDER", help="with the folders mnist and tinyshakespeare (default: data)"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PART", help="of a long experiment this part alone; may repeat"
    )
    parser.add_argument("--resume", action="store_true", help="continue what a killed run left in --out")
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
            print(f"{name:20}{experiments.DATA.get(name, '-'):17}{experiments.load(name).TITLE}")
        print(
            "\nThe second column: the folder below --data (default: data) with what it reads. "
            "`autograd-core train mnist\n--download` fetches mnist; tinyshakespeare/input.txt may be any text. "
            "--quick is a small form of each;\nthe full forms take seconds to hours, which docs/experiments.md tells."
        )
        return 0
    if arguments.name is None:
        raise UserError(f"which one? {', '.join(experiments.NAMES)} (--list says what they show)", status=2)
    experiment = experiments.load(arguments.name)
    parts = getattr(experiment, "PARTS", ())
    _check_parts(arguments, parts)
    device = choose_device(arguments.device)
    out = arguments.out or Path("runs", "experiments", arguments.name)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {out}: {error}") from None

    from autograd_core.experiments.resume import InputError
    from autograd_core.experiments.settings import Settings

    unfinished = _unfinished(arguments, out, device) if parts else None
    settings = Settings(arguments.seed, arguments.quick, arguments.data, tuple(arguments.only), unfinished)
    bar = settings.display = _Bar(settings)
    start = time.perf_counter()
    before = ag.get_default_device()
    ag.set_default_device(device)
    try:
        ag.manual_seed(arguments.seed)
        result = experiment.run(settings)
    except FileNotFoundError as error:
        raise UserError(_missing(arguments, str(error))) from None
    except InputError as error:
        raise UserError(str(error)) from None
    except KeyboardInterrupt:
        hint = "; --resume continues it" if unfinished else ""
        raise UserError(f"interrupted{hint}", 130) from None
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
    if unfinished is not None and not arguments.only:
        unfinished.clear()
    print(f"{seconds:.1f} s on {device}; {path}; {pictures}")
    return 0


def _missing(arguments: argparse.Namespace, error: str) -> str:
    if experiments.DATA.get(arguments.name) != "mnist":
        return f"{error} (here: --data FOLDER, now {arguments.data})"
    problem = error.split(";")[0]  # What follows is for callers of the function.
    return (
        f"{problem}. {arguments.name} reads MNIST from --data FOLDER (now {arguments.data}), or from the folder mnist "
        "in it; `autograd-core train mnist --download` fetches it into data/mnist"
    )


def _check_parts(arguments: argparse.Namespace, parts: tuple[str, ...]) -> None:
    name = arguments.name
    for flag, value in (("--only", arguments.only), ("--resume", arguments.resume)):
        if value and not parts:
            raise UserError(f"{flag}: {name} takes so little time that it has no parts", 2)
    if arguments.only and arguments.quick:
        raise UserError("--only is for the full form, not for --quick", 2)
    for part in arguments.only:
        if part not in parts:
            raise UserError(f"--only {part!r}: the parts of {name} are {', '.join(map(repr, parts))}", 2)


def _unfinished(arguments: argparse.Namespace, out: Path, device: Any) -> Any:
    from autograd_core.experiments.resume import Unfinished

    # A small form beside a full run that waits to be continued leaves that alone.
    folder = out / ("unfinished-quick" if arguments.quick else "unfinished")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, where a folder is needed: remove it, or give another --out", 2)
    if folder.exists() and not arguments.resume and not arguments.quick:
        raise UserError(f"{folder} is of a run that was not finished: --resume continues it, or remove it", 2)
    run = {"name": arguments.name, "seed": arguments.seed, "quick": arguments.quick, "device": str(device)}
    try:
        return Unfinished(folder, run, arguments.resume)
    except ValueError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error}") from None

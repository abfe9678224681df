"""What every experiment is given, and helpers that several share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core.experiments.resume import InputError, Unfinished, seed_of


class Silent:
    """Shows nothing; the command line puts a progress bar in its place."""

    def show(self, step: int, text: str) -> None:
        pass


@dataclass
class Settings:
    """seed: of all random draws; quick: the form that takes seconds; data: the folder of the data, or the one above.

    only: the parts to run, all if empty; unfinished: where the long experiments keep what they have, None for nowhere.
    """

    seed: int = 0
    quick: bool = False
    data: str = "data"
    only: tuple[str, ...] = ()
    unfinished: Unfinished | None = None
    steps: int = 0
    done: int = 0
    display: Any = field(default_factory=Silent)

    def folder(self, name: str) -> Path:
        """Where the files of the data set `name` are: `data/name`, or `data` itself."""
        below = Path(self.data, name)
        return below if below.is_dir() else Path(self.data)

    def part(self, name: str, work: Callable[[], Any], steps: int = 1) -> Any:
        """What `work()` returns (plain numbers, lists, dicts), from an earlier run where that finished this part.

        None for a part that is not asked for. Each part has random numbers of its own, whichever others ran before.
        steps: of the progress bar, which a part that is left out takes.
        """
        if self.unfinished is not None and name in self.unfinished.parts:
            self.done += steps
            return self.unfinished.parts[name]
        if self.only and name not in self.only:
            self.done += steps
            return None
        ag.manual_seed(seed_of(self.seed, name))
        result = work()
        if self.unfinished is not None:
            self.unfinished.keep(name, result)
        return result

    def expect(self, steps: int) -> None:
        """Say how many steps there will be; they show as a bar from then on."""
        self.steps, self.done = steps, 0

    def step(self, text: str, by: int = 1) -> None:
        self.done += by
        self.display.show(self.done, text)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table: text to the left, the rest to the right, floats in four figures.

    >>> from autograd_core.experiments.settings import table
    >>> print("\\n".join(table(["n", "x"], [["a", 0.5]])))
    n    x
    a  0.5
    """
    cells = [list(heads)] + [[f"{x:.4g}" if isinstance(x, float) else str(x) for x in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    return [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        for row in cells
    ]


def mnist_images(settings: Settings, count: int, train: bool = True) -> tuple[ag.Tensor, ag.Tensor]:
    """The first `count` digits on the default device: images (N, 784) of 0..1, labels (N,)."""
    from autograd_core.utils.data import mnist

    try:
        images, labels = mnist(settings.folder("mnist"), train=train)
    except ValueError as error:
        raise InputError(str(error)) from error
    device = ag.get_default_device()
    return images[:count].to(device).flatten(1).float() / 255, labels[:count].to(device)


def figure(width: float, height: float) -> Any:
    """A matplotlib figure without pyplot, whose windows have no place in a command. Raises ImportError without it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def plain_ticks(axes: Any) -> None:
    """On a logarithmic axis of errors 20 rather than 2 x 10 to the 1."""
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize="x-small")

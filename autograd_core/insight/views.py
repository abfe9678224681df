"""Pictures of what was watched: curves as a PNG (matplotlib), and a live table in the terminal (rich)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograd_core._atomic import write_atomically
from autograd_core.insight.diagnosis import Diagnosis
from autograd_core.insight.report import CHARTS, colour, curves, label, layer_names, loss_curve
from autograd_core.insight.samples import LayerSample, Sample

if TYPE_CHECKING:
    from autograd_core.insight.watch import Watcher


def _missing(package: str, what: str) -> ImportError:
    return ImportError(f"{what} needs {package}, which is not installed: pip install 'autograd-core[examples]'")


def write_png(samples: Sequence[Sample], path: str | Path, title: str) -> Path:
    """The curves of every layer in one picture. Raises ImportError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D
    except ImportError:
        raise _missing("matplotlib", "a PNG of the curves") from None
    names = layer_names(samples)
    charts = [("loss", [loss_curve(samples)], False)] if loss_curve(samples) else []
    charts += [(name, curves(samples, names, value, log), log) for name, value, log in CHARTS]
    charts = [entry for entry in charts if any(entry[1])]
    # No pyplot: its windows and global state have no place in a library.
    lines_of = max((len(charts) + 2) // 3, 1)
    figure = Figure(figsize=(11, 3 * lines_of), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title.replace("$", r"\$"))
    grid = iter(figure.subplots(lines_of, 3, squeeze=False).flat)
    for (name, lines, log), axes in zip(charts, grid):
        for i, line in enumerate(lines):
            if line:
                axes.plot(*zip(*line), color=colour(i, len(lines)), marker=".", markersize=4, linewidth=1.2)
        axes.set(title=name, xlabel="step")
        if log:
            axes.set_yscale("log")
        elif name.endswith("share"):
            axes.set_ylim(-0.02, 1.02)
        axes.grid(alpha=0.3)
    for axes in grid:
        axes.set_axis_off()
    if names:
        keys = [Line2D([], [], color=colour(i, len(names)), marker=".", linewidth=1.2) for i in range(len(names))]
        # matplotlib hides a label that begins with _, and reads mathematics between two $.
        labels = ["\u200b" + name.replace("$", r"\$") for name in names]
        figure.legend(keys, labels, loc="outside lower center", ncols=min(len(names), 6), fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format="png")
    write_atomically(path, [picture.getvalue()])
    return Path(path)


class Live:
    """Shows the figures of the latest watched step, and the diagnosis so far, while the loop in the block runs."""

    def __init__(self, watcher: Watcher, console: Any = None) -> None:
        try:
            from rich.live import Live as Screen
        except ImportError:
            raise _missing("rich", "the live view") from None
        self._watcher = watcher
        self._screen = Screen(console=console, auto_refresh=False)

    def __enter__(self) -> Live:
        self._screen.start()
        self._watcher._on_sample.append(self._show)
        return self

    def __exit__(self, *error: object) -> None:
        self._watcher._on_sample.remove(self._show)
        self._show(self._watcher)
        self._screen.stop()

    def _show(self, watcher: Watcher) -> None:
        if watcher.samples:
            found = watcher.diagnosis()
            self._screen.update(table(watcher.samples, found, type(watcher.model).__name__), refresh=True)


def table(samples: Sequence[Sample], found: Diagnosis, title: str) -> Any:
    """A rich renderable: the last sample's figures and the diagnosis."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    sample = samples[-1]
    loss = "" if sample.loss is None else f", loss {sample.loss:.4g}"
    grid = Table(title=f"{title}, step {sample.step}{loss}")
    grid.add_column("layer", overflow="fold")
    for name in ("gradient", "update", "mean", "variance", "units"):
        grid.add_column(name, justify="right", no_wrap=True)
    for row in sample.layers:
        figures = (row.grad_norm, row.update_ratio, row.mean, row.variance)
        cells = ["" if value is None else f"{value:.2g}" for value in figures]
        grid.add_row(Text(label(row)), *cells, _units(row))
    return Group(grid, Text(str(found), style="yellow" if found else "green"))


def _units(row: LayerSample) -> str:
    """In a few letters what the units do: '93 % saturated', '3 % dead', '7 not finite'."""
    if row.nonfinite:
        return f"{row.nonfinite:.0f} not finite"
    for value, word in ((row.saturated, "saturated"), (row.dead, "dead")):
        if value is not None:
            return f"{value:.0%} {word}"
    return ""

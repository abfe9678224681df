"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw(history: Sequence[dict[str, Any]], path: Path, title: str) -> bool:
    """Draw loss and accuracy by epoch into the PNG at `path`; False, drawing nothing, where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    # No pyplot: its windows and global state have no place in a command that may run without a display.
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    losses, accuracies = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    losses.plot(epochs, [row["loss"] for row in history], marker=".", label="training")
    losses.set(xlabel="epoch", ylabel="loss", title=title)
    for key, name in (("train_accuracy", "training"), ("test_accuracy", "test")):
        accuracies.plot(epochs, [100 * row[key] for row in history], marker=".", label=name)
    accuracies.set(xlabel="epoch", ylabel="accuracy, %")
    for axes in (losses, accuracies):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
    return True

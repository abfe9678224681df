"""Optimisers on a long valley, a saddle and Beale's function: paths, and steps until the minimum is reached.

Each optimiser gets its best learning rate from one grid, on each function. Theory for the valley of condition number k:
gradient descent shrinks the error by (k - 1) / (k + 1) a step, momentum by (sqrt(k) - 1) / (sqrt(k) + 1)
(B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core import optim
from autograd_core.experiments.settings import Settings, figure, table

TITLE = "Optimisers on a long valley, a saddle and Beale's function"
CONDITION = 100.0
POLYAK = ((math.sqrt(CONDITION) - 1) / (math.sqrt(CONDITION) + 1)) ** 2


@dataclass(frozen=True)
class Surface:
    """value: of tensors x, y; minimum: its value at the lowest point; view: the part drawn, (x0, x1, y0, y1)."""

    value: Callable[[Any, Any], Any]
    start: tuple[float, float]
    minimum: float
    view: tuple[float, float, float, float]


SURFACES = {
    "long valley": Surface(lambda x, y: (x**2 + CONDITION * y**2) / 2, (-9.3, 1.1), 0.0, (-11, 4, -2, 2)),
    # A strict saddle at 0 with minima at y = +-1, entered along its ridge, a thousandth beside.
    "saddle": Surface(lambda x, y: x**2 / 2 + y**4 / 4 - y**2 / 2, (-1.5, 1e-3), -0.25, (-2, 2, -1.6, 1.6)),
    "Beale": Surface(
        lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
        (1.0, 1.5), 0.0, (-1, 4.5, -1.5, 2),
    ),
}  # fmt: skip
OPTIMIZERS: dict[str, Callable[[list[ag.Tensor], float], optim.Optimizer]] = {
    "gradient descent": lambda p, lr: optim.SGD(p, lr),
    "momentum": lambda p, lr: optim.SGD(p, lr, momentum=POLYAK),
    "Nesterov": lambda p, lr: optim.SGD(p, lr, momentum=POLYAK, nesterov=True),
    "Adagrad": lambda p, lr: optim.Adagrad(p, lr),
    "Adadelta": lambda p, lr: optim.Adadelta(p, lr),
    "RMSprop": lambda p, lr: optim.RMSprop(p, lr),
    "Adam": lambda p, lr: optim.Adam(p, lr),
    "NAdam": lambda p, lr: optim.NAdam(p, lr),
}
TOLERANCE = 1e-4


def run(settings: Settings) -> dict[str, Any]:
    limit = 150 if settings.quick else 1000
    rates = (
        [0.01, 0.03, 0.3]
        if settings.quick
        else [m * 10.0**e for e in range(-4, 2) for m in (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)]
    )
    surfaces = ["long valley", "saddle"] if settings.quick else list(SURFACES)
    settings.expect(len(OPTIMIZERS) * len(surfaces))
    runs = []
    for surface in surfaces:
        for optimizer in OPTIMIZERS:
            runs.append(best(surface, optimizer, rates, limit))
            settings.step(f"{surface}, {optimizer}")
    return {"limit": limit, "tolerance": TOLERANCE, "rates": rates, "runs": runs}


def best(surface: str, optimizer: str, rates: list[float], limit: int) -> dict[str, Any]:
    """The run that reaches the tolerance first, else the one that ends lowest."""
    found: tuple[tuple[float, float], dict[str, Any]] | None = None
    for rate in rates:
        path, height = descend(SURFACES[surface], OPTIMIZERS[optimizer], rate, limit)
        steps = len(path) - 1 if height < TOLERANCE else None
        key = (math.inf if steps is None else steps, height if math.isfinite(height) else math.inf)
        if found is None or key < found[0]:
            row = {
                "surface": surface,
                "optimizer": optimizer,
                "rate": rate,
                "steps": steps,
                "height": height if math.isfinite(height) else None,
            }
            found = key, row | {"path": path}
            limit = min(limit, len(path) - 1) if steps is not None else limit  # A slower one need not finish.
    assert found is not None
    return found[1]


def descend(
    surface: Surface, make: Callable[[list[ag.Tensor], float], optim.Optimizer], rate: float, limit: int
) -> tuple[list[list[float]], float]:
    """The points passed, and the height above the minimum of the last one."""
    point = ag.tensor(surface.start, dtype=ag.float64, requires_grad=True)
    optimizer = make([point], rate)
    path, height = [point.tolist()], math.inf
    for _ in range(limit + 1):
        value = surface.value(point[0], point[1])
        height = value.item() - surface.minimum
        if height < TOLERANCE or not height < 1e6 or len(path) > limit:
            break
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        path.append(point.tolist())
    return path, height


def lines(result: dict[str, Any]) -> list[str]:
    surfaces = list(dict.fromkeys(row["surface"] for row in result["runs"]))
    cells = {(row["optimizer"], row["surface"]): row for row in result["runs"]}

    def text(optimizer: str, surface: str) -> str:
        row = cells[optimizer, surface]
        steps = f"over {result['limit']}" if row["steps"] is None else str(row["steps"])
        return f"{steps} (lr {row['rate']:g})"

    rows = [[optimizer, *(text(optimizer, surface) for surface in surfaces)] for optimizer in OPTIMIZERS]
    return table([f"steps to within {result['tolerance']:g} of the minimum", *surfaces], rows)


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    from matplotlib.animation import FuncAnimation, PillowWriter

    surfaces = list(dict.fromkeys(row["surface"] for row in result["runs"]))
    made = figure(4.2 * len(surfaces), 4.2)
    panels = made.subplots(1, len(surfaces), squeeze=False)[0]
    moving = []
    for axes, name in zip(panels, surfaces):
        surface = SURFACES[name]
        x0, x1, y0, y1 = surface.view
        x, y = ag.meshgrid(ag.linspace(x0, x1, 120), ag.linspace(y0, y1, 120), indexing="xy")
        # Bands of equal height as an image: contour lines would be drawn anew in every frame, slowly.
        bands = (surface.value(x, y) - surface.minimum + 1e-2).log().mul(1.5).floor().tolist()
        axes.imshow(bands, extent=surface.view, origin="lower", aspect="auto", cmap="Greys_r", alpha=0.5)
        axes.set(title=name, xlim=(x0, x1), ylim=(y0, y1))
        for row in (row for row in result["runs"] if row["surface"] == name):
            (line,) = axes.plot([], [], lw=1.5, label=row["optimizer"])
            (dot,) = axes.plot([], [], "o", ms=5, color=line.get_color())
            moving.append((row["path"], line, dot))
    panels[-1].legend(fontsize=6)

    def show(upto: int) -> list[Any]:
        for path, line, dot in moving:
            xs, ys = zip(*path[: upto + 1])
            line.set_data(xs, ys)
            dot.set_data(xs[-1:], ys[-1:])
        return []

    # Fine steps at first, where most happens; the last frame is the whole.
    frames = [*range(0, 20, 2), *range(20, 60, 5), *range(60, 161, 20), 160]
    made.canvas.draw()
    made.set_layout_engine("none")  # laid out once; again for every frame is slow
    film = folder / "paths.gif"
    FuncAnimation(made, show, frames=frames).save(film, writer=PillowWriter(fps=6), dpi=70)
    show(result["limit"])
    picture = folder / "paths.png"
    made.savefig(picture, dpi=120)
    return [film, picture]

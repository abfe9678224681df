"""One hidden layer computes any curve: by construction from steep sigmoids, and trained.

M. Nielsen, "Neural Networks and Deep Learning", 2015, ch. 4, whose curve this is; G. Cybenko, "Approximation by
superpositions of a sigmoidal function", 1989.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.settings import Settings, figure, table

TITLE = "One hidden layer fits any curve"


def curve(x: ag.Tensor) -> ag.Tensor:
    """Nielsen's example on [0, 1]."""
    return 0.2 + 0.4 * x**2 + 0.3 * x * ag.sin(15 * x) + 0.05 * ag.cos(50 * x)


def run(settings: Settings) -> dict[str, Any]:
    built = [10, 20, 40, 80, 160] + ([] if settings.quick else [320, 640, 1280])
    trained = [2, 32] if settings.quick else [2, 4, 8, 16, 32, 64]
    steps = 400 if settings.quick else 4000
    settings.expect(len(built) + len(trained))
    x = ag.linspace(0, 1, 1001, dtype=ag.float64)[:, None]
    rows, fits = [], {}
    for units in built:
        y = staircase(units)(x)
        rows.append({"how": "built", **errors(units, y, x)})
        fits[f"built, {units}"] = y.flatten().tolist()
        settings.step(f"{units} units built")
    for units in trained:
        y = train(units, steps, x)
        rows.append({"how": "trained", **errors(units, y, x)})
        fits[f"trained, {units}"] = y.flatten().tolist()
        settings.step(f"{units} units trained")
    return {"steps": steps, "rows": rows, "x": x.flatten().tolist(), "curve": curve(x).flatten().tolist(), "fits": fits}


def errors(units: int, y: ag.Tensor, x: ag.Tensor) -> dict[str, Any]:
    gap = (y - curve(x)).abs()
    return {"units": units, "greatest": gap.max().item(), "mean": gap.mean().item()}


def staircase(units: int) -> nn.Sequential:
    """A network that was never trained: each hidden unit is a step from the curve's last value to its next one."""
    places = ag.linspace(0, 1, units + 1, dtype=ag.float64)
    steepness = 40.0 * units  # a step has a tenth of the width between two of them
    network = nn.Sequential(nn.Linear(1, units), nn.Sigmoid(), nn.Linear(units, 1)).to(ag.float64)
    hidden, _, output = network
    with ag.no_grad():
        middles = (places[1:] + places[:-1]) / 2
        hidden.weight.fill_(steepness)
        hidden.bias.copy_(-steepness * middles)
        values = curve(places)
        output.weight.copy_((values[1:] - values[:-1])[None])
        output.bias.copy_(values[:1])
        return network


def train(units: int, steps: int, x: ag.Tensor) -> ag.Tensor:
    network = nn.Sequential(nn.Linear(1, units), nn.Tanh(), nn.Linear(units, 1)).to(ag.float64)
    with ag.no_grad():  # Let the units bend at places over the whole of [0, 1], some steeply.
        network[0].weight.normal_(0, 15)
        network[0].bias.copy_(-network[0].weight[:, 0] * ag.rand(units, dtype=ag.float64))
    optimizer = optim.Adam(network.parameters(), lr=0.02)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    target, few = curve(x[::5]), x[::5]
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(network(few), target).backward()
        optimizer.step()
        schedule.step()
    with ag.no_grad():
        return network(x)


def lines(result: dict[str, Any]) -> list[str]:
    rows = [[row["how"], row["units"], row["greatest"], row["mean"]] for row in result["rows"]]
    return table(["weights", "hidden units", "greatest error", "mean error"], rows)


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    shown = [name for name in result["fits"] if name.split(", ")[1] in ("2", "8", "10", "32", "40", "160")]
    made = figure(3 * len(shown), 3)
    for axes, name in zip(made.subplots(1, len(shown), sharey=True), shown):
        axes.plot(result["x"], result["curve"], color="0.6", lw=3)
        axes.plot(result["x"], result["fits"][name], color="C3", lw=1)
        axes.set(title=f"{name} units", xlabel="x")
    path = folder / "fits.png"
    made.savefig(path, dpi=120)
    return [path]

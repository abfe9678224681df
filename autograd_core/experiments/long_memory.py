"""The adding problem: a recurrent network must remember two numbers over a long time.

S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 1997, experiment 4: T pairs of a random
value in -1..1 and a marker; the values of two marked pairs, one among the first ten and one in the first half, are to
be added up at the end. A plain RNN fails, since its gradient fades with the distance in time (Hochreiter 1991; Y.
Bengio et al., "Learning long-term dependencies with gradient descent is difficult", 1994).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.resume import Training
from autograd_core.experiments.settings import Settings, figure, table

TITLE = "The adding problem: what recurrent networks remember"
# How each network begins: as PyTorch does, or with gates biased so that its units forget after 1 to T steps, spread
# evenly on a logarithmic scale (C. Tallec and Y. Ollivier, "Can recurrent neural networks warp time?", ICLR 2018).
NETWORKS = {
    "plain RNN": (nn.RNN, False),
    "LSTM": (nn.LSTM, False),
    "LSTM, gates open": (nn.LSTM, True),
    "GRU": (nn.GRU, False),
    "GRU, gates open": (nn.GRU, True),
}
LENGTHS = (100, 400)
PARTS = tuple(f"{name}, {length} steps" for length in LENGTHS for name in NETWORKS)
WIDTH, BATCH, MOST, QUICK_MOST = 32, 50, 6000, 350  # most: training steps
NEAR = 0.04  # an answer is right if it is as near as this
PUBLISHED = {100: 74_000, 500: 209_000, 1000: 853_000}  # sequences until solved


class Adder(nn.Module):
    """Sequences (B, T, 2) to sums (B,)."""

    def __init__(self, name: str, length: int, width: int) -> None:
        super().__init__()
        cell, is_open = NETWORKS[name]
        self.cell: Any = cell(2, width, batch_first=True)
        self.head = nn.Linear(width, 1)
        if is_open:
            open_gates(self.cell, length)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return self.head(self.cell(x)[0][:, -1])[:, 0]


def open_gates(cell: Any, length: int) -> None:
    """Forget gates (LSTM) or update gates (GRU) that begin at 1 - 1/t for t spread from 1 to `length`."""
    width = cell.hidden_size
    bias = ag.log(ag.empty(width).uniform_(1.0, length - 1.0))
    with ag.no_grad():
        nn.init.zeros_(cell.bias_hh_l0)
        if isinstance(cell, nn.LSTM):  # input, forget, cell, output
            cell.bias_ih_l0[:width] = -bias
            cell.bias_ih_l0[width : 2 * width] = bias
        else:  # reset, update, new
            cell.bias_ih_l0[width : 2 * width] = bias


def sequences(count: int, length: int) -> tuple[ag.Tensor, ag.Tensor]:
    """(count, length, 2) of values and markers, and the sums 1/2 + (X1 + X2)/4, all between 0 and 1."""
    values = ag.rand(count, length) * 2 - 1
    first = ag.randint(1, 10, (count,))
    # Any but the first and the last pair and the one already marked.
    second = ag.randint(1, length // 2 - 1, (count,))
    second = second + (second >= first)
    markers = F.one_hot(first, length).float() + F.one_hot(second, length).float()
    markers[:, 0] = markers[:, -1] = -1.0
    at = ag.stack((first, second), 1)
    target = 0.5 + ag.gather(values, 1, at).sum(1) / 4
    return ag.stack((values, markers), 2), target


def reach(model: Adder, length: int, count: int = 100) -> list[float]:
    """How strongly the error at the end reaches back: the norm of its gradient by the inputs, by distance in time."""
    x, target = sequences(count, length)
    x.requires_grad_()
    F.mse_loss(model(x), target).backward()
    norms = x.grad.double().square().sum((0, 2)).sqrt().flip(0).tolist()  # type: ignore[union-attr]
    model.zero_grad()
    return [value / norms[0] for value in norms]


def run(settings: Settings) -> dict[str, Any]:
    lengths = (24,) if settings.quick else LENGTHS
    most = QUICK_MOST if settings.quick else MOST
    settings.expect(most * len(lengths) * len(NETWORKS))
    rows = []
    for length in lengths:
        for name in NETWORKS:
            key = f"{name}, {length} steps"
            rows.append(settings.part(key, partial(learn, name, length, most, settings), most))
    return {"near": NEAR, "rows": [row for row in rows if row is not None]}


def learn(name: str, length: int, most: int, settings: Settings) -> dict[str, Any]:
    """Train until the last 2000 answers are right and their mean error is below 0.01, as the paper has it."""
    width = 24 if settings.quick else WIDTH
    model = Adder(name, length, width)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    training = Training(settings, f"{name}, {length} steps", model=model, optimizer=optimizer)
    notes = training.notes
    if not notes:
        notes.update(start=reach(model, length), errors=[], wrong=[], solved=None)
    every, done = 10, training.step
    squares: list[Any] = []
    wrong: list[Any] = []
    for step in training.steps(most, keep_every=every):
        done = step + 1
        x, target = sequences(BATCH, length)
        optimizer.zero_grad()
        answers = model(x)
        loss = F.mse_loss(answers, target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        squares.append(loss.detach())
        wrong.append(((answers.detach() - target).abs() >= NEAR).sum())
        if done % every == 0:
            notes["errors"].append([done, ag.stack(squares).mean().item()])
            notes["wrong"].append(int(ag.stack(wrong).sum().item()))
            squares.clear()
            wrong.clear()
            last = 2000 // (every * BATCH)
            if len(notes["wrong"]) >= last and sum(notes["wrong"][-last:]) == 0:
                notes["solved"] = done * BATCH
                break
        settings.step(
            f"{name}, {length} steps: squared error {notes['errors'][-1][1]:.4f}" if notes["errors"] else name
        )
    settings.step(name, most - done + 1 if notes["solved"] else 0)
    x, target = sequences(2560, length)
    with ag.no_grad():
        gap = (model(x) - target).abs()
    return {
        "name": name,
        "length": length,
        "solved": notes["solved"],
        "sequences": done * BATCH,
        "wrong of 2560": int((gap >= NEAR).sum().item()),
        "squared error": gap.square().mean().item(),
        "variance": target.var().item(),
        "errors": notes["errors"],
        "reach at the start": notes["start"],
        "reach at the end": reach(model, length),
        "seconds": training.seconds,
    }


def lines(result: dict[str, Any]) -> list[str]:
    rows: list[list[object]] = []
    for row in result["rows"]:
        far = row["length"] - 5  # where the first number is
        solved = f"{row['solved']:,}" if row["solved"] else f"over {row['sequences']:,}"
        rows.append(
            [f"{row['length']} steps", row["name"], solved]
            + [row["wrong of 2560"], row["squared error"], row["variance"]]
            + [row["reach at the start"][far], row["reach at the end"][far], row["seconds"]]
        )
    heads = ["", "", "sequences until solved", "wrong of 2560", "squared error", "of guessing the mean"]
    return table([*heads, "reach at the start", "at the end", "seconds"], rows)


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    lengths = sorted({row["length"] for row in result["rows"]})
    made = figure(13, 3.8 * len(lengths))
    grid = made.subplots(len(lengths), 3, squeeze=False)
    colours = {name: f"C{i}" for i, name in enumerate(NETWORKS)}
    for (errors, start, end), length in zip(grid, lengths):
        for row in result["rows"]:
            if row["length"] != length:
                continue
            name = row["name"]
            steps = [BATCH * step / 1000 for step, _ in row["errors"]]
            errors.semilogy(steps, [value for _, value in row["errors"]], colours[name], label=name, linewidth=1)
            for axes, key in ((start, "reach at the start"), (end, "reach at the end")):
                # The line ends where float32 does.
                axes.semilogy([value or float("nan") for value in row[key]], colours[name], label=name)
        errors.axhline(1 / 24, color="k", linestyle=":", linewidth=0.8, label="guessing the mean")
        errors.set(title=f"{length} steps: squared error", xlabel="thousands of training sequences")
        start.set(title="gradient at the start", xlabel="distance in time")
        end.set(title="gradient after training", xlabel="distance in time")
        for axes in (errors, start, end):
            axes.grid(alpha=0.3)
        errors.legend(loc="lower right", fontsize="small")
    path = folder / "adding.png"
    made.savefig(path, dpi=120)
    return [path]

"""A recurrent network learns to write like Shakespeare, character by character.

The setting of A. Karpathy's char-rnn ("The unreasonable effectiveness of recurrent neural networks", 2015): two layers
of 128, fifty streams of text read side by side, fifty characters a step, the state carried on from step to step while
the gradient is cut there (truncated back-propagation; R. Williams and J. Peng, 1990), RMSprop.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments import text as texts
from autograd_core.experiments.resume import Training
from autograd_core.experiments.settings import Settings, table

TITLE = "A character LSTM on tiny Shakespeare"


@dataclass(frozen=True)
class Config:
    cell: str = "LSTM"
    layers: int = 2
    width: int = 128
    streams: int = 50
    length: int = 50  # characters a step
    epochs: int = 10
    lr: float = 2e-3


CONFIGS = {"LSTM": Config(), "GRU": Config("GRU"), "plain RNN": Config("RNN")}
QUICK = {"LSTM": Config("LSTM", 1, 48, 16, 25, 2, 1e-2)}
PARTS = tuple(CONFIGS)


class CharRNN(nn.Module):
    """Numbers of characters (B, T) to logits (B, T, characters)."""

    block = 200  # characters of context that sampling reads again for each new one

    def __init__(self, characters: int, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, config.width)
        self.cell = getattr(nn, config.cell)(config.width, config.width, config.layers, batch_first=True)
        self.head = nn.Linear(config.width, characters)

    def step(self, x: ag.Tensor, state: Any = None) -> tuple[ag.Tensor, Any]:
        """Logits, and the state after the last character, from which the next piece of text goes on."""
        y, state = self.cell(self.embedding(x), state)
        return self.head(y), state

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return self.step(x)[0]


def streams(data: ag.Tensor, count: int) -> tuple[ag.Tensor, ag.Tensor]:
    """The text cut into `count` pieces side by side (count, N), and the same one character later."""
    n = (len(data) - 1) // count
    return data[: count * n].reshape(count, n), data[1 : count * n + 1].reshape(count, n)


def loss_on(model: CharRNN, data: ag.Tensor, count: int = 10, length: int = 250) -> float:
    """The mean cross-entropy over a whole text, read in order, in nats a character."""
    x, y = streams(data, count)
    model.eval()
    total, state = 0.0, None
    with ag.no_grad():
        for start in range(0, x.shape[1], length):
            logits, state = model.step(x[:, start : start + length], state)
            total += F.cross_entropy(
                logits.flatten(0, 1), y[:, start : start + length].flatten(), reduction="sum"
            ).item()
    model.train()
    return total / x.numel()


def run(settings: Settings) -> dict[str, Any]:
    text = texts.read(settings)
    configs = QUICK if settings.quick else CONFIGS
    counts = {name: config.epochs * steps_of(config, text) for name, config in configs.items()}
    settings.expect(sum(counts.values()))
    found = [settings.part(name, partial(train, name, configs[name], text, settings), counts[name]) for name in configs]
    rows = [row for row in found if row is not None]
    return {"characters": text.characters, "counted": texts.counted(text), "rows": rows}


def steps_of(config: Config, text: texts.Text) -> int:
    """Steps an epoch."""
    return max(((len(text.train) - 1) // config.streams) // config.length, 1)


def detached(state: Any) -> Any:
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def train(name: str, config: Config, text: texts.Text, settings: Settings) -> dict[str, Any]:
    device = ag.get_default_device()
    model = CharRNN(len(text.characters), config).to(device)
    optimizer = optim.RMSprop(model.parameters(), lr=config.lr, alpha=0.95)
    held_out = text.held_out.to(device)
    x, y = streams(text.train.to(device), config.streams)
    per_epoch = steps_of(config, text)
    training = Training(settings, name, model=model, optimizer=optimizer)
    history = training.notes.setdefault("history", [])
    recent: list[Any] = []
    state: Any = None
    for step in training.steps(config.epochs * per_epoch, keep_every=per_epoch):
        at = step % per_epoch * config.length
        if at == 0:
            state = None
        pieces = [part[:, at : at + config.length] for part in (x, y)]
        optimizer.zero_grad()
        logits, state = model.step(pieces[0], state)
        state = detached(state)
        loss = F.cross_entropy(logits.flatten(0, 1), pieces[1].flatten())
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 5.0)
        optimizer.step()
        recent.append(loss.detach())
        if at == (per_epoch - 1) * config.length:
            mean = ag.stack(recent).mean().item()
            recent.clear()
            history.append([step + 1, mean, loss_on(model, held_out)])
        settings.step(f"{name}: held-out loss {history[-1][2]:.3f}" if history else name)
    return {
        "name": name,
        "parameters": texts.parameters_of(model),
        "config": asdict(config),
        "history": history,
        "train": history[-1][1],
        "held_out": history[-1][2],
        "sample": texts.sample(model, text.characters, text.start, 100 if settings.quick else 600),
        "seconds": training.seconds,
        **texts.keep(settings, name, model, text, {"kind": "rnn", "config": asdict(config)}),
    }


def lines(result: dict[str, Any]) -> list[str]:
    rows = [[row[key] for key in ("name", "parameters", "train", "held_out", "seconds")] for row in result["rows"]]
    guesses = [[name, "", "", value, ""] for name, value in result["counted"].items()]
    samples = [line for row in result["rows"] for line in (f"-- {row['name']} writes:", row["sample"].strip())]
    return [*table(["", "parameters", "training loss", "held-out loss", "seconds"], rows + guesses), *samples]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    return [texts.draw_losses(result["rows"], result["counted"], folder / "losses.png")]

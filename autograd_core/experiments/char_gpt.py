"""A small GPT learns to write like Shakespeare, character by character.

The two configurations of A. Karpathy's nanoGPT (2022) for a text of a megabyte: for a CPU (4 layers, 128 wide, 64
characters of context, 2000 steps) and for a GPU (6 layers, 384 wide, 256 characters, 5000 steps, dropout).
The network is that of A. Radford et al., "Language models are unsupervised multitask learners", 2019.
"""

from __future__ import annotations

import math
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

TITLE = "A character GPT on tiny Shakespeare"


@dataclass(frozen=True)
class Config:
    layers: int = 4
    heads: int = 4
    width: int = 128
    block: int = 64  # characters of context
    batch: int = 12
    dropout: float = 0.0
    steps: int = 2000
    lr: float = 1e-3
    warmup: int = 100


CONFIGS = {
    "CPU configuration": Config(),
    "GPU configuration": Config(6, 6, 384, 256, 64, 0.2, 5000),
}
QUICK = Config(2, 2, 32, 24, 16, 0.0, 400, 1e-2, 20)
PARTS = tuple(CONFIGS)
PUBLISHED = {"CPU configuration": 1.88, "GPU configuration": 1.4697}


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): (B, T, width) to the same."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        b, t, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, 2)
        q, k, v = (part.view(b, t, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
        y = y.transpose(1, 2).reshape(b, t, width)
        x = x + F.dropout(self.proj(y), self.dropout, self.training)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)))), self.dropout, self.training)


class GPT(nn.Module):
    """Numbers of characters (B, T), T up to `block`, to logits (B, T, characters). The head shares the embedding."""

    def __init__(self, characters: int, config: Config) -> None:
        super().__init__()
        self.block, self.dropout = config.block, config.dropout
        self.tokens = nn.Embedding(characters, config.width)
        self.positions = nn.Embedding(config.block, config.width)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(config.width, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                # What is added to the stream at every layer begins the smaller, the more layers there are.
                last = name.endswith(("proj.weight", "down.weight"))
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * config.layers) if last else 0.02)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        at = self.positions(ag.arange(x.shape[1], device=x.device))
        x = F.dropout(self.tokens(x) + at, self.dropout, self.training)
        return F.linear(self.norm(self.blocks(x)), self.tokens.weight)


def rate(config: Config, step: int) -> float:
    """The learning rate: a linear rise, then half a cosine down to a tenth."""
    if step < config.warmup:
        return config.lr * (step + 1) / (config.warmup + 1)
    share = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.lr * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))


def run(settings: Settings) -> dict[str, Any]:
    text = texts.read(settings)
    configs = {PARTS[0]: QUICK} if settings.quick else CONFIGS
    # The larger one is for a GPU: on a CPU it runs only when it is asked for.
    cpu = str(ag.get_default_device()) == "cpu"
    if cpu and PARTS[1] not in settings.only:
        configs = {name: config for name, config in configs.items() if name != PARTS[1]}
    settings.expect(sum(config.steps for config in configs.values()))
    found = [
        settings.part(name, partial(train, name, configs[name], text, settings), config.steps)
        for name, config in configs.items()
    ]
    rows = [row for row in found if row is not None]
    return {"characters": text.characters, "counted": texts.counted(text), "rows": rows}


def train(name: str, config: Config, text: texts.Text, settings: Settings) -> dict[str, Any]:
    device = ag.get_default_device()
    data, held_out = text.train.to(device), text.held_out.to(device)
    model = GPT(len(text.characters), config).to(device)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=config.lr,
        betas=(0.9, 0.99),
    )
    training = Training(settings, name, model=model, optimizer=optimizer)
    history = training.notes.setdefault("history", [])
    for step in training.steps(config.steps):
        if step % (100 if settings.quick else 250) == 0:
            losses = [texts.loss_on(model, part, 20, config.batch, config.block) for part in (data, held_out)]
            history.append([step, *losses])
        for group in optimizer.param_groups:
            group["lr"] = rate(config, step)
        x, y = texts.windows(data, config.batch, config.block)
        optimizer.zero_grad()
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        settings.step(f"{name}: held-out loss {history[-1][2]:.3f}")
    last = [texts.loss_on(model, part, 200, config.batch, config.block) for part in (data, held_out)]
    history.append([config.steps, *last])
    return {
        "name": name,
        "parameters": texts.parameters_of(model),
        "config": asdict(config),
        "history": history,
        "train": last[0],
        "held_out": last[1],
        "sample": texts.sample(model, text.characters, text.start, 100 if settings.quick else 600),
        "seconds": training.seconds,
        **texts.keep(settings, name, model, text, {"kind": "gpt", "config": asdict(config)}),
    }


def lines(result: dict[str, Any]) -> list[str]:
    rows = [
        [row["name"], row["parameters"], row["train"], row["held_out"], PUBLISHED.get(row["name"], ""), row["seconds"]]
        for row in result["rows"]
    ]
    heads = ["", "parameters", "training loss", "held-out loss", "published", "seconds"]
    guesses = [[name, "", "", value, "", ""] for name, value in result["counted"].items()]
    samples = [line for row in result["rows"] for line in (f"-- {row['name']} writes:", row["sample"].strip())]
    return [*table(heads, rows + guesses), *samples]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    return [texts.draw_losses(result["rows"], result["counted"], folder / "losses.png")]

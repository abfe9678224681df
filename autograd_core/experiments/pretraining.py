"""Greedy layer-wise pre-training: a deep autoencoder that random weights could not train.

G. Hinton and R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 2006: MNIST through
784-1000-500-250-30 and back. Each layer is first a restricted Boltzmann machine, trained by one step of contrastive
divergence on what the layer below makes of the images; then all are stacked, unrolled and fine-tuned by gradients.
Beside it the same network from small random weights, and with ReLU from He's (K. He et al., "Delving deep into
rectifiers", 2015), which needs no pre-training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.resume import Training
from autograd_core.experiments.settings import Settings, figure, mnist_images, plain_ticks, table

TITLE = "Pre-training a deep autoencoder with restricted Boltzmann machines"
PARTS = ("pre-trained, sigmoid", "small random weights, sigmoid", "He's weights, ReLU")
PUBLISHED = {PARTS[0]: 3.00, "PCA": 13.87}


@dataclass(frozen=True)
class Plan:
    widths: tuple[int, ...] = (784, 1000, 500, 250, 30)
    images: int = 60_000
    rbm_epochs: int = 10  # passes over the images for each layer
    batch: int = 100
    epochs: int = 30  # of fine-tuning
    fine_batch: int = 200


QUICK_PLAN = Plan((784, 64, 32, 3), 1000, 10, 20, 24, 20)


class Autoencoder(nn.Module):
    """Images (B, 784) of 0..1 to the logits of their reconstructions, through a linear code."""

    def __init__(self, widths: tuple[int, ...], kind: str) -> None:
        super().__init__()
        self.squash = F.relu if kind == PARTS[2] else ag.sigmoid
        back = widths[::-1]
        self.encoder = nn.ModuleList(nn.Linear(m, n) for m, n in zip(widths, widths[1:]))
        self.decoder = nn.ModuleList(nn.Linear(m, n) for m, n in zip(back, back[1:]))
        for layer in [*self.encoder, *self.decoder]:
            if kind == PARTS[2]:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.normal_(layer.weight, 0.0, 0.01)
            nn.init.zeros_(layer.bias)

    def encode(self, x: ag.Tensor, layers: int) -> ag.Tensor:
        """What the first `layers` layers make of `x`; the last of all is linear."""
        for layer in self.encoder[:layers]:
            x = layer(x)
            if layer is not self.encoder[-1]:
                x = self.squash(x)
        return x

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        x = self.encode(x, len(self.encoder))
        for layer in self.decoder:
            x = layer(x)
            if layer is not self.decoder[-1]:
                x = self.squash(x)
        return x


class Machine:
    """The restricted Boltzmann machine between two layers of an autoencoder, whose weights it changes.

    Visible units are probabilities; the hidden ones stochastic bits, at the code Gaussian with variance 1. Rates,
    momentum and weight decay are the paper's.
    """

    def __init__(self, model: Autoencoder, layer: int) -> None:
        up, down = model.encoder[layer], model.decoder[len(model.decoder) - 1 - layer]
        self.linear = layer == len(model.encoder) - 1
        self.rate = 0.001 if self.linear else 0.1
        self.w, self.b, self.a = up.weight, up.bias, down.bias  # (hidden, visible), hidden, visible
        self.copy = down.weight
        nn.init.normal_(self.w, 0.0, 0.1)
        self.momenta = [ag.zeros_like(p) for p in (self.w, self.b, self.a)]

    def hidden(self, v: ag.Tensor) -> ag.Tensor:
        h = F.linear(v, self.w, self.b)
        return h if self.linear else ag.sigmoid(h)

    def learn(self, v: ag.Tensor, momentum: float) -> ag.Tensor:
        """One step of CD-1 on a batch; returns the squared error of the reconstructions, an image."""
        n = len(v)
        h = self.hidden(v)
        drawn = h + ag.randn_like(h) if self.linear else ag.bernoulli(h)
        v1 = ag.sigmoid(F.linear(drawn, self.w.t(), self.a))
        h1 = self.hidden(v1)
        slopes = ((h.t() @ v - h1.t() @ v1) / n - 0.0002 * self.w, (h - h1).mean(0), (v - v1).mean(0))
        for p, speed, slope in zip((self.w, self.b, self.a), self.momenta, slopes):
            speed.mul_(momentum).add_(slope, alpha=self.rate)
            p.add_(speed)
        return (v - v1).square().sum() / n

    def unroll(self) -> None:
        """The decoder begins as the mirror of the encoder."""
        self.copy.copy_(self.w.t())


def run(settings: Settings) -> dict[str, Any]:
    plan = QUICK_PLAN if settings.quick else Plan()
    images, _ = mnist_images(settings, plan.images)
    tests, labels = mnist_images(settings, 10_000, train=False)
    fine = plan.epochs * (len(images) // plan.fine_batch)
    greedy = (len(plan.widths) - 1) * plan.rbm_epochs * (len(images) // plan.batch)
    counts = {name: fine + (greedy if name == PARTS[0] else 0) for name in PARTS}
    settings.expect(sum(counts.values()))
    shown = tests[[int((labels == digit).nonzero()[0]) for digit in range(10)]]
    rows = [
        settings.part(name, partial(learn, name, plan, images, tests, shown, settings), counts[name]) for name in PARTS
    ]
    project = principal_components(images, plan.widths[-1])
    return {
        "plan": asdict(plan),
        "mean image": squared_error(images.mean(0).expand_as(tests), tests),
        "PCA": squared_error(project(tests), tests),
        "rows": [row for row in rows if row is not None],
        "pictures": {"original": pixels(shown), "PCA": pixels(project(shown))},
    }


def principal_components(images: ag.Tensor, count: int) -> Callable[[ag.Tensor], ag.Tensor]:
    """The projection of images on the `count` directions of greatest variance."""
    mean = images.mean(0)
    centred = (images - mean).double()
    _, directions = ag.linalg.eigh(centred.t() @ centred / len(images))
    chosen = directions[:, -count:].float()
    return lambda x: mean + (x - mean) @ chosen @ chosen.t()


def squared_error(found: ag.Tensor, images: ag.Tensor) -> float:
    """Summed over the pixels, averaged over the images."""
    return (found - images).square().sum(1).mean().item()


def pixels(images: ag.Tensor) -> list[list[int]]:
    return (images.clamp(0, 1) * 255).round().long().tolist()


def learn(
    name: str, plan: Plan, images: ag.Tensor, tests: ag.Tensor, shown: ag.Tensor, settings: Settings
) -> dict[str, Any]:
    model = Autoencoder(plan.widths, name).to(ag.get_default_device())
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    training = Training(settings, name, model=model, optimizer=optimizer)
    notes = training.notes
    if not notes:
        notes.update(greedy=[], errors=[])
    fine_per_epoch = len(images) // plan.fine_batch
    per_layer = plan.rbm_epochs * (len(images) // plan.batch)
    greedy = per_layer * len(model.encoder) if name == PARTS[0] else 0
    fine = plan.epochs * fine_per_epoch
    if greedy:
        with ag.no_grad():
            greedily(model, images, training, plan, settings)
    order = ag.arange(len(images))
    losses: list[Any] = []
    # A killed run continues at the beginning of a pass over the images.
    for step in training.steps(greedy + fine, keep_every=fine_per_epoch if training.step >= greedy else per_layer):
        at = (step - greedy) % fine_per_epoch
        if at == 0:
            order = ag.randperm(len(images))
        x = images[order[at * plan.fine_batch : (at + 1) * plan.fine_batch]]
        optimizer.param_groups[0]["lr"] = 0.5e-3 * (1 + math.cos(math.pi * (step - greedy) / fine))
        optimizer.zero_grad()
        logits = model(x)
        (F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)).backward()
        optimizer.step()
        losses.append((ag.sigmoid(logits.detach()) - x).square().sum() / len(x))
        if at == fine_per_epoch - 1:
            notes["errors"].append([ag.stack(losses).mean().item(), error_of(model, tests)])
            losses.clear()
        settings.step(
            f"{name}: squared error {notes['errors'][-1][1]:.2f}" if notes["errors"] else f"{name}: fine-tuning"
        )
    with ag.no_grad():
        found = ag.sigmoid(model(shown))
    return {
        "name": name,
        "greedy": notes["greedy"],
        "errors": notes["errors"],
        "train": notes["errors"][-1][0],
        "test": notes["errors"][-1][1],
        "picture": pixels(found),
        "seconds": training.seconds,
    }


def greedily(model: Autoencoder, images: ag.Tensor, training: Training, plan: Plan, settings: Settings) -> None:
    """Pre-train the layers from the lowest to the code. A killed run continues at the beginning of a layer."""
    per_epoch = len(images) // plan.batch
    per_layer = plan.rbm_epochs * per_epoch
    machine: Any = None
    order = ag.arange(len(images))
    errors: list[Any] = []
    for step in training.steps(per_layer * len(model.encoder), keep_every=per_layer):
        layer, at = divmod(step, per_layer)
        if at == 0:
            machine = Machine(model, layer)
        if step % per_epoch == 0:
            order = ag.randperm(len(images))
        batch = order[step % per_epoch * plan.batch : (step % per_epoch + 1) * plan.batch]
        errors.append(machine.learn(model.encode(images[batch], layer), 0.5 if at < 5 * per_epoch else 0.9))
        if (step + 1) % per_epoch == 0:
            error = ag.stack(errors).mean().item()
            errors.clear()
            training.notes["greedy"].append([layer + 1, error])
            if at == per_layer - 1:
                machine.unroll()
        settings.step(f"{PARTS[0]}: layer {layer + 1}")


def error_of(model: Autoencoder, images: ag.Tensor) -> float:
    with ag.no_grad():
        found = [ag.sigmoid(model(part)) for part in images.split(1000)]
    return squared_error(ag.cat(found), images)


def lines(result: dict[str, Any]) -> list[str]:
    rows: list[list[object]] = [[name, "", result[name], PUBLISHED.get(name, ""), ""] for name in ("mean image", "PCA")]
    for row in result["rows"]:
        rows.append([row["name"], row["train"], row["test"], PUBLISHED.get(row["name"], ""), row["seconds"]])
    plan = result["plan"]
    return [
        f"squared error an image, code of {plan['widths'][-1]}, {plan['epochs']} passes of fine-tuning:",
        *table(["", "training images", "test images", "published", "seconds"], rows),
    ]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(8, 4)
    axes = made.subplots()
    for i, row in enumerate(result["rows"]):
        passes = range(1, len(row["errors"]) + 1)
        axes.semilogy(passes, [test for _, test in row["errors"]], f"C{i}", label=row["name"])
        axes.semilogy(passes, [train for train, _ in row["errors"]], f"C{i}:")
    for name in ("mean image", "PCA"):
        axes.axhline(result[name], color="grey", linewidth=0.8)
        axes.annotate(name, (0.99, result[name]), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.set(
        xlabel="passes of fine-tuning", ylabel="squared error an image", title="test images; dotted: training images"
    )
    axes.grid(alpha=0.3, which="both")
    plain_ticks(axes)
    axes.legend()
    errors = folder / "errors.png"
    made.savefig(errors, dpi=120)

    shown = [("original", result["pictures"]["original"]), (f"PCA, {result['PCA']:.1f}", result["pictures"]["PCA"])]
    shown += [(f"{row['name']}, {row['test']:.1f}", row["picture"]) for row in result["rows"]]
    made = figure(9, 1.05 * len(shown))
    for line, (name, images) in zip(made.subplots(len(shown), 10, squeeze=False), shown):
        for axes, image in zip(line, images):
            axes.imshow([image[i : i + 28] for i in range(0, 784, 28)], cmap="gray_r", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name.replace(", ", "\n"), rotation=0, ha="right", va="center")
    pictures = folder / "reconstructions.png"
    made.savefig(pictures, dpi=120)
    return [errors, pictures]

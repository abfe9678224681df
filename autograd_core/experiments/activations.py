"""Activations: their slopes, how far from zero their outputs lie, what they cost; ReLU against tanh in a small CNN.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks", NeurIPS 2012,
figure 1: a four-layer CNN reaches 25 % training error on CIFAR-10 six times sooner with ReLU than with tanh. Here the
images are MNIST's and the error is 2 %. Each activation gets its best learning rate, as there.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.settings import Settings, figure, mnist_images, table

TITLE = "Activations, their slopes, means and costs; ReLU against tanh in a CNN"
ACTIVATIONS: dict[str, nn.Module] = {
    "Sigmoid": nn.Sigmoid(),
    "Tanh": nn.Tanh(),
    "ReLU": nn.ReLU(),
    "LeakyReLU": nn.LeakyReLU(),
    "ReLU6": nn.ReLU6(),
    "ELU": nn.ELU(),
    "CELU": nn.CELU(),
    "SELU": nn.SELU(),
    "GELU": nn.GELU(),
    "SiLU": nn.SiLU(),
    "Mish": nn.Mish(),
    "Softplus": nn.Softplus(),
    "Softsign": nn.Softsign(),
    "LogSigmoid": nn.LogSigmoid(),
    "Tanhshrink": nn.Tanhshrink(),
    "Softshrink": nn.Softshrink(),
    "Hardshrink": nn.Hardshrink(),
    "Hardtanh": nn.Hardtanh(),
    "Hardsigmoid": nn.Hardsigmoid(),
    "Hardswish": nn.Hardswish(),
}
TARGET = 0.02


def run(settings: Settings) -> dict[str, Any]:
    digits = mnist_images(settings, 500 if settings.quick else 5000)
    rates = (0.02,) if settings.quick else (0.01, 0.02, 0.05, 0.1, 0.2)
    epochs = 4 if settings.quick else 8
    settings.expect(len(ACTIVATIONS) + 2 * len(rates))
    rows = []
    for name, activation in ACTIVATIONS.items():
        rows.append(portrait(name, activation, 10_000 if settings.quick else 1_000_000))
        settings.step(name)
    races: list[dict[str, Any]] = []
    for name, kind in (("ReLU", nn.ReLU), ("Tanh", nn.Tanh)):
        for rate in rates:
            races.append({"activation": name, "rate": rate, "errors": race(kind, rate, epochs, digits)})
            settings.step(f"CNN of {name}, learning rate {rate}")
    best = {
        name: min(reached(r["errors"], epochs) for r in races if r["activation"] == name) for name in ("ReLU", "Tanh")
    }
    return {"activations": rows, "images": len(digits[0]), "epochs": epochs, "races": races, "best": best}


def portrait(name: str, activation: nn.Module, size: int) -> dict[str, Any]:
    """Curve and slope on [-5, 5]; mean and deviation of the output for unit normal input; milliseconds a value pass."""
    x = ag.linspace(-5, 5, 201, dtype=ag.float64, requires_grad=True)
    y = activation(x)
    slope: Any
    gradient: Any
    (slope,) = ag.autograd.grad(y.sum(), x)
    inputs = ag.randn(size, requires_grad=True)
    ones, seconds = ag.ones(size), []
    for _ in range(7):
        start = time.perf_counter()
        output = activation(inputs)
        (gradient,) = ag.autograd.grad(output, inputs, ones)
        gradient[-1].item()  # waits for a device that works ahead
        seconds.append(time.perf_counter() - start)
    return {
        "name": name,
        "curve": y.tolist(),
        "slope": slope.tolist(),
        "mean": output.mean().item(),
        "deviation": output.std().item(),
        "milliseconds": 1e3 * median(seconds),
    }


def race(kind: type[nn.Module], rate: float, epochs: int, digits: tuple[ag.Tensor, ag.Tensor]) -> list[float]:
    """Training error every quarter of an epoch, over the batches of that quarter; stops once it is small enough."""
    ag.manual_seed(ag.initial_seed())  # the same weights and order for all
    network = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), kind(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5, padding=2), kind(), nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1), kind(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 3 * 3, 10),
    )  # fmt: skip
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if kind is nn.ReLU else "tanh")
    images, labels = digits
    images = (images - images.mean()).reshape(-1, 1, 28, 28)
    optimizer = optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    quarter = len(images) // 4
    errors: list[float] = []
    for _ in range(epochs):
        order = ag.randperm(len(images))
        for part in range(4):
            wrong = ag.zeros((), dtype=ag.int64)
            for chosen in order[part * quarter : (part + 1) * quarter].split(50):
                optimizer.zero_grad()
                logits = network(images[chosen])
                F.cross_entropy(logits, labels[chosen]).backward()
                optimizer.step()
                wrong += (logits.detach().argmax(1) != labels[chosen]).sum()
            errors.append(wrong.item() / quarter)
            if errors[-1] <= TARGET:
                return errors
    return errors


def reached(errors: list[float], epochs: int) -> float:
    """Epochs to the target, or twice `epochs` where it was not reached."""
    return len(errors) / 4 if errors[-1] <= TARGET else 2.0 * epochs


def lines(result: dict[str, Any]) -> list[str]:
    relu = next(row["milliseconds"] for row in result["activations"] if row["name"] == "ReLU")
    rows = [
        [row["name"], max(row["slope"]), row["slope"][0], row["mean"], row["deviation"], row["milliseconds"] / relu]
        for row in result["activations"]
    ]

    def when(errors: list[float]) -> str:
        return f"{len(errors) / 4:g}" if errors[-1] <= TARGET else f"over {result['epochs']}"

    return [
        *table(["", "greatest slope", "slope at -5", "mean output", "deviation", "cost / ReLU"], rows),
        f"four-layer CNN on {result['images']} images: epochs to {TARGET:.0%} training error",
        *table(["", "lr", "epochs"], ([r["activation"], f"{r['rate']:g}", when(r["errors"])] for r in result["races"])),
    ]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(12, 9)
    x = [i / 20 - 5 for i in range(201)]
    for axes, row in zip(made.subplots(4, 5, sharex=True).flat, result["activations"]):
        axes.plot(x, row["curve"], label="value")
        axes.plot(x, row["slope"], "--", label="slope")
        axes.set(title=row["name"], ylim=(-2.1, 2.1))
        axes.grid(alpha=0.3)
    axes.legend()
    curves = folder / "activations.png"
    made.savefig(curves, dpi=100)

    made = figure(6, 4)
    axes = made.subplots()
    for race in result["races"]:
        errors = race["errors"]
        line = "-" if race["activation"] == "ReLU" else "--"
        label = f"{race['activation']}, lr {race['rate']:g}"
        axes.semilogy([(i + 1) / 4 for i in range(len(errors))], [max(e, 1e-3) for e in errors], line, label=label)
    axes.axhline(TARGET, color="0.6")
    axes.set(xlabel="epoch", ylabel="training error", title="A four-layer CNN on MNIST")
    axes.legend()
    errors_picture = folder / "race.png"
    made.savefig(errors_picture, dpi=120)
    return [curves, errors_picture]

"""How far a signal gets, forward and backward, by initialisation and activation; and what saturates while training.

Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010;
LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998; He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015;
Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn
from autograd_core.experiments.settings import Settings, figure, mnist_images, table

TITLE = "Variance of signals and gradients by depth; saturation of the top sigmoid layer"
INITIALISATIONS: dict[str, Callable[[ag.Tensor], Any]] = {
    "unit normal": lambda w: nn.init.normal_(w),
    "LeCun normal": lambda w: nn.init.normal_(w, 0.0, 1 / math.sqrt(w.shape[1])),
    "Glorot normal": nn.init.xavier_normal_,
    "Glorot uniform": nn.init.xavier_uniform_,
    "He normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
}
ACTIVATIONS: dict[str, Callable[[ag.Tensor], ag.Tensor]] = {
    "linear": lambda x: x * 1.0,
    "sigmoid": ag.sigmoid,
    "tanh": ag.tanh,
    "ReLU": F.relu,
    "leaky ReLU": F.leaky_relu,
    "ELU": F.elu,
    "SELU": F.selu,
    "GELU": F.gelu,
}


def run(settings: Settings) -> dict[str, Any]:
    depth, width = (10, 128) if settings.quick else (20, 512)
    epochs = 3 if settings.quick else 30
    settings.expect(len(INITIALISATIONS) * len(ACTIVATIONS) + epochs)
    digits = mnist_images(settings, 1000 if settings.quick else 5000)
    rows = []
    for initialisation in INITIALISATIONS:
        for activation in ACTIVATIONS:
            rows.append(variances(initialisation, activation, depth, width))
            settings.step(f"{initialisation}, {activation}")
    return {"depth": depth, "width": width, "variances": rows, "saturation": saturation(digits, epochs, settings)}


def variances(initialisation: str, activation: str, depth: int, width: int) -> dict[str, Any]:
    """Of the signal after each layer, and of the gradient there when one of variance 1 enters at the top."""
    # float64, since unit normal weights overflow float32 in some 14 layers of 512.
    float64 = ag.float64
    signals = [ag.randn(256, width, dtype=float64, requires_grad=True)]
    for _ in range(depth):
        weight = INITIALISATIONS[initialisation](ag.empty(width, width, dtype=float64))
        signals.append(ACTIVATIONS[activation](signals[-1] @ weight.T))
        signals[-1].retain_grad()
    signals[-1].backward(ag.randn(256, width, dtype=float64))
    forward = [signal.detach().var().item() for signal in signals]
    backward = [0.0 if signal.grad is None else signal.grad.var().item() for signal in signals]
    return {"initialisation": initialisation, "activation": activation, "forward": forward, "backward": backward}


def saturation(digits: tuple[ag.Tensor, ag.Tensor], epochs: int, settings: Settings) -> dict[str, Any]:
    """Mean and deviation of each hidden layer of sigmoids, epoch by epoch, under the initialisation of old.

    Four hidden layers, weights uniform in +-1 / sqrt(fan in), biases 0, stochastic gradient descent in batches of 10:
    as in the article, but on MNIST (the article: images of shapes), and layers of 200 units (1000).
    """
    images, labels = digits
    count = len(images)
    images = images - images.mean()
    widths = [images.shape[1], 200, 200, 200, 200, 10]
    layers: list[Any] = [nn.Linear(m, n) for m, n in zip(widths, widths[1:])]
    for layer in layers:
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(layer.bias)
    optimizer = ag.optim.SGD([p for layer in layers for p in layer.parameters()], lr=0.05)

    def hidden(x: ag.Tensor) -> list[ag.Tensor]:
        found = [x]
        for layer in layers[:-1]:
            found.append(ag.sigmoid(layer(found[-1])))
        return found[1:]

    history = []
    for epoch in range(epochs + 1):
        if epoch:
            order = ag.randperm(count)
            for start in range(0, count, 10):
                chosen = order[start : start + 10]
                optimizer.zero_grad()
                loss = F.cross_entropy(layers[-1](hidden(images[chosen])[-1]), labels[chosen])
                loss.backward()
                optimizer.step()
            settings.step(f"saturation: epoch {epoch}")
        with ag.no_grad():
            outputs = hidden(images[:300])
            error = (layers[-1](outputs[-1]).argmax(1) != labels[:300]).float().mean().item()
        history.append(
            {"mean": [h.mean().item() for h in outputs], "deviation": [h.std().item() for h in outputs], "error": error}
        )
    return {"images": count, "epochs": epochs, "history": history}


def growth(row: dict[str, Any], which: str) -> float:
    """The factor of one layer: (variance at the end / at the start) to the power 1 / depth. 1 is what one wants."""
    first, last = (row[which][0], row[which][-1]) if which == "forward" else (row[which][-1], row[which][0])
    return float((last / first) ** (1 / (len(row[which]) - 1))) if last else 0.0


def lines(result: dict[str, Any]) -> list[str]:
    heads = ["factor of one layer", *ACTIVATIONS]
    found = [f"{result['depth']} layers of {result['width']}; 1 keeps the variance"]
    for which in ("forward", "backward"):
        rows: list[list[object]] = [
            [name, *(growth(row, which) for row in result["variances"] if row["initialisation"] == name)]
            for name in INITIALISATIONS
        ]
        found += [f"{which}:", *table(heads, rows)]
    history = result["saturation"]["history"]
    shown = range(0, len(history), max(1, len(history) // 8))
    found.append("sigmoid, four hidden layers: mean output, from the first hidden layer to the top one")
    return found + table(
        ["epoch", "1", "2", "3", "4", "error"], ([str(e), *history[e]["mean"], history[e]["error"]] for e in shown)
    )


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(12, 6)
    grid = made.subplots(2, len(ACTIVATIONS), sharex=True, sharey="row")
    for column, activation in enumerate(ACTIVATIONS):
        for row in (row for row in result["variances"] if row["activation"] == activation):
            for axes, which in zip(grid[:, column], ("forward", "backward")):
                axes.semilogy([max(v, 1e-30) for v in row[which]], label=row["initialisation"])
        grid[0, column].set_title(activation)
        grid[1, column].set_xlabel("layer")
        for axes in grid[:, column]:
            axes.set_ylim(1e-12, 1e12)
            axes.grid(alpha=0.3)
    grid[0, 0].set_ylabel("variance of the signal")
    grid[1, 0].set_ylabel("variance of the gradient")
    grid[0, -1].legend(fontsize=6)
    variance = folder / "variances.png"
    made.savefig(variance, dpi=120)

    made = figure(6, 4)
    axes = made.subplots()
    history = result["saturation"]["history"]
    for layer in range(4):
        means = [row["mean"][layer] for row in history]
        deviations = [row["deviation"][layer] for row in history]
        axes.errorbar(range(len(history)), means, deviations, capsize=2, label=f"hidden layer {layer + 1}")
    axes.set(xlabel="epoch", ylabel="output, mean and deviation", title="Sigmoid under the initialisation of old")
    axes.legend()
    saturated = folder / "saturation.png"
    made.savefig(saturated, dpi=120)
    return [variance, saturated]

"""Why deep networks of sigmoids learn so slowly in their first layers, and what cures it.

M. Nielsen, "Neural Networks and Deep Learning", 2015, ch. 5. The speed of learning of a layer is the norm of the
gradient by its biases, averaged over 1000 images. His networks: 784-30-...-30-10 sigmoids, weights normal / sqrt(fan
in), biases unit normal, cross-entropy of each output.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.settings import Settings, figure, mnist_images, table

TITLE = "Unstable gradients: the speed of learning by layer"
PUBLISHED = {2: [0.07, 0.31], 3: [0.012, 0.060, 0.283], 4: [0.003, 0.017, 0.070, 0.285]}


def run(settings: Settings) -> dict[str, Any]:
    images, labels = mnist_images(settings, 1000)
    targets = F.one_hot(labels, 10).float()
    seeds = 5 if settings.quick else 31
    epochs = 20 if settings.quick else 500
    passes = 3 if settings.quick else 10
    settings.expect(4 * (seeds + 1) + 2 + len(CURES))
    speeds = []
    for depth in (1, 2, 3, 4):
        draws = []
        for _ in range(seeds):
            draws.append(speed(nielsen(depth), images, targets))
            settings.step(f"{depth} hidden layers at initialisation")
        history = descend(nielsen(depth), images, targets, epochs)
        settings.step(f"{depth} hidden layers trained")
        layers = list(zip(*draws, strict=True))
        spread = [[min(layer), median(layer), max(layer)] for layer in layers]
        speeds.append({"hidden": depth, "spread": spread, "history": history})
    chains = {"one draw": chain(False), "exploding recipe": chain(True)}
    settings.step("chain")
    factors = chain_factors()
    settings.step("chain")
    cures = []
    for name in CURES:
        cures.append(cure(name, settings, passes))
        settings.step(name)
    return {
        "seeds": seeds, "epochs": epochs, "passes": passes, "speeds": speeds, "chains": chains, "factors": factors,
        "cures": cures,
    }  # fmt: skip


def nielsen(depth: int) -> nn.Sequential:
    widths = [784] + [30] * depth + [10]
    layers: list[nn.Module] = []
    for m, n in zip(widths, widths[1:]):
        linear: Any = nn.Linear(m, n)
        _nielsen(linear.weight)
        nn.init.normal_(linear.bias)
        layers += [linear, nn.Sigmoid()]
    return nn.Sequential(*layers[:-1])  # the last sigmoid is in the cost


def cost(network: nn.Module, images: ag.Tensor, targets: ag.Tensor) -> ag.Tensor:
    return F.binary_cross_entropy_with_logits(network(images), targets, reduction="sum") / len(images)


def speed(network: nn.Sequential, images: ag.Tensor, targets: ag.Tensor) -> list[float]:
    """Of each hidden layer. Leaves the gradients in place."""
    network.zero_grad()
    cost(network, images, targets).backward()
    linears: list[Any] = [layer for layer in network if isinstance(layer, nn.Linear)]
    return [layer.bias.grad.norm().item() for layer in linears[:-1]]


def descend(network: nn.Sequential, images: ag.Tensor, targets: ag.Tensor, epochs: int) -> list[list[float]]:
    """Speeds before each step of gradient descent on all images at once, learning rate 0.1, as Nielsen plots them."""
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    history = []
    for _ in range(epochs):
        history.append(speed(network, images, targets))
        optimizer.step()
    return history


def chain(exploding: bool) -> list[float]:
    """|dC/db| of four sigmoids in a row. Exploding: weights 100, biases that put every sigmoid at its middle."""
    float64 = ag.float64
    weights = ag.full((4,), 100.0, dtype=float64) if exploding else ag.randn(4, dtype=float64)
    biases = ag.zeros(4, dtype=float64)
    a = ag.tensor(0.5, dtype=float64)
    for layer in range(4):
        biases[layer] = -weights[layer] * a if exploding else ag.randn((), dtype=float64)
        a = ag.sigmoid(weights[layer] * a + biases[layer])
    biases.requires_grad_()
    a = ag.tensor(0.5, dtype=float64)
    for layer in range(4):
        a = ag.sigmoid(weights[layer] * a + biases[layer])
    a.backward()
    return [value.item() for value in biases.grad.abs()]


def chain_factors() -> dict[str, float]:
    """|w sigma'(z)| for unit normal w, b and an input in (0, 1): what a gradient is multiplied by at each layer."""
    w, b, a = ag.randn(100_000), ag.randn(100_000), ag.rand(100_000)
    s = ag.sigmoid(w * a + b)
    factor = (w * s * (1 - s)).abs()
    return {
        "median": factor.median().item(),
        "greatest": factor.max().item(),
        "share below 1/4": (factor < 0.25).float().mean().item(),
        "share above 1": (factor > 1).float().mean().item(),
    }


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return x + self.inner(x)


def _stack(hidden: Callable[[int, int], nn.Module], init: Callable[[ag.Tensor], Any], layers: int = 8) -> nn.Module:
    widths = [784] + [30] * layers
    network = nn.Sequential(*(hidden(m, n) for m, n in zip(widths, widths[1:])), nn.Linear(30, 10))
    linears: list[Any] = [module for module in network.modules() if isinstance(module, nn.Linear)]
    for linear in linears:
        init(linear.weight)
        nn.init.zeros_(linear.bias)
    return network


def _nielsen(weight: ag.Tensor) -> ag.Tensor:
    return nn.init.normal_(weight, 0.0, weight.shape[1] ** -0.5)


def _sigmoid(m: int, n: int) -> nn.Module:
    return nn.Sequential(nn.Linear(m, n), nn.Sigmoid())


def _residual(m: int, n: int) -> nn.Module:
    return Residual(_sigmoid(m, n)) if m == n else _sigmoid(m, n)


CURES: dict[str, Callable[[], nn.Module]] = {
    "sigmoid, Nielsen's initialisation": lambda: _stack(_sigmoid, _nielsen),
    "sigmoid, Glorot times 4": lambda: _stack(_sigmoid, lambda w: nn.init.xavier_normal_(w, 4.0)),
    "tanh, Glorot": lambda: _stack(lambda m, n: nn.Sequential(nn.Linear(m, n), nn.Tanh()), nn.init.xavier_normal_),
    "ReLU, He": lambda: _stack(
        lambda m, n: nn.Sequential(nn.Linear(m, n), nn.ReLU()),
        lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    ),
    "sigmoid, batch norm": lambda: _stack(
        lambda m, n: nn.Sequential(nn.Linear(m, n), nn.BatchNorm1d(n), nn.Sigmoid()), nn.init.xavier_normal_
    ),
    "sigmoid, residual": lambda: _stack(_residual, nn.init.xavier_normal_),
}  # fmt: skip
RATES = (0.03, 0.3)


def cure(name: str, settings: Settings, passes: int) -> dict[str, Any]:
    """Eight hidden layers of 30: ratio of speeds at initialisation; accuracy after training, best of two rates."""
    images, labels = mnist_images(settings, 1000 if settings.quick else 10_000)
    test_images, test_labels = mnist_images(settings, 300 if settings.quick else 10_000, train=False)
    found: dict[str, Any] = {"name": name, "accuracy": 0.0, "rate": 0.0}
    for rate in RATES:
        network = CURES[name]()
        linears: list[Any] = [module for module in network.modules() if isinstance(module, nn.Linear)]
        F.cross_entropy(network(images[:1000]), labels[:1000]).backward()
        # Here of the weights: a bias before a batch norm has no gradient.
        norms = [layer.weight.grad.norm().item() for layer in linears[1:-1]]
        found.setdefault("ratio", norms[0] / norms[-1])
        optimizer = optim.SGD(network.parameters(), lr=rate, momentum=0.9)
        for _ in range(passes):
            order = ag.randperm(len(images))
            for start in range(0, len(images), 50):
                chosen = order[start : start + 50]
                optimizer.zero_grad()
                F.cross_entropy(network(images[chosen]), labels[chosen]).backward()
                optimizer.step()
        network.eval()
        with ag.no_grad():
            accuracy = (network(test_images).argmax(1) == test_labels).float().mean().item()
        if accuracy > found["accuracy"]:
            found |= {"accuracy": accuracy, "rate": rate}
    return found


def lines(result: dict[str, Any]) -> list[str]:
    rows: list[list[object]] = []
    for row in result["speeds"]:
        for layer, (low, middle, high) in enumerate(row["spread"]):
            published = PUBLISHED.get(row["hidden"], [None])
            rows.append(
                [str(row["hidden"]), layer + 1, "" if published[0] is None else published[layer], middle, low, high]
            )
    chains = [[name, *values, values[0] / values[-1]] for name, values in result["chains"].items()]
    factors = ", ".join(f"{name} {value:.3g}" for name, value in result["factors"].items())
    return [
        f"speed of learning at initialisation, {result['seeds']} networks each:",
        *table(["hidden layers", "layer", "published", "median", "least", "greatest"], rows),
        "|dC/db| along a chain of four sigmoids:",
        *table(["", "1", "2", "3", "4", "1 over 4"], chains),
        f"|w sigma'(z)| for unit normal w and b: {factors}",
        f"eight hidden layers of 30, {result['passes']} passes:",
        *table(
            ["", "speed of layer 2 over layer 8", "test accuracy", "lr"],
            ([row["name"], row["ratio"], row["accuracy"], row["rate"]] for row in result["cures"]),
        ),
    ]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(14, 3.5)
    for axes, row in zip(made.subplots(1, 4, sharey=True), result["speeds"]):
        for layer, values in enumerate(zip(*row["history"], strict=True)):
            axes.semilogy(values, label=f"hidden layer {layer + 1}")
        axes.set(title=f"{row['hidden']} hidden layers", xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    speeds = folder / "speeds.png"
    made.savefig(speeds, dpi=120)

    made = figure(10, 3.5)
    left, right = made.subplots(1, 2, sharey=True)
    names = [row["name"] for row in result["cures"]]
    left.barh(names, [row["ratio"] for row in result["cures"]])
    left.set(xscale="log", xlabel="speed of layer 2 over layer 8")
    right.barh(names, [row["accuracy"] for row in result["cures"]])
    right.set(xlabel="test accuracy", xlim=(0, 1))
    cures = folder / "cures.png"
    made.savefig(cures, dpi=120)
    return [speeds, cures]

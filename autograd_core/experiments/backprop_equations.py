"""Nielsen's four equations of backpropagation, written out, against the engine; and how parameters are counted.

M. Nielsen, "Neural Networks and Deep Learning", 2015, ch. 2. For C = |y - a^L|^2 / 2 and a^l = sigmoid(z^l):

    BP1  delta^L = (a^L - y) * sigma'(z^L)              BP3  dC/db^l = delta^l
    BP2  delta^l = (W^{l+1}^T delta^{l+1}) * sigma'(z^l)  BP4  dC/dW^l = delta^l a^{l-1}^T
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core import nn
from autograd_core.experiments.settings import Settings, figure, table

TITLE = "The four equations of backpropagation, by hand and by the engine"
SIZES = (8, 9, 9, 9, 4)


def run(settings: Settings) -> dict[str, Any]:
    networks = 3 if settings.quick else 100
    settings.expect(networks)
    worst = {name: 0.0 for name in ("BP1", "BP2", "BP3", "BP4")}
    pairs: list[tuple[float, float]] = []
    for network in range(networks):
        for name, by_hand, by_engine in equations():
            gap = (by_hand - by_engine).abs().max() / by_engine.abs().max()
            worst[name] = max(worst[name], gap.item())
            if network == 0 and name in ("BP3", "BP4"):
                pairs += zip(by_hand.flatten().tolist(), by_engine.flatten().tolist(), strict=True)
        settings.step(f"network {network + 1}")
    return {"sizes": list(SIZES), "networks": networks, "greatest_gap": worst, "pairs": pairs, "counts": counts()}


def equations() -> list[tuple[str, ag.Tensor, ag.Tensor]]:
    """(equation, by hand, by the engine) of every layer of one random network at one random example."""
    float64 = ag.float64
    weights = [ag.randn(n, m, dtype=float64, requires_grad=True) for m, n in zip(SIZES, SIZES[1:])]
    biases = [ag.randn(n, dtype=float64, requires_grad=True) for n in SIZES[1:]]
    activations, sums = [ag.randn(SIZES[0], dtype=float64)], []
    for weight, bias in zip(weights, biases):
        sums.append(weight @ activations[-1] + bias)
        sums[-1].retain_grad()  # The gradient by z^l is Nielsen's error delta^l.
        activations.append(ag.sigmoid(sums[-1]))
    target = ag.rand(SIZES[-1], dtype=float64)
    (0.5 * (target - activations[-1]) ** 2).sum().backward()

    found = []
    with ag.no_grad():
        slopes = [a * (1 - a) for a in activations[1:]]
        delta = (activations[-1] - target) * slopes[-1]
        for layer in range(len(weights) - 1, -1, -1):
            if layer < len(weights) - 1:
                delta = (weights[layer + 1].T @ delta) * slopes[layer]
            found += [
                ("BP1" if layer == len(weights) - 1 else "BP2", delta, sums[layer].grad),
                ("BP3", delta, biases[layer].grad),
                ("BP4", ag.outer(delta, activations[layer]), weights[layer].grad),
            ]
    return found


def counts() -> dict[str, int]:
    """Trainable numbers, as the modules have them."""
    mlp = nn.Sequential(*(nn.Linear(m, n) for m, n in zip(SIZES, SIZES[1:])))
    layers = {
        "fully connected 8-9-9-9-4": mlp,
        "fully connected, 1000 to 1000": nn.Linear(1000, 1000),
        "convolution of size 5, 1000 to 1000": nn.Conv1d(1, 1, 5, padding=2),
    }
    return {name: sum(p.numel() for p in layer.parameters()) for name, layer in layers.items()}


def lines(result: dict[str, Any]) -> list[str]:
    terms = " + ".join(f"({m} + 1) {n}" for m, n in zip(SIZES, SIZES[1:]))
    gaps = [[name, f"{gap:.1e}"] for name, gap in result["greatest_gap"].items()]
    return [
        *table(["equation", f"greatest relative gap in {result['networks']} networks"], gaps),
        *table(["layers", "parameters"], result["counts"].items()),
        f"8-9-9-9-4: {terms} = {result['counts']['fully connected 8-9-9-9-4']}; a published 305 is a slip",
    ]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(4.5, 4.5)
    axes = made.subplots()
    by_hand, by_engine = zip(*result["pairs"], strict=True)
    ends = [min(by_hand), max(by_hand)]
    axes.plot(ends, ends, color="0.7")
    axes.plot(by_hand, by_engine, ".", ms=4)
    axes.set(xlabel="by the four equations", ylabel="by the engine", title=f"{len(by_hand)} gradients of 8-9-9-9-4")
    path = folder / "gradients.png"
    made.savefig(path, dpi=120)
    return [path]

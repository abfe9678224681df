"""Why cross-entropy: a sigmoid that is badly wrong learns slowly from squared errors.

M. Nielsen, "Neural Networks and Deep Learning", 2015, chapter 3: one neuron that shall turn 1 into 0, begun nearly
right and badly wrong; then networks of 784-30-10 and 784-100-10 on MNIST under both costs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.resume import Training
from autograd_core.experiments.settings import Settings, figure, mnist_images, plain_ticks, table

TITLE = "Quadratic cost against cross-entropy: the learning slowdown"
STARTS = {"nearly right": (0.6, 0.9), "badly wrong": (2.0, 2.0)}  # weight and bias
COSTS = ("quadratic", "cross-entropy")
PUBLISHED_NEURON = {("quadratic", "nearly right"): 0.09, ("quadratic", "badly wrong"): 0.20}
# Hidden units, cost, learning rate, published accuracy in per cent.
NETWORKS = {
    "30 hidden, quadratic": (30, "quadratic", 3.0, 95.42),
    "30 hidden, cross-entropy": (30, "cross-entropy", 0.5, 95.49),
    "100 hidden, quadratic": (100, "quadratic", 3.0, 96.59),
    "100 hidden, cross-entropy": (100, "cross-entropy", 0.5, 96.82),
}
PARTS = tuple(NETWORKS)


def run(settings: Settings) -> dict[str, Any]:
    names = PARTS[:2] if settings.quick else PARTS
    epochs = 3 if settings.quick else 30
    settings.expect(len(names) * epochs)
    neurons = [neuron(cost, start) for cost in COSTS for start in STARTS]
    found = [settings.part(name, partial(learn, name, epochs, settings), epochs) for name in names]
    return {"neurons": neurons, "rows": [row for row in found if row is not None]}


def neuron(cost: str, start: str, epochs: int = 300, lr: float = 0.15) -> dict[str, Any]:
    """The output of one sigmoid for the input 1, and the size of its gradient, at every step towards the output 0."""
    w, b = (ag.tensor(value, dtype=ag.float64).requires_grad_() for value in STARTS[start])
    optimizer = optim.SGD([w, b], lr=lr)
    outputs, slopes = [], []
    for _ in range(epochs):
        a = ag.sigmoid(w + b)
        optimizer.zero_grad()
        (a.square() / 2 if cost == "quadratic" else -ag.log(1 - a)).backward()
        outputs.append(a.item())
        slopes.append(abs(w.grad.item()))  # type: ignore[union-attr]
        optimizer.step()
    outputs.append(ag.sigmoid(w + b).item())
    halved = next((step for step, a in enumerate(outputs) if a < 0.5), None)
    return {"cost": cost, "start": start, "outputs": outputs, "slopes": slopes, "steps to 1/2": halved}


def loss_of(cost: str, logits: ag.Tensor, targets: ag.Tensor) -> ag.Tensor:
    """Summed over the outputs, averaged over the batch."""
    if cost == "quadratic":
        return (ag.sigmoid(logits) - targets).square().sum() / (2 * len(logits))
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)


def network(hidden: int) -> nn.Sequential:
    """784-hidden-10 sigmoids, the last in the cost; all weights and biases unit normal, as in his first chapters."""
    made = nn.Sequential(nn.Linear(784, hidden), nn.Sigmoid(), nn.Linear(hidden, 10))
    for p in made.parameters():
        nn.init.normal_(p)
    return made


def learn(name: str, epochs: int, settings: Settings) -> dict[str, Any]:
    hidden, cost, lr, published = NETWORKS[name]
    images, labels = mnist_images(settings, 1000 if settings.quick else 50_000)
    tests, test_labels = mnist_images(settings, 10_000, train=False)
    targets = F.one_hot(labels, 10).float()
    model = network(hidden)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    training = Training(settings, name, model=model)
    accuracies = training.notes.setdefault("accuracies", [])
    for _ in training.steps(epochs):
        order = ag.randperm(len(images))
        for start in range(0, len(images), 10):
            chosen = order[start : start + 10]
            optimizer.zero_grad()
            loss_of(cost, model(images[chosen]), targets[chosen]).backward()
            optimizer.step()
        with ag.no_grad():
            accuracies.append((model(tests).argmax(1) == test_labels).double().mean().item())
        settings.step(f"{name}: {accuracies[-1]:.2%}")
    best = max(accuracies)
    return {"name": name, "published": published, "accuracies": accuracies, "best": best, "seconds": training.seconds}


def lines(result: dict[str, Any]) -> list[str]:
    neurons = []
    for row in result["neurons"]:
        key = row["cost"], row["start"]
        first, last = row["outputs"][0], row["outputs"][-1]
        neurons.append([*key, row["slopes"][0], first, last, PUBLISHED_NEURON.get(key, ""), row["steps to 1/2"]])
    rows = [
        [row["name"], row["published"], f"{100 * row['best']:.2f}", f"{100 * row['accuracies'][0]:.2f}", row["seconds"]]
        for row in result["rows"]
    ]
    return [
        "one neuron, learning rate 0.15, 300 steps:",
        *table(["cost", "start", "first slope", "first output", "last output", "published", "steps to 1/2"], neurons),
        "MNIST:",
        *table(["", "published %", "best accuracy %", "after one pass %", "seconds"], rows),
    ]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(12, 4)
    learning, slopes, networks = made.subplots(1, 3)
    for row in result["neurons"]:
        style = {"color": f"C{COSTS.index(row['cost'])}", "linestyle": "-" if row["start"] == "badly wrong" else ":"}
        learning.plot(row["outputs"], label=f"{row['cost']}, {row['start']}", **style)
    learning.set(title="one neuron that shall answer 0", xlabel="step", ylabel="its answer", ylim=(0, 1))
    learning.legend(fontsize="small")
    outputs = [i / 200 for i in range(1, 200)]
    slopes.plot(outputs, [a * a * (1 - a) for a in outputs], label="quadratic: $a\\,\\sigma'(z)$")
    slopes.plot(outputs, outputs, label="cross-entropy: $a$")
    slopes.set(
        title="how strongly an error teaches", xlabel="answer $a$, where 0 is right", ylabel="|slope by the weight|"
    )
    slopes.legend(fontsize="small")
    for i, row in enumerate(result["rows"]):
        style = {"color": f"C{i % 2}", "linestyle": "-" if i < 2 else "--"}
        errors = [100 * (1 - accuracy) for accuracy in row["accuracies"]]
        networks.plot(range(1, len(errors) + 1), errors, label=row["name"], **style)
    networks.set(title="MNIST", xlabel="passes over the images", ylabel="test error, %", yscale="log")
    networks.legend(fontsize="small")
    plain_ticks(networks)
    for axes in (learning, slopes, networks):
        axes.grid(alpha=0.3, which="both")
    path = folder / "slowdown.png"
    made.savefig(path, dpi=120)
    return [path]

"""The ladder of M. Nielsen, "Neural Networks and Deep Learning", 2015, chapter 6: from 97.8 % on MNIST to 99.67 %.

Each rung adds one idea to the one below: convolution and pooling, a second convolution, ReLU with L2 regularisation,
images shifted by a pixel, more hidden units, dropout, and the vote of five networks. Batches of ten, stochastic
gradient descent, 50,000 images to learn from; the test accuracy is that of the epoch which does best on the other
10,000 training images. Beside it max pooling against L2 pooling (the root of the sum of squares), which he suggests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.resume import Training
from autograd_core.experiments.settings import Settings, figure, mnist_images, plain_ticks, table

TITLE = "Nielsen's ladder on MNIST, 97.8 % to 99.6 %"
BATCH = 10


@dataclass(frozen=True)
class Rung:
    """relu: in place of sigmoids. expanded: with the images shifted by a pixel each way. networks: that vote."""

    network: Callable[[bool], nn.Module]
    published: float | None
    lr: float = 0.1
    decay: float = 0.0
    relu: bool = False
    expanded: bool = False
    epochs: int = 60
    networks: int = 1


def connected(relu: bool) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), act(relu), nn.Linear(100, 10))


def one_convolution(relu: bool, l2_pooling: bool = False) -> nn.Module:
    # The greatest value stays the greatest behind the activation, which then has a quarter of the work.
    pooled = [act(relu), nn.LPPool2d(2, 2)] if l2_pooling else [nn.MaxPool2d(2), act(relu)]
    features = [nn.Conv2d(1, 20, 5), *pooled, nn.Flatten()]
    return nn.Sequential(*features, nn.Linear(20 * 12 * 12, 100), act(relu), nn.Linear(100, 10))


def two_convolutions(relu: bool, hidden: tuple[int, ...] = (100,), dropout: float = 0.0) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), act(relu)]
    layers += [nn.Conv2d(20, 40, 5), nn.MaxPool2d(2), act(relu), nn.Flatten()]
    width = 40 * 4 * 4
    for units in hidden:
        layers += [nn.Dropout(dropout)] * bool(dropout) + [nn.Linear(width, units), act(relu)]
        width = units
    return nn.Sequential(*layers, *[nn.Dropout(dropout)] * bool(dropout), nn.Linear(width, 10))


def act(relu: bool) -> nn.Module:
    return nn.ReLU() if relu else nn.Sigmoid()


# His weight decay of 0.1 a pass, over the 5000 steps of a pass; with five times the images, five times the steps.
_DECAY = 0.1 / 5000
_SHIFTED: dict[str, Any] = {"lr": 0.03, "decay": _DECAY / 5, "relu": True, "expanded": True}
RUNGS = {
    "fully connected": Rung(connected, 97.80),
    "one convolution": Rung(one_convolution, 98.78),
    "one convolution, L2 pooling": Rung(partial(one_convolution, l2_pooling=True), None),
    "two convolutions": Rung(two_convolutions, 99.06),
    "ReLU and L2": Rung(two_convolutions, 99.23, 0.03, _DECAY, True),
    "expanded data": Rung(two_convolutions, 99.37, **_SHIFTED),
    "more hidden units": Rung(partial(two_convolutions, hidden=(1000,)), 99.43, **_SHIFTED),
    "dropout": Rung(
        partial(two_convolutions, hidden=(1000, 1000), dropout=0.5), 99.60, **_SHIFTED, epochs=40, networks=5
    ),
}
PARTS = tuple(name for name in RUNGS if name != "dropout") + tuple(f"dropout, network {i}" for i in range(1, 6))
ENSEMBLE = 99.67
QUICK = ("fully connected", "ReLU and L2")


def initialise(network: nn.Module) -> nn.Module:
    """Weights of Glorot times 4 (sigmoid) or of He (ReLU), biases 0; the last layer begins at 0, as his."""
    relu = any(isinstance(module, nn.ReLU) for module in network.modules())
    layers: list[Any] = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        if layer is layers[-1]:
            nn.init.zeros_(layer.weight)
        elif relu:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_normal_(layer.weight, 4.0)
        nn.init.zeros_(layer.bias)
    return network


def shifted(images: ag.Tensor) -> ag.Tensor:
    """The images (N, 1, 28, 28), and each of them moved up, down, left and right by a pixel: (5 N, 1, 28, 28)."""
    padded = F.pad(images, (1, 1, 1, 1))
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return ag.cat([padded[:, :, y : y + 28, x : x + 28] for y, x in corners])


def run(settings: Settings) -> dict[str, Any]:
    learned, held_out = (800, 200) if settings.quick else (50_000, 10_000)
    images, labels = mnist_images(settings, learned + held_out)
    tests = mnist_images(settings, 10_000, train=False)
    images, test_images = (part.reshape(-1, 1, 28, 28) for part in (images, tests[0]))
    data = (images, labels, learned, test_images, tests[1])
    names = QUICK if settings.quick else tuple(RUNGS)
    epochs = {name: 8 if settings.quick else RUNGS[name].epochs for name in names}
    settings.expect(sum(epochs[name] * RUNGS[name].networks for name in names))
    rows, answers = [], []
    for name in names:
        rung = RUNGS[name]
        for number in range(1, rung.networks + 1):
            key = f"{name}, network {number}" if rung.networks > 1 else name
            row = settings.part(key, partial(climb, key, rung, data, epochs[name], settings), epochs[name])
            if row is not None:
                rows.append(row)
                if rung.networks > 1:
                    answers.append(row.pop("answers"))
                else:
                    row.pop("answers", None)
    result: dict[str, Any] = {"rows": rows}
    if len(answers) == 5:
        result["ensemble"] = vote(answers, tests[1].tolist())
    return result


def vote(answers: list[str], labels: list[int]) -> float:
    """The accuracy of the commonest answer; of equally common ones the smallest digit."""
    right = 0
    for given, label in zip(zip(*answers, strict=True), labels, strict=True):
        right += max("0123456789", key=given.count) == str(label)
    return right / len(labels)


def climb(name: str, rung: Rung, data: Any, epochs: int, settings: Settings) -> dict[str, Any]:
    images, labels, learned, test_images, test_labels = data
    held_out, held_out_labels = images[learned:], labels[learned:]
    network = initialise(rung.network(rung.relu)).to(ag.get_default_device())
    weights = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim == 1]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": rung.decay}, {"params": biases}]
    optimizer = optim.SGD(groups, lr=rung.lr)
    images, labels = images[:learned], labels[:learned]
    if rung.expanded:
        images, labels = shifted((images * 255).to(ag.uint8)), labels.repeat(5)
    training = Training(settings, name, network=network, optimizer=optimizer)
    notes = training.notes
    if not notes:
        notes.update(held_out=[], test=[], best=-1.0, answers="")
    for epoch in training.steps(epochs):
        network.train()
        order = ag.randperm(len(images))
        for start in range(0, len(images), BATCH):
            chosen = order[start : start + BATCH]
            x = images[chosen].float() / 255 if rung.expanded else images[chosen]
            optimizer.zero_grad()
            F.cross_entropy(network(x), labels[chosen]).backward()
            optimizer.step()
        network.eval()
        accuracy = share(answers_of(network, held_out), held_out_labels)
        found = answers_of(network, test_images)
        notes["held_out"].append(accuracy)
        notes["test"].append(share(found, test_labels))
        if accuracy > notes["best"]:
            notes.update(best=accuracy, epoch=epoch + 1, accuracy=notes["test"][-1])
            notes["answers"] = "".join(map(str, found.tolist()))
        settings.step(f"{name}: {accuracy:.2%} of the held-out images")
    return {
        "name": name,
        "published": rung.published,
        "accuracy": notes["accuracy"],
        "epoch": notes["epoch"],
        "held_out": notes["held_out"],
        "test": notes["test"],
        "answers": notes["answers"],
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds": training.seconds,
    }


def answers_of(network: nn.Module, images: ag.Tensor) -> ag.Tensor:
    with ag.no_grad():
        return ag.cat([network(part).argmax(1) for part in images.split(500)])


def share(answers: ag.Tensor, labels: ag.Tensor) -> float:
    return (answers == labels).double().mean().item()


def lines(result: dict[str, Any]) -> list[str]:
    rows = [
        [row["name"], row["parameters"], row["published"] or "", f"{100 * row['accuracy']:.2f}"]
        + [row["epoch"], round(row["seconds"], 1)]
        for row in result["rows"]
    ]
    if "ensemble" in result:
        rows.append(["vote of five", "", ENSEMBLE, f"{100 * result['ensemble']:.2f}", "", ""])
    return table(["", "parameters", "published %", "test accuracy %", "at epoch", "seconds"], rows)


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(10, 4.2)
    curves, steps = made.subplots(1, 2)
    names = [row["name"] for row in result["rows"]]
    for row in result["rows"]:
        curves.plot(range(1, len(row["test"]) + 1), [100 * (1 - value) for value in row["test"]], label=row["name"])
    curves.set(yscale="log", xlabel="passes over the images", ylabel="test error, %")
    curves.grid(alpha=0.3, which="both")
    plain_ticks(curves)
    curves.legend(fontsize="small")
    ours = [100 * (1 - row["accuracy"]) for row in result["rows"]]
    published = [100 - row["published"] if row["published"] else None for row in result["rows"]]
    if "ensemble" in result:
        names, ours, published = (
            [*names, "vote of five"],
            [*ours, 100 * (1 - result["ensemble"])],
            [*published, 100 - ENSEMBLE],
        )
    places = range(len(names))
    steps.barh(places, ours, label="ours")
    known = [(value, place) for value, place in zip(published, places) if value is not None]
    if known:
        steps.plot(*zip(*known), "k|", markersize=18, label="published")
    steps.set_yticks(places, names)
    steps.invert_yaxis()
    steps.set(xlabel="test error, %")
    steps.legend()
    path = folder / "ladder.png"
    made.savefig(path, dpi=120)
    return [path]

"""A network that learns 1,000 images by heart, and what helps: L2, L1, dropout.

M. Nielsen, "Neural Networks and Deep Learning", 2015, chapter 3: 784-30-10 sigmoids, cross-entropy, 400 passes over the
first 1,000 images of MNIST. Dropout: N. Srivastava et al., JMLR 2014, with twice the units, of which half are left out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import autograd_core as ag
from autograd_core import nn, optim
from autograd_core.experiments.learning_slowdown import loss_of
from autograd_core.experiments.learning_slowdown import network as nielsen
from autograd_core.experiments.resume import Training
from autograd_core.experiments.settings import Settings, figure, mnist_images, table

TITLE = "Overfitting 1,000 images, and L2, L1 and dropout against it"
# Published: the accuracy in per cent at which he stops (nothing: "little better than 82.27"; L2: 87.1).
PARTS = ("nothing", "L2", "L1", "dropout", "50 times the images")
PUBLISHED = {"nothing": 82.27, "L2": 87.1, "50 times the images": 95.49}


def run(settings: Settings) -> dict[str, Any]:
    parts = PARTS[:4] if settings.quick else PARTS
    passes = {name: 30 if name == PARTS[4] else 80 if settings.quick else 400 for name in parts}
    settings.expect(sum(passes.values()))
    found = [settings.part(name, partial(learn, name, passes[name], settings), passes[name]) for name in parts]
    return {"rows": [row for row in found if row is not None]}


def network(name: str) -> nn.Sequential:
    if name != "dropout":
        return nielsen(30)
    wide = nielsen(60)
    return nn.Sequential(wide[0], wide[1], nn.Dropout(0.5), wide[2])


def learn(name: str, passes: int, settings: Settings) -> dict[str, Any]:
    count = 50_000 if name == PARTS[4] else 300 if settings.quick else 1000
    images, labels = mnist_images(settings, count)
    tests, test_labels = mnist_images(settings, 10_000, train=False)
    targets = ag.nn.functional.one_hot(labels, 10).float()
    model: Any = network(name)
    weights = [model[0].weight, model[-1].weight]
    decay = 0.1 / count  # lambda over the number of images
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": decay if name == "L2" else 0.0},
        {"params": [model[0].bias, model[-1].bias]},
    ]
    optimizer = optim.SGD(groups, lr=0.5)
    training = Training(settings, name, model=model)
    notes = training.notes
    if not notes:
        notes.update(train=[], test=[], costs=[], test_costs=[])
    test_targets = ag.nn.functional.one_hot(test_labels, 10).float()
    for _ in training.steps(passes):
        model.train()
        order = ag.randperm(count)
        for start in range(0, count, 10):
            chosen = order[start : start + 10]
            optimizer.zero_grad()
            loss_of("cross-entropy", model(images[chosen]), targets[chosen]).backward()
            optimizer.step()
            if name == "L1":
                with ag.no_grad():
                    for w in weights:
                        w.sub_(w.sign(), alpha=0.5 * decay)
        model.eval()
        with ag.no_grad():
            for x, y, wanted, shares, costs in (
                (images, labels, targets, notes["train"], notes["costs"]),
                (tests, test_labels, test_targets, notes["test"], notes["test_costs"]),
            ):
                logits = model(x)
                shares.append((logits.argmax(1) == y).double().mean().item())
                costs.append(loss_of("cross-entropy", logits, wanted).item())
        settings.step(f"{name}: {notes['test'][-1]:.2%}")
    return {
        "name": name,
        "images": count,
        **{key: [round(value, 5) for value in values] for key, values in notes.items()},
        "accuracy": sum(notes["test"][-10:]) / len(notes["test"][-10:]),
        "zeros": (weights[0].abs() < 1e-3).double().mean().item(),
        "seconds": training.seconds,
    }


def lines(result: dict[str, Any]) -> list[str]:
    rows = []
    for row in result["rows"]:
        least = min(range(len(row["test_costs"])), key=row["test_costs"].__getitem__)
        rows.append(
            [row["name"], row["images"], PUBLISHED.get(row["name"], ""), f"{100 * row['accuracy']:.2f}"]
            + [f"{100 * row['train'][-1]:.2f}", row["test_costs"][least], least + 1, row["test_costs"][-1]]
            + [f"{100 * row['zeros']:.0f}", row["seconds"]]
        )
    heads = ["", "images", "published %", "test accuracy %", "training %", "least test cost", "at pass", "last"]
    return table([*heads, "weights near 0, %", "seconds"], rows)


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(13, 4)
    shares, costs, gap = made.subplots(1, 3)
    for i, row in enumerate(result["rows"]):
        passes = range(1, len(row["test"]) + 1)
        shares.plot(passes, [100 * value for value in row["test"]], f"C{i}", label=row["name"], linewidth=1)
        costs.plot(passes, row["test_costs"], f"C{i}", linewidth=1)
        costs.plot(passes, row["costs"], f"C{i}:", linewidth=1)
        gap.plot(passes, [100 * (a - b) for a, b in zip(row["train"], row["test"])], f"C{i}", linewidth=1)
    tests = [100 * value for row in result["rows"] for value in row["test"][len(row["test"]) // 20 :]]
    shares.set(title="test accuracy, %", xlabel="passes", ylim=(min(tests) - 1, max(tests) + 1))
    shares.legend(fontsize="small")
    costs.set(title="cost of test images; dotted: training", xlabel="passes", ylim=(0, None))
    gap.set(title="training less test accuracy, %", xlabel="passes", ylim=(0, None))
    for axes in (shares, costs, gap):
        axes.grid(alpha=0.3)
    path = folder / "overfitting.png"
    made.savefig(path, dpi=120)
    return [path]

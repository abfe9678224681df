"""Our best on MNIST: a few convolutional networks, trained on turned, shifted and bent digits, answer together.

Elastic distortion: P. Simard, D. Steinkraus and J. Platt, "Best practices for convolutional neural networks applied to
visual document analysis", ICDAR 2003; here the field of displacements is random on a coarse grid and smooth between.
Committees: D. Ciresan, U. Meier and J. Schmidhuber, "Multi-column deep neural networks for image classification", 2012.
What answers is the running average of a network's weights (B. Polyak and A. Juditsky, "Acceleration of stochastic
approximation by averaging", 1992), and it answers for an image in nine places, half a pixel apart.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.resume import Training
from autograd_core.experiments.settings import Settings, figure, mnist_images, plain_ticks, table

TITLE = "Our best on MNIST: an ensemble on distorted digits"
KERNELS = {"network 1": 3, "network 2": 5, "network 3": 7}  # Networks that differ err on different images.
PARTS = tuple(KERNELS)
PUBLISHED = 99.77  # Ciresan's committee of 35 networks
WIDTH, BATCH, EPOCHS, RATE = 32, 100, 48, 2e-3
PLACES = [(down, right) for down in (-0.5, 0.0, 0.5) for right in (-0.5, 0.0, 0.5)]  # Where an image is answered.
PLAIN = 20  # of a batch: images as they are, as those to be answered will be.


def network(width: int, size: int) -> nn.Sequential:
    """(N, 1, 28, 28) to (N, 10): five convolutions, a pooling after the second and the fourth, a hidden layer.

    size: of the first two kernels, 3, 5 or 7; the others are of 3 x 3.
    """
    layers: list[nn.Module] = []
    channels, side = 1, 28
    for i, wide in enumerate((width, width, 2 * width, 2 * width, 4 * width)):
        kernel = size if i < 2 else 3
        layers += [nn.Conv2d(channels, wide, kernel, padding=int(i == 4), bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        channels, side = wide, side - (kernel - 1 if i < 4 else 0)
        if i in (1, 3):
            layers.append(nn.MaxPool2d(2))
            side //= 2
    features = channels * side * side
    layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(features, channels, bias=False), nn.BatchNorm1d(channels)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.3), nn.Linear(channels, 10))


def distorted(x: ag.Tensor) -> ag.Tensor:
    """Images (N, 1, H, W): turned by up to 14 degrees, slanted by up to 11, scaled by up to a tenth, made wider or
    narrower by up to a seventh, shifted by up to 2 pixels, slightly bent."""
    n, _, height, width = x.shape
    angle, scale, slant, wider = ((ag.rand(n) - 0.5) * most for most in (0.5, 0.2, 0.4, 0.3))
    shift = (ag.rand(n, 2) - 0.5) * (8 / width)
    c, s, wider = ag.cos(angle) * (1 + scale), ag.sin(angle) * (1 + scale), 1 + wider
    across = ag.stack((c * wider, c * slant - s / wider, shift[:, 0]), 1)
    down = ag.stack((s * wider, s * slant + c / wider, shift[:, 1]), 1)
    grid = F.affine_grid(ag.stack((across, down), 1), (n, 1, height, width), align_corners=False)
    bend = F.interpolate(ag.randn(n, 2, 5, 5) * 0.03, size=(height, width), mode="bicubic", align_corners=True)
    return F.grid_sample(x, grid + bend.permute(0, 2, 3, 1), align_corners=False)


def run(settings: Settings) -> dict[str, Any]:
    epochs = 6 if settings.quick else EPOCHS
    images, labels = mnist_images(settings, 1000 if settings.quick else 60_000)
    tests, test_labels = mnist_images(settings, 10_000, train=False)
    images, tests = (part.reshape(-1, 1, 28, 28) for part in (images, tests))
    settings.expect(len(PARTS) * epochs)
    data = (images, labels, tests, test_labels)
    found = [settings.part(name, partial(learn, name, epochs, data, settings), epochs) for name in PARTS]
    rows = [dict(row) for row in found if row is not None]
    together: Any = 0
    ensemble = []
    for row in rows:
        together = together + ag.tensor(row.pop("shares"), device=test_labels.device)
        ensemble.append((together.argmax(1) == test_labels).double().mean().item())
    wrong: list[dict[str, Any]] = []
    if rows:
        answers = together.argmax(1)
        for i in (answers != test_labels).nonzero()[:, 0].tolist()[:40]:
            image = (tests[i, 0] * 255).round().long().tolist()
            wrong.append({"image": image, "label": int(test_labels[i]), "answer": int(answers[i])})
    shown = ag.cat([images[:10], distorted(images[:10]), distorted(images[:10])])
    bent = (shown[:, 0] * 255).clamp(0, 255).round().long().tolist()
    return {"rows": rows, "ensemble": ensemble, "tests": len(tests), "wrong": wrong, "distorted": bent}


def moved(x: ag.Tensor, down: float, right: float) -> ag.Tensor:
    """Images (N, 1, H, W), moved by so many pixels."""
    n, _, height, width = x.shape
    theta = ag.tensor([[1.0, 0.0, -2 * right / width], [0.0, 1.0, -2 * down / height]], device=x.device)
    return F.grid_sample(
        x, F.affine_grid(theta.expand(n, 2, 3), list(x.shape), align_corners=False), align_corners=False
    )


def closer(average: list[ag.Tensor], value: list[ag.Tensor], count: Any) -> None:
    """The average of the last 500 values or so, of fewer at the beginning: a sum with falling weights."""
    keep = min(0.998, (1 + int(count)) / (10 + int(count)))
    for mean, x in zip(average, value, strict=True):
        if x.is_floating_point():
            mean.lerp_(x, 1 - keep)
        else:  # How many batches a norm has seen.
            mean.copy_(x)


def learn(name: str, epochs: int, data: Any, settings: Settings) -> dict[str, Any]:
    images, labels, tests, test_labels = data
    model = network(8 if settings.quick else WIDTH, KERNELS[name])
    optimizer = optim.AdamW(model.parameters(), lr=RATE)
    average = optim.swa_utils.AveragedModel(model, multi_avg_fn=closer, use_buffers=True)
    training = Training(settings, name, model=model, optimizer=optimizer, average=average)
    history = training.notes.setdefault("history", [])
    batches = len(images) // BATCH
    for epoch in training.steps(epochs):
        model.train()
        order = ag.randperm(len(images))
        losses = []
        for i in range(batches):
            # Up over the first pass, then half a cosine down to 0.
            at = epoch + i / batches
            falling = 0.5 * (1 + math.cos(math.pi * max(at - 1, 0) / max(epochs - 1, 1)))
            optimizer.param_groups[0]["lr"] = RATE * min(at + 1 / batches, 1) * falling
            chosen = order[i * BATCH : (i + 1) * BATCH]
            optimizer.zero_grad()
            shown = ag.cat([images[chosen[:PLAIN]], distorted(images[chosen[PLAIN:]])])
            loss = F.cross_entropy(model(shown), labels[chosen])
            loss.backward()
            optimizer.step()
            average.update_parameters(model)
            losses.append(loss.detach())
        of_average, of_network = (
            (shares_of(m, tests).argmax(1) == test_labels).double().mean().item() for m in (average.module, model)
        )
        history.append([ag.stack(losses).mean().item(), of_average, of_network])
        settings.step(f"{name}: test accuracy {of_average:.2%}")
    shares: Any = sum(shares_of(average.module, moved(tests, *by)) for by in PLACES) / len(PLACES)
    return {
        "name": name,
        "accuracy": (shares.argmax(1) == test_labels).double().mean().item(),
        "history": history,  # of each pass: the mean loss, the accuracy of the average, that of the network itself
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": training.seconds,
        "shares": [[round(value, 4) for value in row] for row in shares.tolist()],
    }


def shares_of(model: nn.Module, images: ag.Tensor) -> ag.Tensor:
    """The probabilities of the ten digits (N, 10)."""
    model.eval()
    with ag.no_grad():
        return ag.cat([F.softmax(model(part), 1) for part in images.split(500)])


def lines(result: dict[str, Any]) -> list[str]:
    rows: list[list[object]] = []
    for i, (row, together) in enumerate(zip(result["rows"], result["ensemble"]), 1):
        rows.append([row["name"], row["parameters"], f"{100 * row['accuracy']:.2f}", i, f"{100 * together:.2f}"])
        rows[-1].append(round(row["seconds"]))
    return [
        *table(["", "parameters", "test accuracy %", "together", "accuracy %", "seconds"], rows),
        f"wrong: {round(result['tests'] * (1 - result['ensemble'][-1]))} of {result['tests']} test images",
    ]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(8, 4)
    axes = made.subplots()
    for row in result["rows"]:
        errors = [100 * (1 - accuracy) for _, accuracy, _ in row["history"]]
        axes.plot(range(1, len(errors) + 1), [max(error, 1e-2) for error in errors], label=row["name"], linewidth=1)
    axes.axhline(max(100 * (1 - result["ensemble"][-1]), 1e-2), color="k", linestyle="--", label="together")
    axes.set(yscale="log", xlabel="passes over the images", ylabel="test error, %")
    axes.grid(alpha=0.3, which="both")
    plain_ticks(axes)
    axes.legend(fontsize="small")
    pictures = [folder / "errors.png"]
    made.savefig(pictures[0], dpi=120)
    shown = {"distorted": [(image, "") for image in result["distorted"]]}
    shown["wrong"] = [(row["image"], f"{row['answer']} for {row['label']}") for row in result["wrong"]]
    for name, images in shown.items():
        if images:
            count = math.ceil(len(images) / 10)
            made = figure(10, 1.2 * count)
            grid = made.subplots(count, min(len(images), 10), squeeze=False)
            for axes in grid.flat:
                axes.axis("off")
            for axes, (image, title) in zip(grid.flat, images):
                axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
                axes.set_title(title, fontsize="small")
            pictures.append(folder / f"{name}.png")
            made.savefig(pictures[-1], dpi=120)
    return pictures

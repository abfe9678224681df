"""One training script under `import torch` and under `import autograd_core as torch`: losses equal step for step.

Weights and data are handed in as lists of numbers, so that both start from the same.
"""

import random
from typing import Any

import pytest

import autograd_core

SCRIPT = """
import {package} as torch
from {package} import nn
import {package}.nn.functional as F


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 16)
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        x = torch.flatten(x, 1)
        x = torch.tanh(self.fc1(x))
        return self.fc2(x)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(4 * 2 * 1, 4))

    def forward(self, x):
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


def train(model_name, optimizer_name, dtype_name, weights, batches, steps):
    dtype = getattr(torch, dtype_name)
    model = {{"MLP": MLP, "CNN": CNN}}[model_name]().to(dtype)
    with torch.no_grad():
        for p, values in zip(model.parameters(), weights(p.shape for p in model.parameters())):
            p.copy_(torch.tensor(values, dtype=dtype).reshape(p.shape))
    optimizer = {{
        "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
        "Adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    }}[optimizer_name](model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=40, gamma=0.5)
    criterion = nn.CrossEntropyLoss()
    losses = []
    model.train()
    for step in range(steps):
        images, labels = batches[step % len(batches)]
        x = torch.tensor(images, dtype=dtype).view(-1, 1, 4, 3)
        y = torch.tensor(labels)
        optimizer.zero_grad()
        output = model(x)
        loss = criterion(output, y) + 1e-4 * sum((p ** 2).sum() for p in model.parameters())
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        logits = F.log_softmax(model(x), dim=1)
        predicted = logits.argmax(dim=1)
        accuracy = (predicted == y).float().mean().item()
    return losses, accuracy, F.nll_loss(logits, y).item()
"""


def batches() -> list[Any]:
    """Eight batches of noisy 4x3 images of four classes."""
    rng = random.Random(0)
    prototypes = [[rng.gauss(0, 1) for _ in range(12)] for _ in range(4)]
    made = []
    for _ in range(8):
        labels = [rng.randrange(4) for _ in range(16)]
        made.append(([[value + rng.gauss(0, 1) for value in prototypes[label]] for label in labels], labels))
    return made


def weights(shapes: Any) -> list[list[float]]:
    rng = random.Random(1)
    filled = []
    for shape in shapes:
        count = 1
        for size in shape:
            count *= size
        filled.append([rng.uniform(-0.5, 0.5) for _ in range(count)])
    return filled


def run(package: str, model: str, optimizer: str, dtype: str, steps: int) -> Any:
    scope: dict[str, Any] = {"__name__": f"script_of_{package}"}
    exec(SCRIPT.format(package=package), scope)
    return scope["train"](model, optimizer, dtype, weights, batches(), steps)


@pytest.mark.parametrize("model", ["MLP", "CNN"])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_losses_equal_pytorchs_step_for_step(model: str, optimizer: str, dtype: str, tolerance: float) -> None:
    pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    theirs = run("torch", model, optimizer, dtype, 100)
    mine = run("autograd_core", model, optimizer, dtype, 100)
    assert len(mine[0]) == 100 and theirs[0][-1] < 0.7 * theirs[0][0]
    for step, (ours, expected) in enumerate(zip(mine[0], theirs[0], strict=True)):
        assert ours == pytest.approx(expected, rel=tolerance, abs=0), f"loss of step {step}"
    assert mine[1] == theirs[1]
    assert mine[2] == pytest.approx(theirs[2], rel=10 * tolerance)


@pytest.mark.parametrize("model", ["MLP", "CNN"])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_the_script_learns(model: str, optimizer: str) -> None:
    losses, accuracy, _ = run(autograd_core.__name__, model, optimizer, "float32", 100)
    assert losses[-1] < 0.7 * losses[0] and accuracy > 0.7

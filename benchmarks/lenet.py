"""A training step of LeNet-5 (LeCun et al. 1998, with ReLU and max pooling) on images of 28 x 28, SGD with momentum."""

from __future__ import annotations

from typing import Any


def network(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def images(kit: Any, batch: int) -> Any:
    return kit.images(batch, 1, 28, 28)


def lenet(lib: Any, kit: Any, batch: int = 256) -> Any:
    model = kit.model(network(lib))
    optimizer = kit.optimizer("SGD", model.parameters(), lr=0.005, momentum=0.9)
    return kit.training(model, lib.nn.CrossEntropyLoss(), optimizer, images(kit, batch), kit.integers(10, batch))

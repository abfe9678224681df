"""Training steps of two fully connected networks: zero_grad, forward, loss, backward, SGD step.

- `mlp`: 784-512-512-10, ReLU, cross-entropy, batch 128: large enough for the products and the thread pools to matter.
- `mlp_small`: 784-30-10, sigmoid, mean squared error, batch 10: small enough for the library's own cost to matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def mlp(lib: Any, kit: Any, batch: int = 128, hidden: int = 512) -> Any:
    nn = lib.nn
    model = kit.model(
        nn.Sequential(nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    )
    optimizer = kit.optimizer("SGD", model.parameters(), lr=0.01)
    return kit.training(model, nn.CrossEntropyLoss(), optimizer, kit.images(batch, 784), kit.integers(10, batch))


def mlp_small(lib: Any, kit: Any) -> Any:
    nn = lib.nn
    model = kit.model(nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid()))
    optimizer = kit.optimizer("SGD", model.parameters(), lr=0.1)
    x, labels = kit.images(10, 784), kit.rng.integers(0, 10, 10)
    return kit.training(model, nn.MSELoss(), optimizer, x, kit.tensor(np.eye(10, dtype=np.float32)[labels]))

"""Training steps of two fully connected networks: zero_grad, forward, loss, backward, SGD step.

- `mlp`: 784-512-512-10, ReLU, cross-entropy, batch 128: large enough for the products and the thread pools to matter.
- `mlp-small`: 784-30-10, sigmoid, mean squared error, batch 10: small enough for the library's own cost to matter.

Imports nothing of ours, so that a process can run PyTorch's step without autograd-core in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], Any]


def _set_weights(lib: Any, model: Any, rng: np.random.Generator) -> None:
    """The same weights in every library: scaled normal draws, zero biases."""
    state = {}
    for name, value in model.state_dict().items():
        shape = tuple(value.shape)
        scale = shape[1] ** -0.5 if len(shape) == 2 else 0.0
        state[name] = lib.from_numpy((scale * rng.standard_normal(shape)).astype(np.float32))
    model.load_state_dict(state)


def mlp(lib: Any) -> Step:
    rng = np.random.default_rng(0)
    nn = lib.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    _set_weights(lib, model, rng)
    x = lib.from_numpy(rng.random((128, 784), np.float32))
    y = lib.from_numpy(rng.integers(0, 10, 128))
    loss_function, optimizer = nn.CrossEntropyLoss(), lib.optim.SGD(model.parameters(), lr=0.01)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def mlp_small(lib: Any) -> Step:
    rng = np.random.default_rng(0)
    nn = lib.nn
    model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid())
    _set_weights(lib, model, rng)
    x = lib.from_numpy(rng.random((10, 784), np.float32))
    y = lib.from_numpy(np.eye(10, dtype=np.float32)[rng.integers(0, 10, 10)])
    loss_function, optimizer = nn.MSELoss(), lib.optim.SGD(model.parameters(), lr=0.1)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step

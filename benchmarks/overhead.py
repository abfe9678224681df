"""What one operation costs when the arrays are tiny: the price of the library itself, forward and backward.

- `chain of 200`: one chain of 200 operations from a leaf to a sum.
- `mix of 200`: 25 times the eight operations below in a row, from a leaf and a weight, then one backward.
- each operation of the mix alone: 50 leaves, the operation on each, one backward through all of them.

Every array has at most 64 float32 elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

LEAVES = 50


def _normal(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return (0.5 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def chain(lib: Any, kit: Any) -> Any:
    x = kit.tensor(_normal(0, 8, 8)).requires_grad_()
    a, b = kit.tensor(_normal(1, 8, 8)), kit.tensor(_normal(2, 8, 8))

    def step() -> None:
        x.grad = None
        y = x
        for _ in range(50):
            y = y * a
            y = y + b
            y = y.tanh()
            y = y - a
        y.sum().backward()

    return step


def mix(lib: Any, kit: Any) -> Any:
    x = kit.tensor(_normal(0, 8, 8)).requires_grad_()
    w = kit.tensor(_normal(1, 8, 8)).requires_grad_()
    a, b = kit.tensor(_normal(2, 8)), kit.tensor(_normal(3, 8))
    backward = lib.autograd.backward

    def step() -> None:
        x.grad = w.grad = None
        backward([((x @ w) * a + b).tanh().exp().reshape(4, 16)[1:3].sum() for _ in range(25)])

    return step


def alone(lib: Any, kit: Any, operation: str) -> Any:
    """One of the `OPERATIONS` on many leaves x."""
    function = OPERATIONS[operation]
    leaves = [kit.tensor(_normal(seed, 8, 8)).requires_grad_() for seed in range(LEAVES)]
    other = kit.tensor(_normal(LEAVES, 8, 8))
    cotangents = [lib.ones_like(function(x, other)) for x in leaves]
    backward = lib.autograd.backward

    def step() -> None:
        for x in leaves:
            x.grad = None
        backward([function(x, other) for x in leaves], cotangents)

    return step


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, other: x + other,
    "mul": lambda x, other: x * other,
    "tanh": lambda x, other: x.tanh(),
    "exp": lambda x, other: x.exp(),
    "sum": lambda x, other: x.sum(),
    "reshape": lambda x, other: x.reshape(4, 16),
    "slice": lambda x, other: x[1:3],
    "matmul": lambda x, other: x @ other,
}

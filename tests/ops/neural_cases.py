"""What a row of the tables of neural operations is: a function of `nn.functional`, ours or PyTorch's, and of tensors."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_core as ag


def normal(*shape):
    return lambda rng: rng.standard_normal(shape)


def off_zero(*shape):
    """Away from the kink at 0, and from those at +-1 and 6."""
    return lambda rng: (
        rng.choice([-2.5, -1.7, -0.6, -0.3, 0.2, 0.5, 1.5, 2.2, 4.0, 7.0], shape) + rng.uniform(-0.09, 0.09, shape)
    )


def distinct(*shape):
    """No two elements nearer than 0.1: maxima stay where they are."""
    return lambda rng: rng.permutation(int(np.prod(shape))).reshape(shape) / 10 - 1.0


def positive(*shape):
    return lambda rng: rng.uniform(0.5, 1.5, shape)


def probability(*shape):
    return lambda rng: rng.uniform(0.1, 0.9, shape)


def distribution(*shape):
    def draw(rng):
        p = rng.uniform(0.1, 1.0, shape)
        return p / p.sum(1 if len(shape) > 1 else 0, keepdims=True)

    return draw


def integers(low, high, *shape):
    return lambda rng: rng.integers(low, high, shape)


def ints(*values):
    return lambda rng: np.array(values)


@dataclass
class Case:
    name: str
    function: Any
    inputs: tuple
    batch: bool = True  # Dimension 0 of the first input is a batch, which may be empty.
    constant: tuple = ()  # Floating-point inputs that take no gradient.
    numeric: bool = True  # The gradient is the derivative of the value (not so where a row is excluded on purpose).

    def arrays(self, dtype="float64"):
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        drawn = [np.asarray(draw(rng)) for draw in self.inputs]
        return [a.astype(dtype) if a.dtype.kind == "f" else a for a in drawn]

    def tensors(self, dtype="float64"):
        arrays = self.arrays(dtype)
        return [
            ag.tensor(a, requires_grad=a.dtype.kind == "f" and i not in self.constant) for i, a in enumerate(arrays)
        ]

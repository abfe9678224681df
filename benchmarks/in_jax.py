"""The workloads that JAX runs, in its own words: each function stands for the one of the same name in its own file.

The draws are the kit's, in the same order, so weights and data are those of the other libraries. Every step is jitted
and waited for. A workload that has no function here is blank in JAX's column.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _linear(kit: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    """What `Kit.model` gives a linear layer of PyTorch's shape."""
    draws = kit.rng.standard_normal((outputs, inputs)) * float(inputs) ** -0.5
    return kit.tensor(draws.astype(np.float32)), kit.tensor(np.zeros(outputs, np.float32))


def _training(jax: Any, kit: Any, loss: Any, weights: Any, lr: float) -> Any:
    """A step of SGD on `loss(weights)`; the kit's number is the loss before it."""

    def update(weights: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights)
        return jax.tree_util.tree_map(lambda w, g: w - lr * g, weights, gradients), value

    jitted, kept = jax.jit(update), [weights, None]
    kit.check = lambda: float(kept[1])

    def step() -> None:
        kept[:] = jax.block_until_ready(jitted(kept[0]))

    return step


def mlp(jax: Any, kit: Any, batch: int = 128, hidden: int = 512) -> Any:
    shapes = [(784, hidden), (hidden, hidden), (hidden, 10)]
    layers = [_linear(kit, *shape) for shape in shapes]
    x, labels = kit.tensor(kit.rng.random((batch, 784), np.float32)), kit.rng.integers(0, 10, batch)
    picked = kit.tensor(np.eye(10, dtype=np.float32)[labels])

    def loss(layers: Any) -> Any:
        y = x
        for i, (weight, bias) in enumerate(layers):
            y = y @ weight.T + bias
            y = jax.nn.relu(y) if i < 2 else jax.nn.log_softmax(y)
        return -(picked * y).sum() / batch

    return _training(jax, kit, loss, layers, 0.01)


def mlp_small(jax: Any, kit: Any) -> Any:
    layers = [_linear(kit, 784, 30), _linear(kit, 30, 10)]
    x, labels = kit.tensor(kit.rng.random((10, 784), np.float32)), kit.rng.integers(0, 10, 10)
    y = kit.tensor(np.eye(10, dtype=np.float32)[labels])

    def loss(layers: Any) -> Any:
        out = x
        for weight, bias in layers:
            out = jax.nn.sigmoid(out @ weight.T + bias)
        return ((out - y) ** 2).mean()

    return _training(jax, kit, loss, layers, 0.1)


def _differentiated(jax: Any, kit: Any, function: Any, *inputs: Any) -> Any:
    shape = jax.eval_shape(function, *inputs).shape
    cotangent = kit.normal(*shape)
    last: list[Any] = [None, ()]

    def both(inputs: Any, g: Any) -> Any:
        y, pull = jax.vjp(function, *inputs)
        return y, pull(g)

    jitted = jax.jit(both)
    kit.check = lambda: sum(float((g**2).sum()) for g in last[1])

    def step() -> None:
        last[:] = jax.block_until_ready(jitted(inputs, cotangent))

    return step


def elementwise(jax: Any, kit: Any, size: int) -> Any:
    def function(x: Any) -> Any:
        return jax.numpy.tanh(x) * jax.nn.sigmoid(x) + jax.nn.gelu(x, approximate=False)

    return _differentiated(jax, kit, function, kit.normal(size))


def softmax(jax: Any, kit: Any, rows: int, columns: int) -> Any:
    return _differentiated(jax, kit, jax.nn.softmax, kit.normal(rows, columns))


def layernorm(jax: Any, kit: Any, rows: int, columns: int) -> Any:
    def function(x: Any, weight: Any, bias: Any) -> Any:
        variance = x.var(-1, keepdims=True)
        return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(variance + 1e-5) * weight + bias

    return _differentiated(jax, kit, function, kit.normal(rows, columns), kit.normal(columns), kit.normal(columns))


def conv(
    jax: Any, kit: Any, batch: int, inside: int, outside: int, image: int, kernel: int = 3, stride: int = 1
) -> Any:
    x = kit.tensor(kit.rng.random((batch, inside, image, image), np.float32))
    weight = kit.normal(outside, inside, kernel, kernel, scale=(inside * kernel * kernel) ** -0.5)
    strides, padding = (stride, stride), [(kernel // 2, kernel // 2)] * 2
    return _differentiated(jax, kit, lambda x, w: jax.lax.conv_general_dilated(x, w, strides, padding), x, weight)


def matmul(jax: Any, kit: Any, rows: int, inner: int, columns: int) -> Any:
    x, y = kit.normal(rows, inner), kit.normal(inner, columns, scale=inner**-0.5)
    jitted = jax.jit(lambda x, y: x @ y)
    kit.check = lambda: float((jitted(x, y) ** 2).sum())

    def step() -> None:
        jax.block_until_ready(jitted(x, y))

    return step

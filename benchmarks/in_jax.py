"""The workloads that JAX runs, in its own words: each function stands for the one of the same name in its own file.

The draws are the kit's, in the same order, so weights and data are those of the other libraries. Every step is jitted
and waited for. Images have their channels last, which XLA's kernels for the CPU are made for. A workload that has no
function here is blank in JAX's column.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _linear(kit: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    """What `Kit.model` gives a linear layer of PyTorch's shape."""
    draws = kit.rng.standard_normal((outputs, inputs)) * float(inputs) ** -0.5
    return kit.tensor(draws.astype(np.float32)), kit.tensor(np.zeros(outputs, np.float32))


def _training(jax: Any, kit: Any, loss: Any, weights: Any, rule: Any, state: Any = ()) -> Any:
    """A step of `rule(weights, gradients, state)` on `loss(weights)`; the kit's number is the loss before it."""

    def update(weights: Any, state: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights)
        return *rule(weights, gradients, state), value

    jitted, kept = jax.jit(update, donate_argnums=(0, 1)), [weights, state, None]
    kit.check = lambda: float(kept[2])

    def step() -> None:
        kept[:] = jax.block_until_ready(jitted(*kept[:2]))

    return step


def _sgd(jax: Any, lr: float, momentum: float = 0.0) -> Any:
    """The rule of SGD; with momentum, `state` is a buffer for each weight."""
    tree = jax.tree_util.tree_map

    def rule(weights: Any, gradients: Any, state: Any) -> Any:
        if momentum:
            state = gradients = tree(lambda b, g: momentum * b + g, state, gradients)
        return tree(lambda w, g: w - lr * g, weights, gradients), state

    return rule


def _adam(jax: Any, lr: float, beta1: float = 0.9, beta2: float = 0.999, decay: float = 0.0, clip: float = 0.0) -> Any:
    """The rule of Adam with decoupled weight decay; `state` is (moments, squares, steps). clip: of the norm before."""
    tree, np_ = jax.tree_util.tree_map, jax.numpy

    def rule(weights: Any, gradients: Any, state: Any) -> Any:
        means, squares, t = state
        if clip:
            norm = np_.sqrt(sum((g**2).sum() for g in jax.tree_util.tree_leaves(gradients)))
            factor = np_.minimum(1.0, clip / (norm + 1e-6))
            gradients = tree(lambda g: g * factor, gradients)
        t = t + 1
        means = tree(lambda m, g: beta1 * m + (1 - beta1) * g, means, gradients)
        squares = tree(lambda v, g: beta2 * v + (1 - beta2) * g * g, squares, gradients)
        rate, root = lr / (1 - beta1**t), np_.sqrt(1 - beta2**t)
        weights = tree(
            lambda w, m, v: w * (1 - lr * decay) - rate * m / (np_.sqrt(v) / root + 1e-8), weights, means, squares
        )
        return weights, (means, squares, t)

    return rule


def _zeros(jax: Any, weights: Any) -> Any:
    return jax.tree_util.tree_map(jax.numpy.zeros_like, weights)


def _cross_entropy(jax: Any, y: Any, labels: Any) -> Any:
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(y), labels[:, None], 1).mean()


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

    return _training(jax, kit, loss, layers, _sgd(jax, 0.01))


def mlp_small(jax: Any, kit: Any) -> Any:
    layers = [_linear(kit, 784, 30), _linear(kit, 30, 10)]
    x, labels = kit.tensor(kit.rng.random((10, 784), np.float32)), kit.rng.integers(0, 10, 10)
    y = kit.tensor(np.eye(10, dtype=np.float32)[labels])

    def loss(layers: Any) -> Any:
        out = x
        for weight, bias in layers:
            out = jax.nn.sigmoid(out @ weight.T + bias)
        return ((out - y) ** 2).mean()

    return _training(jax, kit, loss, layers, _sgd(jax, 0.1))


def _filter(kit: Any, outside: int, inside: int, size: int) -> Any:
    """What `Kit.model` gives a convolution, with the channels last, as XLA's CPU kernels like them best."""
    draws = kit.rng.standard_normal((outside, inside, size, size)) * float(inside * size * size) ** -0.5
    return kit.tensor(np.ascontiguousarray(draws.astype(np.float32).transpose(2, 3, 1, 0)))


def _images(kit: Any, *shape: int) -> Any:
    return kit.tensor(np.ascontiguousarray(kit.rng.random(shape, np.float32).transpose(0, 2, 3, 1)))


def _conv(jax: Any, x: Any, weight: Any, stride: int, padding: int) -> Any:
    around = [(padding, padding)] * 2
    return jax.lax.conv_general_dilated(x, weight, (stride,) * 2, around, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def lenet(jax: Any, kit: Any, batch: int = 256) -> Any:
    filters = [_filter(kit, 6, 1, 5), _filter(kit, 16, 6, 5)]
    shifts = [kit.tensor(np.zeros(n, np.float32)) for n in (6, 16)]
    layers = [_linear(kit, *shape) for shape in ((400, 120), (120, 84), (84, 10))]
    x, labels = _images(kit, batch, 1, 28, 28), kit.integers(10, batch)

    def loss(weights: Any) -> Any:
        filters, shifts, layers = weights
        y = x
        for weight, shift, padding in zip(filters, shifts, (2, 0)):
            y = jax.nn.relu(_conv(jax, y, weight, 1, padding) + shift)
            y = jax.lax.reduce_window(y, -np.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        y = y.transpose(0, 3, 1, 2).reshape(batch, -1)
        for i, (weight, shift) in enumerate(layers):
            y = y @ weight.T + shift
            y = jax.nn.relu(y) if i < 2 else y
        return _cross_entropy(jax, y, labels)

    weights = (filters, shifts, layers)
    return _training(jax, kit, loss, weights, _sgd(jax, 0.005, 0.9), _zeros(jax, weights))


def resnet(jax: Any, kit: Any, batch: int = 32, blocks: int = 2) -> Any:
    """Without the running averages of batch norm, which training does not read."""

    def norm(channels: int) -> Any:
        return kit.tensor(np.ones(channels, np.float32)), kit.tensor(np.zeros(channels, np.float32))

    stem, parts, width = (_filter(kit, 16, 3, 3), norm(16)), [], 16
    strides = []
    for channels in (16, 32, 64):
        for block in range(blocks):
            stride = 2 if block == 0 and channels > 16 else 1
            convs = [_filter(kit, channels, width, 3), _filter(kit, channels, channels, 3)]
            shortcut = [_filter(kit, channels, width, 1)] if (stride, width) != (1, channels) else []
            parts.append((convs, [norm(channels), norm(channels)], shortcut))
            strides.append(stride)
            width = channels
    head = _linear(kit, 64, 10)
    x, labels = _images(kit, batch, 3, 32, 32), kit.integers(10, batch)

    def normalised(y: Any, weights: Any) -> Any:
        weight, shift = weights
        mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
        return (y - mean) * (jax.lax.rsqrt(variance + 1e-5) * weight) + shift

    def loss(weights: Any) -> Any:
        (first, norm0), parts, (weight, shift) = weights
        y = jax.nn.relu(normalised(_conv(jax, x, first, 1, 1), norm0))
        for stride, (convs, norms, shortcut) in zip(strides, parts):
            z = jax.nn.relu(normalised(_conv(jax, y, convs[0], stride, 1), norms[0]))
            z = normalised(_conv(jax, z, convs[1], 1, 1), norms[1])
            y = jax.nn.relu(z + (_conv(jax, y, shortcut[0], stride, 0) if shortcut else y))
        return _cross_entropy(jax, y.mean((1, 2)) @ weight.T + shift, labels)

    weights = (stem, parts, head)
    return _training(jax, kit, loss, weights, _sgd(jax, 0.01, 0.9), _zeros(jax, weights))


def _matrix(kit: Any, outputs: int, inputs: int) -> Any:
    return kit.tensor((kit.rng.standard_normal((outputs, inputs)) * float(inputs) ** -0.5).astype(np.float32))


def lstm(jax: Any, kit: Any, batch: int = 32, length: int = 64, width: int = 256) -> Any:
    table, by_input, by_state = _matrix(kit, 65, width), _matrix(kit, 4 * width, width), _matrix(kit, 4 * width, width)
    shifts = [kit.tensor(np.zeros(4 * width, np.float32)) for _ in range(2)]
    weights = (table, by_input, by_state, shifts, _linear(kit, width, 65))
    x, labels = kit.integers(65, batch, length), kit.integers(65, batch * length)

    def loss(weights: Any) -> Any:
        table, by_input, by_state, shifts, (head, shift) = weights
        given = table[x].transpose(1, 0, 2) @ by_input.T + (shifts[0] + shifts[1])

        def cell(state: Any, part: Any) -> Any:
            h, c = state
            i, f, n, o = jax.numpy.split(part + h @ by_state.T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(n)
            h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
            return (h, c), h

        start = jax.numpy.zeros((batch, width), np.float32)
        _, states = jax.lax.scan(cell, (start, start), given)
        y = states.transpose(1, 0, 2).reshape(-1, width) @ head.T + shift
        return _cross_entropy(jax, y, labels)

    state = (_zeros(jax, weights), _zeros(jax, weights), jax.numpy.zeros((), np.float32))
    return _training(jax, kit, loss, weights, _adam(jax, 1e-3), state)


def gpt(jax: Any, kit: Any, batch: int = 12, layers: int = 4, width: int = 128, block: int = 64, heads: int = 4) -> Any:
    _matrix(kit, 65, width)  # The tied weight is drawn twice; the second draws, the head's, are what it gets.
    places, parts = _matrix(kit, block, width), []
    for _ in range(layers):
        shapes = ((3 * width, width), (width, width), (4 * width, width), (width, 4 * width))
        products = [_matrix(kit, *shape) for shape in shapes]
        parts.append((products, [kit.tensor(np.ones(width, np.float32)) for _ in range(2)]))
    final = kit.tensor(np.ones(width, np.float32))
    weights = (_matrix(kit, 65, width), places, parts, final)
    x, labels = kit.integers(65, batch, block), kit.integers(65, batch * block)
    seen = np.tril(np.ones((block, block), np.bool_))

    def norm(y: Any, weight: Any) -> Any:
        centred = y - y.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight

    def loss(weights: Any) -> Any:
        tokens, places, parts, final = weights
        y = tokens[x] + places
        for (qkv, out, up, down), norms in parts:
            three = (norm(y, norms[0]) @ qkv.T).reshape(batch, block, 3, heads, width // heads)
            q, k, v = (three[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
            scores = q @ k.transpose(0, 1, 3, 2) * (width // heads) ** -0.5
            shares = jax.nn.softmax(jax.numpy.where(seen, scores, -np.inf))
            y = y + (shares @ v).transpose(0, 2, 1, 3).reshape(batch, block, width) @ out.T
            y = y + jax.nn.gelu(norm(y, norms[1]) @ up.T, approximate=False) @ down.T
        return _cross_entropy(jax, (norm(y, final) @ tokens.T).reshape(-1, 65), labels)

    state = (_zeros(jax, weights), _zeros(jax, weights), jax.numpy.zeros((), np.float32))
    return _training(jax, kit, loss, weights, _adam(jax, 1e-3, 0.9, 0.99, 0.1, 1.0), state)


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

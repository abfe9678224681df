"""The elementwise kernels as functions of scalars: one source for the CPU, the GPU and compiled plans.

Written in a small subset of Python that `lifting.py` can give a dtype: arithmetic, comparisons, `a if c else b`, local
variables, other functions of this file, and the names imported here, which every target brings in its own way (on the
CPU `cpu/vector_math.py`). A literal takes the dtype of the arguments. `FUNCTIONS` lists them.

Each has its portable body of the same name and arguments in a mixin of `Backend`, and must give NaN where that does.
"""

from __future__ import annotations

from math import erf, exp, expm1, isnan, log1p, sqrt, tanh
from typing import Any

Scalar = Any


def maximum(x: Scalar, y: Scalar) -> Scalar:
    return x if x > y or isnan(x) else y


def minimum(x: Scalar, y: Scalar) -> Scalar:
    return x if x < y or isnan(x) else y


def tanh_backward(g: Scalar, y: Scalar) -> Scalar:
    return g * (1 - y * y)


def sigmoid(x: Scalar) -> Scalar:
    return 1 / (1 + exp(-x))


def sigmoid_backward(g: Scalar, y: Scalar) -> Scalar:
    return g * (y * (1 - y))


def relu(x: Scalar) -> Scalar:
    return 0 if x <= 0 else x


def relu_backward(g: Scalar, y: Scalar) -> Scalar:
    return 0 if y <= 0 else g


def leaky_relu(x: Scalar, slope: Scalar) -> Scalar:
    return x if x > 0 else x * slope


def leaky_relu_backward(g: Scalar, x: Scalar, slope: Scalar) -> Scalar:
    return g if x > 0 else g * slope


def elu(x: Scalar, alpha: Scalar, scale: Scalar, inner: Scalar) -> Scalar:
    return x * scale if x > 0 else expm1(minimum(x, 0) * inner) * (alpha * scale)


def elu_backward(g: Scalar, x: Scalar, alpha: Scalar, scale: Scalar, inner: Scalar) -> Scalar:
    return g * (scale if x > 0 else exp(minimum(x, 0) * inner) * (alpha * scale * inner))


def softplus(x: Scalar, beta: Scalar, threshold: Scalar) -> Scalar:
    z = x * beta
    return x if z > threshold else (maximum(z, 0) + log1p(exp(-abs(z)))) / beta


def softplus_backward(g: Scalar, x: Scalar, beta: Scalar, threshold: Scalar) -> Scalar:
    z = x * beta
    return g if z > threshold else g / (1 + exp(-z))


def gelu(x: Scalar) -> Scalar:
    return x * (0.5 + 0.5 * erf(x * 0.7071067811865476))


def gelu_backward(g: Scalar, x: Scalar) -> Scalar:
    density = 0.3989422804014327 * exp(x * x * -0.5)
    return g * (0.5 + 0.5 * erf(x * 0.7071067811865476) + x * density)


def gelu_tanh(x: Scalar) -> Scalar:
    return x * (0.5 + 0.5 * tanh(x * (x * x * 0.035677408136300125 + 0.7978845608028654)))


def gelu_tanh_backward(g: Scalar, x: Scalar) -> Scalar:
    squared = x * x
    t = tanh(x * (squared * 0.035677408136300125 + 0.7978845608028654))
    slope = squared * 0.10703222440890037 + 0.7978845608028654
    return g * (0.5 + 0.5 * t + 0.5 * x * (1 - t * t) * slope)


def silu(x: Scalar) -> Scalar:
    return x / (1 + exp(-x))


def silu_backward(g: Scalar, x: Scalar) -> Scalar:
    s = 1 / (1 + exp(-x))
    return g * (s * (1 + x * (1 - s)))


def hardtanh(x: Scalar, low: Scalar, high: Scalar) -> Scalar:
    return minimum(maximum(x, low), high)


def hardtanh_backward(g: Scalar, x: Scalar, low: Scalar, high: Scalar) -> Scalar:
    return 0 if x <= low or x >= high else g


def clamp(x: Scalar, low: Scalar, high: Scalar) -> Scalar:
    return minimum(maximum(x, low), high)


def clamp_backward(g: Scalar, x: Scalar, low: Scalar, high: Scalar) -> Scalar:
    return g if x >= low and x <= high else 0


def huber(d: Scalar, delta: Scalar) -> Scalar:
    return 0.5 * d * d if abs(d) < delta else delta * (abs(d) - 0.5 * delta)


def smooth_l1(d: Scalar, beta: Scalar) -> Scalar:
    return 0.5 * d * d / beta if abs(d) < beta else abs(d) - 0.5 * beta


def logit_loss(x: Scalar, y: Scalar) -> Scalar:
    weight = 1 - y if x > 0 else -y
    return (0 if weight == 0 else x * weight) + log1p(exp(-abs(x)))


def logaddexp(x: Scalar, y: Scalar) -> Scalar:
    return x + 0.6931471805599453 if x == y else maximum(x, y) + log1p(exp(-abs(x - y)))


def dropout(x: Scalar, mask: Scalar, scale: Scalar) -> Scalar:
    return x * mask * scale


def add(x: Scalar, y: Scalar) -> Scalar:
    return x + y


def sub(x: Scalar, y: Scalar) -> Scalar:
    return x - y


def mul(x: Scalar, y: Scalar) -> Scalar:
    return x * y


def div(x: Scalar, y: Scalar) -> Scalar:
    return x / y


def neg(x: Scalar) -> Scalar:
    return -x


def sign(x: Scalar) -> Scalar:
    return 1 if x > 0 else (-1 if x < 0 else 0)


def square(x: Scalar) -> Scalar:
    return x * x


def reciprocal(x: Scalar) -> Scalar:
    return 1 / x


def rsqrt(x: Scalar) -> Scalar:
    return 1 / sqrt(x)


def where(condition: Scalar, x: Scalar, y: Scalar) -> Scalar:
    return x if condition else y


def fill(x: Scalar, value: Scalar) -> Scalar:
    return value


def clone(x: Scalar) -> Scalar:
    return x


def eq(x: Scalar, y: Scalar) -> Scalar:
    return x == y


def ne(x: Scalar, y: Scalar) -> Scalar:
    return x != y


def lt(x: Scalar, y: Scalar) -> Scalar:
    return x < y


def le(x: Scalar, y: Scalar) -> Scalar:
    return x <= y


def gt(x: Scalar, y: Scalar) -> Scalar:
    return x > y


def ge(x: Scalar, y: Scalar) -> Scalar:
    return x >= y


FUNCTIONS = {name: f for name, f in list(globals().items()) if getattr(f, "__module__", "") == __name__}

"""Activations that are more than one call of the elementwise family, each with its derivative as one kernel.

`<name>_backward(g, x, ...)` is `g` times the derivative at the input `x`.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.elementwise import in_float32
from autograd_core.backends.neural_conv import widened

Array = Any

_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715

# W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969):
# numerator and denominator, highest power first, for |x| <= 0.46875 (in x^2), up to 4 (in |x|), above (in 1 / x^2).
_ERF = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERFC_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_ERFC_TAIL = (
    (-1.63153871373020978e-2, -3.05326634961232344e-1, -3.60344899949804439e-1, -1.25781726111229246e-1,
     -1.60837851487422766e-2, -6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip


def _ratio(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    values = []
    for polynomial in coefficients:
        value = x * polynomial[0] + polynomial[1]
        for c in polynomial[2:]:
            value = value * x + c
        values.append(value)
    return values[0] / values[1]


class ActivationKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    def erf(self, x: Array) -> Array:
        """The error function `2 / sqrt(pi) * integral of exp(-t^2) from 0 to x`, to the last few bits of the dtype."""
        xp, wide = self.xp, widened(x)
        size = xp.minimum(xp.abs(wide), 6.0)  # erf(6) rounds to 1; a NaN stays one.
        squared = size * size
        small = size * _ratio(squared, _ERF)
        below_4 = _ratio(size, _ERFC_MIDDLE)
        inverse = 1 / xp.maximum(squared, 1.0)
        above_4 = (1 / math.sqrt(math.pi) + inverse * _ratio(inverse, _ERFC_TAIL)) / xp.maximum(size, 1.0)
        large = 1 - xp.exp(-squared) * xp.where(size <= 4, below_4, above_4)
        value = xp.copysign(xp.where(size <= 0.46875, small, large), wide)
        return value.astype(x.dtype) if value.dtype != x.dtype else value

    def leaky_relu(self, x: Array, slope: float) -> Array:
        return self.xp.where(x > 0, x, x * slope)

    def leaky_relu_backward(self, g: Array, x: Array, slope: float) -> Array:
        return self.xp.where(x > 0, g, g * slope)

    @in_float32
    def elu(self, x: Array, alpha: float, scale: float, inner: float) -> Array:
        """`scale * x` above 0, `scale * alpha * (exp(inner * x) - 1)` below."""
        return self.xp.where(x > 0, x * scale, self.xp.expm1(self.xp.minimum(x, 0) * inner) * (alpha * scale))

    @in_float32
    def elu_backward(self, g: Array, x: Array, alpha: float, scale: float, inner: float) -> Array:
        below = self.xp.exp(self.xp.minimum(x, 0) * inner) * (alpha * scale * inner)
        return g * self.xp.where(x > 0, self.xp.full((), scale, x.dtype), below)

    @in_float32
    def softplus(self, x: Array, beta: float, threshold: float) -> Array:
        """`log(1 + exp(beta x)) / beta`, and x itself where `beta x > threshold`."""
        xp, z = self.xp, x * beta
        smooth = (xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))) / beta
        return xp.where(z > threshold, x, smooth)

    @in_float32
    def softplus_backward(self, g: Array, x: Array, beta: float, threshold: float) -> Array:
        xp, z = self.xp, x * beta
        return xp.where(z > threshold, g, g / (1 + xp.exp(-z)))

    @in_float32
    def gelu(self, x: Array) -> Array:
        """`x * Phi(x)`, Phi the normal distribution function."""
        return x * (0.5 + 0.5 * self.erf(x * _SQRT_HALF))

    @in_float32
    def gelu_backward(self, g: Array, x: Array) -> Array:
        density = self.xp.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
        return g * (0.5 + 0.5 * self.erf(x * _SQRT_HALF) + x * density)

    @in_float32
    def gelu_tanh(self, x: Array) -> Array:
        """`x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`."""
        return x * (0.5 + 0.5 * self.xp.tanh(x * (x * x * (_CUBIC * _SQRT_2_OVER_PI) + _SQRT_2_OVER_PI)))

    @in_float32
    def gelu_tanh_backward(self, g: Array, x: Array) -> Array:
        squared = x * x
        t = self.xp.tanh(x * (squared * (_CUBIC * _SQRT_2_OVER_PI) + _SQRT_2_OVER_PI))
        slope = squared * (3 * _CUBIC * _SQRT_2_OVER_PI) + _SQRT_2_OVER_PI
        return g * (0.5 + 0.5 * t + 0.5 * x * (1 - t * t) * slope)

    @in_float32
    def silu(self, x: Array) -> Array:
        """`x * sigmoid(x)`."""
        return x / (1 + self.xp.exp(-x))

    @in_float32
    def silu_backward(self, g: Array, x: Array) -> Array:
        s = 1 / (1 + self.xp.exp(-x))
        return g * (s * (1 + x * (1 - s)))

    def hardtanh(self, x: Array, low: float, high: float) -> Array:
        return self.xp.minimum(self.xp.maximum(x, low), high)

    def hardtanh_backward(self, g: Array, x: Array, low: float, high: float) -> Array:
        return self.xp.where(self.xp.logical_or(x <= low, x >= high), self.xp.zeros_like(g), g)

    def clamp(self, x: Array, low: float, high: float) -> Array:
        """`x` limited to [low, high]; `high` if low > high."""
        return self.xp.minimum(self.xp.maximum(x, low), high)

    def clamp_backward(self, g: Array, x: Array, low: float, high: float) -> Array:
        return self.xp.where(self.xp.logical_and(x >= low, x <= high), g, self.xp.zeros_like(g))

    def dropout(self, x: Array, mask: Array, scale: float) -> Array:
        """`x * mask * scale`, `mask` of zeros and ones."""
        y = x * mask
        y *= scale
        return y

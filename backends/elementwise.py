"""Elementwise kernels: portable bodies in terms of an array namespace.

A derivative that is more than one call away is a kernel of its own (`tanh_backward(g, y)`), so that a
backend can make it one pass. Inputs broadcast. `backends/scalars.py` holds the same functions
of scalars, from which Numba's kernels are made; the tests compare the two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Array = Any


# Powers that PyTorch, too, makes of products and roots. x^3 of a million float32: 0.2 ms, by `power` 48.
_POWERS: dict[float, Callable[[Any, Array], Array]] = {
    0.5: lambda backend, x: backend.sqrt(x),
    3.0: lambda backend, x: backend.mul(backend.square(x), x),
    -0.5: lambda backend, x: backend.rsqrt(x),
    -1.0: lambda backend, x: backend.reciprocal(x),
    -2.0: lambda backend, x: backend.reciprocal(backend.square(x)),
}


def in_float32(body: Callable[..., Array]) -> Callable[..., Array]:
    """A portable body of several steps, done in float32 where its arrays are float16, and rounded once."""

    @functools.wraps(body)
    def call(self: Any, x: Array, *rest: Any) -> Array:
        if x.dtype.itemsize != 2:
            return body(self, x, *rest)
        wide = [a.astype("float32") if hasattr(a, "dtype") else a for a in (x, *rest)]
        return body(self, *wide).astype(x.dtype)

    return call


class ElementwiseKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    # -- arithmetic -------------------------------------------------------------------------------------

    def add(self, x: Array, y: Array, out: Array = None) -> Array:
        return self.xp.add(x, y) if out is None else self.xp.add(x, y, out)

    def sub(self, x: Array, y: Array) -> Array:
        return self.xp.subtract(x, y)

    def mul(self, x: Array, y: Array) -> Array:
        return self.xp.multiply(x, y)

    def div(self, x: Array, y: Array) -> Array:
        return self.xp.true_divide(x, y)

    def floor_divide(self, x: Array, y: Array) -> Array:
        return self.xp.floor_divide(x, y)

    def remainder(self, x: Array, y: Array) -> Array:
        return self.xp.remainder(x, y)

    def fmod(self, x: Array, y: Array) -> Array:
        return self.xp.fmod(x, y)

    def pow(self, x: Array, y: Array) -> Array:
        return self.xp.power(x, y)

    def pow_number(self, x: Array, exponent: float) -> Array:
        simple = _POWERS.get(exponent)
        return self.xp.power(x, exponent) if simple is None or x.dtype.itemsize == 2 else simple(self, x)

    def fill(self, x: Array, value: Any) -> Array:
        """An array of the shape and dtype of `x`, every element `value`."""
        return self.xp.full(x.shape, value, x.dtype)

    def atan2(self, x: Array, y: Array) -> Array:
        return self.xp.arctan2(x, y)

    def maximum(self, x: Array, y: Array) -> Array:
        return self.xp.maximum(x, y)

    def minimum(self, x: Array, y: Array) -> Array:
        return self.xp.minimum(x, y)

    def neg(self, x: Array) -> Array:
        return self.xp.negative(x)

    def abs(self, x: Array) -> Array:
        return self.xp.absolute(x)

    def sign(self, x: Array) -> Array:
        sign = self.xp.sign(x)
        # As in PyTorch 0 for a NaN, so that the gradient of |x| is.
        return sign if x.dtype.kind != "f" else self.xp.where(x == x, sign, self.xp.zeros_like(sign))

    def square(self, x: Array) -> Array:
        return self.xp.square(x)

    def reciprocal(self, x: Array) -> Array:
        return self.xp.reciprocal(x)

    # -- powers, exponentials, trigonometry -------------------------------------------------------------

    def sqrt(self, x: Array) -> Array:
        return self.xp.sqrt(x)

    def rsqrt(self, x: Array) -> Array:
        return self.xp.reciprocal(self.xp.sqrt(x))

    def exp(self, x: Array) -> Array:
        return self.xp.exp(x)

    def expm1(self, x: Array) -> Array:
        return self.xp.expm1(x)

    def log(self, x: Array) -> Array:
        return self.xp.log(x)

    def log2(self, x: Array) -> Array:
        return self.xp.log2(x)

    def log10(self, x: Array) -> Array:
        return self.xp.log10(x)

    def log1p(self, x: Array) -> Array:
        return self.xp.log1p(x)

    def sin(self, x: Array) -> Array:
        return self.xp.sin(x)

    def cos(self, x: Array) -> Array:
        return self.xp.cos(x)

    def tan(self, x: Array) -> Array:
        return self.xp.tan(x)

    def asin(self, x: Array) -> Array:
        return self.xp.arcsin(x)

    def acos(self, x: Array) -> Array:
        return self.xp.arccos(x)

    def atan(self, x: Array) -> Array:
        return self.xp.arctan(x)

    def sinh(self, x: Array) -> Array:
        return self.xp.sinh(x)

    def cosh(self, x: Array) -> Array:
        return self.xp.cosh(x)

    def tanh(self, x: Array) -> Array:
        return self.xp.tanh(x)

    @in_float32
    def tanh_backward(self, g: Array, y: Array) -> Array:
        return g * (1 - y * y)

    # -- rounding ---------------------------------------------------------------------------------------

    def floor(self, x: Array) -> Array:
        return self.xp.floor(x)

    def ceil(self, x: Array) -> Array:
        return self.xp.ceil(x)

    def round(self, x: Array) -> Array:
        return self.xp.rint(x)

    def trunc(self, x: Array) -> Array:
        return self.xp.trunc(x)

    # -- comparison and logic ---------------------------------------------------------------------------

    def eq(self, x: Array, y: Array) -> Array:
        return self.xp.equal(x, y)

    def ne(self, x: Array, y: Array) -> Array:
        return self.xp.not_equal(x, y)

    def lt(self, x: Array, y: Array) -> Array:
        return self.xp.less(x, y)

    def le(self, x: Array, y: Array) -> Array:
        return self.xp.less_equal(x, y)

    def gt(self, x: Array, y: Array) -> Array:
        return self.xp.greater(x, y)

    def ge(self, x: Array, y: Array) -> Array:
        return self.xp.greater_equal(x, y)

    def logical_and(self, x: Array, y: Array) -> Array:
        return self.xp.logical_and(x, y)

    def logical_or(self, x: Array, y: Array) -> Array:
        return self.xp.logical_or(x, y)

    def logical_xor(self, x: Array, y: Array) -> Array:
        return self.xp.logical_xor(x, y)

    def logical_not(self, x: Array) -> Array:
        return self.xp.logical_not(x)

    def bitwise_and(self, x: Array, y: Array) -> Array:
        return self.xp.bitwise_and(x, y)

    def bitwise_or(self, x: Array, y: Array) -> Array:
        return self.xp.bitwise_or(x, y)

    def bitwise_xor(self, x: Array, y: Array) -> Array:
        return self.xp.bitwise_xor(x, y)

    def bitwise_not(self, x: Array) -> Array:
        return self.xp.invert(x)

    def isnan(self, x: Array) -> Array:
        return self.xp.isnan(x)

    def isinf(self, x: Array) -> Array:
        return self.xp.isinf(x)

    def isfinite(self, x: Array) -> Array:
        return self.xp.isfinite(x)

    def where(self, condition: Array, x: Array, y: Array) -> Array:
        return self.xp.where(condition, x, y)

    # -- activations ------------------------------------------------------------------------------------

    @in_float32
    def sigmoid(self, x: Array) -> Array:
        # 1 / (1 + e^-x) overflows for large negative x, but only to 1 / inf = 0, which is the right value.
        return self.xp.reciprocal(1 + self.xp.exp(-x))

    @in_float32
    def sigmoid_backward(self, g: Array, y: Array) -> Array:
        return g * (y * (1 - y))

    def relu(self, x: Array) -> Array:
        return self.xp.maximum(x, 0)

    def relu_backward(self, g: Array, y: Array) -> Array:
        return self.xp.where(y <= 0, self.xp.zeros_like(g), g)

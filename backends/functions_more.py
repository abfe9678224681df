"""Kernels of a few more special functions, in terms of an array namespace; computed in float64 where sums are long."""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.functions import _erf_pieces, _horner, erfcx_tail

Array = Any

# The modified Bessel functions: their power series (Abramowitz & Stegun, 9.6.10), whose terms are all positive, up to
# |x| = 20; beyond, the asymptotic series (9.7.1), whose smallest term is there below exp(-40).
_MIDDLE = 20.0
_SERIES = {
    order: tuple(1 / (math.factorial(k) * math.factorial(k + order)) for k in range(50, -1, -1)) for order in (0, 1)
}


def _asymptotic(order: int) -> tuple[float, ...]:
    """Coefficients in 1 / x, highest power first: the product of (2j - 1)^2 - 4 order^2 over j <= k, by k! 8^k."""
    found = [1.0]
    for k in range(1, 33):
        found.append(found[-1] * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k))
    return tuple(reversed(found))


_ASYMPTOTIC = {order: _asymptotic(order) for order in (0, 1)}


class FurtherFunctionKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any
    add_at: Any
    as_strided: Any

    def bessel_i(self, x: Array, order: int, scaled: bool) -> Array:
        """The modified Bessel function of the first kind of order 0 or 1; `scaled`: times exp(-|x|)."""
        xp = self.xp
        wide = x.astype("float64")
        size = xp.abs(wide)
        near, far = xp.minimum(size, _MIDDLE), xp.maximum(size, _MIDDLE)
        series = _horner(near * near / 4, _SERIES[order])
        if order:
            series = series * near / 2
        tail = _horner(1 / far, _ASYMPTOTIC[order]) / xp.sqrt(2 * math.pi * far)
        if scaled:
            value = xp.where(size <= _MIDDLE, series * xp.exp(-near), tail)
        else:  # exp(x) alone overflows before the function does.
            half = xp.exp(far / 2)
            value = xp.where(size <= _MIDDLE, series, half * tail * half)
        value = xp.where(xp.isinf(size), xp.full((), 0.0 if scaled else math.inf), value)
        return (xp.copysign(value, wide) if order else value).astype(x.dtype)

    def entr(self, x: Array) -> Array:
        """`-x log(x)`; 0 at 0, -infinity below."""
        xp = self.xp
        positive = x > 0
        value = -x * xp.log(xp.where(positive, x, xp.ones_like(x)))
        return xp.where(x < 0, xp.full((), -math.inf, x.dtype), xp.where(x == 0, xp.zeros_like(x), value))

    def erfcx(self, x: Array) -> Array:
        """`exp(x^2) erfc(x)`."""
        xp = self.xp
        wide = x.astype("float64")
        size = xp.abs(wide)
        small, _ = _erf_pieces(xp, size)
        near, squared = xp.minimum(size, 1.0), wide * wide
        above = xp.where(size <= 0.46875, xp.exp(near * near) * (1 - small), erfcx_tail(xp, size))
        return xp.where(wide < 0, 2 * xp.exp(squared) - above, above).astype(x.dtype)

    def xlog1py(self, x: Array, y: Array) -> Array:
        """`x log(1 + y)`, 0 where x is 0 and y is not NaN."""
        zero = self.xp.logical_and(x == 0, self.xp.logical_not(self.xp.isnan(y)))
        product = x * self.xp.log1p(y)
        return self.xp.where(zero, self.xp.zeros_like(product), product)

    def frexp(self, x: Array) -> tuple[Array, Array, Array]:
        """Mantissa and exponent, and the exponent with its sign changed for the rule."""
        mantissa, exponent = self.xp.frexp(x)
        return mantissa, exponent, -exponent

    def scale_by_power(self, x: Array, exponent: Array) -> Array:
        """`x 2^exponent`."""
        return self.xp.ldexp(x, exponent)

    def nextafter(self, x: Array, y: Array) -> Array:
        return self.xp.nextafter(x, y)

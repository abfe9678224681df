"""Kernels of special functions, scans, reducing scatters, searching and counting.

Portable bodies in terms of an array namespace, as everywhere in `backends`. Special functions are computed in
float64 and rounded to the dtype of their input.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.elementwise import in_float32
from autograd_core.backends.neural_activation import _ERF, _ERFC_MIDDLE, _ERFC_TAIL, _ratio

Array = Any

# Lanczos's approximation of the gamma function with g = 7 and nine terms (Lanczos, "A precision approximation of the
# gamma function", 1964): relative error below 1e-14.
_LANCZOS_G = 7.0
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip
# Bernoulli's numbers B_2, B_4, ... of the asymptotic series of the polygamma functions (Abramowitz & Stegun, 6.4.11).
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_SHIFT = 16
# Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011): single precision, refined by Halley's
# steps below.
_ERFINV_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_ERFINV_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    value = x * 0 + coefficients[0]
    for c in coefficients[1:]:
        value = value * x + c
    return value


def erfcx_tail(xp: Any, size: Array) -> Array:
    """exp(size^2) erfc(size), good above 0.46875, in float64 (Cody's approximations)."""
    inverse = 1 / xp.maximum(size * size, 1.0)
    above_4 = (1 / math.sqrt(math.pi) + inverse * _ratio(inverse, _ERFC_TAIL)) / xp.maximum(size, 1.0)
    return xp.where(size <= 4, _ratio(xp.minimum(size, 4.0), _ERFC_MIDDLE), above_4)


def _erf_pieces(xp: Any, size: Array) -> tuple[Array, Array]:
    """erf(size), good up to 0.46875, and erfc(size), good above, for size >= 0 in float64 (Cody's approximations)."""
    near = xp.minimum(size, 1.0)
    return near * _ratio(near * near, _ERF), xp.exp(-(size * size)) * erfcx_tail(xp, size)


def _cotangent_derivative(order: int) -> tuple[int, ...]:
    """Coefficients, highest power first, of P with d^n/dx^n cot(x) = P(cot(x)): P_0 = c, P_n = -(1 + c^2) P'_(n-1)."""
    p = [1, 0]
    for _ in range(order):
        degree = len(p) - 1
        slope = [c * (degree - i) for i, c in enumerate(p[:-1])]
        p = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope])]
    return tuple(p)


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


class FunctionKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any
    clone: Any
    _along: Any
    add_at: Any

    # -- one input --------------------------------------------------------------------------------------

    def exp2(self, x: Array) -> Array:
        return self.xp.exp2(x)

    def asinh(self, x: Array) -> Array:
        return self.xp.arcsinh(x)

    def acosh(self, x: Array) -> Array:
        return self.xp.arccosh(x)

    def atanh(self, x: Array) -> Array:
        return self.xp.arctanh(x)

    def signbit(self, x: Array) -> Array:
        return self.xp.signbit(x)

    @in_float32
    def sinc(self, x: Array) -> Array:
        """`sin(pi x) / (pi x)`, 1 at 0."""
        xp = self.xp
        z = x * math.pi
        zero = z == 0
        safe = xp.where(zero, xp.ones_like(z), z)
        return xp.where(zero, xp.ones_like(z), xp.sin(safe) / safe)

    def erfc(self, x: Array) -> Array:
        """`1 - erf(x)`, without cancellation for large x."""
        xp = self.xp
        wide = x.astype("float64")
        small, tail = _erf_pieces(xp, xp.abs(wide))
        far = xp.where(wide > 0, tail, 2 - tail)
        near = 1 - xp.copysign(small, wide)
        return xp.where(xp.abs(wide) <= 0.46875, near, far).astype(x.dtype)

    def erfinv(self, x: Array) -> Array:
        """The inverse of erf: Giles's approximation and two steps of Halley's method, on erfc near the ends."""
        xp = self.xp
        wide = x.astype("float64")
        size = xp.minimum(xp.abs(wide), 1 - 2.0**-53)
        w = -xp.log((1 - size) * (1 + size))
        root = xp.sqrt(xp.maximum(w, 5.0)) - 3.0
        y = size * xp.where(w < 5, _horner(xp.minimum(w, 5.0) - 2.5, _ERFINV_CENTRE), _horner(root, _ERFINV_TAIL))
        for _ in range(2):
            small, tail = _erf_pieces(xp, y)
            error = xp.where(y <= 0.46875, small - size, (1 - size) - tail)
            step = error * xp.exp(y * y) * (math.sqrt(math.pi) / 2)
            y = y - step / (1 + y * step)
        y = xp.where(xp.abs(wide) < 1, y, xp.where(xp.abs(wide) == 1, xp.full((), math.inf), xp.full((), math.nan)))
        return xp.copysign(y, wide).astype(x.dtype)

    def lgamma(self, x: Array) -> Array:
        """log |gamma(x)|: Lanczos's approximation, reflected for x < 0.5; infinite at 0, -1, -2, ..."""
        xp = self.xp
        wide = x.astype("float64")
        low = wide < 0.5
        z = xp.where(low, 1 - wide, wide)
        series = z * 0 + _LANCZOS[0]
        for k, c in enumerate(_LANCZOS[1:]):
            series = series + c / (z + k)
        half = z - 0.5
        above = half * (xp.log(half + _LANCZOS_G) - 1) - _LANCZOS_G + xp.log(series) + 0.5 * math.log(2 * math.pi)
        rest = wide - xp.rint(wide)
        below = math.log(math.pi) - xp.log(xp.abs(xp.sin(math.pi * rest))) - above
        value = xp.where(low, below, above)
        pole = xp.logical_or(xp.isinf(wide), xp.logical_and(low, rest == 0))
        return xp.where(pole, xp.full((), math.inf), value).astype(x.dtype)

    def polygamma(self, x: Array, n: int) -> Array:
        """The derivative of order `n` of digamma: recurrence up to x + 16, then the asymptotic series;
        reflected below 0."""
        xp = self.xp
        wide = x.astype("float64")
        low = wide < 0
        z = xp.where(low, 1 - wide, wide)
        power = n + 1
        shifted = z ** -float(power)  # Not of z + 0, which takes the sign from -0.
        for k in range(1, _SHIFT):
            shifted = shifted + (z + k) ** -float(power)
        y = z + _SHIFT
        if n == 0:
            value = xp.log(y) - 0.5 / y
            for k, b in enumerate(_BERNOULLI, start=1):
                value = value - b / (2 * k) * y ** (-2.0 * k)
            value = value - shifted
        else:
            value = math.factorial(n - 1) * y ** -float(n) + math.factorial(n) / 2 * y ** -float(power)
            for k, b in enumerate(_BERNOULLI, start=1):
                value = value + b * (math.factorial(2 * k + n - 1) / math.factorial(2 * k)) * y ** -float(2 * k + n)
            value = (-1) ** (n + 1) * (value + math.factorial(n) * shifted)
        rest = wide - xp.rint(wide)
        cotangent = xp.cos(math.pi * rest) / xp.sin(math.pi * rest)
        tail = math.pi**power * _horner(cotangent, tuple(float(c) for c in _cotangent_derivative(n)))
        value = xp.where(low, (-1) ** n * value - tail, value)
        pole = xp.logical_and(low, rest == 0)
        return xp.where(pole, xp.full((), math.inf if n % 2 else math.nan), value).astype(x.dtype)

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

    def frexp(self, x: Array) -> tuple[Array, Array, Array]:
        """Mantissa and exponent, and the exponent with its sign changed for the rule."""
        mantissa, exponent = self.xp.frexp(x)
        return mantissa, exponent, -exponent

    def scale_by_power(self, x: Array, exponent: Array) -> Array:
        """`x 2^exponent`."""
        return self.xp.ldexp(x, exponent)

    # -- two inputs -------------------------------------------------------------------------------------

    def fmax(self, x: Array, y: Array) -> Array:
        return self.xp.fmax(x, y)

    def fmin(self, x: Array, y: Array) -> Array:
        return self.xp.fmin(x, y)

    def hypot(self, x: Array, y: Array) -> Array:
        return self.xp.hypot(x, y)

    def copysign(self, x: Array, y: Array) -> Array:
        return self.xp.copysign(x, y)

    def logaddexp(self, x: Array, y: Array) -> Array:
        return self.xp.logaddexp(x, y)

    def logaddexp2(self, x: Array, y: Array) -> Array:
        return self.xp.logaddexp2(x, y)

    def xlogy(self, x: Array, y: Array) -> Array:
        """`x log(y)`, 0 where x is 0 and y is not NaN."""
        zero = self.xp.logical_and(x == 0, self.xp.logical_not(self.xp.isnan(y)))
        product = x * self.xp.log(y)
        return self.xp.where(zero, self.xp.zeros_like(product), product)

    def xlog1py(self, x: Array, y: Array) -> Array:
        """`x log(1 + y)`, 0 where x is 0 and y is not NaN."""
        zero = self.xp.logical_and(x == 0, self.xp.logical_not(self.xp.isnan(y)))
        product = x * self.xp.log1p(y)
        return self.xp.where(zero, self.xp.zeros_like(product), product)

    def nextafter(self, x: Array, y: Array) -> Array:
        return self.xp.nextafter(x, y)

    def gcd(self, x: Array, y: Array) -> Array:
        return self.xp.gcd(x, y)

    def lcm(self, x: Array, y: Array) -> Array:
        return self.xp.lcm(x, y)

    def left_shift(self, x: Array, y: Array) -> Array:
        return self.xp.left_shift(x, y)

    def right_shift(self, x: Array, y: Array) -> Array:
        return self.xp.right_shift(x, y)

    # -- scans and selections ---------------------------------------------------------------------------

    def _running_maximum(self, x: Array) -> Array:
        """The running maximum along the last axis, in log2(n) rounds; NaN stays once it came."""
        step = 1
        while step < x.shape[-1]:
            x = self.xp.concatenate((x[..., :step], self.xp.maximum(x[..., step:], x[..., :-step])), -1)
            step *= 2
        return x

    def running_argmax(self, x: Array, axis: int, smallest: bool) -> Array:
        """Where the greatest (or least) element up to each position stands: the last one among equals,
        a NaN before all."""
        xp = self.xp
        moved = xp.moveaxis(x, axis, -1)
        if smallest:
            moved = xp.invert(moved) if moved.dtype.kind in "biu" else -moved
        hit = xp.logical_or(moved == self._running_maximum(moved), moved != moved)
        place = xp.where(hit, xp.arange(moved.shape[-1]), xp.zeros((), "int64"))
        return xp.ascontiguousarray(xp.moveaxis(self._running_maximum(place), -1, axis))

    def median_value(self, x: Array, axes: Any, keepdims: bool, skip_nan: bool) -> Array:
        """The lower median of all elements; a NaN wins, or (`skip_nan`) is left out unless there is nothing else."""
        flat = self.xp.sort(x.reshape(-1))
        n = flat.size
        if x.dtype.kind != "f":
            return flat[(n - 1) // 2]
        numbers = n - self.xp.sum(self.xp.isnan(flat))
        if skip_nan:
            place = self.xp.maximum(numbers - 1, 0) // 2
        else:
            place = self.xp.where(numbers < n, n - 1, (n - 1) // 2)
        return self.xp.take(flat, place)

    def scatter_amax(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        out = self.clone(x)
        self.xp.maximum.at(out, self._along(index, axis), source)
        return out

    def scatter_amin(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        out = self.clone(x)
        self.xp.minimum.at(out, self._along(index, axis), source)
        return out

    def scatter_prod(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        out = self.clone(x)
        self.xp.multiply.at(out, self._along(index, axis), source)
        return out

    # -- searching and counting -------------------------------------------------------------------------

    def searchsorted(self, edges: Array, x: Array, right: bool) -> Array:
        """Where each element of `x` belongs in `edges`, sorted along the last axis; the leading axes are the same, or
        `edges` has one only. A bisection of all elements at once."""
        xp = self.xp
        n = edges.shape[-1]
        low, high = xp.zeros(x.shape, "int64"), xp.full(x.shape, n, "int64")
        lead = tuple(xp.arange(m).reshape((m,) + (1,) * (x.ndim - 1 - d)) for d, m in enumerate(edges.shape[:-1]))
        for _ in range(n.bit_length()):
            middle = (low + high) // 2
            found = edges[(*lead, xp.minimum(middle, n - 1))]
            before = xp.logical_not(found > x if right else found >= x)
            open_ = low < high
            low = xp.where(xp.logical_and(open_, before), middle + 1, low)
            high = xp.where(xp.logical_and(open_, xp.logical_not(before)), middle, high)
        return low

    def isin(self, x: Array, y: Array) -> Array:
        return self.xp.isin(x, y)

    def bincount(self, x: Array, weights: Array, minlength: int) -> Array:
        """How often each number from 0 on occurs (or the sum of its weights)."""
        return self.xp.bincount(x, weights, minlength)

    def unique(self, x: Array, axis: int | None) -> tuple[Array, Array, Array]:
        """Distinct elements (or slices) in order, where each element's equal stands among them, and how
        many there are."""
        found = self.xp.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
        return found[0], found[1], found[2]

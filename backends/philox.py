"""Random numbers from Philox 4x32-10, the same bits on every device.

Philox (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11) is a keyed bijection of a
128-bit counter: ten rounds of multiply and xor turn (counter, key) into four random 32-bit words. Nothing is carried
from one draw to the next, so an element's number depends on its place alone, never on threads or launch shapes.

- The *state* is a device array of two uint64, `[seed, call]`. A draw reads it when it executes and then adds 1 to
  `call` in place, so a recorded list of draws replays with fresh numbers.
- Key = the seed's low and high half; counter = (block, block >> 32, call, call >> 32), words as uint32.
- A 32-bit draw (bits, float32 and float16 uniforms and normals, Bernoulli) takes word `i % 4` of block `i // 4` for
  element `i`; a 64-bit draw (float64, integers, permutation keys) takes words `2 * (i % 2)` (the low half) and
  `2 * (i % 2) + 1` of block `i // 2`.

From the words on, only additions, multiplications, divisions and square roots are used, each rounded once: these give
equal bits in NumPy, Numba and CUDA, which the C library's `log` and `cos` do not. For the same reason the order of
operations below is part of the definition; `cpu/philox_kernels.py` holds the same arithmetic for Numba.

The functions take the array namespace as `xp` and hand it only its own arrays and Python scalars.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy

Array = Any

_M0, _M1 = 0xD2511F53, 0xCD9E8D57  # round multipliers
_W0, _W1 = 0x9E3779B9, 0xBB67AE85  # key increments
_LOW = 0xFFFFFFFF

# z = x * P(w), w = -log(1 - x^2): the variables of Giles, "Approximating the erfinv function" (GPU Computing Gems,
# 2011), with minimax fits of our own for sqrt(2) * erfinv. Highest power first; in w - 2.5 and in sqrt(w) - 3.
_CENTRE32 = (
    4.0354653e-08, 4.8610394e-07, -4.9905652e-06, -6.217993e-06, 3.091502e-04, -1.7730101e-03, -5.908171e-03,
    3.4880266e-01, 2.1233137,
)  # fmt: skip
_TAIL32 = (
    -2.3902877e-04, 1.6361233e-03, -4.7502583e-03, 8.196434e-03, -1.0934891e-02, 1.333816e-02, 1.416595, 4.006435,
)  # fmt: skip
# log(1 + f) = f - f^2/2 + f^3 Q(f) for sqrt(1/2) <= 1 + f < sqrt(2): coefficients of Cephes' logf (Moshier).
_LOG32 = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LN2 = 0.6931471805599453

# Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37 (1988), PPND16:
# (numerator, denominator) of each region, highest power first.
_CENTRE64 = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077,
     687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAIL64 = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR64 = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip
# log(m) = 2 atanh(s), s = (m - 1) / (m + 1): the odd series, whose first left-out term is below 1e-18.
_LOG64 = tuple(2.0 / n for n in range(23, 0, -2))


def make_state(seed: int, *, xp: Any = numpy) -> Array:
    """The state `[seed, 0]` of a generator as two uint64; a negative `seed` counts modulo 2**64, as in PyTorch."""
    if not isinstance(seed, int) or not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed must be an integer in [-2**63, 2**64), got {seed!r}")
    return xp.asarray([seed % 2**64, 0], dtype=xp.uint64)


def random_bits(state: Array, shape: tuple[int, ...], *, xp: Any = numpy) -> Array:
    """Raw uint32 words."""
    return _words32(state, math.prod(shape), xp).reshape(shape)


def random_uniform(
    state: Array, shape: tuple[int, ...], dtype: Any, low: float = 0.0, high: float = 1.0, *, xp: Any = numpy
) -> Array:
    """Uniform on [low, high): `low + (high - low) * u`, u of 24 (float32), 53 (float64) or 11 (float16) random bits.

    Where rounding would give `high` itself the element is `low`. float16 is computed in float32 and rounded at the end.
    """
    dtype, low, scale, high = uniform_parameters(dtype, low, high)
    n = math.prod(shape)
    if dtype.char == "d":
        u = (_words64(state, n, xp) >> 11).view(xp.int64).astype(xp.float64) * 2.0**-53
    else:
        bits = 24 if dtype.char == "f" else 11
        u = (_words32(state, n, xp) >> (32 - bits)).view(xp.int32).astype(xp.float32) * 2.0**-bits
    out = (u * scale + low).astype(dtype, copy=False)
    return xp.where(out >= high, low, out).astype(dtype, copy=False).reshape(shape)


def random_normal(
    state: Array, shape: tuple[int, ...], dtype: Any, mean: float = 0.0, std: float = 1.0, *, xp: Any = numpy
) -> Array:
    """Normal: `mean + std * z`, z the inverse distribution function of a uniform of 32 (float64: 64) bits.

    |z| reaches 6.3 (float64: 9.1). float16 is computed in float32 and rounded at the end.
    """
    dtype, mean, std = normal_parameters(dtype, mean, std)
    n = math.prod(shape)
    z = _normal64(_words64(state, n, xp), xp) if dtype.char == "d" else _normal32(_words32(state, n, xp), xp)
    return (z * std + mean).astype(dtype, copy=False).reshape(shape)


def random_bernoulli(state: Array, shape: tuple[int, ...], dtype: Any, p: float, *, xp: Any = numpy) -> Array:
    """1 with probability `p`, else 0: 1 exactly where the float32 uniform of the same state is below `p`."""
    threshold = bernoulli_threshold(p)
    return ((_words32(state, math.prod(shape), xp) >> 8) < threshold).astype(dtype).reshape(shape)


def random_integers(state: Array, shape: tuple[int, ...], dtype: Any, low: int, high: int, *, xp: Any = numpy) -> Array:
    """Integers in [low, high): `low + floor(r * (high - low) / 2**64)` for a random 64-bit `r`.

    An integer's probability is off by at most 2**-64, which is below what any test can see for spans up to 2**40.
    """
    low, span = integer_parameters(dtype, low, high)
    r = _words64(state, math.prod(shape), xp)
    # The high half of the 128-bit product, from 32-bit pieces.
    r0, r1 = r & _LOW, r >> 32
    s0, s1 = span & _LOW, span >> 32
    middle = r1 * s0 + ((r0 * s0) >> 32)
    cross = r0 * s1 + (middle & _LOW)
    offset = r1 * s1 + (middle >> 32) + (cross >> 32)
    return (offset + low).view(xp.int64).astype(dtype).reshape(shape)


def random_permutation(state: Array, n: int, dtype: Any, *, xp: Any = numpy) -> Array:
    """The numbers 0..n-1 in random order: the stable argsort of `n` random 64-bit keys."""
    if n < 0:
        raise ValueError(f"random_permutation: n must not be negative, got {n}")
    return xp.argsort(_words64(state, n, xp), kind="stable").astype(dtype)


# -- parameters, checked and rounded once for every device ------------------------------------------------------------


def uniform_parameters(dtype: Any, low: float, high: float) -> tuple[Any, float, float, float]:
    """(dtype, low, high - low, high), rounded to the dtype; raises where they bound no interval."""
    dtype = _float_dtype("random_uniform", dtype)
    largest = _LARGEST[dtype.char]
    if not (-largest <= low <= high <= largest and high - low <= largest):
        raise ValueError(f"random_uniform: need low <= high with a span that {dtype} can hold, got [{low}, {high})")
    low, high = float(dtype.type(low)), float(dtype.type(high))
    return dtype, low, float(dtype.type(high - low)), high


def normal_parameters(dtype: Any, mean: float, std: float) -> tuple[Any, float, float]:
    """(dtype, mean, std), rounded to the type that the draw is computed in; raises for a negative or NaN `std`."""
    dtype = _float_dtype("random_normal", dtype)
    if not std >= 0.0:
        raise ValueError(f"random_normal: std must be >= 0, got {std}")
    compute = numpy.float64 if dtype.char == "d" else numpy.float32
    return dtype, float(compute(mean)), float(compute(std))


def bernoulli_threshold(p: float) -> int:
    """The integer t with (k < t) == (k * 2**-24 < p) for each 24-bit k; raises unless 0 <= p <= 1."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"random_bernoulli: p must be a probability in [0, 1], got {p}")
    return math.ceil(p * 2**24)


def integer_parameters(dtype: Any, low: int, high: int) -> tuple[int, int]:
    """(low modulo 2**64, high - low); raises unless low < high and the whole range fits int64 and `dtype`."""
    if not low < high:
        raise ValueError(f"random_integers: need low < high, got [{low}, {high})")
    dtype = numpy.dtype(dtype)
    if dtype.kind not in "fiub":
        raise TypeError(f"random_integers: cannot draw integers as {dtype}")
    bottom, top = _integer_range(dtype)
    if low < bottom or high - 1 > top:
        raise ValueError(f"random_integers: [{low}, {high}) does not fit {dtype}, which holds [{bottom}, {top}]")
    return low % 2**64, high - low


def _float_dtype(name: str, dtype: Any) -> Any:
    dtype = numpy.dtype(dtype)
    if dtype.char not in _LARGEST:
        raise TypeError(f"{name}: expected float16, float32 or float64, got {dtype}")
    return dtype


_LARGEST = {numpy.dtype(t).char: float(numpy.finfo(t).max) for t in (numpy.float16, numpy.float32, numpy.float64)}


@cache
def _integer_range(dtype: Any) -> tuple[int, int]:
    """The least and the greatest integer that a draw as `dtype` may give, as in PyTorch."""
    if dtype.kind == "f":
        largest = 2 ** (numpy.finfo(dtype).nmant + 1)  # up to here every integer is exact
        return -largest, largest
    if dtype.kind == "b":
        return 0, 1
    return int(numpy.iinfo(dtype).min), min(int(numpy.iinfo(dtype).max), 2**63 - 1)


# -- words ------------------------------------------------------------------------------------------------------------


def philox4x32(counter: tuple[Array, ...], key: tuple[Array, ...]) -> tuple[Array, Array, Array, Array]:
    """Philox 4x32-10 of four counter words and two key words: uint64 arrays that broadcast, each word below 2**32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _LOW, (p0 >> 32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def _blocks(state: Array, n: int, xp: Any) -> tuple[Array, Array, Array, Array]:
    """The words of blocks 0..n-1 as uint64, one array for each lane; advances the state."""
    # Slices, not elements: reading an element would wait for the device.
    seed, call = state[0:1], state[1:2]
    block = xp.arange(n, dtype=xp.uint64)
    words = philox4x32((block & _LOW, block >> 32, call & _LOW, call >> 32), (seed & _LOW, seed >> 32))
    call += 1
    return words


def _words32(state: Array, n: int, xp: Any) -> Array:
    """`n` random uint32."""
    lanes = xp.stack(_blocks(state, (n + 3) // 4, xp), axis=1)
    return lanes.reshape(-1)[:n].astype(xp.uint32)


def _words64(state: Array, n: int, xp: Any) -> Array:
    """`n` random uint64."""
    w0, w1, w2, w3 = _blocks(state, (n + 1) // 2, xp)
    return xp.stack((w0 | (w1 << 32), w2 | (w3 << 32)), axis=1).reshape(-1)[:n]


# -- normals ----------------------------------------------------------------------------------------------------------


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    y = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        y = y * x + c
    return y


def _log(x: Array, xp: Any) -> Array:
    """log of positive normal float32 or float64 numbers."""
    single = x.dtype == xp.float32
    integer, mantissa_bits = (xp.int32, 23) if single else (xp.int64, 52)
    # x = 2**e * m with sqrt(1/2) <= m < sqrt(2): subtracting the bits of sqrt(1/2) moves the carry there.
    offset = 0x3F3504F3 if single else 0x3FE6A09E667F3BCD
    shifted = x.view(integer) - offset
    e = (shifted >> mantissa_bits).astype(x.dtype)
    m = ((shifted & ((1 << mantissa_bits) - 1)) + offset).view(x.dtype)
    f = m - 1.0
    if single:
        log_m = _polynomial(f, _LOG32) * f * (f * f) - f * f * 0.5 + f
    else:
        s = f / (m + 1.0)
        log_m = _polynomial(s * s, _LOG64) * s
    return e * _LN2 + log_m


def _normal32(words: Array, xp: Any) -> Array:
    """Standard normals in float32: the top bit is the sign, the others the probability p in (0, 1/2] of the tail."""
    p = ((words & 0x7FFFFFFF).view(xp.int32).astype(xp.float32) + 0.5) * 2.0**-32
    x = 1.0 - p * 2.0
    w = -_log(p * 4.0 * (1.0 - p), xp)
    factor = xp.where(w < 5.0, _polynomial(w - 2.5, _CENTRE32), _polynomial(xp.sqrt(abs(w)) - 3.0, _TAIL32))
    z = factor * x
    return xp.where(words >> 31 == 1, -z, z)


def _normal64(words: Array, xp: Any) -> Array:
    """Standard normals in float64 by AS 241; sign and tail probability as in `_normal32`, from 64 bits."""
    p = ((words & 0x7FFFFFFFFFFFFFFF).view(xp.int64).astype(xp.float64) + 0.5) * 2.0**-64
    q = 0.5 - p
    # Each region is computed for all elements and clamped to where its fraction is tame.
    r = xp.maximum(0.180625 - q * q, 0.0)
    centre = q * _polynomial(r, _CENTRE64[0]) / _polynomial(r, _CENTRE64[1])
    t = xp.sqrt(-_log(p, xp))
    tail = _polynomial(t - 1.6, _TAIL64[0]) / _polynomial(t - 1.6, _TAIL64[1])
    far = _polynomial(t - 5.0, _FAR64[0]) / _polynomial(t - 5.0, _FAR64[1])
    z = xp.where(q <= 0.425, centre, xp.where(t <= 5.0, tail, far))
    return xp.where(words >> 63 == 1, -z, z)

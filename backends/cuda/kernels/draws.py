"""Random draws: the definition of `backends/philox.py`, bit for bit.

A thread computes one block of Philox, four 32-bit words. Floating-point arithmetic goes through libdevice's functions
that round once: the compiler would otherwise join a product and a sum into one instruction, which rounds differently.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.backends import philox
from autograd_core.backends.cuda.kernels.blocks import spread

Array = Any
Shape = tuple[int, ...]
_BLOCK = 256
_u = np.uint64


def block_words(cuda):
    """`words(state, block)`: the four words of a block, as uint64."""
    m0, m1, w0, w1 = _u(philox._M0), _u(philox._M1), _u(philox._W0), _u(philox._W1)
    low, half = _u(0xFFFFFFFF), _u(32)

    @cuda.jit(device=True)
    def words(state, block):
        counter = _u(block)
        k0, k1 = state[0] & low, state[0] >> half
        c0, c1, c2, c3 = counter & low, counter >> half, state[1] & low, state[1] >> half
        for _ in range(10):
            p0, p1 = c0 * m0, c2 * m1
            c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & low, (p0 >> half) ^ c3 ^ k1, p0 & low
            k0, k1 = (k0 + w0) & low, (k1 + w1) & low
        return c0, c1, c2, c3

    return words


def polynomial(cuda, add, mul, coefficients):
    """`value(x)` by Horner's rule; `coefficients`: typed numbers, highest power first."""
    count = len(coefficients)

    @cuda.jit(device=True)
    def value(x):
        y = add(mul(coefficients[0], x), coefficients[1])
        for k in range(2, count):
            y = add(mul(y, x), coefficients[k])
        return y

    return value


def normal32(cuda):
    """`draw(word)`: a standard normal float32."""
    f = np.float32
    add, mul, root = cuda.libdevice.fadd_rn, cuda.libdevice.fmul_rn, cuda.libdevice.fsqrt_rn
    as_int, as_float = cuda.libdevice.float_as_int, cuda.libdevice.int_as_float
    log_m = polynomial(cuda, add, mul, tuple(f(c) for c in philox._LOG32))
    centre = polynomial(cuda, add, mul, tuple(f(c) for c in philox._CENTRE32))
    tail = polynomial(cuda, add, mul, tuple(f(c) for c in philox._TAIL32))
    ln2 = f(philox._LN2)

    @cuda.jit(device=True)
    def draw(word):
        p = mul(add(f(np.int64(word & _u(0x7FFFFFFF))), f(0.5)), f(2.0**-32))
        x = add(f(1), -mul(p, f(2)))
        # The logarithm of 4 p (1 - p): its exponent, and the mantissa between sqrt(1/2) and sqrt(2).
        shifted = as_int(mul(mul(p, f(4)), add(f(1), -p))) - 0x3F3504F3
        m = add(as_float(np.int32((shifted & 0x7FFFFF) + 0x3F3504F3)), f(-1))
        square = mul(m, m)
        log = add(add(mul(mul(log_m(m), m), square), -mul(square, f(0.5))), m)
        w = -add(mul(f(shifted >> 23), ln2), log)
        if w < f(5):
            z = mul(centre(add(w, f(-2.5))), x)
        else:
            z = mul(tail(add(root(abs(w)), f(-3))), x)
        return -z if word >> _u(31) == _u(1) else z

    return draw


def normal64(cuda):
    """`draw(word)`: a standard normal float64 from 64 bits."""
    d = np.float64
    add, mul, div, root = (getattr(cuda.libdevice, name) for name in ("dadd_rn", "dmul_rn", "ddiv_rn", "dsqrt_rn"))
    as_int, as_float = cuda.libdevice.double_as_longlong, cuda.libdevice.longlong_as_double
    log_m = polynomial(cuda, add, mul, tuple(d(c) for c in philox._LOG64))
    above, below = [
        [polynomial(cuda, add, mul, tuple(d(c) for c in region[k])) for region in
         (philox._CENTRE64, philox._TAIL64, philox._FAR64)]
        for k in (0, 1)
    ]  # fmt: skip
    above0, above1, above2 = above
    below0, below1, below2 = below
    ln2 = d(philox._LN2)

    @cuda.jit(device=True)
    def draw(word):
        p = mul(add(d(np.int64(word & _u(0x7FFFFFFFFFFFFFFF))), d(0.5)), d(2.0**-64))
        q = add(d(0.5), -p)
        if q <= d(0.425):
            r = add(d(0.180625), -mul(q, q))
            z = div(mul(q, above0(r)), below0(r))
        else:
            shifted = as_int(p) - 0x3FE6A09E667F3BCD
            m = as_float((shifted & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD)
            s = div(add(m, d(-1)), add(m, d(1)))
            t = root(-add(mul(d(shifted >> 52), ln2), mul(log_m(mul(s, s)), s)))
            if t <= d(5):
                r = add(t, d(-1.6))
                z = div(above1(r), below1(r))
            else:
                r = add(t, d(-5))
                z = div(above2(r), below2(r))
        return -z if word >> _u(63) == _u(1) else z

    return draw


def advance(cuda):
    def body(state):
        if cuda.grid(1) == 0:
            state[1] = state[1] + _u(1)

    return body


def draw_bits(cuda):
    words = block_words(cuda)

    def body(out, state, n):
        i = cuda.grid(1)
        while 4 * i < n:
            found = words(state, i)
            for k in range(4):
                if 4 * i + k < n:
                    out[4 * i + k] = np.uint32(found[k])
            i += cuda.gridsize(1)

    return body


def draw_uniform(cuda, real, bits, half):
    """float32 and float16 (`half`, rounded before it is compared with `high`) from 32-bit words, float64 from 64."""
    words = block_words(cuda)
    single = real is np.float32
    add = cuda.libdevice.fadd_rn if single else cuda.libdevice.dadd_rn
    mul = cuda.libdevice.fmul_rn if single else cuda.libdevice.dmul_rn
    per, unit, shift = 4 if single else 2, real(2.0**-bits), _u((32 if single else 64) - bits)

    def body(out, state, n, scale, low, high):
        i = cuda.grid(1)
        while per * i < n:
            found = words(state, i)
            for k in range(per):
                if per * i + k < n:
                    if single:
                        word = found[k]
                    else:
                        word = found[2 * k] | found[2 * k + 1] << _u(32)
                    v = add(mul(mul(real(np.int64(word >> shift)), unit), scale), low)
                    if half:
                        v = real(np.float16(v))
                    out[per * i + k] = low if v >= high else v
            i += cuda.gridsize(1)

    return body


def draw_normal(cuda, real):
    words = block_words(cuda)
    single = real is np.float32
    draw = normal32(cuda) if single else normal64(cuda)
    add = cuda.libdevice.fadd_rn if single else cuda.libdevice.dadd_rn
    mul = cuda.libdevice.fmul_rn if single else cuda.libdevice.dmul_rn
    per = 4 if single else 2

    def body(out, state, n, std, mean):
        i = cuda.grid(1)
        while per * i < n:
            found = words(state, i)
            for k in range(per):
                if per * i + k < n:
                    if single:
                        word = found[k]
                    else:
                        word = found[2 * k] | found[2 * k + 1] << _u(32)
                    out[per * i + k] = add(mul(draw(word), std), mean)
            i += cuda.gridsize(1)

    return body


def draw_bernoulli(cuda, one):
    """`one` is the type of what is written: 1 with probability threshold / 2^24."""
    words = block_words(cuda)

    def body(out, state, n, threshold):
        i = cuda.grid(1)
        while 4 * i < n:
            found = words(state, i)
            for k in range(4):
                if 4 * i + k < n:
                    out[4 * i + k] = one(1) if np.int64(found[k] >> _u(8)) < threshold else one(0)
            i += cuda.gridsize(1)

    return body


def draw_integers(cuda):
    """low + the high half of the 128-bit product of span and a 64-bit draw."""
    words = block_words(cuda)
    mask, half = _u(0xFFFFFFFF), _u(32)

    def body(out, state, n, low, span):
        i = cuda.grid(1)
        s0, s1 = span & mask, span >> half
        while 2 * i < n:
            found = words(state, i)
            for k in range(2):
                if 2 * i + k < n:
                    r0, r1 = found[2 * k], found[2 * k + 1]
                    middle = r1 * s0 + (r0 * s0 >> half)
                    cross = r0 * s1 + (middle & mask)
                    out[2 * i + k] = r1 * s1 + (middle >> half) + (cross >> half) + low
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def _drawn(
    gpu: Any, kernel: Any, constants: Any, state: Array, shape: Shape, dtype: Any, per: int, *rest: Any
) -> Array:
    out = gpu.empty(shape, dtype)
    gpu.launch(kernel, constants, *spread(-(-out.size // per)), out, state, out.size, *rest)
    gpu.launch(advance, (), 1, 1, state)
    return out


def _real(dtype: Any) -> Any:
    return np.float64 if np.dtype(dtype).char == "d" else np.float32


def random_bits(gpu: Any, portable: Any, state: Array, shape: Shape) -> Array:
    return _drawn(gpu, draw_bits, (), state, shape, "uint32", 4) if math.prod(shape) else portable(state, shape)


def random_uniform(gpu: Any, portable: Any, state: Array, shape: Shape, dtype: Any, low: float, high: float) -> Array:
    if not math.prod(shape):
        return portable(state, shape, dtype, low, high)
    dtype, low, scale, high = philox.uniform_parameters(dtype, low, high)
    real, bits = _real(dtype), {"d": 53, "f": 24, "e": 11}[dtype.char]
    constants = (real, bits, dtype.char == "e")
    per = 2 if dtype.char == "d" else 4
    return _drawn(gpu, draw_uniform, constants, state, shape, dtype, per, real(scale), real(low), real(high))


def random_normal(gpu: Any, portable: Any, state: Array, shape: Shape, dtype: Any, mean: float, std: float) -> Array:
    if not math.prod(shape):
        return portable(state, shape, dtype, mean, std)
    dtype, mean, std = philox.normal_parameters(dtype, mean, std)
    real = _real(dtype)
    per = 2 if dtype.char == "d" else 4
    return _drawn(gpu, draw_normal, (real,), state, shape, dtype, per, real(std), real(mean))


def random_bernoulli(gpu: Any, portable: Any, state: Array, shape: Shape, dtype: Any, p: float) -> Array:
    dtype = np.dtype(dtype)
    if not math.prod(shape) or dtype.char not in "efd?bhilqBHILQ":
        return portable(state, shape, dtype, p)
    one = _real(dtype) if dtype.kind == "f" else np.int64
    return _drawn(gpu, draw_bernoulli, (one,), state, shape, dtype, 4, philox.bernoulli_threshold(p))


def random_integers(gpu: Any, portable: Any, state: Array, shape: Shape, dtype: Any, low: int, high: int) -> Array:
    offset, span = philox.integer_parameters(dtype, low, high)
    if not math.prod(shape):
        return portable(state, shape, dtype, low, high)
    out = _drawn(gpu, draw_integers, (), state, shape, "uint64", 2, _u(offset), _u(span)).view("int64")
    return out if np.dtype(dtype).char == out.dtype.char else gpu.backend.cast(out, dtype)


def random_permutation(gpu: Any, portable: Any, state: Array, n: int, dtype: Any) -> Array:
    if n <= 0:
        return portable(state, n, dtype)
    # A span of 2^64 - 1 would not give all keys: the words themselves are wanted.
    bits = _drawn(gpu, draw_bits, (), state, (4 * -(-n // 2),), "uint32", 4)
    keys = bits.view("uint64")[:n]
    return gpu.backend.xp.argsort(keys, kind="stable").astype(dtype)


KERNELS = (random_bits, random_uniform, random_normal, random_bernoulli, random_integers, random_permutation)

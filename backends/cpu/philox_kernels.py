"""The draws of `philox.py` as Numba kernels: the same arithmetic in the same order, hence the same bits.

Each kernel is self-contained (see `cache.py`), so the ten Philox rounds stand in each. It fills a flat array, and
advances the state last. Constants carry their type: Numba, unlike NumPy, makes float64 of float32 with a Python float.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends import philox
from autograd_core.backends.cpu.cache import kernel

Array = Any

# Elements from which two threads are faster than one.
PARALLEL_FROM = 1 << 16


def install(backend: Any) -> None:
    """Put these draws in place of the backend's portable ones."""
    for draw in (random_bits, random_uniform, random_normal, random_bernoulli, random_integers, random_permutation):
        setattr(backend, draw.__name__, draw)


def random_bits(state: Array, shape: tuple[int, ...]) -> Array:
    """Raw uint32 words."""
    out = np.empty(shape, np.uint32)
    _run(_bits, out, state, np.uint64(0))
    return out


def random_uniform(state: Array, shape: tuple[int, ...], dtype: Any, low: float = 0.0, high: float = 1.0) -> Array:
    """See `philox.random_uniform`."""
    dtype, low, scale, high = philox.uniform_parameters(dtype, low, high)
    if dtype.char == "d":
        out = np.empty(shape, np.float64)
        _run(_uniform64, out, state, low, scale, high)
        return out
    out = np.empty(shape, np.float32)
    bits = 24 if dtype.char == "f" else 11
    _run(_uniform32, out, state, low, scale, high, 32 - bits, 2.0**-bits)
    if dtype.char == "f":
        return out
    half = out.astype(dtype)
    return np.where(half >= high, low, half).astype(dtype)


def random_normal(state: Array, shape: tuple[int, ...], dtype: Any, mean: float = 0.0, std: float = 1.0) -> Array:
    """See `philox.random_normal`."""
    dtype, mean, std = philox.normal_parameters(dtype, mean, std)
    double = dtype.char == "d"
    out = np.empty(shape, np.float64 if double else np.float32)
    _run(_normal64 if double else _normal32, out, state, mean, std)
    return out.astype(dtype, copy=False)


def random_bernoulli(state: Array, shape: tuple[int, ...], dtype: Any, p: float) -> Array:
    """See `philox.random_bernoulli`."""
    threshold = philox.bernoulli_threshold(p)
    direct = np.dtype(dtype) != np.float16
    out = np.empty(shape, dtype if direct else np.float32)
    _run(_bernoulli, out, state, threshold)
    return out if direct else out.astype(dtype)


def random_integers(state: Array, shape: tuple[int, ...], dtype: Any, low: int, high: int) -> Array:
    """See `philox.random_integers`."""
    low, span = philox.integer_parameters(dtype, low, high)
    out = np.empty(shape, np.int64)
    # The span's halves, as 2**64 itself is a span.
    _run(_integers, out, state, np.uint64(low), np.uint64(span & 0xFFFFFFFF), np.uint64(span >> 32))
    return out.astype(dtype, copy=False)


def random_permutation(state: Array, n: int, dtype: Any) -> Array:
    """See `philox.random_permutation`."""
    if n < 0:
        raise ValueError(f"random_permutation: n must not be negative, got {n}")
    keys = np.empty(n, np.uint64)
    _run(_keys, keys, state)
    return _places_in_order(keys).astype(dtype, copy=False)


def _places_in_order(keys: Array) -> Array:
    """The stable argsort, by NumPy's faster sort of numbers: keys with their places as last digits. A million takes
    11 ms in place of 83."""
    if keys.size < 1000:
        return np.argsort(keys, kind="stable")
    digits = np.uint64((1 << max(keys.size - 1, 0).bit_length()) - 1)
    places = (np.sort((keys & ~digits) | np.arange(keys.size, dtype=np.uint64)) & digits).astype(np.int64)
    ordered = keys[places]
    if (ordered[1:] < ordered[:-1]).any():  # Two keys differ in the digits alone that gave way: hardly ever.
        return np.argsort(keys, kind="stable")
    return places


def _run(kernel: Any, out: Array, state: Array, *args: Any) -> None:
    (kernel if out.size >= PARALLEL_FROM else kernel.serial)(out.reshape(-1), state, *args)
    np.add(state, _NEXT, state)  # The number of the call: counted here, since several threads read it.


_NEXT = np.array([0, 1], np.uint64)

# -- kernels ----------------------------------------------------------------------------------------------------------
# Words are made by the chunk, in a buffer that stays in the first-level cache, so that both loops vectorise.

CHUNK = 2048
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, HALF, ONE = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(1)
HALF32, ONE32, TWO32, FOUR32 = np.float32(0.5), np.float32(1.0), np.float32(2.0), np.float32(4.0)


@kernel(parallel=True)
def _bits(out: Array, state: Array, first: int, worker: int, workers: int) -> None:
    """Words of the blocks from number `first` on."""
    seed, call = state[0], state[1]
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint32)
        for j in range((n + 3) // 4):
            block = first + np.uint64(start // 4 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[4 * j], words[4 * j + 1] = np.uint32(c0), np.uint32(c1)
            words[4 * j + 2], words[4 * j + 3] = np.uint32(c2), np.uint32(c3)
        for j in range(n):
            part[j] = words[j]


@kernel(parallel=True)
def _keys(out: Array, state: Array, worker: int, workers: int) -> None:
    """64-bit words."""
    seed, call = state[0], state[1]
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint64)
        for j in range((n + 1) // 2):
            block = np.uint64(start // 2 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[2 * j], words[2 * j + 1] = c0 | (c1 << HALF), c2 | (c3 << HALF)
        for j in range(n):
            part[j] = words[j]


@kernel(parallel=True)
def _uniform32(
    out: Array, state: Array, low: float, scale: float, high: float, shift: int, step: float, worker: int, workers: int
) -> None:
    """`low + scale * u`, u the top `32 - shift` bits times `step`; `low` in place of `high`."""
    seed, call = state[0], state[1]
    drop, unit = np.uint32(shift), np.float32(step)
    bottom, span, top = np.float32(low), np.float32(scale), np.float32(high)
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint32)
        for j in range((n + 3) // 4):
            block = np.uint64(start // 4 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[4 * j], words[4 * j + 1] = np.uint32(c0), np.uint32(c1)
            words[4 * j + 2], words[4 * j + 3] = np.uint32(c2), np.uint32(c3)
        for j in range(n):
            x = np.float32(np.int32(words[j] >> drop)) * unit * span + bottom
            part[j] = x if x < top else bottom


@kernel(parallel=True)
def _uniform64(out: Array, state: Array, low: float, scale: float, high: float, worker: int, workers: int) -> None:
    """`low + scale * u`, u the top 53 bits times 2**-53; `low` in place of `high`."""
    seed, call = state[0], state[1]
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint64)
        for j in range((n + 1) // 2):
            block = np.uint64(start // 2 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[2 * j], words[2 * j + 1] = c0 | (c1 << HALF), c2 | (c3 << HALF)
        for j in range(n):
            x = np.float64(np.int64(words[j] >> np.uint64(11))) * 2.0**-53 * scale + low
            part[j] = x if x < high else low


@kernel(parallel=True)
def _normal32(out: Array, state: Array, mean: float, std: float, worker: int, workers: int) -> None:
    """`mean + std * z` in float32."""
    seed, call = state[0], state[1]
    shift, scale = np.float32(mean), np.float32(std)
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint32)
        for j in range((n + 3) // 4):
            block = np.uint64(start // 4 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[4 * j], words[4 * j + 1] = np.uint32(c0), np.uint32(c1)
            words[4 * j + 2], words[4 * j + 3] = np.uint32(c2), np.uint32(c3)
        for j in range(n):
            bits = words[j]
            p = (np.float32(np.int32(bits & np.uint32(0x7FFFFFFF))) + HALF32) * np.float32(2.0**-32)
            x = ONE32 - p * TWO32
            # w = -log(4 p (1 - p))
            shifted = np.float32(p * FOUR32 * (ONE32 - p)).view(np.int32) - np.int32(0x3F3504F3)
            e = np.float32(np.int32(shifted) >> np.int32(23))
            f = np.int32((shifted & np.int32(0x7FFFFF)) + np.int32(0x3F3504F3)).view(np.float32) - ONE32
            y = f * np.float32(0.070376836292) + np.float32(-0.1151461031)
            y = y * f + np.float32(0.1167699874)
            y = y * f + np.float32(-0.12420140846)
            y = y * f + np.float32(0.14249322787)
            y = y * f + np.float32(-0.16668057665)
            y = y * f + np.float32(0.20000714765)
            y = y * f + np.float32(-0.24999993993)
            y = y * f + np.float32(0.33333331174)
            y = y * f * (f * f) - f * f * HALF32 + f
            w = -(e * np.float32(0.6931471805599453) + y)
            # sqrt(2) erfinv(x) / x
            v = w - np.float32(2.5)
            centre = v * np.float32(4.0354653e-08) + np.float32(4.8610394e-07)
            centre = centre * v + np.float32(-4.9905652e-06)
            centre = centre * v + np.float32(-6.217993e-06)
            centre = centre * v + np.float32(0.0003091502)
            centre = centre * v + np.float32(-0.0017730101)
            centre = centre * v + np.float32(-0.005908171)
            centre = centre * v + np.float32(0.34880266)
            centre = centre * v + np.float32(2.1233137)
            t = np.sqrt(abs(w)) - np.float32(3.0)
            tail = t * np.float32(-0.00023902877) + np.float32(0.0016361233)
            tail = tail * t + np.float32(-0.0047502583)
            tail = tail * t + np.float32(0.008196434)
            tail = tail * t + np.float32(-0.010934891)
            tail = tail * t + np.float32(0.01333816)
            tail = tail * t + np.float32(1.416595)
            tail = tail * t + np.float32(4.006435)
            z = (centre if w < np.float32(5.0) else tail) * x
            z = -z if bits >> np.uint32(31) else z
            part[j] = z * scale + shift


@kernel(parallel=True)
def _normal64(out: Array, state: Array, mean: float, std: float, worker: int, workers: int) -> None:
    """`mean + std * z` in float64."""
    seed, call = state[0], state[1]
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint64)
        for j in range((n + 1) // 2):
            block = np.uint64(start // 2 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[2 * j], words[2 * j + 1] = c0 | (c1 << HALF), c2 | (c3 << HALF)
        for j in range(n):
            bits = words[j]
            p = (np.float64(np.int64(bits & np.uint64(0x7FFFFFFFFFFFFFFF))) + 0.5) * 2.0**-64
            q = 0.5 - p
            if q <= 0.425:
                r = 0.180625 - q * q
                a = r * 2509.0809287301227 + 33430.57558358813
                a = a * r + 67265.7709270087
                a = a * r + 45921.95393154987
                a = a * r + 13731.69376550946
                a = a * r + 1971.5909503065513
                a = a * r + 133.14166789178438
                a = a * r + 3.3871328727963665
                b = r * 5226.495278852546 + 28729.085735721943
                b = b * r + 39307.89580009271
                b = b * r + 21213.794301586597
                b = b * r + 5394.196021424751
                b = b * r + 687.1870074920579
                b = b * r + 42.31333070160091
                b = b * r + 1.0
                z = q * a / b
            else:
                # log p
                shifted = np.float64(p).view(np.int64) - np.int64(0x3FE6A09E667F3BCD)
                e = np.float64(shifted >> 52)
                m = np.int64((shifted & np.int64((1 << 52) - 1)) + np.int64(0x3FE6A09E667F3BCD)).view(np.float64)
                s = (m - 1.0) / (m + 1.0)
                s2 = s * s
                y = s2 * 0.08695652173913043 + 0.09523809523809523
                y = y * s2 + 0.10526315789473684
                y = y * s2 + 0.11764705882352941
                y = y * s2 + 0.13333333333333333
                y = y * s2 + 0.15384615384615385
                y = y * s2 + 0.18181818181818182
                y = y * s2 + 0.2222222222222222
                y = y * s2 + 0.2857142857142857
                y = y * s2 + 0.4
                y = y * s2 + 0.6666666666666666
                y = y * s2 + 2.0
                t = np.sqrt(-(e * 0.6931471805599453 + y * s))
                if t <= 5.0:
                    r = t - 1.6
                    a = r * 0.0007745450142783414 + 0.022723844989269184
                    a = a * r + 0.2417807251774506
                    a = a * r + 1.2704582524523684
                    a = a * r + 3.6478483247632045
                    a = a * r + 5.769497221460691
                    a = a * r + 4.630337846156546
                    a = a * r + 1.4234371107496835
                    b = r * 1.0507500716444169e-09 + 0.0005475938084995345
                    b = b * r + 0.015198666563616457
                    b = b * r + 0.14810397642748008
                    b = b * r + 0.6897673349851
                    b = b * r + 1.6763848301838038
                    b = b * r + 2.053191626637759
                    b = b * r + 1.0
                else:
                    r = t - 5.0
                    a = r * 2.0103343992922881e-07 + 2.7115555687434876e-05
                    a = a * r + 0.0012426609473880784
                    a = a * r + 0.026532189526576124
                    a = a * r + 0.29656057182850487
                    a = a * r + 1.7848265399172913
                    a = a * r + 5.463784911164114
                    a = a * r + 6.657904643501103
                    b = r * 2.0442631033899397e-15 + 1.421511758316446e-07
                    b = b * r + 1.8463183175100548e-05
                    b = b * r + 0.0007868691311456133
                    b = b * r + 0.014875361290850615
                    b = b * r + 0.1369298809227358
                    b = b * r + 0.599832206555888
                    b = b * r + 1.0
                z = a / b
            z = -z if bits >> np.uint64(63) else z
            part[j] = z * std + mean


@kernel(parallel=True)
def _bernoulli(out: Array, state: Array, threshold: int, worker: int, workers: int) -> None:
    """1 where the top 24 bits are below `threshold`."""
    seed, call = state[0], state[1]
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint32)
        for j in range((n + 3) // 4):
            block = np.uint64(start // 4 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[4 * j], words[4 * j + 1] = np.uint32(c0), np.uint32(c1)
            words[4 * j + 2], words[4 * j + 3] = np.uint32(c2), np.uint32(c3)
        for j in range(n):
            part[j] = 1 if words[j] >> np.uint32(8) < threshold else 0


@kernel(parallel=True)
def _integers(out: Array, state: Array, low: int, s0: int, s1: int, worker: int, workers: int) -> None:
    """`low` plus the high half of the product `word * (s0 + 2**32 * s1)`, made of 32-bit pieces."""
    seed, call = state[0], state[1]
    chunks = (out.size + CHUNK - 1) // CHUNK
    for chunk in range(worker * chunks // workers, (worker + 1) * chunks // workers):
        start = chunk * CHUNK
        n = min(CHUNK, out.size - start)
        part, words = out[start : start + n], np.empty(CHUNK, np.uint64)
        for j in range((n + 1) // 2):
            block = np.uint64(start // 2 + j)
            c0, c1, c2, c3 = block & LOW, block >> HALF, call & LOW, call >> HALF
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * M0, c2 * M1
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
            words[2 * j], words[2 * j + 1] = c0 | (c1 << HALF), c2 | (c3 << HALF)
        for j in range(n):
            r0, r1 = words[j] & LOW, words[j] >> HALF
            middle = r1 * s0 + ((r0 * s0) >> HALF)
            cross = r0 * s1 + (middle & LOW)
            part[j] = np.int64(r1 * s1 + (middle >> HALF) + (cross >> HALF) + low)

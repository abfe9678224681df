"""float32 to float16 and back by the bits of the numbers, in vector instructions: NumPy converts one after the other.

A million numbers, one thread, in ms: to float16 0.4 (NumPy 1.7), back 0.2 (1.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import LOOP_FROM, PARALLEL_FROM, kernel

Array = Any


def cast(x: Array, dtype: Any) -> Array | None:
    """`x` as the other of the two dtypes, or None where NumPy is to do it."""
    pair = x.dtype.char + dtype.char
    if x.size < LOOP_FROM or pair not in ("fe", "ef") or not x.flags.c_contiguous:
        return None
    out = np.empty(x.shape, dtype)
    flat, result = x.reshape(-1), out.reshape(-1)
    arrays: tuple[Array, ...]
    if pair == "fe":
        run, arrays = _narrow, (flat.view(np.uint32), result.view(np.uint16))
    else:
        run, arrays = _widen, (flat.view(np.uint16), result.view(np.uint32), result)
    (run if x.size >= PARALLEL_FROM else run.serial)(*arrays)
    return out


@kernel(parallel=True)
def _narrow(x, out, worker, workers):
    """To the nearest, ties to the even one."""
    n, one = out.size, np.uint32(1)
    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):
        bits = x[i]
        sign, size = (bits >> np.uint32(16)) & np.uint32(0x8000), bits & np.uint32(0x7FFFFFFF)
        # The exponent falls by 112, and 13 digits go.
        odd = (size >> np.uint32(13)) & one
        normal = (size - np.uint32(112 << 23) + np.uint32(0xFFF) + odd) >> np.uint32(13)
        # Below 2^-14 (an exponent of 113): a whole number of 2^-24, so that one digit more goes for each power less.
        exponent = size >> np.uint32(23)
        gone = np.uint32(126) - (exponent if exponent > np.uint32(101) else np.uint32(101))
        gone = gone if exponent < np.uint32(113) else np.uint32(14)
        whole = (size & np.uint32(0x7FFFFF)) | np.uint32(0x800000)
        kept = whole >> gone
        rest, half = whole - (kept << gone), one << (gone - one)
        small = kept + np.uint32((rest > half) | ((rest == half) & ((kept & one) == one)))
        small = small if exponent > np.uint32(101) else np.uint32(0)
        found = small if exponent < np.uint32(113) else normal
        # 0x477FF000 is 65520, where rounding leads to infinity.
        found = np.uint32(0x7C00) if size >= np.uint32(0x477FF000) else found
        found = np.uint32(0x7E00) if size > np.uint32(0x7F800000) else found
        out[i] = np.uint16(sign | found)


@kernel(parallel=True)
def _widen(x, bits, out, worker, workers):
    """Exponent and digits moved, then the power of two that the exponents' zeros are apart; `bits` are those of out."""
    n = out.size
    start, end = np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)
    for i in range(start, end):
        h = np.uint32(x[i])
        size = (h & np.uint32(0x7FFF)) << np.uint32(13)
        size = size | np.uint32(0x7F800000) if (h & np.uint32(0x7C00)) == np.uint32(0x7C00) else size
        bits[i] = size | ((h & np.uint32(0x8000)) << np.uint32(16))
    for i in range(start, end):
        out[i] *= np.float32(2.0**112)

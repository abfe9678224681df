"""What kernels share: sums and maxima over the threads of a block, in a fixed order; the sizes of launches."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

_REAL = {"e": np.float32, "f": np.float32, "d": np.float64}
_BLOCK = 256
_BLOCKS = 1 << 16  # Enough to fill any card; threads take several elements beyond.


def block_sum(cuda, real, threads):
    """`total(buffer, t, value)`: the sum of the values of all threads, as a tree. Every thread must call it."""

    @cuda.jit(device=True)
    def total(buffer, t, value):
        buffer[t] = value
        cuda.syncthreads()
        half = threads // 2
        while half > 0:
            if t < half:
                buffer[t] = buffer[t] + buffer[t + half]
            cuda.syncthreads()
            half //= 2
        value = buffer[0]
        cuda.syncthreads()  # The buffer is free again.
        return value

    return total


def block_max(cuda, real, threads):
    """`greatest(buffer, t, value)`: the maximum over all threads; a NaN may be passed over."""

    @cuda.jit(device=True)
    def greatest(buffer, t, value):
        buffer[t] = value
        cuda.syncthreads()
        half = threads // 2
        while half > 0:
            if t < half and buffer[t + half] > buffer[t]:
                buffer[t] = buffer[t + half]
            cuda.syncthreads()
            half //= 2
        value = buffer[0]
        cuda.syncthreads()
        return value

    return greatest


def real_of(*arrays: Array) -> Any:
    """The type to compute in: float32 for float16 and float32, float64 as soon as one is; None for other dtypes."""
    chars = {x.dtype.char for x in arrays}
    if not chars <= _REAL.keys():
        return None
    return np.float64 if "d" in chars else np.float32


def row_threads(length: int) -> int:
    """How many threads share a row: a warp for short ones."""
    return 32 if length <= 128 else 128 if length <= 1024 else 256


def spread(n: int) -> tuple[int, int]:
    """(blocks, threads) for n elements, which the threads take a stride of the whole grid apart."""
    return min(-(-n // _BLOCK), _BLOCKS), _BLOCK

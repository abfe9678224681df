"""Products of large matrices on Numba's threads, with BLAS's own threads set aside.

OpenBLAS splits products of training size over its threads badly, its idle threads spin, and how many it uses depends
on what else the process does at that moment, which changes the rounding. Products in float32 are kernels of our own
(`tiled.py`); those in float64, and those of few rows or columns, are cut into strips, each one call of BLAS by one
thread. Either way the order of a sum depends on the shapes alone: the same bits, however many threads there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends.cpu import blas, tiled
from autograd_core.backends.cpu.cache import kernel, kernels_enabled

Array = Any
_sgemm: Any = None  # Set before the first kernel is compiled.
_dgemm: Any = None

# Multiplications up to which OpenBLAS uses one thread by itself.
ONE_THREAD = 1 << 18
# From _TWO on the product is cut: at each further _PER_STRIP once more, as every strip lays out the other matrix anew.
_TWO = 1 << 22
_PER_STRIP = 1 << 23
_STRIPS = 8
_FEW = 8  # With fewer rows or columns than this, the other matrix is read but once: BLAS need not lay it out.
_GRAIN = 32  # A strip's rows or columns are a multiple of this: what BLAS takes at once.

_enabled: bool | None = None


def _ready() -> bool:
    """Whether the kernels can run; at the first call, makes BLAS known to them."""
    global _enabled, _sgemm, _dgemm
    if _enabled is None:
        _enabled = kernels_enabled() and blas.available()
        if _enabled:
            _sgemm, _dgemm = blas.gemm("s"), blas.gemm("d")
    return _enabled


def dot(x: Array, y: Array) -> Array:
    """`x @ y` for matrices of any size and layout."""
    if x.size * y.shape[1] <= ONE_THREAD or x.dtype.char not in "fd" or x.dtype != y.dtype or not _ready():
        return x.dot(y)
    (m, k), n = x.shape, y.shape[1]
    work = m * k * n
    if x.dtype.char == "f" and m >= _FEW and n >= 2 * _FEW:
        a, a_flag = _as_stored(x)
        b, b_flag = _as_stored(y)
        return tiled.multiply(a, a_flag == 112, b, b_flag == 112, m, n, k)
    if work < _TWO:
        with blas.one_thread():
            return x.dot(y)
    a, a_flag = _as_stored(x)
    b, b_flag = _as_stored(y)
    out = np.empty((m, n), x.dtype)
    strip = -(-max(m, n) // max(2, min(_STRIPS, work // _PER_STRIP)))
    strip = -(-strip // _GRAIN) * _GRAIN
    run = _float32 if x.dtype.char == "f" else _float64
    with blas.one_thread():
        run(a, a_flag, b, b_flag, out, k, strip, m >= n)
    return out


def _as_stored(x: Array) -> tuple[Array, int]:
    """Rows as they lie in memory, and BLAS's flag for reading them: 111 as they are, 112 transposed."""
    if x.flags.c_contiguous:
        return x, 111
    if x.flags.f_contiguous:
        return x.T, 112
    return np.ascontiguousarray(x), 111


@kernel(parallel=True)
def _float32(a, a_flag, b, b_flag, out, k, strip, by_rows, worker, workers):
    m, n = out.shape
    lda, ldb = a.shape[1], b.shape[1]
    a_flat, b_flat, out_flat = a.reshape(-1), b.reshape(-1), out.reshape(-1)
    side = m if by_rows else n
    strips = (side + strip - 1) // strip
    for part in range(worker * strips // workers, (worker + 1) * strips // workers):
        first = part * strip
        size = min(strip, side - first)
        if by_rows:
            at = first * lda if a_flag == 111 else first
            _sgemm(
                101, a_flag, b_flag, size, n, k, np.float32(1), a_flat[at:].ctypes, lda, b_flat.ctypes, ldb,
                np.float32(0), out_flat[first * n :].ctypes, n,
            )  # fmt: skip
        else:
            at = first if b_flag == 111 else first * ldb
            _sgemm(
                101, a_flag, b_flag, m, size, k, np.float32(1), a_flat.ctypes, lda, b_flat[at:].ctypes, ldb,
                np.float32(0), out_flat[first:].ctypes, n,
            )  # fmt: skip


@kernel(parallel=True)
def _float64(a, a_flag, b, b_flag, out, k, strip, by_rows, worker, workers):
    m, n = out.shape
    lda, ldb = a.shape[1], b.shape[1]
    a_flat, b_flat, out_flat = a.reshape(-1), b.reshape(-1), out.reshape(-1)
    side = m if by_rows else n
    strips = (side + strip - 1) // strip
    for part in range(worker * strips // workers, (worker + 1) * strips // workers):
        first = part * strip
        size = min(strip, side - first)
        if by_rows:
            at = first * lda if a_flag == 111 else first
            _dgemm(
                101, a_flag, b_flag, size, n, k, 1.0, a_flat[at:].ctypes, lda, b_flat.ctypes, ldb, 0.0,
                out_flat[first * n :].ctypes, n,
            )  # fmt: skip
        else:
            at = first if b_flag == 111 else first * ldb
            _dgemm(
                101, a_flag, b_flag, m, size, k, 1.0, a_flat.ctypes, lda, b_flat[at:].ctypes, ldb, 0.0,
                out_flat[first:].ctypes, n,
            )  # fmt: skip

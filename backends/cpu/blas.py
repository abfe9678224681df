"""NumPy's own OpenBLAS, called from inside Numba kernels.

A kernel that works image by image needs a product for each, by one thread, while the kernel's other threads do the
same; through NumPy each call would cost microseconds and wake BLAS's own threads. The library that NumPy's wheels
bring is found beside NumPy, and its products made known to LLVM under fixed names, which keeps the kernels cacheable.
Where it is not found (NumPy built another way), `available()` is false and the portable bodies run.
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _library() -> Any:
    """The loaded OpenBLAS of NumPy's wheel (64-bit integers), or None."""
    import numpy

    package = Path(numpy.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas64_*")):
            try:
                library = ctypes.CDLL(str(path))
                for name in ("cblas_sgemm64_", "cblas_dgemm64_", "openblas_set_num_threads64_"):
                    getattr(library, f"scipy_{name}")
                library.scipy_openblas_get_num_threads64_.restype = ctypes.c_int
            except (OSError, AttributeError):
                continue
            return library
    return None


def available() -> bool:
    return _library() is not None


@cache
def gemm(letter: str) -> Any:
    """`cblas_sgemm` ('s') or `cblas_dgemm` ('d') as Numba's external function.

    Its arguments: order, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc.
    """
    import llvmlite.binding
    from numba import types

    symbol = f"autograd_core_cblas_{letter}gemm"
    function = getattr(_library(), f"scipy_cblas_{letter}gemm64_")
    llvmlite.binding.add_symbol(symbol, ctypes.cast(function, ctypes.c_void_p).value)
    flag, size, number = types.int32, types.int64, types.float32 if letter == "s" else types.float64
    pointer = types.CPointer(number)
    arguments = (flag, flag, flag, size, size, size, number, pointer, size, pointer, size, number, pointer, size)
    return types.ExternalFunction(symbol, types.void(*arguments))


class _OneThread:
    """In its `with` block BLAS runs each call on the thread that makes it; the last to leave restores the setting.

    Blocks of several Python threads overlap, hence the count: restoring while another is inside would change its
    rounding.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                library = _library()
                self._before = library.scipy_openblas_get_num_threads64_()
                if self._before != 1:
                    library.scipy_openblas_set_num_threads64_(1)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._before != 1:
                _library().scipy_openblas_set_num_threads64_(self._before)

    def _forked(self) -> None:
        """In a child, whose other threads are gone: nobody else is inside, nor holds the lock."""
        inside, self._lock, self._inside = self._inside, threading.Lock(), 0
        if inside and self._before != 1:
            _library().scipy_openblas_set_num_threads64_(self._before)


_one_thread = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread._forked)


def one_thread() -> _OneThread:
    """A `with` block in which BLAS calls run on the thread that makes them."""
    return _one_thread

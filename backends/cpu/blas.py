"""NumPy's own OpenBLAS, called from inside Numba kernels.

A kernel that works image by image needs a product for each, by one thread, while the kernel's other threads do the
same; through NumPy each call would cost microseconds and wake BLAS's own threads. The library that NumPy's wheels
bring is found beside NumPy, and its `sgemm` made known to LLVM under a fixed name, which keeps the kernels cacheable.
Where it is not found (NumPy built another way), `available()` is false and the portable bodies run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_SYMBOL = "autograd_core_cblas_sgemm"


@cache
def _library() -> Any:
    """The loaded OpenBLAS of NumPy's wheel (64-bit integers), or None."""
    import numpy

    package = Path(numpy.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas64_*")):
            try:
                library = ctypes.CDLL(str(path))
                library.scipy_cblas_sgemm64_, library.scipy_openblas_set_num_threads64_  # noqa: B018
                library.scipy_openblas_get_num_threads64_.restype = ctypes.c_int
            except (OSError, AttributeError):
                continue
            return library
    return None


def available() -> bool:
    return _library() is not None


@cache
def sgemm() -> Any:
    """`cblas_sgemm` as Numba's external function: (order, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c,
    ldc)."""
    import llvmlite.binding
    from numba import types

    library = _library()
    llvmlite.binding.add_symbol(_SYMBOL, ctypes.cast(library.scipy_cblas_sgemm64_, ctypes.c_void_p).value)
    flag, size, number, pointer = types.int32, types.int64, types.float32, types.CPointer(types.float32)
    arguments = (flag, flag, flag, size, size, size, number, pointer, size, pointer, size, number, pointer, size)
    return types.ExternalFunction(_SYMBOL, types.void(*arguments))


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS calls in this block run on the thread that makes them; the setting is restored afterwards."""
    library = _library()
    before = library.scipy_openblas_get_num_threads64_()
    if before == 1:
        yield
        return
    library.scipy_openblas_set_num_threads64_(1)
    try:
        yield
    finally:
        library.scipy_openblas_set_num_threads64_(before)

"""Numba's compiler for CUDA: the only file that imports numba-cuda, or its successor numba-cuda-mlir.

A kernel is written as a function of the `cuda` module, so that the same source runs under either package, and under
the tests' own `cuda` object:

    def add(cuda, real, threads):          # `cuda`, then what the kernel is specialised for
        def body(out, x, n): ...           # pointers and numbers; a pointer is indexed as a flat array
        return body

Kernels stay in what both packages compile: pointers (also to pointers), numbers, `math`, `cuda.shared.array`,
`cuda.syncthreads`, `cuda.jit(device=True)` functions and `cuda.libdevice`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

# A signature is a string a parameter: a dtype's character for a number, with `*` for a pointer to such numbers, with
# `**` for a table of such pointers.
_TYPES = {
    "?": "uint8", "B": "uint8", "b": "int8", "h": "int16", "H": "uint16", "i": "int32", "I": "uint32", "l": "int64",
    "L": "uint64", "q": "int64", "Q": "uint64", "e": "float16", "f": "float32", "d": "float64",
}  # fmt: skip


@cache
def _package() -> tuple[Any, Any, str]:
    """(the `cuda` module, the `types` module, name and version), or (None, None, why there is none)."""
    reasons = []
    try:
        import numba.cuda.libdevice  # numba-cuda puts itself in the place of numba.cuda.
        import numba_cuda

        return numba.cuda, numba.cuda.types, f"numba-cuda {numba_cuda.__version__}"
    except Exception as error:  # A version that does not fit NumPy's raises what it likes.
        reasons.append(f"numba-cuda cannot be imported ({type(error).__name__}: {error})")
    try:
        import numba_cuda_mlir
        from numba_cuda_mlir import cuda, types

        return cuda, types, f"numba-cuda-mlir {numba_cuda_mlir.__version__}"
    except Exception as error:
        reasons.append(f"numba-cuda-mlir cannot be imported ({type(error).__name__}: {error})")
    return None, None, "; ".join(reasons) + ": pip install 'numba-cuda[cu12]' or 'numba-cuda[cu13]'"


def missing() -> str:
    """Why no kernel can be compiled; empty if one can."""
    cuda, _, words = _package()
    return words if cuda is None else ""


def version() -> str:
    """Name and version of the package in use."""
    return _package()[2]


def _signature(signature: tuple[str, ...]) -> tuple[Any, ...]:
    types = _package()[1]
    found = []
    for word in signature:
        type_ = getattr(types, _TYPES[word[0]])
        for _ in word[1:]:
            type_ = types.CPointer(type_)
        found.append(type_)
    return tuple(found)


def compile_ptx(
    factory: Callable[..., Any], constants: tuple[Any, ...], signature: tuple[str, ...], cc: tuple[int, int]
) -> bytes:
    """The kernel `factory(cuda, *constants)` as PTX for compute capability `cc`; its entry has the factory's name."""
    cuda = _package()[0]
    with _device_functions_for(cc):
        ptx, _ = cuda.compile_ptx(factory(cuda, *constants), _signature(signature), cc=cc)
    entry = re.search(r"\.entry\s+([\w$]+)", ptx)
    if entry is None:
        raise RuntimeError(f"{version()} made PTX without an entry of {factory.__name__}")
    # A name that profilers can show; the mangled one also counts how many kernels were compiled before.
    return re.sub(rf"(?<![\w$]){re.escape(entry.group(1))}(?![\w$])", factory.__name__, ptx).encode()


@contextmanager
def _device_functions_for(cc: tuple[int, int]) -> Iterator[None]:
    """numba-cuda asks the driver which device a `cuda.jit(device=True)` function is for: without one, answer."""
    cuda = _package()[0]
    if cuda.__name__.startswith("numba_cuda_mlir") or cuda.is_available():
        yield
        return
    ask = cuda.dispatcher.get_current_device
    cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=cc)
    try:
        yield
    finally:
        cuda.dispatcher.get_current_device = ask


def numba_launcher(factory: Callable[..., Any], constants: tuple[Any, ...], signature: tuple[str, ...]) -> Any:
    """`launch(grid, block, addresses and numbers, stream)`, through Numba's own launcher."""
    cuda = _package()[0]
    kernel = cuda.jit(_signature(signature))(factory(cuda, *constants))

    def launch(grid: int, block: int, arguments: tuple[Any, ...], stream: int) -> None:
        kernel[grid, block, cuda.external_stream(stream)](*arguments)

    return launch


def link_cubin(ptx: bytes, cc: tuple[int, int]) -> bytes:
    """`ptx` as machine code for `cc`, by nvJitLink: a driver older than the compiler takes that, but not the PTX.

    Raises ImportError without nvJitLink, RuntimeError where it refuses.
    """
    from cuda.bindings import nvjitlink

    options = [f"-arch=sm_{cc[0]}{cc[1]}"]
    try:
        handle = nvjitlink.create(len(options), options)
        try:
            nvjitlink.add_data(handle, nvjitlink.InputType.PTX, ptx, len(ptx), "kernel")
            nvjitlink.complete(handle)
            cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
            nvjitlink.get_linked_cubin(handle, cubin)
        finally:
            nvjitlink.destroy(handle)
    except nvjitlink.nvJitLinkError as error:
        raise RuntimeError(f"nvJitLink refuses the PTX for sm_{cc[0]}{cc[1]}: {error}") from error
    return bytes(cubin)

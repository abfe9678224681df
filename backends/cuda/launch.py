"""Launching Numba's kernels: compiled once, kept on disk, started through CuPy.

CuPy's launcher takes a few microseconds where Numba's own takes tens on CuPy's arrays, uses CuPy's current stream, and
can be captured in a CUDA graph. A kernel is compiled to PTX at its first launch, linked to machine code for the card
(a driver refuses PTX that is newer than itself), and kept in the cache folder of `cpu/cache.py`. Where CuPy cannot
load the one or the other, Numba's own launcher starts it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import cache_dir
from autograd_core.backends.cuda import numba_cuda
from autograd_core.backends.cuda.graphs import current

Array = Any
Factory = Callable[..., Any]
Signature = tuple[str, ...]

_NUMBERS = {int: "q", float: "d", np.float32: "f", np.float64: "d", np.uint32: "I", np.uint64: "Q"}
_TABLES_KEPT = 64


class Unusable(RuntimeError):
    """A kernel can be neither compiled nor loaded here: the message says why."""


class PointerTable:
    """Arrays of one dtype; the kernel gets a table of their addresses."""

    __slots__ = ("arrays", "char")

    def __init__(self, arrays: list[Array]) -> None:
        self.arrays, self.char = arrays, arrays[0].dtype.char


def signature_of(arguments: tuple[Any, ...]) -> Signature:
    """The types of a kernel's arguments: a character of a number, `f*` of an array, `f**` of a table of arrays."""
    found = []
    for a in arguments:
        number = _NUMBERS.get(type(a))
        if number is not None:
            found.append(number)
        else:
            found.append(a.char + "**" if type(a) is PointerTable else a.dtype.char + "*")
    return tuple(found)


class Launcher:
    """Compiles, loads and starts kernels on CuPy's current device, of compute capability `cc`, and current stream.

    `launcher(factory, constants, grid, block, *arguments)` starts `grid` blocks of `block` threads of the kernel
    `factory(cuda, *constants)`. Arrays must be C-contiguous; int and float arguments reach the kernel as int64 and
    float64. `launches` counts. Raises `Unusable` at the first launch of a kernel that cannot be compiled or loaded.
    """

    def __init__(self, cupy: Any, cc: tuple[int, int]) -> None:
        self.cupy, self.cc = cupy, cc
        self.launches = 0
        self._started: dict[Any, Callable[..., None]] = {}
        self._tables: dict[tuple[int, ...], Array] = {}

    def __call__(self, factory: Factory, constants: tuple[Any, ...], grid: int, block: int, *arguments: Any) -> None:
        key = (factory, constants, signature_of(arguments))
        start = self._started.get(key)
        if start is None:
            start = self._started[key] = self._load(*key)
        self.launches += 1
        start((grid,), (block,), tuple([self._table(a) if type(a) is PointerTable else a for a in arguments]))

    def _table(self, table: PointerTable) -> Array:
        """The addresses as a device array; kept, since a training step asks for the same ones again."""
        if current.graph is not None:
            return current.graph.upload(np.array([x.data.ptr for x in table.arrays], np.uint64))
        # By stream, too: on another one the copy may not have arrived.
        addresses = (self.cupy.cuda.get_current_stream().ptr, *[x.data.ptr for x in table.arrays])
        found = self._tables.get(addresses)
        if found is None:
            if len(self._tables) >= _TABLES_KEPT:
                del self._tables[next(iter(self._tables))]
            found = self._tables[addresses] = self.cupy.asarray(np.array(addresses[1:], np.uint64))
        return found

    def _load(self, factory: Factory, constants: tuple[Any, ...], signature: Signature) -> Callable[..., None]:
        problems = []
        for build in (self._cubin, self._ptx):
            path = kept_path(factory, constants, signature, self.cc, build.__name__[1:])
            # A file that is there may be broken, or of another driver's day: then once more, from the source.
            for _ in range(1 + path.exists()):
                try:
                    if not path.exists():
                        keep(path, build(factory, constants, signature))
                    function = self.cupy.RawModule(path=str(path)).get_function(factory.__name__)
                    function.kernel  # noqa: B018 - loads it, so that what is wrong shows here
                    return function
                except Exception as error:  # CuPy's, the driver's, Numba's, the linker's: each has its own classes.
                    problems.append(f"{build.__name__[1:]}: {type(error).__name__}: {error}")
                    path.unlink(missing_ok=True)
        try:
            return self._through_numba(factory, constants, signature)
        except Exception as error:
            problems.append(f"Numba's launcher: {type(error).__name__}: {error}")
        raise Unusable(f"{factory.__name__} for sm_{self.cc[0]}{self.cc[1]}: {'; '.join(dict.fromkeys(problems))}")

    def _ptx(self, factory: Factory, constants: tuple[Any, ...], signature: Signature) -> bytes:
        return numba_cuda.compile_ptx(factory, constants, signature, self.cc)

    def _cubin(self, factory: Factory, constants: tuple[Any, ...], signature: Signature) -> bytes:
        return numba_cuda.link_cubin(self._ptx(factory, constants, signature), self.cc)

    def _through_numba(self, factory: Factory, constants: tuple[Any, ...], signature: Signature) -> Callable[..., None]:
        launch = numba_cuda.numba_launcher(factory, constants, signature)

        def start(grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
            plain = tuple([a if type(a) in _NUMBERS else a.data.ptr for a in arguments])
            launch(grid[0], block[0], plain, self.cupy.cuda.get_current_stream().ptr)

        return start


# -- on disk ----------------------------------------------------------------------------------------------------------


def kept_path(
    factory: Factory, constants: tuple[Any, ...], signature: Signature, cc: tuple[int, int], kind: str
) -> Path:
    """Where the compiled kernel is kept: the name stands for all that it was made of."""
    made_of = (
        factory.__module__, factory.__name__, getattr(factory, "source", ""), _sources(),
        tuple(getattr(c, "__name__", repr(c)) for c in constants), signature, cc, numba_cuda.version(),
    )  # fmt: skip
    name = hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]
    return cache_dir() / "cuda" / f"{factory.__name__}-{name}.{kind}"


@cache
def _sources() -> str:
    """A hash of the files that kernels are made of."""
    here = Path(__file__).parent
    files = [*sorted((here / "kernels").glob("*.py")), *sorted(here.parent.glob("*.py")), here / "numba_cuda.py"]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def keep(path: Path, code: bytes) -> None:
    """Write the file in one move, so that another process never reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(code)
    os.replace(temporary, path)

"""Elementwise kernels of more than one operation, made from the scalar functions that the CPU's are made from
(`backends/scalars.py`): one pass over memory."""

from __future__ import annotations

import hashlib
import linecache
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from autograd_core.backends import scalars
from autograd_core.backends.cpu.lifted import KERNELS as LIFTED
from autograd_core.backends.cpu.lifted import arguments_of
from autograd_core.backends.cuda.kernels.blocks import real_of, spread
from autograd_core.backends.lifting import Body

Array = Any

LIBRARY = {
    **{name: f"math.{name}({{}})" for name in ("erf", "exp", "expm1", "isnan", "log", "log1p", "sqrt", "tanh")},
    "abs": "abs({})",
    **scalars.FUNCTIONS,
}
# What CuPy does in one kernel of its own.
_ONE_PASS = {"relu"}


def map_source(name: str, arrays: int, dtype: str) -> str:
    """The source of a kernel that applies scalar function `name` to the elements of flat arrays."""
    arguments = arguments_of(name)
    elements, numbers = arguments[:arrays], arguments[arrays:]
    body = Body(dtype, LIBRARY)
    result = body.call(name, [f"{a}_i" for a in elements] + numbers)
    lines = [
        *body.define_constants(), "", "",
        f"def {name}_map(cuda):",
        f"    def body({', '.join(['out', *elements, 'n', *numbers])}):",
        "        i, step = cuda.grid(1), cuda.gridsize(1)",
        "        while i < n:",
        *[f"            {a}_i = {dtype}({a}[i])" for a in elements],
        *[f"            {line}" for line in body.lines],
        f"            out[i] = {result}",
        "            i += step", "",
        "    return body",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


@cache
def map_kernel(name: str, arrays: int, dtype: str) -> Callable[..., Any]:
    """The kernel of `map_source`; `.source` is that text."""
    return define(f"{name}_map", map_source(name, arrays, dtype))


@cache
def define(name: str, source: str) -> Callable[..., Any]:
    """The kernel called `name` that the text `source` defines; the same one for the same text."""
    file = f"<{name} {hashlib.sha256(source.encode()).hexdigest()[:12]}>"
    # So that whoever asks for its lines (Numba's errors, the tests' interpreter) finds them.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {
        "__name__": __name__, "math": math, "float32": np.float32, "float64": np.float64, "inf": math.inf,
    }  # fmt: skip
    exec(compile(source, file, "exec"), namespace)
    kernel: Callable[..., Any] = namespace[name]
    kernel.source = source  # type: ignore[attr-defined]
    return kernel


# -- the host's side --------------------------------------------------------------------------------------------------


def _mapped(name: str, count: int) -> Callable[..., Any]:
    def call(gpu: Any, portable: Any, x: Array, *rest: Any) -> Array:
        arrays, numbers = (x, *rest[: count - 1]), rest[count - 1 :]
        real = real_of(*arrays)
        if real is None or not x.size or any(a.shape != x.shape or a.dtype != x.dtype for a in arrays):
            return portable(x, *rest)
        out = gpu.empty(x.shape, x.dtype)
        kernel = map_kernel(name, count, real.__name__)
        gpu.launch(kernel, (), *spread(x.size), out, *map(gpu.contiguous, arrays), x.size, *map(real, numbers))
        return out

    call.__name__ = name
    return call


KERNELS = tuple(_mapped(name, arrays) for name, arrays in LIFTED.items() if name not in _ONE_PASS)

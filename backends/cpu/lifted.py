"""Elementwise kernels made from the scalar functions in `backends/scalars.py`, each in two forms.

- A *ufunc*, built by Numba: costs a call what NumPy's own do (0.25 us), broadcasts, takes strides, and does in one pass
  what NumPy's operators do in several (`g * (1 - y * y)` on 64 elements: 0.3 us against 0.75 us).
- A *loop* over flat arrays of one shape, from `LOOP_FROM` elements on: vector instructions (see `vector_math.py`), and
  all threads from `PARALLEL_FROM` on. GELU of a million float32: 0.6 ms against 17 ms for the ufunc of the C library's
  erf; ReLU's derivative 0.13 ms against 4.7 ms for `np.where`.

Both are compiled at first use, kept on disk, never made at import. float16 goes to the portable bodies.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from autograd_core.backends import scalars
from autograd_core.backends.cpu import generated
from autograd_core.backends.cpu.cache import LOOP_FROM, PARALLEL_FROM, compile_ufunc, kernel
from autograd_core.backends.cpu.vector_math import LIBRARY
from autograd_core.backends.lifting import Body

Array = Any

_SINGLE = np.dtype(np.float32)

# Kernel -> how many of its arguments are arrays; the others are numbers.
KERNELS = {
    "tanh_backward": 2, "sigmoid": 1, "sigmoid_backward": 2, "relu": 1, "relu_backward": 2,
    "leaky_relu": 1, "leaky_relu_backward": 2, "elu": 1, "elu_backward": 2, "softplus": 1, "softplus_backward": 2,
    "erf": 1, "gelu": 1, "gelu_backward": 2, "gelu_tanh": 1, "gelu_tanh_backward": 2, "silu": 1, "silu_backward": 2,
    "hardtanh": 1, "hardtanh_backward": 2, "clamp": 1, "clamp_backward": 2, "dropout": 2, "rsqrt": 1, "sign": 1,
    "huber": 1, "smooth_l1": 1, "logaddexp": 2, "logit_loss": 2,
}  # fmt: skip
# Where NumPy's own ufunc (erfinv: the portable body) serves until an array is worth several threads.
PARALLEL_ONLY = ("exp", "tanh", "erfinv")


def arguments_of(name: str) -> list[str]:
    """The names of the arguments of kernel `name`."""
    function = scalars.FUNCTIONS.get(name)
    return list(inspect.signature(function).parameters) if function else ["x"]


# Bodies may become LLVM's fused multiply-adds; everything else of `fastmath` would change NaN or infinity.
_FLAGS = {"contract"}


def _body(name: str, arguments: list[str], dtype: str) -> tuple[Body, str]:
    body = Body(dtype, {**LIBRARY[dtype], **scalars.FUNCTIONS})
    return body, body.call(name, arguments)


def ufunc_source(name: str, dtype: str) -> str:
    """The source of scalar function `name` of numbers of a dtype."""
    arguments = arguments_of(name)
    body, result = _body(name, arguments, dtype)
    lines = [*body.define_constants(), "", "", f"def scalar({', '.join(arguments)}):"]
    return "\n".join([*lines, *[f"    {line}" for line in body.lines], f"    return {result}\n"])


def loop_source(name: str, arrays: int, dtype: str) -> str:
    """The source of a loop that applies scalar function `name` to the elements of flat arrays."""
    arguments = arguments_of(name)
    elements, numbers = arguments[:arrays], arguments[arrays:]
    body, result = _body(name, [f"{a}_i" for a in elements] + [f"{a}_" for a in numbers], dtype)
    lines = [
        *body.define_constants(), "", "",
        f"def kernel({', '.join(arguments)}, out, worker, workers):",
        *[f"    {a}_ = {dtype}({a})" for a in numbers],
        "    n = out.size",
        "    for i in range(np.uint64(worker * n // workers), np.uint64((worker + 1) * n // workers)):",
        *[f"        {a}_i = {a}[i]" for a in elements],
        *[f"        {line}" for line in body.lines],
        f"        out[i] = {result}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


@cache
def ufunc(name: str, dtype: str) -> Any:
    """The ufunc of scalar function `name`."""
    function = generated.load(f"{name}_{dtype}", ufunc_source(name, dtype)).scalar
    return compile_ufunc(function, dtype, len(arguments_of(name)))


@cache
def loop(name: str, arrays: int, dtype: str) -> Any:
    """The compiled loop of `loop_source`, with `.serial` for one thread."""
    module = generated.load(f"{name}_{dtype}_loop", loop_source(name, arrays, dtype))
    return kernel(parallel=True, fastmath=_FLAGS)(module.kernel)


def install(backend: Any) -> None:
    """Make these the kernels of `backend`."""
    for name, arrays in KERNELS.items():
        portable = getattr(type(backend), name).__get__(backend)
        setattr(backend, name, (_unary if arrays == 1 else _binary)(name, portable))
    for name in PARALLEL_ONLY:
        setattr(backend, name, _large_only(name, getattr(backend, name)))


def _unary(name: str, portable: Callable[..., Any]) -> Callable[..., Any]:
    ufuncs: dict[str, Any] = {}  # character of a dtype -> ufunc
    single: Any = None  # That of float32. Small arrays of it go first: 0.25 us in place of 0.35, the ufunc itself 0.17.

    def call(x: Array, *numbers: float) -> Array:
        nonlocal single
        if single is not None and x.dtype is _SINGLE and x.size < LOOP_FROM and not numbers:
            return single(x)
        if x.size >= LOOP_FROM and x.flags.c_contiguous and x.dtype.char in "fd":
            return _looped(name, x.dtype, (x,), numbers)
        run = ufuncs.get(x.dtype.char)
        if run is None:
            if x.dtype.char not in "fd":
                return portable(x, *numbers)
            run = ufuncs[x.dtype.char] = ufunc(name, x.dtype.name)
            single = ufuncs.get("f")
        return run(x, *[x.dtype.type(n) for n in numbers]) if numbers else run(x)

    call.__name__ = name
    return call


def _binary(name: str, portable: Callable[..., Any]) -> Callable[..., Any]:
    ufuncs: dict[str, Any] = {}
    single: Any = None

    def call(x: Array, y: Array, *numbers: float) -> Array:
        nonlocal single
        if single is not None and x.dtype is _SINGLE and x.size < LOOP_FROM and not numbers:
            try:
                return single(x, y)
            except TypeError:  # `y` is of another dtype. To ask beforehand takes 0.02 us.
                pass
        if x.dtype is not y.dtype:
            return portable(x, y, *numbers)
        if x.size >= LOOP_FROM and x.shape == y.shape and x.dtype.char in "fd" and y.flags.c_contiguous:
            if not any(x.strides):  # The gradient of a sum. BCE's softplus: 0.9 ms a million in place of 5.6.
                x = np.full(x.shape, x[(0,) * x.ndim], x.dtype)
            if x.flags.c_contiguous:
                return _looped(name, x.dtype, (x, y), numbers)
        run = ufuncs.get(x.dtype.char)
        if run is None:
            if x.dtype.char not in "fd":
                return portable(x, y, *numbers)
            run = ufuncs[x.dtype.char] = ufunc(name, x.dtype.name)
            single = ufuncs.get("f")
        return run(x, y, *[x.dtype.type(n) for n in numbers]) if numbers else run(x, y)

    call.__name__ = name
    return call


def _large_only(name: str, before: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Array) -> Array:
        if x.size < PARALLEL_FROM or x.dtype.char != "f" or not x.flags.c_contiguous:
            return before(x)
        return _looped(name, x.dtype, (x,), ())

    call.__name__ = name
    return call


def _looped(name: str, dtype: Any, arrays: tuple[Array, ...], numbers: tuple[float, ...]) -> Array:
    run = loop(name, len(arrays), generated.NAMES[dtype.char])
    out = np.empty(arrays[0].shape, dtype)
    flat = [x.reshape(-1) for x in arrays]
    (run if out.size >= PARALLEL_FROM else run.serial)(*flat, *numbers, out.reshape(-1))
    return out

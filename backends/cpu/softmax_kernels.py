"""Softmax, its logarithm and cross-entropy over rows, with the vectorised exponential of `vector_math.py`.

The sources are made here, since a kernel that Numba keeps on disk must hold all it needs. Only a row's sum may be
reordered (`plus`), so that it vectorises: leave for the whole kernel would also touch the exponential's careful
subtraction. Softmax of 3072 x 64 takes a third of the time of NumPy's passes.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from autograd_core.backends.cpu import generated
from autograd_core.backends.cpu.cache import kernel
from autograd_core.backends.cpu.vector_math import LIBRARY
from autograd_core.backends.lifting import Body

Array = Any
_PARALLEL_FROM = 1 << 14

# Of the largest number of a row. Comparing the bits as integers needs no leave to ignore NaN, and vectorises; a NaN
# that gets lost here is found again by the exponential.
_LARGEST = {
    "float32": """
        best = np.int32(-2147483648)
        for j in range(columns):
            key = bits(xr[j])
            key = np.int32(key ^ ((key >> np.int32(31)) & np.int32(2147483647)))
            best = max(best, key)
        top = from_bits(np.int32(best ^ ((best >> np.int32(31)) & np.int32(2147483647))))
""",
    "float64": """
        top = xr[0]
        for j in range(columns):
            top = xr[j] if xr[j] > top else top
""",
}
_HEADS = {
    "softmax": "x, columns, out",
    "log_softmax": "x, columns, out",
    "softmax_backward": "g, y, columns, out",
    "log_softmax_backward": "g, y, columns, out",
    "cross_entropy": "x, columns, target, ignored, losses, logsum",
    "cross_entropy_backward": "x, columns, target, ignored, logsum, share, out",
}


def _sum(term: str, name: str = "total") -> str:
    """`name` becomes the sum of `term` (in j) over the row."""
    return _indented([f"{name} = zero", "for j in range(columns):", f"    {name} = plus({name}, {term})"])


def _indented(lines: list[str], depth: int = 2) -> str:
    return "".join("    " * depth + line + "\n" for line in lines)


def source(name: str, dtype: str) -> str:
    """The source of kernel `name`: flat arrays of rows of `columns` numbers."""
    body = Body(dtype, LIBRARY[dtype])

    def map_row(function: str, argument: str, target: str, value: str = "{}") -> str:
        """`target` becomes `value` of `function` of `argument`, for each j of the row."""
        body.lines, body._known = [], {}
        result = body.call(function, ["v"])
        lines = [f"v = {argument}", *body.lines, f"{target} = {value.format(result)}"]
        return _indented(["for j in range(columns):"]) + _indented(lines, 3)

    def logarithm(argument: str, target: str) -> str:
        body.lines, body._known = [], {}
        result = body.call("log", ["v"])
        return _indented([f"v = {argument}", *body.lines, f"{target} = {result}"])

    if name == "softmax":
        parts = [
            _LARGEST[dtype], map_row("exp", "xr[j] - top", "outr[j]"), _sum("outr[j]"),
            _indented(["scale = one / total", "for j in range(columns):", "    outr[j] *= scale"]),
        ]  # fmt: skip
    elif name == "log_softmax":
        parts = [
            _LARGEST[dtype], map_row("exp", "xr[j] - top", "outr[j]"), _sum("outr[j]"), logarithm("total", "shift"),
            _indented(["for j in range(columns):", "    outr[j] = xr[j] - top - shift"]),
        ]  # fmt: skip
    elif name == "softmax_backward":
        parts = [
            _sum("gr[j] * yr[j]"),
            _indented(["for j in range(columns):", "    outr[j] = yr[j] * (gr[j] - total)"]),
        ]
    elif name == "log_softmax_backward":
        parts = [_sum("gr[j]"), map_row("exp", "yr[j]", "outr[j]", "gr[j] - {} * total")]
    elif name == "cross_entropy":
        row = map_row("exp", "xr[j] - top", "e[j]")
        parts = [
            _LARGEST[dtype], row,
            _sum("e[j]"),
            logarithm("total", "shift"),
            _indented([
                "logsum[r] = top + shift", "t = target[r]",
                "losses[r] = zero if t == ignored else logsum[r] - xr[t]",
            ]),
        ]  # fmt: skip
    else:
        assert name == "cross_entropy_backward"
        parts = [
            _indented(["t = target[r]", "rate = zero if t == ignored else share", "ls = logsum[r]"]),
            map_row("exp", "xr[j] - ls", "outr[j]", "{} * rate"),
            _indented(["if t != ignored:", "    outr[t] -= rate"]),
        ]  # fmt: skip
    rows = {"cross_entropy": "target.size", "cross_entropy_backward": "target.size"}.get(name, "out.size // columns")
    head = f"def kernel({_HEADS[name]}, worker, workers):\n    zero, one = {dtype}(0), {dtype}(1)\n"
    if name == "cross_entropy":
        head += "    e = np.empty(columns, x.dtype)\n"
    if "share" in _HEADS[name]:
        head += f"    share = {dtype}(share)\n"
    # Slices of rows: an index that counts from 0 needs no test for Python's negative ones, which keeps loops from
    # vectorising.
    flat = [a for a in ("x", "g", "y", "out") if a in _HEADS[name].split(", ")]
    loop = f"    rows = {rows}\n"
    loop += "    for r in range(worker * rows // workers, (worker + 1) * rows // workers):\n"
    loop += _indented([f"{a}r = {a}[r * columns : (r + 1) * columns]" for a in flat])
    return "\n".join([*body.define_constants(), "", "", head]) + loop + "".join(part.lstrip("\n") for part in parts)


@cache
def _kernel(name: str, dtype: str) -> Any:
    module = generated.load(f"{name}_{dtype}_rows", source(name, dtype))
    return kernel(parallel=True, fastmath={"contract"})(module.kernel)


def _run(name: str, like: Array, *args: Any) -> None:
    compiled = _kernel(name, generated.NAMES[like.dtype.char])
    (compiled if like.size >= _PARALLEL_FROM else compiled.serial)(*args)


def usable(axis: int, *arrays: Array) -> bool:
    """Whether the kernels can take these: float32 or float64, rows along the last axis, not empty."""
    x = arrays[0]
    return x.dtype.char in "fd" and axis == x.ndim - 1 and x.size > 0 and all(a.dtype is x.dtype for a in arrays)


def _flat(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1)


def rowwise(name: str, *arrays: Array) -> Array:
    """Kernel `name` (softmax and its kin) of equally shaped arrays along the last axis."""
    x = arrays[0]
    out = np.empty(x.shape, x.dtype)
    _run(name, x, *[_flat(a) for a in arrays], x.shape[-1], out.reshape(-1))
    return out


def cross_entropy(x: Array, target: Array, ignored: int) -> tuple[Array, Array, Array]:
    """Mean loss, logsumexp of each row and the number of rows counted; targets must be in range."""
    flat = np.ascontiguousarray(target)
    losses, logsum = np.empty(x.shape[0], x.dtype), np.empty(x.shape[0], x.dtype)
    _run("cross_entropy", x, _flat(x), x.shape[1], flat, ignored, losses, logsum)
    count = np.count_nonzero(flat != ignored)
    loss = float(np.add.reduce(losses, dtype=np.float64)) / count if count else math.nan
    return np.array(loss, x.dtype), logsum, np.array(count, x.dtype)


def cross_entropy_backward(g: Array, x: Array, target: Array, logsum: Array, count: Array, ignored: int) -> Array:
    out = np.empty(x.shape, x.dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = g / count
    flat = np.ascontiguousarray(target)
    _run("cross_entropy_backward", x, _flat(x), x.shape[1], flat, ignored, _flat(logsum), float(share), out.reshape(-1))
    return out

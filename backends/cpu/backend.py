"""The CPU backend: NumPy arrays.

Small calls decide the cost of a small network, so the commonest kernels are NumPy's own ufuncs, set as
instance attributes: `backend.add(x, y)` then goes straight into C (0.25 us; a method around it 0.35 us).
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from autograd_core.backends.base import Array, Backend
from autograd_core.backends.cpu import half_kernels
from autograd_core.backends.cpu.cache import kernels_enabled
from autograd_core.backends.cpu.memory import keep_freed_memory
from autograd_core.backends.cpu.neural import CpuNeuralKernels
from autograd_core.backends.cpu.products import ONE_THREAD, dot
from autograd_core.backends.cpu.selection import within
from autograd_core.backends.cpu.sums import SMALLEST, block_sums, row_products

# IEEE infinities and NaNs are results, not accidents: NumPy's warnings about them stay off for our own calls.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"autograd_core(\.|$)")

_UFUNCS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "floor_divide": np.floor_divide,
    "remainder": np.remainder, "fmod": np.fmod, "pow": np.power, "atan2": np.arctan2,
    "maximum": np.maximum, "minimum": np.minimum, "neg": np.negative, "abs": np.absolute,
    "square": np.square, "sqrt": np.sqrt, "exp": np.exp, "expm1": np.expm1, "log": np.log,
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
    "logical_not": np.logical_not, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor, "bitwise_not": np.invert,
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
}  # fmt: skip

_add_reduce: Any = np.add.reduce
_max_reduce: Any = np.maximum.reduce
_min_reduce: Any = np.minimum.reduce
_or_reduce: Any = np.logical_or.reduce
_and_reduce: Any = np.logical_and.reduce
# Few numbers are summed by a product with ones: 0.3 us where `np.add.reduce` takes 0.7.
_FEW = 256
_ONES = {ones.dtype: [ones[:n] for n in range(_FEW + 1)] for ones in (np.ones(_FEW, "f"), np.ones(_FEW))}
_ndarray = np.ndarray
_empty = np.empty


@lru_cache(64)
def _coordinates(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """For each axis its coordinates, such that all of them broadcast to the shape."""
    return tuple(np.arange(n).reshape((n,) + (1,) * (len(shape) - 1 - axis)) for axis, n in enumerate(shape))


class CpuBackend(CpuNeuralKernels, Backend):
    """NumPy arrays in host memory."""

    name = "cpu"
    xp: Any = np
    array_type = np.ndarray

    def __init__(self, index: int = 0) -> None:
        super().__init__(index)
        keep_freed_memory()
        for name, ufunc in _UFUNCS.items():
            setattr(self, name, ufunc)
        self.can_fuse = kernels_enabled()
        if self.can_fuse:
            from autograd_core.backends.cpu import (
                division_kernels,
                index_kernels,
                lifted,
                neural,
                optimizers,
                order_kernels,
                philox_kernels,
                selection,
            )

            for kernels in (
                lifted, optimizers, philox_kernels, neural, selection, index_kernels, order_kernels, division_kernels,
            ):  # fmt: skip
                kernels.install(self)

    def describe(self) -> str:
        import platform

        return platform.processor() or platform.machine()

    def fuse(self, steps: Any, inputs: Any, outputs: Any, into: Any) -> Any:
        from autograd_core.backends.cpu import fused

        return fused.fuse(steps, inputs, outputs, into)

    # -- memory -----------------------------------------------------------------------------------------

    def from_host(self, host: Array) -> Array:
        return np.array(host)

    def to_host(self, x: Array) -> Array:
        return x

    def as_array(self, x: Array) -> Array:
        return x if x.__class__ is _ndarray else np.asarray(x)

    def storage_key(self, x: Array) -> Array:
        base = x.base
        return base if base.__class__ is _ndarray else x

    def clone(self, x: Array) -> Array:
        return x.copy() if x.__class__ is _ndarray else np.array(x)

    def cast(self, x: Array, dtype: Any, source: Any = None) -> Array:
        if dtype.kind in "iu" and x.dtype.kind == "f" and x.ndim and x.dtype.itemsize < 8 and dtype.itemsize == 1:
            return x.astype(np.int64).astype(dtype)  # Wraps as PyTorch does, where a direct cast is undefined.
        found = half_kernels.cast(x, dtype) if self.can_fuse else None
        return x.astype(dtype) if found is None else found

    def address(self, x: Array) -> int:
        return int(x.ctypes.data)

    def pow_number(self, x: Array, exponent: float) -> Array:
        if exponent % 1 == 0 and exponent not in (3, -1, -2):
            # NumPy's vectorised power leaves negative bases to the C library: 48 ms a million, of their sizes 1.2.
            power = np.power(np.absolute(x), exponent)
            return np.copysign(power, x) if exponent % 2 else power
        return super().pow_number(x, exponent)

    # -- where NumPy's own function has Python in its way -----------------------------------------------

    def as_strided(self, x: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
        itemsize = x.dtype.itemsize
        x = np.ascontiguousarray(x)
        return self._strided(x, shape, tuple(stride * itemsize for stride in strides), offset * itemsize)

    def _strided(self, x: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Array:
        """A view by strides and offset in bytes. NumPy's own functions hide the owner, by which views are known."""
        if x.flags.c_contiguous:
            return np.ndarray(shape, x.dtype, x, offset, strides)
        owner = self.storage_key(x)
        if not owner.flags.c_contiguous:  # Memory in another order of the axes, which a buffer may not be.
            owner = owner.transpose(sorted(range(owner.ndim), key=lambda axis: -owner.strides[axis]))
        return np.ndarray(shape, x.dtype, owner, offset + self.address(x) - self.address(owner), strides)

    def unfold(self, x: Array, axis: int, size: int, step: int) -> Array:
        shape, strides = list(x.shape), list(x.strides)
        shape[axis] = (shape[axis] - size) // step + 1
        strides[axis] *= step
        return self._strided(x, (*shape, size), (*strides, x.strides[axis]))

    def slice(self, x: Array, index: tuple[Any, ...]) -> Array:
        view = x[index]
        # An index of ints alone gives a scalar, which is no view: Ellipsis makes it one.
        return view if view.__class__ is _ndarray else x[(*index, ...)]

    def sum(self, x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array:
        if axes is None and not keepdims:
            dtype = x.dtype
            ones = _ONES.get(dtype)
            if ones is not None:
                n = x.size
                if n <= _FEW:
                    out = _empty((), dtype)  # Without it the result is a scalar, of which `as_array` makes an array.
                    x.ravel().dot(ones[n], out)
                    return out
                if n < SMALLEST and x.flags.c_contiguous:
                    return _add_reduce(x.reshape(-1))  # One axis reduces in half the time of several.
        if x.dtype.char == "e":
            return np.asarray(_add_reduce(x, axes, np.float32, None, keepdims)).astype(x.dtype)
        found = block_sums(x, axes, keepdims) if x.size >= SMALLEST and self.can_fuse else None
        return _add_reduce(x, axes, None, None, keepdims) if found is None else found

    def mean(self, x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array:
        if x.dtype.char not in "fd" or not x.size:
            return super().mean(x, axes, keepdims)
        total = self.sum(x, axes, keepdims)
        return total / (x.size // total.size)

    def prod(self, x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array:
        found = row_products(x, axes, keepdims) if self.can_fuse else None
        # What is beyond all numbers, or 0, may be so only in this order.
        if found is None or not (np.isfinite(found) & (found != 0)).all():
            return super().prod(x, axes, keepdims)
        return found

    def amax(self, x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array:
        return _max_reduce(x, axes, None, None, keepdims)

    def amin(self, x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array:
        return _min_reduce(x, axes, None, None, keepdims)

    def any(self, x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array:
        return _or_reduce(x, axes, None, None, keepdims)

    def all(self, x: Array, axes: tuple[int, ...] | None, keepdims: bool) -> Array:
        return _and_reduce(x, axes, None, None, keepdims)

    def argmax(self, x: Array, axis: int | None, keepdims: bool) -> Array:
        return x.argmax(axis, keepdims=keepdims)

    def argmin(self, x: Array, axis: int | None, keepdims: bool) -> Array:
        return x.argmin(axis, keepdims=keepdims)

    def argsort(self, x: Array, axis: int, descending: bool) -> Array:
        if not descending:
            return x.argsort(axis, "stable")
        backwards = (slice(None),) * axis + (slice(None, None, -1),)
        return x.shape[axis] - 1 - x[backwards].argsort(axis, "stable")[backwards]

    def check_range(self, index: Array, low: int, high: int, error: type[Exception], message: str) -> None:
        if low or not within(index, high):
            super().check_range(index, low, high, error, message)

    def _check_range(self, operation: str, index: Array, n: int, ignored: int | None) -> None:
        if not within(index, n):
            super()._check_range(operation, index, n, ignored)

    def _along(self, index: Array, axis: int) -> tuple[Array, ...]:
        if not index.ndim:
            return ()
        around = _coordinates(index.shape)
        return (*around[:axis], index, *around[axis + 1 :])

    def expand(self, x: Array, shape: tuple[int, ...]) -> Array:
        if x.ndim == 0:
            return _ndarray(shape, x.dtype, x if x.__class__ is _ndarray else np.asarray(x), 0, (0,) * len(shape))
        lead = len(shape) - x.ndim
        stretched = [0 if m == 1 and n != 1 else s for m, n, s in zip(x.shape, shape[lead:], x.strides)]
        return self._strided(x, shape, (0,) * lead + tuple(stretched))

    def stretch(self, x: Array, shape: tuple[int, ...]) -> Array:
        if x.ndim or math.prod(shape) > _FEW:
            return self.expand(x, shape)
        out = _empty(shape, x.dtype)  # 0.2 us; the view takes as long, and what reads it 0.2 to 0.5 more.
        out.fill(x)
        return out

    def diagonal(self, x: Array, offset: int, axis1: int, axis2: int) -> Array:
        view = np.diagonal(x, offset, axis1, axis2)
        if x.flags.writeable:
            view.flags.writeable = True  # NumPy's is read-only; ours is a view like any other.
        return view

    def full(self, shape: tuple[int, ...], value: Any, dtype: Any) -> Array:
        out = np.empty(shape, dtype)
        np.copyto(out, value, "unsafe")
        return out

    def fill(self, x: Array, value: Any) -> Array:
        return self.full(x.shape, value, x.dtype)

    def searchsorted(self, edges: Array, x: Array, right: bool) -> Array:
        if edges.ndim != 1 or not edges.size or edges[-1] != edges[-1] or edges.dtype != x.dtype:
            return super().searchsorted(edges, x, right)
        return np.asarray(edges.searchsorted(x, "right" if right else "left"))

    def tril(self, x: Array, k: int) -> Array:
        return self.where(np.tri(x.shape[-2], x.shape[-1], k, dtype=np.bool_), x, np.zeros((), x.dtype))

    def triu(self, x: Array, k: int) -> Array:
        return self.where(np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=np.bool_), np.zeros((), x.dtype), x)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return np.zeros(shape, dtype)

    def ones(self, shape: tuple[int, ...], dtype: Any) -> Array:
        out = np.empty(shape, dtype)  # `np.ones` is Python, and takes four times as long.
        out.fill(1)
        return out

    def slice_backward(self, g: Array, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
        out = np.zeros(shape, g.dtype)
        out[index] = g
        return out

    def matmul(self, x: Array, y: Array) -> Array:
        if x.ndim == 2 == y.ndim:  # `ndarray.dot` costs half of `matmul` on small matrices.
            return x.dot(y) if x.size * y.size <= ONE_THREAD else dot(x, y)
        return np.matmul(x, y)

    def matmul_nt(self, x: Array, y: Array) -> Array:
        if x.ndim == 2 == y.ndim and x.size * y.size <= ONE_THREAD:
            return x.dot(y.T)
        return self.matmul(x, y.T if y.ndim == 2 else np.swapaxes(y, -1, -2))

    def matmul_tn(self, x: Array, y: Array) -> Array:
        if x.ndim == 2 == y.ndim and x.size * y.size <= ONE_THREAD:
            return x.T.dot(y)
        return self.matmul(x.T if x.ndim == 2 else np.swapaxes(x, -1, -2), y)

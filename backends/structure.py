"""Structural kernels: shapes, indexing, reductions, sorting and products, in terms of an array namespace."""

from __future__ import annotations

import math
from typing import Any

Array = Any
Axes = tuple[int, ...]
Shape = tuple[int, ...]


def _is_half(x: Array) -> bool:
    """Whether `x` is float16, whose sums and products are computed in float32."""
    return x.dtype.kind == "f" and x.dtype.itemsize == 2


class StructureKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any
    clone: Any
    storage_key: Any

    # -- shape ------------------------------------------------------------------------------------------

    def reshape(self, x: Array, shape: Shape) -> Array:
        """`x` with another shape: a view where the strides allow it, else a copy."""
        return x.reshape(shape)

    def permute(self, x: Array, axes: Axes) -> Array:
        return x.transpose(axes)

    def expand(self, x: Array, shape: Shape) -> Array:
        """A view of `x` broadcast to `shape` (strides of 0)."""
        return self.xp.broadcast_to(x, shape)

    def stretch(self, x: Array, shape: Shape) -> Array:
        """What `expand` gives, for reading only: no view where an array of its own is quicker."""
        return self.expand(x, shape)

    def slice(self, x: Array, index: tuple[Any, ...]) -> Array:
        """A view by basic indexing: ints, slices, None and Ellipsis."""
        return x[index]

    def slice_backward(self, g: Array, shape: Shape, index: tuple[Any, ...]) -> Array:
        """Zeros of `shape` with `g` at the basic `index`."""
        out = self.xp.zeros(shape, g.dtype)
        out[index] = g
        return out

    def diagonal(self, x: Array, offset: int, axis1: int, axis2: int) -> Array:
        return self.xp.diagonal(x, offset, axis1, axis2)

    def as_strided(self, x: Array, shape: Shape, strides: Shape, offset: int) -> Array:
        """The elements of `x`, counted in row-major order, by strides and an offset; a view if `x` is contiguous."""
        steps = tuple(stride * x.dtype.itemsize for stride in strides)
        return self.xp.lib.stride_tricks.as_strided(x.reshape(-1)[offset:], shape, steps)

    def as_strided_backward(self, g: Array, full: Shape, shape: Shape, strides: Shape, offset: int) -> Array:
        """Zeros of the shape `full` with every element of `g` added where `as_strided` took it from."""
        n = math.prod(full)
        out = self.xp.zeros((n,), g.dtype)
        places = self.as_strided(self.xp.arange(n), shape, strides, offset)
        self.add_at(out, places.reshape(-1), g.reshape(-1))
        return out.reshape(full)

    def unfold(self, x: Array, axis: int, size: int, step: int) -> Array:
        """Windows of `size` along `axis`, every `step`, as a new last axis (a view)."""
        windows = self.xp.lib.stride_tricks.sliding_window_view(x, size, axis, writeable=True)
        index = [slice(None)] * windows.ndim
        index[axis] = slice(None, None, step)
        return windows[tuple(index)]

    def unfold_backward(self, g: Array, shape: Shape, axis: int, size: int, step: int) -> Array:
        """Zeros of `shape` with every window of `g` added where `unfold` took it from."""
        out = self.xp.zeros(shape, g.dtype)
        moved = self.xp.moveaxis(out, axis, -1)
        windows = self.xp.moveaxis(g, axis, -2)
        for i in range(windows.shape[-2]):
            moved[..., i * step : i * step + size] += windows[..., i, :]
        return out

    def flip(self, x: Array, axes: Axes) -> Array:
        return self.xp.flip(x, axes)

    def roll(self, x: Array, shifts: tuple[int, ...], axes: Axes) -> Array:
        return self.xp.roll(x, shifts, axes)

    def cat(self, arrays: tuple[Array, ...], axis: int) -> Array:
        return self.xp.concatenate(arrays, axis)

    def tril(self, x: Array, k: int) -> Array:
        return self.xp.tril(x, k)

    def triu(self, x: Array, k: int) -> Array:
        return self.xp.triu(x, k)

    # -- indexing ---------------------------------------------------------------------------------------

    def index(self, x: Array, indices: tuple[Any, ...]) -> Array:
        """Advanced indexing: `indices` may hold integer and boolean arrays beside slices, None and ints."""
        return x[indices]

    def index_backward(self, g: Array, shape: Shape, indices: tuple[Any, ...]) -> Array:
        """Zeros of `shape` with `g` added at `indices`, in order of their elements."""
        out = self.xp.zeros(shape, g.dtype)
        self.add_at(out, indices, g)
        return out

    def replace(self, x: Array, source: Array) -> Array:
        """`source` broadcast and cast to `x`: what `x` becomes when `source` is copied into it."""
        return self.xp.broadcast_to(source, x.shape).astype(x.dtype)

    def set_index_(self, x: Array, value: Array, indices: tuple[Any, ...]) -> Array:
        """Write `value` at `indices` of `x`."""
        x[indices] = value
        return x

    def gather_backward(self, g: Array, index: Array, shape: Shape, axis: int) -> Array:
        out = self.xp.zeros(shape, g.dtype)
        self.add_at(out, self._along(index, axis), g)
        return out

    def index_put(self, x: Array, value: Array, indices: tuple[Any, ...], accumulate: bool) -> Array:
        """A copy of `x` with `value` written (or added, in a fixed order) at `indices`."""
        out = self.clone(x)
        if accumulate:
            self.add_at(out, indices, value)
        else:
            out[indices] = value
        return out

    def add_at(self, x: Array, indices: Any, value: Array) -> None:
        if _is_half(x):  # Summed in float32, rounded once.
            wide = x.astype("float32")
            self.add_at(wide, indices, value.astype("float32"))
            x[...] = wide
        else:
            self.xp.add.at(x, indices, value)

    def gather(self, x: Array, index: Array, axis: int) -> Array:
        return x[self._along(index, axis)]

    def scatter(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        out = self.clone(x)
        out[self._along(index, axis)] = source
        return out

    def scatter_add(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        out = self.clone(x)
        self.add_at(out, self._along(index, axis), source)
        return out

    def _along(self, index: Array, axis: int) -> tuple[Array, ...]:
        """Index arrays that address element `index[i...]` along `axis` and `i` along every other axis."""
        coordinates = []
        for d, n in enumerate(index.shape):
            shape = [1] * index.ndim
            shape[d] = n
            coordinates.append(index if d == axis else self.xp.arange(n).reshape(shape))
        return tuple(coordinates)

    def nonzero(self, x: Array) -> Array:
        """Indices of the nonzero elements, one row each (synchronises: the shape depends on the data)."""
        return self.xp.stack(self.xp.nonzero(x), axis=1) if x.ndim else self.xp.zeros((int(bool(x)), 0), "int64")

    def view_scatter(self, x: Array, source: Array, chain: tuple[tuple[str, tuple[Any, ...]], ...]) -> Array:
        """A copy of `x` in which the view that `chain` of view kernels selects is replaced by `source`."""
        out = self.clone(x)
        view = self._follow(out, chain)
        if self.storage_key(view) is self.storage_key(out):
            view[...] = source
        else:  # In this order of memory a reshape on the way is a copy: write by the elements' places instead.
            places = self._follow(self.xp.arange(out.size).reshape(out.shape), chain)
            self.set_index_(
                out.reshape(-1), self.xp.broadcast_to(source, places.shape).reshape(-1), (places.reshape(-1),)
            )
        return out

    def _follow(self, x: Array, chain: tuple[tuple[str, tuple[Any, ...]], ...]) -> Array:
        for name, params in chain:
            x = getattr(self, name)(x, *params)
        return x

    # -- reductions -------------------------------------------------------------------------------------

    def sum(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        if _is_half(x):
            return self.xp.sum(x, axis=axes, keepdims=keepdims, dtype="float32").astype(x.dtype)
        return self.xp.sum(x, axis=axes, keepdims=keepdims)

    def mean(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        if _is_half(x):
            return self.xp.mean(x, axis=axes, keepdims=keepdims, dtype="float32").astype(x.dtype)
        return self.xp.mean(x, axis=axes, keepdims=keepdims)

    def prod(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        if _is_half(x):
            return self.xp.prod(x, axis=axes, keepdims=keepdims, dtype="float32").astype(x.dtype)
        return self.xp.prod(x, axis=axes, keepdims=keepdims)

    def norm2(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        """The Euclidean norm."""
        wide = x.astype("float32") if _is_half(x) else x
        norm = self.xp.sqrt(self.sum(self.xp.square(wide), axes, keepdims))
        return norm.astype(x.dtype) if wide is not x else norm

    def amax(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        return self.xp.amax(x, axis=axes, keepdims=keepdims)

    def amin(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        return self.xp.amin(x, axis=axes, keepdims=keepdims)

    def argmax(self, x: Array, axis: int | None, keepdims: bool) -> Array:
        return self.xp.argmax(x, axis=axis, keepdims=keepdims)

    def argmin(self, x: Array, axis: int | None, keepdims: bool) -> Array:
        return self.xp.argmin(x, axis=axis, keepdims=keepdims)

    def any(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        return self.xp.any(x, axis=axes, keepdims=keepdims)

    def all(self, x: Array, axes: Axes | None, keepdims: bool) -> Array:
        return self.xp.all(x, axis=axes, keepdims=keepdims)

    def cumsum(self, x: Array, axis: int) -> Array:
        return self.xp.cumsum(x, axis, dtype="float32").astype(x.dtype) if _is_half(x) else self.xp.cumsum(x, axis)

    def cumprod(self, x: Array, axis: int) -> Array:
        return self.xp.cumprod(x, axis, dtype="float32").astype(x.dtype) if _is_half(x) else self.xp.cumprod(x, axis)

    # -- sorting ----------------------------------------------------------------------------------------

    def argsort(self, x: Array, axis: int, descending: bool) -> Array:
        """Stable; NaN sorts as the greatest value."""
        if not descending:
            return self.xp.argsort(x, axis, kind="stable")
        # Reversing a stable ascending sort of the reversed array keeps equal elements in order.
        n = x.shape[axis]
        order = self.xp.argsort(self.xp.flip(x, axis), axis, kind="stable")
        return n - 1 - self.xp.flip(order, axis)

    def first_sorted(self, x: Array, axis: int, k: int, descending: bool) -> Array:
        """The first `k` of `argsort`."""
        first = (slice(None),) * axis + (slice(k),)
        return self.xp.ascontiguousarray(self.argsort(x, axis, descending)[first])

    def nth_sorted(self, x: Array, axis: int, n: int) -> Array:
        """What `argsort` has at place `n`, the axis kept as 1."""
        place = (slice(None),) * axis + (slice(n, n + 1),)
        return self.xp.ascontiguousarray(self.argsort(x, axis, False)[place])

    def median_place(self, x: Array, axis: int, skip_nan: bool) -> Array:
        """Where the lower median along `axis` stands, the axis kept as 1: a NaN wins, or (`skip_nan`) is left out."""
        xp, n = self.xp, x.shape[axis]
        order = self.argsort(x, axis, False)
        # NaN sorts last: the place of the median depends on how many numbers stand before.
        numbers = xp.sum(x == x, axis=axis, keepdims=True)
        middle = (xp.maximum(numbers, 1) - 1) // 2
        place = middle if skip_nan else xp.where(numbers < n, xp.minimum(numbers, n - 1), middle)
        return xp.take_along_axis(order, place, axis)

    # -- products ---------------------------------------------------------------------------------------

    def matmul(self, x: Array, y: Array) -> Array:
        return self.xp.matmul(x, y)

    def matmul_nt(self, x: Array, y: Array) -> Array:
        """`x` times the transpose of `y` (of the last two axes)."""
        return self.matmul(x, self.xp.swapaxes(y, -1, -2))

    def matmul_tn(self, x: Array, y: Array) -> Array:
        """The transpose of `x` (of the last two axes) times `y`."""
        return self.matmul(self.xp.swapaxes(x, -1, -2), y)

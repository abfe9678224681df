"""Pooling: maxima and means of windows, one pass over the windows' elements (k, l) at a time.

Windows have size `kernel`, stand every `stride`, begin at -`padding`, and (for maxima) take every `dilation`-th
element: all of one number a dimension, (rows, columns) or (depth, rows, columns). `size` is the output's: the caller
has decided how to round. The bodies are the same in two and in three dimensions.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

from autograd_core.backends.neural_conv import widened

Array = Any
Shape = tuple[int, ...]


class PoolingKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    def max_pool2d(self, x: Array, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape) -> Any:
        """Maxima (N, C, *size) of the windows of x (N, C, H, W), and each one's place in its window.

        A place counts row by row; the first maximum wins, but the last NaN, as in PyTorch.
        """
        xp = self.xp
        padded = self._padded(x, kernel, stride, padding, dilation, size, _least(x.dtype, xp))
        places = "uint8" if math.prod(kernel) <= 255 else "int32"
        best, place = None, None
        for k, window in _elements(kernel, stride, dilation, size):
            value = padded[window]
            if best is None:
                best = xp.array(value, copy=True, order="C")
                place = xp.zeros(best.shape, places)
                continue
            greater = xp.logical_or(value > best, value != value)
            best = xp.where(greater, value, best)
            place = xp.where(greater, xp.full((), k, places), place)
        if any(padding):
            place = self._inside(place, best, x.shape, kernel, stride, padding, dilation)
        return best, place

    def _inside(
        self, place: Array, best: Array, shape: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape
    ) -> Array:
        """Where a window holds nothing above the padding, its first element inside `shape`, not one of the padding."""
        xp = self.xp
        corner: Any = 0
        for axis, k in enumerate(kernel):
            start = xp.arange(best.shape[2 + axis]) * stride[axis] - padding[axis]
            # The smallest i >= 0 with start + i * dilation >= 0.
            first = xp.maximum(0, -(start // dilation[axis]))
            corner = corner * k + _along(first, axis, len(kernel))
        return xp.where(best == _least(best.dtype, xp), corner.astype(place.dtype), place)

    def max_pool2d_indices(
        self, place: Array, shape: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape
    ) -> Array:
        """The places of `max_pool2d` as int64 indices into each flattened plane of the input of `shape`."""
        xp, dims = self.xp, len(kernel)
        rest, index, unit = place.astype("int64"), 0, 1
        for axis in reversed(range(dims)):
            start = _along(xp.arange(place.shape[2 + axis]) * stride[axis] - padding[axis], axis, dims)
            index = index + (start + rest % kernel[axis] * dilation[axis]) * unit
            rest, unit = rest // kernel[axis], unit * shape[2 + axis]
        return index

    def max_pool2d_backward(
        self, g: Array, place: Array, shape: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape
    ) -> Array:
        """Each element of `g` added to the place of its window's maximum, in an array of `shape`."""
        xp, size = self.xp, g.shape[2:]
        wide = widened(g)
        padded = xp.zeros(_padded_shape(shape, kernel, stride, padding, dilation, size), wide.dtype)
        for k, window in _elements(kernel, stride, dilation, size):
            padded[window] += wide * (place == k)
        return self._unpadded(padded, shape, padding, g.dtype)

    def max_pool2d_pick(
        self, x: Array, place: Array, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape
    ) -> Array:
        """The elements of `x` at the places of another array's maxima: the adjoint of `max_pool2d_backward`."""
        xp, size = self.xp, place.shape[2:]
        padded = self._padded(x, kernel, stride, padding, dilation, size, 0)
        picked = xp.zeros(place.shape, x.dtype)
        for k, window in _elements(kernel, stride, dilation, size):
            picked = xp.where(place == k, padded[window], picked)
        return picked

    def avg_pool2d(self, x: Array, kernel: Shape, stride: Shape, padding: Shape, size: Shape, divisor: Any) -> Array:
        """Means (N, C, *size) of windows; `divisor`: a number, or 'padded' or 'inside' (see `_divisors`).

        Means of integers are cut towards zero.
        """
        wide, apart = widened(x), (1,) * len(kernel)
        padded = self._padded(wide, kernel, stride, padding, apart, size, 0)
        total: Any = None
        for _, window in _elements(kernel, stride, apart, size):
            total = padded[window] + 0 if total is None else total + padded[window]
        counts = self._divisors(x.shape, kernel, stride, padding, size, divisor, wide.dtype)
        if wide.dtype.kind != "f":
            cut = self.xp.abs(total) // abs(counts)
            return self.xp.where((total < 0) == (counts < 0), cut, -cut)
        mean = total / counts
        return mean.astype(x.dtype) if mean.dtype != x.dtype else mean

    def avg_pool2d_backward(
        self, g: Array, shape: Shape, kernel: Shape, stride: Shape, padding: Shape, divisor: Any
    ) -> Array:
        """The adjoint of `avg_pool2d` on an input of `shape`."""
        xp, size, apart = self.xp, g.shape[2:], (1,) * len(kernel)
        wide = widened(g)
        share = wide / self._divisors(shape, kernel, stride, padding, size, divisor, wide.dtype)
        padded = xp.zeros(_padded_shape(shape, kernel, stride, padding, apart, size), wide.dtype)
        for _, window in _elements(kernel, stride, apart, size):
            padded[window] += share
        return self._unpadded(padded, shape, padding, g.dtype)

    # The same bodies; a backend may have kernels of its own for images.
    max_pool3d = max_pool2d
    max_pool3d_indices = max_pool2d_indices
    max_pool3d_backward = max_pool2d_backward
    max_pool3d_pick = max_pool2d_pick
    avg_pool3d = avg_pool2d
    avg_pool3d_backward = avg_pool2d_backward

    def averaging_matrix(self, size: int, bins: int, dtype: Any) -> Array:
        """(bins, size): row i holds the mean over [floor(i size / bins), ceil((i + 1) size / bins))."""
        xp = self.xp
        i = xp.arange(bins).reshape((-1, 1))
        start, end = i * size // bins, -(-(i + 1) * size // bins)
        column = xp.arange(size).reshape((1, -1))
        return (xp.logical_and(column >= start, column < end) / (end - start)).astype(dtype)

    def adaptive_max_pool_indices(self, x: Array, bins: Shape) -> Array:
        """The int64 place in its flattened plane of the first maximum of each of a grid of bins: (..., *bins).

        x: (..., *spatial). Bins as in `averaging_matrix`; they may overlap.
        """
        xp, dims = self.xp, len(bins)
        lead, spatial = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
        windows, places = x, []
        for axis, (n, m) in enumerate(zip(spatial, bins)):
            i = xp.arange(m).reshape((-1, 1))
            start, end = i * n // m, -(-(i + 1) * n // m)
            longest = max((-(-(j + 1) * n // m) - j * n // m for j in range(m)), default=1)
            # A shorter bin repeats its last element, which is then not its first maximum.
            place = xp.minimum(start + xp.arange(longest).reshape((1, -1)), end - 1)
            windows = xp.take(windows, place.reshape((-1,)), axis=len(lead) + 2 * axis)
            split = (*windows.shape[: len(lead) + 2 * axis], m, longest, *spatial[axis + 1 :])
            windows = windows.reshape(split)
            places.append((start, end, longest))
        order = (*range(len(lead)), *(len(lead) + 2 * a + b for b in (0, 1) for a in range(dims)))
        size = 1
        for _, _, longest in places:
            size *= longest
        rest = windows.transpose(order).reshape((*lead, *bins, size)).argmax(axis=-1).astype("int64")
        index: Any = 0
        unit = 1
        for axis in reversed(range(dims)):
            start, _, longest = places[axis]
            index = index + (_along(start.reshape((-1,)), axis, dims) + rest % longest) * unit
            rest, unit = rest // longest, unit * spatial[axis]
        return index

    # -- geometry ---------------------------------------------------------------------------------------

    def _padded(
        self, x: Array, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape, value: Any
    ) -> Array:
        """`x` itself, or a copy with `value` around it, such that every window of `size` lies inside."""
        shape = _padded_shape(x.shape, kernel, stride, padding, dilation, size)
        if shape == x.shape:
            return x
        padded = self.xp.full(shape, value, x.dtype)
        padded[_inner(padding, x.shape)] = x
        return padded

    def _unpadded(self, padded: Array, shape: Shape, padding: Shape, dtype: Any) -> Array:
        inner = padded[_inner(padding, shape)]
        return self.xp.ascontiguousarray(inner.astype(dtype) if inner.dtype != dtype else inner)

    def _divisors(
        self, shape: Shape, kernel: Shape, stride: Shape, padding: Shape, size: Shape, divisor: Any, dtype: Any
    ) -> Any:
        """How many elements each window counts: those within the padded input ('padded') or the input ('inside')."""
        if not isinstance(divisor, str):
            return divisor
        xp = self.xp
        counts: Any = 1
        for axis, k in enumerate(kernel):
            n, pad = shape[2 + axis], padding[axis]
            start = xp.arange(size[axis]) * stride[axis] - pad
            end = xp.minimum(start + k, n + pad)
            if divisor == "inside":
                start, end = xp.maximum(start, 0), xp.minimum(end, n)
            counts = counts * _along(end - start, axis, len(kernel))
        return counts.astype(dtype)


def _least(dtype: Any, xp: Any) -> Any:
    """What no element is below."""
    return -xp.inf if dtype.kind == "f" else xp.iinfo(dtype).min


def _along(values: Array, axis: int, dims: int) -> Array:
    """A vector along `axis` of `dims`."""
    return values.reshape((1,) * axis + (-1,) + (1,) * (dims - 1 - axis))


def _inner(padding: Shape, shape: Shape) -> tuple[Any, ...]:
    """Where an array of `shape` lies within its padding."""
    return (..., *(slice(p, p + n) for p, n in zip(padding, shape[2:])))


# Cached, since a small pool would spend more on these than on its numbers.


@functools.lru_cache(maxsize=256)
def _elements(kernel: Shape, stride: Shape, dilation: Shape, size: Shape) -> list[tuple[int, tuple[Any, ...]]]:
    """For each place k of a window: k, and the slices of the padded input that hold that element of every window."""
    along = [
        [slice(i * d, i * d + s * (m - 1) + 1, s) for i in range(k)]
        for k, s, d, m in zip(kernel, stride, dilation, size)
    ]
    return [(k, (..., *window)) for k, window in enumerate(itertools.product(*along))]


@functools.lru_cache(maxsize=256)
def _padded_shape(shape: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape) -> Shape:
    # Rounded up, the last window may reach beyond the padding.
    planes = [
        max(n + 2 * p, (m - 1) * s + (k - 1) * d + 1)
        for n, k, s, p, d, m in zip(shape[2:], kernel, stride, padding, dilation, size)
    ]
    return (*shape[:2], *planes)

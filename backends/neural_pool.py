"""Pooling: maxima and means of windows, one pass over the windows' elements (k, l) at a time.

Windows have size `kernel`, stand every `stride`, begin at -`padding`, and (for maxima) take every `dilation`-th
element: all pairs (rows, columns). `size` is the output's (rows, columns): the caller has decided how to round.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autograd_core.backends.neural_conv import widened

Array = Any
Shape = tuple[int, ...]
Pair = tuple[int, int]


class PoolingKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    def max_pool2d(self, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair) -> Any:
        """Maxima (N, C, rows, columns) of the windows of x (N, C, H, W), and each one's place in its window.

        A place counts row by row; the first maximum wins, and a NaN counts as greater than any number.
        """
        xp = self.xp
        padded = self._padded(x, kernel, stride, padding, dilation, size, -xp.inf)
        places = "uint8" if kernel[0] * kernel[1] <= 255 else "int32"
        best, place = None, None
        for k, window in _elements(kernel, stride, dilation, size):
            value = padded[window]
            if best is None:
                best = xp.array(value, copy=True, order="C")
                place = xp.zeros(best.shape, places)
                continue
            # Not (v <= best) is also true where v is NaN; a NaN that leads stays.
            greater = xp.logical_and(xp.logical_not(value <= best), best == best)
            best = xp.where(greater, value, best)
            place = xp.where(greater, xp.full((), k, places), place)
        if any(padding):
            place = self._inside(place, best, x.shape, kernel, stride, padding, dilation)
        return best, place

    def _inside(
        self, place: Array, best: Array, shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> Array:
        """Where a window holds nothing above -inf, its first element inside `shape` in place of one of the padding."""
        xp = self.xp
        first = []
        for axis in (0, 1):
            start = xp.arange(best.shape[2 + axis]) * stride[axis] - padding[axis]
            # The smallest k >= 0 with start + k * dilation >= 0.
            first.append(xp.maximum(0, -(start // dilation[axis])))
        corner = (first[0].reshape((-1, 1)) * kernel[1] + first[1].reshape((1, -1))).astype(place.dtype)
        return xp.where(best == -xp.inf, corner, place)

    def max_pool2d_indices(
        self, place: Array, shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> Array:
        """The places of `max_pool2d` as int64 indices into each flattened plane of the input of `shape`."""
        xp = self.xp
        place = place.astype("int64")
        rows = xp.arange(place.shape[2]).reshape((-1, 1)) * stride[0] - padding[0] + place // kernel[1] * dilation[0]
        columns = xp.arange(place.shape[3]).reshape((1, -1)) * stride[1] - padding[1] + place % kernel[1] * dilation[1]
        return rows * shape[3] + columns

    def max_pool2d_backward(
        self, g: Array, place: Array, shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> Array:
        """Each element of `g` added to the place of its window's maximum, in an array of `shape`."""
        xp, size = self.xp, (g.shape[2], g.shape[3])
        wide = widened(g)
        padded = xp.zeros(_padded_shape(shape, kernel, stride, padding, dilation, size), wide.dtype)
        for k, window in _elements(kernel, stride, dilation, size):
            padded[window] += wide * (place == k)
        return self._unpadded(padded, shape, padding, g.dtype)

    def max_pool2d_pick(
        self, x: Array, place: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> Array:
        """The elements of `x` at the places of another array's maxima: the adjoint of `max_pool2d_backward`."""
        xp, size = self.xp, (place.shape[2], place.shape[3])
        padded = self._padded(x, kernel, stride, padding, dilation, size, 0)
        picked = xp.zeros(place.shape, x.dtype)
        for k, window in _elements(kernel, stride, dilation, size):
            picked = xp.where(place == k, padded[window], picked)
        return picked

    def avg_pool2d(self, x: Array, kernel: Pair, stride: Pair, padding: Pair, size: Pair, divisor: Any) -> Array:
        """Means (N, C, rows, columns) of windows; `divisor`: a number, or 'padded' or 'inside' (see `_divisors`)."""
        wide = widened(x)
        padded = self._padded(wide, kernel, stride, padding, (1, 1), size, 0)
        total = None
        for _, window in _elements(kernel, stride, (1, 1), size):
            total = padded[window] + 0 if total is None else total + padded[window]
        mean = total / self._divisors(x.shape, kernel, stride, padding, size, divisor, wide.dtype)
        return mean.astype(x.dtype) if mean.dtype != x.dtype else mean

    def avg_pool2d_backward(
        self, g: Array, shape: Shape, kernel: Pair, stride: Pair, padding: Pair, divisor: Any
    ) -> Array:
        """The adjoint of `avg_pool2d` on an input of `shape`."""
        xp, size = self.xp, (g.shape[2], g.shape[3])
        wide = widened(g)
        share = wide / self._divisors(shape, kernel, stride, padding, size, divisor, wide.dtype)
        padded = xp.zeros(_padded_shape(shape, kernel, stride, padding, (1, 1), size), wide.dtype)
        for _, window in _elements(kernel, stride, (1, 1), size):
            padded[window] += share
        return self._unpadded(padded, shape, padding, g.dtype)

    def averaging_matrix(self, size: int, bins: int, dtype: Any) -> Array:
        """(bins, size): row i holds the mean over [floor(i size / bins), ceil((i + 1) size / bins))."""
        xp = self.xp
        i = xp.arange(bins).reshape((-1, 1))
        start, end = i * size // bins, -(-(i + 1) * size // bins)
        column = xp.arange(size).reshape((1, -1))
        return (xp.logical_and(column >= start, column < end) / (end - start)).astype(dtype)

    # -- geometry ---------------------------------------------------------------------------------------

    def _padded(
        self, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair, value: Any
    ) -> Array:
        """`x` itself, or a copy with `value` around it, such that every window of `size` lies inside."""
        shape = _padded_shape(x.shape, kernel, stride, padding, dilation, size)
        if shape == x.shape:
            return x
        padded = self.xp.full(shape, value, x.dtype)
        padded[:, :, padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]] = x
        return padded

    def _unpadded(self, padded: Array, shape: Shape, padding: Pair, dtype: Any) -> Array:
        inner = padded[:, :, padding[0] : padding[0] + shape[2], padding[1] : padding[1] + shape[3]]
        return self.xp.ascontiguousarray(inner.astype(dtype) if inner.dtype != dtype else inner)

    def _divisors(
        self, shape: Shape, kernel: Pair, stride: Pair, padding: Pair, size: Pair, divisor: Any, dtype: Any
    ) -> Any:
        """How many elements each window counts: those within the padded input ('padded') or the input ('inside')."""
        if not isinstance(divisor, str):
            return divisor
        xp, counts = self.xp, []
        for axis in (0, 1):
            n, pad = shape[2 + axis], padding[axis]
            start = xp.arange(size[axis]) * stride[axis] - pad
            end = xp.minimum(start + kernel[axis], n + pad)
            if divisor == "inside":
                start, end = xp.maximum(start, 0), xp.minimum(end, n)
            counts.append(end - start)
        return (counts[0].reshape((-1, 1)) * counts[1].reshape((1, -1))).astype(dtype)


def _elements(kernel: Pair, stride: Pair, dilation: Pair, size: Pair) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """For each place k of a window: k, and the slices of the padded input that hold that element of every window."""
    whole = slice(None)
    for i in range(kernel[0]):
        rows = slice(i * dilation[0], i * dilation[0] + stride[0] * (size[0] - 1) + 1, stride[0])
        for j in range(kernel[1]):
            columns = slice(j * dilation[1], j * dilation[1] + stride[1] * (size[1] - 1) + 1, stride[1])
            yield i * kernel[1] + j, (whole, whole, rows, columns)


def _padded_shape(shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair) -> Shape:
    # Rounded up, the last window may reach beyond the padding.
    planes = [
        max(shape[2 + a] + 2 * padding[a], (size[a] - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1)
        for a in (0, 1)
    ]
    return (*shape[:2], *planes)

"""Affine maps and convolutions, as matrix products.

A convolution lays the windows of its input out as the columns of a matrix ("im2col": Chellapilla, Puri, Simard,
"High performance convolutional neural networks for document processing", IWFHR 2006), so that forward and both
gradients are products of BLAS's kind. `stride`, `dilation` are pairs (rows, columns); `padding` is
(top, bottom, left, right).
"""

from __future__ import annotations

from typing import Any

Array = Any
Shape = tuple[int, ...]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def widened(x: Array) -> Array:
    """float16 as float32, in which it is computed; anything else unchanged."""
    return x.astype("float32") if x.dtype.kind == "f" and x.dtype.itemsize == 2 else x


def output_size(size: int, before: int, after: int, kernel: int, stride: int, dilation: int) -> int:
    """How many windows of `kernel` fit along an axis of `size`."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


class ConvolutionKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    # -- linear -----------------------------------------------------------------------------------------

    def linear(self, x: Array, w: Array, b: Array) -> Array:
        """`x w^T + b`: x (..., in), w (out, in), b (out,) or None."""
        y = self.xp.matmul(widened(x), widened(w).transpose((1, 0)))
        if b is not None:
            y += b
        return y if y.dtype == x.dtype else y.astype(x.dtype)

    def linear_weight_grad(self, g: Array, x: Array) -> Array:
        """The gradient (out, in) of `linear` by its weight: g (..., out), x (..., in)."""
        out, features = g.shape[-1], x.shape[-1]
        rows = 1
        for n in g.shape[:-1]:
            rows *= n
        product = self.xp.matmul(
            widened(g).reshape((rows, out)).transpose((1, 0)), widened(x).reshape((rows, features))
        )
        return self.xp.ascontiguousarray(product.astype(x.dtype) if product.dtype != x.dtype else product)

    # -- convolution ------------------------------------------------------------------------------------

    def conv2d(
        self, x: Array, w: Array, b: Array, stride: Pair, padding: Sides, dilation: Pair, groups: int
    ) -> Array:
        """Cross-correlation: x (N, C, H, W), w (O, C / groups, KH, KW), b (O,) or None."""
        xp, n, out = self.xp, x.shape[0], w.shape[0]
        columns, size = self._columns(widened(x), w.shape[2:], stride, padding, dilation)
        inner = w.shape[1] * w.shape[2] * w.shape[3]
        y = xp.matmul(
            widened(w).reshape((groups, out // groups, inner)), columns.reshape((groups, inner, n * size[0] * size[1]))
        )
        y = y.reshape((out, n, *size)).transpose((1, 0, 2, 3))
        if b is not None:
            y = y + b.reshape((1, out, 1, 1))
        return xp.ascontiguousarray(y.astype(x.dtype) if y.dtype != x.dtype else y)

    def conv2d_input_grad(
        self, g: Array, w: Array, shape: Shape, stride: Pair, padding: Sides, dilation: Pair, groups: int
    ) -> Array:
        """The gradient of `conv2d` by its input of `shape`; also the transposed convolution."""
        n, out, rows, columns = g.shape
        inner = w.shape[1] * w.shape[2] * w.shape[3]
        by_group = widened(g).transpose((1, 0, 2, 3)).reshape((groups, out // groups, n * rows * columns))
        spread = self.xp.matmul(widened(w).reshape((groups, out // groups, inner)).transpose((0, 2, 1)), by_group)
        spread = spread.reshape((shape[1], w.shape[2], w.shape[3], n, rows, columns))
        return self._from_columns(spread, g.dtype, shape, stride, padding, dilation)

    def conv2d_weight_grad(
        self, g: Array, x: Array, shape: Shape, stride: Pair, padding: Sides, dilation: Pair, groups: int
    ) -> Array:
        """The gradient of `conv2d` by its weight of `shape`."""
        n, out, rows, columns = g.shape
        inner = shape[1] * shape[2] * shape[3]
        windows, _ = self._columns(widened(x), shape[2:], stride, padding, dilation)
        by_group = widened(g).transpose((1, 0, 2, 3)).reshape((groups, out // groups, n * rows * columns))
        gw = self.xp.matmul(by_group, windows.reshape((groups, inner, n * rows * columns)).transpose((0, 2, 1)))
        return self.xp.ascontiguousarray(gw.reshape(shape).astype(x.dtype))

    def _columns(self, x: Array, kernel: Shape, stride: Pair, padding: Sides, dilation: Pair) -> tuple[Array, Pair]:
        """Every window of `x` as (C, KH, KW, N, rows, columns), and (rows, columns)."""
        xp = self.xp
        n, channels, height, width = x.shape
        top, bottom, left, right = padding
        rows = output_size(height, top, bottom, kernel[0], stride[0], dilation[0])
        columns = output_size(width, left, right, kernel[1], stride[1], dilation[1])
        if any(padding):
            padded = xp.zeros((n, channels, height + top + bottom, width + left + right), x.dtype)
            padded[:, :, top : top + height, left : left + width] = x
            x = padded
        x = x.transpose((1, 0, 2, 3))
        windows = xp.empty((channels, kernel[0], kernel[1], n, rows, columns), x.dtype)
        for i in range(kernel[0]):
            r = slice(i * dilation[0], i * dilation[0] + stride[0] * (rows - 1) + 1, stride[0])
            for j in range(kernel[1]):
                c = slice(j * dilation[1], j * dilation[1] + stride[1] * (columns - 1) + 1, stride[1])
                windows[:, i, j] = x[:, :, r, c]
        return windows, (rows, columns)

    def _from_columns(
        self, windows: Array, dtype: Any, shape: Shape, stride: Pair, padding: Sides, dilation: Pair
    ) -> Array:
        """The adjoint of `_columns`: add every window back to where it came from."""
        xp = self.xp
        n, channels, height, width = shape
        top, bottom, left, right = padding
        rows, columns = windows.shape[4:]
        padded = xp.zeros((n, channels, height + top + bottom, width + left + right), windows.dtype)
        target = padded.transpose((1, 0, 2, 3))
        for i in range(windows.shape[1]):
            r = slice(i * dilation[0], i * dilation[0] + stride[0] * (rows - 1) + 1, stride[0])
            for j in range(windows.shape[2]):
                c = slice(j * dilation[1], j * dilation[1] + stride[1] * (columns - 1) + 1, stride[1])
                target[:, :, r, c] += windows[:, i, j]
        gx = padded[:, :, top : top + height, left : left + width]
        return xp.ascontiguousarray(gx.astype(dtype) if gx.dtype != dtype else gx)

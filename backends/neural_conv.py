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

    def conv2d(self, x: Array, w: Array, b: Array, stride: Pair, padding: Sides, dilation: Pair, groups: int) -> Array:
        """Cross-correlation: x (N, C, H, W), w (O, C / groups, KH, KW), b (O,) or None."""
        xp, n, out = self.xp, x.shape[0], w.shape[0]
        kernel = (w.shape[2], w.shape[3])
        size = _output_shape(x.shape, kernel, stride, padding, dilation)
        weight, inner = self._by_group(w, groups)
        y = xp.empty((n, out, *size), x.dtype)
        for part in self._parts(n, x.shape[1] * kernel[0] * kernel[1] * size[0] * size[1]):
            columns = self._columns(widened(x[part]), kernel, stride, padding, dilation)
            images = columns.shape[3]
            product = xp.matmul(weight, columns.reshape((groups, inner, images * size[0] * size[1])))
            product = product.reshape((out, images, *size))
            if b is not None:
                product += b.reshape((out, 1, 1, 1))
            y[part] = product.transpose((1, 0, 2, 3))
        return y

    def conv2d_input_grad(
        self, g: Array, w: Array, shape: Shape, stride: Pair, padding: Sides, dilation: Pair, groups: int
    ) -> Array:
        """The gradient of `conv2d` by its input of `shape`; also the transposed convolution."""
        xp, (n, _, rows, columns) = self.xp, g.shape
        weight, _ = self._by_group(w, groups)
        weight = weight.transpose((0, 2, 1))
        gx = xp.empty(shape, g.dtype)
        for part in self._parts(n, shape[1] * w.shape[2] * w.shape[3] * rows * columns):
            spread = xp.matmul(weight, self._pixels_by_group(g[part], groups))
            windows = spread.reshape((shape[1], w.shape[2], w.shape[3], part.stop - part.start, rows, columns))
            gx[part] = self._from_columns(windows, shape, stride, padding, dilation)
        return gx

    def conv2d_weight_grad(
        self, g: Array, x: Array, shape: Shape, stride: Pair, padding: Sides, dilation: Pair, groups: int
    ) -> Array:
        """The gradient of `conv2d` by its weight of `shape`."""
        xp, (n, out, rows, columns) = self.xp, g.shape
        inner = shape[1] * shape[2] * shape[3]
        kernel = (shape[2], shape[3])
        gw = xp.zeros((groups, out // groups, inner), widened(x).dtype)
        for part in self._parts(n, x.shape[1] * shape[2] * shape[3] * rows * columns):
            windows = self._columns(widened(x[part]), kernel, stride, padding, dilation)
            windows = windows.reshape((groups, inner, windows.shape[3] * rows * columns))
            gw += xp.matmul(self._pixels_by_group(g[part], groups), windows.transpose((0, 2, 1)))
        return gw.reshape(shape).astype(x.dtype)

    # How many elements the columns of one product may have: few enough to stay in cache, enough to fill the device.
    column_limit = 1 << 19

    def _parts(self, n: int, columns: int) -> list[slice]:
        """The batch cut into parts whose columns, `columns` an image, stay within the limit."""
        step = max(1, self.column_limit // max(columns, 1))
        return [slice(i, min(i + step, n)) for i in range(0, n, step)]

    def _by_group(self, w: Array, groups: int) -> tuple[Array, int]:
        inner = w.shape[1] * w.shape[2] * w.shape[3]
        return widened(w).reshape((groups, w.shape[0] // groups, inner)), inner

    def _pixels_by_group(self, g: Array, groups: int) -> Array:
        """(N, O, rows, columns) as (groups, O / groups, N * rows * columns)."""
        n, out, rows, columns = g.shape
        return widened(g).transpose((1, 0, 2, 3)).reshape((groups, out // groups, n * rows * columns))

    def _columns(self, x: Array, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Array:
        """Every window of `x`, as (C, KH, KW, N, rows, columns)."""
        xp = self.xp
        n, channels, height, width = x.shape
        top, bottom, left, right = padding
        rows, columns = _output_shape(x.shape, kernel, stride, padding, dilation)
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
        return windows

    def _from_columns(self, windows: Array, shape: Shape, stride: Pair, padding: Sides, dilation: Pair) -> Array:
        """The adjoint of `_columns`: add every window back to where it came from in images of `shape`."""
        _, channels, height, width = shape
        top, bottom, left, right = padding
        n, rows, columns = windows.shape[3:]
        padded = self.xp.zeros((n, channels, height + top + bottom, width + left + right), windows.dtype)
        target = padded.transpose((1, 0, 2, 3))
        for i in range(windows.shape[1]):
            r = slice(i * dilation[0], i * dilation[0] + stride[0] * (rows - 1) + 1, stride[0])
            for j in range(windows.shape[2]):
                c = slice(j * dilation[1], j * dilation[1] + stride[1] * (columns - 1) + 1, stride[1])
                target[:, :, r, c] += windows[:, i, j]
        return padded[:, :, top : top + height, left : left + width]


def _output_shape(shape: Shape, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Pair:
    return (
        output_size(shape[2], padding[0], padding[1], kernel[0], stride[0], dilation[0]),
        output_size(shape[3], padding[2], padding[3], kernel[1], stride[1], dilation[1]),
    )

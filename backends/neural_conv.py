"""Affine maps and convolutions, as matrix products.

A convolution lays the windows of its input out as the columns of a matrix ("im2col": Chellapilla, Puri, Simard,
"High performance convolutional neural networks for document processing", IWFHR 2006), so that forward and both
gradients are products of BLAS's kind. `stride`, `dilation` are pairs (rows, columns); `padding` is
(top, bottom, left, right). For volumes the depth comes first in each.
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

    # -- volumes ----------------------------------------------------------------------------------------

    # The convolution of a volume is that of its planes, with the depth of the kernel among the channels.

    def conv3d(
        self, x: Array, w: Array, b: Array, stride: Shape, padding: Shape, dilation: Shape, groups: int
    ) -> Array:
        """`conv2d` with a depth: x (N, C, D, H, W), w (O, C / groups, KD, KH, KW), b (O,) or None."""
        deep, flat = _split(stride, padding, dilation, groups)
        weight = self._flat_kernel(w)
        rows, columns = _output_shape(x.shape[1:], weight.shape[2:], *flat[:3])
        depth = output_size(x.shape[2], deep[1][0], deep[1][1], w.shape[2], deep[0], deep[2])
        y = self.xp.empty((x.shape[0], w.shape[0], depth, rows, columns), x.dtype)
        for part in self._volumes(x.shape, w.shape[2], depth):
            images = self.conv2d(self._planes(x[part], w.shape[2], depth, *deep), weight, b, *flat)
            images = images.reshape((part.stop - part.start, depth, w.shape[0], rows, columns))
            y[part] = images.transpose((0, 2, 1, 3, 4))
        return y

    def conv3d_input_grad(
        self, g: Array, w: Array, shape: Shape, stride: Shape, padding: Shape, dilation: Shape, groups: int
    ) -> Array:
        """The gradient of `conv3d` by its input of `shape`; also the transposed convolution."""
        xp, (deep, flat) = self.xp, _split(stride, padding, dilation, groups)
        step, (front, back), apart = deep
        depth, taps = g.shape[2], w.shape[2]
        weight = self._flat_kernel(widened(w))
        gx = xp.empty(shape, g.dtype)
        for part in self._volumes(shape, taps, depth):
            n = part.stop - part.start
            planes = (n * depth, shape[1] * taps, *shape[3:])
            spread = self.conv2d_input_grad(self._images(widened(g[part])), weight, planes, *flat)
            spread = spread.reshape((n, depth, shape[1], taps, *shape[3:])).transpose((3, 0, 2, 1, 4, 5))
            total = xp.zeros((n, shape[1], front + shape[2] + back, *shape[3:]), spread.dtype)
            for i in range(taps):
                total[:, :, i * apart : i * apart + step * (depth - 1) + 1 : step] += spread[i]
            gx[part] = total[:, :, front : front + shape[2]]
        return gx

    def conv3d_weight_grad(
        self, g: Array, x: Array, shape: Shape, stride: Shape, padding: Shape, dilation: Shape, groups: int
    ) -> Array:
        """The gradient of `conv3d` by its weight of `shape`."""
        deep, flat = _split(stride, padding, dilation, groups)
        flat_shape = (shape[0], shape[1] * shape[2], *shape[3:])
        gw = self.xp.zeros(flat_shape, widened(x).dtype)
        for part in self._volumes(x.shape, shape[2], g.shape[2]):
            planes = self._planes(widened(x[part]), shape[2], g.shape[2], *deep)
            gw += self.conv2d_weight_grad(self._images(widened(g[part])), planes, flat_shape, *flat)
        return gw.reshape(shape).astype(x.dtype)

    def _flat_kernel(self, w: Array) -> Array:
        """(O, C, KD, KH, KW) as (O, C * KD, KH, KW)."""
        return w.reshape((w.shape[0], w.shape[1] * w.shape[2], w.shape[3], w.shape[4]))

    def _volumes(self, shape: Shape, taps: int, depth: int) -> list[slice]:
        """The batch cut into parts whose planes stay within the limit."""
        return self._parts(shape[0], shape[1] * taps * depth * shape[3] * shape[4])

    def _planes(self, x: Array, taps: int, depth: int, stride: int, padding: Pair, dilation: int) -> Array:
        """(N, C, D, H, W) as (N * depth, C * taps, H, W): for each place of the kernel the planes that it meets."""
        xp, (n, channels, size, height, width) = self.xp, x.shape
        if any(padding):
            padded = xp.zeros((n, channels, padding[0] + size + padding[1], height, width), x.dtype)
            padded[:, :, padding[0] : padding[0] + size] = x
            x = padded
        planes = xp.empty((n, depth, channels, taps, height, width), x.dtype)
        by_channel = planes.transpose((3, 0, 2, 1, 4, 5))
        for i in range(taps):
            by_channel[i] = x[:, :, i * dilation : i * dilation + stride * (depth - 1) + 1 : stride]
        return planes.reshape((n * depth, channels * taps, height, width))

    def _images(self, g: Array) -> Array:
        """(N, O, D, rows, columns) as (N * D, O, rows, columns)."""
        n, out, depth, rows, columns = g.shape
        return g.transpose((0, 2, 1, 3, 4)).reshape((n * depth, out, rows, columns))

    # -- windows ----------------------------------------------------------------------------------------

    def im2col(self, x: Array, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Array:
        """The windows of x (N, C, H, W) as columns (N, C * KH * KW, rows * columns)."""
        n, inner = x.shape[0], x.shape[1] * kernel[0] * kernel[1]
        windows = self._columns(x, kernel, stride, padding, dilation)
        pixels = windows.shape[4] * windows.shape[5]
        return self.xp.ascontiguousarray(windows.reshape((inner, n, pixels)).transpose((1, 0, 2)))

    def col2im(self, columns: Array, shape: Shape, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Array:
        """The adjoint of `im2col`: columns added back to where they came from in images of `shape`."""
        xp, (n, channels) = self.xp, shape[:2]
        size = _output_shape(shape, kernel, stride, padding, dilation)
        windows = widened(columns).reshape((n, channels, *kernel, *size)).transpose((1, 2, 3, 0, 4, 5))
        images = self._from_columns(windows, shape, stride, padding, dilation)
        return xp.ascontiguousarray(images.astype(columns.dtype) if images.dtype != columns.dtype else images)

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


def _split(stride: Shape, padding: Shape, dilation: Shape, groups: int) -> tuple[Any, Any]:
    """A volume's geometry as that along its depth, and that of its planes with their groups."""
    return (stride[0], padding[:2], dilation[0]), (stride[1:], padding[2:], dilation[1:], groups)


def _output_shape(shape: Shape, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Pair:
    return (
        output_size(shape[2], padding[0], padding[1], kernel[0], stride[0], dilation[0]),
        output_size(shape[3], padding[2], padding[3], kernel[1], stride[1], dilation[1]),
    )

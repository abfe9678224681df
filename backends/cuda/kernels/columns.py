"""The columns of a convolution, and their way back: a thread for each element written, which gathers what it needs."""

from __future__ import annotations

from typing import Any

from autograd_core.backends.cuda.kernels.blocks import real_of, spread
from autograd_core.backends.neural_conv import output_size

Array = Any
Shape = tuple[int, ...]


def to_columns(cuda, real):
    """`out` (C, KH, KW, N, rows, cols): the element of each window of `x` (N, C, height, width)."""

    def body(out, x, n, images, channels, height, width, rows, cols, kh, kw, sh, sw, top, left, dh, dw):
        i = cuda.grid(1)
        while i < n:
            c, r = i % cols, i // cols % rows
            rest = i // (rows * cols)
            image, rest = rest % images, rest // images
            m, rest = rest % kw, rest // kw
            k, channel = rest % kh, rest // kh
            y, z = r * sh + k * dh - top, c * sw + m * dw - left
            v = real(0)
            if 0 <= y and y < height and 0 <= z and z < width:
                v = real(x[((image * channels + channel) * height + y) * width + z])
            out[i] = v
            i += cuda.gridsize(1)

    return body


def from_columns(cuda, real):
    """`out` (N, C, height, width): the sum of the windows' elements that came from each place."""

    def body(out, windows, n, images, channels, height, width, rows, cols, kh, kw, sh, sw, top, left, dh, dw):
        i = cuda.grid(1)
        while i < n:
            z, y = i % width, i // width % height
            channel, image = i // (height * width) % channels, i // (height * width * channels)
            total = real(0)
            for k in range(kh):
                a = y + top - k * dh
                if a < 0 or a % sh != 0 or a // sh >= rows:
                    continue
                for m in range(kw):
                    b = z + left - m * dw
                    if b < 0 or b % sw != 0 or b // sw >= cols:
                        continue
                    at = ((channel * kh + k) * kw + m) * images + image
                    total += real(windows[(at * rows + a // sh) * cols + b // sw])
            out[i] = total
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def _columns(gpu: Any, portable: Any, x: Array, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Array:
    real = real_of(x)
    rows, cols = (
        output_size(x.shape[2 + a], padding[2 * a], padding[2 * a + 1], kernel[a], stride[a], dilation[a])
        for a in (0, 1)
    )
    shape = (x.shape[1], *kernel, x.shape[0], rows, cols)
    if real is None or not x.size or rows <= 0 or cols <= 0 or 0 in kernel:
        return portable(x, kernel, stride, padding, dilation)
    x, out = gpu.contiguous(x), gpu.empty(shape, x.dtype)
    gpu.launch(
        to_columns, (real,), *spread(out.size), out, x, out.size, *x.shape, rows, cols, *kernel, *stride, padding[0],
        padding[2], *dilation,
    )  # fmt: skip
    return out


def _from_columns(
    gpu: Any, portable: Any, windows: Array, shape: Shape, stride: Shape, padding: Shape, dilation: Shape
) -> Array:
    real = real_of(windows)
    out = gpu.empty(shape, windows.dtype)
    if real is None or not windows.size or not out.size:
        return portable(windows, shape, stride, padding, dilation)
    kernel, size = windows.shape[1:3], windows.shape[4:]
    gpu.launch(
        from_columns, (real,), *spread(out.size), out, gpu.contiguous(windows), out.size, *shape, *size, *kernel,
        *stride, padding[0], padding[2], *dilation,
    )  # fmt: skip
    return out


KERNELS = (_columns, _from_columns)

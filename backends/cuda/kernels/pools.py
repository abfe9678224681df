"""Pooling of images: a thread for each output element, and in backward one for each input element, which looks up the
windows that it lies in: no two threads add to the same place."""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.cuda.kernels.blocks import real_of, spread

Array = Any
Shape = tuple[int, ...]


def max_pool(cuda, real):
    def body(out, place, x, n, height, width, rows, cols, kh, kw, sh, sw, ph, pw, dh, dw):
        i = cuda.grid(1)
        while i < n:
            plane, r, c = i // (rows * cols), i // cols % rows, i % cols
            start = plane * height * width
            top, left = r * sh - ph, c * sw - pw
            best, at = real(-math.inf), -1
            for k in range(kh):
                y = top + k * dh
                if y < 0 or y >= height:
                    continue
                for m in range(kw):
                    z = left + m * dw
                    if z < 0 or z >= width:
                        continue
                    v = real(x[start + y * width + z])
                    if at < 0:
                        at = k * kw + m
                        best = v
                    elif v > best or v != v:  # Of several NaNs the last.
                        best = v
                        at = k * kw + m
            out[i] = best
            place[i] = max(at, 0)
            i += cuda.gridsize(1)

    return body


def max_pool_gradient(cuda, real):
    def body(out, g, place, n, height, width, rows, cols, kh, kw, sh, sw, ph, pw, dh, dw):
        i = cuda.grid(1)
        while i < n:
            plane, y, z = i // (height * width), i // width % height, i % width
            start = plane * rows * cols
            total = real(0)
            for k in range(kh):
                top = y + ph - k * dh
                if top < 0 or top % sh != 0 or top // sh >= rows:
                    continue
                for m in range(kw):
                    left = z + pw - m * dw
                    if left < 0 or left % sw != 0 or left // sw >= cols:
                        continue
                    at = start + top // sh * cols + left // sw
                    if place[at] == k * kw + m:
                        total += real(g[at])
            out[i] = total
            i += cuda.gridsize(1)

    return body


def average_pool(cuda, real, divisor):
    """divisor: 0: the number given; 1: the elements of the window within the padding; 2: those within the input."""

    def body(out, x, n, height, width, rows, cols, kh, kw, sh, sw, ph, pw, given):
        i = cuda.grid(1)
        while i < n:
            plane, r, c = i // (rows * cols), i // cols % rows, i % cols
            start = plane * height * width
            top, left = r * sh - ph, c * sw - pw
            y0, y1, z0, z1 = max(top, 0), min(top + kh, height), max(left, 0), min(left + kw, width)
            total = real(0)
            for y in range(y0, y1):
                for z in range(z0, z1):
                    total += real(x[start + y * width + z])
            if divisor == 0:
                total /= given
            elif divisor == 1:
                total /= real((min(top + kh, height + ph) - top) * (min(left + kw, width + pw) - left))
            else:
                total /= real((y1 - y0) * (z1 - z0))
            out[i] = total
            i += cuda.gridsize(1)

    return body


def average_pool_gradient(cuda, real, divisor):
    def body(out, g, n, height, width, rows, cols, kh, kw, sh, sw, ph, pw, given):
        i = cuda.grid(1)
        while i < n:
            plane, y, z = i // (height * width), i // width % height, i % width
            start = plane * rows * cols
            total = real(0)
            # The windows that begin at most a kernel before this element.
            r0, r1 = max(y + ph - kh + sh, 0) // sh, min((y + ph) // sh + 1, rows)
            c0, c1 = max(z + pw - kw + sw, 0) // sw, min((z + pw) // sw + 1, cols)
            for r in range(r0, r1):
                top = r * sh - ph
                for c in range(c0, c1):
                    left = c * sw - pw
                    v = real(g[start + r * cols + c])
                    if divisor == 0:
                        v /= given
                    elif divisor == 1:
                        v /= real((min(top + kh, height + ph) - top) * (min(left + kw, width + pw) - left))
                    else:
                        v /= real((min(top + kh, height) - max(top, 0)) * (min(left + kw, width) - max(left, 0)))
                    total += v
            out[i] = total
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def max_pool2d(
    gpu: Any, portable: Any, x: Array, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape
) -> tuple[Array, Array]:
    real = real_of(x)
    shape = (*x.shape[:2], *size)
    if real is None or not x.size or not math.prod(shape):
        return portable(x, kernel, stride, padding, dilation, size)
    x, out = gpu.contiguous(x), gpu.empty(shape, x.dtype)
    place = gpu.empty(shape, "uint8" if math.prod(kernel) <= 255 else "int32")
    gpu.launch(
        max_pool, (real,), *spread(out.size), out, place, x, out.size, *x.shape[2:], *size, *kernel, *stride, *padding,
        *dilation,
    )  # fmt: skip
    return out, place


def max_pool2d_backward(
    gpu: Any, portable: Any, g: Array, place: Array, shape: Shape, kernel: Shape, stride: Shape, padding: Shape,
    dilation: Shape,
) -> Array:  # fmt: skip
    real = real_of(g)
    if real is None or not g.size or not math.prod(shape):
        return portable(g, place, shape, kernel, stride, padding, dilation)
    out = gpu.empty(shape, g.dtype)
    gpu.launch(
        max_pool_gradient, (real,), *spread(out.size), out, gpu.contiguous(g), gpu.contiguous(place), out.size,
        *shape[2:], *g.shape[2:], *kernel, *stride, *padding, *dilation,
    )  # fmt: skip
    return out


def _divisor(real: Any, divisor: Any) -> tuple[int, Any]:
    return (1 if divisor == "padded" else 2, real(1)) if isinstance(divisor, str) else (0, real(divisor))


def avg_pool2d(
    gpu: Any, portable: Any, x: Array, kernel: Shape, stride: Shape, padding: Shape, size: Shape, divisor: Any
) -> Array:
    real, shape = real_of(x), (*x.shape[:2], *size)
    if real is None or not x.size or not math.prod(shape):
        return portable(x, kernel, stride, padding, size, divisor)
    x, out = gpu.contiguous(x), gpu.empty(shape, x.dtype)
    kind, given = _divisor(real, divisor)
    gpu.launch(
        average_pool, (real, kind), *spread(out.size), out, x, out.size, *x.shape[2:], *size, *kernel, *stride,
        *padding, given,
    )  # fmt: skip
    return out


def avg_pool2d_backward(
    gpu: Any, portable: Any, g: Array, shape: Shape, kernel: Shape, stride: Shape, padding: Shape, divisor: Any
) -> Array:
    real = real_of(g)
    if real is None or not g.size or not math.prod(shape):
        return portable(g, shape, kernel, stride, padding, divisor)
    out = gpu.empty(shape, g.dtype)
    kind, given = _divisor(real, divisor)
    gpu.launch(
        average_pool_gradient, (real, kind), *spread(out.size), out, gpu.contiguous(g), out.size, *shape[2:],
        *g.shape[2:], *kernel, *stride, *padding, given,
    )  # fmt: skip
    return out


KERNELS = (max_pool2d, max_pool2d_backward, avg_pool2d, avg_pool2d_backward)

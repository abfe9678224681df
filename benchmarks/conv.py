"""One convolution, forward and both gradients."""

from __future__ import annotations

from typing import Any


def conv(
    lib: Any, kit: Any, batch: int, inside: int, outside: int, image: int, kernel: int = 3, stride: int = 1
) -> Any:
    conv2d, padding = lib.nn.functional.conv2d, kernel // 2
    scale = (inside * kernel * kernel) ** -0.5
    x, weight = kit.images(batch, inside, image, image), kit.normal(outside, inside, kernel, kernel, scale=scale)
    if kit.channels_last:
        weight = weight.contiguous(memory_format=lib.channels_last)
    height = (image + 2 * padding - kernel) // stride + 1
    kit.flops = 3 * 2 * batch * outside * height * height * inside * kernel * kernel
    return kit.differentiated(lambda x, w: conv2d(x, w, stride=stride, padding=padding), x, weight)

"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn import init
from autograd_core.nn.module import Module
from autograd_core.nn.parameter import Parameter

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What the convolutions share; they differ in the number of spatial dimensions."""

    _spatial: int = 0
    _transposed = False

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _sizes(kernel_size, self._spatial, f"{name}: kernel_size")
        self.stride = _sizes(stride, self._spatial, f"{name}: stride")
        self.dilation = _sizes(dilation, self._spatial, f"{name}: dilation")
        self.padding = padding if isinstance(padding, str) else _sizes(padding, self._spatial, f"{name}: padding")
        self.groups = groups
        self.padding_mode = padding_mode
        if groups <= 0:
            raise ValueError(f"{name}: groups must be a positive integer, got {groups}")
        for which, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(
                    f"{name}: {which} must be divisible by groups, got {which}={channels}, groups={groups}"
                )
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"{name}: invalid padding string {padding!r}, should be one of 'same', 'valid'")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(
                    f"{name}: padding='same' is not supported for strided convolutions, got stride={stride}"
                )
        if padding_mode not in _PADDING_MODES:
            raise ValueError(
                f"{name}: padding_mode must be one of {_PADDING_MODES}, but got padding_mode={padding_mode!r}"
            )
        rows, columns = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        self.weight = Parameter(ag.empty((rows, columns // groups, *self.kernel_size), device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(ag.empty((out_channels,), device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def _sides(self) -> list[int]:
        """The padding in the order of `F.pad`: before and after, last dimension first."""
        sides: list[int] = []
        for i in reversed(range(self._spatial)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                sides += [total // 2, total - total // 2]
            else:
                n = self.padding[i] if isinstance(self.padding, tuple) else 0
                sides += [n, n]
        return sides

    def forward(self, input: Tensor) -> Tensor:
        convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[self._spatial - 1]
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._sides(), mode=self.padding_mode), 0
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        ones = (1,) * self._spatial
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0,) * self._spatial:
            parts.append(f"padding={self.padding}")
        if self.dilation != ones:
            parts.append(f"dilation={self.dilation}")
        extra = getattr(self, "output_padding", (0,))
        if any(extra):
            parts.append(f"output_padding={extra}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


def _sizes(value: Any, n: int, what: str) -> tuple[int, ...]:
    """`value` as a tuple of n ints."""
    sizes = (value,) * n if isinstance(value, int) else tuple(value)
    if len(sizes) != n or not all(isinstance(size, int) for size in sizes):
        raise ValueError(f"{what} must be an int or a tuple of {n} ints, got {value!r}")
    return sizes


class Conv1d(_Conv):
    """Cross-correlation of sequences (N, C, L) or (C, L) with `out_channels` learned kernels.

    Length out: floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1. weight
    (out, in / groups, kernel_size) and bias (out) start uniform in +-1/sqrt(fan_in). padding: an int, 'same' or
    'valid'; padding_mode: what the border holds. Raises `ValueError` for arguments that do not fit together,
    `RuntimeError` for an input of another number of channels.

    >>> import autograd_core as ag
    >>> ag.nn.Conv1d(16, 33, 3, stride=2)(ag.zeros(20, 16, 50)).shape
    ag.Size([20, 33, 24])
    """

    _spatial = 1


class Conv2d(_Conv):
    """Cross-correlation of images (N, C, H, W) or (C, H, W) with `out_channels` learned kernels.

    Sizes, initialisation and errors as in `Conv1d`; an int stands for both dimensions. LeCun et al., "Gradient-Based
    Learning Applied to Document Recognition", 1998.

    >>> import autograd_core as ag
    >>> ag.nn.Conv2d(3, 8, kernel_size=3, padding=1)(ag.zeros(2, 3, 32, 32)).shape
    ag.Size([2, 8, 32, 32])
    """

    _spatial = 2


class Conv3d(_Conv):
    """Cross-correlation of volumes (N, C, D, H, W) or (C, D, H, W) with `out_channels` learned kernels.

    Sizes, initialisation and errors as in `Conv1d`; an int stands for all three dimensions. Ji et al., "3D
    Convolutional Neural Networks for Human Action Recognition", 2010.

    >>> import autograd_core as ag
    >>> ag.nn.Conv3d(3, 8, kernel_size=3, padding=1)(ag.zeros(2, 3, 4, 8, 8)).shape
    ag.Size([2, 8, 4, 8, 8])
    """

    _spatial = 3


class _ConvTranspose(_Conv):
    """What the transposed convolutions share."""

    _transposed = True
    output_padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f'{name}: only "zeros" padding mode is supported, got {padding_mode!r}')
        if isinstance(padding, str):
            raise TypeError(f"{name}: padding must be an int or ints, got {padding!r}")
        options = (stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, kernel_size, *options)
        self.output_padding = _sizes(output_padding, self._spatial, f"{name}: output_padding")

    def _extra(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives `output_size`, one of the sizes that the stride leaves open."""
        if output_size is None:
            return self.output_padding
        dims = self._spatial
        sizes = tuple(output_size)
        if len(sizes) == input.ndim:
            sizes = sizes[-dims:]
        if len(sizes) != dims:
            raise ValueError(f"{self}: output_size must have {dims} or {input.ndim} elements, got {tuple(output_size)}")
        assert isinstance(self.padding, tuple)
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(input.shape[-dims:], self.stride, self.padding, self.dilation, self.kernel_size)
        ]
        most = [n + s - 1 for n, s in zip(least, self.stride)]
        if any(not low <= size <= high for low, size, high in zip(least, sizes, most)):
            raise ValueError(
                f"{self}: requested an output size of {sizes}, but valid sizes range from {least} to {most} (for an "
                f"input of {tuple(input.shape)})"
            )
        return tuple(size - low for size, low in zip(sizes, least))

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        convolve: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._spatial - 1]
        extra = self._extra(input, output_size)
        options = (self.stride, self.padding, extra, self.groups, self.dilation)
        return convolve(input, self.weight, self.bias, *options)


class ConvTranspose1d(_ConvTranspose):
    """The adjoint of `Conv1d` as a map of its outputs: sequences (N, C, L) or (C, L) grow.

    Length out: (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1; `output_size` in the call
    picks one of the lengths that the stride leaves open. weight: (in, out / groups, kernel_size), initialised as in
    `Conv1d`. Raises `ValueError` or `RuntimeError` for arguments that do not fit together.

    >>> import autograd_core as ag
    >>> ag.nn.ConvTranspose1d(4, 2, 3, stride=2)(ag.zeros(1, 4, 5)).shape
    ag.Size([1, 2, 11])
    """

    _spatial = 1


class ConvTranspose2d(_ConvTranspose):
    """The adjoint of `Conv2d` as a map of its outputs: images (N, C, H, W) or (C, H, W) grow. See `ConvTranspose1d`.

    Zeiler et al., "Deconvolutional Networks", 2010.

    >>> import autograd_core as ag
    >>> ag.nn.ConvTranspose2d(4, 2, 3, stride=2)(ag.zeros(1, 4, 5, 5), output_size=(12, 12)).shape
    ag.Size([1, 2, 12, 12])
    """

    _spatial = 2


class ConvTranspose3d(_ConvTranspose):
    """The adjoint of `Conv3d` as a map of its outputs: volumes (N, C, D, H, W) or (C, D, H, W) grow.

    See `ConvTranspose1d`.

    >>> import autograd_core as ag
    >>> ag.nn.ConvTranspose3d(4, 2, 3, stride=2)(ag.zeros(1, 4, 2, 3, 3)).shape
    ag.Size([1, 2, 5, 7, 7])
    """

    _spatial = 3

"""Pooling layers."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.module import Module

Sizes = Any  # An int, or a tuple with one for each spatial dimension; the functions check it.


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _options(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maximum over windows of kernel_size of sequences (N, C, L) or (C, L); stride is kernel_size unless given.

    >>> import autograd_core as ag
    >>> ag.nn.MaxPool1d(2)(ag.tensor([[[1., 3., 2., 0.]]]))
    tensor([[[3., 2.]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(input, *self._options())


class MaxPool2d(_MaxPool):
    """The maximum over windows of images (N, C, H, W) or (C, H, W); stride is kernel_size unless given.

    >>> import autograd_core as ag
    >>> ag.nn.MaxPool2d(2)(ag.zeros(1, 1, 4, 6)).shape
    ag.Size([1, 1, 2, 3])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(input, *self._options())


class MaxPool3d(_MaxPool):
    """The maximum over windows of volumes (N, C, D, H, W) or (C, D, H, W); stride is kernel_size unless given.

    >>> import autograd_core as ag
    >>> ag.nn.MaxPool3d(2)(ag.zeros(1, 1, 2, 4, 6)).shape
    ag.Size([1, 1, 1, 2, 3])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool3d(input, *self._options())


class AvgPool1d(Module):
    """The mean over windows of kernel_size of sequences (N, C, L) or (C, L); stride is kernel_size unless given.

    count_include_pad: the zeros of the padding count.

    >>> import autograd_core as ag
    >>> ag.nn.AvgPool1d(2)(ag.tensor([[[1., 3., 2., 0.]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size: Sizes = _single(kernel_size)
        self.stride: Sizes = self.kernel_size if stride is None else _single(stride)
        self.padding: Sizes = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def _options(self) -> tuple[Any, ...]:
        sizes = self.kernel_size, self.stride, self.padding
        return *sizes, self.ceil_mode, self.count_include_pad, self.divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean over windows of images (N, C, H, W) or (C, H, W); stride is kernel_size unless given.

    count_include_pad: the zeros of the padding count. divisor_override: divide by this instead of the window's size.

    >>> import autograd_core as ag
    >>> ag.nn.AvgPool2d(2)(ag.ones(1, 1, 2, 2))
    tensor([[[[1.]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, *self._options())


class AvgPool3d(_AvgPool):
    """The mean over windows of volumes (N, C, D, H, W) or (C, D, H, W): see `AvgPool2d`.

    >>> import autograd_core as ag
    >>> ag.nn.AvgPool3d(2)(ag.zeros(1, 1, 2, 4, 6)).shape
    ag.Size([1, 1, 1, 2, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(input, *self._options())


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean over `output_size` even windows of sequences (N, C, L) or (C, L), whatever their length.

    >>> import autograd_core as ag
    >>> ag.nn.AdaptiveAvgPool1d(5)(ag.zeros(1, 64, 8)).shape
    ag.Size([1, 64, 5])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean over a grid of `output_size` even windows of images; an int means a square, None keeps the input's size.

    >>> import autograd_core as ag
    >>> ag.nn.AdaptiveAvgPool2d(1)(ag.zeros(1, 64, 8, 9)).shape
    ag.Size([1, 64, 1, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean over a grid of `output_size` even windows of volumes; None keeps the input's size.

    >>> import autograd_core as ag
    >>> ag.nn.AdaptiveAvgPool3d((1, 2, None))(ag.zeros(1, 64, 8, 9, 10)).shape
    ag.Size([1, 64, 1, 2, 10])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPool(Module):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maximum over `output_size` even windows of sequences (N, C, L) or (C, L), whatever their length.

    >>> import autograd_core as ag
    >>> ag.nn.AdaptiveMaxPool1d(5)(ag.zeros(1, 64, 8)).shape
    ag.Size([1, 64, 5])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maximum over a grid of `output_size` even windows of images; an int means a square, None the input's size.

    >>> import autograd_core as ag
    >>> ag.nn.AdaptiveMaxPool2d((5, None))(ag.zeros(1, 64, 8, 9)).shape
    ag.Size([1, 64, 5, 9])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maximum over a grid of `output_size` even windows of volumes; an int means a cube, None the input's size.

    >>> import autograd_core as ag
    >>> ag.nn.AdaptiveMaxPool3d(3)(ag.zeros(1, 64, 8, 9, 10)).shape
    ag.Size([1, 64, 3, 3, 3])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


def _single(value: Sizes) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)

"""Pooling layers: maxima, means and power averages of windows, and maxima back to their places."""

from __future__ import annotations

from collections.abc import Sequence
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


class _FractionalMaxPool(Module):
    _spatial = 0

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Sizes | None = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self._spatial
        self.kernel_size = _each(kernel_size, n)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else _each(output_size, n)
        self.output_ratio = output_ratio
        if isinstance(output_ratio, int | float):
            self.output_ratio = (output_ratio,) * n
        if min(self.kernel_size) < 1:
            raise ValueError(f"{name}: kernel_size must be greater than 0, but got {kernel_size}")
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name} requires either an output_size or an output_ratio, and not both")
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        pool: Any = F.fractional_max_pool2d if self._spatial == 2 else F.fractional_max_pool3d
        options = (self.kernel_size, self.output_size, self.output_ratio, self.return_indices)
        return pool(input, *options, _random_samples=self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The maximum over windows of images (N, C, H, W) or (C, H, W) whose places are drawn at random.

    output_size, or output_ratio (of the input's, between 0 and 1): how many windows. Graham, "Fractional Max-Pooling",
    2014.

    >>> import autograd_core as ag
    >>> ag.nn.FractionalMaxPool2d(2, output_ratio=0.7)(ag.zeros(1, 1, 10, 20)).shape
    ag.Size([1, 1, 7, 14])
    """

    _spatial = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """`FractionalMaxPool2d` for volumes (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.FractionalMaxPool3d(2, output_size=(2, 3, 4))(ag.zeros(1, 1, 4, 6, 8)).shape
    ag.Size([1, 1, 2, 3, 4])
    """

    _spatial = 3


class _MaxUnpool(Module):
    _spatial = 0

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        n = self._spatial
        self.kernel_size = _each(kernel_size, n)
        self.stride = self.kernel_size if stride is None else _each(stride, n)
        self.padding = _each(padding, n)

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        unpool: Any = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self._spatial - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Maxima of `MaxPool1d` at their places among zeros; the call takes them and their indices.

    `output_size` in the call picks one of the lengths that pooling would bring to the input's.

    >>> import autograd_core as ag
    >>> pool = ag.nn.MaxPool1d(2, return_indices=True)
    >>> ag.nn.MaxUnpool1d(2)(*pool(ag.tensor([[1.0, 3.0, 2.0, 0.0]])))
    tensor([[0., 3., 2., 0.]])
    """

    _spatial = 1


class MaxUnpool2d(_MaxUnpool):
    """Maxima of `MaxPool2d` at their places among zeros: see `MaxUnpool1d`.

    >>> import autograd_core as ag
    >>> pool = ag.nn.MaxPool2d(2, return_indices=True)
    >>> ag.nn.MaxUnpool2d(2)(*pool(ag.ones(1, 5, 4)), output_size=(5, 4)).shape
    ag.Size([1, 5, 4])
    """

    _spatial = 2


class MaxUnpool3d(_MaxUnpool):
    """Maxima of `MaxPool3d` at their places among zeros: see `MaxUnpool1d`.

    >>> import autograd_core as ag
    >>> pool = ag.nn.MaxPool3d(2, return_indices=True)
    >>> ag.nn.MaxUnpool3d(2)(*pool(ag.ones(1, 2, 4, 4))).shape
    ag.Size([1, 2, 4, 4])
    """

    _spatial = 3


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


class _LPPool(Module):
    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def _options(self) -> tuple[Any, ...]:
        return float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """(Sum of x^p over windows of kernel_size)^(1 / p), p = norm_type, of sequences (N, C, L) or (C, L).

    Stride is kernel_size unless given. See `nn.functional.lp_pool2d`.

    >>> import autograd_core as ag
    >>> ag.nn.LPPool1d(2, 2)(ag.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(input, *self._options())


class LPPool2d(_LPPool):
    """(Sum of x^p over windows of kernel_size)^(1 / p), p = norm_type, of images (N, C, H, W) or (C, H, W).

    Stride is kernel_size unless given. p = 2 is the L2 pooling of Sermanet, Chintala and LeCun, 2012.

    >>> import autograd_core as ag
    >>> ag.nn.LPPool2d(2, 2)(ag.zeros(1, 1, 4, 6)).shape
    ag.Size([1, 1, 2, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, *self._options())


class LPPool3d(_LPPool):
    """`LPPool2d` for volumes (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.LPPool3d(2, 2)(ag.zeros(1, 1, 2, 4, 6)).shape
    ag.Size([1, 1, 1, 2, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool3d(input, *self._options())


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


def _each(value: Sizes, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value)

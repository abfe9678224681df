"""Layers that take images apart and put them together: windows as columns, and channels in another order."""

from __future__ import annotations

from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.module import Module
from autograd_core.nn.pooling import Sizes


class Unfold(Module):
    """The windows of images (N, C, H, W) as columns (N, C * kernel_size^2, windows).

    >>> import autograd_core as ag
    >>> ag.nn.Unfold(kernel_size=(2, 3))(ag.zeros(2, 5, 3, 4)).shape
    ag.Size([2, 30, 4])
    """

    def __init__(self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Columns (N, C * kernel_size^2, windows) added up to images (N, C, *output_size): the adjoint of `Unfold`.

    >>> import autograd_core as ag
    >>> ag.nn.Fold((3, 4), (2, 3))(ag.zeros(2, 30, 4)).shape
    ag.Size([2, 5, 3, 4])
    """

    def __init__(
        self, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class ChannelShuffle(Module):
    """Channels of (N, C, ...) as `groups` rows, read column by column: Zhang et al., "ShuffleNet", 2018.

    >>> import autograd_core as ag
    >>> ag.nn.ChannelShuffle(2)(ag.arange(4).reshape(1, 4, 1)).flatten()
    tensor([0, 2, 1, 3])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"

"""Dropout layers."""

from __future__ import annotations

from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.module import Module


class Dropout(Module):
    """In training, sets each element to zero with probability p and scales the others by 1/(1 - p).

    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014. Raises `ValueError`
    unless 0 <= p <= 1.

    >>> import autograd_core as ag
    >>> ag.nn.Dropout(0.5).eval()(ag.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """In training, sets whole channels of sequences (N, C, L) or (C, L) to zero with probability p; the others are
    scaled by 1/(1 - p).

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.

    >>> import autograd_core as ag
    >>> ag.nn.Dropout1d().eval()(ag.ones(1, 1, 1)).item()
    1.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropout):
    """In training, sets whole channels of images (N, C, H, W) to zero with probability p; the others are
    scaled by 1/(1 - p).

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.

    >>> import autograd_core as ag
    >>> ag.nn.Dropout2d().eval()(ag.ones(1, 1, 1, 1)).item()
    1.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropout):
    """In training, sets whole channels of volumes (N, C, D, H, W) or (C, D, H, W) to zero with probability p;
    the others are scaled by 1/(1 - p).

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.

    >>> import autograd_core as ag
    >>> ag.nn.Dropout3d().eval()(ag.ones(1, 1, 1, 1, 1)).item()
    1.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)

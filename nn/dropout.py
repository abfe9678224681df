"""Layers that draw at random in training: dropout, and the randomised rectifier."""

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


class AlphaDropout(Dropout):
    """In training, sets elements to the limit of `SELU` with probability p, and keeps mean 0 and variance 1.

    Klambauer et al., "Self-Normalizing Neural Networks", 2017; see `nn.functional.alpha_dropout`.

    >>> import autograd_core as ag
    >>> ag.nn.AlphaDropout(0.2).eval()(ag.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(Dropout):
    """`AlphaDropout` of whole channels of (N, C, ...).

    >>> import autograd_core as ag
    >>> ag.nn.FeatureAlphaDropout(0.2).eval()(ag.ones(1, 2))
    tensor([[1., 1.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)


class RReLU(Module):
    """x above 0, a x below, with a drawn from [lower, upper) in training and their mean otherwise.

    Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional Network", 2015.

    >>> import autograd_core as ag
    >>> ag.nn.RReLU(0.25, 0.75).eval()(ag.tensor([-2.0, 2.0]))
    tensor([-1.,  2.])
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")

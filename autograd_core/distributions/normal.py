"""The normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution, broadcast
from autograd_core.tensor import Tensor

__all__ = ["Normal"]


class Normal(Distribution):
    """`p(x) = exp(-(x - loc)^2 / (2 scale^2)) / (scale sqrt(2 pi))`; `loc` and `scale` > 0 broadcast.

    Raises ValueError for a scale that is not positive.

    >>> import autograd_core as ag
    >>> ag.distributions.Normal(0.0, 1.0).log_prob(ag.tensor(0.0))
    tensor(-0.9189)
    """

    has_rsample = True

    def __init__(self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast(loc, scale)
        super().__init__(self.loc.shape, validate_args)
        self._check(self.loc == self.loc, "loc", "without NaN")
        self._check(self.scale > 0, "scale", "> 0")

    @property
    def mean(self) -> Tensor:
        """`loc`."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """`scale^2`."""
        return self.scale.square()

    @property
    def stddev(self) -> Tensor:
        """`scale`."""
        return self.scale

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`loc + scale z` with standard normal `z`."""
        z = ag.randn(self._shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.scale * z

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        self._check(value == value, "a value", "that is a real number")
        return -((value - self.loc) ** 2) / (2 * self.variance) - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Tensor) -> Tensor:
        """`(1 + erf((value - loc) / (scale sqrt(2)))) / 2`."""
        self._check_value(value)
        self._check(value == value, "a value", "that is a real number")
        return 0.5 * (1 + ag.erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value: Tensor) -> Tensor:
        """`loc + scale sqrt(2) erfinv(2 value - 1)`."""
        self._check_probability(value)
        return self.loc + self.scale * math.sqrt(2) * ag.erfinv(2 * value - 1)

    def _given(self) -> dict[str, Tensor]:
        return {"loc": self.loc, "scale": self.scale}

    def entropy(self) -> Tensor:
        """`(1 + log(2 pi)) / 2 + log(scale)`."""
        return self.scale.log() + 0.5 * (1 + math.log(2 * math.pi))

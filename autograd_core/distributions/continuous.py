"""Continuous distributions of one number that are made of uniform or normal draws: exponential, Laplace, log-normal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution, broadcast
from autograd_core.distributions.normal import Normal
from autograd_core.tensor import Tensor

__all__ = ["Exponential", "Laplace", "LogNormal"]


class Exponential(Distribution):
    """The time between events that come at `rate`: density `rate exp(-rate x)`. Raises ValueError unless `rate` > 0.

    >>> import autograd_core as ag
    >>> ag.distributions.Exponential(2.0).log_prob(ag.tensor(0.0)).exp()
    tensor(2.)
    """

    has_rsample = True

    def __init__(self, rate: Tensor | float, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast(rate)
        super().__init__(self.rate.shape, validate_args)
        self._check(self.rate > 0, "rate", "> 0")

    @property
    def mean(self) -> Tensor:
        """`1 / rate`."""
        return self.rate.reciprocal()

    @property
    def variance(self) -> Tensor:
        """`1 / rate^2`."""
        return self.rate.pow(-2)

    @property
    def stddev(self) -> Tensor:
        """`1 / rate`."""
        return self.rate.reciprocal()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`-log(1 - u) / rate` with `u` uniform in [0, 1)."""
        u = ag.rand(self._shape(sample_shape), dtype=self.rate.dtype, device=self.rate.device)
        return -(-u).log1p() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """`log(rate) - rate value`."""
        self._check_value(value)
        self._check(value >= 0, "a value", ">= 0")
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        """`1 - exp(-rate value)`."""
        self._check_value(value)
        self._check(value >= 0, "a value", ">= 0")
        return 1 - (-self.rate * value).exp()

    def icdf(self, value: Tensor) -> Tensor:
        """`-log(1 - value) / rate`."""
        self._check_probability(value)
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        """`1 - log(rate)`."""
        return 1.0 - self.rate.log()

    def _given(self) -> dict[str, Tensor]:
        return {"rate": self.rate}


class Laplace(Distribution):
    """Density `exp(-|x - loc| / scale) / (2 scale)`. Raises ValueError unless `scale` > 0.

    >>> import autograd_core as ag
    >>> ag.distributions.Laplace(0.0, 1.0).log_prob(ag.tensor(0.0)).exp()
    tensor(0.5000)
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
        """`2 scale^2`."""
        return 2 * self.scale.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`loc - scale sign(u) log(1 - |u|)` with `u` uniform in (-1, 1)."""
        u = ag.rand(self._shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        u = (2 * u - 1).clamp_min(ag.finfo(self.loc.dtype).eps - 1)
        return self.loc - self.scale * u.sign() * (-u.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        """`-log(2 scale) - |value - loc| / scale`."""
        self._check_value(value)
        self._check(value == value, "a value", "that is a real number")
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw that is at most `value`."""
        self._check_value(value)
        self._check(value == value, "a value", "that is a real number")
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * (-away.abs() / self.scale).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile at the probability `value`."""
        self._check_probability(value)
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        """`1 + log(2 scale)`."""
        return 1 + (2 * self.scale).log()

    def _given(self) -> dict[str, Tensor]:
        return {"loc": self.loc, "scale": self.scale}


class LogNormal(Distribution):
    """`exp(z)` with `z` from `Normal(loc, scale)`. Raises ValueError unless `scale` > 0.

    >>> import autograd_core as ag
    >>> ag.distributions.LogNormal(0.0, 1.0).cdf(ag.tensor(1.0))
    tensor(0.5000)
    """

    has_rsample = True

    def __init__(self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None) -> None:
        self._normal = Normal(loc, scale, validate_args)
        super().__init__(self._normal.batch_shape, validate_args)
        self.loc, self.scale = self._normal.loc, self._normal.scale

    @property
    def mean(self) -> Tensor:
        """`exp(loc + scale^2 / 2)`."""
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def variance(self) -> Tensor:
        """`(exp(scale^2) - 1) exp(2 loc + scale^2)`."""
        squared = self.scale.square()
        return squared.expm1() * (2 * self.loc + squared).exp()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`exp` of a normal draw."""
        return self._normal.rsample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """The normal density at `log(value)`, over `value`."""
        self._check_value(value)
        self._check(value > 0, "a value", "> 0")
        logarithm = value.log()
        return self._normal.log_prob(logarithm) - logarithm

    def cdf(self, value: Tensor) -> Tensor:
        """That of the normal distribution at `log(value)`."""
        self._check_value(value)
        self._check(value > 0, "a value", "> 0")
        return self._normal.cdf(value.log())

    def icdf(self, value: Tensor) -> Tensor:
        """`exp` of the normal quantile."""
        return self._normal.icdf(value).exp()

    def entropy(self) -> Tensor:
        """That of the normal distribution, plus `loc`."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log() + self.loc

    def _given(self) -> dict[str, Tensor]:
        return {"loc": self.loc, "scale": self.scale}

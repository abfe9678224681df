"""The uniform distribution."""

from __future__ import annotations

from collections.abc import Sequence

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution, broadcast
from autograd_core.tensor import Tensor

__all__ = ["Uniform"]


class Uniform(Distribution):
    """Equally likely everywhere in [low, high); `low` < `high` broadcast. Raises ValueError where they are not so.

    >>> import autograd_core as ag
    >>> ag.distributions.Uniform(0.0, 4.0).log_prob(ag.tensor(1.0)).exp()
    tensor(0.2500)
    """

    has_rsample = True

    def __init__(self, low: Tensor | float, high: Tensor | float, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast(low, high)
        super().__init__(self.low.shape, validate_args)
        self._check(self.low < self.high, "low", "< high")

    @property
    def mean(self) -> Tensor:
        """`(low + high) / 2`."""
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        """`(high - low)^2 / 12`."""
        return (self.high - self.low).square() / 12

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`low + (high - low) u` with `u` uniform in [0, 1)."""
        u = ag.rand(self._shape(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + u * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """`-log(high - low)` within, minus infinity outside (where `validate_args` is off)."""
        self._check_value(value)
        self._check((value >= self.low).logical_and(value <= self.high), "a value", "in [low, high]")
        inside = (value >= self.low).logical_and(value < self.high).to(self.low.dtype)
        return inside.log() - (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        """`(value - low) / (high - low)`, held in [0, 1] (where `validate_args` is off)."""
        self._check_value(value)
        self._check((value >= self.low).logical_and(value <= self.high), "a value", "in [low, high]")
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value: Tensor) -> Tensor:
        """`low + (high - low) value`."""
        self._check_probability(value)
        return self.low + (self.high - self.low) * value

    def _given(self) -> dict[str, Tensor]:
        return {"low": self.low, "high": self.high}

    def entropy(self) -> Tensor:
        """`log(high - low)`."""
        return (self.high - self.low).log()

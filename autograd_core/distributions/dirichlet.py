"""Distributions over proportions: Dirichlet, and beta, which is that of two."""

from __future__ import annotations

from collections.abc import Sequence

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution, broadcast
from autograd_core.distributions.gamma import log_gamma_draw
from autograd_core.tensor import Tensor

__all__ = ["Beta", "Dirichlet"]


class Dirichlet(Distribution):
    """Proportions that sum to 1, along the last dimension of `concentration`.

    Raises ValueError unless `concentration` is > 0 and has a dimension. Gradients pass through `rsample`, of the first
    order.

    >>> import autograd_core as ag
    >>> ag.distributions.Dirichlet(ag.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if not isinstance(concentration, Tensor) or concentration.ndim < 1:
            raise ValueError("Dirichlet: concentration must be a Tensor that is at least one-dimensional")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], validate_args, concentration.shape[-1:])
        self._check(concentration > 0, "concentration", "> 0")

    @property
    def mean(self) -> Tensor:
        """`concentration / sum(concentration)`."""
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def variance(self) -> Tensor:
        """`mean (1 - mean) / (sum(concentration) + 1)`."""
        return self.mean * (1 - self.mean) / (self.concentration.sum(-1, True) + 1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Gamma draws over their sum; none is 0, but the smallest normal number of the dtype."""
        draw = log_gamma_draw(self.concentration, self._shape(sample_shape)).softmax(-1).to(self.concentration.dtype)
        return draw.clamp_min(ag.finfo(draw.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        """`sum((concentration - 1) log(value))`, less the logarithm of the norm."""
        self._check_value(value)
        fits = (value >= 0).all(-1).logical_and((value.sum(-1) - 1).abs() < 1e-6)
        self._check(fits, "values", ">= 0 that sum to 1 along the last dimension")
        return ag.xlogy(self.concentration - 1, value).sum(-1) - self._log_norm()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        c, total = self.concentration, self.concentration.sum(-1)
        count = c.shape[-1]
        return self._log_norm() - (count - total) * total.digamma() - ((c - 1) * c.digamma()).sum(-1)

    def _log_norm(self) -> Tensor:
        return self.concentration.lgamma().sum(-1) - self.concentration.sum(-1).lgamma()

    def _given(self) -> dict[str, Tensor]:
        return {"concentration": self.concentration}


class Beta(Distribution):
    """Density proportional to `x^(concentration1 - 1) (1 - x)^(concentration0 - 1)` on 0..1.

    Raises ValueError unless both are > 0. Gradients pass through `rsample`, of the first order.

    >>> import autograd_core as ag
    >>> ag.distributions.Beta(1.0, 3.0).mean
    tensor(0.2500)
    """

    has_rsample = True

    def __init__(
        self, concentration1: Tensor | float, concentration0: Tensor | float, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = broadcast(concentration1, concentration0)
        super().__init__(self.concentration1.shape, validate_args)
        self._check(self.concentration1 > 0, "concentration1", "> 0")
        self._check(self.concentration0 > 0, "concentration0", "> 0")

    @property
    def _dirichlet(self) -> Dirichlet:
        return Dirichlet(ag.stack([self.concentration1, self.concentration0], -1), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """`concentration1 / (concentration1 + concentration0)`."""
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self) -> Tensor:
        """`mean (1 - mean) / (concentration1 + concentration0 + 1)`."""
        return self.mean * (1 - self.mean) / (self.concentration1 + self.concentration0 + 1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Of two gamma draws, the share of the first; never 0 or 1, but the number of the dtype next to it."""
        shape = self._shape(sample_shape)
        one, other = (log_gamma_draw(c, shape) for c in (self.concentration1, self.concentration0))
        info = ag.finfo(self.concentration1.dtype)
        return (one - other).sigmoid().to(self.concentration1.dtype).clamp(info.tiny, 1 - info.eps)

    def log_prob(self, value: Tensor) -> Tensor:
        """`(c1 - 1) log(value) + (c0 - 1) log(1 - value)`, less the logarithm of the norm."""
        self._check_value(value)
        self._check((value >= 0).logical_and(value <= 1), "a value", "in [0, 1]")
        one, other = self.concentration1 - 1, self.concentration0 - 1
        return ag.xlogy(one, value) + ag.xlogy(other, 1 - value) - self._dirichlet._log_norm()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self._dirichlet.entropy()

    def _given(self) -> dict[str, Tensor]:
        return {"concentration1": self.concentration1, "concentration0": self.concentration0}

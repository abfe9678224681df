"""Discrete distributions: geometric, Poisson, and categories as one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autograd_core as ag
from autograd_core.distributions.bernoulli import Bernoulli
from autograd_core.distributions.categorical import Categorical
from autograd_core.distributions.distribution import Distribution, broadcast
from autograd_core.tensor import Tensor

__all__ = ["Geometric", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Poisson"]


class Geometric(Distribution):
    """How many failures come before the first success, each trial succeeding with `probs`: `P(k) = (1 - p)^k p`.

    Raises ValueError unless exactly one of `probs` (in (0, 1]) and `logits` is given.

    >>> import autograd_core as ag
    >>> ag.distributions.Geometric(0.5).log_prob(ag.tensor(2.0)).exp()
    tensor(0.1250)
    """

    def __init__(
        self, probs: Tensor | float | None = None, logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if (probs is None) == (logits is None):
            raise ValueError("Geometric: expected either probs or logits, but not both")
        self._trial = Bernoulli(probs, logits, validate_args)
        super().__init__(self._trial.batch_shape, validate_args)
        if probs is not None:
            self._check(self.probs > 0, "probs", "in (0, 1]")

    @property
    def probs(self) -> Tensor:
        """The probability of a success."""
        return self._trial.probs

    @property
    def logits(self) -> Tensor:
        """`log(probs / (1 - probs))`."""
        return self._trial.logits

    @property
    def mean(self) -> Tensor:
        """`1 / probs - 1`."""
        return 1.0 / self.probs - 1.0

    @property
    def variance(self) -> Tensor:
        """`(1 / probs - 1) / probs`."""
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`floor(log(u) / log(1 - probs))` with `u` uniform in (0, 1)."""
        with ag.no_grad():
            p = self.probs
            u = ag.rand(self._shape(sample_shape), dtype=p.dtype, device=p.device)
            return (u.clamp_min(ag.finfo(p.dtype).tiny).log() / (-p).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """`value log(1 - probs) + log(probs)`."""
        self._check_value(value)
        self._check((value >= 0).logical_and(value == value.floor()), "a value", "that is an integer >= 0")
        value, p = ag.broadcast_tensors(value, self.probs)
        none = ag.zeros_like(p)
        failure = ag.where((p == 1).logical_and(value == 0), none, p)  # 0 log(0) counts as 0.
        return value * (-failure).log1p() + p.log()

    def entropy(self) -> Tensor:
        """The entropy of one trial, over `probs`."""
        return self._trial.entropy() / self.probs

    def _given(self) -> dict[str, Tensor]:
        return self._trial._given()


class Poisson(Distribution):
    """How many events come that are independent and `rate` on average. Raises ValueError unless `rate` >= 0.

    >>> import autograd_core as ag
    >>> ag.distributions.Poisson(2.0).log_prob(ag.tensor(0.0)).exp()
    tensor(0.1353)
    """

    def __init__(self, rate: Tensor | float, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast(rate)
        super().__init__(self.rate.shape, validate_args)
        self._check(self.rate >= 0, "rate", ">= 0")

    @property
    def mean(self) -> Tensor:
        """`rate`."""
        return self.rate

    @property
    def variance(self) -> Tensor:
        """`rate`."""
        return self.rate

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """By inverting the cumulative distribution, in float64. The number of its terms grows as the root of the
        largest `rate`, which is read on the host."""
        with ag.no_grad():
            shape = self._shape(sample_shape)
            rate = self.rate.double()
            spread = rate.sqrt()
            lowest = (rate - 12 * spread - 20).floor().clamp_min(0)
            terms = int((24 * spread + 60).max().item()) if rate.numel() else 0
            u = ag.rand(shape, dtype=ag.float64, device=rate.device)
            below, count = ag.zeros_like(rate), lowest.expand(shape)
            for k in range(terms):
                number = lowest + k
                below = below + (ag.xlogy(number, rate) - rate - (number + 1).lgamma()).exp()
                count = count + (u >= below)
            return count.to(self.rate.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """`value log(rate) - rate - log(value!)`."""
        self._check_value(value)
        self._check((value >= 0).logical_and(value == value.floor()), "a value", "that is an integer >= 0")
        return ag.xlogy(value, self.rate) - self.rate - (value + 1).lgamma()

    def _given(self) -> dict[str, Tensor]:
        return {"rate": self.rate}


class OneHotCategorical(Distribution):
    """`Categorical`, whose draws are vectors that are 1 at the category and else 0; `event_shape` is their length.

    Raises ValueError as `Categorical` does.

    >>> import autograd_core as ag
    >>> ag.distributions.OneHotCategorical(ag.tensor([1.0, 3.0])).log_prob(ag.tensor([0.0, 1.0])).exp()
    tensor(0.7500)
    """

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, validate_args, self._categorical.probs.shape[-1:])

    @property
    def probs(self) -> Tensor:
        """The probabilities; they sum to 1."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits

    @property
    def mean(self) -> Tensor:
        """`probs`."""
        return self.probs

    @property
    def variance(self) -> Tensor:
        """`probs (1 - probs)`."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Vectors of zeros and a one, in the dtype of the parameter."""
        probs = self.probs
        number = self._categorical.sample(sample_shape).unsqueeze(-1)
        return ag.zeros(self._shape(sample_shape), dtype=probs.dtype, device=probs.device).scatter(-1, number, 1.0)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of the category at which `value` is 1."""
        self._check_value(value)
        one_hot: Any = ((value == 0).logical_or(value == 1)).all(-1).logical_and(value.sum(-1) == 1)
        self._check(one_hot, "a value", "that is 1 in one place and 0 elsewhere")
        value, logits = ag.broadcast_tensors(value, self.logits)
        return self._categorical.log_prob(value.argmax(-1).expand(logits.shape[:-1]))

    def entropy(self) -> Tensor:
        """`-sum(p log p)`."""
        return self._categorical.entropy()

    def _given(self) -> dict[str, Tensor]:
        return self._categorical._given()


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` with an `rsample` whose gradient is that of `probs`.

    Source: Bengio, Leonard, Courville, "Estimating or propagating gradients through stochastic neurons" (2013).

    >>> import autograd_core as ag
    >>> ag.distributions.OneHotCategoricalStraightThrough(ag.ones(2, requires_grad=True)).rsample().requires_grad
    True
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`sample + probs - probs`, the last without its gradient."""
        probs = self.probs
        return self.sample(sample_shape) + (probs - probs.detach())

"""The Bernoulli distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution, broadcast
from autograd_core.ops.losses import binary_cross_entropy_with_logits
from autograd_core.tensor import Tensor

__all__ = ["Bernoulli"]


class Bernoulli(Distribution):
    """1 with probability `probs`, else 0; or with the log-odds `logits`, of which there is no rounding to 0 or 1.

    Raises ValueError unless exactly one of `probs` (in [0, 1]) and `logits` is given.

    >>> import autograd_core as ag
    >>> ag.distributions.Bernoulli(0.25).log_prob(ag.tensor(1.0)).exp()
    tensor(0.2500)
    """

    def __init__(
        self, probs: Tensor | float | None = None, logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if (probs is None) == (logits is None):
            raise ValueError("Bernoulli: expected either probs or logits, but not both")
        given: Any = logits if probs is None else probs
        (given,) = broadcast(given)
        super().__init__(given.shape, validate_args)
        self._by_probs = probs is not None
        self._param = given
        if self._by_probs:
            self._check((given >= 0).logical_and(given <= 1), "probs", "in [0, 1]")
        else:
            self._check(given == given, "logits", "without NaN")

    @property
    def probs(self) -> Tensor:
        """The probability of 1."""
        return self._param if self._by_probs else self._param.sigmoid()

    @property
    def logits(self) -> Tensor:
        """`log(probs / (1 - probs))`, finite: probabilities are kept one rounding away from 0 and 1."""
        if not self._by_probs:
            return self._param
        eps = ag.finfo(self._param.dtype).eps
        p = self._param.clamp(eps, 1 - eps)
        return p.log() - (-p).log1p()

    def _given(self) -> dict[str, Tensor]:
        return {"probs" if self._by_probs else "logits": self._param}

    @property
    def mean(self) -> Tensor:
        """`probs`."""
        return self.probs

    @property
    def variance(self) -> Tensor:
        """`probs (1 - probs)`."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Zeros and ones in the dtype of the parameter."""
        with ag.no_grad():
            return ag.bernoulli(self.probs.expand(self._shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """`value log(probs) + (1 - value) log(1 - probs)`, from the logits."""
        self._check_value(value)
        self._check((value == 0).logical_or(value == 1), "a value", "that is 0 or 1")
        logits, value = ag.broadcast_tensors(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value.to(logits.dtype), reduction="none")

    def entropy(self) -> Tensor:
        """`-p log(p) - (1 - p) log(1 - p)`."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

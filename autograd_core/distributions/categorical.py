"""The categorical distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution
from autograd_core.tensor import Tensor

__all__ = ["Categorical"]


class Categorical(Distribution):
    """The number i with probability `probs[..., i]` (made to sum to 1), or proportional to `exp(logits[..., i])`.

    Raises ValueError unless exactly one of them is given, has a dimension, and is in range.

    >>> import autograd_core as ag
    >>> ag.distributions.Categorical(ag.tensor([1.0, 3.0])).log_prob(ag.tensor(1)).exp()
    tensor(0.7500)
    """

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Categorical: expected either probs or logits, but not both")
        given: Any = logits if probs is None else probs
        if given.ndim < 1:
            raise ValueError("Categorical: the parameter must be at least one-dimensional, got a scalar")
        super().__init__(given.shape[:-1], validate_args)
        self._by_probs = probs is not None
        if self._by_probs:
            total = given.sum(-1, keepdim=True)
            self._check((given >= 0).logical_and(total > 0), "probs", ">= 0 with a sum > 0")
            self._param = given / total
        else:
            self._check(given == given, "logits", "without NaN")
            self._param = given.log_softmax(-1)

    @property
    def probs(self) -> Tensor:
        """The probabilities; they sum to 1."""
        return self._param if self._by_probs else self._param.exp()

    @property
    def logits(self) -> Tensor:
        """Their logarithms, finite: probabilities are kept one rounding away from 0 and 1."""
        if not self._by_probs:
            return self._param
        eps = ag.finfo(self._param.dtype).eps
        return self._param.clamp(eps, 1 - eps).log()

    def _given(self) -> dict[str, Tensor]:
        return {"probs" if self._by_probs else "logits": self._param}

    @property
    def mean(self) -> Tensor:
        """NaN: categories have no mean."""
        return ag.full(self._batch_shape, float("nan"), dtype=self._param.dtype, device=self._param.device)

    @property
    def variance(self) -> Tensor:
        """NaN: categories have no variance."""
        return self.mean

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """int64 numbers of categories, by inverting the cumulative distribution."""
        with ag.no_grad():
            bounds = self.probs.cumsum(-1)
            # Exactly 1 at the end, so that a draw below 1 never falls behind the last category.
            bounds = bounds / bounds[..., -1:]
            u = ag.rand((*self._shape(sample_shape), 1), dtype=bounds.dtype, device=bounds.device)
            return (bounds <= u).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of the category `value`."""
        self._check_value(value)
        logits = self.logits
        count = logits.shape[-1]
        self._check((value >= 0).logical_and(value < count).logical_and(value == value.long()), "a value",
                    f"that is an integer from 0 to {count - 1}")  # fmt: skip
        shape = ag.broadcast_shapes(value.shape, self._batch_shape)
        numbers = value.long().expand(shape).unsqueeze(-1)
        return logits.expand((*shape, count)).gather(-1, numbers).squeeze(-1)

    def entropy(self) -> Tensor:
        """`-sum(p log p)`."""
        logits = self.logits.clamp_min(ag.finfo(self._param.dtype).min)
        return -(logits * self.probs).sum(-1)

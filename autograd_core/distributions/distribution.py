"""The base of all distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autograd_core as ag
from autograd_core.tensor import Tensor

__all__ = ["Distribution"]


class Distribution:
    """A batch of distributions of one kind: `batch_shape` is the shape of the parameters.

    `sample(shape)` draws a tensor of shape `shape + batch_shape + event_shape` without gradients, `rsample(shape)` one
    through which gradients reach the parameters. `log_prob(value)` broadcasts `value` with the parameters; with
    `validate_args` (the default) it raises ValueError for a value that the distribution cannot give, as the constructor
    does for parameters out of range.

    >>> import autograd_core as ag
    >>> ag.distributions.Normal(ag.zeros(3), 1.0).sample((2,)).shape
    ag.Size([2, 3])
    """

    has_rsample = False

    def __init__(
        self, batch_shape: Sequence[int], validate_args: bool | None = None, event_shape: Sequence[int] = ()
    ) -> None:
        self._batch_shape = ag.Size(batch_shape)
        self._event_shape = ag.Size(event_shape)
        self._validate_args = validate_args is not False

    @property
    def batch_shape(self) -> Any:
        """The shape of the parameters, broadcast with each other."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of one draw: () for distributions of single numbers."""
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no mean: a subclass defines it")

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no variance: a subclass defines it")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of shape `sample_shape + batch_shape + event_shape`, without gradients."""
        with ag.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws as a differentiable function of the parameters (Kingma and Welling, 2014), where there is one."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample: its draws are discrete; use sample()")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob: a subclass defines it")

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy: a subclass defines it")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw that is at most `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`: the quantile at the probability `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def _given(self) -> dict[str, Tensor]:
        """The parameters that it was made of, by name, for `repr`."""
        return {}

    def __repr__(self) -> str:
        shown = (f"{k}: {p.item() if p.ndim == 0 else p.shape}" for k, p in self._given().items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shape(self, sample_shape: Sequence[int]) -> tuple[int, ...]:
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    def _check(self, ok: Tensor, what: str, expected: str) -> None:
        """Raise ValueError unless all of `ok`. Comparisons are false for NaN, so that a NaN never passes."""
        if self._validate_args and not bool(ok.all()):
            raise ValueError(f"{type(self).__name__}: expected {what} {expected}")

    def _check_probability(self, value: Any) -> None:
        self._check_value(value)
        self._check((value >= 0).logical_and(value <= 1), "a probability", "in [0, 1]")

    def _check_value(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise ValueError(f"{type(self).__name__}: the value must be a Tensor, got {type(value).__name__}")
        events, shape = len(self._event_shape), tuple(value.shape)
        batch = shape[: len(shape) - events]
        if shape[len(batch) :] != tuple(self._event_shape):
            raise ValueError(
                f"{type(self).__name__}: expected a value that ends in the event shape {tuple(self._event_shape)}, got "
                f"{shape}"
            )
        if any(1 != a != b != 1 for a, b in zip(batch[::-1], self._batch_shape[::-1])):
            raise ValueError(
                f"{type(self).__name__}: the value's shape {shape} cannot be broadcast with the batch shape "
                f"{tuple(self._batch_shape)} of the distribution"
            )


def broadcast(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and Tensors as Tensors of one shape; numbers take dtype and device of the first Tensor."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    made = [
        v if isinstance(v, Tensor) else ag.tensor(float(v)) if like is None else like.new_full((), float(v))
        for v in values
    ]
    return tuple(ag.broadcast_tensors(*made))

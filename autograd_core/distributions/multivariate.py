"""Distributions of vectors: normal ones, and independent ones of the same kind taken together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution
from autograd_core.tensor import Tensor

__all__ = ["Independent", "MultivariateNormal"]


class Independent(Distribution):
    """The last `reinterpreted_batch_ndims` dimensions of a batch as one draw: `log_prob` and `entropy` sum over them.

    Raises ValueError if the batch has fewer dimensions.

    >>> import autograd_core as ag
    >>> d = ag.distributions.Independent(ag.distributions.Normal(ag.zeros(4, 3), 1.0), 1)
    >>> d.batch_shape, d.event_shape, d.log_prob(ag.zeros(4, 3)).shape
    (ag.Size([4]), ag.Size([3]), ag.Size([4]))
    """

    def __init__(
        self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None
    ) -> None:
        batch, count = tuple(base_distribution.batch_shape), reinterpreted_batch_ndims
        if count > len(batch):
            raise ValueError(
                f"Independent: expected reinterpreted_batch_ndims <= {len(batch)}, the dimensions of the batch of "
                f"{base_distribution}, got {count}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, count
        split = len(batch) - count
        super().__init__(batch[:split], validate_args, (*batch[split:], *base_distribution.event_shape))
        self.has_rsample = base_distribution.has_rsample

    def _summed(self, x: Tensor) -> Tensor:
        count = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-count, 0))) if count else x

    @property
    def mean(self) -> Tensor:
        """That of the single ones."""
        return self.base_dist.mean

    @property
    def variance(self) -> Tensor:
        """That of the single ones."""
        return self.base_dist.variance

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of the single ones."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of the single ones, with gradients."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum of the single ones."""
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """The sum of the single ones."""
        return self._summed(self.base_dist.entropy())

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class MultivariateNormal(Distribution):
    """Normally distributed vectors with mean `loc` (..., n) and a covariance given in one of three ways, (..., n, n).

    covariance_matrix: symmetric and positive definite; precision_matrix: its inverse; scale_tril: lower triangular with
    a positive diagonal, covariance = scale_tril scale_tril^T. Raises ValueError unless exactly one is given, and fits.

    >>> import autograd_core as ag
    >>> ag.distributions.MultivariateNormal(ag.zeros(2), ag.eye(2)).log_prob(ag.zeros(2))
    tensor(-1.8379)
    """

    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril,
        }  # fmt: skip
        named = [(name, m) for name, m in given.items() if m is not None]
        if loc.ndim < 1:
            raise ValueError("MultivariateNormal: loc must be at least one-dimensional")
        if len(named) != 1:
            raise ValueError(
                "MultivariateNormal: exactly one of covariance_matrix, precision_matrix and scale_tril may be given, "
                f"got {len(named)}"
            )
        name, matrix = named[0]
        if matrix.ndim < 2 or tuple(matrix.shape[-2:]) != (loc.shape[-1],) * 2:
            raise ValueError(
                f"MultivariateNormal: {name} must be at least two-dimensional and fit loc of shape {tuple(loc.shape)}, "
                f"got {tuple(matrix.shape)}"
            )
        batch = ag.broadcast_shapes(loc.shape[:-1], matrix.shape[:-2])
        super().__init__(batch, validate_args, loc.shape[-1:])
        self.loc = loc.expand((*batch, *loc.shape[-1:]))
        matrix = matrix.expand((*batch, *matrix.shape[-2:]))
        self._name, self._matrix = name, matrix
        self._check(self.loc == self.loc, "loc", "without NaN")
        if name == "scale_tril":
            lower = (matrix.tril() == matrix).all().logical_and((matrix.diagonal(dim1=-2, dim2=-1) > 0).all())
            self._check(lower, name, "lower triangular with a positive diagonal")
            self.scale_tril = matrix
        else:
            symmetric = ag.isclose(matrix, matrix.mT, atol=1e-6).all()
            self._check(symmetric, name, "symmetric and positive definite")
            try:
                self.scale_tril = ag.linalg.cholesky(matrix if name == "covariance_matrix" else _flipped(matrix))
            except ag.linalg.LinAlgError as error:
                raise ValueError(f"MultivariateNormal: expected {name} positive definite ({error})") from None
            if name == "precision_matrix":
                # P = U U^T with U upper triangular, by the flipped matrix; then U^-T is the lower factor of P^-1.
                factor = self.scale_tril.flip(-2, -1).mT
                self.scale_tril = ag.linalg.solve_triangular(factor, ag.eye(
                    loc.shape[-1], dtype=loc.dtype, device=loc.device), upper=False)  # fmt: skip

    @property
    def covariance_matrix(self) -> Tensor:
        """`scale_tril scale_tril^T`."""
        return self._matrix if self._name == "covariance_matrix" else self.scale_tril @ self.scale_tril.mT

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        if self._name == "precision_matrix":
            return self._matrix
        identity = ag.eye(self.loc.shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        inverse = ag.linalg.solve_triangular(self.scale_tril, identity, upper=False)
        return inverse.mT @ inverse

    @property
    def mean(self) -> Tensor:
        """`loc`."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of the covariance."""
        return self.scale_tril.square().sum(-1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`loc + scale_tril z` with `z` of independent standard normal numbers."""
        z = ag.randn(self._shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + (self.scale_tril @ z.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self) -> Tensor:
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """`-(n log(2 pi) + log det C + d^T C^-1 d) / 2` with `d = value - loc`."""
        self._check_value(value)
        self._check(value == value, "a value", "of real numbers")
        away = value - self.loc
        white = ag.linalg.solve_triangular(self.scale_tril, away.unsqueeze(-1), upper=False).squeeze(-1)
        constant = self.loc.shape[-1] * math.log(2 * math.pi)
        return -0.5 * (constant + white.square().sum(-1)) - self._half_log_det()

    def entropy(self) -> Tensor:
        """`(n (1 + log(2 pi)) + log det C) / 2`."""
        return 0.5 * self.loc.shape[-1] * (1 + math.log(2 * math.pi)) + self._half_log_det()

    def _given(self) -> dict[str, Tensor]:
        return {"loc": self.loc, self._name: self._matrix}


def _flipped(matrix: Tensor) -> Tensor:
    return matrix.flip(-2, -1)

"""Kullback-Leibler divergences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd_core as ag
from autograd_core.distributions.bernoulli import Bernoulli
from autograd_core.distributions.categorical import Categorical
from autograd_core.distributions.continuous import Exponential, Laplace, LogNormal
from autograd_core.distributions.dirichlet import Beta, Dirichlet
from autograd_core.distributions.discrete import Geometric, OneHotCategorical, Poisson
from autograd_core.distributions.distribution import Distribution
from autograd_core.distributions.gamma import Gamma
from autograd_core.distributions.multivariate import Independent, MultivariateNormal
from autograd_core.distributions.normal import Normal
from autograd_core.distributions.uniform import Uniform
from autograd_core.ops.activations import logsigmoid
from autograd_core.tensor import Tensor

__all__ = ["kl_divergence"]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """`KL(p || q) = E_p[log p(x) - log q(x)]`, of the broadcast batch shape, for two of the same kind.

    Raises NotImplementedError for two of different kinds.

    >>> import autograd_core as ag
    >>> ag.distributions.kl_divergence(ag.distributions.Normal(0.0, 1.0), ag.distributions.Normal(1.0, 1.0))
    tensor(0.5000)
    """
    for kind, formula in _FORMULAS.items():
        if isinstance(p, kind) and isinstance(q, kind):
            return formula(p, q)
    raise _missing(p, q)


def _missing(p: Distribution, q: Distribution) -> NotImplementedError:
    return NotImplementedError(f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}")


def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


def _uniform(p: Uniform, q: Uniform) -> Tensor:
    within = (q.low <= p.low).logical_and(p.high <= q.high)
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return ag.where(within, result, ag.zeros_like(result) + float("inf"))


def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    # log(p) and log(1 - p), the latter by the mirrored logit, weighted by their probabilities.
    yes = logsigmoid(p.logits) - logsigmoid(q.logits)
    no = logsigmoid(-p.logits) - logsigmoid(-q.logits)
    result = p.probs * yes + (1 - p.probs) * no
    never = (q.probs == 0).logical_and(p.probs > 0).logical_or((q.probs == 1).logical_and(p.probs < 1))
    return ag.where(never, ag.zeros_like(result) + float("inf"), result)


def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = ag.where((q.probs == 0).expand(terms.shape), ag.zeros_like(terms) + float("inf"), terms)
    terms = ag.where((p.probs == 0).expand(terms.shape), ag.zeros_like(terms), terms)
    return terms.sum(-1)


def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    rates = b * (p.rate.log() - q.rate.log()) + (q.rate - p.rate) * (a / p.rate)
    return rates + b.lgamma() - a.lgamma() + (a - b) * a.digamma()


def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    slopes = a.digamma() - a.sum(-1, True).digamma()
    return q._log_norm() - p._log_norm() + ((a - b) * slopes).sum(-1)


def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + ratio * (-away / p.scale).exp() + away / q.scale - 1


def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise _missing(p, q)
    return p._summed(kl_divergence(p.base_dist, q.base_dist))


def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    n = p.loc.shape[-1]
    if q.loc.shape[-1] != n:
        raise ValueError(f"kl_divergence: KL between normal vectors of {n} and {q.loc.shape[-1]} numbers")
    inner = ag.linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    away = ag.linalg.solve_triangular(q.scale_tril, (q.loc - p.loc).unsqueeze(-1), upper=False)
    squares = inner.square().sum((-2, -1)) + away.square().sum((-2, -1))
    return q._half_log_det() - p._half_log_det() + 0.5 * (squares - n)


# For two of a class, or of those derived from it. The first that fits counts.
_FORMULAS: dict[type[Distribution], Callable[[Any, Any], Tensor]] = {
    Normal: _normal,
    Uniform: _uniform,
    Bernoulli: _bernoulli,
    Categorical: _categorical,
    OneHotCategorical: lambda p, q: kl_divergence(p._categorical, q._categorical),
    LogNormal: lambda p, q: kl_divergence(p._normal, q._normal),
    Exponential: _exponential,
    Gamma: _gamma,
    Beta: lambda p, q: kl_divergence(p._dirichlet, q._dirichlet),
    Dirichlet: _dirichlet,
    Laplace: _laplace,
    Poisson: lambda p, q: p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate),
    Geometric: lambda p, q: -p.entropy() - (-q.probs).log1p() / p.probs - q.logits,
    Independent: _independent,
    MultivariateNormal: _multivariate_normal,
}

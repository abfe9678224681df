"""Kullback-Leibler divergences."""

from __future__ import annotations

import autograd_core as ag
from autograd_core.distributions.bernoulli import Bernoulli
from autograd_core.distributions.categorical import Categorical
from autograd_core.distributions.distribution import Distribution
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
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio = (p.scale / q.scale).square()
        return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())
    if isinstance(p, Uniform) and isinstance(q, Uniform):
        within = (q.low <= p.low).logical_and(p.high <= q.high)
        result = ((q.high - q.low) / (p.high - p.low)).log()
        return ag.where(within, result, ag.zeros_like(result) + float("inf"))
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        # log(p) and log(1 - p), the latter by the mirrored logit, weighted by their probabilities.
        yes = logsigmoid(p.logits) - logsigmoid(q.logits)
        no = logsigmoid(-p.logits) - logsigmoid(-q.logits)
        result = p.probs * yes + (1 - p.probs) * no
        never = (q.probs == 0).logical_and(p.probs > 0).logical_or((q.probs == 1).logical_and(p.probs < 1))
        return ag.where(never, ag.zeros_like(result) + float("inf"), result)
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        terms = p.probs * (p.logits - q.logits)
        terms = ag.where((q.probs == 0).expand(terms.shape), ag.zeros_like(terms) + float("inf"), terms)
        terms = ag.where((p.probs == 0).expand(terms.shape), ag.zeros_like(terms), terms)
        return terms.sum(-1)
    raise NotImplementedError(f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}")

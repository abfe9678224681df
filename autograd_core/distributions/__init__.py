"""Probability distributions with samples that carry gradients: enough for VAEs and policy gradients."""

from autograd_core.distributions.bernoulli import Bernoulli as Bernoulli
from autograd_core.distributions.categorical import Categorical as Categorical
from autograd_core.distributions.distribution import Distribution as Distribution
from autograd_core.distributions.kl import kl_divergence as kl_divergence
from autograd_core.distributions.normal import Normal as Normal
from autograd_core.distributions.uniform import Uniform as Uniform

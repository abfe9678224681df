"""Probability distributions with samples that carry gradients: enough for VAEs and policy gradients."""

from autograd_core.distributions.bernoulli import Bernoulli as Bernoulli
from autograd_core.distributions.categorical import Categorical as Categorical
from autograd_core.distributions.continuous import Exponential as Exponential
from autograd_core.distributions.continuous import Laplace as Laplace
from autograd_core.distributions.continuous import LogNormal as LogNormal
from autograd_core.distributions.dirichlet import Beta as Beta
from autograd_core.distributions.dirichlet import Dirichlet as Dirichlet
from autograd_core.distributions.discrete import Geometric as Geometric
from autograd_core.distributions.discrete import OneHotCategorical as OneHotCategorical
from autograd_core.distributions.discrete import OneHotCategoricalStraightThrough as OneHotCategoricalStraightThrough
from autograd_core.distributions.discrete import Poisson as Poisson
from autograd_core.distributions.distribution import Distribution as Distribution
from autograd_core.distributions.gamma import Chi2 as Chi2
from autograd_core.distributions.gamma import Gamma as Gamma
from autograd_core.distributions.gamma import StudentT as StudentT
from autograd_core.distributions.kl import kl_divergence as kl_divergence
from autograd_core.distributions.multivariate import Independent as Independent
from autograd_core.distributions.multivariate import MultivariateNormal as MultivariateNormal
from autograd_core.distributions.normal import Normal as Normal
from autograd_core.distributions.uniform import Uniform as Uniform

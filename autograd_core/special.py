"""The names of `torch.special`: most are functions of `ag` under the names that mathematics knows them by."""

from __future__ import annotations

from autograd_core.ops.activations import erf as erf
from autograd_core.ops.bessel import i0 as i0
from autograd_core.ops.bessel import i0e as i0e
from autograd_core.ops.bessel import i1 as i1
from autograd_core.ops.bessel import i1e as i1e
from autograd_core.ops.elementwise import expm1 as expm1
from autograd_core.ops.elementwise import log1p as log1p
from autograd_core.ops.elementwise import round as round
from autograd_core.ops.elementwise import sigmoid as expit
from autograd_core.ops.normalization import log_softmax as log_softmax
from autograd_core.ops.normalization import softmax as softmax
from autograd_core.ops.out import accepting
from autograd_core.ops.reductions import logsumexp as logsumexp
from autograd_core.ops.special import digamma as digamma
from autograd_core.ops.special import digamma as psi
from autograd_core.ops.special import entr as entr
from autograd_core.ops.special import erfc as erfc
from autograd_core.ops.special import erfcx as erfcx
from autograd_core.ops.special import erfinv as erfinv
from autograd_core.ops.special import exp2 as exp2
from autograd_core.ops.special import lgamma as gammaln
from autograd_core.ops.special import log_ndtr as log_ndtr
from autograd_core.ops.special import logit as logit
from autograd_core.ops.special import mvlgamma as multigammaln
from autograd_core.ops.special import ndtr as ndtr
from autograd_core.ops.special import polygamma as polygamma
from autograd_core.ops.special import sinc as sinc
from autograd_core.ops.special import xlog1py as xlog1py
from autograd_core.ops.special import xlogy as xlogy

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1", "i1e",
    "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "polygamma", "psi", "round",
    "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip

for _name in {*__all__} - {"log_softmax", "softmax"}:
    globals()[_name] = accepting(_name, globals()[_name], __name__)

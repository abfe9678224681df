"""Special functions: gamma and error functions, the normal distribution, entropies, inverse hyperbolic functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autograd_core import dtypes
from autograd_core.inplace import inplace
from autograd_core.ops import elementwise as e
from autograd_core.ops.activations import erf as erf
from autograd_core.ops.half import rule_in_float32
from autograd_core.primitive import binary, primitive, unary
from autograd_core.tensor import Tensor

Function = Callable[..., Tensor]
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def _erfc_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(F.mul(g, F.exp(F.neg(F.square(ctx.saved[0])))), -_TWO_OVER_ROOT_PI),)


def _erfinv_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(F.mul(g, F.exp(F.square(ctx.saved[0]))), 1 / _TWO_OVER_ROOT_PI),)


def _erfcx_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    return (F.mul(g, F.sub(F.mul(F.mul(x, y), 2.0), 2 / math.sqrt(math.pi))),)


@rule_in_float32
def _sinc_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (x,) = ctx.saved
    zero = F.eq(x, 0.0)
    z = F.mul(F.where(zero, F.fill(x, 1.0), x), math.pi)
    slope = F.div(F.sub(F.mul(z, F.cos(z)), F.sin(z)), F.mul(F.square(z), 1 / math.pi))
    return (F.mul(g, F.where(zero, F.fill(x, 0.0), slope)),)


def _xlogy_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    log = F.log(y)
    return F.mul(g, F.where(F.logical_and(F.eq(x, 0.0), F.le(y, 0.0)), F.fill(log, 0.0), log)), F.div(F.mul(g, x), y)


def _xlog1py_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    log = F.log1p(y)
    nothing = F.logical_and(F.eq(x, 0.0), F.le(y, -1.0))
    return F.mul(g, F.where(nothing, F.fill(log, 0.0), log)), F.div(F.mul(g, x), F.add(y, 1.0))


exp2: Function = unary(
    "exp2", lambda F, g, ctx: (F.mul(F.mul(g, ctx.saved[0]), math.log(2.0)),), saves_output=True, floating=True
)
asinh: Function = unary(
    "asinh", lambda F, g, ctx: (F.mul(g, F.rsqrt(F.add(F.square(ctx.saved[0]), 1.0))),), saves=(0,), floating=True
)
acosh: Function = unary(
    "acosh", lambda F, g, ctx: (F.mul(g, F.rsqrt(F.sub(F.square(ctx.saved[0]), 1.0))),), saves=(0,), floating=True
)
atanh: Function = unary(
    "atanh", lambda F, g, ctx: (F.div(g, F.sub(1.0, F.square(ctx.saved[0]))),), saves=(0,), floating=True
)
sinc: Function = unary("sinc", _sinc_rule, saves=(0,), floating=True)
erfc: Function = unary("erfc", _erfc_rule, saves=(0,), floating=True)
erfinv: Function = unary("erfinv", _erfinv_rule, saves_output=True, floating=True)
lgamma: Function = unary(
    "lgamma", lambda F, g, ctx: (F.mul(g, F.polygamma(ctx.saved[0], 0)),), saves=(0,), floating=True
)
_polygamma: Function = unary(
    "polygamma", lambda F, g, ctx: (F.mul(g, F.polygamma(ctx.saved[0], ctx.params[0] + 1)),), saves=(0,), floating=True
)
xlogy: Function = binary("xlogy", _xlogy_rule, saves=(0, 1), floating=True)
_entr: Any = unary(
    "entr", lambda F, g, ctx: (F.neg(F.mul(g, F.add(F.log(ctx.saved[0]), 1.0))),), saves=(0,), floating=True
)
_xlog1py: Any = binary("xlog1py", _xlog1py_rule, saves=(0, 1), floating=True)
_erfcx: Any = primitive("erfcx", _erfcx_rule, inputs=1, saves=(0,), saves_output=True)


def as_float(x: Tensor) -> Tensor:
    """`x`, converted to the default floating-point dtype if it holds integers or bools."""
    return x if x._data.dtype.kind == "f" else e.cast(x, dtypes.get_default_dtype().native)


def digamma(input: Tensor) -> Tensor:
    """The derivative of `lgamma`: psi(x) = gamma'(x) / gamma(x).

    >>> import autograd_core as ag
    >>> ag.digamma(ag.tensor([1.0]))
    tensor([-0.5772])
    """
    return _polygamma(input, 0)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The derivative of order `n` of digamma. Raises `RuntimeError` for negative `n`.

    >>> import autograd_core as ag
    >>> ag.polygamma(1, ag.tensor([1.0]))
    tensor([1.6449])
    """
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got {n}")
    return _polygamma(input, n)


def _polygamma_method(self: Tensor, n: int) -> Tensor:
    """`polygamma(n, self)`."""
    return polygamma(n, self)


def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians: x pi / 180.

    >>> import autograd_core as ag
    >>> ag.deg2rad(ag.tensor([180.0]))
    tensor([3.1416])
    """
    return as_float(input) * (math.pi / 180.0)


def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees: x 180 / pi.

    >>> import autograd_core as ag
    >>> ag.rad2deg(ag.tensor([0.5]))
    tensor([28.6479])
    """
    return as_float(input) * (180.0 / math.pi)


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), with x first clamped to [eps, 1 - eps] if `eps` is given.

    >>> import autograd_core as ag
    >>> ag.logit(ag.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    x = as_float(input)
    if eps is not None:
        x = e.clamp(x, eps, 1 - eps)
    return e.log(x / (1 - x))


for _name, _doc in (
    ("exp2", "2^x."), ("asinh", "The inverse of sinh."), ("acosh", "The inverse of cosh."),
    ("atanh", "The inverse of tanh."),
    ("sinc", "sin(pi x) / (pi x), 1 at 0."), ("erfc", "1 - erf(x), without cancellation for large x."),
    ("erfinv", "The inverse of erf."), ("lgamma", "log |gamma(x)|."),
    ("xlogy", "input * log(other), 0 where `input` is 0 and `other` no NaN."),
):  # fmt: skip
    globals()[_name].__doc__ = _doc


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function: p (p - 1) / 4 log(pi) + the sum over j < p of
    `lgamma`(x - j / 2).

    >>> import autograd_core as ag
    >>> ag.mvlgamma(ag.tensor([2.0]), 2)
    tensor([0.4516])
    """
    if p < 1:
        raise RuntimeError(f"mvlgamma: p has to be greater than or equal to 1, got {p}")
    x = as_float(input).unsqueeze(-1)
    shifts = e.mul(x.new_tensor(list(range(p))), -0.5)
    return lgamma(x + shifts).sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def entr(input: Tensor) -> Tensor:
    """-x log(x) for x > 0, 0 at 0, -infinity below: a summand of an entropy.

    >>> import autograd_core as ag
    >>> ag.special.entr(ag.tensor([0.0, 0.5]))
    tensor([0.0000, 0.3466])
    """
    return _entr(input)


def ndtr(input: Tensor) -> Tensor:
    """The distribution function of the standard normal: erfc(-x / sqrt(2)) / 2.

    >>> import autograd_core as ag
    >>> ag.special.ndtr(ag.tensor([0.0, 1.96]))
    tensor([0.5000, 0.9750])
    """
    return erfc(as_float(input) * -math.sqrt(0.5)) * 0.5


def erfcx(input: Tensor) -> Tensor:
    """exp(x^2) erfc(x), without overflow or underflow on the way.

    >>> import autograd_core as ag
    >>> ag.special.erfcx(ag.tensor([0.0, 100.0]))
    tensor([1.0000, 0.0056])
    """
    return _erfcx(as_float(input))


def log_ndtr(input: Tensor) -> Tensor:
    """log(`ndtr`(x)), also far below 0, where `ndtr` is 0.

    >>> import autograd_core as ag
    >>> ag.special.log_ndtr(ag.tensor([-3.0]))
    tensor([-6.6077])
    """
    x = as_float(input) * math.sqrt(0.5)
    low = e.lt(x, -1.0)
    zero = x.new_zeros(())
    below = e.where(low, x, zero)  # Each branch sees only what it is for, so that no NaN enters the gradient.
    above = e.where(low, zero, x)
    tail = e.log(erfcx(-below) * 0.5) - below * below
    return e.where(low, tail, e.log1p(erfc(above) * -0.5))


def xlog1py(input: Any, other: Any) -> Tensor:
    """input * log(1 + other), 0 where `input` is 0 and `other` no NaN.

    >>> import autograd_core as ag
    >>> ag.special.xlog1py(ag.tensor([0.0, 2.0]), ag.tensor([-1.0, 1.0]))
    tensor([0.0000, 1.3863])
    """
    return _xlog1py(input, other)


PUBLIC: dict[str, Any] = {"arcsinh": asinh, "arccosh": acosh, "arctanh": atanh}
INPLACE = (
    *PUBLIC, "exp2", "deg2rad", "rad2deg", "asinh", "acosh", "atanh", "sinc", "logit", "erfc", "erfinv", "lgamma",
    "digamma", "mvlgamma", "xlogy",
)  # fmt: skip
FUNCTIONS = (*INPLACE, "polygamma")
METHODS = INPLACE
OPERATORS = {"polygamma": _polygamma_method, "polygamma_": inplace("polygamma_", _polygamma_method)}

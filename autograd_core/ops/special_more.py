"""Special functions that people reach for now and then: Bessel's, the normal distribution's, entropy, exponents."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from autograd_core.operands import result_type
from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import require_tensors
from autograd_core.ops.special import as_float, erfc, lgamma, polygamma
from autograd_core.primitive import apply_many, binary, primitive, unary
from autograd_core.tensor import Tensor

Function = Callable[..., Tensor]


class MantissaAndExponent(NamedTuple):
    """What `frexp` returns."""

    mantissa: Tensor
    exponent: Tensor


def _bessel_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """I0' = I1 and I1' = I0 - I1 / x; scaled by exp(-|x|), each also loses sign(x) times itself."""
    (x,) = ctx.saved
    order, scaled = ctx.params
    other = F.bessel_i(x, 1 - order, scaled)
    slope = other
    if order:
        zero = F.eq(x, 0.0)
        half = F.fill(x, 0.5)
        ratio = F.div(F.bessel_i(x, 1, scaled), F.where(zero, F.fill(x, 1.0), x))
        slope = F.sub(other, F.where(zero, half, ratio))
    if scaled:
        slope = F.sub(slope, F.mul(F.sign(x), F.bessel_i(x, order, True)))
    return (F.mul(g, slope),)


def _erfcx_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    return (F.mul(g, F.sub(F.mul(F.mul(x, y), 2.0), 2 / math.sqrt(math.pi))),)


def _xlog1py_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    log = F.log1p(y)
    nothing = F.logical_and(F.eq(x, 0.0), F.le(y, -1.0))
    return F.mul(g, F.where(nothing, F.fill(log, 0.0), log)), F.div(F.mul(g, x), F.add(y, 1.0))


def _nextafter_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    zero = F.fill(g, 0.0)
    return F.where(F.ne(*ctx.saved), g, zero), zero


_bessel_i: Any = unary("bessel_i", _bessel_rule, saves=(0,), floating=True)
_entr: Any = unary(
    "entr", lambda F, g, ctx: (F.neg(F.mul(g, F.add(F.log(ctx.saved[0]), 1.0))),), saves=(0,), floating=True
)
_xlog1py: Any = binary("xlog1py", _xlog1py_rule, saves=(0, 1), floating=True)
_erfcx: Any = primitive("erfcx", _erfcx_rule, inputs=1, saves=(0,), saves_output=True)
_scale_by: Any = unary("scale_by_power", lambda F, g, ctx: (F.scale_by_power(g, ctx.params[0]),))
_frexp: Any = primitive("frexp", lambda F, g, ctx: (F.scale_by_power(g[0], ctx.saved[0]),), inputs=1, extras=1)
_nextafter: Any = binary("nextafter", _nextafter_rule, saves=(0, 1))


def angle(input: Tensor) -> Tensor:
    """The angle in the complex plane: pi for negative numbers, else 0; NaN stays.

    >>> import autograd_core as ag
    >>> ag.angle(ag.tensor([-1.0, 2.0]))
    tensor([3.1416, 0.0000])
    """
    x = as_float(input)
    turned = e.where(e.lt(x, 0), x.new_full((), math.pi), x.new_zeros(()))
    return e.where(e.isnan(x), x, turned)


def i0(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 0 (Abramowitz & Stegun, 9.6).

    >>> import autograd_core as ag
    >>> ag.i0(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return _bessel_i(input, 0, False)


def i0e(input: Tensor) -> Tensor:
    """`i0`, scaled by exp(-|x|).

    >>> import autograd_core as ag
    >>> ag.special.i0e(ag.tensor([1000.0]))
    tensor([0.0126])
    """
    return _bessel_i(input, 0, True)


def i1(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 1.

    >>> import autograd_core as ag
    >>> ag.special.i1(ag.tensor([1.0]))
    tensor([0.5652])
    """
    return _bessel_i(input, 1, False)


def i1e(input: Tensor) -> Tensor:
    """`i1`, scaled by exp(-|x|).

    >>> import autograd_core as ag
    >>> ag.special.i1e(ag.tensor([1.0]))
    tensor([0.2079])
    """
    return _bessel_i(input, 1, True)


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


def frexp(input: Tensor) -> MantissaAndExponent:
    """Mantissa and exponent (int32) with input = mantissa * 2^exponent, and 0.5 <= |mantissa| < 1 or input 0.

    >>> import autograd_core as ag
    >>> tuple(ag.frexp(ag.tensor([3.0])))
    (tensor([0.7500]), tensor([2], dtype=ag.int32))
    """
    if input._data.dtype.kind != "f":
        raise RuntimeError(f"frexp() only supports floating-point dtypes, got {input.dtype}; convert with .float()")
    return MantissaAndExponent(*apply_many(_frexp.primitive, (input,), (), 2))


def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number of the dtype after `input`, towards `other`.

    >>> import autograd_core as ag
    >>> ag.nextafter(ag.ones(1), 2 * ag.ones(1)) - 1 == ag.finfo(ag.float32).eps
    tensor([True])
    """
    require_tensors("nextafter", input=input, other=other)
    d = result_type(input, other)
    if not d.is_floating_point:
        raise NotImplementedError(f"nextafter is not implemented for {d}; convert with .float()")
    return _nextafter(input, other)


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


def _polygamma_method(self: Tensor, n: int) -> Tensor:
    """`polygamma(n, self)`."""
    return polygamma(n, self)


FUNCTIONS = ("angle", "i0", "frexp", "nextafter", "mvlgamma")
METHODS = (*FUNCTIONS, "polygamma")
INPLACE = ("i0", "nextafter", "mvlgamma", "polygamma")
PUBLIC = {"polygamma": _polygamma_method}

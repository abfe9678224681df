"""Further elementwise functions: special functions of one input, and arithmetic of two inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autograd_core import dtypes
from autograd_core.inplace import inplace
from autograd_core.operands import result_type
from autograd_core.ops import arithmetic
from autograd_core.ops import elementwise as e
from autograd_core.ops.activations import erf as erf
from autograd_core.ops.half import rule_in_float32
from autograd_core.primitive import binary, predicate, unary
from autograd_core.tensor import Tensor

Function = Callable[..., Tensor]
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def _erfc_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(F.mul(g, F.exp(F.neg(F.square(ctx.saved[0])))), -_TWO_OVER_ROOT_PI),)


def _erfinv_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(F.mul(g, F.exp(F.square(ctx.saved[0]))), 1 / _TWO_OVER_ROOT_PI),)


@rule_in_float32
def _sinc_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (x,) = ctx.saved
    zero = F.eq(x, 0.0)
    z = F.mul(F.where(zero, F.fill(x, 1.0), x), math.pi)
    slope = F.div(F.sub(F.mul(z, F.cos(z)), F.sin(z)), F.mul(F.square(z), 1 / math.pi))
    return (F.mul(g, F.where(zero, F.fill(x, 0.0), slope)),)


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
_signbit: Function = e.question("signbit")


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


def frac(input: Tensor) -> Tensor:
    """The part after the point: x - trunc(x). Raises `NotImplementedError` for integers.

    >>> import autograd_core as ag
    >>> ag.frac(ag.tensor([1.5, -2.25]))
    tensor([ 0.5000, -0.2500])
    """
    e._need_float("frac", input)
    return input - e.trunc(input)


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


def positive(input: Tensor) -> Tensor:
    """`input` itself. Raises `RuntimeError` for bool tensors.

    >>> import autograd_core as ag
    >>> ag.positive(ag.tensor([-1.0]))
    tensor([-1.])
    """
    if input._data.dtype.kind == "b":
        raise RuntimeError("positive: the + operator, on a bool tensor is not supported; convert with .long()")
    return input


def sgn(input: Tensor) -> Tensor:
    """The sign: -1, 0 or 1.

    >>> import autograd_core as ag
    >>> ag.sgn(ag.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    return input.clone() if input._data.dtype.kind == "b" else e.sign(input)


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


def signbit(input: Tensor) -> Tensor:
    """Whether the sign bit is set, as it is for -0.0.

    >>> import autograd_core as ag
    >>> ag.signbit(ag.tensor([-0.0, 1.0]))
    tensor([True, False])
    """
    return _signbit(input) if input._data.dtype.kind == "f" else input < 0


def isposinf(input: Tensor) -> Tensor:
    """Whether an element is positive infinity.

    >>> import autograd_core as ag
    >>> ag.isposinf(ag.tensor([float("inf"), 1.0]))
    tensor([True, False])
    """
    return _equals_infinity(input, math.inf)


def isneginf(input: Tensor) -> Tensor:
    """Whether an element is negative infinity.

    >>> import autograd_core as ag
    >>> ag.isneginf(ag.tensor([-float("inf"), 1.0]))
    tensor([True, False])
    """
    return _equals_infinity(input, -math.inf)


def _equals_infinity(input: Tensor, infinity: float) -> Tensor:
    if input._data.dtype.kind != "f":
        return input.new_zeros(input.shape, dtype=dtypes.bool_)
    return e.eq(input, infinity)


def isreal(input: Tensor) -> Tensor:
    """All true: there are no complex tensors.

    >>> import autograd_core as ag
    >>> ag.isreal(ag.ones(2))
    tensor([True, True])
    """
    return input.new_ones(input.shape, dtype=dtypes.bool_)


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN replaced by `nan` (0), infinities by `posinf` and `neginf` (the greatest and least number of the dtype).

    >>> import autograd_core as ag
    >>> ag.nan_to_num(ag.tensor([float("nan"), 1.0]), nan=5.0)
    tensor([5., 1.])
    """
    if input._data.dtype.kind != "f":
        return input.clone()
    limits = dtypes.finfo(input.dtype)
    out = e.where(e.isnan(input), input.new_full((), 0.0 if nan is None else nan), input)
    out = e.where(e.eq(input, math.inf), input.new_full((), limits.max if posinf is None else posinf), out)
    return e.where(e.eq(input, -math.inf), input.new_full((), limits.min if neginf is None else neginf), out)


# -- two inputs -------------------------------------------------------------------------------------------


def _nan_ignoring_rule(compare: str) -> Any:
    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        x, y = ctx.saved
        first = F.logical_or(getattr(F, compare)(x, y), F.isnan(y))
        zero = F.fill(g, 0.0)
        return F.where(first, g, zero), F.where(first, zero, g)

    return rule


@rule_in_float32
def _hypot_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    r = F.hypot(x, y)
    scale = F.where(F.eq(r, 0.0), F.fill(r, 0.0), F.div(g, r))  # The subgradient 0 at the origin.
    return F.mul(scale, x), F.mul(scale, y)


def _copysign_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    sign = F.mul(F.sign(x), F.copysign(F.fill(y, 1.0), y))
    return F.mul(g, sign), F.fill(g, 0.0)


def _logaddexp_rule(base: float) -> Any:
    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        x, y = ctx.saved
        difference = F.sub(x, y)
        # Equal infinities share the gradient.
        same = F.logical_and(F.eq(x, y), F.isinf(x))
        difference = F.mul(F.where(same, F.fill(difference, 0.0), difference), math.log(base))
        return F.mul(g, F.sigmoid(difference)), F.mul(g, F.sigmoid(F.neg(difference)))

    return rule


def _xlogy_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    log = F.log(y)
    return F.mul(g, F.where(F.logical_and(F.eq(x, 0.0), F.le(y, 0.0)), F.fill(log, 0.0), log)), F.div(F.mul(g, x), y)


_fmax: Function = binary("fmax", _nan_ignoring_rule("ge"), saves=(0, 1))
_fmin: Function = binary("fmin", _nan_ignoring_rule("le"), saves=(0, 1))
_hypot: Function = binary("hypot", _hypot_rule, saves=(0, 1))
copysign: Function = binary("copysign", _copysign_rule, saves=(0, 1), floating=True)
_logaddexp: Function = binary("logaddexp", _logaddexp_rule(math.e), saves=(0, 1))
_logaddexp2: Function = binary("logaddexp2", _logaddexp_rule(2.0), saves=(0, 1))
xlogy: Function = binary("xlogy", _xlogy_rule, saves=(0, 1), floating=True)
_gcd, _lcm, _left_shift, _right_shift = map(predicate, ("gcd", "lcm", "left_shift", "right_shift"))


def _floats(name: str, function: Function) -> Function:
    def call(input: Any, other: Any) -> Tensor:
        d = result_type(input, other)
        if not d.is_floating_point:
            raise NotImplementedError(f"{name} is not implemented for {d}; convert with .float()")
        return function(input, other)

    call.__name__ = call.__qualname__ = name
    return call


def _integers(name: str, function: Function, doc: str) -> Function:
    def call(input: Any, other: Any) -> Tensor:
        d = result_type(input, other)
        if d.category != 1:
            raise NotImplementedError(f"{name} is for integer tensors, got {d}; convert with .long()")
        return function(input, other)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return call


fmax, fmin = _fmax, _fmin
hypot = _floats("hypot", _hypot)
hypot.__doc__ = "sqrt(input^2 + other^2), without overflow on the way."
logaddexp = _floats("logaddexp", _logaddexp)
logaddexp.__doc__ = "log(exp(input) + exp(other)), without overflow on the way."
logaddexp2 = _floats("logaddexp2", _logaddexp2)
logaddexp2.__doc__ = "log2(2^input + 2^other), without overflow on the way."
fmax.__doc__ = "The greater of two elements; a NaN loses against a number."
fmin.__doc__ = "The lesser of two elements; a NaN loses against a number."
copysign.__doc__ = "The size of `input` with the sign of `other`."
xlogy.__doc__ = "input * log(other), 0 where `input` is 0 and `other` no NaN."
gcd = _integers("gcd", _gcd, "The greatest common divisor of two integer tensors.")
lcm = _integers("lcm", _lcm, "The least common multiple of two integer tensors.")
bitwise_left_shift = _integers(
    "bitwise_left_shift", _left_shift, "input * 2^other by shifting bits, of integer tensors."
)
bitwise_right_shift = _integers(
    "bitwise_right_shift", _right_shift, "input / 2^other rounded down by shifting bits, of integer tensors."
)
for _name, _doc in (
    ("exp2", "2^x."), ("asinh", "The inverse of sinh."), ("acosh", "The inverse of cosh."),
    ("atanh", "The inverse of tanh."),
    ("sinc", "sin(pi x) / (pi x), 1 at 0."), ("erfc", "1 - erf(x), without cancellation for large x."),
    ("erfinv", "The inverse of erf."), ("lgamma", "log |gamma(x)|."),
):  # fmt: skip
    globals()[_name].__doc__ = _doc


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0, 1 above, `values` at 0; both of one dtype. It has no gradient.

    >>> import autograd_core as ag
    >>> ag.heaviside(ag.tensor([-1.0, 0.0, 2.0]), ag.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if input.dtype is not values.dtype:
        raise RuntimeError(f"heaviside: expected tensors of one dtype, got {input.dtype} and {values.dtype}")
    x, at_zero = input.detach(), values.detach()
    return e.where(e.eq(x, 0), at_zero, (x > 0).to(x.dtype))


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other.

    >>> import autograd_core as ag
    >>> ag.ldexp(ag.tensor([1.0]), ag.tensor([3]))
    tensor([8.])
    """
    return input * arithmetic.pow(2.0, other)


def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent, computed in float64.

    >>> import autograd_core as ag
    >>> ag.float_power(ag.tensor([2]), 0.5).dtype
    ag.float64
    """
    x, y = (t.to(dtypes.float64) if isinstance(t, Tensor) else float(t) for t in (input, exponent))
    return arithmetic.pow(x, y)


def _float_power_in_place(self: Tensor, exponent: Any) -> Tensor:
    """`float_power` written into this tensor, which must be float64."""
    if self.dtype is not dtypes.float64:
        raise RuntimeError(f"float_power_: the result is float64 and cannot be written into {self.dtype}")
    return inplace("float_power_", float_power)(self, exponent)


_ONE = (
    "exp2", "frac", "deg2rad", "rad2deg", "asinh", "acosh", "atanh", "sinc", "logit", "erfc", "erfinv", "lgamma",
    "digamma", "sgn", "nan_to_num",
)  # fmt: skip
_TWO = (
    "hypot", "copysign", "xlogy", "heaviside", "bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm", "ldexp",
    "float_power",
)  # fmt: skip
PUBLIC: dict[str, Any] = {"arcsinh": asinh, "arccosh": acosh, "arctanh": atanh}
for _function in (fmax, fmin, hypot, logaddexp, logaddexp2, gcd, lcm, heaviside):
    PUBLIC[_function.__name__] = e.of_tensors(_function)
for _function in (copysign, ldexp):
    PUBLIC[_function.__name__] = e.of_tensors(_function, 1)
FUNCTIONS = (
    *PUBLIC, *_ONE, *_TWO, "polygamma", "positive", "signbit", "isposinf", "isneginf", "isreal", "fmax",
    "fmin", "logaddexp",
    "logaddexp2",
)  # fmt: skip
METHODS = tuple(name for name in FUNCTIONS if name != "polygamma")
INPLACE = tuple(
    name for name in (*PUBLIC, *_ONE, *_TWO, "erf") if name not in ("fmax", "fmin", "logaddexp", "logaddexp2")
)
OPERATORS = {
    "__rdiv__": lambda self, other: e.mul(self.reciprocal(), other),
    "float_power_": _float_power_in_place,
    "__lshift__": bitwise_left_shift,
    "__rlshift__": lambda self, other: bitwise_left_shift(self.new_full((), other), self),
    "__rshift__": bitwise_right_shift,
    "__rrshift__": lambda self, other: bitwise_right_shift(self.new_full((), other), self),
}

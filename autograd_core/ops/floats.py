"""The parts of numbers: sign, fraction, mantissa and exponent; their neighbours; what is infinite or no number."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from autograd_core import dtypes
from autograd_core.operands import result_type
from autograd_core.ops import arithmetic
from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import require_float, require_tensors
from autograd_core.ops.special import as_float
from autograd_core.primitive import apply_many, binary, primitive, unary
from autograd_core.tensor import Tensor


class MantissaAndExponent(NamedTuple):
    """What `frexp` returns."""

    mantissa: Tensor
    exponent: Tensor


def _copysign_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    sign = F.mul(F.sign(x), F.copysign(F.fill(y, 1.0), y))
    return F.mul(g, sign), F.fill(g, 0.0)


def _nextafter_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    zero = F.fill(g, 0.0)
    return F.where(F.ne(*ctx.saved), g, zero), zero


_signbit: Any = e.question("signbit")
copysign: Any = binary("copysign", _copysign_rule, saves=(0, 1), floating=True)
_scale_by: Any = unary("scale_by_power", lambda F, g, ctx: (F.scale_by_power(g, ctx.params[0]),))
_frexp: Any = primitive("frexp", lambda F, g, ctx: (F.scale_by_power(g[0], ctx.saved[0]),), inputs=1, extras=1)
_nextafter: Any = binary("nextafter", _nextafter_rule, saves=(0, 1))
copysign.__doc__ = "The size of `input` with the sign of `other`."


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


def angle(input: Tensor) -> Tensor:
    """The angle in the complex plane: pi for negative numbers, else 0; NaN stays.

    >>> import autograd_core as ag
    >>> ag.angle(ag.tensor([-1.0, 2.0]))
    tensor([3.1416, 0.0000])
    """
    x = as_float(input)
    turned = e.where(e.lt(x, 0), x.new_full((), math.pi), x.new_zeros(()))
    return e.where(e.isnan(x), x, turned)


def signbit(input: Tensor) -> Tensor:
    """Whether the sign bit is set, as it is for -0.0.

    >>> import autograd_core as ag
    >>> ag.signbit(ag.tensor([-0.0, 1.0]))
    tensor([True, False])
    """
    return _signbit(input) if input._data.dtype.kind == "f" else input < 0


def frac(input: Tensor) -> Tensor:
    """The part after the point: x - trunc(x). Raises `NotImplementedError` for integers.

    >>> import autograd_core as ag
    >>> ag.frac(ag.tensor([1.5, -2.25]))
    tensor([ 0.5000, -0.2500])
    """
    require_float("frac", input)
    return input - e.trunc(input)


def frexp(input: Tensor) -> MantissaAndExponent:
    """Mantissa and exponent (int32) with input = mantissa * 2^exponent, and 0.5 <= |mantissa| < 1 or input 0.

    >>> import autograd_core as ag
    >>> tuple(ag.frexp(ag.tensor([3.0])))
    (tensor([0.7500]), tensor([2], dtype=ag.int32))
    """
    if input._data.dtype.kind != "f":
        raise RuntimeError(f"frexp() only supports floating-point dtypes, got {input.dtype}; convert with .float()")
    return MantissaAndExponent(*apply_many(_frexp.primitive, (input,), (), 2))


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other.

    >>> import autograd_core as ag
    >>> ag.ldexp(ag.tensor([1.0]), ag.tensor([3]))
    tensor([8.])
    """
    return input * arithmetic.pow(2.0, other)


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


PUBLIC = {"copysign": e.of_tensors(copysign, 1), "ldexp": e.of_tensors(ldexp, 1)}
INPLACE = (*PUBLIC, "sgn", "frac", "nan_to_num", "nextafter")
FUNCTIONS = (*INPLACE, "angle", "frexp", "positive", "signbit", "isposinf", "isneginf", "isreal")
METHODS = FUNCTIONS

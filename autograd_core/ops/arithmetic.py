"""Arithmetic: the public forms of sums, products, quotients and powers, of what else takes two numbers (lengths,
divisors, bits), and the operators of Tensor."""

from __future__ import annotations

import builtins
import math
from typing import Any

from autograd_core import dtypes
from autograd_core.inplace import inplace
from autograd_core.operands import result_type
from autograd_core.ops.checks import require_float
from autograd_core.ops.elementwise import (
    _floor_divide,
    _pow,
    abs,
    add,
    bool_difference,
    cast,
    div,
    eq,
    fmod,
    ge,
    gt,
    le,
    logical_or,
    lt,
    mul,
    ne,
    neg,
    of_tensors,
    pow_number,
    question,
    remainder,
    square,
    sub,
    trunc,
    where,
)
from autograd_core.ops.half import rule_in_float32
from autograd_core.primitive import binary, predicate
from autograd_core.tensor import Tensor


def _add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other, with broadcasting and type promotion.

    >>> import autograd_core as ag
    >>> ag.add(ag.ones(2), 1, alpha=3)
    tensor([4., 4.])
    """
    return add(input, other if alpha == 1 else _scaled("add", input, other, alpha))


def _scaled(name: str, input: Any, other: Any, alpha: Any) -> Any:
    """alpha * other, in the dtype of the result."""
    if isinstance(alpha, float) and not result_type(input, other).is_floating_point:
        raise RuntimeError(
            f"{name}: for integral input tensors, argument alpha must not be a floating point number, got {alpha}"
        )
    if not isinstance(other, Tensor):
        return other * alpha
    native = result_type(input, other).native
    if native.kind == "b":
        return mul(other, builtins.bool(alpha))
    other = other if other._data.dtype == native else cast(other, native)
    return mul(other, alpha % 256 if native.kind == "u" else alpha)  # Arithmetic of bytes wraps.


def _sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other. Raises `RuntimeError` if one is bool.

    >>> import autograd_core as ag
    >>> ag.sub(ag.ones(2), 1)
    tensor([0., 0.])
    """
    _refuse_bool("sub", input, other)
    return sub(input, other if alpha == 1 else _scaled("sub", input, other, alpha))


def _refuse_bool(name: str, *operands: Any) -> None:
    if any(x is True or x is False or (isinstance(x, Tensor) and x._data.dtype.kind == "b") for x in operands):
        raise bool_difference(name)


def subtract_operator(self: Any, other: Any) -> Tensor:
    if other is True or other is False or self._data.dtype.kind == "b":
        raise bool_difference("sub")
    return sub(self, other)


def _subtract_from(self: Any, other: Any) -> Tensor:
    """`other - self`."""
    if other is True or other is False:
        raise bool_difference("sub")
    return sub(other, self)


def _square(input: Tensor) -> Tensor:
    """input * input; bools as int64.

    >>> import autograd_core as ag
    >>> ag.square(ag.tensor([-2.0, 3.0]))
    tensor([4., 9.])
    """
    return square(cast(input, dtypes.int64.native) if input._data.dtype.kind == "b" else input)


def _div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; with `rounding_mode` 'floor' or 'trunc' the rounded quotient.

    >>> import autograd_core as ag
    >>> ag.div(ag.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    if rounding_mode is None:
        return div(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        _check_zero_division("div", input, other)
        d = result_type(input, other)
        quotient = trunc(div(input, other))
        return quotient if d.is_floating_point else cast(quotient, d.native)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")


def _check_zero_division(name: str, input: Any, other: Any) -> None:
    d = result_type(input, other)
    if d is dtypes.bool_:
        raise NotImplementedError(
            f"{name} is not implemented for bool tensors; convert one operand with .long() or .float()"
        )
    if not d.is_floating_point:
        zero = other == 0
        message = f"{name}: ZeroDivisionError: an integer was divided by zero; convert one operand with .float()"
        if isinstance(zero, Tensor):
            backend: Any = zero._backend
            backend.check_none(zero._data, RuntimeError, message)
        elif zero:
            raise RuntimeError(message)


def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down. Raises `RuntimeError` for integers divided by zero.

    >>> import autograd_core as ag
    >>> ag.floor_divide(ag.tensor([5, -5]), 2)
    tensor([ 2, -3])
    """
    _check_zero_division("floor_divide", input, other)
    return _floor_divide(input, other)


def _remainder(input: Any, other: Any) -> Tensor:
    """Modulus with the sign of the divisor. Raises `RuntimeError` for integers modulo zero.

    >>> import autograd_core as ag
    >>> ag.remainder(ag.tensor([5, -5]), 3)
    tensor([2, 1])
    """
    _check_zero_division("remainder", input, other)
    return remainder(input, other)


def _fmod(input: Any, other: Any) -> Tensor:
    """Modulus with the sign of the dividend. Raises `RuntimeError` for integers modulo zero.

    >>> import autograd_core as ag
    >>> ag.fmod(ag.tensor([5, -5]), 3)
    tensor([ 2, -2])
    """
    _check_zero_division("fmod", input, other)
    return fmod(input, other)


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent. Raises `RuntimeError` for an integer tensor to a negative integer power.

    >>> import autograd_core as ag
    >>> ag.pow(ag.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(input, Tensor) and isinstance(exponent, int | float) and not isinstance(exponent, bool):
        kind = input._data.dtype.kind
        if kind == "f":
            return square(input) if exponent == 2 else pow_number(input, exponent)
        if isinstance(exponent, float):
            return pow_number(cast(input, dtypes.get_default_dtype().native), exponent)
        if exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed: convert with .float() first")
    elif isinstance(exponent, Tensor) and exponent._data.dtype.kind == "i":
        if not result_type(input, exponent).is_floating_point:
            return _whole_power(input, exponent)
    if result_type(input, exponent) is dtypes.bool_:
        if not isinstance(exponent, bool):
            raise NotImplementedError(
                "pow is not implemented for bool tensors; convert one operand with .long() or .float()"
            )
        return logical_or(input, not exponent)
    return _pow(input, exponent)


def _whole_power(input: Any, exponent: Tensor) -> Tensor:
    """Integer powers; a negative one is 1 / x^n rounded towards 0: 0 except where x is 1 or -1."""
    native = result_type(input, exponent).native
    base = cast(input if isinstance(input, Tensor) else exponent.new_full((), input), native)
    negative = lt(exponent, 0)
    powers = _pow(base, where(negative, 0, exponent))
    inverse: Any = eq(base, 1)
    if native.kind == "i":
        sign_of_odd = where(ne(bitwise_and(exponent, 1), 0), -1, 1)
        inverse = where(inverse, 1, where(eq(base, -1), sign_of_odd, 0))
    return where(negative, cast(inverse, native), powers)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input).

    >>> import autograd_core as ag
    >>> ag.lerp(ag.zeros(1), ag.ones(1), 0.25)
    tensor([0.2500])
    """
    require_float("lerp", input, end)
    if input._data.dtype.itemsize == end._data.dtype.itemsize == 2:  # Rounded once.
        return lerp(input.float(), end.float(), weight.float() if isinstance(weight, Tensor) else weight).half()
    return add(input, mul(sub(end, input), weight))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2.

    >>> import autograd_core as ag
    >>> ag.addcmul(ag.ones(1), ag.ones(1), ag.ones(1), value=2)
    tensor([3.])
    """
    if input._data.dtype.itemsize == 2 and result_type(input, tensor1, tensor2) is dtypes.float16:  # Rounded once.
        return addcmul(input.float(), tensor1, tensor2.float(), value=value).half()
    product = mul(tensor1, tensor2)
    return add(input, product if value == 1 else mul(product, value))


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2.

    >>> import autograd_core as ag
    >>> ag.addcdiv(ag.ones(1), ag.ones(1), ag.ones(1) * 2)
    tensor([1.5000])
    """
    if not result_type(tensor1, tensor2).is_floating_point:
        raise RuntimeError(
            f"addcdiv: integer division of {tensor1.dtype} by {tensor2.dtype} is not supported; convert with .float()"
        )
    quotient = div(tensor1, tensor2)
    return add(input, quotient if value == 1 else mul(quotient, value))


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input.

    >>> import autograd_core as ag
    >>> ag.rsub(ag.ones(1), 3)
    tensor([2.])
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"rsub: argument 'input' must be a Tensor, got {type(input).__name__}")
    _refuse_bool("rsub", input, other)
    return sub(other, input if alpha == 1 else _scaled("rsub", other, input, alpha))


# -- the lesser and the greater, lengths, divisors, bits --------------------------------------------------


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


def _logaddexp_rule(base: float) -> Any:
    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        x, y = ctx.saved
        difference = F.sub(x, y)
        # Equal infinities share the gradient.
        same = F.logical_and(F.eq(x, y), F.isinf(x))
        difference = F.mul(F.where(same, F.fill(difference, 0.0), difference), math.log(base))
        return F.mul(g, F.sigmoid(difference)), F.mul(g, F.sigmoid(F.neg(difference)))

    return rule


_fmax: Any = binary("fmax", _nan_ignoring_rule("ge"), saves=(0, 1))
_fmin: Any = binary("fmin", _nan_ignoring_rule("le"), saves=(0, 1))
_hypot: Any = binary("hypot", _hypot_rule, saves=(0, 1))
_logaddexp: Any = binary("logaddexp", _logaddexp_rule(math.e), saves=(0, 1))
_logaddexp2: Any = binary("logaddexp2", _logaddexp_rule(2.0), saves=(0, 1))
_gcd, _lcm, _left_shift, _right_shift = map(predicate, ("gcd", "lcm", "left_shift", "right_shift"))
_bitwise_and, _bitwise_or, _bitwise_xor = map(predicate, ("bitwise_and", "bitwise_or", "bitwise_xor"))
_bitwise_not = question("bitwise_not")


def _floats(name: str, function: Any) -> Any:
    def call(input: Any, other: Any) -> Tensor:
        d = result_type(input, other)
        if not d.is_floating_point:
            raise NotImplementedError(f"{name} is not implemented for {d}; convert with .float()")
        return function(input, other)

    call.__name__ = call.__qualname__ = name
    return call


def _integers(name: str, function: Any, doc: str) -> Any:
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
gcd = _integers("gcd", _gcd, "The greatest common divisor of two integer tensors.")
lcm = _integers("lcm", _lcm, "The least common multiple of two integer tensors.")
bitwise_left_shift = _integers(
    "bitwise_left_shift", _left_shift, "input * 2^other by shifting bits, of integer tensors."
)
bitwise_right_shift = _integers(
    "bitwise_right_shift", _right_shift, "input / 2^other rounded down by shifting bits, of integer tensors."
)


def _bitwise(name: str, function: Any) -> Any:
    def call(input: Any, other: Any) -> Tensor:
        for x in (input, other):
            if isinstance(x, float) or (isinstance(x, Tensor) and x._data.dtype.kind == "f"):
                raise NotImplementedError(
                    f"{name} is for bool and integer tensors, got {getattr(x, 'dtype', 'a float')}; use "
                    f"logical_{name[8:]}"
                )
        return function(input, other)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The bits of both operands combined ({name.removeprefix('bitwise_')}); logical for bool tensors."
    return call


bitwise_and = _bitwise("bitwise_and", _bitwise_and)
bitwise_or = _bitwise("bitwise_or", _bitwise_or)
bitwise_xor = _bitwise("bitwise_xor", _bitwise_xor)


def bitwise_not(input: Tensor) -> Tensor:
    """All bits inverted; logical not for bool tensors. Raises `NotImplementedError` for floating-point tensors.

    >>> import autograd_core as ag
    >>> ag.bitwise_not(ag.tensor([True, False]))
    tensor([False,  True])
    """
    if input._data.dtype.kind == "f":
        raise NotImplementedError(f"bitwise_not is for bool and integer tensors, got {input.dtype}; use logical_not")
    return _bitwise_not(input)


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0, 1 above, `values` at 0; both of one dtype. It has no gradient.

    >>> import autograd_core as ag
    >>> ag.heaviside(ag.tensor([-1.0, 0.0, 2.0]), ag.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if input.dtype is not values.dtype:
        raise RuntimeError(f"heaviside: expected tensors of one dtype, got {input.dtype} and {values.dtype}")
    x, at_zero = input.detach(), values.detach()
    return where(eq(x, 0), at_zero, (x > 0).to(x.dtype))


def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent, computed in float64.

    >>> import autograd_core as ag
    >>> ag.float_power(ag.tensor([2]), 0.5).dtype
    ag.float64
    """
    x, y = (t.to(dtypes.float64) if isinstance(t, Tensor) else float(t) for t in (input, exponent))
    return pow(x, y)


def _float_power_in_place(self: Tensor, exponent: Any) -> Tensor:
    """`float_power` written into this tensor, which must be float64."""
    if self.dtype is not dtypes.float64:
        raise RuntimeError(f"float_power_: the result is float64 and cannot be written into {self.dtype}")
    return inplace("float_power_", float_power)(self, exponent)


def _reflected(function: Any) -> Any:
    """The operator of a number on the left."""

    def call(self: Any, other: Any) -> Tensor:
        if not isinstance(self, Tensor):
            raise TypeError(f"{function.__name__}: expected a Tensor, got {type(self).__name__}")
        return function(other, self)

    return call


# Public name -> function, where they differ.
PUBLIC = {
    "add": _add, "sub": _sub, "subtract": _sub, "div": _div, "divide": _div, "true_divide": div, "multiply": mul,
    "remainder": _remainder, "fmod": of_tensors(_fmod, 1), "square": _square,
    **{function.__name__: of_tensors(function) for function in (hypot, gcd, lcm, heaviside)},
}  # fmt: skip
INPLACE: tuple[str, ...] = (
    *PUBLIC, "mul", "pow", "floor_divide", "lerp", "addcmul", "addcdiv", "bitwise_and", "bitwise_or", "bitwise_xor",
    "bitwise_not", "bitwise_left_shift", "bitwise_right_shift",
)  # fmt: skip
PUBLIC |= {function.__name__: of_tensors(function) for function in (fmax, fmin, logaddexp, logaddexp2)}
FUNCTIONS = (*INPLACE, "rsub", "float_power", "fmax", "fmin", "logaddexp", "logaddexp2")
METHODS = FUNCTIONS


def _or_identity(function: Any) -> Any:
    """`==` and `!=` of a tensor and what is neither tensor nor number, as None, compare identities, as Python does."""

    def operator(self: Tensor, other: Any) -> Any:
        try:
            return function(self, other)
        except TypeError:
            if hasattr(other, "__array__"):
                raise
            return NotImplemented

    return operator


def _invert(self: Tensor) -> Tensor:
    if self._data.dtype.kind == "f":
        raise TypeError(f"~ is for bool and integer tensors, got {self.dtype}; use logical_not")
    return bitwise_not(self)


OPERATORS = {
    "__add__": add, "__radd__": _reflected(add), "__sub__": subtract_operator,
    "__rsub__": _subtract_from, "__mul__": mul, "__rmul__": _reflected(mul),
    "__truediv__": div, "__rtruediv__": lambda self, other: div(other, self), "__floordiv__": floor_divide,
    "__rfloordiv__": lambda self, other: floor_divide(other, self), "__mod__": _remainder,
    "__rmod__": lambda self, other: _remainder(other, self), "__pow__": pow,
    "__rpow__": lambda self, other: pow(other, self), "__neg__": neg, "__pos__": lambda self: self, "__abs__": abs,
    "__invert__": _invert, "__and__": bitwise_and, "__or__": bitwise_or, "__xor__": bitwise_xor,
    "__rand__": of_tensors(bitwise_and, 1), "__ror__": of_tensors(bitwise_or, 1),
    "__rxor__": of_tensors(bitwise_xor, 1),
    "__lshift__": bitwise_left_shift,
    "__rlshift__": lambda self, other: bitwise_left_shift(self.new_full((), other), self),
    "__rshift__": bitwise_right_shift,
    "__rrshift__": lambda self, other: bitwise_right_shift(self.new_full((), other), self),
    "__rdiv__": lambda self, other: mul(self.reciprocal(), other), "float_power_": _float_power_in_place,
    "where": lambda self, condition, other: where(condition, self, other),
    "__eq__": _or_identity(eq), "__ne__": _or_identity(ne), "__lt__": lt, "__le__": le, "__gt__": gt, "__ge__": ge,
}  # fmt: skip
INPLACE_OPERATORS = {"__iadd__": add, "__isub__": subtract_operator, "__imul__": mul, "__itruediv__": div,
                     "__ifloordiv__": floor_divide, "__imod__": _remainder, "__ipow__": pow,
                     "__iand__": bitwise_and, "__ior__": bitwise_or, "__ixor__": bitwise_xor}  # fmt: skip

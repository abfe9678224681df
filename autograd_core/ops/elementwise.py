"""Elementwise primitives, and the public forms of functions of one variable, comparison, logic and selection.

Each primitive stands on one line with its rule. `g` is the cotangent; a rule is written in calls of `F` only.
"""

from __future__ import annotations

import builtins
import functools
import math
from typing import Any

from autograd_core import dtypes, modes
from autograd_core.operands import broadcast_error, constant_like, promote_operands, result_type
from autograd_core.ops.checks import refuse_bool, require_float
from autograd_core.ops.half import rule_in_float32
from autograd_core.primitive import Primitive, V, binary, predicate, primitive, unary
from autograd_core.tensor import Tensor, wrap


def _wanted(ctx: Any, i: int) -> bool:
    return ctx.inputs[i] is not None


# -- arithmetic -------------------------------------------------------------------------------------------


def _mul_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    ex, ey = ctx.inputs
    return (None if ex is None else F.mul(g, y)), (None if ey is None else F.mul(g, x))


def _div_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    gx = F.div(g, y)
    return gx, F.neg(F.mul(gx, F.div(x, y))) if _wanted(ctx, 1) else None


def _pow_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    gx = gy = None
    if _wanted(ctx, 0):
        # y x^(y-1), which is 0 for y = 0 also where x^-1 is infinite.
        slope = F.mul(y, F.pow(x, F.sub(y, 1.0)))
        gx = F.mul(g, F.where(F.eq(y, 0.0), F.fill(slope, 0.0), slope))
    if _wanted(ctx, 1):
        # x^y ln x, with the limit 0 at x = 0.
        slope = F.mul(F.pow(x, y), F.log(x))
        gy = F.mul(g, F.where(F.logical_and(F.eq(x, 0.0), F.ge(y, 0.0)), F.fill(slope, 0.0), slope))
    return gx, gy


def _pow_number_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (x,), (e,) = ctx.saved, ctx.params
    if e == 0:
        return (F.fill(g, 0.0),)
    return (F.mul(g, F.mul(F.pow_number(x, e - 1), e)),)


def _pick_rule(compare: str) -> Any:
    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        x, y = ctx.saved
        better, worse = getattr(F, compare), getattr(F, {"gt": "lt", "lt": "gt"}[compare])
        zero = F.fill(g, 0.0)
        g = F.where(F.eq(x, y), F.mul(g, 0.5), g)  # Ties share the gradient.
        # As in PyTorch, both have it where one is NaN: only what is worse has none.
        gx = F.where(worse(x, y), zero, g) if _wanted(ctx, 0) else None
        gy = F.where(better(x, y), zero, g) if _wanted(ctx, 1) else None
        return gx, gy

    return rule


def _bound_rule(inside: str, outside: str) -> Any:
    def rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
        x, bound = ctx.saved
        zero = F.fill(g, 0.0)
        gx = F.where(getattr(F, inside)(x, bound), g, zero) if _wanted(ctx, 0) else None
        return gx, F.where(getattr(F, outside)(x, bound), g, zero) if _wanted(ctx, 1) else None

    return rule


def _clamp_error(name: str, x: Tensor, bound: Tensor) -> RuntimeError:
    return broadcast_error("clamp", x, bound)


@rule_in_float32
def _atan2_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    y, x = ctx.saved
    scaled = F.div(g, F.add(F.square(x), F.square(y)))
    return F.mul(scaled, x), F.neg(F.mul(scaled, y))


def bool_difference(name: str) -> RuntimeError:
    """What is raised for a difference with a bool tensor or a bool in it."""
    return RuntimeError(
        f"{name} with a bool is not supported; use ^ or logical_xor() for two masks, ~ or logical_not() to invert one, "
        ".long() to count"
    )


def _promoted_difference(name: str, floating: bool, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, bool]:
    if x._data.dtype.kind == "b" or y._data.dtype.kind == "b":
        raise bool_difference(name)
    return promote_operands(name, floating, x, y)


add = binary("add", lambda F, g, ctx: (g, g))
sub = binary(
    "sub", lambda F, g, ctx: (g, F.neg(g) if ctx.inputs[1] is not None else None), promote=_promoted_difference
)
mul = binary("mul", _mul_rule, saves=(0, 1), crosswise=True)
div = binary("div", _div_rule, saves=(0, 1), floating=True)
_pow = binary("pow", _pow_rule, saves=(0, 1))
pow_number = unary("pow_number", _pow_number_rule, saves=(0,))
# `clamp` to tensors: the same kernels, but no gradient at a NaN, and at a bound all of it for x. Declared before those
# that `V` is to know by these names.
_at_least = binary("maximum", _bound_rule("ge", "lt"), saves=(0, 1), mismatch=_clamp_error)
_at_most = binary("minimum", _bound_rule("le", "gt"), saves=(0, 1), mismatch=_clamp_error)
maximum = binary("maximum", _pick_rule("gt"), saves=(0, 1))
minimum = binary("minimum", _pick_rule("lt"), saves=(0, 1))
atan2 = binary("atan2", _atan2_rule, saves=(0, 1), floating=True)
_floor_divide = binary("floor_divide", lambda F, g, ctx: (F.fill(g, 0.0), F.fill(g, 0.0)))
remainder = binary("remainder", lambda F, g, ctx: (g, F.neg(F.mul(g, F.floor(F.div(*ctx.saved))))), saves=(0, 1))
fmod = binary("fmod", lambda F, g, ctx: (g, F.neg(F.mul(g, F.trunc(F.div(*ctx.saved))))), saves=(0, 1))


# -- functions of one variable ----------------------------------------------------------------------------


def _zero(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.fill(g, 0.0),)


def _of_input(derivative: Any) -> Any:
    """A rule `g * f'(x)` of a primitive that saves its input."""
    return lambda F, g, ctx: (F.mul(g, derivative(F, ctx.saved[0])),)


fill = unary("fill", _zero)
clone = unary("clone", lambda F, g, ctx: (g,))
neg = unary("neg", lambda F, g, ctx: (F.neg(g),))
abs = unary("abs", _of_input(lambda F, x: F.sign(x)), saves=(0,))
sign = unary("sign", _zero)
square = unary("square", _of_input(lambda F, x: F.mul(x, 2.0)), saves=(0,))
reciprocal = unary(
    "reciprocal", lambda F, g, ctx: (F.neg(F.mul(g, F.square(ctx.saved[0]))),), saves_output=True, floating=True
)
sqrt = unary("sqrt", lambda F, g, ctx: (F.div(g, F.mul(ctx.saved[0], 2.0)),), saves_output=True, floating=True)
rsqrt = unary(
    "rsqrt",
    rule_in_float32(lambda F, g, ctx: (F.mul(F.mul(g, F.pow_number(ctx.saved[0], 3)), -0.5),)),
    saves_output=True,
    floating=True,
)
exp = unary("exp", lambda F, g, ctx: (F.mul(g, ctx.saved[0]),), saves_output=True, floating=True)
expm1 = unary("expm1", lambda F, g, ctx: (F.mul(g, F.add(ctx.saved[0], 1.0)),), saves_output=True, floating=True)
log = unary("log", lambda F, g, ctx: (F.div(g, ctx.saved[0]),), saves=(0,), floating=True)
log2 = unary("log2", lambda F, g, ctx: (F.div(g, F.mul(ctx.saved[0], math.log(2.0))),), saves=(0,), floating=True)
log10 = unary("log10", lambda F, g, ctx: (F.div(g, F.mul(ctx.saved[0], math.log(10.0))),), saves=(0,), floating=True)
log1p = unary("log1p", lambda F, g, ctx: (F.div(g, F.add(ctx.saved[0], 1.0)),), saves=(0,), floating=True)
sin = unary("sin", _of_input(lambda F, x: F.cos(x)), saves=(0,), floating=True)
cos = unary("cos", _of_input(lambda F, x: F.neg(F.sin(x))), saves=(0,), floating=True)
tan = unary("tan", lambda F, g, ctx: (F.mul(g, F.add(F.square(ctx.saved[0]), 1.0)),), saves_output=True, floating=True)
asin = unary("asin", _of_input(lambda F, x: F.rsqrt(F.sub(1.0, F.square(x)))), saves=(0,), floating=True)
acos = unary("acos", _of_input(lambda F, x: F.neg(F.rsqrt(F.sub(1.0, F.square(x))))), saves=(0,), floating=True)
atan = unary("atan", _of_input(lambda F, x: F.reciprocal(F.add(F.square(x), 1.0))), saves=(0,), floating=True)
sinh = unary("sinh", _of_input(lambda F, x: F.cosh(x)), saves=(0,), floating=True)
cosh = unary("cosh", _of_input(lambda F, x: F.sinh(x)), saves=(0,), floating=True)
tanh = unary("tanh", lambda F, g, ctx: (F.tanh_backward(g, ctx.saved[0]),), saves_output=True, floating=True)
sigmoid = unary("sigmoid", lambda F, g, ctx: (F.sigmoid_backward(g, ctx.saved[0]),), saves_output=True, floating=True)
relu = unary("relu", lambda F, g, ctx: (F.relu_backward(g, ctx.saved[0]),), saves_output=True)
floor = unary("floor", _zero)
ceil = unary("ceil", _zero)
trunc = unary("trunc", _zero)
_round = unary("round", _zero)

# Derivatives as kernels of their own: linear in g, so the first gradient is the kernel again.


def _tanh_backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    inner, y = ctx.saved
    return F.tanh_backward(g, y), F.mul(F.mul(F.mul(g, inner), y), -2.0) if _wanted(ctx, 1) else None


def _sigmoid_backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    inner, y = ctx.saved
    return F.sigmoid_backward(g, y), F.mul(F.mul(g, inner), F.sub(1.0, F.mul(y, 2.0))) if _wanted(ctx, 1) else None


tanh_backward = binary("tanh_backward", _tanh_backward_rule, saves=(0, 1))
sigmoid_backward = binary("sigmoid_backward", _sigmoid_backward_rule, saves=(0, 1))
relu_backward = binary("relu_backward", lambda F, g, ctx: (F.relu_backward(g, ctx.saved[0]), None), saves=(1,))


# -- conversion and selection -----------------------------------------------------------------------------

_cast = unary("cast", lambda F, g, ctx: (F.cast(g, ctx.params[1]),))


def cast(x: Tensor, native: Any) -> Tensor:
    """`x` in the backend's dtype `native`; its gradient goes back in the dtype of `x`."""
    if native.kind == "f":
        return _cast(x, native, x._data.dtype)
    with modes.no_grad():  # Integers and bools have no gradient.
        return _cast(x, native, x._data.dtype)


V.cast = cast  # type: ignore[attr-defined]


def _where_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (condition,) = ctx.saved
    zero = F.fill(g, 0.0)
    gx = F.where(condition, g, zero) if _wanted(ctx, 1) else None
    return None, gx, F.where(condition, zero, g) if _wanted(ctx, 2) else None


def question(name: str) -> Any:
    """Declare an operation of one tensor whose result is of bools or integers, and has no history."""

    def call(x: Tensor) -> Tensor:
        backend = x._backend
        return wrap(backend.as_array(getattr(backend, name)(x._data)), backend)

    call.__name__ = call.__qualname__ = name
    call.primitive = Primitive(name, lambda F, g, ctx: (None,))  # type: ignore[attr-defined]
    setattr(V, name, call)
    return call


_where = primitive("where", _where_rule, inputs=3, saves=(0,))

eq, ne, lt, le, gt, ge = map(predicate, ("eq", "ne", "lt", "le", "gt", "ge"))
logical_and, logical_or, logical_xor = map(predicate, ("logical_and", "logical_or", "logical_xor"))
logical_not, _isnan, _isinf, _isfinite = map(question, ("logical_not", "isnan", "isinf", "isfinite"))


# -- the public forms -------------------------------------------------------------------------------------


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, halves to even; or rounded to `decimals` places.

    >>> import autograd_core as ag
    >>> ag.round(ag.tensor([0.5, 1.5, -0.7]))
    tensor([ 0.,  2., -1.])
    """
    if input._data.dtype.kind != "f" and not decimals:
        return _of_integers("round", input)
    if not decimals:
        return _round(input)
    require_float("round with decimals", input)
    scale = 10.0 ** builtins.abs(decimals)
    return div(_round(mul(input, scale)), scale) if decimals > 0 else mul(_round(div(input, scale)), scale)


def _of_integers(name: str, input: Tensor) -> Tensor:
    """Integers are round already; a bool is no number to round."""
    refuse_bool(name, input)
    return clone(input)


def _rounding(primitive: Any) -> Any:
    def call(input: Tensor) -> Tensor:
        return primitive(input) if input._data.dtype.kind == "f" else _of_integers(primitive.__name__, input)

    call.__name__ = call.__qualname__ = primitive.__name__
    call.__doc__ = f"Each element rounded by `{primitive.__name__}`; integers stay as they are."
    return call


def _sign(input: Tensor) -> Tensor:
    """-1, 0 or 1; a bool is its own sign."""
    return clone(input) if input._data.dtype.kind == "b" else sign(input)


def of_tensors(function: Any, tensors: int = 2) -> Any:
    """`function` of two operands, the first (`tensors=1`) or both of them Tensors: a number is a `TypeError`."""
    name = function.__name__

    @functools.wraps(function)
    def call(input: Any, other: Any) -> Tensor:
        if not isinstance(input, Tensor) or (tensors == 2 and not isinstance(other, Tensor)):
            wrong = "input" if not isinstance(input, Tensor) else "other"
            raise TypeError(f"{name}: argument {wrong!r} must be a Tensor, got {input!r:.60} and {other!r:.60}")
        return function(input, other)

    return call


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Elements of `input` where `condition` is true, else of `other`, all broadcast; of a condition alone, its indices.

    >>> import autograd_core as ag
    >>> ag.where(ag.tensor([True, False]), 1.0, 0.0)
    tensor([1., 0.])
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition._data.dtype.kind != "b":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}; use "
            "condition != 0"
        )
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        d = result_type(*(x for x in (input, other)))
        input = input if isinstance(input, Tensor) else constant_like(input, condition, d)
        other = other if isinstance(other, Tensor) else constant_like(other, condition, d)
    if input._data.dtype != other._data.dtype or input._backend is not other._backend:
        input, other, _ = promote_operands("where", False, input, other)
    if condition._backend is not input._backend and condition._data.ndim == 0:
        condition = condition.to(input.device)
    try:
        return _where(condition, input, other)
    except ValueError:
        shapes = f"{tuple(condition.shape)}, {tuple(input.shape)} and {tuple(other.shape)}"
        raise RuntimeError(f"where: shapes {shapes} cannot be broadcast together") from None


_BOUNDS = (int, float, type(None))  # Of which `clamp` is one kernel.


def _clamp_backward(g: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    return _where(logical_and(ge(x, low), le(x, high)), g, fill(g, 0.0))


V.clamp_backward = _clamp_backward  # type: ignore[attr-defined]
_clamp = unary("clamp", lambda F, g, ctx: (F.clamp_backward(g, ctx.saved[0], *ctx.params),), saves=(0,))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Values limited to [min, max]; bounds are numbers or tensors. The gradient is 1 inside and at the bounds, else 0.

    >>> import autograd_core as ag
    >>> ag.clamp(ag.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"clamp: argument 'input' must be a Tensor, got {type(input).__name__}")
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of 'min' or 'max' must not be None")
    if input._data.dtype.kind == "f" and all(type(bound) in _BOUNDS and bound == bound for bound in (min, max)):
        try:
            return _clamp(input, -math.inf if min is None else float(min), math.inf if max is None else float(max))
        except OverflowError:  # A whole number beyond all floats: what follows says so.
            pass
    out = input if min is None else _at_least(input, min)
    return out if max is None else _at_most(out, max)


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Values not below `min`.

    >>> import autograd_core as ag
    >>> ag.clamp_min(ag.tensor([-1.0, 2.0]), 0)
    tensor([0., 2.])
    """
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Values not above `max`.

    >>> import autograd_core as ag
    >>> ag.clamp_max(ag.tensor([-1.0, 2.0]), 0)
    tensor([-1.,  0.])
    """
    return clamp(input, max=max)


def _float_test(function: Any, of_integer: bool) -> Any:
    def call(input: Tensor) -> Tensor:
        if input._data.dtype.kind != "f":
            return input.new_full(input.shape, of_integer, dtype=dtypes.bool_)
        return function(input)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = f"Elementwise test `{function.__name__}`, as a bool tensor."
    return call


isnan = _float_test(_isnan, False)
isinf = _float_test(_isinf, False)
isfinite = _float_test(_isfinite, True)


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether |input - other| <= atol + rtol |other|, elementwise.

    >>> import autograd_core as ag
    >>> ag.isclose(ag.ones(1), ag.ones(1) + 1e-7)
    tensor([True])
    """
    for name, x in (("input", input), ("other", other)):
        if not isinstance(x, Tensor):
            raise TypeError(f"isclose: argument {name!r} must be a Tensor, got {type(x).__name__}")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(f"isclose: {name} must be greater than or equal to zero, but got {tolerance}")
    if input.dtype is not other.dtype:
        raise RuntimeError(f"isclose: dtypes differ, {input.dtype} and {other.dtype}; convert one with .to()")
    if input._data.dtype.kind == "b":
        return eq(input, other)
    near = logical_or(
        eq(input, other), logical_and(isfinite(other), le(abs(sub(input, other)), add(mul(abs(other), rtol), atol)))
    )
    return logical_or(near, logical_and(isnan(input), isnan(other))) if equal_nan else near


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds for all elements.

    >>> import autograd_core as ag
    >>> ag.allclose(ag.ones(2), ag.ones(2))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements.

    >>> import autograd_core as ag
    >>> ag.equal(ag.ones(2), ag.ones(3))
    False
    """
    return input.shape == other.shape and bool(eq(input, other).all())


# Public name -> function, where a public form wraps the primitive of that name.
PUBLIC = {
    "negative": neg, "absolute": abs, "clip": clamp, "arcsin": asin, "arccos": acos, "arctan": atan,
    "floor": _rounding(floor), "ceil": _rounding(ceil), "trunc": _rounding(trunc), "fix": _rounding(trunc),
    "sign": _sign,
}  # fmt: skip
for _function in (maximum, minimum, atan2, logical_and, logical_or, logical_xor):
    PUBLIC[_function.__name__] = of_tensors(_function)
PUBLIC["arctan2"] = PUBLIC["atan2"]
for _names in ("eq", "ne not_equal", "gt greater", "ge greater_equal", "lt less", "le less_equal"):
    PUBLIC.update(dict.fromkeys(_names.split(), of_tensors(globals()[_names.split()[0]], 1)))

_UNARY = (
    "neg", "abs", "sign", "reciprocal", "sqrt", "rsqrt", "exp", "expm1", "log", "log2", "log10", "log1p",
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "sigmoid", "relu",
    "round", "logical_not", "clamp", "clamp_min", "clamp_max",
)  # fmt: skip
_BINARY = (
    "maximum", "minimum", "atan2", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or",
    "logical_xor",
)  # fmt: skip
FUNCTIONS = (
    *PUBLIC,
    *_UNARY,
    *_BINARY,
    "clone",
    "isnan",
    "isinf",
    "isfinite",
    "where",
    "isclose",
    "allclose",
    "equal",
)
METHODS = tuple(name for name in FUNCTIONS if name != "where")
INPLACE = tuple(name for name in (*PUBLIC, *_UNARY, *_BINARY) if name not in ("maximum", "minimum"))

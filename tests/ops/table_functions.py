"""More rows of the table of operations: special functions, scans, statistics, selection, arrangement, products."""

# ruff: noqa: E501 - a row of the table stands on one line.

from __future__ import annotations

import math
from typing import Any

import numpy as np
from table import FLOAT, NOT_B, TRUTH, Op, _binary, _op, _unary, bools, ints, positive, real, unit

_vector = np.vectorize


def _zeta(s: int, x: Any) -> Any:
    """Hurwitz's zeta: the sum of (x + k)^-s over k >= 0, its tail by Euler and Maclaurin."""

    def one(v: float) -> float:
        k = np.arange(1000, dtype=np.float64)
        a = v + 1000
        return float(np.sum(np.flip((v + k) ** -s))) + a ** (1 - s) / (s - 1) + a**-s / 2 + s * a ** (-s - 1) / 12

    return _vector(one, otypes=[float])(x)


def _digamma(x: Any) -> Any:
    """The recurrence up to x + 1000, then ln y - 1/2y - 1/12y^2 + 1/120y^4."""

    def one(v: float) -> float:
        y = v + 1000
        return math.log(y) - 1 / (2 * y) - 1 / (12 * y**2) + 1 / (120 * y**4) - float(np.sum(np.flip(1 / (v + np.arange(1000)))))

    return _vector(one, otypes=[float])(x)


def _erfinv(x: Any) -> Any:
    """By bisection of math.erfc, which is exact also near the ends."""

    def one(v: float) -> float:
        if not abs(v) < 1:
            return math.copysign(math.inf, v) if abs(v) == 1 else math.nan
        low, high = 0.0, 6.0
        for _ in range(80):
            middle = (low + high) / 2
            less = math.erf(middle) < abs(v) if abs(v) < 0.5 else math.erfc(middle) > 1 - abs(v)
            low, high = (middle, high) if less else (low, middle)
        return math.copysign(low, v)

    return _vector(one, otypes=[float])(x)


def _lgamma(v: float) -> float:
    if math.isnan(v):
        return v
    return math.inf if math.isinf(v) or (v <= 0 and v == int(v)) or v > 1e300 else math.lgamma(v)


def _xlogy(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where((x == 0) & ~np.isnan(y), 0.0, x * np.log(y))


def _logit(x: Any) -> Any:
    return np.log(x / (1 - x))


def above_one(*shape: int) -> np.ndarray:
    return positive(*shape) + 1.1


def probability(*shape: int) -> np.ndarray:
    return unit(*shape) / 2 + 0.5


SPECIAL = (
    _unary("exp2", np.exp2, **FLOAT), _unary("asinh", np.arcsinh, **FLOAT), _unary("arcsinh", np.arcsinh, **FLOAT),
    _unary("acosh", np.arccosh, above_one, **FLOAT), _unary("arccosh", np.arccosh, above_one, **FLOAT),
    _unary("atanh", np.arctanh, unit, **FLOAT), _unary("arctanh", np.arctanh, unit, **FLOAT),
    _unary("sinc", np.sinc, **FLOAT), _unary("erfc", _vector(math.erfc, otypes=[float]), **FLOAT),
    _unary("erfinv", _erfinv, unit, **FLOAT), _unary("lgamma", lambda x: _vector(_lgamma, otypes=[float])(x).astype(x.dtype), **FLOAT),
    _op("erfinv.ends", lambda t, x: t.erfinv(x), _erfinv, np.array([-1.0, 1.0, 1.5, 0.0, 1 - 1e-9, 1e-9]), differentiable=False),
    _op("digamma", lambda t, x: t.digamma(x), _digamma, positive(2, 3), positive(3), **FLOAT),
    _op("digamma.negative", lambda t, x: t.digamma(x), _digamma, real(2, 3), differentiable=False, **FLOAT),
    _op("polygamma.2", lambda t, x: t.polygamma(2, x), lambda x: -2 * _zeta(3, x), positive(3), **FLOAT),
    _op("polygamma", lambda t, x: t.polygamma(1, x), lambda x: _zeta(2, x), positive(4), positive(3), **FLOAT),
    _unary("logit", _logit, probability, **FLOAT),
    _unary("logit.eps", lambda x: _logit(np.clip(x, 0.1, 0.9)), probability, call=lambda t, x: t.logit(x, 0.1), **FLOAT),
    _unary("frac", lambda x: x - np.trunc(x), kinds="f", twice=False), _unary("deg2rad", np.deg2rad, twice=False, **FLOAT),
    _unary("rad2deg", np.rad2deg, twice=False, **FLOAT), _unary("positive", np.copy, **NOT_B), _unary("sgn", np.sign, differentiable=False),
    _unary("signbit", np.signbit, **TRUTH), _unary("isposinf", np.isposinf, **TRUTH), _unary("isneginf", np.isneginf, **TRUTH),
    _unary("isreal", lambda x: np.ones(np.shape(x), bool), **TRUTH),
    _unary("nan_to_num", lambda x: np.nan_to_num(x), kinds="f"),
    _unary("nan_to_num.values", lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-2.0), call=lambda t, x: t.nan_to_num(x, 1.0, 2.0, -2.0), kinds="f"),
    _unary("float_power", lambda x: np.float_power(x, 3.0), call=lambda t, x: t.float_power(x, 3.0), result="double"),
    _binary("float_power.tensor", np.float_power, positive, call=lambda t, x, y: t.float_power(x, y), result="double"),
    _binary("fmax", np.fmax), _binary("fmin", np.fmin), _binary("hypot", np.hypot, kinds="f"), _binary("copysign", np.copysign, **FLOAT),
    _binary("logaddexp", np.logaddexp, kinds="f"), _binary("logaddexp2", np.logaddexp2, kinds="f"),
    _binary("xlogy", _xlogy, right=positive, **FLOAT),
    _op("xlogy.zero", lambda t, x, y: t.xlogy(x, y), _xlogy, (np.array([0.0, 0.0, 2.0]), np.array([0.0, 1.5, 3.0])), differentiable=False),
    _binary("ldexp", lambda x, y: x * np.power(2.0, y), kinds="f"),
    _op("heaviside", lambda t, x, y: t.heaviside(x, y), np.heaviside, (np.array([-1.0, 0.0, 2.0]), real(3)), (np.zeros(2), real()), differentiable=False),
    *(_op(name, lambda t, x, y, name=name: getattr(t, name)(x, y), ref, (ints(2, 3, low=-20, high=20), ints(3, low=0, high=9)), differentiable=False, kinds="i")
      for name, ref in (("gcd", np.gcd), ("lcm", np.lcm), ("bitwise_left_shift", np.left_shift), ("bitwise_right_shift", np.right_shift))),
    _op("isin", lambda t, x, y: (t.isin(x, y), t.isin(x, y, invert=True), t.isin(x, 2)), lambda x, y: (np.isin(x, y), ~np.isin(x, y), x == 2),
        (ints(2, 3), ints(2)), (ints(4), ints(0)), differentiable=False),
    _op("dist", lambda t, x, y: (t.dist(x, y), t.dist(x, y, 3)), lambda x, y: (np.sqrt(np.sum((x - y) ** 2)), np.sum(np.abs(x - y) ** 3) ** (1 / 3)),
        (real(2, 3), real(3)), kinds="f"),
)  # fmt: skip

FUNCTION_OPS: tuple[Op, ...] = (*SPECIAL,)

"""More rows of the table of operations: special functions, scans, statistics, selection, arrangement, products."""

# ruff: noqa: E501 - a row of the table stands on one line.

from __future__ import annotations

import math
from typing import Any

import numpy as np
from table import FLOAT, NOT_B, SUM, TRUTH, Op, _binary, _op, _unary, bools, ints, positive, real, unit

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
    _unary("float_power.number", lambda x: np.float_power(x, 3.0), call=lambda t, x: t.float_power(x, 3.0), result="double"),
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



def _running(ufunc: Any) -> Any:
    def ref(x: Any) -> Any:
        values = ufunc.accumulate(x, 1)
        indices = np.array([[max(j for j in range(i + 1) if row[j] == top[i]) for i in range(len(row))] for row, top in zip(x, values)])
        return values, indices

    return ref


ZEROS = np.array([[2.0, 0.0, 3.0, 1.5], [0.0, 0.0, 4.0, 2.0], [1.0, 2.0, 5.0, -1.0]])
WITH_NAN = np.array([[1.0, np.nan, 3.0], [4.0, 0.5, 2.0]])

SCANS = (
    _op("cumprod", lambda t, x: t.cumprod(x, 1), lambda x: np.cumprod(x, 1), ZEROS, unit(2, 5), empty=((real(2, 0),), (real(0, 2),)), **SUM),
    _op("cumprod.0", lambda t, x: t.cumprod(x, 0), lambda x: np.cumprod(x, 0), unit(3, 2), **SUM),
    _op("cummax", lambda t, x: t.cummax(x, 1), _running(np.maximum), real(3, 4)),
    _op("cummin", lambda t, x: t.cummin(x, -1), _running(np.minimum), real(3, 4)),
    _op("cummax.ties", lambda t, x: t.cummax(x, 1), _running(np.maximum), ints(3, 5), differentiable=False),
    _op("cummin.ties", lambda t, x: t.cummin(x, 1), _running(np.minimum), ints(3, 5), differentiable=False),
    _op("cummax.nan", lambda t, x: t.cummax(x, 1), lambda x: (np.maximum.accumulate(x, 1), np.array([[0, 1, 1], [0, 0, 0]])), WITH_NAN, differentiable=False),
    _op("logcumsumexp", lambda t, x: t.logcumsumexp(x, 1), lambda x: np.log(np.cumsum(np.exp(x), 1)), real(2, 5), kinds="f"),
    _op("logcumsumexp.large", lambda t, x: t.logcumsumexp(x + 1000.0, 0), lambda x: np.logaddexp.accumulate(x + 1000.0, 0), real(3, 2), kinds="f"),
    _op("diff", lambda t, x: t.diff(x), np.diff, real(2, 4), bools(5), empty=((real(1),), (real(0),))),
    _op("diff.2", lambda t, x, a, b: t.diff(x, 2, 0, a, b), lambda x, a, b: np.diff(x, 2, 0, a, b), (real(3, 2), real(1, 2), real(2, 2))),
    _op("trapezoid", lambda t, y: t.trapezoid(y, dx=0.5, dim=0), lambda y: np.trapezoid(y, dx=0.5, axis=0), real(4, 2), real(1, 2), kinds="if"),
    _op("trapezoid.x", lambda t, y, x: t.trapezoid(y, x), np.trapezoid, (real(2, 4), real(4)), (real(2, 3), real(2, 3))),
    _op("trapz", lambda t, y, x: t.trapz(y, x), np.trapezoid, (real(2, 4), real(4))),
    _op("cumulative_trapezoid", lambda t, y, x: t.cumulative_trapezoid(y, x), lambda y, x: np.cumsum((y[:, 1:] + y[:, :-1]) / 2 * np.diff(x), 1), (real(2, 4), real(4))),
)  # fmt: skip


def _median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    x = x.reshape(-1) if axis is None else x
    axis = 0 if axis is None else axis
    k = (x.shape[axis] - 1) // 2
    place = np.take(np.argsort(x, axis), [k], axis)
    found = np.take_along_axis(x, place, axis)
    return (found, place) if keepdims else (found.squeeze(axis), place.squeeze(axis))


def _quantiles(method: str, nan: bool = False) -> tuple[Op, ...]:
    ref = np.nanquantile if nan else np.quantile
    name = ref.__name__
    return (
        _op(f"{name}.{method}", lambda t, x: getattr(t, name)(x, 0.3, interpolation=method), lambda x: ref(x, 0.3, method=method), real(2, 3), kinds="f"),
        _op(f"{name}.{method}.dim", lambda t, x: getattr(t, name)(x, t.tensor([0.25, 0.9], dtype=x.dtype), 1, True, interpolation=method),
            lambda x: ref(x, np.array([0.25, 0.9]), 1, method=method, keepdims=True), real(2, 4, 2), kinds="f"),
    )  # fmt: skip


STATISTICS = (
    _op("median", lambda t, x: t.median(x), lambda x: _median(x)[0], real(2, 3), real(5), real(), kinds="if"),
    _op("median.dim", lambda t, x: t.median(x, 1), lambda x: _median(x, 1), real(2, 4, 2), kinds="if"),
    _op("median.nan", lambda t, x: (t.median(x), t.median(x, 1).values, t.nanmedian(x), t.nanmedian(x, 1).values),
        lambda x: (np.nan, np.array([np.nan, 2.0]), 2.0, np.array([1.0, 2.0])), WITH_NAN, differentiable=False),
    _op("nanmedian", lambda t, x: t.nanmedian(x, 0, True), lambda x: _median(x, 0, True), real(4, 2), kinds="if"),
    _op("kthvalue", lambda t, x: t.kthvalue(x, 2, 0, True), lambda x: (np.sort(x, 0)[1:2], np.argsort(x, 0)[1:2]), real(4, 2), kinds="if"),
    _op("kthvalue.last", lambda t, x: t.kthvalue(x, 3), lambda x: (np.sort(x)[..., 2], np.argsort(x)[..., 2]), real(2, 3), kinds="if"),
    *(op for method in ("linear", "lower", "higher", "midpoint", "nearest") for op in _quantiles(method)),
    *_quantiles("linear", nan=True),
    _op("quantile.nan", lambda t, x: (t.quantile(x, 0.5, 1), t.nanquantile(x, 0.5, 1)), lambda x: (np.quantile(x, 0.5, 1), np.nanquantile(x, 0.5, 1)), WITH_NAN, differentiable=False),
    _op("msort", lambda t, x: t.msort(x), lambda x: np.sort(x, 0), real(4, 2)),
    _op("unique", lambda t, x: (t.unique(x), *t.unique(x, return_inverse=True, return_counts=True)),
        lambda x: (np.unique(x), np.unique(x), np.unique(x, return_inverse=True)[1].reshape(x.shape), np.unique(x, return_counts=True)[1]),
        ints(3, 4), bools(4), real(2), differentiable=False),
    _op("unique.dim", lambda t, x: t.unique(x, return_inverse=True, return_counts=True, dim=0),
        lambda x: (np.array([[1, 2], [3, 0]]), np.array([1, 0, 1]), np.array([1, 2])), np.array([[3, 0], [1, 2], [3, 0]]), differentiable=False),
    _op("nansum", lambda t, x: (t.nansum(x), t.nansum(x, 1, True)), lambda x: (np.nansum(x), np.nansum(x, 1, keepdims=True)), real(2, 3), WITH_NAN, twice=False),
    _op("nanmean", lambda t, x: (t.nanmean(x), t.nanmean(x, 1)), lambda x: (np.nanmean(x), np.nanmean(x, 1)), real(2, 3), kinds="f", twice=False),
    _op("nanmean.nan", lambda t, x: t.nanmean(x, 1), lambda x: np.nanmean(x, 1), WITH_NAN, differentiable=False),
    _op("count_nonzero", lambda t, x: (t.count_nonzero(x), t.count_nonzero(x, 0)), lambda x: (np.count_nonzero(x), np.count_nonzero(x, 0)), ints(3, 4), bools(2, 3), real(2), differentiable=False),
    _op("var_mean", lambda t, x: t.var_mean(x, 1), lambda x: (np.var(x, 1, ddof=1), np.mean(x, 1)), real(2, 3), kinds="f"),
    _op("std_mean", lambda t, x: t.std_mean(x, dim=0, correction=0, keepdim=True), lambda x: (np.std(x, 0, keepdims=True), np.mean(x, 0, keepdims=True)), real(3, 2), kinds="f"),
    _op("aminmax", lambda t, x: (*t.aminmax(x), *t.aminmax(x, dim=1, keepdim=True)),
        lambda x: (np.min(x), np.max(x), np.min(x, 1, keepdims=True), np.max(x, 1, keepdims=True)), real(2, 3)),
    _op("bincount", lambda t, x, w: (t.bincount(x), t.bincount(x, w, 5)), lambda x, w: (np.bincount(x), np.bincount(x, w, 5)), (ints(6), real(6)), (ints(0), real(0)), differentiable=False),
    _op("histc", lambda t, x: (t.histc(x, 5), t.histc(x, 4, -0.5, 0.5)), lambda x: (np.histogram(x, 5)[0], np.histogram(x, 4, (-0.5, 0.5))[0]), real(3, 4), differentiable=False),
    _op("cov", lambda t, x: t.cov(x), np.cov, real(3, 4), real(5), kinds="if"),
    _op("cov.weights", lambda t, x, f, a: t.cov(x, correction=2, fweights=f, aweights=a), lambda x, f, a: np.cov(x, ddof=2, fweights=f, aweights=a), (real(2, 4), ints(4, low=1, high=4), positive(4))),
    _op("corrcoef", lambda t, x: t.corrcoef(x), np.corrcoef, real(2, 5), kinds="if"),
)  # fmt: skip

FUNCTION_OPS: tuple[Op, ...] = (*SPECIAL, *SCANS, *STATISTICS)

"""Rows of the table of operations: special functions, scans, statistics, selection, arrangement, products."""

# ruff: noqa: E501 - a row of the table stands on one line.

from __future__ import annotations

import math
from typing import Any

import numpy as np
from table import FLOAT, NOT_B, SUM, TRUTH, Op, _binary, _op, _unary, bools, ints, positive, real, sign, unit
from table_linalg import LINALG_OPS

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
        return (
            math.log(y)
            - 1 / (2 * y)
            - 1 / (12 * y**2)
            + 1 / (120 * y**4)
            - float(np.sum(np.flip(1 / (v + np.arange(1000)))))
        )

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
    _unary("rad2deg", np.rad2deg, twice=False, **FLOAT), _unary("positive", np.copy, **NOT_B), _unary("sgn", sign, differentiable=False),
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
        indices = np.array(
            [[max(j for j in range(i + 1) if row[j] == top[i]) for i in range(len(row))] for row, top in zip(x, values)]
        )
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
    _op("diff", lambda t, x: t.diff(x), np.diff, real(2, 4), empty=((real(1),), (real(0),))),
    _op("diff.bool", lambda t, x: t.diff(x), np.diff, bools(5), differentiable=False),
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


def _copied(write: Any) -> Any:
    """A reference that writes into a copy of its first argument."""

    def ref(x: Any, *rest: Any) -> Any:
        out = x.copy()
        write(out, *rest)
        return out

    return ref


def _put_along(out: Any, index: Any, source: Any) -> None:
    out[:, index] = source


def _put_flat(out: Any, index: Any, source: Any) -> None:
    out.reshape(-1)[index] = source


def _masked(out: Any, mask: Any, source: Any) -> None:
    out[mask] = source.reshape(-1)[: mask.sum()]


_REDUCE = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min}


def _scatter_reduced(reduce: str, include_self: bool) -> Any:
    def ref(x: Any, index: Any, src: Any) -> Any:
        out = x.copy()
        for place in np.ndindex(x.shape):
            sent = [src[i, place[1]] for i in range(index.shape[0]) if index[i, place[1]] == place[0]]
            if sent:
                out[place] = _REDUCE[reduce](([x[place]] if include_self else []) + sent)
        return out

    return ref


def _scatter_reduce(reduce: str, include_self: bool) -> Op:
    return _op(f"scatter_reduce.{reduce}.{include_self}", lambda t, x, i, s: t.scatter_reduce(x, 0, i, s, reduce, include_self=include_self),
               _scatter_reduced(reduce, include_self), (real(3, 2), np.array([[0, 2], [0, 0], [2, 2], [0, 2]]), real(4, 2)), twice=reduce != "prod")  # fmt: skip


VECTOR, SORTED = np.array([2, 0]), np.array([-0.7, -0.2, 0.1, 0.1, 0.6])
SELECTION = (
    _op("take", lambda t, x, i: t.take(x, i), lambda x, i: x.reshape(-1)[i], (real(2, 3), np.array([[5, -1], [0, 2]])), (real(), np.array([0]))),
    _op("put", lambda t, x, i, s: t.put(x, i, s), _copied(_put_flat), (real(2, 3), np.array([4, -6]), real(2))),
    _op("put.accumulate", lambda t, x, i, s: t.put(x, i, s, True), _copied(lambda out, i, s: np.add.at(out.reshape(-1), i, s)), (real(2, 3), np.array([4, 4]), real(2))),
    _op("index_fill", lambda t, x, i: t.index_fill(x, 1, i, 2), _copied(lambda out, i: _put_along(out, i, 2.0)), (real(2, 3), VECTOR)),
    _op("index_fill.tensor", lambda t, x, i, v: t.index_fill(x, -1, i, v), _copied(_put_along), (real(2, 3), VECTOR, real())),
    _op("index_copy", lambda t, x, i, s: t.index_copy(x, 1, i, s), _copied(_put_along), (real(2, 3), VECTOR, real(2, 2))),
    _op("masked_scatter", lambda t, x, m, s: t.masked_scatter(x, m, s), _copied(_masked), (real(2, 3), bools(2, 3), real(5)), empty=((real(0), bools(0), real(0)),)),
    *(_scatter_reduce(reduce, include) for reduce in _REDUCE for include in (True, False)),
    _op("scatter_reduce.zeros", lambda t, x, i, s: t.scatter_reduce(x, 0, i, s, "prod"), _scatter_reduced("prod", True),
        (np.array([[2.0, 3.0], [0.0, 1.5], [2.5, 1.0]]), np.array([[0, 2], [1, 0], [2, 0]]), np.array([[0.0, 1.2], [3.0, 0.0], [0.7, 0.0]])), twice=False),
    _op("argwhere", lambda t, x: t.argwhere(x), np.argwhere, ints(2, 3), bools(4), differentiable=False),
    *(_op(f"searchsorted.{side}", lambda t, s, x, side=side: (t.searchsorted(s, x, side=side), t.searchsorted(s, 0.1, right=side == "right"), t.searchsorted(s, x, right=side == "right", out_int32=True)),
          lambda s, x, side=side: (np.searchsorted(s, x, side), np.searchsorted(s, 0.1, side), np.searchsorted(s, x, side)),
          (SORTED, real(2, 3)), (SORTED, np.array([0.1, np.inf, -np.inf])), (SORTED[:0], real(2)), differentiable=False) for side in ("left", "right")),
    _op("searchsorted", lambda t, s, x: t.searchsorted(s, x), lambda s, x: np.stack([np.searchsorted(a, b) for a, b in zip(s, x)]),
        (np.sort(real(2, 5)), real(2, 3)), differentiable=False),
    _op("searchsorted.sorter", lambda t, s, i, x: t.searchsorted(s, x, sorter=i), lambda s, i, x: np.searchsorted(s, x, sorter=i),
        (np.array([3.0, 1.0, 2.0]), np.array([1, 2, 0]), real(4)), differentiable=False),
    _op("bucketize", lambda t, x, b: (t.bucketize(x, b), t.bucketize(x, b, right=True)), lambda x, b: (np.searchsorted(b, x), np.searchsorted(b, x, "right")),
        (ints(2, 3), np.array([0, 1, 2])), (real(3), SORTED), differentiable=False),
    _op("select_scatter", lambda t, x, s: t.select_scatter(x, s, 1, -1), _copied(lambda out, s: _put_along(out, -1, s)), (real(2, 3), real(2))),
    _op("slice_scatter", lambda t, x, s: t.slice_scatter(x, s, 1, 0, 4, 2), _copied(lambda out, s: _put_along(out, slice(0, 4, 2), s)), (real(2, 4), real(2, 2))),
    _op("diagonal_scatter", lambda t, x, s: t.diagonal_scatter(x, s, 1), _copied(lambda out, s: out.__setitem__((np.arange(2), np.arange(2) + 1), s)), (real(3, 3), real(2))),
)  # fmt: skip


A, B = real(2, 3), real(2, 3)
ARRANGEMENT = (
    *(_op(name, lambda t, x, y, name=name: getattr(t, name)((x, y)), lambda x, y, ref=ref: ref((x, y)), (real(3), real(3)), (A, B))
      for name, ref in (("dstack", np.dstack), ("column_stack", np.column_stack))),
    *(_op(name, lambda t, x, name=name: getattr(t, name)(x), getattr(np, name), real(), real(3), A, empty=((real(0),),)) for name in ("atleast_1d", "atleast_2d", "atleast_3d")),
    _op("atleast_2d.several", lambda t, x, y: t.atleast_2d(x, y), lambda x, y: np.atleast_2d(x, y), (real(), real(3))),
    _op("tensor_split", lambda t, x: (*t.tensor_split(x, 3), *t.tensor_split(x, (1, 4), dim=-1), *t.tensor_split(x, t.tensor([2]), dim=1)),
        lambda x: (*np.array_split(x, 3), *np.split(x, (1, 4), 1), *np.split(x, [2], 1)), real(2, 5)),
    _op("hsplit", lambda t, x: t.hsplit(x, 2), lambda x: np.hsplit(x, 2), real(2, 4), real(4)),
    _op("vsplit", lambda t, x: t.vsplit(x, (1,)), lambda x: np.vsplit(x, (1,)), real(3, 2)),
    _op("dsplit", lambda t, x: t.dsplit(x, 2), lambda x: np.dsplit(x, 2), real(2, 1, 4)),
    _op("split_with_sizes", lambda t, x: t.split_with_sizes(x, [1, 2], 1), lambda x: np.split(x, [1], 1), A),
    _op("fliplr", lambda t, x: t.fliplr(x), np.fliplr, A), _op("flipud", lambda t, x: t.flipud(x), np.flipud, A, real(3)),
    *(_op(f"rot90.{k}", lambda t, x, k=k: t.rot90(x, k, (0, -1)), lambda x, k=k: np.rot90(x, k, (0, 2)), real(2, 2, 3)) for k in (-1, 0, 1, 2)),
    _op("diag_embed", lambda t, x: t.diag_embed(x), lambda x: x[..., None] * np.eye(3), A, real(3)),
    _op("diag_embed.dims", lambda t, x: t.diag_embed(x, 1, 0, 2), lambda x: np.stack([np.diag(row, 1) for row in x], 1), A),
    _op("diagflat", lambda t, x: t.diagflat(x, -1), lambda x: np.diagflat(x, -1), A, real()),
    _op("block_diag", lambda t, x, y, z: t.block_diag(x, y, z), lambda x, y, z: np.block([[x, np.zeros((2, 3))], [np.zeros((1, 3)), y[None], np.zeros((1, 1))], [np.zeros((1, 5)), z.reshape(1, 1)]]),
        (A, real(2), real())),
    _op("cartesian_prod", lambda t, x, y: t.cartesian_prod(x, y), lambda x, y: np.array([[a, b] for a in x for b in y]), (real(2), real(3))),
    _op("cartesian_prod.one", lambda t, x: t.cartesian_prod(x), np.copy, real(2)),
    _op("combinations", lambda t, x: t.combinations(x), lambda x: np.array([[x[0], x[1]], [x[0], x[2]], [x[1], x[2]]]), real(3)),
    _op("combinations.repeated", lambda t, x: t.combinations(x, 2, True), lambda x: np.array([[x[0], x[0]], [x[0], x[1]], [x[1], x[1]]]), real(2)),
    _op("fill", lambda t, x: t.fill(x, 2), lambda x: np.full_like(x, 2), A, differentiable=False),
    _op("fill.tensor", lambda t, x, v: t.fill(x, v), lambda x, v: np.full_like(x, v), (A, real())),
    _op("sum_to_size", lambda t, x: x.sum_to_size(3, 1), lambda x: x.sum((0, 2))[:, None], real(2, 3, 2)),
    _op("sum_to_size.same", lambda t, x: x.sum_to_size((2, 3)), np.copy, A),
)  # fmt: skip


def _norms(p: float) -> Any:
    return lambda x, y: np.linalg.norm(x[..., :, None, :] - y[..., None, :, :], p, -1)


CONTRACTIONS = (
    _op("addmv", lambda t, c, x, y: t.addmv(c, x, y, beta=2, alpha=3), lambda c, x, y: 2 * c + 3 * x @ y, (real(2), A, real(3)), (real(1), A, real(3)), kinds="if"),
    _op("addr", lambda t, c, x, y: t.addr(c, x, y, alpha=3), lambda c, x, y: c + 3 * np.outer(x, y), (A, real(2), real(3)), (real(3), real(2), real(3)), kinds="if"),
    _op("addr.zero", lambda t, c, x, y: t.addr(c, x, y, beta=0), lambda c, x, y: np.outer(x, y), (np.full((2, 3), np.nan), real(2), real(3)), differentiable=False),
    _op("addbmm", lambda t, c, x, y: t.addbmm(c, x, y, beta=2), lambda c, x, y: 2 * c + (x @ y).sum(0), (real(2, 2), real(3, 2, 3), real(3, 3, 2)), kinds="if"),
    _op("vdot", lambda t, x, y: t.vdot(x, y), np.vdot, (real(3), real(3)), kinds="if"),
    _op("inner", lambda t, x, y: t.inner(x, y), np.inner, (A, real(2, 2, 3)), (real(3), real(3)), (real(), A), kinds="if"),
    _op("tensordot", lambda t, x, y: t.tensordot(x, y), np.tensordot, (real(2, 2, 3), real(2, 3, 2)), kinds="if"),
    _op("tensordot.dims", lambda t, x, y: t.tensordot(x, y, dims=([0, -1], [2, 1])), lambda x, y: np.tensordot(x, y, ([0, 2], [2, 1])), (real(2, 2, 3), real(4, 3, 2)), kinds="if"),
    _op("tensordot.outer", lambda t, x, y: t.tensordot(x, y, 0), lambda x, y: np.tensordot(x, y, 0), (real(2), A), kinds="if"),
    _op("kron", lambda t, x, y: t.kron(x, y), np.kron, (A, real(2, 2)), (real(2), A), (real(), real(2))),
    _op("cross", lambda t, x, y: t.cross(x, y, dim=-1), np.cross, (A, B), (real(3), real(3)), (A, real(1, 3)), kinds="if"),
    _op("trace", lambda t, x: t.trace(x), np.trace, A, real(3, 3), kinds="if", result="sum"),
    *(_op(f"cdist.{p}", lambda t, x, y, p=p: t.cdist(x, y, p), _norms(p), (A, real(4, 3)), (real(2, 1, 2, 3), real(3, 4, 3)), kinds="f") for p in (1.0, 2.0, 3.0, math.inf)),
    _op("cdist", lambda t, x, y: t.cdist(x, y, compute_mode="use_mm_for_euclid_dist"), _norms(2), (A, real(4, 3)), kinds="f"),
)  # fmt: skip

MAKERS = (
    _op("scalar_tensor", lambda t: (t.scalar_tensor(2), t.scalar_tensor(3, dtype=t.int64)), lambda: (np.array(2.0), np.array(3)), (), differentiable=False),
    _op("logspace", lambda t: (t.logspace(0, 2, 5, dtype=t.float64), t.logspace(1, 3, 3, base=2.0), t.logspace(1, 2, 1), t.logspace(0, 1, 0)),
        lambda: (np.logspace(0, 2, 5), np.array([2.0, 4.0, 8.0]), np.array([10.0]), np.zeros(0)), (), differentiable=False),
    *(_op(name, lambda t, name=name: (getattr(t, name)(3, 3), getattr(t, name)(2, 4, 1), getattr(t, name)(4, 2, -1), getattr(t, name)(0, 2)),
          lambda ref=ref: (np.array(ref(3)), np.array(ref(2, 1, 4)), np.array(ref(4, -1, 2)), np.zeros((2, 0))), (), differentiable=False)
      for name, ref in (("tril_indices", np.tril_indices), ("triu_indices", np.triu_indices))),
    _op("randint_like", lambda t, x: (t.randint_like(x, 1), t.randint_like(x, 4, 5)), lambda x: (np.zeros_like(x), np.full_like(x, 4)), real(2, 3), ints(2), differentiable=False),
    _op("multinomial", lambda t, x: (t.multinomial(x, 1), t.multinomial(x, 4, replacement=True), t.multinomial(x, 3, replacement=True).sum(-1)),
        lambda x: (np.full((2, 1), 1), np.full((2, 4), 1), np.array([3, 3])), np.array([[0.0, 2.0, 0.0], [0.0, 0.5, 0.0]]), kinds="f", differentiable=False),
)  # fmt: skip


FUNCTION_OPS: tuple[Op, ...] = (
    *SPECIAL,
    *SCANS,
    *STATISTICS,
    *SELECTION,
    *ARRANGEMENT,
    *CONTRACTIONS,
    *MAKERS,
    *LINALG_OPS,
)

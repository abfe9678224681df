"""The table of operations: for each its call, its reference in NumPy, sample inputs, and what it promises of dtypes.

`call(t, *tensors)` is written in names that PyTorch has too, so that `t` may be either library. `test_table.py` drives
from this one table: values, gradients to second order, dtypes, strides, broadcasting, empty and special inputs.
"""

# ruff: noqa: E501 - a row of the table stands on one line.

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_rng = np.random.default_rng(20240501)


def real(*shape: int) -> np.ndarray:
    """Distinct values of both signs, away from 0, from integers and from halves, where functions may jump."""
    n = math.prod(shape)
    values = (np.arange(n) - n / 2) * 0.31 + 0.117 + _rng.uniform(-0.02, 0.02, n)
    return _rng.permutation(values).reshape(shape)


def positive(*shape: int) -> np.ndarray:
    return np.abs(real(*shape)) + 0.3


def unit(*shape: int) -> np.ndarray:
    """Inside (-1, 1), away from 0."""
    return np.tanh(real(*shape)) * 0.9


def ints(*shape: int, low: int = 0, high: int = 3) -> np.ndarray:
    return _rng.integers(low, high, shape)


def bools(*shape: int) -> np.ndarray:
    values = np.arange(math.prod(shape)) % 3 != 1
    return _rng.permutation(values).reshape(shape)


@dataclass(frozen=True)
class Op:
    """One row. `result`: the dtype of the result for inputs of a common dtype d:
    same (d), float (d, or float32 for integers and bools), bool, sum (d, or int64 for integers and bools), index (int64).
    `kinds`: which of b(ool), i(nteger), f(loat) inputs are accepted; others are a RuntimeError.
    `elementwise`: 1 or 2 tensors in, each element on its own; such rows get the special values, 0-d and empty inputs.
    """

    name: str
    call: Callable[..., Any]
    ref: Callable[..., Any]
    samples: tuple[tuple[Any, ...], ...]
    result: str = "same"
    kinds: str = "bif"
    elementwise: int = 0
    differentiable: bool = True
    empty: tuple[tuple[Any, ...], ...] = ()
    twice: bool = True  # gradgradcheck too; False where the first gradient is constant by definition.


def _unary(name: str, ref: Any, domain: Any = real, call: Any = None, **options: Any) -> Op:
    if call is None:

        def call(t: Any, x: Any) -> Any:
            return getattr(t, name)(x)

    return Op(name, call, ref, ((domain(2, 3),), (domain(),)), elementwise=1, **options)


def _binary(name: str, ref: Any, left: Any = real, right: Any = real, call: Any = None, **options: Any) -> Op:
    if call is None:

        def call(t: Any, x: Any, y: Any) -> Any:
            return getattr(t, name)(x, y)

    samples = (
        (left(2, 3), right(2, 3)), (left(2, 3), right(3)), (left(2, 1), right(1, 3)), (left(), right(2, 2)), (left(2), right()),
    )  # fmt: skip
    return Op(name, call, ref, samples, elementwise=2, **options)


def _op(name: str, call: Any, ref: Any, *samples: Any, **options: Any) -> Op:
    return Op(name, call, ref, tuple(s if isinstance(s, tuple) else (s,) for s in samples), **options)


def sign(x: Any) -> Any:
    """NumPy's, but 0 for a NaN."""
    return np.sign(np.where(x == x, x, x.dtype.type(0)))


def _relu(x: Any) -> Any:
    return np.where(x <= 0, x.dtype.type(0), x)


FLOAT, TRUTH, NOT_B = {"result": "float"}, {"result": "bool", "differentiable": False}, {"kinds": "if"}
STEP = {"twice": False}

ELEMENTWISE = (
    _unary("neg", np.negative, **NOT_B), _unary("negative", np.negative, **NOT_B),
    _unary("abs", np.abs, **NOT_B), _unary("absolute", np.abs, **NOT_B),
    _unary("sign", sign, **STEP), _unary("square", np.square),
    _unary("reciprocal", lambda x: 1 / x, **FLOAT),
    _unary("sqrt", np.sqrt, positive, **FLOAT), _unary("rsqrt", lambda x: 1 / np.sqrt(x), positive, **FLOAT),
    _unary("exp", np.exp, **FLOAT), _unary("expm1", np.expm1, **FLOAT),
    _unary("log", np.log, positive, **FLOAT), _unary("log2", np.log2, positive, **FLOAT),
    _unary("log10", np.log10, positive, **FLOAT), _unary("log1p", np.log1p, positive, **FLOAT),
    _unary("sin", np.sin, **FLOAT), _unary("cos", np.cos, **FLOAT), _unary("tan", np.tan, unit, **FLOAT),
    _unary("asin", np.arcsin, unit, **FLOAT), _unary("arcsin", np.arcsin, unit, **FLOAT),
    _unary("acos", np.arccos, unit, **FLOAT), _unary("arccos", np.arccos, unit, **FLOAT),
    _unary("atan", np.arctan, **FLOAT), _unary("arctan", np.arctan, **FLOAT),
    _unary("sinh", np.sinh, **FLOAT), _unary("cosh", np.cosh, **FLOAT), _unary("tanh", np.tanh, **FLOAT),
    _unary("sigmoid", lambda x: 1 / (1 + np.exp(-x)), **FLOAT), _unary("relu", _relu, **NOT_B),
    _unary("floor", np.floor, **STEP, **NOT_B), _unary("ceil", np.ceil, **STEP, **NOT_B),
    _unary("trunc", np.trunc, **STEP, **NOT_B), _unary("fix", np.trunc, **STEP, **NOT_B),
    _unary("round", np.rint, **STEP, **NOT_B),
    _unary("clone", np.copy),
    _unary("logical_not", np.logical_not, **TRUTH),
    _unary("isnan", np.isnan, **TRUTH), _unary("isinf", np.isinf, **TRUTH), _unary("isfinite", np.isfinite, **TRUTH),
    _unary("clamp", lambda x: np.clip(x, -0.5, 0.6), call=lambda t, x: t.clamp(x, -0.5, 0.6), kinds="f"),
    _unary("clip", lambda x: np.clip(x, None, 0.4), call=lambda t, x: t.clip(x, max=0.4), kinds="f"),
    _unary("clamp_min", lambda x: np.clip(x, 0.2, None), call=lambda t, x: t.clamp_min(x, 0.2), kinds="f"),
    _unary("clamp_max", lambda x: np.clip(x, None, 0.2), call=lambda t, x: t.clamp_max(x, 0.2), kinds="f"),
    _unary("pow.number", lambda x: np.power(x, 3.0), call=lambda t, x: t.pow(x, 3.0), **FLOAT),
    _unary("pow.two", np.square, call=lambda t, x: x**2, kinds="if"),
    _unary("pow.half", np.sqrt, positive, call=lambda t, x: x**0.5, **FLOAT),
    _unary("pow.base", lambda x: np.power(2.0, x), call=lambda t, x: 2.0**x, **FLOAT),
    _unary("add.number", lambda x: x + 2 * 1.5, call=lambda t, x: t.add(x, 1.5, alpha=2), kinds="f"),
    _unary("sub.number", lambda x: 2.5 - x, call=lambda t, x: 2.5 - x, **FLOAT),
    _unary("div.number", lambda x: 2.5 / x, call=lambda t, x: 2.5 / x, **FLOAT),
    _unary("rsub", lambda x: 3 - 2 * x, call=lambda t, x: t.rsub(x, 3, alpha=2), **NOT_B),
    _binary("add", np.add), _binary("sub", np.subtract, **NOT_B), _binary("subtract", np.subtract, **NOT_B),
    _binary("add.alpha", lambda x, y: x + 3 * y, call=lambda t, x, y: t.add(x, y, alpha=3), **NOT_B),
    _binary("mul", np.multiply), _binary("multiply", np.multiply),
    _binary("div", np.divide, **FLOAT), _binary("divide", np.divide, **FLOAT), _binary("true_divide", np.divide, **FLOAT),
    _binary("div.floor", np.floor_divide, right=positive, call=lambda t, x, y: t.div(x, y, rounding_mode="floor"),
            kinds="f", **STEP),
    _binary("div.trunc", lambda x, y: np.trunc(x / y), right=positive, call=lambda t, x, y: t.div(x, y, rounding_mode="trunc"),
            kinds="f", **STEP),
    _binary("floor_divide", np.floor_divide, right=positive, kinds="f", differentiable=False),
    _binary("remainder", np.remainder, right=positive, kinds="f"), _binary("fmod", np.fmod, right=positive, kinds="f"),
    _binary("pow", np.power, positive, **NOT_B),
    _binary("maximum", np.maximum), _binary("minimum", np.minimum),
    _binary("atan2", np.arctan2, **FLOAT), _binary("arctan2", np.arctan2, **FLOAT),
    _binary("lerp", lambda x, y: x + 0.3 * (y - x), call=lambda t, x, y: t.lerp(x, y, 0.3), kinds="f"),
    *(
        _binary(name, ref, **TRUTH)
        for name, ref in (
            ("eq", np.equal), ("ne", np.not_equal), ("not_equal", np.not_equal), ("lt", np.less), ("less", np.less),
            ("le", np.less_equal), ("less_equal", np.less_equal), ("gt", np.greater), ("greater", np.greater),
            ("ge", np.greater_equal), ("greater_equal", np.greater_equal), ("logical_and", np.logical_and),
            ("logical_or", np.logical_or), ("logical_xor", np.logical_xor),
        )
    ),
)  # fmt: skip

OTHER_ELEMENTWISE = (
    _op("bitwise_not", lambda t, x: t.bitwise_not(x), np.invert, bools(4), ints(4), differentiable=False, kinds="bi"),
    *(
        _op(name, lambda t, x, y, name=name: getattr(t, name)(x, y), getattr(np, name), (bools(4), bools(4)), (ints(3), ints(2, 1)),
            differentiable=False, kinds="bi")
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ),
    _op("where", lambda t, c, x, y: t.where(c, x, y), np.where, (bools(2, 3), real(2, 3), real(3)), (bools(3), real(2, 1), real()),
        empty=((bools(0), real(0), real(0)),)),
    _op("where.numbers", lambda t, c, x: t.where(c, x, 2.0), lambda c, x: np.where(c, x, 2.0), (bools(2, 3), real(3))),
    _op("where.indices", lambda t, c: t.where(c), np.nonzero, bools(2, 3), differentiable=False),
    _op("clamp.tensors", lambda t, x, a, b: t.clamp(x, a, b), np.clip, (real(2, 5), real(5) - 1, positive(5))),
    _op("round.decimals", lambda t, x: t.round(x, decimals=1), lambda x: np.round(x, 1), real(5), kinds="f", twice=False),
    _op("isclose", lambda t, x, y: t.isclose(x, y, equal_nan=True), lambda x, y: np.isclose(x, y, equal_nan=True),
        (np.array([1.0, np.nan, np.inf, 2.0]), np.array([1 + 1e-9, np.nan, np.inf, 2.1])), differentiable=False, result="bool"),
    _op("allclose", lambda t, x, y: t.allclose(x, y), np.allclose, (np.ones(3), np.ones(3) + 1e-9), (np.ones(3), np.zeros(3)),
        differentiable=False),
    _op("equal", lambda t, x, y: t.equal(x, y), np.array_equal, (np.ones(3), np.ones(3)), (np.ones(3), np.ones(2)),
        differentiable=False),
    _op("addcmul", lambda t, x, y, z: t.addcmul(x, y, z, value=2), lambda x, y, z: x + 2 * y * z, (real(2, 3), real(3), real(2, 1))),
    _op("addcdiv", lambda t, x, y, z: t.addcdiv(x, y, z, value=2), lambda x, y, z: x + 2 * y / z, (real(3), real(3), positive(2, 1))),
    _op("lerp.tensor", lambda t, x, y, w: t.lerp(x, y, w), lambda x, y, w: x + w * (y - x), (real(2, 3), real(2, 3), unit(3))),
    _op("abs.kink", lambda t, x: x.abs().relu(), lambda x: np.abs(x), real(6)),
)  # fmt: skip


def _keep(x: Any) -> Any:
    return np.asarray(x)


def _reduction(name: str, ref: Any, domain: Any = real, **options: Any) -> tuple[Op, ...]:
    def along(dim: Any, keepdim: bool) -> Op:
        return _op(f"{name}.{dim}{'.keep' * keepdim}", lambda t, x: getattr(t, name)(x, dim=dim, keepdim=keepdim),
                   lambda x: ref(x, axis=dim, keepdims=keepdim), domain(2, 3, 2), **options)  # fmt: skip

    whole = _op(
        name, lambda t, x: getattr(t, name)(x), lambda x: _keep(ref(x)), domain(2, 3), domain(), domain(1), **options
    )
    return whole, along(1, False), along(-1, True), along(0, False)


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def _arg(f: Any) -> Any:
    return lambda x, axis=None, keepdims=False: f(x, axis=axis, keepdims=keepdims)


SUM = {"result": "sum"}
REDUCTIONS = (
    *_reduction("sum", np.sum, **SUM), *_reduction("mean", np.mean, kinds="f"), *_reduction("prod", np.prod, unit, **SUM),
    *_reduction("amax", np.max), *_reduction("amin", np.min),
    *_reduction("any", np.any, **TRUTH), *_reduction("all", np.all, **TRUTH),
    *_reduction("argmax", _arg(np.argmax), result="index", differentiable=False, kinds="if"),
    *_reduction("argmin", _arg(np.argmin), result="index", differentiable=False, kinds="if"),
    _op("sum.several", lambda t, x: t.sum(x, (0, 2)), lambda x: np.sum(x, (0, 2)), real(2, 3, 2), empty=((real(0, 3, 2),),), **SUM),
    _op("sum.dtype", lambda t, x: t.sum(x, dtype=t.float64), lambda x: np.sum(x, dtype=np.float64), ints(4), differentiable=False),
    _op("mean.several", lambda t, x: t.mean(x, (0, -1), True), lambda x: np.mean(x, (0, 2), keepdims=True), real(2, 3, 2), kinds="f"),
    _op("mean.empty", lambda t, x: t.mean(x), lambda x: np.array(np.nan), empty=((real(0),), (real(0, 3),)), kinds="f"),
    _op("prod.zeros", lambda t, x: t.prod(x, 1), lambda x: np.prod(x, 1), np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0], [1.0, 2.0, 5.0]]),
        empty=((real(0, 3),), (real(3, 0),)), **SUM),
    _op("max", lambda t, x: t.max(x), np.max, real(2, 3), real()), _op("min", lambda t, x: t.min(x), np.min, real(2, 3), real()),
    _op("max.dim", lambda t, x: t.max(x, 1), lambda x: (np.max(x, 1), np.argmax(x, 1)), real(2, 3)),
    _op("min.dim", lambda t, x: t.min(x, 0, keepdim=True), lambda x: (np.min(x, 0, keepdims=True), np.argmin(x, 0, keepdims=True)),
        real(3, 2)),
    _op("max.other", lambda t, x, y: t.max(x, y), np.maximum, (real(2, 3), real(3))),
    _op("amax.several", lambda t, x: t.amax(x, (0, 1)), lambda x: np.max(x, (0, 1)), real(2, 3, 2)),
    _op("var", lambda t, x: t.var(x), lambda x: np.var(x, ddof=1), real(2, 3), kinds="f"),
    _op("var.dim", lambda t, x: t.var(x, 1, keepdim=True), lambda x: np.var(x, 1, ddof=1, keepdims=True), real(2, 3), kinds="f"),
    _op("var.biased", lambda t, x: t.var(x, dim=0, correction=0), lambda x: np.var(x, 0), real(3, 2), kinds="f"),
    _op("std", lambda t, x: t.std(x, 0), lambda x: np.std(x, 0, ddof=1), real(4, 2), kinds="f"),
    _op("std.unbiased", lambda t, x: t.std(x, unbiased=False), np.std, real(4), kinds="f"),
    _op("cumsum", lambda t, x: t.cumsum(x, 1), lambda x: np.cumsum(x, 1), real(2, 3), empty=((real(2, 0),),), **SUM),
    _op("cumsum.0", lambda t, x: t.cumsum(x, 0), lambda x: np.cumsum(x, 0), real(3, 2), real(3), **SUM),
    _op("logsumexp", lambda t, x: t.logsumexp(x, 1), lambda x: _logsumexp(x, 1), real(2, 3), **FLOAT),
    _op("logsumexp.several", lambda t, x: t.logsumexp(x, (0, 1), True), lambda x: _logsumexp(x, (0, 1), True), real(2, 3), **FLOAT),
    _op("logsumexp.large", lambda t, x: t.logsumexp(x + 1000.0, -1), lambda x: _logsumexp(x, -1) + 1000.0, real(2, 3), **FLOAT),
    _op("norm", lambda t, x: t.norm(x), lambda x: np.sqrt(np.sum(x * x)), real(2, 3), kinds="f"),
    _op("norm.dim", lambda t, x: t.norm(x, dim=1, keepdim=True), lambda x: np.sqrt(np.sum(x * x, 1, keepdims=True)), real(2, 3), kinds="f"),
    *(
        _op(f"norm.{p}", lambda t, x, p=p: t.norm(x, p, 1), lambda x, p=p: np.linalg.norm(x, p, 1), real(2, 3), kinds="f", twice=p != 0)
        for p in (1, 3, math.inf, -math.inf, 0)
    ),
)  # fmt: skip


def _unfold(x: Any) -> Any:
    return np.stack([x[:, 0:2], x[:, 2:4]], 1)


SHAPE = (
    _op("reshape", lambda t, x: t.reshape(x, (3, -1)), lambda x: x.reshape(3, -1), real(2, 3), empty=((real(3, 0, 2),),)),
    _op("reshape.transposed", lambda t, x: x.t().reshape(-1), lambda x: x.T.reshape(-1), real(2, 3)),
    _op("view", lambda t, x: x.view(2, 2, -1), lambda x: x.reshape(2, 2, -1), real(4, 3)),
    _op("view_as", lambda t, x, y: x.view_as(y), lambda x, y: x.reshape(y.shape), (real(6), real(2, 3))),
    _op("reshape_as", lambda t, x, y: x.reshape_as(y), lambda x, y: x.reshape(y.shape), (real(6), real(2, 3))),
    _op("flatten", lambda t, x: t.flatten(x, 1), lambda x: x.reshape(2, -1), real(2, 3, 2), empty=((real(2, 0, 2),),)),
    _op("flatten.0d", lambda t, x: t.flatten(x), lambda x: x.reshape(-1), real(), real(2, 2)),
    _op("unflatten", lambda t, x: t.unflatten(x, 1, (2, -1)), lambda x: x.reshape(2, 2, 3), real(2, 6)),
    _op("ravel", lambda t, x: t.ravel(x), np.ravel, real(2, 3), real()),
    _op("squeeze", lambda t, x: t.squeeze(x), np.squeeze, real(1, 3, 1), real(2)),
    _op("squeeze.dim", lambda t, x: t.squeeze(x, 0), lambda x: x.reshape(3, 1), real(1, 3, 1)),
    _op("squeeze.not", lambda t, x: t.squeeze(x, 1), _keep, real(1, 3, 1)),
    _op("unsqueeze", lambda t, x: t.unsqueeze(x, -1), lambda x: x[..., None], real(2, 3), real()),
    _op("permute", lambda t, x: t.permute(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1), real(2, 3, 2), empty=((real(0, 3, 2),),)),
    *(_op(name, lambda t, x, name=name: getattr(t, name)(x, 0, -1), lambda x: np.swapaxes(x, 0, -1), real(2, 3, 2))
      for name in ("transpose", "swapaxes", "swapdims")),
    _op("t", lambda t, x: t.t(x), np.transpose, real(2, 3), real(2), real()),
    _op("T", lambda t, x: x.T, np.transpose, real(2, 3)),
    _op("mT", lambda t, x: x.mT, lambda x: np.swapaxes(x, -1, -2), real(2, 3, 2)),
    *(_op(name, lambda t, x, name=name: getattr(t, name)(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), real(2, 3, 2))
      for name in ("movedim", "moveaxis")),
    _op("movedim.several", lambda t, x: t.movedim(x, (0, 2), (1, 0)), lambda x: np.moveaxis(x, (0, 2), (1, 0)), real(2, 3, 2)),
    _op("expand", lambda t, x: x.expand(2, -1, 3), lambda x: np.broadcast_to(x, (2, 2, 3)), real(2, 1), empty=((real(2, 1)[:, :0],),)[:0]),
    _op("expand_as", lambda t, x, y: x.expand_as(y), lambda x, y: np.broadcast_to(x, y.shape), (real(3), real(2, 3))),
    _op("broadcast_to", lambda t, x: t.broadcast_to(x, (2, 3)), lambda x: np.broadcast_to(x, (2, 3)), real(3), real(2, 1), real()),
    _op("broadcast_tensors", lambda t, x, y: t.broadcast_tensors(x, y), lambda x, y: tuple(np.broadcast_arrays(x, y)),
        (real(2, 1), real(3))),
    _op("diagonal", lambda t, x: t.diagonal(x), np.diagonal, real(3, 3), real(2, 3)),
    _op("diagonal.offset", lambda t, x: t.diagonal(x, 1, 0, 2), lambda x: np.diagonal(x, 1, 0, 2), real(2, 2, 3)),
    _op("diag", lambda t, x: t.diag(x), np.diag, real(3), real(2, 3)),
    _op("diag.offset", lambda t, x: t.diag(x, -1), lambda x: np.diag(x, -1), real(2), real(3, 3)),
    _op("unfold", lambda t, x: x.unfold(1, 2, 2).movedim(-1, 2), lambda x: _unfold(x), real(2, 5)),
    _op("unfold.overlap", lambda t, x: x.unfold(0, 2, 1), lambda x: np.stack([x[:2], x[1:]], 0), real(3)),
    _op("narrow", lambda t, x: t.narrow(x, 1, 1, 2), lambda x: x[:, 1:3], real(2, 4)),
    _op("narrow.empty", lambda t, x: t.narrow(x, 1, 4, 0), lambda x: x[:, 4:], real(2, 4)),
    _op("select", lambda t, x: t.select(x, 1, -1), lambda x: x[:, -1], real(2, 4)),
    _op("select.vector", lambda t, x: x[1], lambda x: x[1], real(3), real(3, 2)),
    _op("contiguous", lambda t, x: x.t().contiguous(), lambda x: x.T.copy(), real(2, 3)),
    _op("flip", lambda t, x: t.flip(x, (0, 1)), lambda x: np.flip(x, (0, 1)), real(2, 3), empty=((real(0, 3),),)),
    _op("roll", lambda t, x: t.roll(x, 2), lambda x: np.roll(x, 2), real(2, 3)),
    _op("roll.dims", lambda t, x: t.roll(x, (1, -1), (0, 1)), lambda x: np.roll(x, (1, -1), (0, 1)), real(2, 3)),
    _op("tril", lambda t, x: t.tril(x), np.tril, real(3, 3), real(2, 2, 3)), _op("triu", lambda t, x: t.triu(x, 1), lambda x: np.triu(x, 1), real(3, 3)),
    *(_op(name, lambda t, x, y, name=name: getattr(t, name)([x, y], 1), lambda x, y: np.concatenate([x, y], 1), (real(2, 3), real(2, 1)),
          empty=((real(2, 0), real(2, 1)), (real(0, 1), real(0, 2))))
      for name in ("cat", "concat", "concatenate")),
    _op("stack", lambda t, x, y: t.stack((x, y), -1), lambda x, y: np.stack((x, y), -1), (real(2, 3), real(2, 3)), (real(), real())),
    _op("hstack", lambda t, x, y: t.hstack((x, y)), lambda x, y: np.hstack((x, y)), (real(2, 3), real(2, 1)), (real(2), real(3)), (real(), real())),
    _op("vstack", lambda t, x, y: t.vstack((x, y)), lambda x, y: np.vstack((x, y)), (real(2, 3), real(3)), (real(2), real(2))),
    _op("split", lambda t, x: t.split(x, 2, 1), lambda x: (x[:, :2], x[:, 2:4], x[:, 4:]), real(2, 5)),
    _op("split.sizes", lambda t, x: t.split(x, [1, 0, 4], 1), lambda x: (x[:, :1], x[:, 1:1], x[:, 1:]), real(2, 5)),
    _op("chunk", lambda t, x: t.chunk(x, 2, 1), lambda x: (x[:, :3], x[:, 3:]), real(2, 5)),
    _op("unbind", lambda t, x: t.unbind(x, 1), lambda x: tuple(x[:, i] for i in range(3)), real(2, 3)),
    _op("repeat", lambda t, x: x.repeat(2, 3), lambda x: np.tile(x, (2, 3)), real(3), real(2, 1)),
    _op("tile", lambda t, x: t.tile(x, (2,)), lambda x: np.tile(x, (2,)), real(3), real(2, 1)),
    _op("repeat_interleave", lambda t, x: t.repeat_interleave(x, 2), lambda x: np.repeat(x, 2), real(3), real(2, 2)),
    _op("repeat_interleave.dim", lambda t, x: t.repeat_interleave(x, 3, dim=1), lambda x: np.repeat(x, 3, 1), real(2, 2)),
    _op("meshgrid", lambda t, x, y: t.meshgrid(x, y, indexing="ij"), lambda x, y: tuple(np.meshgrid(x, y, indexing="ij")), (real(2), real(3))),
    _op("meshgrid.xy", lambda t, x, y: t.meshgrid(x, y, indexing="xy"), lambda x, y: tuple(np.meshgrid(x, y)), (real(2), real(3))),
)  # fmt: skip


def _gather(x: Any, i: Any) -> Any:
    return np.take_along_axis(x, i, 1)


def _scatter(x: Any, i: Any, v: Any, add: bool = False) -> Any:
    out = x.copy()
    for row in range(i.shape[0]):
        for k in range(i.shape[1]):
            out[row, i[row, k]] = out[row, i[row, k]] + v[row, k] if add else v[row, k]
    return out


def _put(x: Any, i: Any, v: Any) -> Any:
    out = x.copy()
    np.add.at(out, i, v)
    return out


def _assign(x: Any, index: Any, v: Any) -> Any:
    out = x.copy()
    out[index] = v
    return out


PERM = np.array([[0, 2, 1], [2, 0, 1]])
_INDEX: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("int", lambda k: 1, (3, 2)), ("negative", lambda k: (-1, -2), (3, 2)), ("slice", lambda k: slice(1, None, 2), (5, 2)),
    ("columns", lambda k: (slice(None), slice(0, -1)), (2, 3)), ("none", lambda k: (None, 1), (3, 2)),
    ("ellipsis", lambda k: (Ellipsis, 0), (2, 3, 2)), ("empty slice", lambda k: slice(2, 1), (3, 2)), ("full int", lambda k: (1, 0), (3, 2)),
    ("vector", lambda k: k([2, 0, 2]), (3, 2)), ("matrix", lambda k: k([[0, 1], [1, 2]]), (3, 2)), ("list", lambda k: [0, 2], (3, 2)),
    ("pair", lambda k: (k([0, 2]), k([1, 0])), (3, 2)), ("broadcast pair", lambda k: (k([[0], [2]]), k([1, 0])), (3, 2)),
    ("slice and vector", lambda k: (slice(None), k([1, 1, 0])), (3, 2)), ("vector and slice", lambda k: (k([1, 2]), slice(0, 1)), (3, 2)),
    ("vector, slice, vector", lambda k: (k([0, 1]), slice(None), k([1, 0])), (2, 3, 2)), ("int and vector", lambda k: (1, k([0, 1])), (3, 2)),
    ("ellipsis and vector", lambda k: (Ellipsis, k([1, 0])), (2, 3, 2)), ("negative vector", lambda k: k([-1, -3]), (3, 2)),
    ("mask", lambda k: k([True, False, True]), (3, 2)), ("full mask", lambda k: k([[True, False], [False, True], [True, True]]), (3, 2)),
    ("mask of columns", lambda k: (slice(None), k([True, False])), (3, 2)), ("empty mask", lambda k: k([False, False, False]), (3, 2)),
    ("none and vector", lambda k: (None, k([0, 2])), (3, 2)), ("vector of 0-d", lambda k: k(1), (3, 2)),
)  # fmt: skip


_REPEATED = ("vector", "matrix", "slice and vector")  # Which of two values written to one place stays is not defined.


def _maker(t: Any) -> Any:
    return lambda values: t.tensor(values)


def _setitem(t: Any, x: Any, v: Any, index: Any) -> Any:
    out = x.clone()
    out[index(_maker(t))] = v
    return out


def _value_shape(index: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return np.zeros(shape)[index(np.array)].shape


INDEXING = (
    *(_op(f"getitem {name}", lambda t, x, index=index: x[index(_maker(t))], lambda x, index=index: x[index(np.array)], real(*shape))
      for name, index, shape in _INDEX),
    *(_op(f"setitem {name}", lambda t, x, v, index=index: _setitem(t, x, v, index), lambda x, v, index=index: _assign(x, index(np.array), v),
          (real(*shape), real(*_value_shape(index, shape))), (real(*shape), real()))
      for name, index, shape in _INDEX if name not in _REPEATED),
    _op("setitem number", lambda t, x: _setitem(t, x, 2.5, lambda k: (slice(None), 1)), lambda x: _assign(x, (slice(None), 1), 2.5), real(2, 3)),
    _op("copy_", lambda t, x, y: x.clone().copy_(y), lambda x, y: np.broadcast_to(y, x.shape).copy(), (real(2, 3), real(3))),
    _op("fill_", lambda t, x: x.clone().fill_(2.0), lambda x: np.full_like(x, 2), real(2, 3), twice=False),
    _op("zero_", lambda t, x: x.clone().zero_(), np.zeros_like, real(2, 3), twice=False),
    _op("gather", lambda t, x, i: t.gather(x, 1, i), _gather, (real(2, 3), ints(2, 4)), empty=((real(2, 3), ints(2, 0)),)),
    _op("gather.rows", lambda t, x, i: t.gather(x, 0, i), lambda x, i: np.take_along_axis(x, i, 0), (real(3, 2), ints(4, 2))),
    _op("gather.fewer", lambda t, x, i: t.gather(x, 1, i), lambda x, i: _gather(x[:1], i), (real(2, 3), ints(1, 2))),
    _op("take_along_dim", lambda t, x, i: t.take_along_dim(x, i, 1), _gather, (real(2, 3), ints(2, 2))),
    _op("take_along_dim.flat", lambda t, x, i: t.take_along_dim(x, i), lambda x, i: x.reshape(-1)[i.reshape(-1)], (real(2, 3), ints(4))),
    _op("scatter", lambda t, x, i, v: t.scatter(x, 1, i, v), _scatter, (real(2, 3), PERM, real(2, 3)), (real(2, 3), PERM[:1, :2], real(2, 2))),
    _op("scatter.value", lambda t, x, i: t.scatter(x, 1, i, 2.0), lambda x, i: _scatter(x, i, np.full(i.shape, 2.0)), (real(2, 3), PERM[:, :2])),
    _op("scatter_add", lambda t, x, i, v: t.scatter_add(x, 1, i, v), lambda x, i, v: _scatter(x, i, v, True),
        (real(2, 3), ints(2, 4), real(2, 4)), (real(2, 3), ints(1, 2), real(2, 4))),
    _op("index_select", lambda t, x, i: t.index_select(x, 1, i), lambda x, i: np.take(x, i, 1), (real(2, 3), ints(4))),
    _op("index_add", lambda t, x, i, v: t.index_add(x, 0, i, v, alpha=2), lambda x, i, v: _put(x, i, 2 * v), (real(3, 2), ints(4), real(4, 2))),
    _op("index_put", lambda t, x, v: t.index_put(x, (t.tensor([0, 2]),), v), lambda x, v: _assign(x, [0, 2], v), (real(3, 2), real(2, 2))),
    _op("index_put.add", lambda t, x, v: t.index_put(x, (t.tensor([0, 0, 2]),), v, accumulate=True), lambda x, v: _put(x, [0, 0, 2], v),
        (real(3, 2), real(3, 2))),
    _op("masked_fill", lambda t, x, m: t.masked_fill(x, m, 2.0), lambda x, m: np.where(m, 2.0, x), (real(2, 3), bools(2, 3)), (real(2, 3), bools(3))),
    _op("masked_fill.tensor", lambda t, x, m, v: t.masked_fill(x, m, v), lambda x, m, v: np.where(m, v, x), (real(2, 3), bools(2, 3), real())),
    _op("masked_select", lambda t, x, m: t.masked_select(x, m), lambda x, m: x[np.broadcast_to(m, x.shape)], (real(2, 3), bools(2, 3)), (real(2, 3), bools(3))),
    _op("nonzero", lambda t, x: t.nonzero(x), lambda x: np.argwhere(x), ints(3, 4), bools(3), differentiable=False, result="index"),
    _op("nonzero.tuple", lambda t, x: t.nonzero(x, as_tuple=True), np.nonzero, ints(3, 4), differentiable=False),
    _op("argsort", lambda t, x: t.argsort(x), lambda x: np.argsort(x, -1, kind="stable"), real(2, 5), differentiable=False, result="index"),
    _op("argsort.down", lambda t, x: t.argsort(x, 0, descending=True), lambda x: np.argsort(-x, 0, kind="stable"), real(5, 2),
        differentiable=False, result="index"),
    _op("sort", lambda t, x: t.sort(x, 1), lambda x: (np.sort(x, 1), np.argsort(x, 1)), real(2, 5), empty=((real(2, 0),),)),
    _op("sort.down", lambda t, x: t.sort(x, 0, True), lambda x: (-np.sort(-x, 0), np.argsort(-x, 0)), real(4, 2)),
    _op("topk", lambda t, x: t.topk(x, 2), lambda x: (-np.sort(-x, 1)[:, :2], np.argsort(-x, 1)[:, :2]), real(2, 5)),
    _op("topk.least", lambda t, x: t.topk(x, 2, 0, largest=False), lambda x: (np.sort(x, 0)[:2], np.argsort(x, 0)[:2]), real(4, 2)),
)  # fmt: skip

PRODUCTS = (
    _op("matmul", lambda t, x, y: t.matmul(x, y), np.matmul, (real(2, 3), real(3, 2)), (real(3), real(3)), (real(2, 3), real(3)),
        (real(3), real(3, 2)), (real(2, 1, 2, 3), real(3, 3, 2)), (real(2, 2, 3), real(3)), (real(3), real(2, 3, 2)),
        empty=((real(0, 3), real(3, 2)), (real(2, 0), real(0, 2)), (real(0), real(0))), kinds="if"),
    _op("matmul.operator", lambda t, x, y: x @ y, np.matmul, (real(2, 3), real(3, 2)), kinds="if"),
    _op("mm", lambda t, x, y: t.mm(x, y), np.matmul, (real(2, 3), real(3, 2)), kinds="if"),
    _op("bmm", lambda t, x, y: t.bmm(x, y), np.matmul, (real(2, 2, 3), real(2, 3, 1)), kinds="if"),
    _op("mv", lambda t, x, y: t.mv(x, y), np.matmul, (real(2, 3), real(3)), kinds="if"),
    _op("dot", lambda t, x, y: t.dot(x, y), np.dot, (real(3), real(3)), kinds="if"),
    _op("outer", lambda t, x, y: t.outer(x, y), np.outer, (real(2), real(3))),
    _op("addmm", lambda t, c, x, y: t.addmm(c, x, y, beta=2, alpha=3), lambda c, x, y: 2 * c + 3 * x @ y,
        (real(2, 2), real(2, 3), real(3, 2)), (real(2), real(2, 3), real(3, 2)), kinds="if"),
    _op("baddbmm", lambda t, c, x, y: t.baddbmm(c, x, y), lambda c, x, y: c + x @ y, (real(2, 1, 2), real(2, 2, 3), real(2, 3, 2)), kinds="if"),
    *(_op(f"einsum {text}", lambda t, *xs, text=text: t.einsum(text, *xs), lambda *xs, text=text: np.einsum(text, *xs), arrays)
      for text, arrays in (
          ("ij->ji", (real(2, 3),)), ("ij->", (real(2, 3),)), ("ii->i", (real(3, 3),)), ("ii", (real(3, 3),)), ("ij,jk->ik", (real(2, 3), real(3, 2))),
          ("ij,jk", (real(2, 3), real(3, 2))), ("bij,bjk->bik", (real(2, 2, 3), real(2, 3, 2))), ("i,j->ij", (real(2), real(3))),
          ("ij,ij->i", (real(2, 3), real(2, 3))), ("...ij,...jk->...ik", (real(2, 1, 2, 3), real(3, 3, 2))), ("i,ij,j->", (real(2), real(2, 3), real(3))),
          ("bhqd,bhkd->bhqk", (real(1, 2, 2, 3), real(1, 2, 2, 3))),
      )),
)  # fmt: skip

CREATION = (
    _op("zeros", lambda t: t.zeros(2, 3), lambda: np.zeros((2, 3)), (), (), differentiable=False),
    _op("zeros.shape", lambda t: t.zeros((0, 2), dtype=t.int64), lambda: np.zeros((0, 2), np.int64), (), differentiable=False),
    _op("ones", lambda t: t.ones((2,), dtype=t.bool), lambda: np.ones(2, bool), (), differentiable=False),
    _op("empty", lambda t: t.empty(2, 0), lambda: np.empty((2, 0)), (), differentiable=False),
    _op("full", lambda t: (t.full((2,), 7), t.full((), 2.5), t.full((1,), True)), lambda: (np.full(2, 7), np.array(2.5), np.array([True])), (),
        differentiable=False),
    _op("eye", lambda t: (t.eye(3), t.eye(2, 3, dtype=t.int32)), lambda: (np.eye(3), np.eye(2, 3)), (), differentiable=False),
    _op("arange", lambda t: (t.arange(5), t.arange(1, 4), t.arange(5, 0, -2), t.arange(0, 1, 0.25), t.arange(2, dtype=t.float32)),
        lambda: (np.arange(5), np.arange(1, 4), np.arange(5, 0, -2), np.arange(0, 1, 0.25), np.arange(2)), (), differentiable=False),
    _op("linspace", lambda t: (t.linspace(-1, 2, 7), t.linspace(1, 2, 1), t.linspace(1, 2, 0)),
        lambda: (np.linspace(-1, 2, 7), np.ones(1), np.ones(0)), (), differentiable=False),
    *(_op(f"{name}_like", lambda t, x, name=name: getattr(t, f"{name}_like")(x), getattr(np, f"{name}_like"), real(2, 3), ints(2), bools(2),
          differentiable=False) for name in ("zeros", "ones")),
    _op("empty_like", lambda t, x: t.empty_like(x).zero_(), np.zeros_like, real(2, 3), differentiable=False),
    _op("full_like", lambda t, x: t.full_like(x, 2), lambda x: np.full_like(x, 2), real(2, 3), ints(2), differentiable=False),
    _op("new_zeros", lambda t, x: x.new_zeros(2, 2), lambda x: np.zeros((2, 2)), real(2), differentiable=False),
    _op("new_ones", lambda t, x: x.new_ones((2,)), lambda x: np.ones(2), ints(2), differentiable=False),
    _op("new_empty", lambda t, x: x.new_empty(3).zero_(), lambda x: np.zeros(3), real(2), differentiable=False),
    _op("new_full", lambda t, x: x.new_full((2,), 3), lambda x: np.full(2, 3), real(2), differentiable=False),
    _op("new_tensor", lambda t, x: x.new_tensor([1, 2]), lambda x: np.array([1.0, 2.0]), real(2), differentiable=False),
    _op("to", lambda t, x: x.to(t.float64).to(t.float64, copy=True), _keep, real(2, 3)),
    _op("type_as", lambda t, x, y: x.type_as(y), lambda x, y: x.astype(y.dtype), (ints(2), real(2)), differentiable=False),
    _op("cpu", lambda t, x: x.cpu(), _keep, real(2)),
)  # fmt: skip

OPS: tuple[Op, ...] = (*ELEMENTWISE, *OTHER_ELEMENTWISE, *REDUCTIONS, *SHAPE, *INDEXING, *PRODUCTS, *CREATION)

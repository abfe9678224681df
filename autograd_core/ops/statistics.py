"""Variance, standard deviation and covariance; medians, quantiles and the most frequent value."""

from __future__ import annotations

import builtins
import math
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import refuse_bool, require_float
from autograd_core.ops.cumulative import cummax
from autograd_core.ops.gathering import gather
from autograd_core.ops.reductions import (
    ValuesAndIndices,
    _need_elements,
    argmax,
    axes_of,
    even_rule,
    mean,
    mean_,
    picked_and_indices,
    sum_,
)
from autograd_core.ops.sorting import argsort, sort
from autograd_core.primitive import primitive
from autograd_core.tensor import Tensor, wrap


class _Reduced:
    """A context whose parameters are the axes and keepdims alone."""

    def __init__(self, ctx: Any) -> None:
        self.saved, self.inputs, self.shape, self.params = ctx.saved, ctx.inputs, ctx.shape, ctx.params[:2]


def _order_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return even_rule(F, g, _Reduced(ctx))


_median_value: Any = primitive("median_value", _order_rule, inputs=1, saves=(0,), saves_output=True)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The `k`-th least element along `dim` (counted from 1), and where it stands.

    >>> import autograd_core as ag
    >>> ag.kthvalue(ag.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    refuse_bool("kthvalue", input)
    axis = input._dim(dim)
    n = input._data.shape[axis] if input._data.ndim else 1
    if not n:
        _need_elements("kthvalue", input, (axis,))
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue(): selected number k={k} out of range for dimension {dim} of size {n}")
    if not input._data.ndim:
        return ValuesAndIndices(input.clone(), input.new_zeros((), dtype=dtypes.int64))
    indices = wrap(input._backend.nth_sorted(input._data, axis, k - 1), input._backend)
    return picked_and_indices(input, axis, indices, keepdim)


def _median(name: str, input: Tensor, dim: int | None, keepdim: bool, skip_nan: bool) -> Any:
    refuse_bool(name, input)
    if dim is None:
        if not input.numel():
            return input.new_full((), math.nan)
        return _median_value(input, None, False, skip_nan)
    axis = input._dim(dim)
    if not input._data.ndim:
        return ValuesAndIndices(input.clone(), input.new_zeros((), dtype=dtypes.int64))
    _need_elements(name, input, (axis,))
    indices = wrap(input._backend.median_place(input._data, axis, skip_nan), input._backend)
    return picked_and_indices(input, axis, indices, keepdim)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of all elements, or along `dim` with its indices: the lower of two in the middle; NaN if there is one.

    >>> import autograd_core as ag
    >>> ag.median(ag.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    return _median("median", input, dim, keepdim, False)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """`median` of the elements that are not NaN.

    >>> import autograd_core as ag
    >>> ag.nanmedian(ag.tensor([4.0, float("nan"), 1.0, 3.0]))
    tensor(3.)
    """
    return _median("nanmedian", input, dim, keepdim, True)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The most frequent value along `dim`, of several the least, and where it last stands.

    >>> import autograd_core as ag
    >>> ag.mode(ag.tensor([2, 1, 2, 3, 3]))
    ValuesAndIndices(values=tensor(2), indices=tensor(2))
    """
    axis = input._dim(dim)
    if not input._data.ndim:
        return ValuesAndIndices(input.clone(), input.new_zeros((), dtype=dtypes.int64))
    n = input._data.shape[axis]
    if not n:
        raise IndexError(f"mode(): Expected reduction dim {dim} to have non-zero size, got {tuple(input.shape)}")
    order = argsort(input.detach(), axis, stable=True)
    values = gather(input.detach(), axis, order)
    place = input.new_tensor(list(range(n)), dtype=dtypes.int64).reshape(
        *[-1 if d == axis else 1 for d in range(input.ndim)]
    )
    first = e.ne(values, values.roll(1, axis)).logical_or(e.eq(place, 0))
    # The place within the run of equal values; the first to be greatest is the end of the first longest run.
    run = place - cummax(e.where(first, place, 0), axis).values
    last = argmax(run, axis, keepdim=True)
    indices = gather(order, axis, last)
    return picked_and_indices(input, axis, indices, keepdim)


def _quantile(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool
) -> Tensor:
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, got {interpolation!r}"
        )
    if input._data.dtype.kind != "f":
        raise RuntimeError(f"{name}() input tensor must be of floating-point numbers, got {input.dtype}; use .float()")
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty, got shape {tuple(input.shape)}")
    if isinstance(q, Tensor):
        if q.dtype is not input.dtype:
            raise RuntimeError(
                f"{name}() q tensor must be same dtype as the input tensor, got {q.dtype} and {input.dtype}"
            )
        if q._data.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor, got shape {tuple(q.shape)}")
        if q.numel() and not bool(e.logical_and(q >= 0, q <= 1).all()):
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    elif not 0 <= q <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
    ranks = q if isinstance(q, Tensor) else input.new_full((), q)
    axis = 0 if dim is None else input._dim(dim)
    x = input.reshape(-1) if dim is None or not input._data.ndim else input.movedim(axis, -1)
    n = x._data.shape[-1]
    ordered = sort(x).values
    # The places of the quantiles: one more dimension, last, over q.
    numbers = e.logical_not(e.isnan(x)).sum(-1, True)
    last = numbers - 1 if skip_nan else e.where(numbers < n, e.fill(numbers, n - 1), numbers - 1)
    place = ranks.reshape(-1) * e.clamp(last, min=0).to(x.dtype)
    if interpolation == "nearest":
        place = e.round(place)
    low, high = e.floor(place), e.ceil(place)
    below, above = (gather(ordered, -1, p.to(dtypes.int64)) for p in (low, high))
    if interpolation == "midpoint":
        out = (below + above) / 2
    elif interpolation == "linear":
        out = below + (above - below) * (place - low)
    else:
        out = above if interpolation == "higher" else below
    if not skip_nan:
        out = e.where(numbers < n, x.new_full((), math.nan), out)
    out = out.movedim(-1, 0)
    if keepdim:
        whole = dim is None or not input._data.ndim
        out = out.reshape((-1, *[1] * input._data.ndim)) if whole else out.unsqueeze(axis + 1)
    return out if isinstance(q, Tensor) and q._data.ndim else out.squeeze(0)


def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The `q`-quantiles (a number or vector in [0, 1]) along `dim` or of all elements; NaN where there is one.

    A quantile between two elements is interpolated: 'linear', 'lower', 'higher', 'midpoint' or 'nearest'.

    >>> import autograd_core as ag
    >>> ag.quantile(ag.tensor([1.0, 2.0, 4.0]), 0.75)
    tensor(3.)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """`quantile` of the elements that are not NaN.

    >>> import autograd_core as ag
    >>> ag.nanquantile(ag.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


# -- moments ----------------------------------------------------------------------------------------------


def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """The variance over `dim`: sum((x - mean)^2) / (n - correction), correction 1 by default (`unbiased=False`: 0).

    >>> import autograd_core as ag
    >>> ag.tensor([1.0, 3.0]).var()
    tensor(2.)
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    require_float("var", input)
    if input._data.dtype.itemsize == 2:
        return var(input.float(), dim, unbiased, keepdim, correction=correction).to(input.dtype)
    if correction is None:
        correction = 0 if unbiased is False else 1
    axes = axes_of(input, dim)
    count = math.prod(n for i, n in enumerate(input._data.shape) if axes is None or i in axes)
    total = sum_(e.square(e.sub(input, mean_(input, axes, True))), axes, keepdim)
    divisor = count - correction
    return e.div(total, float(divisor) if divisor > 0 else 0.0)


def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """The standard deviation over `dim`: the square root of `var`.

    >>> import autograd_core as ag
    >>> ag.tensor([1.0, 3.0]).std(correction=0)
    tensor(1.)
    """
    if input._data.dtype.itemsize == 2 and input._data.dtype.kind == "f":  # Its square may be beyond float16.
        return std(input.float(), dim, unbiased, keepdim, correction=correction).to(input.dtype)
    return e.sqrt(var(input, dim, unbiased, keepdim, correction=correction))


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over `dim`.

    >>> import autograd_core as ag
    >>> ag.var_mean(ag.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over `dim`.

    >>> import autograd_core as ag
    >>> ag.std_mean(ag.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance matrix of variables in rows, observations in columns.

    `fweights` (integers) say how often each observation counts, `aweights` how much; the divisor is their total less
    `correction`. Raises `RuntimeError` for more than two dimensions, bools, negative weights or weights of a wrong
    shape.

    >>> import autograd_core as ag
    >>> ag.cov(ag.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input._data.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input._data.ndim} dimensions"
        )
    if input._data.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input; convert with .float()")
    x = input.reshape(1, -1) if input._data.ndim < 2 else input
    x = x if x._data.dtype.kind == "f" else x.to(dtypes.get_default_dtype())
    n = x._data.shape[1]
    weights: Tensor | None = None
    for name, given, floating in (("fweights", fweights, False), ("aweights", aweights, True)):
        if given is None:
            continue
        if tuple(given.shape) != (n,):
            raise RuntimeError(
                f"cov(): expected {name} to have one weight for each of {n} observations, got {tuple(given.shape)}"
            )
        if (given._data.dtype.kind == "f") is not floating or given._data.dtype.kind == "b":
            raise RuntimeError(
                f"cov(): expected {name} to have {'floating point' if floating else 'integral'} dtype, "
                f"got {given.dtype}"
            )
        if bool((given < 0).any()):
            raise RuntimeError(f"cov(): {name} cannot be negative")
        weights = given if weights is None else weights * given
    if weights is None:
        centred = x - x.mean(1, True)
        divisor: Any = builtins.max(n - correction, 0)
        product = centred.matmul(centred.mT)
    else:
        total = weights.sum()
        centred = x - (x * weights).sum(1, True) / total
        if aweights is None or correction == 0:
            divisor = total - correction
        else:
            divisor = total - correction * (weights * aweights).sum() / total
        divisor = e.clamp(divisor, min=0)
        product = (centred * weights).matmul(centred.mT)
    out = product / divisor
    return out.reshape(()) if input._data.ndim < 2 or out.numel() == 1 else out


def corrcoef(input: Tensor) -> Tensor:
    """The matrix of Pearson's correlation coefficients of variables in rows: `cov` scaled to a diagonal of 1.

    >>> import autograd_core as ag
    >>> ag.corrcoef(ag.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if not c._data.ndim:
        return c / c
    scale = e.sqrt(c.diagonal())
    return e.clamp(c / scale.unsqueeze(1) / scale.unsqueeze(0), -1, 1)


FUNCTIONS = (
    "kthvalue", "median", "nanmedian", "mode", "quantile", "nanquantile", "var", "std", "var_mean", "std_mean", "cov",
    "corrcoef",
)  # fmt: skip
METHODS = tuple(name for name in FUNCTIONS if name not in ("var_mean", "std_mean"))
INPLACE = ()

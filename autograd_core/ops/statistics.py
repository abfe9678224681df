"""Order statistics, moments, counting and covariance."""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.gathering import gather, sort
from autograd_core.ops.reductions import (
    ValuesAndIndices,
    _need_elements,
    amax,
    amin,
    axes_of,
    even_rule,
    mean,
    picked_and_indices,
    std,
    var,
)
from autograd_core.primitive import primitive
from autograd_core.tensor import Tensor, wrap


class MinAndMax(NamedTuple):
    """What `aminmax` returns."""

    min: Tensor
    max: Tensor


class _Reduced:
    """A context whose parameters are the axes and keepdims alone."""

    def __init__(self, ctx: Any) -> None:
        self.saved, self.inputs, self.shape, self.params = ctx.saved, ctx.inputs, ctx.shape, ctx.params[:2]


def _order_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return even_rule(F, g, _Reduced(ctx))


_median_value: Any = primitive("median_value", _order_rule, inputs=1, saves=(0,), saves_output=True)


def _numbers(name: str, input: Tensor) -> None:
    if input._data.dtype.kind == "b":
        raise NotImplementedError(f"{name} is not implemented for bool tensors; convert with .long()")


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The `k`-th least element along `dim` (counted from 1), and where it stands.

    >>> import autograd_core as ag
    >>> ag.kthvalue(ag.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    _numbers("kthvalue", input)
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
    _numbers(name, input)
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


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension.

    >>> import autograd_core as ag
    >>> ag.msort(ag.tensor([3, 1, 2]))
    tensor([1, 2, 3])
    """
    return sort(input, 0).values


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements (or slices along `dim`), in order in any case; on request where each element's equal stands
    among them, and how often each occurs. The shape depends on the data: on CUDA this synchronises.

    >>> import autograd_core as ag
    >>> ag.unique(ag.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    axis = None if dim is None else input._dim(dim)
    backend = input._backend
    values, inverse, counts = (wrap(a, backend) for a in backend.unique(input._data, axis))
    inverse = inverse.reshape(input.shape if axis is None else (-1,))
    found = (values, *((inverse,) if return_inverse else ()), *((counts,) if return_counts else ()))
    return found if len(found) > 1 else values


# -- moments and counts -----------------------------------------------------------------------------------


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The sum with NaN counted as 0.

    >>> import autograd_core as ag
    >>> ag.nansum(ag.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    x = e.where(e.isnan(input), input.new_zeros(()), input) if input._data.dtype.kind == "f" else input
    return x.sum(dim, keepdim, dtype=dtype)


def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The mean of the elements that are not NaN. Raises `RuntimeError` for integers.

    >>> import autograd_core as ag
    >>> ag.nanmean(ag.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    if input._data.dtype.kind != "f":
        raise RuntimeError(
            f"nanmean(): expected input to have floating point dtype but got {input.dtype}; use .float()"
        )
    count = e.logical_not(e.isnan(input)).sum(dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero.

    >>> import autograd_core as ag
    >>> ag.count_nonzero(ag.tensor([0, 3, 4]))
    tensor(2)
    """
    return e.ne(input, 0).sum(dim)


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


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """The least and the greatest element, of all or along `dim`.

    >>> import autograd_core as ag
    >>> ag.aminmax(ag.tensor([2.0, 1.0, 3.0])).max
    tensor(3.)
    """
    axes = axes_of(input, dim)
    if axes is None and not input.numel():
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    over = () if dim is None else dim
    return MinAndMax(amin(input, over, keepdim), amax(input, over, keepdim))


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each integer 0, 1, ... occurs in a vector; or the sum of the `weights` at its places.

    >>> import autograd_core as ag
    >>> ag.bincount(ag.tensor([1, 1, 3]))
    tensor([0, 2, 0, 1])
    """
    if input._data.dtype.kind in "fb":
        raise NotImplementedError(f"bincount is not implemented for {input.dtype}; convert with .long()")
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength should be >= 0, got {minlength}")
    if input._data.ndim != 1 or bool((input < 0).any()):
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs, got shape {tuple(input.shape)}")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(
            f"bincount: weights should be 1-d and have the same length as input, got {tuple(weights.shape)}"
        )
    backend = input._backend
    index = input.to(dtypes.int64)._data
    if weights is None:
        return wrap(backend.bincount(index, None, minlength), backend)
    w = weights.detach()
    out = wrap(backend.bincount(index, w.to(dtypes.float64)._data, minlength), backend)
    return out.to(w.dtype) if w.dtype is dtypes.float32 else out


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal intervals from `min` to `max` (both 0: of the data); others
    are left out.

    >>> import autograd_core as ag
    >>> ag.histc(ag.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    e._need_float("histc", input)
    if bins <= 0:
        raise RuntimeError(f"histc: bins must be > 0, but got {bins}")
    x = input.detach().reshape(-1)
    low, high = float(min), float(max)
    if low == high and x.numel():
        low, high = x.min().item(), x.max().item()
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"histc: max must be larger than min, got {low} and {high}")
    inside = e.logical_and(x >= low, x <= high)
    place = e.clamp(e.floor((e.where(inside, x, x.new_full((), low)) - low) * bins / (high - low)), max=bins - 1)
    counts = bincount(place.to(dtypes.int64), inside.to(dtypes.float64), bins)
    return counts.to(input.dtype)


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
    "kthvalue", "median", "nanmedian", "quantile", "nanquantile", "msort", "unique", "nansum", "nanmean",
    "count_nonzero",
    "var_mean", "std_mean", "aminmax", "bincount", "histc", "cov", "corrcoef",
)  # fmt: skip
METHODS = tuple(name for name in FUNCTIONS if name not in ("var_mean", "std_mean"))
INPLACE = ()

"""Scans along a dimension: running products, extremes and log-sums, differences, and integrals by trapezoids.

A scan of an associative operation runs in log2(n) rounds (Hillis and Steele, "Data parallel algorithms", 1986):
each round combines every element with the one `step` before it. Its gradients, of any order, are those of the rounds.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.gathering import gather
from autograd_core.ops.half import in_float32
from autograd_core.ops.joining import cat
from autograd_core.ops.reductions import ValuesAndIndices, _as_sum_dtype, _narrowed
from autograd_core.ops.special import logaddexp
from autograd_core.tensor import Tensor, wrap


@in_float32
def _scan(x: Tensor, axis: int, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    n, step = x._data.shape[axis], 1
    while step < n:
        head = x.narrow(axis, 0, step)
        x = cat((head, combine(x.narrow(axis, step, n - step), x.narrow(axis, 0, n - step))), axis)
        step *= 2
    return x


def cumprod(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The running product along `dim`; integers and bools multiply as int64.

    Every step is a product, so that gradients of all orders are exact also where elements are zero.

    >>> import autograd_core as ag
    >>> ag.cumprod(ag.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    if dtype is not None and dtype is not dtypes.int64 and not dtypes.as_dtype(dtype).is_floating_point:
        return _narrowed(input, dtype, lambda x: cumprod(x, dim))
    x = _as_sum_dtype(input, dtype)
    axis = x._dim(dim)
    if not x._data.ndim:
        return x.clone()
    if not x.requires_grad:
        return wrap(x._backend.cumprod(x._data, axis), x._backend)
    return _scan(x, axis, e.mul) if x._data.shape[axis] > 1 else x.clone()


def _running(name: str, input: Tensor, dim: int, smallest: bool) -> ValuesAndIndices:
    axis = input._dim(dim)
    if not input._data.ndim:
        return ValuesAndIndices(input.clone(), input.new_zeros((), dtype=dtypes.int64))
    indices = wrap(input._backend.running_argmax(input._data, axis, smallest), input._backend)
    return ValuesAndIndices(gather(input, axis, indices), indices)


def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """The running maximum along `dim` and where it stands (the last place among equals).

    >>> import autograd_core as ag
    >>> ag.cummax(ag.tensor([1.0, 3.0, 2.0]), 0).indices
    tensor([0, 1, 1])
    """
    return _running("cummax", input, dim, False)


def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """The running minimum along `dim` and where it stands (the last place among equals).

    >>> import autograd_core as ag
    >>> ag.cummin(ag.tensor([2.0, 3.0, 1.0]), 0).indices
    tensor([0, 0, 2])
    """
    return _running("cummin", input, dim, True)


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(cumsum(exp(x))) along `dim`, without overflow on the way.

    >>> import autograd_core as ag
    >>> ag.logcumsumexp(ag.tensor([100.0, 100.0]), 0)
    tensor([100.0000, 100.6931])
    """
    e._need_float("logcumsumexp", input)
    axis = input._dim(dim)
    if not input._data.ndim or input._data.shape[axis] < 2:
        return input.clone()
    return _scan(input, axis, logaddexp)


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Differences of neighbours along `dim`, `n` times; `prepend` and `append` are joined to the input first.

    >>> import autograd_core as ag
    >>> ag.diff(ag.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if not input._data.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    axis = input._dim(dim)
    if not n:
        return input.clone()
    parts = [t for t in (prepend, input, append) if t is not None]
    x = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(builtins.min(n, x._data.shape[axis])):
        m = builtins.max(x._data.shape[axis] - 1, 0)
        later, earlier = x.narrow(axis, x._data.shape[axis] - m, m), x.narrow(axis, 0, m)
        x = e.logical_xor(later, earlier) if x._data.dtype.kind == "b" else later - earlier
    return x


def _slabs(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> tuple[Tensor, int]:
    """Twice the areas between neighbouring points along an axis."""
    if x is not None and dx is not None:
        raise TypeError(f"{name}: give either x or dx, not both")
    if y._data.dtype.kind == "b" or (x is not None and x._data.dtype.kind == "b"):
        raise RuntimeError(f"{name}: received a bool input, which is not supported; convert with .float()")
    if not y._data.ndim:
        raise RuntimeError(f"{name}: expected y with at least one dimension")
    axis = y._dim(dim)
    n = y._data.shape[axis]
    width: Any = 1 if dx is None else dx
    if x is not None:
        along = -1 if x._data.ndim == 1 else axis - y._data.ndim
        if x._data.shape[along] not in (1, n) or (n != 1 and x._data.shape[along] == 1):
            raise RuntimeError(
                f"{name}: There must be one x value for each sample point, got {x._data.shape[along]} for {n}"
            )
        width = diff(x, dim=along)
        if x._data.ndim == 1:
            width = width.reshape((-1,) + (1,) * (y._data.ndim - 1 - axis))
    m = builtins.max(n - 1, 0)
    return (y.narrow(axis, n - m, m) + y.narrow(axis, 0, m)) * width, axis


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral along `dim` by trapezoids: sum((x[i+1] - x[i]) (y[i+1] + y[i]) / 2); without `x` points are
    `dx` (1) apart.

    >>> import autograd_core as ag
    >>> ag.trapezoid(ag.tensor([1.0, 5.0, 10.0]))
    tensor(10.5000)
    """
    slabs, axis = _slabs("trapezoid", y, x, dx, dim)
    return slabs.sum(axis) / 2


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The running integral along `dim` by trapezoids, one value an interval.

    >>> import autograd_core as ag
    >>> ag.cumulative_trapezoid(ag.tensor([1.0, 5.0, 10.0]))
    tensor([ 3.0000, 10.5000])
    """
    slabs, axis = _slabs("cumulative_trapezoid", y, x, dx, dim)
    return slabs.cumsum(axis) / 2


PUBLIC = {"trapz": trapezoid}
FUNCTIONS = (*PUBLIC, "cumprod", "cummax", "cummin", "logcumsumexp", "diff", "trapezoid", "cumulative_trapezoid")
METHODS = ("cumprod", "cummax", "cummin", "logcumsumexp", "diff")
INPLACE = ("cumprod",)

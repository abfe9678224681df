"""Along a dimension: running sums, products, extremes and log-sums; differences, gradients, integrals by trapezoids.

A scan of an associative operation runs in log2(n) rounds (Hillis and Steele, "Data parallel algorithms", 1986):
each round combines every element with the one `step` before it. Its gradients, of any order, are those of the rounds.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.arithmetic import logaddexp
from autograd_core.ops.checks import refuse_bool, require_float
from autograd_core.ops.gathering import gather
from autograd_core.ops.half import in_float32
from autograd_core.ops.joining import cat
from autograd_core.ops.reductions import ValuesAndIndices, _as_sum_dtype, _narrowed
from autograd_core.primitive import unary
from autograd_core.tensor import Tensor, wrap

cumsum_ = unary("cumsum", lambda F, g, ctx: (F.flip(F.cumsum(F.flip(g, ctx.params), ctx.params[0]), ctx.params),))


@in_float32
def _scan(x: Tensor, axis: int, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    n, step = x._data.shape[axis], 1
    while step < n:
        head = x.narrow(axis, 0, step)
        x = cat((head, combine(x.narrow(axis, step, n - step), x.narrow(axis, 0, n - step))), axis)
        step *= 2
    return x


def cumsum(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The running sum along `dim`.

    >>> import autograd_core as ag
    >>> ag.cumsum(ag.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    if dtype is not None and dtype is not dtypes.int64 and not dtypes.as_dtype(dtype).is_floating_point:
        return _narrowed(input, dtype, lambda x: cumsum(x, dim))
    x = _as_sum_dtype(input, dtype)
    axis = x._dim(dim)
    return cumsum_(x, axis) if x._data.ndim else x.clone()


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
    require_float("logcumsumexp", input)
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


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The partial derivatives of the function whose values on a grid are `input`, one tensor a dimension of `dim`.

    Second-order central differences inside (Fornberg, "Generation of finite difference formulas on arbitrarily spaced
    grids", 1988), differences of `edge_order` (1 or 2) at the ends. spacing: the distance of the points (of all
    dimensions, or one each), or their coordinates, a vector a dimension.

    >>> import autograd_core as ag
    >>> ag.gradient(ag.tensor([1.0, 4.0, 9.0]))
    (tensor([3., 4., 5.]),)
    """
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    spacing = 1 if spacing is None else spacing
    if isinstance(dim, int):
        axes = [input._dim(dim)]
    elif dim is None:
        several = isinstance(spacing, list | tuple)
        if several and len(spacing) != input.ndim:
            raise RuntimeError(
                f"gradient: expected spacing for each of the {input.ndim} dimensions, got {len(spacing)}"
            )
        axes = list(range(input.ndim))
    else:
        axes = [input._dim(d) for d in dim]
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"gradient: dim appears multiple times in {dim}")
    spaces = list(spacing) if isinstance(spacing, list | tuple) else [spacing] * len(axes)
    if len(spaces) != len(axes):
        raise RuntimeError(f"gradient: expected {len(axes)} spacings, one a dimension, got {len(spaces)}")
    refuse_bool("gradient", input)
    return tuple(_slope(input, axis, space, edge_order) for axis, space in zip(axes, spaces))


def _slope(x: Tensor, axis: int, space: Any, edge_order: int) -> Tensor:
    n = x.shape[axis]
    if n <= edge_order:
        raise RuntimeError(f"gradient: expected each dimension to have at least {edge_order + 1} points, got {n}")
    shape = [1] * x.ndim
    if isinstance(space, Tensor) and space.ndim:
        if space.shape != (n,):
            raise RuntimeError(f"gradient: expected {n} coordinates for dimension {axis}, got {tuple(space.shape)}")
        shape[axis] = n - 1
        steps = space.diff().reshape(*shape)
    else:
        shape[axis] = 1
        d = x.dtype if x.is_floating_point() else dtypes.get_default_dtype()
        steps = x.new_tensor([float(space)], dtype=d).reshape(*shape)
        shape[axis] = n - 1
        steps = steps.expand(*shape)

    def part(t: Tensor, start: int, stop: int) -> Tensor:
        return t.narrow(axis, start, stop - start)

    a, b = part(steps, 0, n - 2), part(steps, 1, n - 1)
    inner = (
        part(x, 0, n - 2) * (-b / (a * (a + b)))
        + part(x, 1, n - 1) * ((b - a) / (a * b))
        + part(x, 2, n) * (a / (b * (a + b)))
    )
    ends = []
    for place, direction in ((0, 1), (n - 1, -1)):
        points = [part(x, place + direction * k, place + direction * k + 1) for k in range(edge_order + 1)]
        near = [part(steps, k, k + 1) for k in ((0, 1) if direction > 0 else (n - 2, n - 3))[:edge_order]]
        if edge_order == 1:
            ends.append((points[1] - points[0]) / (near[0] * direction))
        else:
            h, k = near
            slope = (
                points[0] * (-(2 * h + k) / (h * (h + k)))
                + points[1] * ((h + k) / (h * k))
                - points[2] * (h / (k * (h + k)))
            )
            ends.append(slope * direction)
    return cat([ends[0], inner, ends[1]], axis)


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
METHODS = ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "diff")
FUNCTIONS = (*PUBLIC, *METHODS, "gradient", "trapezoid", "cumulative_trapezoid")
INPLACE = ("cumsum", "cumprod")

"""Reductions over some or all dimensions: sums, means, products, extremes, truth, norms."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from autograd_core import dtypes
from autograd_core.ops import arithmetic
from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import refuse_bool, require_float
from autograd_core.ops.half import in_float32, rule_in_float32
from autograd_core.primitive import Primitive, V, apply, primitive, unary
from autograd_core.tensor import Tensor, wrap


class ValuesAndIndices(NamedTuple):
    """What `max(dim)`, `min(dim)`, `sort` and `topk` return."""

    values: Tensor
    indices: Tensor


class MinAndMax(NamedTuple):
    """What `aminmax` returns."""

    min: Tensor
    max: Tensor


# -- primitives -------------------------------------------------------------------------------------------


def _kept(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape with the reduced axes kept as 1."""
    return tuple(1 if axes is None or i in axes else n for i, n in enumerate(shape))


def _spread(F: Any, g: Any, ctx: Any) -> Any:
    """A reduced value or cotangent with its reduced axes kept as 1, so that it broadcasts against the input."""
    axes, keepdims = ctx.params
    return g if keepdims or (axes is None and not ctx.shape) else F.reshape(g, _kept(ctx.inputs[0].shape, axes))


def _sum_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    if ctx.params[0] is not None:
        g = _spread(F, g, ctx)
    return (F.stretch(g, ctx.inputs[0].shape),)


def _mean_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    shape = tuple(ctx.inputs[0].shape)
    count = builtins.max(math.prod(shape) // builtins.max(math.prod(ctx.shape), 1), 1)
    return (F.stretch(F.div(_spread(F, g, ctx), float(count)), shape),)


def _extremum_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    axes = ctx.params[0]
    hit = F.where(F.eq(x, _spread(F, y, ctx)), F.fill(x, 1.0), F.fill(x, 0.0))
    return (F.mul(hit, F.div(_spread(F, g, ctx), F.sum(hit, axes, True))),)  # NaN where the extremum is.


def even_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """The rule of a reduction to one of its elements: those that equal it share the gradient, NaNs that of a NaN."""
    x, y = ctx.saved
    y = _spread(F, y, ctx)
    same = F.logical_or(F.eq(x, y), F.logical_and(F.isnan(y), F.isnan(x)))
    hit = F.where(same, F.fill(x, 1.0), F.fill(x, 0.0))
    return (F.mul(hit, F.div(_spread(F, g, ctx), F.sum(hit, ctx.params[0], True))),)


@rule_in_float32
def _norm2_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    y, g = _spread(F, y, ctx), _spread(F, g, ctx)
    # x / |x|, with the subgradient 0 at x = 0; divided by 1 there, so that the next order is no 0 / 0.
    zero = F.eq(y, 0.0)
    scale = F.div(F.where(zero, F.fill(g, 0.0), g), F.where(zero, F.fill(y, 1.0), y))
    return (F.mul(x, scale),)


sum_ = unary("sum", _sum_rule)
mean_ = unary("mean", _mean_rule)
amax_ = primitive("amax", _extremum_rule, inputs=1, saves=(0,), saves_output=True)
amin_ = primitive("amin", _extremum_rule, inputs=1, saves=(0,), saves_output=True)
# `max()` and the infinite norms, whose gradient at a NaN is another than `amax`'s.
_max_all, _min_all = (Primitive(name, even_rule, (0,), True) for name in ("amax", "amin"))
norm2 = primitive("norm2", _norm2_rule, inputs=1, saves=(0,), saves_output=True)
# -- helpers ----------------------------------------------------------------------------------------------


def axes_of(x: Tensor, dim: Any) -> tuple[int, ...] | None:
    """`dim` (None, int, sequence) as distinct axes counted from 0; None for all."""
    if dim is None:
        return None
    if isinstance(dim, int):
        axis = x._dim(dim)
        return (axis,) if x._data.ndim else None
    axes = tuple(x._dim(d) for d in dim)
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"dim {axes[0]} appears multiple times in the list of dims {tuple(dim)}")
    return (axes or None) if x._data.ndim else None


def _as_sum_dtype(x: Tensor, dtype: dtypes.dtype | None) -> Tensor:
    if dtype is None:
        return x if x._data.dtype.kind == "f" or x._data.dtype.char == "l" else e.cast(x, dtypes.int64.native)
    native = dtypes.as_dtype(dtype).native
    return x if x._data.dtype == native else e.cast(x, native)


def _narrowed(input: Tensor, dtype: dtypes.dtype, run: Callable[[Tensor], Tensor]) -> Tensor:
    """`run` on the elements of an integer `dtype`, computed as int64, which wraps where it is narrowed."""
    native = dtypes.as_dtype(dtype).native
    return e.cast(run(e.cast(e.cast(input, native), dtypes.int64.native)), native)


def _need_elements(name: str, x: Tensor, axes: tuple[int, ...] | None) -> None:
    shape = x._data.shape
    if 0 in (shape if axes is None else [shape[a] for a in axes]):
        where = "an empty tensor" if axes is None else f"a dimension of size 0 in shape {tuple(shape)}"
        raise IndexError(f"{name}(): cannot reduce over {where}: the operation has no identity")


# -- public -----------------------------------------------------------------------------------------------


def sum(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """The sum over `dim` (an int, several, or all). Integers and bools sum as int64.

    >>> import autograd_core as ag
    >>> ag.ones(2, 3).sum(dim=1)
    tensor([3., 3.])
    """
    # What has a history is of floating point: that is the quicker question.
    if dim is None and axis is None and dtype is None and (input._node is not None or input._data.dtype.kind == "f"):
        return sum_(input, None, keepdim or keepdims)
    dim, keepdim = axis if dim is None else dim, keepdim or keepdims
    if dtype is not None and not dtypes.as_dtype(dtype).is_floating_point:
        # Integers are added as int64, and wrap where they are narrowed.
        return e.cast(
            sum_(_as_sum_dtype(input, dtypes.int64), axes_of(input, dim), keepdim), dtypes.as_dtype(dtype).native
        )
    return sum_(_as_sum_dtype(input, dtype), axes_of(input, dim), keepdim)


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The sum with NaN counted as 0.

    >>> import autograd_core as ag
    >>> ag.nansum(ag.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    x = e.where(e.isnan(input), input.new_zeros(()), input) if input._data.dtype.kind == "f" else input
    return x.sum(dim, keepdim, dtype=dtype)


def mean(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """The arithmetic mean over `dim`. Raises `RuntimeError` for integers; of no elements it is NaN.

    >>> import autograd_core as ag
    >>> ag.tensor([1.0, 2.0]).mean()
    tensor(1.5000)
    """
    x = input if dtype is None else _as_sum_dtype(input, dtype)
    if x._data.dtype.kind != "f":  # The quicker question.
        require_float("mean", x)
    dim = axis if dim is None else dim
    return mean_(x, None if dim is None else axes_of(x, dim), keepdim or keepdims)


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


@in_float32
def _product_tree(x: Tensor) -> Tensor:
    """The product over the last dimension by halves: every rule on the way is a product, so zeros need no care."""
    while x._data.shape[-1] > 1:
        n = x._data.shape[-1]
        half = e.mul(x[..., 0 : n - n % 2 : 2], x[..., 1:n:2])
        x = V.cat((half, x[..., n - 1 :]), x._data.ndim - 1) if n % 2 else half
    return x[..., 0]


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The product over `dim` or over all elements. Its gradient is exact also where elements are zero.

    >>> import autograd_core as ag
    >>> ag.tensor([2.0, 3.0]).prod()
    tensor(6.)
    """
    if dtype is not None and dtype is not dtypes.int64 and not dtypes.as_dtype(dtype).is_floating_point:
        return _narrowed(input, dtype, lambda x: prod(x, dim, keepdim))
    x = _as_sum_dtype(input, dtype)
    axis = None if dim is None else x._dim(dim)
    if not x.requires_grad or not x.numel():
        axes = None if axis is None or not x._data.ndim else (axis,)
        out = wrap(x._backend.as_array(x._backend.prod(x._data, axes, keepdim)), x._backend)
        return e.add(out, sum_(x, axes, keepdim)) if x.requires_grad else out  # The sum of nothing is 0.
    if axis is None:
        out = _product_tree(x.reshape(-1))
        return out.reshape((1,) * input.ndim) if keepdim else out
    if not x._data.ndim:
        return x.clone()
    out = _product_tree(x.movedim(axis, -1))
    return out.unsqueeze(axis) if keepdim else out


def _extremum_axes(name: str, input: Tensor, dim: Any) -> tuple[int, ...] | None:
    axes = axes_of(input, dim)
    if axes is None and not input.numel():
        raise RuntimeError(f"{name}(): an input of shape {tuple(input.shape)} has no elements; say which dim to reduce")
    _need_elements(name, input, axes)
    return axes


def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The greatest element over `dim` (all by default); tied elements share the gradient.

    >>> import autograd_core as ag
    >>> ag.tensor([[1.0, 5.0], [7.0, 2.0]]).amax(dim=1)
    tensor([5., 7.])
    """
    axes = _extremum_axes("amax", input, dim)
    return amax_(input, axes, keepdim)


def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The least element over `dim` (all by default); tied elements share the gradient.

    >>> import autograd_core as ag
    >>> ag.tensor([[1.0, 5.0], [7.0, 2.0]]).amin(dim=0)
    tensor([1., 2.])
    """
    axes = _extremum_axes("amin", input, dim)
    return amin_(input, axes, keepdim)


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


def _extremum(name: str, input: Tensor, dim: Any, keepdim: bool, pairwise: Any) -> Any:
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be a Tensor, got {type(input).__name__}")
    if dim is None:
        if not input.numel():
            raise RuntimeError(
                f"{name}(): expected the reduction dim to be specified for an input without elements; got "
                f"{tuple(input.shape)}"
            )
        return apply(_max_all if name == "max" else _min_all, (input,), (None, False))
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    indices = _arg("argmax" if name == "max" else "argmin", input, dim, True)
    return picked_and_indices(input, input._dim(dim), indices, keepdim)


def picked_and_indices(input: Tensor, axis: int, indices: Tensor, keepdim: bool) -> ValuesAndIndices:
    """The elements at indices that a kernel found, one for each slice along the axis."""
    if not input._data.ndim:
        return ValuesAndIndices(e.clone(input), indices)
    F: Any = V
    values = F.gather(input, indices, axis)
    if keepdim:
        return ValuesAndIndices(values, indices)
    shape = (*indices._data.shape[:axis], *indices._data.shape[axis + 1 :])
    return ValuesAndIndices(F.reshape(values, shape), F.reshape(indices, shape))


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The greatest element; with `dim` also its indices; with a second tensor the elementwise maximum.

    >>> import autograd_core as ag
    >>> ag.tensor([[1.0, 5.0], [7.0, 2.0]]).max(dim=1).indices
    tensor([1, 0])
    """
    return _extremum("max", input, other if other is not None else dim, keepdim, e.maximum)


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The least element; with `dim` also its indices; with a second tensor the elementwise minimum.

    >>> import autograd_core as ag
    >>> ag.tensor([1.0, 5.0]).min()
    tensor(1.)
    """
    return _extremum("min", input, other if other is not None else dim, keepdim, e.minimum)


def _arg(name: str, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    axis = None if dim is None else input._dim(dim)
    _need_elements(name, input, None if axis is None or not input._data.ndim else (axis,))
    if not input._data.ndim:
        axis = None
    backend = input._backend
    return wrap(backend.as_array(getattr(backend, name)(input._data, axis, keepdim)), backend)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the (first) greatest element, along `dim` or of the flattened tensor.

    >>> import autograd_core as ag
    >>> ag.argmax(ag.tensor([1.0, 5.0, 2.0]))
    tensor(1)
    """
    refuse_bool("argmax", input)
    return _arg("argmax", input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the (first) least element, along `dim` or of the flattened tensor.

    >>> import autograd_core as ag
    >>> ag.argmin(ag.tensor([1.0, 5.0, 2.0]))
    tensor(0)
    """
    refuse_bool("argmin", input)
    return _arg("argmin", input, dim, keepdim)


def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether any element is nonzero.

    >>> import autograd_core as ag
    >>> ag.tensor([False, True]).any()
    tensor(True)
    """
    return _truth("any", input, dim, keepdim)


def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are nonzero.

    >>> import autograd_core as ag
    >>> ag.tensor([False, True]).all()
    tensor(False)
    """
    return _truth("all", input, dim, keepdim)


def _truth(name: str, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    backend = input._backend
    if dim is not None and not isinstance(dim, int) and not len(dim):  # As in PyTorch, over no dimension at all.
        found = e.ne(input, 0)
    else:
        found = wrap(backend.as_array(getattr(backend, name)(input._data, axes_of(input, dim), keepdim)), backend)
    return e.cast(found, input._data.dtype) if input._data.dtype.char == "B" else found  # As PyTorch: uint8 stays so.


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))) over `dim`, computed from x - max(x), which cannot overflow.

    >>> import autograd_core as ag
    >>> ag.logsumexp(ag.tensor([100.0, 100.0]), 0)
    tensor(100.6931)
    """
    x = input if input._data.dtype.kind == "f" else e.cast(input, dtypes.get_default_dtype().native)
    axes = axes_of(x, dim)
    if not x.numel():
        return e.log(sum_(e.exp(x), axes, keepdim))
    top = amax_(x.detach(), axes, True)
    top = e.where(e.isfinite(top), top, e.fill(top, 0.0))
    out = e.log(sum_(e.exp(e.sub(x, top)), axes, keepdim))
    return e.add(out, top if keepdim else top.reshape(out._data.shape))


def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The vector norm (sum |x|^p)^(1/p) over `dim`; 'fro' and None mean p = 2, and p may be 0 or infinite. 'nuc': the
    nuclear norm of matrices (`linalg.matrix_norm`). Where the norm or (for p < 2) an element is 0, so is the gradient.

    >>> import autograd_core as ag
    >>> ag.norm(ag.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = input if dtype is None else _as_sum_dtype(input, dtype)
    require_float("norm", x)
    axes = axes_of(x, dim)
    if p in ("fro", None, 2, 2.0):
        return norm2(x, axes, keepdim)
    if x._data.dtype.itemsize == 2 and p not in (math.inf, -math.inf, 0):
        return norm(x.float(), p, dim, keepdim).to(x.dtype)
    if p == "nuc":
        from autograd_core.linalg import matrix_norm  # It builds on this module.

        return matrix_norm(x, p, (-2, -1) if axes is None else axes, keepdim)
    if isinstance(p, str):
        raise RuntimeError(f"norm: p={p!r} is not supported; use a number, inf, -inf, 'fro' or 'nuc'")
    if (p < 0 or p == math.inf) and 0 in [n for i, n in enumerate(x._data.shape) if axes is None or i in axes]:
        raise RuntimeError(
            f"norm: p={p} over dim={dim} of shape {tuple(x.shape)}: no element, and no norm of none; use p >= 0, finite"
        )
    size = e.abs(x)
    if p == math.inf:
        return apply(_max_all, (size,), (axes, keepdim))
    if p == -math.inf:
        return apply(_min_all, (size,), (axes, keepdim))
    if p == 0:
        return sum_(e.where(e.ne(x, 0.0), e.fill(x, 1.0), e.fill(x, 0.0)), axes, keepdim)
    if p == 1:
        return sum_(size, axes, keepdim)
    if p < 2 and x.requires_grad:
        flat = e.eq(size, 0.0)
        powers = e.where(flat, 0.0 if p > 0 else math.inf, arithmetic.pow(e.where(flat, 1.0, size), float(p)))
    else:
        powers = arithmetic.pow(size, float(p))
    total = sum_(powers, axes, keepdim)
    if not x.requires_grad:
        return arithmetic.pow(total, 1.0 / p)
    flat = e.eq(total, 0.0 if p > 0 else math.inf)
    return e.where(flat, 0.0, arithmetic.pow(e.where(flat, 1.0, total), 1.0 / p))


FUNCTIONS = (
    "sum", "nansum", "mean", "nanmean", "prod", "amax", "amin", "aminmax", "max", "min", "argmax", "argmin", "any",
    "all", "logsumexp", "norm",
)  # fmt: skip
METHODS = FUNCTIONS
INPLACE = ()

"""Reading and writing along one dimension by an index for each element: gather and scatter."""

from __future__ import annotations

from typing import Any

from autograd_core import dtypes
from autograd_core.ops import arithmetic
from autograd_core.ops import elementwise as e
from autograd_core.ops.shape import broadcast_shapes
from autograd_core.primitive import primitive
from autograd_core.tensor import Tensor

_gather = primitive(
    "gather",
    lambda F, g, ctx: (F.gather_backward(g, ctx.saved[0], tuple(ctx.inputs[0].shape), ctx.params[0]), None),
    inputs=2,
    saves=(1,),
)
_gather_backward = primitive(
    "gather_backward", lambda F, g, ctx: (F.gather(g, ctx.saved[0], ctx.params[1]), None), inputs=2, saves=(1,)
)
_scatter = primitive(
    "scatter",
    lambda F, g, ctx: (
        F.scatter(g, ctx.saved[0], F.fill(F.gather(g, ctx.saved[0], ctx.params[0]), 0.0), ctx.params[0]), None,
        None if ctx.inputs[2] is None else F.gather(g, ctx.saved[0], ctx.params[0]),
    ),
    inputs=3, saves=(1,),
)  # fmt: skip
_scatter_add = primitive(
    "scatter_add",
    lambda F, g, ctx: (g, None, None if ctx.inputs[2] is None else F.gather(g, ctx.saved[0], ctx.params[0])),
    inputs=3, saves=(1,),
)  # fmt: skip


def _scatter_extremum_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """All elements that equal the result at their place share its gradient."""
    x, index, source, y = ctx.saved
    (axis,) = ctx.params
    hit_x, hit_source = F.eq(x, y), F.eq(source, F.gather(y, index, axis))
    one, zero = F.fill(source, 1.0), F.fill(source, 0.0)
    count = F.scatter_add(F.where(hit_x, F.fill(x, 1.0), F.fill(x, 0.0)), index, F.where(hit_source, one, zero), axis)
    share = F.div(g, count)
    return F.where(hit_x, share, F.fill(x, 0.0)), None, F.where(hit_source, F.gather(share, index, axis), zero)


def _scatter_prod_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """Each factor's gradient is the product of the others: that of the nonzero ones, times the zeros among them.

    If there is one such zero, it enters by a sum, so that the gradient of this gradient is right there, too.
    """
    x, index, source, _ = ctx.saved
    (axis,) = ctx.params

    def pieces(t: Any) -> tuple[Any, Any, Any]:
        zero, one, nothing = F.eq(t, 0.0), F.fill(t, 1.0), F.fill(t, 0.0)
        return F.where(zero, one, t), F.where(zero, one, nothing), F.where(zero, t, nothing)

    of_x, of_source = pieces(x), pieces(source)
    scatters = (F.scatter_prod, F.scatter_add, F.scatter_add)
    totals = [scatter(a, index, b, axis) for scatter, a, b in zip(scatters, of_x, of_source)]

    def others(own: Any, of_all: Any, g: Any) -> Any:
        (factor, zero, value), (product, count, total) = own, of_all
        zeros = F.sub(count, zero)
        alone, pair = F.eq(zeros, 0.0), F.eq(zeros, 1.0)
        nothing = F.fill(factor, 0.0)
        rest = F.where(alone, F.fill(factor, 1.0), F.where(pair, F.sub(total, value), nothing))
        return F.mul(F.div(F.mul(g, product), factor), rest)

    picked = [F.gather(t, index, axis) for t in totals]
    return others(of_x, totals, g), None, others(of_source, picked, F.gather(g, index, axis))


_scatter_amax: Any = primitive("scatter_amax", _scatter_extremum_rule, inputs=3, saves=(0, 1, 2), saves_output=True)


_scatter_amin: Any = primitive("scatter_amin", _scatter_extremum_rule, inputs=3, saves=(0, 1, 2), saves_output=True)


_scatter_prod: Any = primitive("scatter_prod", _scatter_prod_rule, inputs=3, saves=(0, 1, 2), saves_output=True)


def _check_index(name: str, x: Tensor, dim: int, index: Tensor) -> int:
    axis = x._dim(dim)
    if index._data.dtype.char not in "lqi":
        raise RuntimeError(f"{name}(): expected dtype int64 for index, got {index.dtype}; use .long()")
    if max(index.ndim, 1) != max(x.ndim, 1):
        raise RuntimeError(
            f"{name}(): index tensor must have the same number of dimensions as input, got {index.ndim} and {x.ndim}"
        )
    for d in range(index.ndim):
        if d != axis and index._data.shape[d] > x._data.shape[d]:
            raise RuntimeError(
                f"{name}(): size of index {tuple(index.shape)} exceeds input {tuple(x.shape)} at dimension {d} "
                f"apart from dim {axis}"
            )
    return axis


def _check_bounds(name: str, index: Tensor, n: int) -> None:
    backend: Any = index._backend
    message = f"{name}(): index {{}} is out of bounds for dimension with size {n}"
    backend.check_range(index._data, 0, n, RuntimeError, message)


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, input[i][index[i][j]] for dim 1, and so on.

    >>> import autograd_core as ag
    >>> ag.gather(ag.tensor([[1, 2], [3, 4]]), 1, ag.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if sparse_grad:
        raise RuntimeError("gather: sparse_grad=True is not supported, there are no sparse tensors")
    if not index._data.size:  # As in PyTorch, it may then have any dtype and shape.
        input._dim(dim)
        return input.reshape(-1)[:0].reshape(index._data.shape)
    axis = _check_index("gather", input, dim, index)
    if not input.ndim:
        return e.clone(input).reshape(index._data.shape)
    _check_bounds("gather", index, input._data.shape[axis])
    return _gather(input, index, axis)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with the other dimensions broadcast; indices may count from the end; without `dim`, of the flat tensor.

    >>> import autograd_core as ag
    >>> ag.take_along_dim(ag.tensor([5, 6]), ag.tensor([1]), 0)
    tensor([6])
    """
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    axis = input._dim(dim)
    if indices.ndim != input.ndim:
        raise RuntimeError(
            f"take_along_dim(): input and indices should have the same number of dimensions, but got {input.ndim} "
            f"dimensions for input, and {indices.ndim} dimensions for indices"
        )
    if indices._data.dtype.char not in "lq":
        raise RuntimeError(f"take_along_dim(): dtype of indices should be Long but got {indices.dtype}; use .long()")
    n, (a, b) = input._data.shape[axis], (list(input._data.shape), list(indices._data.shape))
    a[axis] = b[axis] = 1
    around = broadcast_shapes(a, b)
    input = input.expand((*around[:axis], n, *around[axis + 1 :]))
    indices = indices.expand((*around[:axis], indices._data.shape[axis], *around[axis + 1 :]))
    return gather(input, dim, e.where(e.lt(indices, 0), e.add(indices, n), indices))


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of `input` with `src` (a tensor or a number) written at `index` along `dim`; reduce: 'add' or 'multiply'.

    >>> import autograd_core as ag
    >>> ag.scatter(ag.zeros(3), 0, ag.tensor([2]), 5.0)
    tensor([0., 0., 5.])
    """
    src = src if src is not None else value
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError(f"scatter: reduce argument must be either add or multiply, got {reduce!r}")
        src = src if isinstance(src, Tensor) else input.new_full(index._data.shape, src)
        return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")
    axis, src = _scatter_arguments("scatter", input, dim, index, src)
    return _scatter(input, index, src, axis)


def _scatter_arguments(name: str, x: Tensor, dim: int, index: Tensor, src: Any) -> tuple[int, Tensor]:
    axis = _check_index(name, x, dim, index)
    if not isinstance(src, Tensor):
        src = x.new_full(index._data.shape, src)
    if src._data.dtype != x._data.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype, got {x.dtype} and {src.dtype}")
    if any(a > b for a, b in zip(index._data.shape, src._data.shape)):
        raise RuntimeError(f"{name}(): size of index {tuple(index.shape)} exceeds src {tuple(src.shape)}")
    _check_bounds(name, index, x._data.shape[axis] if x.ndim else 1)
    if src._data.shape != index._data.shape:
        src = src[tuple(slice(0, n) for n in index._data.shape)]
    return axis, src


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of `input` with `src` added at `index` along `dim`, in the order of the elements.

    >>> import autograd_core as ag
    >>> ag.scatter_add(ag.zeros(2), 0, ag.tensor([1, 1]), ag.ones(2))
    tensor([0., 2.])
    """
    axis, src = _scatter_arguments("scatter_add", input, dim, index, src)
    return _scatter_add(input, index, src, axis)


# -- scatters that reduce ---------------------------------------------------------------------------------


_START = {"sum": 0.0, "mean": 0.0, "prod": 1.0}


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of `input` where each element is reduced with those of `src` that `index` sends there along `dim`.

    `reduce`: 'sum', 'prod', 'mean', 'amax' or 'amin'. Without `include_self` the element itself takes part only where
    `index` sends nothing. Gradients are of first order where a product has more than two zeros or extremes are tied.

    >>> import autograd_core as ag
    >>> ag.scatter_reduce(ag.ones(2), 0, ag.tensor([0, 0, 1]), ag.tensor([2.0, 3.0, 4.0]), "sum")
    tensor([6., 5.])
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if reduce == "mean" and input._data.dtype.kind == "b":
        raise NotImplementedError("scatter_reduce: a mean of bool tensors is not implemented; convert with .float()")
    axis, src = _scatter_arguments("scatter_reduce", input, dim, index, src)
    if not input._data.ndim:
        out = scatter_reduce(input.reshape(1), 0, index.reshape(-1), src.reshape(-1), reduce, include_self=include_self)
        return out.reshape(())
    x = input
    if not include_self:
        x = scatter(x, axis, index, input.new_full(index.shape, _neutral(reduce, input.dtype)))
    if reduce in ("sum", "mean"):
        out = scatter_add(x, axis, index, src)
        if reduce == "sum":
            return out
        ones = input.new_ones(index.shape, dtype=dtypes.int64)
        count = scatter_add(input.new_full(input.shape, int(include_self), dtype=dtypes.int64), axis, index, ones)
        count = e.clamp(count, min=1)
        return out / count if input._data.dtype.kind == "f" else arithmetic.floor_divide(out, count).to(input.dtype)
    kernel = {"prod": _scatter_prod, "amax": _scatter_amax, "amin": _scatter_amin}[reduce]
    return kernel(x, index, src, axis)


def _neutral(reduce: str, d: dtypes.dtype) -> Any:
    """What changes nothing in the reduction."""
    if reduce in _START:
        return int(_START[reduce]) if d.category < 2 else _START[reduce]
    if d is dtypes.bool_:
        return reduce == "amin"
    if d.is_floating_point:
        return -float("inf") if reduce == "amax" else float("inf")
    limits = dtypes.iinfo(d)
    return limits.min if reduce == "amax" else limits.max


FUNCTIONS = ("gather", "scatter", "scatter_add", "scatter_reduce", "take_along_dim")
METHODS = FUNCTIONS
INPLACE = ("scatter", "scatter_add", "scatter_reduce")

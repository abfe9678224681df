"""Reading, writing and sorting along one dimension: gather and scatter, argsort, sort and topk."""

from __future__ import annotations

from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.reductions import ValuesAndIndices, picked_and_indices
from autograd_core.ops.shape import broadcast_shapes
from autograd_core.primitive import primitive
from autograd_core.tensor import Tensor, wrap

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
        from autograd_core.ops.selection import scatter_reduce

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


# -- sorting ----------------------------------------------------------------------------------------------


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim` (always stable).

    >>> import autograd_core as ag
    >>> ag.argsort(ag.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    axis = input._dim(dim)
    backend = input._backend
    if not input.ndim:
        return input.new_zeros((), dtype=dtypes.int64)
    return wrap(backend.argsort(input._data, axis, descending), backend)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesAndIndices:
    """The elements in order along `dim`, and where they came from.

    >>> import autograd_core as ag
    >>> ag.sort(ag.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    indices = argsort(input, dim, descending)
    return picked_and_indices(input, input._dim(dim), indices, True)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices:
    """The `k` greatest (or least) elements along `dim`, in order, and their indices.

    >>> import autograd_core as ag
    >>> ag.topk(ag.tensor([3, 1, 2]), 2).indices
    tensor([0, 2])
    """
    axis = input._dim(dim)
    if input._data.dtype.kind == "b":
        raise NotImplementedError("topk is not implemented for bool tensors; convert with .long()")
    n = input._data.shape[axis] if input.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: selected index k={k} out of range for dimension {dim} of size {n}")
    if not input.ndim:
        return ValuesAndIndices(input.clone(), input.new_zeros((), dtype=dtypes.int64))
    indices = wrap(input._backend.first_sorted(input._data, axis, k, largest), input._backend)
    return picked_and_indices(input, axis, indices, True)


FUNCTIONS = ("gather", "scatter", "scatter_add", "take_along_dim", "argsort", "sort", "topk")
METHODS = FUNCTIONS
INPLACE = ("scatter", "scatter_add")

"""Products with an added term, inner and outer products over any dimensions, Kronecker's and the vector product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import refuse_bool
from autograd_core.ops.joining import stack
from autograd_core.ops.products import bmm, dot, matmul, mv, outer, scaled_sum
from autograd_core.tensor import Tensor


def _added(name: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * product, the input broadcast to the product."""
    lead = product._data.ndim - input._data.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(input._data.shape, product._data.shape[lead:])):
        raise RuntimeError(
            f"{name}: The expanded size of the tensor {list(product.shape)} must match the existing size "
            f"{list(input.shape)}"
        )
    return scaled_sum(input, product, beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat @ vec.

    >>> import autograd_core as ag
    >>> ag.addmv(ag.ones(1), ag.ones(1, 2), ag.ones(2))
    tensor([3.])
    """
    return _added("addmv", input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2).

    >>> import autograd_core as ag
    >>> ag.addr(ag.ones(1, 1), ag.ones(1), ag.ones(1))
    tensor([[2.]])
    """
    out = _added("addr", input, outer(vec1, vec2), beta, alpha)
    of_bools = all(t._data.dtype.kind == "b" for t in (input, vec1, vec2))
    return out.to(dtypes.bool_) if of_bools else out


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * the sum over the batch of batch1 @ batch2.

    >>> import autograd_core as ag
    >>> ag.addbmm(ag.ones(1, 1), ag.ones(3, 1, 2), ag.ones(3, 2, 1))
    tensor([[7.]])
    """
    if batch1._data.ndim != 3 or batch2._data.ndim != 3 or batch1._data.shape[::2] != batch2._data.shape[:2]:
        bmm(batch1, batch2)  # Says what does not fit.
    # The sum over the batch is part of one product: (n, b p) times (b p, m).
    (b, n, p), m = batch1._data.shape, batch2._data.shape[2]
    product = matmul(batch1.permute(1, 0, 2).reshape(n, b * p), batch2.reshape(b * p, m))
    return _added("addbmm", input, product, beta, alpha)


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors.

    >>> import autograd_core as ag
    >>> ag.vdot(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return dot(input, other)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimensions: out[i..., j...] = sum_k input[i..., k] other[j..., k].

    >>> import autograd_core as ag
    >>> ag.inner(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]))
    tensor(11.)
    """
    if not input._data.ndim or not other._data.ndim:
        return input * other
    if input._data.shape[-1] != other._data.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums of products over the dimensions `dims`: the last of `a` with the first of `b` (an int),
    or two lists of dims.

    >>> import autograd_core as ag
    >>> ag.tensordot(ag.ones(2, 3), ag.ones(3, 4), dims=1).shape
    ag.Size([2, 4])
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a._data.ndim, b._data.ndim):
            raise RuntimeError(f"tensordot expects dims >= 0 and at most the dimensions of both, but got dims={dims}")
        left, right = list(range(a._data.ndim - dims, a._data.ndim)), list(range(dims))
    else:
        left, right = [a._dim(d) for d in _listed(dims[0])], [b._dim(d) for d in _listed(dims[1])]
    if len(left) != len(right):
        raise RuntimeError(f"tensordot: both dimension lists should have same length, got {left} and {right}")
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise RuntimeError(f"tensordot: dims appear multiple times in {left} or {right}")
    for i, j in zip(left, right):
        if a._data.shape[i] != b._data.shape[j]:
            if a._data.shape[i] == 1:  # Broadcast: the other one is summed.
                b = b.sum(j, keepdim=True, dtype=b.dtype)
                continue
            if b._data.shape[j] == 1:
                a = a.sum(i, keepdim=True, dtype=a.dtype)
                continue
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a._data.shape[i]} in dim {i} "
                f"and second has size {b._data.shape[j]} in dim {j}"
            )
    rows, columns = (
        [d for d in range(a._data.ndim) if d not in left],
        [d for d in range(b._data.ndim) if d not in right],
    )
    shape = (*(a._data.shape[d] for d in rows), *(b._data.shape[d] for d in columns))
    n = 1
    for d in left:
        n *= a._data.shape[d]
    height, width = 1, 1
    for d in rows:
        height *= a._data.shape[d]
    for d in columns:
        width *= b._data.shape[d]
    x = a.permute(rows + left).reshape((height, n))
    y = b.permute(right + columns).reshape((n, width))
    return matmul(x, y).reshape(shape)


def _listed(dims: int | Sequence[int]) -> list[int]:
    return [dims] if isinstance(dims, int) else list(dims)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: each element of `input` times the whole of `other`.

    >>> import autograd_core as ag
    >>> ag.kron(ag.eye(2), ag.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    n = max(input._data.ndim, other._data.ndim)
    a = (1,) * (n - input._data.ndim) + tuple(input._data.shape)
    b = (1,) * (n - other._data.ndim) + tuple(other._data.shape)
    x = input.reshape(tuple(s for size in a for s in (size, 1)))
    y = other.reshape(tuple(s for size in b for s in (1, size)))
    return (x * y).reshape(tuple(p * q for p, q in zip(a, b)))


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product in three dimensions, along `dim` (the first of size 3 by default); other dimensions broadcast.

    >>> import autograd_core as ag
    >>> ag.cross(ag.tensor([1.0, 0.0, 0.0]), ag.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    if dim is None:
        found = [i for i, n in enumerate(input._data.shape) if n == 3]
        if not found:
            raise RuntimeError(f"cross: no dimension of size 3 in input, got shape {tuple(input.shape)}")
        dim = found[0] - input._data.ndim
    if input._data.ndim != other._data.ndim:
        raise RuntimeError(
            f"cross: inputs must have the same number of dimensions, got shapes {tuple(input.shape)} and "
            f"{tuple(other.shape)}"
        )
    axis = input._dim(dim)
    if input._data.shape[axis] != 3 or other._data.shape[axis] != 3:
        raise RuntimeError(
            f"cross: inputs dimension {dim} must have length 3. Got {input._data.shape[axis]} and "
            f"{other._data.shape[axis]}"
        )
    refuse_bool("cross", input)
    x, y = input.unbind(axis), other.unbind(axis)
    return stack([x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]], axis)


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal.

    >>> import autograd_core as ag
    >>> ag.trace(ag.eye(3))
    tensor(3.)
    """
    if input._data.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._data.ndim}")
    refuse_bool("trace", input)
    return input.diagonal().sum()


FUNCTIONS = ("addmv", "addr", "addbmm", "vdot", "inner", "tensordot", "kron", "cross", "trace")
METHODS = tuple(name for name in FUNCTIONS if name != "tensordot")
INPLACE = ("addmv", "addr", "addbmm")

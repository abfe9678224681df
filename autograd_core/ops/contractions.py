"""Further products: with an added term, inner and outer ones over any dimensions, and distances between rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops.joining import stack
from autograd_core.ops.products import bmm, dot, matmul, mv, outer, scaled_sum
from autograd_core.ops.reductions import norm
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
    if input._data.dtype.kind == "b":
        raise NotImplementedError("cross is not implemented for bool tensors; convert with .long()")
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
    if input._data.dtype.kind == "b":
        raise NotImplementedError("trace is not implemented for bool tensors; convert with .long()")
    return input.diagonal().sum()


_MOST_DIFFERENCES = 1 << 24


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm distance between each row of `x1` (..., n, d) and each of `x2` (..., m, d): (..., n, m).

    'use_mm_for_euclid_dist' computes p = 2 by |x|^2 + |y|^2 - 2 x.y, which is faster and less exact; the others sum the
    differences themselves, which is exact also for rows that are close, unless it is necessary: where n m d is above
    2^24 (64 MiB of differences in float32). Two equal rows pass no gradient to one another.

    >>> import autograd_core as ag
    >>> ag.cdist(ag.zeros(1, 2), ag.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode: expected one of {modes}")
    if x1._data.ndim < 2 or x2._data.ndim < 2:
        raise RuntimeError(
            f"cdist only supports at least 2D tensors, got shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    if x1._data.shape[-1] != x2._data.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._data.shape[-1]} X2: {x2._data.shape[-1]}"
        )
    if x1._data.dtype.kind != "f" or x2._data.dtype.kind != "f":
        raise RuntimeError(
            f"cdist only supports floating-point dtypes, got {x1.dtype} and {x2.dtype}; convert with .float()"
        )
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    differences = x1.numel() * x2._data.shape[-2]
    if p == 2 and (compute_mode == modes[1] or (compute_mode == modes[0] and differences > _MOST_DIFFERENCES)):
        if x1._data.dtype.itemsize == 2 and x2._data.dtype.itemsize == 2:  # The square of a length may be beyond it.
            return cdist(x1.float(), x2.float(), p, compute_mode).half()
        squares = e.square(x1).sum(-1, True) + e.square(x2).sum(-1).unsqueeze(-2) - 2 * matmul(x1, x2.mT)
        equal = e.le(squares, 0.0)
        return e.where(equal, 0.0, e.sqrt(e.where(equal, 1.0, squares)))
    if not x1._data.shape[-1]:
        return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).sum(-1)
    return norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


FUNCTIONS = ("addmv", "addr", "addbmm", "vdot", "inner", "tensordot", "kron", "cross", "trace", "cdist")
METHODS = ("addmv", "addr", "addbmm", "vdot", "inner", "kron", "cross", "trace")
INPLACE = ("addmv", "addr", "addbmm")

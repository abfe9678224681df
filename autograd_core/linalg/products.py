"""Products and powers of matrices, and functions made of them.

The gradient of the matrix exponential: Najfeld and Havel, "Derivatives of the matrix exponential and their
computation", Adv. Appl. Math. 16, 1995.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.linalg.checks import identity, square, transposed
from autograd_core.linalg.systems import inv
from autograd_core.ops.contractions import cross as _cross
from autograd_core.ops.cumulative import cumprod
from autograd_core.ops.joining import cat
from autograd_core.ops.products import matmul
from autograd_core.primitive import V, unary
from autograd_core.tensor import Tensor


def _matrix_exp_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """The upper right block of exp of ((A', g), (0, A'))."""
    a = transposed(F, ctx.saved[0])
    n, last = a.shape[-1], len(a.shape) - 1
    block = F.cat((F.cat((a, g), last), F.cat((F.fill(a, 0.0), a), last)), last - 1)
    return (F.slice(F.matrix_exp(block), (Ellipsis, slice(None, n), slice(n, None))),)


_matrix_exp: Any = unary("matrix_exp", _matrix_exp_rule, saves=(0,))


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two or more matrices, in the cheapest order; the first and last may be vectors.

    >>> import autograd_core as ag
    >>> ag.linalg.multi_dot([ag.ones(1, 2), ag.ones(2, 3), ag.ones(3)])
    tensor([6.])
    """
    parts = list(tensors)
    if len(parts) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(parts)}")
    first, last = parts[0]._data.ndim == 1, parts[-1]._data.ndim == 1
    parts[0] = parts[0].unsqueeze(0) if first else parts[0]
    parts[-1] = parts[-1].unsqueeze(1) if last else parts[-1]
    for i, x in enumerate(parts):
        if x._data.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {x._data.ndim}D")
    sizes = [parts[0]._data.shape[0], *(x._data.shape[1] for x in parts)]
    # cost[i, j]: the least number of multiplications for the product of parts i to j, and where to cut it.
    cost: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(len(parts))}
    for length in range(1, len(parts)):
        for i in range(len(parts) - length):
            j = i + length
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        return parts[i] if i == j else matmul(product(i, cost[i, j][1]), product(cost[i, j][1] + 1, j))

    out = product(0, len(parts) - 1)
    out = out.squeeze(-1) if last else out
    return out.squeeze(0) if first else out


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner product along `dim`, other dimensions broadcast.

    >>> import autograd_core as ag
    >>> ag.linalg.vecdot(ag.ones(2, 3), ag.ones(3))
    tensor([3., 3.])
    """
    if x._data.dtype.kind != "f" or y._data.dtype.kind != "f":
        raise RuntimeError(f"linalg.vecdot: expected floating-point tensors, got {x.dtype} and {y.dtype}; use .float()")
    return (x * y).sum(dim)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product in three dimensions along `dim`.

    >>> import autograd_core as ag
    >>> ag.linalg.cross(ag.tensor([1.0, 0.0, 0.0]), ag.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return _cross(input, other, dim)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A multiplied by itself `n` times by squaring; negative `n` of the inverse, 0 gives the identity.

    >>> import autograd_core as ag
    >>> ag.linalg.matrix_power(ag.tensor([[2.0]]), 3)
    tensor([[8.]])
    """
    if A._data.ndim < 2 or A._data.shape[-1] != A._data.shape[-2]:
        raise RuntimeError(f"linalg.matrix_power: A must be batches of square matrices, got shape {tuple(A.shape)}")
    if n < 0:
        A, n = inv(A), -n
    if not n:
        return identity(V, A)
    out: Tensor | None = None
    while n:
        if n % 2:
            out = A if out is None else matmul(out, A)
        n //= 2
        A = matmul(A, A) if n else A
    return out  # type: ignore[return-value]


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as a view.

    >>> import autograd_core as ag
    >>> ag.linalg.diagonal(ag.eye(2))
    tensor([1., 1.])
    """
    return A.diagonal(offset, dim1, dim2)


def matrix_exp(A: Tensor) -> Tensor:
    """The sum of A^k / k! of square matrices, computed in double precision.

    >>> import autograd_core as ag
    >>> ag.linalg.matrix_exp(ag.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    square("linalg.matrix_exp", A)
    return _matrix_exp(A)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Rows of powers x^0, x^1, ... x^(N-1) of each element; N is the number of elements by default.

    >>> import autograd_core as ag
    >>> ag.linalg.vander(ag.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    x = x if x._data.ndim else x.reshape(1)
    n = x._data.shape[-1] if N is None else N
    if n < 2:
        raise RuntimeError(f"linalg.vander: N must be greater than 1, got {n}")
    if x._data.dtype.kind == "b":
        raise RuntimeError("linalg.vander: expected integers or floating-point numbers, got bools; use .long()")
    if x._data.dtype.kind in "ui":
        x = x.to(dtypes.int64)
    powers = x.unsqueeze(-1).expand(*x._data.shape, n - 1)
    return cumprod(cat((x.new_ones((*x._data.shape, 1)), powers), -1), -1)

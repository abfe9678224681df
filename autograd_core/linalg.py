"""Linear algebra, under PyTorch's names: `ag.linalg.inv(x)`. Matrices stand in the last two dimensions.

Gradients: Giles, "An extended collection of matrix derivative results", 2008.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from autograd_core import dtypes
from autograd_core.ops import elementwise as e
from autograd_core.ops import reductions
from autograd_core.ops.contractions import cross as _cross
from autograd_core.ops.products import matmul
from autograd_core.ops.shape import broadcast_shapes
from autograd_core.primitive import primitive, unary
from autograd_core.tensor import Tensor, wrap


class SignAndLog(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


def _transposed(F: Any, x: Any) -> Any:
    n = len(x.shape)
    return F.permute(x, (*range(n - 2), n - 1, n - 2))


def _inverse_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (y,) = ctx.saved
    return (F.neg(F.matmul_tn(y, F.matmul_nt(g, y))),)


def _solve_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    a, x = ctx.saved
    gb = F.solve(_transposed(F, a), g)
    return (None if ctx.inputs[0] is None else F.neg(F.matmul_nt(gb, x))), gb


def _determinant_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    return (F.mul(F.reshape(F.mul(g, y), (*ctx.shape, 1, 1)), _transposed(F, F.inverse(x))),)


def _log_determinant_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(F.reshape(g, (*ctx.shape, 1, 1)), _transposed(F, F.inverse(ctx.saved[0]))),)


_inverse: Any = unary("inverse", _inverse_rule, saves_output=True)
_solve: Any = primitive("solve", _solve_rule, inputs=2, saves=(0,), saves_output=True)
_determinant: Any = primitive("determinant", _determinant_rule, inputs=1, saves=(0,), saves_output=True)
_log_determinant: Any = unary("log_determinant", _log_determinant_rule, saves=(0,))


def _square(name: str, *matrices: Tensor) -> None:
    for x in matrices[:1]:
        if x._data.ndim < 2 or x._data.shape[-1] != x._data.shape[-2]:
            raise RuntimeError(f"linalg.{name}: A must be batches of square matrices, got shape {tuple(x.shape)}")
    for x in matrices:
        if x._data.dtype.kind != "f" or x.dtype is not matrices[0].dtype:
            found = ", ".join(str(m.dtype) for m in matrices)
            raise RuntimeError(f"linalg.{name}: expected one floating-point dtype, got {found}; use .to(dtype)")
        if x._backend is not matrices[0]._backend:
            raise RuntimeError(f"linalg.{name}: expected all tensors on one device; move one with .to(device)")


def _checked(name: str, function: Any, *matrices: Tensor) -> Tensor:
    try:
        return function(*matrices)  # type: ignore[no-any-return]
    except ValueError as error:  # The array libraries' own error for a singular matrix is a ValueError.
        raise RuntimeError(
            f"linalg.{name}: {error}: a matrix of {tuple(matrices[0].shape)} cannot be inverted"
        ) from None


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices. Raises `RuntimeError` for other shapes and for singular matrices.

    >>> import autograd_core as ag
    >>> ag.linalg.inv(ag.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    _square("inv", A)
    return _checked("inv", _inverse, A)


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X with A X = B (or X A = B, unless `left`); B is a matrix (..., n, k), or a vector (..., n) where its shape
    is A's without the last dimension. Raises `RuntimeError` for singular matrices and shapes that do not fit.

    >>> import autograd_core as ag
    >>> ag.linalg.solve(ag.tensor([[2.0]]), ag.tensor([4.0]))
    tensor([2.])
    """
    _square("solve", A, B)
    if B._data.ndim == 1 or (B._data.ndim == A._data.ndim - 1 and B._data.shape == A._data.shape[:-1]):
        if not left:
            raise RuntimeError("linalg.solve: X A = B needs a matrix B, got a vector")
        return solve(A, B.unsqueeze(-1)).squeeze(-1)  # type: ignore[no-any-return]
    if not left:
        return solve(A.mT, B.mT).mT  # type: ignore[no-any-return]
    if B._data.shape[-2] != A._data.shape[-1]:
        raise RuntimeError(
            f"linalg.solve: incompatible shapes of A and B for A X = B: {tuple(A.shape)} and {tuple(B.shape)}"
        )
    batch = broadcast_shapes(A._data.shape[:-2], B._data.shape[:-2])
    a, b = A.expand(*batch, *A._data.shape[-2:]), B.expand(*batch, *B._data.shape[-2:])
    return _checked("solve", _solve, a, b)


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices. Its gradient, det(A) A^-T, raises for singular matrices.

    >>> import autograd_core as ag
    >>> ag.linalg.det(ag.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor(6.)
    """
    _square("det", A)
    return _determinant(A)  # type: ignore[no-any-return]


def slogdet(A: Tensor) -> SignAndLog:
    """The sign of the determinant and the logarithm of its size, which neither overflows nor underflows.

    >>> import autograd_core as ag
    >>> ag.linalg.slogdet(ag.eye(2)).logabsdet
    tensor(0.)
    """
    _square("slogdet", A)
    backend = A._backend
    sign = wrap(backend.as_array(backend.sign_of_determinant(A._data)), backend)
    return SignAndLog(sign, _log_determinant(A))


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
    return out.squeeze(0) if first else out  # type: ignore[no-any-return]


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner product along `dim`, other dimensions broadcast.

    >>> import autograd_core as ag
    >>> ag.linalg.vecdot(ag.ones(2, 3), ag.ones(3))
    tensor([3., 3.])
    """
    if x._data.dtype.kind != "f" or y._data.dtype.kind != "f":
        raise RuntimeError(f"linalg.vecdot: expected floating-point tensors, got {x.dtype} and {y.dtype}; use .float()")
    return (x * y).sum(dim)  # type: ignore[no-any-return]


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
        size = A._data.shape[-1]
        i = A.new_tensor(list(range(size)), dtype=dtypes.int64)
        return e.eq(i.unsqueeze(1), i).to(A.dtype).expand(*A._data.shape).clone()  # type: ignore[no-any-return]
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
    return A.diagonal(offset, dim1, dim2)  # type: ignore[no-any-return]


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `dim` or all elements; ord may be 0 or infinite.

    >>> import autograd_core as ag
    >>> ag.linalg.vector_norm(ag.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return reductions.norm(x, ord, dim, keepdim, dtype)


def matrix_norm(
    A: Tensor,
    ord: Any = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """'fro': the root of the sum of squares; 1 and -1: the greatest and least sum of a column's sizes; inf and -inf: of
    a row's. Raises `NotImplementedError` for the norms of singular values (2, -2, 'nuc').

    >>> import autograd_core as ag
    >>> ag.linalg.matrix_norm(ag.ones(2, 2))
    tensor(2.)
    """
    rows, columns = (A._dim(d) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different, got {tuple(dim)}")
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim, dtype=dtype)
    if ord not in (1, -1, math.inf, -math.inf):
        raise NotImplementedError(f"linalg.matrix_norm: order {ord!r} is not supported; use 'fro', 1, -1, inf or -inf")
    over, rest = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = vector_norm(A, 1, over, True, dtype=dtype)
    out = sums.amax(rest, True) if ord > 0 else sums.amin(rest, True)
    return out if keepdim else out.squeeze((rows, columns))  # type: ignore[no-any-return]


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where that is negative.

    >>> import autograd_core as ag
    >>> ag.logdet(ag.eye(2))
    tensor(0.)
    """
    sign, size = slogdet(input)
    return e.where(sign < 0, e.fill(size, math.nan), size)  # type: ignore[no-any-return]


# Those that PyTorch also has under its own name, and as methods.
PUBLIC = {"inverse": inv}
FUNCTIONS = ("inverse", "det", "slogdet", "logdet", "matrix_power")
METHODS = FUNCTIONS
INPLACE: tuple[str, ...] = ()

"""Inverses, systems of equations and determinants.

Gradients: Giles, "An extended collection of matrix derivative results", 2008.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autograd_core import dtypes, recorder
from autograd_core.backends.matrices import LinAlgError
from autograd_core.linalg.checks import expanded, identity, matrices, rows_in_order, square, transposed
from autograd_core.ops import elementwise as e
from autograd_core.ops.products import matmul
from autograd_core.ops.shape import broadcast_shapes
from autograd_core.primitive import primitive, unary
from autograd_core.tensor import Tensor, wrap


class SignAndLog(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


class InverseAndInfo(NamedTuple):
    """What `inv_ex` returns."""

    inverse: Tensor
    info: Tensor


class ResultAndInfo(NamedTuple):
    """What `solve_ex` returns."""

    result: Tensor
    info: Tensor


class TriangularSolution(NamedTuple):
    """What `triangular_solve` returns."""

    solution: Tensor
    cloned_coefficient: Tensor


def _inverse_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (y,) = ctx.saved
    return (F.neg(F.matmul_tn(y, F.matmul_nt(g, y))),)


def _solve_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    a, x = ctx.saved
    gb = F.solve(transposed(F, a), g)
    return (None if ctx.inputs[0] is None else F.neg(F.matmul_nt(gb, x))), gb


def _triangular_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    a, x = ctx.saved
    upper, unitriangular = ctx.params
    gb = F.solve_triangular(transposed(F, a), g, not upper, unitriangular)
    if ctx.inputs[0] is None:
        return None, gb
    ga = F.neg(F.matmul_nt(gb, x))
    return (F.triu(ga, int(unitriangular)) if upper else F.tril(ga, -int(unitriangular))), gb


def _of_matrix(F: Any, g: Any) -> Any:
    return F.reshape(g, (*g.shape, 1, 1))


def _determinant_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(_of_matrix(F, g), F.cofactor(ctx.saved[0])),)


def _cofactor_backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """It is D, the second derivative of det, applied to its argument h. For the third: with M = x^-1, a = M g, b = M h,
    g'D(h) = det(x) (tr a tr b - tr ab)."""
    h, x = ctx.saved
    gh = None if ctx.inputs[0] is None else F.cofactor_backward(g, x)
    if ctx.inputs[1] is None:
        return gh, None
    m = F.inverse(x)
    a, b = F.matmul(m, g), F.matmul(m, h)
    ab, ba = F.matmul(a, b), F.matmul(b, a)
    ta, tb = _trace(F, a), _trace(F, b)
    inner = F.sub(F.add(ab, ba), F.add(F.mul(a, tb), F.mul(b, ta)))
    inner = F.add(inner, F.mul(identity(F, ab), F.sub(F.mul(ta, tb), _trace(F, ab))))
    return gh, F.mul(_of_matrix(F, F.determinant(x)), transposed(F, F.matmul(inner, m)))


def _trace(F: Any, x: Any) -> Any:
    n = len(x.shape)
    return F.sum(F.mul(x, identity(F, x)), (n - 2, n - 1), True)


def _log_determinant_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(_of_matrix(F, g), transposed(F, F.inverse(ctx.saved[0]))),)


_inverse: Any = unary("inverse", _inverse_rule, saves_output=True)
_solve: Any = primitive("solve", _solve_rule, inputs=2, saves=(0,), saves_output=True)
_triangular: Any = primitive("solve_triangular", _triangular_rule, inputs=2, saves=(0,), saves_output=True)
_determinant: Any = unary("determinant", _determinant_rule, saves=(0,))
_cofactor: Any = unary("cofactor", lambda F, g, ctx: (F.cofactor_backward(g, ctx.saved[0]),), saves=(0,))
_cofactor_backward: Any = primitive("cofactor_backward", _cofactor_backward_rule, inputs=2, saves=(0, 1))
_log_determinant: Any = unary("log_determinant", _log_determinant_rule, saves=(0,))
_sign_of_determinant: Any = unary(
    "sign_of_determinant", lambda F, g, ctx: (F.fill(ctx.saved[0], 0.0),), saves=(0,)
)  # fmt: skip


# -- errors -----------------------------------------------------------------------------------------------


def raise_for(name: str, reason: str, A: Tensor, info: Tensor) -> None:
    """Raise `LinAlgError` for the first matrix of the batch whose `info` is not 0."""
    for i, order in enumerate(info.reshape(-1).tolist()):
        if order:
            place = f"(batch element {i}) " if A.ndim > 2 else ""
            raise LinAlgError(f"{name}: {place}a matrix of {tuple(A.shape)}: {reason} (at order {order})", {i: order})


def without_errors(function: Callable[[Tensor], Tensor], A: Tensor, check_errors: bool) -> tuple[Tensor, Tensor]:
    """`function(A)`, NaN for the matrices for which it fails; and for each the order at which it does, else 0."""
    batch = A._data.shape[:-2]
    info = A.new_zeros(batch, dtype=dtypes.int32)
    if recorder.recording:
        recorder.note_value_read()  # Whether it fails.
    try:
        return function(A), info
    except LinAlgError as error:
        if check_errors or not error.elements:
            raise
        orders = [error.elements.get(i, 0) for i in range(math.prod(batch))]
    info = A.new_tensor(orders, dtype=dtypes.int32).reshape(batch)
    failed = e.ne(info, 0).reshape(*batch, 1, 1)
    eye = A.new_tensor(1.0).expand(*A._data.shape[-2:]).tril().triu()
    return e.where(failed, math.nan, function(e.where(failed, eye, A))), info


# -- inverses and systems -----------------------------------------------------------------------------------


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices. Raises `RuntimeError` for other shapes, `LinAlgError` for singular matrices.

    >>> import autograd_core as ag
    >>> ag.linalg.inv(ag.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    square("linalg.inv", A)
    return _inverse(A)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> InverseAndInfo:
    """`inv` that raises only if `check_errors`: `info` is 0, or the order at which elimination met a zero, and the
    inverse is NaN there.

    >>> import autograd_core as ag
    >>> ag.linalg.inv_ex(ag.zeros(2, 2)).info
    tensor(1, dtype=ag.int32)
    """
    square("linalg.inv_ex", A)
    return InverseAndInfo(*without_errors(inv, A, check_errors))


def _arranged(name: str, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """`A` and `B`, the left and right side of a system of equations, with their leading dimensions broadcast."""
    if B._data.shape[-2] != A._data.shape[-1]:
        raise RuntimeError(
            f"{name}: incompatible shapes of A and B: {tuple(A.shape)} and {tuple(B.shape)}; A X = B needs as many "
            "rows of B as of A, X A = B as many columns"
        )
    batch = broadcast_shapes(A._data.shape[:-2], B._data.shape[:-2])
    return expanded(A, *batch, *A._data.shape[-2:]), expanded(B, *batch, *B._data.shape[-2:])


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X with A X = B (or X A = B, unless `left`); B is a matrix (..., n, k), or a vector (..., n) where its shape
    is A's without the last dimension. Raises `LinAlgError` for singular matrices, `RuntimeError` for shapes that do not
    fit.

    >>> import autograd_core as ag
    >>> ag.linalg.solve(ag.tensor([[2.0]]), ag.tensor([4.0]))
    tensor([2.])
    """
    square("linalg.solve", A, B)
    if B._data.ndim == 1 or (B._data.ndim == A._data.ndim - 1 and B._data.shape == A._data.shape[:-1]):
        if not left:
            raise RuntimeError("linalg.solve: X A = B needs a matrix B, got a vector")
        return solve(A, B.unsqueeze(-1)).squeeze(-1)
    matrices("linalg.solve", B)
    if not left:
        return solve(A.mT, B.mT).mT
    return _solve(*_arranged("linalg.solve", A, B))


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> ResultAndInfo:
    """`solve` that raises only if `check_errors`: `info` is 0, or the order at which elimination of A met a zero, and
    the result is NaN there.

    >>> import autograd_core as ag
    >>> ag.linalg.solve_ex(ag.eye(2), ag.ones(2)).info
    tensor(0, dtype=ag.int32)
    """
    if recorder.recording:
        recorder.note_value_read()  # Whether it fails.
    try:
        return ResultAndInfo(solve(A, B, left=left), A.new_zeros(A._data.shape[:-2], dtype=dtypes.int32))
    except LinAlgError:
        if check_errors:
            raise
    # The error names elements of A and B together: which of A's fail, its inverse tells.
    _, info = without_errors(inv, A.detach(), False)
    failed = e.ne(info, 0).reshape(*A._data.shape[:-2], 1, 1)
    eye = A.new_tensor(1.0).expand(*A._data.shape[-2:]).tril().triu()
    result = solve(e.where(failed, eye, A), B, left=left)
    vector = result.ndim < max(A.ndim, B.ndim) or B.ndim == 1
    return ResultAndInfo(e.where(failed.squeeze(-1) if vector else failed, math.nan, result), info)


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:  # fmt: skip
    """The X with A X = B (or X A = B, unless `left`), where of A only the upper (or lower) triangle is read, and its
    diagonal taken to be ones if `unitriangular`. Raises `LinAlgError` for a zero on the diagonal.

    >>> import autograd_core as ag
    >>> ag.linalg.solve_triangular(ag.tensor([[2.0, 9.0], [0.0, 4.0]]), ag.tensor([[0.0], [4.0]]), upper=True)
    tensor([[-4.5000],
            [ 1.0000]])
    """
    square("linalg.solve_triangular", A, B)
    matrices("linalg.solve_triangular", B)
    if not left:
        return solve_triangular(A.mT, B.mT, upper=not upper, unitriangular=unitriangular).mT
    a, b = _arranged("linalg.solve_triangular", A, B)
    return _triangular(a, b, bool(upper), bool(unitriangular))


def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> TriangularSolution:
    """The X with A X = b (or A' X = b if `transpose`), and a copy of A: the older form of `linalg.solve_triangular`.

    >>> import autograd_core as ag
    >>> ag.triangular_solve(ag.tensor([[4.0]]), ag.tensor([[2.0]])).solution
    tensor([[2.]])
    """
    square("triangular_solve", A, b)
    matrix = A.mT if transpose else A
    x = solve_triangular(matrix, b, upper=bool(upper) != bool(transpose), unitriangular=unitriangular)
    return TriangularSolution(x, expanded(A, *x._data.shape[:-2], *A._data.shape[-2:]).clone())


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The X with A X = B, A = L L' given by its Cholesky factor L (or A = U' U by U, if `upper`).

    >>> import autograd_core as ag
    >>> ag.cholesky_solve(ag.tensor([[8.0]]), ag.tensor([[2.0]]))
    tensor([[2.]])
    """
    square("cholesky_solve", L, B)
    low = L.mT if upper else L
    return solve_triangular(low.mT, solve_triangular(low, B, upper=False), upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = L L' given by its Cholesky factor L (or of A = U' U by U, if `upper`).

    >>> import autograd_core as ag
    >>> ag.cholesky_inverse(ag.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    square("cholesky_inverse", L)
    eye = L.new_tensor(1.0).expand(*L._data.shape[-2:]).tril().triu()
    low = solve_triangular(L.mT if upper else L, eye, upper=False)
    return matmul(low.mT, low)


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The X with A X = B (or X A = B, unless `left`), or with A' in place of A if `adjoint`, where `LU` and `pivots`
    are what `lu_factor(A)` returned. Raises `LinAlgError` for singular matrices.

    >>> import autograd_core as ag
    >>> ag.linalg.lu_solve(*ag.linalg.lu_factor(ag.tensor([[2.0]])), ag.tensor([[4.0]]))
    tensor([[2.]])
    """
    square("linalg.lu_solve", LU, B)
    matrices("linalg.lu_solve", B)
    if pivots._data.dtype != "int32" or pivots._data.shape != LU._data.shape[:-1]:
        raise RuntimeError(
            f"linalg.lu_solve: expected pivots of int32 and shape {tuple(LU.shape[:-1])}, got {pivots.dtype} and "
            f"{tuple(pivots.shape)}; use those of linalg.lu_factor"
        )
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    _, b = _arranged("linalg.lu_solve", LU, B)
    order = wrap(LU._backend.lu_order(pivots._data, LU._data.shape[-1]), LU._backend)
    if adjoint:
        x = solve_triangular(LU.mT, b, upper=False)
        x = solve_triangular(LU.mT, x, upper=True, unitriangular=True)
        return rows_in_order(x, order.argsort(-1))
    x = solve_triangular(LU, rows_in_order(b, order), upper=False, unitriangular=True)
    return solve_triangular(LU, x, upper=True)


def lu_solve_b(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The older form of `linalg.lu_solve`, with the right side first.

    >>> import autograd_core as ag
    >>> ag.lu_solve(ag.tensor([[4.0]]), *ag.linalg.lu_factor(ag.tensor([[2.0]])))
    tensor([[2.]])
    """
    return lu_solve(LU_data, LU_pivots, b)


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A taken as a matrix whose rows are its first `ind` dimensions: of shape A.shape[ind:] +
    A.shape[:ind].

    >>> import autograd_core as ag
    >>> ag.linalg.tensorinv(ag.eye(6).reshape(2, 3, 6)).shape
    ag.Size([6, 2, 3])
    """
    if ind <= 0:
        raise RuntimeError(f"linalg.tensorinv: expected a positive ind, got {ind}")
    first, last = A._data.shape[:ind], A._data.shape[ind:]
    if math.prod(first) != math.prod(last):
        raise RuntimeError(
            f"linalg.tensorinv: the first {ind} dimensions of {tuple(A.shape)} hold {math.prod(first)} elements, the "
            f"others {math.prod(last)}; expected as many"
        )
    return inv(A.reshape(math.prod(first), math.prod(last))).reshape(*last, *first)


def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B; the dimensions `dims` of A are moved to its end first.

    >>> import autograd_core as ag
    >>> ag.linalg.tensorsolve(ag.eye(6).reshape(2, 3, 6), ag.ones(2, 3)).shape
    ag.Size([6])
    """
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = A._data.shape[B.ndim :]
    n = B.numel()
    if A._data.shape[: B.ndim] and math.prod(shape) != n or A.numel() != n * n:
        raise RuntimeError(
            f"linalg.tensorsolve: expected A of the shape of B, {tuple(B.shape)}, and further dimensions with as many "
            f"elements, got {tuple(A.shape)}"
        )
    return solve(A.reshape(n, n), B.reshape(n)).reshape(*shape)


# -- determinants -----------------------------------------------------------------------------------------


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices. Its gradients, of first and second order, are right for singular ones too;
    from the third order on a singular matrix is a `LinAlgError`.

    >>> import autograd_core as ag
    >>> ag.linalg.det(ag.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor(6.)
    """
    square("linalg.det", A)
    return _determinant(A)


def slogdet(A: Tensor) -> SignAndLog:
    """The sign of the determinant and the logarithm of its size, which neither overflows nor underflows; 0 and -inf for
    singular matrices, for which the gradient raises `LinAlgError`.

    >>> import autograd_core as ag
    >>> ag.linalg.slogdet(ag.eye(2)).logabsdet
    tensor(0.)
    """
    square("linalg.slogdet", A)
    return SignAndLog(_sign_of_determinant(A), _log_determinant(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where that is negative.

    >>> import autograd_core as ag
    >>> ag.logdet(ag.eye(2))
    tensor(0.)
    """
    sign, size = slogdet(input)
    return e.where(sign < 0, e.fill(size, math.nan), size)

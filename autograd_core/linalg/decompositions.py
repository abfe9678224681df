"""Singular values, eigenvalues, and the factors of Cholesky, QR and LU.

Their gradients: Giles, "An extended collection of matrix derivative results", 2008; Townsend, "Differentiating the
singular value decomposition", 2016; Walter and Lehmann, "Algorithmic differentiation of linear algebra functions",
2010 (QR); Murray, "Differentiation of the Cholesky decomposition", 2016.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from autograd_core.engine import Node
from autograd_core.linalg.checks import (
    as_column,
    as_row,
    columns,
    identity,
    matrices,
    rows,
    rows_in_order,
    square,
    total,
    transposed,
)
from autograd_core.ops import elementwise as e
from autograd_core.primitive import Primitive, apply_many, primitive, unary
from autograd_core.tensor import Tensor, wrap


class Svd(NamedTuple):
    """What `linalg.svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class SvdWithV(NamedTuple):
    """What `svd` returns: V, not its transpose."""

    U: Tensor
    S: Tensor
    V: Tensor


class Eigen(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class Qr(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


class CholeskyAndInfo(NamedTuple):
    """What `cholesky_ex` returns."""

    L: Tensor
    info: Tensor


class Lu(NamedTuple):
    """What `lu` returns."""

    P: Tensor
    L: Tensor
    U: Tensor


class PackedLu(NamedTuple):
    """What `lu_factor` returns."""

    LU: Tensor
    pivots: Tensor


class PackedLuAndInfo(NamedTuple):
    """What `lu_factor_ex` returns."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class Decomposition(Primitive):
    """A primitive of one matrix with several outputs, which its rule reads. Under `create_graph` they are computed once
    more, as functions of the input, so that the gradient can itself be differentiated."""

    __slots__ = ("outputs",)

    def __init__(self, name: str, vjp: Any, outputs: int) -> None:
        super().__init__(name, vjp, saves=(0,))
        self.outputs = outputs

    def __call__(self, x: Tensor, *params: Any) -> tuple[Tensor, ...]:
        found = apply_many(self, (x,), params, self.outputs)
        node = found[0]._node
        if node is not None:
            parent = node.inputs[0]
            parent.saved = (*parent.saved, *(t._data for t in found))
        return found

    def saved_tensors(self, node: Node) -> tuple[Any, ...]:
        x = wrap(node.saved[0], node.backend, node.inputs[0])
        return (x, *self(x, *node.params))


def _skew(F: Any, x: Any) -> Any:
    return F.sub(x, transposed(F, x))


def _svd_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    _, u, s, vh = ctx.saved
    gu, gs, gvh = g
    k = s.shape[-1]
    # Of square U and V' only the first k columns and rows are functions of the matrix, up to their signs.
    u, vh = columns(F, u, None, k), rows(F, vh, None, k)
    gu = None if gu is None else columns(F, gu, None, k)
    gvh = None if gvh is None else rows(F, gvh, None, k)
    row, column = as_row(F, s), as_column(F, s)
    m, n = u.shape[-2], vh.shape[-1]
    inner = None if gs is None else F.mul(as_column(F, gs), identity(F, F.mul(row, column)))
    outer = None
    if gu is not None or gvh is not None:
        gaps = F.mul(F.sub(row, column), F.add(row, column))
        gaps = F.add(gaps, identity(F, gaps))
    if gu is not None:
        seen = F.matmul_tn(u, gu)
        inner = total(F, inner, F.mul(F.div(_skew(F, seen), gaps), row))
        if m > k:
            outer = F.matmul(F.div(F.sub(gu, F.matmul(u, seen)), row), vh)
    if gvh is not None:
        seen = F.matmul_nt(vh, gvh)
        inner = total(F, inner, F.mul(F.div(_skew(F, seen), gaps), column))
        if n > k:
            rest = F.sub(gvh, F.matmul_tn(seen, vh))
            outer = total(F, outer, F.matmul(u, F.div(rest, column)))
    return (total(F, F.matmul(u, F.matmul(inner, vh)), outer),)


def _eigh_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    _, w, v = ctx.saved
    gw, gv = g
    gaps = F.sub(as_row(F, w), as_column(F, w))
    eye = identity(F, gaps)
    inner = None if gw is None else F.mul(as_column(F, gw), eye)
    if gv is not None:
        turned = F.div(_skew(F, F.matmul_tn(v, gv)), F.add(gaps, eye))
        inner = total(F, inner, F.mul(turned, 0.5))
    return (F.matmul(v, F.matmul_nt(inner, v)),)


def _qr_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    a, q, r = ctx.saved
    gq, gr = g
    m, n = a.shape[-2:]
    if q.shape[-1] > n:
        raise RuntimeError(
            f"linalg.qr: mode='complete' has no gradient for matrices with more rows than columns, got {tuple(a.shape)}"
            ": the further columns of Q are not functions of A; use mode='reduced'"
        )
    if m >= n:
        return (_square_qr_gradient(F, q, r, gq, gr),)
    # A = (X | Y), X square: X = Q R1 and R2 = Q' Y.
    gr1 = gy = None
    if gr is not None:
        gr1, gr2 = columns(F, gr, None, m), columns(F, gr, m, None)
        gq = total(F, gq, F.matmul_nt(columns(F, a, m, None), gr2))
        gy = F.matmul(q, gr2)
    gx = _square_qr_gradient(F, q, columns(F, r, None, m), gq, gr1)
    return (F.cat((gx, F.fill(columns(F, a, m, None), 0.0) if gy is None else gy), len(a.shape) - 1),)


def _square_qr_gradient(F: Any, q: Any, r: Any, gq: Any, gr: Any) -> Any:
    """(gQ + Q sym(M)) R^-T with M = R gR' - gQ' Q, whose lower triangle `sym` mirrors."""
    middle = total(
        F, None if gr is None else F.matmul_nt(r, gr), None if gq is None else F.neg(F.matmul_tn(gq, q))
    )  # fmt: skip
    mirrored = F.add(F.tril(middle, 0), transposed(F, F.tril(middle, -1)))
    whole = total(F, gq, F.matmul(q, mirrored))
    return transposed(F, F.solve_triangular(r, transposed(F, whole), True, False))


def _cholesky_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (low,) = ctx.saved
    seen = F.matmul_tn(low, g)
    half = F.mul(F.add(F.tril(seen, 0), F.tril(seen, -1)), 0.5)
    up = transposed(F, low)
    left = F.solve_triangular(up, half, True, False)
    both = F.solve_triangular(up, transposed(F, left), True, False)
    return (F.mul(F.add(both, transposed(F, both)), 0.5),)


def _lu_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """Of x = L U, of any shape. With k = min(m, n), only the leading k x k block is eliminated; what stands below it is
    A2 U^-1, and to the right of it L^-1 A2."""
    (packed,) = ctx.saved
    m, n = packed.shape[-2:]
    k = min(m, n)
    block, gblock = columns(F, rows(F, packed, None, k), None, k), columns(F, rows(F, g, None, k), None, k)
    up = F.triu(block, 0)
    low = F.add(F.tril(block, -1), identity(F, block))
    low_t, up_t = transposed(F, low), transposed(F, up)
    glow, gup = F.tril(gblock, -1), F.triu(gblock, 0)
    outside = None
    if m > k:
        outside = transposed(F, F.solve_triangular(up, transposed(F, rows(F, g, k, None)), True, False))
        gup = F.sub(gup, F.triu(F.matmul_tn(rows(F, packed, k, None), outside), 0))
    elif n > k:
        outside = F.solve_triangular(low_t, columns(F, g, k, None), True, True)
        glow = F.sub(glow, F.tril(F.matmul_nt(outside, columns(F, packed, k, None)), -1))
    inner = F.add(F.tril(F.matmul(low_t, glow), -1), F.triu(F.matmul(gup, up_t), 0))
    left = F.solve_triangular(low_t, inner, True, True)
    both = transposed(F, F.solve_triangular(up, transposed(F, left), True, False))
    if outside is None:
        return both, None
    return F.cat((both, outside), len(packed.shape) - (2 if m > k else 1)), None


_svd = Decomposition("svd", _svd_rule, 3)
_eigh = Decomposition("eigh", _eigh_rule, 2)
_qr = Decomposition("qr", _qr_rule, 2)
_cholesky: Any = unary("cholesky", _cholesky_rule, saves_output=True)
_lu_factors: Any = primitive("lu_factors", _lu_rule, inputs=2, saves_output=True)


def _values(name: str, A: Tensor, *params: Any) -> Tensor:
    """A kernel's result without a gradient."""
    return wrap(getattr(A._backend, name)(A._data, *params), A._backend)


# -- singular values and eigenvalues ------------------------------------------------------------------------


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Svd:
    """A = U diag(S) Vh with orthogonal U and Vh; the singular values S in descending order. A is (..., m, n); without
    `full_matrices`, U is (..., m, k) and Vh (..., k, n), k = min(m, n). `driver` chooses among PyTorch's CUDA methods
    and must be None here.

    Singular vectors are unique up to sign (and rotation, where values repeat): only losses that do not depend on the
    choice have gradients. Those of U and Vh hold 1 / (s_i^2 - s_j^2): they are infinite or NaN where values repeat.
    Raises `LinAlgError` for matrices that are not finite.

    >>> import autograd_core as ag
    >>> ag.linalg.svd(ag.tensor([[3.0, 0.0], [0.0, 2.0]])).S
    tensor([3., 2.])
    """
    matrices("linalg.svd", A)
    if driver is not None:
        raise RuntimeError(f"linalg.svd: driver={driver!r} is not supported: it is for PyTorch on CUDA; leave it out")
    return Svd(*_svd(A, bool(full_matrices)))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of A, in descending order. Their gradient is defined also where values repeat.

    >>> import autograd_core as ag
    >>> ag.linalg.svdvals(ag.tensor([[0.0, 2.0], [3.0, 0.0]]))
    tensor([3., 2.])
    """
    matrices("linalg.svdvals", A)
    return svd(A, False, driver=driver).S if A.requires_grad or driver is not None else _values("svdvals", A)


def svd_with_v(input: Tensor, some: bool = True, compute_uv: bool = True) -> SvdWithV:
    """A = U diag(S) V', as `linalg.svd`, but with V itself; `some` is not `full_matrices`. Without `compute_uv`, U and
    V are zeros.

    >>> import autograd_core as ag
    >>> ag.svd(ag.tensor([[3.0, 0.0], [0.0, 2.0]])).S
    tensor([3., 2.])
    """
    matrices("svd", input)
    if compute_uv:
        u, s, vh = svd(input, not some)
        return SvdWithV(u, s, vh.mT)
    *batch, m, n = input._data.shape
    return SvdWithV(input.new_zeros((*batch, m, m)), svdvals(input), input.new_zeros((*batch, n, n)))


def _triangle(name: str, A: Tensor, UPLO: str) -> str:
    """Which triangle of `A` to read."""
    square(name, A)
    if UPLO not in ("L", "l", "U", "u"):
        raise RuntimeError(f"{name}: UPLO must be 'L' or 'U', got {UPLO!r}")
    return UPLO.upper()


def eigh(A: Tensor, UPLO: str = "L") -> Eigen:
    """A = V diag(w) V' of symmetric matrices, w in ascending order, the columns of V orthonormal. Only the lower
    triangle is read (the upper one for UPLO='U'); the gradient is that of a symmetric A.

    Eigenvectors are unique up to sign: only losses that do not depend on the choice have gradients. Those of V hold
    1 / (w_i - w_j): they are infinite or NaN where eigenvalues repeat. Raises `LinAlgError` for matrices that are not
    finite.

    >>> import autograd_core as ag
    >>> ag.linalg.eigh(ag.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return Eigen(*_eigh(A, _triangle("linalg.eigh", A, UPLO)))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, in ascending order. Their gradient is defined also where they repeat.

    >>> import autograd_core as ag
    >>> ag.linalg.eigvalsh(ag.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([-1.,  1.])
    """
    triangle = _triangle("linalg.eigvalsh", A, UPLO)
    return _eigh(A, triangle)[0] if A.requires_grad else _values("eigvalsh", A, triangle)


# -- Cholesky, QR, LU -------------------------------------------------------------------------------------


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with A = L L' (or U with A = U' U) of symmetric positive-definite matrices, of which only
    that triangle is read. Raises `LinAlgError` for others.

    >>> import autograd_core as ag
    >>> ag.linalg.cholesky(ag.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    square("linalg.cholesky", A)
    return _cholesky(A.mT).mT if upper else _cholesky(A)


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyAndInfo:
    """`cholesky` that raises only if `check_errors`: `info` is 0, or the order of the leading block that is not
    positive-definite, and L is NaN there.

    >>> import autograd_core as ag
    >>> ag.linalg.cholesky_ex(ag.tensor([[-1.0]])).info
    tensor(1, dtype=ag.int32)
    """
    from autograd_core.linalg.systems import without_errors

    square("linalg.cholesky_ex", A)
    return CholeskyAndInfo(*without_errors(lambda x: cholesky(x, upper=upper), A, check_errors))


def qr(A: Tensor, mode: str = "reduced") -> Qr:
    """A = Q R, the columns of Q orthonormal, R upper triangular. For A (..., m, n) and k = min(m, n), 'reduced' gives Q
    (..., m, k) and R (..., k, n), 'complete' Q (..., m, m) and R (..., m, n); 'r' R alone, Q is empty.

    The gradient needs the first k columns of A to be independent (else `LinAlgError`); 'complete' has none for m > n.

    >>> import autograd_core as ag
    >>> Q, R = ag.linalg.qr(ag.tensor([[0.0, 2.0], [3.0, 1.0]]))
    >>> Q @ R
    tensor([[0., 2.],
            [3., 1.]])
    """
    matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"linalg.qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    q, r = _qr(A, mode == "complete")
    return Qr(A.new_empty((0,)) if mode == "r" else q, r)


def qr_some(input: Tensor, some: bool = True) -> Qr:
    """`linalg.qr`, 'reduced' or (not `some`) 'complete'.

    >>> import autograd_core as ag
    >>> ag.qr(ag.ones(3, 2)).Q.shape
    ag.Size([3, 2])
    """
    return qr(input, "reduced" if some else "complete")


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> PackedLuAndInfo:
    """`lu_factor` that raises only if `check_errors`: `info` is 0, or the order of the first zero on U's diagonal.

    >>> import autograd_core as ag
    >>> ag.linalg.lu_factor_ex(ag.zeros(2, 2)).info
    tensor(1, dtype=ag.int32)
    """
    from autograd_core.linalg.systems import raise_for

    matrices("linalg.lu_factor", A)
    backend = A._backend
    packed, pivots, info = (wrap(backend.as_array(x), backend) for x in backend.lu(A._data, bool(pivot)))
    if check_errors:
        raise_for("linalg.lu_factor", "U has a zero on its diagonal and cannot be solved with", A, info)
    if A.requires_grad:
        order = wrap(backend.lu_order(pivots._data, A._data.shape[-2]), backend)
        packed = _lu_factors(rows_in_order(A, order), packed)
    return PackedLuAndInfo(packed, pivots, info)


def lu_factor(A: Tensor, *, pivot: bool = True) -> PackedLu:
    """P' A = L U in the form that `lu_solve` takes: L (below the diagonal, its ones left out) and U in one matrix, and
    the row that was exchanged with each, counted from 1. Raises `LinAlgError` if U has a zero on its diagonal.

    >>> import autograd_core as ag
    >>> ag.linalg.lu_factor(ag.tensor([[1.0, 2.0], [4.0, 4.0]])).LU
    tensor([[4.0000, 4.0000],
            [0.2500, 1.0000]])
    """
    return PackedLu(*lu_factor_ex(A, pivot=pivot, check_errors=True)[:2])


def lu(A: Tensor, *, pivot: bool = True) -> Lu:
    """A = P L U: a permutation, lower triangular with ones on the diagonal, upper triangular. Without `pivot`, P is
    empty and A = L U. The gradient needs the leading block of P' A to be invertible (else `LinAlgError`).

    >>> import autograd_core as ag
    >>> ag.linalg.lu(ag.tensor([[1.0, 2.0], [4.0, 4.0]])).P
    tensor([[0., 1.],
            [1., 0.]])
    """
    packed, pivots, _ = lu_factor_ex(A, pivot=pivot)
    P, L, U = lu_unpack(packed, pivots)
    return Lu(P if pivot else A.new_empty((0,)), L, U)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Lu:
    """P, L and U of what `lu_factor` returned; empty where they are not asked for.

    >>> import autograd_core as ag
    >>> ag.lu_unpack(*ag.linalg.lu_factor(ag.eye(2))).U
    tensor([[1., 0.],
            [0., 1.]])
    """
    matrices("lu_unpack", LU_data)
    if unpack_pivots and LU_pivots._data.dtype != "int32":
        raise RuntimeError(f"lu_unpack: expected pivots of int32, got {LU_pivots.dtype}; use those of linalg.lu_factor")
    m, n = LU_data._data.shape[-2:]
    k = min(m, n)
    P, L, U = (LU_data.new_empty((0,)) for _ in range(3))
    if unpack_pivots:
        backend = LU_data._backend
        order = wrap(backend.lu_order(LU_pivots._data, m), backend)
        every = order.new_tensor(list(range(m)), dtype=order.dtype)
        P = e.eq(every.unsqueeze(-1), order.unsqueeze(-2)).to(LU_data.dtype)
    if unpack_data:
        eye = LU_data.new_tensor(1.0).expand(m, k).tril().triu()
        L, U = LU_data[..., :k].tril(-1) + eye, LU_data[..., :k, :].triu()
    return Lu(P, L, U)

"""Norms of vectors and matrices, condition and rank, the pseudo-inverse and least squares.

The gradient of the pseudo-inverse: Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least
squares problems whose variables separate", SIAM J. Numer. Anal. 10, 1973.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from autograd_core import dtypes
from autograd_core.backends.matrices import LinAlgError
from autograd_core.linalg.checks import floating, matrices, square, transposed
from autograd_core.linalg.decompositions import eigvalsh, svdvals
from autograd_core.linalg.systems import inv_ex
from autograd_core.ops import elementwise as e
from autograd_core.ops import reductions
from autograd_core.ops.products import matmul
from autograd_core.primitive import primitive
from autograd_core.tensor import Tensor


class LeastSquares(NamedTuple):
    """What `lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def _pseudo_inverse_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """With P the pseudo-inverse: -P'gP' + (I - AP) g' P P' + P' P g' (I - PA)."""
    a, p = ctx.saved
    gt = transposed(F, g)
    out = F.neg(F.matmul_tn(p, F.matmul_nt(g, p)))
    left = F.matmul(F.matmul(gt, p), transposed(F, p))
    right = F.matmul(F.matmul_tn(p, p), gt)
    out = F.add(out, F.sub(left, F.matmul(a, F.matmul(p, left))))
    return F.add(out, F.sub(right, F.matmul(F.matmul(right, p), a))), None, None


_pseudo_inverse: Any = primitive("pseudo_inverse", _pseudo_inverse_rule, inputs=3, saves=(0,), saves_output=True)


# -- norms ------------------------------------------------------------------------------------------------


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `dim` or all elements; ord may be 0 or infinite.

    >>> import autograd_core as ag
    >>> ag.linalg.vector_norm(ag.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return reductions.norm(x, ord, dim, keepdim, dtype)


_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def matrix_norm(
    A: Tensor,
    ord: Any = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """'fro': the root of the sum of squares; 'nuc': the sum of the singular values; 2 and -2: the greatest and least of
    them; 1 and -1: the greatest and least sum of a column's sizes; inf and -inf: of a row's. `dim`: which dimensions
    are rows and columns. Computed in `dtype` where that is given.

    >>> import autograd_core as ag
    >>> ag.linalg.matrix_norm(ag.ones(2, 2))
    tensor(2.)
    """
    if A._data.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: expected 2 or more dimensions, got shape {tuple(A.shape)}")
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a pair of dimensions, got {dim}")
    rows, columns = (A._dim(d) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different, got {tuple(dim)}")
    if ord not in _ORDERS:
        raise RuntimeError(f"linalg.matrix_norm: order {ord!r} is not supported; use one of {_ORDERS}")
    if dtype is not None or A._data.dtype.kind != "f":
        A = _in_dtype("linalg.matrix_norm", A, dtype)
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        values = svdvals(A.movedim((rows, columns), (-2, -1)))
        out = values.sum(-1) if ord == "nuc" else _greatest(values, -1) if ord == 2 else values.amin(-1)
        for axis in sorted((rows, columns)) if keepdim else ():
            out = out.unsqueeze(axis)
        return out
    over, rest = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = vector_norm(A, 1, over, True)
    out = _greatest(sums, rest, True) if ord > 0 else sums.amin(rest, True)
    return out if keepdim else out.squeeze((rows, columns))


def _greatest(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """The greatest of numbers that are not negative: 0 if there are none."""
    return x.amax(dim, keepdim) if x._data.shape[dim] else x.sum(dim, keepdim)


def _in_dtype(name: str, x: Tensor, dtype: dtypes.dtype | None) -> Tensor:
    floating(name, x)
    if dtype is not None and (not dtype.is_floating_point or dtypes.promote_types(x.dtype, dtype) is not dtype):
        raise RuntimeError(f"{name}: dtype={dtype} cannot hold the values of {x.dtype}; use .to(dtype) to narrow them")
    return x if dtype is None else x.to(dtype)


def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The norm of a vector (`dim` an int, or A of one dimension) or of a matrix (`dim` a pair, or A of two dimensions);
    without `ord` the root of the sum of squares over `dim`, or over all elements.

    >>> import autograd_core as ag
    >>> ag.linalg.norm(ag.tensor([[3.0, 0.0], [0.0, 4.0]]), "nuc")
    tensor(7.)
    """
    axes = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if axes is not None and len(axes) not in (1, 2):
        raise RuntimeError(f"linalg.norm: dim must be one or two dimensions, got {axes}")
    if ord is None:
        return vector_norm(A, 2, axes, keepdim, dtype=dtype)
    if axes is None and A._data.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: with ord={ord!r} and without dim, expected 1 or 2 dimensions, got shape {tuple(A.shape)}"
        )
    if len(axes) == 2 if axes is not None else A._data.ndim == 2:
        return matrix_norm(A, ord, axes or (0, 1), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: ord={ord!r} is for matrices, got dim={axes} of shape {tuple(A.shape)}")
    return vector_norm(A, ord, axes, keepdim, dtype=dtype)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number |A| |A^-1| in the norm `p` of `matrix_norm`; 2 (the default, also of matrices that are not
    square) is the quotient of the greatest and least singular value, -2 its inverse. Infinite for singular matrices.

    >>> import autograd_core as ag
    >>> ag.linalg.cond(ag.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2.)
    """
    matrices("linalg.cond", A)
    if p is not None and p not in _ORDERS:
        raise RuntimeError(f"linalg.cond: order {p!r} is not supported; use None or one of {_ORDERS}")
    if p not in (None, 2, -2):
        square(f"linalg.cond with p={p!r}", A)
    if not A.numel():
        return A.new_zeros(A._data.shape[:-2])
    if p in (None, 2, -2):
        values = svdvals(A)
        greatest, least = values[..., 0], values[..., -1]
        return greatest / least if p != -2 else least / greatest
    inverse, info = inv_ex(A)
    out = matrix_norm(A, p) * matrix_norm(e.where((info != 0).unsqueeze(-1).unsqueeze(-1), 1.0, inverse), p)
    return e.where(info != 0, math.inf, out)


# -- rank, pseudo-inverse, least squares --------------------------------------------------------------------


def _tolerances(name: str, A: Tensor, atol: Any, rtol: Any) -> tuple[Tensor, Tensor]:
    """atol and rtol as tensors of A's leading shape. rtol is eps * max(m, n) by default, or 0 where atol > 0."""
    given = atol is not None
    parts = []
    for what, value in (("atol", atol), ("rtol", rtol)):
        if isinstance(value, Tensor):
            if value._data.dtype.kind == "c" or value._backend is not A._backend:
                raise RuntimeError(f"{name}: expected {what} on {A.device}, got {value.device}; use .to(device)")
            value = value.detach().to(A.dtype)
        parts.append(value)
    atol, rtol = (A.new_tensor(0.0 if v is None else v) if not isinstance(v, Tensor) else v for v in parts)
    if parts[1] is None:
        default = dtypes.finfo(A.dtype).eps * max(A._data.shape[-2:])
        rtol = e.where(atol > 0, 0.0, rtol.new_tensor(default)) if given else rtol.new_tensor(default)
    return atol, rtol


def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:  # fmt: skip
    """How many singular values (sizes of eigenvalues, if `hermitian`) exceed max(atol, rtol * the greatest). The
    tolerances are numbers or tensors of the leading shape; rtol is eps * max(m, n), or 0 where atol > 0, by default.
    `tol` is the older name of `atol`.

    >>> import autograd_core as ag
    >>> ag.linalg.matrix_rank(ag.ones(3, 3))
    tensor(1)
    """
    matrices("linalg.matrix_rank", A)
    if tol is not None:
        if atol is not None or rtol is not None:
            raise TypeError("linalg.matrix_rank: tol is the older name of atol; leave it out")
        atol, rtol = tol, 0.0
    A = A.detach()
    values = e.abs(eigvalsh(A)) if hermitian else svdvals(A)
    least, relative = _tolerances("linalg.matrix_rank", A, atol, rtol)
    if not values.numel():
        return A.new_zeros(A._data.shape[:-2], dtype=dtypes.int64)
    bound = e.maximum(least, relative * values.amax(-1))
    return (values > bound.unsqueeze(-1)).sum(-1)


def pinv(
    A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:  # fmt: skip
    """Moore and Penrose's pseudo-inverse. Singular values (sizes of eigenvalues, if `hermitian`) up to
    max(atol, rtol * the greatest) count as zeros; the defaults are those of `matrix_rank`. `rcond` is the older name of
    `rtol`. The gradient is right where small changes leave the rank as it is.

    >>> import autograd_core as ag
    >>> ag.linalg.pinv(ag.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    matrices("linalg.pinv", A)
    if hermitian:
        square("linalg.pinv", A)
    if rcond is not None:
        if atol is not None or rtol is not None:
            raise TypeError("linalg.pinv: rcond is the older name of rtol; leave it out")
        atol, rtol = 0.0, rcond
    least, relative = _tolerances("linalg.pinv", A, atol, rtol)
    return _pseudo_inverse(A, least, relative, bool(hermitian))


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv` with rtol = `rcond`.

    >>> import autograd_core as ag
    >>> ag.pinverse(ag.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return pinv(input, rcond)


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """The X with the least |A X - B|, and of those the least |X|: pinv(A) B, B of shape (..., m, k) or (..., m).

    `residuals`: the sums of (A X - B)^2 over the rows, empty unless m > n and every rank is n. `rank` and
    `singular_values` are those of A. PyTorch's `driver` tells which are given, the others are empty: 'gels' residuals,
    'gelsy' (the default) the rank, 'gelsd' and 'gelss' all. Singular values up to rcond * the greatest count as zeros
    (by default eps * max(m, n)); 'gels' raises `LinAlgError` for matrices without full rank.

    >>> import autograd_core as ag
    >>> ag.linalg.lstsq(ag.tensor([[1.0], [2.0]]), ag.tensor([[2.0], [4.0]])).solution.round(decimals=4)
    tensor([[2.]])
    """
    floating("linalg.lstsq", A, B)
    matrices("linalg.lstsq", A)
    driver = driver or "gelsy"
    if driver not in _DRIVERS:
        raise RuntimeError(f"linalg.lstsq: driver must be one of {_DRIVERS}, got {driver!r}")
    if not B._data.ndim:
        raise RuntimeError("linalg.lstsq: expected B of 1 or more dimensions, got 0")
    m, n = A._data.shape[-2:]
    vector = B._data.ndim == 1 or (B._data.ndim == A._data.ndim - 1 and B._data.shape == A._data.shape[:-1])
    b = B.unsqueeze(-1) if vector else B
    if b._data.shape[-2] != m:
        raise RuntimeError(f"linalg.lstsq: A of shape {tuple(A.shape)} and B of {tuple(B.shape)} have other rows")
    rtol = None if rcond is None or rcond < 0 else rcond
    values = svdvals(A.detach())
    bound = _tolerances("linalg.lstsq", A, None if rtol is None else 0.0, rtol)[1]
    rank = (values > bound * values[..., :1]).sum(-1)
    full = driver != "gelsy" and (not rank.numel() or bool((rank == min(m, n)).all()))
    if driver == "gels" and not full:
        raise LinAlgError("linalg.lstsq: a matrix does not have full rank, which 'gels' needs; use driver='gelsd'")
    x = matmul(pinv(A, atol=0.0, rtol=bound), b)
    residuals = x.reshape(-1)[:0]
    if m > n and full:
        residuals = e.square(matmul(A, x) - b).sum(-2)
    nothing = A.new_empty((0,))
    return LeastSquares(
        x.squeeze(-1) if vector else x,
        residuals,
        nothing.to(dtypes.int64) if driver == "gels" else rank,
        values if driver in ("gelsd", "gelss") else nothing,
    )

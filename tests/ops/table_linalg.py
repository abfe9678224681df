"""Rows of the table of operations: linear algebra.

Factors that are unique up to sign (singular vectors, eigenvectors, Q and R) enter through products in which the signs
cancel, here and in the references alike. Matrices that must be symmetric or triangular are made so within the call.
"""

# ruff: noqa: E501 - a row of the table stands on one line.

from __future__ import annotations

import math
from typing import Any

import numpy as np
from table import Op, _op, real, unit

la = np.linalg


def matrix(*shape: int) -> np.ndarray:
    """Square matrices with positive determinants, far from singular."""
    return unit(*shape) / 2 + 2 * np.eye(shape[-1])


def spread(*shape: int) -> np.ndarray:
    """Matrices of any shape whose singular values are 1, 2, 3, ..."""
    u, s, vh = la.svd(real(*shape), full_matrices=False)
    return (u * np.arange(s.shape[-1], 0, -1.0)) @ vh


def symmetric(x: Any) -> Any:
    return x + (x.swapaxes(-1, -2) if isinstance(x, np.ndarray) else x.mT)


def positive_definite(x: Any) -> Any:
    return x @ (x.swapaxes(-1, -2) if isinstance(x, np.ndarray) else x.mT)


def _t(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _eye_like(x: Any, n: int) -> Any:
    return np.broadcast_to(np.eye(n, dtype=x.dtype), (*x.shape[:-2], n, n))


def _svd_products(t: Any, x: Any, full: bool) -> Any:
    """S, U S^2 V', and the projections onto the first singular vectors of both sides."""
    u, s, vh = t.linalg.svd(x, full)
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    return s, (u * s[..., None, :] ** 2) @ vh, u[..., :1] @ _mt(u[..., :1]), _mt(vh[..., :1, :]) @ vh[..., :1, :]


def _mt(x: Any) -> Any:
    return _t(x) if isinstance(x, np.ndarray) else x.mT


class _NumPy:
    """NumPy's functions under PyTorch's names, so that one function serves as call and as reference."""

    class linalg:  # noqa: N801
        svd = staticmethod(la.svd)

        @staticmethod
        def eigh(x: Any, UPLO: str) -> Any:
            return la.eigh(x, UPLO)

        @staticmethod
        def qr(x: Any, mode: str = "reduced") -> Any:
            return la.qr(x, mode)


def _eigh_products(t: Any, x: Any, triangle: str) -> Any:
    """w, V (w / 4)^3 V', and the projection onto the first eigenvector."""
    w, v = t.linalg.eigh(symmetric(x), triangle)
    return w, (v * (w[..., None, :] / 4) ** 3) @ _mt(v), v[..., :1] @ _mt(v[..., :1])


def _qr_products(t: Any, x: Any, mode: str) -> Any:
    """Q R, the projection onto the first column of Q, and the squares of R's first row."""
    q, r = t.linalg.qr(x, mode)
    return q @ r, q[..., :1] @ _mt(q[..., :1]), r[..., :1, :] ** 2


def _lu_ref(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P, L, U by the definition, one matrix at a time."""
    m, n = a.shape[-2:]
    k = min(m, n)
    found: list[list[np.ndarray]] = [[], [], []]
    for x in a.reshape(math.prod(a.shape[:-2]), m, n):
        p, low, up = np.eye(m), np.eye(m), x.copy()
        for j in range(k):
            best = j + int(np.argmax(np.abs(up[j:, j])))
            up[[j, best]], p[[j, best]] = up[[best, j]], p[[best, j]]
            low[[j, best], :j] = low[[best, j], :j]
            for i in range(j + 1, m):
                low[i, j] = up[i, j] / up[j, j]
                up[i] -= low[i, j] * up[j]
        for part, value in zip(found, (p.T, low[:, :k], np.triu(up[:k]))):
            part.append(value)
    shapes = ((m, m), (m, k), (k, n))
    return tuple(np.array(part).reshape(*a.shape[:-2], *s) for part, s in zip(found, shapes))  # type: ignore[return-value]


def _exponential(a: np.ndarray) -> np.ndarray:
    """The power series of exp(a / 1024), squared ten times."""
    a = a / 1024
    term = total = _eye_like(a, a.shape[-1])
    for k in range(1, 12):
        term = term @ a / k
        total = total + term
    for _ in range(10):
        total = total @ total
    return total


def _least_squares(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    x, residuals, rank, values = la.lstsq(a, b)
    return x, residuals, np.array(rank), values


def _lu_solve(t: Any, a: Any, b: Any, **options: bool) -> Any:
    return t.linalg.lu_solve(*t.linalg.lu_factor(a), b, **options)


SQUARES = (matrix(3, 3), matrix(2, 2, 2))
DETERMINANTS = (
    *(_op(name, lambda t, x, name=name: getattr(t, name)(x), la.inv if name == "inverse" else getattr(la, name), *SQUARES, kinds="f",
          empty=((np.ones((0, 0)),), (np.ones((2, 0, 0)),)))
      for name in ("inverse", "det")),
    _op("slogdet", lambda t, x: t.slogdet(x)[1], lambda x: la.slogdet(x)[1], *SQUARES, kinds="f", empty=((np.ones((0, 0)),),)),
    _op("logdet", lambda t, x: t.logdet(x), lambda x: np.log(la.det(x)), *SQUARES, kinds="f"),
    _op("slogdet.negative", lambda t, x: (*t.linalg.slogdet(x), t.logdet(x)), lambda x: (*la.slogdet(x), np.nan), -matrix(3, 3), kinds="f", differentiable=False),
    _op("linalg.inv", lambda t, x: t.linalg.inv(x), la.inv, matrix(3, 3), kinds="f", empty=((matrix(0, 0),),)),
    _op("linalg.det", lambda t, x: t.linalg.det(x), la.det, matrix(3, 3), -matrix(3, 3), kinds="f"),
    _op("linalg.inv_ex", lambda t, x: t.linalg.inv_ex(x), lambda x: (la.inv(x), np.zeros(x.shape[:-2], "int32")), *SQUARES, kinds="f"),
)  # fmt: skip

SYSTEMS = (
    _op("linalg.solve", lambda t, a, b: t.linalg.solve(a, b), la.solve, (matrix(3, 3), real(3, 2)), (matrix(2, 2, 2), real(2, 1)), kinds="f",
        empty=((np.ones((0, 0)), np.ones((0, 2))), (np.eye(2), np.ones((2, 0))))),
    _op("linalg.solve.broadcast", lambda t, a, b: t.linalg.solve(a, b), la.solve, (matrix(2, 1, 2, 2), real(3, 2, 1)), kinds="f"),
    _op("linalg.solve.vector", lambda t, a, b: t.linalg.solve(a, b), la.solve, (matrix(3, 3), real(3)), kinds="f"),
    _op("linalg.solve.right", lambda t, a, b: t.linalg.solve(a, b, left=False), lambda a, b: b @ la.inv(a), (matrix(3, 3), real(2, 3)), kinds="f"),
    _op("linalg.solve_ex", lambda t, a, b: t.linalg.solve_ex(a, b), lambda a, b: (la.solve(a, b), np.zeros(a.shape[:-2], "int32")), (matrix(2, 2, 2), real(2, 1)), kinds="f"),
    *(_op(f"linalg.solve_triangular.{upper}.{left}", lambda t, a, b, upper=upper, left=left: t.linalg.solve_triangular(a, b, upper=upper, left=left),
          lambda a, b, upper=upper, left=left: (la.solve(np.triu(a) if upper else np.tril(a), b) if left else b @ la.inv(np.triu(a) if upper else np.tril(a))),
          (matrix(3, 3), real(3, 2) if left else real(2, 3)), (matrix(2, 1, 2, 2), real(3, 2, 2)), kinds="f", empty=((np.eye(2), np.ones((2, 0)) if left else np.ones((0, 2))),))
      for upper in (True, False) for left in (True, False)),
    _op("linalg.solve_triangular.unit", lambda t, a, b: t.linalg.solve_triangular(a, b, upper=False, unitriangular=True),
        lambda a, b: la.solve(np.tril(a, -1) + np.eye(3), b), (matrix(3, 3), real(3, 2)), kinds="f"),
    _op("triangular_solve", lambda t, b, a: (*t.triangular_solve(b, a), t.triangular_solve(b, a, False, True, True).solution),
        lambda b, a: (la.solve(np.triu(a), b), np.broadcast_to(a, (*b.shape[:-2], *a.shape)), la.solve(_t(np.tril(a, -1)) + np.eye(3, dtype=a.dtype), b)), (real(2, 3, 2), matrix(3, 3)), kinds="f"),
    _op("cholesky_solve", lambda t, b, a: (t.cholesky_solve(b, a.tril()), t.cholesky_solve(b, a.triu(), True)),
        lambda b, a: (la.solve(np.tril(a) @ _t(np.tril(a)), b), la.solve(_t(np.triu(a)) @ np.triu(a), b)), (real(3, 2), matrix(3, 3)), kinds="f"),
    _op("cholesky_inverse", lambda t, a: (t.cholesky_inverse(a.tril()), t.cholesky_inverse(a.triu(), upper=True)),
        lambda a: (la.inv(np.tril(a) @ _t(np.tril(a))), la.inv(_t(np.triu(a)) @ np.triu(a))), *SQUARES, kinds="f"),
    _op("lu_solve", lambda t, b, a: t.lu_solve(b, *t.linalg.lu_factor(a)), lambda b, a: la.solve(a, b), (real(3, 2), spread(3, 3)), kinds="f"),
    _op("linalg.lu_solve", lambda t, a, b: (_lu_solve(t, a, b), _lu_solve(t, a, b, adjoint=True), _lu_solve(t, a, b, left=False), _lu_solve(t, a, b, left=False, adjoint=True)),
        lambda a, b: (la.solve(a, b), la.solve(_t(a), b), b @ la.inv(a), b @ _t(la.inv(a))), (spread(2, 2, 2), real(2, 2)), kinds="f"),
    _op("linalg.tensorinv", lambda t, x: t.linalg.tensorinv(x, 1), lambda x: la.tensorinv(x, 1), (matrix(4, 4).reshape(4, 2, 2),), kinds="f"),
    _op("linalg.tensorsolve", lambda t, a, b: t.linalg.tensorsolve(a, b), la.tensorsolve, (matrix(4, 4).reshape(2, 2, 4), real(2, 2)), kinds="f"),
    _op("linalg.tensorsolve.dims", lambda t, a, b: t.linalg.tensorsolve(a, b, dims=(0,)), lambda a, b: la.tensorsolve(a, b, axes=(0,)),
        (np.moveaxis(matrix(4, 4).reshape(2, 2, 4), 2, 0), real(2, 2)), kinds="f"),
)  # fmt: skip

DECOMPOSITIONS = (
    _op("cholesky", lambda t, x: (t.cholesky(positive_definite(x)), t.cholesky(positive_definite(x), upper=True)),
        lambda x: (la.cholesky(positive_definite(x)), _t(la.cholesky(positive_definite(x)))), *SQUARES, kinds="f", empty=((np.ones((0, 0)),), (np.ones((0, 2, 2)),))),
    _op("linalg.cholesky", lambda t, x: t.linalg.cholesky(positive_definite(x)), lambda x: la.cholesky(positive_definite(x)), matrix(3, 3), kinds="f"),
    _op("linalg.cholesky_ex", lambda t, x: t.linalg.cholesky_ex(positive_definite(x)), lambda x: (la.cholesky(positive_definite(x)), np.zeros(x.shape[:-2], "int32")), *SQUARES, kinds="f"),
    *(_op(f"linalg.svd.{full}", lambda t, x, full=full: _svd_products(t, x, full), lambda x, full=full: _svd_products(_NumPy, x, full),
          spread(2, 3, 3), spread(4, 2), spread(2, 4), kinds="f")
      for full in (False, True)),
    _op("linalg.svd.shapes", lambda t, x: (*(tuple(p.shape) for p in t.linalg.svd(x)), *(tuple(p.shape) for p in t.svd(x)), *(tuple(p.shape) for p in t.svd(x, False, False))),
        lambda x: ((2, 4, 4), (2, 2), (2, 2, 2), (2, 4, 2), (2, 2), (2, 2, 2), (2, 4, 4), (2, 2), (2, 2, 2)), real(2, 4, 2), differentiable=False),
    _op("linalg.svd.empty", lambda t, x: tuple(t.linalg.svd(x, False)), lambda x: (np.zeros((*x.shape[:-1], 0)), np.zeros((*x.shape[:-2], 0)), np.zeros((*x.shape[:-2], 0, x.shape[-1]))),
        empty=((np.ones((0, 3)),), (np.ones((3, 0)),), (np.ones((2, 0, 0)),)), kinds="f"),
    _op("svd", lambda t, x: (t.svd(x).U * t.svd(x).S[..., None, :]) @ t.svd(x).V.mT, np.copy, spread(3, 2), spread(2, 3), kinds="f"),
    _op("linalg.svdvals", lambda t, x: t.linalg.svdvals(x), lambda x: la.svd(x, compute_uv=False), spread(2, 3, 3), spread(4, 2), spread(2, 4), kinds="f", empty=((np.ones((2, 0)),),)),
    *(_op(f"linalg.eigh.{triangle}", lambda t, x, triangle=triangle: _eigh_products(t, x, triangle), lambda x, triangle=triangle: _eigh_products(_NumPy, x, triangle), *SQUARES, kinds="f")
      for triangle in "LU"),
    _op("linalg.eigh.triangles", lambda t, x: (t.linalg.eigh(x, "U")[0], t.linalg.eigh(x)[0], t.linalg.eigvalsh(x, "U"), t.linalg.eigvalsh(x)),
        lambda x: (la.eigh(x, "U")[0], la.eigh(x)[0], la.eigvalsh(x, "U"), la.eigvalsh(x)), real(3, 3), kinds="f", differentiable=False, empty=((np.ones((0, 0)),),)),
    _op("linalg.eigvalsh", lambda t, x: t.linalg.eigvalsh(symmetric(x)), lambda x: la.eigvalsh(symmetric(x)), *SQUARES, kinds="f"),
    *(_op(f"linalg.qr.{mode}", lambda t, x, mode=mode: _qr_products(t, x, mode), lambda x, mode=mode: _qr_products(_NumPy, x, mode),
          spread(2, 3, 3), spread(2, 4), *((spread(2, 4, 2),) if mode == "reduced" else ()), kinds="f")
      for mode in ("reduced", "complete")),
    _op("linalg.qr.shapes", lambda t, x: (tuple(tuple(p.shape) for p in t.linalg.qr(x, "complete")), tuple(tuple(p.shape) for p in t.qr(x, some=False)), tuple(t.linalg.qr(x, "r").Q.shape)),
        lambda x: (((4, 4), (4, 2)), ((4, 4), (4, 2)), (0,)), real(4, 2), differentiable=False),
    _op("linalg.qr.empty", lambda t, x: tuple(t.linalg.qr(x)), lambda x: (np.zeros((*x.shape[:-1], 0)), np.zeros((*x.shape[:-2], 0, x.shape[-1]))), empty=((np.ones((0, 3)),), (np.ones((2, 3, 0)),)), kinds="f"),
    _op("qr", lambda t, x: t.qr(x).Q @ t.qr(x).R, np.copy, spread(3, 2), spread(2, 3), kinds="f"),
    _op("linalg.lu", lambda t, x: t.linalg.lu(x), _lu_ref, spread(2, 3, 3), spread(4, 2), spread(2, 4), kinds="f", empty=((np.ones((2, 0)),), (np.ones((0, 2, 2)),))),
    _op("lu_unpack", lambda t, x: t.lu_unpack(*t.linalg.lu_factor(x)), _lu_ref, spread(3, 3), kinds="f"),
    _op("lu_unpack.parts", lambda t, x: (*t.lu_unpack(*t.linalg.lu_factor(x), unpack_data=False), *t.lu_unpack(*t.linalg.lu_factor(x), unpack_pivots=False)),
        lambda x: (_lu_ref(x)[0], np.zeros(0), np.zeros(0), np.zeros(0), *_lu_ref(x)[1:]), spread(3, 3), kinds="f", differentiable=False),
    _op("linalg.lu_factor", lambda t, x: t.linalg.lu_factor_ex(x), lambda x: (np.array([[4.0, 4.0], [0.25, 1.0]]), np.array([2, 2]), np.array(0)), np.array([[1.0, 2.0], [4.0, 4.0]]), kinds="f"),
)  # fmt: skip

HERMITIAN = symmetric(matrix(3, 3))
NORMS = (
    _op("pinverse", lambda t, x: t.pinverse(x), la.pinv, spread(3, 2), spread(2, 2, 3), kinds="f", empty=((np.ones((0, 2)),),)),
    _op("linalg.pinv", lambda t, x: (t.linalg.pinv(x), t.linalg.pinv(x, atol=0.1), t.linalg.pinv(x, rtol=0.4), t.linalg.pinv(x, rcond=0.4)),
        lambda x: (la.pinv(x), la.pinv(x), la.pinv(x, 0.4), la.pinv(x, 0.4)), spread(3, 3), kinds="f", differentiable=False),
    _op("linalg.pinv.gradient", lambda t, x: t.linalg.pinv(x), la.pinv, spread(3, 3), spread(2, 4, 2), kinds="f"),
    _op("linalg.pinv.hermitian", lambda t, x: t.linalg.pinv(symmetric(x), hermitian=True), lambda x: la.pinv(symmetric(x)), HERMITIAN, kinds="f"),
    _op("linalg.pinv.tolerances", lambda t, x, a: t.linalg.pinv(x, atol=a), lambda x, a: np.stack([la.pinv(x[0]), la.pinv(x[1], 0.5)]), (spread(2, 3, 3), np.array([0.5, 1.5])), differentiable=False),
    _op("linalg.matrix_rank", lambda t, x: (t.linalg.matrix_rank(x), t.linalg.matrix_rank(x, atol=1.5), t.linalg.matrix_rank(x, 2.5), t.linalg.matrix_rank(x, rtol=0.9), t.linalg.matrix_rank(x @ x.mT, hermitian=True)),
        lambda x: (np.full(x.shape[:-2], 3), np.full(x.shape[:-2], 2), np.full(x.shape[:-2], 1), np.full(x.shape[:-2], 1), np.full(x.shape[:-2], 3)), spread(2, 3, 4), kinds="f", differentiable=False),
    _op("linalg.matrix_rank.singular", lambda t, x: (t.linalg.matrix_rank(x), t.linalg.matrix_rank(x[..., :0])), lambda x: (np.array([1, 0]), np.array([0, 0])), np.stack([np.ones((2, 3)), np.zeros((2, 3))]), kinds="f", differentiable=False),
    *(_op(f"linalg.lstsq.{driver}", lambda t, a, b, driver=driver: tuple(t.linalg.lstsq(a, b, driver=driver)), _least_squares, (spread(4, 2), real(4, 3)), kinds="f", differentiable=False)
      for driver in ("gelsd", "gelss")),
    _op("linalg.lstsq", lambda t, a, b: (t.linalg.lstsq(a, b).solution, t.linalg.lstsq(a, b).rank), lambda a, b: (la.pinv(a) @ b, np.full(a.shape[:-2], 2)), (spread(4, 2), real(4, 3)), (spread(2, 2, 4), real(2, 2, 1)), kinds="f"),
    _op("linalg.vector_norm", lambda t, x: (t.linalg.vector_norm(x), t.linalg.vector_norm(x, 3, 1, True)), lambda x: (la.norm(x), la.norm(x, 3, 1, True)), real(2, 3), kinds="f"),
    *(_op(f"linalg.matrix_norm.{p}", lambda t, x, p=p: (t.linalg.matrix_norm(x, p), t.linalg.matrix_norm(x, p, (0, -1), True)), lambda x, p=p: (la.norm(x, p, (-2, -1)), la.norm(x, p, (0, -1), True)), spread(2, 3, 3), kinds="f")
      for p in ("fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf)),
    _op("linalg.norm", lambda t, x: (t.linalg.norm(x), t.linalg.norm(x, 1), t.linalg.norm(x, "nuc"), t.linalg.norm(x, 3, 0), t.linalg.norm(x, 2, (1, 0), True)),
        lambda x: (la.norm(x), la.norm(x, 1), la.norm(x, "nuc"), la.norm(x, 3, 0), la.norm(x, 2, (1, 0), True)), spread(3, 2), kinds="f"),
    _op("linalg.norm.vector", lambda t, x: (t.linalg.norm(x), t.linalg.norm(x, 0.5), t.linalg.norm(x, -2)), lambda x: (la.norm(x), la.norm(x, 0.5), la.norm(x, -2)), real(3), kinds="f"),
    _op("linalg.norm.dtype", lambda t, x: (t.linalg.norm(x, dtype=t.float64), t.linalg.norm(x, 1, dtype=t.float64), t.linalg.norm(x, "nuc", dtype=t.float64)), lambda x: (la.norm(x), la.norm(x, 1), la.norm(x, "nuc")), real(3, 2), kinds="f", differentiable=False),
    *(_op(f"linalg.cond.{p}", lambda t, x, p=p: t.linalg.cond(x, p), lambda x, p=p: la.cond(x, p), spread(3, 3), spread(2, 2, 2), kinds="f", differentiable=p in (None, -2, "nuc"))  # PyTorch's own gradient of the others is an error.
      for p in (None, -2, "fro", "nuc", 1, math.inf)),
    _op("linalg.cond.singular", lambda t, x: (t.linalg.cond(x, 1), t.linalg.cond(x[..., :0, :0])), lambda x: (np.array([math.inf, 1.0]), np.zeros(2)), np.stack([np.ones((2, 2)), np.eye(2)]), kinds="f", differentiable=False),
)  # fmt: skip

PRODUCTS = (
    *(_op(f"matrix_power.{n}", lambda t, x, n=n: t.matrix_power(x, n), lambda x, n=n: la.matrix_power(x, n), matrix(2, 2, 2), kinds="f", twice=n not in (0, 1))
      for n in (-2, 0, 1, 5)),
    _op("matrix_exp", lambda t, x: t.matrix_exp(x), _exponential, real(3, 3), real(2, 2, 2), kinds="f", empty=((np.ones((0, 0)),),)),
    _op("matrix_exp.large", lambda t, x: t.linalg.matrix_exp(x), _exponential, np.stack([real(3, 3) * 4, real(3, 3) / 50]), kinds="f"),
    _op("linalg.vander", lambda t, x: (t.linalg.vander(x), t.linalg.vander(x, N=2)), lambda x: (np.stack([np.vander(r, increasing=True) for r in x]), np.stack([np.vander(r, 2, increasing=True) for r in x])), real(2, 3), kinds="if"),
    _op("linalg.multi_dot", lambda t, *xs: t.linalg.multi_dot(xs), lambda *xs: la.multi_dot(xs), (real(2, 3), real(3, 1), real(1, 4)), (real(3), real(3, 2), real(2)), kinds="if"),
    _op("linalg.vecdot", lambda t, x, y: t.linalg.vecdot(x, y, dim=0), lambda x, y: (x * y).sum(0), (real(3, 2), real(3, 1)), kinds="f"),
    _op("linalg.cross", lambda t, x, y: t.linalg.cross(x, y, dim=0), lambda x, y: np.cross(x, y, axis=0), (real(3, 2), real(3, 2)), kinds="if"),
    _op("linalg.diagonal", lambda t, x: t.linalg.diagonal(x, offset=1), lambda x: np.diagonal(x, 1, -2, -1), real(2, 3, 3)),
)  # fmt: skip

LINALG_OPS: tuple[Op, ...] = (*DETERMINANTS, *SYSTEMS, *DECOMPOSITIONS, *NORMS, *PRODUCTS)

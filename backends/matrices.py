"""Kernels of linear algebra: matrices in the last two axes, leading axes a batch; float16 is computed in float32.

A matrix that has no inverse (no Cholesky factor, ...) raises `LinAlgError`, which says where in the batch it stands.
NumPy's and CuPy's own errors carry no place, so it is searched for, on that path only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from autograd_core.backends.factorizations import FactorizationKernels, as_matrices, wide

Array = Any


class LinAlgError(RuntimeError):
    """A matrix that a function of linear algebra cannot take. `elements`: for each one that failed, its position in the
    flattened batch and the order of the leading block at which it fails (the matrix's size where that is unknown)."""

    def __init__(self, message: str, elements: dict[int, int] | None = None) -> None:
        super().__init__(message)
        self.elements = elements or {}


class MatrixKernels(FactorizationKernels):
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    def _errors(self) -> Any:
        """The state in which the array library is called: what fails raises (CuPy's overrides it, for that), infinities
        and NaNs pass (NumPy warns of them in its own modules, whatever ours have turned off)."""
        errstate = getattr(self.xp, "errstate", None)
        return nullcontext() if errstate is None else errstate(all="ignore")

    def _run(
        self, name: str, reason: str, function: Callable[..., Any], x: Array, *rest: Array, order: Any = None
    ) -> Any:
        """`function(x, *rest)`; its error as a `LinAlgError` that names the elements of the batch. All arrays have the
        same leading axes. `order(matrix)` tells where a matrix that failed does so."""
        try:
            with self._errors():
                return function(x, *rest)
        except ValueError as error:  # NumPy's LinAlgError is one.
            cause = error
        flat = [as_matrices(a) for a in (x, *rest)]
        failed: dict[int, int] = {}
        for i in range(flat[0].shape[0]):
            one = [a[i] for a in flat]
            try:
                with self._errors():
                    function(*one)
            except ValueError:
                failed[i] = order(one[0]) if order is not None else x.shape[-1]
        first = next(iter(failed), 0)
        place = f"(batch element {first}) " if x.ndim > 2 else ""
        where = f" (at order {failed[first]})" if order is not None and first in failed else ""
        raise LinAlgError(
            f"{name}: {place}a matrix of {tuple(x.shape)} {reason}{where}; the array library says: {cause}", failed
        ) from None

    # -- systems of equations ---------------------------------------------------------------------------

    def inverse(self, x: Array) -> Array:
        return self._run(
            "linalg.inv", "is singular and has no inverse", self.xp.linalg.inv, wide(x), order=self._zero_pivot
        ).astype(x.dtype, copy=False)

    def solve(self, x: Array, y: Array) -> Array:
        """The matrices X with x X = y."""
        return self._run(
            "linalg.solve", "is singular", self.xp.linalg.solve, wide(x), wide(y), order=self._zero_pivot
        ).astype(x.dtype, copy=False)

    def _zero_pivot(self, x: Array) -> int:
        """The order of the first leading block at which elimination meets a zero."""
        return int(self.lu(x, True)[2]) or int(x.shape[-1])

    def solve_triangular(self, x: Array, y: Array, upper: bool, unitriangular: bool) -> Array:
        """The X with x X = y, of which only the named triangle of `x` is read (ones on the diagonal if asked).

        A lower triangle is turned round to an upper one, for which elimination is back substitution, without pivots.
        """
        xp = self.xp
        a, b = wide(x), wide(y)
        if not upper:
            a, b = xp.flip(a, (-2, -1)), xp.flip(b, -2)
        a = xp.triu(a, 1) + xp.eye(a.shape[-1], dtype=a.dtype) if unitriangular else xp.triu(a)
        out = self._run("linalg.solve_triangular", "has a zero on its diagonal", xp.linalg.solve, a, b)
        return (out if upper else xp.flip(out, -2)).astype(x.dtype, copy=False)

    # -- determinants -----------------------------------------------------------------------------------

    def determinant(self, x: Array) -> Array:
        with self._errors():
            return self.xp.linalg.det(wide(x)).astype(x.dtype, copy=False)

    def log_determinant(self, x: Array) -> Array:
        """log |det x|, which neither overflows nor underflows."""
        return self.xp.linalg.slogdet(wide(x))[1].astype(x.dtype, copy=False)

    def sign_of_determinant(self, x: Array) -> Array:
        return self.xp.linalg.slogdet(wide(x))[0].astype(x.dtype, copy=False)

    def _signed_svd(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """U, s and V' of square matrices, and the sign of det(U) det(V')."""
        u, s, vh = self.svd(wide(x), False)
        sign = self.xp.sign(self.xp.linalg.det(u) * self.xp.linalg.det(vh))
        return u, s, vh, sign[..., None, None]

    def cofactor(self, x: Array) -> Array:
        """The matrix of cofactors, the gradient of the determinant: det(x) x^-T, and finite for singular matrices."""
        u, s, vh, sign = self._signed_svd(x)
        with self._errors():
            products = sign * self._products_without(s, 1)[..., None, :]
            return self.xp.matmul(u * products, vh).astype(x.dtype, copy=False)

    def cofactor_backward(self, g: Array, x: Array) -> Array:
        """The gradient of `cofactor`. With H = U' g V and E_ij the product of all singular values but i and j, it is
        det(U V') U K V' where K_ij = -H_ji E_ij, and K_ii = sum of H_jj E_ij over the j other than i."""
        xp = self.xp
        u, s, vh, sign = self._signed_svd(x)
        h = xp.matmul(xp.swapaxes(u, -1, -2), xp.matmul(wide(g), xp.swapaxes(vh, -1, -2)))
        e = self._products_without(s, 2)
        eye = xp.eye(s.shape[-1], dtype=s.dtype)
        diagonal = xp.sum(e * xp.diagonal(h, 0, -2, -1)[..., None, :], -1)
        k = diagonal[..., None] * eye - xp.swapaxes(h, -1, -2) * e
        return (sign * xp.matmul(u, xp.matmul(k, vh))).astype(x.dtype, copy=False)

    def _products_without(self, s: Array, count: int) -> Array:
        """The products of all elements but one, for each; or (`count` 2) but two, as a matrix with a diagonal of 0."""
        xp = self.xp
        n = s.shape[-1]
        eye = xp.eye(n, dtype="bool")
        if count == 1:
            return xp.prod(xp.where(eye, xp.ones((), s.dtype), s[..., None, :]), -1)
        left_out = eye[:, None, :] | eye[None, :, :]
        products = xp.prod(xp.where(left_out, xp.ones((), s.dtype), s[..., None, None, :]), -1)
        return xp.where(eye, xp.zeros((), s.dtype), products)

    # -- factorizations that can fail -------------------------------------------------------------------

    def cholesky(self, x: Array) -> Array:
        """The lower triangular L with L L' = x, of which only the lower triangle is read."""
        return self._run(
            "linalg.cholesky", "is not positive-definite", self.xp.linalg.cholesky, wide(x), order=self._not_positive
        ).astype(x.dtype, copy=False)

    def _not_positive(self, x: Array) -> int:
        """The order of the first leading block that is not positive-definite: all larger ones are not either."""
        low, high = 0, x.shape[-1]
        while low + 1 < high:
            middle = (low + high) // 2
            try:
                with self._errors():
                    self.xp.linalg.cholesky(x[:middle, :middle])
                low = middle
            except ValueError:
                high = middle
        return int(high)

    def svd(self, x: Array, full: bool) -> tuple[Array, Array, Array]:
        """U, the singular values in descending order, and V'."""
        parts = lambda a: self.xp.linalg.svd(a, full_matrices=full)  # noqa: E731
        u, s, vh = self._run("linalg.svd", "did not converge: are all its values finite?", parts, wide(x))
        return u.astype(x.dtype, copy=False), s.astype(x.dtype, copy=False), vh.astype(x.dtype, copy=False)

    def svdvals(self, x: Array) -> Array:
        """The singular values in descending order."""
        values = lambda a: self.xp.linalg.svd(a, compute_uv=False)  # noqa: E731
        return self._run("linalg.svdvals", "did not converge: are all its values finite?", values, wide(x)).astype(
            x.dtype, copy=False
        )

    def eigh(self, x: Array, triangle: str) -> tuple[Array, Array]:
        """Eigenvalues in ascending order and eigenvectors (columns) of symmetric matrices, of which one triangle, 'L'
        or 'U', is read."""
        both = lambda a: self.xp.linalg.eigh(a, triangle)  # noqa: E731
        w, v = self._run("linalg.eigh", "did not converge: are all its values finite?", both, wide(x))
        return w.astype(x.dtype, copy=False), v.astype(x.dtype, copy=False)

    def eigvalsh(self, x: Array, triangle: str) -> Array:
        values = lambda a: self.xp.linalg.eigvalsh(a, triangle)  # noqa: E731
        return self._run("linalg.eigvalsh", "did not converge: are all its values finite?", values, wide(x)).astype(
            x.dtype, copy=False
        )

    def pseudo_inverse(self, x: Array, atol: Array, rtol: Array, hermitian: bool) -> Array:
        """Moore and Penrose's inverse; singular values up to max(atol, rtol * the greatest) count as 0."""
        xp = self.xp
        if not x.size:
            return xp.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
        if hermitian:
            values, left = self.eigh(wide(x), "L")
            right = xp.swapaxes(left, -1, -2)
        else:
            left, values, right = self.svd(wide(x), False)
        sizes = xp.abs(values)
        keep = sizes > xp.maximum(atol, rtol * xp.amax(sizes, -1))[..., None]
        inverted = xp.where(keep, 1 / xp.where(keep, values, xp.ones_like(values)), xp.zeros_like(values))
        out = xp.matmul(xp.swapaxes(right, -1, -2) * inverted[..., None, :], xp.swapaxes(left, -1, -2))
        return out.astype(x.dtype, copy=False)

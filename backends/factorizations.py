"""Factorizations of matrices that always exist, and the matrix exponential."""

from __future__ import annotations

import math
from typing import Any

Array = Any

# The coefficients of the diagonal Pade approximant of order 13 to exp, and the 1-norm up to which it is exact to
# double precision. Higham, "The scaling and squaring method for the matrix exponential revisited", SIAM J. Matrix
# Anal. Appl. 26, 2005.
_PADE = [
    float(math.factorial(26 - j) * math.factorial(13) // (math.factorial(13 - j) * math.factorial(j)))
    / math.factorial(13)
    for j in range(14)
]
_PADE_RADIUS = 5.371920351148152
_PANEL = 32


def wide(x: Array) -> Array:
    """float16 is computed in float32."""
    return x.astype("float32") if x.dtype.itemsize == 2 else x


def as_matrices(x: Array) -> Array:
    """The leading axes of `x` as one."""
    return x.reshape((math.prod(x.shape[:-2]), *x.shape[-2:]))


class FactorizationKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    def qr(self, x: Array, complete: bool) -> tuple[Array, Array]:
        """Q with orthonormal columns and R upper triangular, x = Q R; `complete`: Q is square."""
        q, r = self.xp.linalg.qr(wide(x), "complete" if complete else "reduced")
        return q.astype(x.dtype, copy=False), r.astype(x.dtype, copy=False)

    def lu(self, x: Array, pivot: bool) -> tuple[Array, Array, Array]:
        """Gaussian elimination with partial pivoting, P' x = L U: L (without its diagonal of ones) and U in one matrix;
        the row that was exchanged with each, counted from 1; and the order of the first zero pivot (0: none).

        Panels of some columns are eliminated column by column, the rest follows by products (Golub and Van Loan,
        "Matrix Computations", 4th edition, section 3.2.11).
        """
        xp = self.xp
        a = xp.array(as_matrices(wide(x)), copy=True)
        batch, m, n = a.shape
        k = min(m, n)
        pivots = xp.broadcast_to(xp.arange(1, k + 1, dtype="int32"), (batch, k)).copy()
        info = xp.zeros((batch,), "int32")
        every = xp.arange(batch)
        for start in range(0, k, _PANEL):
            end = min(start + _PANEL, k)
            for j in range(start, end):
                if pivot and batch:
                    chosen = xp.argmax(xp.abs(a[:, j:, j]), -1) + j
                    pivots[:, j] = chosen + 1
                    row = xp.array(a[:, j], copy=True)
                    a[:, j] = a[every, chosen]
                    a[every, chosen] = row
                zero = a[:, j, j] == 0
                info = xp.where(xp.logical_and(info == 0, zero), xp.full((), j + 1, "int32"), info)
                a[:, j + 1 :, j] /= xp.where(zero, xp.ones((), a.dtype), a[:, j, j])[:, None]
                a[:, j + 1 :, j + 1 : end] -= a[:, j + 1 :, j, None] * a[:, j, None, j + 1 : end]
            for j in range(start, end if end < n else start):
                a[:, j + 1 : end, end:] -= a[:, j + 1 : end, j, None] * a[:, j, None, end:]
            if end < n:
                a[:, end:, end:] -= xp.matmul(a[:, end:, start:end], a[:, start:end, end:])
        lead = x.shape[:-2]
        return a.reshape(x.shape).astype(x.dtype, copy=False), pivots.reshape((*lead, k)), info.reshape(lead)

    def lu_order(self, pivots: Array, rows: int) -> Array:
        """The order of the rows after all exchanges of `pivots`: row i of P' x is row order[i] of x."""
        xp = self.xp
        flat = pivots.reshape((math.prod(pivots.shape[:-1]), pivots.shape[-1]))
        order = xp.broadcast_to(xp.arange(rows), (flat.shape[0], rows)).copy()
        every = xp.arange(flat.shape[0])
        for j in range(flat.shape[-1]):
            other = flat[:, j] - 1
            kept = xp.array(order[:, j], copy=True)
            order[:, j] = order[every, other]
            order[every, other] = kept
        return order.reshape((*pivots.shape[:-1], rows))

    def lu_factors(self, x: Array, packed: Array) -> Array:
        """`packed`, what elimination without pivoting makes of `x`; its gradient with respect to `x` is the rule's."""
        return packed

    def matrix_exp(self, x: Array) -> Array:
        """The sum of x^k / k!, by scaling and squaring of a Pade approximant, in double precision."""
        xp = self.xp
        if not x.size:
            return xp.zeros(x.shape, x.dtype)
        a = x.astype("float64")
        size = xp.amax(xp.sum(xp.abs(a), -2), -1)
        size = xp.where(xp.isfinite(size), size, xp.zeros_like(size))
        halvings = xp.maximum(xp.ceil(xp.log2(xp.maximum(size, 1e-300) / _PADE_RADIUS)), 0.0)[..., None, None]
        a = a * xp.exp2(-halvings)
        eye = xp.eye(x.shape[-1], dtype="float64")
        a2 = xp.matmul(a, a)
        a4 = xp.matmul(a2, a2)
        a6 = xp.matmul(a2, a4)
        b = _PADE
        odd = xp.matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye
        odd = xp.matmul(a, odd)
        even = xp.matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
        out = xp.linalg.solve(even - odd, even + odd)
        for i in range(int(xp.amax(halvings))):
            out = xp.where(halvings > i, xp.matmul(out, out), out)
        return out.astype(x.dtype)

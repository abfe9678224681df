"""Kernels of linear algebra: inverses, systems of equations and determinants of matrices in the last two axes."""

from __future__ import annotations

from typing import Any

Array = Any


def _wide(x: Array) -> Array:
    """float16 is computed in float32."""
    return x.astype("float32") if x.dtype.itemsize == 2 else x


class MatrixKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    def inverse(self, x: Array) -> Array:
        return self.xp.linalg.inv(_wide(x)).astype(x.dtype)

    def solve(self, x: Array, y: Array) -> Array:
        """The matrices X with x X = y."""
        return self.xp.linalg.solve(_wide(x), _wide(y)).astype(x.dtype)

    def determinant(self, x: Array) -> Array:
        return self.xp.linalg.det(_wide(x)).astype(x.dtype)

    def log_determinant(self, x: Array) -> Array:
        """log |det x| from the triangle of the QR decomposition, which neither overflows nor underflows."""
        triangle = self.xp.linalg.qr(_wide(x), "r")
        sizes = self.xp.abs(self.xp.diagonal(triangle, 0, -2, -1))
        return self.xp.sum(self.xp.log(sizes), -1).astype(x.dtype)

    def sign_of_determinant(self, x: Array) -> Array:
        """The sign of the determinant, of the matrix scaled so that |det| is 1."""
        log = self.log_determinant(x)
        singular = log == -self.xp.inf
        scale = self.xp.exp(-self.xp.where(singular, self.xp.zeros_like(log), log) / max(x.shape[-1], 1))
        sign = self.xp.sign(self.determinant(x * scale[..., None, None]))
        return self.xp.where(singular, self.xp.zeros_like(sign), sign)

"""Orthogonal matrices, weight and spectral normalisation as parametrisations."""

from __future__ import annotations

from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from autograd_core.nn.module import Module
from autograd_core.nn.utils.parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The length of `v` over all dimensions but `dim`, which are kept with size 1; over all if dim is -1."""
    if dim == -1:
        return v.norm()
    others = tuple(i for i in range(v.ndim) if i != dim % v.ndim)
    return v.norm(2, others, True) if others else v.abs()


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / |v|: length and direction of a weight as parameters of their own; returns `module`.

    dim: a length for each index of this dimension; None: one in all. The originals are
    `parametrizations.<name>.original0` (g) and `original1` (v); the keys `<name>_g` and `<name>_v` of the older form
    load, too. Source: Salimans and Kingma, "Weight normalization" (2016).

    >>> import autograd_core as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 3))
    >>> layer.parametrizations.weight.original0.shape
    ag.Size([3, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(_: Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
        g, v = (f"{prefix}{name}_{part}" for part in "gv")
        if g in state and v in state:
            state[f"{prefix}parametrizations.{name}.original0"] = state.pop(g)
            state[f"{prefix}parametrizations.{name}.original1"] = state.pop(v)

    module.register_load_state_dict_pre_hook(rename)
    return module


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """`weight` with dimension `dim` as rows and all others as columns."""
    if dim:
        weight = weight.transpose(0, dim)
    return weight.reshape(weight.shape[0], -1)


def default_dim(module: Module) -> int:
    """The dimension of a weight that counts outputs: 1 for transposed convolutions."""
    return 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0


def check_iterations(n: int) -> None:
    if n <= 0:
        raise ValueError(f"spectral_norm: expected n_power_iterations to be positive, but got {n}")


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"spectral_norm: dimension out of range, expected one in [-{weight.ndim}, {weight.ndim - 1}], got {dim}"
            )
        check_iterations(n_power_iterations)
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            with ag.no_grad():
                matrix = as_matrix(weight.detach(), self.dim)
                self.register_buffer("_u", F.normalize(matrix.new_empty(matrix.shape[0]).normal_(), dim=0, eps=eps))
                self.register_buffer("_v", F.normalize(matrix.new_empty(matrix.shape[1]).normal_(), dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Tensor, iterations: int) -> None:
        with ag.no_grad():
            for _ in range(iterations):
                self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.t() @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix.detach(), self.n_power_iterations)
        # Copies: a later forward moves the vectors on before this one's backward reads them.
        u, v = self._u.clone(), self._v.clone()
        return weight / (u @ (matrix @ v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """w / sigma(w), sigma the greatest singular value of `w` as a matrix with dimension `dim` as rows.

    Returns `module`. In training each look moves the power iteration, whose vectors are buffers, `n_power_iterations`
    steps on. dim: 0 unless given, 1 for transposed convolutions. Raises `ValueError` for no steps or no such tensor,
    `IndexError` for a dim out of range. Source: Miyato et al., "Spectral normalization for generative adversarial
    networks" (2018).

    >>> import autograd_core as ag
    >>> layer = ag.nn.utils.parametrizations.spectral_norm(ag.nn.Linear(4, 3))
    >>> list(layer.state_dict())
    ['bias', 'parametrizations.weight.original', 'parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"module '{module}' has no parameter or buffer with name '{name}'")
    dim = default_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


def is_orthogonal(Q: Tensor) -> bool:
    """Whether the columns of the tall `Q` are orthonormal up to rounding."""
    n, k = Q.shape[-2:]
    identity = ag.eye(k, dtype=Q.dtype, device=Q.device)
    return bool(ag.allclose(Q.mT @ Q, identity.expand(*Q.shape[:-2], k, k), atol=10 * n * ag.finfo(Q.dtype).eps))


def orthonormalised(X: Tensor) -> Tensor:
    """The factor Q of X = Q R with R's diagonal positive, so that it depends on `X` alone."""
    Q, R = ag.linalg.qr(X)
    signs = ag.where(R.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(X.dtype)
    return Q * signs.unsqueeze(-2)


def reflected(X: Tensor) -> Tensor:
    """The first columns of the product of Householder reflections I - 2 v v^T / v^T v.

    The vectors v stand below the diagonal of the tall `X`, with 1 on it. The product is I - V T V^T with
    T^-1 = triu(V^T V, 1) + diag(V^T V) / 2.
    Source: Joffrain et al., "Accumulating Householder transformations, revisited" (2006).
    """
    k = X.shape[-1]
    first = ag.eye(X.shape[-2], k, dtype=X.dtype, device=X.device)
    V = X.tril(-1) + first
    inner = V.mT @ V
    inverse = inner.triu(1) + ag.diag_embed(inner.diagonal(dim1=-2, dim2=-1) / 2)
    return first - V @ ag.linalg.solve_triangular(inverse, V[..., :k, :].mT, upper=True)


def reflections(Q: Tensor) -> Tensor:
    """The `X` for which `reflected(X)` times the diagonal of `X`, 1 or -1, is the factor Q of the tall `Q` = Q R."""
    X = Q.clone()
    for i in range(Q.shape[-1]):
        column = X[..., i:, i : i + 1]
        head = column[..., :1, :]
        length = column.norm(dim=-2, keepdim=True)
        pivot = ag.where(head < 0, head - length, head + length)  # Of the sign that cancels nothing.
        v = ag.cat([ag.ones_like(head), column[..., 1:, :] / ag.where(pivot == 0, 1.0, pivot)], -2)
        rest = X[..., i:, i + 1 :]
        X[..., i:, i + 1 :] = rest - v @ (v.mT @ rest) * (2 / (v.mT @ v))
        X[..., i:, i : i + 1] = ag.cat([ag.where(head < 0, 1.0, -1.0).to(X.dtype), v[..., 1:, :]], -2)
    return X


class _Orthogonal(Module):
    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        X = X.mT if wide else X
        n, k = X.shape[-2:]
        if self.orthogonal_map == "householder":
            Q = reflected(X) * X.diagonal(dim1=-2, dim2=-1).detach().trunc().unsqueeze(-2)
        else:
            lower = F.pad(X.tril(), (0, n - k))
            A = lower - lower.mT
            if self.orthogonal_map == "matrix_exp":
                Q = ag.linalg.matrix_exp(A)
            else:
                identity = ag.eye(n, dtype=A.dtype, device=A.device)
                Q = ag.linalg.solve(identity - A / 2, identity + A / 2)
            Q = Q[..., :k]
        if self.use_trivialization:
            Q = self.base @ Q
        return Q.mT if wide else Q

    @ag.no_grad()
    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(f"orthogonal: expected shape {tuple(self.shape)}, got {tuple(Q.shape)}")
        wide = Q.shape[-2] < Q.shape[-1]
        tall = Q.mT if wide else Q
        n, k = tall.shape[-2:]
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    f"orthogonal: a value cannot be assigned through the map {self.orthogonal_map!r} with "
                    "use_trivialization=False; use the map 'householder', or use_trivialization=True"
                )
            X = reflections(tall)
            return X.mT if wide else X
        if n != k:  # Completed to a square matrix.
            more = ag.randn(*tall.shape[:-2], n, n - k, dtype=tall.dtype, device=tall.device)
            self.base = orthonormalised(ag.cat([tall, more], -1))
        else:
            self.base = tall.clone() if is_orthogonal(tall) else orthonormalised(tall)
        # Every map takes it to the identity: exp(0), the Cayley map of 0, and reflections turned back by their signs.
        return -ag.eye(*Q.shape[-2:], dtype=Q.dtype, device=Q.device).expand(Q.shape).clone()


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keep the matrix `name`, or each of a batch (..., n, k), orthogonal: Q^T Q = I, for n < k Q Q^T = I.

    orthogonal_map: how Q comes of the original X: 'matrix_exp', exp(A) with A = tril(X) - tril(X)^T; 'cayley',
    (I - A/2)^-1 (I + A/2); 'householder', the product of the reflections below X's diagonal. By default 'matrix_exp'
    for square matrices, else 'householder'. use_trivialization: Q is multiplied from the left by a fixed orthogonal
    `base`, a buffer, so that training starts at X = -I and at the present value, made orthogonal where it was not.
    Returns `module`. Raises `ValueError` for no such tensor, fewer than two dimensions or another map.
    Source: Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds" (2019).

    >>> import autograd_core as ag
    >>> w = ag.nn.utils.parametrizations.orthogonal(ag.nn.Linear(2, 4)).weight
    >>> bool(ag.allclose(w.mT @ w, ag.eye(2), atol=1e-5))
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: expected a matrix or a batch of matrices, got shape {tuple(weight.shape)}")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f"orthogonal: orthogonal_map must be 'matrix_exp', 'cayley' or 'householder', got {orthogonal_map!r}"
        )
    part = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return register_parametrization(module, name, part, unsafe=True)

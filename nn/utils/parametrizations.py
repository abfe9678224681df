"""Weight and spectral normalisation as parametrisations."""

from __future__ import annotations

from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from autograd_core.nn.module import Module
from autograd_core.nn.utils.parametrize import register_parametrization

__all__ = ["spectral_norm", "weight_norm"]


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The length of `v` over all dimensions but `dim`, which are kept with size 1; over all if dim is -1."""
    if dim == -1:
        return v.norm()  # type: ignore[attr-defined,no-any-return]
    others = tuple(i for i in range(v.ndim) if i != dim % v.ndim)
    return v.norm(2, others, True) if others else v.abs()  # type: ignore[attr-defined,no-any-return]


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
        return weight / (u @ (matrix @ v))  # type: ignore[no-any-return]

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

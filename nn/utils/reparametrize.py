"""Weight and spectral normalisation in PyTorch's older form: a hook that computes the weight before each forward."""

from __future__ import annotations

import warnings
from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.module import Module
from autograd_core.nn.parameter import Parameter
from autograd_core.nn.utils.parametrizations import as_matrix, check_iterations, default_dim, norm_except_dim

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class WeightNorm:
    """The hook of `weight_norm`."""

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim

    def compute_weight(self, module: Module) -> Tensor:
        """g v / |v|."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


class SpectralNorm:
    """The hook of `spectral_norm`."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        check_iterations(n_power_iterations)
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """w / sigma(w), the power iteration moved on first if wanted."""
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with ag.no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.detach().t() @ u, dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix.detach() @ v, dim=0, eps=self.eps))
            u, v = u.clone(), v.clone()
        return weight / (u @ (matrix @ v))

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The older form of `parametrizations.weight_norm`: w = g v / |v| with parameters `<name>_g` and `<name>_v`.

    Raises `RuntimeError` if the weight has such a hook already. Warns that the newer form is to be preferred.

    >>> import warnings, autograd_core as ag
    >>> with warnings.catch_warnings(action="ignore"):
    ...     list(ag.nn.utils.weight_norm(ag.nn.Linear(2, 3)).state_dict())
    ['bias', 'weight_g', 'weight_v']
    """
    warnings.warn(
        "nn.utils.weight_norm is deprecated in favor of nn.utils.parametrizations.weight_norm",
        FutureWarning,
        stacklevel=2,
    )
    _refuse_second(module, name, WeightNorm)
    hook = WeightNorm(name, -1 if dim is None else dim)
    weight = module._parameters.pop(name)
    assert weight is not None
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight, hook.dim).detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """The older form of `parametrizations.spectral_norm`: parameter `<name>_orig`, buffers `<name>_u` and `<name>_v`.

    Raises `RuntimeError` if the weight has such a hook already, `ValueError` unless n_power_iterations > 0.

    >>> import autograd_core as ag
    >>> list(ag.nn.utils.spectral_norm(ag.nn.Linear(2, 3)).state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    _refuse_second(module, name, SpectralNorm)
    hook = SpectralNorm(name, n_power_iterations, default_dim(module) if dim is None else dim, eps)
    weight = module._parameters.pop(name)
    assert weight is not None
    matrix = as_matrix(weight.detach(), hook.dim)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    for part, size in zip("uv", matrix.shape):
        module.register_buffer(f"{name}_{part}", F.normalize(matrix.new_empty(size).normal_(), dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with its present value. Raises `ValueError` if it is one."""
    hook = _taken(module, name, WeightNorm, "weight_norm")
    return _restore(module, name, hook.compute_weight(module), "gv")


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, with its present value. Raises `ValueError` if it is one."""
    hook = _taken(module, name, SpectralNorm, "spectral_norm")
    return _restore(module, name, hook.compute_weight(module, False), ("orig", "u", "v"))


def _hooks(module: Module, name: str, kind: type) -> list[int]:
    table = {} if module._hooks is None else module._hooks.forward_pre
    return [key for key, (hook, _) in table.items() if isinstance(hook, kind) and hook.name == name]  # type: ignore[attr-defined]


def _refuse_second(module: Module, name: str, kind: type) -> None:
    if _hooks(module, name, kind):
        raise RuntimeError(f"cannot register two {kind.__name__} hooks on the same parameter {name}")
    if module._parameters.get(name) is None:
        raise AttributeError(f"{type(module).__name__} has no parameter {name!r} to normalise")


def _taken(module: Module, name: str, kind: type, what: str) -> Any:
    found = _hooks(module, name, kind)
    if not found or module._hooks is None:
        raise ValueError(f"{what} of '{name}' not found in {module}")
    return module._hooks.forward_pre.pop(found[0])[0]


def _restore(module: Module, name: str, value: Tensor, parts: Any) -> Module:
    delattr(module, name)
    for part in parts:
        delattr(module, f"{name}_{part}")
    module.register_parameter(name, Parameter(value.detach()))
    return module

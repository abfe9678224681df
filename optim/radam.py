"""RAdam."""

from __future__ import annotations

from autograd_core.optim.optimizer import Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Adam whose adaptive rate is held back while its second moment has seen too few steps.

    `rho_inf = 2 / (1 - beta2) - 1` and `rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t)`; for `rho_t > 5` Adam's step
    times `r_t = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t))`, before that
    `p -= lr m / (1 - beta1^t)`. `weight_decay` adds `weight_decay p` to the gradient, or with `decoupled_weight_decay`
    shrinks `p` by `lr weight_decay`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.RAdam([p], lr=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    _live_options = ("lr", "beta1", "beta2", "eps", "weight_decay")
    _rule = Rule(
        "radam_",
        ("exp_avg", "exp_avg_sq", "step"),
        arrays={"exp_avg": 0.0, "exp_avg_sq": 0.0},
        flags=("decoupled_weight_decay", "maximize"),
    )

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize, foreach=foreach,
            capturable=capturable, decoupled_weight_decay=decoupled_weight_decay, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

"""Adamax."""

from __future__ import annotations

from autograd_core.optim.optimizer import Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adam with the decayed largest gradient in place of the root of the second moment.

    `m = beta1 m + (1 - beta1) g`, `u = max(beta2 u, |g| + eps)`, `p -= lr / (1 - beta1^t) m / u`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), section 7.1.

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.Adamax([p], lr=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    _live_options = ("lr", "beta1", "beta2", "eps", "weight_decay")
    _rule = Rule("adamax_", ("exp_avg", "exp_inf", "step"), arrays={"exp_avg": 0.0, "exp_inf": 0.0})

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
            differentiable=differentiable, capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

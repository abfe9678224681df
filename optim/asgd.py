"""ASGD."""

from __future__ import annotations

from autograd_core.optim.optimizer import Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Gradient descent that also keeps the mean of the parameters over the steps after `t0`, in the state `ax`.

    `p = (1 - lambd eta) p - eta g`, `ax += mu (p - ax)`; for the next step `eta = lr / (1 + lambd lr t)^alpha` and
    `mu = 1 / max(1, t - t0)`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.ASGD([p], lr=0.5, lambd=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.2500, 0.2500], requires_grad=True)
    """

    _live_options = ("lr", "lambd", "alpha", "t0", "weight_decay")
    _rule = Rule(
        "asgd_",
        ("ax", "eta", "mu", "step"),
        arrays={"ax": 0.0},
        scalars={"step": 0.0, "eta": "lr", "mu": 1.0},
    )

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
            differentiable=differentiable, capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

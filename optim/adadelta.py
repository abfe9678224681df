"""Adadelta."""

from __future__ import annotations

from autograd_core.optim.optimizer import Group, Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps of the size of earlier steps: no unit of `lr` is left to choose.

    `v = rho v + (1 - rho) g^2`, `d = sqrt(u + eps) / sqrt(v + eps) g`, `u = rho u + (1 - rho) d^2`, `p -= lr d`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Zeiler, "ADADELTA: an adaptive learning rate method" (2012).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.Adadelta([p], rho=0.75, eps=0.25)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.2929, 0.2929], requires_grad=True)
    """

    _live_options = ("lr", "rho", "eps", "weight_decay")
    _rule = Rule("adadelta_", ("square_avg", "acc_delta", "step"), arrays={"square_avg": 0.0, "acc_delta": 0.0})

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize, capturable=capturable,
            foreach=foreach, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        super()._check(group)
        if not 0.0 <= group["rho"] <= 1.0:
            raise ValueError(f"Adadelta: Invalid rho value: {group['rho']}; expected a number in [0, 1]")

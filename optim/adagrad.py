"""Adagrad."""

from __future__ import annotations

from autograd_core.optim.optimizer import Group, Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Divides the gradient by the root of the sum of its squares over all steps.

    `s += g^2`, `p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)`; `s` starts at `initial_accumulator_value`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `fused` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization"
    (2011).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.Adagrad([p], lr=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    _live_options = ("lr", "lr_decay", "eps", "weight_decay")
    _rule = Rule("adagrad_", ("sum", "step"), arrays={"sum": "initial_accumulator_value"})

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = dict(
            lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, foreach=foreach, maximize=maximize,
            differentiable=differentiable, fused=fused,
        )  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            self._begin(p, self.param_groups[-1])

"""NAdam."""

from __future__ import annotations

from autograd_core.optim.optimizer import Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam with Nesterov momentum.

    `mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)`, `P_t` the product of all `mu` up to t, `m`, `v` as in Adam, `v`
    divided by `1 - beta2^t`; then `p -= lr ((1 - mu_t) / (1 - P_t) g + mu_{t+1} / (1 - P_{t+1}) m) / (sqrt(v) + eps)`.
    `weight_decay` adds `weight_decay p` to the gradient, or with `decoupled_weight_decay` shrinks `p`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Dozat, "Incorporating Nesterov momentum into Adam" (2016).

    >>> import autograd_core as ag
    >>> p = ag.ones(1, requires_grad=True); optimizer = ag.optim.NAdam([p], lr=0.5, betas=(0.0, 0.5))
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000], requires_grad=True)
    """

    _live_options = ("lr", "beta1", "beta2", "eps", "momentum_decay", "weight_decay")
    _rule = Rule(
        "nadam_",
        ("exp_avg", "exp_avg_sq", "mu_product", "step"),
        arrays={"exp_avg": 0.0, "exp_avg_sq": 0.0},
        scalars={"step": 0.0, "mu_product": 1.0},
        flags=("decoupled_weight_decay", "maximize"),
    )

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

"""Rprop."""

from __future__ import annotations

from autograd_core.optim.optimizer import Group, Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Resilient backpropagation: only the signs of the gradients count. For full batches.

    Each element has a step size, at first `lr`: times `etas[1]` where the gradient keeps its sign, times `etas[0]`
    where it turns (the element then rests for this step), within `step_sizes`. `p -= sign(g) step_size`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning" (1993).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.Rprop([p], lr=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    _live_options = ("lr", "eta_minus", "eta_plus", "step_min", "step_max")
    _rule = Rule(
        "rprop_",
        ("prev", "step_size", "step"),
        arrays={"prev": 0.0, "step_size": "lr"},
        first_option=1,
    )

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize, differentiable=differentiable,
            capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        super()._check(group)
        shrink, grow = group["etas"]
        if not 0.0 < shrink < 1.0 < grow:
            raise ValueError(f"Rprop: Invalid eta values: {shrink}, {grow}; expected 0 < etas[0] < 1 < etas[1]")

"""RMSprop."""

from __future__ import annotations

from autograd_core.optim.optimizer import Optimizer, Params, Rule
from autograd_core.tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Divides the gradient by a running root mean square of itself.

    `v = alpha v + (1 - alpha) g^2`, `u = g / (sqrt(v) + eps)`, `p -= lr u`. `centered` takes the variance,
    `v - mean(g)^2`, under the root; `momentum` steps along `b = momentum b + u` instead of `u`.

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012); Graves, "Generating
    sequences with recurrent neural networks" (2013) for `centered`.

    >>> import autograd_core as ag
    >>> p = ag.ones(1, requires_grad=True); optimizer = ag.optim.RMSprop([p], lr=0.25, alpha=0.75)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000], requires_grad=True)
    """

    _live_options = ("lr", "alpha", "eps", "momentum", "weight_decay")
    _rule = Rule(
        "rmsprop_",
        ("square_avg", "grad_avg", "momentum_buffer", "step"),
        arrays={"square_avg": 0.0, "momentum_buffer": 0.0, "grad_avg": 0.0},
        needs={"grad_avg": "centered", "momentum_buffer": "momentum"},
    )

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay,
            capturable=capturable, foreach=foreach, maximize=maximize, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

"""AdamW."""

from __future__ import annotations

from autograd_core.optim.adam import Adam
from autograd_core.optim.optimizer import Params
from autograd_core.tensor import Tensor

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam with decoupled weight decay: `p -= lr weight_decay p` before Adam's step, whose means never see it.

    Arguments and errors as `Adam`; `weight_decay` is 0.01 unless set.
    Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.AdamW([p], lr=0.5, weight_decay=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.2500, 0.2500], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

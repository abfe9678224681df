"""ASGD."""

from __future__ import annotations

from autograd_core import recorder
from autograd_core.optim.optimizer import Group, Optimizer, Params, _is_zero
from autograd_core.storage import mark_mutated
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
    _elementwise_state = ("ax",)

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

    def _update(self, index: int, group: Group) -> None:
        maximize = group["maximize"]
        backend = None
        for p in group["params"]:
            grad = p._grad
            if grad is None:
                continue
            if p._backend is not backend:
                backend = p._backend
                lr, lambd, alpha, t0, decay = self._scalars(index, group, backend)
                if _is_zero(group["weight_decay"]):
                    decay = None
            state = self.state[p]
            if not state:
                state["step"] = self._scalar_state(p, 0.0)
                state["eta"] = self._scalar_state(p, 0.0)
                with recorder.paused():
                    backend.copy_(state["eta"]._data, lr)
                state["mu"] = self._scalar_state(p, 1.0)
                state["ax"] = self._zeros_like(p)
            step = state["step"]
            if step._backend is not backend:
                raise self._misplaced(p, step)
            array = p._data
            backend.asgd_(
                array, grad._data, state["ax"]._data, state["eta"]._data, state["mu"]._data, step._data,
                lr, lambd, alpha, t0, decay, maximize,
            )  # fmt: skip
            mark_mutated(backend, array, "ASGD.step")

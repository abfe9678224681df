"""Adam."""

from __future__ import annotations

from typing import Any

from autograd_core.optim.optimizer import Group, Optimizer, Params, Rule, _is_zero
from autograd_core.storage import mark_each
from autograd_core.tensor import Tensor

__all__ = ["Adam"]


class Adam(Optimizer):
    """Steps along running means of the gradient over the root of those of its square.

    `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`, both divided by their bias `1 - beta^t`; then
    `p -= lr m / (sqrt(v) + eps)`. `amsgrad` takes the largest `v` so far. `weight_decay` adds `weight_decay p` to the
    gradient, or with `decoupled_weight_decay` shrinks `p` by `lr weight_decay` (AdamW).

    params: Tensors or groups. lr: a number or one-element Tensor. `maximize` ascends instead.
    `foreach`, `fused` and `capturable` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015); Reddi et al., "On the convergence of
    Adam and beyond" (2018) for `amsgrad`.

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.Adam([p], lr=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    _live_options = ("lr", "beta1", "beta2", "eps", "weight_decay")
    _rule = Rule(
        "adam_",
        ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"),
        arrays={"exp_avg": 0.0, "exp_avg_sq": 0.0, "max_exp_avg_sq": 0.0},
        needs={"max_exp_avg_sq": "amsgrad"},
        flags=("decoupled_weight_decay", "maximize"),
    )

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
            foreach=foreach, capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        super()._check(group)
        tensors = [isinstance(beta, Tensor) for beta in group["betas"]]
        if any(tensors) and not all(tensors):
            raise ValueError(f"{type(self).__name__}: betas must be either both numbers or both Tensors")
        if group["foreach"] and not group["capturable"] and (isinstance(group["lr"], Tensor) or any(tensors)):
            raise ValueError(
                f"{type(self).__name__}: lr and betas as Tensors are not supported for capturable=False and "
                "foreach=True; leave foreach out"
            )

    def _update(self, index: int, group: Group) -> None:
        decoupled, maximize, amsgrad = group["decoupled_weight_decay"], group["maximize"], group["amsgrad"]
        backend: Any = None
        options: tuple[Any, ...] = ()
        pending: list[tuple[Any, ...]] = []
        params = [p for p in group["params"] if p._grad is not None]
        mark_each(params, type(self).__name__ + ".step")
        for p in params:
            state = self.state[p]
            if not state or (amsgrad and "max_exp_avg_sq" not in state):
                self._begin(p, group)
            largest = state["max_exp_avg_sq"]._data if amsgrad else None
            if p._backend is not backend:
                if pending:
                    self._update_together(backend, pending, *options)
                    pending = []
                backend = p._backend
                lr, beta1, beta2, eps, decay = self._scalars(index, group, backend)
                if _is_zero(group["weight_decay"]):
                    decay = None
                options = (lr, beta1, beta2, eps, decay, decoupled, maximize)
            step = state["step"]
            if step._backend is not backend:
                raise self._misplaced(p, step)
            arrays = (p._data, p._grad._data, state["exp_avg"]._data, state["exp_avg_sq"]._data, largest, step._data)
            if backend.updates_together:
                pending.append(arrays)
            else:
                backend.adam_(*arrays, *options)
        if pending:
            self._update_together(backend, pending, *options)

    def _update_together(self, backend: Any, pending: list[tuple[Any, ...]], *options: Any) -> None:
        params, grads, exp_avgs, exp_avg_sqs, largest, steps = zip(*pending)
        tops = None if largest[0] is None else largest
        backend.adam_all_(params, grads, exp_avgs, exp_avg_sqs, tops, steps, *options)

"""RMSprop."""

from __future__ import annotations

from autograd_core.optim.optimizer import Group, Optimizer, Params, _is_zero
from autograd_core.storage import mark_mutated
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
    _elementwise_state = ("square_avg", "grad_avg", "momentum_buffer")

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

    def _update(self, index: int, group: Group) -> None:
        maximize = group["maximize"]
        wanted = ["square_avg"]
        if group["momentum"] > 0:
            wanted.append("momentum_buffer")
        if group["centered"]:
            wanted.append("grad_avg")
        backend = None
        for p in group["params"]:
            grad = p._grad
            if grad is None:
                continue
            state = self.state[p]
            if "step" not in state:
                state["step"] = self._scalar_state(p, 0.0)
            for name in wanted:
                if name not in state:
                    state[name] = self._zeros_like(p)
            if p._backend is not backend:
                backend = p._backend
                lr, alpha, eps, momentum, decay = self._scalars(index, group, backend)
                if _is_zero(group["weight_decay"]):
                    decay = None
            step = state["step"]
            if step._backend is not backend:
                raise self._misplaced(p, step)
            array = p._data
            mean = state["grad_avg"]._data if "grad_avg" in wanted else None
            buffer = state["momentum_buffer"]._data if "momentum_buffer" in wanted else None
            backend.rmsprop_(
                array, grad._data, state["square_avg"]._data, mean, buffer, step._data,
                lr, alpha, eps, momentum, decay, maximize,
            )  # fmt: skip
            mark_mutated(backend, array, "RMSprop.step")

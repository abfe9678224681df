"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from autograd_core import recorder
from autograd_core.optim.optimizer import Group, Optimizer, Params, Rule, _is_zero
from autograd_core.storage import mark_each
from autograd_core.tensor import Tensor

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    `g = grad + weight_decay p`; `b = momentum b + (1 - dampening) g` (`b = g` on the first step);
    `p -= lr b`, or with Nesterov momentum `p -= lr (g + momentum b)`; without momentum `p -= lr g`.

    params: Tensors or groups. lr: learning rate, a number or one-element Tensor. `maximize` ascends instead.
    `foreach` and `fused` choose an implementation in PyTorch; here one kernel a parameter serves all.

    `differentiable=True` makes the step an operation that gradients pass through.
    Raises ValueError for an option out of range.
    Source: Polyak (1964); Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.SGD([p], lr=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    _live_options = ("lr", "momentum", "dampening", "weight_decay")
    _rule = Rule(
        "sgd_",
        ("momentum_buffer",),
        arrays={"momentum_buffer": 0.0},
        scalars={},
        needs={"momentum_buffer": "momentum"},
        flags=("nesterov", "maximize"),
    )

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = dict(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize, foreach=foreach, differentiable=differentiable, fused=fused,
        )  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: Nesterov momentum requires a momentum and zero dampening, got "
                f"momentum={group['momentum']}, dampening={group['dampening']}"
            )

    def _update(self, index: int, group: Group) -> None:
        nesterov, maximize, heavy = group["nesterov"], group["maximize"], group["momentum"] != 0
        backend: Any = None
        options: tuple[Any, ...] = ()
        pending: dict[bool, list[tuple[Any, ...]]] = {}
        params = [p for p in group["params"] if p._grad is not None]
        mark_each(params, "SGD.step")
        for p in params:
            if p._backend is not backend:
                if pending:
                    self._update_together(backend, pending, *options)
                    pending = {}
                backend = p._backend
                lr, momentum, dampening, decay = self._scalars(index, group, backend)
                if _is_zero(group["weight_decay"]):
                    decay = None
                options = (lr, momentum, dampening, decay, nesterov, maximize)
            buffer, first = None, False
            if heavy:
                state = self.state[p]
                buffer = state.get("momentum_buffer")
                if buffer is None:
                    buffer = state["momentum_buffer"] = self._zeros_like(p)
                    # Without dampening the first step needs no case of its own: the buffer is zero.
                    first = group["dampening"] != 0
                    if first and recorder.recording:
                        recorder.add_guard(_first_step)
                elif buffer._backend is not backend:
                    raise self._misplaced(p, buffer)
                buffer = buffer._data
            if backend.updates_together:
                pending.setdefault(first, []).append((p._data, p._grad._data, buffer))
            else:
                backend.sgd_(p._data, p._grad._data, buffer, *options, first)
        if pending:
            self._update_together(backend, pending, *options)

    def _update_together(self, backend: Any, pending: dict[bool, list[tuple[Any, ...]]], *options: Any) -> None:
        for first, arrays in pending.items():
            params, grads, buffers = zip(*arrays)
            backend.sgd_all_(params, grads, None if buffers[0] is None else buffers, *options, first)


def _first_step() -> None:
    raise RuntimeError(
        "SGD: the first step with dampening differs from later ones, so its recording cannot be replayed; "
        "make one step before recording"
    )

"""Adafactor."""

from __future__ import annotations

from typing import Any

from autograd_core import dtypes, modes
from autograd_core.optim.optimizer import Group, Optimizer, Params, _is_zero
from autograd_core.tensor import Tensor, wrap

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adam's scaling by the root of mean squared gradients, of which a matrix keeps only row and column means.

    `r = lerp(r, mean of g^2 along rows, b)`, `c` along columns, `b = t^beta2_decay`, `v = r c / mean(r)` (vectors keep
    `v` itself); `u = g / sqrt(max(v, eps1^2))`, divided by max(1, RMS(u) / d); then `p -= a u` with
    `a = max(eps2, RMS(p)) min(lr, 1 / sqrt(t))`. `weight_decay` first shrinks `p` by `lr weight_decay`.

    params: Tensors or groups. lr: a number or one-element Tensor. eps: (eps1, eps2), eps1 the dtype's machine epsilon
    unless given. `maximize` ascends instead. `foreach` chooses an implementation in PyTorch, and changes nothing.

    Raises ValueError for an option out of range.
    Source: Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost" (2018).

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.Adafactor([p], lr=0.5)
    >>> p.sum().backward(); optimizer.step(); p
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    _live_options = ("lr", "beta2_decay", "d", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        defaults = dict(
            lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, foreach=foreach, maximize=maximize
        )
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        super()._check({key: value for key, value in group.items() if key != "eps"})
        first, second = group["eps"]
        if (first is not None and not first >= 0) or not second >= 0:
            raise ValueError(f"Adafactor: eps should be two numbers >= 0 (or None and one), got {group['eps']}")
        if not group["d"] >= 1:
            raise ValueError(f"Adafactor: Clipping threshold d should be >= 1, got {group['d']}")
        if not group["beta2_decay"] <= 0:
            raise ValueError(f"Adafactor: beta2_decay should be <= 0, got {group['beta2_decay']}")

    def _init_state(self, p: Tensor) -> dict[str, Any]:
        if p.ndim < 2:
            return {"step": self._scalar_state(p, 0.0), "variance": self._zeros_like(p)}
        rows, columns = p.select(-1, 0).unsqueeze(-1), p.select(-2, 0).unsqueeze(-2)
        return {
            "step": self._scalar_state(p, 0.0),
            "row_var": self._zeros_like(rows),
            "col_var": self._zeros_like(columns),
        }

    def _update(self, index: int, group: Group) -> None:
        with modes.no_grad():
            for p in group["params"]:
                if p._grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(self._init_state(p))
                if state["step"]._backend is not p._backend:
                    raise self._misplaced(p, state["step"])
                live = [wrap(buffer, p._backend) for buffer in self._scalars(index, group, p._backend)]
                self._move(p, -p._grad if group["maximize"] else p._grad, state, group, *live)

    def _move(
        self, p: Any, grad: Any, state: dict[str, Any], group: Group, lr: Any, beta2_decay: Any, d: Any, decay: Any
    ) -> None:
        state["step"].add_(1)
        if not p.numel():
            return
        eps1, eps2 = group["eps"]
        if eps1 is None:
            eps1 = dtypes.finfo(p.dtype).eps
        t = state["step"].to(dtypes.float64)
        share = (t**beta2_decay).to(p.dtype)
        rate = lr.minimum(t.rsqrt()) * _rms(p).clamp_min(eps2).to(dtypes.float64)
        if not _is_zero(group["weight_decay"]):
            p.mul_((1 - lr * decay).to(p.dtype))
        if p.ndim > 1:
            square = grad * grad
            rows, columns = state["row_var"], state["col_var"]
            rows.lerp_(square.mean(-1, keepdim=True), share)
            columns.lerp_(square.mean(-2, keepdim=True), share)
            variance = rows @ columns / rows.mean(-2, keepdim=True).clamp_min(eps1)
        else:
            variance = state["variance"].lerp_(grad * grad, share)
        update = variance.clamp_min(eps1 * eps1).rsqrt() * grad
        clip = (_rms(update).to(dtypes.float64) / d).clamp_min(1.0)
        p.sub_(update * (rate / clip).to(p.dtype))


def _rms(x: Any) -> Any:
    return x.norm() / x.numel() ** 0.5

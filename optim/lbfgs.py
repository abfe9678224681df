"""LBFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from autograd_core import modes
from autograd_core.ops.creation import zeros_like
from autograd_core.ops.joining import cat
from autograd_core.optim.optimizer import Optimizer, Params
from autograd_core.tensor import Tensor

__all__ = ["LBFGS"]

Closure = Callable[[], Any]

# The strong Wolfe conditions: enough descent, and a slope flat enough. And the shortest bracket worth dividing.
_DESCENT, _FLATNESS, _SHORTEST = 1e-4, 0.9, 1e-9


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last `history_size` changes of parameters and gradient, for full batches.

    A step makes up to `max_iter` iterations `p += t d`; `d = -H g` by the two-loop recursion, and `t = lr`, or with
    `line_search_fn="strong_wolfe"` a length that satisfies the strong Wolfe conditions. It ends early after `max_eval`
    evaluations of the closure (None: 1.25 `max_iter`), when the largest gradient is at most `tolerance_grad`, or when
    loss or parameters change by less than `tolerance_change`. Values are read on the host, so no step can be recorded.

    params: Tensors of one device, in one group. Raises ValueError for several groups, RuntimeError for an unknown
    line search, TypeError for a step without a closure.
    Source: Nocedal and Wright, "Numerical optimization" (2006), algorithms 7.4, 7.5, 3.5 and 3.6.

    >>> import autograd_core as ag
    >>> p = ag.ones(2, requires_grad=True); optimizer = ag.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad(); loss = ((p - 3) ** 2).sum(); loss.backward(); return loss
    >>> optimizer.step(closure), p
    (tensor(8., grad_fn=<SumBackward>), tensor([3., 3.], requires_grad=True))
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = dict(
            lr=lr, max_iter=max_iter, max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
            tolerance_grad=tolerance_grad, tolerance_change=tolerance_change, history_size=history_size,
            line_search_fn=line_search_fn,
        )  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS doesn't support parameter groups: got {len(self.param_groups)}, expected one")

    def step(self, closure: Closure) -> Any:
        """Minimise the loss that `closure` computes, with its gradients, and returns. Returns the first loss."""
        if not callable(closure):
            raise TypeError(f"LBFGS.step: expected a closure that recomputes the loss, got {type(closure).__name__}")
        with modes.no_grad():
            return self._minimize(closure)

    def _minimize(self, closure: Closure) -> Any:
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(
                f"LBFGS: only 'strong_wolfe' is supported as line_search_fn, got {group['line_search_fn']!r}"
            )
        lr, flat_enough, still = float(group["lr"]), group["tolerance_grad"], group["tolerance_change"]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = self._evaluate(closure)
        loss, gradient = float(first), self._gradient()
        evaluations, iterations = 1, 0
        state["func_evals"] += 1
        if _largest(gradient) <= flat_enough:
            return first
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            direction = self._direction(state, gradient, group["history_size"])
            state["prev_flat_grad"] = gradient
            state["prev_loss"] = before = loss
            t = min(1.0, 1.0 / float(gradient.abs().sum())) * lr if state["n_iter"] == 1 else lr
            slope = float(gradient.dot(direction))
            state["d"], state["t"] = direction, t
            if slope > -still:
                break
            used = 0
            if group["line_search_fn"] is not None:
                start = [p.clone() for p in group["params"]]

                def try_length(t: float, start: list[Tensor] = start, d: Tensor = direction) -> _Point:
                    self._move(t, d)
                    loss = float(self._evaluate(closure))
                    gradient = self._gradient()
                    for p, value in zip(group["params"], start, strict=True):
                        p.copy_(value)
                    return _Point(t, loss, gradient, float(gradient.dot(d)))

                here = _Point(0.0, loss, gradient, slope)
                limit = group["max_eval"] - evaluations
                found, used = _strong_wolfe(try_length, here, t, _largest(direction), limit)
                state["t"] = t = found.t
                loss, gradient = found.loss, found.gradient
                self._move(t, direction)
            else:
                self._move(t, direction)
                if iterations < group["max_iter"]:
                    loss, gradient, used = float(self._evaluate(closure)), self._gradient(), 1
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or _largest(gradient) <= flat_enough
                or _largest(direction) * t <= still
                or abs(loss - before) < still
            ):
                break
        return first

    def _direction(self, state: dict[str, Any], gradient: Tensor, history_size: int) -> Tensor:
        """`-H g`, having added the last step to the history of which `H` is made."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -gradient
        changes, steps, inverses = state["old_dirs"], state["old_stps"], state["ro"]
        change = gradient - state["prev_flat_grad"]
        step = state["d"] * state["t"]
        product = change.dot(step)
        if float(product) > 1e-10:
            if len(changes) == history_size:
                for history in (changes, steps, inverses):
                    history.pop(0)
            changes.append(change)
            steps.append(step)
            inverses.append(1.0 / product)
            state["H_diag"] = product / change.dot(change)
        direction = -gradient
        # PyTorch's state has these, too, at a fixed length.
        shares = state.setdefault("al", [None] * history_size)
        for i in reversed(range(len(changes))):
            shares[i] = steps[i].dot(direction) * inverses[i]
            direction = direction - changes[i] * shares[i]
        direction = direction * state["H_diag"]
        for i in range(len(changes)):
            direction = direction + steps[i] * (shares[i] - changes[i].dot(direction) * inverses[i])
        return direction

    def _evaluate(self, closure: Closure) -> Any:
        with modes.enable_grad():
            return closure()

    def _gradient(self) -> Tensor:
        """The gradients of all parameters as one vector; zero where there is none."""
        params = self.param_groups[0]["params"]
        return cat([(zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in params], 0)

    def _move(self, t: float, direction: Tensor) -> None:
        begin = 0
        for p in self.param_groups[0]["params"]:
            p.add_(direction[begin : begin + p.numel()].reshape(p.shape), alpha=t)
            begin += p.numel()

    def _load_state(self, number: Any, p: Tensor, saved: Mapping[str, Any]) -> dict[str, Any]:
        state = super()._load_state(number, p, saved)
        for key, value in state.items():
            if isinstance(value, list):
                with modes.no_grad():
                    state[key] = [x.to(p.device).to(p.dtype) if isinstance(x, Tensor) else x for x in value]
        return state


class _Point(NamedTuple):
    """A step length `t`, with the loss, its gradient and its slope along the direction there."""

    t: float
    loss: float
    gradient: Tensor
    slope: float


def _strong_wolfe(
    evaluate: Callable[[float], _Point], start: _Point, t: float, reach: float, limit: int
) -> tuple[_Point, int]:
    """A point that satisfies the strong Wolfe conditions, or the best of about `limit` tried; and how many were.

    Longer steps until a bracket holds such a point, then shorter brackets by cubic interpolation. reach: the largest
    element of the direction.
    """

    def too_high(point: _Point) -> bool:
        return point.loss > start.loss + _DESCENT * point.t * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -_FLATNESS * start.slope

    before, point = start, evaluate(t)
    tries = 0
    low = high = None
    while tries < limit:
        if too_high(point) or (tries > 1 and point.loss >= before.loss):
            low, high = before, point
            break
        if flat(point):
            return point, tries + 1
        if point.slope >= 0:
            low, high = before, point
            break
        t = _minimum_of_cubic(before, point, point.t + 0.01 * (point.t - before.t), point.t * 10)
        before, point = point, evaluate(t)
        tries += 1
    if low is None or high is None:
        low, high = start, point
    if high.loss < low.loss:
        low, high = high, low
    stuck = False
    while tries < limit and abs(high.t - low.t) * reach >= _SHORTEST:
        left, right = sorted((low.t, high.t))
        t = _minimum_of_cubic(low, high, left, right)
        # Too near an end twice, or at it, the bracket would hardly shrink: go a tenth of it inside.
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stuck or not left < t < right):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near = False
        stuck = near
        point = evaluate(t)
        tries += 1
        if too_high(point) or point.loss >= low.loss:
            high = point
            continue
        if flat(point):
            return point, tries + 1
        if point.slope * (high.t - low.t) >= 0:
            high = low
        low = point
    return low, tries + 1


def _minimum_of_cubic(a: _Point, b: _Point, lowest: float, highest: float) -> float:
    """Where the cubic through both points, with their slopes, is least, within the bounds; else their middle."""
    if a.t > b.t:
        a, b = b, a
    if a.t < b.t:
        bend = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
        square = bend * bend - a.slope * b.slope
        if square >= 0:
            root = math.sqrt(square)
            span = b.slope - a.slope + 2 * root
            if span != 0:
                return min(max(b.t - (b.t - a.t) * ((b.slope + root - bend) / span), lowest), highest)
    return (lowest + highest) / 2.0


def _largest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0

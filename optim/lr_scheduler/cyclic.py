"""Rates (and momenta, inversely) that go up and down within a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from autograd_core.optim.lr_scheduler.base import (
    LRScheduler,
    Rate,
    attributes_of,
    check_optimizer,
    per_group,
    set_rate,
)
from autograd_core.optim.optimizer import Group, Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]


class _MomentumCycler(LRScheduler):
    """The part that cycles `momentum`, or the first of `betas`."""

    use_beta1: bool

    def _start_momentum(
        self, optimizer: Optimizer, low: Any, high: Any, last_epoch: int
    ) -> tuple[list[Any], list[Any]]:
        """The bounds a group, written into the groups with which a run begins."""
        name = type(self).__name__
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                f"{name}: optimizer must support momentum or beta1 with `cycle_momentum` option enabled, which "
                f"{type(optimizer).__name__} does not; pass cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        lows = per_group(f"{name}: base_momentum", optimizer, low)
        highs = per_group(f"{name}: max_momentum", optimizer, high)
        if last_epoch == -1:
            for group, bottom, top in zip(optimizer.param_groups, lows, highs, strict=True):
                self._set_momentum(group, top)
                group["max_momentum"] = top
                group["base_momentum"] = bottom
        return lows, highs

    def _set_momentum(self, group: Group, value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_MomentumCycler):
    """From `base_lr` up to `max_lr` in `step_size_up` steps, down in `step_size_down` (None: as many), and again.

    mode: "triangular", "triangular2" (the height halves each cycle) or "exp_range" (it is `gamma^step`); a `scale_fn`
    of one's own takes the number of the cycle or of the step, by `scale_mode` "cycle" or "iterations".
    cycle_momentum: moves the momentum (or beta1) the other way, from `max_momentum` to `base_momentum`.
    base_lr, max_lr, base_momentum, max_momentum: one number, or a list with one a group. Step it once a batch.

    Raises ValueError for an unknown mode, a list of another length, or momentum where the optimiser has none.
    Source: Smith, "Cyclical learning rates for training neural networks" (2017).

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.25, max_lr=1.0).get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("CyclicLR", optimizer)
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"CyclicLR: mode is invalid and scale_fn is None: {mode!r}; expected 'triangular', ...")
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"CyclicLR: scale_mode {scale_mode!r} is unknown; expected 'cycle' or 'iterations'")
        base_lrs = per_group("CyclicLR: base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                set_rate(group, lr)
        self.max_lrs = per_group("CyclicLR: max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        if scale_fn is None:
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._start_momentum(
                optimizer, base_momentum, max_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of the cycle, of 1: `x` is the number of the cycle (from 1) or of the step, by `scale_mode`."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 1 / 2.0 ** (x - 1) if self.mode == "triangular2" else self.gamma**x

    def get_lr(self) -> list[Rate]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        share = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in bounds:
                self._set_momentum(group, high - (high - low) * share * scale)
        return [low + (high - low) * share * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        state["_scale_fn_custom"] = None if self._scale_fn_custom is None else attributes_of(self._scale_fn_custom)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_scale_fn_custom"})
        attributes = state_dict.get("_scale_fn_custom")
        if attributes is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(attributes)


class OneCycleLR(_MomentumCycler):
    """One cycle for the whole run: from `max_lr / div_factor` up to `max_lr`, then down to almost nothing.

    The rise takes `pct_start` of the `total_steps` (or `epochs * steps_per_epoch`), the fall the rest, to the initial
    rate over `final_div_factor`; with `three_phase` first as far down as it rose, then on to the end.
    anneal_strategy: "cos" or "linear". cycle_momentum: moves the momentum (or beta1) the other way, from `max_momentum`
    to `base_momentum` and back. max_lr, base_momentum, max_momentum: one number, or a list with one a group.
    Step it once a batch.

    Raises ValueError for an option out of range, a list of another length, momentum where the optimiser has none, and
    for more than `total_steps` steps.
    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates"
    (2018).

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, 10, anneal_strategy="linear").get_last_lr()
    [0.04]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("OneCycleLR", optimizer)
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("OneCycleLR: define either total_steps or both epochs and steps_per_epoch")
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch} if total_steps is None else {}
        for name, value in (given or {"total_steps": total_steps}).items():
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"OneCycleLR: expected a positive integer {name}, got {value}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: expected a float between 0 and 1 as pct_start, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        self.total_steps: int = total_steps or epochs * steps_per_epoch  # type: ignore[operator]
        up = float(pct_start * self.total_steps) - 1
        self._schedule_phases = [_phase(up, "initial_lr max_lr max_momentum base_momentum")]
        if three_phase:
            down = float(2 * pct_start * self.total_steps) - 2
            self._schedule_phases.append(_phase(down, "max_lr initial_lr base_momentum max_momentum"))
            names = "initial_lr min_lr max_momentum max_momentum"
        else:
            names = "max_lr min_lr base_momentum max_momentum"
        self._schedule_phases.append(_phase(self.total_steps - 1, names))
        self._anneal_func_type = anneal_strategy
        highest = per_group("OneCycleLR: max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, highest, strict=True):
                group["initial_lr"] = high / div_factor
                group["max_lr"] = high
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"OneCycleLR: tried to step {step} times, the specified number of total steps is {self.total_steps}"
            )
        begin = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"]:
                break
            if phase is not self._schedule_phases[-1]:
                begin = phase["end_step"]
        length = phase["end_step"] - begin
        share = (step - begin) / length if length else 1.0
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                low, high = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._anneal(low, high, share))
        return [
            self._anneal(group[phase["start_lr"]], group[phase["end_lr"]], share)
            for group in self.optimizer.param_groups
        ]

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _phase(end: float, names: str) -> dict[str, Any]:
    """A phase up to step `end`, between the options of a group that `names` tells."""
    keys = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return {"end_step": end, **dict(zip(keys, names.split(), strict=True))}

"""Learning-rate schedulers: call `scheduler.step()` once an epoch (or batch), after `optimizer.step()`.

Each computes the next rate from the present one (the chainable form), so several schedulers may drive one optimiser.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autograd_core import modes
from autograd_core.optim.optimizer import Optimizer
from autograd_core.tensor import Tensor

__all__ = ["CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "MultiStepLR", "StepLR"]

Rate = Any  # float, or a one-element Tensor where the optimiser was given one


class LRScheduler:
    """Base class: `get_lr()` of a subclass returns the rate of each group at `self.last_epoch`.

    optimizer: whose groups' `lr` to set. last_epoch: -1 to start, or the last epoch of the run to resume, whose groups
    must have `initial_lr` then. Raises TypeError for what is no Optimizer, KeyError where `initial_lr` is missing.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.StepLR(optimizer, step_size=1).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{name}: {type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _value(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{name}: param 'initial_lr' is not specified in param_groups[{i}], which resuming with "
                    f"last_epoch={last_epoch} needs; load the optimizer's state first"
                )
        self.base_lrs: list[Rate] = [_value(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._is_initial = True
        self._get_lr_called_within_step = False
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[Rate]:
        """The rate of each group at `last_epoch`, from its present one. Called by `step`."""
        raise NotImplementedError(f"{type(self).__name__} must implement get_lr()")

    def get_last_lr(self) -> list[Rate]:
        """The rates that the last `step` has set, one a group."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or (deprecated, as in PyTorch) to `epoch`, and set the rates of all groups."""
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first value of the schedule is skipped. "
                "Call optimizer.step() first",
                stacklevel=2,
            )
        self._step_count += 1
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                warnings.warn("scheduler.step(epoch) is deprecated; use scheduler.step()", stacklevel=2)
                self.last_epoch = epoch
                rates = self._closed_form()
        finally:
            self._get_lr_called_within_step = False
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(group["lr"], Tensor):
                with modes.no_grad():
                    group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self._last_lr: list[Rate] = [_value(group["lr"]) for group in self.optimizer.param_groups]

    def _closed_form(self) -> list[Rate]:
        """The rates at `last_epoch` from the initial ones alone."""
        return self.get_lr()

    def _present(self) -> list[Rate]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All of the scheduler but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict()`; the rates themselves are in the optimizer's. ValueError for another dict."""
        missing = {"last_epoch", "base_lrs", "_last_lr", "_step_count"} - set(state_dict)
        if missing:
            raise ValueError(f"{type(self).__name__}: no scheduler's state_dict, {sorted(missing)} missing")
        groups = len(state_dict["base_lrs"])
        if groups != len(self.base_lrs):
            raise ValueError(f"{type(self).__name__}: loaded state has {groups} groups, expected {len(self.base_lrs)}")
        self.__dict__.update(state_dict)


class StepLR(LRScheduler):
    """Multiplies the rate by `gamma` every `step_size` epochs.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.5).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if step_size <= 0:
            raise ValueError(f"StepLR: expected a step_size of at least 1 epoch, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self._present()
        return [lr * self.gamma for lr in self._present()]

    def _closed_form(self) -> list[Rate]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Multiplies the rate by `gamma` at each epoch in `milestones`; one named twice counts twice.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[30, 80]).get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        # A plain dict: a Counter could not be saved.
        self.milestones = dict(Counter(milestones))
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        times = self.milestones.get(self.last_epoch, 0)
        return [lr * self.gamma**times if times else lr for lr in self._present()]

    def _closed_form(self) -> list[Rate]:
        passed = bisect_right(sorted(Counter(self.milestones).elements()), self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Multiplies the rate by `gamma` every epoch.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        return self._present() if self._is_initial else [lr * self.gamma for lr in self._present()]

    def _closed_form(self) -> list[Rate]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class LambdaLR(LRScheduler):
    """The initial rate times `lr_lambda(epoch)`: one function, or a list with one a group.

    Functions are not part of `state_dict()`; the attributes of callable objects are.
    Raises ValueError if the list's length is not the number of groups.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: (1 + epoch) / 10).get_last_lr()
    [0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups) if isinstance(optimizer, Optimizer) else 0
        if callable(lr_lambda):
            self.lr_lambdas: list[Callable[[int], float]] = [lr_lambda] * groups
        else:
            self.lr_lambdas = list(lr_lambda)
            if groups and len(self.lr_lambdas) != groups:
                raise ValueError(f"LambdaLR: expected {groups} lr_lambdas, one a group, got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        return [base * f(self.last_epoch) for f, base in zip(self.lr_lambdas, self.base_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        state["lr_lambdas"] = [dict(f.__dict__) if _has_attributes(f) else None for f in self.lr_lambdas]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "lr_lambdas"})
        for f, attributes in zip(self.lr_lambdas, state_dict.get("lr_lambdas", ())):
            if attributes is not None:
                f.__dict__.update(attributes)


class CosineAnnealingLR(LRScheduler):
    """Moves the rate along half a cosine from the initial one to `eta_min` in `T_max` epochs (and back in as many).

    `eta_t = eta_min + (eta_0 - eta_min) (1 + cos(pi t / T_max)) / 2`, computed from the rate at t - 1.
    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017).

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> ag.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max <= 0:
            raise ValueError(f"CosineAnnealingLR: expected a T_max of at least 1 epoch, got {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        t, T, low = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return self._present()
        if (t - 1 - T) % (2 * T) == 0:
            # At t - 1 the cosine was -1 and the rate eta_min: there is no ratio to go on with.
            rise = (1 - math.cos(math.pi / T)) / 2
            return [lr + (base - low) * rise for base, lr in zip(self.base_lrs, self._present(), strict=True)]
        ratio = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        return [ratio * (lr - low) + low for lr in self._present()]

    def _closed_form(self) -> list[Rate]:
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


def _value(rate: Rate) -> Rate:
    return rate.detach().clone() if isinstance(rate, Tensor) else rate


def _has_attributes(f: Any) -> bool:
    return hasattr(f, "__dict__") and not hasattr(f, "__code__")

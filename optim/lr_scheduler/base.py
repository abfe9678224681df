"""The base of the learning-rate schedulers."""

from __future__ import annotations

import warnings
from typing import Any

from autograd_core import modes
from autograd_core.optim.optimizer import Group, Optimizer
from autograd_core.tensor import Tensor

__all__ = ["LRScheduler"]

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
        check_optimizer(name, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copy_of(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{name}: param 'initial_lr' is not specified in param_groups[{i}], which resuming with "
                    f"last_epoch={last_epoch} needs; load the optimizer's state first"
                )
        self.base_lrs: list[Rate] = copies(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._get_lr_called_within_step = False
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
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
        if epoch is not None:
            warnings.warn("scheduler.step(epoch) is deprecated; use scheduler.step()", stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        """Go to the next epoch or to `epoch`, where there is a closed form without passing those between."""
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                self.last_epoch = epoch
                rates = self._closed_form()
        finally:
            self._get_lr_called_within_step = False
        self._set_rates(rates)

    def _set_rates(self, rates: list[Rate]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)
        self._last_lr: list[Rate] = copies(self.optimizer)

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


def copy_of(rate: Rate) -> Rate:
    """`rate`, as a Tensor of its own if it is one: the groups' are changed in place."""
    return rate.detach().clone() if isinstance(rate, Tensor) else rate


def copies(optimizer: Optimizer, key: str = "lr") -> list[Rate]:
    return [copy_of(group[key]) for group in optimizer.param_groups]


def set_rate(group: Group, rate: Rate) -> None:
    if isinstance(group["lr"], Tensor):
        with modes.no_grad():
            group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def check_optimizer(name: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: {type(optimizer).__name__} is not an Optimizer")


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """`value` as a list with one a group; ValueError if it is one of another length."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{name}: expected one value or {groups}, one a parameter group, got {len(value)}")
    return list(value)


def attributes_of(f: Any) -> dict[str, Any] | None:
    """What is saved of a callable: the attributes of an object; a function cannot be saved."""
    return dict(f.__dict__) if hasattr(f, "__dict__") and not hasattr(f, "__code__") else None

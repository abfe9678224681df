"""Schedulers made of schedulers: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from autograd_core.optim.lr_scheduler.base import LRScheduler, copies, set_rate
from autograd_core.optim.lr_scheduler.plateau import ReduceLROnPlateau
from autograd_core.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composite(LRScheduler):
    _schedulers: Sequence[LRScheduler]

    def _take(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        """Hold `schedulers`, which must all drive `optimizer`."""
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name}: expected at least one scheduler, got none")
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name}: schedulers[{i}] is {type(scheduler).__name__}, which has no `optimizer`")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name}: schedulers[{i}] is ReduceLROnPlateau, whose step needs a metric; step it by itself"
                )
            optimizer = optimizer or scheduler.optimizer
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{name}: all schedulers must belong to the same optimizer, but schedulers[{i}] "
                    f"({type(scheduler).__name__}) belongs to another one"
                )
        assert optimizer is not None
        self._schedulers = schedulers
        self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        """All of the scheduler but the optimizer, with the states of its schedulers."""
        state = super().state_dict()
        state["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict()`. ValueError for another dict."""
        states = state_dict.get("_schedulers")
        if states is None or len(states) != len(self._schedulers):
            raise ValueError(
                f"{type(self).__name__}: expected the states of {len(self._schedulers)} schedulers, '_schedulers', "
                f"got {'none' if states is None else len(states)}"
            )
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)
        self.__dict__.update({key: value for key, value in state_dict.items() if key != "_schedulers"})


class SequentialLR(_Composite):
    """The first of `schedulers` up to `milestones[0]` epochs, then the second up to `milestones[1]`, and so on.

    Each begins at its own epoch 0. Raises ValueError unless there is one milestone less than there are schedulers, all
    of the one `optimizer` and none a ReduceLROnPlateau.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> s = ag.optim.lr_scheduler; parts = [s.ConstantLR(optimizer, factor=0.5), s.ExponentialLR(optimizer, gamma=0.9)]
    >>> s.SequentialLR(optimizer, parts, milestones=[2]).get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._take(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: expected one milestone less than schedulers, got {len(milestones)} milestones and "
                f"{len(schedulers)} schedulers"
            )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        # Making the schedulers has stepped them all; only the one of epoch 0 should have been.
        for group in optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        _undo(self)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Go to the next epoch by the scheduler whose turn it is."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composite):
    """All of `schedulers` at each step, in their order: their factors multiply.

    Raises ValueError unless all belong to one optimizer (`optimizer`, or that of the first) and none is a
    ReduceLROnPlateau.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> s = ag.optim.lr_scheduler; parts = [s.ConstantLR(optimizer, factor=0.5), s.ExponentialLR(optimizer, gamma=0.9)]
    >>> s.ChainedScheduler(parts).get_last_lr()
    [0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(optimizer, schedulers)
        self._last_lr = copies(self.optimizer)

    def step(self) -> None:  # type: ignore[override]
        """Step every scheduler."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = copies(self.optimizer)


def _undo(scheduler: LRScheduler) -> None:
    """Take the step of its making from each scheduler that is none of schedulers."""
    if isinstance(scheduler, _Composite):
        for part in scheduler._schedulers:
            _undo(part)
    else:
        scheduler.last_epoch -= 1

"""The learning rate of stochastic weight averaging.

Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018).
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group
from autograd_core.optim.optimizer import Optimizer

__all__ = ["SWALR"]


class SWALR(LRScheduler):
    """Goes from the present rate to `swa_lr` within `anneal_epochs` steps, by 'cos'ine or 'linear', and stays there.

    swa_lr: one rate, or one a group. Raises ValueError for an unknown strategy or a negative number of epochs.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5)
    >>> scheduler = ag.optim.swa_utils.SWALR(optimizer, 0.25, anneal_epochs=2, anneal_strategy="linear")
    >>> optimizer.step(); scheduler.step(); scheduler.get_last_lr()
    [0.375]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("SWALR", optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must be an int of at least 0, got {anneal_epochs!r}")
        for rate, group in zip(per_group("SWALR", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far towards `swa_lr`, in [0, 1]."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            target = group["swa_lr"]
            # The rate it came from, so that another scheduler's changes before the first step count.
            start = target if before == 1 else (group["lr"] - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates

"""Averages of a model's weights along training: stochastic weight averaging and exponential moving averages.

Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018); Polyak and
Juditsky, "Acceleration of stochastic approximation by averaging" (1992).

The one file of `optim/` that needs `nn`: an averaged model is a module. So `autograd_core.optim` loads it when it is
first asked for.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import autograd_core as ag
from autograd_core import Tensor, nn
from autograd_core.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group
from autograd_core.optim.optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Any, Any, Any], Any]


def get_swa_avg_fn() -> Average:
    """The function (average, value, count) to the mean of count + 1 values.

    >>> import autograd_core as ag
    >>> ag.optim.swa_utils.get_swa_avg_fn()(ag.tensor(1.0), ag.tensor(4.0), 2)
    tensor(2.)
    """

    def average(averaged: Any, value: Any, count: Any) -> Any:
        return averaged + (value - averaged) / (count + 1)

    return average


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The function (average, value, count) to decay average + (1 - decay) value. ValueError unless 0 <= decay <= 1.

    >>> import autograd_core as ag
    >>> ag.optim.swa_utils.get_ema_avg_fn(0.75)(ag.tensor(1.0), ag.tensor(5.0), 2)
    tensor(2.)
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"get_ema_avg_fn: Invalid decay value {decay}; expected one in [0, 1]")

    def average(averaged: Any, value: Any, count: Any) -> Any:
        return decay * averaged + (1 - decay) * value

    return average


def _in_place(average: Average) -> Average:
    def update(averaged: list[Tensor], values: list[Tensor], count: Any) -> None:
        with ag.no_grad():
            for a, value in zip(averaged, values, strict=True):
                a.copy_(average(a, value, count))

    return update


def get_swa_multi_avg_fn() -> Average:
    """Like `get_swa_avg_fn`, of lists of tensors, the averages changed in place.

    >>> import autograd_core as ag
    >>> mean = [ag.tensor(1.0)]
    >>> ag.optim.swa_utils.get_swa_multi_avg_fn()(mean, [ag.tensor(4.0)], 2); mean
    [tensor(2.)]
    """
    return _in_place(get_swa_avg_fn())


def get_ema_multi_avg_fn(decay: float = 0.999) -> Average:
    """Like `get_ema_avg_fn`, of lists of tensors, the averages changed in place.

    >>> import autograd_core as ag
    >>> mean = [ag.tensor(1.0)]
    >>> ag.optim.swa_utils.get_ema_multi_avg_fn(0.75)(mean, [ag.tensor(5.0)], 2); mean
    [tensor(2.)]
    """
    return _in_place(get_ema_avg_fn(decay))


class AveragedModel(nn.Module):
    """A copy of `model` whose parameters are the average of those that `update_parameters` was shown.

    avg_fn(average, value, count) returns the next average, multi_avg_fn changes lists of them in place; without either,
    the plain mean. use_buffers: buffers are averaged, too, rather than copied. device: where the copy lives.
    Raises `ValueError` if both functions are given.

    >>> import autograd_core as ag
    >>> model = ag.nn.Linear(1, 1); mean = ag.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     w = ag.nn.init.constant_(model.weight, value); mean.update_parameters(model)
    >>> mean.module.weight.item()
    3.0
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Average | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give one of avg_fn and multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", ag.tensor(0, dtype=ag.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _members(self, model: nn.Module) -> list[Tensor]:
        return list(chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters())

    def update_parameters(self, model: nn.Module) -> None:
        """Take the present parameters of `model` into the average."""
        mine = self._members(self.module)
        given: list[Any] = self._members(model)
        values = [value.detach().to(a.device) for a, value in zip(mine, given, strict=True)]
        count = int(self.n_averaged.item())
        with ag.no_grad():
            if count == 0:
                for a, value in zip(mine, values, strict=True):
                    a.copy_(value)
            elif self.multi_avg_fn is not None:
                self.multi_avg_fn(mine, values, self.n_averaged)
            else:
                _in_place(self.avg_fn or get_swa_avg_fn())(mine, values, count)
            if not self.use_buffers:
                for a, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
                    a.copy_(buffer.to(a.device))
            self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: nn.Module, device: Any = None) -> None:
    """Compute the running statistics of the batch norms of `model` anew, as means over the batches of `loader`.

    Batches are tensors, or tuples or lists that begin with one, which is moved to `device` and given to the model.

    >>> import autograd_core as ag
    >>> model = ag.nn.BatchNorm1d(1)
    >>> ag.optim.swa_utils.update_bn([ag.tensor([[1.0], [3.0]]), ag.tensor([[4.0], [8.0]])], model)
    >>> model.running_mean
    tensor([4.])
    """
    norms: list[Any] = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    training = model.training
    model.train()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # The mean of all batches, each with the same weight.
    with ag.no_grad():
        for batch in loader:
            first = batch[0] if isinstance(batch, list | tuple) else batch
            model(first if device is None else first.to(device))
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
    model.train(training)


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

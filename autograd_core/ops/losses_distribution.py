"""Losses that compare distributions: Kullback-Leibler, and the likelihoods of Gauss and Poisson."""

from __future__ import annotations

import math
from typing import Any

from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import require_same
from autograd_core.ops.losses import LossShapeError, _operands, _reduced, _reduction
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t - x), x the log-probabilities of the model and t the target's probabilities (Kullback, Leibler, 1951).

    input, target: one shape. `log_target`: the target holds log t. reduction: 'none', 'mean' (over all elements),
    'sum', or 'batchmean' (the sum divided by the first size, which is the divergence itself). Where t = 0 the loss
    is 0. Raises `LossShapeError` for two shapes, `ValueError` for another reduction.

    >>> import autograd_core as ag
    >>> ag.nn.functional.kl_div(ag.tensor([[0.0]]), ag.tensor([[0.5]]), reduction="batchmean")
    tensor(-0.3466)
    """
    batch = reduction == "batchmean" and size_average is None and reduce is None
    reduction = "sum" if batch else _reduction("kl_div", size_average, reduce, reduction)
    input, target = _operands("kl_div", input, target)
    if log_target:
        loss = _F.mul(_F.exp(target), _F.sub(target, input))
    else:
        zero = _F.eq(target, 0.0)
        entropy = _F.mul(target, _F.log(_F.where(zero, _F.fill(target, 1.0), target)))
        # The product with x too: 0 * log 0 of the model is 0.
        cross = _F.mul(target, _F.where(_F.logical_and(zero, _F.eq(input, -math.inf)), _F.fill(input, 0.0), input))
        loss = _F.sub(entropy, cross)
    loss = _reduced(loss, reduction)
    return loss / input.shape[0] if batch and input.ndim else loss


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-06, reduction: str = "mean"
) -> Tensor:
    """(log v + (y - x)^2 / v) / 2, v = max(var, eps): the likelihood of a normal distribution (Nix, Weigend, 1994).

    input (means), target: one shape (*); var: a number, or the variances, (*), or with one of the sizes 1, or without
    the last one. `full` adds log(2 pi) / 2; the gradient by var ignores the limit. Raises `ValueError` for a negative
    variance or a shape that does not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.gaussian_nll_loss(ag.zeros(2), ag.ones(2), ag.ones(2))
    tensor(0.5000)
    """
    name = "gaussian_nll_loss"
    reduction = _reduction(name, None, None, reduction)
    input, target = _operands(name, input, target)
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError(f"{name}: var has negative entry/entries, got {var}")
        var = _F.fill(input, float(var))
    variance: Tensor = var  # type: ignore[assignment]
    require_same(name, input=input, var=variance)
    shape, given = tuple(input.shape), tuple(variance.shape)
    differing = [size for whole, size in zip(shape, given) if whole != size]
    if given == shape[:-1]:
        variance = variance.unsqueeze(-1)
    elif len(given) != len(shape) or differing not in ([], [1]):
        raise LossShapeError(f"{name}: var is of incorrect size {given} for input {shape}")
    backend: Any = variance._backend
    backend.check_none(
        _F.lt(variance, 0.0)._data,
        ValueError,
        f"{name}: var has negative entry/entries; give variances, e.g. log_var.exp()",
    )
    # The limit is added as a constant, so that the gradient passes where it holds, as in PyTorch.
    plain = variance.detach()
    limited = _F.add(variance, _F.sub(plain.clamp_min(eps), plain))
    loss = _F.mul(_F.add(_F.log(limited), _F.div(_F.square(_F.sub(input, target)), limited)), 0.5)
    return _reduced(_F.add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-08,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - y x, x the logarithm of the rate, or without `log_input` x - y log(x + eps), x the rate.

    input, target: one shape. `full` adds Stirling's y log y - y + log(2 pi y) / 2 where y > 1. Raises `LossShapeError`
    for two shapes.

    >>> import autograd_core as ag
    >>> ag.nn.functional.poisson_nll_loss(ag.zeros(2), ag.ones(2))
    tensor(1.)
    """
    name = "poisson_nll_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    input, target = _operands(name, input, target, "iu")
    if log_input:
        loss = e.sub(e.exp(input), _F.mul(target, input))
    else:
        loss = e.sub(input, e.mul(target, _F.log(e.add(input, float(eps)))))
    if full:
        large = _F.gt(target, 1.0)
        y = _F.where(large, target, _F.fill(target, 1))
        stirling = e.add(e.sub(e.mul(y, e.log(y)), y), _F.mul(_F.log(e.mul(y, 2 * math.pi)), 0.5))
        loss = _F.add(loss, _F.where(large, stirling, _F.fill(stirling, 0.0)))
    return _reduced(loss, reduction)


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

"""Batch, layer and group normalisation in the forms that return the statistics too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import require_float
from autograd_core.ops.normalization import _batch_normalized, group_normalized, layer_norm
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_norm`, with mean and 1 / sqrt(var + eps) of each channel of the batch (empty unless `training`).

    The statistics take no gradient.

    >>> import autograd_core as ag
    >>> y, mean, rstd = ag.native_batch_norm(ag.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 0.0)
    >>> mean, rstd
    (tensor([2.]), tensor([1.]))
    """
    y = _batch_normalized(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return y, input.new_empty(0), input.new_empty(0)
    return y, *_statistics(input.detach(), (0, *range(2, input.ndim)), eps, False)


def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`layer_norm`, with mean and 1 / sqrt(var + eps), of size 1 along the normalised dimensions.

    The statistics take no gradient.

    >>> import autograd_core as ag
    >>> y, mean, rstd = ag.native_layer_norm(ag.tensor([1.0, 3.0]), (2,), None, None, 0.0)
    >>> mean, rstd
    (tensor([2.]), tensor([1.]))
    """
    y = layer_norm(input, normalized_shape, weight, bias, eps)
    n = len(normalized_shape)
    return y, *_statistics(input.detach(), tuple(range(input.ndim - n, input.ndim)), eps, True)


def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`group_norm` of an input (N, C, ...) of N * C * HxW elements, with mean and 1 / sqrt(var + eps), each (N, group).

    Here the statistics have gradients too. Raises `RuntimeError` if N, C and HxW are not those of the input.

    >>> import autograd_core as ag
    >>> y, mean, rstd = ag.native_group_norm(ag.tensor([[1.0, 3.0]]), None, None, 1, 2, 1, 1, 0.0)
    >>> mean, rstd
    (tensor([[2.]]), tensor([[1.]]))
    """
    require_float("native_group_norm", input)
    if input.ndim < 2 or tuple(input.shape[:2]) != (N, C) or input.numel() != N * C * HxW:
        raise RuntimeError(
            f"native_group_norm: expected input of shape ({N}, {C}, ...) and {N * C * HxW} elements, got "
            f"{tuple(input.shape)}"
        )
    y = group_normalized(input, group, weight, bias, eps)
    return y, *_statistics(input.reshape(N, group, C // group * HxW), (2,), eps, False)


def _statistics(x: Tensor, axes: tuple[int, ...], eps: float, keep: bool) -> tuple[Tensor, Tensor]:
    """Mean and reciprocal standard deviation of `x` over `axes`, float16 computed in float32."""
    wide = x.float() if x.dtype is dtypes.float16 else x
    mean = _F.mean(wide, axes, True)
    rstd = _F.rsqrt(_F.add(_F.mean(_F.square(_F.sub(wide, mean)), axes, True), eps))
    mean, rstd = mean.to(x.dtype), rstd.to(x.dtype)
    return (mean, rstd) if keep else (mean.squeeze(axes), rstd.squeeze(axes))


FUNCTIONS: tuple[str, ...] = ("native_batch_norm", "native_layer_norm", "native_group_norm")
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

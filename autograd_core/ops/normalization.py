"""Batch, layer, group and instance normalisation, softmax and log-softmax.

Forward and backward are one fused kernel each; under `create_graph` the backward is a composition of primitives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes, storage
from autograd_core.ops.checks import alike, composite, require_float, require_same, require_tensors
from autograd_core.primitive import V, primitive, unary
from autograd_core.tensor import Tensor, wrap


def _wants(ctx: Any) -> tuple[bool, bool, bool]:
    return tuple([edge is not None for edge in ctx.inputs[:3]])  # type: ignore[return-value]


# -- batch norm -------------------------------------------------------------------------------------------


def _batch_norm_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, w, mean, var = ctx.saved
    return (*F.batch_norm_backward(g, x, w, mean, var, *ctx.params, _wants(ctx)), None, None)


_batch_norm = primitive("batch_norm", _batch_norm_rule, inputs=5, saves=(0, 1, 3, 4))


@composite
def batch_norm_backward(
    g: Tensor,
    x: Tensor,
    w: Tensor | None,
    mean: Any,
    var: Any,
    eps: float,
    training: bool,
    wants: tuple[bool, bool, bool],
) -> tuple[Any, Any, Any]:
    """What the backend's kernel of this name returns, from primitives; in training, mean and var are recomputed from
    x."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    axes = (0, *range(2, x.ndim))
    if training:
        return _normal_backward(g, x, None if w is None else w.reshape(shape), axes, axes, eps, wants)
    F: Any = V
    rstd = F.rsqrt(F.add(F.reshape(var, shape), eps))
    normal = F.mul(F.sub(x, F.reshape(mean, shape)), rstd)
    return (
        F.mul(g, rstd if w is None else F.mul(rstd, F.reshape(w, shape))) if wants[0] else None,
        F.sum(F.mul(g, normal), axes, False) if wants[1] else None,
        F.sum(g, axes, False) if wants[2] else None,
    )


def _normal_backward(
    g: Tensor,
    x: Tensor,
    w: Tensor | None,
    axes: tuple[int, ...],
    lead: tuple[int, ...],
    eps: float,
    wants: tuple[bool, bool, bool],
) -> tuple[Any, Any, Any]:
    """Gradients of `(x - mean) / sqrt(var + eps) * w + b`, mean and var over `axes`, w and b shared over `lead`."""
    F: Any = V
    centred = F.sub(x, F.mean(x, axes, True))
    rstd = F.rsqrt(F.add(F.mean(F.square(centred), axes, True), eps))
    normal = F.mul(centred, rstd)
    gx = gw = gb = None
    if wants[1]:
        gw = F.sum(F.mul(g, normal), lead, False)
    if wants[2]:
        gb = F.sum(g, lead, False)
    if wants[0]:
        scaled = g if w is None else F.mul(g, w)
        along = F.mul(normal, F.mean(F.mul(scaled, normal), axes, True))
        gx = F.mul(F.sub(F.sub(scaled, F.mean(scaled, axes, True)), along), rstd)
    return gx, gw, gb


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) * weight + bias, channel by channel (Ioffe, Szegedy, "Batch normalization",
    2015).

    input: (N, C, ...); everything else: (C,). In `training`, mean and (biased) variance are those of the batch, and the
    running ones move towards them in place, the variance unbiased: r <- (1 - momentum) r + momentum value; `momentum`
    may be a 0-d tensor. Otherwise they are the running ones. Raises `ValueError` for a single value per channel or
    `eps` <= 0 in training, `RuntimeError` for sizes other than C.

    >>> import autograd_core as ag
    >>> ag.nn.functional.batch_norm(ag.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    if training and not eps > 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    return _batch_normalized(input, running_mean, running_var, weight, bias, training, momentum, eps)


def _batch_normalized(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float | Tensor,
    eps: float,
) -> Tensor:
    """`batch_norm` with any `eps`."""
    given = (running_mean, running_var, weight, bias)
    if not alike(input, *given):
        _check_batch_norm_types(input, *given)
    shape = input._data.shape
    if len(shape) == 1 and not shape[0]:
        return input * 1
    if len(shape) < 2:
        raise RuntimeError(f"batch_norm: expected input of shape (N, C, ...), got {shape}")
    channels, expected = shape[1], shape[1:2]
    for i, t in enumerate(given):
        if t is not None and t._data.shape != expected:
            raise RuntimeError(
                f"batch_norm: {_CHANNELWISE[i]} should contain {channels} elements, one a channel, got shape "
                f"{tuple(t.shape)}"
            )
    if (running_mean is None) != (running_var is None):
        raise RuntimeError("batch_norm: running_mean and running_var must both be given, or neither")
    backend, data = input._backend, input._data
    if training:
        count = data.size // channels if channels else 0
        if channels and count == 1:
            raise ValueError(
                f"batch_norm: expected more than 1 value per channel when training, got input size {tuple(input.shape)}"
            )
        if not data.size:
            return _of_no_values(input, weight, bias)
        raw_mean, raw_var = backend.batch_norm_stats(data)
        if running_mean is not None and running_var is not None:
            rate = momentum._data if isinstance(momentum, Tensor) else momentum
            for running, value, scale in ((running_mean, raw_mean, 1.0), (running_var, raw_var, count / (count - 1))):
                backend.running_update_(running._data, value, rate, scale)
                storage.mark_mutated(backend, running._data, "batch_norm")
        mean, var = wrap(raw_mean, backend), wrap(raw_var, backend)
    else:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: expected running_mean and running_var to be defined when training=False")
        mean, var = wrap(running_mean._data, backend), wrap(running_var._data, backend)
    return _batch_norm(input, weight, bias, mean, var, eps, training)


def _of_no_values(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """As empty as `input`, with gradients of 0 for weight and bias."""
    shape = (1, -1) + (1,) * (input.ndim - 2)
    y: Any = input * 1
    y = y if weight is None else y * weight.reshape(shape)
    y = y if bias is None else y + bias.reshape(shape)
    return y.to(input.dtype)


_CHANNELWISE = ("running_mean", "running_var", "weight", "bias")


def _check_batch_norm_types(input: Tensor, *given: Tensor | None) -> None:
    named = dict(zip(_CHANNELWISE, given, strict=True))
    require_tensors("batch_norm", input=input, **named)
    require_float("batch_norm", input)
    for name, t in named.items():
        if t is not None and t._data.dtype.kind != "f":
            raise RuntimeError(f"batch_norm: {name} must be floating-point, got {t.dtype}")


# -- layer, group and instance norm -----------------------------------------------------------------------


def _layer_norm_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, w, mean, rstd = ctx.saved
    return F.layer_norm_backward(g, x, w, mean, rstd, *ctx.params, _wants(ctx))


_layer_norm = primitive("layer_norm", _layer_norm_rule, inputs=3, saves=(0, 1), extras=2)


@composite
def layer_norm_backward(
    g: Tensor, x: Tensor, w: Tensor | None, mean: Any, rstd: Any, dims: int, eps: float, wants: tuple[bool, bool, bool]
) -> tuple[Any, Any, Any]:
    """What the backend's kernel of this name returns, from primitives; mean and rstd are recomputed from x."""
    lead = x.ndim - dims
    return _normal_backward(g, x, w, tuple(range(lead, x.ndim)), tuple(range(lead)), eps, wants)


def _group_norm_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, w, mean, rstd = ctx.saved
    return F.group_norm_backward(g, x, w, mean, rstd, *ctx.params, _wants(ctx))


_group_norm = primitive("group_norm", _group_norm_rule, inputs=3, saves=(0, 1), extras=2)


@composite
def group_norm_backward(
    g: Tensor,
    x: Tensor,
    w: Tensor | None,
    mean: Any,
    rstd: Any,
    groups: int,
    eps: float,
    wants: tuple[bool, bool, bool],
) -> tuple[Any, Any, Any]:
    """What the backend's kernel of this name returns, from primitives; mean and rstd are recomputed from x."""
    F: Any = V
    n, channels = x.shape[:2]
    shape = (n, groups, channels // groups, math.prod(x.shape[2:]))
    weight = None if w is None else F.reshape(w, (*shape[1:3], 1))
    gx, gw, gb = _normal_backward(F.reshape(g, shape), F.reshape(x, shape), weight, (2, 3), (0, 3), eps, wants)
    return (
        None if gx is None else F.reshape(gx, tuple(x.shape)),
        None if gw is None else F.reshape(gw, (channels,)),
        None if gb is None else F.reshape(gb, (channels,)),
    )


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance over the last dimensions, those of
    `normalized_shape` (Ba, Kiros, Hinton, "Layer normalization", 2016).

    input: (*, *normalized_shape); weight, bias: normalized_shape. Raises `RuntimeError` for other shapes.

    >>> import autograd_core as ag
    >>> ag.nn.functional.layer_norm(ag.tensor([1.0, 3.0]), (2,), eps=0.0)
    tensor([-1.,  1.])
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    require_same("layer_norm", input=input, weight=weight, bias=bias)
    if not shape or tuple(input.shape[max(input.ndim - len(shape), 0) :]) != shape:
        raise RuntimeError(
            f"layer_norm: given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size {list(input.shape)}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != shape:
            raise RuntimeError(
                f"layer_norm: expected {name} to be of same shape as normalized_shape {list(shape)}, got "
                f"{list(t.shape)}"
            )
    return _layer_norm(input, weight, bias, len(shape), eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """`layer_norm` over each of `num_groups` groups of channels, then weight and bias channel by channel (Wu, He,
    2018).

    input: (N, C, ...); weight, bias: (C,). Raises `RuntimeError` unless `num_groups` divides C, `ValueError` for a
    single value per group of a single sample.

    >>> import autograd_core as ag
    >>> ag.nn.functional.group_norm(ag.tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    require_same("group_norm", input=input, weight=weight, bias=bias)
    if input.ndim < 2:
        raise RuntimeError(f"group_norm: expected input of shape (N, C, ...), got {tuple(input.shape)}")
    channels = input.shape[1]
    if num_groups > 0 and input.numel() == num_groups == channels:
        raise ValueError(f"group_norm: expected more than 1 value per channel, got input size {tuple(input.shape)}")
    return group_normalized(input, num_groups, weight, bias, eps)


def group_normalized(input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """`group_norm`, also of one value a group."""
    channels = input.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            f"group_norm: expected number of channels ({channels}) to be divisible by num_groups ({num_groups})"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != (channels,):
            raise RuntimeError(f"group_norm: expected {name} of shape ({channels},), got {tuple(t.shape)}")
    if input._data.dtype.itemsize == 2:  # Computed in float32, rounded once.
        cast: Any = V.cast
        wide = dtypes.float32.native
        w, b = (None if t is None else cast(t, wide) for t in (weight, bias))
        return cast(group_normalized(cast(input, wide), num_groups, w, b, eps), input._data.dtype)
    return _group_norm(input, weight, bias, num_groups, eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """`batch_norm` for each sample by itself (Ulyanov, Vedaldi, Lempitsky, 2016).

    input: (N, C, ...); everything else: (C,). Running statistics, where given, follow the mean over samples if
    `use_input_stats`, and are used if not.

    >>> import autograd_core as ag
    >>> ag.nn.functional.instance_norm(ag.tensor([[[1.0, 3.0]]]), eps=0.0)
    tensor([[[-1.,  1.]]])
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if input.ndim < 3:
        raise RuntimeError(
            f"instance_norm: expected input of shape (N, C, ...) with at least 3 dimensions, got {tuple(input.shape)}"
        )
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(
            f"instance_norm: expected more than 1 spatial element when training, got input size {tuple(input.shape)}"
        )
    n, channels = input.shape[:2]
    if running_mean is not None and running_var is not None and input.numel():
        backend, count = input._backend, input.numel() // (n * channels)
        folded = backend.reshape(input._data, (1, n * channels, count))
        for running, value, scale in zip(
            (running_mean, running_var), backend.batch_norm_stats(folded), (1.0, count / (count - 1))
        ):
            backend.running_update_(
                running._data, backend.mean(backend.reshape(value, (n, channels)), (0,), False), momentum, scale
            )
            storage.mark_mutated(backend, running._data, "instance_norm")
    return group_norm(input, channels, weight, bias, eps)


# -- softmax ----------------------------------------------------------------------------------------------

_softmax = unary("softmax", lambda F, g, ctx: (F.softmax_backward(g, ctx.saved[0], *ctx.params),), saves_output=True)
_log_softmax = unary(
    "log_softmax", lambda F, g, ctx: (F.log_softmax_backward(g, ctx.saved[0], *ctx.params),), saves_output=True
)


@composite
def softmax_backward(g: Tensor, y: Tensor, axis: int) -> Tensor:
    F: Any = V
    gy = F.mul(g, y)
    return F.sub(gy, F.mul(y, F.sum(gy, (axis,), True)))


@composite
def log_softmax_backward(g: Tensor, y: Tensor, axis: int) -> Tensor:
    F: Any = V
    return F.sub(g, F.mul(F.exp(y), F.sum(g, (axis,), True)))


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtypes.dtype | None = None) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along `dim`; `dtype` converts the input first.

    Without `dim` it is 0 for inputs of 0, 1 or 3 dimensions, else 1, as in PyTorch. Raises `IndexError` for a `dim`
    out of range, `NotImplementedError` for integers.

    >>> import autograd_core as ag
    >>> ag.nn.functional.softmax(ag.zeros(2), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _along("softmax", _softmax, input, dim, dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtypes.dtype | None = None
) -> Tensor:
    """x_i - log(sum_j exp(x_j)) along `dim`; see `softmax`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.log_softmax(ag.zeros(2), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _along("log_softmax", _log_softmax, input, dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtypes.dtype | None = None) -> Tensor:
    """`softmax(-input)`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.softmin(ag.zeros(2), dim=0)
    tensor([0.5000, 0.5000])
    """
    require_tensors("softmin", input=input)
    return _along("softmin", _softmax, -input, dim, dtype)


def _along(name: str, function: Any, x: Tensor, dim: int | None, dtype: dtypes.dtype | None) -> Tensor:
    require_tensors(name, input=x)
    if dtype is not None:
        native = dtypes.as_dtype(dtype).native
        if x._data.dtype != native:
            x = V.cast(x, native)
    require_float(name, x)
    axis = (0 if x.ndim in (0, 1, 3) else 1) if dim is None else x._dim(dim)
    if x.ndim == 0:
        return function(x.reshape(1), 0).reshape(())
    return function(x, axis)


def _softmax_function(input: Tensor, dim: int, dtype: dtypes.dtype | None = None) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along `dim`; `dtype` converts the input first.

    >>> import autograd_core as ag
    >>> ag.softmax(ag.zeros(2), 0)
    tensor([0.5000, 0.5000])
    """
    return softmax(input, dim, dtype=dtype)


def _log_softmax_function(input: Tensor, dim: int, dtype: dtypes.dtype | None = None) -> Tensor:
    """log(softmax(x)) along `dim`; `dtype` converts the input first.

    >>> import autograd_core as ag
    >>> ag.log_softmax(ag.zeros(2), 0)
    tensor([-0.6931, -0.6931])
    """
    return log_softmax(input, dim, dtype=dtype)


# `ag.softmax(x, dim, dtype)` has no `_stacklevel` between, unlike `nn.functional.softmax`.
PUBLIC = {"softmax": _softmax_function, "log_softmax": _log_softmax_function}
FUNCTIONS: tuple[str, ...] = (*PUBLIC, "batch_norm", "layer_norm", "group_norm", "instance_norm")
METHODS: tuple[str, ...] = tuple(PUBLIC)
INPLACE: tuple[str, ...] = ()

"""Normalisation and softmax: forward and backward as one kernel each.

In a backward kernel `wants` says which gradients (of x, weight, bias) to compute; the others are None.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.neural_conv import widened

Array = Any
Wants = tuple[bool, bool, bool]


def _as(x: Array, dtype: Any) -> Array:
    return x if x.dtype == dtype else x.astype(dtype)


class NormalizationKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any
    sum: Any
    amax: Any

    # -- batch norm: x (N, C, ...), everything else (C,) ------------------------------------------------

    def batch_norm_stats(self, x: Array) -> tuple[Array, Array]:
        """Mean and biased variance of each channel (in float32 for float16)."""
        xp, wide = self.xp, widened(x)
        axes = _all_but_channel(x)
        mean = xp.mean(wide, axis=axes, keepdims=True)
        centred = wide - mean
        return mean.reshape((-1,)), xp.mean(centred * centred, axis=axes)

    def running_update_(self, running: Array, value: Array, momentum: Any, scale: float) -> Array:
        """`running <- (1 - momentum) running + momentum scale value`; `momentum`: a number or a 0-d array."""
        running[...] = running * (1 - momentum) + value * (momentum * scale)
        return running

    def batch_norm(self, x: Array, w: Array, b: Array, mean: Array, var: Array, eps: float, training: bool) -> Array:
        """`(x - mean) / sqrt(var + eps) * w + b` channel by channel; w and b may be None."""
        shape = _channel_shape(x)
        scale = self._scale(w, var, eps)
        y = (widened(x) - mean.reshape(shape)) * scale.reshape(shape)
        if b is not None:
            y += b.reshape(shape)
        return _as(y, x.dtype)

    def _scale(self, w: Array, var: Array, eps: float) -> Array:
        rstd = 1 / self.xp.sqrt(widened(var) + eps)
        return rstd if w is None else rstd * w

    def batch_norm_backward(
        self,
        g: Array,
        x: Array,
        w: Array,
        mean: Array,
        var: Array,
        eps: float,
        training: bool,
        wants: Wants,
    ) -> tuple[Any, Any, Any]:
        """Gradients of `batch_norm`; in training, mean and var are functions of x."""
        xp, shape, axes = self.xp, _channel_shape(x), _all_but_channel(x)
        wide = widened(g)
        rstd = 1 / xp.sqrt(widened(var) + eps)
        gx = gw = gb = None
        through = wants[0] and training
        if wants[1] or through:
            normal = (widened(x) - mean.reshape(shape)) * rstd.reshape(shape)
            sum_gn = xp.sum(wide * normal, axis=axes)
            gw = _as(sum_gn, x.dtype if w is None else w.dtype) if wants[1] else None
        if wants[2] or through:
            sum_g = xp.sum(wide, axis=axes)
            gb = _as(sum_g, x.dtype if w is None else w.dtype) if wants[2] else None
        if wants[0]:
            if training:
                count = x.size // max(x.shape[1], 1)
                wide = wide - (normal * (sum_gn / count).reshape(shape) + (sum_g / count).reshape(shape))
            gx = _as(wide * self._scale(w, var, eps).reshape(shape), x.dtype)
        return gx, gw, gb

    # -- layer norm: over the last `dims` axes, w and b of their shape -----------------------------------

    def layer_norm(self, x: Array, w: Array, b: Array, dims: int, eps: float) -> tuple[Array, Array, Array]:
        """`(x - mean) / sqrt(var + eps) * w + b`, and mean and 1 / sqrt(var + eps) for the backward pass."""
        xp, wide, axes = self.xp, widened(x), tuple(range(x.ndim - dims, x.ndim))
        mean = xp.mean(wide, axis=axes, keepdims=True)
        centred = wide - mean
        rstd = 1 / xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True) + eps)
        y = centred * rstd
        if w is not None:
            y *= w
        if b is not None:
            y += b
        return _as(y, x.dtype), mean, rstd

    def layer_norm_backward(
        self, g: Array, x: Array, w: Array, mean: Array, rstd: Array, dims: int, eps: float, wants: Wants
    ) -> tuple[Any, Any, Any]:
        """Gradients of `layer_norm`."""
        xp = self.xp
        lead, axes = tuple(range(x.ndim - dims)), tuple(range(x.ndim - dims, x.ndim))
        wide = widened(g)
        gx = gw = gb = None
        normal = (widened(x) - mean) * rstd
        if wants[1]:
            gw = _as(xp.sum(wide * normal, axis=lead), w.dtype)
        if wants[2]:
            gb = _as(xp.sum(wide, axis=lead), x.dtype if w is None else w.dtype)
        if wants[0]:
            if w is not None:
                wide = wide * w
            mean_gn = xp.mean(wide * normal, axis=axes, keepdims=True)
            gx = _as((wide - xp.mean(wide, axis=axes, keepdims=True) - normal * mean_gn) * rstd, x.dtype)
        return gx, gw, gb

    # -- group norm: over groups of channels of x (N, C, ...), w and b (C,) -------------------------------

    def group_norm(self, x: Array, w: Array, b: Array, groups: int, eps: float) -> tuple[Array, Array, Array]:
        """`layer_norm` of each group, times w, plus b channel by channel, and its mean and 1 / sqrt(var + eps)."""
        y, mean, rstd = self.layer_norm(x.reshape(_grouped(x, groups)), None, None, 1, eps)
        y, shape = y.reshape(x.shape), _channel_shape(x)
        if w is not None:
            y = y * w.reshape(shape)
        return (y if b is None else y + b.reshape(shape)), mean, rstd

    def group_norm_backward(
        self, g: Array, x: Array, w: Array, mean: Array, rstd: Array, groups: int, eps: float, wants: Wants
    ) -> tuple[Any, Any, Any]:
        """Gradients of `group_norm`."""
        grouped, axes = _grouped(x, groups), _all_but_channel(x)
        gx = gw = gb = None
        if wants[1]:
            normal = ((x.reshape(grouped) - mean) * rstd).reshape(x.shape)
            gw = self.sum(g * normal, axes, False)
        if wants[2]:
            gb = self.sum(g, axes, False)
        if wants[0]:
            scaled = (g if w is None else g * w.reshape(_channel_shape(x))).reshape(grouped)
            wanted = (True, False, False)
            gx = self.layer_norm_backward(scaled, x.reshape(grouped), None, mean, rstd, 1, eps, wanted)[0]
            gx = gx.reshape(x.shape)
        return gx, gw, gb

    # -- softmax ----------------------------------------------------------------------------------------

    def softmax(self, x: Array, axis: int) -> Array:
        """`exp(x) / sum(exp(x))` along `axis`, shifted by the maximum so that nothing overflows."""
        wide = widened(x)
        if not x.size:
            return self.xp.empty(x.shape, x.dtype)
        e = self.xp.exp(wide - self.amax(wide, (axis,), True))
        return _as(e / self.sum(e, (axis,), True), x.dtype)

    def softmax_backward(self, g: Array, y: Array, axis: int) -> Array:
        wide, gy = widened(y), widened(g) * widened(y)
        return _as(gy - wide * self.sum(gy, (axis,), True), y.dtype)

    def log_softmax(self, x: Array, axis: int) -> Array:
        """`log(softmax(x))` without the rounding of small probabilities to zero."""
        wide = widened(x)
        if not x.size:
            return self.xp.empty(x.shape, x.dtype)
        shifted = wide - self.amax(wide, (axis,), True)
        return _as(shifted - self.xp.log(self.sum(self.xp.exp(shifted), (axis,), True)), x.dtype)

    def log_softmax_backward(self, g: Array, y: Array, axis: int) -> Array:
        wide = widened(g)
        return _as(wide - self.xp.exp(widened(y)) * self.sum(wide, (axis,), True), y.dtype)


def _grouped(x: Array, groups: int) -> tuple[int, int, int]:
    return x.shape[0], groups, x.shape[1] // groups * math.prod(x.shape[2:])


def _all_but_channel(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _channel_shape(x: Array) -> tuple[int, ...]:
    return (1, -1) + (1,) * (x.ndim - 2)

"""Losses. Input and target must have the shapes that the loss asks for: nothing is broadcast.

A loss of (N,) against (N, 1), which broadcasting would make a mean over N x N differences, is an error here.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core import dtypes
from autograd_core.operands import promote_operands
from autograd_core.ops.checks import composite, require_float, require_same, require_tensors
from autograd_core.primitive import V, binary, primitive, unary
from autograd_core.tensor import Tensor, wrap

_F: Any = V
_INT64 = dtypes.int64.native


class LossShapeError(ValueError, RuntimeError):
    """Input and target (or weight) of a loss have shapes that do not belong together."""


def _reduction(name: str, size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    if size_average is not None or reduce is not None:  # PyTorch's old spelling.
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{name}: {reduction!r} is not a valid value for reduction: expected 'none', 'mean' or 'sum'")
    return reduction


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    return _F.mean(loss, None, False) if reduction == "mean" else _F.sum(loss, None, False)


def _same_shape(name: str, input: Tensor, target: Tensor) -> None:
    if input._data.shape != target._data.shape:
        fix = "give both the same shape"
        if input.numel() == target.numel():
            sizes = ", ".join(map(str, input.shape))
            fix = f"use target.reshape({sizes}), or squeeze(-1) or unsqueeze(-1) on one of them"
        raise LossShapeError(
            f"{name}: target size {tuple(target.shape)} must be the same as input size {tuple(input.shape)}; {fix}"
        )


def _operands(name: str, input: Tensor, target: Tensor, others: str = "") -> tuple[Tensor, Tensor]:
    """Input and target of a regression, of one shape and in their common floating-point dtype.

    `others`: the kinds of dtype that are taken beside it ("iu": integers).
    """
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
        require_tensors(name, input=input, target=target)
    _same_shape(name, input, target)
    if input._data.dtype != target._data.dtype or input._backend is not target._backend:
        input, target, _ = promote_operands(name, True, input, target)
    if input._data.dtype.kind != "f" and input._data.dtype.kind not in others:
        require_float(name, input)
    return input, target


def _weighted(name: str, loss: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return loss
    require_tensors(name, weight=weight)
    if any(a not in (1, b) for a, b in zip(weight.shape[::-1], loss.shape[::-1])) or weight.ndim > loss.ndim:
        raise LossShapeError(
            f"{name}: weight of shape {tuple(weight.shape)} does not broadcast to the input's {tuple(loss.shape)}"
        )
    return _F.mul(loss, weight)


# -- regression -------------------------------------------------------------------------------------------


def _mse_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    ex, ey = ctx.inputs
    gx = F.mse_loss_backward(g, x, y)
    return None if ex is None else gx, None if ey is None else F.neg(gx)


_mse_loss = primitive("mse_loss", _mse_rule, inputs=2, saves=(0, 1))


@composite
def mse_loss_backward(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return _F.mul(_F.sub(x, y), _F.mul(g, 2.0 / max(x.numel(), 1)))


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(x - y)^2, and its mean or sum. input, target: one shape. Raises `LossShapeError` for two.

    With `weight`, the mean is the weighted one, divided by the sum of the weights.

    >>> import autograd_core as ag
    >>> ag.nn.functional.mse_loss(ag.tensor([1.0, 2.0]), ag.tensor([1.0, 4.0]))
    tensor(2.)
    """
    if reduction != "mean" or size_average is not None or reduce is not None:
        reduction = _reduction("mse_loss", size_average, reduce, reduction)
    input, target = _operands("mse_loss", input, target)
    if reduction == "mean" and weight is None:
        return _mse_loss(input, target)
    return _weighted_mean("mse_loss", _F.square(_F.sub(input, target)), weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|x - y|, and its mean or sum; see `mse_loss`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.l1_loss(ag.tensor([1.0, 2.0]), ag.tensor([1.0, 4.0]))
    tensor(1.)
    """
    reduction = _reduction("l1_loss", size_average, reduce, reduction)
    input, target = _operands("l1_loss", input, target)
    return _weighted_mean("l1_loss", _F.abs(_F.sub(input, target)), weight, reduction)


def _huber_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (delta,) = ctx.params
    return (F.mul(g, F.clamp(ctx.saved[0], -delta, delta)),)


def _smooth_l1_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    return (F.mul(g, F.clamp(F.div(ctx.saved[0], ctx.params[0]), -1.0, 1.0)),)


_huber = unary("huber", _huber_rule, saves=(0,))
_smooth_l1 = unary("smooth_l1", _smooth_l1_rule, saves=(0,))


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where d = |x - y| < beta, else d - beta / 2 (Girshick, 2015). Raises `RuntimeError` for beta < 0.

    >>> import autograd_core as ag
    >>> ag.nn.functional.smooth_l1_loss(ag.tensor([0.0, 0.0]), ag.tensor([1.0, 3.0]))
    tensor(1.5000)
    """
    reduction = _reduction("smooth_l1_loss", size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    input, target = _operands("smooth_l1_loss", input, target)
    return _reduced(_smooth_l1(_F.sub(input, target), float(beta)), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where d = |x - y| < delta, else delta (d - delta / 2) (Huber, 1964).

    Raises `RuntimeError` for delta <= 0.

    >>> import autograd_core as ag
    >>> ag.nn.functional.huber_loss(ag.tensor([0.0, 0.0]), ag.tensor([1.0, 3.0]))
    tensor(1.5000)
    """
    reduction = _reduction("huber_loss", None, None, reduction)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    input, target = _operands("huber_loss", input, target)
    return _weighted_mean("huber_loss", _huber(_F.sub(input, target), float(delta)), weight, reduction)


def _weighted_mean(name: str, loss: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is not None:
        _same_shape(f"{name} (weight)", loss, weight)
    total = _reduced(_weighted(name, loss, weight), "sum" if reduction == "mean" and weight is not None else reduction)
    return total if weight is None or reduction != "mean" else _F.div(total, _F.sum(weight, None, False))


# -- two classes ------------------------------------------------------------------------------------------


def _bce_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    ex, ey = ctx.inputs
    gy = None
    if ey is not None:
        gy = F.mul(g, F.sub(F.maximum(F.log1p(F.neg(x)), -100.0), F.maximum(F.log(x), -100.0)))
    return None if ex is None else F.binary_cross_entropy_backward(g, x, y), gy


_binary_cross_entropy = primitive("binary_cross_entropy", _bce_rule, inputs=2, saves=(0, 1))


@composite
def binary_cross_entropy_backward(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return _F.mul(g, _F.div(_F.sub(x, y), _F.maximum(_F.mul(x, _F.sub(1.0, x)), 1e-12)))


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(y log x + (1 - y) log(1 - x)) for probabilities x, and its mean or sum; logarithms are at least -100.

    input, target: one shape and dtype; weight broadcasts to it. Raises `RuntimeError` for elements outside [0, 1],
    `LossShapeError` for two shapes.

    >>> import autograd_core as ag
    >>> ag.nn.functional.binary_cross_entropy(ag.tensor([0.5]), ag.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = _reduction("binary_cross_entropy", size_average, reduce, reduction)
    require_tensors("binary_cross_entropy", input=input, target=target)
    _same_shape("binary_cross_entropy", input, target)
    require_same("binary_cross_entropy", input=input, target=target)
    return _reduced(_weighted("binary_cross_entropy", _binary_cross_entropy(input, target), weight), reduction)


def _logit_loss_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    gx = F.mul(g, F.sub(F.sigmoid(x), y)) if ctx.inputs[0] is not None else None
    return gx, F.neg(F.mul(g, x)) if ctx.inputs[1] is not None else None


_logit_loss = binary("logit_loss", _logit_loss_rule, saves=(0, 1))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-(pos_weight y log s(x) + (1 - y) log(1 - s(x))), s the sigmoid, without overflow; and its mean or sum.

    input, target: one shape; weight and pos_weight broadcast to it. Raises `LossShapeError` for two shapes.

    >>> import autograd_core as ag
    >>> ag.nn.functional.binary_cross_entropy_with_logits(ag.tensor([0.0]), ag.tensor([1.0]))
    tensor(0.6931)
    """
    name = "binary_cross_entropy_with_logits"
    reduction = _reduction(name, size_average, reduce, reduction)
    require_float(name, input)
    input, target = _operands(name, input, target)
    if pos_weight is None:
        loss = _logit_loss(input, target)
    else:
        factor = _F.add(_weighted(name, target, _F.sub(pos_weight, 1.0)), 1.0)
        against = _F.mul(_F.softplus(_F.neg(input), 1.0, math.inf), factor)
        loss = _F.add(_F.mul(_F.sub(1.0, target), input), against)
    return _reduced(_weighted(name, loss, weight), reduction)


# -- classes ----------------------------------------------------------------------------------------------


def _cross_entropy_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, target, logsum, count = ctx.saved
    return F.cross_entropy_backward(g, x, target, logsum, count, *ctx.params), None


_cross_entropy = primitive("cross_entropy", _cross_entropy_rule, inputs=2, saves=(0, 1), extras=2)


@composite
def cross_entropy_backward(g: Tensor, x: Tensor, target: Tensor, logsum: Any, count: Any, ignored: int) -> Tensor:
    backend, native = x._backend, x._data.dtype
    raw = target._data
    share = wrap(backend.class_weight(raw, None, ignored, native), backend).reshape(-1, 1) / wrap(count, backend)
    hot = wrap(
        backend.nll_loss_backward(backend.full(raw.shape, -1.0, native), raw, None, tuple(x.shape), ignored), backend
    )
    return _F.mul(_F.mul(_F.sub(_F.softmax(x, 1), hot), share), g)


def _nll_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    target, weight = ctx.saved
    return F.nll_loss_backward(g, target, weight, tuple(ctx.inputs[0].shape), *ctx.params), None, None


def _nll_backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    target, weight = ctx.saved
    return F.nll_loss(g, target, weight, ctx.params[1]), None, None


_nll_loss = primitive("nll_loss", _nll_rule, inputs=3, saves=(1, 2))
nll_loss_backward = primitive("nll_loss_backward", _nll_backward_rule, inputs=3, saves=(1, 2))


def _hint(target: tuple[int, ...], input: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if target[:1] + target[2:] == expected and target[1:2] == (1,):
        return "; use target.squeeze(1)"
    if target == input:
        return "; for one-hot targets use target.argmax(1), or target.float() as probabilities"
    return ""


def _check_classes(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """The target of class indices as int64, after a check of shapes and dtypes."""
    x, t = tuple(input.shape), tuple(target.shape)
    if target._data.dtype.name not in ("int64", "uint8"):
        raise RuntimeError(
            f"{name}: expected class indices of dtype ag.int64 for a target of shape {t}, got {target.dtype}; use "
            "target.long()"
            + (f", or give class probabilities of the input's shape {x}" if name == "cross_entropy" else "")
        )
    if input.ndim == 0:
        raise RuntimeError(f"{name}: input must have at least one dimension, the classes")
    if input.ndim > 1 and (not t or t[0] != x[0]):
        raise LossShapeError(
            f"{name}: expected input batch_size ({x[0]}) to match target batch_size ({t[0] if t else 'none'}): input "
            f"{x}, target {t}"
        )
    expected = x[:1] + x[2:] if input.ndim > 1 else ()
    if t != expected:
        raise LossShapeError(
            f"{name}: input {x} has {x[1] if input.ndim > 1 else x[0]} classes and asks for a target of shape "
            f"{expected}, got {t}{_hint(t, x, expected)}"
        )
    if weight is not None:
        classes = x[1] if input.ndim > 1 else x[0]
        require_same(name, input=input, weight=weight)
        if tuple(weight.shape) != (classes,):
            raise RuntimeError(
                f"{name}: weight tensor should be defined for all {classes} classes, got shape {tuple(weight.shape)}"
            )
        if weight.requires_grad:
            raise RuntimeError(f"{name}: the derivative for 'weight' is not implemented; use weight.detach()")
    if target._backend is not input._backend:
        require_same(name, input=input, target=target.to(input.dtype))
    return target if target._data.dtype.name == "int64" else target.long()


def _nll(logp: Tensor, target: Tensor, weight: Tensor | None, ignored: int, reduction: str, smoothing: float) -> Tensor:
    """The loss of log-probabilities (C,) or (N, C, ...) against class indices, after the checks."""
    backend, native = logp._backend, logp._data.dtype
    single = logp.ndim == 1
    if single:
        logp, target = logp.reshape(1, -1), target.reshape(1)
    loss = _nll_loss(logp, target, weight, ignored)
    if smoothing:
        classes = logp.shape[1]
        spread = logp if weight is None else _F.mul(logp, weight.reshape((1, -1) + (1,) * (logp.ndim - 2)))
        counted = wrap(backend.class_weight(target._data, None, ignored, native), backend)
        # A choice, not a product: where all are ignored, the gradient 1 / 0 of the mean must not reach a factor 0.
        uniform = _F.where(_F.ne(counted, 0.0), _F.neg(_F.sum(spread, (1,), False)), _F.fill(counted, 0.0))
        loss = _F.add(_F.mul(loss, 1.0 - smoothing), _F.mul(uniform, smoothing / classes))
    if reduction == "mean":
        total = wrap(
            backend.sum(
                backend.class_weight(target._data, None if weight is None else weight._data, ignored, native),
                None,
                False,
            ),
            backend,
        )
        return _F.div(_F.sum(loss, None, False), total)
    loss = _reduced(loss, reduction)
    return loss.reshape(()) if single else loss


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-weight[t] x[t], x log-probabilities and t the class; the mean is divided by the sum of the weights used.

    input: (N, C), (C,) or (N, C, d1, ...); target: int64 of shape (N,), () or (N, d1, ...); weight: (C,). Targets
    equal to `ignore_index` count nothing. Raises `IndexError` for other classes outside [0, C), `RuntimeError` for a
    target that is no int64, `LossShapeError` for shapes that do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.nll_loss(ag.tensor([[-1.0, -2.0]]), ag.tensor([1]))
    tensor(2.)
    """
    reduction = _reduction("nll_loss", size_average, reduce, reduction)
    require_tensors("nll_loss", input=input, target=target, weight=weight)
    require_float("nll_loss", input)
    target = _check_classes("nll_loss", input, target, weight)
    return _nll(input, target, weight, ignore_index, reduction, 0.0)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-sum over classes c of p_c weight_c log softmax(x)_c, p the target's distribution, and its mean or sum.

    input: logits (N, C), (C,) or (N, C, d1, ...). target: class indices, int64 of shape (N,), () or (N, d1, ...), or
    probabilities of the input's shape. `label_smoothing` e mixes in the uniform distribution: p <- (1 - e) p + e / C.
    Targets equal to `ignore_index` count nothing; the mean over indices is divided by the sum of the weights used.
    Raises `IndexError` for other classes outside [0, C), `RuntimeError` for a wrong dtype, `LossShapeError` for shapes
    that do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.cross_entropy(ag.tensor([[0.0, 0.0]]), ag.tensor([1]))
    tensor(0.6931)
    """
    if weight is None and reduction == "mean" and not label_smoothing and size_average is None and reduce is None:
        # The common case first: its checks are most of the cost of a small batch.
        if isinstance(input, Tensor) and isinstance(target, Tensor) and input._backend is target._backend:
            x, t = input._data, target._data
            if x.ndim == 2 and t.dtype is _INT64 and t.shape == x.shape[:1] and x.dtype.kind == "f" and x.size:
                return _cross_entropy(input, target, ignore_index)
    reduction = _reduction("cross_entropy", size_average, reduce, reduction)
    require_tensors("cross_entropy", input=input, target=target, weight=weight)
    require_float("cross_entropy", input)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0.0 and 1.0, got {label_smoothing}")
    if input.ndim and target._data.dtype.kind == "f" and target._data.shape == input._data.shape:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    target = _check_classes("cross_entropy", input, target, weight)
    logp = _F.log_softmax(input, 0 if input.ndim == 1 else 1)
    return _nll(logp, target, weight, ignore_index, reduction, label_smoothing)


def _soft_cross_entropy(
    x: Tensor, p: Tensor, weight: Tensor | None, ignored: int, reduction: str, smoothing: float
) -> Tensor:
    if ignored >= 0:
        raise RuntimeError(
            "cross_entropy: ignore_index is not supported for floating point target (class probabilities)"
        )
    require_same("cross_entropy", input=x, target=p, weight=weight)
    axis = 0 if x.ndim == 1 else 1
    classes = x.shape[axis]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined for all {classes} classes, got shape {tuple(weight.shape)}"
        )
    if smoothing:
        p = _F.add(_F.mul(p, 1.0 - smoothing), smoothing / classes)
    product = _F.mul(_F.log_softmax(x, axis), p)
    if weight is not None:
        product = _F.mul(product, weight if axis == 0 else weight.reshape((1, -1) + (1,) * (x.ndim - 2)))
    loss = _F.neg(_F.sum(product, (axis,), False))
    return _reduced(loss, reduction)


FUNCTIONS: tuple[str, ...] = ("binary_cross_entropy_with_logits",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

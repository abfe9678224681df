"""Dropout: of single elements, of whole channels, and in the form that keeps mean and variance."""

from __future__ import annotations

from typing import Any

from autograd_core import random
from autograd_core.ops.checks import maybe_inplace, require_float
from autograd_core.primitive import V, primitive
from autograd_core.tensor import Tensor

_F: Any = V


_dropout = primitive("dropout", lambda F, g, ctx: (F.dropout(g, ctx.saved[0], *ctx.params), None), inputs=2, saves=(1,))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element zeroed with probability p, the others divided by 1 - p; the input itself if not `training`.

    Srivastava et al., "Dropout" (2014), in its inverted form. The mask comes from the default generator. Raises
    `ValueError` unless 0 <= p <= 1.

    >>> import autograd_core as ag
    >>> ag.nn.functional.dropout(ag.ones(2), p=0.5, training=False)
    tensor([1., 1.])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    require_float("dropout", input)
    if p == 1:
        return maybe_inplace(inplace, "dropout", _F.mul, input, 0.0)
    mask = random.draw("bernoulli", None, input._backend, input._data.shape, input._data.dtype, 1.0 - p)
    return maybe_inplace(inplace, "dropout", _dropout, input, mask, 1.0 / (1.0 - p))


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Each element replaced with probability p by the limit of `selu` at minus infinity, then all of it scaled and
    shifted so that mean 0 and variance 1 stay.

    y = a (x m - 1.7581 (1 - m)) + b with m Bernoulli(1 - p), a = ((1 - p) (1 + 1.7581^2 p))^(-1/2), b = 1.7581 a p
    (Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017). Raises `ValueError` unless
    0 <= p <= 1.

    >>> import autograd_core as ag
    >>> ag.nn.functional.alpha_dropout(ag.ones(2), p=0.5)
    tensor([1., 1.])
    """
    return _alpha("alpha_dropout", input, p, training, inplace, tuple(input.shape))


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...).

    Raises `RuntimeError` for fewer than two dimensions.

    >>> import autograd_core as ag
    >>> ag.nn.functional.feature_alpha_dropout(ag.ones(1, 2), p=0.5)
    tensor([[1., 1.]])
    """
    if training and 0 < p < 1 and input.ndim < 2:
        raise RuntimeError(
            f"feature_alpha_dropout: expected input of at least 2 dimensions (N, C, ...), got {tuple(input.shape)}"
        )
    shape = tuple(input.shape[:2]) + (1,) * (input.ndim - 2)
    return _alpha("feature_alpha_dropout", input, p, training, inplace, shape)


def _alpha(name: str, x: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...]) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0 or not x.numel():
        return x
    require_float(name, x)
    if p == 1:
        return maybe_inplace(inplace, name, _F.mul, x, 0.0)
    limit = 1.0507009873554805 * 1.6732632423543772  # selu's scale and alpha.
    scale = ((1 - p) * (1 + limit * limit * p)) ** -0.5
    kept = random.draw("bernoulli", None, x._backend, shape, x._data.dtype, 1.0 - p)
    factor = _F.mul(kept, scale)
    shift = _F.add(_F.mul(kept, limit * scale), limit * scale * (p - 1))
    return maybe_inplace(inplace, name, lambda x: _F.add(_F.mul(x, factor), shift), x)


def _channel_dropout(name: str, dims: tuple[int, ...], x: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """`dropout` of whole channels: x is (N, C, ...) of dims[-1] dimensions, or fewer as listed."""
    require_float(name, x)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if x.ndim not in dims:
        raise RuntimeError(f"{name}: expected input of {' or '.join(map(str, dims))} dimensions, got {tuple(x.shape)}")
    if not training or p == 0:
        return x
    lead = 2 if x.ndim == dims[-1] else 1
    shape = tuple(x.shape[:lead]) + (1,) * (x.ndim - lead)
    if p == 1:
        return maybe_inplace(inplace, name, _F.mul, x, 0.0)
    kept = random.draw("bernoulli", None, x._backend, shape, x._data.dtype, 1.0 - p)
    return maybe_inplace(inplace, name, lambda x: _F.mul(x, _F.mul(kept, 1.0 / (1.0 - p))), x)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each channel of sequences (N, C, L) or (C, L) zeroed with probability p, the others divided by 1 - p.

    Tompson et al., "Efficient object localization using convolutional networks", 2015. Raises `ValueError` unless
    0 <= p <= 1, `RuntimeError` for another number of dimensions.

    >>> import autograd_core as ag
    >>> ag.nn.functional.dropout1d(ag.ones(1, 2), training=False)
    tensor([[1., 1.]])
    """
    return _channel_dropout("dropout1d", (2, 3), input, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout1d` for images (N, C, H, W); of three dimensions the first two are N and C, as in PyTorch.

    >>> import autograd_core as ag
    >>> ag.nn.functional.dropout2d(ag.ones(1, 1, 1, 2), p=1.0)
    tensor([[[[0., 0.]]]])
    """
    require_float("dropout2d", input)
    if input.ndim == 3:
        return _channel_dropout("dropout2d", (2, 3), input, p, training, inplace)
    return _channel_dropout("dropout2d", (4,), input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout1d` for volumes (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.functional.dropout3d(ag.ones(1, 1, 1, 1, 2), p=1.0)
    tensor([[[[[0., 0.]]]]])
    """
    return _channel_dropout("dropout3d", (4, 5), input, p, training, inplace)


FUNCTIONS: tuple[str, ...] = ("dropout",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

"""Activations composed of other operations: gates, shrinkage, piecewise approximations; dropout by channel, or that
keeps mean and variance."""

from __future__ import annotations

import math
from typing import Any

from autograd_core import dtypes, random
from autograd_core.ops.activations import hardtanh, leaky_relu, softplus
from autograd_core.ops.checks import maybe_inplace, require_float, require_tensors
from autograd_core.ops.half import in_float32
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


@in_float32
def _gate(a: Tensor, b: Tensor) -> Tensor:
    return _F.mul(a, _F.sigmoid(b))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the halves of the input along `dim` (Dauphin et al., 2017).

    Raises `RuntimeError` for an odd size, or no dimensions.

    >>> import autograd_core as ag
    >>> ag.nn.functional.glu(ag.tensor([2.0, 0.0]))
    tensor([1.])
    """
    require_float("glu", input)
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    axis = input._dim(dim)
    size = input.shape[axis]
    if size % 2:
        raise RuntimeError(f"glu: halving dimension must be even, but dimension {dim} is size {size}")
    a, b = input.narrow(axis, 0, size // 2), input.narrow(axis, size // 2, size // 2)
    return _gate(a, b)


@in_float32
def _hardsigmoid(x: Tensor) -> Tensor:
    return _F.mul(hardtanh(_F.add(x, 3.0), 0.0, 6.0), 1 / 6)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    >>> import autograd_core as ag
    >>> ag.nn.functional.hardsigmoid(ag.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    require_float("hardsigmoid", input)
    return maybe_inplace(inplace, "hardsigmoid", _hardsigmoid, input)


@in_float32
def _hardswish(x: Tensor) -> Tensor:
    return _F.mul(x, _hardsigmoid(x))


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (Howard et al., "Searching for MobileNetV3", 2019).

    >>> import autograd_core as ag
    >>> ag.nn.functional.hardswish(ag.tensor([-1.0, 3.0]))
    tensor([-0.3333,  3.0000])
    """
    require_float("hardswish", input)
    return maybe_inplace(inplace, "hardswish", _hardswish, input)


@in_float32
def _mish(x: Tensor) -> Tensor:
    return _F.mul(x, _F.tanh(softplus(x)))


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (Misra, 2019).

    >>> import autograd_core as ag
    >>> ag.nn.functional.mish(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """
    require_float("mish", input)
    return maybe_inplace(inplace, "mish", _mish, input)


@in_float32
def _softsign(x: Tensor) -> Tensor:
    return _F.div(x, _F.add(_F.abs(x), 1.0))


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import autograd_core as ag
    >>> ag.nn.functional.softsign(ag.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    if isinstance(input, Tensor) and input._data.dtype.kind in "iu":
        return input / (input.abs() + 1)
    require_float("softsign", input)
    return _softsign(input)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import autograd_core as ag
    >>> ag.nn.functional.tanhshrink(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """
    if isinstance(input, Tensor) and input._data.dtype.kind in "iu":
        return input - input.tanh()
    require_float("tanhshrink", input)
    return _F.sub(input, _F.tanh(input))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by `lambd`, and 0 where |x| <= lambd. Raises `RuntimeError` for a negative `lambd`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.softshrink(ag.tensor([-2.0, 0.25]))
    tensor([-1.5000,  0.0000])
    """
    require_float("softshrink", input)
    if not lambd >= 0:
        raise RuntimeError(f"softshrink: lambda must be greater or equal to 0, but found to be {lambd}")
    moved = _F.sub(input, _F.mul(_F.sign(input), lambd))
    return _F.where(_F.le(_F.abs(input), lambd), _F.fill(input, 0.0), moved)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0.

    >>> import autograd_core as ag
    >>> ag.nn.functional.hardshrink(ag.tensor([-2.0, 0.25]))
    tensor([-2.,  0.])
    """
    require_float("hardshrink", input)
    return _F.where(_F.le(_F.abs(input), lambd), _F.fill(input, 0.0), input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else `value`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.threshold(ag.tensor([-1.0, 2.0]), 0.5, 9.0)
    tensor([9., 2.])
    """
    require_tensors("threshold", input=input)
    if input._data.dtype.kind in "iu":  # As in PyTorch, both numbers are truncated.
        threshold, value = int(threshold), int(value)
    else:
        require_float("threshold", input)
    return maybe_inplace(inplace, "threshold", lambda x: _F.where(_F.le(x, threshold), _F.fill(x, value), x), input)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """x above 0, a x below, a drawn from [lower, upper) for each element in `training`, else (lower + upper) / 2.

    Xu, Wang, Chen and Li, "Empirical evaluation of rectified activations in convolutional network", 2015. The draws
    come from the default generator. Raises `RuntimeError` unless lower <= upper, both finite.

    >>> import autograd_core as ag
    >>> ag.nn.functional.rrelu(ag.tensor([-2.0, 2.0]), 0.25, 0.75)
    tensor([-1.,  2.])
    """
    require_float("rrelu", input)
    if not -math.inf < lower <= upper < math.inf:
        raise RuntimeError(
            f"rrelu: lower bound should be less than or equal to the upper bound, both finite; got lower={lower}, "
            f"upper={upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = random.draw("uniform", None, input._backend, input._data.shape, input._data.dtype, lower, upper)
    return maybe_inplace(inplace, "rrelu", lambda x: _F.where(_F.gt(x, 0), x, _F.mul(x, slopes)), input)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((x + g) / tau) along `dim`, g drawn from Gumbel's distribution: a sample of categories with a gradient.

    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", 2017. `hard`: the result is one-hot, its
    gradient that of the soft one. `eps` has no effect, as in PyTorch. Raises `NotImplementedError` for integers.

    >>> import autograd_core as ag
    >>> ag.nn.functional.gumbel_softmax(ag.tensor([0.0, 99.0]), hard=True)
    tensor([0., 1.])
    """
    require_float("gumbel_softmax", logits)
    axis = logits._dim(dim)
    u = random.draw("uniform", None, logits._backend, logits._data.shape, logits._data.dtype, 0.0, 1.0)
    # A draw may be 0, never 1: log(1 - u) is finite, and the limit keeps the second logarithm so.
    waits = _F.neg(_F.log(_F.sub(1.0, u))).clamp_min(dtypes.finfo(logits.dtype).tiny)
    gumbel = _F.neg(_F.log(waits))
    soft: Tensor = _F.softmax(_F.div(_F.add(logits, gumbel), tau), axis)
    if not hard:
        return soft
    best = soft.argmax(axis, keepdim=True)
    one_hot = _F.fill(soft.detach(), 0.0).scatter(axis, best, 1.0)
    return _F.add(_F.sub(one_hot, soft.detach()), soft)


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


FUNCTIONS: tuple[str, ...] = ("threshold", "hardshrink", "rrelu")
METHODS: tuple[str, ...] = ("hardshrink",)
INPLACE: tuple[str, ...] = ()

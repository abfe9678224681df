"""Activations beyond the elementwise family.

The derivative of each is one kernel, `<name>_backward(g, x, ...)`; on Tensors (for gradients of gradients) the
composition of the same name here.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core import dtypes, random
from autograd_core.ops.checks import composite, maybe_inplace, require_float, require_same, require_tensors
from autograd_core.ops.half import in_float32
from autograd_core.primitive import V, unary
from autograd_core.tensor import Tensor

_F: Any = V


def _activation(name: str) -> Any:
    backward = f"{name}_backward"
    return unary(name, lambda F, g, ctx: (getattr(F, backward)(g, ctx.saved[0], *ctx.params),), saves=(0,))


_leaky_relu = _activation("leaky_relu")
_elu = _activation("elu")
_softplus = _activation("softplus")
_gelu = _activation("gelu")
_gelu_tanh = _activation("gelu_tanh")
_silu = _activation("silu")
_hardtanh = _activation("hardtanh")


def _erf_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    bell = F.exp(F.neg(F.square(ctx.saved[0])))
    return (F.mul(g, F.mul(bell, 2 / math.sqrt(math.pi))),)


_erf = unary("erf", _erf_rule, saves=(0,), floating=True)


# -- the derivatives as compositions ----------------------------------------------------------------------


@composite
def leaky_relu_backward(g: Tensor, x: Tensor, slope: float) -> Tensor:
    return _F.where(_F.gt(x, 0.0), g, _F.mul(g, slope))


@composite
def elu_backward(g: Tensor, x: Tensor, alpha: float, scale: float, inner: float) -> Tensor:
    positive = _F.gt(x, 0.0)
    # Above 0 the exponential is not used: keep it from overflowing, whose gradient would be 0 * inf.
    below = _F.exp(_F.mul(_F.where(positive, _F.fill(x, 0.0), x), inner))
    return _F.mul(g, _F.where(positive, _F.fill(x, scale), _F.mul(below, alpha * scale * inner)))


@composite
def softplus_backward(g: Tensor, x: Tensor, beta: float, threshold: float) -> Tensor:
    z = _F.mul(x, beta)
    return _F.where(_F.gt(z, threshold), g, _F.mul(g, _F.sigmoid(z)))


@composite
def gelu_backward(g: Tensor, x: Tensor) -> Tensor:
    below = _F.add(_F.mul(_erf(_F.mul(x, math.sqrt(0.5))), 0.5), 0.5)
    density = _F.mul(_F.exp(_F.mul(_F.square(x), -0.5)), 1 / math.sqrt(2 * math.pi))
    return _F.mul(g, _F.add(below, _F.mul(x, density)))


@composite
def gelu_tanh_backward(g: Tensor, x: Tensor) -> Tensor:
    root, cubic = math.sqrt(2 / math.pi), 0.044715
    squared = _F.square(x)
    t = _F.tanh(_F.mul(x, _F.add(_F.mul(squared, cubic * root), root)))
    slope = _F.add(_F.mul(squared, 3 * cubic * root), root)
    bend = _F.mul(_F.mul(x, _F.sub(1.0, _F.square(t))), slope)
    return _F.mul(g, _F.mul(_F.add(_F.add(t, 1.0), bend), 0.5))


@composite
def silu_backward(g: Tensor, x: Tensor) -> Tensor:
    s = _F.sigmoid(x)
    return _F.mul(g, _F.mul(s, _F.add(_F.mul(x, _F.sub(1.0, s)), 1.0)))


@composite
def hardtanh_backward(g: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    return _F.where(_F.logical_or(_F.le(x, low), _F.ge(x, high)), _F.fill(g, 0.0), g)


# -- public -----------------------------------------------------------------------------------------------


def erf(input: Tensor) -> Tensor:
    """The error function 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x (Cody, 1969).

    >>> import autograd_core as ag
    >>> ag.erf(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return _erf(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """max(0, x) + negative_slope * min(0, x) (Maas, Hannun, Ng, 2013).

    >>> import autograd_core as ag
    >>> ag.nn.functional.leaky_relu(ag.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5000,  2.0000])
    """
    require_float("leaky_relu", input)
    return maybe_inplace(inplace, "leaky_relu", _leaky_relu, input, negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """max(0, x) + weight * min(0, x), weight learnt: one for all, or one a channel, dimension 1 (He et al., 2015).

    weight: (1,) or (C,). Raises `RuntimeError` for another size.

    >>> import autograd_core as ag
    >>> ag.nn.functional.prelu(ag.tensor([-1.0, 2.0]), ag.tensor([0.5]))
    tensor([-0.5000,  2.0000])
    """
    require_same("prelu", input=input, weight=weight)
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise RuntimeError(
            "prelu: mismatch of parameter numbers and input channel size: expected weight of shape (1,) or "
            f"({channels},), "
            f"got {tuple(weight.shape)}"
        )
    w = weight.reshape((1, -1) + (1,) * (input.ndim - 2)) if weight.numel() > 1 else weight.reshape(())
    return _F.where(_F.gt(input, 0.0), input, _F.mul(input, w))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha * (exp(x) - 1) below (Clevert, Unterthiner, Hochreiter, 2015).

    >>> import autograd_core as ag
    >>> ag.nn.functional.elu(ag.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    require_float("elu", input)
    return maybe_inplace(inplace, "elu", _elu, input, alpha, 1.0, 1.0)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha), the constants such that activations keep mean 0 and variance 1 (Klambauer et al., 2017).

    >>> import autograd_core as ag
    >>> ag.nn.functional.selu(ag.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    require_float("selu", input)
    return maybe_inplace(inplace, "selu", _elu, input, 1.6732632423543772848, 1.0507009873554804934, 1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha * (exp(x / alpha) - 1) below (Barron, 2017). Raises `RuntimeError` for alpha = 0.

    >>> import autograd_core as ag
    >>> ag.nn.functional.celu(ag.tensor([-1.0, 2.0]), 2.0)
    tensor([-0.7869,  2.0000])
    """
    require_float("celu", input)
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0")
    return maybe_inplace(inplace, "celu", _elu, input, alpha, 1.0, 1.0 / alpha)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    >>> import autograd_core as ag
    >>> ag.nn.functional.softplus(ag.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """
    require_float("softplus", input)
    return _softplus(input, beta, threshold)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function, or its approximation by a 'tanh' (Hendrycks, Gimpel, 2016).

    >>> import autograd_core as ag
    >>> ag.nn.functional.gelu(ag.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    require_float("gelu", input)
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate argument must be either 'none' or 'tanh', got {approximate!r}")
    return _gelu(input) if approximate == "none" else _gelu_tanh(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), also called swish.

    >>> import autograd_core as ag
    >>> ag.nn.functional.silu(ag.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    require_float("silu", input)
    return maybe_inplace(inplace, "silu", _silu, input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val]; the gradient is 0 at the bounds. Raises `ValueError` if min_val > max_val.

    >>> import autograd_core as ag
    >>> ag.nn.functional.hardtanh(ag.tensor([-3.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    require_tensors("hardtanh", input=input)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val cannot be greater than max_val, got {min_val} and {max_val}")
    if input._data.dtype.kind in "iu":  # As in PyTorch, limits of integers are truncated.
        low, high = int(min_val), int(max_val)
        if input._data.dtype.kind == "u" and low < 0:
            raise RuntimeError(f"hardtanh: negative limits ({min_val}, {max_val}) of an unsigned type")
        return maybe_inplace(inplace, "hardtanh", lambda x: x.clamp(low, high), input)
    require_float("hardtanh", input)
    return maybe_inplace(inplace, "hardtanh", _hardtanh, input, min_val, max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x), 6).

    >>> import autograd_core as ag
    >>> ag.nn.functional.relu6(ag.tensor([-1.0, 9.0]))
    tensor([0., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x))), without overflow.

    >>> import autograd_core as ag
    >>> ag.nn.functional.logsigmoid(ag.tensor([0.0, -100.0]))
    tensor([  -0.6931, -100.0000])
    """
    require_float("logsigmoid", input)
    return _F.neg(_softplus(_F.neg(input), 1.0, math.inf))


# -- compositions: gates, shrinkage, piecewise approximations --------------------------------------------
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


FUNCTIONS: tuple[str, ...] = ("erf", "prelu", "selu", "celu", "threshold", "hardshrink", "rrelu")
METHODS: tuple[str, ...] = ("erf", "prelu", "hardshrink")
INPLACE: tuple[str, ...] = ("erf",)

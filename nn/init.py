"""Initialisation of weights, in place and outside the graph; random draws come from our own generator.

For a weight (out, in, *kernel): fan_in = in * prod(kernel), fan_out = out * prod(kernel).
"""

from __future__ import annotations

import math
from typing import Any

import autograd_core as ag
from autograd_core import Tensor

_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_LINEAR = ("linear", *_CONVOLUTIONS, "sigmoid")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor on the standard deviation that keeps the variance of a signal through `nonlinearity`.

    linear, conv*, sigmoid: 1; tanh: 5/3; relu: sqrt(2); leaky_relu: sqrt(2 / (1 + param^2)), param 0.01 unless given;
    selu: 3/4. Raises `ValueError` for another name.

    >>> import autograd_core as ag
    >>> ag.nn.init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2)
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, int | float)):
            raise ValueError(f"calculate_gain: negative_slope {param!r} not a valid number")
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3 / 4
    known = ", ".join((*_LINEAR, "tanh", "relu", "leaky_relu", "selu"))
    raise ValueError(f"calculate_gain: unsupported nonlinearity {nonlinearity!r}; one of: {known}")


def _fans(tensor: Tensor, name: str) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError(
            f"{name}: fan in and fan out can not be computed for a tensor with fewer than 2 dimensions, "
            f"got shape {tuple(tensor.shape)}"
        )
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill `tensor` with draws from the uniform distribution on [a, b).

    >>> import autograd_core as ag
    >>> bool((ag.nn.init.uniform_(ag.empty(9), 2, 3) >= 2).all())
    True
    """
    with ag.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill `tensor` with draws from the normal distribution.

    >>> import autograd_core as ag
    >>> ag.nn.init.normal_(ag.empty(2), 5.0, 0.0)
    tensor([5., 5.])
    """
    with ag.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fill `tensor` with draws from the normal distribution, those outside [a, b] drawn again. Limits are absolute.

    Raises `ValueError` unless a < b and std > 0.

    >>> import autograd_core as ag
    >>> bool((ag.nn.init.trunc_normal_(ag.empty(99)).abs() <= 2).all())
    True
    """
    if not (a < b and std > 0):
        raise ValueError(f"trunc_normal_: expected a < b and std > 0, got a={a}, b={b}, std={std}")
    low, high = ((limit - mean) / (std * math.sqrt(2)) for limit in (a, b))
    inside = (math.erf(high) - math.erf(low)) / 2
    with ag.no_grad():
        if inside > 0.25:
            # Drawing again uses no transcendental function, so every device gets the same bits; the number of
            # rounds is fixed beforehand (an element stays outside with probability 1e-15), so nothing is read back.
            draws = normal_(ag.empty_like(tensor), mean, std, generator)
            for _ in range(math.ceil(math.log(1e-15) / math.log(1 - inside)) if inside < 1 - 1e-15 else 1):
                fresh = normal_(ag.empty_like(tensor), mean, std, generator)
                draws = ag.where((draws < a) | (draws > b), fresh, draws)
        else:
            draws = _truncated_by_bisection(tensor, low, high, generator) * (std * math.sqrt(2)) + mean
        return tensor.copy_(draws.clamp(a, b))


def _truncated_by_bisection(tensor: Tensor, low: float, high: float, generator: Any) -> Tensor:
    """Inverse of erf at uniform draws between erf(low) and erf(high): for limits that hold little of the mass."""
    target = ag.empty(tensor.shape, dtype=ag.float64, device=tensor.device)
    uniform_(target, math.erf(low), math.erf(high), generator)
    below = ag.full_like(target, max(low, -6.0))  # erf is +-1 in float64 from 6 on.
    above = ag.full_like(target, min(high, 6.0))
    for _ in range(54):
        middle = (below + above) / 2
        under = ag.erf(middle) < target
        below, above = ag.where(under, middle, below), ag.where(under, above, middle)
    return (below + above) / 2


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill `tensor` with `val`.

    >>> import autograd_core as ag
    >>> ag.nn.init.constant_(ag.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    with ag.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with 1.

    >>> import autograd_core as ag
    >>> ag.nn.init.ones_(ag.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with 0.

    >>> import autograd_core as ag
    >>> ag.nn.init.zeros_(ag.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill the 2-d `tensor` with the identity. Raises `ValueError` for another number of dimensions.

    >>> import autograd_core as ag
    >>> ag.nn.init.eye_(ag.empty(2, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_: only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    with ag.no_grad():
        rows = ag.arange(tensor.shape[0], device=tensor.device).unsqueeze(1)
        columns = ag.arange(tensor.shape[1], device=tensor.device).unsqueeze(0)
        return tensor.copy_(rows == columns)


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight (3 to 5 dimensions) so that it passes its input channels on unchanged.

    Raises `ValueError` for another number of dimensions, or when `groups` does not divide the output channels.

    >>> import autograd_core as ag
    >>> ag.nn.init.dirac_(ag.empty(1, 1, 3)).tolist()
    [[[0.0, 1.0, 0.0]]]
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_: expected a tensor with 3, 4, or 5 dimensions, got shape {tuple(tensor.shape)}")
    out, channels = tensor.shape[:2]
    if out % groups:
        raise ValueError(f"dirac_: the {out} output channels must be divisible by groups={groups}")
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with ag.no_grad():
        rows = ag.arange(out, device=tensor.device).remainder(out // groups).unsqueeze(1)
        tensor.zero_()
        tensor[(slice(None), slice(None), *centre)] = rows == ag.arange(channels, device=tensor.device)
    return tensor


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill `tensor`, as a matrix of shape[0] rows, with orthonormal rows or columns (whichever are fewer) times `gain`.

    The Q of the QR decomposition of a normal matrix, signs chosen so that all such matrices are equally likely. Saxe,
    McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning", 2014. Raises `ValueError` below
    two dimensions.

    >>> import autograd_core as ag
    >>> w = ag.nn.init.orthogonal_(ag.empty(2, 3)); (w @ w.t()).round().abs().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: only tensors with 2 or more dimensions, got shape {tuple(tensor.shape)}")
    if not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    with ag.no_grad():
        drawn = normal_(ag.empty((rows, columns), dtype=tensor.dtype, device=tensor.device), generator=generator)
        wide = rows < columns
        q, r = ag.linalg.qr(drawn.t() if wide else drawn)
        q = q * ag.linalg.diagonal(r).sign()
        return tensor.copy_((q.t() if wide else q).reshape(tensor.shape)).mul_(gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill the 2-d `tensor` with normal draws, of which the fraction `sparsity` of each column is zero.

    Martens, "Deep learning via Hessian-free optimization", 2010. Raises `ValueError` for another number of dimensions.

    >>> import autograd_core as ag
    >>> (ag.nn.init.sparse_(ag.empty(10, 2), 0.25) == 0).sum(0)
    tensor([3, 3])
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    zeros = math.ceil(sparsity * tensor.shape[0])
    with ag.no_grad():
        normal_(tensor, 0.0, std, generator)
        keys = uniform_(ag.empty(tuple(tensor.shape), dtype=ag.float64, device=tensor.device), generator=generator)
        return tensor.mul_(keys.argsort(0).argsort(0) >= zeros)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in +-gain * sqrt(6 / (fan_in + fan_out)). Glorot and Bengio, "Understanding the difficulty of training
    deep feedforward neural networks", 2010. Raises `ValueError` below two dimensions.

    >>> import autograd_core as ag
    >>> bool((ag.nn.init.xavier_uniform_(ag.empty(3, 3)).abs() <= 1).all())
    True
    """
    bound = gain * math.sqrt(6 / sum(_fans(tensor, "xavier_uniform_")))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)): see `xavier_uniform_`.

    >>> import autograd_core as ag
    >>> ag.nn.init.xavier_normal_(ag.empty(3, 2), gain=0.0).abs().max().item()
    0.0
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans(tensor, "xavier_normal_"))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str, name: str) -> float:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode {mode!r} not supported, please use one of 'fan_in', 'fan_out'")
    fan_in, fan_out = _fans(tensor, name)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode.lower() == "fan_in" else fan_out)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform in +-gain * sqrt(3 / fan), gain by `calculate_gain(nonlinearity, a)`. He et al., "Delving Deep into
    Rectifiers", 2015. Raises `ValueError` below two dimensions or for an unknown mode or nonlinearity.

    >>> import autograd_core as ag
    >>> bool((ag.nn.init.kaiming_uniform_(ag.empty(3, 6)).abs() <= 1).all())
    True
    """
    if 0 in tensor.shape:
        return tensor
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan): see `kaiming_uniform_`.

    >>> import autograd_core as ag
    >>> ag.nn.init.kaiming_normal_(ag.empty(3, 6)).shape
    ag.Size([3, 6])
    """
    if 0 in tensor.shape:
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_"), generator)


def lecun_uniform_(tensor: Tensor, generator: Any = None) -> Tensor:
    """Uniform in +-sqrt(3 / fan_in), the scale that SELU needs. LeCun et al., "Efficient BackProp", 1998; Klambauer et
    al., "Self-Normalizing Neural Networks", 2017. PyTorch has no counterpart.

    >>> import autograd_core as ag
    >>> bool((ag.nn.init.lecun_uniform_(ag.empty(5, 3)).abs() <= 1).all())
    True
    """
    bound = math.sqrt(3 / _fans(tensor, "lecun_uniform_")[0])
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor: Tensor, generator: Any = None) -> Tensor:
    """Normal with standard deviation sqrt(1 / fan_in): see `lecun_uniform_`.

    >>> import autograd_core as ag
    >>> ag.nn.init.lecun_normal_(ag.empty(5, 3)).shape
    ag.Size([5, 3])
    """
    return normal_(tensor, 0.0, math.sqrt(1 / _fans(tensor, "lecun_normal_")[0]), generator)

"""Activations composed of other operations: gates, shrinkage, and piecewise approximations."""

from __future__ import annotations

from typing import Any

from autograd_core.ops.activations import hardtanh, softplus
from autograd_core.ops.checks import maybe_inplace, require_float
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


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
    a, b = input.narrow(axis, 0, size // 2), input.narrow(axis, size // 2, size // 2)  # type: ignore[attr-defined]
    return _F.mul(a, _F.sigmoid(b))  # type: ignore[no-any-return]


def _hardsigmoid(x: Tensor) -> Tensor:
    return _F.mul(hardtanh(_F.add(x, 3.0), 0.0, 6.0), 1 / 6)  # type: ignore[no-any-return]


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    >>> import autograd_core as ag
    >>> ag.nn.functional.hardsigmoid(ag.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    require_float("hardsigmoid", input)
    return maybe_inplace(inplace, "hardsigmoid", _hardsigmoid, input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (Howard et al., "Searching for MobileNetV3", 2019).

    >>> import autograd_core as ag
    >>> ag.nn.functional.hardswish(ag.tensor([-1.0, 3.0]))
    tensor([-0.3333,  3.0000])
    """
    require_float("hardswish", input)
    return maybe_inplace(inplace, "hardswish", lambda x: _F.mul(x, _hardsigmoid(x)), input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (Misra, 2019).

    >>> import autograd_core as ag
    >>> ag.nn.functional.mish(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """
    require_float("mish", input)
    return maybe_inplace(inplace, "mish", lambda x: _F.mul(x, _F.tanh(softplus(x))), input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import autograd_core as ag
    >>> ag.nn.functional.softsign(ag.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    require_float("softsign", input)
    return _F.div(input, _F.add(_F.abs(input), 1.0))  # type: ignore[no-any-return]


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import autograd_core as ag
    >>> ag.nn.functional.tanhshrink(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """
    require_float("tanhshrink", input)
    return _F.sub(input, _F.tanh(input))  # type: ignore[no-any-return]


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
    return _F.where(_F.le(_F.abs(input), lambd), _F.fill(input, 0.0), moved)  # type: ignore[no-any-return]


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0.

    >>> import autograd_core as ag
    >>> ag.nn.functional.hardshrink(ag.tensor([-2.0, 0.25]))
    tensor([-2.,  0.])
    """
    require_float("hardshrink", input)
    return _F.where(_F.le(_F.abs(input), lambd), _F.fill(input, 0.0), input)  # type: ignore[no-any-return]


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else `value`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.threshold(ag.tensor([-1.0, 2.0]), 0.5, 9.0)
    tensor([9., 2.])
    """
    require_float("threshold", input)
    return maybe_inplace(inplace, "threshold", lambda x: _F.where(_F.le(x, threshold), _F.fill(x, value), x), input)


FUNCTIONS: tuple[str, ...] = ("threshold", "hardshrink")
METHODS: tuple[str, ...] = ("hardshrink",)
INPLACE: tuple[str, ...] = ()

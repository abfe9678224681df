"""The modified Bessel functions of the first kind, of the orders 0 and 1."""

from __future__ import annotations

from typing import Any

from autograd_core.primitive import unary
from autograd_core.tensor import Tensor


def _bessel_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    """I0' = I1 and I1' = I0 - I1 / x; scaled by exp(-|x|), each also loses sign(x) times itself."""
    (x,) = ctx.saved
    order, scaled = ctx.params
    other = F.bessel_i(x, 1 - order, scaled)
    slope = other
    if order:
        zero = F.eq(x, 0.0)
        half = F.fill(x, 0.5)
        ratio = F.div(F.bessel_i(x, 1, scaled), F.where(zero, F.fill(x, 1.0), x))
        slope = F.sub(other, F.where(zero, half, ratio))
    if scaled:
        slope = F.sub(slope, F.mul(F.sign(x), F.bessel_i(x, order, True)))
    return (F.mul(g, slope),)


_bessel_i: Any = unary("bessel_i", _bessel_rule, saves=(0,), floating=True)


def i0(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 0 (Abramowitz & Stegun, 9.6).

    >>> import autograd_core as ag
    >>> ag.i0(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return _bessel_i(input, 0, False)


def i0e(input: Tensor) -> Tensor:
    """`i0`, scaled by exp(-|x|).

    >>> import autograd_core as ag
    >>> ag.special.i0e(ag.tensor([1000.0]))
    tensor([0.0126])
    """
    return _bessel_i(input, 0, True)


def i1(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 1.

    >>> import autograd_core as ag
    >>> ag.special.i1(ag.tensor([1.0]))
    tensor([0.5652])
    """
    return _bessel_i(input, 1, False)


def i1e(input: Tensor) -> Tensor:
    """`i1`, scaled by exp(-|x|).

    >>> import autograd_core as ag
    >>> ag.special.i1e(ag.tensor([1.0]))
    tensor([0.2079])
    """
    return _bessel_i(input, 1, True)


FUNCTIONS = ("i0",)
METHODS = ("i0",)
INPLACE = ("i0",)

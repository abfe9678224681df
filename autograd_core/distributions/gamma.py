"""Distributions made of gamma draws: gamma, chi-squared, Student's t; and the draws themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import autograd_core as ag
from autograd_core.distributions.distribution import Distribution, broadcast
from autograd_core.tensor import Tensor

__all__ = ["Chi2", "Gamma", "StudentT"]

# A proposal is accepted with a probability of at least 0.95, so that all of these fail once in 10^10 draws.
_PROPOSALS = 8
_NODES = 40
_TERMS = 20
# Where the integrand has fallen to e^-36, 2e-16, the integral ends.
_DEPTH = 36.0


def log_gamma_draw(concentration: Tensor, shape: Sequence[int]) -> Tensor:
    """The logarithm of gamma draws (of rate 1) of `shape`, in float64, through which gradients reach `concentration`.

    The logarithm, since a draw at a small concentration is often too small for any float. Nothing is read on the host.

    Sources: Marsaglia, Tsang, "A simple method for generating gamma variables" (2000); for the gradient Figurnov,
    Mohamed, Mnih, "Implicit reparameterization gradients" (2018).
    """
    if not concentration.is_floating_point():
        raise RuntimeError(
            f"a gamma draw of concentration of dtype {concentration.dtype}: expected floating point, as the draw has "
            "its dtype; give it as a float, or convert it with .float()"
        )
    draw: Tensor = _LogGamma.apply(concentration.double().expand(shape))
    return draw


class _LogGamma(ag.autograd.Function):
    @staticmethod
    def forward(ctx: Any, concentration: Tensor) -> Tensor:
        """By rejection from a fixed number of proposals; below 1 at concentration + 1, times a power of a uniform."""
        shape, device = concentration.shape, concentration.device
        small = concentration < 1
        d = ag.where(small, concentration + 1, concentration) - 1 / 3
        c = (9 * d).rsqrt()
        log_v = ag.zeros_like(d)
        waiting = ag.ones(shape, dtype=ag.bool, device=device)
        for _ in range(_PROPOSALS):
            z = ag.randn(shape, dtype=ag.float64, device=device)
            u = ag.rand(shape, dtype=ag.float64, device=device)
            root = 1 + c * z
            possible = root > 0
            proposed = 3 * ag.where(possible, root, ag.ones_like(root)).log()
            accepted = (-u).log1p() < 0.5 * z.square() + d - d * proposed.exp() + d * proposed
            accepted = accepted.logical_and(possible)
            log_v = ag.where(waiting.logical_and(accepted), proposed, log_v)
            waiting = waiting.logical_and(accepted.logical_not())
        u = ag.rand(shape, dtype=ag.float64, device=device)
        draw: Tensor = d.log() + log_v + ag.where(small, (-u).log1p() / concentration, ag.zeros_like(d))
        ctx.save_for_backward(concentration, draw)
        return draw

    @staticmethod
    @ag.autograd.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * log_gamma_slope(*ctx.saved_tensors)


def log_gamma_slope(a: Tensor, log_x: Tensor) -> Tensor:
    """The derivative of the logarithm of a gamma draw x by the concentration a, its quantile held fixed.

    With F the cumulative distribution and f the density it is -(dF/da) / (x f(x)). F is an integral of the density,
    whose derivative by a is the density times log t - psi(a); with t = x e^-s for x <= a, and t = x e^s beyond, where
    the integral from x on is taken instead (both together are 0),

        x <= a: the integral over s > 0 of (s - log x + psi(a)) exp(-a s - x (e^-s - 1))
        x > a:  the integral over s > 0 of (s + log x - psi(a)) exp(a s - x (e^s - 1))

    The exponent is concave and falls from 0. Gauss and Legendre's rule takes it as far as e^-36. For a < 1 the first
    has a narrow step in a wide range; there the power series of F serves, F / (x f) = S = sum of x^n / (a .. (a + n)):

        S (psi(a + 1) - log x) + the sum over n > 0 of its terms times 1 / (a + 1) + .. + 1 / (a + n)
    """
    x, away = log_x.exp(), log_x - ag.digamma(a)
    low = x <= a
    sign = ag.where(low, -ag.ones_like(x), ag.ones_like(x))
    # A place beyond the end; from there Newton's method comes down to it, as the exponent is concave.
    cubic = ag.where(x >= 3 * _DEPTH, (3 * _DEPTH / x).sqrt(), ag.full_like(x, math.inf))
    left = ag.minimum((_DEPTH + x) / a, cubic)
    right = ag.minimum((2 * _DEPTH / x).sqrt(), (2 * _DEPTH / x + 2).log())
    end = ag.where(low, left, ag.minimum(right, _DEPTH / (x - a).abs()))
    for _ in range(5):
        depth = sign * a * end - x * (sign * end).expm1()
        slope = sign * (a - x * (sign * end).exp())
        end = end - (depth + _DEPTH) / slope
    total = ag.zeros_like(x)
    for node, weight in _legendre(_NODES):
        s = end * node
        total = total + weight * (s + sign * away) * (sign * a * s - x * (sign * s).expm1()).exp()
    # For x <= a < 1 the terms fall as 1 / n!.
    term = a.reciprocal()
    series, slopes, harmonic = term, ag.zeros_like(x), ag.zeros_like(x)
    for n in range(1, _TERMS):
        term = term * x / (a + n)
        harmonic = harmonic + (a + n).reciprocal()
        series, slopes = series + term, slopes + term * harmonic
    by_series = series * (ag.digamma(a + 1) - log_x) + slopes
    result: Tensor = ag.where(low.logical_and(a < 1), by_series, end * total)
    return result


@cache
def _legendre(n: int) -> tuple[tuple[float, float], ...]:
    """Nodes and weights of Gauss and Legendre's rule on 0..1, by Newton's method on the polynomial."""
    found = []
    for k in range(n):
        x, slope = math.cos(math.pi * (k + 0.75) / (n + 0.5)), 1.0
        for _ in range(10):
            before, value = 1.0, x
            for m in range(2, n + 1):
                before, value = value, ((2 * m - 1) * x * value - (m - 1) * before) / m
            slope = n * (x * value - before) / (x * x - 1)
            x -= value / slope
        found.append(((1 + x) / 2, 1 / ((1 - x * x) * slope * slope)))
    return tuple(found)


class Gamma(Distribution):
    """Density proportional to `x^(concentration - 1) exp(-rate x)`. Raises ValueError unless both are > 0.

    Gradients pass through `rsample` to both parameters, of the first order.

    >>> import autograd_core as ag
    >>> ag.distributions.Gamma(1.0, 2.0).log_prob(ag.tensor(0.0)).exp()
    tensor(2.)
    """

    has_rsample = True

    def __init__(self, concentration: Tensor | float, rate: Tensor | float, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast(concentration, rate)
        super().__init__(self.concentration.shape, validate_args)
        self._check(self.concentration > 0, "concentration", "> 0")
        self._check(self.rate > 0, "rate", "> 0")

    @property
    def mean(self) -> Tensor:
        """`concentration / rate`."""
        return self.concentration / self.rate

    @property
    def variance(self) -> Tensor:
        """`concentration / rate^2`."""
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """By rejection; never 0, but the smallest normal number of the dtype."""
        shape = self._shape(sample_shape)
        draw = log_gamma_draw(self.concentration, shape).exp().to(self.concentration.dtype) / self.rate
        return draw.clamp_min(ag.finfo(draw.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        """`c log(rate) + (c - 1) log(value) - rate value - lgamma(c)`, c the concentration."""
        self._check_value(value)
        self._check(value >= 0, "a value", ">= 0")
        c = self.concentration
        return ag.xlogy(c, self.rate) + ag.xlogy(c - 1, value) - self.rate * value - c.lgamma()

    def entropy(self) -> Tensor:
        """`c - log(rate) + lgamma(c) + (1 - c) psi(c)`, c the concentration."""
        c = self.concentration
        return c - self.rate.log() + c.lgamma() + (1 - c) * c.digamma()

    def _given(self) -> dict[str, Tensor]:
        return {"concentration": self.concentration, "rate": self.rate}


class Chi2(Gamma):
    """The sum of `df` squares of standard normal draws: `Gamma(df / 2, 1 / 2)`. Raises ValueError unless `df` > 0.

    >>> import autograd_core as ag
    >>> ag.distributions.Chi2(4.0).mean
    tensor(4.)
    """

    def __init__(self, df: Tensor | float, validate_args: bool | None = None) -> None:
        (self.df,) = broadcast(df)
        super().__init__(0.5 * self.df, 0.5, validate_args)

    def _given(self) -> dict[str, Tensor]:
        return {"df": self.df}


class StudentT(Distribution):
    """`loc + scale z / sqrt(q / df)`, z standard normal and q chi-squared of `df` degrees of freedom.

    Raises ValueError unless `df` and `scale` are > 0. Gradients pass through `rsample` to all three, of the first
    order.

    >>> import autograd_core as ag
    >>> ag.distributions.StudentT(3.0).variance
    tensor(3.)
    """

    has_rsample = True

    def __init__(
        self,
        df: Tensor | float,
        loc: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        self.df, self.loc, self.scale = broadcast(df, loc, scale)
        super().__init__(self.df.shape, validate_args)
        self._check(self.df > 0, "df", "> 0")
        self._check(self.loc == self.loc, "loc", "without NaN")
        self._check(self.scale > 0, "scale", "> 0")

    @property
    def mean(self) -> Tensor:
        """`loc` where `df` > 1, else NaN."""
        return ag.where(self.df > 1, self.loc, ag.full_like(self.loc, math.nan))

    @property
    def variance(self) -> Tensor:
        """`scale^2 df / (df - 2)` where `df` > 2; infinite down to 1, NaN from there."""
        finite = self.df > 2
        above = ag.where(finite, self.df, ag.full_like(self.df, 3.0))
        value = ag.where(finite, self.scale.square() * above / (above - 2), ag.full_like(self.df, math.inf))
        return ag.where(self.df > 1, value, ag.full_like(self.df, math.nan))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """A normal draw over the root of a gamma draw."""
        shape = self._shape(sample_shape)
        z = ag.randn(shape, dtype=self.df.dtype, device=self.df.device)
        # The root of df / q, with q / 2 a gamma draw, at the least the smallest normal number, as `Gamma` has it.
        draw = log_gamma_draw(0.5 * self.df, shape).clamp_min(math.log(ag.finfo(self.df.dtype).tiny))
        root = (0.5 * ((0.5 * self.df.double()).log() - draw)).exp()
        return self.loc + self.scale * z * root.to(z.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """`-(df + 1) / 2 log(1 + y^2 / df)` with `y = (value - loc) / scale`, less the logarithm of the norm."""
        self._check_value(value)
        self._check(value == value, "a value", "that is a real number")
        y = (value - self.loc) / self.scale
        norm = self.scale.log() + 0.5 * self.df.log() + self._log_beta()
        return -0.5 * (self.df + 1) * (y.square() / self.df).log1p() - norm

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        more = 0.5 * (self.df + 1)
        slopes = more * (more.digamma() - (0.5 * self.df).digamma())
        return self.scale.log() + slopes + 0.5 * self.df.log() + self._log_beta()

    def _log_beta(self) -> Tensor:
        """log B(df / 2, 1 / 2)."""
        return (0.5 * self.df).lgamma() + 0.5 * math.log(math.pi) - (0.5 * (self.df + 1)).lgamma()

    def _given(self) -> dict[str, Tensor]:
        return {"df": self.df, "loc": self.loc, "scale": self.scale}

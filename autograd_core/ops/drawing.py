"""Random numbers written into a tensor: `uniform_`, `normal_`, `exponential_`, ... The old history ends there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autograd_core import dtypes, modes
from autograd_core.inplace import update
from autograd_core.ops import elementwise as e
from autograd_core.ops.indexing import replace
from autograd_core.random import Generator, draw
from autograd_core.tensor import Tensor

# How many bits a whole number may have that each float dtype holds exactly.
_EXACT = {"float16": 11, "float32": 24, "float64": 53}


class _Draw:
    """One draw for the tensor `x`: the kernels, on its device, of its shape."""

    def __init__(self, name: str, x: Tensor, generator: Generator | None) -> None:
        self.name, self.x, self.generator = name, x, generator

    def kernel(self, kernel: str, *params: Any, native: Any = None) -> Tensor:
        x = self.x
        return draw(kernel, self.generator, x._backend, x._data.shape, native or x._data.dtype, *params)

    def unit(self) -> Tensor:
        """Uniform in [0, 1), in the dtype that a transform is computed in."""
        wide = dtypes.float32 if self.x.dtype in (dtypes.float16, dtypes.float32) else dtypes.float64
        return self.kernel("uniform", 0.0, 1.0, native=wide.native)

    def check(self, fits: bool, expected: str, got: Any) -> None:
        if not fits:
            raise RuntimeError(f"{self.name} expects {expected}, but found {got}")

    def floating(self) -> None:
        if not self.x.is_floating_point():
            raise NotImplementedError(f"{self.name} is for floating-point tensors, got {self.x.dtype}")


def _uniform(d: _Draw, low: float, high: float) -> Tensor:
    d.floating()
    d.check(low <= high, "a range [from, to) with from <= to", f"from={low} > to={high}")
    limits = dtypes.finfo(d.x.dtype)
    d.check(
        limits.min <= low and high <= limits.max and high - low <= limits.max, f"a range of {d.x.dtype}", (low, high)
    )
    return d.kernel("uniform", float(low), float(high))


def _normal(d: _Draw, mean: float, std: float) -> Tensor:
    d.floating()
    d.check(std >= 0, "std >= 0.0", f"std={std}")
    return d.kernel("normal", float(mean), float(std))


def _log_normal(d: _Draw, mean: float, std: float) -> Tensor:
    d.floating()
    d.check(std > 0, "std > 0.0", f"std={std}")
    return e.exp(d.kernel("normal", float(mean), float(std)))


def _cauchy(d: _Draw, median: float, sigma: float) -> Tensor:
    d.floating()
    d.check(sigma > 0, "sigma > 0.0", f"sigma={sigma}")
    return e.tan((d.unit() - 0.5) * math.pi) * sigma + median


def _exponential(d: _Draw, lambd: float) -> Tensor:
    d.floating()
    d.check(lambd > 0, "lambda > 0.0", f"lambda={lambd}")
    return e.log1p(-d.unit()) * (-1 / lambd)


def _geometric(d: _Draw, p: float) -> Tensor:
    d.check(0 < p < 1, "p to be in (0, 1)", f"p={p}")
    return e.floor(e.log1p(-d.unit()) * (1 / math.log1p(-p))) + 1


def _bernoulli(d: _Draw, p: Any) -> Tensor:
    if isinstance(p, Tensor):
        if not p.is_floating_point():
            raise NotImplementedError(f"{d.name} expects probabilities of a floating-point dtype, got {p.dtype}")
        d.check(not p.numel() or bool((e.ge(p, 0).logical_and(e.le(p, 1))).all()), "p to be in [0, 1]", "others")
        return e.lt(d.unit(), p.detach().expand(d.x.shape))
    d.check(0 <= p <= 1, "p to be in [0, 1]", f"p={p}")
    return d.kernel("bernoulli", float(p))


def _random(d: _Draw, low: int, high: int | None) -> Tensor:
    dtype = d.x.dtype
    if dtype.is_floating_point:
        least, most, default = dtypes.finfo(dtype).min, dtypes.finfo(dtype).max, 2 ** _EXACT[dtype.name] + 1
    elif dtype is dtypes.bool_:
        least, most, default = 0, 1, 2
    else:
        limits = dtypes.iinfo(dtype)
        least, most, default = limits.min, limits.max, limits.max + 1
    high = default if high is None else high
    d.check(low < high, "'from' to be less than 'to'", f"from={low} >= to={high}")
    d.check(least <= low and high - 1 <= most, f"numbers that fit {dtype}", f"from={low}, to={high}")
    return d.kernel("integers", low, high)


def _method(
    name: str, names: tuple[str, ...], defaults: tuple[Any, ...], drawn: Callable[..., Tensor], doc: str
) -> Any:
    required = len(names) - len(defaults)

    def method(self: Tensor, *args: Any, generator: Generator | None = None, **named: Any) -> Tensor:
        given = {**dict(zip(names[required:], defaults)), **dict(zip(names, args)), **named}
        if len(args) > len(names) or set(given) != set(names):
            raise TypeError(f"{name}: expected the arguments {', '.join(names)}, got {args} and {named}")

        def filled(old: Tensor) -> Tensor:
            with modes.no_grad():
                new = drawn(_Draw(name, old, generator), *(given[n] for n in names))
            return replace(old, new)

        return update(self, name, filled)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    return method


def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """Fill with integers: `random_(to)` draws from [0, to), `random_(from, to)` from [from, to), `random_()` from all
    that are not negative and that the dtype holds exactly."""
    return _random_method(self, *(bounds if len(bounds) != 1 else (0, *bounds)), generator=generator, **named)


_random_method = _method("random_", ("from", "to"), (0, None), _random, "")

PUBLIC = {
    "uniform_": _method(
        "uniform_", ("from", "to"), (0.0, 1.0), _uniform, "Fill with uniform numbers in [from, to)."
    ),
    "normal_": _method(
        "normal_", ("mean", "std"), (0.0, 1.0), _normal, "Fill with normally distributed numbers of `mean` and `std`."
    ),
    "log_normal_": _method(
        "log_normal_", ("mean", "std"), (1.0, 2.0), _log_normal,
        "Fill with exp of normally distributed numbers of `mean` and `std`.",
    ),
    "cauchy_": _method(
        "cauchy_", ("median", "sigma"), (0.0, 1.0), _cauchy, "Fill from Cauchy's density: median + sigma tan(pi u)."
    ),
    "exponential_": _method(
        "exponential_", ("lambd",), (1.0,), _exponential, "Fill from the density lambd exp(-lambd x), x >= 0."
    ),
    "geometric_": _method(
        "geometric_", ("p",), (), _geometric, "Fill with the number of trials up to the first success of probability p."
    ),
    "bernoulli_": _method(
        "bernoulli_", ("p",), (0.5,), _bernoulli, "Fill with 1 with probability p (a number or a tensor), else 0."
    ),
}  # fmt: skip
FUNCTIONS = ()
METHODS = (*PUBLIC, "random_")
INPLACE = ()

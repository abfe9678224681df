"""Window functions of `M` points, computed in float64 and rounded (Harris, "On the use of windows for harmonic analysis
with the discrete Fourier transform", 1978).

sym: a symmetric window, for filters; else one period of a periodic one, for spectra. `ag.hann_window` and its kin are
the same functions, periodic unless asked otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.bessel import i0
from autograd_core.ops.creation import linspace
from autograd_core.ops.elementwise import cos, exp, sin, sqrt
from autograd_core.tensor import Tensor

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming",
    "hann", "kaiser", "nuttall",
]  # fmt: skip


def _window(
    name: str,
    M: int,
    sym: bool,
    shape: Callable[[Tensor], Tensor],
    dtype: Any,
    device: Any,
    requires_grad: bool,
    single: float = 1.0,
) -> Tensor:
    """`shape` of M points that run evenly from 0 to 1, or up to just before 1 if periodic; `single` of one."""
    d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if d not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name}: expected float32 or float64, got {d}")
    if not isinstance(M, int) or isinstance(M, bool):
        raise TypeError(f"{name}: the number of points must be an int, got {M!r}")
    if M < 0:
        raise ValueError(f"{name}: the number of points must be non-negative, got {M}")
    end = 1.0 if sym or M == 0 else (M - 1) / M
    places = linspace(0.0, end, M, dtype=dtypes.float64, device=device)
    values = shape(places) if M > 1 else places + single
    return values.to(d).detach().requires_grad_(requires_grad)


def _cosines(coefficients: Iterable[float]) -> Callable[[Tensor], Tensor]:
    terms = list(coefficients)

    def shape(x: Tensor) -> Tensor:
        out = x * 0.0
        for k, a in enumerate(terms):
            out = out + (-1) ** k * a * cos(x * (2 * math.pi * k))
        return out

    return shape


def general_cosine(
    M: int, *, a: Iterable[float], sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The sum over k of (-1)^k a_k cos(2 pi k x), x from 0 to 1.

    >>> import autograd_core as ag
    >>> ag.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    terms = list(a) if isinstance(a, Iterable) else None
    if terms is None:
        raise TypeError(f"general_cosine: coefficients must be a list or tuple, got {a!r}")
    if not terms:
        raise ValueError("general_cosine: coefficients cannot be empty")
    return _window("general_cosine", M, sym, _cosines(terms), dtype, device, requires_grad)


def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi x).

    >>> import autograd_core as ag
    >>> ag.signal.windows.general_hamming(3, alpha=0.6)
    tensor([0.2000, 1.0000, 0.2000])
    """
    return _window("general_hamming", M, sym, _cosines([alpha, 1 - alpha]), dtype, device, requires_grad)


def hann(M: int, *, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """sin^2(pi x) = 0.5 - 0.5 cos(2 pi x).

    >>> import autograd_core as ag
    >>> ag.signal.windows.hann(4, sym=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("hann", M, sym, _cosines([0.5, 0.5]), dtype, device, requires_grad)


def hamming(M: int, *, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """0.54 - 0.46 cos(2 pi x).

    >>> import autograd_core as ag
    >>> ag.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return _window("hamming", M, sym, _cosines([0.54, 0.46]), dtype, device, requires_grad)


def blackman(M: int, *, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x).

    >>> import autograd_core as ag
    >>> ag.signal.windows.blackman(5)[1:3]
    tensor([0.3400, 1.0000])
    """
    return _window("blackman", M, sym, _cosines([0.42, 0.5, 0.08]), dtype, device, requires_grad)


def nuttall(M: int, *, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Four cosines with the least side lobes (Nuttall, "Some windows with very good sidelobe behavior", 1981).

    >>> import autograd_core as ag
    >>> ag.signal.windows.nuttall(5)[1:3]
    tensor([0.2270, 1.0000])
    """
    terms = [0.3635819, 0.4891775, 0.1365995, 0.0106411]
    return _window("nuttall", M, sym, _cosines(terms), dtype, device, requires_grad)


def bartlett(M: int, *, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A triangle: 1 - |2 x - 1|.

    >>> import autograd_core as ag
    >>> ag.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window("bartlett", M, sym, lambda x: 1 - (2 * x - 1).abs(), dtype, device, requires_grad)


def cosine(M: int, *, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Half a wave: sin(pi (n + 1/2) / N), N the number of points, one more for a periodic window.

    >>> import autograd_core as ag
    >>> ag.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    total = M if sym or M == 1 else M + 1
    last = (M if not sym else M - 1) or 1

    def shape(x: Tensor) -> Tensor:
        return sin((x * last + 0.5) * (math.pi / total))

    return _window("cosine", M, sym, shape, dtype, device, requires_grad)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """exp(-|n - center| / tau), the center by default in the middle; symmetric windows allow no other.

    >>> import autograd_core as ag
    >>> ag.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"exponential: tau must be positive, got {tau}")
    if sym and center is not None:
        raise ValueError("exponential: center must be None for symmetric windows; use sym=False")
    last = M - 1 if sym else M
    middle = last / 2 if center is None else center
    single = 1.0 if center is None else math.exp(-abs(center) / tau)

    def shape(x: Tensor) -> Tensor:
        return exp((x * last - middle).abs() * (-1 / tau))

    return _window("exponential", M, sym, shape, dtype, device, requires_grad, single)


def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """exp(-(n - middle)^2 / (2 std^2)).

    >>> import autograd_core as ag
    >>> ag.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"gaussian: std must be positive, got {std}")
    last = M - 1 if sym else M
    return _window(
        "gaussian",
        M,
        sym,
        lambda x: exp((x * last - last / 2).square() * (-0.5 / std**2)),
        dtype,
        device,
        requires_grad,
    )


def kaiser(
    M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """I0(beta sqrt(1 - (2 x - 1)^2)) / I0(beta) (Kaiser, 1974).

    >>> import autograd_core as ag
    >>> ag.signal.windows.kaiser(3, beta=0.0)
    tensor([1., 1., 1.])
    """
    if beta < 0:
        raise ValueError(f"kaiser: beta must be non-negative, got {beta}")

    def shape(x: Tensor) -> Tensor:
        inside = (1 - (2 * x - 1).square()).clamp(min=0.0)
        return i0(sqrt(inside) * beta) / i0(x.new_tensor(beta))

    return _window("kaiser", M, sym, shape, dtype, device, requires_grad)


# -- the older names, periodic by default -----------------------------------------------------------------


def _older(name: str, window: Callable[..., Tensor], doc: str, *options: str) -> Callable[..., Tensor]:
    def call(
        window_length: int,
        periodic: bool = True,
        *args: float,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        **named: float,
    ) -> Tensor:
        unknown = [key for key in named if key not in options] or len(args) > len(options)
        if unknown:
            raise TypeError(f"{name}: unexpected arguments; it takes window_length, periodic, {', '.join(options)}")
        if not isinstance(window_length, int):
            raise TypeError(f"{name}: window_length must be an int, got {window_length!r}")
        if window_length < 0:
            raise RuntimeError(f"{name}: window_length must be non-negative, got {window_length}")
        d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
        if not d.is_floating_point:
            raise RuntimeError(f"{name}: expected a floating-point dtype, got {d}")
        given = {**dict(zip(options, args)), **named}
        made = window(window_length, sym=not periodic, dtype=dtypes.float64, device=device, **given)
        return made.to(d).requires_grad_(requires_grad)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return call


def _hamming(M: int, *, alpha: float = 0.54, beta: float = 0.46, sym: bool, **options: Any) -> Tensor:
    return general_cosine(M, a=[alpha, beta], sym=sym, **options)


PUBLIC = {
    "bartlett_window": _older("bartlett_window", bartlett, "`signal.windows.bartlett`, periodic by default."),
    "blackman_window": _older("blackman_window", blackman, "`signal.windows.blackman`, periodic by default."),
    "hamming_window": _older(
        "hamming_window", _hamming, "alpha - beta cos(2 pi x) with 0.54 and 0.46, periodic by default.", "alpha", "beta"
    ),
    "hann_window": _older("hann_window", hann, "`signal.windows.hann`, periodic by default."),
    "kaiser_window": _older("kaiser_window", kaiser, "`signal.windows.kaiser`, periodic by default.", "beta"),
}
FUNCTIONS = tuple(PUBLIC)
METHODS = ()
INPLACE = ()

"""Images and signals at another size, and pixels that become channels.

`interpolate` works on one dimension after the other: a few shifted look-ups along it, each with its weights.
"""

from __future__ import annotations

import functools
import math
import struct
import warnings
from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes, interop
from autograd_core.ops.checks import require_float, require_tensors
from autograd_core.ops.indexing import index_select
from autograd_core.ops.pooling_adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V
_MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")
_SPATIAL = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def _single(x: float) -> float:
    """`x` rounded to float32: in which precision PyTorch computes a position decides between two neighbours."""
    return float(struct.unpack("f", struct.pack("f", x))[0])


def _positions(n: int, m: int, scale: float | None, mode: str, align_corners: bool, single: bool) -> list[float]:
    """Where in [0, n) each of the m outputs looks."""
    if align_corners:
        step = (n - 1) / (m - 1) if m > 1 else 0.0
        return [i * step for i in range(m)]
    step = 1.0 / scale if scale else n / m
    if mode == "nearest":
        return [_single(i * (_single(step) if single else step)) for i in range(m)]
    if mode == "nearest-exact":
        if single:
            return [_single(_single((i + 0.5) * _single(step) - 0.5) + 0.5) for i in range(m)]
        return [_single((i + 0.5) * step) for i in range(m)]
    return [(i + 0.5) * step - 0.5 for i in range(m)]


def _taps(n: int, mode: str, positions: list[float]) -> list[tuple[list[int], list[float]]]:
    """Look-ups and their weights: output i is the sum over taps of weight[i] * x[index[i]]."""
    if mode in ("nearest", "nearest-exact"):
        return [([min(int(p), n - 1) for p in positions], [])]
    if mode == "bicubic":
        low = [math.floor(p) for p in positions]
        far = [_cubic(p - i) for p, i in zip(positions, low)]
        return [([min(max(i + k - 1, 0), n - 1) for i in low], [w[k] for w in far]) for k in range(4)]
    positions = [min(max(p, 0.0), n - 1.0) for p in positions]
    low = [int(p) for p in positions]
    share = [p - i for p, i in zip(positions, low)]
    return [(low, [1.0 - s for s in share]), ([min(i + 1, n - 1) for i in low], share)]


@functools.lru_cache(64)
def _look_ups(
    n: int, m: int, scale: float | None, mode: str, align_corners: bool, single: bool
) -> list[tuple[list[int], list[float]]]:
    """The taps of a resizing, kept: to find them takes longer than to use them."""
    return _taps(n, mode, _positions(n, m, scale, mode, align_corners, single))


def _cubic(t: float) -> tuple[float, ...]:
    """Keys' convolution kernel with a = -0.75 at distances 1 + t, t, 1 - t, 2 - t ("Cubic convolution
    interpolation", 1981)."""
    a = -0.75

    def near(x: float) -> float:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def beyond(x: float) -> float:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return beyond(t + 1), near(t), near(1 - t), beyond(2 - t)


def _resize(x: Tensor, axis: int, m: int, scale: float | None, mode: str, align_corners: bool) -> Tensor:
    n = x.shape[axis]
    if mode == "nearest" and m % n == 0 and scale in (None, m // n):
        shape = tuple(x.shape)
        spread = (*shape[: axis + 1], m // n, *shape[axis + 1 :])
        repeated = _F.expand(_F.reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :])), spread)
        return _F.reshape(repeated, (*shape[:axis], m, *shape[axis + 1 :]))
    out: Tensor | None = None
    for index, weight in _look_ups(n, m, scale, mode, align_corners, x._data.dtype.itemsize < 8):
        part = index_select(x, axis, interop.tensor(index, dtype=dtypes.int64, device=x.device))
        if weight:
            column = (m,) + (1,) * (x.ndim - 1 - axis)
            part = _F.mul(part, interop.tensor(weight, dtype=x.dtype, device=x.device).reshape(column))
        out = part if out is None else _F.add(out, part)
    assert out is not None
    return out


def _resize_bytes(x: Tensor, axis: int, m: int, scale: float | None, mode: str, align_corners: bool) -> Tensor:
    """`_resize` of uint8 in fixed-point arithmetic: weights of as many binary places as 16 bits hold, and each axis
    rounded and clamped to a byte before the next."""
    n = x.shape[axis]
    rows: list[dict[int, float]] = [{} for _ in range(m)]
    for index, weight in _taps(n, mode, _positions(n, m, scale, mode, align_corners, False)):
        for row, i, w in zip(rows, index, weight):
            row[i] = row.get(i, 0.0) + w  # What would lie beyond the edge counts at the edge.
    greatest = max(w for row in rows for w in row.values())
    places = next((p for p in range(22) if int(0.5 + greatest * (1 << (p + 1))) >= 1 << 15), 22)
    total: Any = 1 << (places - 1)
    for k in range(max(map(len, rows))):
        index = [[*row][k] if k < len(row) else 0 for row in rows]
        weight = [[*row.values()][k] if k < len(row) else 0.0 for row in rows]
        fixed = [int(math.copysign(0.5, w) + w * (1 << places)) for w in weight]
        column = interop.tensor(fixed, dtype=dtypes.int64, device=x.device).reshape((m,) + (1,) * (x.ndim - 1 - axis))
        part = index_select(x, axis, interop.tensor(index, device=x.device)).to(dtypes.int64)
        total = part * column + total
    return (total >> places).clamp(0, 255).to(dtypes.uint8)


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """`input` (N, C, d1, ...) with its spatial dimensions resampled to `size`, or to floor(d * scale_factor).

    mode: 'nearest', 'nearest-exact' (rounds at pixel centres), 'linear' (one spatial dimension), 'bilinear',
    'bicubic' (two), 'trilinear' (three) or 'area' (averages over bins). Pixels are squares of side 1: output i looks at
    (i + 0.5) / scale - 0.5, or with `align_corners` at i (d - 1) / (size - 1). Raises `ValueError` for sizes and
    options that do not fit, `NotImplementedError` for a mode that does not fit the input, or `antialias`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.interpolate(ag.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    require_tensors("interpolate", input=input)
    if input.dtype is not dtypes.uint8 or mode not in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        require_float("interpolate", input)
    dims = input.ndim - 2
    if mode not in _MODES:
        raise NotImplementedError(f"interpolate: unknown mode {mode!r}; one of: {', '.join(_MODES)}")
    for what, value in (("size", size), ("scale_factor", scale_factor)):
        if value is not None:
            _for_each(what, value, dims, input)
    if dims < 1 or dims > 3 or _SPATIAL.get(mode, dims) != dims:
        raise NotImplementedError(
            f"interpolate: mode {mode!r} takes input of {_SPATIAL.get(mode, '1 to 3')} spatial dimensions after (N, C),"
            f" got shape {tuple(input.shape)}"
        )
    if antialias:
        raise NotImplementedError("interpolate: antialias=True is not supported; leave it False")
    if align_corners is not None and mode not in _SPATIAL:
        raise ValueError(f"interpolate: align_corners can only be set with {', '.join(_SPATIAL)}, not {mode!r}")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: only one of size or scale_factor should be defined, and one must be")
    scales: list[float | None] = [None] * dims
    if scale_factor is not None:
        factors = _for_each("scale_factor", scale_factor, dims, input)
        sizes = [math.floor(float(n) * f) for n, f in zip(input.shape[2:], factors)]
        if not recompute_scale_factor:
            scales = list(factors)
    else:
        if recompute_scale_factor:
            raise ValueError("interpolate: recompute_scale_factor is not meaningful with an explicit size")
        sizes = _for_each("size", size, dims, input)
    if min(sizes) < 1 or 0 in input.shape[1:]:
        raise RuntimeError(
            f"interpolate: input and output sizes should be greater than 0, got input {tuple(input.shape)} and "
            f"output {tuple(sizes)}"
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1](input, tuple(sizes))
    out = input
    if input.dtype is dtypes.uint8 and mode in ("bilinear", "bicubic"):
        for axis in (3, 2):
            out = _resize_bytes(out, axis, sizes[axis - 2], scales[axis - 2], mode, bool(align_corners))
        return out
    half = mode in _SPATIAL and input._data.dtype.itemsize == 2
    if half:  # Computed in float32, rounded once.
        out = out.float()
    for i, (m, scale) in enumerate(zip(sizes, scales)):
        if m != out.shape[2 + i] or (scale is not None and scale != 1):
            out = _resize(out, 2 + i, m, scale, mode, bool(align_corners))
    if half:
        return out.to(input.dtype)
    return out.clone() if out is input else out


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under an older name; warns that it is deprecated.

    >>> import autograd_core as ag, warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     ag.nn.functional.upsample(ag.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` in mode 'nearest'; warns that it is deprecated.

    >>> import autograd_core as ag, warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     ag.nn.functional.upsample_nearest(ag.tensor([[[1.0, 2.0]]]), 3)
    tensor([[[1., 1., 2.]]])
    """
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` in mode 'bilinear' with `align_corners=True`; warns that it is deprecated.

    >>> import autograd_core as ag, warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     ag.nn.functional.upsample_bilinear(ag.tensor([[[[1.0, 2.0]]]]), (1, 3))
    tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", True)


def _deprecated(name: str) -> None:
    warnings.warn(f"nn.functional.{name} is deprecated; use nn.functional.interpolate", stacklevel=3)


def _for_each(what: str, value: Any, dims: int, x: Tensor) -> list[Any]:
    values = list(value) if isinstance(value, list | tuple) else [value] * dims
    if len(values) != dims:
        raise ValueError(
            f"interpolate: input of shape {tuple(x.shape)} has {dims} spatial dimensions, but {what} is {value!r}; "
            f"give {dims} numbers or one"
        )
    return values


# -- pixels and channels ----------------------------------------------------------------------------------


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) to (*, C, H r, W r): y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w] (Shi et al., 2016).

    Raises `RuntimeError` unless the channels are divisible by r^2.

    >>> import autograd_core as ag
    >>> ag.nn.functional.pixel_shuffle(ag.arange(4.0).reshape(1, 4, 1, 1), 2)
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """
    require_tensors("pixel_shuffle", input=input)
    r, (lead, c, h, w) = upscale_factor, _image("pixel_shuffle", input, upscale_factor)
    if c % (r * r):
        raise RuntimeError(
            f"pixel_shuffle: expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    split = input.reshape(*lead, c // (r * r), r, r, h, w)
    moved = split.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return moved.reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) to (*, C r^2, H, W): the inverse of `pixel_shuffle`.

    Raises `RuntimeError` unless height and width are divisible by r.

    >>> import autograd_core as ag
    >>> ag.nn.functional.pixel_unshuffle(ag.zeros(1, 1, 4, 6), 2).shape
    ag.Size([1, 4, 2, 3])
    """
    require_tensors("pixel_unshuffle", input=input)
    r, (lead, c, h, w) = downscale_factor, _image("pixel_unshuffle", input, downscale_factor)
    if h % r or w % r:
        raise RuntimeError(
            f"pixel_unshuffle: expects height and width to be divisible by downscale_factor={r}, got input of shape "
            f"{tuple(input.shape)}"
        )
    n = len(lead)
    split = input.reshape(*lead, c, h // r, r, w // r, r)
    moved = split.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return moved.reshape(*lead, c * r * r, h // r, w // r)


def _image(name: str, x: Tensor, factor: int) -> tuple[tuple[int, ...], int, int, int]:
    if x.ndim < 3:
        raise RuntimeError(f"{name}: expects input to have at least 3 dimensions, got shape {tuple(x.shape)}")
    if factor < 1:
        raise RuntimeError(f"{name}: expects a positive factor, got {factor}")
    return tuple(x.shape[:-3]), x.shape[-3], x.shape[-2], x.shape[-1]


FUNCTIONS: tuple[str, ...] = ("pixel_shuffle", "pixel_unshuffle")
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

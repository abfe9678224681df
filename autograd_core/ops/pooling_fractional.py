"""Fractional max pooling: windows of one size whose places are drawn at random, so that the output may have any size.

B. Graham, "Fractional max-pooling", 2014. A window's maximum is found by index, and looked up: gradients are those of
`gather`.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core import dtypes, random
from autograd_core.ops.checks import pair, require_float, require_same
from autograd_core.ops.convolution import SIZES
from autograd_core.ops.creation import arange
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    output_size: int | tuple[int, int] | None = None,
    output_ratio: float | tuple[float, float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of OH x OW windows of kernel_size that begin at floor((i + u) a) - floor(u a), a = (H - KH) / (OH - 1),
    with a u in [0, 1) for each plane and dimension; the last window ends at the edge.

    input: (N, C, H, W) or (C, H, W); output_size: (OH, OW), or floor(output_ratio * size); _random_samples: u as
    (N, C, 2), columns first, drawn from the default generator unless given. With `return_indices` also the int64 place
    of each maximum in its flattened plane. Raises `ValueError` without output_size and output_ratio, `RuntimeError`
    where the windows do not fit.

    >>> import autograd_core as ag
    >>> x = ag.arange(16.0).reshape(1, 4, 4)
    >>> ag.nn.functional.fractional_max_pool2d(x, 2, output_size=2, _random_samples=ag.zeros(1, 1, 2))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    name = "fractional_max_pool2d"
    return _fractional(name, 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: int | tuple[int, int, int],
    output_size: int | tuple[int, int, int] | None = None,
    output_ratio: float | tuple[float, float, float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """`fractional_max_pool2d` with a depth: input (N, C, D, H, W) or (C, D, H, W); _random_samples: (N, C, 3), depth,
    rows, columns.

    >>> import autograd_core as ag
    >>> ag.nn.functional.fractional_max_pool3d(ag.ones(1, 4, 5, 6), 2, output_ratio=0.5).shape
    ag.Size([1, 2, 2, 3])
    """
    name = "fractional_max_pool3d"
    return _fractional(name, 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def _fractional(
    name: str,
    dims: int,
    x: Tensor,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Tensor | None,
) -> Any:
    require_float(name, x)
    if x.ndim not in (dims + 1, dims + 2) or 0 in x.shape[x.ndim - dims - 1 :]:
        raise RuntimeError(
            f"{name}: expected input of shape (N, C, {SIZES[dims]}) or (C, {SIZES[dims]}) of which only N may be 0, "
            f"got {tuple(x.shape)}"
        )
    spatial = tuple(x.shape[-dims:])
    kernel = pair(name, "kernel_size", kernel_size, 1, dims)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, list | tuple) else (output_ratio,) * dims
        if len(ratios) != dims:
            raise ValueError(f"{name}: output_ratio must be a number or {dims} numbers, got {output_ratio!r}")
        output_size = tuple(int(n * ratio) for n, ratio in zip(spatial, ratios))
    size = pair(name, "output_size", output_size, 0, dims)
    # As PyTorch has it: in three dimensions one element must remain.
    if any(m + k - (dims == 2) > n for m, k, n in zip(size, kernel, spatial)):
        raise RuntimeError(
            f"{name}: {size} windows of kernel_size={kernel} are too large for an input of size {spatial}; use a "
            "smaller kernel or output"
        )
    images = x if x.ndim == dims + 2 else x.unsqueeze(0)
    n, channels = images.shape[:2]
    if samples is None:
        samples = random.draw("uniform", None, x._backend, (n, channels, dims), x._data.dtype, 0.0, 1.0)
    require_same(name, input=x, _random_samples=samples)
    if samples.ndim != 3 or samples.shape[0] < n or samples.shape[1] != channels or samples.shape[2] != dims:
        raise RuntimeError(
            f"{name}: expected _random_samples of shape ({n}, {channels}, {dims}), got {tuple(samples.shape)}"
        )
    y, indices = _maxima(images, samples[:n], kernel, size)
    if x.ndim == dims + 1:
        y, indices = y.squeeze(0), indices.squeeze(0)
    return (y, indices) if return_indices else y


def _maxima(x: Tensor, samples: Tensor, kernel: tuple[int, ...], size: tuple[int, ...]) -> tuple[Any, Any]:
    """The maxima of the windows of x (N, C, ...), and their places in each flattened plane."""
    dims, spatial = len(kernel), tuple(x.shape[2:])
    lead = tuple(x.shape[:2])
    places: Any = 0
    for axis in range(dims):
        # PyTorch's order: columns first in two dimensions, depth first in three.
        u = samples.detach()[:, :, dims - 1 - axis if dims == 2 else axis]
        start = _starts(u, spatial[axis], size[axis], kernel[axis]).reshape((*lead, size[axis], 1))
        along = start + arange(kernel[axis], device=x.device)  # (N, C, windows, elements)
        shape = [1] * (2 * dims)
        shape[axis], shape[dims + axis] = size[axis], kernel[axis]
        places = places * spatial[axis] + along.reshape((*lead, *shape))
    count = math.prod(kernel)
    planes = x.flatten(2)
    places = places.reshape((*lead, math.prod(size), count))
    values = _F.gather(planes.detach(), places.flatten(2), 2).reshape(places.shape)
    best = values.argmax(3, True)
    indices = _F.gather(places, best, 3).squeeze(3)
    y = _F.gather(planes, indices, 2)
    return y.reshape((*lead, *size)), indices.reshape((*lead, *size))


def _starts(u: Tensor, n: int, m: int, k: int) -> Any:
    """Where the m windows of k of n elements begin, for each u of (N, C): int64 (N, C, m)."""
    last = u.new_full((*u.shape, 1), n - k).to(dtypes.int64)
    if m < 2:
        return last[:, :, :m]
    step = u.new_full((), n - k) / (m - 1)
    shifted = (u.unsqueeze(2) + arange(m - 1, dtype=u.dtype, device=u.device)) * step
    first = (u * step).to(dtypes.int64).unsqueeze(2)
    return _F.cat((shifted.to(dtypes.int64) - first, last), 2)


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

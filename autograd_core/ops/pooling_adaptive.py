"""Pooling to a size asked for: the windows are a grid of bins that covers the input, whatever its size.

Along an axis of n elements, bin i of m covers floor(i n / m) to ceil((i + 1) n / m) - 1; bins may overlap.
"""

from __future__ import annotations

from typing import Any

from autograd_core.ops.checks import require_float
from autograd_core.ops.convolution import SIZES
from autograd_core.ops.pooling import _avg, _max
from autograd_core.primitive import V
from autograd_core.tensor import Tensor, wrap

_F: Any = V

Size = int | None


# -- means ------------------------------------------------------------------------------------------------


def adaptive_avg_pool1d(input: Tensor, output_size: int | tuple[int]) -> Tensor:
    """Means over OL bins: bin i covers floor(i L / OL) to ceil((i + 1) L / OL) - 1; input (N, C, L) or (C, L).

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_avg_pool1d(ag.tensor([[1.0, 3.0, 5.0]]), 2)
    tensor([[2., 4.]])
    """
    return _mean("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Size | tuple[Size, Size]) -> Tensor:
    """Means over a grid of OH x OW bins: bin i covers rows floor(i H / OH) to ceil((i + 1) H / OH) - 1.

    input: (N, C, H, W) or (C, H, W). None in `output_size` keeps the input's size.

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_avg_pool2d(ag.arange(4.0).reshape(1, 2, 2), 1)
    tensor([[[1.5000]]])
    """
    return _mean("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Size | tuple[Size, Size, Size]) -> Tensor:
    """`adaptive_avg_pool2d` with a depth: input (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_avg_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), (1, 1, None))
    tensor([[[[3., 4.]]]])
    """
    return _mean("adaptive_avg_pool3d", 3, input, output_size)


def _mean(name: str, dims: int, x: Tensor, output_size: Any) -> Tensor:
    bins = _bins(name, dims, x, output_size)
    n = tuple(x.shape[-dims:])
    if all(b == 1 for b in bins):
        return _F.mean(x, tuple(range(x.ndim - dims, x.ndim)), True)
    if all(b and size % b == 0 for b, size in zip(bins, n)):
        kernel = tuple(size // b for b, size in zip(bins, n))
        return _avg(name, dims, x, kernel, None, 0, False, True, None)
    # The mean over bins of an axis is a product with a constant matrix.
    backend, native = x._backend, x._data.dtype

    def average(axis: int) -> Tensor:
        return wrap(backend.averaging_matrix(n[axis], bins[axis], native), backend)

    y = _F.matmul(x, average(dims - 1).mT)
    if dims > 1:
        y = _F.matmul(average(dims - 2), y)
    if dims > 2:
        planes = _F.matmul(average(0), y.flatten(-2))
        y = planes.unflatten(-1, y.shape[-2:])
    return y


# -- maxima -----------------------------------------------------------------------------------------------


def adaptive_max_pool1d(input: Tensor, output_size: int | tuple[int], return_indices: bool = False) -> Any:
    """Maxima over OL bins: bin i covers floor(i L / OL) to ceil((i + 1) L / OL) - 1; input (N, C, L) or (C, L).

    With `return_indices` also the int64 place of each maximum.

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_max_pool1d(ag.tensor([[1.0, 3.0, 5.0]]), 2)
    tensor([[3., 5.]])
    """
    return _maximum("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Size | tuple[Size, Size], return_indices: bool = False) -> Any:
    """Maxima over a grid of OH x OW bins: bin i covers rows floor(i H / OH) to ceil((i + 1) H / OH) - 1.

    input: (N, C, H, W) or (C, H, W). None in `output_size` keeps the input's size. With `return_indices` also the
    int64 place of each maximum in its flattened plane. The first of equal maxima gets the gradient.

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_max_pool2d(ag.arange(6.0).reshape(1, 2, 3), (1, 2))
    tensor([[[4., 5.]]])
    """
    return _maximum("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(
    input: Tensor, output_size: Size | tuple[Size, Size, Size], return_indices: bool = False
) -> Any:
    """`adaptive_max_pool2d` with a depth: input (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.functional.adaptive_max_pool3d(ag.arange(8.0).reshape(1, 2, 2, 2), (1, 1, None))
    tensor([[[[6., 7.]]]])
    """
    return _maximum("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _maximum(name: str, dims: int, x: Tensor, output_size: Any, return_indices: bool) -> Any:
    bins = _bins(name, dims, x, output_size)
    n = tuple(x.shape[-dims:])
    if x._data.size and all(b and size % b == 0 for b, size in zip(bins, n)):
        kernel = tuple(size // b for b, size in zip(bins, n))
        return _max(name, dims, x, kernel, None, 0, 1, False, return_indices)
    backend = x._backend
    indices = wrap(backend.adaptive_max_pool_indices(x._data, bins), backend)
    # The primitive: these indices need no check of their range.
    y = _F.gather(x.flatten(-dims), indices.flatten(-dims), x.ndim - dims).reshape(indices.shape)
    return (y, indices) if return_indices else y


def _bins(name: str, dims: int, x: Tensor, output_size: Any) -> tuple[int, ...]:
    """How many bins along each of the last `dims` axes of `x`, after checking both arguments."""
    require_float(name, x)
    if x.ndim not in (dims + 1, dims + 2):
        several = dims > 1 and isinstance(output_size, list | tuple)
        raise (ValueError if several and x.ndim <= dims else RuntimeError)(
            f"{name}: expected input of shape (N, C, {SIZES[dims]}) or (C, {SIZES[dims]}), got {tuple(x.shape)}"
        )
    sizes = tuple(output_size) if isinstance(output_size, list | tuple) else (output_size,) * dims
    if len(sizes) != dims or not all(s is None or (isinstance(s, int) and s >= 0) for s in sizes):
        raise RuntimeError(f"{name}: output_size must be {dims} nonnegative ints or None, got {output_size!r}")
    n = tuple(x.shape[-dims:])
    if 0 in n or (0 in x.shape[1 : x.ndim - dims] and any(s != 1 for s in sizes)):
        raise RuntimeError(
            f"{name}: expected input with non-zero size in every dimension but the batch, got shape {tuple(x.shape)}"
        )
    return tuple(size if b is None else b for b, size in zip(sizes, n))


FUNCTIONS: tuple[str, ...] = ("adaptive_avg_pool1d",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

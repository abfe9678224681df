"""Max pooling undone: maxima back to their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.operands import device_error
from autograd_core.ops.checks import pair, require_float, require_tensors
from autograd_core.ops.convolution import SIZES
from autograd_core.ops.creation import zeros
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: int | tuple[int],
    stride: int | tuple[int] | None = None,
    padding: int | tuple[int] = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Each element of `input` at its place among zeros: undoes `max_pool1d`; see `max_unpool2d`.

    >>> import autograd_core as ag
    >>> F = ag.nn.functional
    >>> F.max_unpool1d(*F.max_pool1d(ag.tensor([[1.0, 3.0, 2.0, 0.0]]), 2, return_indices=True), 2)
    tensor([[0., 3., 2., 0.]])
    """
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Each element of `input` at its place among zeros: undoes `max_pool2d`, whose places are `indices`.

    input: (N, C, H, W) or (C, H, W); indices: int64 of the same shape. Returns planes of size (H - 1) s - 2 p + k, or
    of `output_size`, which differs from it by less than a stride. Raises `ValueError` for an output_size that does
    not fit, `RuntimeError` for shapes that do not, or indices outside the planes. Zeiler and Fergus, "Visualizing and
    Understanding Convolutional Networks", 2014.

    >>> import autograd_core as ag
    >>> ag.nn.functional.max_unpool2d(ag.ones(1, 1, 1), ag.tensor([[[3]]]), 2)
    tensor([[[0., 0.],
             [0., 1.]]])
    """
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] | None = None,
    padding: int | tuple[int, int, int] = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """`max_unpool2d` with a depth: input (N, C, D, H, W) or (C, D, H, W).

    >>> import autograd_core as ag
    >>> ag.nn.functional.max_unpool3d(ag.ones(1, 1, 1, 1), ag.tensor([[[[7]]]]), 2).sum()
    tensor(1.)
    """
    return _unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def _unpool(
    name: str, dims: int, x: Tensor, indices: Tensor, kernel: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    require_float(name, x)
    require_tensors(name, indices=indices)
    if indices._backend is not x._backend:
        raise device_error(name, (x, indices))
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(f"{name}: elements in indices should be type int64 but got {indices.dtype}")
    if x.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}: expected input of shape (N, C, {SIZES[dims]}) or (C, {SIZES[dims]}), got {tuple(x.shape)}"
        )
    if indices.shape != x.shape:
        raise RuntimeError(
            f"{name}: expected indices of the input's shape {tuple(x.shape)}, got {tuple(indices.shape)}; use those "
            "that max pooling returned with return_indices=True"
        )
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"{name}: expected input with non-zero size in every dimension but the batch, got shape {tuple(x.shape)}"
        )
    k = pair(name, "kernel_size", kernel, 1, dims)
    s = k if stride is None else pair(name, "stride", stride, 1, dims)
    p = pair(name, "padding", padding, 0, dims)
    size = tuple((n - 1) * s[a] + k[a] - 2 * p[a] for a, n in enumerate(x.shape[-dims:]))
    if output_size is not None:
        size = _checked_size(name, tuple(output_size), size, s)
    if min(size) < 0:
        raise ValueError(f"{name}: output_size must not be negative, got {size}; use less padding")
    count = 1
    for n in size:
        count *= n
    backend: Any = indices._backend
    backend.check_range(
        indices._data,
        0,
        count,
        RuntimeError,
        f"{name}: found an invalid max index: {{}}, expected each in [0, {count}) for an output of size {size}",
    )
    lead = x.shape[:-dims]
    planes = zeros((*lead, count), dtype=x.dtype, device=x.device)
    spread = _F.scatter(planes, indices.flatten(-dims), x.flatten(-dims), x.ndim - dims)
    return spread.reshape(*lead, *size)


def _checked_size(
    name: str, wanted: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[int, ...]:
    if len(wanted) == len(size) + 2:
        wanted = wanted[2:]
    if len(wanted) != len(size):
        raise ValueError(f"{name}: output_size should have {len(size)} or {len(size) + 2} elements, got {wanted}")
    for d, (w, n, s) in enumerate(zip(wanted, size, stride)):
        if not n - s < w < n + s:
            raise ValueError(
                f"{name}: invalid output_size {wanted} (dimension {d} must be between {n - s} and {n + s}, exclusive)"
            )
    return wanted


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

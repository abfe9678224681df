"""Normalisation by the root of a mean square: over the last dimensions, or over neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import require_float, require_same, require_tensors
from autograd_core.ops.half import in_float32
from autograd_core.ops.padding import pad
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang, Sennrich, 2019).

    input: (*, *normalized_shape); weight: normalized_shape; eps: that of the input's dtype unless given, of float32 for
    float16. Raises `RuntimeError` if the shapes do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.rms_norm(ag.tensor([3.0, 4.0]), (2,))
    tensor([0.8485, 1.1314])
    """
    require_same("rms_norm", input=input, weight=weight)
    shape = tuple(normalized_shape)
    n = len(shape)
    if not n or tuple(input.shape[-n:]) != shape or (weight is not None and tuple(weight.shape) != shape):
        raise RuntimeError(
            f"rms_norm: given normalized_shape={list(shape)}, expected input of shape (*, {', '.join(map(str, shape))})"
            f" and weight of that shape, got input {tuple(input.shape)}"
            + ("" if weight is None else f" and weight {tuple(weight.shape)}")
        )
    axes = tuple(range(input.ndim - n, input.ndim))
    wide = input.float() if input.dtype is dtypes.float16 else input
    eps = dtypes.finfo(wide.dtype).eps if eps is None else eps
    y = _F.mul(wide, _F.rsqrt(_F.add(_F.mean(_F.square(wide), axes, True), eps)))
    if weight is not None:
        y = _F.mul(y, weight)
    return y.to(input.dtype) if wide is not input else y


def local_response_norm(input: Tensor, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x_c / (k + alpha / size * sum of x^2 over the `size` channels around c)^beta (Krizhevsky et al., 2012).

    input: (N, C, ...) of at least 3 dimensions; of int64 too, whose mean of squares is cut to an integer. Raises
    `ValueError` for fewer.

    >>> import autograd_core as ag
    >>> ag.nn.functional.local_response_norm(ag.ones(1, 2, 1), 2, alpha=2.0, beta=1.0)
    tensor([[[0.5000],
             [0.3333]]])
    """
    require_tensors("local_response_norm", input=input)
    if input.dtype is not dtypes.int64:
        require_float("local_response_norm", input)
    if input.ndim < 3:
        raise ValueError(
            f"local_response_norm: expected 3D or higher dimensionality input (got {input.ndim} dimensions)"
        )
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"local_response_norm: size must be a positive int, got {size!r}")
    if not input.numel():
        return input
    return _locally_normalized(input, size, alpha, beta, k)


@in_float32
def _locally_normalized(input: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    spatial = (0, 0) * (input.ndim - 2)
    squares = pad(_F.square(input), (*spatial, size // 2, (size - 1) // 2))
    total = squares.narrow(1, 0, input.shape[1])
    for i in range(1, size):
        total = _F.add(total, squares.narrow(1, i, input.shape[1]))
    if input.dtype is dtypes.int64:
        total = total // size * size
    scale = _F.add(_F.mul(total, alpha / size), k)
    return _F.div(input, scale**beta)


FUNCTIONS: tuple[str, ...] = ("rms_norm",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

"""Vectors brought to a length, and how far or near two of them are."""

from __future__ import annotations

from typing import Any

from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import require_float, require_tensors
from autograd_core.ops.indexing import index_select
from autograd_core.ops.products import matmul
from autograd_core.ops.reductions import norm
from autograd_core.ops.sampling import triu_indices
from autograd_core.ops.shape import broadcast_tensors
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """x / max(|x|_p, eps), the p-norm taken along `dim`.

    Raises `IndexError` for a `dim` out of range, `NotImplementedError` for integers.

    >>> import autograd_core as ag
    >>> ag.nn.functional.normalize(ag.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    require_float("normalize", input)
    return input / _length(input, p, dim, eps)


def _length(x: Tensor, p: float, dim: Any, eps: float) -> Tensor:
    return norm(x, p, dim, True).clamp_min(eps)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along `dim` whose p-norm is above `maxnorm` scaled down to it: by maxnorm / (norm + 1e-7).

    >>> import autograd_core as ag
    >>> ag.renorm(ag.tensor([[3.0, 4.0], [0.0, 1.0]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    require_float("renorm", input)
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported, got p={p}")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim}")
    axis = input._dim(dim)
    size = norm(input, p, tuple(d for d in range(input.ndim) if d != axis), True)
    return input * e.where(e.gt(size, maxnorm), maxnorm / (size + 1e-7), 1.0)


def _both(name: str, x1: Tensor, x2: Tensor, integers: bool = False) -> tuple[Tensor, ...]:
    require_tensors(name, x1=x1, x2=x2)
    for x in (x1, x2):
        if not integers or x._data.dtype.kind not in "iu":
            require_float(name, x)
    return broadcast_tensors(x1, x2)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`; the two broadcast.

    Raises `RuntimeError` for shapes that do not broadcast, `IndexError` for a `dim` out of range.

    >>> import autograd_core as ag
    >>> ag.nn.functional.cosine_similarity(ag.tensor([[1.0, 0.0]]), ag.tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """
    x1, x2 = _both("cosine_similarity", x1, x2)
    if x1._data.dtype.itemsize == 2 == x2._data.dtype.itemsize:  # The square of a length may be beyond float16.
        return cosine_similarity(x1.float(), x2.float(), dim, eps).to(x1.dtype)
    axis = x1._dim(dim)
    if not x1.ndim:
        return cosine_similarity(x1.reshape(1), x2.reshape(1), 0, eps).reshape(())
    # Each is made a unit vector first: the product of two lengths could overflow.
    units = _F.mul(_F.div(x1, _length(x1, 2, axis, eps)), _F.div(x2, _length(x2, 2, axis, eps)))
    return _F.sum(units, (axis,), False)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False) -> Tensor:
    """|x1 - x2 + eps|_p along the last dimension; the two broadcast.

    >>> import autograd_core as ag
    >>> ag.nn.functional.pairwise_distance(ag.tensor([[3.0, 4.0]]), ag.zeros(1, 2))
    tensor([5.0000])
    """
    x1, x2 = _both("pairwise_distance", x1, x2, integers=True)
    return norm(x1 - x2 + eps, p, x1.ndim - 1, keepdim)


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of `input - other`.

    >>> import autograd_core as ag
    >>> ag.dist(ag.tensor([3.0, 0.0]), ag.tensor([0.0, 4.0]))
    tensor(5.)
    """
    return norm(input - other, p)


def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distance of each pair of rows i < j of `input` (N, M), as a vector of N (N - 1) / 2.

    Raises `RuntimeError` for another number of dimensions or p < 0.

    >>> import autograd_core as ag
    >>> ag.nn.functional.pdist(ag.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])).tolist()[:2]
    [5.0, 1.0]
    """
    require_float("pdist", input)
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2-D tensors (rows to compare), got shape {tuple(input.shape)}")
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    rows, columns = triu_indices(input.shape[0], input.shape[0], 1, device=input.device).unbind(0)
    return norm(index_select(input, 0, rows) - index_select(input, 0, columns), p, 1)


_MOST_DIFFERENCES = 1 << 24


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm distance between each row of `x1` (..., n, d) and each of `x2` (..., m, d): (..., n, m).

    'use_mm_for_euclid_dist' computes p = 2 by |x|^2 + |y|^2 - 2 x.y, which is faster and less exact; the others sum the
    differences themselves, which is exact also for rows that are close, unless it is necessary: where n m d is above
    2^24 (64 MiB of differences in float32). Two equal rows pass no gradient to one another.

    >>> import autograd_core as ag
    >>> ag.cdist(ag.zeros(1, 2), ag.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode: expected one of {modes}")
    if x1._data.ndim < 2 or x2._data.ndim < 2:
        raise RuntimeError(
            f"cdist only supports at least 2D tensors, got shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    if x1._data.shape[-1] != x2._data.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._data.shape[-1]} X2: {x2._data.shape[-1]}"
        )
    if x1._data.dtype.kind != "f" or x2._data.dtype.kind != "f":
        raise RuntimeError(
            f"cdist only supports floating-point dtypes, got {x1.dtype} and {x2.dtype}; convert with .float()"
        )
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    differences = x1.numel() * x2._data.shape[-2]
    if p == 2 and (compute_mode == modes[1] or (compute_mode == modes[0] and differences > _MOST_DIFFERENCES)):
        if x1._data.dtype.itemsize == 2 and x2._data.dtype.itemsize == 2:  # The square of a length may be beyond it.
            return cdist(x1.float(), x2.float(), p, compute_mode).half()
        squares = e.square(x1).sum(-1, True) + e.square(x2).sum(-1).unsqueeze(-2) - 2 * matmul(x1, x2.mT)
        equal = e.le(squares, 0.0)
        return e.where(equal, 0.0, e.sqrt(e.where(equal, 1.0, squares)))
    if not x1._data.shape[-1]:
        return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).sum(-1)
    return norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


FUNCTIONS = ("renorm", "cosine_similarity", "pairwise_distance", "dist", "pdist", "cdist")
METHODS = ("renorm", "dist")
INPLACE = ("renorm",)

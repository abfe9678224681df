"""Lengths of vectors, and how far or near two of them are."""

from __future__ import annotations

from typing import Any

from autograd_core.ops.checks import require_float, require_tensors
from autograd_core.ops.indexing import index_select
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


FUNCTIONS: tuple[str, ...] = ("cosine_similarity", "pairwise_distance", "pdist")
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

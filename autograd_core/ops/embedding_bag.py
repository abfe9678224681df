"""Sums, means and maxima of rows of a table, a bag of rows at a time."""

from __future__ import annotations

import math
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.creation import arange, zeros
from autograd_core.ops.embedding import check_table, embedding
from autograd_core.ops.sorting import searchsorted
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V
_MODES = ("sum", "mean", "max")


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of `weight` that each bag names; an empty bag gives zeros.

    input: integers (B, N), a bag a row, or (L,) with `offsets` (B,), where each bag begins (with
    `include_last_offset`: (B + 1,), the last one where the last bag ends). weight: (rows, features).
    per_sample_weights: of the shape of input, factors of the rows in a 'sum'. Row `padding_idx` does not count.
    `max_norm`, `norm_type`, `scale_grad_by_freq`: see `embedding`. Returns (B, features). Raises `ValueError` for
    shapes and options that do not fit, `IndexError` for an index out of range, `RuntimeError` for wrong dtypes or
    offsets, `NotImplementedError` for `sparse=True`, and for per_sample_weights with another mode than 'sum'.

    >>> import autograd_core as ag
    >>> table = ag.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> ag.nn.functional.embedding_bag(ag.tensor([0, 1, 2]), table, ag.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [5., 6.]])
    """
    _check(input, weight, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights)
    rows: Any = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    pad = None if padding_idx is None else padding_idx % weight.shape[0]
    if weight._data.dtype.itemsize > 2:
        return _collect(rows, input, offsets, mode, per_sample_weights, include_last_offset, pad)
    factors: Any = None if per_sample_weights is None else per_sample_weights.float()
    bags: Any = _collect(rows.float(), input, offsets, mode, factors, include_last_offset, pad)
    return bags.to(weight.dtype)


def _collect(
    rows: Tensor,
    input: Tensor,
    offsets: Tensor | None,
    mode: str,
    per_sample_weights: Tensor | None,
    include_last_offset: bool,
    pad: int | None,
) -> Tensor:
    """The bags of `rows`, those of `weight` that `input` names; `pad` is an index that does not count."""
    keep = None
    if pad is not None:
        keep = _F.ne(input, pad).unsqueeze(-1)
        rows = _F.where(keep, rows, _F.fill(rows, 0.0))
    if per_sample_weights is not None:
        rows = _F.mul(rows, per_sample_weights.unsqueeze(-1))
    if offsets is None and mode != "max":
        total = _F.sum(rows, (1,), False)
        if mode == "sum":
            return total
        if keep is None:
            return _F.div(total, float(max(input.shape[1], 1)))
        return _F.div(total, _F.sum(_F.cast(keep, rows._data.dtype), (1,), False).clamp_min(1))
    if offsets is None:
        count = bags = input.shape[0]
        bag = arange(bags, device=input.device).repeat_interleave(input.shape[1])
        rows = rows.reshape(input.numel(), rows.shape[-1])
        keep = None if keep is None else keep.reshape(input.numel(), 1)
    else:
        _check_offsets(offsets, input.shape[0])
        # What lies behind the last of B + 1 offsets falls into a bag that is cut off again.
        count = offsets.shape[0]
        bags = count - 1 if include_last_offset else count
        bag = searchsorted(offsets, arange(input.shape[0], dtype=offsets.dtype, device=input.device), right=True) - 1
    if mode == "max":
        return _maxima(rows, keep, bag, count)[:bags]
    total = _F.embedding_backward(rows, bag, count, -1)
    if mode == "mean":
        one = _F.fill(rows[:, :1].detach(), 1.0) if keep is None else _F.cast(keep, rows._data.dtype)
        total = _F.div(total, _F.embedding_backward(one, bag, count, -1).clamp_min(1))
    return total if bags == count else total[:bags]


def _maxima(rows: Tensor, keep: Tensor | None, bag: Tensor, bags: int) -> Tensor:
    """The greatest of the rows of each bag, by element; the first of equals takes the gradient."""
    n, features = rows.shape
    flat: Any = rows.detach()
    if keep is not None:
        flat = _F.where(keep, flat, _F.fill(flat, -math.inf))
    target = bag.unsqueeze(1).expand(n, features)
    lowest = _F.fill(zeros(bags, features, dtype=rows.dtype, device=rows.device), -math.inf)
    greatest = _F.scatter_amax(lowest, target, flat, 0)
    found = _F.logical_or(_F.eq(flat, _F.gather(greatest, target, 0)), _F.isnan(flat))
    if keep is not None:
        found = _F.logical_and(found, keep)
    none = zeros(bags, features, dtype=dtypes.int64, device=rows.device) + n
    place = arange(n, device=rows.device).unsqueeze(1).expand(n, features)
    first = _F.scatter_amin(none, target, _F.where(found, place, _F.fill(place, n)), 0)
    # Row n, of zeros, stands for an empty bag.
    return _F.gather(_F.cat((rows, zeros(1, features, dtype=rows.dtype, device=rows.device)), 0), first, 0)


def _check(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None,
    scale_grad_by_freq: bool,
    mode: str,
    sparse: bool,
    per_sample_weights: Tensor | None,
) -> None:
    name = "embedding_bag"
    check_table(name, input, weight, sparse)
    if mode not in _MODES:
        raise ValueError(f"{name}: mode has to be one of sum, mean or max, got {mode!r}")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                f"{name}: input of shape {tuple(input.shape)} has one bag a row, so offsets must be None, got "
                f"{tuple(offsets.shape)}"
            )
    elif input.ndim != 1:
        raise ValueError(f"{name}: input has to be 1-D or 2-D, got shape {tuple(input.shape)}")
    elif not isinstance(offsets, Tensor) or offsets.ndim != 1:
        got = tuple(offsets.shape) if isinstance(offsets, Tensor) else offsets
        raise ValueError(f"{name}: a 1-D input needs offsets as a 1-D Tensor (where each bag begins), got {got}")
    elif offsets._data.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{name}: expected offsets of dtype ag.int64 or ag.int32, got {offsets.dtype}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError(f"{name}: mode 'max' does not support scale_grad_by_freq=True")
    if per_sample_weights is None:
        return
    if mode != "sum":
        raise NotImplementedError(f"{name}: per_sample_weights are only supported for mode 'sum', got {mode!r}")
    if per_sample_weights.shape != input.shape:
        raise ValueError(
            f"{name}: per_sample_weights of shape {tuple(per_sample_weights.shape)} must have the shape of input, "
            f"{tuple(input.shape)}"
        )
    if per_sample_weights._data.dtype is not weight._data.dtype:
        raise RuntimeError(
            f"{name}: expected per_sample_weights of the dtype of weight, {weight.dtype}, got "
            f"{per_sample_weights.dtype}"
        )


def _check_offsets(offsets: Tensor, length: int) -> None:
    bounds = _F.cat((offsets, _F.fill(offsets[:1], length)), 0)
    backend: Any = offsets._backend
    if offsets.shape[0]:
        bad = _F.logical_or(_F.ne(bounds[:1], 0), _F.lt(bounds[1:], bounds[:-1]))
        backend.check_none(
            bad._data,
            RuntimeError,
            f"embedding_bag: offsets must begin with 0 and rise to at most the {length} indices of input",
        )


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

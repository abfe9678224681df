"""The loss of sequences whose alignment with the target is not known: connectionist temporal classification."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autograd_core import dtypes
from autograd_core.interop import tensor as make_tensor
from autograd_core.ops.checks import require_float, require_tensors
from autograd_core.ops.losses import _reduced, _reduction
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V
# Stands for log 0 on the way, since differences of infinities are NaN.
_LOG_ZERO = -1e30


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability that the outputs spell the target, over all alignments with blanks and repetitions.

    log_probs: (T, N, C) or (T, C), log-softmax of the outputs; targets: integers (N, S), or all one after the other;
    lengths: N integers each. 'mean' divides each loss by its target's length first. A target that no alignment fits
    has an infinite loss, or 0 with `zero_infinity`, and gradient 0. As in PyTorch, the gradient is that of the
    softmax's input: probabilities less expected counts. Raises `RuntimeError` for shapes, lengths or labels that do
    not fit. Source: Graves et al., "Connectionist temporal classification" (2006).

    >>> import autograd_core as ag
    >>> probs = ag.tensor([[0.5, 0.5], [0.5, 0.5]])
    >>> ag.nn.functional.ctc_loss(probs.log(), ag.tensor([1]), ag.tensor(2), ag.tensor(1)).exp()  # 1 / P(11, 01, 10)
    tensor(1.3333)
    """
    name = "ctc_loss"
    reduction = _reduction(name, None, None, reduction)
    require_tensors(name, log_probs=log_probs, targets=targets)
    require_float(name, log_probs)
    single = log_probs.ndim == 2
    if log_probs.ndim not in (2, 3) or log_probs.shape[0] == 0:
        raise RuntimeError(f"{name}: expected log_probs (T, N, C) or (T, C) with T > 0, got {tuple(log_probs.shape)}")
    x: Any = log_probs.unsqueeze(1) if single else log_probs
    steps, n, classes = x.shape
    times, sizes = _lengths("input_lengths", input_lengths, n, steps), _lengths("target_lengths", target_lengths, n)
    labels = _labels(targets, sizes, classes, blank)
    width = 2 * max(sizes, default=0) + 1
    # The target with blanks around each label; positions behind its end are never reached from within.
    spelled = [[blank if i % 2 == 0 or i // 2 >= len(t) else t[i // 2] for i in range(width)] for t in labels]
    jumps = [[i > 1 and i % 2 == 1 and row[i] != row[i - 2] for i in range(width)] for row in spelled]
    ends = [[i in (2 * m, 2 * m - 1) for i in range(width)] for m in sizes]

    def table(rows: Any, d: Any = dtypes.bool_) -> Any:
        return make_tensor(rows, dtype=d, device=x.device).reshape(n, -1)

    def either(mask: Any, a: Any, fallback: float = _LOG_ZERO) -> Any:
        return _F.where(mask, a, _F.fill(a, fallback))

    finite = either(_F.gt(x, _LOG_ZERO), x)
    emitted = _F.gather(finite, table(spelled, dtypes.int64).unsqueeze(0).expand(steps, n, width), 2)
    jump = table(jumps)
    alpha = either(table([[i < min(2, 2 * m + 1) for i in range(width)] for m in sizes]), emitted[0])
    for t in range(1, steps):
        wall = _F.fill(_F.expand(alpha[:, :1], (n, 2)), _LOG_ZERO)
        padded = _F.cat((wall, alpha), 1)
        ways = _F.cat([w.unsqueeze(0) for w in (alpha, padded[:, 1:-1], either(jump, padded[:, :-2]))], 0)
        alpha = _F.where(table([t < m for m in times]), _log_sum(ways, 0) + emitted[t], alpha)
    loss = _F.neg(_log_sum(either(table(ends), alpha), 1))
    possible = _F.lt(loss, -_LOG_ZERO / 2)
    if 0 in times:  # No output at all spells the empty target only.
        empty = table([m == 0 for m in times]).reshape(-1)
        loss = either(_F.logical_not(empty), loss, 0.0)
        possible = _F.where(empty, table([m == 0 for m in sizes]).reshape(-1), possible)
    # A term of value 0 whose gradient is the probabilities.
    seen = table([[t < m for t in range(steps)] for m in times]).t().unsqueeze(2)
    total = _F.sum(either(seen, _F.exp(x), 0.0), (0, 2), False)
    loss = either(possible, loss + (total - total.detach()), 0.0 if zero_infinity else math.inf)
    if reduction == "mean":
        loss = loss / make_tensor([max(m, 1) for m in sizes], dtype=x.dtype, device=x.device)
    return _reduced(loss.reshape(()) if single and reduction == "none" else loss, reduction)


def _log_sum(x: Any, axis: int) -> Any:
    top = _F.amax(x.detach(), (axis,), True)
    summed = _F.log(_F.sum(_F.exp(_F.sub(x, top)), (axis,), False))
    return _F.add(summed, _F.reshape(top, tuple(summed.shape)))


def _lengths(what: str, lengths: Any, n: int, most: int | None = None) -> list[int]:
    values = lengths.reshape(-1).tolist() if isinstance(lengths, Tensor) else list(lengths)
    if not all(isinstance(v, int) for v in values):
        raise RuntimeError(f"ctc_loss: {what} must be integers, got {values}")
    if len(values) != n:
        raise RuntimeError(f"ctc_loss: expected {what} of size {n}, one a sequence, got {len(values)}")
    if any(v < 0 or (most is not None and v > most) for v in values):
        limit = "" if most is None else f" and at most {most}, the steps of log_probs"
        raise RuntimeError(f"ctc_loss: expected {what} at least 0{limit}, got {values}")
    return values


def _labels(targets: Tensor, sizes: list[int], classes: int, blank: int) -> list[list[int]]:
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be in [0, {classes}), got {blank}")
    if targets._data.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"ctc_loss: expected targets of dtype ag.int64 or ag.int32, got {targets.dtype}")
    values: Any = targets.tolist()
    if targets.ndim == 2:
        if len(values) != len(sizes) or any(m > targets.shape[1] for m in sizes):
            raise RuntimeError(
                f"ctc_loss: targets of shape {tuple(targets.shape)} do not hold {len(sizes)} targets of lengths {sizes}"
            )
        labels = [row[:m] for row, m in zip(values, sizes)]
    elif targets.ndim == 1 and sum(sizes) == len(values):
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        labels = [values[start : start + m] for start, m in zip(starts, sizes)]
    else:
        raise RuntimeError(
            f"ctc_loss: expected targets (N, S), or 1-d of the {sum(sizes)} labels that target_lengths counts, got "
            f"shape {tuple(targets.shape)}"
        )
    if any(not 0 <= label < classes for row in labels for label in row):
        raise RuntimeError(f"ctc_loss: labels must be in [0, {classes})")
    return labels


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

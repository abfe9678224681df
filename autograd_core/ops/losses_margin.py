"""Losses that ask for a margin: between a pair, a triplet, or the right classes and the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core.ops import elementwise as e
from autograd_core.ops.checks import require_float, require_same, require_tensors
from autograd_core.ops.creation import arange
from autograd_core.ops.distances import pairwise_distance
from autograd_core.ops.losses import LossShapeError, _operands, _reduced, _reduction, _weighted
from autograd_core.ops.reductions import sum
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


def _positive(x: Tensor) -> Tensor:
    """max(x, 0) with the gradient of `clamp_min`, which is 1 at 0."""
    return x.clamp_min(0)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -y (x1 - x2) + margin), y = 1 where x1 should rank higher and -1 where lower.

    All of one shape. Raises `LossShapeError` for others.

    >>> import autograd_core as ag
    >>> ag.nn.functional.margin_ranking_loss(ag.ones(2), ag.zeros(2), ag.tensor([1.0, -1.0]))
    tensor(0.5000)
    """
    name = "margin_ranking_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    input1, input2 = _operands(name, input1, input2, "iu")
    input1, target = _operands(name, input1, target, "iu")
    return _reduced(_positive(e.add(_F.mul(_F.neg(target), _F.sub(input1, input2)), float(margin))), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where y = 1 (similar), max(0, margin - x) where y = -1.

    Both of one shape. Raises `LossShapeError` for others.

    >>> import autograd_core as ag
    >>> ag.nn.functional.hinge_embedding_loss(ag.tensor([0.5, 0.25]), ag.tensor([1.0, -1.0]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    name = "hinge_embedding_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    input, target = _operands(name, input, target)
    zero = _F.fill(input, 0.0)
    apart = _F.where(_F.ne(target, 1.0), _positive(_F.sub(margin, input)), zero)
    return _reduced(_F.add(apart, _F.where(_F.ne(target, -1.0), input, zero)), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1.

    input1, input2: (N, D) or (D,); target: (N,) or (). Raises `RuntimeError` for shapes that do not fit.

    >>> import autograd_core as ag
    >>> a, b = ag.tensor([[1.0, 0.0]]), ag.tensor([[0.0, 1.0]])
    >>> ag.nn.functional.cosine_embedding_loss(a, b, ag.tensor([1]))
    tensor(1.)
    """
    name = "cosine_embedding_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    require_tensors(name, target=target)
    input1, input2 = _operands(name, input1, input2, "iub")
    if input1.ndim not in (1, 2) or tuple(target.shape) != tuple(input1.shape[:-1]):
        raise LossShapeError(
            f"{name}: expected inputs (N, D) and target (N,), or (D,) and (), got {tuple(input1.shape)} and "
            f"{tuple(target.shape)}"
        )
    axis, eps = input1.ndim - 1, 1e-12

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return sum(e.mul(a, b), axis)

    lengths = _F.mul(e.add(dot(input1, input1), eps), e.add(dot(input2, input2), eps))
    cos = e.div(dot(input1, input2), _F.sqrt(lengths))
    minus = 255 if target._data.dtype.kind == "u" else -1  # As in PyTorch, the -1 of bytes.
    zero, target = _F.fill(cos, 0.0), target.to(cos.dtype)
    near = _F.where(_F.eq(target, 1), _F.sub(1.0, cos), zero)
    return _reduced(_F.add(near, _F.where(_F.eq(target, minus), _positive(_F.sub(cos, margin)), zero)), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-06,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin), d the `pairwise_distance` (Balntas et al., 2016).

    All (N, D) or (D,). `swap` takes d(p, n) for d(a, n) where it is less. Raises `ValueError` for margin <= 0,
    `LossShapeError` for other shapes.

    >>> import autograd_core as ag
    >>> ag.nn.functional.triplet_margin_loss(ag.zeros(1, 2), ag.zeros(1, 2), ag.tensor([[0.0, 0.5]]))
    tensor(0.5000)
    """
    name = "triplet_margin_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"{name}: margin must be greater than 0, got {margin}")
    anchor, positive = _operands(name, anchor, positive, "iu")
    anchor, negative = _operands(name, anchor, negative, "iu")
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = _F.minimum(far, pairwise_distance(positive, negative, p, eps))
    return _reduced(_positive(_F.add(_F.sub(pairwise_distance(anchor, positive, p, eps), far), margin)), reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin), d a function of two tensors, `pairwise_distance` unless given.

    `swap` takes d(p, n) for d(a, n) where it is less (Balntas et al., 2016). Raises `ValueError` for margin <= 0,
    `RuntimeError` for different numbers of dimensions.

    >>> import autograd_core as ag
    >>> far = lambda a, b: (a - b).abs().sum(-1)
    >>> ag.nn.functional.triplet_margin_with_distance_loss(
    ...     ag.zeros(1, 2), ag.zeros(1, 2), ag.tensor([[0.25, 0.5]]), distance_function=far)
    tensor(0.2500)
    """
    name = "triplet_margin_with_distance_loss"
    reduction = _reduction(name, None, None, reduction)
    if margin <= 0:
        raise ValueError(f"{name}: margin must be greater than 0, got {margin}")
    require_tensors(name, anchor=anchor, positive=positive, negative=negative)
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = ", ".join(str(tuple(t.shape)) for t in (anchor, positive, negative))
        raise RuntimeError(f"{name}: expected tensors of the same number of dimensions, got shapes {shapes}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = _F.minimum(far, distance(positive, negative))
    return _reduced(_F.add(_F.sub(near, far), margin).clamp_min(0), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-y x)), y in {1, -1}. Both of one shape; raises `LossShapeError` for others.

    >>> import autograd_core as ag
    >>> ag.nn.functional.soft_margin_loss(ag.zeros(2), ag.tensor([1.0, -1.0]))
    tensor(0.6931)
    """
    reduction = _reduction("soft_margin_loss", size_average, reduce, reduction)
    input, target = _operands("soft_margin_loss", input, target)
    return _reduced(_F.softplus(_F.neg(_F.mul(target, input)), 1.0, float("inf")), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(y log sigmoid(x) + (1 - y) log sigmoid(-x)), the mean over the classes, y in {0, 1}.

    input, target: (N, C) or (C,); weight: (C,). Raises `LossShapeError` for others.

    >>> import autograd_core as ag
    >>> ag.nn.functional.multilabel_soft_margin_loss(ag.zeros(1, 2), ag.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    name = "multilabel_soft_margin_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    input, target = _operands(name, input, target)
    inf = float("inf")
    right = _F.mul(target, _F.softplus(_F.neg(input), 1.0, inf))
    wrong = _F.mul(_F.sub(1.0, target), _F.softplus(input, 1.0, inf))
    loss = _weighted(name, _F.add(right, wrong), weight)
    return _reduced(_F.mean(loss, (loss.ndim - 1,), False), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over classes c other than t of max(0, margin - x[t] + x[c])^p / C (Crammer, Singer, 2001).

    input: (N, C) or (C,); target: int64 (N,) or (); p: 1 or 2; weight: (C,), that of class t counts. Raises
    `ValueError` for another p, `RuntimeError` for shapes or classes that do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.multi_margin_loss(ag.tensor([[0.0, 1.0]]), ag.tensor([0]))
    tensor(1.)
    """
    name = "multi_margin_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    require_tensors(name, input=input, target=target, weight=weight)
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"{name}: weight must be one-dimensional, got shape {tuple(weight.shape)}")
    require_float(name, input)
    if p not in (1, 2):
        raise ValueError(f"{name}: only p == 1 and p == 2 supported, got {p}")
    if target._data.dtype.name != "int64":
        raise RuntimeError(f"{name}: expected target of dtype ag.int64, got {target.dtype}; use target.long()")
    single = input.ndim < 2
    x = input.reshape(1, -1) if single else input
    t = target.reshape(1) if single and target.numel() == 1 else target
    if x.ndim != 2 or tuple(t.shape) != (x.shape[0],):
        raise LossShapeError(
            f"{name}: expected input (N, C) and target (N,), or (C,) and (), got {tuple(input.shape)} and "
            f"{tuple(target.shape)}"
        )
    classes = x.shape[1]
    t = t.unsqueeze(1)
    chosen = x.gather(1, t)
    short = _positive(_F.add(_F.sub(x, chosen), margin))
    if p == 2:
        short = _F.square(short)
    if weight is not None:
        require_same(name, input=input, weight=weight)
        if tuple(weight.shape) != (classes,):
            raise RuntimeError(f"{name}: expected weight of shape ({classes},), got {tuple(weight.shape)}")
        short = _F.mul(short, weight.gather(0, t.reshape(-1)).unsqueeze(1))
    others = _F.ne(t, arange(classes, device=t.device))
    loss = _F.mean(_F.where(others, short, _F.fill(short, 0.0)), (1,), False)
    return _reduced(loss.reshape(()) if single else loss, reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum of max(0, 1 - x[y] + x[i]) over the labels y and the other classes i, divided by the classes.

    input: (N, C) or (C,); target: int64 of the same shape, the labels of each row before the first -1. Raises
    `RuntimeError` for shapes, dtypes or labels that do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.multilabel_margin_loss(ag.tensor([0.5, 0.25]), ag.tensor([0, -1]))
    tensor(0.3750)
    """
    name = "multilabel_margin_loss"
    reduction = _reduction(name, size_average, reduce, reduction)
    require_tensors(name, input=input, target=target)
    require_float(name, input)
    if input.ndim > 2 or 0 in input.shape[input.ndim - 1 :]:
        raise RuntimeError(f"{name}: expected a non-empty vector or matrix, got shape {tuple(input.shape)}")
    if target.shape != input.shape:
        raise RuntimeError(
            f"{name}: inconsistent target size {tuple(target.shape)} for input of size {tuple(input.shape)}"
        )
    if target._data.dtype.name != "int64":
        raise RuntimeError(f"{name}: expected target of dtype ag.int64, got {target.dtype}; use target.long()")
    classes = input.shape[-1] if input.ndim else 1
    x, labels = input.reshape(-1, classes), target.reshape(-1, classes)
    given = _F.eq(_F.cumsum(_F.cast(_F.lt(labels, 0), labels._data.dtype), 1), 0)
    labels = _F.where(given, labels, _F.fill(labels, 0))
    backend: Any = labels._backend
    backend.check_none(_F.ge(labels, classes)._data, RuntimeError, f"{name}: labels must be below {classes}, or -1")
    counts = _F.scatter_add(_F.fill(labels, 0), labels, _F.cast(given, labels._data.dtype), 1)
    short = _F.relu(_F.add(_F.sub(x.unsqueeze(1), _F.gather(x, labels, 1).unsqueeze(2)), 1.0))
    pairs = _F.logical_and(given.unsqueeze(2), _F.eq(counts, 0).unsqueeze(1))
    loss = _F.div(_F.sum(_F.where(pairs, short, _F.fill(short, 0.0)), (1, 2), False), float(classes))
    return _reduced(loss.reshape(()) if input.ndim < 2 else loss, reduction)


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

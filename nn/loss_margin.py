"""Losses that ask for a margin; `reduction` as in `autograd_core.nn.loss`."""

from __future__ import annotations

from collections.abc import Callable

from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.loss import _Loss, _WeightedLoss
from autograd_core.nn.upsampling import PairwiseDistance


class HingeEmbeddingLoss(_Loss):
    """input where target = 1, max(0, margin - input) where target = -1, averaged.

    >>> import autograd_core as ag
    >>> ag.nn.HingeEmbeddingLoss()(ag.tensor([0.5]), ag.tensor([-1.0]))
    tensor(0.5000)
    """

    def __init__(
        self, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """1 - cos(input1, input2) where target = 1, max(0, cos - margin) where target = -1, averaged. inputs: (N, D) or
    (D); target: (N) or ().

    >>> import autograd_core as ag
    >>> ag.nn.CosineEmbeddingLoss()(ag.ones(1, 2), ag.ones(1, 2), ag.tensor([-1]))
    tensor(1.)
    """

    def __init__(
        self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, -target (input1 - input2) + margin), averaged; target 1: the first should rank higher, -1: lower.

    >>> import autograd_core as ag
    >>> ag.nn.MarginRankingLoss()(ag.ones(1), ag.zeros(1), ag.tensor([-1.0]))
    tensor(1.)
    """

    def __init__(
        self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, |anchor - positive|_p - |anchor - negative|_p + margin), averaged; `swap`: the nearer of anchor and
    positive to the negative counts. Raises `ValueError` for margin <= 0.

    >>> import autograd_core as ag
    >>> ag.nn.TripletMarginLoss()(ag.zeros(1, 2), ag.zeros(1, 2), ag.tensor([[0.0, 0.5]]))
    tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: margin must be greater than 0, got {margin}")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target input)), averaged; target in {1, -1}.

    >>> import autograd_core as ag
    >>> ag.nn.SoftMarginLoss()(ag.zeros(1), ag.ones(1))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The binary cross-entropies of the classes, with logits, averaged; target (N, C) in {0, 1}.

    >>> import autograd_core as ag
    >>> ag.nn.MultiLabelSoftMarginLoss()(ag.zeros(1, 2), ag.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """The sum over other classes of max(0, margin - input[target] + input[c])^p / C, averaged. Raises `ValueError` for
    a p other than 1 and 2.

    >>> import autograd_core as ag
    >>> ag.nn.MultiMarginLoss()(ag.tensor([[0.0, 1.0]]), ag.tensor([0]))
    tensor(1.)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: only p == 1 and p == 2 supported, got {p}")
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class MultiLabelMarginLoss(_Loss):
    """The sum of max(0, 1 - x[y] + x[i]) over labels y and other classes i, divided by the classes, averaged. input:
    (N, C) or (C); target: int64 of its shape, the labels before the first -1.

    >>> import autograd_core as ag
    >>> ag.nn.MultiLabelMarginLoss()(ag.tensor([[0.5, 0.25]]), ag.tensor([[0, -1]]))
    tensor(0.3750)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class TripletMarginWithDistanceLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), averaged; d: `distance_function`, or
    `PairwiseDistance`. swap: take d(positive, negative) where it is less. Raises `ValueError` for margin <= 0.

    >>> import autograd_core as ag
    >>> loss = ag.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1))
    >>> loss(ag.zeros(1, 2), ag.zeros(1, 2), ag.tensor([[0.25, 0.5]]))
    tensor(0.2500)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin}")
        self.distance_function = distance_function if distance_function is not None else PairwiseDistance()
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function, margin=self.margin, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip

"""Losses that ask for a margin, and likelihoods; `reduction` as in `autograd_core.nn.loss`."""

from __future__ import annotations

from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.loss import _Loss, _WeightedLoss


class PoissonNLLLoss(_Loss):
    """exp(input) - target input, averaged; without `log_input` input - target log(input + eps). `full` adds Stirling's
    approximation of log(target!).

    >>> import autograd_core as ag
    >>> ag.nn.PoissonNLLLoss()(ag.zeros(2), ag.ones(2))
    tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """(log var + (input - target)^2 / var) / 2, averaged, with var at least eps; `full` adds log(2 pi) / 2.

    >>> import autograd_core as ag
    >>> ag.nn.GaussianNLLLoss()(ag.zeros(2), ag.ones(2), ag.ones(2))
    tensor(0.5000)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


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

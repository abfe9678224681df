"""Losses. `reduction` is 'mean', 'sum' or 'none'; PyTorch's old `size_average` and `reduce` are turned into it."""

from __future__ import annotations

from typing import Any

from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.module import Module


class _Loss(Module):
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        if isinstance(size_average, Tensor) or isinstance(reduce, Tensor):
            raise RuntimeError(
                f"{type(self).__name__}: make the loss first and call it then: {type(self).__name__}()(input, target)"
            )
        if size_average is not None or reduce is not None:
            if reduce is False:
                reduction = "none"
            else:
                reduction = "sum" if size_average is False else "mean"
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'")
        self.reduction = reduction


class _WeightedLoss(_Loss):
    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """|input - target|, averaged. The shapes must be equal (`ValueError`).

    >>> import autograd_core as ag
    >>> ag.nn.L1Loss()(ag.zeros(2), ag.tensor([1.0, 3.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """(input - target)^2, averaged. The shapes must be equal (`ValueError`).

    >>> import autograd_core as ag
    >>> ag.nn.MSELoss()(ag.zeros(2), ag.tensor([1.0, 3.0]))
    tensor(5.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(input)[target], averaged over the targets (by `weight` of their classes).

    input: logits (N, C), (C) or (N, C, d1, ...); target: class indices, int64, of the input's shape without C, or
    class probabilities of the input's shape. ignore_index: targets that do not count. label_smoothing: the share of
    the target spread evenly over the classes. Raises for a class outside [0, C) and for a wrong shape or dtype.

    >>> import autograd_core as ag
    >>> ag.nn.CrossEntropyLoss()(ag.tensor([[0.0, 0.0]]), ag.tensor([1]))
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """-input[target], averaged over the targets (by `weight` of their classes); input holds log-probabilities.

    Shapes and errors as for `CrossEntropyLoss` with class indices.

    >>> import autograd_core as ag
    >>> ag.nn.NLLLoss()(ag.tensor([[-0.5, -1.0]]), ag.tensor([1]))
    tensor(1.)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(_WeightedLoss):
    """-(target log(input) + (1 - target) log(1 - input)), averaged; logarithms are limited to at least -100.

    input: probabilities; target: the same shape (`ValueError`).

    >>> import autograd_core as ag
    >>> ag.nn.BCELoss()(ag.tensor([0.5]), ag.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """The binary cross-entropy of sigmoid(input), computed stably from the logits.

    pos_weight: a factor on the positive term, one a class. target: the input's shape (`ValueError`).

    >>> import autograd_core as ag
    >>> ag.nn.BCEWithLogitsLoss()(ag.tensor([0.0]), ag.tensor([1.0]))
    tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, weight=self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class SmoothL1Loss(_Loss):
    """0.5 d^2 / beta where d = |input - target| < beta, else d - 0.5 beta, averaged. Girshick, "Fast R-CNN", 2015.

    >>> import autograd_core as ag
    >>> ag.nn.SmoothL1Loss()(ag.zeros(1), ag.tensor([2.0]))
    tensor(1.5000)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """0.5 d^2 where d = |input - target| < delta, else delta (d - 0.5 delta), averaged. Huber, "Robust Estimation of a
    Location Parameter", 1964.

    >>> import autograd_core as ag
    >>> ag.nn.HuberLoss()(ag.zeros(1), ag.tensor([2.0]))
    tensor(1.5000)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class KLDivLoss(_Loss):
    """target (log target - input), averaged over all elements; input holds log-probabilities, as does the target if
    `log_target`. reduction='batchmean' (the sum over the batch size) gives the divergence itself.

    Kullback and Leibler, "On Information and Sufficiency", 1951. The shapes must be equal (`ValueError`).

    >>> import autograd_core as ag
    >>> ag.nn.KLDivLoss(reduction="batchmean")(ag.tensor([[0.0]]), ag.tensor([[0.5]]))
    tensor(-0.3466)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        batch = reduction == "batchmean" and size_average is None and reduce is None
        super().__init__(size_average, reduce, "sum" if batch else reduction)
        if batch:
            self.reduction = "batchmean"
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


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


class CTCLoss(_Loss):
    """-log of the probability of a target over all its alignments with the outputs: see `functional.ctc_loss`.

    blank: the class that stands for no label. 'mean' divides by the target's length, then averages. zero_infinity:
    targets that cannot be aligned count 0.

    >>> import autograd_core as ag
    >>> ag.nn.CTCLoss()(ag.zeros(2, 1, 2), ag.tensor([[1]]), [2], [1]).exp()  # 1 / 3
    tensor(0.3333)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )

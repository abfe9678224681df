"""Batch, layer, group, instance, root-mean-square and local response normalisation."""

from __future__ import annotations

from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn import init
from autograd_core.nn.module import Module
from autograd_core.nn.parameter import Parameter


class _BatchNorm(Module):
    """What the batch norms share; they differ in the number of dimensions that they accept."""

    _version = 2  # 2: num_batches_tracked is part of the state.
    _dims: tuple[int, ...] = ()

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: ag.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats

        def empty() -> Tensor:
            return ag.empty((num_features,), device=device, dtype=dtype)

        self.register_parameter("weight", Parameter(empty()) if affine else None)
        self.register_parameter("bias", Parameter(empty()) if affine and bias else None)
        self.register_buffer("running_mean", empty() if track_running_stats else None)
        self.register_buffer("running_var", empty() if track_running_stats else None)
        count = ag.zeros((), dtype=ag.int64, device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, variance 1, no batch seen."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with ag.no_grad():
                self.running_mean.zero_()
                self.running_var.fill_(1)
                self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Reset the statistics, weight to one and bias to zero."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input(self, input: Tensor) -> None:
        if input.ndim not in self._dims:
            expected = " or ".join(f"{d}D" for d in self._dims)
            raise ValueError(
                f"{self}: expected {expected} input (got {input.ndim}D input of shape {tuple(input.shape)})"
            )
        if input.shape[1] != self.num_features:
            raise RuntimeError(
                f"{self}: expected num_features={self.num_features} channels in dimension 1 of the input, "
                f"got shape {tuple(input.shape)}"
            )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input(input)
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        update = self.training and self.track_running_stats and mean is not None
        if update and count is not None:
            with ag.no_grad():
                count.add_(1)
        elif self.training:
            mean = var = None
        averaging = update and count is not None and self.momentum is None
        if averaging:  # Taken apart from the running statistics: this batch's, which a momentum of 1 gives.
            mean, var = ag.zeros_like(mean), ag.zeros_like(var)
        out = F.batch_norm(
            input,
            mean,
            var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            1.0 if averaging else self.momentum or 0.0,
            self.eps,
        )
        if averaging and input.numel():
            assert self.running_mean is not None and self.running_var is not None
            with ag.no_grad():  # The count stays on the device.
                self.running_mean.add_((mean - self.running_mean) / count)
                self.running_var.add_((var - self.running_var) / count)
        return out

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        # State saved before version 2, or without versions, may lack the count; as in PyTorch the module keeps its own.
        if local_metadata.get("version", 1) < 2 and self.num_batches_tracked is not None:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and variance of each channel over the batch.

    Input (N, C) or (N, C, L). In training the batch's statistics are used and averaged with `momentum` (None: plain
    average) into `running_mean` and `running_var`, which evaluation uses. Ioffe and Szegedy, "Batch Normalization",
    2015. Raises `ValueError` for another number of dimensions, `RuntimeError` for another number of channels.

    >>> import autograd_core as ag
    >>> ag.nn.BatchNorm1d(3)(ag.zeros(4, 3)).shape
    ag.Size([4, 3])
    """

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W): see `BatchNorm1d`.

    >>> import autograd_core as ag
    >>> ag.nn.BatchNorm2d(3)(ag.zeros(4, 3, 8, 8)).shape
    ag.Size([4, 3, 8, 8])
    """

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes (N, C, D, H, W): see `BatchNorm1d`.

    >>> import autograd_core as ag
    >>> ag.nn.BatchNorm3d(3)(ag.zeros(4, 3, 2, 8, 8)).shape
    ag.Size([4, 3, 2, 8, 8])
    """

    _dims = (5,)


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and variance over the last dimensions `normalized_shape`.

    Ba, Kiros and Hinton, "Layer Normalization", 2016. Raises `RuntimeError` when the input does not end in
    `normalized_shape`.

    >>> import autograd_core as ag
    >>> ag.nn.LayerNorm(10)(ag.zeros(20, 5, 10)).shape
    ag.Size([20, 5, 10])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | list[int] | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine

        def empty() -> Parameter:
            return Parameter(ag.empty(self.normalized_shape, device=device, dtype=dtype))

        self.register_parameter("weight", empty() if elementwise_affine else None)
        self.register_parameter("bias", empty() if elementwise_affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to one and bias to zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and variance over each of `num_groups` groups of channels
    of a sample, weight and bias by channel.

    Input (N, C, ...). Wu and He, "Group Normalization", 2018. Raises `ValueError` unless num_groups divides
    num_channels.

    >>> import autograd_core as ag
    >>> ag.nn.GroupNorm(3, 6)(ag.zeros(2, 6, 4, 4)).shape
    ag.Size([2, 6, 4, 4])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: ag.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups <= 0 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine

        def empty() -> Parameter:
            return Parameter(ag.empty((num_channels,), device=device, dtype=dtype))

        self.register_parameter("weight", empty() if affine else None)
        self.register_parameter("bias", empty() if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to one and bias to zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class _InstanceNorm(_BatchNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: ag.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        single = input.ndim == self._dims[0]
        x = input.unsqueeze(0) if single else input
        if input.ndim not in self._dims:
            self._check_input(input)
        if self.affine or self.track_running_stats:
            self._check_input(x)
        y = F.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """`BatchNorm1d` for each sample by itself: input (N, C, L) or (C, L).

    By default there are neither weight and bias (`affine`) nor running statistics (`track_running_stats`). Ulyanov,
    Vedaldi and Lempitsky, "Instance Normalization", 2016. Raises `ValueError` for another number of dimensions, or a
    single element a channel.

    >>> import autograd_core as ag
    >>> ag.nn.InstanceNorm1d(1, eps=0.0)(ag.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.,  1.]]])
    """

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images (N, C, H, W) or (C, H, W): see `InstanceNorm1d`.

    >>> import autograd_core as ag
    >>> ag.nn.InstanceNorm2d(3)(ag.zeros(4, 3, 8, 8)).shape
    ag.Size([4, 3, 8, 8])
    """

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of volumes (N, C, D, H, W) or (C, D, H, W): see `InstanceNorm1d`.

    >>> import autograd_core as ag
    >>> ag.nn.InstanceNorm3d(3)(ag.zeros(4, 3, 2, 2, 2)).shape
    ag.Size([4, 3, 2, 2, 2])
    """

    _dims = (4, 5)


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight, the mean over the last dimensions `normalized_shape`.

    eps: that of the input's dtype unless given. Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
    Raises `RuntimeError` when the input does not end in `normalized_shape`.

    >>> import autograd_core as ag
    >>> ag.nn.RMSNorm(2)(ag.tensor([3.0, 4.0])).detach()
    tensor([0.8485, 1.1314])
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | list[int] | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(ag.empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to one."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta.

    Input (N, C, ...). Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012.

    >>> import autograd_core as ag
    >>> ag.nn.LocalResponseNorm(2)(ag.zeros(1, 3, 4)).shape
    ag.Size([1, 3, 4])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"

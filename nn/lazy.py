"""Layers that learn the sizes of their input at their first call.

Their parameters have no shape until then (`nn.UninitializedParameter`). The first call gives them one, draws their
values, and turns the layer into the ordinary one that it stands for. An optimiser made before holds the same
parameters. A `state_dict` may be loaded before the first call, which also gives the shapes.
"""

from __future__ import annotations

from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _Conv,
    _ConvTranspose,
)
from autograd_core.nn.linear import Linear
from autograd_core.nn.module import Module
from autograd_core.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _BatchNorm,
)
from autograd_core.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy


class LazyModuleMixin:
    """Put before a `Module` class whose parameters get their shapes at the first call.

    The class defines `initialize_parameters(*args, **kwargs)`, which is given the arguments of the first call and
    materialises all parameters, and may name the class that the module is from then on in `cls_to_become`.
    """

    cls_to_become: type[Module] | None = None
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materialise the uninitialized parameters and buffers for the arguments of the first call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether some of the module's own parameters or buffers have no shape yet."""
        return any(map(is_lazy, (*self._parameters.values(), *self._buffers.values())))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "_initialized" not in self.__dict__:
            with ag.no_grad():
                self.initialize_parameters(*args, **kwargs)
            if self.has_uninitialized_params():
                raise RuntimeError(f"module {type(self).__name__} has not been fully initialized")
            if self.cls_to_become is not None:
                self.__class__ = self.cls_to_become  # type: ignore[assignment]
                return self(*args, **kwargs)
            self._initialized = True
        return super().__call__(*args, **kwargs)  # type: ignore[misc]

    def _load_tensor(self, name: str, key: str, tensor: Tensor, value: Any, *rest: Any) -> None:
        if is_lazy(tensor):
            if is_lazy(value):
                return
            if hasattr(value, "shape"):
                tensor.materialize(tuple(value.shape))
        super()._load_tensor(name, key, tensor, value, *rest)  # type: ignore[misc]


# -- linear -----------------------------------------------------------------------------------------------


class LazyLinear(LazyModuleMixin, Linear):
    """A `Linear` whose in_features is the last size of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyLinear(3); y = layer(ag.zeros(2, 5)); layer
    Linear(in_features=5, out_features=3, bias=True)
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: ag.dtype | None = None) -> None:
        super().__init__(0, 0, False, device, dtype)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if self.in_features and not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        if not self.has_uninitialized_params():
            self.in_features = self.weight.shape[1]
            return
        if not input.ndim:
            raise IndexError(f"{self}: expected an input of at least 1 dimension, got shape ()")
        self.in_features = input.shape[-1]
        _materialize(self.weight, (self.out_features, self.in_features))
        _materialize(self.bias, (self.out_features,))
        self.reset_parameters()


def _materialize(tensor: Any, shape: tuple[int, ...]) -> None:
    if is_lazy(tensor):
        tensor.materialize(shape)


# -- convolutions -----------------------------------------------------------------------------------------


class _LazyConvMixin(LazyModuleMixin):
    """What the lazy convolutions share."""

    weight: Any
    bias: Any
    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    _transposed: bool
    _spatial: int

    def _make_lazy(self, out_channels: int, bias: bool, device: Any, dtype: ag.dtype | None) -> None:
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if self.in_channels and not self.has_uninitialized_params():
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor, *rest: Any, **options: Any) -> None:
        if not self.has_uninitialized_params():
            self.in_channels = self.weight.shape[0 if self._transposed else 1]
            if not self._transposed:
                self.in_channels *= self.groups
            return
        dims = self._spatial
        if input.ndim not in (dims + 1, dims + 2):
            raise RuntimeError(
                f"expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {type(self).__name__}, but got "
                f"input of size {tuple(input.shape)}"
            )
        channels = input.shape[-dims - 1]
        if channels % self.groups:
            raise ValueError(
                f"{type(self).__name__}: in_channels must be divisible by groups, got an input of "
                f"{channels} channels and groups={self.groups}"
            )
        self.in_channels = channels
        rows, columns = (channels, self.out_channels) if self._transposed else (self.out_channels, channels)
        _materialize(self.weight, (rows, columns // self.groups, *self.kernel_size))
        _materialize(self.bias, (self.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvMixin, _Conv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__(
            0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device=device, dtype=dtype
        )
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv):
    """A `Conv1d` whose in_channels is that of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyConv1d(3, 2); y = layer(ag.zeros(1, 5, 4)); layer
    Conv1d(5, 3, kernel_size=(2,), stride=(1,))
    """

    cls_to_become = Conv1d
    _spatial = 1


class LazyConv2d(_LazyConv):
    """A `Conv2d` whose in_channels is that of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyConv2d(3, 2); y = layer(ag.zeros(1, 5, 4, 4)); layer
    Conv2d(5, 3, kernel_size=(2, 2), stride=(1, 1))
    """

    cls_to_become = Conv2d
    _spatial = 2


class LazyConv3d(_LazyConv):
    """A `Conv3d` whose in_channels is that of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyConv3d(3, 2); y = layer(ag.zeros(1, 5, 4, 4, 4)); layer.weight.shape
    ag.Size([3, 5, 2, 2, 2])
    """

    cls_to_become = Conv3d
    _spatial = 3


class _LazyConvTranspose(_LazyConvMixin, _ConvTranspose):
    def __init__(
        self,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        options = (stride, padding, output_padding, groups, False, dilation, padding_mode, device, dtype)
        super().__init__(0, 0, kernel_size, *options)
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConvTranspose1d(_LazyConvTranspose):
    """A `ConvTranspose1d` whose in_channels is that of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyConvTranspose1d(3, 2); y = layer(ag.zeros(1, 5, 4)); layer.weight.shape
    ag.Size([5, 3, 2])
    """

    cls_to_become = ConvTranspose1d
    _spatial = 1


class LazyConvTranspose2d(_LazyConvTranspose):
    """A `ConvTranspose2d` whose in_channels is that of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyConvTranspose2d(3, 2); y = layer(ag.zeros(1, 5, 4, 4)); layer.weight.shape
    ag.Size([5, 3, 2, 2])
    """

    cls_to_become = ConvTranspose2d
    _spatial = 2


class LazyConvTranspose3d(_LazyConvTranspose):
    """A `ConvTranspose3d` whose in_channels is that of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyConvTranspose3d(3, 2); y = layer(ag.zeros(1, 5, 4, 4, 4)); layer.weight.shape
    ag.Size([5, 3, 2, 2, 2])
    """

    cls_to_become = ConvTranspose3d
    _spatial = 3


# -- normalisation ----------------------------------------------------------------------------------------


class _LazyNorm(LazyModuleMixin, _BatchNorm):
    """What the lazy batch and instance norms share."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: ag.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = ag.zeros((), dtype=ag.int64, device=device)

    def reset_parameters(self) -> None:
        if self.num_features and not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        members = [t for t in (self.weight, self.bias, self.running_mean, self.running_var) if t is not None]
        if not self.has_uninitialized_params():
            self.num_features = members[0].shape[0] if members else self._channels(input)
            return
        self.num_features = self._channels(input)
        for tensor in members:
            _materialize(tensor, (self.num_features,))
        self.reset_parameters()

    def _channels(self, input: Tensor) -> int:
        if input.ndim not in self._dims:
            self._check_input(input)  # Raises.
        return input.shape[1]


class LazyBatchNorm1d(_LazyNorm):
    """A `BatchNorm1d` whose num_features is the number of channels of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyBatchNorm1d(); y = layer(ag.zeros(2, 5)); layer.running_mean.shape
    ag.Size([5])
    """

    cls_to_become = BatchNorm1d
    _dims = BatchNorm1d._dims


class LazyBatchNorm2d(_LazyNorm):
    """A `BatchNorm2d` whose num_features is the number of channels of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyBatchNorm2d(); y = layer(ag.zeros(2, 5, 3, 3)); layer.running_mean.shape
    ag.Size([5])
    """

    cls_to_become = BatchNorm2d
    _dims = BatchNorm2d._dims


class LazyBatchNorm3d(_LazyNorm):
    """A `BatchNorm3d` whose num_features is the number of channels of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyBatchNorm3d(); y = layer(ag.zeros(2, 5, 3, 3, 3)); layer.running_mean.shape
    ag.Size([5])
    """

    cls_to_become = BatchNorm3d
    _dims = BatchNorm3d._dims


class _LazyInstanceNorm(_LazyNorm):
    def _channels(self, input: Tensor) -> int:
        if input.ndim not in self._dims:
            self._check_input(input)  # Raises.
        return input.shape[0 if input.ndim == self._dims[0] else 1]


class LazyInstanceNorm1d(_LazyInstanceNorm):
    """An `InstanceNorm1d` whose num_features is the number of channels of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyInstanceNorm1d(); y = layer(ag.zeros(2, 5, 3)); layer.weight.shape
    ag.Size([5])
    """

    cls_to_become = InstanceNorm1d
    _dims = InstanceNorm1d._dims


class LazyInstanceNorm2d(_LazyInstanceNorm):
    """An `InstanceNorm2d` whose num_features is the number of channels of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyInstanceNorm2d(); y = layer(ag.zeros(5, 3, 3)); layer.weight.shape
    ag.Size([5])
    """

    cls_to_become = InstanceNorm2d
    _dims = InstanceNorm2d._dims


class LazyInstanceNorm3d(_LazyInstanceNorm):
    """An `InstanceNorm3d` whose num_features is the number of channels of the first input.

    >>> import autograd_core as ag
    >>> layer = ag.nn.LazyInstanceNorm3d(); y = layer(ag.zeros(2, 5, 3, 3, 3)); layer.weight.shape
    ag.Size([5])
    """

    cls_to_become = InstanceNorm3d
    _dims = InstanceNorm3d._dims

"""Layers that pad sequences, images and volumes.

Sizes are (before, after) of the last dimension, then of the one before it, and so on; or one int for all.
"""

from __future__ import annotations

from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn.module import Module


class _Pad(Module):
    _spatial = 0
    _mode = "constant"
    value: float | None = None

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__()
        count = 2 * self._spatial
        self.padding = (padding,) * count if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != count:
            raise ValueError(f"{type(self).__name__}: padding must be an int or {count} ints, got {padding!r}")

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (self._spatial + 1, self._spatial + 2):
            raise ValueError(
                f"{self}: expected {self._spatial + 1}D or {self._spatial + 2}D input, got shape {tuple(input.shape)}"
            )
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_Pad):
    value = 0.0


class ConstantPad1d(_ConstantPad):
    """Sequences (N, C, L) or (C, L) with a border of `value`.

    >>> import autograd_core as ag
    >>> ag.nn.ConstantPad1d(1, 0.5)(ag.zeros(1, 1, 3)).shape
    ag.Size([1, 1, 5])
    """

    _spatial = 1


class ConstantPad2d(_ConstantPad):
    """Images (N, C, H, W) or (C, H, W) with a border of `value`.

    >>> import autograd_core as ag
    >>> ag.nn.ConstantPad2d(1, 0.5)(ag.zeros(1, 1, 3, 3)).shape
    ag.Size([1, 1, 5, 5])
    """

    _spatial = 2


class ConstantPad3d(_ConstantPad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) with a border of `value`.

    >>> import autograd_core as ag
    >>> ag.nn.ConstantPad3d(1, 0.5)(ag.zeros(1, 1, 3, 3, 3)).shape
    ag.Size([1, 1, 5, 5, 5])
    """

    _spatial = 3


class ZeroPad1d(_ZeroPad):
    """Sequences (N, C, L) or (C, L) with a border of zeros.

    >>> import autograd_core as ag
    >>> ag.nn.ZeroPad1d(1)(ag.zeros(1, 1, 3)).shape
    ag.Size([1, 1, 5])
    """

    _spatial = 1


class ZeroPad2d(_ZeroPad):
    """Images (N, C, H, W) or (C, H, W) with a border of zeros.

    >>> import autograd_core as ag
    >>> ag.nn.ZeroPad2d(1)(ag.zeros(1, 1, 3, 3)).shape
    ag.Size([1, 1, 5, 5])
    """

    _spatial = 2


class ZeroPad3d(_ZeroPad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) with a border of zeros.

    >>> import autograd_core as ag
    >>> ag.nn.ZeroPad3d(1)(ag.zeros(1, 1, 3, 3, 3)).shape
    ag.Size([1, 1, 5, 5, 5])
    """

    _spatial = 3


class ReflectionPad1d(_Pad):
    """Sequences (N, C, L) or (C, L) with a border that mirrors them, without repeating the edge.

    >>> import autograd_core as ag
    >>> ag.nn.ReflectionPad1d(1)(ag.zeros(1, 1, 3)).shape
    ag.Size([1, 1, 5])
    """

    _spatial = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W) with a border that mirrors them, without repeating the edge.

    >>> import autograd_core as ag
    >>> ag.nn.ReflectionPad2d(1)(ag.zeros(1, 1, 3, 3)).shape
    ag.Size([1, 1, 5, 5])
    """

    _spatial = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) with a border that mirrors them, without repeating the edge.

    >>> import autograd_core as ag
    >>> ag.nn.ReflectionPad3d(1)(ag.zeros(1, 1, 3, 3, 3)).shape
    ag.Size([1, 1, 5, 5, 5])
    """

    _spatial = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Sequences (N, C, L) or (C, L) with a border that repeats the edge.

    >>> import autograd_core as ag
    >>> ag.nn.ReplicationPad1d(1)(ag.zeros(1, 1, 3)).shape
    ag.Size([1, 1, 5])
    """

    _spatial = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W) with a border that repeats the edge.

    >>> import autograd_core as ag
    >>> ag.nn.ReplicationPad2d(1)(ag.zeros(1, 1, 3, 3)).shape
    ag.Size([1, 1, 5, 5])
    """

    _spatial = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) with a border that repeats the edge.

    >>> import autograd_core as ag
    >>> ag.nn.ReplicationPad3d(1)(ag.zeros(1, 1, 3, 3, 3)).shape
    ag.Size([1, 1, 5, 5, 5])
    """

    _spatial = 3
    _mode = "replicate"


class CircularPad1d(_Pad):
    """Sequences (N, C, L) or (C, L) with a border from the other side.

    >>> import autograd_core as ag
    >>> ag.nn.CircularPad1d(1)(ag.zeros(1, 1, 3)).shape
    ag.Size([1, 1, 5])
    """

    _spatial = 1
    _mode = "circular"


class CircularPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W) with a border from the other side.

    >>> import autograd_core as ag
    >>> ag.nn.CircularPad2d(1)(ag.zeros(1, 1, 3, 3)).shape
    ag.Size([1, 1, 5, 5])
    """

    _spatial = 2
    _mode = "circular"


class CircularPad3d(_Pad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) with a border from the other side.

    >>> import autograd_core as ag
    >>> ag.nn.CircularPad3d(1)(ag.zeros(1, 1, 3, 3, 3)).shape
    ag.Size([1, 1, 5, 5, 5])
    """

    _spatial = 3
    _mode = "circular"

"""Order of memory: `contiguous_format`, `channels_last` and the others, and what brings a tensor into it."""

from __future__ import annotations

from typing import Any

from autograd_core.ops import elementwise as e
from autograd_core.ops import shape as s
from autograd_core.tensor import Tensor


class memory_format:
    """How a tensor's elements lie in memory; there are the four constants of this module.

    >>> import autograd_core as ag
    >>> ag.channels_last
    ag.channels_last
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"ag.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")

_RANKS = {channels_last: 4, channels_last_3d: 5}


def arranged(name: str, x: Tensor, format: Any) -> Tensor:
    """`x` in the given order of memory: itself where it is so already, else a copy."""
    if format is None or format is preserve_format:
        return x
    if format is contiguous_format:
        return s.contiguous(x)
    if format not in _RANKS:
        raise TypeError(f"{name}: memory_format must be one such as ag.contiguous_format, got {format!r}")
    rank = _RANKS[format]
    if x.ndim != rank:
        raise RuntimeError(f"{name}: {format.name} is for tensors of {rank} dimensions, got shape {tuple(x.shape)}")
    inside = s.permute(x, (0, *range(2, rank), 1))
    return x if inside.is_contiguous() else s.permute(s.contiguous(inside), (0, rank - 1, *range(1, rank - 1)))


def contiguous(input: Tensor, memory_format: Any = contiguous_format) -> Tensor:
    """The tensor itself if its memory is in row-major order (or the given one), else a copy that is.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    return s.contiguous(input) if memory_format is contiguous_format else arranged("contiguous", input, memory_format)


def clone(input: Tensor, *, memory_format: Any = preserve_format) -> Tensor:
    """A copy, through which gradients pass.

    >>> import autograd_core as ag
    >>> ag.clone(ag.ones(2))
    tensor([1., 1.])
    """
    copy: Tensor = e.clone(input)
    return copy if memory_format is preserve_format else arranged("clone", copy, memory_format)


PUBLIC = {"contiguous": contiguous, "clone": clone}
CONSTANTS = (contiguous_format, preserve_format, channels_last, channels_last_3d)
FUNCTIONS = ("clone",)
METHODS = ("clone", "contiguous")
INPLACE = ()

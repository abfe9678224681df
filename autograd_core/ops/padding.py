"""`pad`: a border around the last dimensions, composed of slices joined by `cat`."""

from __future__ import annotations

from collections.abc import Sequence

from autograd_core.ops.joining import cat
from autograd_core.ops.shape import flip, narrow
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with a border, or (negative sizes) cut.

    pad: (before, after) of the last dimension, then of the one before it, and so on. mode: 'constant' (`value`, 0
    unless given), 'reflect' (without repeating the edge), 'replicate' (the edge), 'circular' (from the other side).
    Raises `NotImplementedError` for another mode, `ValueError` for a value without 'constant', `RuntimeError` for
    sizes that do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.pad(ag.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    sizes = tuple(pad)
    if not isinstance(input, Tensor):
        raise TypeError(f"pad: expected a Tensor, got {type(input).__name__}")
    if mode not in _MODES:
        raise NotImplementedError(f"pad: unrecognised padding mode {mode!r}; one of: {', '.join(_MODES)}")
    if len(sizes) % 2 or len(sizes) > 2 * input.ndim:
        raise RuntimeError(
            f"pad: expected a (before, after) pair for at most {input.ndim} dimensions of an input of shape "
            f"{tuple(input.shape)}, got {len(sizes)} sizes"
        )
    if mode != "constant":
        if value:
            raise ValueError(f"pad: mode {mode!r} does not take a value, got value={value}")
        spatial = input.ndim - (1 if input.ndim == len(sizes) // 2 + 1 else 2)
        if not sizes or spatial != len(sizes) // 2 or spatial > 3:
            raise NotImplementedError(
                f"pad: mode {mode!r} pads all dimensions after (N, C) or (C), 1 to 3 of them; got {len(sizes)} sizes "
                f"for shape {tuple(input.shape)}"
            )
    if mode == "constant" and not value and sizes and min(sizes) >= 0:
        return _zeros_around(input, sizes)
    out = input
    for i in range(len(sizes) // 2):
        before, after = sizes[2 * i], sizes[2 * i + 1]
        if before or after:
            out = _pad_one(out, input.ndim - 1 - i, before, after, mode, value)
    return out.clone() if out is input else out


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """`input` with a border of `value`, or (negative sizes) cut: `nn.functional.pad` in mode 'constant'.

    >>> import autograd_core as ag
    >>> ag.constant_pad_nd(ag.tensor([1, 2]), (1, 0), 5)
    tensor([5, 1, 2])
    """
    return _pad(input, pad, "constant", value)


def _zeros_around(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """What `x[index]` has the gradient of, for the slices that leave the border out."""
    shape, index = list(x._data.shape), [slice(0, n) for n in x._data.shape]
    for i in range(0, len(sizes), 2):
        axis = x._data.ndim - 1 - i // 2
        index[axis] = slice(sizes[i], sizes[i] + shape[axis])
        shape[axis] += sizes[i] + sizes[i + 1]
    return V.slice_backward(x, tuple(shape), tuple(index))


def _pad_one(x: Tensor, dim: int, before: int, after: int, mode: str, value: float | None) -> Tensor:
    n = x.shape[dim]
    if n + before + after < 0 or -before > n or -after > n:
        raise RuntimeError(f"pad: cannot cut ({-before}, {-after}) from dimension {dim} of size {n}")
    if mode in ("reflect", "circular") and max(before, after) > n - (mode == "reflect"):
        raise RuntimeError(
            f"pad: {mode} padding ({before}, {after}) must be less than {'' if mode == 'reflect' else 'or equal to '}"
            f"the size {n} of dimension {dim}"
        )
    if mode == "replicate" and n == 0:
        raise RuntimeError(f"pad: replicate padding needs a dimension {dim} of at least 1, got shape {tuple(x.shape)}")
    core = narrow(x, dim, max(-before, 0), n - max(-before, 0) - max(-after, 0))
    if mode == "circular":
        x = core  # What is cut off does not come back on the other side.
    parts = [core]
    if before > 0:
        parts.insert(0, _border(x, dim, before, True, mode, value))
    if after > 0:
        parts.append(_border(x, dim, after, False, mode, value))
    return cat(parts, dim) if len(parts) > 1 else core


def _border(x: Tensor, dim: int, size: int, first: bool, mode: str, value: float | None) -> Tensor:
    n = x.shape[dim]
    shape = [*x.shape[:dim], size, *x.shape[dim + 1 :]]
    if mode == "constant":
        return x.new_full(shape, 0 if value is None else value)
    if mode == "replicate":
        return V.expand(narrow(x, dim, 0 if first else n - 1, 1), tuple(shape))
    if mode == "reflect":
        return flip(narrow(x, dim, 1 if first else n - 1 - size, size), dim)
    return narrow(x, dim, n - size if first else 0, size)


_pad = pad

FUNCTIONS: tuple[str, ...] = ("constant_pad_nd",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

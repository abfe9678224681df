"""Sequences of different lengths as one batch: padded to the longest, or packed without padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import autograd_core as ag
from autograd_core import Tensor


class PackedSequence(NamedTuple):
    """A batch of sequences, time step by time step, sorted from the longest to the shortest.

    data: (sum of lengths, *); batch_sizes: int64 on the CPU, how many sequences reach each step; sorted_indices,
    unsorted_indices: the order of the batch in `data`, and its inverse (None: as given). Made by
    `pack_padded_sequence` and `pack_sequence`.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences with `data` converted or moved as by `Tensor.to`; the indices move along."""
        data = self.data.to(*args, **kwargs)
        moved = [None if i is None else i.to(data.device) for i in self[2:]]
        return PackedSequence(data, self.batch_sizes, *moved)

    def cpu(self) -> PackedSequence:
        """The same sequences on the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> PackedSequence:
        """The same sequences on a CUDA device."""
        return self.to(device)

    def half(self) -> PackedSequence:
        """The same sequences in float16."""
        return self.to(ag.float16)

    def float(self) -> PackedSequence:
        """The same sequences in float32."""
        return self.to(ag.float32)

    def double(self) -> PackedSequence:
        """The same sequences in float64."""
        return self.to(ag.float64)

    @property
    def is_cuda(self) -> bool:
        """Whether the sequences are on a CUDA device."""
        return self.data.is_cuda


def _lengths(lengths: Any) -> list[int]:
    return [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]


def _places(sizes: list[int], steps: int) -> list[int]:
    """Where in (T * N) time-major rows the packed rows stand."""
    n = max(sizes, default=0)
    return [t * n + i for t in range(steps) for i in range(sizes[t])]


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """The first lengths[i] steps of each sequence, packed.

    input: (T, N, *), or (N, T, *) if `batch_first`; lengths: a list or CPU tensor of N ints in [1, T].
    `enforce_sorted`: they must descend; otherwise the batch is sorted, and `pad_packed_sequence` restores the order.
    Raises `RuntimeError` for lengths that do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.utils.rnn.pack_padded_sequence(ag.tensor([[1, 3], [2, 0]]), [2, 1]).data
    tensor([1, 3, 2])
    """
    x = input.transpose(0, 1) if batch_first else input
    steps, n = x.shape[0], x.shape[1]
    sizes = _lengths(lengths)
    if len(sizes) != n:
        raise RuntimeError(
            f"pack_padded_sequence: expected {n} lengths for a batch of {n}, got {len(sizes)}; see batch_first"
        )
    if min(sizes, default=1) <= 0 or max(sizes, default=0) > steps:
        raise RuntimeError(f"pack_padded_sequence: lengths must be between 1 and {steps}, got {sizes}")
    order = sorted_indices = unsorted_indices = None
    if not enforce_sorted:
        order = sorted(range(n), key=lambda i: -sizes[i])
        sizes = [sizes[i] for i in order]
        sorted_indices = ag.tensor(order, device=x.device)
        unsorted_indices = ag.tensor(sorted(range(n), key=order.__getitem__), device=x.device)
        x = x.index_select(1, sorted_indices)
    elif any(a < b for a, b in zip(sizes, sizes[1:])):
        raise RuntimeError(
            f"pack_padded_sequence: lengths must be sorted in decreasing order when enforce_sorted is True, got "
            f"{sizes}; pass enforce_sorted=False"
        )
    active = [sum(size > t for size in sizes) for t in range(max(sizes, default=0))]
    rows = x.reshape(steps * n, *x.shape[2:])
    index = ag.tensor(_places(active, len(active)), device=x.device, dtype=ag.int64)
    data = rows.index_select(0, index)
    return PackedSequence(data, ag.tensor(active, device="cpu", dtype=ag.int64), sorted_indices, unsorted_indices)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The inverse of `pack_padded_sequence`: the padded batch (T, N, *), or (N, T, *), and the lengths (on the CPU).

    `total_length`: T if longer than the longest sequence. Raises `ValueError` if shorter.

    >>> import autograd_core as ag
    >>> packed = ag.nn.utils.rnn.pack_sequence([ag.tensor([1, 2]), ag.tensor([3])])
    >>> ag.nn.utils.rnn.pad_packed_sequence(packed)[0]
    tensor([[1, 3],
            [2, 0]])
    """
    active = _lengths(sequence.batch_sizes)
    steps = len(active) if total_length is None else total_length
    if steps < len(active):
        raise ValueError(
            f"pad_packed_sequence: expected total_length to be at least the length of the longest sequence, got "
            f"total_length={total_length} and {len(active)}"
        )
    data, n = sequence.data, active[0] if active else 0
    border = data.new_full((1, *data.shape[1:]), padding_value)
    where = {place: row for row, place in enumerate(_places(active, len(active)))}
    index = [where.get(place, data.shape[0]) for place in range(steps * n)]
    rows = ag.cat([data, border]).index_select(0, ag.tensor(index, device=data.device, dtype=ag.int64))
    x = rows.reshape(steps, n, *data.shape[1:])
    sizes = [sum(size > i for size in active) for i in range(n)]
    if sequence.unsorted_indices is not None:
        x = x.index_select(1, sequence.unsorted_indices)
        sizes = [sizes[i] for i in sequence.unsorted_indices.tolist()]
    return x.transpose(0, 1) if batch_first else x, ag.tensor(sizes, device="cpu", dtype=ag.int64)


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L_i, *) as one batch (T, N, *), or (N, T, *), T the greatest L, the rest `padding_value`.

    >>> import autograd_core as ag
    >>> ag.nn.utils.rnn.pad_sequence([ag.tensor([1, 2]), ag.tensor([3])], batch_first=True)
    tensor([[1, 2],
            [3, 0]])
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: padding_side must be 'left' or 'right', got {padding_side!r}")
    if not len(sequences):
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    steps = max(s.shape[0] for s in sequences)
    padded = []
    for s in sequences:
        parts = [s, s.new_full((steps - s.shape[0], *s.shape[1:]), padding_value)]
        padded.append(ag.cat(parts if padding_side == "right" else parts[::-1]))
    return ag.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The first lengths[i] steps of each sequence of a padded batch: the inverse of `pad_sequence`.

    >>> import autograd_core as ag
    >>> ag.nn.utils.rnn.unpad_sequence(ag.tensor([[1, 3], [2, 0]]), [2, 1])
    [tensor([1, 2]), tensor([3])]
    """
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [x[i, :n] for i, n in enumerate(_lengths(lengths))]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (L_i, *), packed; see `pack_padded_sequence`.

    >>> import autograd_core as ag
    >>> ag.nn.utils.rnn.pack_sequence([ag.tensor([1, 2]), ag.tensor([3])]).batch_sizes
    tensor([2, 1])
    """
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of `pack_sequence`, in their original order.

    >>> import autograd_core as ag
    >>> packed = ag.nn.utils.rnn.pack_sequence([ag.tensor([1, 2]), ag.tensor([3])])
    >>> ag.nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)

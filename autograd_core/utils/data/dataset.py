"""Datasets: what a `DataLoader` reads samples from."""

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import autograd_core as ag
from autograd_core.utils.data.sampler import draw_device

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """A map from index to sample. Subclasses define `__getitem__` and, as most samplers need it, `__len__`.

    A subclass may also define `__getitems__(indices) -> list`, which the loader then calls once per batch.

    >>> class Squares(ag.utils.data.Dataset):
    ...     def __getitem__(self, index): return index * index
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index)")

    def __add__(self, other: "Dataset[Any]") -> "Dataset[Any]":
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """A stream of samples. Subclasses define `__iter__`; the loader batches what it yields, in that order.

    >>> class Count(ag.utils.data.IterableDataset):
    ...     def __iter__(self): return iter(range(3))
    >>> [batch.tolist() for batch in ag.utils.data.DataLoader(Count(), batch_size=2)]
    [[0, 1], [2]]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(self)")

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} is an IterableDataset: iterate over it, it has no indices")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple["ag.Tensor", ...]]):
    """Sample `i` is the tuple of the `i`-th entries of all tensors, each of shape (N, ...).

    Raises AssertionError if the first dimensions differ, TypeError for anything that is no Tensor.

    >>> ag.utils.data.TensorDataset(ag.arange(3), ag.zeros(3, 2))[1]
    (tensor(1), tensor([0., 0.]))
    """

    tensors: tuple["ag.Tensor", ...]

    def __init__(self, *tensors: "ag.Tensor") -> None:
        for position, tensor in enumerate(tensors):
            if not isinstance(tensor, ag.Tensor):
                raise TypeError(f"TensorDataset: argument {position} is a {type(tensor).__name__}, not a Tensor")
            if tensor.ndim == 0:
                raise ValueError(f"TensorDataset: argument {position} is a 0-d tensor and has no samples to index")
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        if any(tensor.shape[0] != tensors[0].shape[0] for tensor in tensors):
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            raise AssertionError(f"TensorDataset: size mismatch between tensors: first dimensions differ in {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple["ag.Tensor", ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class ConcatDataset(Dataset[T_co]):
    """Datasets one after the other; `dataset + other` makes one too.

    Raises AssertionError for no datasets or an IterableDataset among them, ValueError for an index below -len,
    IndexError for one too large.

    >>> both = ag.utils.data.ConcatDataset(["abc", "de"]); len(both), both[3], both[-1]
    (5, 'd', 'e')
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: expected at least one dataset")
        for position, dataset in enumerate(self.datasets):
            if isinstance(dataset, IterableDataset):
                raise AssertionError(f"ConcatDataset: dataset {position} is an IterableDataset; use ChainDataset")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))  # type: ignore[arg-type]

    def _find(self, index: int) -> tuple[int, int]:
        """Which dataset, and the index in it."""
        if index < 0:
            if -index > len(self):
                raise ValueError(f"ConcatDataset: index {index} is out of range for {len(self)} samples")
            index += len(self)
        part = bisect_right(self.cumulative_sizes, index)
        if part == len(self.datasets):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)} samples")
        return part, index - (self.cumulative_sizes[part - 1] if part else 0)

    def __getitem__(self, index: Any) -> T_co:
        part, inner = self._find(index)
        return self.datasets[part][inner]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """Streams one after the other; `stream + other` makes one too. Raises AssertionError for one that is no stream.

    >>> class Count(ag.utils.data.IterableDataset):
    ...     def __iter__(self): return iter(range(2))
    >>> list(Count() + Count())
    [0, 1, 0, 1]
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = datasets

    def _streams(self) -> Iterator[IterableDataset[T_co]]:
        for position, dataset in enumerate(self.datasets):
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(
                    f"ChainDataset: dataset {position} is a {type(dataset).__name__}, no stream; use ConcatDataset"
                )
            yield dataset

    def __iter__(self) -> Iterator[T_co]:
        for stream in self._streams():
            yield from stream

    def __len__(self) -> int:
        return sum(map(len, self._streams()))  # type: ignore[arg-type]


class StackDataset(Dataset[Any]):
    """Datasets side by side: sample `i` is the tuple of their samples `i`, or a dict if they are given by name.

    Raises ValueError for none, for both kinds of argument, or for datasets of different lengths.

    >>> ag.utils.data.StackDataset(image=[1, 2], text="ab")[1]
    {'image': 2, 'text': 'b'}
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if bool(args) == bool(kwargs):
            given = "both kinds" if args else "none"
            raise ValueError(f"StackDataset: expected datasets either by position or by name, got {given}")
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in args or kwargs.values()]  # type: ignore[arg-type]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: the datasets differ in length: {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        named = isinstance(self.datasets, dict)
        columns = [_fetch(dataset, indices) for dataset in (self.datasets.values() if named else self.datasets)]
        rows = list(zip(*columns, strict=True))
        return [dict(zip(self.datasets, row, strict=True)) for row in rows] if named else rows

    def __len__(self) -> int:
        return self._length


def _fetch(dataset: Any, indices: list[int]) -> list[Any]:
    """Several samples, by the dataset's own `__getitems__` where it has one."""
    fetch_many = getattr(dataset, "__getitems__", None)
    if not callable(fetch_many):
        return [dataset[index] for index in indices]
    samples = list(fetch_many(indices))
    if len(samples) != len(indices):
        raise ValueError(
            f"{type(dataset).__name__}.__getitems__ gave {len(samples)} samples for {len(indices)} indices; expected "
            "one for each"
        )
    return samples


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices` (a sequence of ints), in that order.

    >>> ag.utils.data.Subset(ag.utils.data.TensorDataset(ag.arange(10)), [7, 3])[0]
    (tensor(7),)
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[T_co]:
        return _fetch(self.dataset, [self.indices[index] for index in indices])

    def __len__(self) -> int:
        return len(self.indices)


def _counts(n_samples: int, lengths: Sequence[int | float]) -> list[int]:
    """Turn fractions into counts; what rounding down leaves over goes to the parts in turn, first part first."""
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must not be negative, got {list(lengths)}")
    if math.isclose(sum(lengths), 1):
        counts = [math.floor(n_samples * fraction) for fraction in lengths]
        for part in range(n_samples - sum(counts)):
            counts[part % len(counts)] += 1
        return counts
    if any(length != int(length) for length in lengths):
        raise ValueError(f"random_split: fractions must sum to 1, got {list(lengths)} with the sum {sum(lengths)}")
    return [int(length) for length in lengths]


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[int | float], generator: "ag.Generator | None" = None
) -> list[Subset[T_co]]:
    """Split into non-overlapping random `Subset`s of the given lengths.

    `lengths` are counts that sum to `len(dataset)`, or fractions that sum to 1. `generator` makes it repeatable.
    Raises ValueError when they sum to anything else.

    >>> train, rest = ag.utils.data.random_split(range(10), [0.8, 0.2], generator=ag.Generator().manual_seed(0))
    >>> len(train), len(rest)
    (8, 2)
    """
    n_samples = len(dataset)  # type: ignore[arg-type]
    counts = _counts(n_samples, lengths)
    if sum(counts) != n_samples:
        raise ValueError(
            f"random_split: lengths {list(lengths)} sum to {sum(counts)}, but the dataset has {n_samples} samples"
        )
    for part, count in enumerate(counts):
        if count == 0:
            warnings.warn(f"random_split: part {part} of {list(lengths)} is empty", stacklevel=2)
    order = ag.randperm(n_samples, generator=generator, device=draw_device(generator)).tolist()
    ends = [sum(counts[: part + 1]) for part in range(len(counts))]
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]

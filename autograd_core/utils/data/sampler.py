"""Samplers: in which order a `DataLoader` visits a dataset."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import autograd_core as ag

T_co = TypeVar("T_co", covariant=True)


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def draw_device(generator: "ag.Generator | None") -> Any:
    """Where to draw indices: on the generator's device. The host uses them, so the default device does not matter."""
    return "cpu" if generator is None else generator.device


class Sampler(Generic[T_co]):
    """An order of visit. Subclasses define `__iter__`, and `__len__` where the length is known.

    A sampler that draws random numbers can make a `DataLoader` resumable in the middle of an epoch by two more
    methods: `state_dict()` describes the order of the epoch begun last, and after `load_state_dict(state)` the next
    `__iter__` gives that order again, from its start and without drawing from a shared generator.

    >>> class Backwards(ag.utils.data.Sampler):
    ...     def __iter__(self): return iter([2, 1, 0])
    >>> list(Backwards())
    [2, 1, 0]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(self)")


class SequentialSampler(Sampler[int]):
    """0, 1, ..., len(data_source) - 1.

    >>> list(ag.utils.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def order(self) -> "ag.Tensor":
        """All indices of one epoch as an int64 tensor."""
        return ag.arange(len(self.data_source), dtype=ag.int64, device="cpu")

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _DrawingSampler(Sampler[int]):
    """A sampler whose order is drawn at the beginning of an epoch, and can be drawn once more from the same state."""

    def __init__(self, generator: "ag.Generator | None") -> None:
        self.generator = generator
        # State of the generator from which the current epoch's order was drawn, and whether to draw it once more.
        self._drawn_from: Any = None
        self._again = False

    def _draw(self, generator: "ag.Generator") -> "ag.Tensor":
        raise NotImplementedError

    def order(self) -> "ag.Tensor":
        """What a new epoch draws, as an int64 tensor."""
        if self._again:
            self._again = False
            generator = ag.Generator()
            generator.set_state(self._drawn_from)
        elif self.generator is None:
            seed = int(ag.randint(2**63 - 1, (1,), device="cpu").item())
            generator = ag.Generator().manual_seed(seed)
        else:
            generator = self.generator
        self._drawn_from = generator.get_state()
        return self._draw(generator)

    def __iter__(self) -> Iterator[int]:
        yield from self.order().tolist()

    def state_dict(self) -> dict[str, Any]:
        """What the order of the epoch begun last was drawn from (None before the first)."""
        return {"drawn_from": self._drawn_from}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next `__iter__` give the saved epoch's order again; `generator` is left alone."""
        self._drawn_from = state_dict["drawn_from"]
        self._again = self._drawn_from is not None


class RandomSampler(_DrawingSampler):
    """A fresh permutation of the indices each epoch, or, with `replacement`, independent uniform draws.

    `num_samples` (default: the length of `data_source`) is how many indices an epoch has. Numbers come from
    `generator`; without one, each epoch draws a seed from the default generator and permutes by that.
    Raises ValueError unless `num_samples` is a positive integer, TypeError unless `replacement` is a bool.

    >>> sorted(ag.utils.data.RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: "ag.Generator | None" = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement should be a bool, got {replacement!r}")
        super().__init__(generator)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        if not _is_positive_int(self.num_samples):
            raise ValueError(f"RandomSampler: num_samples should be a positive integer, got {self.num_samples!r}")

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _draw(self, generator: "ag.Generator") -> "ag.Tensor":
        size, device = len(self.data_source), draw_device(generator)
        if self.replacement:
            return ag.randint(size, (self.num_samples,), generator=generator, device=device).cpu()
        rounds = -(-self.num_samples // size)
        drawn = [ag.randperm(size, generator=generator, device=device).cpu() for _ in range(rounds)]
        return (drawn[0] if rounds == 1 else ag.cat(drawn))[: self.num_samples]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_DrawingSampler):
    """The given `indices` in a fresh random order each epoch.

    >>> sorted(ag.utils.data.SubsetRandomSampler([2, 5, 7]))
    [2, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: "ag.Generator | None" = None) -> None:
        super().__init__(generator)
        self.indices = indices

    def _draw(self, generator: "ag.Generator") -> "ag.Tensor":
        return ag.randperm(len(self.indices), generator=generator, device=draw_device(generator)).cpu()

    def __iter__(self) -> Iterator[int]:
        for position in self.order().tolist():
            yield self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_DrawingSampler):
    """`num_samples` indices below `len(weights)`, each drawn in proportion to its weight.

    `weights` need not sum to 1. Without `replacement` an index comes once at most.
    Raises ValueError for weights that are not one-dimensional, RuntimeError (at the first draw) for weights that are
    negative, all zero or too few.

    >>> list(ag.utils.data.WeightedRandomSampler([0.0, 1.0, 0.0], 2))
    [1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: "ag.Generator | None" = None,
    ) -> None:
        if not _is_positive_int(num_samples):
            raise ValueError(f"WeightedRandomSampler: num_samples should be a positive integer, got {num_samples!r}")
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler: replacement should be a bool, got {replacement!r}")
        super().__init__(generator)
        self.weights = ag.as_tensor(weights, dtype=ag.float64, device="cpu")
        if self.weights.ndim != 1:
            raise ValueError(
                f"WeightedRandomSampler: weights should be a 1-d sequence, got the shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement

    def _draw(self, generator: "ag.Generator") -> "ag.Tensor":
        weights = self.weights.to(draw_device(generator))
        return ag.multinomial(weights, self.num_samples, self.replacement, generator=generator).cpu()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` consecutive indices of `sampler`; a shorter last one is left out if `drop_last`.

    Raises ValueError unless `batch_size` is a positive integer and `drop_last` a bool.

    >>> list(ag.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not _is_positive_int(batch_size):
            raise ValueError(f"BatchSampler: batch_size should be a positive integer, got {batch_size!r}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"BatchSampler: drop_last should be a bool, got {drop_last!r}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        length = len(self.sampler)  # type: ignore[arg-type]
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

"""`DataLoader`: batches of a dataset, in an order that a checkpoint can continue."""

import hashlib
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from types import GenericAlias
from typing import Any

import autograd_core as ag
from autograd_core.utils.data.collate import default_collate, default_convert
from autograd_core.utils.data.dataset import Dataset, IterableDataset, Subset, TensorDataset
from autograd_core.utils.data.pinning import can_pin, pinned
from autograd_core.utils.data.pool import SupersededError, WorkerPool, context_of
from autograd_core.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from autograd_core.utils.data.worker import Plan, fetch_samples, stream_batches

_Outcome = tuple[Callable[[], Any], int]  # what gives a batch or raises, and a checksum


class DataLoader:
    """Iterate over `dataset` in batches, one epoch per `for` loop.

    Arguments, as in PyTorch: `batch_size` (None: single samples, not batched), `shuffle`, or a `sampler` of indices,
    or a `batch_sampler` of lists of indices; `collate_fn` joins samples (default: `default_collate`); `drop_last`
    leaves out a shorter last batch; `generator` draws the order. `pin_memory` puts batches into page-locked memory,
    from which `to("cuda", non_blocking=True)` copies while the host goes on; without a GPU it warns and does nothing.

    `num_workers` processes fetch and collate batches ahead, `prefetch_factor` (2) each, with the samples and in the
    order that one process would give (`in_order=False`: as they come). They are started for each epoch, or kept if
    `persistent_workers`, by `multiprocessing_context` ("fork", "spawn", "forkserver" or a context). Worker i seeds
    its default generator, `random` and `numpy.random` with a seed of its own, then calls `worker_init_fn(i)`; the
    seeds follow from `generator` (or the default one) and the epoch. Kernels run on one thread there, and what is
    made without `device=` lies on the CPU. An exception of a worker is raised here as the same class, with the
    worker's traceback; a worker that dies, or gives nothing for `timeout` seconds, is a RuntimeError.

    `state_dict()` tells the position in the data; after `load_state_dict()` the next loop gives exactly the rest of
    the interrupted epoch, and later epochs follow as if nothing had happened (`shuffle` without `generator` draws on
    the default generator, whose state is saved by itself). A random sampler of your own needs `state_dict` and
    `load_state_dict` for that (see `Sampler`); that another order came is noticed and raises.

    Raises ValueError for options that exclude each other or make no sense.

    >>> loader = ag.utils.data.DataLoader(ag.utils.data.TensorDataset(ag.arange(5)), batch_size=2)
    >>> [x.tolist() for x, in loader]
    [[0, 1], [2, 3], [4]]
    """

    _initialized = False
    __class_getitem__: Any = classmethod(GenericAlias)  # `DataLoader[Sample]`, as PyTorch's is written in annotations.

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: "ag.Generator | None" = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, multiprocessing_context, prefetch_factor, persistent_workers)
        self.multiprocessing_context = None if multiprocessing_context is None else context_of(multiprocessing_context)
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.in_order = in_order
        self.generator = generator

        is_stream = isinstance(dataset, IterableDataset)
        if is_stream:
            for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None:
                    raise ValueError(f"DataLoader: an IterableDataset has its own order; got {name}={value!r}")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other; the sampler defines the order")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last; it defines them all"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None gives single samples, of which drop_last cannot drop any")

        if sampler is None and not is_stream:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if sampler is not None and batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        single = batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (default_convert if single else default_collate)

        # The position: batches given in the current epoch (None outside of one), and the checksum of their indices.
        self._given: int | None = None
        self._checksum = 0
        self._begun = False  # any epoch at all
        self._resume: dict[str, Any] | None = None  # loaded, and not yet continued
        self._epoch = 0  # how many were begun
        self._pool: WorkerPool | None = None  # if the workers are persistent
        self._working: WorkerPool | None = None  # of the epoch begun last
        self._resume_workers: dict[str, Any] | None = None
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self._initialized and name in fixed:
            raise ValueError(f"DataLoader: {name} cannot be changed after construction; make a new DataLoader")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_batches())
        length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        return _Epoch(self)

    def _begin(self) -> Iterator[_Outcome]:
        """A new epoch, or the rest of one: for each batch what gives it, and the checksum of all indices up to it."""
        resume, self._resume = self._resume, None
        skip, expected = (resume["given"], resume["checksum"]) if resume else (0, 0)
        self._given, self._checksum, self._begun = skip, expected, True
        self._epoch += 1
        collate = self.collate_fn
        if self.num_workers:
            return self._worker_batches(skip, expected)
        if isinstance(self.dataset, IterableDataset):
            stream = stream_batches(self.dataset, self.batch_size, self.drop_last, skip)
            return ((partial(collate, samples), 0) for samples in stream)
        if fast := _RowBatches.of(self):
            return fast.batches(skip)
        fetch = partial(fetch_samples, self.dataset, self.batch_sampler is not None, collate)
        return ((partial(fetch, indices), checksum) for indices, checksum in self._indices(skip, expected))

    def _index_batches(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _indices(self, skip: int, expected: int) -> Iterator[tuple[Any, int]]:
        """The indices of each batch, and the checksum of all up to it; the first `skip` must have been `expected`."""
        index_batches = iter(self._index_batches())
        checksum = 0
        skipped = 0
        for indices in islice(index_batches, skip):
            checksum = zlib.crc32(str(indices).encode(), checksum)
            skipped += 1
        if (skipped, checksum) != (skip, expected):
            raise RuntimeError(
                f"DataLoader: cannot continue after batch {skip}: {type(self._index_source()).__name__} gave other "
                "indices for the batches before it than in the interrupted run. Pass the sampler of that run, and if "
                "it is random, give it state_dict() and load_state_dict() (see autograd_core.utils.data.Sampler)"
            )
        for indices in index_batches:
            checksum = zlib.crc32(str(indices).encode(), checksum)
            yield indices, checksum

    def _worker_batches(self, skip: int, expected: int) -> Iterator[_Outcome]:
        """Batches from worker processes."""
        resume, self._resume_workers = self._resume_workers, None
        pool = self._pool
        if pool is None:
            pool = WorkerPool(
                Plan(
                    self.dataset, self.collate_fn, self.worker_init_fn, self.num_workers,
                    resume["seed"] if resume else self._base_seed(), self.batch_sampler is not None, self.batch_size,
                    self.drop_last, ag.get_default_dtype(),
                ),
                context_of(self.multiprocessing_context), self.prefetch_factor or 2, self.timeout,
            )  # fmt: skip
            if self.persistent_workers:
                self._pool = pool
                weakref.finalize(self, pool.shutdown)
        self._working = pool
        try:
            pool.begin(resume["states"] if resume else None)
            if isinstance(self.dataset, IterableDataset):
                yield from islice(pool.stream(self.in_order), skip, None)
            else:
                yield from pool.samples(self._indices(skip, expected), skip % self.num_workers, self.in_order)
        except (GeneratorExit, SupersededError):
            raise
        except BaseException:
            self._end_workers()  # What went wrong in one epoch should not be met in the next.
            raise
        finally:
            if not self.persistent_workers:
                pool.shutdown()

    def _end_workers(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = self._working = None

    def _base_seed(self) -> int:
        """Worker i is seeded with this + i. No number is drawn: the order is the same with any `num_workers`."""
        state = ag.get_rng_state() if self.generator is None else self.generator.get_state()
        digest = hashlib.blake2b(repr((state.tolist(), self._epoch)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") >> 2

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None, "_working": None}

    def _index_source(self) -> Any:
        """The innermost sampler: the one that decides on the order."""
        source: Any = self._index_batches()
        while type(source) is BatchSampler:
            source = source.sampler
        return source

    def _shape(self) -> dict[str, Any]:
        """What must be the same in the run that continues, for "batch 7" to mean the same."""
        try:
            length = len(self.dataset)
        except TypeError:
            length = None
        return {"length": length, "batch_size": self.batch_size, "drop_last": self.drop_last}

    def state_dict(self) -> dict[str, Any]:
        """Position in the data: how many batches of the current epoch were given, and where its order comes from.

        Called in the body of the loop, the batch at hand counts as given. `ag.save` can store the result.
        """
        pool = self._working
        in_epoch = self._given is not None
        if in_epoch and self.num_workers and not self.in_order:
            raise RuntimeError(
                "DataLoader.state_dict: with in_order=False the batches given so far are no beginning of the epoch; "
                "save between epochs, or use in_order=True"
            )
        source = self._index_source()
        generator = getattr(source, "generator", None)
        position = {
            "given": self._given,
            "checksum": self._checksum if self._given else 0,
            "sampler": source.state_dict() if self._begun and hasattr(source, "state_dict") else None,
            "epoch": self._epoch,
            "num_workers": self.num_workers,
            "workers": pool.state_dict() if pool is not None and (in_epoch or self.persistent_workers) else None,
        }
        if self._resume is not None:
            position = {name: self._resume.get(name) for name in position}
        return {**self._shape(), **position, "generator": None if generator is None else generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at a position from `state_dict()`: the next loop gives the rest of that epoch.

        Raises ValueError if the dataset's length, the batch size or `drop_last` differ from the interrupted run's
        (of an IterableDataset `num_workers` too), KeyError if `state_dict` is no position of a loader.
        """
        for name, now in self._shape().items():
            if name not in state_dict:
                raise KeyError(f"DataLoader.load_state_dict: no {name!r} in the state; is it another object's?")
            if state_dict[name] != now:
                raise ValueError(
                    f"DataLoader.load_state_dict: the interrupted run had {name}={state_dict[name]}, this one has "
                    f"{name}={now}; its position means nothing here. Use the same dataset and options to continue"
                )
        workers = state_dict.get("num_workers", 0)
        if isinstance(self.dataset, IterableDataset) and workers != self.num_workers:
            raise ValueError(
                f"DataLoader.load_state_dict: the interrupted run had num_workers={workers}, this one has "
                f"{self.num_workers}; each reads a part of the stream, so the number must be the same to continue"
            )
        source = self._index_source()
        if state_dict["generator"] is not None:
            if getattr(source, "generator", None) is None:
                raise ValueError(
                    "DataLoader.load_state_dict: the interrupted run drew its order from a generator; pass generator="
                )
            source.generator.set_state(state_dict["generator"])
        if state_dict["sampler"] is not None:
            if not hasattr(source, "load_state_dict"):
                raise ValueError(
                    f"DataLoader.load_state_dict: the interrupted run's order was random, {type(source).__name__} has "
                    "none to restore; use the same shuffle or sampler to continue"
                )
            source.load_state_dict(state_dict["sampler"])
            if state_dict["given"] is None:  # that epoch is over: the sampler goes through it to come to the next
                deque(source, maxlen=0)
        self._end_workers()
        in_epoch = state_dict["given"] is not None
        self._given = None
        self._begun = state_dict["sampler"] is not None
        self._epoch = state_dict.get("epoch", 0) - in_epoch
        self._resume = dict(state_dict) if in_epoch else None
        # The workers' generators mean something to as many workers only.
        self._resume_workers = state_dict.get("workers") if workers == self.num_workers else None


class _Epoch(Iterator[Any]):
    """One pass over a loader. As in PyTorch, a batch that raises is one batch less: a further call gives the next."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self._outcomes: Iterator[_Outcome] | None = None
        self._error = ""
        self._pins = loader.pin_memory and can_pin()

    def __next__(self) -> Any:
        loader = self._loader
        if self._error:
            raise RuntimeError(f"DataLoader: this loop has ended by an error, begin another one. It was {self._error}")
        if self._outcomes is None:
            self._outcomes = loader._begin()
        try:
            outcome, checksum = next(self._outcomes)
        except StopIteration:
            loader._given = None
            raise
        except Exception as error:  # Of a sampler, or a worker that died: there are no further batches.
            self._error = repr(error)  # Not itself: with its traceback it would keep loader and workers alive.
            raise
        loader._given, loader._checksum = (loader._given or 0) + 1, checksum
        try:
            batch = outcome()
            return pinned(batch) if self._pins else batch
        except StopIteration as error:
            raise RuntimeError("DataLoader: the dataset or collate_fn raised StopIteration") from error

    def __len__(self) -> int:
        return len(self._loader)


class _RowBatches:
    """Batches of a TensorDataset (or Subsets of one), each taken from the tensors by one indexing call.

    The result is that of fetching samples and stacking them; only the cost per sample is gone.
    """

    def __init__(self, tensors: tuple["ag.Tensor", ...], rows: "ag.Tensor", size: int, drop_last: bool) -> None:
        self._tensors = tensors
        self._rows = {tensor.device: rows.to(tensor.device) for tensor in tensors}
        self._size = size
        self._end = len(rows) - len(rows) % size if drop_last else len(rows)

    @classmethod
    def of(cls, loader: DataLoader) -> "_RowBatches | None":
        """The fast way for `loader`, or None where a user's own class could tell the difference."""
        batch_sampler = loader.batch_sampler
        if loader.collate_fn is not default_collate or type(batch_sampler) is not BatchSampler:
            return None
        source = batch_sampler.sampler
        if type(source) is not SequentialSampler and type(source) is not RandomSampler:
            return None
        subsets: list[Any] = []
        dataset: Dataset[Any] = loader.dataset
        while type(dataset) is Subset:
            subsets.append(dataset.indices)
            dataset = dataset.dataset
        if type(dataset) is not TensorDataset:
            return None
        rows = source.order()
        for indices in subsets:
            if not isinstance(indices, ag.Tensor):
                indices = ag.tensor(list(indices), dtype=ag.int64)
            rows = indices.cpu()[rows]
        return cls(dataset.tensors, rows, batch_sampler.batch_size, batch_sampler.drop_last)

    def batches(self, skip: int) -> Iterator[_Outcome]:
        return ((partial(self._batch, start), 0) for start in range(skip * self._size, self._end, self._size))

    def _batch(self, start: int) -> list["ag.Tensor"]:
        rows = {device: rows[start : start + self._size] for device, rows in self._rows.items()}
        return [tensor[rows[tensor.device]] for tensor in self._tensors]


def _check_workers(
    num_workers: int, timeout: float, context: Any, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(f"DataLoader: num_workers must not be negative, got {num_workers}")
    if timeout < 0:
        raise ValueError(f"DataLoader: timeout must not be negative, got {timeout}")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"DataLoader: prefetch_factor must be at least 1, got {prefetch_factor}")
    if num_workers > 0:
        return
    if timeout > 0:
        raise AssertionError(f"DataLoader: timeout={timeout} needs num_workers > 0")
    for name, given in (
        ("multiprocessing_context", context is not None),
        ("prefetch_factor", prefetch_factor is not None),
        ("persistent_workers", persistent_workers),
    ):
        if given:
            raise ValueError(f"DataLoader: {name} needs num_workers > 0")

"""What runs in a worker process of a `DataLoader`, and what is known there: `get_worker_info()`.

Batches travel through one pipe a worker, pickled. For batches of 128x1x28x28 float32 that took 0.3 ms each, against
0.7 ms through `multiprocessing.shared_memory`; and a killed worker leaves nothing behind in /dev/shm.
"""

import io
import os
import pickle
import random
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core.pickling import reduce_alone
from autograd_core.utils.data.dataset import IterableDataset

_LOOK_FOR_PARENT = 5.0  # seconds


@dataclass(frozen=True)
class WorkerInfo:
    """A worker process: its number `id` of `num_workers`, its `seed`, and its own copy of the `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The `WorkerInfo` of this process, with `id`, `num_workers`, `seed` and `dataset`; None outside of a worker.

    An IterableDataset uses it to yield only its worker's share.

    >>> print(ag.utils.data.get_worker_info())
    None
    """
    return _worker_info


def fetch_samples(dataset: Any, batched: bool, collate: Callable[[Any], Any], indices: Any) -> Any:
    """One batch of a dataset with indices; one sample if not `batched`."""
    if not batched:
        return collate(dataset[indices])
    fetch_many = getattr(dataset, "__getitems__", None)
    return collate(fetch_many(indices) if callable(fetch_many) else [dataset[index] for index in indices])


def stream_batches(dataset: Any, size: int | None, drop_last: bool, skip: int = 0) -> Iterator[Any]:
    """Lists of `size` samples of an IterableDataset, or samples. The first `skip` are read and dropped."""
    samples = iter(dataset)
    for _ in islice(samples, skip * (size or 1)):
        pass
    if size is None:
        yield from samples
        return
    while batch := list(islice(samples, size)):
        if len(batch) < size and drop_last:
            return
        yield batch


class Failure:
    """An exception of a worker on its way to the parent: its class, where that can be pickled, and its traceback."""

    def __init__(self, error: BaseException, worker: int) -> None:
        self.name = type(error).__qualname__
        self.text = "".join(traceback.format_exception(error))
        self.worker, self.pid = worker, os.getpid()
        try:
            self.kind = pickle.dumps(type(error))
        except Exception:  # Local to a function, say: the parent cannot know it.
            self.kind = b""

    def rebuild(self) -> BaseException:
        """An exception of the same class with the worker's traceback as its message; else a RuntimeError."""
        message = _Text(
            f"{self.name} in DataLoader worker {self.worker} (process {self.pid}). Its traceback:\n\n{self.text}"
        )
        try:
            error = pickle.loads(self.kind)(message)
            if not isinstance(error, Exception):
                return RuntimeError(message)
        except Exception:
            return RuntimeError(message)
        if self.text not in str(error):
            error.add_note(message)
        return error


class _Text(str):
    """Shown as it is also where `repr` is asked for, as KeyError does."""

    __slots__ = ()
    __repr__ = str.__str__


class _BatchPickler(pickle.Pickler):
    """Pickles of a tensor its own elements only, where a plain pickle keeps the whole memory that a view belongs to."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, ag.Tensor):
            return reduce_alone(obj)
        return NotImplemented


def pack(value: Any) -> bytes:
    buffer = io.BytesIO()
    _BatchPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


@dataclass(frozen=True)
class Plan:
    """What a worker needs to know, the same for all of a loader."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    worker_init_fn: Callable[[int], None] | None
    num_workers: int
    base_seed: int
    batched: bool
    batch_size: int | None
    drop_last: bool
    default_dtype: Any


def run_worker(plan: Plan, worker: int, tasks: Any, results: Any, parents_ends: tuple[Any, ...]) -> None:
    """The life of a worker: tasks in, batches out, until told to stop or the parent is gone.

    A task is ("epoch", generator state or None), or ("fetch", indices), or None to stop. An answer is
    (kind, value, state of the default generator after it), kind being "epoch", "batch", "end" or "error".
    """
    for end in parents_ends:  # Inherited by fork: while this process held them, it could not see its parent end.
        end.close()
    # Ctrl-C reaches the whole group of processes; it is for the parent to end its workers. And whatever the
    # parent does at SIGTERM is not for its copies to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    stopping = threading.Event()
    inbox: SimpleQueue[bytes] = SimpleQueue()
    outbox: SimpleQueue[bytes] = SimpleQueue()
    # Both directions have a thread of their own: neither side ever waits for the other to read.
    threading.Thread(target=_listen, args=(tasks, inbox, stopping), daemon=True).start()
    threading.Thread(target=_speak, args=(results, outbox), daemon=True).start()

    broken: Exception | None = None
    source = _Source(plan)
    try:
        _prepare(plan, worker)
    except Exception as error:
        broken = error
    while True:
        task = inbox.get()
        if stopping.is_set():
            return
        try:
            if broken is not None:
                raise broken
            kind, value = source.answer(*pickle.loads(task))
            answer = pack((kind, value, _state()))
        except Exception as error:
            answer = pickle.dumps(("error", Failure(error, worker), _state()))
        outbox.put(answer)


class _Source:
    """Answers tasks."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._batches: Iterator[Any] = iter(())  # of a stream

    def answer(self, action: str, value: Any) -> tuple[str, Any]:
        plan = self._plan
        is_stream = isinstance(plan.dataset, IterableDataset)
        if action == "epoch":
            if value is not None:
                ag.set_rng_state(ag.tensor(value, dtype=ag.int64))
            if is_stream:
                self._batches = stream_batches(plan.dataset, plan.batch_size, plan.drop_last)
            return "epoch", None
        if not is_stream:
            return "batch", fetch_samples(plan.dataset, plan.batched, plan.collate_fn, value)
        for samples in self._batches:
            return "batch", plan.collate_fn(samples)
        return "end", None


def _prepare(plan: Plan, worker: int) -> None:
    """Seeds, threads and defaults of this process, then the user's `worker_init_fn`."""
    global _worker_info
    from autograd_core.backends.cpu import threads

    # The workers share the cores; and a copy made by fork must leave its parent's thread pool alone.
    threads.set_num_threads(1)
    # A GPU does not survive a fork, and is not for workers to touch: what they make lies in host memory.
    ag.devices._default.current = None
    ag.set_default_device("cpu")
    for backend in [backend for backend in ag.random._defaults if backend.name == "cuda"]:
        del ag.random._defaults[backend]
    ag.set_default_dtype(plan.default_dtype)
    seed = plan.base_seed + worker
    ag.manual_seed(seed)
    random.seed(seed)
    np.random.seed(np.random.SeedSequence([plan.base_seed, worker]).generate_state(4))
    _worker_info = WorkerInfo(worker, plan.num_workers, seed, plan.dataset)
    if plan.worker_init_fn is not None:
        plan.worker_init_fn(worker)


def _state() -> list[int]:
    return ag.get_rng_state().tolist()


def _listen(tasks: Any, inbox: "SimpleQueue[bytes]", stopping: threading.Event) -> None:
    """Pass tasks on; end the process when the parent has ended, by whatever cause."""
    parent = os.getppid()
    try:
        while True:
            while not tasks.poll(_LOOK_FOR_PARENT):
                if os.getppid() != parent:
                    os._exit(1)
            task = tasks.recv_bytes()
            if not task:
                stopping.set()
            inbox.put(task)
    except (EOFError, OSError):
        os._exit(1)


def _speak(results: Any, outbox: "SimpleQueue[bytes]") -> None:
    try:
        while True:
            results.send_bytes(outbox.get())
    except OSError:
        os._exit(1)

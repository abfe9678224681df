"""The worker processes of a `DataLoader`, seen from the parent."""

import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import connection
from typing import Any

from autograd_core.utils.data.worker import Plan, pack, run_worker

_PATIENCE = 5.0  # seconds for a worker to finish the sample at hand, before it is terminated

_Outcome = tuple[Callable[[], Any], Any]


class SupersededError(RuntimeError):
    """A loop over persistent workers goes on after another one has begun."""


class WorkerPool:
    """Processes that fetch batches. Whatever happens to one of them is an error here, never a wait without end.

    `states` holds, for each worker, the state of its default random generator after its last batch that was given
    out (of a stream: before the first of the epoch that runs), so that an interrupted run can continue it.
    """

    def __init__(self, plan: Plan, context: Any, prefetch_factor: int, timeout: float) -> None:
        self.plan = plan
        self.states: list[list[int]] = []
        self.epoch = 0
        self._context = context
        self._prefetch = prefetch_factor
        self._timeout = timeout
        self._owner = os.getpid()
        self._open = True
        self._processes: list[Any] = []
        self._tasks: list[Any] = []
        self._results: list[Any] = []
        # What was asked of each worker and not yet answered.
        self._asked: list[deque[Any]] = [deque() for _ in range(plan.num_workers)]
        try:
            for worker in range(plan.num_workers):
                self._start(worker)
        except BaseException:
            self.shutdown()
            raise

    def _start(self, worker: int) -> None:
        context = self._context
        task_reader, task_writer = context.Pipe(duplex=False)
        result_reader, result_writer = context.Pipe(duplex=False)
        self._tasks.append(task_writer)
        self._results.append(result_reader)
        inherited = (*self._tasks, *self._results) if context.get_start_method() == "fork" else ()
        process = context.Process(
            target=run_worker,
            args=(self.plan, worker, task_reader, result_writer, inherited),
            name=f"DataLoader worker {worker}",
            daemon=True,
        )
        try:
            process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise pickle.PicklingError(
                f"DataLoader: a new process ({context.get_start_method()}) gets dataset, collate_fn and worker_init_fn "
                f"by pickle, and one of them cannot be pickled: {error}. Lambdas and functions or classes inside "
                'functions cannot: define them at the top of a module, or use multiprocessing_context="fork"'
            ) from error
        finally:
            # The worker alone may hold these ends: that is how its end is seen on the other one.
            task_reader.close()
            result_writer.close()
        self._processes.append(process)

    # -- an epoch ---------------------------------------------------------------------------------------

    def begin(self, states: list[list[int]] | None) -> None:
        """Begin an epoch, with the workers' random generators in `states` where an interrupted run is continued."""
        self.epoch += 1
        for worker, asked in enumerate(self._asked):  # What is left of an epoch that was abandoned.
            while asked:
                self._answer(worker)
        for worker in range(self.plan.num_workers):
            self._send(worker, ("epoch", None if states is None else states[worker]), None)
        answers = [self._answer(worker) for worker in range(self.plan.num_workers)]
        for kind, value, _, _ in answers:
            _give(kind, value)
        self.states = [state for _, _, state, _ in answers]

    def samples(self, work: Iterator[tuple[Any, int]], first: int, in_order: bool) -> Iterator[_Outcome]:
        """What gives the batches for `work`, pairs of indices and a tag that comes back; worker `first` begins."""
        epoch, workers = self.epoch, self.plan.num_workers
        order: deque[int] = deque()
        turn = first

        def ask(worker: int) -> bool:
            for indices, tag in work:
                self._send(worker, ("fetch", indices), tag)
                order.append(worker)
                return True
            return False

        for _ in range(self._prefetch * workers):
            if not ask(turn):
                break
            turn = (turn + 1) % workers
        while order:
            worker = order.popleft() if in_order else self._whoever_is_first(order)
            kind, value, state, tag = self._answer(worker)
            if ask(turn if in_order else worker):
                turn = (turn + 1) % workers
            self.states[worker] = state
            yield partial(_give, kind, value), tag
            self._check_epoch(epoch)

    def stream(self, in_order: bool) -> Iterator[_Outcome]:
        """What gives the batches of an IterableDataset: the workers take turns, until each is at its end."""
        epoch = self.epoch
        order: deque[int] = deque()
        for _ in range(self._prefetch):
            for worker in range(self.plan.num_workers):
                self._send(worker, ("fetch", None), 0)
                order.append(worker)
        ended: dict[int, list[int]] = {}
        while order:
            worker = order.popleft() if in_order else self._whoever_is_first(order)
            kind, value, state, _ = self._answer(worker)
            if kind == "end":
                ended[worker] = state
                continue
            if worker not in ended:
                self._send(worker, ("fetch", None), 0)
                order.append(worker)
            yield partial(_give, kind, value), 0
            self._check_epoch(epoch)
        self.states = [ended[worker] for worker in range(self.plan.num_workers)]

    def _whoever_is_first(self, order: deque[int]) -> int:
        ready = self._wait([self._results[worker] for worker in set(order)], "a worker")
        worker = next(worker for worker in order if self._results[worker] in ready)
        order.remove(worker)
        return worker

    def _check_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise SupersededError(
                "DataLoader: another loop has begun over this loader, whose persistent workers serve one at a time; "
                "finish one loop before the next, or use persistent_workers=False"
            )

    def state_dict(self) -> dict[str, Any]:
        """The seeds and the states of the workers' generators, to continue them by."""
        return {"seed": self.plan.base_seed, "states": [list(state) for state in self.states]}

    # -- messages ---------------------------------------------------------------------------------------

    def _send(self, worker: int, task: Any, tag: Any) -> None:
        try:
            self._tasks[worker].send_bytes(pack(task))
        except OSError:
            raise self._death(worker) from None
        self._asked[worker].append(tag)

    def _answer(self, worker: int) -> tuple[str, Any, list[int], Any]:
        """The next answer of a worker: kind, value, state of its generator, and the tag of the task."""
        reader = self._results[worker]
        if not reader.poll():
            self._wait([reader], f"worker {worker}")
        try:
            kind, value, state = pickle.loads(reader.recv_bytes())
        except (EOFError, OSError):
            raise self._death(worker) from None
        return kind, value, state, self._asked[worker].popleft()

    def _wait(self, readers: list[Any], whom: str) -> list[Any]:
        """Those of `readers` with an answer; an error if a worker ends instead, or the time is up."""
        sentinels = {process.sentinel: worker for worker, process in enumerate(self._processes)}
        ready = connection.wait([*readers, *sentinels], self._timeout or None)
        found = [reader for reader in readers if reader in ready]
        if not ready:
            raise RuntimeError(f"DataLoader timed out: {whom} gave no batch within timeout={self._timeout} seconds")
        if not found:
            raise self._death(next(sentinels[sentinel] for sentinel in ready if sentinel in sentinels))
        return found

    def _death(self, worker: int) -> RuntimeError:
        process = self._processes[worker]
        process.join(1.0)  # The pipe may close a moment before the process is gone.
        code = process.exitcode
        text = f"DataLoader worker {worker} (process {process.pid}) "
        if code is not None and code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            text += f"was killed by signal {name} (exit code {code})"
            if name == "SIGKILL":
                text += "; the system does that when memory runs out: try fewer workers or smaller batches"
        else:
            text += f"ended unexpectedly with exit code {code}; what it printed last may tell why"
            if self._context.get_start_method() != "fork":
                text += (
                    '. A script that uses worker processes must start under `if __name__ == "__main__":`, since each '
                    "new process imports it"
                )
        return RuntimeError(text)

    # -- the end ----------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """End the workers; in a process that only inherited them, do nothing."""
        if not self._open or os.getpid() != self._owner:
            return
        self._open = False
        for writer in self._tasks:
            try:
                writer.send_bytes(b"")
            except OSError:
                pass
        deadline = time.monotonic() + _PATIENCE
        for end in (lambda process: None, lambda process: process.terminate(), lambda process: process.kill()):
            for process in self._processes:
                end(process)
                process.join(max(0.0, deadline - time.monotonic()))
            deadline = time.monotonic() + 1.0
        for pipe in (*self._tasks, *self._results):
            pipe.close()


def _give(kind: str, value: Any) -> Any:
    """The value of an answer; an exception of the worker is raised."""
    if kind == "error":
        raise value.rebuild()
    return value


def context_of(choice: Any) -> Any:
    """The multiprocessing context that `choice` names: None (the system's default), a start method or a context.

    Raises ValueError for a start method that this system lacks, TypeError for anything else.
    """
    if choice is None:
        return multiprocessing.get_context()
    if isinstance(choice, str):
        methods = multiprocessing.get_all_start_methods()
        if choice not in methods:
            raise ValueError(f"DataLoader: multiprocessing_context should be one of {methods}, got {choice!r}")
        return multiprocessing.get_context(choice)
    if not isinstance(choice, multiprocessing.context.BaseContext):
        raise TypeError(f"DataLoader: multiprocessing_context should be a start method or a context, got {choice!r}")
    return choice

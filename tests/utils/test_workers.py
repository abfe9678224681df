"""Worker processes of the DataLoader: the real thing, by fork and by spawn."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from worker_datasets import (
    Drawing,
    Draws,
    Failing,
    Heavy,
    Mixed,
    Odd,
    Pids,
    Share,
    Unequal,
    as_list,
    fail_at_two,
    fail_to_start,
    heavy,
    outputs,
    seed_everything_alike,
)

import autograd_core as ag
from autograd_core import nn
from autograd_core.utils.data import (
    ChainDataset,
    DataLoader,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

METHODS = [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]
both = pytest.mark.parametrize("method", METHODS)
both_of_them_slowly = pytest.mark.parametrize(
    "method", [*METHODS[:1], *(pytest.param(method, marks=pytest.mark.slow) for method in METHODS[1:])]
)
# The quicker one, where it makes no difference.
METHOD = METHODS[0]
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")


def plain(value):
    if isinstance(value, ag.Tensor):
        return str(value.dtype), value.tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [type(value).__name__, *map(plain, value)] if isinstance(value, tuple | list) else value


def alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if os.path.exists("/proc") else True


def all_gone(pids, within=10.0):
    end = time.monotonic() + within
    while any(map(alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# ---- the same batches

SAME = {
    "in order": lambda w: DataLoader(Mixed(), 4, **w),
    "shuffled": lambda w: DataLoader(Mixed(), 4, shuffle=True, drop_last=True, **w),
    "by a generator": lambda w: DataLoader(Mixed(), 4, shuffle=True, generator=ag.Generator().manual_seed(3), **w),
    "weighted": lambda w: DataLoader(Mixed(), 4, sampler=WeightedRandomSampler([1.0] * 23, 9), **w),
    "subset": lambda w: DataLoader(Mixed(), 4, sampler=SubsetRandomSampler([3, 1, 7, 9, 11]), **w),
    "batches given": lambda w: DataLoader(Mixed(), batch_sampler=[[1, 2], [5], [7, 3, 2]], **w),
    "single samples": lambda w: DataLoader(Mixed(5), batch_size=None, **w),
    "own collate": lambda w: DataLoader(Mixed(5), 2, collate_fn=as_list, **w),
    "tensors": lambda w: DataLoader(TensorDataset(ag.arange(10, device="cpu")), 3, shuffle=True, **w),
    "empty": lambda w: DataLoader([], 2, **w),
}


def two_epochs(name, **workers):
    ag.manual_seed(7)
    loader = SAME[name](workers)
    return [plain(batch) for _ in range(2) for batch in loader]


@pytest.mark.parametrize("name", SAME)
def test_the_batches_are_those_of_one_process(name):
    assert two_epochs(name, num_workers=2, multiprocessing_context=METHOD) == two_epochs(name)


def test_so_they_are_in_spawned_workers_and_with_other_options():
    ag.set_default_dtype(ag.float64)
    expected = two_epochs("shuffled")
    assert expected[0]["default"][0] == "ag.float64"
    for options in (
        {"num_workers": 2, "multiprocessing_context": "spawn", "persistent_workers": True},
        {"num_workers": 3, "prefetch_factor": 1, "multiprocessing_context": multiprocessing.get_context(METHOD)},
        {"num_workers": 1, "prefetch_factor": 50},
    ):
        assert two_epochs("shuffled", **options) == expected


def test_a_stream_is_shared_by_its_workers():
    def numbers(dataset, **options):
        loader = DataLoader(dataset, multiprocessing_context=METHOD, **options)
        return [batch[0].tolist() if isinstance(batch, list) else batch.tolist() for batch in loader]

    found = numbers(Share(), batch_size=3, num_workers=3)
    assert found == [[0, 3, 6], [1, 4, 7], [2, 5, 8], [9, 12, 15], [10, 13, 16], [11, 14, 17], [18], [19]]
    assert numbers(Share(), batch_size=3, num_workers=3, prefetch_factor=5) == found
    assert numbers(Share(), batch_size=3, num_workers=3, drop_last=True) == found[:6]
    assert numbers(Unequal(), batch_size=1, num_workers=3) == [[0], [1], [2], [1], [2], [2]]
    assert [x for x, _ in DataLoader(Share(4), batch_size=None, num_workers=2)] == [0, 1, 2, 3]


def test_batches_lie_on_the_cpu_and_may_be_changed():
    for batch in DataLoader(Mixed(4), 2, num_workers=1, multiprocessing_context=METHOD):
        for tensor in (batch["image"], batch["view"], batch["array"], batch["pair"].x):
            assert tensor.device == ag.device("cpu")
            tensor.add_(1)


def test_out_of_order_on_demand():
    loader = DataLoader(Mixed(), 4, num_workers=2, in_order=False, multiprocessing_context=METHOD)
    batches = [batch["pair"].x.tolist() for batch in loader]
    assert sorted(index for batch in batches for index in batch) == list(range(23))
    iterator = iter(loader)
    next(iterator)
    with pytest.raises(RuntimeError, match="in_order=False.*save between epochs"):
        loader.state_dict()


def test_no_more_is_fetched_ahead_than_asked():
    drawn = []

    class Counting(RandomSampler):
        def __iter__(self):
            for index in super().__iter__():
                drawn.append(index)
                yield index

    data = Mixed()
    loader = DataLoader(
        data, 1, sampler=Counting(data), num_workers=2, prefetch_factor=3, multiprocessing_context=METHOD
    )
    iterator = iter(loader)
    next(iterator)
    assert len(drawn) == 2 * 3 + 1


# ---- seeds


def seeds_of(method=METHOD, epochs=2, **options):
    ag.manual_seed(11)
    loader = DataLoader(Draws(), 3, num_workers=2, multiprocessing_context=method, **options)
    return [[plain(batch) for batch in loader] for _ in range(epochs)]


def test_each_worker_and_epoch_has_its_own_seed_and_all_follow_from_manual_seed():
    first, second = seeds_of()
    assert first == seeds_of("spawn", epochs=1)[0]
    assert first != second
    infos = set()
    for batch in first:
        (_, (_, ids), (_, counts), (_, seeds), (_, initial)), (_, same) = batch[1], batch[5]
        assert counts == [2, 2, 2] and seeds == initial and all(same)
        infos |= set(zip(ids, seeds))
    assert len(infos) == 2 and {worker for worker, _ in infos} == {0, 1}
    assert len({seed - worker for worker, seed in infos}) == 1
    for generator in (2, 3, 4):  # random, numpy.random, ours: no number comes twice.
        numbers = [number for batch in first for number in batch[generator][1]]
        assert len(set(numbers)) == 24
    assert get_worker_info() is None


def test_worker_init_fn_has_the_last_word():
    first, second = seeds_of(worker_init_fn=seed_everything_alike)
    assert first[0][2:] == first[1][2:] == second[0][2:]
    assert first[0][1][4] == ("ag.int64", [12345] * 3)


# ---- errors


@both
def test_an_exception_comes_back_with_its_class_and_traceback(method):
    def caught(how, kind, **options):
        loader = DataLoader(Failing(how), 2, num_workers=2, multiprocessing_context=method, **options)
        with pytest.raises(kind) as error:
            list(loader)
        return error

    error = caught("key", KeyError)
    assert error.type is KeyError and 'return {"a": 1}["no such key"]' in str(error.value)
    assert "DataLoader worker 0" in str(error.value) and "\\n" not in str(error.value)
    if method == "spawn":
        return
    assert "bad value" in str(caught("value", ValueError).value)
    error = caught("odd", RuntimeError)
    assert "Odd in DataLoader worker 0" in str(error.value) and "one" in str(error.value) and Odd.__name__ == "Odd"
    assert "Local in DataLoader worker" in str(caught("local", RuntimeError).value)
    assert "lambda" in str(caught("unpicklable", Exception, collate_fn=as_list).value)
    error = caught("value", RuntimeError, worker_init_fn=fail_to_start)
    assert "worker 0 cannot start" in str(error.value)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_batch_that_fails_is_one_batch_less(workers):
    def rest(loader, kind, first):
        iterator = iter(loader)
        assert [next(iterator).tolist() for _ in range(len(first))] == first
        with pytest.raises(kind):
            next(iterator)
        return [batch.tolist() for batch in iterator]

    options = {"num_workers": workers, "multiprocessing_context": METHOD if workers else None}
    loader = DataLoader(Failing("value"), 2, **options)
    assert rest(loader, ValueError, [[0, 1], [2, 3]]) == [[6, 7], [8, 9], [10, 11]]
    iterator = iter(loader)
    next(iterator), next(iterator)
    with pytest.raises(ValueError):
        next(iterator)
    again = DataLoader(Failing("value"), 2, **options)
    again.load_state_dict(loader.state_dict())
    assert [batch.tolist() for batch in again] == [[6, 7], [8, 9], [10, 11]]
    if workers < 2:  # (Each of two workers would read the whole stream.)
        loader = DataLoader(ChainDataset([Share(6)]), 2, collate_fn=fail_at_two, **options)
        assert rest(loader, ValueError, [[0, 1]]) == [[4, 5]]


def test_after_a_death_the_loop_stays_dead():
    iterator = iter(DataLoader(Failing("exit"), 2, num_workers=1, multiprocessing_context=METHOD))
    with pytest.raises(RuntimeError, match="exit code 3"):
        list(iterator)  # What the worker had not sent yet when it left is lost with it.
    for _ in range(2):
        with pytest.raises(RuntimeError, match="exit code 3"):
            next(iterator)


@both_of_them_slowly
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", r"worker 0 \(process \d+\) ended unexpectedly with exit code 3"),
        ("kill", r"worker 0 \(process \d+\) was killed by signal SIGKILL \(exit code -9\)"),
    ],
)
def test_a_worker_that_dies_is_an_error(how, message, method):
    loader = DataLoader(Failing(how), 2, num_workers=2, multiprocessing_context=method)
    with pytest.raises(RuntimeError, match=message):
        list(loader)


def test_a_worker_killed_from_outside_is_an_error_and_the_next_epoch_is_whole():
    loader = DataLoader(Pids(40, 0.01), 2, num_workers=2, persistent_workers=True, multiprocessing_context=METHOD)
    pids = set()
    with pytest.raises(RuntimeError, match="killed by signal SIGKILL.*memory"):
        for _, pid in loader:
            pids |= set(pid.tolist())
            if len(pids) == 2:
                os.kill(max(pids), signal.SIGKILL)
    assert all_gone(pids)
    assert sum(len(index) for index, _ in loader) == 40


def test_a_worker_that_hangs_is_an_error_after_the_timeout(monkeypatch):
    from autograd_core.utils.data import pool

    monkeypatch.setattr(pool, "_PATIENCE", 0.1)
    loader = DataLoader(Failing("sleep"), 2, num_workers=2, timeout=0.3, multiprocessing_context=METHOD)
    with pytest.raises(RuntimeError, match=r"timed out: worker 0 gave no batch within timeout=0.3 seconds"):
        list(loader)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "fork"])
def test_what_cannot_be_pickled_is_named(method):
    import pickle

    for dataset, options in ((Mixed(), {"collate_fn": lambda x: x}), ([lambda: 0], {})):
        with pytest.raises(pickle.PicklingError, match=f"{method}.*lambda.*top of a module"):
            list(DataLoader(dataset, num_workers=1, multiprocessing_context=method, **options))
    if METHOD == "fork":  # Where nothing is pickled.
        assert (
            len(list(DataLoader(Mixed(), num_workers=1, multiprocessing_context="fork", collate_fn=lambda x: x))) == 23
        )


# ---- the life of the processes


@both_of_them_slowly
def test_persistent_workers_stay_and_others_do_not(method):
    def pids(loader):
        return {pid for _, batch in loader for pid in batch.tolist()}

    loader = DataLoader(Pids(), 4, num_workers=2, persistent_workers=True, multiprocessing_context=method)
    first = pids(loader)
    assert len(first) == 2 and pids(loader) == first and all(map(alive, first))
    next(iter(loader))  # A loop that is left early.
    assert pids(loader) == first
    one = iter(loader)
    next(one)
    two = iter(loader)
    next(two)
    with pytest.raises(RuntimeError, match="another loop has begun"):
        next(one)
    assert len(list(two)) == 9
    del loader, one, two
    assert all_gone(first)
    if method == METHOD:
        loader = DataLoader(Pids(), 4, num_workers=2, multiprocessing_context=method)
        first = pids(loader)
        assert all_gone(first) and not first & pids(loader)


@both_of_them_slowly
def test_an_abandoned_iterator_ends_its_workers(method):
    iterator = iter(DataLoader(Pids(1000, 0.001), 2, num_workers=2, multiprocessing_context=method))
    pids = {int(next(iterator)[1][0]) for _ in range(4)}
    assert len(pids) == 2 and all(map(alive, pids))
    del iterator
    assert all_gone(pids)


SCRIPT = """
import os, signal, sys, threading, time
from worker_datasets import Pids
from autograd_core.utils.data import DataLoader
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # What a shell runs in the background ignores it.
    how, method = sys.argv[1:]
    loader = DataLoader(Pids(100000, 0.001), 2, num_workers=2, multiprocessing_context=method)
    kept = DataLoader(Pids(), 2, num_workers=1, multiprocessing_context=method, persistent_workers=True)
    pids = {int(pid) for _, batch in kept for pid in batch}
    iterator = iter(loader)
    while len(pids) < 3:
        pids.add(int(next(iterator)[1][0]))
    print(*pids, flush=True)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "Ctrl-C":
        threading.Timer(0.2, os.killpg, (0, signal.SIGINT)).start()
        for batch in iterator:
            pass
"""


@pytest.mark.skipif(os.name != "posix", reason="process groups and signals of POSIX")
@both_of_them_slowly
@pytest.mark.parametrize(("how", "code"), [("end", 0), ("Ctrl-C", -signal.SIGINT), ("killed", -signal.SIGKILL)])
def test_no_orphans(how, code, method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, script, how, method],
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{Path(__file__).parent}"},
        capture_output=True, text=True, timeout=60, start_new_session=True,
    )  # fmt: skip
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 3 and done.returncode == code, done.stderr
    assert all_gone(pids, 15)
    assert done.stderr == "" or how == "Ctrl-C" and done.stderr.rstrip().endswith("KeyboardInterrupt"), done.stderr
    left = set(os.listdir("/dev/shm")) - before if os.path.isdir("/dev/shm") else set()
    assert not [name for name in left if "psm_" in name or "mp-" in name]


@pytest.mark.host("the kernels in question are the CPU's")
@both_of_them_slowly
def test_kernels_run_in_workers(method):
    """After the parent has used its thread pools, also from a second thread: no deadlock, and its numbers."""
    expected = [heavy(index) for index in range(4)]
    thread = threading.Thread(target=heavy, args=(0,))
    thread.start()
    thread.join()
    for found, (grad, loss) in zip(
        DataLoader(Heavy(), None, num_workers=2, timeout=60, multiprocessing_context=method), expected, strict=True
    ):
        assert found[1] == pytest.approx(loss, rel=1e-5)
        assert np.allclose(found[0].numpy(), grad.numpy(), rtol=1e-3, atol=1e-4)
    heavy(1)  # And the parent goes on.


# ---- an interrupted run

RESUMED = {
    "in order": lambda **w: DataLoader(Drawing(), 2, **w),
    "shuffled": lambda **w: DataLoader(Drawing(), 2, shuffle=True, **w),
    "persistent": lambda **w: DataLoader(Drawing(), 2, shuffle=True, persistent_workers=True, **w),
    "stream": lambda **w: DataLoader(Share(), 2, **w),
    "persistent stream": lambda **w: DataLoader(Share(), 2, persistent_workers=True, **w),
}


def run(loader, epochs, state=None, stop=None):
    """Batches of some epochs, each with a draw of the parent's; `stop` at a batch, and return what would be saved."""
    seen = []
    for epoch in range(epochs):
        for number, batch in enumerate(loader):
            seen.append((plain(batch), ag.rand(1, device="cpu").item()))
            if stop == (epoch, number):
                return seen, loader.state_dict(), ag.get_rng_state()
        if stop == (epoch, None):
            return seen, loader.state_dict(), ag.get_rng_state()
    return seen, None, None


@pytest.mark.parametrize(
    "stop", [(0, 3), *(pytest.param(stop, marks=pytest.mark.slow) for stop in [(0, 0), (1, 4), (0, None)])], ids=str
)
@pytest.mark.parametrize("name", RESUMED)
def test_an_interrupted_run_goes_on_with_the_same_bits(name, stop, tmp_path):
    options = {"num_workers": 2, "multiprocessing_context": METHOD}
    ag.manual_seed(5)
    whole, *_ = run(RESUMED[name](**options), 2)
    ag.manual_seed(5)
    seen, state, rng = run(RESUMED[name](**options), 2, stop=stop)
    ag.save({"loader": state, "rng": rng}, tmp_path / "state")
    ag.manual_seed(99)
    saved = ag.load(tmp_path / "state")
    loader = RESUMED[name](**options)
    loader.load_state_dict(saved["loader"])
    ag.set_rng_state(saved["rng"])
    epochs_left = 2 - stop[0] - (stop[1] is None)
    assert seen + run(loader, epochs_left)[0] == whole


def test_another_number_of_workers_may_continue_all_but_a_stream():
    ag.manual_seed(5)
    whole = [batch["pair"].x.tolist() for batch in DataLoader(Mixed(), 4, shuffle=True)]
    ag.manual_seed(5)
    loader = DataLoader(Mixed(), 4, shuffle=True, num_workers=2, multiprocessing_context=METHOD)
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    for workers in (0, 1, 3):
        rest = DataLoader(Mixed(), 4, shuffle=True, num_workers=workers)
        rest.load_state_dict(loader.state_dict())
        assert [batch["pair"].x.tolist() for batch in rest] == whole[3:]
    state = DataLoader(Share(), 2, num_workers=2).state_dict()
    with pytest.raises(ValueError, match="interrupted run had num_workers=2, this one has 0.*the same"):
        DataLoader(Share(), 2).load_state_dict(state)


# ---- modules in other processes


@both
def test_a_module_pickled_to_another_process_gives_the_same_outputs(method):
    ag.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.GELU(), nn.Flatten(), nn.Linear(48, 8), nn.LayerNorm(8)
    ).to("cpu")
    x = ag.rand(2, 1, 6, 6, device="cpu")
    model(x).sum().backward()
    model[0].weight.requires_grad_(False)
    model.eval()
    expected = outputs(model, x)
    with multiprocessing.get_context(method).Pool(1) as pool:
        got = pool.apply(outputs, (model, x))
    assert got[2] != expected[2] and got[1] == expected[1]
    assert np.allclose(got[0], expected[0], rtol=1e-6, atol=1e-7)


@pytest.mark.skipif("fork" not in METHODS, reason="there is no fork here")
def test_forked_workers_leave_the_parents_gpu_alone():
    """A GPU that has drawn random numbers is lost to a forked child: seeding there must not touch it."""
    ag.rand(2, device="simulated")
    loader = DataLoader(TensorDataset(ag.arange(6, device="cpu")), 2, num_workers=1, multiprocessing_context="fork")
    assert [batch.tolist() for (batch,) in loader] == [[0, 1], [2, 3], [4, 5]]
    assert ag.rand(2, device="simulated").shape == (2,)

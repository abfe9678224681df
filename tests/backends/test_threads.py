"""The thread layer of Numba's kernels, and where their machine code is kept. Each case is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from autograd_core.backends.cpu import cache, threads

ROOT = Path(__file__).resolve().parents[2]

needs_numba = pytest.mark.skipif(not cache.kernels_enabled(), reason="Numba kernels are off or not installed")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
needs_tbb = pytest.mark.skipif(not list(metadata.distributions(name="tbb")), reason="the tbb wheel is not installed")
LAYERS = [pytest.param("tbb", marks=needs_tbb), "workqueue"]

KERNELS = """
import numpy as np
from autograd_core.backends.cpu.cache import kernel

@kernel(parallel=True)
def double(x, y, worker, workers):
    n = x.size
    for i in range(worker * n // workers, (worker + 1) * n // workers):
        y[i] = 2 * x[i]

@kernel(parallel=True)
def halve(x, y, worker, workers):
    n = x.size
    for i in range(worker * n // workers, (worker + 1) * n // workers):
        y[i] = x[i] / 2

@kernel(parallel=True)
def shares(seen, worker, workers):
    seen[worker, 0] = worker + 1
    seen[worker, 1] = workers

@kernel(parallel=True)
def fails(x, size, worker, workers):
    scratch = np.empty(size, np.float32)
    x[worker] = scratch.size

@kernel
def triple(x, y):
    for i in range(x.size):
        y[i] = 3 * x[i]

X = np.arange(100_000, dtype=np.float32)

def check(times=20):
    for _ in range(times):
        y = np.zeros_like(X)
        double(X, y)
        assert (y == 2 * X).all()
"""


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tmp_path: Path, shared_cache: Path) -> Any:
    """Runs a script that can import the kernels above; returns what it printed."""
    # One file for all tests, so that later processes load what the first has compiled.
    folder = shared_cache / "source"
    folder.mkdir(exist_ok=True)
    kernels = folder / "some_kernels.py"
    if not kernels.exists():
        kernels.write_text(KERNELS)

    def run(script: str, fails: bool = False, **variables: str | None) -> str:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "AUTOGRAD_CORE_", "OMP_", "GOMP_"))}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder)])
        env["AUTOGRAD_CORE_CACHE"] = str(shared_cache / "kernels")
        env["NUMBA_NUM_THREADS"] = "2"
        for name, value in variables.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    return run


def test_importing_imports_no_numba(run: Any) -> None:
    run("""
        import sys
        from autograd_core.backends.cpu import cache, philox_kernels, threads
        import some_kernels
        assert "numba" not in sys.modules
        assert threads.layer_info()["layer"] == "not started" and threads.get_num_threads() == 2
    """)


@needs_numba
class TestLayer:
    @pytest.mark.parametrize("layer", LAYERS)
    def test_choice_leaves_no_traces(self, run: Any, layer: str) -> None:
        """The layer is the wanted one; environment and Numba's settings are as before; GNU OpenMP is not loaded."""
        asked = "default" if layer == "tbb" else layer
        printed = run(
            """
            import os
            before = dict(os.environ)
            import numba
            settings = numba.config.THREADING_LAYER, numba.config.CACHE_DIR
            from autograd_core.backends.cpu import threads
            from some_kernels import check
            check()
            assert dict(os.environ) == before
            assert (numba.config.THREADING_LAYER, numba.config.CACHE_DIR) == settings
            assert threads.layer_info()["layer"] == threads.ensure_layer() == numba.threading_layer()
            if os.path.exists("/proc/self/maps"):
                assert "libgomp" not in open("/proc/self/maps").read()
            print(threads.ensure_layer())
            """,
            NUMBA_THREADING_LAYER=asked,
        )
        assert printed.split() == [layer]

    def test_workqueue_where_tbb_is_missing(self, run: Any) -> None:
        printed = run("""
            import sys
            sys.modules["numba.np.ufunc.tbbpool"] = None  # importing it fails
            from autograd_core.backends.cpu import threads
            from some_kernels import check
            check()
            print(threads.layer_info()["layer"])
        """)
        assert printed.split() == ["workqueue"]

    @pytest.mark.parametrize(
        ("started", "expected"),
        [pytest.param("tbb", "tbb", marks=needs_tbb), ("workqueue", "serial"), ("omp", "serial")],
    )
    def test_layer_that_the_user_started(self, run: Any, started: str, expected: str) -> None:
        printed = run(
            """
            import os
            import numba
            from autograd_core.backends.cpu import threads
            threads._load_tbb()
            try:
                numba.get_num_threads()
            except ValueError:  # this build of Numba lacks the layer
                print("absent")
                raise SystemExit
            from some_kernels import check
            check()
            assert numba.threading_layer() == os.environ["NUMBA_THREADING_LAYER"]
            print(threads.layer_info()["layer"])
            """,
            NUMBA_THREADING_LAYER=started,
        )
        if printed.split() == ["absent"]:
            pytest.skip(f"Numba has no {started} layer here")
        assert printed.split() == [expected]

    def test_openmp_asked_for_by_name_is_left_to_the_user(self, run: Any) -> None:
        run(
            """
            import numba
            from autograd_core.backends.cpu import threads
            from some_kernels import check
            check()
            assert threads.layer_info()["layer"] == "serial"
            try:
                print(numba.threading_layer())
            except ValueError:
                raise SystemExit(0)  # not started, neither as OpenMP nor as anything else
            raise SystemExit(1)
            """,
            NUMBA_THREADING_LAYER="omp",
        )

    @pytest.mark.parametrize("layer", LAYERS)
    def test_threads_may_run_kernels_at_once(self, run: Any, layer: str) -> None:
        run(
            """
            import threading
            from some_kernels import check
            failed = []
            def work():
                try:
                    check(300)
                except BaseException as error:
                    failed.append(error)
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert not failed, failed
            """,
            NUMBA_THREADING_LAYER=layer,
        )

    def test_number_of_threads(self, run: Any) -> None:
        run("""
            import numba
            from autograd_core.backends.cpu import threads
            import some_kernels
            threads.set_num_threads(1)
            some_kernels.check()
            assert threads.get_num_threads() == 1
            threads.set_num_threads(64)
            assert threads.get_num_threads() == 2
            some_kernels.check()
            assert numba.get_num_threads() == 2
        """)

    def test_kernels_run_on_as_many_threads_as_were_asked_for(self, run: Any) -> None:
        run(
            """
            import numba
            from autograd_core.backends.cpu import threads

            seen = []
            kernel = threads.parallel(seen.append, lambda: seen.append("serial"))
            kernel()
            threads.set_num_threads(2)
            kernel()
            assert numba.get_num_threads() == 3
            threads.set_num_threads(1)
            kernel()
            threads.set_num_threads(3)
            kernel()
            assert seen == [3, 2, "serial", 3], seen
            """,
            NUMBA_NUM_THREADS="3",
        )

    def test_a_worker_without_memory_is_an_error(self, run: Any) -> None:
        run(
            """
            from some_kernels import fails, np

            x = np.zeros(2)
            fails(x, 10)
            assert x.tolist() == [10, 10]
            for call in (fails, fails.serial):
                try:
                    call(x, 1 << 50)
                except MemoryError:
                    continue
                raise AssertionError("no MemoryError")
            fails(x, 20)
            assert x.tolist() == [20, 20]
            """
        )

    def test_the_callers_of_two_kernels_share_no_file(self, run: Any, tmp_path: Path) -> None:
        """Two processes may write to one index of Numba's at a time."""
        folder = tmp_path / "kernels"
        run(
            """
            from some_kernels import double, halve, np, X
            y = np.zeros_like(X)
            double(X, y)
            halve(X, y)
            assert (y == X / 2).all()
            """,
            AUTOGRAD_CORE_CACHE=str(folder),
        )
        callers = [path for path in folder.rglob("*.nbi") if path.name.startswith("launch.")]
        assert len(callers) == len({path.parent for path in callers}) == 2

    @pytest.mark.parametrize("n", [2, 3])
    def test_each_worker_does_its_share(self, run: Any, n: int) -> None:
        run(
            f"""
            from autograd_core.backends.cpu import threads
            from some_kernels import np, shares

            threads.set_num_threads({n})
            seen = np.zeros((8, 2), np.int64)
            shares(seen)
            assert seen.tolist() == [[i + 1, {n}] for i in range({n})] + [[0, 0]] * (8 - {n}), seen
            shares.serial(seen)
            assert seen[0].tolist() == [1, 1]
            """,
            NUMBA_NUM_THREADS="3",
        )

    @pytest.mark.parametrize(
        ("n", "error"), [(0, RuntimeError), (-1, RuntimeError), (1.5, TypeError), (True, TypeError)]
    )
    def test_bad_number_of_threads(self, n: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match="set_num_threads"):
            threads.set_num_threads(n)


FORK = """
import multiprocessing, os, signal, sys, threading
from autograd_core.backends.cpu import threads
from some_kernels import check

def in_child(ending=os._exit):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # a child that hangs fails the test instead of stopping it
        code = 1
        try:
            check()
            code = 0
        finally:
            ending(code)
    assert os.waitpid(pid, 0)[1] == 0
"""


@needs_numba
@needs_fork
@pytest.mark.parametrize("layer", LAYERS)
class TestFork:
    def test_from_a_process_with_one_thread(self, run: Any, layer: str) -> None:
        """Before the first kernel and after it; the parent goes on; children of children; multiprocessing."""
        script = """
            in_child()
            check()
            for ending in (os._exit, sys.exit) * 3:
                in_child(ending)
                check()
            context = multiprocessing.get_context("fork")
            for _ in range(2):
                processes = [context.Process(target=check) for _ in range(3)]
                for process in processes: process.start()
                for process in processes: process.join(60)
                assert [process.exitcode for process in processes] == [0, 0, 0]
            def grandchild():
                check()
                assert threads.layer_info()["layer"] == os.environ["NUMBA_THREADING_LAYER"]
                in_child()
            process = context.Process(target=grandchild)
            process.start()
            process.join(60)
            assert process.exitcode == 0
            check()
        """
        run(FORK + textwrap.dedent(script), NUMBA_THREADING_LAYER=layer)

    def test_from_a_process_with_several_threads(self, run: Any, layer: str) -> None:
        """While another thread runs kernels, from that thread, and after it has ended."""
        script = """
            check()
            stop = threading.Event()
            def work():
                while not stop.is_set():
                    check(1)
            worker = threading.Thread(target=work)
            worker.start()
            for ending in (os._exit, sys.exit) * 5:
                in_child(ending)
            forker = threading.Thread(target=lambda: [in_child() for _ in range(5)])
            forker.start()
            forker.join()
            stop.set()
            worker.join()
            for ending in (os._exit, sys.exit) * 5:
                check()
                in_child(ending)
        """
        run(FORK + textwrap.dedent(script), NUMBA_THREADING_LAYER=layer)


@needs_numba
class TestCache:
    def test_second_process_loads_what_the_first_compiled(self, run: Any, tmp_path: Path, shared_cache: Path) -> None:
        script = """
            import numba
            from autograd_core.backends.cpu import cache, threads
            import some_kernels
            threads.ensure_layer()
            y = some_kernels.np.zeros_like(some_kernels.X)
            made = []
            compile_kernel = cache.compile_kernel
            cache.compile_kernel = lambda *args, **options: made.append(compile_kernel(*args, **options)) or made[-1]
            some_kernels.double(some_kernels.X, y)
            assert (y == 2 * some_kernels.X).all()
            some_kernels.double.serial(some_kernels.X, y)
            some_kernels.triple(some_kernels.X, y)
            assert (y == 3 * some_kernels.X).all()
            # The caller of double on all threads, double (for any number of threads), triple.
            print(*[sum(dispatcher.stats.cache_hits.values()) for dispatcher in made])
        """
        folder = str(tmp_path / "kernels")
        assert run(script, AUTOGRAD_CORE_CACHE=folder).split() == ["0", "0", "0"]
        assert run(script, AUTOGRAD_CORE_CACHE=folder).split() == ["1", "1", "1"]
        assert len(list(Path(folder).rglob("*.nbc"))) == 3
        assert not list((shared_cache / "source").rglob("*.nb?")), "something was written beside the source"

    def test_users_own_numba_code_keeps_its_cache(self, run: Any, tmp_path: Path) -> None:
        (tmp_path / "users.py").write_text(
            "import numba\n@numba.njit(cache=True)\ndef f(x):\n    return x + 1\n", encoding="utf-8"
        )
        script = """
            import sys
            sys.path.insert(0, ".")
            from some_kernels import check
            check()
            import users
            assert users.f(1) == 2
            print(users.f._cache.cache_path)
        """
        assert Path(run(script).strip()) == tmp_path / "__pycache__"
        chosen = str(tmp_path / "chosen")
        assert run(script, NUMBA_CACHE_DIR=chosen).startswith(chosen)

    def test_no_writable_home(self, run: Any, tmp_path: Path) -> None:
        """The kernels go to a private temporary folder, which is gone afterwards."""
        (tmp_path / "file").write_text("")
        inside = str(tmp_path / "file" / "inside")
        printed = run(
            """
            import os, stat
            from autograd_core.backends.cpu import cache
            from some_kernels import check
            check()
            folder = cache.cache_dir()
            assert list(folder.rglob("*.nbc"))
            if os.name == "posix":
                assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            print(folder)
            """,
            AUTOGRAD_CORE_CACHE=None, HOME=inside, XDG_CACHE_HOME=inside, LOCALAPPDATA=inside, USERPROFILE=inside,
        )  # fmt: skip
        assert not Path(printed.strip()).exists()

    def test_unusable_folder_is_an_error_that_names_it(self, run: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        folder = str(tmp_path / "file" / "inside")
        message = run("from some_kernels import check; check()", fails=True, AUTOGRAD_CORE_CACHE=folder)
        assert "AUTOGRAD_CORE_CACHE=" in message and "cannot write to this folder" in message


@pytest.mark.parametrize(
    ("value", "installed", "expected"),
    [
        (None, True, True), ("", True, True), ("numba", True, True), ("NumPy", True, False), ("numpy", False, False),
        (None, False, False), ("numba", False, ImportError), ("cython", True, ValueError), ("1", False, ValueError),
    ],
)  # fmt: skip
def test_kernels_enabled(monkeypatch: pytest.MonkeyPatch, value: str | None, installed: bool, expected: Any) -> None:
    if value is None:
        monkeypatch.delenv("AUTOGRAD_CORE_KERNELS", raising=False)
    else:
        monkeypatch.setenv("AUTOGRAD_CORE_KERNELS", value)
    monkeypatch.setattr(cache, "find_spec", lambda name: object() if installed else None)
    if isinstance(expected, bool):
        assert cache.kernels_enabled() is expected
    else:
        with pytest.raises(expected, match="AUTOGRAD_CORE_KERNELS"):
            cache.kernels_enabled()


def test_layer_info() -> None:
    info = threads.layer_info()
    assert info["layer"] in ("not started", "tbb", "workqueue", "serial") and info["reason"] and info["threads"] >= 1

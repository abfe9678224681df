"""Compiling Numba kernels: when, whether, and where the compiled code is kept.

A kernel is a plain module-level function under `@kernel`. Numba is imported, and the function compiled, at its first
call; the machine code is kept on disk in a folder of our own, so that site-packages may be read-only and the settings
of the user's other Numba code stay as they are.

Write each kernel self-contained: Numba's disk cache never hits for a function that calls another compiled function,
and does not notice a change in a constant or function imported from another file.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any, overload

from autograd_core.backends.cpu import launch, threads

_decorating = threading.RLock()
# Elements from which a compiled loop is faster than what stands in for it on small arrays. Its call takes 1.7 us; the
# ufunc of a sigmoid takes that for some 2,000 elements, that of GELU or softplus for 100.
LOOP_FROM = 1 << 10
# Elements from which all threads are faster than one. Starting two takes 2 us: at this size GELU takes 13 us in place
# of 19, exp the same with both, and a sum, which loses, 3.3 in place of 1.5.
PARALLEL_FROM = 1 << 15
_QUIET = 2.0  # seconds of compiling before a word is said about it


def kernels_enabled() -> bool:
    """Whether Numba kernels run: `AUTOGRAD_CORE_KERNELS` is not `numpy`, and Numba is installed.

    Raises `ValueError` if the variable holds something else, `ImportError` if it demands Numba and there is none.
    """
    choice = os.environ.get("AUTOGRAD_CORE_KERNELS", "").strip().lower()
    if choice not in ("", "numba", "numpy"):
        raise ValueError(f"AUTOGRAD_CORE_KERNELS={choice!r}: expected 'numba' or 'numpy' (or leave it unset)")
    if choice == "numpy":
        return False
    installed = find_spec("numba") is not None
    if choice == "numba" and not installed:
        raise ImportError("AUTOGRAD_CORE_KERNELS=numba, but Numba is not installed: run `pip install numba`")
    return installed


def cache_dir() -> Path:
    """The writable folder of compiled kernels: `AUTOGRAD_CORE_CACHE`, or one in the user's cache folder.

    Where neither can be written, a private temporary folder that is removed at exit (never a shared one: the cache is
    loaded as code). Raises `OSError` if the folder that `AUTOGRAD_CORE_CACHE` names cannot be written.
    """
    return _usable_folder(os.environ.get("AUTOGRAD_CORE_CACHE", ""))


@cache
def _usable_folder(chosen: str) -> Path:
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        try:
            _ensure_writable(folder)
        except OSError as error:
            raise OSError(f"AUTOGRAD_CORE_CACHE={chosen!r}: cannot write to this folder ({error})") from error
        return folder
    try:
        folder = _user_cache_folder() / "autograd-core"
        _ensure_writable(folder)
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        folder = Path(tempfile.mkdtemp(prefix="autograd-core-"))
        atexit.register(_remove_in_process, os.getpid(), folder)
    return folder


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base) if base else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base) if base and os.path.isabs(base) else Path.home() / ".cache"


def _ensure_writable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def _remove_in_process(pid: int, folder: Path) -> None:
    # A forked child that leaves must not take its parent's folder along.
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def compile_kernel(function: Callable[..., Any], **options: Any) -> Any:
    """Numba's dispatcher of `function`, cached in `cache_dir()`; `options` are those of `numba.njit`.

    `uses` is a text that changes with what the kernel uses from other files, which Numba's own key does not hold.
    Division by zero follows IEEE 754 unless `error_model` says otherwise: the check that Numba makes for Python's
    exception also keeps loops from vectorising.
    """
    import numba

    _watch_compiling()
    options = {"error_model": "numpy", **options}
    folder = cache_dir() / f"kernels-{_digest(options)}"
    options.pop("uses", "")
    try:
        with _numba_cache_folder(folder):
            return numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return numba.njit(**options)(function)


def compile_ufunc(function: Callable[..., Any], dtype: str, arguments: int) -> Any:
    """A NumPy ufunc, built by Numba, of a scalar function of `arguments` numbers of a dtype; cached as kernels are."""
    import numba

    _watch_compiling()
    kind = getattr(numba, dtype)
    with _numba_cache_folder(cache_dir() / "ufunc"):
        return numba.vectorize([kind(*[kind] * arguments)], cache=True)(function).ufunc


@cache
def _watch_compiling() -> None:
    """Say so, once, when compiling our kernels has taken two seconds: the first run of a program would seem to hang.

    The compiler makes so many objects that looking for garbage meanwhile would take a tenth of its time; it waits.
    """
    from numba.core import event

    class Watch(event.Listener):
        begun, spent, collecting = 0.0, 0.0, False

        def on_start(self, started: Any) -> None:
            if _is_ours(started):
                self.begun, self.collecting = time.perf_counter(), gc.isenabled()
                gc.disable()

        def on_end(self, ended: Any) -> None:
            if not _is_ours(ended):
                return
            if self.collecting:
                gc.enable()
            before = self.spent
            self.spent += time.perf_counter() - self.begun
            if before <= _QUIET < self.spent:
                print(
                    f"autograd-core: compiling kernels for this machine, once; they are kept in {cache_dir()}",
                    file=sys.stderr,
                    flush=True,
                )

    event.register("numba:compile", Watch())


def _is_ours(compiling: Any) -> bool:
    dispatcher = (compiling.data or {}).get("dispatcher")
    return getattr(dispatcher, "__module__", "").startswith("autograd_core.")


def _digest(options: dict[str, Any]) -> str:
    """A text for these options, which Numba's own key does not hold."""
    parts = [(name, sorted(value) if isinstance(value, set) else value) for name, value in sorted(options.items())]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


@contextmanager
def _numba_cache_folder(folder: Path) -> Iterator[None]:
    """Numba reads its cache folder when it decorates a function, and only then: set it for that moment alone."""
    import numba

    with _decorating:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(folder)
        try:
            yield
        finally:
            numba.config.CACHE_DIR = before


@overload
def kernel(function: Callable[..., Any], /) -> Any: ...
@overload
def kernel(*, parallel: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]: ...
def kernel(function: Callable[..., Any] | None = None, /, *, parallel: bool = False, **options: Any) -> Any:
    """Decorator: compile the function with Numba at its first call, keeping the machine code on disk.

    With `parallel=True` the function ends in two parameters, `worker` and `workers`, which callers leave out. It does
    its share of the work, `range(worker * n // workers, (worker + 1) * n // workers)` of a loop over n. A plain call
    runs a share on each thread; `.serial` does all the work on the calling thread, which is faster for small arrays.
    `.python` is the function itself.
    """
    if function is None:
        return lambda function: _lazy(function, parallel, options)
    return _lazy(function, parallel, options)


def _lazy(function: Callable[..., Any], parallel: bool, options: dict[str, Any]) -> Any:
    compiled: Any = None

    def dispatcher() -> Any:
        nonlocal compiled
        if compiled is None:
            compiled = compile_kernel(function, **options)
        return compiled

    if parallel:
        launcher: Any = None

        # The work of several threads is long enough to let other Python threads run meanwhile; that of one is not: to
        # get the interpreter's lock back from a busy thread takes milliseconds.
        def on_threads(parts: int, *args: Any) -> None:
            nonlocal launcher
            if launcher is None:
                name = f"{function.__module__}.{function.__qualname__}.{_digest(options)}"
                launcher = launch.on_all_threads(dispatcher, name, compile_kernel)
            launcher(parts, *args)

        @wraps(function)
        def serial(*args: Any) -> None:
            (compiled or dispatcher())(*args, 0, 1)

        entry: Any = threads.parallel(on_threads, serial)
    else:

        @wraps(function)
        def entry(*args: Any) -> Any:
            return (compiled or dispatcher())(*args)

    entry.python = function
    return entry

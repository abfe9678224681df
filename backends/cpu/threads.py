"""Which thread pool Numba's parallel kernels run on.

GNU OpenMP, Numba's default where TBB is not found, makes NumPy's BLAS many times slower: its idle workers spin while
OpenBLAS's threads want the cores. Forked children that use it die, too. So the choice, made when the first parallel
kernel is called, is

- `tbb`, from the `tbb` wheel, whose library is loaded here because Numba does not find it by itself;
- else `workqueue`, with one lock for the process, since it aborts the process when two threads enter it at once;
- `serial`, the kernels compiled for one thread, if the user's own Numba code has already started a layer that cannot
  be shared safely, or asks for OpenMP by name.

No environment variable is set, and Numba's own settings are as before afterwards.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Any

_TBB_LIBRARY = {"darwin": "libtbb.12.dylib", "win32": "tbb12.dll"}.get(sys.platform, "libtbb.so.12")

_layer: str | None = None  # "tbb", "workqueue" or "serial", once chosen
_reason = "no parallel kernel has run yet"
_tbb_path: str | None = None
_limit: int | None = None  # what set_num_threads asked for, if less than all threads

_choosing = threading.RLock()
# Reentrant: a signal handler may run a kernel of its own between taking the lock and entering the pool.
_pool = threading.RLock()
_only_main_used_it = False
_fork_is_clean = False


class _ThreadLocal(threading.local):
    # Equal to _pass where this thread may call parallel kernels just so: TBB, several threads, and the thread is known.
    granted: object = None


_thread = _ThreadLocal()
_pass = object()  # replaced to revoke what was granted
_parts = 1  # threads, where a pass has been granted


def parallel(kernel: Callable[..., Any], serial: Callable[..., Any]) -> Any:
    """`kernel(parts, *args)`, which runs on as many threads, made safe to call from any thread and in forked children.

    `serial(*args)` does the same on one, and is used where no thread layer is safe; it becomes the attribute `serial`.
    """

    @wraps(serial)
    def call(*args: Any) -> Any:
        if _thread.granted is _pass:
            return kernel(_parts, *args)
        return _guarded(kernel, serial, args)

    call.serial = serial  # type: ignore[attr-defined]
    return call


def _guarded(kernel: Callable[..., Any], serial: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    global _only_main_used_it, _parts
    layer = ensure_layer()
    parts = get_num_threads()
    if parts == 1:
        return serial(*args)
    if not _in_main_thread():
        _only_main_used_it = False
    if layer == "tbb":
        _parts = parts
        _thread.granted = _pass
        return kernel(parts, *args)
    with _pool:
        return kernel(parts, *args)


def ensure_layer() -> str:
    """The layer of parallel kernels, 'tbb', 'workqueue' or 'serial'; the first call chooses and starts it."""
    global _layer, _reason
    if _layer is None:
        with _choosing:
            if _layer is None:
                layer, _reason = _choose()
                _layer = layer
    return _layer


def _choose() -> tuple[str, str]:
    """(layer, the reason for it)"""
    from numba import config

    running = _running_layer()
    if running is not None:
        return _share(running)
    wanted = str(config.THREADING_LAYER).lower()
    if wanted == "omp":
        return "serial", "NUMBA_THREADING_LAYER asks for OpenMP, whose idle threads slow BLAS down"
    if wanted != "workqueue":
        _load_tbb()
        if _start("tbb"):
            return _started("tbb", f"TBB from {_tbb_path or 'the system'}")
    if _start("workqueue"):
        return _started("workqueue", "NUMBA_THREADING_LAYER" if wanted == "workqueue" else "TBB not found")
    return "serial", "Numba could start neither TBB nor its workqueue"


def _running_layer() -> str | None:
    import numba

    try:
        return numba.threading_layer()
    except ValueError:
        return None


def _share(running: str) -> tuple[str, str]:
    if running == "tbb":
        return "tbb", "started by other Numba code"
    # Our lock cannot keep the user's own kernels from entering a workqueue at the same time.
    return "serial", f"other Numba code has started the layer {running!r}, which cannot be shared safely"


def _start(layer: str) -> bool:
    """Have Numba start `layer`, or whatever another thread makes it start first. False if it cannot."""
    import numba

    before = numba.config.THREADING_LAYER
    numba.config.THREADING_LAYER = layer
    try:
        numba.get_num_threads()
    except (ImportError, ValueError):
        return False
    finally:
        numba.config.THREADING_LAYER = before
    return True


def _started(layer: str, reason: str) -> tuple[str, str]:
    global _only_main_used_it
    running = _running_layer()
    if running != layer:
        return _share(str(running))
    _only_main_used_it = _in_main_thread()
    return layer, reason


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _load_tbb() -> None:
    """Load the library of the `tbb` wheel, so that Numba, which asks the system for it by name, gets this one.

    A wheel puts it where no loader looks: `lib` of the environment, `Library/bin` on Windows.
    """
    global _tbb_path
    candidates = [Path(sys.prefix, "lib", _TBB_LIBRARY), Path(sys.prefix, "Library", "bin", _TBB_LIBRARY)]
    try:
        files = metadata.files("tbb") or []
        candidates = [Path(str(file.locate())) for file in files if file.name == _TBB_LIBRARY] + candidates
    except metadata.PackageNotFoundError:
        pass
    for path in candidates:
        if path.is_file():
            try:
                ctypes.CDLL(str(path))
            except OSError:
                continue
            _tbb_path = str(path.resolve())
            return


# -- number of threads ------------------------------------------------------------------------------------------------


def set_num_threads(n: int) -> None:
    """Let kernels, and BLAS where `threadpoolctl` is installed, use `n` threads (at most as many as Numba has).

    Raises `TypeError` if `n` is no integer, `RuntimeError` if it is below 1.
    """
    global _limit, _pass
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads: expected an integer, got {n!r}")
    if n < 1:
        raise RuntimeError(f"set_num_threads: expected at least 1 thread, got {n}")
    _limit = n if n < _available_threads() else None
    _pass = object()
    try:
        import threadpoolctl
    except ImportError:
        return
    threadpoolctl.threadpool_limits(limits=n, user_api="blas")


def get_num_threads() -> int:
    """How many threads parallel kernels use."""
    return 1 if _layer == "serial" else _limit or _available_threads()


def _available_threads() -> int:
    numba = sys.modules.get("numba")
    if numba is not None:
        return int(numba.config.NUMBA_NUM_THREADS)
    # What Numba would say, without the cost of importing it.
    chosen = os.environ.get("NUMBA_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def layer_info() -> dict[str, Any]:
    """Layer, reason and threads as they are now, for people to read; starts nothing."""
    info: dict[str, Any] = {"layer": _layer or "not started", "reason": _reason, "threads": get_num_threads()}
    try:
        import threadpoolctl
    except ImportError:
        return info
    info["blas"] = [
        {key: pool[key] for key in ("internal_api", "version", "num_threads")}
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    ]
    return info


# -- fork -------------------------------------------------------------------------------------------------------------


def _before_fork() -> None:
    global _fork_is_clean
    _pool.acquire()
    _fork_is_clean = _only_main_used_it and _in_main_thread()


def _in_child() -> None:
    global _choosing, _layer, _reason, _pass
    _pool.release()
    _choosing = threading.RLock()
    if _layer == "tbb" and not _fork_is_clean:
        # At a fork TBB joins its workers only in the thread that started it, and only if no other thread has used it
        # (one that ended a moment ago counts). Otherwise a kernel in the child hangs now and then.
        _layer, _reason = "serial", "forked after several threads had used TBB, which it does not survive"
        _pass = object()
        # For the same reason the interpreter must not free Numba's TBB module when the child ends: that waits for the
        # workers, who stayed in the parent.
        module = sys.modules.get("numba.np.ufunc.tbbpool")
        if module is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))


if hasattr(os, "register_at_fork"):
    # Holding the lock, so that no kernel is inside the workqueue at the moment of a fork.
    os.register_at_fork(before=_before_fork, after_in_parent=_pool.release, after_in_child=_in_child)

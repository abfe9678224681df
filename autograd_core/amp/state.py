"""What autocast is set to, thread by thread: on which kinds of device, in which dtype; and the weights it has cast."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from autograd_core import devices, dtypes, modes, storage
from autograd_core.amp import switching
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

# PyTorch's default on the CPU is bfloat16, which does not exist here.
_DEFAULTS: dict[str, dtypes.dtype | None] = {"cpu": None}


class _State(threading.local):
    def __init__(self) -> None:
        self.active: dict[str, dtypes.dtype] = {}  # What operations look at: the kinds for which autocast is on.
        self.dtypes: dict[str, dtypes.dtype] = {}  # What has been set, on or off.
        self.cache_enabled = True
        self.nesting = 0
        # id of a leaf -> the leaf, its array and the clock when it was cast, whether with history, and the cast.
        self.cache: dict[int, tuple[weakref.ref[Any], Any, int, bool, Tensor]] = {}


state = _State()


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows this kind of device: cpu, cuda, and those of `register_backend`.

    >>> import autograd_core as ag
    >>> ag.amp.is_autocast_available("cuda")
    True
    """
    return device_type in devices._kinds


def check_kind(device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise ValueError(f"autocast: device_type must be a str such as 'cuda', got {type(device_type).__name__}")
    if not is_autocast_available(device_type):
        known = ", ".join(sorted(devices._kinds))
        raise RuntimeError(f"autocast: unsupported device_type {device_type!r}; expected one of {known}")
    return device_type


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for this kind of device in this thread.

    >>> import autograd_core as ag
    >>> ag.is_autocast_enabled("cpu")
    False
    """
    return check_kind(device_type) in state.active


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The dtype in which autocast runs operations on this kind of device. Raises `RuntimeError` for the CPU unless it
    was set: PyTorch's default there is bfloat16, which does not exist here.

    >>> import autograd_core as ag
    >>> ag.get_autocast_dtype("cuda")
    ag.float16
    """
    found = dtype_or_none(device_type)
    if found is None:
        raise RuntimeError(
            f"autocast: on {device_type!r} the default dtype is bfloat16 in PyTorch, which does not exist here. Pass "
            "dtype=ag.float16 (and scale the loss with ag.amp.GradScaler, since its range is smaller), or call "
            f"ag.set_autocast_dtype({device_type!r}, ag.float16)"
        )
    return found


def dtype_or_none(device_type: str) -> dtypes.dtype | None:
    kind = check_kind(device_type)
    return state.dtypes.get(kind) or _DEFAULTS.get(kind, dtypes.float16)


def set_autocast_dtype(device_type: str, dtype: dtypes.dtype) -> None:
    """Set the dtype of autocast on this kind of device, in this thread. Raises `RuntimeError` unless it is float16.

    >>> import autograd_core as ag
    >>> ag.set_autocast_dtype("cuda", ag.float16)
    """
    kind = check_kind(device_type)
    if dtype is not dtypes.float16:
        raise RuntimeError(f"set_autocast_dtype: expected ag.float16, got {dtype!r}")
    state.dtypes[kind] = dtype
    if kind in state.active:
        state.active = {**state.active, kind: dtype}


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Turn autocast on or off for this kind of device, in this thread; `with ag.autocast(...)` does so for a block.

    >>> import autograd_core as ag
    >>> ag.set_autocast_enabled("cuda", False)
    """
    kind = check_kind(device_type)
    if enabled and kind not in state.active:
        wanted = get_autocast_dtype(kind)
        switching.switch(+1)
        state.active = {**state.active, kind: wanted}
    elif not enabled and kind in state.active:
        state.active = {k: d for k, d in state.active.items() if k != kind}
        switching.switch(-1)


def is_autocast_cache_enabled() -> bool:
    """Whether autocast keeps the cast weights until its outermost block ends.

    >>> import autograd_core as ag
    >>> ag.is_autocast_cache_enabled()
    True
    """
    return state.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep cast weights from now on in this thread, or not.

    >>> import autograd_core as ag
    >>> ag.set_autocast_cache_enabled(True)
    """
    state.cache_enabled = enabled


def clear_autocast_cache() -> None:
    """Forget the cast weights of this thread.

    >>> import autograd_core as ag
    >>> ag.clear_autocast_cache()
    """
    state.cache.clear()


def autocast_increment_nesting() -> int:
    """Count one more block of autocast in this thread; the number of them.

    >>> import autograd_core as ag
    >>> ag.autocast_increment_nesting() - ag.autocast_decrement_nesting()
    1
    """
    state.nesting += 1
    return state.nesting


def autocast_decrement_nesting() -> int:
    """Count one block of autocast less in this thread; the number left.

    >>> import autograd_core as ag
    >>> ag.autocast_increment_nesting() - ag.autocast_decrement_nesting()
    1
    """
    state.nesting -= 1
    return state.nesting


def cast(x: Tensor, to: dtypes.dtype) -> Tensor:
    """`x` in the dtype `to`. The cast of a float32 leaf that requires grad is kept, so that a weight that is used
    several times is cast once, and its gradients are summed before the cast back."""
    if x._data.dtype == to.native:
        return x
    lowered = x._requires_grad and x._node is None and x._base is None and x._data.dtype == dtypes.float32.native
    if not (lowered and state.cache_enabled and to is not dtypes.float32):
        return V.cast(x, to.native)
    grad = modes.state.grad
    found = state.cache.get(id(x))
    if found is not None:
        reference, array, stamp, recorded, kept = found
        if (
            reference() is x
            and array is x._data
            and (recorded or not grad)
            and kept._data.dtype == to.native
            and storage.changed_since(x._backend, x._data, stamp) is None
        ):
            return kept
    stamp = storage.tick()
    made: Tensor = V.cast(x, to.native)
    state.cache[id(x)] = weakref.ref(x), x._data, stamp, grad, made
    return made

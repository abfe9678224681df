"""`ag.cuda`: the CUDA devices: what they are, which one is current, their streams, memory and random numbers.

Everything here is a thin layer over CuPy. Where there is no CUDA device, `is_available()` is False, counts are 0, seeds
and `empty_cache` do nothing, and the rest is a `RuntimeError` that says what to install or check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autograd_core import devices
from autograd_core.backends.cuda.memory import OutOfMemoryError as OutOfMemoryError
from autograd_core.cuda import amp as amp
from autograd_core.cuda.common import backend_of as _backend
from autograd_core.cuda.memory import empty_cache as empty_cache
from autograd_core.cuda.memory import max_memory_allocated as max_memory_allocated
from autograd_core.cuda.memory import max_memory_reserved as max_memory_reserved
from autograd_core.cuda.memory import mem_get_info as mem_get_info
from autograd_core.cuda.memory import memory_allocated as memory_allocated
from autograd_core.cuda.memory import memory_reserved as memory_reserved
from autograd_core.cuda.memory import memory_stats as memory_stats
from autograd_core.cuda.memory import memory_summary as memory_summary
from autograd_core.cuda.memory import reset_max_memory_allocated as reset_max_memory_allocated
from autograd_core.cuda.memory import reset_peak_memory_stats as reset_peak_memory_stats
from autograd_core.cuda.random import get_rng_state as get_rng_state
from autograd_core.cuda.random import get_rng_state_all as get_rng_state_all
from autograd_core.cuda.random import initial_seed as initial_seed
from autograd_core.cuda.random import manual_seed as manual_seed
from autograd_core.cuda.random import manual_seed_all as manual_seed_all
from autograd_core.cuda.random import seed as seed
from autograd_core.cuda.random import seed_all as seed_all
from autograd_core.cuda.random import set_rng_state as set_rng_state
from autograd_core.cuda.random import set_rng_state_all as set_rng_state_all
from autograd_core.cuda.streams import Event as Event
from autograd_core.cuda.streams import Stream as Stream
from autograd_core.cuda.streams import StreamContext as StreamContext
from autograd_core.cuda.streams import current_stream as current_stream
from autograd_core.cuda.streams import default_stream as default_stream
from autograd_core.cuda.streams import set_stream as set_stream
from autograd_core.cuda.streams import stream as stream


def is_available() -> bool:
    """Whether a CUDA device can be used (CuPy installed, a driver and a GPU there).

    >>> import autograd_core as ag
    >>> isinstance(ag.cuda.is_available(), bool)
    True
    """
    return devices.is_available("cuda")


def device_count() -> int:
    """How many CUDA devices can be used.

    >>> import autograd_core as ag
    >>> ag.cuda.device_count() >= 0
    True
    """
    return devices._kinds["cuda"]().device_count()


def is_initialized() -> bool:
    """Whether a CUDA device has been used in this process.

    >>> import autograd_core as ag
    >>> isinstance(ag.cuda.is_initialized(), bool)
    True
    """
    return any(kind == "cuda" for kind, _ in devices._backends)


def init() -> None:
    """Open the current CUDA device, which its first use does as well. Raises `RuntimeError` if there is none."""
    _backend(None)


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: there is no bfloat16 here; see docs/differences-from-pytorch.md.

    >>> import autograd_core as ag
    >>> ag.cuda.is_bf16_supported()
    False
    """
    return False


# -- which device -----------------------------------------------------------------------------------------


def current_device() -> int:
    """The index of the device that `"cuda"` stands for in this thread. Raises `RuntimeError` if there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.current_device() if ag.cuda.is_available() else 0
    0
    """
    _backend(None)
    return devices._default.cuda


def set_device(device: Any) -> None:
    """Let `"cuda"` stand for this device from now on in this thread; -1 changes nothing.

    Raises `RuntimeError` if it cannot be used.
    """
    if device != -1:
        devices._default.cuda = _backend(device).ordinal


class device:
    """A context in which `"cuda"` stands for the given device; None or -1 changes nothing.

    >>> import autograd_core as ag
    >>> with ag.cuda.device(None):
    ...     pass
    """

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None or device == -1 else _backend(device).ordinal
        self.prev_idx = -1

    def __enter__(self) -> None:
        self.prev_idx = devices._default.cuda
        set_device(self.idx)

    def __exit__(self, *error: object) -> None:
        devices._default.cuda = self.prev_idx


class device_of(device):
    """A context in which `"cuda"` stands for the device of `obj`, a tensor; on another kind of device nothing changes.

    >>> import autograd_core as ag
    >>> with ag.cuda.device_of(ag.ones(1, device="cpu")):
    ...     pass
    """

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device if obj.device.type == "cuda" else None)


def synchronize(device: Any = None) -> None:
    """Wait until all work given to a CUDA device is done, and raise what its late checks have found.

    >>> import autograd_core as ag
    >>> if ag.cuda.is_available():
    ...     ag.cuda.synchronize()
    """
    _backend(device).synchronize()


# -- what it is -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DeviceProperties:
    """What the driver says about a device; `total_memory` in bytes."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Name, compute capability, memory and size of a CUDA device. Raises `RuntimeError` if there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.is_available() and ag.cuda.get_device_properties().total_memory == 0
    False
    """
    backend = _backend(device)
    found = backend.xp.cuda.runtime.getDeviceProperties(backend.ordinal)
    name = found["name"]
    return DeviceProperties(
        name.decode() if isinstance(name, bytes) else str(name),
        int(found["major"]),
        int(found["minor"]),
        int(found["totalGlobalMem"]),
        int(found["multiProcessorCount"]),
        int(found["warpSize"]),
    )


def get_device_name(device: Any = None) -> str:
    """The name of a CUDA device. Raises `RuntimeError` where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.is_available() and len(ag.cuda.get_device_name()) == 0
    False
    """
    return str(_backend(device).describe())


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a CUDA device, (8, 0) for example. Raises `RuntimeError` where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.is_available() and ag.cuda.get_device_capability() < (3, 0)
    False
    """
    found = get_device_properties(device)
    return found.major, found.minor


def __getattr__(name: str) -> Any:
    if name.endswith("Tensor"):
        from autograd_core.tensor_types import TYPES

        if ("cuda", name) in TYPES:
            return TYPES["cuda", name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

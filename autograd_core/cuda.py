"""`ag.cuda`: whether CUDA devices can be used, and what they are.

Streams, events and peaks of memory are not here yet.
"""

from __future__ import annotations

from typing import Any

from autograd_core import devices, random


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
    from autograd_core.backends.cuda.backend import CudaBackend

    return CudaBackend.device_count()


def get_device_name(device: Any = None) -> str:
    """The name of a CUDA device. Raises `RuntimeError` where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.is_available() and len(ag.cuda.get_device_name()) == 0
    False
    """
    return devices.backend_of("cuda" if device is None else device).describe()


def current_device() -> int:
    """The index of the device that `"cuda"` stands for: always 0.

    >>> import autograd_core as ag
    >>> ag.cuda.current_device() if ag.cuda.is_available() else 0
    0
    """
    return int(devices.device_of(devices.backend_of("cuda")).index or 0)


def synchronize(device: Any = None) -> None:
    """Wait until all work given to a CUDA device is done.

    >>> import autograd_core as ag
    >>> if ag.cuda.is_available():
    ...     ag.cuda.synchronize()
    """
    devices.backend_of("cuda" if device is None else device).synchronize()


def manual_seed(seed: int) -> None:
    """Seed the default generator of the current CUDA device; does nothing where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.manual_seed(1)
    """
    if is_available():
        random.default_generator(devices.backend_of("cuda")).manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the default generators of all CUDA devices; does nothing where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.manual_seed_all(1)
    """
    for index in range(device_count()):
        random.default_generator(devices.backend_of(f"cuda:{index}")).manual_seed(seed)


def empty_cache() -> None:
    """Give memory that no tensor uses back to the driver; does nothing where there is no CUDA.

    >>> import autograd_core as ag
    >>> ag.cuda.empty_cache()
    """
    for index in range(device_count()):
        _backend(index).release_memory()


def memory_allocated(device: Any = None) -> int:
    """The bytes of all arrays of a CUDA device; 0 where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.memory_allocated() >= 0
    True
    """
    return int(_backend(device).memory_used()) if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """The bytes that are held of a CUDA device's memory, those kept for the next array included; 0 where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.memory_reserved() >= ag.cuda.memory_allocated()
    True
    """
    return int(_backend(device).memory_held()) if is_available() else 0


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """The free and the total bytes of a CUDA device, as the driver tells them. Raises `RuntimeError` if there is none.

    >>> import autograd_core as ag
    >>> if ag.cuda.is_available():
    ...     free, total = ag.cuda.mem_get_info()
    """
    free, total = _backend(device).memory_info()
    return free, total


def _backend(device: Any) -> Any:
    if isinstance(device, int):
        device = f"cuda:{device}"
    return devices.backend_of("cuda" if device is None else device)

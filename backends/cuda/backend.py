"""The CUDA backend: CuPy arrays. This is the only file that imports CuPy."""

from __future__ import annotations

from functools import cache
from typing import Any

from autograd_core.backends.base import Array, Backend

_INSTALL = (
    "install CuPy for the driver's CUDA version: pip install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]' (or this "
    "library's extra of that name, from its checkout: pip install -e '.[cuda12]')"
)


@cache
def _cupy() -> tuple[Any, int, str]:
    """CuPy, the number of devices, and why there are none."""
    try:
        import cupy
    except ImportError as error:
        return None, 0, f"CuPy cannot be imported ({error}); {_INSTALL}"
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:  # CuPy raises its own class, which needs a driver to be named.
        return cupy, 0, f"CuPy {cupy.__version__} finds no usable GPU ({error}); check the driver with nvidia-smi"
    return cupy, count, "" if count else "CuPy finds no GPU; check the driver with nvidia-smi"


class CudaBackend(Backend):
    """Plain array operations on an NVIDIA GPU through CuPy."""

    name = "cuda"

    def __init__(self, index: int = 0) -> None:
        super().__init__(index)
        self.xp = _cupy()[0]
        self.array_type = self.xp.ndarray
        self.device = self.xp.cuda.Device(index)

    @classmethod
    def device_count(cls) -> int:
        return _cupy()[1]

    @classmethod
    def unavailable_reason(cls) -> str:
        return _cupy()[2]

    def synchronize(self) -> None:
        self.device.synchronize()

    def describe(self) -> str:
        return str(self.xp.cuda.runtime.getDeviceProperties(self.ordinal)["name"].decode())

    def memory_used(self) -> int:
        """The bytes of this device's arrays."""
        with self.device:
            return int(self.xp.get_default_memory_pool().used_bytes())

    def memory_held(self) -> int:
        """The bytes that CuPy's pool holds, those kept for the next array included."""
        with self.device:
            return int(self.xp.get_default_memory_pool().total_bytes())

    def memory_info(self) -> tuple[int, int]:
        """The device's free and total bytes, as the driver tells them."""
        with self.device:
            free, total = self.xp.cuda.runtime.memGetInfo()
        return int(free), int(total)

    def release_memory(self) -> None:
        """Give the memory that no array uses back to the driver."""
        with self.device:
            self.xp.get_default_memory_pool().free_all_blocks()
        self.xp.get_default_pinned_memory_pool().free_all_blocks()

    def _errors(self) -> Any:
        from cupyx import errstate

        return errstate(linalg="raise")  # By default singular matrices give numbers without meaning.

    def from_host(self, host: Array) -> Array:
        with self.device:
            return self.xp.asarray(host)

    def import_dlpack(self, source: Any) -> Array:
        with self.device:
            return self.xp.from_dlpack(source)

    def to_host(self, x: Array) -> Array:
        return self.xp.asnumpy(x)

    def expand(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self.xp.broadcast_to(x, shape)

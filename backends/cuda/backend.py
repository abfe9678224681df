"""The CUDA backend: CuPy arrays. This is the only file that imports CuPy.

Kernels here are the portable bodies, where CuPy has all that they need, and overrides where it has not or where its
way would depend on the order of threads. Files beside this one that bring faster kernels have an `install(backend)`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autograd_core.backends.base import Array, Backend
from autograd_core.backends.cuda import kernels, matmul
from autograd_core.backends.cuda.checks import DeferredChecks
from autograd_core.backends.cuda.counts import Counts, reading, watched
from autograd_core.backends.cuda.graphs import Graph, NotCapturable, alone, current
from autograd_core.backends.cuda.indexing import CudaIndexKernels
from autograd_core.backends.cuda.memory import CudaMemory
from autograd_core.backends.cuda.views import CudaViewKernels

_INSTALL = (
    "install CuPy for the driver's CUDA version: pip install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]' (or this "
    "library's extra of that name, from its checkout: pip install -e '.[cuda12]')"
)
_NOT_ON_THE_DEVICE = {
    "device_count", "unavailable_reason", "library", "describe", "storage_key", "address", "here",
}  # fmt: skip


def find_cupy() -> tuple[Any, int, str]:
    """CuPy, the number of devices, and why there are none."""
    try:
        import cupy
    except ImportError as error:
        return None, 0, f"CuPy cannot be imported ({error}); {_INSTALL}"
    if int(cupy.__version__.split(".")[0]) < 14:
        return cupy, 0, f"CuPy {cupy.__version__} is too old: it takes dtypes for other ones than CuPy 14; {_INSTALL}"
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:  # CuPy raises its own class, which needs a driver to be named.
        return cupy, 0, f"CuPy {cupy.__version__} finds no usable GPU ({error}); check the driver with nvidia-smi"
    return cupy, count, "" if count else "CuPy finds no GPU; check the driver with nvidia-smi"


_cupy = functools.cache(find_cupy)


class CudaBackend(CudaIndexKernels, CudaViewKernels, CudaMemory, Backend):
    """Array operations on an NVIDIA GPU through CuPy."""

    name = "cuda"
    survives_fork = False
    column_limit = 1 << 25  # 128 MiB of float32: a GPU wants few and large products.
    # Whether the arrays only stand for those of a GPU, in tests: then no kernel of our own is launched.
    simulated = False

    def __init__(self, index: int = 0) -> None:
        super().__init__(index)
        self.xp = self.library()[0]
        self.array_type = self.xp.ndarray
        self.device = self.xp.cuda.Device(index)
        self.counts = Counts()
        self.checks = DeferredChecks(self.xp)
        self._owners: dict[int, Array] = {}
        self._watch_memory()
        self.kernels_off = "the device is simulated"
        if not self.simulated:
            kernels.install(self)
        self._stay_on_device()
        matmul.listeners.append(self.set_tf32)
        if matmul.allow_tf32:
            self.set_tf32(True)

    # -- device -----------------------------------------------------------------------------------------

    @classmethod
    def library(cls) -> tuple[Any, int, str]:
        """CuPy, the number of devices, and why there are none."""
        return _cupy()

    @classmethod
    def device_count(cls) -> int:
        return cls.library()[1]

    @classmethod
    def unavailable_reason(cls) -> str:
        return cls.library()[2]

    def describe(self) -> str:
        return str(self.xp.cuda.runtime.getDeviceProperties(self.ordinal)["name"].decode())

    def synchronize(self) -> None:
        """Wait until all work given to the device is done; raises what the checks of values have found since."""
        self.counts.synchronizations += 1
        self.wait()

    def wait(self) -> None:
        """`synchronize`, uncounted."""
        with alone:
            self.device.synchronize()
        self.raise_pending()

    def watched(self) -> Any:
        """A context manager inside which reads within kernels are counted too (`counts.hidden`)."""
        return watched(self)

    def raise_pending(self) -> None:
        """Raise what the checks of values have found since the last read-out."""
        if self.checks.pending:
            reading.asked_for = True
            try:
                self.checks.raise_pending()
            finally:
                reading.asked_for = False

    @property
    def can_capture(self) -> bool:  # type: ignore[override]
        """Whether there is `capture`: not where every check of a value is waited for."""
        return not self.checks.immediate

    def capture(self) -> Graph:
        """A context manager that notes the kernels inside as a CUDA graph, in place of running them."""
        return Graph(self)

    def here(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, called with this device current."""
        return function if self.library()[1] <= 1 else self._on_device(function)

    def set_tf32(self, allowed: bool) -> None:
        """Whether cuBLAS may round the factors of float32 products to TF32."""
        linalg = self.xp._core._routines_linalg
        kind = linalg.COMPUTE_TYPE_TF32 if allowed else linalg.COMPUTE_TYPE_DEFAULT
        with self.device:
            linalg.set_compute_type("float32", kind)

    def _stay_on_device(self) -> None:
        """Have every kernel run with this device current. With one device there is nothing to switch."""
        if self.library()[1] <= 1:
            return
        for name in dir(type(self)):
            if name.startswith("_") or name in _NOT_ON_THE_DEVICE or isinstance(getattr(type(self), name), property):
                continue
            kernel = getattr(self, name)
            if callable(kernel) and not isinstance(kernel, type):
                setattr(self, name, self._on_device(kernel))

    def _on_device(self, kernel: Callable[..., Any]) -> Callable[..., Any]:
        runtime, ordinal = self.xp.cuda.runtime, self.ordinal
        current, switch = runtime.getDevice, runtime.setDevice  # A `Device` as a context is not for several threads.

        @functools.wraps(kernel)
        def call(*args: Any, **kwargs: Any) -> Any:
            before = current()
            if before == ordinal:
                return kernel(*args, **kwargs)
            switch(ordinal)
            try:
                return kernel(*args, **kwargs)
            finally:
                switch(before)

        return call

    # -- memory -----------------------------------------------------------------------------------------

    def _errors(self) -> Any:
        from cupyx import errstate

        return errstate(linalg="raise")  # By default singular matrices give numbers without meaning.

    def from_host(self, host: Array) -> Array:
        if current.graph is not None:
            raise NotCapturable("an array is copied from the host")
        self.counts.to_device += 1
        self.counts.bytes_to_device += host.nbytes
        return self.xp.asarray(host)

    def to_host(self, x: Array) -> Array:
        """The values of `x` as a NumPy array; raises what the checks of values have found since the last read-out."""
        self.counts.to_host += 1
        self.counts.bytes_to_host += x.nbytes
        reading.asked_for = True
        try:
            host = x.get()
            self.checks.raise_pending()
        finally:
            reading.asked_for = False
        return host

    def from_backend(self, x: Array, source: Backend) -> Array:
        if isinstance(source, CudaBackend) and source.array_type is self.array_type:
            return self.xp.asarray(x)  # From one GPU to the current one, past the host.
        return super().from_backend(x, source)

    def import_dlpack(self, source: Any) -> Array:
        return self.xp.from_dlpack(source)

    def full(self, shape: tuple[int, ...], value: Any, dtype: Any) -> Array:
        # NumPy refuses a number that the dtype cannot hold, where CuPy would wrap it around.
        return self.xp.full(shape, dtype.type(value) if hasattr(dtype, "type") else value, dtype)

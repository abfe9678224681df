"""Numba's kernels for the CUDA backend, by family; each takes the place of the portable body of its name.

A family's file holds kernels (`def softmax_rows(cuda, real, threads): ... return body`: see `cuda/numba_cuda.py`) and
the host's side of them, with the name and arguments of the backend's method after two of its own: `gpu`, and the
portable body, which gets whatever the kernel is not made for. `KERNELS` lists the latter.

Nothing is summed by atomics: the order of every sum is fixed by the shapes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Array = Any


class Gpu:
    """What the host's side of a kernel works with."""

    def __init__(self, backend: Any, launch: Callable[..., None]) -> None:
        self.backend, self.launch = backend, launch
        self.layouts: dict[Any, Any] = {}

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.backend.empty(shape, dtype)

    def contiguous(self, x: Array) -> Array:
        return x if x.flags.c_contiguous else self.backend.clone(x)

    def fuse(self, steps: Any, inputs: Any, outputs: Any, into: Any) -> Any:
        """`Backend.fuse`."""
        from autograd_core.backends.cuda.fused import CudaFusedLoop

        return CudaFusedLoop(steps, inputs, outputs, into).function_on(self)

    def give_up(self, error: Exception) -> None:
        """From here on the portable bodies run."""
        self.backend.kernels_off = str(error)
        self.backend.updates_together = self.backend.can_fuse = False
        warnings.warn(f"Numba's CUDA kernels are off, CuPy's operations take their place: {error}", stacklevel=3)


def families() -> tuple[tuple[Callable[..., Any], ...], ...]:
    """The host's sides of all kernels."""
    from autograd_core.backends.cuda.kernels import (
        cells,
        columns,
        draws,
        elementwise,
        norms,
        pools,
        rows,
        scatter,
        steps,
    )

    modules = (cells, columns, draws, elementwise, norms, pools, rows, scatter, steps)
    return tuple(module.KERNELS for module in modules)


def why_off() -> str:
    """Why Numba's kernels do not run on CUDA devices, before one is asked: empty if they may."""
    if os.environ.get("AUTOGRAD_CORE_KERNELS", "").strip().lower() == "numpy":
        return "AUTOGRAD_CORE_KERNELS=numpy"
    from autograd_core.backends.cuda import numba_cuda

    return numba_cuda.missing()


def install(backend: Any, launch: Callable[..., None] | None = None) -> None:
    """Put the kernels before the portable bodies of `backend`, unless `why_off` says why not: `backend.kernels_off`.

    `launch` stands in for the launcher of the backend's device. If it turns out at a launch that kernels can be neither
    compiled nor loaded, the portable bodies return, with a warning, and `backend.kernels_off` holds the reason.
    """
    backend.kernels_off = "" if launch is not None else why_off()
    if backend.kernels_off:
        return
    if launch is None:
        from autograd_core.backends.cuda.launch import Launcher

        launch = Launcher(backend.xp, divmod(int(backend.device.compute_capability), 10))
    gpu = Gpu(backend, launch)
    for function in (f for family in families() for f in family):
        setattr(backend, function.__name__, _bound(gpu, function))
    backend.updates_together = backend.can_fuse = True
    backend.fuse = gpu.fuse
    backend.column_limit = 1 << 25  # Columns of a convolution in one kernel: memory, not cache, is the limit here.


def _bound(gpu: Gpu, function: Callable[..., Any]) -> Callable[..., Any]:
    from autograd_core.backends.cuda.launch import Unusable

    backend, name = gpu.backend, function.__name__
    portable = getattr(type(backend), name).__get__(backend)

    def call(*args: Any) -> Any:
        if backend.kernels_off:
            return portable(*args)
        try:
            return function(gpu, portable, *args)
        except Unusable as error:
            gpu.give_up(error)
            return portable(*args)

    call.__name__ = name
    return call


@contextmanager
def switched_off(backend: Any) -> Iterator[None]:
    """Run the portable bodies inside the block, to compare with."""
    before = backend.kernels_off
    backend.kernels_off = "switched off"
    try:
        yield
    finally:
        backend.kernels_off = before


def status(backend: Any) -> str:
    """What runs on `backend`, in words, after one kernel has been tried."""
    if not backend.kernels_off:
        backend.random_bits(backend.make_state(0), (1,))
    if backend.kernels_off:
        return f"CuPy's operations alone ({backend.kernels_off})"
    from autograd_core.backends.cuda import numba_cuda

    return f"Numba's kernels ({numba_cuda.version()})"

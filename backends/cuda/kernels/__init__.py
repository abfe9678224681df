"""Numba's kernels for the CUDA backend, by family; each takes the place of the portable body of its name.

A family's file holds kernels (`def softmax_rows(cuda, real, threads): ... return body`: see `cuda/numba_cuda.py`) and
the host's side of them, with the name and arguments of the backend's method after two of its own: `gpu`, and the
portable body, which gets whatever the kernel is not made for. `KERNELS` lists the latter.

Nothing is summed by atomics: the order of every sum is fixed by the shapes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
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


def families() -> tuple[tuple[Callable[..., Any], ...], ...]:
    """The host's sides of all kernels."""
    from autograd_core.backends.cuda.kernels import columns, draws, elementwise, norms, pools, rows, scatter, steps

    return (
        rows.KERNELS,
        norms.KERNELS,
        pools.KERNELS,
        columns.KERNELS,
        draws.KERNELS,
        elementwise.KERNELS,
        scatter.KERNELS,
        steps.KERNELS,
    )


def why_off() -> str:
    """Why Numba's kernels do not run on CUDA devices, before one is asked: empty if they may."""
    if os.environ.get("AUTOGRAD_CORE_KERNELS", "").strip().lower() == "numpy":
        return "AUTOGRAD_CORE_KERNELS=numpy"
    from autograd_core.backends.cuda import numba_cuda

    return numba_cuda.missing()


def install(backend: Any, launch: Callable[..., None] | None = None) -> str:
    """Put the kernels before the portable bodies of `backend`; returns why not, or an empty string.

    `launch` stands in for the launcher of the backend's device. If it turns out at a launch that kernels can be neither
    compiled nor loaded, the portable bodies return, with a warning; `backend.kernels_off` then holds the reason.
    """
    backend.kernels_off = "" if launch is not None else why_off()
    if backend.kernels_off:
        return str(backend.kernels_off)
    if launch is None:
        from autograd_core.backends.cuda.launch import Launcher

        capability = backend.device.compute_capability
        launch = Launcher(backend.xp, (int(capability[:-1]), int(capability[-1])))
    gpu = Gpu(backend, launch)
    for function in (f for family in families() for f in family):
        setattr(backend, function.__name__, _bound(gpu, function))
    backend.updates_together = True
    return ""


def _bound(gpu: Gpu, function: Callable[..., Any]) -> Callable[..., Any]:
    from autograd_core.backends.cuda.launch import Unusable

    name = function.__name__
    portable = getattr(type(gpu.backend), name).__get__(gpu.backend)

    def call(*args: Any) -> Any:
        try:
            return function(gpu, portable, *args)
        except Unusable as error:
            _uninstall(gpu.backend, str(error))
            return portable(*args)

    call.__name__ = name
    call.numba_kernel = True  # type: ignore[attr-defined]
    return call


def _uninstall(backend: Any, reason: str) -> None:
    warnings.warn(f"Numba's CUDA kernels are off, CuPy's operations take their place: {reason}", stacklevel=4)
    backend.kernels_off = reason
    backend.updates_together = False
    for name, value in list(vars(backend).items()):
        if getattr(value, "numba_kernel", False):
            delattr(backend, name)
    backend._stay_on_device()

"""Arrays and kernels of one kind of device each: all that computes with NumPy, Numba or CuPy is here.

Elsewhere NumPy only holds host data on its way in and out; `tests/test_packaging.py` lists those files.
"""

if __name__ != "autograd_core.backends":
    raise ImportError(
        f"import autograd_core.backends, not {__name__}: under a second name every class in it would exist twice"
    )

from collections.abc import Callable, Iterable

from autograd_core.backends import cuda as cuda
from autograd_core.backends import cudnn as cudnn
from autograd_core.backends import mps as mps
from autograd_core.backends.base import Backend as Backend


def _cpu() -> type[Backend]:
    from autograd_core.backends.cpu.backend import CpuBackend

    return CpuBackend


def _cuda() -> type[Backend]:
    from autograd_core.backends.cuda.backend import CudaBackend

    return CudaBackend


def builtin_backends() -> Iterable[tuple[str, Callable[[], type[Backend]]]]:
    """The kinds of device that come with the library, each with a function that loads its backend."""
    return (("cpu", _cpu), ("cuda", _cuda))

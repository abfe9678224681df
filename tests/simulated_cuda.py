"""A CUDA device without a GPU: the CUDA backend over arrays of NumPy that behave as CuPy's.

    ag.register_backend("simulated", lambda: SimulatedCudaBackend)    # beside the CPU, in the default run of the suite
    use_as_cuda()                                                     # as "cuda" itself, for `pytest --device cuda`

What is tested on it is our own code, not CuPy's and not a GPU: results obtained here are labelled SIMULATED. As on CuPy
- host arrays do not mix with the device's, and reading a value is a call that says so;
- results are arrays, also those of no dimension; there are no read-only arrays and no error states;
- only what CuPy has is there, with its parameters (`backends/cupy_names.txt`);
- integer arrays as indices wrap around instead of raising; of two writers of one element either may win, so writing
  different values raises here; `add.at` on floating-point numbers, whose order would differ from run to run, raises;
- `as_strided` hides the owner of the memory; `linalg` gives numbers without meaning where it should fail, unless told
  to raise;
- an array is used on the device that it lies on.
"""

from __future__ import annotations

import contextlib
import threading
import types
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import simulated_runtime as runtime
from simulated_arrays import check_call, done, ndarray, offered, strip, wrap, wrapped

from autograd_core.backends.cuda import backend as real
from autograd_core.backends.cuda.backend import CudaBackend

_CUBLAS = {"matmul", "dot", "vdot", "inner", "outer", "tensordot", "einsum", "kron"}


class _Call:
    """A function of NumPy on arrays of the device; a ufunc's `at` is reached as an attribute."""

    __slots__ = ("_function", "_name", "_ufunc")

    def __init__(self, name: str, function: Any) -> None:
        self._name, self._function = name, function
        self._ufunc = isinstance(function, np.ufunc) and isinstance(offered().get(name), list)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._name in _CUBLAS or self._name.startswith("linalg."):
            runtime.refuse("cuBLAS", breaks=False)  # CuPy itself says so, before it has asked the driver.
        if self._name in ("concatenate", "stack") and len(args[0]) > 8:
            runtime.refuse("a copy of addresses from the host")
        if self._name in ("lexsort", "partition", "argpartition"):
            runtime.refuse("waiting in a sort")
        stripped, named = strip(args), strip(kwargs) if kwargs else kwargs
        if self._ufunc:
            if any(a.__class__ is list or a.__class__ is tuple for a in stripped):
                raise TypeError(f"cupy.{self._name} takes arrays and numbers")
            result = done(self._function, stripped, named)
        else:
            check_call(self._name, args, kwargs)
            with np.errstate(all="ignore"):
                if self._name.startswith("empty"):  # Nothing is done on the device.
                    result = self._function(*stripped, **named)
                else:
                    result = done(self._function, stripped, named)
        return wrap(result, (*args, *kwargs.values()) if kwargs else args)

    def at(self, x: ndarray, indices: Any, value: Any) -> None:
        if self._name not in ("maximum", "minimum", "add"):
            raise NotImplementedError(f"cupy.{self._name}.at: only add, maximum and minimum are there")
        if x.dtype.kind == "f" and self._name == "add":
            raise AssertionError("add.at adds by atomics on a GPU, in another order every time: use backend.add_at")
        if x.dtype.name not in ("int32", "uint32", "uint64", "float32", "float64"):
            raise TypeError(f"cupy.{self._name}.at does not support {x.dtype}")
        done(lambda a, i, v: self._function.at(a, wrapped(a, i), v), (x._host, strip(indices), strip(value)), {})


class _Namespace:
    """A module of CuPy: NumPy's functions under the names that CuPy has."""

    def __init__(self, module: Any, prefix: str = "") -> None:
        self._module, self._prefix = module, prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name, None)
        if isinstance(found, types.ModuleType) and name in ("linalg", "lib", "stride_tricks"):
            made: Any = _Linalg(found, "linalg.") if name == "linalg" else _Namespace(found, f"{self._prefix}{name}.")
        elif isinstance(found, type) and issubclass(found, np.generic):
            made = found
        elif self._prefix + name not in offered():
            raise AttributeError(f"module 'cupy' has no attribute {self._prefix + name!r}")
        else:
            made = _Call(self._prefix + name, found) if callable(found) else found
        setattr(self, name, made)
        return made


class _Linalg(_Namespace):
    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)

        def function(x: ndarray, *rest: Any, **options: Any) -> Any:
            operands = [x, *(a for a in rest if isinstance(a, ndarray))]
            if not isinstance(x, ndarray) or any(a.dtype.name not in ("float32", "float64") for a in operands):
                raise TypeError(f"cupy.linalg.{name} takes float32 and float64 arrays")
            if name == "solve" and rest[0].ndim > 1 and x.shape[:-1] != rest[0].shape[:-1]:
                raise ValueError("a must have (..., M, M) shape and b must have (..., M, K)")
            try:
                with np.errstate(all="ignore"):
                    return call(x, *rest, **options)
            except np.linalg.LinAlgError:
                if _state.raising:
                    raise
                fine = np.broadcast_to(np.eye(*x.shape[-2:], dtype=x.dtype), x.shape)
                found = call(ndarray(np.array(fine)), *rest, **options)
                return tuple(a * np.nan for a in found) if isinstance(found, tuple) else found * np.nan

        setattr(self, name, function)
        return function


class _State(threading.local):
    raising = False


_state = _State()


@contextlib.contextmanager
def errstate(linalg: str | None = None) -> Iterator[None]:
    """`cupyx.errstate`."""
    before, _state.raising = _state.raising, linalg == "raise"
    try:
        yield
    finally:
        _state.raising = before


class _Strides:
    """`cupy.lib.stride_tricks`."""

    @staticmethod
    def as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
        host = np.lib.stride_tricks.as_strided(strip(x), shape, strides)
        view = ndarray(host, None, owns=False)  # As CuPy: made of the pointer alone, without a base.
        _hold(view, x)
        return view

    @staticmethod
    def sliding_window_view(x: ndarray, window_shape: Any, axis: Any = None, *, writeable: bool = False) -> ndarray:
        if writeable:
            raise NotImplementedError("Writeable views are not supported.")
        raise AssertionError("sliding_window_view reads its window on the host: use backend.unfold")


def _hold(view: ndarray, owner: ndarray) -> None:
    weakref.finalize(view, lambda kept: None, owner).atexit = False


class _ComputeTypes:
    """Of `cupy._core._routines_linalg`: how cuBLAS may compute products, for each device."""

    COMPUTE_TYPE_DEFAULT, COMPUTE_TYPE_TF32 = 1, 6

    def __init__(self) -> None:
        self.chosen: dict[tuple[int, str], int] = {}

    def set_compute_type(self, dtype: Any, compute_type: int) -> None:
        self.chosen[runtime.current.device, np.dtype(dtype).name] = compute_type


class CuPy(_Namespace):
    """The stand-in for the module `cupy`."""

    __version__ = "14.2.0 (SIMULATED)"
    ndarray = ndarray
    cuda = runtime.cuda

    def __init__(self) -> None:
        super().__init__(np)
        self.lib = types.SimpleNamespace(stride_tricks=_Strides)
        self._pool = runtime.Pool()
        self._core = types.SimpleNamespace(_routines_linalg=_ComputeTypes())

    def get_default_memory_pool(self) -> runtime.Pool:
        return self._pool

    get_default_pinned_memory_pool = get_default_memory_pool

    # From the host.
    def asarray(self, a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> Any:
        if isinstance(a, ndarray):
            if a._device != runtime.current.device:
                return ndarray(np.array(a._host, dtype))
            return a if dtype is None or a.dtype == dtype else a.astype(dtype)
        runtime.refuse("a copy from the host")
        return ndarray(np.array(a, dtype))

    def array(self, obj: Any, dtype: Any = None, copy: Any = True, order: str = "K", **rest: Any) -> ndarray:
        if isinstance(obj, ndarray):
            return ndarray(done(np.array, (obj._host, dtype), {"order": order}))
        runtime.refuse("a copy from the host")
        return ndarray(np.array(obj, dtype, order=order))

    def asnumpy(self, a: ndarray, **rest: Any) -> np.ndarray:
        return a.get()

    def from_dlpack(self, source: Any, *, device: Any = None, copy: Any = None) -> ndarray:
        raise TypeError("from_dlpack: the simulated device exchanges no memory with other libraries")

    # Every array can be written to.
    def broadcast_to(self, array: ndarray, shape: Any) -> ndarray:
        view = np.broadcast_to(strip(array), shape)
        return wrap(np.lib.stride_tricks.as_strided(array._host, view.shape, view.strides), (array,))

    def diagonal(self, a: ndarray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        view = np.diagonal(strip(a), offset, axis1, axis2)
        view.flags.writeable = True
        return wrap(view, (a,))

    def where(self, condition: Any, x: Any = None, y: Any = None) -> Any:
        if not isinstance(condition, ndarray):
            raise TypeError("cupy.where expects an array as its condition")
        if x is None:
            return self.nonzero(condition)
        return wrap(done(np.where, (strip(condition), strip(x), strip(y)), {}), ())

    def argsort(self, a: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
        if not a.ndim:
            raise np.exceptions.AxisError("Sorting arrays with the rank of zero is not supported")
        if kind not in (None, "stable"):
            raise ValueError(f"kind must be None or 'stable', got {kind}")
        runtime.refuse("waiting in a sort")
        return wrap(done(np.argsort, (strip(a), axis), {"kind": "stable"}), ())

    def sort(self, a: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
        if not a.ndim:
            raise np.exceptions.AxisError("Sorting arrays with the rank of zero is not supported")
        runtime.refuse("waiting in a sort")
        return wrap(done(np.sort, (strip(a), axis), {"kind": "stable"}), ())

    def take(self, a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        if isinstance(indices, np.ndarray):
            raise TypeError("a host array met the device")
        return wrap(done(np.take, (strip(a), strip(indices), axis), {"mode": "wrap"}), ())

    def unique(
        self, ar: ndarray, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
        axis: Any = None, *, equal_nan: bool = True,
    ) -> Any:  # fmt: skip
        if axis is not None:
            raise AssertionError("cupy.unique along an axis compares rows on the host: use backend.unique")
        runtime.refuse("a read")
        found = np.unique(strip(ar), return_index, return_inverse, return_counts, equal_nan=equal_nan)
        return wrap(found, ())

    def mean(self, a: ndarray, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        with warnings.catch_warnings() if not a.size else contextlib.nullcontext():
            if not a.size:
                warnings.simplefilter("ignore")  # That of nothing is NaN.
            return wrap(done(np.mean, (strip(a), axis, dtype), {"keepdims": keepdims}), ())

    def nonzero(self, a: ndarray) -> tuple[ndarray, ...]:
        if not a.ndim:
            raise ValueError("nonzero of an array without dimensions")
        runtime.refuse("a read")
        return wrap(np.nonzero(strip(a)), ())


CUPY: Any = CuPy()


class SimulatedCudaBackend(CudaBackend):
    """The CUDA backend on the stand-in for CuPy, under a name of its own."""

    name = "simulated"
    simulated = True

    @classmethod
    def library(cls) -> tuple[Any, int, str]:
        return CUPY, runtime.DEVICES, ""

    def _errors(self) -> Any:
        return errstate(linalg="raise")


_reason = real._cupy


def real_reason() -> str:
    """Why no GPU is used."""
    return _reason()[2]


def use_as_cuda() -> None:
    """Let `cuda` itself stand for the simulated devices in this process."""
    real._cupy = lambda: (CUPY, runtime.DEVICES, "")
    CudaBackend.simulated = True
    CudaBackend._errors = SimulatedCudaBackend._errors

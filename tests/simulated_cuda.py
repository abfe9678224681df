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
import functools
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simulated_runtime as runtime

from autograd_core.backends.cuda import backend as real
from autograd_core.backends.cuda.backend import CudaBackend

_LIST = Path(__file__).parent / "backends" / "cupy_names.txt"
_BINARY = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift", "matmul",
)  # fmt: skip
_COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = ("neg", "pos", "abs", "invert")
_REFUSAL = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)


@functools.cache
def offered() -> dict[str, Any]:
    """What CuPy has: the parameters of functions (how many by position, which by name), the loops of ufuncs."""
    found: dict[str, Any] = {}
    for line in _LIST.read_text().splitlines()[1:]:
        if ": " in line:
            name, loops = line.split(": ")
            found[name] = [tuple(loop.split("->")) for loop in loops.split()]
        elif "(" in line:
            name, inside = line.rstrip(")").split("(")
            found[name] = None if inside == "..." else _parameters(inside.split(", ") if inside else [])
        else:
            found[line] = None
    return found


def _parameters(names: list[str]) -> tuple[float, frozenset[str]] | None:
    if any(name.startswith("**") for name in names):
        return None
    positional: float = 0
    for i, name in enumerate(names):
        if name.startswith("*"):
            positional = float("inf") if name != "*" else i
            break
        positional = i + 1
    return positional, frozenset(name for name in names if not name.startswith("*"))


def _check_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    allowed = offered()[name]
    if isinstance(allowed, tuple) and (len(args) > allowed[0] or not kwargs.keys() <= allowed[1]):
        raise TypeError(f"cupy.{name} takes {sorted(allowed[1])}, got {len(args)} arguments and {sorted(kwargs)}")


class ndarray:  # noqa: N801
    """An array on a simulated device. `base` is the array that owns the memory, None if it is this one."""

    __slots__ = ("__weakref__", "_device", "_host", "_owns", "base")

    def __init__(self, host: np.ndarray, base: ndarray | None = None, owns: bool = True) -> None:
        self._host, self.base = host, base
        self._device = runtime.current.device if base is None else base._device
        self._owns = False
        if owns and base is None:
            runtime.cuda.get_allocator()(host.nbytes)
            self._owns = True

    def __del__(self) -> None:
        if getattr(self, "_owns", False) and runtime is not None:  # At the end of the process it may be gone.
            runtime.used[self._device] -= self._host.nbytes

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: _Flags(self))
    T = property(lambda self: _wrap(self._host.T, (self,)))
    data = property(
        lambda self: runtime.MemoryPointer(
            self._host.ctypes.data, self._device, self if self.base is None else self.base
        )
    )
    device = property(lambda self: runtime.Device(self._device))

    def __len__(self) -> int:
        return len(self._host)

    # Reads: each one waits for the device.
    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        if out is None:
            return np.array(self._host, order="C")
        out[...] = self._host
        return out

    def item(self) -> Any:
        return self._host.item()

    def tolist(self) -> Any:
        return self._host.tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self._host.tobytes()

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __index__(self) -> int:
        return self._host.__index__()

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray) or arr.shape != self.shape or arr.dtype != self.dtype:
            raise TypeError("ndarray.set expects a NumPy array of the same shape and dtype")
        self._host[...] = arr

    def __getitem__(self, index: Any) -> ndarray:
        key = _index(self._host, _strip(index))
        found = self._host[key]
        if not isinstance(found, np.ndarray):  # As on a device, an index of ints alone gives a view, not a scalar.
            found = self._host[(*key, ...) if isinstance(key, tuple) else (key, ...)]
        return _wrap(found, (self,))

    def __setitem__(self, index: Any, value: Any) -> None:
        key, given = _index(self._host, _strip(index)), _strip(value)
        if isinstance(given, np.ndarray):
            with np.errstate(all="ignore"):
                given = given.astype(self._host.dtype, copy=False)  # Any cast is taken, where NumPy takes most.
        self._host[key] = given
        if any(isinstance(k, np.ndarray) and k.dtype.kind in "iu" for k in (key if isinstance(key, tuple) else (key,))):
            written = self._host[key]
            if not np.array_equal(written, np.broadcast_to(given, written.shape), equal_nan=written.dtype.kind == "f"):
                raise AssertionError("several writers of one element with different values: on a GPU either may win")

    def __repr__(self) -> str:
        return f"SIMULATED({self._host!r})"

    # What would mix with host memory.
    __array_ufunc__ = None
    __array_priority__ = 1000.0

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(_REFUSAL)

    def __array_function__(self, function: Any, *rest: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} was called on a device array; call it through backend.xp")

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    # CuPy's own protocols.
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        strides = None if self._host.flags.c_contiguous else self.strides
        return {
            "shape": self.shape, "typestr": self.dtype.str, "version": 3, "strides": strides,
            "data": (self._host.ctypes.data, False), "stream": 1, "descr": self.dtype.descr,
        }  # fmt: skip


class _Flags:
    """CuPy's flags: there is none about writing."""

    __slots__ = ("c_contiguous", "f_contiguous", "owndata")

    def __init__(self, x: ndarray) -> None:
        flags = x._host.flags
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, x.base is None


_PLAIN = {bool, int, float, str, slice, type(None), type(...), type, np.dtype}


def _strip(value: Any) -> Any:
    """The NumPy arrays behind those of the device; a `TypeError` for a NumPy array that came from outside."""
    kind = value.__class__
    if kind is ndarray:
        if value._device != runtime.current.device:
            raise ValueError(
                f"The device where the array resides ({value._device}) is different from the current device "
                f"({runtime.current.device})."
            )
        return value._host
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return kind([_strip(item) for item in value])
    if kind is dict:
        return {name: _strip(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: a host array of shape {value.shape} met the device")
    if isinstance(value, tuple):
        return tuple([_strip(item) for item in value])
    if kind.__module__.split(".")[0] == "autograd_core":
        raise TypeError(f"{kind.__name__} reached the array namespace; kernels take raw arrays")
    return value


def _index(x: np.ndarray, key: Any) -> Any:
    """`key` with the integers of index arrays wrapped around."""
    items = key if isinstance(key, tuple) else (key,)
    if not any(isinstance(item, np.ndarray) and item.dtype.kind in "iu" for item in items):
        return key
    taken = sum(
        item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else item is not None and item is not ...
        for item in items
    )
    axis, out = 0, []
    for item in items:
        if item is ...:
            axis += x.ndim - taken
        elif isinstance(item, np.ndarray) and item.dtype.kind == "b":
            axis += item.ndim
        elif item is not None:
            if isinstance(item, np.ndarray) and item.dtype.kind in "iu" and axis < x.ndim and x.shape[axis]:
                item = item.astype(np.int64) % x.shape[axis]
            axis += 1
        out.append(item)
    return tuple(out) if isinstance(key, tuple) else out[0]


def _owner(x: Any) -> Any:
    while getattr(x, "base", None) is not None:
        x = x.base
    return x


def _arrays(value: Any) -> list[ndarray]:
    kind = value.__class__
    if kind is ndarray:
        return [value]
    if kind is not tuple and kind is not list:
        return []
    found = []
    for item in value:
        if item.__class__ is ndarray:
            found.append(item)
        elif item.__class__ is tuple or item.__class__ is list:
            found += _arrays(item)
    return found


def _wrap(result: Any, arguments: Any) -> Any:
    """A result as an array of the device: an argument itself (`out=`), a view of one, or an array of its own."""
    if result.__class__ is not np.ndarray:
        if isinstance(result, np.generic):
            return ndarray(np.asarray(result))
        if isinstance(result, tuple | list):
            items = [_wrap(item, arguments) for item in result]
            return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
        return result
    found = _arrays(arguments)
    for a in found:
        if a._host is result:
            return a
    if result.base is None:
        return ndarray(result)
    owner = _owner(result)
    for a in found:
        if _owner(a._host) is owner:
            return ndarray(result, a if a.base is None else a.base)
    return ndarray(result)


# -- the namespace ----------------------------------------------------------------------------------------


class _Call:
    """A function of NumPy on arrays of the device; a ufunc's `at` is reached as an attribute."""

    __slots__ = ("_function", "_name", "_ufunc")

    def __init__(self, name: str, function: Any) -> None:
        self._name, self._function = name, function
        self._ufunc = isinstance(function, np.ufunc) and isinstance(offered().get(name), list)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        stripped, named = _strip(args), _strip(kwargs) if kwargs else kwargs
        if self._ufunc:
            if any(a.__class__ is list or a.__class__ is tuple for a in stripped):
                raise TypeError(f"cupy.{self._name} takes arrays and numbers")
            result = self._function(*stripped, **named)
        else:
            _check_call(self._name, args, kwargs)
            with np.errstate(all="ignore"):
                result = self._function(*stripped, **named)
        return _wrap(result, (*args, *kwargs.values()) if kwargs else args)

    def at(self, x: ndarray, indices: Any, value: Any) -> None:
        if self._name not in ("maximum", "minimum", "add"):
            raise NotImplementedError(f"cupy.{self._name}.at: only add, maximum and minimum are there")
        if x.dtype.kind == "f" and self._name == "add":
            raise AssertionError("add.at adds by atomics on a GPU, in another order every time: use backend.add_at")
        if x.dtype.name not in ("int32", "uint32", "uint64", "float32", "float64"):
            raise TypeError(f"cupy.{self._name}.at does not support {x.dtype}")
        self._function.at(x._host, _index(x._host, _strip(indices)), _strip(value))


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
        host = np.lib.stride_tricks.as_strided(_strip(x), shape, strides)
        view = ndarray(host, None, owns=False)  # As CuPy: made of the pointer alone, without a base.
        _hold(view, x)
        return view

    @staticmethod
    def sliding_window_view(x: ndarray, window_shape: Any, axis: Any = None, *, writeable: bool = False) -> ndarray:
        if writeable:
            raise NotImplementedError("Writeable views are not supported.")
        raise AssertionError("sliding_window_view reads its window on the host: use backend.unfold")


def _hold(view: ndarray, owner: ndarray) -> None:
    import weakref

    weakref.finalize(view, lambda kept: None, owner).atexit = False


class CuPy(_Namespace):
    """The stand-in for the module `cupy`."""

    __version__ = "14.2.0 (SIMULATED)"
    ndarray = ndarray
    cuda = runtime.cuda

    def __init__(self) -> None:
        super().__init__(np)
        self.lib = types.SimpleNamespace(stride_tricks=_Strides)
        self._pool = runtime.Pool()

    def get_default_memory_pool(self) -> runtime.Pool:
        return self._pool

    get_default_pinned_memory_pool = get_default_memory_pool

    # From the host.
    def asarray(self, a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> Any:
        if isinstance(a, ndarray):
            if a._device != runtime.current.device:
                return ndarray(np.array(a._host, dtype))
            return a if dtype is None or a.dtype == dtype else a.astype(dtype)
        return ndarray(np.array(a, dtype))

    def array(self, obj: Any, dtype: Any = None, copy: Any = True, order: str = "K", **rest: Any) -> ndarray:
        return ndarray(np.array(obj._host if isinstance(obj, ndarray) else obj, dtype, order=order))

    def asnumpy(self, a: ndarray, **rest: Any) -> np.ndarray:
        return a.get()

    def from_dlpack(self, source: Any, *, device: Any = None, copy: Any = None) -> ndarray:
        raise TypeError("from_dlpack: the simulated device exchanges no memory with other libraries")

    # Every array can be written to.
    def broadcast_to(self, array: ndarray, shape: Any) -> ndarray:
        view = np.broadcast_to(_strip(array), shape)
        return _wrap(np.lib.stride_tricks.as_strided(array._host, view.shape, view.strides), (array,))

    def diagonal(self, a: ndarray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        view = np.diagonal(_strip(a), offset, axis1, axis2)
        view.flags.writeable = True
        return _wrap(view, (a,))

    def where(self, condition: Any, x: Any = None, y: Any = None) -> Any:
        if not isinstance(condition, ndarray):
            raise TypeError("cupy.where expects an array as its condition")
        if x is None:
            return self.nonzero(condition)
        return _wrap(np.where(_strip(condition), _strip(x), _strip(y)), ())

    def argsort(self, a: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
        if not a.ndim:
            raise np.exceptions.AxisError("Sorting arrays with the rank of zero is not supported")
        if kind not in (None, "stable"):
            raise ValueError(f"kind must be None or 'stable', got {kind}")
        return _wrap(np.argsort(_strip(a), axis, kind="stable"), ())

    def sort(self, a: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
        if not a.ndim:
            raise np.exceptions.AxisError("Sorting arrays with the rank of zero is not supported")
        return _wrap(np.sort(_strip(a), axis, kind="stable"), ())

    def take(self, a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        if isinstance(indices, np.ndarray):
            raise TypeError("a host array met the device")
        return _wrap(np.take(_strip(a), _strip(indices), axis, mode="wrap"), ())

    def unique(
        self, ar: ndarray, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
        axis: Any = None, *, equal_nan: bool = True,
    ) -> Any:  # fmt: skip
        if axis is not None:
            raise AssertionError("cupy.unique along an axis compares rows on the host: use backend.unique")
        found = np.unique(_strip(ar), return_index, return_inverse, return_counts, equal_nan=equal_nan)
        return _wrap(found, ())

    def mean(self, a: ndarray, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        with warnings.catch_warnings() if not a.size else contextlib.nullcontext():
            if not a.size:
                warnings.simplefilter("ignore")  # That of nothing is NaN.
            return _wrap(np.mean(_strip(a), axis, dtype, keepdims=keepdims), ())

    def nonzero(self, a: ndarray) -> tuple[ndarray, ...]:
        if not a.ndim:
            raise ValueError("nonzero of an array without dimensions")
        return _wrap(np.nonzero(_strip(a)), ())


def _operator(name: str) -> Callable[..., Any]:
    function = getattr(np.ndarray, name)

    def call(self: ndarray, *other: Any) -> Any:
        result = function(_strip(self), *map(_strip, other))
        if result is NotImplemented:
            return result
        if result.__class__ is np.ndarray and result is not self._host:
            return ndarray(result)
        return _wrap(result, (self,))

    return call


def _method(name: str) -> Callable[..., Any]:
    def call(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        _check_call(f"ndarray.{name}", args, kwargs)
        with np.errstate(all="ignore"):
            result = getattr(_strip(self), name)(*_strip(args), **_strip(kwargs))
        return _wrap(result, (self, *args, *kwargs.values()))

    return call


for _name in _BINARY:
    for _prefix in ("", "r", "i"):
        setattr(ndarray, f"__{_prefix}{_name}__", _operator(f"__{_prefix}{_name}__"))
for _name in (*_COMPARE, *_UNARY):
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in offered():
    if (
        _name.startswith("ndarray.")
        and not hasattr(ndarray, _name[8:])
        and callable(getattr(np.ndarray, _name[8:], None))
    ):
        setattr(ndarray, _name[8:], _method(_name[8:]))
ndarray.__hash__ = object.__hash__  # type: ignore[method-assign]

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


def use_as_cuda() -> None:
    """Let `cuda` itself stand for the simulated devices in this process."""
    real._cupy = lambda: (CUPY, runtime.DEVICES, "")
    CudaBackend.simulated = True
    CudaBackend._errors = SimulatedCudaBackend._errors

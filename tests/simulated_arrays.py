"""The arrays of the simulated CUDA device: NumPy's, behind what CuPy's arrays allow. See `simulated_cuda.py`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simulated_runtime as runtime

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


def check_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    allowed = offered()[name]
    if isinstance(allowed, tuple) and (len(args) > allowed[0] or not kwargs.keys() <= allowed[1]):
        raise TypeError(f"cupy.{name} takes {sorted(allowed[1])}, got {len(args)} arguments and {sorted(kwargs)}")


class ndarray:  # noqa: N801
    """An array on a simulated device. `base` is the array that owns the memory, None if it is this one."""

    __slots__ = ("__weakref__", "_device", "_host", "_owns", "base")

    def __init__(self, host: np.ndarray, base: ndarray | None = None, owns: bool = True) -> None:
        if runtime.process.lost:
            raise RuntimeError("cudaErrorInitializationError: initialization error (a CUDA device after a fork)")
        runtime.process.in_use = True
        self._host, self.base = host, base
        self._device = runtime.current.device if base is None else base._device
        self._owns = False
        if owns and base is None:
            runtime.cuda.get_allocator()(host.nbytes)
            self._owns = True

    def __del__(self, used: list[int] = runtime.used) -> None:  # Bound here: at the end of the process it is gone.
        if getattr(self, "_owns", False):
            used[self._device] -= self._host.nbytes

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: _Flags(self))
    T = property(lambda self: wrap(self._host.T, (self,)))
    data = property(
        lambda self: runtime.MemoryPointer(
            self._host.ctypes.data, self._device, self if self.base is None else self.base
        )
    )
    device = property(lambda self: runtime.Device(self._device))

    def __len__(self) -> int:
        return len(self._host)

    # Reads: each one waits for the device.
    def _read(self) -> np.ndarray:
        runtime.refuse("a read")
        return self._host

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        if out is None:
            return np.array(self._read(), order="C")
        out[...] = self._read()
        return out

    def item(self) -> Any:
        return self._read().item()

    def tolist(self) -> Any:
        return self._read().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self._read().tobytes()

    def __bool__(self) -> bool:
        return bool(self._read())

    def __int__(self) -> int:
        return int(self._read())

    def __float__(self) -> float:
        return float(self._read())

    def __index__(self) -> int:
        return self._read().__index__()

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray) or arr.shape != self.shape or arr.dtype != self.dtype:
            raise TypeError("ndarray.set expects a NumPy array of the same shape and dtype")
        runtime.refuse("a copy from the host")
        self._host[...] = arr

    def __getitem__(self, index: Any) -> ndarray:
        if any(getattr(k, "dtype", "") == "bool" for k in (index if isinstance(index, tuple) else (index,))):
            runtime.refuse("a read of how many are chosen")
        return wrap(done(_read_at, (self._host, strip(index)), {}), (self,))

    def __setitem__(self, index: Any, value: Any) -> None:
        done(_write_at, (self._host, strip(index), strip(value)), {})

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


def strip(value: Any) -> Any:
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
        return kind([strip(item) for item in value])
    if kind is dict:
        return {name: strip(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: a host array of shape {value.shape} met the device")
    if isinstance(value, tuple):
        return tuple([strip(item) for item in value])
    if kind.__module__.split(".")[0] == "autograd_core":
        raise TypeError(f"{kind.__name__} reached the array namespace; kernels take raw arrays")
    return value


def wrapped(x: np.ndarray, key: Any) -> Any:
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


def _read_at(x: np.ndarray, index: Any) -> Any:
    key = wrapped(x, index)
    found = x[key]
    if not isinstance(found, np.ndarray):  # As on a device, an index of ints alone gives a view, not a scalar.
        found = x[(*key, ...) if isinstance(key, tuple) else (key, ...)]
    return found


def _write_at(x: np.ndarray, index: Any, given: Any) -> None:
    key = wrapped(x, index)
    if isinstance(given, np.ndarray):
        with np.errstate(all="ignore"):
            given = given.astype(x.dtype, copy=False)  # Any cast is taken, where NumPy takes most.
    x[key] = given
    if any(isinstance(k, np.ndarray) and k.dtype.kind in "iu" for k in (key if isinstance(key, tuple) else (key,))):
        written = x[key]
        if not np.array_equal(written, np.broadcast_to(given, written.shape), equal_nan=written.dtype.kind == "f"):
            raise AssertionError("several writers of one element with different values: on a GPU either may win")


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


def wrap(result: Any, arguments: Any) -> Any:
    """A result as an array of the device: an argument itself (`out=`), a view of one, or an array of its own."""
    if result.__class__ is not np.ndarray:
        if isinstance(result, np.generic):
            return ndarray(np.asarray(result))
        if isinstance(result, tuple | list):
            items = [wrap(item, arguments) for item in result]
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


def done(function: Callable[..., Any], args: Any, named: Any) -> Any:
    """`function(*args, **named)`, of NumPy's arrays; noted as well if the current stream captures."""
    graph = runtime.capturing()
    if graph is None:
        return function(*args, **named)
    graph.touch((args, named))
    result = _held(function(*args, **named))
    graph.note(lambda: function(*args, **named), result)
    return result


def _held(result: Any) -> Any:
    """`result` with arrays in place of NumPy's scalars, which have no memory to write to."""
    if isinstance(result, np.generic):
        return np.asarray(result)
    if isinstance(result, tuple | list):
        items = [_held(part) for part in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


def _operator(name: str) -> Callable[..., Any]:
    function = getattr(np.ndarray, name)

    def call(self: ndarray, *other: Any) -> Any:
        if "matmul" in name:
            runtime.refuse("cuBLAS", breaks=False)
        result = done(function, (strip(self), *map(strip, other)), {})
        if result is NotImplemented:
            return result
        if result.__class__ is np.ndarray and result is not self._host:
            return ndarray(result)
        return wrap(result, (self,))

    return call


def _method(name: str) -> Callable[..., Any]:
    def call(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        check_call(f"ndarray.{name}", args, kwargs)
        with np.errstate(all="ignore"):
            result = done(getattr(np.ndarray, name), (strip(self), *strip(args)), strip(kwargs))
        return wrap(result, (self, *args, *kwargs.values()))

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

"""A third backend, registered from outside: NumPy behind arrays that refuse to meet host arrays, as CuPy's do.

It overrides no kernel, so it runs the portable bodies of `autograd_core.backends`; and anything that touches NumPy
past the backend (a NumPy array in an operation, `np.asarray`, iteration over a result) is a `TypeError` here.

    ag.register_backend("strict", lambda: StrictBackend)
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from autograd_core.backends.base import Backend

_BINARY = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift", "matmul",
)  # fmt: skip
_COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = ("neg", "pos", "abs", "invert")
_METHODS = (
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "copy", "cumprod", "cumsum", "diagonal", "dot",
    "fill", "flatten", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "reshape", "round", "squeeze",
    "std", "sum", "swapaxes", "take", "transpose", "var", "view",
)  # fmt: skip


class StrictArray:
    """An array of the strict device. `base` is the array that owns the memory, None if it is this one."""

    __slots__ = ("__weakref__", "_host", "base")

    def __init__(self, host: np.ndarray, base: StrictArray | None = None) -> None:
        self._host, self.base = host, base

    # What CuPy's arrays answer at once.
    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: _wrap(self._host.T, (self,)))

    def __len__(self) -> int:
        return len(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __getitem__(self, index: Any) -> StrictArray:
        key = _strip(index)
        found = self._host[key]
        if not isinstance(found, np.ndarray):  # As on a device, an index of ints alone gives a view, not a scalar.
            found = self._host[(*key, ...) if isinstance(key, tuple) else (key, ...)]
        return _wrap(found, (self,))

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[_strip(index)] = _strip(value)

    def __repr__(self) -> str:
        return f"StrictArray({self._host!r})"

    # What would mix with host memory.
    __array_ufunc__ = None
    __array_priority__ = 1000.0

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a strict array does not convert itself to a NumPy array; use backend.to_host(x)")

    def __array_function__(self, function: Any, *rest: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} was called on a strict array; call it through backend.xp")

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))


def _strip(value: Any) -> Any:
    """The NumPy arrays behind strict ones; a `TypeError` for a NumPy array that came from outside."""
    if isinstance(value, StrictArray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"a NumPy array of shape {value.shape} met the strict device; use backend.from_host")
    if isinstance(value, tuple | list):
        return type(value)(_strip(item) for item in value)
    if isinstance(value, dict):
        return {name: _strip(item) for name, item in value.items()}
    if type(value).__module__.split(".")[0] == "autograd_core":
        raise TypeError(f"{type(value).__name__} reached the array namespace; kernels take raw arrays")
    return value


def _owner(x: Any) -> Any:
    while getattr(x, "base", None) is not None:
        x = x.base
    return x


def _strict_arguments(value: Any) -> list[StrictArray]:
    if isinstance(value, StrictArray):
        return [value]
    return [a for item in value for a in _strict_arguments(item)] if isinstance(value, tuple | list) else []


def _wrap(result: Any, arguments: Any) -> Any:
    """A result as a strict array: an argument itself (`out=`), a view of an argument, or an array of its own."""
    if isinstance(result, tuple | list):
        items = [_wrap(item, arguments) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    if isinstance(result, np.generic):
        return StrictArray(np.asarray(result))
    if not isinstance(result, np.ndarray):
        return result
    found = _strict_arguments(arguments)
    for a in found:
        if a._host is result:
            return a
    owner = _owner(result)
    for a in found:
        if _owner(a._host) is owner:
            return StrictArray(result, a if a.base is None else a.base)
    return StrictArray(result)


class _Call:
    """A function of NumPy on strict arrays; a ufunc's `at`, `reduce` and the like are reached as attributes."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._function(*_strip(args), **_strip(kwargs))
        return _wrap(result, (*args, *kwargs.values()))

    def __getattr__(self, name: str) -> Any:
        return _Call(getattr(self._function, name))


class _Namespace:
    """A module of NumPy seen from the strict device."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, types.ModuleType):
            return _Namespace(found)
        if isinstance(found, type) or not callable(found):
            return found
        return _Call(found)


def _operator(name: str) -> Any:
    def call(self: StrictArray, *other: Any) -> Any:
        result = getattr(self._host, name)(*_strip(other))
        return result if result is NotImplemented else _wrap(result, (self, *other))

    return call


def _method(name: str) -> Any:
    def call(self: StrictArray, *args: Any, **kwargs: Any) -> Any:
        result = getattr(self._host, name)(*_strip(args), **_strip(kwargs))
        return _wrap(result, (self, *args, *kwargs.values()))

    return call


for _name in _BINARY:
    for _prefix in ("", "r", "i"):
        setattr(StrictArray, f"__{_prefix}{_name}__", _operator(f"__{_prefix}{_name}__"))
for _name in (*_COMPARE, *_UNARY):
    setattr(StrictArray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in _METHODS:
    setattr(StrictArray, _name, _method(_name))
StrictArray.__hash__ = object.__hash__  # type: ignore[method-assign]


class _Xp(_Namespace):
    """Where CuPy's functions differ from NumPy's: every array can be written to."""

    def broadcast_to(self, x: StrictArray, shape: Any) -> StrictArray:
        view = np.broadcast_to(x._host, shape)
        return _wrap(np.lib.stride_tricks.as_strided(x._host, view.shape, view.strides), (x,))

    def diagonal(self, x: StrictArray, *args: Any) -> StrictArray:
        view = x.diagonal(*args)
        view._host.flags.writeable = x._host.flags.writeable
        return view


class StrictBackend(Backend):
    """The portable bodies, on arrays that refuse host arrays."""

    name = "strict"
    xp: Any = _Xp(np)
    array_type = StrictArray

    def from_host(self, host: Any) -> StrictArray:
        if not isinstance(host, np.ndarray):
            raise TypeError(f"from_host expects a NumPy array, got {type(host).__name__}")
        return StrictArray(np.array(host))

    def address(self, x: Any) -> int:
        return int(x._host.ctypes.data)

    def as_strided(self, x: Any, shape: Any, strides: Any, offset: int) -> Any:
        steps = tuple(stride * x.itemsize for stride in strides)
        if not x.flags.c_contiguous:
            x = StrictArray(np.ascontiguousarray(x._host))
        return StrictArray(np.ndarray(shape, x.dtype, x._host, offset * x.itemsize, steps), x)

    def to_host(self, x: Any) -> Any:
        if not isinstance(x, StrictArray):
            raise TypeError(f"to_host expects an array of the strict device, got {type(x).__name__}")
        return x._host.copy()

"""Devices: what `--device`, `ag.device(...)` and `.to(...)` name, and the backend behind each.

A backend kind is registered under its device type; `register_backend` adds one from outside. There is one backend
object for each device, made at first use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from autograd_core.backends import Backend, builtin_backends
from autograd_core.userline import warn_user

_kinds: dict[str, Callable[[], type[Backend]]] = dict(builtin_backends())
_backends: dict[tuple[str, int], Backend] = {}
_devices: dict[Backend, device] = {}
_lock = threading.RLock()


class device:
    """Where a tensor lives: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`.

    `type` is the kind, `index` the number (None for the current one). `device("auto")` is a CUDA device where one can
    be used, else the CPU, with a warning that says so; `device("check")` the first CUDA device, whose every result is
    from then on compared with the CPU's (`check_devices`). As a context manager it is the default device inside.
    Raises `RuntimeError` for a string that names no device.

    >>> import autograd_core as ag
    >>> ag.device("cuda:1").index
    1
    """

    __slots__ = ("_before", "index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        elif not isinstance(type, str):
            raise TypeError(f"device: expected a string such as 'cpu' or 'cuda:0', got {type!r}")
        if type == "auto" and index is None:
            type = _choose()
        elif type == "check" and index is None:
            from autograd_core import checked_device

            type = checked_device.start()
        kind, colon, number = type.partition(":")
        if colon:
            if index is not None:
                raise RuntimeError(f"device: the index is given twice, in {type!r} and as {index}")
            if not number.isdecimal():
                raise RuntimeError(f"Invalid device string: {type!r}; expected for example 'cpu', 'cuda' or 'cuda:0'")
            index = int(number)
        if kind not in _kinds:
            known = ", ".join(sorted(_kinds))
            raise RuntimeError(
                f"Invalid device string: {type!r}; expected one of {known}, optionally with ':index', or auto or check"
            )
        self.type = kind
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (str(self),)

    def __enter__(self) -> device:
        self._before = _default.current
        _default.current = self
        return self

    def __exit__(self, *error: object) -> None:
        _default.current = self._before


class _Default(threading.local):
    current: device | None = None
    cuda = 0  # The device that "cuda" without an index stands for: see `cuda.set_device`.


_default = _Default()
_process_default: device | None = None


def register_backend(kind: str, factory: Callable[[], type[Backend]]) -> None:
    """Add a kind of device: `factory()` returns the `Backend` subclass, called when the device is first used."""
    if not kind.isidentifier():
        raise ValueError(f"register_backend: {kind!r} cannot name a kind of device; use letters, digits and _")
    with _lock:
        _kinds[kind] = factory


def backend_of(where: Any = None) -> Backend:
    """The backend of a device, a device string, an index of a CUDA device, or (None) of the default device."""
    if where is None:
        where = get_default_device()
    elif isinstance(where, bool):
        raise TypeError("device: expected a device, a string or an index, got a bool")
    elif isinstance(where, int):
        where = device("cuda", where)
    elif isinstance(where, str):
        where = device(where)
    elif not isinstance(where, device):
        raise TypeError(f"device: expected a device or a string such as 'cpu' or 'cuda:0', got {where!r}")
    index = where.index
    if index is None:
        index = _default.cuda if where.type == "cuda" else 0
    found = _backends.get((where.type, index))
    return found if found is not None else _open(where, index)


def _open(where: device, index: int) -> Backend:
    with _lock:
        key = (where.type, index)
        found = _backends.get(key)
        if found is None:
            kind = _kinds[where.type]()
            count = kind.device_count()
            if not count:
                raise RuntimeError(f"device {where}: {kind.unavailable_reason()}")
            if key[1] >= count:
                raise RuntimeError(f"device {where}: there is no such device; {count} found (index 0 to {count - 1})")
            found = _backends[key] = kind(key[1])
            _devices[found] = device(where.type, None if where.type == "cpu" else key[1])
            if hasattr(found, "memory_peak"):
                from autograd_core.cuda import holders

                holders.install()
        return found


def device_of(backend: Backend) -> device:
    """The device of a backend object."""
    return _devices[backend]


def is_available(kind: str) -> bool:
    """Whether a device of this kind can be used now."""
    try:
        return kind in _kinds and _kinds[kind]().device_count() > 0
    except ImportError:
        return False


def _choose() -> str:
    """What `auto` stands for."""
    kind = _kinds["cuda"]()
    if kind.device_count():
        return "cuda:0"
    warn_user(f"device auto: using the CPU, since {kind.unavailable_reason()}")
    return "cpu"


def get_default_device() -> device:
    """Where new tensors are made: by `set_default_device`, `with device(...)` or AUTOGRAD_CORE_DEVICE; else the CPU.

    >>> import autograd_core as ag
    >>> ag.get_default_device()
    device(type='cpu')
    """
    global _process_default
    if _default.current is not None:
        return _default.current
    if _process_default is None:
        named = os.environ.get("AUTOGRAD_CORE_DEVICE") or "cpu"
        try:
            _process_default = device(named)
        except RuntimeError as error:
            raise RuntimeError(f"AUTOGRAD_CORE_DEVICE={named}: {error}") from None
    return _process_default


def set_default_device(where: str | device | None) -> None:
    """Make new tensors on this device from now on (None: the CPU). Raises `RuntimeError` if it cannot be used.

    >>> import autograd_core as ag
    >>> ag.set_default_device("cpu")
    """
    global _process_default
    chosen = device(where or "cpu")
    backend_of(chosen)
    _process_default = chosen

"""Pickling and copying tensors, so that those that share memory share it again afterwards.

Pickles are for processes (a module sent to a worker); files are safetensors (`autograd_core/serialization.py`).
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from autograd_core import devices
from autograd_core.tensor import Tensor, adopt, wrap


class _Storage:
    """The memory of tensors in a pickle: one object for all views of it, so that it is stored once."""

    def __init__(self, array: Any, backend: Any, owner: Any = None) -> None:
        self.array, self.backend, self.owner = array, backend, owner

    def __reduce__(self) -> Any:
        return _load_storage, (self.backend.to_host(self.array), str(devices.device_of(self.backend)))


_storages: weakref.WeakValueDictionary[int, _Storage] = weakref.WeakValueDictionary()


def _load_storage(host: Any, where: str) -> _Storage:
    device = where if devices.is_available(where.partition(":")[0]) else "cpu"
    backend = devices.backend_of(device)
    # A pickle's array is nobody else's, unless it lies in a read-only buffer.
    return _Storage(host if device == "cpu" and host.flags.writeable else backend.from_host(host), backend)


def place_in_storage(t: Tensor) -> tuple[Any, Any, tuple[int, ...] | None, int] | None:
    """Which array owns the memory of `t`, that memory as an array of the dtype of `t`, and strides and offset in it.

    Strides None: `t` is all of it. None where the memory cannot be pickled or copied as a whole (a mapped file, say).
    """
    owner, native = t._backend.storage_key(t._data), t._data.dtype
    if owner is t._data:
        return owner, owner, None, 0
    if type(owner) is not t._backend.array_type or not owner.flags.c_contiguous:
        return None
    memory = owner
    if isinstance(owner, np.ndarray):
        if isinstance(owner.base, np.memmap) or owner.nbytes % native.itemsize:
            return None
        if owner.dtype != native:  # Arrays from a pickle lie on bytes.
            memory = np.ndarray((owner.nbytes // native.itemsize,), native, owner)
    if memory.dtype != native:
        return None
    offset, rest = divmod(t._backend.address(t._data) - t._backend.address(owner), native.itemsize)
    reach = sum((size - 1) * step for size, step in zip(t.shape, t.stride()))
    if rest or offset < 0 or min(t.stride(), default=0) < 0 or (t.numel() and offset + reach >= memory.size):
        return None
    return owner, memory, t.stride(), offset


def copy_in_storage(t: Tensor, memo: dict[int, Any]) -> Any:
    """A copy of the array of `t`; for `deepcopy`, whose `memo` keeps that tensors that share memory do so again."""
    place = place_in_storage(t)
    if place is None:
        return t._backend.clone(t._data)
    owner, memory, strides, offset = place
    copied = memo.get(id(owner))
    if copied is None:
        copied = memo[id(owner)] = t._backend.clone(memory)
    if copied.dtype != t._data.dtype:
        return t._backend.clone(t._data)
    return copied if strides is None else t._backend.as_strided(copied, tuple(t.shape), strides, offset)


def reduce(t: Tensor) -> Any:
    """For pickle. Tensors that share memory share it again when they were in one pickle, as in PyTorch."""
    place = place_in_storage(t)
    if place is None:
        return reduce_alone(t)
    owner, memory, strides, offset = place
    store = _storages.get(id(owner))
    if store is None or store.owner is not owner or store.array.dtype != memory.dtype:
        store = _storages[id(owner)] = _Storage(memory, t._backend, owner)
    return _rebuild, (type(t), store, tuple(t.shape), strides, offset, t.requires_grad), _own_attributes(t)


def reduce_alone(t: Tensor) -> Any:
    """For pickle: the elements of `t` and no more."""
    store = _Storage(t._data, t._backend)
    return _rebuild, (type(t), store, tuple(t.shape), None, 0, t.requires_grad), _own_attributes(t)


def _own_attributes(t: Tensor) -> dict[str, Any] | None:
    """What the user has set on a tensor; gradient, hooks and the like stay behind."""
    return {name: value for name, value in vars(t).items() if not hasattr(Tensor, name)} or None


def _rebuild(
    cls: type,
    store: _Storage,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    offset: int,
    requires_grad: bool,
) -> Any:
    """A tensor from a pickle, on the device it was on, or on the CPU where that device is missing."""
    array = store.array if strides is None else store.backend.as_strided(store.array, shape, strides, offset)
    out = adopt(object.__new__(cls), wrap(array, store.backend))
    out._requires_grad = requires_grad
    return out

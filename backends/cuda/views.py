"""Views of CuPy arrays, and who owns the memory that they look at."""

from __future__ import annotations

import weakref
from typing import Any

from autograd_core.backends.cuda.graphs import current

Array = Any
Shape = tuple[int, ...]


class CudaViewKernels:
    """Mixed into `CudaBackend`, before the portable kernels."""

    xp: Any
    _owners: dict[int, Array]

    def storage_key(self, x: Array) -> Array:
        root = x if x.base is None else x.base
        if self._owners:
            owner = self._owners.get(id(root))
            return root if owner is None else owner
        return root

    def address(self, x: Array) -> int:
        return int(x.data.ptr)

    def cat(self, arrays: tuple[Array, ...], axis: int) -> Array:
        if current.graph is None or len(arrays) <= 8:
            return self.xp.concatenate(arrays, axis)
        # Of more than eight arrays CuPy copies the addresses from the host.
        shape = list(arrays[0].shape)
        shape[axis] = sum(x.shape[axis] for x in arrays)
        out, end = self.xp.empty(tuple(shape), self.xp.result_type(*arrays)), 0
        for x in arrays:
            start, end = end, end + x.shape[axis]
            out[(*[slice(None)] * (axis % x.ndim), slice(start, end))] = x
        return out

    def expand(self, x: Array, shape: Shape) -> Array:
        return self.xp.broadcast_to(x, shape)

    def as_strided(self, x: Array, shape: Shape, strides: Shape, offset: int) -> Array:
        x = self.xp.ascontiguousarray(x)
        itemsize = x.dtype.itemsize
        return self._strided(x.reshape(-1)[offset:], shape, tuple(stride * itemsize for stride in strides))

    def unfold(self, x: Array, axis: int, size: int, step: int) -> Array:
        shape, strides = list(x.shape), list(x.strides)
        shape[axis] = (shape[axis] - size) // step + 1
        strides[axis] *= step
        return self._strided(x, (*shape, size), (*strides, x.strides[axis]))

    def copied(self, x: Array) -> Array:
        """A copy of `x` in memory of its own, with the same strides."""
        copy = self.xp.array(x, copy=True, order="K")
        if copy.strides == x.strides or not x.size:
            return copy
        # From the lowest address on: an axis with a negative stride begins at its end.
        backwards = tuple(slice(None, None, -1 if stride < 0 else 1) for stride in x.strides)
        steps = tuple(abs(stride) for stride in x.strides)
        span = sum((n - 1) * step for n, step in zip(x.shape, steps)) // x.dtype.itemsize + 1
        copy = self._strided(self.xp.empty((span,), x.dtype), x.shape, steps)[backwards]
        copy[...] = x
        return copy

    def _strided(self, x: Array, shape: Shape, strides: Shape) -> Array:
        """A view by strides in bytes. CuPy makes it of the pointer alone, without a `base`: we remember the owner."""
        view = self.xp.lib.stride_tricks.as_strided(x, shape, strides)
        owner, key = self.storage_key(x), id(view)
        self._owners[key] = owner
        weakref.finalize(view, self._owners.pop, key, None).atexit = False
        return view

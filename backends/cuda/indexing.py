"""Indexing on CuPy arrays: writing and adding in a fixed order, without atomic sums, and checks of ranges that wait.

CuPy's own `add.at` adds by atomics, in an order that differs from run to run; its assignment lets any of several
writers of one element win; its `unique` along an axis compares rows on the host. An index out of range wraps around
there, which touches no foreign memory, and is reported by a check of ours.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.cuda.checks import Check

Array = Any
Shape = tuple[int, ...]
_FULL = slice(None)


def _is_array(item: Any) -> bool:
    return hasattr(item, "dtype") and hasattr(item, "shape")


def _integers(indices: Any) -> bool:
    """Whether integer arrays are among `indices`, which may name an element more than once."""
    items = indices if isinstance(indices, tuple) else (indices,)
    return any(_is_array(item) and item.dtype.kind in "iu" for item in items)


def _lone_array(indices: Any) -> tuple[int, Array] | None:
    """The axis and the array where one integer array selects and all other indices are full slices."""
    items = indices if isinstance(indices, tuple) else (indices,)
    found = [(axis, item) for axis, item in enumerate(items) if not (isinstance(item, slice) and item == _FULL)]
    if len(found) != 1 or not _is_array(found[0][1]) or found[0][1].dtype.kind not in "iu":
        return None
    return found[0]


class CudaIndexKernels:
    """Mixed into `CudaBackend`, before the portable kernels."""

    xp: Any
    checks: Any
    clone: Any
    _along: Any

    # -- checks -----------------------------------------------------------------------------------------

    def check_none(self, bad: Array, error: type[Exception], message: str) -> None:
        if bad.size:
            self.checks.note(Check(error, message.replace("{}", "?"), 1, 0), self.xp.any(bad).astype("uint64"))

    def check_range(self, index: Array, low: int, high: int, error: type[Exception], message: str) -> None:
        if index.size:
            # As unsigned numbers all that lies below the range lies above it.
            shifted = index if low == 0 and index.dtype.char != "B" else index.astype("int64") - low
            unsigned = shifted.view("u" + shifted.dtype.name) if shifted.dtype.kind == "i" else shifted
            worst = self.xp.max(unsigned)
            if worst.dtype.itemsize < 8:
                worst = worst.view(worst.dtype.name[1:]).astype("int64").view("uint64")
            self.checks.note(Check(error, message, max(high - low, 0), low), worst)

    def _check_range(self, operation: str, index: Array, n: int, ignored: int | None) -> None:
        kept = index
        if ignored is not None and not 0 <= ignored < n:
            kept = self.xp.where(index == ignored, self.xp.zeros((), index.dtype), index)
        rest = f" or equal to ignore_index={ignored}" if ignored is not None else f" for {n} rows"
        self.check_range(
            kept,
            0,
            n,
            IndexError,
            f"{operation}: index {{}} is out of range: expected every one in [0, {n - 1}]{rest}",
        )

    def _check_indices(self, x: Array, indices: Any) -> None:
        axis = 0
        items = indices if isinstance(indices, tuple) else (indices,)
        covered = sum(
            item.ndim if _is_array(item) and item.dtype.kind == "b" else item is not None and item is not Ellipsis
            for item in items
        )
        for item in items:
            if item is None:
                continue
            if item is Ellipsis:
                axis += x.ndim - covered
            elif _is_array(item) and item.dtype.kind == "b":
                axis += item.ndim
            else:
                if _is_array(item):
                    n = x.shape[axis]
                    message = f"index {{}} is out of bounds for axis {axis} with size {n}"
                    self.check_range(item, -n, n, IndexError, message)
                axis += 1

    # -- reading and writing ----------------------------------------------------------------------------

    def index(self, x: Array, indices: tuple[Any, ...]) -> Array:
        self._check_indices(x, indices)
        return x[indices]

    def set_index_(self, x: Array, value: Array, indices: tuple[Any, ...]) -> Array:
        self._check_indices(x, indices)
        self._write(x, indices, value)
        return x

    def index_put(self, x: Array, value: Array, indices: tuple[Any, ...], accumulate: bool) -> Array:
        self._check_indices(x, indices)
        out = self.clone(x)
        if accumulate:
            self.add_at(out, indices, value)
        else:
            self._write(out, indices, value)
        return out

    def scatter(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        out = self.clone(x)
        self._write(out, self._along(index, axis), source)
        return out

    def _write(self, x: Array, indices: Any, value: Array) -> None:
        """`x[indices] = value`; of several writers of one element the last one wins."""
        if not _integers(indices) or value.size == 1:
            x[indices] = value
            return
        xp, lone = self.xp, _lone_array(indices)
        axis = -1
        if lone is None:
            places, n = xp.arange(x.size).reshape(x.shape)[indices], x.size
        else:
            axis, places = lone
            n = x.shape[axis]
        if not places.size or not n:
            x[indices] = value  # Nothing to write, or an error.
            return
        flat = places.reshape(-1) % n
        # A maximum of integers: whoever comes first, the last place wins.
        order = xp.arange(flat.size, dtype="int32" if flat.size < 2**31 else "uint64")
        winner = xp.zeros((n,), order.dtype)
        xp.maximum.at(winner, flat, order)
        winner = winner[flat]
        if lone is None:
            # Broadcast to the shape of what is written, each element takes the value of its winner.
            value = xp.broadcast_to(value, places.shape).reshape(-1)[winner].reshape(places.shape)
        else:
            shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
            value = xp.broadcast_to(value, shape)
            rows = value.reshape((*x.shape[:axis], flat.size, *x.shape[axis + 1 :]))
            value = xp.take(rows, winner, axis=axis).reshape(shape)
        x[indices] = value

    # -- adding (and the like) at indices that repeat -----------------------------------------------------

    def add_at(self, x: Array, indices: Any, value: Array) -> None:
        self._fold_at(self.xp.add, x, indices, value)

    def scatter_amax(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        return self._folded(self.xp.maximum, x, index, source, axis)

    def scatter_amin(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        return self._folded(self.xp.minimum, x, index, source, axis)

    def scatter_prod(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        return self._folded(self.xp.multiply, x, index, source, axis)

    def _folded(self, function: Any, x: Array, index: Array, source: Array, axis: int) -> Array:
        out = self.clone(x)
        self._fold_at(function, out, self._along(index, axis), source)
        return out

    def _fold_at(self, function: Any, x: Array, indices: Any, value: Array) -> None:
        """`x[i] = function(x[i], v)` for every i of `indices` and v of `value`, in one order."""
        xp = self.xp
        if not _integers(indices):
            x[indices] = function(x[indices], value)
            return
        lone = _lone_array(indices)
        if lone is None:
            places = xp.arange(x.size).reshape(x.shape)[indices]
            if not places.size:
                return
            values = xp.broadcast_to(value, places.shape).reshape((-1, 1))
            target = x.reshape((-1, 1))
        else:
            axis, places = lone
            if not places.size or not x.size:
                return
            shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
            values = xp.broadcast_to(value, shape)
            values = values.reshape((*x.shape[:axis], places.size, *x.shape[axis + 1 :]))
            values = xp.moveaxis(values, axis, 0).reshape((places.size, -1))
            target = xp.moveaxis(x, axis, 0).reshape((x.shape[axis], -1))
        wide = "float32" if x.dtype.char == "e" else x.dtype
        totals, named = self._fold_rows(function, places.reshape(-1), values.astype(wide), target.shape[0])
        target = xp.where(named, function(target.astype(wide), totals), target).astype(x.dtype)
        if lone is None:
            x[...] = target.reshape(x.shape)
        else:
            moved = (x.shape[axis], *x.shape[:axis], *x.shape[axis + 1 :])
            x[...] = xp.moveaxis(target.reshape(moved), 0, axis)

    def _fold_rows(self, function: Any, places: Array, values: Array, n: int) -> tuple[Array, Array]:
        """For each of `n` rows the rows of `values` whose place it is, folded; and whether there are any.

        Sorted by place, neighbours are folded in pairs, then pairs of pairs: log2 rounds over all rows, a tree whose
        shape depends on the places alone. (`values` is a copy of ours, and is overwritten.)
        """
        xp, m = self.xp, places.size
        places = places % n
        order = xp.argsort(places)
        places, values = places[order], values[order]
        rank = xp.arange(m) - xp.searchsorted(places, places)
        step = 1
        while step < m:
            pair = xp.logical_and(places[step:] == places[:-step], rank[:-step] % (2 * step) == 0)
            head = values[:-step]
            head[...] = xp.where(pair[:, None], function(head, values[step:]), head)
            step *= 2
        rows = xp.arange(n)
        first = xp.minimum(xp.searchsorted(places, rows), m - 1)
        return values[first], (places[first] == rows)[:, None]

    # -- counting ---------------------------------------------------------------------------------------

    def bincount(self, x: Array, weights: Array, minlength: int) -> Array:
        if weights is None or not x.size:
            return self.xp.bincount(x, weights, minlength)
        counts = self.xp.zeros((max(int(self.xp.max(x)) + 1, minlength),), "float64")
        self.add_at(counts, x, weights.astype("float64"))
        return counts

    def unique(self, x: Array, axis: int | None) -> tuple[Array, Array, Array]:
        xp = self.xp
        if axis is None:
            found = xp.unique(x, return_inverse=True, return_counts=True, equal_nan=False)
            return found[0], found[1], found[2]
        moved = xp.moveaxis(x, axis, 0)
        n = moved.shape[0]
        rows = xp.ascontiguousarray(moved.reshape((n, math.prod(moved.shape[1:]))))
        order = xp.lexsort(xp.ascontiguousarray(xp.flip(rows, 1).transpose((1, 0)))) if rows.size else xp.arange(n)
        ordered = rows[order]
        begins = xp.ones((n,), "bool")
        if n:
            begins[1:] = xp.any(ordered[1:] != ordered[:-1], axis=1)
        inverse = xp.empty((n,), "int64")
        inverse[order] = xp.cumsum(begins) - 1
        starts = xp.nonzero(begins)[0]
        ends = xp.concatenate((starts[1:], xp.full((min(n, 1),), n, "int64")))
        values = xp.moveaxis(moved[order][starts], 0, axis)
        return xp.ascontiguousarray(values), inverse, ends - starts

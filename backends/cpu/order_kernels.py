"""Sorting, the first of a sorted sequence without sorting it all, and scans: running sums, products and extremes.

A million float32 in rows of 1000, one thread, in ms: sorting 11 (NumPy's stable sort 36), the ten greatest 2, a median
1.6, cumsum 0.7 (3), cummax 0.7 (16). The places are those of a stable sort, so that every device finds the same among
equals.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.backends.cpu.cache import LOOP_FROM, PARALLEL_FROM, kernel
from autograd_core.backends.cpu.neural import bound

Array = Any

_LONG = 64  # Elements of a row from which NumPy's stable sort is slower.
_SHARE = 4  # With more than one in so many wanted, sorting is as fast.


def install(backend: Any) -> None:
    """Make these the kernels of `backend`; what they do not take goes to its own."""
    for function in (argsort, first_sorted, nth_sorted, median_place, cumsum, cumprod, running_argmax):
        setattr(backend, function.__name__, bound(function, backend))


def argsort(portable: Any, x: Array, axis: int, descending: bool) -> Array:
    """By NumPy's sort of 64-bit integers, which has vector instructions: the number's bits, then its place."""
    n = x.shape[axis]
    if x.size < LOOP_FROM or n < _LONG or x.dtype.char not in "fi":
        return portable(x, axis, descending)
    rows = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    keys = np.empty(rows.shape, np.uint64)
    run = _float_keys if x.dtype.char == "f" else _integer_keys
    (run if x.size >= PARALLEL_FROM else run.serial)(rows.reshape(-1).view(np.uint32), n, descending, keys.reshape(-1))
    keys.sort(-1)
    keys &= np.uint64(0xFFFFFFFF)
    return np.ascontiguousarray(np.moveaxis(keys.view(np.int64), -1, axis))


def first_sorted(portable: Any, x: Array, axis: int, k: int, descending: bool) -> Array:
    """Numbers below the k-th, and as many of its equals as are missing, in their order; then these are sorted."""
    rows = _rows(x, axis)
    if rows is None or not 0 < k <= rows.shape[1] // _SHARE:
        return portable(x, axis, k, descending)
    if descending:
        rows = _turned(rows)
    last = np.partition(rows, k - 1, axis=1)[:, k - 1]
    places = np.empty((rows.shape[0], k), np.int64)
    (_first if x.size >= PARALLEL_FROM else _first.serial)(rows, last, places)
    order = np.argsort(np.take_along_axis(rows, places, 1), 1, kind="stable")
    return _back(np.take_along_axis(places, order, 1), x, axis)


def nth_sorted(portable: Any, x: Array, axis: int, n: int) -> Array:
    rows = _rows(x, axis)
    if rows is None:
        return portable(x, axis, n)
    value = np.partition(rows, n, axis=1)[:, n]
    places = np.empty((rows.shape[0], 1), np.int64)
    (_nth if x.size >= PARALLEL_FROM else _nth.serial)(rows, value, n, places)
    return _back(places, x, axis)


def median_place(portable: Any, x: Array, axis: int, skip_nan: bool) -> Array:
    rows = _rows(x, axis)
    return portable(x, axis, skip_nan) if rows is None else nth_sorted(portable, x, axis, (x.shape[axis] - 1) // 2)


def _rows(x: Array, axis: int) -> Array | None:
    """`x` as rows along `axis`; None where it is too small, of another dtype, or holds a NaN, which sorts last."""
    if x.size < LOOP_FROM or x.dtype.char not in "fdlqi" or (x.dtype.kind == "f" and np.isnan(x).any()):
        return None
    return np.ascontiguousarray(np.moveaxis(x, axis, -1)).reshape(-1, x.shape[axis])


def _turned(rows: Array) -> Array:
    """The same order, backwards."""
    return np.negative(rows) if rows.dtype.kind == "f" else np.invert(rows)


def _back(places: Array, x: Array, axis: int) -> Array:
    around = (*x.shape[:axis], *x.shape[axis + 1 :])
    return np.ascontiguousarray(np.moveaxis(places.reshape(*around, places.shape[1]), -1, axis))


def cumsum(portable: Any, x: Array, axis: int) -> Array:
    """Added in float64."""
    return _scanned(_sums, portable, x, axis)


def cumprod(portable: Any, x: Array, axis: int) -> Array:
    """Multiplied in float64."""
    return _scanned(_products, portable, x, axis)


def _scanned(work: Any, portable: Any, x: Array, axis: int) -> Array:
    if x.size < LOOP_FROM or x.dtype.char not in "fd":
        return portable(x, axis)
    inner = math.prod(x.shape[axis + 1 :])
    out = np.empty(x.shape, x.dtype)
    many = x.size >= PARALLEL_FROM and x.shape[axis] * inner < x.size
    (work if many else work.serial)(np.ascontiguousarray(x).reshape(-1), x.shape[axis], inner, out.reshape(-1))
    return out


def running_argmax(portable: Any, x: Array, axis: int, smallest: bool) -> Array:
    if x.size < LOOP_FROM or x.dtype.char not in "fdlqi":
        return portable(x, axis, smallest)
    rows = np.ascontiguousarray(np.moveaxis(x, axis, -1)).reshape(-1, x.shape[axis])
    if smallest:
        rows = _turned(rows)
    places = np.empty(rows.shape, np.int64)
    (_running if x.size >= PARALLEL_FROM else _running.serial)(rows, places)
    return _back(places, x, axis)


@kernel(parallel=True)
def _float_keys(bits, n, descending, keys, worker, workers):
    """In the high half numbers that have the order of the floats of these bits, in the low half places in a row."""
    turned, rows = np.uint32(0xFFFFFFFF if descending else 0), bits.size // n
    for row in range(worker * rows // workers, (worker + 1) * rows // workers):
        start = np.uint64(row * n)
        for i in range(np.uint64(n)):
            b = bits[start + i]
            size = b & np.uint32(0x7FFFFFFF)
            ordered = np.uint32(~b) if b > np.uint32(0x80000000) else b | np.uint32(0x80000000)  # Zeros are equal.
            ordered = np.uint32(0xFFFFFFFF) if size > np.uint32(0x7F800000) else ordered  # A NaN is the greatest.
            keys[start + i] = np.uint64(ordered ^ turned) << np.uint64(32) | np.uint64(i)


@kernel(parallel=True)
def _integer_keys(bits, n, descending, keys, worker, workers):
    turned, rows = np.uint32(0x7FFFFFFF if descending else 0x80000000), bits.size // n
    for row in range(worker * rows // workers, (worker + 1) * rows // workers):
        start = np.uint64(row * n)
        for i in range(np.uint64(n)):
            keys[start + i] = np.uint64(bits[start + i] ^ turned) << np.uint64(32) | np.uint64(i)


@kernel(parallel=True)
def _first(rows, last, places, worker, workers):
    """The places of the numbers below `last`, and of the first equal to it until a row of `places` is full."""
    count, k = places.shape
    for row in range(worker * count // workers, (worker + 1) * count // workers):
        x, limit, found = rows[row], last[row], places[row]
        equals = k
        for i in range(x.size):
            equals -= x[i] < limit
        at = 0
        for i in range(x.size):
            if x[i] <= limit:
                if x[i] == limit:
                    if equals == 0:
                        continue
                    equals -= 1
                found[at] = i
                at += 1


@kernel(parallel=True)
def _nth(rows, value, n, places, worker, workers):
    """The place of the number that a stable sort puts at place n, whose value is known."""
    count = places.shape[0]
    for row in range(worker * count // workers, (worker + 1) * count // workers):
        x, wanted = rows[row], value[row]
        equals = n
        for i in range(x.size):
            equals -= x[i] < wanted
        for i in range(x.size):
            if x[i] == wanted:
                if equals == 0:
                    places[row, 0] = i
                    break
                equals -= 1


@kernel(parallel=True)
def _sums(x, n, inner, out, worker, workers):
    outer = x.size // (n * inner)
    totals = np.empty(inner)
    for o in range(worker * outer // workers, (worker + 1) * outer // workers):
        if inner == 1:
            total = 0.0
            for at in range(np.uint64(o * n), np.uint64((o + 1) * n)):
                total += x[at]
                out[at] = total
        else:
            totals[:] = 0
            for j in range(n):
                start = np.uint64((o * n + j) * inner)
                for i in range(np.uint64(inner)):
                    totals[i] += x[start + i]
                    out[start + i] = totals[i]


@kernel(parallel=True)
def _products(x, n, inner, out, worker, workers):
    outer = x.size // (n * inner)
    totals = np.empty(inner)
    for o in range(worker * outer // workers, (worker + 1) * outer // workers):
        if inner == 1:
            total = 1.0
            for at in range(np.uint64(o * n), np.uint64((o + 1) * n)):
                total *= x[at]
                out[at] = total
        else:
            totals[:] = 1
            for j in range(n):
                start = np.uint64((o * n + j) * inner)
                for i in range(np.uint64(inner)):
                    totals[i] *= x[start + i]
                    out[start + i] = totals[i]


@kernel(parallel=True)
def _running(rows, places, worker, workers):
    """Where the greatest number so far stands: the last one among equals, a NaN before all."""
    count, n = rows.shape
    for row in range(worker * count // workers, (worker + 1) * count // workers):
        x, found = rows[row], places[row]
        best, place, i = x[0], 0, 0
        while i < n:
            value = x[i]
            if not value < best:
                if value != value:
                    break
                best, place = value, i
            found[i] = place
            i += 1
        for j in range(i, n):
            if x[j] != x[j]:
                place = j
            found[j] = place

"""Attention in float32, head by head, without its matrix of weights in memory.

A task takes one head: it lays keys and values out for products (`micro.py`), then goes through the queries in blocks,
whose scores stay in the cache; with `causal` it leaves out the keys that a block cannot see. What is kept for the
gradient is a number a query, the logarithm of the sum of the exponentials, from which the weights are computed once
more (Dao, Fu, Ermon, Rudra, Re, "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022).
Measured at the size of `bench gpt` in docs/performance.md. No sum depends on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.backends.cpu import cells, micro, threads
from autograd_core.backends.cpu.cache import kernel

Array = Any

# Set before the first kernel is compiled.
_two: Any = None
_fetch: Any = None
_put: Any = None
_turn: Any = None
_softmax: Any = None
_softmax_back: Any = None
_ROWS = _LANES = 0

_BLOCK = 64  # Queries of a block.
_PARALLEL = 1 << 18  # Multiplications from which several threads are faster than one.


def usable(*arrays: Array) -> bool:
    """Whether the kernels take these: float32, none empty, and heads in at most two dimensions."""
    return all(a.dtype.char == "f" and a.size and 2 <= a.ndim <= 4 for a in arrays)


def _prepare() -> None:
    global _two, _fetch, _put, _turn, _softmax, _softmax_back, _ROWS, _LANES
    if _two is None:
        _LANES, _ROWS = micro.shape()
        _softmax, _softmax_back = cells.softmax_row(), cells.softmax_row_backward()
        _fetch, _put = micro.memory()
        _turn = micro.turn_tile()
        _two = micro.product_tile(2)


def _four(x: Array) -> Array:
    """In four dimensions, with neighbours in memory along the last."""
    if x.strides[-1] != 4 and x.shape[-1] > 1:
        x = np.ascontiguousarray(x)
    return x if x.ndim == 4 else x[:, None] if x.ndim == 3 else x[None, None]


def _like(x: Array, lead: tuple[int, ...], features: int) -> tuple[Array, Array]:
    """A new array (*lead, rows, features), laid out as a model lays out its heads, (batch, rows, heads, features);
    and it in four dimensions."""
    four = np.empty((x.shape[0], x.shape[2], x.shape[1], features), np.float32).transpose(0, 2, 1, 3)
    return four.reshape(*lead, x.shape[2], features) if len(lead) < 2 else four, four


def _added(mask: Array, shape: tuple[int, ...]) -> Array:
    """What the mask adds to the scores of `shape`, in four dimensions."""
    if mask is None:
        return np.zeros((1, 1, 1, 1), np.float32)
    added = np.where(mask, np.float32(0), np.float32(-np.inf)) if mask.dtype.kind == "b" else mask.astype(np.float32)
    added = np.broadcast_to(added, shape)
    return added if added.ndim == 4 else added[:, None] if added.ndim == 3 else added[None, None]


def _where(*arrays: Array) -> Array:
    """Address and strides of each, in elements."""
    return np.array([(a.ctypes.data, *(step // 4 for step in a.strides)) for a in arrays], np.int64)


def _run(kernel: Any, q: Array, k: Array, v: Array, *rest: Any) -> None:
    batch, heads, length, inner = q.shape
    source, features = k.shape[2], v.shape[3]
    work = batch * heads * length * source * (inner + features)
    parallel = batch * heads > 1 and work >= _PARALLEL and threads.get_num_threads() > 1
    (kernel if parallel else kernel.serial)(batch, heads, length, source, inner, features, *rest)


def forward(q: Array, k: Array, v: Array, mask: Array, causal: bool, scale: float) -> tuple[Array, Array]:
    """`attention`."""
    _prepare()
    lead = q.shape[:-2]
    added = _added(mask, (*lead, q.shape[-2], k.shape[-2]))
    q, k, v = _four(q), _four(k), _four(v)
    y, out = _like(q, lead, v.shape[3])
    logsum = np.empty(q.shape[:3], np.float32)
    places = _where(q, k, v, added, out)
    _run(_forward, q, k, v, places, mask is not None, causal, np.float32(scale), logsum)
    return y, logsum.reshape(y.shape[:-1])


def backward(
    g: Array, q: Array, k: Array, v: Array, mask: Array, y: Array, logsum: Array, causal: bool, scale: float
) -> tuple[Array, Array, Array]:
    """`attention_backward`."""
    _prepare()
    lead = q.shape[:-2]
    added = _added(mask, (*lead, q.shape[-2], k.shape[-2]))
    g, q, k, v, y = (_four(a) for a in (g, q, k, v, y))
    made = [_like(a, lead, a.shape[3]) for a in (q, k, v)]
    places = _where(q, k, v, added, y, g, *(four for _, four in made))
    logsum = np.ascontiguousarray(logsum).reshape(q.shape[:3])
    _run(_backward, q, k, v, places, mask is not None, causal, np.float32(scale), logsum)
    return tuple(a for a, _ in made)


@kernel(parallel=True, uses=micro.SOURCE + cells.SOURCE)
def _forward(batch, heads, length, source, inner, features, places, masked, causal, scale, logsum, worker, workers):
    # Rows of `places`: q, k, v, mask, result.
    width = 2 * _LANES
    wide = (source + width - 1) // width * width
    deep = (features + width - 1) // width * width
    thick = (inner + width - 1) // width * width
    # np.zeros and np.arange would take 0.15 s each to compile.
    start, by_key, by_value = np.empty(5, np.int64), np.empty(inner, np.int64), np.empty(source, np.int64)
    for i in range(inner):
        by_key[i] = i * wide
    for i in range(source):
        by_value[i] = i * deep
    queries = np.empty(length * inner, np.float32)
    rows, keys = np.empty(wide * thick, np.float32), np.empty(thick * wide, np.float32)
    values = np.empty(source * deep, np.float32)
    rows[:] = 0
    values[:] = 0
    scores = np.empty(_ROWS * wide, np.float32)
    result = np.empty(_ROWS * deep, np.float32)
    stats = np.empty(2, np.float32)
    tasks = batch * heads
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        b, h = task // heads, task % heads
        for i in range(5):
            start[i] = places[i, 1] * b + places[i, 2] * h
        for i in range(length):
            at, to = start[0] + i * places[0, 3], np.uint64(i * inner)
            for e in range(np.uint64(inner)):
                queries[to + e] = _fetch(places[0, 0], at + np.int64(e)) * scale
        for j in range(source):
            at, to = start[1] + j * places[1, 3], np.uint64(j * thick)
            for e in range(np.uint64(inner)):
                rows[to + e] = _fetch(places[1, 0], at + np.int64(e))
            at, to = start[2] + j * places[2, 3], np.uint64(j * deep)
            for e in range(np.uint64(features)):
                values[to + e] = _fetch(places[2, 0], at + np.int64(e))
        for j in range(0, wide, _LANES):
            for e in range(0, thick, _LANES):
                _turn(rows, j * thick + e, thick, keys, e * wide + j, wide)
        for first in range(0, length, _ROWS):
            high = min(_ROWS, length - first)
            seen = min(source, first + high) if causal else source
            reach = (seen + width - 1) // width * width
            for j in range(0, reach, width):
                _two(high, queries, first * inner, inner, 1, keys, j, by_key, 0, inner, scores, j, wide, 0)
            for r in range(high):
                i, at = first + r, r * wide
                if masked:
                    for j in range(seen):
                        scores[at + j] += _fetch(places[3, 0], start[3] + i * places[3, 3] + j * places[3, 4])
                for j in range(min(seen, i + 1) if causal else seen, reach):
                    scores[at + j] = -np.inf
                _softmax(reach, scores, at, stats, 0)
                # Where a mask hides all there is no number to divide by, and the result is zero.
                total = stats[1]
                nothing = masked and stats[0] == -np.inf
                logsum[b, h, i] = np.inf if nothing else stats[0] + math.log(total)
                factor = np.float32(1) if nothing else np.float32(1) / total
                for j in range(seen):
                    scores[at + j] *= factor
            for e in range(0, deep, width):
                _two(high, scores, 0, wide, 1, values, e, by_value, 0, seen, result, e, deep, 0)
            for r in range(high):
                to, at = start[4] + (first + r) * places[4, 3], np.uint64(r * deep)
                for e in range(np.uint64(features)):
                    _put(places[4, 0], to + np.int64(e), result[at + e])


@kernel(parallel=True, fastmath={"reassoc", "contract", "nsz"}, uses=micro.SOURCE + cells.SOURCE)
def _backward(batch, heads, length, source, inner, features, places, masked, causal, scale, logsum, worker, workers):
    # Rows of `places`: q, k, v, mask, result, its gradient, and those of q, k, v.
    width = 2 * _LANES
    wide = (source + width - 1) // width * width
    deep = (features + width - 1) // width * width
    thick = (inner + width - 1) // width * width
    start, most = np.empty(9, np.int64), max(source, inner, features, _BLOCK)
    # Where rows of the three widths begin.
    by_wide, by_deep, by_thick = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    for i in range(most):
        by_wide[i], by_deep[i], by_thick[i] = i * wide, i * deep, i * thick
    rows, columns = np.empty(wide * thick, np.float32), np.empty(wide * deep, np.float32)
    keys, values = np.empty(thick * wide, np.float32), np.empty(deep * wide, np.float32)
    queries, cotangents = np.empty(_BLOCK * thick, np.float32), np.empty(_BLOCK * deep, np.float32)
    scores, slopes = np.empty(_BLOCK * wide, np.float32), np.empty(_BLOCK * wide, np.float32)
    for x in (rows, columns, queries, cotangents, scores, slopes):
        x[:] = 0
    result = np.empty(_ROWS * thick, np.float32)
    by_k = np.empty((source + _ROWS) * thick, np.float32)
    by_v = np.empty((source + _ROWS) * deep, np.float32)
    tasks = batch * heads
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        b, h = task // heads, task % heads
        for i in range(9):
            start[i] = places[i, 1] * b + places[i, 2] * h
        for j in range(source):
            at, to = start[1] + j * places[1, 3], np.uint64(j * thick)
            for e in range(np.uint64(inner)):
                rows[to + e] = _fetch(places[1, 0], at + np.int64(e))
            at, to = start[2] + j * places[2, 3], np.uint64(j * deep)
            for e in range(np.uint64(features)):
                columns[to + e] = _fetch(places[2, 0], at + np.int64(e))
        for j in range(0, wide, _LANES):
            for e in range(0, thick, _LANES):
                _turn(rows, j * thick + e, thick, keys, e * wide + j, wide)
            for e in range(0, deep, _LANES):
                _turn(columns, j * deep + e, deep, values, e * wide + j, wide)
        by_k[:] = 0
        by_v[:] = 0
        for top in range(0, length, _BLOCK):
            count = min(_BLOCK, length - top)
            for i in range(count):
                at, to = start[0] + (top + i) * places[0, 3], np.uint64(i * thick)
                for e in range(np.uint64(inner)):
                    queries[to + e] = _fetch(places[0, 0], at + np.int64(e)) * scale
                at, to = start[5] + (top + i) * places[5, 3], np.uint64(i * deep)
                for e in range(np.uint64(features)):
                    cotangents[to + e] = _fetch(places[5, 0], at + np.int64(e))
            whole = min(source, top + count) if causal else source
            for first in range(0, count, _ROWS):
                high = min(_ROWS, count - first)
                seen = min(source, top + first + high) if causal else source
                reach = (seen + width - 1) // width * width
                for j in range(0, reach, width):
                    _two(high, queries, first * thick, thick, 1, keys, j, by_wide, 0, inner,
                         scores, first * wide + j, wide, 0)  # fmt: skip
                    _two(high, cotangents, first * deep, deep, 1, values, j, by_wide, 0, features,
                         slopes, first * wide + j, wide, 0)  # fmt: skip
                for r in range(first, first + high):
                    i, at = top + r, r * wide
                    if masked:
                        for j in range(seen):
                            scores[at + j] += _fetch(places[3, 0], start[3] + i * places[3, 3] + j * places[3, 4])
                    for j in range(min(seen, i + 1) if causal else seen, reach):
                        scores[at + j] = -np.inf
                    mean = np.float32(0)
                    near, to = start[4] + i * places[4, 3], np.uint64(r * deep)
                    for e in range(np.uint64(features)):
                        mean += cotangents[to + e] * _fetch(places[4, 0], near + np.int64(e))
                    _softmax_back(reach, scores, at, slopes, at, logsum[b, h, i], mean)
                    for j in range(reach, whole):
                        scores[at + j] = 0
                        slopes[at + j] = 0
                for e in range(0, thick, width):
                    _two(high, slopes, first * wide, wide, 1, rows, e, by_thick, 0, seen, result, e, thick, 0)
                for r in range(high):
                    to, near = start[6] + (top + first + r) * places[6, 3], np.uint64(r * thick)
                    for e in range(np.uint64(inner)):
                        _put(places[6, 0], to + np.int64(e), result[near + e] * scale)
            for j in range(0, whole, _ROWS):
                high = min(_ROWS, whole - j)
                for e in range(0, deep, width):
                    _two(high, scores, j, 1, wide, cotangents, e, by_deep, 0, count, by_v, j * deep + e, deep, 1)
                for e in range(0, thick, width):
                    _two(high, slopes, j, 1, wide, queries, e, by_thick, 0, count, by_k, j * thick + e, thick, 1)
        for j in range(source):
            to, near = start[7] + j * places[7, 3], np.uint64(j * thick)
            for e in range(np.uint64(inner)):
                _put(places[7, 0], to + np.int64(e), by_k[near + e])
            to, near = start[8] + j * places[8, 3], np.uint64(j * deep)
            for e in range(np.uint64(features)):
                _put(places[8, 0], to + np.int64(e), by_v[near + e])

"""Additions at indices that repeat: sorted by index, then runs of equal ones are added up in an order that is fixed."""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.cuda.indexing import _integers, _lone_array
from autograd_core.backends.cuda.kernels.blocks import real_of, spread

Array = Any


def add_runs(cuda, real):
    """`out` (outer, rows, inner) += `values` (outer, m, inner) at `places` (m), which `order` sorts into `ordered`.

    A thread adds up a chunk of `per` places. What belongs to a run that began in an earlier chunk it leaves in `heads`,
    and the begin of one that goes on in the next in `tails`, both (outer, chunks, inner). Row `skipped` gets nothing.
    """

    def body(out, heads, tails, values, order, ordered, n, m, rows, inner, chunks, per, skipped):
        i = cuda.grid(1)
        while i < n:
            f, chunk, o = i % inner, i // inner % chunks, i // (inner * chunks)
            first, last = chunk * per, min((chunk + 1) * per, m)
            earlier = first > 0 and ordered[first - 1] == ordered[first]
            total = real(0)
            for p in range(first, last):
                row = ordered[p]
                total += real(values[(o * m + order[p]) * inner + f])
                if p + 1 == last or ordered[p + 1] != row:
                    if earlier:
                        heads[i] = total
                    elif p + 1 == last and p + 1 < m and ordered[p + 1] == row:
                        tails[i] = total
                    elif row != skipped:
                        at = (o * rows + row) * inner + f
                        out[at] = real(out[at]) + total
                    earlier = False
                    total = real(0)
            i += cuda.gridsize(1)

    return body


def join_runs(cuda, real):
    """Add the runs that go on over several chunks: a thread for each chunk in which one begins."""

    def body(out, heads, tails, ordered, n, m, rows, inner, chunks, per, skipped):
        i = cuda.grid(1)
        while i < n:
            f, chunk, o = i % inner, i // inner % chunks, i // (inner * chunks)
            first, end = chunk * per, (chunk + 1) * per
            row = ordered[min(end, m) - 1]
            whole = ordered[first] == row and first > 0 and ordered[first - 1] == row
            if end < m and ordered[end] == row and not whole and row != skipped:
                total = tails[i]
                k = i
                going = True
                while going:
                    k += inner
                    total += heads[k]
                    end += per
                    going = end < m and ordered[end] == row
                at = (o * rows + row) * inner + f
                out[at] = real(out[at]) + total
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def _add(gpu: Any, real: Any, out: Array, values: Array, places: Array, outer: int, inner: int, skipped: int) -> None:
    """Add `values` at `places` along the middle axis of `out` seen as (outer, rows, inner)."""
    xp, m = gpu.backend.xp, places.size
    rows = out.size // (outer * inner)
    places = places.reshape((-1,)).astype("int64") % rows  # As CuPy, an index out of range wraps around.
    order = xp.argsort(places)
    ordered = places[order]
    # A run of equal places may be all of them: a thread then adds up one chunk, or one number of each chunk.
    per = 1 << min(8, max(3, m.bit_length() // 2))
    chunks = -(-m // per)
    n = outer * chunks * inner
    heads, tails = gpu.empty((n,), real), gpu.empty((n,), real)
    shape = (n, m, rows, inner, chunks, per, skipped)
    gpu.launch(add_runs, (real,), *spread(n), out, heads, tails, gpu.contiguous(values), order, ordered, *shape)
    if chunks > 1:
        gpu.launch(join_runs, (real,), *spread(n), out, heads, tails, ordered, *shape)


def add_at(gpu: Any, portable: Any, x: Array, indices: Any, value: Array) -> None:
    real = real_of(x, value) if hasattr(value, "dtype") else None
    if real is None or not x.flags.c_contiguous or not x.size or not _integers(indices):
        return portable(x, indices, value)
    xp, lone = gpu.backend.xp, _lone_array(indices)
    if lone is None:
        places = xp.arange(x.size).reshape(x.shape)[indices]
        outer, inner, shape = 1, 1, places.shape
    else:
        axis, places = lone
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    if places.size:
        _add(gpu, real, x, xp.broadcast_to(value, shape), places, outer, inner, -1)
    return None


def embedding_backward(gpu: Any, portable: Any, g: Array, index: Array, rows: int, padding: int) -> Array:
    real = real_of(g)
    if real is None or not g.size or not rows:
        return portable(g, index, rows, padding)
    out = gpu.backend.zeros((rows, g.shape[-1]), g.dtype)
    _add(gpu, real, out, g, index, 1, g.shape[-1], padding)
    return out


KERNELS = (add_at, embedding_backward)

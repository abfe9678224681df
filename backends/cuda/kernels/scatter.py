"""Additions at indices that repeat: sorted by index, then a thread for each run of equal ones adds it up in order."""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.cuda.indexing import _integers, _lone_array
from autograd_core.backends.cuda.kernels.blocks import real_of, spread

Array = Any


def add_runs(cuda, real):
    """`out` (outer, rows, inner) += `values` (outer, m, inner) at `places` (m), which `order` sorts into `ordered`.

    Nothing is added to row `skipped`.
    """

    def body(out, values, order, ordered, n, m, rows, inner, skipped):
        i = cuda.grid(1)
        while i < n:
            f, p, o = i % inner, i // inner % m, i // (inner * m)
            row = ordered[p]
            if row != skipped and (p == 0 or ordered[p - 1] != row):
                at = (o * rows + row) * inner + f
                total = real(out[at])
                while p < m and ordered[p] == row:
                    total += real(values[(o * m + order[p]) * inner + f])
                    p += 1
                out[at] = total
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def _add(gpu: Any, real: Any, out: Array, values: Array, places: Array, outer: int, inner: int, skipped: int) -> None:
    """Add `values` at `places` along the middle axis of `out` seen as (outer, rows, inner)."""
    xp, m = gpu.backend.xp, places.size
    rows = out.size // (outer * inner)
    places = places.reshape((-1,)).astype("int64") % rows  # As CuPy, an index out of range wraps around.
    order = xp.argsort(places)
    n = outer * m * inner
    gpu.launch(
        add_runs, (real,), *spread(n), out, gpu.contiguous(values), order, places[order], n, m, rows, inner, skipped
    )


def add_at(gpu: Any, portable: Any, x: Array, indices: Any, value: Array) -> None:
    real = real_of(x, value) if hasattr(value, "dtype") else None
    if real is None or not x.flags.c_contiguous or not x.size or not _integers(indices):
        return portable(x, indices, value)  # type: ignore[no-any-return]
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

"""A recurrent layer over a whole sequence as one kernel each way, in float32.

The matrix of the state is laid out once for all steps, in strips of two vectors of units; at each step a task
multiplies the state by the strips of all gates (`micro.py`) and does the pointwise rest of its units (`cells.py`) while
they are in the cache. Measured on 64 steps of 32 x 256, forward and backward, one thread: LSTM 33 ms as a kernel, 52 as
a composition of primitives; GRU 27 and 41 (docs/performance.md).

Units are padded to whole vectors: with zeros as weights, what is added stays zero or meets only zeros. No sum depends
on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.backends.cpu import cells, micro, threads
from autograd_core.backends.cpu.cache import kernel

Array = Any

# Set before the first kernel is compiled.
_two: Any = None
_lstm: Any = None
_gru: Any = None
_tanh: Any = None
_relu: Any = None
_lstm_back: Any = None
_gru_back: Any = None
_tanh_back: Any = None
_relu_back: Any = None
_ROWS = _LANES = 0

_LSTM, _GRU, _TANH = cells.LSTM, cells.GRU, cells.TANH
_MODES = {"LSTM": cells.LSTM, "GRU": cells.GRU, "RNN_TANH": cells.TANH, "RNN_RELU": cells.RELU}
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_SAMPLES = 64  # Rows of the batch in one task.
_PARALLEL = 1 << 17  # Multiplications of a step from which several threads are faster than one.


def usable(x: Array, h: Array) -> bool:
    return x.dtype.char == "f" and x.size > 0 and h.size > 0


def _prepare() -> None:
    global _two, _lstm, _gru, _tanh, _relu, _lstm_back, _gru_back, _tanh_back, _relu_back, _ROWS, _LANES
    if _two is None:
        _LANES, _ROWS = micro.shape()
        _lstm, _gru, _tanh, _relu = (cells.forward(mode) for mode in _MODES.values())
        _lstm_back, _gru_back, _tanh_back, _relu_back = (cells.backward(mode) for mode in _MODES.values())
        _two = micro.product_tile(2)


def _padded(units: int) -> int:
    """So many units that strips are whole."""
    return -(-units // (2 * _LANES)) * 2 * _LANES


def _stretch(x: Array, units: int, *axes: int) -> Array:
    """Contiguous, with zeros up to `units` along `axes`."""
    missing = [(0, units - n if axis in axes else 0) for axis, n in enumerate(x.shape)]
    return np.pad(x, missing) if any(after for _, after in missing) else np.ascontiguousarray(x)


def _strips(w: Array, gates: int, units: int, backward: bool) -> Array:
    """The weights (gates * H, H) as [strip, gate, row, 2 vectors], for products from the right; backward with rows
    (gate, unit) as [strip, row, 2 vectors]."""
    full = _stretch(w.reshape(gates, -1, w.shape[1]), units, 1, 2)
    width = 2 * _LANES
    if backward:
        return np.ascontiguousarray(full.reshape(gates * units, -1, width).transpose(1, 0, 2)).reshape(-1)
    return np.ascontiguousarray(full.reshape(gates, -1, width, units).transpose(1, 0, 3, 2)).reshape(-1)


def _split(steps: int, samples: int, units: int, gates: int) -> tuple[int, bool]:
    """Rows of a task, and whether to use several threads."""
    rows = min(samples, _SAMPLES)
    tasks = units // (2 * _LANES) * -(-samples // rows)
    return rows, tasks > 1 and samples * units * units * gates >= _PARALLEL and threads.get_num_threads() > 1


def scan(
    z: Array, h0: Array, c0: Array, w: Array, b_ih: Array, b_hh: Array, mask: Array, mode: str, reverse: bool
) -> tuple[Array, Array, Array]:
    """`recurrent_scan`; its results have as many units as whole strips do."""
    _prepare()
    gates, (steps, samples, _), hidden = _GATES[mode], z.shape, h0.shape[1]
    units = _padded(hidden)
    z = _stretch(z.reshape(steps, samples, gates, hidden), units, 3)
    bias = np.zeros((4, units), np.float32)
    for b, places in ((b_ih, range(gates)), (b_hh, (0, 1, 3) if mode == "GRU" else range(gates))):
        if b is not None:
            for row, place in zip(b.reshape(gates, hidden), places):
                bias[place, :hidden] += row
    out = np.empty((steps, samples, units), np.float32)
    side = np.empty(out.shape if mode in ("LSTM", "GRU") else (1, 1, units), np.float32)
    c = np.zeros(1, np.float32) if c0 is None else _stretch(c0, units, 1).reshape(-1)
    seen = np.ones(0, np.bool_) if mask is None else np.ascontiguousarray(mask).reshape(-1)
    rows, parallel = _split(steps, samples, units, gates)
    _each_step(
        _scan, parallel, steps, z.reshape(-1), out.reshape(-1), side.reshape(-1), _stretch(h0, units, 1).reshape(-1), c,
        _strips(w, gates, units, False), bias.reshape(-1), seen, steps, samples, units, gates, rows, _MODES[mode],
        reverse,
    )  # fmt: skip
    return out, z, side


def scan_backward(
    g: Array, gh: Array, gc: Array, h0: Array, c0: Array, w: Array, out: Array, z: Array, side: Array, mask: Array,
    mode: str, reverse: bool, over: bool = False,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """`recurrent_scan_backward`, on results of `scan`; `over`: dz may lie where z was."""
    _prepare()
    gates, (steps, samples, units), hidden = _GATES[mode], out.shape, h0.shape[1]
    planes = 4 if mode == "GRU" else gates
    # A cell reads all gates of its units before it writes them, and no other cell reads them.
    dz = z if over and planes == gates else np.empty((steps, samples, planes, units), np.float32)
    given = np.zeros(0, np.float32) if g is None else _stretch(g, units, 2).reshape(-1)
    dh = np.zeros((samples, units), np.float32)
    carry = np.zeros((samples, units), np.float32)
    if gh is not None:
        dh[:, :hidden] = gh
    if gc is not None:
        carry[:, :hidden] = gc
    rows, parallel = _split(steps, samples, units, gates)
    sums = np.zeros((-(-samples // rows), 4, units), np.float32)
    c = np.zeros(1, np.float32) if c0 is None else _stretch(c0, units, 1).reshape(-1)
    seen = np.ones(0, np.bool_) if mask is None else np.ascontiguousarray(mask).reshape(-1)
    kept = np.zeros(dh.size if seen.size else 0, np.float32)  # What passes a step that a sequence sits out.
    _each_step(
        _scan_backward, parallel, steps + 1, given, dh.reshape(-1), carry.reshape(-1),
        _stretch(h0, units, 1).reshape(-1), c, _strips(w, gates, units, True), out.reshape(-1), z.reshape(-1),
        side.reshape(-1), seen, kept, dz.reshape(-1), sums.reshape(-1), steps, samples, units, gates, rows,
        _MODES[mode], reverse,
    )  # fmt: skip
    return dz, dh, carry, sums.sum(0)[: dz.shape[2]]


def _each_step(kernel: Any, parallel: bool, steps: int, *args: Any) -> None:
    """A call of the kernel for all steps, or, on several threads, one for each: a step needs the whole one before."""
    if not parallel:
        kernel.serial(*args, 0, steps)
    else:
        for step in range(steps):
            kernel(*args, step, step + 1)


@kernel(parallel=True, uses=micro.SOURCE + cells.SOURCE)
def _scan(
    z, out, side, h0, c0, w, bias, seen, steps, samples, units, gates, rows, mode, reverse, begin, end, worker, workers
):
    width = 2 * _LANES
    strips = units // width
    blocks = (samples + rows - 1) // rows
    offsets = np.empty(units, np.int64)
    for i in range(units):
        offsets[i] = i * width
    none = np.empty(1, np.float32)
    tasks = strips * blocks
    for step in range(begin, end):
        t = steps - 1 - step if reverse else step
        before = (t + 1 if reverse else t - 1) * samples * units
        old, old_at = (h0, 0) if step == 0 else (out, before)
        # The LSTM's state c, and the GRU's part of the third gate, are in `side`.
        cell, cell_at = (c0, 0) if step == 0 else (side, before)
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            strip, first = task // blocks, task % blocks * rows
            unit = strip * width
            for row in range(first, min(first + rows, samples), _ROWS):
                high = min(_ROWS, samples - row)
                for gate in range(gates):
                    w_at = (strip * gates + gate) * units * width
                    if mode == _GRU and gate == 2:
                        _two(high, old, old_at + row * units, units, 1, w, w_at, offsets, 0, units,
                             side, (t * samples + row) * units + unit, units, 0)  # fmt: skip
                    else:
                        _two(high, old, old_at + row * units, units, 1, w, w_at, offsets, 0, units,
                             z, ((t * samples + row) * gates + gate) * units + unit, gates * units, 1)  # fmt: skip
                for r in range(row, row + high):
                    at = (t * samples + r) * units
                    for u in range(unit, unit + width, _LANES):
                        z_at, state = (t * samples + r) * gates * units + u, old_at + r * units + u
                        if mode == _LSTM:
                            _lstm(units, z, z_at, bias, u, out, at + u, cell, cell_at + r * units + u, side, at + u)
                        elif mode == _GRU:
                            _gru(units, z, z_at, bias, u, side, at + u, old, state, out, at + u)
                        elif mode == _TANH:
                            _tanh(units, z, z_at, bias, u, none, 0, none, 0, out, at + u)
                        else:
                            _relu(units, z, z_at, bias, u, none, 0, none, 0, out, at + u)
                    if seen.size and not seen[t * samples + r]:
                        for u in range(unit, unit + width):
                            out[at + u] = old[old_at + r * units + u]
                            if mode == _LSTM:
                                side[at + u] = cell[cell_at + r * units + u]


@kernel(parallel=True, uses=micro.SOURCE + cells.SOURCE)
def _scan_backward(
    g, dh, carry, h0, c0, w, out, z, side, seen, kept, dz, sums, steps, samples, units, gates, rows, mode, reverse,
    begin, end, worker, workers,
):  # fmt: skip
    width = 2 * _LANES
    strips = units // width
    blocks = (samples + rows - 1) // rows
    depth = gates * units
    planes = 4 if mode == _GRU else gates
    offsets = np.empty(depth, np.int64)
    for i in range(depth):
        offsets[i] = i * width
    tasks = strips * blocks
    for step in range(begin, end):
        # Forward, step steps - 1 - step was the one at time t.
        t = step if reverse else steps - 1 - step
        after = (t - 1 if reverse else t + 1) * samples
        before = (t + 1 if reverse else t - 1) * samples * units
        old, old_at = (h0, 0) if step == steps - 1 else (out, before)
        cell, cell_at = (c0, 0) if step == steps - 1 else (side, before)
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            strip, block = task // blocks, task % blocks
            unit = strip * width
            for row in range(block * rows, min(block * rows + rows, samples), _ROWS):
                high = min(_ROWS, samples - row)
                if step > 0:
                    _two(high, dz, (after + row) * planes * units, planes * units, 1, w, strip * depth * width,
                         offsets, 0, depth, dh, row * units + unit, units, 0)  # fmt: skip
                for r in range(row, row + high):
                    at = r * units + unit
                    here, many = np.uint64(at), np.uint64(width)
                    if step > 0:
                        if seen.size:
                            for u in range(many):
                                dh[here + u] += kept[here + u]
                        if mode == _GRU:
                            for u in range(many):
                                dh[here + u] += carry[here + u]
                    if step == steps:
                        continue
                    if g.size:
                        near = np.uint64(t * samples * units + at)
                        for u in range(many):
                            dh[here + u] += g[near + u]
                    if seen.size:
                        sits = not seen[t * samples + r]
                        for u in range(width):
                            kept[at + u] = dh[at + u] if sits else np.float32(0)
                        if sits:
                            for plane in range(planes):
                                for u in range(width):
                                    dz[((t * samples + r) * planes + plane) * units + unit + u] = 0
                            if mode == _GRU:
                                for u in range(width):
                                    carry[at + u] = 0
                            continue
                    time = t * samples * units
                    for u in range(0, width, _LANES):
                        z_at, dz_at = (
                            (t * samples + r) * depth + unit + u,
                            (t * samples + r) * planes * units + unit + u,
                        )
                        sums_at = block * 4 * units + unit + u
                        if mode == _LSTM:
                            _lstm_back(units, z, z_at, side, time + at + u, cell, cell_at + at + u, dz, dz_at,
                                       dh, at + u, carry, at + u, sums, sums_at)  # fmt: skip
                        elif mode == _GRU:
                            _gru_back(units, z, z_at, side, time + at + u, old, old_at + at + u, dz, dz_at, dh, at + u,
                                      carry, at + u, sums, sums_at)  # fmt: skip
                        elif mode == _TANH:
                            _tanh_back(units, out, time + at + u, side, 0, side, 0, dz, dz_at, dh, at + u,
                                       carry, at + u, sums, sums_at)  # fmt: skip
                        else:
                            _relu_back(units, out, time + at + u, side, 0, side, 0, dz, dz_at, dh, at + u,
                                       carry, at + u, sums, sums_at)  # fmt: skip

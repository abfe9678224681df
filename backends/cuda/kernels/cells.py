"""The pointwise part of recurrent layers, one kernel a time step each way; the product with the state is cuBLAS's.

Gates lie as (samples, gates, units). Where `masked` and the mask is 0, a sequence keeps its state.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.cuda.kernels.blocks import real_of, spread

Array = Any

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def gate_inputs(cuda, real, biased):
    """`given(z, b, i)` with its bias, where there is one."""

    @cuda.jit(device=True)
    def given(z, b, place, unit):
        v = z[place]
        if biased:
            v += b[unit]
        return v

    return given


def sigmoid_of(cuda, real):
    @cuda.jit(device=True)
    def sigmoid(x):
        return real(1) / (real(1) + math.exp(-x))

    return sigmoid


def lstm_cell(cuda, real, biased, masked):
    given, sigmoid = gate_inputs(cuda, real, biased), sigmoid_of(cuda, real)

    def body(out, side, gates, z, own, b_ih, b_hh, h, c, mask, n, units):
        i = cuda.grid(1)
        while i < n:
            sample, u = i // units, i % units
            k = sample * 4 * units + u
            a = sigmoid(given(z, b_ih, k, u) + given(own, b_hh, k, u))
            f = sigmoid(given(z, b_ih, k + units, u + units) + given(own, b_hh, k + units, u + units))
            g = math.tanh(given(z, b_ih, k + 2 * units, u + 2 * units) + given(own, b_hh, k + 2 * units, u + 2 * units))
            o = sigmoid(given(z, b_ih, k + 3 * units, u + 3 * units) + given(own, b_hh, k + 3 * units, u + 3 * units))
            gates[k] = a
            gates[k + units] = f
            gates[k + 2 * units] = g
            gates[k + 3 * units] = o
            new = f * c[i] + a * g
            state = o * math.tanh(new)
            if masked and mask[sample] == 0:
                new, state = c[i], h[i]
            side[i] = new
            out[i] = state
            i += cuda.gridsize(1)

    return body


def gru_cell(cuda, real, biased, masked):
    given, sigmoid = gate_inputs(cuda, real, biased), sigmoid_of(cuda, real)

    def body(out, side, gates, z, own, b_ih, b_hh, h, mask, n, units):
        i = cuda.grid(1)
        while i < n:
            sample, u = i // units, i % units
            k = sample * 3 * units + u
            r = sigmoid(given(z, b_ih, k, u) + given(own, b_hh, k, u))
            keep = sigmoid(given(z, b_ih, k + units, u + units) + given(own, b_hh, k + units, u + units))
            inner = given(own, b_hh, k + 2 * units, u + 2 * units)
            new = math.tanh(given(z, b_ih, k + 2 * units, u + 2 * units) + r * inner)
            gates[k] = r
            gates[k + units] = keep
            gates[k + 2 * units] = new
            side[i] = inner
            state = new + keep * (h[i] - new)
            if masked and mask[sample] == 0:
                state = h[i]
            out[i] = state
            i += cuda.gridsize(1)

    return body


def rnn_cell(cuda, real, biased, masked, relu):
    given = gate_inputs(cuda, real, biased)

    def body(out, gates, z, own, b_ih, b_hh, h, mask, n, units):
        i = cuda.grid(1)
        while i < n:
            sample, u = i // units, i % units
            v = given(z, b_ih, i, u) + given(own, b_hh, i, u)
            if not relu:
                v = math.tanh(v)
            elif v <= real(0):
                v = real(0)
            gates[i] = v
            if masked and mask[sample] == 0:
                v = h[i]
            out[i] = v
            i += cuda.gridsize(1)

    return body


# Backward: the gradient of a step's state is product + rest (+ g); `product` came from the gates of the step after it,
# `rest` past them. Each step leaves the `rest` of the step before it.


def lstm_cell_backward(cuda, real, summed, masked):
    def body(dz, dc, rest, g, product, gates, side, before, mask, n, units):
        i = cuda.grid(1)
        while i < n:
            sample, u = i // units, i % units
            k = sample * 4 * units + u
            dh = product[i] + rest[i]
            if summed:
                dh += g[i]
            if masked and mask[sample] == 0:
                for gate in range(4):
                    dz[k + gate * units] = real(0)
                rest[i] = dh
            else:
                a, f, c, o = gates[k], gates[k + units], gates[k + 2 * units], gates[k + 3 * units]
                y = math.tanh(side[i])
                total = dh * o * (real(1) - y * y) + dc[i]
                dz[k] = total * c * a * (real(1) - a)
                dz[k + units] = total * before[i] * f * (real(1) - f)
                dz[k + 2 * units] = total * a * (real(1) - c * c)
                dz[k + 3 * units] = dh * y * o * (real(1) - o)
                dc[i] = total * f
                rest[i] = real(0)
            i += cuda.gridsize(1)

    return body


def gru_cell_backward(cuda, real, summed, masked):
    def body(dz, rest, g, product, gates, side, old, mask, n, units):
        i = cuda.grid(1)
        while i < n:
            sample, u = i // units, i % units
            k, m = sample * 3 * units + u, sample * 4 * units + u
            dh = product[i] + rest[i]
            if summed:
                dh += g[i]
            if masked and mask[sample] == 0:
                for gate in range(4):
                    dz[m + gate * units] = real(0)
                rest[i] = dh
            else:
                r, keep, c = gates[k], gates[k + units], gates[k + 2 * units]
                dn = dh * (real(1) - keep) * (real(1) - c * c)
                dz[m] = dn * side[i] * r * (real(1) - r)
                dz[m + units] = dh * (old[i] - c) * keep * (real(1) - keep)
                dz[m + 2 * units] = dn * r
                dz[m + 3 * units] = dn
                rest[i] = dh * keep
            i += cuda.gridsize(1)

    return body


def rnn_cell_backward(cuda, real, summed, masked, relu):
    def body(dz, rest, g, product, gates, mask, n, units):
        i = cuda.grid(1)
        while i < n:
            dh = product[i] + rest[i]
            if summed:
                dh += g[i]
            if masked and mask[i // units] == 0:
                dz[i] = real(0)
                rest[i] = dh
            else:
                y = gates[i]
                if not relu:
                    dh *= real(1) - y * y
                elif y <= real(0):
                    dh = real(0)
                dz[i] = dh
                rest[i] = real(0)
            i += cuda.gridsize(1)

    return body


# -- the host's side --------------------------------------------------------------------------------------------------


def recurrent_scan(
    gpu: Any, portable: Any, z: Array, h0: Array, c0: Array, w: Array, b_ih: Array, b_hh: Array, mask: Array, mode: str,
    reverse: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    real = real_of(z)
    if real is None or z.dtype.char == "e" or not z.size or not h0.size:
        return portable(z, h0, c0, w, b_ih, b_hh, mask, mode, reverse)
    (steps, samples, _), units = z.shape, h0.shape[1]
    n, flipped = samples * units, w.transpose((1, 0))
    z, h = gpu.contiguous(z), gpu.contiguous(h0)
    c = None if c0 is None else gpu.contiguous(c0)
    out = gpu.empty((steps, samples, units), h0.dtype)
    gates = gpu.empty((steps, samples, _GATES[mode], units), z.dtype)
    side = gpu.empty(out.shape, z.dtype) if mode in ("LSTM", "GRU") else out[:0]
    biases = (z, z) if b_ih is None else (gpu.contiguous(b_ih), gpu.contiguous(b_hh))
    seen = z if mask is None else gpu.contiguous(mask)
    constants = (real, b_ih is not None, mask is not None)
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        given = (z[t], gpu.backend.matmul(h, flipped), *biases, h)
        last = (seen[t], n, units)
        if mode == "LSTM":
            gpu.launch(lstm_cell, constants, *spread(n), out[t], side[t], gates[t], *given, c, *last)
            c = side[t]
        elif mode == "GRU":
            gpu.launch(gru_cell, constants, *spread(n), out[t], side[t], gates[t], *given, *last)
        else:
            gpu.launch(rnn_cell, (*constants, mode == "RNN_RELU"), *spread(n), out[t], gates[t], *given, *last)
        h = out[t]
    return out, gates, side


def recurrent_scan_backward(
    gpu: Any, portable: Any, g: Array, gh: Array, gc: Array, h0: Array, c0: Array, w: Array, out: Array, z: Array,
    side: Array, mask: Array, mode: str, reverse: bool,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    real = real_of(out)
    if real is None or out.dtype.char == "e" or not out.size:
        return portable(g, gh, gc, h0, c0, w, out, z, side, mask, mode, reverse)
    steps, samples, units = out.shape
    backend, planes = gpu.backend, 4 if mode == "GRU" else _GATES[mode]
    n, wide = samples * units, _GATES[mode] * units
    dz = gpu.empty((steps, samples, planes, units), out.dtype)
    rest = backend.zeros(h0.shape, out.dtype)
    product = backend.zeros(h0.shape, out.dtype) if gh is None else gpu.contiguous(gh)
    dc = backend.zeros(h0.shape, out.dtype) if gc is None else backend.clone(gc)
    given = out if g is None else gpu.contiguous(g)
    seen = out if mask is None else gpu.contiguous(mask)
    constants = (real, g is not None, mask is not None)
    order = list(range(steps)) if reverse else list(range(steps - 1, -1, -1))
    arrays: tuple[Array, ...]
    for t, previous in zip(order, [*order[1:], None]):
        last = (seen[t], n, units)
        if mode == "LSTM":
            before = gpu.contiguous(c0) if previous is None else side[previous]
            arrays = (dz[t], dc, rest, given[t], product, z[t], side[t], before)
            gpu.launch(lstm_cell_backward, constants, *spread(n), *arrays, *last)
        elif mode == "GRU":
            old = gpu.contiguous(h0) if previous is None else out[previous]
            arrays = (dz[t], rest, given[t], product, z[t], side[t], old)
            gpu.launch(gru_cell_backward, constants, *spread(n), *arrays, *last)
        else:
            arrays = (dz[t], rest, given[t], product, z[t])
            gpu.launch(rnn_cell_backward, (*constants, mode == "RNN_RELU"), *spread(n), *arrays, *last)
        product = backend.matmul(dz[t].reshape((samples, planes * units))[:, :wide], w)
    return dz, backend.add(product, rest), dc, backend.sum(dz, (0, 1), False)


KERNELS = (recurrent_scan, recurrent_scan_backward)

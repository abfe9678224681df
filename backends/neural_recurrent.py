"""Kernels of recurrent networks: a layer in one direction over a whole sequence.

`mode` is "LSTM", "GRU", "RNN_TANH" or "RNN_RELU", with 4, 3, 1, 1 gates of H units. Shapes: x (T, N, I), the states h0
and c0 (N, H), weights (gates * H, I) and (gates * H, H), biases (gates * H,) or None. `mask` (T, N), or None: false
where a sequence sits a step out, and keeps its state. `reverse`: from the last step to the first.
"""

from __future__ import annotations

from typing import Any

Array = Any


class RecurrentKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any
    linear: Any
    linear_weight_grad: Any
    matmul: Any
    sigmoid: Any
    tanh: Any
    relu: Any
    relu_backward: Any

    def parts(self, x: Array, axis: int) -> tuple[Array, ...]:
        """All slices along `axis`, as views."""
        lead = (slice(None),) * axis
        return tuple(x[(*lead, i)] for i in range(x.shape[axis]))

    def recurrent(
        self, x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array, mask: Array,
        mode: str, reverse: bool,
    ) -> tuple[Array, ...]:  # fmt: skip
        """The states (T, N, H), the last one, of an LSTM also its last c, and what the scan keeps for its gradient."""
        kept = self.recurrent_scan(self.linear(x, w_ih, None), h0, c0, w_hh, b_ih, b_hh, mask, mode, reverse)
        out, _, side = kept
        hidden, last = h0.shape[1], 0 if reverse else -1
        y = out if out.shape[2] == hidden else self.xp.ascontiguousarray(out[:, :, :hidden])
        finals = [self.xp.array(a[last, :, :hidden], copy=True) for a in ((out, side) if mode == "LSTM" else (out,))]
        return (y, *finals, *kept)

    def recurrent_backward(
        self, g: Array, gh: Array, gc: Array, x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array,
        b_hh: Array, mask: Array, out: Array, z: Array, side: Array, mode: str, reverse: bool, wants: tuple[bool, ...],
    ) -> tuple[Any, ...]:  # fmt: skip
        """The gradients of `recurrent` by x, h0, c0, the weights and the biases; g, gh, gc may be None."""
        scanned = self.recurrent_scan_backward(g, gh, gc, h0, c0, w_hh, out, z, side, mask, mode, reverse)
        return self._recurrent_gradients(scanned, x, h0, w_ih, out, mode, reverse, wants)

    def recurrent_backward_(
        self, g: Array, gh: Array, gc: Array, x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array,
        b_hh: Array, mask: Array, out: Array, z: Array, side: Array, mode: str, reverse: bool, wants: tuple[bool, ...],
    ) -> tuple[Any, ...]:  # fmt: skip
        """`recurrent_backward` where nobody reads `z` any more: it may be written over."""
        scanned = self.recurrent_scan_backward_(g, gh, gc, h0, c0, w_hh, out, z, side, mask, mode, reverse)
        return self._recurrent_gradients(scanned, x, h0, w_ih, out, mode, reverse, wants)

    def _recurrent_gradients(
        self, scanned: tuple[Array, ...], x: Array, h0: Array, w_ih: Array, out: Array, mode: str, reverse: bool,
        wants: tuple[bool, ...],
    ) -> tuple[Any, ...]:  # fmt: skip
        """What `recurrent_backward` returns, of the results of `recurrent_scan_backward`."""
        dz, dh, dc, sums = scanned
        hidden = h0.shape[1]
        by_input, by_state = (
            self._gates(dz, hidden, places) for places in (((0, 1, 3), (0, 1, 2)) if mode == "GRU" else (None, None))
        )
        gx = self.linear(by_input, w_ih.transpose((1, 0)), None) if wants[0] else None
        gw_ih = self.linear_weight_grad(by_input, x) if wants[3] else None
        gw_hh = None
        if wants[4]:
            old = out[:, :, :hidden]
            late, early, first = by_state[1:], old[:-1], by_state[0]
            if reverse:
                late, early, first = by_state[:-1], old[1:], by_state[-1]
            gw_hh = self.linear_weight_grad(first, h0)
            if late.shape[0]:
                gw_hh += self.linear_weight_grad(late, early)
        gb_ih, gb_hh = (
            self._gates(sums, hidden, places) if wanted else None
            for wanted, places in zip(wants[5:], ((0, 1, 3), (0, 1, 2)) if mode == "GRU" else (None, None))
        )
        return (
            gx,
            dh[:, :hidden] if wants[1] else None,
            dc[:, :hidden] if wants[2] else None,
            gw_ih,
            gw_hh,
            gb_ih,
            gb_hh,
        )

    def _gates(self, dz: Array, hidden: int, places: Any) -> Array:
        """(..., planes, units) as (..., gates * hidden)."""
        lead = dz.shape[:-2]
        if places is not None:
            dz = self.xp.concatenate([dz[..., p : p + 1, :] for p in places], axis=-2)
        return dz[..., :hidden].reshape((*lead, dz.shape[-2] * hidden))

    def recurrent_scan(
        self, z: Array, h0: Array, c0: Array, w: Array, b_ih: Array, b_hh: Array, mask: Array, mode: str, reverse: bool
    ) -> tuple[Array, Array, Array]:
        """(states, values of the gates, side): `z` (T, N, gates * H) is what the gates get from the input, without
        bias. `side` is an LSTM's c, or what a GRU's third gate gets from the state."""
        xp = self.xp
        steps, hidden = z.shape[0], h0.shape[1]
        out = xp.empty((steps, *h0.shape), h0.dtype)
        gates = xp.empty((*z.shape[:2], z.shape[2] // hidden, hidden), z.dtype)
        side = xp.empty(out.shape, z.dtype) if mode in ("LSTM", "GRU") else out[:0]
        h, c = h0, c0
        for t in range(steps - 1, -1, -1) if reverse else range(steps):
            given = z[t] if b_ih is None else z[t] + b_ih
            own = self.linear(h, w, b_hh)
            new_c = c
            values: tuple[Any, ...]
            if mode == "LSTM":
                total = given + own
                i, f, o = (self.sigmoid(total[:, k * hidden : (k + 1) * hidden]) for k in (0, 1, 3))
                n = self.tanh(total[:, 2 * hidden : 3 * hidden])
                new_c = f * c + i * n
                new = o * self.tanh(new_c)
                values = (i, f, n, o)
            elif mode == "GRU":
                r, u = (self.sigmoid((given + own)[:, k * hidden : (k + 1) * hidden]) for k in (0, 1))
                side[t] = own[:, 2 * hidden :]
                n = self.tanh(given[:, 2 * hidden :] + r * side[t])
                new = n + u * (h - n)
                values = (r, u, n)
            else:
                new = self.tanh(given + own) if mode == "RNN_TANH" else self.relu(given + own)
                values = (new,)
            if mask is not None:
                seen = mask[t].reshape((-1, 1))
                new = xp.where(seen, new, h)
                new_c = xp.where(seen, new_c, c) if mode == "LSTM" else c
            for k, value in enumerate(values):
                gates[t, :, k] = value
            h, c = new, new_c
            out[t] = h
            if mode == "LSTM":
                side[t] = c
        return out, gates, side

    def recurrent_scan_backward(
        self, g: Array, gh: Array, gc: Array, h0: Array, c0: Array, w: Array, out: Array, z: Array, side: Array,
        mask: Array, mode: str, reverse: bool,
    ) -> tuple[Array, Array, Array, Array]:  # fmt: skip
        """(dz, dh0, dc0, sums): the gradients by what the gates get, (T, N, gates, H), by the states before the first
        step, and dz summed to (gates, H). A GRU's third is by what the state gives, its fourth by what the input does.
        """
        xp, (steps, n, hidden) = self.xp, out.shape
        gates = z.shape[2]
        dz = xp.zeros((steps, n, 4 if mode == "GRU" else gates, hidden), out.dtype)
        dh = xp.zeros(h0.shape, out.dtype) if gh is None else gh + 0
        dc = xp.zeros(h0.shape, out.dtype) if gc is None else gc + 0
        order = list(range(steps)) if reverse else list(range(steps - 1, -1, -1))
        for t, previous in zip(order, [*order[1:], None]):
            old = h0 if previous is None else out[previous]
            if g is not None:
                dh = dh + g[t]
            seen = None if mask is None else mask[t].reshape((-1, 1))
            passed: Any = 0
            values: tuple[Any, ...]
            if mode == "LSTM":
                i, f, c, o = (z[t, :, k] for k in range(4))
                y = self.tanh(side[t])
                total = dh * o * (1 - y * y) + dc
                before = c0 if previous is None else side[previous]
                slopes = (total * c * i * (1 - i), total * before * f * (1 - f), total * i * (1 - c * c))
                values = (*slopes, dh * y * o * (1 - o))
                dc = total * f if seen is None else xp.where(seen, total * f, dc)
            elif mode == "GRU":
                r, u, c = (z[t, :, k] for k in range(3))
                dn = dh * (1 - u) * (1 - c * c)
                values = (dn * side[t] * r * (1 - r), dh * (old - c) * u * (1 - u), dn * r, dn)
                passed = dh * u
            elif mode == "RNN_TANH":
                values = (dh * (1 - z[t, :, 0] * z[t, :, 0]),)
            else:
                values = (self.relu_backward(dh, z[t, :, 0]),)
            for k, value in enumerate(values):
                dz[t, :, k] = value if seen is None else xp.where(seen, value, xp.zeros_like(value))
            back = self.matmul(dz[t, :, :gates].reshape((n, gates * hidden)), w) + passed
            dh = back if seen is None else xp.where(seen, back, dh)
        return dz, dh, dc, xp.sum(dz, axis=(0, 1))

    def recurrent_scan_backward_(self, *args: Any) -> tuple[Array, Array, Array, Array]:
        """`recurrent_scan_backward`, which may write over `z`."""
        return self.recurrent_scan_backward(*args)

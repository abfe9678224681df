"""The pointwise half of a recurrent step and of attention, in vector instructions of LLVM (see `micro.py`).

Written as loops of Numba these have more arrays than LLVM checks for overlap, and would not vectorise. The exponential
is Cephes' (Moshier, "Methods and Programs for Mathematical Functions", 1989), as in `vector_math.py`.

In a step `z` holds the gates of a unit, `step` elements apart; positions count elements, arrays are 1-D.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from autograd_core.backends.cpu import micro

SOURCE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
LSTM, GRU, TANH, RELU = range(4)


class _Math(micro.Emitter):
    """Functions of vectors."""

    def number(self, value: float) -> Any:
        return self._ir.Constant(self.vector, [value] * self._lanes)

    def add(self, x: Any, y: Any) -> Any:
        return self._builder.fadd(x, y)

    def sub(self, x: Any, y: Any) -> Any:
        return self._builder.fsub(x, y)

    def mul(self, x: Any, y: Any) -> Any:
        return self._builder.fmul(x, y)

    def less(self, x: Any, y: Any) -> Any:
        return self._builder.fcmp_ordered("<", x, y)

    def choose(self, condition: Any, x: Any, y: Any) -> Any:
        return self._builder.select(condition, x, y)

    def polynomial(self, x: Any, *coefficients: float) -> Any:
        total = self.number(coefficients[0])
        for c in coefficients[1:]:
            total = self.fma(total, x, self.number(c))
        return total

    def exp(self, x: Any) -> Any:
        """e^x; zero where it would be denormal, infinity above e^88."""
        b, ir = self._builder, self._ir
        low, high = self.number(-87.3), self.number(88.0)
        limited = self.choose(self.less(x, low), low, x)
        limited = self.choose(self.less(high, limited), high, limited)
        rounded = b.call(self._declared("rint", self.vector, [self.vector]),
                         [self.mul(limited, self.number(1.4426950408889634))])  # fmt: skip
        k = self.choose(b.fcmp_ordered("==", x, x), rounded, self.zero)  # No integer stands for NaN.
        r = self.fma(k, self.number(-0.693359375), limited)
        r = self.fma(k, self.number(2.12194440e-4), r)
        p = self.polynomial(
            r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1
        )
        p = self.add(self.fma(self.mul(p, r), r, r), self.number(1.0))
        bits = ir.VectorType(ir.IntType(32), self._lanes)
        exponent = b.add(b.fptosi(k, bits), ir.Constant(bits, [127] * self._lanes))
        power = b.bitcast(b.shl(exponent, ir.Constant(bits, [23] * self._lanes)), self.vector)
        y = self.choose(self.less(x, low), self.zero, self.mul(p, power))
        return self.choose(self.less(high, x), self.number(float("inf")), y)

    def sigmoid(self, x: Any) -> Any:
        return self._builder.fdiv(self.number(1.0), self.add(self.number(1.0), self.exp(self.sub(self.zero, x))))

    def tanh(self, x: Any) -> Any:
        squared = self.mul(x, x)
        p = self.polynomial(
            squared, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1
        )
        small = self.fma(self.mul(p, squared), x, x)
        negative = self.less(x, self.zero)
        size = self.choose(negative, self.sub(self.zero, x), x)
        e = self.add(self.exp(self.add(size, size)), self.number(1.0))
        large = self.sub(self.number(1.0), self._builder.fdiv(self.number(2.0), e))
        large = self.choose(negative, self.sub(self.zero, large), large)
        return self.choose(self.less(size, self.number(0.625)), small, large)

    def scalar(self, value: float) -> Any:
        return self._ir.Constant(self._ir.FloatType(), value)

    def largest(self, x: Any, y: Any) -> Any:
        """Lane by lane; of a number and NaN the number."""
        return self._builder.call(self._declared("maxnum", self.vector, [self.vector] * 2), [x, y])

    def over_lanes(self, name: str, vector: Any) -> Any:
        reduce = self._declared(f"vector.reduce.{name}", self._ir.FloatType(), [self.vector])
        return self._builder.call(reduce, [vector])

    def loop(self, n: Any, start: list[Any], body: Any) -> list[Any]:
        """`values = body(i, values)` for i = 0, lanes, ... below n, of which there is one at least."""
        b = self._builder
        entry, inside = b.block, b.append_basic_block("row")
        after = b.append_basic_block("row.end")
        b.branch(inside)
        b.position_at_end(inside)
        i, values = b.phi(self.size), [b.phi(self.vector) for _ in start]
        i.add_incoming(self.integer(0), entry)
        for value, first in zip(values, start):
            value.add_incoming(first, entry)
        results = body(i, values)
        following = b.add(i, self.integer(self._lanes))
        i.add_incoming(following, inside)
        for value, result in zip(values, results):
            value.add_incoming(result, inside)
        b.cbranch(b.icmp_signed("<", following, n), inside, after)
        b.position_at_end(after)
        return results

    def slope(self, y: Any) -> Any:
        """y (1 - y): the derivative of y = sigmoid."""
        return self.sub(y, self.mul(y, y))

    def tanh_slope(self, y: Any) -> Any:
        """1 - y^2."""
        return self.sub(self.number(1.0), self.mul(y, y))


def _intrinsic(arrays: int, body: Any) -> Any:
    """`cell(step, a, a_at, b, b_at, ...)` of so many arrays; `body(math, at)` with at(array, gate) an address."""
    from numba import types
    from numba.extending import intrinsic

    n = types.int64

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        out = _Math(context, builder, micro.shape()[0])
        step = values[0]
        starts = [out.address(signature.args[1 + 2 * i], values[1 + 2 * i], values[2 + 2 * i]) for i in range(arrays)]

        def at(array: int, gate: int = 0) -> Any:
            return builder.gep(starts[array], [builder.mul(step, out.integer(gate))]) if gate else starts[array]

        body(out, at)
        return context.get_dummy_value()

    def typed(*kinds: Any) -> Any:
        return types.void(n, *(kind if i % 2 == 0 else n for i, kind in enumerate(kinds)))

    # Numba reads the number of arguments from the signature.
    if arrays == 5:

        @intrinsic
        def five(context, step, a, a_at, b, b_at, c, c_at, d, d_at, e, e_at):
            return typed(a, a_at, b, b_at, c, c_at, d, d_at, e, e_at), emit

        return five

    @intrinsic
    def seven(context, step, a, a_at, b, b_at, c, c_at, d, d_at, e, e_at, f, f_at, g, g_at):
        return typed(a, a_at, b, b_at, c, c_at, d, d_at, e, e_at, f, f_at, g, g_at), emit

    return seven


@cache
def forward(mode: int) -> Any:
    """`cell(step, z, bias, side, old, new)`, each array with its position.

    z: what the gates get from input and state, on return their values. LSTM: `side` is h, `old` and `new` are c.
    GRU: `side` is what the third gate gets from the state, with its bias on return; `old` and `new` are h. Plain: `new`
    is h.
    """

    def body(out: Any, at: Any) -> None:
        z, bias, side, old, new = range(5)

        def gate(i: int) -> Any:
            return out.add(out.load(at(z, i)), out.load(at(bias, i)))

        if mode == LSTM:
            i, f, g, o = out.sigmoid(gate(0)), out.sigmoid(gate(1)), out.tanh(gate(2)), out.sigmoid(gate(3))
            c = out.fma(f, out.load(at(old)), out.mul(i, g))
            for k, value in enumerate((i, f, g, o)):
                out.store(value, at(z, k))
            out.store(c, at(new))
            out.store(out.mul(o, out.tanh(c)), at(side))
        elif mode == GRU:
            r, u = out.sigmoid(gate(0)), out.sigmoid(gate(1))
            inner = out.add(out.load(at(side)), out.load(at(bias, 3)))
            n = out.tanh(out.fma(r, inner, gate(2)))
            for k, value in enumerate((r, u, n)):
                out.store(value, at(z, k))
            out.store(inner, at(side))
            out.store(out.fma(u, out.sub(out.load(at(old)), n), n), at(new))
        else:
            total = gate(0)
            positive = out._builder.fcmp_unordered(">", total, out.zero)
            out.store(out.tanh(total) if mode == TANH else out.choose(positive, total, out.zero), at(new))

    return _intrinsic(5, body)


@cache
def backward(mode: int) -> Any:
    """`cell(step, z, side, old, dz, dh, carry, sums)`, each array with its position.

    z: the gates' values (plain: h). dh: the gradient by the new h. LSTM: `side` is the new c, `old` the old one;
    `carry` the gradient by c, of the new one before and the old one after. GRU: `side` as in `forward`, `old` is the
    old h, `carry` gets the part of the gradient by the old h that passes the gates by; of `dz`, the third is for the
    state and the fourth for the input. `sums` += dz.
    """

    def body(out: Any, at: Any) -> None:
        z, side, old, dz, dh, carry, sums = range(7)
        g = out.load(at(dh))
        if mode == LSTM:
            i, f, n, o = (out.load(at(z, k)) for k in range(4))
            t = out.tanh(out.load(at(side)))
            dc = out.fma(out.mul(g, o), out.tanh_slope(t), out.load(at(carry)))
            values = [
                out.mul(out.mul(dc, n), out.slope(i)),
                out.mul(out.mul(dc, out.load(at(old))), out.slope(f)),
                out.mul(out.mul(dc, i), out.tanh_slope(n)),
                out.mul(out.mul(g, t), out.slope(o)),
            ]
            out.store(out.mul(dc, f), at(carry))
        elif mode == GRU:
            r, u, n = (out.load(at(z, k)) for k in range(3))
            dn = out.mul(out.mul(g, out.sub(out.number(1.0), u)), out.tanh_slope(n))
            values = [
                out.mul(out.mul(dn, out.load(at(side))), out.slope(r)),
                out.mul(out.mul(g, out.sub(out.load(at(old)), n)), out.slope(u)),
                out.mul(dn, r),
                dn,
            ]
            out.store(out.mul(g, u), at(carry))
        else:
            y = out.load(at(z))
            positive = out._builder.fcmp_unordered(">", y, out.zero)
            values = [out.mul(g, out.tanh_slope(y)) if mode == TANH else out.choose(positive, g, out.zero)]
        for k, value in enumerate(values):
            out.store(value, at(dz, k))
            out.store(out.add(out.load(at(sums, k)), value), at(sums, k))

    return _intrinsic(7, body)


# -- rows of attention ------------------------------------------------------------------------------------------------


@cache
def softmax_row() -> Any:
    """`row(n, s, s_at, stats, stats_at)`: s <- exp(s - max), and stats <- max, sum; `n` is a multiple of the lanes.

    Of a row of minus infinities all become zero.
    """
    from numba import types
    from numba.extending import intrinsic

    size = types.int64

    @intrinsic
    def row(context, n, s, s_at, stats, stats_at):
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            n, s, s_at, stats, stats_at = values
            out = _Math(context, builder, micro.shape()[0])
            s = out.address(signature.args[1], s, s_at)
            stats = out.address(signature.args[3], stats, stats_at)
            lowest = out.number(float("-inf"))
            (largest,) = out.loop(n, [lowest], lambda i, old: [out.largest(old[0], out.load(builder.gep(s, [i])))])
            top = out.over_lanes("fmax", largest)
            finite = builder.fcmp_ordered(">", top, out.scalar(float("-inf")))
            shift = out.spread(builder.select(finite, top, out.scalar(0.0)))

            def one(i: Any, old: Any) -> list[Any]:
                place = builder.gep(s, [i])
                e = out.exp(out.sub(out.load(place), shift))
                out.store(e, place)
                return [out.add(old[0], e)]

            (total,) = out.loop(n, [out.zero], one)
            builder.store(top, stats)
            builder.store(out.total(total), builder.gep(stats, [out.integer(1)]))
            return context.get_dummy_value()

        return types.void(size, s, size, stats, size), emit

    return row


@cache
def softmax_row_backward() -> Any:
    """`row(n, s, s_at, d, d_at, logsum, mean)`: s <- exp(s - logsum), then d <- s (d - mean)."""
    from numba import types
    from numba.extending import intrinsic

    size, number = types.int64, types.float32

    @intrinsic
    def row(context, n, s, s_at, d, d_at, logsum, mean):
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            n, s, s_at, d, d_at, logsum, mean = values
            out = _Math(context, builder, micro.shape()[0])
            s = out.address(signature.args[1], s, s_at)
            d = out.address(signature.args[3], d, d_at)
            shift, middle = out.spread(logsum), out.spread(mean)

            def one(i: Any, old: Any) -> list[Any]:
                place, slope = builder.gep(s, [i]), builder.gep(d, [i])
                p = out.exp(out.sub(out.load(place), shift))
                out.store(p, place)
                out.store(out.mul(p, out.sub(out.load(slope), middle)), slope)
                return []

            out.loop(n, [], one)
            return context.get_dummy_value()

        return types.void(size, s, size, d, size, number, number), emit

    return row

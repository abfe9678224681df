"""The innermost loops of products, written in LLVM's own language: a tile of sums that stays in registers.

Numba's loops vectorise, but keep no tile of sums in registers: each multiplication then waits for memory. These
tiles are emitted as vector instructions, and every product of the CPU (matrices, convolutions, the steps of recurrent
networks) is loops of Numba around them. Measured on one core of a Zen 5: 220 GFLOP/s on 32 x 256 x 960, where OpenBLAS
reaches 150, as nothing has to be laid out anew for each call.

Each is an "intrinsic" of Numba for float32; its arrays are 1-D and contiguous, positions in them count elements. A
kernel that uses one names this file (`@kernel(..., uses=micro.SOURCE)`), so that its cached code is dropped when this
changes.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path
from typing import Any

SOURCE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


@cache
def shape() -> tuple[int, int]:
    """(lanes of a vector, rows of a tile) for this processor: as many sums as its registers hold."""
    import llvmlite.binding as llvm

    if platform.machine().lower() in ("arm64", "aarch64"):
        return 4, 8
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 8
    return (8, 4) if features.get("avx2") else (4, 4)


@cache
def product_tile(vectors: int) -> Any:
    """`tile(rows, a, a_at, a_row, a_step, b, b_at, offsets, o_at, k, c, c_at, c_row, add)`, 1 <= rows <= shape()[1]:

    c[r, :] (+)= sum over i < k of a[r, i] b[offsets[i] : offsets[i] + vectors * lanes] for each row r.

    a[r, i] is at `r * a_row + i * a_step`; the rows of c start every `c_row`.
    """
    from numba import types
    from numba.extending import intrinsic

    lanes, most = shape()

    @intrinsic
    def tile(context, rows, a, a_at, a_row, a_step, b, b_at, offsets, o_at, k, c, c_at, c_row, add):
        n = types.int64
        signature = types.void(n, a, n, n, n, b, n, offsets, n, n, c, n, n, n)

        def write(out: Any, builder: Any, values: Any) -> None:
            rows, a, a_row, a_step, b, offsets, k, c, c_row, add = values
            done = builder.append_basic_block("done")
            choice = builder.switch(rows, done)
            for m, least in _sizes(most):
                entry = builder.append_basic_block(f"rows{m}")
                for r in range(least, m + 1):
                    choice.add_case(out.integer(r), entry)
                builder.position_at_end(entry)
                row_of = out.rows(rows, m)
                starts = [builder.gep(a, [builder.mul(a_row, r)]) for r in row_of]
                targets = [builder.gep(c, [builder.add(builder.mul(c_row, r), out.integer(v * lanes))])
                           for r in row_of for v in range(vectors)]  # fmt: skip
                before = builder.append_basic_block(f"rows{m}.add")
                body = builder.append_basic_block(f"rows{m}.loop")
                after = builder.append_basic_block(f"rows{m}.end")
                builder.cbranch(builder.icmp_signed("!=", add, out.integer(0)), before, body)
                builder.position_at_end(before)
                old = [out.load(target) for target in targets]
                builder.branch(body)
                builder.position_at_end(body)
                i = builder.phi(out.size)
                sums = [builder.phi(out.vector) for _ in targets]
                i.add_incoming(out.integer(0), entry)
                i.add_incoming(out.integer(0), before)
                for total, given in zip(sums, old):
                    total.add_incoming(out.zero, entry)
                    total.add_incoming(given, before)
                row = builder.gep(b, [builder.load(builder.gep(offsets, [i]))])
                line = [out.load(builder.gep(row, [out.integer(v * lanes)])) for v in range(vectors)]
                place = builder.mul(i, a_step)
                results = []
                for r in range(m):
                    factor = out.spread(builder.load(builder.gep(starts[r], [place])))
                    results += [out.fma(factor, line[v], sums[r * vectors + v]) for v in range(vectors)]
                following = builder.add(i, out.integer(1))
                i.add_incoming(following, body)
                for total, result in zip(sums, results):
                    total.add_incoming(result, body)
                out.repeat(following, k, body, after)
                builder.position_at_end(after)
                for target, result in zip(targets, results):
                    out.store(result, target)
                builder.branch(done)
            builder.position_at_end(done)
            builder.ret_void()

        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            rows, a, a_at, a_row, a_step, b, b_at, offsets, o_at, k, c, c_at, c_row, add = values
            kinds = signature.args
            out = Emitter(context, builder, lanes)
            a = out.address(kinds[1], a, a_at)
            b = out.address(kinds[5], b, b_at)
            offsets = out.address(kinds[7], offsets, o_at)
            c = out.address(kinds[10], c, c_at)
            out.call(f"product{vectors}", write, [rows, a, a_row, a_step, b, offsets, k, c, c_row, add])
            return context.get_dummy_value()

        return signature, emit

    return tile


DOT_COLUMNS = 6


@cache
def dot_tile() -> Any:
    """`tile(rows, a, a_at, a_step, b, b_at, offsets, o_at, n, c, c_at, c_step)` for 1 <= rows <= shape()[1] / 2:

    c[r, j] += sum over i < n of a[r * a_step + i] b[offsets[j] + i], j < DOT_COLUMNS; `n` is a multiple of the lanes.
    """
    from numba import types
    from numba.extending import intrinsic

    lanes, most = shape()

    @intrinsic
    def tile(context, rows, a, a_at, a_step, b, b_at, offsets, o_at, n, c, c_at, c_step):
        number = types.int64
        signature = types.void(
            number, a, number, number, b, number, offsets, number, number, c, number, number
        )  # fmt: skip

        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            rows, a, a_at, a_step, b, b_at, offsets, o_at, n, c, c_at, c_step = values
            kinds = signature.args
            out = Emitter(context, builder, lanes)
            a = out.address(kinds[1], a, a_at)
            b = out.address(kinds[4], b, b_at)
            offsets = out.address(kinds[6], offsets, o_at)
            c = out.address(kinds[9], c, c_at)
            columns = [builder.gep(b, [builder.load(builder.gep(offsets, [out.integer(j)]))])
                       for j in range(DOT_COLUMNS)]  # fmt: skip
            done = builder.append_basic_block("done")
            choice = builder.switch(rows, done)
            for m, least in _sizes(most // 2):
                entry = builder.append_basic_block(f"rows{m}")
                for r in range(least, m + 1):
                    choice.add_case(out.integer(r), entry)
                builder.position_at_end(entry)
                row_of = out.rows(rows, m)
                starts = [builder.gep(a, [builder.mul(a_step, r)]) for r in row_of]
                body = builder.append_basic_block(f"rows{m}.loop")
                after = builder.append_basic_block(f"rows{m}.end")
                builder.branch(body)
                builder.position_at_end(body)
                i = builder.phi(out.size)
                i.add_incoming(out.integer(0), entry)
                sums = [builder.phi(out.vector) for _ in range(m * DOT_COLUMNS)]
                for total in sums:
                    total.add_incoming(out.zero, entry)
                left = [out.load(builder.gep(start, [i])) for start in starts]
                results = []
                for j in range(DOT_COLUMNS):
                    right = out.load(builder.gep(columns[j], [i]))
                    results += [out.fma(left[r], right, sums[j * m + r]) for r in range(m)]
                following = builder.add(i, out.integer(lanes))
                i.add_incoming(following, body)
                for total, result in zip(sums, results):
                    total.add_incoming(result, body)
                out.repeat(following, n, body, after)
                builder.position_at_end(after)
                # All loads before the first store: rows that stand for one another then agree.
                targets = [builder.gep(c, [builder.add(builder.mul(c_step, r), out.integer(j))])
                           for j in range(DOT_COLUMNS) for r in row_of]  # fmt: skip
                totals = [
                    builder.fadd(builder.load(target), total) for target, total in zip(targets, out.totals(results))
                ]
                for target, total in zip(targets, totals):
                    builder.store(total, target)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, emit

    return tile


@cache
def turn_tile() -> Any:
    """`tile(a, a_at, a_step, c, c_at, c_step)`: c[j * c_step + i] = a[i * a_step + j] for i, j < lanes.

    The square is turned in registers, by pairs of rows, of pairs, and so on: log2(lanes) shuffles a row.
    """
    from numba import types
    from numba.extending import intrinsic

    lanes, _ = shape()

    @intrinsic
    def tile(context, a, a_at, a_step, c, c_at, c_step):
        n = types.int64
        signature = types.void(a, n, n, c, n, n)

        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            a, a_at, a_step, c, c_at, c_step = values
            out = Emitter(context, builder, lanes)
            a = out.address(signature.args[0], a, a_at)
            c = out.address(signature.args[3], c, c_at)
            rows = [out.load(builder.gep(a, [builder.mul(a_step, out.integer(i))])) for i in range(lanes)]
            apart = 1
            while apart < lanes:
                # Exchanges the blocks off the diagonal of each square of 2 x 2 blocks with sides of `apart`.
                first = [i if not i & apart else i - apart + lanes for i in range(lanes)]
                second = [i + apart if not i & apart else i + lanes for i in range(lanes)]
                for i in range(lanes):
                    if not i & apart:
                        above, below = rows[i], rows[i + apart]
                        rows[i] = out.shuffle(above, below, first)
                        rows[i + apart] = out.shuffle(above, below, second)
                apart *= 2
            for i, row in enumerate(rows):
                out.store(row, builder.gep(c, [builder.mul(c_step, out.integer(i))]))
            return context.get_dummy_value()

        return signature, emit

    return tile


@cache
def memory() -> tuple[Any, Any]:
    """`fetch(address, i)` and `put(address, i, number)`: element i of float32 in memory at an address.

    For arrays of any strides: as arrays, each combination of layouts would be compiled anew.
    """
    from numba import types
    from numba.extending import intrinsic

    size, number = types.int64, types.float32

    def place(builder: Any, address: Any, i: Any) -> Any:
        from llvmlite import ir

        return builder.gep(builder.inttoptr(address, ir.FloatType().as_pointer()), [i])

    @intrinsic
    def fetch(context, address, i):
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.load(place(builder, *values))

        return number(size, size), emit

    @intrinsic
    def put(context, address, i, value):
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            builder.store(values[2], place(builder, *values[:2]))
            return context.get_dummy_value()

        return types.void(size, size, number), emit

    return fetch, put


def _sizes(most: int) -> list[tuple[int, int]]:
    """The tiles that are emitted, as (rows, the fewest rows it serves): one for each number would compile for long."""
    sizes = [rows for rows in (1, 3, 6, 8) if rows < most] + [most]
    return [(rows, least + 1) for least, rows in zip([0, *sizes], sizes)]


class Emitter:
    """Writes vector instructions of float32."""

    def __init__(self, context: Any, builder: Any, lanes: int) -> None:
        from llvmlite import ir

        self._ir, self._context, self._builder, self._lanes = ir, context, builder, lanes
        self.size = ir.IntType(64)
        self.vector = ir.VectorType(ir.FloatType(), lanes)
        self.zero = ir.Constant(self.vector, [0.0] * lanes)

    def call(self, name: str, write: Any, values: list[Any]) -> None:
        """Call a function that `write(emitter, builder, arguments)` fills: one for all uses, to compile but once."""
        ir, module = self._ir, self._builder.module
        full = f"autograd_core_{name}_{self._lanes}_{SOURCE}"
        function = module.globals.get(full)
        if function is None:
            function = ir.Function(module, ir.FunctionType(ir.VoidType(), [value.type for value in values]), full)
            function.linkage = "linkonce_odr"
            function.attributes.add("noinline")
            builder = ir.IRBuilder(function.append_basic_block("entry"))
            write(Emitter(self._context, builder, self._lanes), builder, function.args)
        self._builder.call(function, values)

    def integer(self, n: int) -> Any:
        return self._ir.Constant(self.size, n)

    def address(self, kind: Any, array: Any, at: Any) -> Any:
        """The address of element `at` of a contiguous array."""
        return self._builder.gep(self._context.make_array(kind)(self._context, self._builder, array).data, [at])

    def rows(self, rows: Any, m: int) -> list[Any]:
        """0 to m - 1, where fewer `rows` are asked for the last of them again: it is computed more than once."""
        last = self._builder.sub(rows, self.integer(1))
        numbers = [self.integer(r) for r in range(m)]
        return [self._builder.select(self._builder.icmp_signed("<", r, last), r, last) for r in numbers]

    def repeat(self, i: Any, n: Any, body: Any, after: Any) -> None:
        """Back to `body` while i < n; not unrolled, which the tile is already."""
        branch = self._builder.cbranch(self._builder.icmp_signed("<", i, n), body, after)
        module, ir = self._builder.module, self._ir
        disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
        branch.set_metadata("llvm.loop", module.add_metadata([disable]))

    def load(self, address: Any) -> Any:
        return self._builder.load(self._builder.bitcast(address, self.vector.as_pointer()), align=4)

    def store(self, value: Any, address: Any) -> None:
        self._builder.store(value, self._builder.bitcast(address, self.vector.as_pointer()), align=4)

    def spread(self, number: Any) -> Any:
        """A vector of one number."""
        ir, empty = self._ir, self._ir.Constant(self.vector, self._ir.Undefined)
        first = self._builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self._lanes), [0] * self._lanes)
        return self._builder.shuffle_vector(first, empty, lanes)

    def shuffle(self, x: Any, y: Any, lanes: list[int]) -> Any:
        """The numbered lanes of x and, from `lanes` on, of y."""
        places = self._ir.Constant(self._ir.VectorType(self._ir.IntType(32), self._lanes), lanes)
        return self._builder.shuffle_vector(x, y, places)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z, rounded once where the processor can."""
        return self._builder.call(self._declared("fmuladd", self.vector, [self.vector] * 3), [x, y, z])

    def totals(self, vectors: list[Any]) -> list[Any]:
        """The sum of each one's lanes. `lanes` vectors are summed together: halves are exchanged and added, then
        quarters, and so on, a third of the work of summing each by itself."""
        b, n = self._builder, self._lanes
        sums: list[Any] = []
        for start in range(0, len(vectors), n):
            group = vectors[start : start + n]
            many = len(group)
            group += [self.zero] * (n - many)
            apart = 1
            while len(group) > 1:
                # Lane i of a result belongs to the vector whose number has the bits of i that were dealt with so far.
                first = [i if not i & apart else i - apart + n for i in range(n)]
                second = [i + apart if not i & apart else i + n for i in range(n)]
                group = [
                    b.fadd(self.shuffle(x, y, first), self.shuffle(x, y, second))
                    for x, y in zip(group[::2], group[1::2])
                ]
                apart *= 2
            sums += [b.extract_element(group[0], self._ir.Constant(self._ir.IntType(32), i)) for i in range(many)]
        return sums

    def total(self, vector: Any) -> Any:
        """The sum of the lanes, in the order that is fastest."""
        number = self._ir.FloatType()
        reduce = self._declared("vector.reduce.fadd", number, [number, self.vector])
        return self._builder.call(reduce, [self._ir.Constant(number, 0.0), vector], fastmath=("reassoc",))

    def _declared(self, name: str, result: Any, arguments: Any) -> Any:
        from numba.core.cgutils import get_or_insert_function

        kind = self._ir.FunctionType(result, arguments)
        return get_or_insert_function(self._builder.module, kind, f"llvm.{name}.v{self._lanes}f32")

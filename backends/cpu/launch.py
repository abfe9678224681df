"""A kernel on all threads: each calls the same compiled function, for a share of its loop of its own.

Numba's parallel loops (`prange`) become three functions, each optimised anew: the product of `tiled.py` took 4.2 s to
compile so, and its form for one thread 1.4 s more. Here a kernel is compiled once, in 1.8 s, for one thread and for
all; what hands it to Numba's thread pool is a function of a few instructions, compiled in 0.08 s for each kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

_FAILED = "a compiled kernel could not allocate what it works in"
_launch: Any = None  # Set before `on_all_threads` compiles: what Numba keeps on disk may use names of this module only.


def on_all_threads(kernel: Callable[[], Any], name: str, compile_function: Callable[..., Any]) -> Any:
    """`run(workers, *args)`: calls `kernel(*args, worker, workers)` for each worker, on the threads of Numba.

    kernel: gives Numba's dispatcher of it. name: its own, the same in every process. Numba's thread layer must have
    been started before the first call.
    """
    global _launch
    _launch = _intrinsic()

    def run(workers, *args):
        _launch(name, workers, args)

    # `uses` gives each kernel's caller a folder of its own: two processes may write to Numba's index at once, and in
    # one for all kernels a lost race could put one kernel's code under another's name.
    dispatcher = compile_function(run, nogil=True, uses=name)
    own = dispatcher.compile
    linked: list[Any] = []  # What the caller holds the address of.

    def compile_both(signature: Any) -> Any:
        # The kernel's machine code must be known by name before the code that calls it is made, or read from disk.
        from llvmlite import binding
        from numba import types

        kinds = tuple(signature)[1:]
        if len(kinds) == 1 and isinstance(kinds[0], types.BaseTuple):
            kinds = tuple(kinds[0].types)
        kinds = (*kinds, types.int64, types.int64)
        compiled = kernel()
        compiled.compile(kinds)
        result = compiled.overloads[kinds]
        address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
        binding.add_symbol(_symbol(name, kinds), address)
        linked.append(result)
        return own(signature)

    dispatcher.compile = compile_both
    return dispatcher


def _symbol(name: str, kinds: Any) -> str:
    return f"{name}.{hashlib.sha256(repr(kinds).encode()).hexdigest()[:16]}"


@cache
def _intrinsic() -> Any:
    """`launch(name, parts, args)`, for Numba's compiler."""
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    word, pointer = ir.IntType(64), ir.IntType(8).as_pointer()

    @intrinsic(prefer_literal=True)
    def launch(context, name, parts, args):
        kinds = [*args.types, types.int64, types.int64]
        symbol = _symbol(name.literal_value, tuple(kinds))

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            _, parts, packed = values
            convention = context.call_conv
            kernel_type = convention.get_function_type(types.none, kinds)
            kernel = cgutils.get_or_insert_function(builder.module, kernel_type, symbol)
            box_type = ir.LiteralStructType([packed.type, word, word])  # arguments, parts, whether one failed

            # What a thread of the pool runs: the parts from the address that `starts` holds, `counts[0]` of them. The
            # pool moves an address by one for each part; it begins at 0, so that it is the number of the part.
            task_type = ir.FunctionType(ir.VoidType(), [pointer.as_pointer(), word.as_pointer()] + [pointer] * 2)
            task = ir.Function(builder.module, task_type, name=f"{symbol}.task")
            task.linkage = "internal"
            starts, counts, _, data = task.args
            inner = ir.IRBuilder(task.append_basic_block("entry"))
            first = inner.ptrtoint(inner.load(starts), word)
            box = inner.bitcast(data, box_type.as_pointer())
            given = cgutils.unpack_tuple(inner, inner.load(cgutils.gep_inbounds(inner, box, 0, 0)))
            total = inner.load(cgutils.gep_inbounds(inner, box, 0, 1))
            with cgutils.for_range(inner, inner.load(counts)) as loop:
                part = inner.add(first, loop.index)
                status, _ = convention.call_function(inner, kernel, types.none, kinds, [*given, part, total])
                with inner.if_then(status.is_error, likely=False):
                    inner.store(ir.Constant(word, 1), cgutils.gep_inbounds(inner, box, 0, 2))
            inner.ret_void()

            box = cgutils.alloca_once(builder, box_type)
            builder.store(packed, cgutils.gep_inbounds(builder, box, 0, 0))
            builder.store(parts, cgutils.gep_inbounds(builder, box, 0, 1))
            failed = cgutils.gep_inbounds(builder, box, 0, 2)
            builder.store(ir.Constant(word, 0), failed)
            addresses = cgutils.alloca_once_value(builder, ir.Constant(pointer, None))
            sizes = cgutils.alloca_once_value(builder, parts)
            steps = cgutils.alloca_once_value(builder, ir.Constant(word, 1))
            pool_type = ir.FunctionType(ir.VoidType(), [pointer] * 5 + [word] * 3)
            pool = cgutils.get_or_insert_function(builder.module, pool_type, "numba_parallel_for")
            pointers = [builder.bitcast(value, pointer) for value in (task, addresses, sizes, steps, box)]
            builder.call(pool, [*pointers, ir.Constant(word, 0), ir.Constant(word, 1), parts])
            with builder.if_then(builder.trunc(builder.load(failed), ir.IntType(1)), likely=False):
                convention.return_user_exc(builder, MemoryError, (_FAILED,))  # Nothing else fails in a kernel.
            return context.get_dummy_value()

        return types.none(name, types.int64, args), generate

    return launch

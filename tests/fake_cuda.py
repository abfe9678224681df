"""A `cuda` object that runs kernels thread by thread in plain Python, and checks what a GPU would not.

    launch = FakeLauncher()
    launch(factory, constants, grid, block, out, x, n)     # the arguments of `backends.cuda.launch.Launcher`

- Every access is within its array, at a place of 0 or more.
- No two threads touch the same element, one of them writing, unless a barrier of their block lies between; threads of
  two blocks never do.
- All threads of a block meet at the same barriers.
- Shared and local memory is written before it is read.
- Numbers have the types that Numba gives them: float32 stays float32, a literal such as 0.5 is a float64, and a
  float64 that is stored in float32 memory is an error (a kernel says `real(...)` where it means that).

A thread is a generator: the source of a kernel is compiled anew with `yield` in the place of `cuda.syncthreads()`.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import simulated_runtime

from autograd_core.backends.cuda.launch import PointerTable, signature_of


class KernelError(AssertionError):
    """What a kernel did wrong, in which thread."""


class _Place:
    """Which thread runs, and how many barriers its block has passed."""

    block = thread = epoch = blocks = threads = 0

    def __str__(self) -> str:
        return f"block {self.block}, thread {self.thread}"


class FakeArray:
    """Flat memory. `log` holds for each element its last writer and its readers: (block, epoch, thread)."""

    __slots__ = ("data", "kind", "log", "name", "place", "shared", "written")

    def __init__(self, data: np.ndarray, place: _Place, name: str, written: bool = True, checked: bool = True) -> None:
        self.data, self.place, self.name = data, place, name
        self.kind = data.dtype.kind
        self.log: dict[int, list[Any]] | None = {} if checked else None
        self.written = None if written else np.zeros(data.shape, bool)

    def _check(self, i: Any, write: bool) -> None:
        place = self.place
        if not isinstance(i, int | np.integer):
            raise KernelError(f"{self.name}[{i!r}]: an index must be an integer ({place})")
        if not 0 <= i < len(self.data):
            raise KernelError(f"{self.name}[{i}] is outside of its {len(self.data)} elements ({place})")
        if self.log is None:
            return
        me = (place.block, place.epoch, place.thread)
        seen = self.log.get(i)
        if seen is None:
            self.log[i] = [me, None] if write else [None, me]
            return
        writer, reader = seen
        if writer is not None and writer != me and (writer[0] != me[0] or writer[1] == me[1]):
            raise KernelError(
                f"race: {place} {'writes' if write else 'reads'} {self.name}[{i}], {_who(writer)} writes it"
            )
        if write:
            if reader is not None and reader != me and (reader[0] != me[0] or reader[1] == me[1]):
                raise KernelError(f"race: {place} writes {self.name}[{i}], {_who(reader)} reads it")
            seen[0] = me
        elif reader is None or (reader[0] == me[0] and reader[1] < me[1]):
            seen[1] = me
        elif reader != me:  # Several readers: None stands for any other block, or any other thread.
            seen[1] = (reader[0] if reader[0] == me[0] else None, me[1], None)

    def __getitem__(self, i: Any) -> Any:
        self._check(i, False)
        if self.written is not None and not self.written[i]:
            raise KernelError(f"{self.name}[{i}] is read before it is written ({self.place})")
        value = self.data[i]
        return int(value) if self.kind == "i" else bool(value) if self.kind == "b" else value

    def __setitem__(self, i: Any, value: Any) -> None:
        self._check(i, True)
        dtype = self.data.dtype
        if self.kind == "f" and isinstance(value, np.floating) and value.dtype.itemsize > max(dtype.itemsize, 4):
            raise KernelError(f"{self.name}[{i}] = a {value.dtype} in {dtype} memory: say real(...) ({self.place})")
        if self.kind in "iub" and isinstance(value, float | np.floating):
            raise KernelError(f"{self.name}[{i}] = {value!r} in {dtype} memory ({self.place})")
        self.data[i] = value
        if self.written is not None:
            self.written[i] = True


def _who(access: tuple[Any, Any, Any]) -> str:
    block, _, thread = access
    return f"{'another block' if block is None else f'block {block}'}, thread {'?' if thread is None else thread}"


class _Index:
    """`cuda.threadIdx` and its like; blocks and grids have one dimension."""

    def __init__(self, place: _Place, name: str) -> None:
        self._place, self._name = place, name

    @property
    def x(self) -> int:
        return int(getattr(self._place, self._name))


class FakeCuda:
    """The part of Numba's `cuda` that kernels may use."""

    def __init__(self) -> None:
        self.place = place = _Place()
        self.threadIdx, self.blockIdx = _Index(place, "thread"), _Index(place, "block")
        self.blockDim, self.gridDim = _Index(place, "threads"), _Index(place, "blocks")
        self.shared = types.SimpleNamespace(array=self._shared_array)
        self.local = types.SimpleNamespace(array=self._local_array)
        self.libdevice = _Libdevice()
        self._block_memory: list[FakeArray] = []
        self._asked: dict[int, int] = {}

    def grid(self, ndim: int) -> int:
        return self.place.block * self.place.threads + self.place.thread

    def gridsize(self, ndim: int) -> int:
        return self.place.blocks * self.place.threads

    def syncthreads(self) -> None:
        raise KernelError("cuda.syncthreads() must be a statement of its own, in a kernel or a device function")

    def jit(self, function: Any = None, *, device: bool = False) -> Any:
        assert function is None and device, "kernels use cuda.jit(device=True) alone"
        return lambda function: thread_code(function, self)

    def _shared_array(self, shape: int, dtype: Any) -> FakeArray:
        # The n-th array that a thread asks for is the n-th of its block.
        n = self._asked.get(self.place.thread, 0)
        self._asked[self.place.thread] = n + 1
        if n == len(self._block_memory):
            self._block_memory.append(FakeArray(np.zeros(shape, dtype), self.place, f"shared array {n}", False))
        return self._block_memory[n]

    def _local_array(self, shape: int, dtype: Any) -> FakeArray:
        return FakeArray(np.zeros(shape, dtype), self.place, "local array", written=False, checked=False)

    def run(self, body: Callable[..., Any], grid: int, block: int, arguments: tuple[Any, ...]) -> None:
        """Run all threads of all blocks, each until its next barrier."""
        place = self.place
        place.blocks, place.threads = grid, block
        for place.block in range(grid):
            place.epoch = 0
            self._block_memory, self._asked = [], {}
            waiting: list[tuple[int, Iterator[None]]] = []
            for place.thread in range(block):
                thread = body(*arguments)
                if inspect.isgenerator(thread):
                    waiting.append((place.thread, thread))
            while waiting:
                arrived = []
                for place.thread, thread in waiting:
                    if next(thread, _ENDED) is not _ENDED:
                        arrived.append((place.thread, thread))
                if arrived and len(arrived) != len(waiting):
                    raise KernelError(
                        f"block {place.block}: {len(waiting) - len(arrived)} threads ended while {len(arrived)} wait "
                        f"at barrier {place.epoch + 1}"
                    )
                waiting = arrived
                place.epoch += 1


_ENDED = object()


def _rounded(operation: Callable[[Any, Any], Any], single: bool) -> Callable[[Any, Any], Any]:
    def call(x: Any, y: Any) -> Any:
        if single and any(isinstance(v, np.float64) for v in (x, y)):
            raise KernelError("a float64 in a float32 function of libdevice")
        kind = np.float32 if single else np.float64
        return operation(kind(x), kind(y))

    return call


class _Libdevice:
    """Operations that are rounded once, whatever surrounds them."""

    fadd_rn = staticmethod(_rounded(lambda x, y: x + y, True))
    fmul_rn = staticmethod(_rounded(lambda x, y: x * y, True))
    fdiv_rn = staticmethod(_rounded(np.divide, True))
    dadd_rn = staticmethod(_rounded(lambda x, y: x + y, False))
    dmul_rn = staticmethod(_rounded(lambda x, y: x * y, False))
    ddiv_rn = staticmethod(_rounded(np.divide, False))
    fsqrt_rn = staticmethod(lambda x: np.sqrt(np.float32(x)))
    dsqrt_rn = staticmethod(lambda x: np.sqrt(np.float64(x)))
    int_as_float = staticmethod(lambda i: np.uint32(int(i) & 0xFFFFFFFF).view(np.float32))
    float_as_int = staticmethod(lambda x: int(np.float32(x).view(np.int32)))
    longlong_as_double = staticmethod(lambda i: np.uint64(int(i) & 0xFFFFFFFFFFFFFFFF).view(np.float64))
    double_as_longlong = staticmethod(lambda x: int(np.float64(x).view(np.int64)))


class _Math:
    """`math` for NumPy's scalars: float32 in, float32 out, and infinities and NaNs for errors."""

    inf, nan, pi = np.float64(np.inf), np.float64(np.nan), np.float64(np.pi)

    def __getattr__(self, name: str) -> Any:
        numpy_name = {"pow": "power", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "fabs": "fabs"}.get(
            name, name
        )
        found = getattr(np, numpy_name, None)
        if found is None:  # erf, lgamma, ...
            plain = getattr(math, name)

            def found(x: Any) -> Any:
                return x.dtype.type(plain(x))

        return found


_MATH = _Math()


class _Rewrite(ast.NodeTransformer):
    """`cuda.syncthreads()` as `yield`, calls of functions with barriers as `yield from`, 0.5 as a float64."""

    def __init__(self, meeting: set[str]) -> None:
        self.meeting, self.yields = meeting, False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "syncthreads":
            self.yields = True
            return ast.copy_location(ast.Yield(), node)
        if isinstance(node.func, ast.Name) and node.func.id in self.meeting:
            self.yields = True
            return ast.copy_location(ast.YieldFrom(node), node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, float):
            call = ast.Call(ast.Name("__float64", ast.Load()), [node], [])
            return ast.copy_location(call, node)
        return node


def thread_code(function: Callable[..., Any], cuda: FakeCuda) -> Callable[..., Any]:
    """`function` as the code of one thread: a generator function if it has barriers."""
    code = function.__code__
    cells = dict(zip(code.co_freevars, (c.cell_contents for c in function.__closure__ or ())))
    names = {**function.__globals__, **cells}
    meeting = {name for name, value in names.items() if getattr(value, "has_barriers", False)}
    tree = ast.parse(_source(function))
    definition = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function.__name__)
    ast.increment_lineno(definition, code.co_firstlineno - 1)
    definition.decorator_list = []
    rewrite = _Rewrite(meeting)
    definition.body = [rewrite.visit(statement) for statement in definition.body]
    for argument in (*definition.args.args,):
        argument.annotation = None
    definition.returns = None
    names |= {"math": _MATH, "__float64": np.float64}
    names |= {
        name: getattr(_MATH, name)
        for name, value in names.items()
        if inspect.isbuiltin(value) and value.__module__ == "math"
    }
    exec(compile(ast.fix_missing_locations(ast.Module([definition], [])), code.co_filename, "exec"), names)
    made = names[function.__name__]
    made.has_barriers = rewrite.yields
    return made  # type: ignore[no-any-return]


def _source(function: Callable[..., Any]) -> str:
    text = getattr(function, "source", None) or inspect.getsource(function)
    return textwrap.dedent(text)


class FakeLauncher:
    """Stands in for `launch.Launcher`, on arrays of NumPy or of the simulated device; `count` is how often something was launched."""

    count = 0

    def __call__(self, factory: Any, constants: tuple[Any, ...], grid: int, block: int, *arguments: Any) -> None:
        self.count += 1
        if not (0 < grid < 2**31 and 0 < block <= 1024):
            raise KernelError(f"{factory.__name__}: {grid} blocks of {block} threads")
        signature_of(arguments)
        graph = simulated_runtime.capturing()
        if graph is not None:
            tables = [a.arrays if type(a) is PointerTable else [a] for a in arguments]
            graph.touch([getattr(x, "_host", x) for arrays in tables for x in arrays])
            graph.note(lambda: self._start(factory, constants, grid, block, arguments), ())
            return
        self._start(factory, constants, grid, block, arguments)

    def _start(self, factory: Any, constants: tuple[Any, ...], grid: int, block: int, arguments: Any) -> None:
        cuda = FakeCuda()
        body = thread_code(factory(cuda, *constants), cuda)
        names = list(inspect.signature(body).parameters)
        if len(names) != len(arguments):
            raise KernelError(f"{factory.__name__} takes {names}, got {len(arguments)} arguments")
        memory = _Memory(cuda.place)
        given = tuple(memory.argument(a, name) for a, name in zip(arguments, names))
        with np.errstate(all="ignore"):
            cuda.run(body, grid, block, given)


class _Memory:
    """Arrays of one launch: two arguments on the same memory are one array, so that races between them show."""

    def __init__(self, place: _Place) -> None:
        self.place = place
        self.arrays: dict[tuple[int, int, str], FakeArray] = {}

    def argument(self, value: Any, name: str) -> Any:
        if type(value) is PointerTable:
            return tuple(self.argument(a, f"{name}[{i}]") for i, a in enumerate(value.arrays))
        if isinstance(value, float) and not isinstance(value, np.floating):
            return np.float64(value)
        value = getattr(value, "_host", value)  # Of an array of the simulated device.
        if not isinstance(value, np.ndarray):
            return value
        if not value.flags.c_contiguous:
            raise KernelError(f"{name} is not C-contiguous: shape {value.shape}, strides {value.strides}")
        flat = value.reshape(-1)
        if flat.dtype.kind == "b":
            flat = flat.view("uint8")
        key = (flat.ctypes.data, flat.size, flat.dtype.char)
        if key not in self.arrays:
            self.arrays[key] = FakeArray(flat, self.place, name)
        return self.arrays[key]

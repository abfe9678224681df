"""One kernel for several elementwise ones: what compiled plans are made of on a GPU.

The counterpart of `backends/cpu/fused.py`, whose analysis of layouts it takes over; a thread takes one element of the
loop. Nothing is read on the host: a number that is an array is loaded by every thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autograd_core.backends.cpu.fused import FusedLoop, Layout, Step
from autograd_core.backends.cuda.kernels.blocks import spread
from autograd_core.backends.cuda.kernels.elementwise import LIBRARY, define
from autograd_core.backends.cuda.launch import Unusable
from autograd_core.backends.lifting import Body

Array = Any
Axes = tuple[int, ...]


def _memory_order(shape: Axes, strides: Axes) -> Axes | None:
    """The axes from the slowest to the fastest; None where elements have gaps between them, or lie on each other."""
    order = sorted(range(len(shape)), key=lambda a: -strides[a] if shape[a] > 1 else 0)
    step = 1
    for a in reversed(order):
        if shape[a] > 1:
            if strides[a] != step:
                return None
            step *= shape[a]
    return tuple(order)


def _row_major(shape: Axes) -> Axes:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


class CudaFusedLoop(FusedLoop):
    """`FusedLoop` as a kernel: arrays are pointers to their first elements."""

    def __init__(
        self,
        steps: Sequence[Step],
        inputs: Sequence[Layout],
        outputs: Sequence[Layout],
        into: Mapping[str, str] | None = None,
    ) -> None:
        self.orders: dict[str, Axes | None] = {}  # How an array is to be transposed to lie in the order of its memory.
        packed = []
        for name, shape, strides, dtype in inputs:
            order = self.orders[name] = _memory_order(shape, strides)
            packed.append((name, shape, strides if order is not None else _row_major(shape), dtype))
        super().__init__(steps, packed, outputs, into)

    def _write(self) -> str:
        body = Body(self.dtype, LIBRARY)
        held: dict[str, str] = {}
        loads = []
        for name, _, _, dtype in self.inputs:
            held[name] = f"{name}_"
            element = f"{name}[{self._place(name)}]"
            loads.append(f"{name}_ = {element} != 0" if dtype.kind == "b" else f"{name}_ = {self.dtype}({element})")
        for function, arguments, result in self.steps:
            operands = [held[a] if isinstance(a, str) else body.constant(a) for a in arguments]
            held[result] = body.call(function, operands)
        stores = [f"{self.into.get(name, name)}[{self._place(name)}] = {held[name]}" for name, *_ in self.outputs]
        # Row by row through the loop's axes, the fastest first.
        axes = [f"i{a} = rest % {n}; rest //= {n}" for a, n in reversed(list(enumerate(self.dims)))]
        axes = [f"i{a} = i" for a in range(len(self.dims))] if len(self.dims) == 1 else ["rest = i", *axes]
        given = [name for name, *_ in self._arrays if name not in self.into]
        lines = [
            *body.define_constants(), "", "",
            f"def fused_{self.name}(cuda):",
            f"    def body({', '.join(given)}, n):",
            "        i, step = cuda.grid(1), cuda.gridsize(1)",
            "        while i < n:",
            # All is read before anything is written: an output may lie where an input was.
            *[f"            {line}" for line in (*axes, *loads, *body.lines, *stores)],
            "            i += step", "",
            "    return body",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def _place(self, name: str) -> str:
        """Where the element at (i0, i1, ...) lies in the array's memory."""
        terms = [f"i{a} * {s}" if s != 1 else f"i{a}" for a, s in enumerate(self._steps[name]) if s]
        return " + ".join(terms) or "0"

    def function_on(self, gpu: Any) -> Callable[..., Any]:
        """`function(*inputs)`, launched by `gpu`."""
        backend = gpu.backend
        kernel = define(f"fused_{self.name}", self.source)
        n = 1
        for size in self.shape:
            n *= size
        orders = [self.orders[name] for name, *_ in self.inputs]
        plain = [order is not None and order == tuple(range(len(order))) for order in orders]
        new = [self._memory(output) for output in self.outputs if output[0] not in self.into]
        places = {name: k for k, (name, *_) in enumerate(self.inputs)}
        taken = [places.get(self.into.get(name, "")) for name, *_ in self.outputs]

        def lying(x: Array, order: Axes | None, is_plain: bool) -> Array:
            return x if is_plain else gpu.contiguous(x) if order is None else x.transpose(order)

        def run(*inputs: Array) -> Any:
            if backend.kernels_off:
                return self._one_by_one(backend, inputs)
            memory = [backend.empty(shape, dtype) for shape, dtype, _ in new]
            given = [lying(x, order, p) for x, order, p in zip(inputs, orders, plain)]
            try:
                gpu.launch(kernel, (), *spread(n), *given, *memory, n)
            except Unusable as error:
                gpu.give_up(error)
                return self._one_by_one(backend, inputs)
            made = iter([x.transpose(back) for x, (*_, back) in zip(memory, new)])
            results = [next(made) if k is None else inputs[k] for k in taken]
            return results[0] if len(results) == 1 else tuple(results)

        function: Any = backend.here(run)
        function.__name__ = f"fused_{self.name}"
        function.source, function.loop = self.source, self
        return function

    def _memory(self, output: Layout) -> tuple[Axes, Any, Axes]:
        """An output's shape in the order of memory, its dtype, and the way back to its own shape."""
        _, shape, strides, dtype = output
        order = _memory_order(shape, strides) or tuple(range(len(shape)))
        return tuple(shape[a] for a in order), dtype, tuple(order.index(a) for a in range(len(shape)))

    def _one_by_one(self, backend: Any, inputs: tuple[Array, ...]) -> Any:
        """The same by the backend's own kernels."""
        held: dict[str, Any] = {name: x for (name, *_), x in zip(self.inputs, inputs)}
        for function, arguments, result in self.steps:
            operands = [held[a] if isinstance(a, str) else a for a in arguments]
            held[result] = getattr(backend, function)(*operands)
        results = [held[name] for name, *_ in self.outputs]
        return results[0] if len(results) == 1 else tuple(results)

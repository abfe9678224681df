"""One loop for several elementwise kernels: what compiled plans are made of.

The loop runs over the axes in the order in which the results lie in memory, neighbouring axes taken together where all
arrays allow it, so that it is mostly one loop over flat memory. Along an axis that it is broadcast over, an array has a
step of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autograd_core.backends import scalars
from autograd_core.backends.cpu import generated
from autograd_core.backends.cpu.cache import PARALLEL_FROM, kernel
from autograd_core.backends.cpu.vector_math import LIBRARY
from autograd_core.backends.lifting import Body

Array = Any
# A kernel's name, its arguments (names of arrays or earlier results, or numbers), and the name of its result.
Step = tuple[str, Sequence[Any], str]
# An array: its name, shape, strides in elements, and dtype.
Layout = tuple[str, tuple[int, ...], tuple[int, ...], Any]


class FusedLoop:
    """The source of the loop that makes `steps`, and the function that runs it.

    All arrays broadcast to the one shape of the outputs. `function(*inputs)` returns the output, or a tuple of several.
    into: output -> the input whose memory it takes over, of the same layout; the others get memory of their own.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        inputs: Sequence[Layout],
        outputs: Sequence[Layout],
        into: Mapping[str, str] | None = None,
    ) -> None:
        self.steps, self.inputs, self.outputs, self.into = steps, inputs, outputs, dict(into or {})
        _, self.shape, first, _ = outputs[0]
        # Axes from the slowest to the fastest in the first output's memory.
        self._order = sorted((a for a, n in enumerate(self.shape) if n > 1), key=lambda a: -first[a])
        self._arrays = [*inputs, *outputs]
        self._steps = {name: self._along(shape, strides) for name, shape, strides, _ in self._arrays}
        self._flat = {name for name, shape, strides, _ in self._arrays if self._is_dense(shape, strides)}
        self.dims = [self.shape[a] for a in self._order]
        if len(self._flat) == len(self._arrays):
            self._collapse()
        floats = [dtype.name for *_, dtype in self._arrays if dtype.kind == "f"]
        self.dtype = floats[0]
        self.name = "_".join(dict.fromkeys(kernel for kernel, _, _ in steps))[:60]
        self.source = self._write()

    # -- layout -----------------------------------------------------------------------------------------

    def _along(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> list[int]:
        """An array's strides along the axes of the loop."""
        lead = len(self.shape) - len(shape)
        return [0 if a < lead or shape[a - lead] == 1 else strides[a - lead] for a in self._order]

    def _is_dense(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
        """Whether the array's elements lie next to one another in the loop's order (or it is one number)."""
        step = 1
        for n, s in reversed([(n, s) for n, s in zip(self._sizes(shape), self._along(shape, strides))]):
            if n > 1:
                if s != step:
                    return False
                step *= n
        return True

    def _sizes(self, shape: tuple[int, ...]) -> list[int]:
        lead = len(self.shape) - len(shape)
        return [1 if a < lead else shape[a - lead] for a in self._order]

    def _collapse(self) -> None:
        """Take neighbouring axes together where the step along the slower one is the faster one's whole extent."""
        axis = len(self.dims) - 2
        while axis >= 0:
            if all(s[axis] == s[axis + 1] * self.dims[axis + 1] for s in self._steps.values()):
                self.dims[axis : axis + 2] = [self.dims[axis] * self.dims[axis + 1]]
                for s in self._steps.values():
                    del s[axis]
            axis -= 1

    # -- source -----------------------------------------------------------------------------------------

    def _write(self) -> str:
        body = Body(self.dtype, {**LIBRARY[self.dtype], **scalars.FUNCTIONS})
        indices = [f"i{n}" for n in range(len(self.dims))]
        held: dict[str, str] = {}
        before: list[str] = []  # What is the same for all elements.
        rows: list[str] = []  # What is the same for all elements of the innermost loop.
        loads: list[str] = []
        for name, shape, _, dtype in self.inputs:
            held[name] = f"{name}_"
            if not shape or math.prod(shape) == 1:
                before.append(f"{name}_ = {name}" if dtype.kind == "b" else f"{name}_ = {self.dtype}({name})")
            elif name in self._flat and not self._steps[name][-1]:
                rows.append(f"{name}_ = {name}[{self._index(name, indices)}]")
            else:
                loads.append(f"{name}_ = {self._element(name, indices, rows)}")
        for function, arguments, result in self.steps:
            operands = [held[a] if isinstance(a, str) else body.constant(a) for a in arguments]
            held[result] = body.call(function, operands)
        # All is read before anything is written: an output may lie where an input was.
        stores = [
            f"{self._element(self.into.get(name, name), indices, rows)} = {held[name]}" for name, *_ in self.outputs
        ]
        rows = list(dict.fromkeys(rows))
        # Sizes are arguments, so that one file serves them all; of a single loop it is the array's.
        single = len(self.dims) == 1
        given = [name for name, *_ in self._arrays if name not in self.into]
        given += [] if single else [f"n{depth}" for depth in range(len(self.dims))]
        lines = [*body.define_constants(), "", "", f"def kernel({', '.join([*given, 'worker', 'workers'])}):"]
        lines += [f"    {line}" for line in before]
        if single:
            first = self.outputs[0][0]
            lines.append(f"    n0 = {self.into.get(first, first)}.size")
        for depth, index in enumerate(indices):
            if depth == len(self.dims) - 1:
                lines += ["    " * (depth + 1) + line for line in rows]
            bounds = f"n{depth}"
            if depth == 0:
                bounds = "worker * n0 // workers, (worker + 1) * n0 // workers"
            if single:  # Unsigned: see `_element`.
                bounds = ", ".join(f"np.uint64({bound})" for bound in bounds.split(", "))
            lines.append(f"{'    ' * (depth + 1)}for {index} in range({bounds}):")
        lines += ["    " * (len(self.dims) + 1) + line for line in (*loads, *body.lines, *stores)]
        return "\n".join(lines) + "\n"

    def _element(self, name: str, indices: list[str], rows: list[str]) -> str:
        """The element of an array that the innermost loop is at; of nested loops, by way of a slice made in `rows`.

        An index that counts from 0 needs no test for Python's negative ones, which keeps loops from vectorising.
        """
        if name not in self._flat or len(indices) < 2:
            return f"{name}[{self._index(name, indices)}]"
        outer = self._index(name, indices[:-1])
        rows.append(f"{name}_row = {name}[{outer} : {outer} + n{len(indices) - 1}]")
        return f"{name}_row[{indices[-1]}]"

    def _index(self, name: str, indices: list[str]) -> str:
        if name not in self._flat:
            shape = next(shape for n, shape, *_ in self._arrays if n == name)
            lead = len(self.shape) - len(shape)
            places = dict(zip(self._order, indices))
            return ", ".join(places[lead + a] if n > 1 else "0" for a, n in enumerate(shape))
        # Lying densely, it has as its step along an axis the product of its sizes along the faster ones.
        steps = self._steps[name]
        faster = [[f"n{later}" for later in range(axis + 1, len(steps)) if steps[later]] for axis in range(len(steps))]
        terms = [" * ".join([i, *sizes]) for i, sizes, s in zip(indices, faster, steps) if s]
        return " + ".join(terms) or "0"

    # -- running ----------------------------------------------------------------------------------------

    @property
    def function(self) -> Callable[..., Any]:
        """`function(*inputs)`: makes the outputs and fills them."""
        loop = kernel(parallel=True, fastmath={"contract"})(generated.load(self.name, self.source).kernel)
        run = loop if math.prod(self.shape) >= PARALLEL_FROM else loop.serial
        names: dict[str, Any] = {"run": run, "empty": np.empty}
        lines = [f"def fused_{self.name}({', '.join(name for name, *_ in self.inputs)}):"]
        passed = []
        for name, shape, _, dtype in self.inputs:
            if not shape or math.prod(shape) == 1:
                passed.append(f"{'bool' if dtype.kind == 'b' else 'float'}({name}{'.item()' if shape else ''})")
            else:
                passed.append(self._flattened(name, shape))
        for name, shape, strides, dtype in self.outputs:
            if name in self.into:
                continue
            order = sorted(range(len(shape)), key=lambda a: -strides[a] if shape[a] > 1 else 0)
            in_memory = tuple(shape[a] for a in order)
            names[f"{name}_dtype"] = dtype
            made = f"empty({in_memory!r}, {name}_dtype)"
            back = tuple(order.index(a) for a in range(len(shape)))
            lines.append(f"    {name} = {made}" + ("" if order == list(range(len(shape))) else f".transpose({back!r})"))
            passed.append(self._flattened(name, shape))
        passed += [] if len(self.dims) == 1 else map(str, self.dims)
        results = [self.into.get(name, name) for name, *_ in self.outputs]
        lines += [f"    run({', '.join(passed)})", f"    return {', '.join(results)}"]
        text = "\n".join(lines) + "\n"
        exec(compile(text, f"<{self.name}>", "exec"), names)
        function: Any = names[f"fused_{self.name}"]
        function.source = self.source
        function.loop = self
        return function

    def _flattened(self, name: str, shape: tuple[int, ...]) -> str:
        if name not in self._flat or len(shape) == 1:
            return name
        lead = len(self.shape) - len(shape)
        axes = [a - lead for a in self._order if a >= lead]
        axes += [a for a in range(len(shape)) if a not in axes]
        return f"{name}.reshape(-1)" if axes == sorted(axes) else f"{name}.transpose({tuple(axes)!r}).reshape(-1)"


def fuse(
    steps: Sequence[Step], inputs: Sequence[Layout], outputs: Sequence[Layout], into: Mapping[str, str]
) -> Callable[..., Any]:
    """The function that makes `steps` in one loop; see `FusedLoop`."""
    return FusedLoop(steps, inputs, outputs, into).function

"""A plan: the flat list of kernel calls of a recorded step, and what is known of every array in it.

    plan.calls        [Call(kernel, args, kwargs, result), ...] with a `Ref(k)` wherever slot k stands
    plan.slots[k]     what is known of array k: shape, dtype, strides, kind, whose memory it lies in
    plan.arguments    the slots that `run` is given, in order
    plan.outputs      the slots that `run` returns, in order
    plan.run(arrays)  makes the calls

Passes take a plan and change `calls` and `slots`. What they must keep: the values of `outputs`, the memory of what
`writes` says of slots that no call makes, and the order of calls that write to the same memory (`calls.written_by`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autograd_core.compiler import replay
from autograd_core.compiler.calls import kernel_name, written_by
from autograd_core.compiler.graphs import GraphedRun
from autograd_core.recorder import Call

if TYPE_CHECKING:
    from autograd_core.insight.draw import Drawing

Array = Any

ARGUMENT = "argument"  # Given to each run.
LIVE = "live"  # Was there before: parameters, gradients, optimiser state, buffers, generator state. Read when it runs.
CONSTANT = "constant"  # Was there before and never changes.
MADE = "made"  # A call returns it.
SCRATCH = "scratch"  # Memory of the plan itself, kept between runs: made by a pass, never visible outside.


class Slot:
    """One array of a plan.

    shape, dtype (the backend's own), strides (in bytes): as recorded; a plan runs on exactly these.
    kind: one of the words above. base, offset: the slot whose memory it lies in (itself if it has its own) and where
    its first element lies there, in bytes from that slot's first element.
    origin: what the user calls it ("model.fc1.weight"), or "". array: the array itself, for all but `argument` and
    `made` (for `live` the one of the recording, or bound last: runs read the present one).
    """

    __slots__ = ("address", "array", "base", "dtype", "index", "kind", "offset", "origin", "shape", "strides")

    def __init__(
        self, index: int, kind: str, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...] | None = None,
        base: int | None = None, offset: int = 0, origin: str = "", array: Array = None,
    ) -> None:  # fmt: skip
        self.index, self.kind, self.origin, self.array = index, kind, origin, array
        self.address = 0  # Where it lay when it was recorded, if it is a base.
        self.shape, self.dtype = tuple(shape), dtype
        self.strides = contiguous_strides(self.shape, dtype.itemsize) if strides is None else tuple(strides)
        self.base, self.offset = index if base is None else base, offset

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * int(self.dtype.itemsize)

    @property
    def contiguous(self) -> bool:
        return self.strides == contiguous_strides(self.shape, self.dtype.itemsize) or self.size <= 1

    def __repr__(self) -> str:
        place = "" if self.base == self.index else f" in %{self.base}+{self.offset}"
        name = f" {self.origin}" if self.origin else ""
        return f"%{self.index}: {self.dtype}{list(self.shape)} {self.kind}{place}{name}"


class Plan:
    """See the module. `name`: what was compiled; `live`: the slots of kind `live` in the order that `bind` takes."""

    def __init__(
        self, backend: Any, slots: list[Slot], calls: list[Call], arguments: Sequence[int], outputs: Sequence[int],
        name: str = "step",
    ) -> None:  # fmt: skip
        self.backend, self.slots, self.calls, self.name = backend, slots, calls, name
        self.arguments, self.outputs = list(arguments), list(outputs)
        self.in_graphs = False  # Whether it is to be replayed by CUDA graphs, where the device has them.
        self.graphed: GraphedRun | None = None  # What does so.
        self.captures = 0  # How often its graphs were captured.
        self._factory: Callable[..., Any] | None  # Makes `_run` for the arrays bound.
        self._run: Callable[..., Any] | None
        self.refresh()

    def refresh(self) -> None:
        """Take note of the kinds of the slots, when they have changed."""
        self.report: list[tuple[str, int]] = []  # Pass -> how many calls it left.
        self.spared: dict[int, int] = {}  # id of a generated function -> bytes that are not written thanks to it.
        self.live = [slot.index for slot in self.slots if slot.kind == LIVE]
        self._bound: list[Array] = [self.slots[k].array for k in self.live]
        self._factory = self._run = None

    # -- for passes -------------------------------------------------------------------------------------

    def add_slot(self, kind: str, shape: tuple[int, ...], dtype: Any, **rest: Any) -> Slot:
        """A new slot, for arrays that a pass brings in; arguments as of `Slot`."""
        slot = Slot(len(self.slots), kind, shape, dtype, **rest)
        self.slots.append(slot)
        return slot

    @property
    def visible(self) -> set[int]:
        """The slots that somebody sees after a run: outputs, and all that was there before. A fresh array each time
        (or the caller's): nobody's earlier result may change."""
        return set(self.outputs) | {slot.index for slot in self.slots if slot.kind in (ARGUMENT, LIVE)}

    @property
    def written(self) -> dict[int, str]:
        """The slots not made by a call whose memory is written to (also through a view), and by which kernel."""
        found: dict[int, str] = {}
        for call in self.calls:
            for k in written_by(call):
                base = self.slots[k].base
                if self.slots[base].kind != MADE:
                    found[base] = kernel_name(call)
        return found

    # -- running ----------------------------------------------------------------------------------------

    def bind(self, arrays: Sequence[Array]) -> None:
        """The live arrays from now on, in the order of `live`, of the shapes, dtypes, strides and overlaps recorded."""
        self._bound = list(arrays)
        for k, array in zip(self.live, arrays):
            self.slots[k].array = array  # What was recorded may be gone by now.
        self._run = None

    @property
    def runner(self) -> Callable[..., tuple[Array, ...]]:
        """`runner(*arrays)`: what `run` calls; a new one after `bind`."""
        if self._run is None:
            if self._factory is None:
                self._factory = replay.factory(self)
            arrays = iter(self._bound)
            stay = [slot for slot in self.slots if slot.kind not in (ARGUMENT, MADE)]
            bound = [next(arrays) if slot.kind == LIVE else slot.array for slot in stay]
            self._run = self._factory(*bound)
            if self.in_graphs and self.backend.can_capture:
                self.graphed = GraphedRun(self, self._run, {slot.index: a for slot, a in zip(stay, bound)})
                self._run = self.backend.here(self.graphed)
        return self._run

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """Make the calls on `arrays`, one for each of `arguments`; the arrays of `outputs`."""
        return self.runner(*arrays)

    def source(self) -> str:
        """The Python function that runs the plan."""
        return replay.source(self)

    def explain(self, full: bool = False) -> str:
        """Calls after each pass, the peak of memory, what was fused and spared, which kernels move most memory.

        full: instead of the largest, every loop call by call, and the generated source.
        """
        from autograd_core.compiler.explain import explain

        return explain(self, full)

    def draw(self) -> Drawing:
        """The calls as a graph: `draw().save("plan.svg")`."""
        from autograd_core.compiler.explain import draw

        return draw(self)

    def __repr__(self) -> str:
        return f"<plan of {self.name}: {len(self.calls)} calls, {len(self.arguments)} arguments>"

    def __str__(self) -> str:
        slots = "\n".join(f"  {slot}" for slot in self.slots if slot.kind != MADE)
        calls = "\n".join(f"  {call}" for call in self.calls)
        return f"{self!r}\n{slots}\n{calls}\n  return {', '.join(f'%{k}' for k in self.outputs)}"


def contiguous_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))

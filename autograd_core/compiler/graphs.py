"""Replaying a plan by CUDA graphs: stretches of calls that the driver starts as one.

A launch costs the host some microseconds, a graph of many launches little more. What a graph cannot hold (products,
which are cuBLAS's) is called between the graphs, as in any replay. A graph reads and writes at the addresses of its
capture, so

- arguments are copied to where they lay then, and so are results of calls in between that a graph reads;
- results that the caller gets are copied from where a graph leaves them, so that the next run does not change them;
- a plan whose live arrays have moved is captured again.

The first run makes the calls one by one, by which their kernels are loaded. The second is made stretch by stretch,
each captured, then launched, and finds out what stays outside; the third does so again, knowing that.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autograd_core.compiler.calls import kernel_name, reads, results, written_by
from autograd_core.compiler.replay import VIEWS, Writer, split
from autograd_core.recorder import Call, decode, fill

if TYPE_CHECKING:
    from autograd_core.compiler.plan import Plan

Array = Any

MOST_BYTES = 256 << 20  # Of all arrays of a run: in larger steps the host waits for the device, not it for the host.
_MOST_CAPTURES = 8


class GraphedRun:
    """Runs `plan` as `plain` does, by graphs as soon as it can. staying: the arrays that `plain` is bound to.

    why_not: what speaks against graphs, or "". graphs, calls: how many there are, and how many of the plan's calls they
    hold. outside: the kernels that they cannot hold, with what was said. nbytes: of memory that they keep.
    """

    def __init__(self, plan: Plan, plain: Callable[..., tuple[Array, ...]], staying: dict[int, Array]) -> None:
        self.why_not = objection(plan)
        self.outside: dict[Any, str] = {}
        self.graphs = self.calls = self.nbytes = 0
        self._plan, self._plain, self._staying = weakref.ref(plan), plain, staying  # The plan holds this object.
        self._ran = False
        self._launched: list[Any] = []
        self._replay: Callable[..., tuple[Array, ...]] | None = None

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        if self._replay is not None:
            if self._launched and self._launched[0].is_stale:
                self._replay = None
            elif not self._launched or self._launched[0].fits:
                return self._replay(*arrays)
            else:
                return self._plain(*arrays)
        plan = self._plan()
        if self.why_not or not self._ran or plan is None:
            self._ran = True
            return self._plain(*arrays)
        plan.captures += 1
        if plan.captures > _MOST_CAPTURES:
            self.why_not = "parameters or states lie elsewhere at nearly every call"
            return self._plain(*arrays)
        return self._capture(plan, arrays)

    def _capture(self, plan: Plan, arrays: Sequence[Array]) -> tuple[Array, ...]:
        stretches = _Stretches(plan, self._staying, arrays, self.outside)
        found = stretches.run()
        self._launched = stretches.graphs
        self.graphs, self.calls, self.nbytes = len(stretches.graphs), stretches.held, stretches.nbytes
        is_known = self.outside.keys() == stretches.outside.keys()
        self.outside = stretches.outside
        if stretches.problem:
            self.why_not = stretches.problem
            self._launched.clear()
        elif is_known and len({graph.turn for graph in self._launched}) < 2:
            self._replay = stretches.replay()
        return found  # Else once more: who knows beforehand what stays outside copies less.


def objection(plan: Plan) -> str:
    """Why a plan cannot be replayed by graphs; "" if it can."""
    slots = plan.slots
    given = {slots[k].base for k in plan.arguments}
    if given & plan.written.keys():
        return "it writes to an argument"
    if any(slots[k].base in given and k not in plan.arguments for k in plan.outputs):
        return "it returns a view of an argument"
    made = [slots[k].base for k in plan.outputs if slots[slots[k].base].kind == "made"]
    if len(set(made)) < len(made):
        return "two results share memory"
    changed = {slots[k].base for call in plan.calls for k in written_by(call)}
    for call in plan.calls:
        made = results(call)
        if any(slots[k].base != k and slots[k].base in made and slots[k].base in changed for k in made):
            return f"two results of {kernel_name(call)} share memory that is written to"
    size = sum(slot.nbytes for slot in slots if slot.kind == "made" and slot.base == slot.index)
    if size > MOST_BYTES:
        return f"its arrays take {size >> 20} MiB, and of more than {MOST_BYTES >> 20} launches are a small part"
    return ""


class _Stretches:
    """One run of a plan during which its graphs are captured, and the source of the runs after it.

    `arrays`: slot -> array. All stay where they are, so that graphs may use them, but for those of the slots `passing`:
    results of calls in between that no graph reads, which each run has anew.
    """

    def __init__(self, plan: Plan, staying: dict[int, Array], given: Sequence[Array], outside: dict[Any, str]) -> None:
        self.plan, self.backend = plan, plan.backend
        self.outside = dict(outside)  # What no graph can hold: kernel -> why.
        self.problem = ""
        self.graphs: list[Any] = []
        self.held = self.nbytes = 0
        self.arrays = dict(staying)
        self.passing: set[int] = set()
        self.lines: list[str] = []
        self.writer = Writer(plan.backend)
        self.writer.names.update(copy_=self.backend.copy_, copied=self.backend.copied, __name__=__name__)
        once, self.calls = split(plan)
        for call in once:
            self._make(call, self.arrays)
        self.given = dict(zip(plan.arguments, given, strict=True))
        self.last: dict[int, int] = {}  # Where a slot is used last.
        self.readers: dict[int, list[int]] = {}  # Which calls look at the memory of a slot.
        for i, call in enumerate(self.calls):
            self.last.update(dict.fromkeys((*reads(call), *results(call)), i))
            for k in reads(call):
                self.readers.setdefault(plan.slots[k].base, []).append(i)
        for k, array in self.given.items():
            if self._is_read_by_a_graph(self._base(k), -1):
                self._keep(k, array)
                self.lines.append(f"copy_(v{k}, a{k})")
            else:
                self.arrays[k] = array
                self.passing.add(k)
                self.lines.append(f"v{k} = a{k}")

    def run(self) -> tuple[Array, ...]:
        """Make all calls, in graphs where that can be done; the results."""
        i = 0
        while i < len(self.calls):
            end = i if self.problem or self._is_outside(self.calls[i]) else self._stretch(i)
            if end == i:
                self._call(i)
                end += 1
            i = end
            self._forget(i)
            if self.nbytes > MOST_BYTES:
                self.problem = f"graphs would keep more than {MOST_BYTES >> 20} MiB"
        outputs = [(k, self.given.get(k, self.arrays[k])) for k in self.plan.outputs]
        return tuple([array if self._may_be_given_away(k) else self.backend.copied(array) for k, array in outputs])

    def replay(self) -> Callable[..., tuple[Array, ...]]:
        """What does the same by the graphs."""
        found = [
            f"a{k}" if k in self.plan.arguments else f"v{k}" if self._may_be_given_away(k) else f"copied(v{k})"
            for k in self.plan.outputs
        ]
        lines = [*self.lines, f"return ({''.join(f'{value}, ' for value in found)})"]
        given = ", ".join(f"a{k}" for k in self.plan.arguments)
        source = f"def run({given}):\n" + "".join(f"    {line}\n" for line in lines)
        names = self.writer.names
        names.update({f"v{k}": array for k, array in self.arrays.items() if k not in self.passing})
        exec(compile(source, f"<graphs of {self.plan.name}>", "exec"), names)
        return names.pop("run")

    # -- in graphs --------------------------------------------------------------------------------------

    def _stretch(self, start: int) -> int:
        """Capture and launch as many calls from `start` on as one graph can hold; where they end."""
        stop = len(self.calls)
        while stop > start:
            at, arrays, views, has_begun = start, dict(self.arrays), [], False
            graph = self.backend.capture()
            try:
                with graph:
                    has_begun = True
                    while at < stop:
                        call = self.calls[at]
                        if self._is_view(call) and all(self._base(k) in self.passing for k in results(call)):
                            views.append(call)
                        elif self._is_outside(call):
                            break
                        self._make(call, arrays)
                        at += 1
            except Exception as error:  # The array library's, the driver's, ours: each has classes of its own.
                said = f"{type(error).__name__}: {error}"
                if not has_begun or at == stop or "CaptureInvalidated" in said:  # Who broke it is not known.
                    self.problem = said
                    return start
                self.outside[self.calls[at].kernel] = said
                stop = at
                continue
            self.arrays = arrays
            for call in views:
                self.passing.update(results(call))
                self.lines.append(self.writer.line(call))
            self._launch(graph, [call for call in self.calls[start:at] if not self._is_view(call)])
            return at
        return start

    def _launch(self, graph: Any, calls: list[Call]) -> None:
        if calls:
            graph.launch()
            self.writer.names[f"graph_{len(self.graphs)}"] = graph.launch
            self.lines.append(f"graph_{len(self.graphs)}()  # {', '.join(map(kernel_name, calls))}")
            self.graphs.append(graph)
            self.held += len(calls)
        self.nbytes += graph.nbytes

    # -- in between -------------------------------------------------------------------------------------

    def _call(self, i: int) -> None:
        """Make a call, and note it for the replays; its results stay where they are if a graph will read them."""
        call = self.calls[i]
        self._make(call, self.arrays)
        made = [k for k in dict.fromkeys(results(call)) if k not in reads(call)]
        kept = [self.backend.storage_key(self.arrays[k]) for k in reads(call) if k not in self.passing]
        own = [
            k for k in made
            # A loop may have put its result over an argument: then it stays where that is.
            if self._base(k) in made and not any(self.backend.storage_key(self.arrays[k]) is memory for memory in kept)
        ]  # fmt: skip
        read = [k for k in own if self._is_read_by_a_graph(self._base(k), i)]
        self.lines.append(self.writer.line(call, read))
        for k in read:
            self._keep(k, self.arrays[k])
            self.lines += [f"copy_(v{k}, t{k})", f"del t{k}"]
        self.passing.update(k for k in own if k not in read)
        self.passing.update(k for k in results(call) if self._base(k) in self.passing)

    def _forget(self, i: int) -> None:
        """Let go what passes, and is not used from call `i` on."""
        over = (k for k in self.passing if self.last.get(k, -1) < i and k not in self.plan.outputs)
        gone = sorted(k for k in over if k in self.arrays)
        if gone:
            self.lines.append(f"del {', '.join(f'v{k}' for k in gone)}")
            for k in gone:
                del self.arrays[k]

    # -- what calls are ---------------------------------------------------------------------------------

    def _base(self, k: int) -> int:
        return self.plan.slots[k].base

    def _is_view(self, call: Call) -> bool:
        return call.kernel in VIEWS and all(self._base(k) != k for k in results(call))

    def _is_outside(self, call: Call) -> bool:
        return call.kernel in self.outside

    def _may_be_held(self, call: Call) -> bool:
        return not self._is_outside(call) and not self._is_view(call)

    def _is_read_by_a_graph(self, base: int, i: int) -> bool:
        return any(j > i and self._may_be_held(self.calls[j]) for j in self.readers.get(base, ()))

    def _may_be_given_away(self, k: int) -> bool:
        """Whether output `k` was made anew, or is the user's."""
        return k in self.passing or self.plan.slots[self._base(k)].kind != "made"

    # -- arrays -----------------------------------------------------------------------------------------

    def _keep(self, k: int, array: Array) -> None:
        """Let slot `k` have memory of its own, with the values of `array`."""
        self.arrays[k] = self.backend.copied(array)
        self.nbytes += array.nbytes

    def _make(self, call: Call, arrays: dict[int, Array]) -> None:
        """Make `call` on the arrays, and put its results among them."""
        kernel: Any = call.kernel
        if not callable(kernel):
            kernel = getattr(self.backend, kernel)
        named = {name: decode(value, arrays) for name, value in call.kwargs.items()}
        fill(call.result, kernel(*decode(call.args, arrays), **named), arrays)

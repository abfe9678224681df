"""Running a step once and writing down what it does: kernel calls, and what it changes that is no array.

The step really runs, so its result and its effects are real. A `Tape` keeps no array alive that the step lets go.
"""

from __future__ import annotations

import random
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from autograd_core import devices, dtypes, engine, modes, storage
from autograd_core.compiler.calls import reads, refs, results, written_by
from autograd_core.compiler.plan import ARGUMENT, LIVE, MADE, Plan, Slot
from autograd_core.live import LiveScalar
from autograd_core.recorder import Call, Recorder, Ref
from autograd_core.tensor import Tensor
from autograd_core.userline import user_line

Array = Any

# Kernels whose result has a shape that depends on the values.
_BY_VALUE = {"nonzero", "unique", "bincount"}


class CompileError(RuntimeError):
    """What was to be compiled cannot be replayed; the message names the line and the way out."""


class Tape(Recorder):
    """A recorder that keeps calls and what is known of their arrays, but no array that was made.

    strict: raise at what no replay can follow, such as a value read on the host; else it lands in `problems`.
    """

    def __init__(self, backend: Any, strict: bool) -> None:
        super().__init__(backend, allow_reads=not strict)
        self.slots: list[Slot] = []
        self.problems: list[str] = []
        self.optimizers: list[Any] = []
        self.failed = ""  # The call that raised, if one did: a function that returns all the same has caught it.
        self._strict = strict
        self._watches: list[Any] = []  # Weak references: an id means nothing once its array is gone.
        self._owners: dict[int, int] = {}  # id of the array that owns memory -> the first slot seen in it.

    @property
    def lives(self) -> list[LiveScalar]:
        return list(self._lives)

    @property
    def guards(self) -> list[Callable[[], None]]:
        return list(self._guards)

    def slot_of(self, array: Array) -> int | None:
        """The slot of an array that is alive."""
        return self._slots.get(id(array))

    def use(self, array: Array) -> int:
        """The slot of `array`, as of something that was there before the step if no call has used it."""
        index: int = self._encode(array).index
        return index

    def refuse(self, problem: str) -> None:
        if self._strict:
            raise CompileError(problem)
        self.problems.append(problem)

    def forget_dead_calls(self, outputs: list[int]) -> None:
        """Drop calls whose results nobody reads, such as histories that are made anew and never used."""
        needed = set(outputs)
        kept = []
        for call in reversed(self.calls):
            made = results(call)
            if not made or written_by(call) or not needed.isdisjoint(made):
                kept.append(call)
                needed.update(reads(call))
        self.calls = kept[::-1]
        bases = {slot.base for slot in self.slots if slot.index in needed}
        for slot in self.slots:
            if slot.kind == LIVE and slot.index not in needed and slot.index not in bases:
                slot.kind, slot.array = MADE, None  # Nobody looks at it.

    # -- recording --------------------------------------------------------------------------------------

    def _note_optimizer(self, optimizer: Any) -> None:
        if optimizer not in self.optimizers:
            self.optimizers.append(optimizer)

    def _recorded(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                return kernel(*args, **kwargs)
            except Exception as error:
                if self._is_mine():
                    self.failed = self.failed or f"{name} raises {type(error).__name__}, at {user_line()}"
                raise

        return super()._recorded(name, watched)

    def _refuse_value(self) -> None:
        self.refuse(
            f"a value is read on the host at {user_line()}. A replay cannot follow what Python makes of it: keep it in "
            "a tensor (ag.where instead of if), or read it from what the compiled function returns"
        )

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if any(result is a for a in args) and not name.endswith("_") and not (name == "add" and len(args) == 3):
            return  # What was to be done was done already.
        call = Call(name, self._encode(args), {k: self._encode(v) for k, v in kwargs.items()}, None)
        call.result = self._encode(result, made=True)
        self.calls.append(call)
        if name in _BY_VALUE or (name == "index" and self._has_mask(call)):
            self.refuse(
                f"the shape of a result depends on values, at {user_line()} ({name}): a plan has fixed shapes. Use a "
                "form of fixed shape, such as ag.where(mask, x, 0)"
            )

    def _has_mask(self, call: Call) -> bool:
        return any(self.slots[k].dtype.kind == "b" for k in refs(call.args[1]))

    def _encode(self, value: Any, made: bool = False) -> Any:
        if not (hasattr(value, "dtype") and hasattr(value, "shape")):
            return super()._encode(value, made)
        if isinstance(value, Tensor):  # The end of a slice, which a kernel reads.
            self._refuse_value()
            return None
        index = self._slots.get(id(value))
        if index is None or (made and not isinstance(value, self.backend.array_type)):
            index = self._slots[id(value)] = len(self.slots)
            slot = Slot(index, MADE if made else LIVE, value.shape, value.dtype, value.strides)
            self.slots.append(slot)
            self._place(slot, value)
            if made:
                self._let_go(value, self._slots, index)
            else:
                slot.array = value
        return Ref(index)

    def _place(self, slot: Slot, value: Array) -> None:
        """Find out in whose memory `value` lies."""
        if not isinstance(value, self.backend.array_type):
            return  # A scalar, as some kernels return.
        owner = self.backend.storage_key(value)
        base = self._owners.get(id(owner))
        if base is None:
            self._owners[id(owner)] = slot.index
            self._let_go(owner, self._owners, slot.index)
            slot.address = self.backend.address(value)
        else:
            slot.base = base
            slot.offset = self.backend.address(value) - self.slots[base].address

    def _let_go(self, value: Array, table: dict[int, int], index: int) -> None:
        """Take `value` out of `table` when it dies."""
        key = id(value)

        def gone(_: object) -> None:
            if table.get(key) == index:
                del table[key]

        try:
            self._watches.append(weakref.ref(value, gone))
        except TypeError:
            self._arrays.append(value)  # A scalar of the host: small, so it may stay.


class Recording:
    """What one run of a function did: see `record`."""

    def __init__(self) -> None:
        self.result: Any = None
        self.tapes: list[Tape] = []
        self.problems: list[str] = []
        self.start = 0  # The clock when the step began: older graph nodes are not its own.
        self.grads: dict[Tensor, Tensor | None] = {}  # Leaves whose .grad the step changed -> what it was.
        self.cleared: set[Tensor] = set()  # Of these, the ones whose .grad the step forgot first.
        self.looked_at: dict[Tensor, None] = {}  # Leaves whose .grad it read before it changed it.
        self.made: list[Any] = []  # Optimisers that the step itself made.

    @property
    def tape(self) -> Tape | None:
        """The tape of the one device that the step ran on."""
        busy = [tape for tape in self.tapes if tape.calls]
        return busy[0] if busy else self.tapes[0] if self.tapes else None


def record(function: Callable[[], Any], strict: bool) -> Recording:
    """Run `function()` and write down what it does. `strict`: see `Tape`.

    Raises what the function raises, and `CompileError` where `strict` says so.
    """
    found = Recording()
    found.start = storage.tick()
    dice, modes_before = _dice(), _modes()
    with ExitStack() as stack:
        found.tapes = [stack.enter_context(Tape(backend, strict)) for backend in list(devices._backends.values())]
        stack.enter_context(_noting_gradients(found))
        found.result = function()
        for tape in found.tapes:
            if tape.failed:
                tape.refuse(f"{tape.failed}, which it catches: whether it does depends on values")
    for tape in found.tapes:
        found.problems += tape.problems
    if sum(bool(tape.calls) for tape in found.tapes) > 1:
        names = sorted(str(devices.device_of(tape.backend)) for tape in found.tapes if tape.calls)
        found.problems.append(f"the function computes on several devices ({', '.join(names)}); a plan has one")
    for library, now in _dice().items():
        if dice.get(library, now) != now:
            found.problems.append(
                f"the function draws from {library}, whose numbers a replay would repeat; use ag.rand or ag.randint"
            )
    if _modes() != modes_before:
        found.problems.append(
            "the function leaves gradients, or a default dtype or device, switched; use `with` blocks"
        )
    return found


@contextmanager
def _noting_gradients(found: Recording) -> Iterator[None]:
    """Note whose `.grad` this thread changes: by backward, by assignment, by `zero_grad` of modules and optimisers."""
    accumulate = Tensor._accumulate_grad
    tapes = found.tapes

    def noting(self: Tensor, g: Any, create_graph: bool, steal: bool) -> None:
        if tapes and tapes[0]._is_mine():
            found.grads.setdefault(self, self._grad)
        accumulate(self, g, create_graph, steal)

    def clearing(zero_grad: Callable[..., None], parameters: Callable[[Any], Iterator[Tensor]]) -> Callable[..., None]:
        def cleared(self: Any, set_to_none: bool = True) -> None:
            if tapes and tapes[0]._is_mine():
                for p in parameters(self):
                    if set_to_none and p not in found.grads:
                        found.cleared.add(p)
                    found.grads.setdefault(p, p._grad)
            zero_grad(self, set_to_none)

        return cleared

    grad = Tensor.__dict__["grad"]

    def assigning(self: Tensor, value: Tensor | None) -> None:
        if tapes and tapes[0]._is_mine():
            if value is None and self not in found.grads:
                found.cleared.add(self)
            found.grads.setdefault(self, self._grad)
        grad.fset(self, value)

    walk = engine.run_backward

    def walking(roots: Sequence[Any], *args: Any, wanted: Any = None, **kwargs: Any) -> Any:
        if tapes and tapes[0]._is_mine() and _leads_outside(roots, wanted, found.start):
            found.problems.append(
                f"its backward goes on into a history from outside, at {user_line()}: detach() what it is given, or "
                "call backward() outside"
            )
        return walk(roots, *args, wanted=wanted, **kwargs)

    def reading(self: Tensor) -> Tensor | None:
        if tapes and tapes[0]._is_mine() and self not in found.grads:
            found.looked_at[self] = None
        value: Tensor | None = grad.fget(self)
        return value

    def preparing(prepare: Callable[[Any], None]) -> Callable[[Any], None]:
        def prepared(self: Any) -> None:
            if tapes and tapes[0]._is_mine():
                found.made.append(self)
            prepare(self)

        return prepared

    changed: list[tuple[Any, str, Any]] = []

    def put(owner: Any, name: str, value: Any) -> None:
        changed.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, value)

    put(engine, "run_backward", walking)
    put(Tensor, "grad", property(reading, assigning))
    put(Tensor, "_accumulate_grad", noting)
    for module, name, parameters in (
        (
            "autograd_core.optim.optimizer",
            "Optimizer",
            lambda o: (p for group in o.param_groups for p in group["params"]),
        ),
        ("autograd_core.nn.module", "Module", lambda m: m.parameters()),
    ):
        if module in sys.modules:
            owner = getattr(sys.modules[module], name)
            put(owner, "zero_grad", clearing(owner.zero_grad, parameters))
            if name == "Optimizer":
                put(owner, "_prepare", preparing(owner._prepare))
    try:
        yield
    finally:
        for owner, name, before in changed:
            setattr(owner, name, before)


def _leads_outside(roots: Sequence[Any], wanted: Any, start: int) -> bool:
    """Whether backward from `roots` comes to a node that was made before `start`."""
    needed = None if wanted is None else engine._on_a_path(roots, wanted)
    return any(node.stamp < start and (needed is None or node in needed) for node in engine.nodes_behind(roots))


def plan_of(tape: Tape, arguments: list[Array], outputs: list[int], name: str) -> Plan:
    """The plan of what `tape` recorded, with `arguments` given anew to each run."""
    given = [tape.use(array) for array in arguments]
    for k in given:
        tape.slots[k].kind, tape.slots[k].array = ARGUMENT, None
    return Plan(tape.backend, tape.slots, tape.calls, given, outputs, name)


def _dice() -> dict[str, str]:
    """The states of the random generators of others."""
    found = {"Python's `random`": str(hash(random.getstate()))}
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        state = numpy.get_state(legacy=False)["state"]
        found["NumPy's `random`"] = str((state["pos"], hash(state["key"].tobytes())))
    return found


def _modes() -> tuple[Any, ...]:
    return modes.state.grad, modes.state.inference, dtypes.get_default_dtype(), devices.get_default_device()

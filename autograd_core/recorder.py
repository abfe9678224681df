"""Recording a step at the vocabulary's single door, and replaying it on new data.

Every array computation of forward, backward and optimiser is a call of a backend's kernel by name. A `Recorder` stands
before these kernels and writes down a flat list of calls in which arrays are numbered slots:

    with Recorder(backend) as tape:
        loss = step(x, y)
    for x2, y2 in batches:
        replayed = tape.replay({x: x2, y: y2})
        replayed[loss]

Arrays made by a recorded call are made anew in a replay. Arrays that were there before (parameters, optimiser state,
running statistics, the state of a random generator) are live: a replay reads and changes them where they lie.

While no recorder is active the kernels are untouched, so recording costs nothing when it is off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from autograd_core import storage
from autograd_core.shadows import Shadows, is_array
from autograd_core.tensor import Tensor, wrap
from autograd_core.userline import user_line

if TYPE_CHECKING:
    from autograd_core.live import LiveScalar

Array = Any

# How many recorders are active, in all threads: what hot code looks at.
recording = 0
# How many models are watched (`insight.watch`): what a replay would not show. Compiled functions run as they are.
watches = 0
# The steps that are being measured for them; a `GradScaler` tells each of the gradients that it has unscaled.
measured: WeakSet[Any] = WeakSet()

_active: dict[Any, Recorder] = {}  # backend -> its recorder
_lock = threading.Lock()


class Ref:
    """Stands for an array in a recorded call."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"%{self.index}"


class Call:
    """One recorded call: `kernel`, its arguments and its result, with arrays as slots."""

    __slots__ = ("args", "kernel", "kwargs", "result")

    def __init__(self, kernel: str, args: Any, kwargs: Any, result: Any) -> None:
        self.kernel, self.args, self.kwargs, self.result = kernel, args, kwargs, result

    def __repr__(self) -> str:
        arguments = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items()]
        return f"{self.result!r} = {self.kernel}({', '.join(arguments)})"


class Recorder:
    """Records the kernel calls that the current thread makes on `backend` inside the `with` block; see the module.

    `calls` is the list of them. Reading a value on the host (`item()`, `print`, `if loss > 3`) is a RuntimeError that
    names the line, since a replay could not follow it; `allow_reads=True` lets it pass (the value read stays frozen).
    Raises RuntimeError if the backend is being recorded already.
    """

    def __init__(self, backend: Any, allow_reads: bool = False) -> None:
        self.backend = backend
        self.calls: list[Call] = []
        self._allow_reads = allow_reads
        self._slots: dict[int, int] = {}  # id of an array -> its slot
        self._arrays: list[Array] = []  # The array of each slot: kept alive, since ids are reused.
        self._made: set[int] = set()  # Slots that a recorded call fills.
        self._written: dict[int, str] = {}  # Slots changed in place, and by which kernel.
        self._lives: dict[LiveScalar, None] = {}
        self._guards: list[Callable[[], None]] = []
        self._inside = 0  # Depth of kernel calls, and of `paused`.
        self._thread = 0
        self._shadows = Shadows()

    # -- recording --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        global recording
        with _lock:
            if self.backend in _active:
                raise RuntimeError(f"Recorder: backend {self.backend.name!r} is being recorded already")
            _active[self.backend] = self
            recording += 1
        self._thread = threading.get_ident()
        self._shadows.cast(self.backend, self._shadow)
        return self

    def __exit__(self, *error: object) -> None:
        global recording
        self._shadows.remove()
        with _lock:
            del _active[self.backend]
            recording -= 1

    def _is_mine(self) -> bool:
        return threading.get_ident() == self._thread

    def _shadow(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        return self._refuse_read(kernel) if name == "to_host" else self._recorded(name, kernel)

    def _recorded(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._inside or not self._is_mine():
                return kernel(*args, **kwargs)
            self._inside += 1
            try:
                result = kernel(*args, **kwargs)
            finally:
                self._inside -= 1
            self._note(name, args, kwargs, result)
            return self._as_arrays(result)

        return call

    def _as_arrays(self, result: Any) -> Any:
        """`result` with scalars made arrays: NumPy has one object for all that are true, so a scalar names no slot."""
        if result.__class__ in (tuple, list):
            return result.__class__([self._as_arrays(part) for part in result])
        if not is_array(result) or isinstance(result, self.backend.array_type):
            return result
        self._inside += 1
        array = self.backend.as_array(result)
        self._inside -= 1
        self._note("as_array", (result,), {}, array)
        return array

    def _refuse_read(self, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def to_host(x: Array) -> Any:
            if not self._inside and self._is_mine():
                self._refuse_value()
            return kernel(x)

        return to_host

    def _refuse_value(self) -> None:
        if not self._allow_reads:
            raise RuntimeError(
                f"a value was read on the host while a step was recorded, at {user_line()}. A replay cannot follow "
                "what Python decides from it: keep it in a tensor, or read it after the step"
            )

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if name == "as_array" and result is args[0]:
            return
        recorded = Call(name, self._encode(args), {k: self._encode(v) for k, v in kwargs.items()}, None)
        recorded.result = self._encode(result, made=True)
        self.calls.append(recorded)
        if name.endswith("_"):
            for x in args[0] if args[0].__class__ is tuple else (args[0],):
                if is_array(x):
                    self._written[self._slots[id(x)]] = name
        elif name == "add" and len(args) == 3:  # Into its third argument.
            self._written[self._slots[id(args[2])]] = name

    def _encode(self, value: Any, made: bool = False) -> Any:
        """`value` with its arrays replaced by slots; `made` says that a recorded call returned them."""
        if is_array(value):
            index = self._slots.get(id(value))
            if index is None or (made and not isinstance(value, self.backend.array_type)):
                index = self._slots[id(value)] = len(self._arrays)
                self._arrays.append(value)
                if made:
                    self._made.add(index)
            return Ref(index)
        if value.__class__ in (tuple, list):
            return value.__class__([self._encode(v, made) for v in value])
        if value.__class__ is slice:
            return slice(*(self._encode(v) for v in (value.start, value.stop, value.step)))
        return value

    def _note_optimizer(self, optimizer: Any) -> None:
        self._guards.append(optimizer._guard())

    # -- replaying --------------------------------------------------------------------------------------

    def replay(self, inputs: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> Replay:
        """Make the recorded calls again and return their results, with the tensors that `inputs` maps replaced.

        inputs: tensors (or raw arrays) that the recorded step used -> new ones of the same shape and dtype, as a dict
        or as pairs. Raises ValueError for one that the step did not use, or of another shape, dtype or device, and
        RuntimeError if an option that the recording depends on has changed since.
        """
        if self._shadows:
            raise RuntimeError("Recorder.replay: the recording is not finished; replay after its `with` block")
        pairs = [
            (self._input_slot(old), self._checked(old, new))
            for old, new in (inputs.items() if isinstance(inputs, Mapping) else inputs)
        ]
        for guard in self._guards:
            guard()
        for live in self._lives:
            live.refresh()
        values = [None if index in self._made else array for index, array in enumerate(self._arrays)]
        for index, new in pairs:
            values[index] = new
        backend = self.backend
        for call in self.calls:
            kwargs = {k: decode(v, values) for k, v in call.kwargs.items()}
            fill(call.result, getattr(backend, call.kernel)(*decode(call.args, values), **kwargs), values)
        for index, name in self._written.items():
            storage.mark_mutated(backend, values[index], name)
        return Replay(self, values)

    def _input_slot(self, old: Any) -> int:
        index = self._slots.get(id(_array_of(old)))
        if index is None or index in self._made:
            raise ValueError(
                f"Recorder.replay: the recorded step did not use {_describe(old)} as an input; "
                "inputs must exist before the recording and be the same objects"
            )
        return index

    def _checked(self, old: Any, new: Any) -> Array:
        if isinstance(new, Tensor) and new._backend is not self.backend:
            raise ValueError(f"Recorder.replay: {_describe(new)} lies on {new.device}, the recording on another device")
        was, array = _array_of(old), _array_of(new)
        if tuple(array.shape) != tuple(was.shape) or array.dtype != was.dtype:
            raise ValueError(f"Recorder.replay: got {_describe(new)} in place of {_describe(old)}")
        return array


class Replay:
    """The results of one replay: `replayed[t]` is the new value of the recorded tensor (or raw array) `t`."""

    def __init__(self, tape: Recorder, values: list[Array]) -> None:
        self._tape, self._values = tape, values

    def __getitem__(self, recorded: Any) -> Any:
        index = self._tape._slots.get(id(_array_of(recorded)))
        if index is None:
            raise KeyError(f"{_describe(recorded)} is no part of the recording")
        value = self._values[index]
        return wrap(value, self._tape.backend) if isinstance(recorded, Tensor) else value


# -- what others tell an active recorder ------------------------------------------------------------------


def note_live(live: LiveScalar, backend: Any) -> None:
    """Have `live` refreshed before each replay of the recording that this thread is making on `backend`."""
    tape = _active.get(backend)
    if tape is not None and tape._thread == threading.get_ident():
        tape._lives[live] = None


def note_optimizer(optimizer: Any) -> None:
    """Say that `optimizer` makes a step in the recordings of this thread, which depend on its options."""
    for tape in _mine():
        tape._note_optimizer(optimizer)


def note_value_read() -> None:
    """Say that what this thread does next depends on values, as a read on the host would."""
    for tape in _mine():
        tape._refuse_value()


def add_guard(guard: Callable[[], None]) -> None:
    """Call `guard` before each replay of the recordings that this thread is making; it raises where they are stale."""
    for tape in _mine():
        tape._guards.append(guard)


@contextmanager
def paused() -> Iterator[None]:
    """Calls inside are not recorded: arrays that they make count as having been there before, and are live."""
    tapes = _mine() if recording else []
    for tape in tapes:
        tape._inside += 1
    try:
        yield
    finally:
        for tape in tapes:
            tape._inside -= 1


def _mine() -> list[Recorder]:
    thread = threading.get_ident()
    return [tape for tape in list(_active.values()) if tape._thread == thread]


# -- helpers ----------------------------------------------------------------------------------------------


def _array_of(value: Any) -> Array:
    return value._data if isinstance(value, Tensor) else value


def _describe(value: Any) -> str:
    array = _array_of(value)
    kind = "tensor" if isinstance(value, Tensor) else type(value).__name__
    return f"a {kind} of shape {tuple(getattr(array, 'shape', ()))} and {getattr(array, 'dtype', 'no dtype')}"


def decode(value: Any, values: Any) -> Any:
    """`value` with `values[k]` in place of `Ref(k)`."""
    if value.__class__ is Ref:
        return values[value.index]
    if value.__class__ in (tuple, list):
        return value.__class__([decode(v, values) for v in value])
    if value.__class__ is slice:
        return slice(*(decode(v, values) for v in (value.start, value.stop, value.step)))
    return value


def fill(result: Any, value: Any, values: Any) -> None:
    """`values[k]` becomes what stands in `value` where `result` has `Ref(k)`."""
    if result.__class__ is Ref:
        values[result.index] = value
    elif result.__class__ in (tuple, list):
        for part, part_value in zip(result, value, strict=True):
            fill(part, part_value, values)

"""Who holds a device's memory, and what was running: for `memory_summary` and for the error that memory is out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import Any

from autograd_core import devices
from autograd_core.backends import Backend
from autograd_core.backends.cuda import memory
from autograd_core.engine import Node
from autograd_core.tensor import Tensor
from autograd_core.userline import _OURS, line_of

_MOST = 8  # lines in a table


def install() -> None:
    """Let `OutOfMemoryError` say what is known here."""
    memory.explain = explain


def explain(ordinal: int, size: int) -> str:
    """The operation that asked for memory, the user's line, and the largest arrays on that device."""
    backends = [b for (_, index), b in devices._backends.items() if index == ordinal and hasattr(b, "memory_peak")]
    operation, frame = _operation()
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    line = "" if frame is None else f", at {line_of(frame)}"
    return f"\nIn {operation}{line}\n" + "\n".join(table(b) for b in backends)


def _operation() -> tuple[str, Any]:
    """The kernel, or the primitive, that the innermost frames belong to, with the arrays it was given; and its frame,
    since below it there may be those of the array library."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        values = frame.f_locals
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        if isinstance(values.get("self"), Backend) and frame.f_code.co_name != "_message":
            return _call(frame.f_code.co_name, [values.get(name) for name in names[1:]]), frame
        if frame.f_code.co_filename.endswith("primitive.py") and ("p" in values or "name" in values):
            tensors = values.get("tensors") or [values.get(name) for name in names]
            return _call(values["p"].name if "p" in values else values["name"], tensors), frame
        if "node" in values and isinstance(values["node"], Node):
            return f"the backward of {values['node'].primitive.name}", frame
        frame = frame.f_back
    return "an unknown operation", None


def _call(name: str, values: Any) -> str:
    shown = []
    for value in values:
        array = value._data if isinstance(value, Tensor) else value
        if hasattr(array, "dtype") and hasattr(array, "shape"):
            shown.append(f"{tuple(array.shape)} {array.dtype}")
    return f"{name}({', '.join(shown)})"


def table(backend: Any) -> str:
    """The largest arrays of `backend` that tensors and graphs hold, the largest first."""
    found: dict[int, tuple[int, str, Any]] = {}
    for array, what in _arrays(backend):
        owner = backend.storage_key(array)
        size = int(getattr(owner, "nbytes", 0))
        if id(owner) not in found or found[id(owner)][1].startswith("a tensor"):
            found[id(owner)] = (size, f"{what} of shape {tuple(array.shape)}, {array.dtype}", owner)
    rows = sorted(found.values(), key=lambda row: -row[0])
    total = sum(size for size, _, _ in rows)
    lines = [f"The largest of {len(rows)} arrays held by tensors and graphs, {memory.readable(total)} in all:"]
    lines += [f"  {memory.readable(size):>12}  {what}" for size, what, _ in rows[:_MOST]]
    return "\n".join(lines)


def _arrays(backend: Any) -> Iterator[tuple[Any, str]]:
    """Every array that a tensor or a graph keeps on `backend`, and what it is to the program."""
    module = sys.modules.get("autograd_core.nn.module")
    optimizer = sys.modules.get("autograd_core.optim.optimizer")
    names: dict[int, str] = {}
    tensors: list[Tensor] = []
    for thing in gc.get_objects():  # By type: `isinstance` would ask each for its `__class__`, also a proxy of none.
        if issubclass(type(thing), Tensor):
            tensors.append(thing)
        elif type(thing) is Node:
            if thing.backend is backend:
                for array in thing.saved or ():
                    if isinstance(array, backend.array_type):
                        yield array, f"saved by {thing.primitive.name} for backward,"
        elif module is not None and issubclass(type(thing), module.Module):
            for name, p in (*thing._parameters.items(), *thing._buffers.items()):
                names[id(p)] = f"{type(thing).__name__}.{name}"
        elif optimizer is not None and issubclass(type(thing), optimizer.Optimizer):
            for state in thing.state.values():
                names.update({id(v): f"{key} of {type(thing).__name__}" for key, v in state.items()})
    for t in tensors:
        data, grad = getattr(t, "_data", None), getattr(t, "_grad", None)
        if data is None or t._backend is not backend:
            continue
        if grad is not None and grad._backend is backend:
            names.setdefault(id(grad), f"the gradient of {names.get(id(t), 'a tensor')}")
    for t in tensors:
        if getattr(t, "_data", None) is not None and t._backend is backend:
            yield t._data, names.get(id(t), "a tensor")

"""From what a walk has found: the conditions of a replay, and what the step itself changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from autograd_core import devices, dtypes, modes
from autograd_core.compiler.guards import Walk
from autograd_core.compiler.places import Names, Place, by_identity
from autograd_core.compiler.signature import history_conditions, is_plain, same
from autograd_core.tensor import Tensor


def conditions(walk: Walk, changing: dict[str, Any], used: set[int], names: Names) -> Iterator[tuple[str, str]]:
    """The conditions of a replay as source, each with the name of what it looks at.

    changing: expressions of places to which the step itself assigns, and what was there. used: ids of the
    arrays that the step uses.
    """
    for expr, place in walk.places.items():
        value = place.value
        if expr.startswith("live "):
            continue
        if isinstance(value, Tensor):
            yield from _tensor_conditions(expr, place, changing, used, names)
        elif expr in changing:
            continue
        elif value is None or value is True or value is False:
            yield f"{expr} is {value}", place.name
        elif value.__class__ is int and expr.startswith("len("):  # Of one container or of several.
            yield f"{expr} == {value}", place.name
        elif expr.startswith("[*"):
            yield f"{expr} == {list(value)!r}", place.name
        elif is_plain(value) and not isinstance(value, type):
            known = names.add(value, "c")
            yield f"({expr} is {known} or {names.add(same, 'same')}({expr}, {known}))", place.name
        elif value.__class__ in (list, tuple, dict):
            yield f"{expr}.__class__ is {names.add(value.__class__, 'class_')}", place.name
        else:
            yield f"{expr} is {names.add(value, 'o')}", place.name
    yield from walk.layers()
    yield from walk.absences()


def _tensor_conditions(
    expr: str, place: Place, changing: dict[str, Any], used: set[int], names: Names
) -> Iterator[tuple[str, str]]:
    t, name = place.value, place.name
    kind = names.add(t.__class__, "class_")
    if expr in changing:
        yield f"{expr}.__class__ is {kind}", name
        if isinstance(changing[expr], Tensor):
            yield from ((text, f"the history of {name}") for text in history_conditions(expr, changing[expr]))
        return
    if by_identity(t):
        known = names.add(t, "t")
        yield f"{expr} is {known}", name
        yield f"{known}._requires_grad is {t._requires_grad}", f"{name}.requires_grad"
        if id(t._data) not in used:
            yield from _kind(known, t, names, name)
        return
    yield f"{expr}.__class__ is {kind}", name
    try:
        array = t._data
    except ValueError:
        return
    if t._node is not None:
        yield f"{expr} is {names.add(t, 't')} and {expr}._node is {names.add(t._node, 'n')}", name
    else:
        yield f"{expr}._node is None and {expr}._requires_grad is False", f"{name}.requires_grad"
    if id(array) not in used:
        yield from _kind(expr, t, names, name)


def _kind(expr: str, t: Tensor, names: Names, name: str) -> Iterator[tuple[str, str]]:
    """The conditions on a tensor that no call uses: code may still ask for its shape, dtype, layout or device."""
    array = t._data
    dtype = names.add(array.dtype, "dtype")
    layout = f"{tuple(array.shape)!r}, {tuple(array.strides)!r}"
    text = f"({expr}._data.shape, {expr}._data.strides, {expr}._data.dtype) == ({layout}, {dtype})"
    yield text, f"the shape or dtype of {name}"
    yield f"{expr}._backend is {names.add(t._backend, 'backend')}", f"the device of {name}"


def changes(before: Walk, after: Walk) -> Iterator[tuple[Place, Any]]:
    """The places that the step changed, as they are now, with their old values."""
    for expr, place in after.places.items():
        old = before.places.get(expr)
        if old is None:
            continue
        was, now = old.value, place.value
        if was is now or (is_plain(now) and same(was, now)):
            continue
        yield place, was


def modes_conditions(names: Names) -> list[tuple[str, str]]:
    """Conditions on what is set for the thread or the process."""
    add = names.add
    state, counter = add(modes.state, "state"), add(modes, "modes")
    now = modes.state.grad, modes.state.inference, False
    text = f"({state}.grad, {state}.inference, {state}.anomaly) == {now}"
    if now == (True, False, False):  # As when nothing deviates from the default.
        text = f"(not {counter}.overrides or {text})"
    current, chosen = devices._default.current, add(devices._default, "chosen")
    device = f"{chosen}.current == {add(current, 'device')}"
    if current is None:
        process = f"{add(devices, 'devices')}._process_default"
        device = f"{process} is {add(devices._process_default, 'device')} and {chosen}.current is None"
    return [
        (text, "no_grad or inference_mode"),
        (f"{add(dtypes, 'dtypes')}._default is {add(dtypes._default, 'dtype')}", "the default dtype"),
        (device, "the default device"),
        (f"{add(autocast, 'autocast')}() == {autocast()!r}", "autocast"),
        (f"not {add(profiling, 'profiling')}()", "a profile"),
    ]


def autocast() -> tuple[tuple[str, str], ...]:
    """The kinds of device that autocast is on for in this thread, with its dtypes."""
    state = sys.modules.get("autograd_core.amp.state")
    if state is None or not state.state.active:
        return ()
    return tuple((kind, str(dtype)) for kind, dtype in state.state.active.items())


def profiling() -> bool:
    """Whether a profile is being made, which is to see the calls one by one."""
    profiler = sys.modules.get("autograd_core.profiler")
    return profiler is not None and profiler._active is not None

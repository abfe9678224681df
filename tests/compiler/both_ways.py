"""What the programs of `test_both_ways*.py` are made of: each calls one compiled function, and says what it saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd_core as ag

# A program is given what wraps its function, and returns what it saw.
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
Program = Callable[[Wrap], Any]


class Box:
    """An object of the user's, with whatever attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def of(*values: float) -> ag.Tensor:
    return ag.tensor([float(v) for v in values])


def seen(value: Any) -> Any:
    """`value` as something that can be compared."""
    if isinstance(value, ag.Tensor):
        return value.dtype, value.tolist()
    if isinstance(value, list | tuple):
        return [seen(v) for v in value]
    if isinstance(value, dict):
        return {str(k): seen(v) for k, v in value.items()}
    return value


def changed_by(wrap: Wrap, function: Callable[..., Any], *changes: Callable[[], Any]) -> Any:
    """What three calls give before and after each of `changes`."""
    f = wrap(function)
    found = [seen(f(of(1))) for _ in range(3)]
    for change in changes:
        change()
        found += [seen(f(of(1))) for _ in range(3)]
    return found


def hold(program: Program, replayed: bool) -> None:
    """Check that `program` sees the same compiled as uncompiled, and that its function is `replayed`, or never is."""
    made = []

    def wrap(function: Callable[..., Any]) -> Any:
        made.append(ag.compile(function))
        return made[-1]

    assert program(wrap) == program(lambda function: function)
    for f in made:
        assert bool(getattr(f, "_compiled", f).entries) == replayed

"""Autocast stands before an operation only while it is on somewhere in the process.

Every module has its own references to the operations (`from ... import linear`), so exchanging names could not reach
them all, and a test inside each operation would cost all programs something. So the functions stay, and their code is
exchanged: while autocast is on, the code of a listed function passes its arguments to `dispatch.call`, together with a
copy of the function as it was. When autocast is off everywhere the functions are as if this package did not exist.
"""

from __future__ import annotations

import threading
import types
from functools import cache
from typing import Any

_lock = threading.Lock()
_count = 0  # How many kinds of device autocast is on for, in all threads together.
_codes: list[tuple[types.FunctionType, types.CodeType, types.CodeType]] = []  # function, its code, what stands before


def switch(change: int) -> None:
    """Count one more (or less) use of autocast; the first one and the last one exchange the code."""
    global _count
    with _lock:
        if not _codes:
            _prepare()
        before, _count = _count, _count + change
        if (before == 0) != (_count == 0):
            for function, own, standing in _codes:
                function.__code__ = own if _count == 0 else standing


def _prepare() -> None:
    from autograd_core.amp import dispatch, rules

    for function, rule in rules.functions().items():
        own = function.__code__
        name, defaults, closure = function.__name__, function.__defaults__, function.__closure__
        copy = types.FunctionType(own, function.__globals__, name, defaults, closure)
        copy.__kwdefaults__ = function.__kwdefaults__
        put: dict[Any, Any] = {"CALL": dispatch.call, "RULE": rule, "COPY": copy}
        standing = _standing_before(len(own.co_freevars))
        standing = standing.replace(
            co_consts=tuple(put.get(c, c) for c in standing.co_consts), co_name=own.co_name, co_qualname=own.co_qualname
        )
        _codes.append((function, own, standing))


@cache
def _standing_before(free: int) -> types.CodeType:
    """The code that stands before a function. It must have as many free variables as the function's own: they are
    named behind its end, and not used."""
    names = ", ".join(f"free{i}" for i in range(free))
    made: dict[str, Any] = {}
    exec(compile(_SOURCE.format(names=names), __file__, "exec"), made)
    code: types.CodeType = made["around"](*range(free)).__code__
    return code


# The three strings are constants that `_prepare` replaces.
_SOURCE = """
def around({names}):
    def before(*args, **kwargs):
        call = "CALL"
        rule = "RULE"
        copy = "COPY"
        return call(rule, copy, args, kwargs)
        ({names})
    return before
"""

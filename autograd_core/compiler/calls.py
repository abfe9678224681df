"""Reading recorded calls: which arrays one takes, returns and writes to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from autograd_core.recorder import Call, Ref

# The positions of the arguments that a kernel writes to. Any other kernel whose name ends in an underscore writes to
# its first; one that draws random numbers advances the generator's state, its first; no other writes at all.
_WRITES: dict[str, tuple[int, ...]] = {
    "sgd_": (0, 2),
    "adam_": (0, 2, 3, 4, 5),
    "sgd_all_": (0, 2),
    "adam_all_": (0, 2, 3, 4, 5),
    "nadam_": (0, 2, 3, 4, 5),
    "rmsprop_": (0, 2, 3, 4, 5),
    "adagrad_": (0, 2, 3),
    "radam_": (0, 2, 3, 4),
    "adadelta_": (0, 2, 3, 4),
    "adamax_": (0, 2, 3, 4),
    "asgd_": (0, 2, 3, 4, 5),
    "rprop_": (0, 2, 3, 4),
    "unscale_": (0, 1),
    "update_scale_": (0, 1),
    "add": (2,),  # With a third argument, `out`.
    "add_at": (0,),
    "recurrent_backward_": (12,),
}


def refs(value: Any) -> Iterator[int]:
    """The slots in an argument or a result, in order."""
    if value.__class__ is Ref:
        yield value.index
    elif value.__class__ in (tuple, list):
        for part in value:
            yield from refs(part)
    elif value.__class__ is slice:
        yield from refs((value.start, value.stop, value.step))


def reads(call: Call) -> list[int]:
    """The slots among the arguments of `call`."""
    return [*refs(call.args), *(k for value in call.kwargs.values() for k in refs(value))]


def results(call: Call) -> list[int]:
    """The slots that `call` returns. A kernel that returns its own argument has it here, too."""
    return list(refs(call.result))


def written_by(call: Call) -> list[int]:
    """The slots among the arguments of `call` that it writes to.

    A generated function (`kernel` is callable) says so itself: `function.writes` is a tuple of positions.
    """
    kernel = call.kernel
    if callable(kernel):
        positions: tuple[int, ...] = getattr(kernel, "writes", ())
    elif kernel.startswith("random_"):
        positions = (0,)
    else:
        positions = _WRITES.get(kernel, (0,) if kernel.endswith("_") else ())
    return [k for i in positions if i < len(call.args) for k in refs(call.args[i])]


def is_literal(value: Any) -> bool:
    """Whether `repr` gives source that gives `value` back."""
    cls = value.__class__
    if cls is tuple:
        return all(is_literal(part) for part in value)
    if cls is float:
        return math.isfinite(value)
    return value is Ellipsis or value is None or cls in (bool, str, bytes, int)


def kernel_name(call: Call) -> str:
    return str(getattr(call.kernel, "__name__", "kernel") if callable(call.kernel) else call.kernel)


def renumbered(value: Any, new: dict[int, int]) -> Any:
    """`value` (arguments or a result) with the slots that `new` has replaced by others."""
    if value.__class__ is Ref:
        return Ref(new.get(value.index, value.index))
    if value.__class__ in (tuple, list):
        return value.__class__([renumbered(part, new) for part in value])
    if value.__class__ is slice:
        return slice(*(renumbered(part, new) for part in (value.start, value.stop, value.step)))
    return value

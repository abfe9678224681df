"""Running a plan: one Python function per plan, its calls written out as straight-line source.

Slots are local variables, kernels and odd parameters globals of the function, and an array is let go after its last
use, as in eager mode. Views of arrays that stay are taken when those are bound, not at every run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from autograd_core.compiler.calls import is_literal, reads, refs, results
from autograd_core.recorder import Call, Ref

if TYPE_CHECKING:
    from autograd_core.compiler.plan import Plan

# Kernels that only look at memory: of an array that stays, their result stays.
VIEWS = {"reshape", "permute", "expand", "slice", "diagonal", "as_strided", "unfold"}
_ANEW = ("argument", "made")  # Kinds of slots that each run has of its own.


def factory(plan: Plan) -> Callable[..., Callable[..., tuple[Any, ...]]]:
    """A function from the arrays that stay (in the order of their slots) to the function that runs `plan` on them."""
    text, names = _written(plan)
    names["__name__"] = __name__  # NumPy's warnings are filtered for modules of ours.
    exec(compile(text, f"<plan of {plan.name}>", "exec"), names)
    return names["bind"]


def source(plan: Plan) -> str:
    """The source of `factory(plan)`."""
    return _written(plan)[0]


def _written(plan: Plan) -> tuple[str, dict[str, Any]]:
    """The source, and the objects that it names."""
    writer = Writer(plan.backend)
    once, each_run = split(plan)
    staying = [slot.index for slot in plan.slots if slot.kind not in _ANEW]

    last: dict[int, int] = {}
    for i, call in enumerate(each_run):
        for k in (*reads(call), *results(call)):
            last[k] = i
    kept = {*staying, *plan.outputs, *plan.arguments, *(k for call in once for k in results(call))}
    body = []
    for i, call in enumerate(each_run):
        body.append(writer.line(call))
        gone = sorted({k for k in (*reads(call), *results(call)) if last[k] == i and k not in kept})
        if gone:
            body.append(f"del {', '.join(f'v{k}' for k in gone)}")
    body.append(f"return ({''.join(f'v{k}, ' for k in plan.outputs)})")

    lines = [f"def bind({', '.join(f'v{k}' for k in staying)}):"]
    lines += [f"    {writer.line(call)}" for call in once]
    lines.append(f"    def run({', '.join(f'v{k}' for k in plan.arguments)}):")
    lines += [f"        {line}" for line in body]
    lines.append("    return run")
    return "\n".join(lines) + "\n", writer.names


def split(plan: Plan) -> tuple[list[Call], list[Call]]:
    """The calls to make once, when arrays are bound, and those of every run."""
    stays = {slot.index for slot in plan.slots if slot.kind not in _ANEW}
    once, each_run = [], []
    for call in plan.calls:
        made = results(call)
        looks = call.kernel in VIEWS and all(k in stays for k in reads(call))
        if looks and all(plan.slots[k].base != k and plan.slots[k].base in stays for k in made):
            stays.update(made)
            once.append(call)
        else:
            each_run.append(call)
    return once, each_run


class Writer:
    """Writes calls as Python, and keeps what they name in `names`."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.names: dict[str, Any] = {}
        self._known: dict[int, str] = {}

    def line(self, call: Call, apart: Collection[int] = ()) -> str:
        """The call as an assignment to `v5`, where slot 5 is its result; to `t5` if that is one of `apart`."""
        arguments = [self._value(a) for a in call.args] + [f"{k}={self._value(v)}" for k, v in call.kwargs.items()]
        text = f"{self._kernel(call.kernel)}({', '.join(arguments)})"
        given = reads(call)
        made = [k for k in results(call) if k not in given]  # A kernel that writes returns its argument.
        return f"{self._target(call.result, made, apart)} = {text}" if made else text

    def _name(self, value: Any, prefix: str) -> str:
        name = self._known.get(id(value))
        if name is None:
            name = self._known[id(value)] = f"{prefix}{len(self._known)}"
            self.names[name] = value  # Alive from now on, so its id stays its own.
        return name

    def _kernel(self, kernel: Any) -> str:
        if callable(kernel):
            name = getattr(kernel, "__name__", "")
            return self._name(kernel, f"{name if name.isidentifier() else 'kernel'}_")
        self.names.setdefault(f"k_{kernel}", getattr(self.backend, kernel))
        return f"k_{kernel}"

    def _value(self, value: Any) -> str:
        cls = value.__class__
        if cls is Ref:
            return f"v{value.index}"
        if cls in (tuple, list) and value and (is_literal(value) or any(True for _ in refs(value))):
            parts = ", ".join(self._value(part) for part in value)
            return f"[{parts}]" if cls is list else f"({parts},)" if len(value) == 1 else f"({parts})"
        if cls is slice and any(True for _ in refs(value)):
            return f"slice({', '.join(self._value(part) for part in (value.start, value.stop, value.step))})"
        return repr(value) if is_literal(value) else self._name(value, "c")

    def _target(self, result: Any, made: list[int], apart: Collection[int]) -> str:
        if result.__class__ is Ref:
            k = result.index
            return (f"t{k}" if k in apart else f"v{k}") if k in made else "_"
        if result.__class__ in (tuple, list) and result:
            return f"({''.join(self._target(part, made, apart) + ', ' for part in result)})"
        return "_"

"""One recorded call made repeatable: its guards, its plan and its effects on Python's objects, as one function.

`Entry.attempt(args, kwargs)` checks every condition, reads the live arrays, runs the plan, assigns the new gradients and
returns the result; or it returns `MISS`, having done nothing, where the recording does not fit the call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import devices, dtypes, modes, primitive, random, storage
from autograd_core.compiler import signature
from autograd_core.compiler.backward import Backward, NoGraph, Template, dead_node, engine_edge, is_spent
from autograd_core.compiler.calls import reads, results
from autograd_core.compiler.capture import Recording, Tape, plan_of
from autograd_core.compiler.guards import Names, Walk, by_identity, changes, conditions
from autograd_core.compiler.plan import ARGUMENT, CONSTANT, LIVE, MADE, Plan
from autograd_core.compiler.signature import Argument, is_plain
from autograd_core.primitive import edge_of, make_node, pick_node
from autograd_core.tensor import Tensor, wrap

MISS = object()

Optimise = Callable[[Plan], Plan]


class Problem(Exception):
    """Why a recording cannot be replayed."""


class Entry:
    """See the module. `described`: the arguments of the recorded call, by name; `plan`: what a replay runs."""

    def __init__(self, name: str, described: dict[str, tuple[Any, ...]], plan: Plan, backward: Backward | None) -> None:
        self.name, self.described, self.plan, self.backward = name, described, plan, backward
        self.conditions: list[tuple[str, str]] = []
        self.names: dict[str, Any] = {}
        self.source = ""
        self.attempt: Callable[[tuple[Any, ...], dict[str, Any]], Any] = lambda args, kwargs: MISS
        self.bound: list[Any] = []  # [the function that runs the plan, the live arrays it runs on]
        self.marks: list[Any] = []  # What storage notes of the memory that a replay changes.
        self.written: set[int] = set()  # Ids of the arrays that own it.
        # For `checking`: the local variables that stand for arguments, the arrays that a replay writes to, and what it
        # assigns to: (name, source that reads it, source that assigns `value` to it).
        self.locals: dict[str, str] = {}
        self.changed: list[tuple[str, str]] = []
        self.assigned: list[tuple[str, str, str]] = []

    def first_failing(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """What a call differs in from the recorded one."""
        scope = dict(self.names, args=args, kwargs=kwargs)
        for condition, name in self.conditions:
            try:
                holds = eval(condition, scope)
            except Exception:
                holds = False
            if not holds:
                return name
        return ""


class Builder:
    """Makes an `Entry` of a recording. Raises `Problem`."""

    def __init__(
        self, name: str, arguments: list[Argument], shape: list[str], names: Names, before: Walk, after: Walk,
        recording: Recording, optimise: Optimise,
    ) -> None:  # fmt: skip
        assert recording.tape is not None
        self.name, self.arguments, self.shape, self.names = name, arguments, shape, names
        self.before, self.after, self.recording, self.optimise = before, after, recording, optimise
        self.tape: Tape = recording.tape
        self.backend = self.tape.backend
        self.tensors = [a for a in arguments if isinstance(a.value, Tensor)]
        self.local = {id(a.value): f"x{i}" for i, a in reversed(list(enumerate(self.tensors)))}
        self.outputs: list[int] = []  # Slots that the plan returns.
        self.effects: list[str] = []
        self.shared: dict[int, str] = {}  # Tensors made for the result and for effects, by id: one each.
        self.changing: set[str] = set()
        self.assigned: list[tuple[str, str, str]] = []
        self.guards: list[tuple[str, str]] = []
        self.histories: list[Tensor] = []  # Results whose gradient may still be asked for.

    # -- the whole --------------------------------------------------------------------------------------

    def build(self, described: dict[str, tuple[Any, ...]]) -> Entry:
        for argument in self.tensors:
            if argument.value._backend is not self.backend:
                raise Problem(f"the argument {argument.name} lies on {argument.value.device}, the computation does not")
            known = self.before.arrays.get(id(argument.value._data)) or self.after.arrays.get(id(argument.value._data))
            if known is not None and self.tape.slot_of(argument.value._data) is not None:
                raise Problem(
                    f"its argument {argument.name} is also {known[1]}, which it reaches by itself; clone() it"
                )
            if argument.describe() != described[argument.name]:
                raise Problem(f"it changes the history or the memory of its argument {argument.name}; change a clone()")
        for t, array, name in self.before.trained.values():
            if t._data is not array:
                raise Problem(f"it replaces the memory of {name}; write into it: {name}.copy_(value) under no_grad()")
        stores = self._stores()
        grads = self._gradients()
        returned = self._expression(self.recording.result)
        template = self._template()
        kept = [] if template is None else [self._output(slot) for slot in template.keep]
        arrays = [a.value._data for a in self.tensors]
        self.tape.forget_dead_calls(self.outputs)
        plan = plan_of(self.tape, list({id(x): x for x in arrays}.values()), self.outputs, self.name)
        live = self._live(plan)
        self._check_writes(plan)
        plan.refresh()
        plan = self.optimise(plan)
        backward = None if template is None else Backward(template, self.backend, self.name, self.optimise)
        entry = Entry(self.name, described, plan, backward)
        self._write(entry, live, [*stores, *grads], returned, kept, template)
        return entry

    def _output(self, slot: int) -> str:
        """The local variable of generated source that holds what the plan returns of `slot`."""
        if slot not in self.outputs:
            self.outputs.append(slot)
        return f"r{self.outputs.index(slot)}"

    def _made(self, t: Any) -> int | None:
        """The slot of a tensor that the step has made."""
        slot = self.tape.slot_of(t._data) if isinstance(t, Tensor) else None
        return slot if slot is not None and self.tape.slots[slot].kind == MADE else None

    # -- effects ----------------------------------------------------------------------------------------

    def _stores(self) -> list[str]:
        """What the step assigned: attributes, variables, entries of lists and dicts."""
        lines = []
        for place, was in changes(self.before, self.after):
            value = place.value
            if not isinstance(value, Tensor) or place.store is None or self._made(value) is None:
                what = "" if isinstance(was, Tensor) else f" (from {was!r:.60} to {value!r:.60})"
                raise Problem(
                    f"it changes {place.name}{what}, which a replay would not do: change it outside, or return the value"
                )
            self.changing.add(place.expr)
            lines.append(place.store.format(self._tensor(value)))
            self.assigned.append((place.name, place.expr, place.store.format("value")))
        return lines

    def _gradients(self) -> list[str]:
        """What the step made of the `.grad` of leaves."""
        lines = []
        found = self.recording
        for leaf, was in found.grads.items():
            known = self.local.get(id(leaf))
            if known is None:
                if id(leaf) not in self.before._seen and id(leaf) not in self.after._seen:
                    continue  # Made by the step itself.
                known = self.names.add(leaf, "t")
            name = f"the gradient of {self._name_of(leaf)}"
            now = leaf._grad
            if leaf not in found.cleared:
                self.guards.append((f"{known}._grad is {'None' if was is None else 'not None'}", name))
            if now is was:
                continue
            self.assigned.append((name, f"{known}._grad", f"{known}._grad = value"))
            if now is None:
                lines.append(f"{known}._grad = None")
            elif now._node is not None or self._made(now) is None:
                raise Problem(f"it leaves {name} with a history, or one that it did not compute itself")
            else:
                lines.append(f"{known}._grad = {self._tensor(now)}")
        return lines

    def _name_of(self, leaf: Tensor) -> str:
        for argument in self.tensors:
            if argument.value is leaf:
                return argument.name
        for walk in (self.before, self.after):
            found = walk.arrays.get(id(leaf._data))
            if found is not None:
                return found[1]
        return f"a tensor of shape {tuple(leaf.shape)}"

    def _tensor(self, t: Tensor) -> str:
        """The local variable of generated source that holds a tensor like `t`, made of what the plan returns."""
        if id(t) not in self.shared:
            self.shared[id(t)] = f"y{len(self.shared)}"
            self.effects.append(f"{self.shared[id(t)]} = {self._new_tensor(t)}")
        return self.shared[id(t)]

    def _new_tensor(self, t: Tensor) -> str:
        slot = self.tape.slot_of(t._data)
        assert slot is not None
        made = f"wrap({self._output(slot)}, backend)"
        if t._inference:
            return f"inference({made})"
        if engine_edge(t) is None:
            return f"{made}.requires_grad_()" if t._requires_grad else made
        if is_spent(t, self.recording.start):
            node = self.names.add(dead_node(self.backend, self.name, tuple(t._data.shape)), "n")
            return f"wrap({self._output(slot)}, backend, {node})"
        self.histories.append(t)
        return f"wrap({self._output(slot)}, backend, h{len(self.histories) - 1})"

    # -- results ----------------------------------------------------------------------------------------

    def _expression(self, value: Any) -> str:
        """Source of the result, or of a part of it."""
        if isinstance(value, Tensor):
            return self._result_tensor(value)
        if is_plain(value):
            return self.names.add(value, "c")
        if value.__class__ is list:
            return f"[{', '.join(self._expression(item) for item in value)}]"
        if value.__class__ is tuple:
            return f"({''.join(self._expression(item) + ', ' for item in value)})"
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return f"{self.names.add(value.__class__, 'class_')}({', '.join(self._expression(item) for item in value)})"
        if value.__class__ is dict and all(is_plain(key) for key in value):
            items = (f"{self.names.add(key, 'c')}: {self._expression(item)}" for key, item in value.items())
            return f"{{{', '.join(items)}}}"
        raise Problem(
            f"it returns a {type(value).__name__}; return tensors, numbers, or lists, tuples and dicts of such"
        )

    def _result_tensor(self, t: Tensor) -> str:
        known = self.local.get(id(t))
        if known is not None:
            return known
        if self._made(t) is not None:
            return self._tensor(t)
        if by_identity(t) and id(t) in self.after._seen:
            return self.names.add(t, "t")
        for place in self.after.places.values():
            if place.value is t and place.expr not in self.changing:
                return place.expr
        if self.tape.slot_of(t._data) is None:
            raise Problem("it returns a tensor that it neither computes nor reaches by name")
        return self._tensor(t)

    def _template(self) -> Template | None:
        if not self.histories:
            return None
        owners: set[int] = set()
        for t in self.histories:
            owner = id(self.backend.storage_key(t._data))
            if owner in owners or any(
                self.backend.storage_key(a.value._data) is self.backend.storage_key(t._data) for a in self.tensors
            ):
                raise Problem("it returns tensors with a gradient that share memory with one another or an argument")
            owners.add(owner)
        try:
            template = Template(self.histories, self.recording.start, self.tape)
        except (NoGraph, RuntimeError) as error:
            raise Problem(str(error)) from None
        self.edges = [self._edge(edge) for edge in template.edges]
        return template

    def _edge(self, edge: Any) -> str:
        """Source that finds an outside edge again."""
        for argument in self.tensors:
            if edge_of(argument.value) is edge:
                return f"edge_of({self.local[id(argument.value)]})"
        if isinstance(edge, Tensor) and (id(edge) in self.before._seen or id(edge) in self.after._seen):
            return self.names.add(edge, "t")
        for place in self.before.places.values():
            if isinstance(place.value, Tensor) and edge_of(place.value) is edge:
                return f"edge_of({place.expr})"
        raise Problem(
            "its result depends on a tensor with a gradient that it reaches by no name; pass it as an argument"
        )

    # -- live arrays ------------------------------------------------------------------------------------

    def _live(self, plan: Plan) -> list[tuple[int, str | None]]:
        """The live slots, each with the source that reads its array (None: always the same array)."""
        fixed = {id(live.buffer): "an option" for live in self.tape.lives}
        defaults = {id(g.state): g for g in random._defaults.values()}
        constants = {id(t._data) for t in primitive._constants.values()}
        named = {*plan.outputs, *(k for call in plan.calls for k in (*reads(call), *results(call)))}
        found: list[tuple[int, str | None]] = []
        for slot in plan.slots:
            if slot.kind != LIVE or slot.index not in named:
                continue
            key = id(slot.array)
            source = self.before.arrays.get(key) or self.after.arrays.get(key)
            if source is not None:
                slot.origin = source[1]
                found.append((slot.index, source[0]))
            elif key in defaults:
                slot.origin = "the default generator"
                found.append((slot.index, f"{self.names.add(defaults[key], 'g')}.state"))
            elif key in fixed:
                slot.origin = fixed[key]
                found.append((slot.index, None))
            elif (
                key in constants
                or not isinstance(slot.array, self.backend.array_type)
                or self._is_from_host(slot.index)
            ):
                slot.kind = CONSTANT
            else:
                raise Problem(
                    f"it uses a tensor of shape {slot.shape} and {slot.dtype} that it reaches by no name that can be "
                    "followed (arguments, variables, attributes, lists and dicts); pass it as an argument"
                )
        return found

    def _is_from_host(self, slot: int) -> bool:
        """Whether an array is only the source of a copy: Python's numbers on their way into a tensor."""
        uses = [call for call in self.tape.calls if any(getattr(a, "index", None) == slot for a in call.args)]
        return all(call.kernel == "from_host" for call in uses)

    def _check_writes(self, plan: Plan) -> None:
        written = plan.written
        for k in written:
            if plan.slots[k].kind == CONSTANT:
                raise Problem(f"it writes into a constant of shape {plan.slots[k].shape}")
        memory: dict[int, str] = {}
        for argument in self.tensors:
            slot = self.tape.use(argument.value._data)
            base = plan.slots[slot].base
            if base in written and argument.value.requires_grad:
                raise Problem(
                    f"it changes its argument {argument.name}, which requires grad, in place; change a clone()"
                )
            other = next((plan.slots[k] for k in range(len(plan.slots)) if k != slot and plan.slots[k].base == base
                          and plan.slots[k].kind in (ARGUMENT, LIVE)), None)  # fmt: skip
            if other is not None and base in written:
                what = other.origin or memory.get(base, "another argument")
                raise Problem(
                    f"its argument {argument.name} shares memory with {what}, which is written to; clone() it"
                )
            memory[base] = f"the argument {argument.name}"

    # -- source -----------------------------------------------------------------------------------------

    def _write(
        self, entry: Entry, live: list[tuple[int, str | None]], effects: list[str], returned: str, kept: list[str],
        template: Template | None,
    ) -> None:  # fmt: skip
        add = self.names.add
        plan = entry.plan
        body: list[str] = []
        given: dict[int, str] = {}  # Of tensors, by id.
        arrays: dict[int, str] = {}
        conditions_: list[tuple[str, str]] = [(text, "the number or structure of the arguments") for text in self.shape]
        conditions_ += self._modes()
        for argument in self.arguments:
            known = self.local.get(id(argument.value)) if isinstance(argument.value, Tensor) else None
            if known is None:
                constant = add(argument.value, "c")
                text = f"({argument.expr} is {constant} or {add(signature.same, 'same')}({argument.expr}, {constant}))"
                conditions_.append((text, argument.name))
                continue
            if id(argument.value) in given:  # The same tensor was given twice.
                conditions_.append((f"{argument.expr} is {known}", f"{argument.name} and another argument"))
                continue
            conditions_.append((f"({known} := {argument.expr}) is not None", argument.name))
            conditions_ += [(text, argument.name) for text in signature.tensor_conditions(known, argument.value, add)]
            array = argument.value._data
            if id(array) in arrays:
                conditions_.append((f"{known}_data is {arrays[id(array)]}", f"{argument.name} and another argument"))
            elif argument.value.requires_grad:
                conditions_ += [(f"{known} is not {x}", "which arguments are the same") for x in given.values()]
            given[id(argument.value)] = known
            arrays.setdefault(id(array), f"{known}_data")
        used = {id(slot.array) for slot in plan.slots if slot.kind == LIVE}
        conditions_ += conditions(self.after, self.changing, used, self.names)
        conditions_ += self.guards
        entry.conditions = list(dict.fromkeys(conditions_))

        texts = [text for text, _ in entry.conditions]
        for i in range(0, len(texts), 24):
            body.append(f"if not ({' and '.join(texts[i : i + 24])}): return MISS")
        reading = [f"l{k} = {source}" for k, source in live if source is not None]
        body += reading
        lines = ["def attempt(args, kwargs):", "    try:"]
        lines += [f"        {line}" for line in body]
        lines.append("    except (AttributeError, IndexError, KeyError, TypeError, ValueError):")
        lines.append("        return MISS")
        read = [k for k, source in live if source is not None]
        lines.append("    run, now = bound")
        if read:
            lines.append(f"    ({''.join(f'b{k}, ' for k in read)}) = now")
            for i in range(0, len(read), 24):
                lines.append(f"    if {' or '.join(f'l{k} is not b{k}' for k in read[i : i + 24])}:")
                lines.append(f"        run = rebind(({''.join(f'l{k}, ' for k in read)}))")
                lines.append("        if run is None: return MISS")
        data = list(arrays.values())
        written = plan.written
        if any(plan.slots[k].kind == LIVE for k in written):
            lines += [f"    if id(owner({x})) in written: return MISS" for x in data]
        changed = [x for x in data if plan.slots[plan.arguments[data.index(x)]].base in written]
        for x in changed:
            lines += [f"    if owner({x}) is owner({y}): return MISS" for y in data if y != x]
            lines += [f"    if any(owner({x}) is owner(y) for y in now): return MISS"]
        for scalar in self.tape.lives:
            lines.append(f"    {add(scalar, 'scalar')}.refresh()")
        if self.tape.guards:
            lines.append("    if not fresh(): return MISS")
        returns = f"({''.join(f'r{i}, ' for i in range(len(self.outputs)))}) = " if self.outputs else ""
        lines.append(f"    {returns}run({', '.join(data)})")
        if written:
            lines.append("    mark_all(marks)")
        lines += [f"    mark_mutated(backend, {x}, {self.name!r})" for x in changed]
        lines += [f"    {line}" for line in self._histories(template, kept)]
        lines += [f"    {line}" for line in [*self.effects, *effects]]
        lines.append(f"    return {returned}")
        entry.source = "\n".join(lines) + "\n"
        entry.assigned = self.assigned
        entry.locals = {known: a.expr for a in reversed(self.tensors) if (known := self.local[id(a.value)])}
        entry.changed = [
            (plan.slots[k].origin, source) for k, source in live if source and plan.slots[k].base in written
        ]
        entry.changed += [("an argument", x.replace("_data", "._data")) for x in changed]

        rebind = _rebinder(entry, [k for k, source in live if source is not None])
        tape_guards = self.tape.guards

        def fresh() -> bool:
            try:
                for guard in tape_guards:
                    guard()
            except RuntimeError:
                return False
            return True

        if not fresh():
            raise Problem("this step is the first of its kind and differs from later ones")
        scope = self.names.table
        scope.update(
            MISS=MISS, wrap=wrap, inference=_inference, backend=self.backend, edge_of=edge_of, make_node=make_node, pick_node=pick_node,
            bound=entry.bound, written=entry.written, marks=entry.marks, mark_all=storage.mark_all,
            mark_mutated=storage.mark_mutated, owner=self.backend.storage_key, rebind=rebind, fresh=fresh,
            compiled=None if entry.backward is None else entry.backward.primitive,
        )  # fmt: skip
        exec(compile(entry.source, f"<compiled {self.name}>", "exec"), scope)
        entry.names = scope
        entry.attempt = scope["attempt"]

    def _histories(self, template: Template | None, kept: list[str]) -> list[str]:
        """Source of the node that stands for the whole call, and of the nodes of its results."""
        if template is None:
            return []
        several = len(self.histories) > 1
        shape = None if several else template.shapes[0]
        edges = "".join(f"{edge}, " for edge in self.edges)
        saved = "".join(f"{name}, " for name in kept)
        lines = [f"n = make_node(compiled, backend, ({edges}), ({saved}), (), {shape!r})"]
        for i, shape in enumerate(template.shapes):
            lines.append(
                f"h{i} = pick_node(backend, n, {i}, {len(template.shapes)}, {shape!r})" if several else "h0 = n"
            )
        return lines

    def _modes(self) -> list[tuple[str, str]]:
        """Conditions on what is set for the thread or the process."""
        add = self.names.add
        state, counter = add(modes.state, "state"), add(modes, "modes")
        now = modes.state.grad, modes.state.inference
        text = f"({state}.grad, {state}.inference) == {now}"
        if now == (True, False):  # As when nothing deviates from the default.
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
        ]


def autocast() -> tuple[tuple[str, str], ...]:
    """The kinds of device that autocast is on for in this thread, with its dtypes."""
    state = sys.modules.get("autograd_core.amp.state")
    if state is None or not state.state.active:
        return ()
    return tuple((kind, str(dtype)) for kind, dtype in state.state.active.items())


def _rebinder(entry: Entry, slots: Sequence[int]) -> Callable[[tuple[Any, ...]], Any]:
    """A function that takes the live arrays as they are now; None from it where they do not fit the plan."""
    plan = entry.plan
    backend = plan.backend
    position = {k: i for i, k in enumerate(slots)}

    def rebind(arrays: tuple[Any, ...]) -> Any:
        owners: dict[int, int] = {}  # id of an owner of memory -> the base that it stands for.
        for k, array in zip(slots, arrays):
            slot = plan.slots[k]
            if not isinstance(array, backend.array_type) or array.shape != slot.shape or array.dtype != slot.dtype:
                return None
            if tuple(array.strides) != slot.strides:
                return None
            if owners.setdefault(id(backend.storage_key(array)), slot.base) != slot.base:
                return None
        if len(set(owners.values())) != len(owners):
            return None  # What was one memory has become two.
        live = [arrays[position[k]] if k in position else plan.slots[k].array for k in plan.live]
        plan.bind(live)
        entry.bound[:] = [plan.runner, arrays]
        bases = plan.written
        changed = [array for k, array in zip(slots, arrays) if plan.slots[k].base in bases]
        entry.written.clear()
        entry.written.update(id(backend.storage_key(array)) for array in changed)
        entry.marks[:] = storage.records(backend, changed, entry.name)
        return entry.bound[0]

    # Bound at the first replay: generating code for a plan that is never used again would be in vain.
    entry.bound[:] = [None, tuple([None] * len(slots))]
    if not slots:
        entry.bound[0] = lambda *args: _first_run(entry, args)
    return rebind


def _inference(t: Tensor) -> Tensor:
    t._inference = True
    return t


def _first_run(entry: Entry, args: tuple[Any, ...]) -> Any:
    entry.bound[0] = entry.plan.runner
    return entry.bound[0](*args)

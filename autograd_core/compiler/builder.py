"""From a recording to an `Entry`: what the step did to Python's objects, where its arrays come from, its source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import operands, random
from autograd_core.compiler import signature
from autograd_core.compiler.backward import Backward, NoGraph, Template, dead_node, is_spent
from autograd_core.compiler.calls import reads, results
from autograd_core.compiler.capture import Recording, Tape, plan_of
from autograd_core.compiler.conditions import changes, conditions, modes_conditions
from autograd_core.compiler.entry import Entry, is_fresh
from autograd_core.compiler.guards import Walk
from autograd_core.compiler.places import Names, by_identity
from autograd_core.compiler.plan import ARGUMENT, CONSTANT, LIVE, MADE, Plan
from autograd_core.compiler.signature import Given, is_plain
from autograd_core.primitive import edge_of
from autograd_core.tensor import Tensor

Optimise = Callable[[Plan], Plan]


class Problem(Exception):
    """Why a recording cannot be replayed."""


class Builder:
    """Makes an `Entry` of a recording. Raises `Problem`."""

    def __init__(
        self, name: str, given: Given, names: Names, before: Walk, after: Walk, recording: Recording,
        optimise: Optimise,
    ) -> None:  # fmt: skip
        assert recording.tape is not None
        self.name, self.given, self.names = name, given, names
        self.before, self.after, self.recording, self.optimise = before, after, recording, optimise
        self.tape: Tape = recording.tape
        self.backend = self.tape.backend
        self.tensors = [a for a in given.leaves if isinstance(a.value, Tensor)]
        self.local = {id(a.value): f"x{i}" for i, a in reversed(list(enumerate(self.tensors)))}
        self.outputs: list[int] = []  # Slots that the plan returns.
        self.effects: list[str] = []
        self.shared: dict[int, str] = {}  # Tensors made for the result and for effects, by id: one each.
        self.changing: dict[str, Any] = {}  # Expressions of places that it assigns to -> what was there.
        self.released: list[str] = []  # Lets go of old gradients, which no call reads, before the plan runs.
        self.assigned: list[tuple[str, str, str]] = []
        self.guards: list[tuple[str, str]] = []
        self.histories: list[Tensor] = []  # Results whose gradient may still be asked for.

    # -- the whole --------------------------------------------------------------------------------------

    def build(self, described: dict[str, tuple[Any, ...]]) -> Entry:
        for problem in self.after.problems:
            raise Problem(problem)
        for optimizer in self.tape.optimizers:
            if optimizer in self.recording.made:
                raise Problem(f"it makes the {type(optimizer).__name__} that it steps with; make it outside")
            if id(optimizer) not in self.before._seen and not type(optimizer).__module__.startswith("autograd_core."):
                raise Problem(f"it steps with a {type(optimizer).__name__} that it reaches by no name; give it one")
        for argument in self.tensors:
            if argument.value._backend is not self.backend:
                raise Problem(f"the argument {argument.name} lies on {argument.value.device}, the computation does not")
            known = self.before.arrays.get(id(argument.value._data)) or self.after.arrays.get(id(argument.value._data))
            if known is not None and self.tape.slot_of(argument.value._data) is not None:
                raise Problem(
                    f"its argument {argument.name} is also {known[1]}, which it reaches by itself; clone() it"
                )
            for key in sorted(self.after.named_of(argument.value)):
                raise Problem(f"its argument {argument.name} has an attribute {key!r}; pass that as an argument, too")
            if argument.describe() != described[argument.name]:
                raise Problem(f"it changes the history or the memory of its argument {argument.name}; change a clone()")
        for argument in self.tensors:
            t = argument.value
            if t._requires_grad and (t._hooks or t._post_hooks) and not self._is_differentiable():
                raise Problem(f"a hook is on its argument {argument.name}, which a replay would not call")
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
        backward = None if template is None else Backward(template, self.backend, self.name, self.optimise)
        entry = Entry(self.name, described, plan, self.optimise, backward)
        self._write(entry, plan, live, [*stores, *grads], returned, kept, template)
        return entry

    def _is_differentiable(self) -> bool:
        """Whether backward comes after the call, and so calls hooks itself."""
        return not self.recording.grads

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
        for name in self.after.appeared(self.before):
            raise Problem(f"it sets or deletes {name}, which a replay would not do: set it before the first call")
        for place, was in changes(self.before, self.after):
            value = place.value
            if not isinstance(value, Tensor) or place.store is None or self._made(value) is None:
                what = "" if isinstance(was, Tensor) else f" (from {was!r:.60} to {value!r:.60})"
                raise Problem(
                    f"it changes {place.name}{what}, which a replay would not do: change it outside, or return the "
                    "value"
                )
            if not isinstance(was, Tensor):
                # Made by the first call and kept, as a cache is: later calls find it, and are recorded anew.
                if was is not None:
                    raise Problem(
                        f"it puts a tensor in place of {was!r:.60} into {place.name}; do so before the first call"
                    )
                self.guards.append((f"{place.expr} is None", place.name))
            self.changing[place.expr] = was
            lines.append(place.store.format(self._tensor(value)))
            self.assigned.append((place.name, place.expr, place.store.format("value")))
        return lines

    def _gradients(self) -> list[str]:
        """What the step made of the `.grad` of leaves."""
        lines = []
        found = self.recording
        # Whether there is a gradient decides what an optimiser does, and may decide what the step itself does.
        stepped = [p for o in self.tape.optimizers for group in o.param_groups for p in group["params"]]
        for leaf in dict.fromkeys([*found.looked_at, *(p for p in stepped if p not in found.cleared)]):
            known = self.local.get(id(leaf)) or (self._reached(leaf) if by_identity(leaf) else None)
            if known is not None:
                none = (found.grads[leaf] if leaf in found.grads else leaf._grad) is None
                condition = f"{known}._grad is {'None' if none else 'not None'}"
                self.guards.append((condition, f"the gradient of {self._name_of(leaf)}"))
        for leaf, was in found.grads.items():
            known = self.local.get(id(leaf))
            if known is None:
                known = self._reached(leaf)
                if known is None:
                    if self._made(leaf) is None:
                        raise Problem(
                            f"its backward reaches {self._name_of(leaf)} through a history from outside, by no name; "
                            "detach() the argument, or call backward() outside"
                        )
                    continue
            name = f"the gradient of {self._name_of(leaf)}"
            now = leaf._grad
            if leaf not in found.cleared:
                self.guards.append((f"{known}._grad is {'None' if was is None else 'not None'}", name))
            if now is was:
                continue
            self.assigned.append((name, f"{known}._grad", f"{known}._grad = value"))
            if leaf in found.cleared and (was is None or self.tape.slot_of(was._data) is None):
                self.released.append(f"{known}._grad = None")
            if now is None:
                lines.append(f"{known}._grad = None")
            elif now._node is not None or self._made(now) is None:
                raise Problem(f"it leaves {name} with a history, or one that it did not compute itself")
            else:
                lines.append(f"{known}._grad = {self._tensor(now)}")
        return lines

    def _reached(self, leaf: Tensor) -> str | None:
        """Source for a tensor that was there before, if the walks have seen it."""
        return self.names.add(leaf, "t") if id(leaf) in self.before._seen or id(leaf) in self.after._seen else None

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
        if t._grad is not None:
            raise Problem(
                "it returns a tensor with a .grad of its own, as retain_grad() gives; return the .grad itself"
            )
        if self.tape.slots[self.tape.slots[slot].base].kind != MADE:
            # A change of it would have to reach the history of its base.
            if t._node is not None if t._base is None else t._base.requires_grad:
                raise Problem("it returns or keeps a view of an argument or parameter that requires grad; clone() it")
        made = f"wrap({self._output(slot)}, backend)"
        if t._inference:
            return f"inference({made})"
        if t.grad_fn is None:
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
        if value.__class__ in (list, dict):  # The same object again, if it was there before.
            known = self.given.containers.get(id(value)) or self.after.container(value)
            if known:
                return known
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
        constants = {id(t._data) for t in operands.constants.values()}
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
        self, entry: Entry, plan: Plan, live: list[tuple[int, str | None]], effects: list[str], returned: str,
        kept: list[str], template: Template | None,
    ) -> None:  # fmt: skip
        arrays = self._argument_conditions()
        used = {id(plan.slots[k].array) for k, source in live if source is not None}
        self.guards[:0] = modes_conditions(self.names)
        self.guards += conditions(self.after, self.changing, used, self.names)
        entry.conditions = _distinct(self.guards)
        read = [(k, source) for k, source in live if source is not None]
        lines = ["try:"]
        lines += [
            f"    if not ({text}): return MISS" for text in _joined([text for text, _ in entry.conditions], "and")
        ]
        lines += [f"    l{k} = {source}" for k, source in read]
        lines += [
            "    pass",
            "except (AttributeError, IndexError, KeyError, TypeError, ValueError):",
            "    return MISS",
        ]
        lines.append("run, now = bound")
        if read:
            lines.append(f"({''.join(f'b{k}, ' for k, _ in read)}) = now")
            for text in _joined([f"l{k} is not b{k}" for k, _ in read], "or"):
                lines.append(f"if {text}:")
                lines.append(f"    run = rebind(({''.join(f'l{k}, ' for k, _ in read)}))")
                lines.append("    if run is None: return MISS")
                lines.append("    now = bound[1]")
        written = plan.written
        if any(plan.slots[k].kind == LIVE for k in written):
            lines += [f"if id(owner({x})) in written: return MISS" for x in arrays]
        changed = [x for x, k in zip(arrays, plan.arguments) if plan.slots[k].base in written]
        for x in changed:
            lines.append(f"if {x.removesuffix('_data')}._inference: return MISS")
            lines += [f"if owner({x}) is owner({y}): return MISS" for y in arrays if y != x]
            lines.append(f"if any(owner({x}) is owner(y) for y in now): return MISS")
        lines += [f"{self.names.add(scalar, 'scalar')}.refresh()" for scalar in self.tape.lives]
        if self.tape.guards:
            lines.append("if not fresh(): return MISS")
        returns = f"({''.join(f'r{i}, ' for i in range(len(self.outputs)))}) = " if self.outputs else ""
        lines += self.released  # As in eager mode, before there are new ones.
        call = f"{returns}run({', '.join(arrays)})"
        # Where nothing is changed before, the function itself can still go on from the error, and may catch it.
        lines += [call] if written else ["try:", f"    {call}", "except LinAlgError:", "    return MISS"]
        if written:
            lines.append("mark_all(marks)")
        lines += [f"mark_mutated(backend, {x}, {self.name!r})" for x in changed]
        lines += [*self._histories(template, kept), *self.effects, *effects, f"return {returned}"]
        entry.source = "\n    ".join(["def attempt(args, kwargs):", *lines]) + "\n"
        entry.assigned = self.assigned
        entry.locals = {known: a.expr for a in reversed(self.tensors) if (known := self.local[id(a.value)])}
        entry.changed = [(plan.slots[k].origin, source) for k, source in read if plan.slots[k].base in written]
        entry.changed += [("an argument", x.replace("_data", "._data")) for x in changed]
        if not is_fresh(self.tape.guards):
            raise Problem("this step is the first of its kind and differs from later ones")
        entry.compile(self.names.table, [k for k, _ in read], self.tape.guards)

    def _argument_conditions(self) -> list[str]:
        """Put the conditions on the arguments before all others; the local variables of their arrays, each once."""
        add = self.names.add
        given: dict[int, str] = {}  # Of tensors, by id.
        arrays: dict[int, str] = {}
        found = [(text, "the number or structure of the arguments") for text in self.given.shape]
        for argument in self.given.leaves:
            value, name, expr = argument.value, argument.name, argument.expr
            if not isinstance(value, Tensor):
                constant = add(value, "c")
                found.append((f"({expr} is {constant} or {add(signature.same, 'same')}({expr}, {constant}))", name))
                continue
            known = self.local[id(value)]
            if id(value) in given:  # The same tensor was given twice.
                found.append((f"{expr} is {known}", f"{name} and another argument"))
                continue
            found.append((f"({known} := {expr}) is not None", name))
            found += [(text, name) for text in signature.tensor_conditions(known, value, add)]
            if id(value._data) in arrays:
                found.append((f"{known}_data is {arrays[id(value._data)]}", f"{name} and another argument"))
            if value._requires_grad and not self._is_differentiable():
                found.append((f"{known}._hooks is None and {known}._post_hooks is None", f"the hooks of {name}"))
            given[id(value)] = known
            arrays.setdefault(id(value._data), f"{known}_data")
        if len(given) > 1:
            text = f"len({{{', '.join(f'id({x})' for x in given.values())}}}) == {len(given)}"
            found.append((text if len(given) > 2 else " is not ".join(given.values()), "which arguments are the same"))
        self.guards[:0] = found
        return list(arrays.values())

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
            pick = f"h{i} = pick_node(backend, n, {i}, {len(template.shapes)}, {shape!r})"
            lines.append(pick if several else "h0 = n")
        return lines


def _joined(texts: list[str], word: str) -> list[str]:
    """Conditions, some at a time: Python's compiler does not like them long."""
    return [f" {word} ".join(texts[i : i + 24]) for i in range(0, len(texts), 24)]


def _distinct(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Conditions with their names, each once, in order."""
    names: dict[str, str] = {}
    for text, name in found:
        names.setdefault(text, name)
    return list(names.items())

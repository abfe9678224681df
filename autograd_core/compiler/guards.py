"""What a recorded step depends on beside its arguments: found by walking what the function names, checked at each call.

The walk starts at the function and follows closure cells, the globals that its code names, modules, optimisers, lists,
dicts and the attributes of the user's own objects. Every value found lies at a `Place`: a Python expression that
reads it again. A walk before the step and one after it tell what the step itself changed; from the one after it come
the conditions that a replay checks, as source.
"""

from __future__ import annotations

import collections
import copy
import functools
import inspect
import itertools
import random
import sys
import types
from collections.abc import Iterator
from typing import Any

from autograd_core.compiler.calls import is_literal
from autograd_core.compiler.places import Names, Owner, Place, by_identity
from autograd_core.compiler.signature import is_plain
from autograd_core.compiler.sources import functions_of, held_by, is_users, is_users_function, names_in, strings_in
from autograd_core.nn.module import Module
from autograd_core.optim.optimizer import _NOT_GUARDED, _SWITCHES, Optimizer, _is_zero
from autograd_core.random import Generator
from autograd_core.tensor import Tensor

_LIMIT = 100_000  # Places.
_MANY = 64  # Plain values in one list or dict: from here on compared at once.
_SMALL = 4096  # Bytes of an array of the host that may be compared at every call.
_CONTAINERS = (dict, list, tuple, set, bytearray, collections.deque)
_BUILTIN_METHODS = (types.BuiltinMethodType, types.MethodWrapperType)
_HEAP_TYPE = 1 << 9  # In the flags of a class that a `class` statement has made.
_MEMOISED = type(functools.lru_cache(len))
_CALLED = (types.FunctionType, types.MethodType, functools.partial, Module)  # What a library may call for the user.
_SLOT = type(type("", (), {"__slots__": ("slot",)}).__dict__["slot"])
_ENTRIES = ("forward", "step", "_update", "get_last_lr")  # What the library calls of the user's classes.
_OF_A_TENSOR = frozenset({"_grad", "_hooks", "_post_hooks", "_inference"})
_OF_AN_OPTIMIZER = frozenset(
    {"param_groups", "state", "defaults", "_lives", "_pre_hooks", "_post_hooks", "_opt_called"}
)
_SKIPPED = {"_state_hooks", "_non_persistent_buffers_set"}  # Of a module: they serve saving and loading.


class Walk:
    """Everything that `root` reaches by name, as it is now."""

    def __init__(self, root: Any, names: Names) -> None:
        self.names = names
        self.places: dict[str, Place] = {}
        self.arrays: dict[int, tuple[str, str]] = {}  # id of an array -> the expression that reads it, its name.
        self.trained: dict[int, tuple[Tensor, Any, str]] = {}  # Tensors that places keep, and their arrays.
        self._attributes: set[str] = set()  # Names in the code that was seen: of objects, only these are followed.
        self.owners: dict[str, Owner] = {}  # Plain objects, classes, namespaces of modules.
        self._codes: list[tuple[str, types.CodeType]] = []  # What was seen, with the name it is called by ("": any).
        self._modules: list[Any] = []
        self._options: list[tuple[str, Any, str, str]] = []  # Of optimisers, unguarded unless named: key and place.
        self.problems: list[str] = []
        self._seen: dict[int, Any] = {}
        self._first: dict[int, str] = {}  # id of a container -> the source that reads it.
        code = getattr(root, "__code__", None) or getattr(getattr(type(root), "forward", None), "__code__", None)
        self._root = code.co_filename if isinstance(code, types.CodeType) else ""
        self._name = getattr(root, "__name__", type(root).__name__)
        self._follow(root, names.add(root, "f"), self._name)
        self._follow_objects()

    def also(self, value: Any, name: str) -> None:
        """Follow `value`, too, which the step turned out to use."""
        if id(value) not in self._seen:
            self._follow(value, self.names.add(value, "o"), name)
            self._follow_objects()

    def container(self, value: Any) -> str:
        """The source that reads a list or dict that a place keeps."""
        return self._first.get(id(value), "") if self._seen.get(id(value)) is value else ""

    # -- places -----------------------------------------------------------------------------------------

    def _put(self, value: Any, expr: str, name: str, store: str | None = None) -> None:
        if len(self.places) >= _LIMIT:
            if not self.problems:
                self.problems.append(f"it reaches more than {_LIMIT} values by name; pass what it needs as arguments")
        elif expr not in self.places:
            self.places[expr] = Place(expr, name, value, store)
            self._follow(value, expr, name)

    def _hold(self, condition: str, name: str) -> None:
        """A condition that holds now."""
        self.places[f"({condition})"] = Place(f"({condition})", name, True, None)

    def _count(self, value: Any, expr: str, name: str) -> None:
        expr = f"len({expr})"
        self.places[expr] = Place(expr, f"the length of {name}", len(value), None)

    def _keys(self, value: dict[Any, Any], expr: str, name: str) -> None:
        """The keys of a dict, in their order."""
        self._once(tuple(key if is_plain(key) else id(key) for key in value), f"keys of {expr}", f"the keys of {name}")
        if all(key.__class__ is str for key in value):
            self.places[f"[*{expr}]"] = Place(f"[*{expr}]", f"the keys of {name}", tuple(value), None)
        elif all(is_plain(key) for key in value):
            self.places[f"tuple({expr})"] = Place(f"tuple({expr})", f"the keys of {name}", tuple(value), None)
        else:  # By identity: tensors compare by value.
            self._count(value, expr, name)
            for key in value:
                self.names.add(key, "o")
            self._hold(f"list(map(id, {expr})) == {list(map(id, value))}", f"the keys of {name}")

    def _once(self, value: Any, expr: str, name: str) -> None:
        """What a condition compares by other means: here only to see whether the step itself changes it."""
        self.places[f"live {expr}"] = Place(f"live {expr}", name, value, None)

    def _follow(self, value: Any, expr: str, name: str) -> None:
        cls = value.__class__
        if isinstance(value, Tensor):
            self._tensor(value, expr, name)
            return
        if cls is types.CodeType or (is_plain(value) and not isinstance(value, type)):
            return
        if is_users_function(value, self._root):
            parts = name.split(".")  # Of an attribute, the last is what code names.
            self._codes.append((parts[-1] if all(map(str.isidentifier, parts)) else "", value.__code__))
        if id(value) in self._seen:
            if cls in (list, tuple, dict) and self._first[id(value)] != expr:
                self._hold(f"{expr} is {self._first[id(value)]}", name)  # What is in it is looked at there.
            return
        self._seen[id(value)], self._first[id(value)] = value, expr
        if isinstance(value, type):
            self._class(value, name)
            return
        if isinstance(value, _CONTAINERS) and cls.__module__ not in ("builtins", "collections"):
            self._object(value, name)
            self._class(cls, name)
        if isinstance(value, dict):
            self._dict(value, expr, name)
        elif isinstance(value, list | tuple):
            self._sequence(value, expr, name)
        elif isinstance(value, collections.deque) and not all(is_plain(item) for item in value):
            self._sequence(value, expr, name)
        elif cls is types.FunctionType:
            self._function(value, name)
        elif cls is types.MethodType:
            method = self.names.add(value, "f")
            self._put(value.__self__, f"{method}.__self__", name.rpartition(".")[0] or name)
            self._put(value.__func__, f"{method}.__func__", name)
        elif cls in _BUILTIN_METHODS:  # Such as the append of a list.
            if not isinstance(value.__self__, types.ModuleType | type | None):
                self._put(value.__self__, f"{self.names.add(value, 'f')}.__self__", name)
        elif isinstance(value, random.Random):
            self._once(hash(value.getstate()), expr, f"the state of {name}")
        elif hasattr(cls, "bit_generator"):  # NumPy's.
            self._once(repr(value.bit_generator.state), expr, f"the state of {name}")
        elif cls is functools.partial:
            partial = self.names.add(value, "f")
            for attribute in ("func", "args", "keywords"):
                self._put(getattr(value, attribute), f"{partial}.{attribute}", name)
        elif cls is _MEMOISED:
            self._wrapped(value, name)
        elif cls.__module__ == "autograd_core.compiler.function":  # Another compiled function.
            self._put(value.function, f"{self.names.add(value, 'f')}.function", name)
        elif cls is types.ModuleType:
            if is_users(getattr(value, "__file__", None), self._root):
                self._object(value, name)
        elif isinstance(value, Generator):
            self.arrays[id(value.state)] = (f"{self.names.add(value, 'g')}.state", name)
        elif isinstance(value, Module):
            self._module(value, name)
        elif isinstance(value, Optimizer):
            self._optimizer(value, name)
        elif isinstance(value, set | bytearray | collections.deque) or hasattr(cls, "tobytes"):
            self._contents(value, expr, name)
        else:
            if isinstance(value, collections.UserDict | collections.UserList | collections.ChainMap):
                self._attributes |= {"data", "maps"}  # What their methods read.
            self._object(value, name)
            self._class(cls, name)

    def _object(self, value: Any, name: str, skipped: frozenset[str] = frozenset()) -> None:
        kind = f"{self.names.add(value, 'o')}.__class__"
        self.places[kind] = Place(kind, f"the class of {name}", value.__class__, None)
        own = inspect.getattr_static(value, "__dict__", None)  # Not what a __getattr__ of the user's makes of the name.
        if own is not None and isinstance(own := object.__getattribute__(value, "__dict__"), dict):
            known = self.names.add(own, "d")
            self.owners[known] = Owner(
                lambda: own, known, f"{known}[{{!r}}]", f"{known}[{{!r}}] = {{{{}}}}", f"{name}.", skipped
            )
        slots = [k for base in type(value).__mro__ for k, v in vars(base).items() if v.__class__ is _SLOT]
        if slots:
            known = self.names.add(value, "o")
            read = lambda: {k: getattr(value, k) for k in slots if hasattr(value, k)}  # noqa: E731
            self.owners[known] = Owner(read, "", f"{known}.{{}}", f"{known}.{{}} = {{{{}}}}", f"{name}.")

    def _contents(self, value: Any, expr: str, name: str) -> None:
        """Of what changes in place and is compared as a whole."""
        if not hasattr(type(value), "tobytes"):
            self._count(value, expr, name)
            if all(is_plain(item) for item in value):
                self._hold(f"{expr} == {self.names.add(copy.copy(value), 'c')}", name)
                self._once(frozenset(value) if isinstance(value, set) else tuple(value), expr, name)
            else:
                for item in value:
                    self._follow(item, self.names.add(item, "o"), name)
                self._hold(f"set(map(id, {expr})) == {set(map(id, value))}", name)
        elif (size := value.nbytes if hasattr(value, "nbytes") else len(value.tobytes())) <= _SMALL:
            self._hold(f"{expr}.tobytes() == {self.names.add(value.tobytes(), 'c')}", name)
            self._once(value.tobytes(), expr, name)
        elif not self.problems:
            self.problems.append(f"it reads {name}, a {type(value).__name__} of {size} bytes; make it a tensor")

    def _follow_objects(self) -> None:
        """Of plain objects, the attributes that some code names; code found on the way may name more."""
        before = -1
        while before != len(self.places) + len(self._attributes):
            before = len(self.places) + len(self._attributes)
            for owner in list(self.owners.values()):
                found = owner.read()
                for key in owner.followed(self._attributes) & found.keys():
                    store = None if owner.assigning is None else owner.assigning.format(key)
                    self._put(found[key], owner.reading.format(key), f"{owner.name}{key}", store)
            named = self._strings()
            for key, value, expr, text in self._options:
                if key in named:
                    self._put(value, expr, text)

    def _strings(self) -> set[str]:
        """The strings in the code that the step can come to, going by names."""
        called, seen, found = {*_ENTRIES, self._name}, 0, set[str]()
        rest = self._codes
        while seen != len(called):
            seen = len(called)
            reached = [code for name, code in rest if not name or name in called or name.startswith("__")]
            rest = [(name, code) for name, code in rest if name and name not in called and not name.startswith("__")]
            for code in reached:
                called.update(*names_in(code), code.co_freevars)
                found |= strings_in(code)
        return found

    def layers(self) -> Iterator[tuple[str, str]]:
        """The conditions that modules have the classes, attributes and members that they have, in this order."""
        if self._modules:
            add = self.names.add
            dicts = [d for module in self._modules for d in (module.__dict__, *_stores(module))]
            ordered = [d for module in self._modules for d in _stores(module) if len(d) > 1]
            for text, now in (  # Of all at once: a condition for each would cost more than the rest.
                (f"map(type, {add(self._modules, 'all')})", [type(module) for module in self._modules]),
                (f"map(len, {add(dicts, 'all')})", [len(d) for d in dicts]),
                (
                    f"{add(itertools.chain.from_iterable, 'flat')}({add(ordered, 'all')})",
                    [k for d in ordered for k in d],
                ),
            ):
                yield f"[*{text}] == {add(now, 'c')}", "what the modules consist of"

    def absences(self) -> Iterator[tuple[str, str]]:
        """The conditions that names which were not found are still missing."""
        for owner in self.owners.values():
            if owner.known:
                missing = frozenset(owner.followed(self._attributes) - owner.read().keys())
                text = f"{owner.known}.keys().isdisjoint({self.names.add(missing, 'c')})"
                yield text, f"what {owner.name.rstrip('.') or 'a module'} has"

    def named_of(self, t: Tensor) -> set[str]:
        """The user's attributes of a tensor that some code names."""
        return self._attributes & t.__dict__.keys() - _OF_A_TENSOR

    def appeared(self, before: Walk) -> Iterator[str]:
        """The names that an object or a namespace has now and had not, or the other way round."""
        for known, owner in self.owners.items():
            old = before.owners.get(known)
            if old is not None:
                named = owner.followed(self._attributes)
                yield from (f"{owner.name}{key}" for key in sorted(named & (owner.keys ^ old.keys)))

    # -- kinds of values --------------------------------------------------------------------------------

    def _tensor(self, t: Tensor, expr: str, name: str) -> None:
        try:
            array = t._data
        except ValueError:  # A lazy module's parameter, which has no shape yet.
            return
        if by_identity(t):
            expr = self.names.add(t, "t")
        first = self.arrays.setdefault(id(array), (f"{expr}._data", name))[0]
        if first != f"{expr}._data":  # The plan reads it in one place.
            self._hold(f"{expr}._data is {first}", name)
        if id(t) in self._seen:
            return
        self._seen[id(t)] = t
        store = f"{expr}.{{}} = {{{{}}}}"
        self.owners[f"tensor {id(t)}"] = Owner(lambda: t.__dict__, "", f"{expr}.{{}}", store, f"{name}.", _OF_A_TENSOR)
        if by_identity(t):
            self.trained[id(t)] = t, array, name
            grad = t._grad
            if grad is not None:
                self.arrays.setdefault(id(grad._data), (f"{expr}._grad._data", f"the gradient of {name}"))
            for hooks, kind in ((t._hooks, "_hooks"), (t._post_hooks, "_post_hooks")):
                self._put(hooks, f"{expr}.{kind}", f"a hook of {name}")

    def _dict(self, value: dict[Any, Any], expr: str, name: str) -> None:
        if len(value) > _MANY and all(is_plain(key) and is_plain(item) for key, item in value.items()):
            self._count(value, expr, name)
            items = list(dict.items(value))
            self._hold(f"[*{expr}.items()] == {self.names.add(items, 'c')}", name)
            self._once(tuple(items), expr, name)
            return
        self._keys(value, expr, name)
        for key, item in list(dict.items(value)):
            known = repr(key) if is_literal(key) else self.names.add(key, "t" if isinstance(key, Tensor) else "o")
            text = key if isinstance(key, str) else known
            self._put(item, f"{expr}[{known}]", f"{name}[{text!r}]", f"{expr}[{known}] = {{}}")

    def _sequence(self, value: Any, expr: str, name: str) -> None:
        self._count(value, expr, name)
        if len(value) > _MANY and all(is_plain(item) for item in value):
            self._hold(f"{expr} == {self.names.add(value.__class__(value), 'c')}", name)
            self._once(tuple(value), expr, name)
            return
        for i, item in enumerate(value):
            self._put(item, f"{expr}[{i}]", f"{name}[{i}]", f"{expr}[{i}] = {{}}" if isinstance(value, list) else None)

    def _function(self, f: types.FunctionType, name: str, called: str = "") -> None:
        if not is_users(f.__code__.co_filename, self._root):
            self._wrapped(f, name)
            return
        function = self.names.add(f, "f")
        if not called:  # Of methods there are many, and rarely is one used so.
            own, known = f.__dict__, self.names.add(f.__dict__, "d")
            store = f"{known}[{{!r}}] = {{{{}}}}"
            self.owners[known] = Owner(lambda: own, known, f"{known}[{{!r}}]", store, f"{name}.")
        self._put(f.__code__, f"{function}.__code__", name)
        if f.__defaults__:
            self._put(f.__defaults__, f"{function}.__defaults__", f"a default of {name}")
        if f.__kwdefaults__:
            self._put(f.__kwdefaults__, f"{function}.__kwdefaults__", f"a default of {name}")
        for variable, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            known = self.names.add(cell, "c")
            self._put(value, f"{known}.cell_contents", variable, f"{known}.cell_contents = {{}}")
        if called:
            self._codes.append((called, f.__code__))
        named, attributes = names_in(f.__code__)
        self._attributes |= attributes
        used = self.names.add(f.__globals__, "d")
        space = f"globals {used}"  # The same dict may be a module's that is followed as an object.
        if space not in self.owners:
            self.owners[space] = Owner(lambda: f.__globals__, used, f"{used}[{{!r}}]", f"{used}[{{!r}}] = {{{{}}}}", "")
        self.owners[space].named = named | (self.owners[space].named or set())
        for key in sorted(named - f.__globals__.keys()):  # An import inside the function.
            if sys.modules.get(key) is not None:
                self._follow(sys.modules[key], "", key)

    def _wrapped(self, f: Any, name: str) -> None:
        """The user's functions that a function of a library stands around, as decorators of libraries make them."""
        for value in held_by(f):
            if isinstance(value, _CALLED):
                self._follow(value, self.names.add(value, "f"), name)
            elif isinstance(value, dict) and any(is_users_function(part, self._root) for part in value.values()):
                self._follow(value, self.names.add(value, "d"), name)  # What functools.singledispatch chooses from.

    def _class(self, cls: type, name: str) -> None:
        """The attributes of a class that is the user's, and what its methods name."""
        for base in cls.__mro__:
            module = sys.modules.get(base.__module__)
            made_in_c = not base.__flags__ & _HEAP_TYPE
            if made_in_c or not is_users(getattr(module, "__file__", None) or "<input>", self._root):
                continue
            self._seen[id(base)] = base
            self._attributes |= {"forward", "__call__"}
            known = f"{self.names.add(base, 'class_')}.__dict__"
            read = functools.partial(vars, base)
            self.owners[known] = Owner(read, known, f"{known}[{{!r}}]", None, f"{base.__name__}.")
            for key, member in list(vars(base).items()):
                for function in functions_of(member):
                    if id(function) not in self._seen:
                        self._seen[id(function)] = function
                        self._function(function, f"{name}.{key}", key)

    def _module(self, module: Any, name: str) -> None:
        attributes = self.names.add(module.__dict__, "d")
        self._modules.append(module)
        now = (module.__class__, len(module.__dict__), *(tuple(store) for store in _stores(module)))
        self._once(now, f"members of {attributes}", f"what {name} consists of")
        for key, value in list(module.__dict__.items()):
            if key in ("_parameters", "_modules", "_buffers"):
                store = self.names.add(value, "d")
                for child, member in list(value.items()):
                    self._put(member, f"{store}[{child!r}]", f"{name}.{child}", f"{store}[{child!r}] = {{}}")
            elif key == "_hooks":
                self._put(value, f"{attributes}['_hooks']", f"the hooks of {name}")
                for table in ("forward_pre", "forward", "backward_pre", "backward") if value is not None else ():
                    hooks = getattr(value, table)
                    self._put(hooks, f"{self.names.add(value, 'o')}.{table}", f"the hooks of {name}")
            elif key not in _SKIPPED:
                self._put(value, f"{attributes}[{key!r}]", f"{name}.{key}", f"{attributes}[{key!r}] = {{}}")
        self._class(type(module), name)

    def _optimizer(self, optimizer: Any, name: str) -> None:
        known = self.names.add(optimizer, "o")
        self._put(optimizer._pre_hooks, f"{known}._pre_hooks", f"the hooks of {name}")
        self._put(optimizer._post_hooks, f"{known}._post_hooks", f"the hooks of {name}")
        self._count(optimizer.param_groups, f"{known}.param_groups", f"{name}.param_groups")
        for i, group in enumerate(optimizer.param_groups):
            options = self.names.add(group, "d")
            for key, value in list(group.items()):
                expr, text = f"{options}[{key!r}]", f"{name}.param_groups[{i}][{key!r}]"
                if key == "params":
                    ids = self.names.add(list(map(id, value)), "c")  # By identity: tensors compare by value.
                    self._hold(f"list(map(id, {expr})) == {ids}", text)
                    for j, p in enumerate(value):
                        self._tensor(p, f"{expr}[{j}]", f"{text}[{j}]")
                elif key in _SWITCHES:
                    zero = self.names.add(_is_zero, "is_zero")
                    expr = f"{zero}({expr})"
                    self.places[expr] = Place(expr, f"whether {text} is zero", _is_zero(value), None)
                    expr = f"{options}[{key!r}]"
                if key in optimizer._live_options or key in _NOT_GUARDED or key in _SWITCHES:
                    if key not in ("params", "param_names"):
                        # Read at each replay; only the step itself must not change it, as a scheduler inside would.
                        self._once(value, expr, text)
                        self._options.append((key, value, expr, text))
                else:
                    self._put(value, expr, text)
        self._object(optimizer, name, _OF_AN_OPTIMIZER)
        state = f"{known}.state"
        if is_users(getattr(sys.modules.get(type(optimizer).__module__), "__file__", None) or "<input>", self._root):
            self._class(type(optimizer), name)  # Its step may do anything with its state.
            self._keys(optimizer.state, state, f"{name}.state")
            for p, values in list(optimizer.state.items()):
                self._put(values, f"{state}[{self.names.add(p, 't')}]", f"{name}.state[...]")
            return
        for p, values in list(optimizer.state.items()):
            if not isinstance(p, Tensor) or not isinstance(values, dict):
                continue
            where = f"{state}[{self.names.add(p, 't')}]"
            for key, value in values.items():
                if isinstance(value, Tensor):
                    self.arrays.setdefault(id(value._data), (f"{where}[{key!r}]._data", f"{name}.state[...][{key!r}]"))


def _stores(module: Any) -> tuple[dict[str, Any], ...]:
    return module._parameters, module._modules, module._buffers

"""What a call is given: the tensors and plain values among its arguments, how two calls differ, and what helps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from autograd_core import devices, dtypes
from autograd_core.compiler.calls import is_literal
from autograd_core.tensor import Tensor

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), dtypes.dtype, devices.device)


def is_plain(value: Any) -> bool:
    """Whether `value` cannot change and is compared by what it is."""
    cls = value.__class__
    if cls in (tuple, frozenset):
        return all(is_plain(item) for item in value)
    if cls is slice:
        return all(is_plain(item) for item in (value.start, value.stop, value.step))
    return cls in _PLAIN or isinstance(value, type)


def same(x: Any, y: Any) -> bool:
    """Whether two plain values are the same: of one type and, for floats, of one sign and NaN equal to NaN."""
    if x is y:
        return True
    if x.__class__ is not y.__class__:
        return False
    if x.__class__ in (float, complex, tuple, frozenset, slice):
        return repr(x) == repr(y)
    return bool(x == y)


def has_keys(expr: str, value: dict[Any, Any]) -> str:
    """The condition (source) that a dict has the keys of `value`, which are literals, in this order."""
    if all(key.__class__ is str for key in value):
        return f"[*{expr}] == {list(value)!r}"
    return f"repr([*{expr}]) == {repr(list(value))!r}"  # 1, True and 1.0 are equal.


class Argument:
    """One tensor or plain value among the arguments. `expr` reads it from `args` and `kwargs`."""

    __slots__ = ("expr", "name", "value")

    def __init__(self, expr: str, name: str, value: Any) -> None:
        self.expr, self.name, self.value = expr, name, value

    def describe(self) -> tuple[Any, ...]:
        """What a plan depends on of it."""
        value = self.value
        if not isinstance(value, Tensor):
            return ("value", value.__class__, repr(value) if is_plain(value) else id(value))
        array = value._data
        return (
            "tensor", value.__class__, value._backend, tuple(array.shape), array.dtype, tuple(array.strides),
            value.requires_grad, value._node is None,
        )  # fmt: skip


class Given:
    """The arguments of a call: see `arguments`."""

    def __init__(self) -> None:
        self.leaves: list[Argument] = []
        self.shape: list[str] = []  # The conditions (source) on the lists, tuples and dicts around them.
        self.containers: dict[int, str] = {}  # id of a list or dict -> the source that reads it.

    def has_changed(self, names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the lists and dicts hold other things than before."""
        try:
            now = arguments(names, args, kwargs)
        except Unsuitable:
            return True
        if now.shape != self.shape:
            return True
        pairs = zip(self.leaves, now.leaves, strict=True)
        return any(a.value is not b.value and not (is_plain(a.value) and same(a.value, b.value)) for a, b in pairs)


class Unsuitable(TypeError):
    """An argument that no plan can depend on."""


def arguments(names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
    """The arguments of a call, and the conditions on the lists, tuples and dicts around them.

    names: of the positional parameters. Raises `Unsuitable` for what is neither tensor nor plain value, nor a list,
    tuple or dict of such.
    """
    given = Given()
    found, shape = given.leaves, given.shape
    shape += [f"len(args) == {len(args)}", has_keys("kwargs", kwargs) if kwargs else "not kwargs"]

    def visit(value: Any, expr: str, name: str) -> None:
        cls = value.__class__
        if cls in (list, dict):
            given.containers[id(value)] = expr
        if isinstance(value, Tensor) or is_plain(value):
            found.append(Argument(expr, name, value))
        elif cls is dict:
            for key in value:
                if not is_literal(key):
                    raise Unsuitable(f"{name} has the key {key!r}; use plain keys, such as strings")
            shape.append(f"{expr}.__class__ is dict and {has_keys(expr, value)}")
            for key, item in value.items():
                visit(item, f"{expr}[{key!r}]", f"{name}[{key!r}]")
        elif cls in (list, tuple):
            shape.append(f"{expr}.__class__ is {cls.__name__} and len({expr}) == {len(value)}")
            for i, item in enumerate(value):
                visit(item, f"{expr}[{i}]", f"{name}[{i}]")
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            shape.append(f"{expr}.__class__.__name__ == {cls.__name__!r} and len({expr}) == {len(value)}")
            for field, item in zip(value._fields, value):
                visit(item, f"{expr}.{field}", f"{name}.{field}")
        else:
            raise Unsuitable(_unsuitable(name, value))

    for i, value in enumerate(args):
        visit(value, f"args[{i}]", names[i] if i < len(names) else f"argument {i}")
    for key, value in kwargs.items():
        visit(value, f"kwargs[{key!r}]", key)
    return given


def _unsuitable(name: str, value: Any) -> str:
    kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
    if hasattr(value, "__array__"):
        return (
            f"the argument {name} is a {kind}, which a plan would hold fast; pass ag.from_numpy(...) or ag.tensor(...)"
        )
    return (
        f"the argument {name} is a {kind}; a compiled function takes tensors, numbers, strings, None, and lists, "
        "tuples and dicts of these"
    )


def parameter_names(function: Any) -> list[str]:
    """The names of what `function` takes by position."""
    function = getattr(function, "forward", function)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def tensor_conditions(x: str, value: Tensor, name: Callable[[Any, str], str]) -> Iterator[str]:
    """The conditions (source) on a tensor argument in the local variable `x`, whose array goes into `{x}_data`."""
    array = value._data
    yield f"{x}.__class__ is {name(value.__class__, 'class_')}"
    yield f"{x}._backend is {name(value._backend, 'backend')}"
    yield f"({x}_data := {x}._data).shape == {tuple(array.shape)!r}"
    yield f"({x}_data.dtype is {name(array.dtype, 'dtype')} or {x}_data.dtype == {name(array.dtype, 'dtype')})"
    yield f"{x}_data.strides == {tuple(array.strides)!r}"
    yield from history_conditions(x, value)


def history_conditions(x: str, value: Tensor) -> Iterator[str]:
    """The conditions (source) that the tensor `x` has a history, or requires grad, as `value` does."""
    if value._base is not None:
        yield f"{x}.requires_grad is {value.requires_grad} and ({x}._node is None) is {value._node is None}"
    elif value._node is None:
        yield f"{x}._node is None and {x}._requires_grad is {value._requires_grad}"
        yield f"({x}._base is None or {x}.requires_grad is {value.requires_grad})"
    else:
        yield f"{x}._node is not None"


def differences(old: dict[str, tuple[Any, ...]], new: dict[str, tuple[Any, ...]]) -> list[tuple[str, str, str]]:
    """How two calls differ: (argument, what changed, what to do about it)."""
    found = []
    for name in new:
        if name not in old:
            found.append((name, "was not given before", "pass the same arguments at every call"))
        elif old[name] != new[name]:
            found.append((name, *_difference(old[name], new[name])))
    found += [(name, "is no longer given", "pass the same arguments at every call") for name in old if name not in new]
    return found


def _difference(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[str, str]:
    if old[0] != new[0] or old[1] is not new[1]:
        return f"changed from {old[1].__name__} to {new[1].__name__}", "pass one kind of value"
    if new[0] == "value":
        cure = "if it changes between calls, pass it as a tensor: ag.tensor(value)"
        return f"changed from {old[2]} to {new[2]}", cure
    if old[3] != new[3]:
        cure = "pad to one shape, or drop the last incomplete batch (drop_last=True in a DataLoader)"
        return f"changed its shape from {old[3]} to {new[3]}", cure
    if old[4] != new[4]:
        return f"changed its dtype from {old[4]} to {new[4]}", "convert it before with .to(dtype)"
    if old[2] is not new[2]:
        return "changed its device", "move it before with .to(device)"
    if old[5] != new[5]:
        return f"changed its strides from {old[5]} to {new[5]} bytes", "make it contiguous() before"
    return "changed requires_grad, or whether it is a leaf", "detach() it, or set requires_grad once"

"""Where Python keeps values, and the names that generated source has for objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autograd_core.tensor import Tensor


class Names:
    """The objects that generated source names, each under one name.

    No prefix may be that of its local variables: x, l, b, r, y or h with a number.
    """

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self._known: dict[int, str] = {}

    def add(self, value: Any, prefix: str) -> str:
        name = self._known.get(id(value))
        if name is None:
            name = self._known[id(value)] = f"{prefix}{len(self._known)}"
            self.table[name] = value
        return name


class Place:
    """Where Python keeps a value: `expr` reads it, `name` is what the user calls it, `store` is what assigns to it."""

    __slots__ = ("expr", "name", "store", "value")

    def __init__(self, expr: str, name: str, value: Any, store: str | None) -> None:
        self.expr, self.name, self.value, self.store = expr, name, value, store


class Owner:
    """An object, class or namespace of which only the attributes that code names are followed.

    read: its attributes. known: source of the dict that has them, if there is one; reading, assigning: patterns of
    source for one of them. name: what the user calls it, with a dot behind it. named: the names, if other than those of
    all attributes in the code that was seen; skipped: those that are looked at otherwise. keys: what it has now.
    """

    __slots__ = ("assigning", "keys", "known", "name", "named", "read", "reading", "skipped")

    def __init__(
        self, read: Callable[[], Mapping[str, Any]], known: str, reading: str, assigning: str | None, name: str,
        skipped: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.read, self.known, self.reading, self.assigning = read, known, reading, assigning
        self.name, self.skipped = name, skipped
        self.named: set[str] | None = None
        self.keys = frozenset(read())

    def followed(self, attributes: set[str]) -> set[str]:
        return (attributes if self.named is None else self.named) - self.skipped


def by_identity(t: Tensor) -> bool:
    """Whether a place must keep this very tensor: what is trained. Others, such as buffers, may be replaced."""
    return t._requires_grad or type(t).__name__ == "Parameter"

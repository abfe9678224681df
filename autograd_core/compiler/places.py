"""Where Python keeps values, and the names that generated source has for objects."""

from __future__ import annotations

from typing import Any

from autograd_core.tensor import Tensor


class Names:
    """The objects that generated source names, each under one name."""

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


def by_identity(t: Tensor) -> bool:
    """Whether a place must keep this very tensor: what is trained. Others, such as buffers, may be replaced."""
    return t._requires_grad or type(t).__name__ == "Parameter"

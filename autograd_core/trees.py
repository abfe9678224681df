"""Nested lists, tuples and dicts, as arguments and results of functions may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autograd_core.tensor import Tensor


def leaves(tree: Any) -> list[Any]:
    """What is neither list, tuple nor dict in `tree`, in order."""
    if isinstance(tree, Mapping):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, list | tuple):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors among the leaves of `tree`."""
    return [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor)]


def rebuilt(tree: Any, new: Iterator[Any]) -> Any:
    """The structure of `tree` with its leaves replaced by the next ones of `new`."""
    if isinstance(tree, Mapping):
        return type(tree)((key, rebuilt(value, new)) for key, value in tree.items())  # type: ignore[call-arg]
    if isinstance(tree, list | tuple):
        parts = [rebuilt(value, new) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)  # A named tuple takes arguments.
    return next(new)


def structure(tree: Any) -> Any:
    """`tree` without its leaves, for comparison."""
    if isinstance(tree, Mapping):
        return type(tree), [(key, structure(value)) for key, value in tree.items()]
    return (type(tree), [structure(value) for value in tree]) if isinstance(tree, list | tuple) else None


def spread(prefix: Any, tree: Any) -> list[Any]:
    """For each leaf of `tree` the value that `prefix` has there: one for all below, or a structure that matches.

    Raises `ValueError` where the structures do not match.
    """
    if isinstance(prefix, list | tuple | Mapping):
        same = type(prefix) is type(tree) or isinstance(prefix, list | tuple) and isinstance(tree, list | tuple)
        if not same or len(prefix) != len(tree) or (isinstance(prefix, Mapping) and prefix.keys() != tree.keys()):
            raise ValueError(f"{prefix!r} does not match a {type(tree).__name__}")
        keys = tree.keys() if isinstance(tree, Mapping) else range(len(tree))
        return [value for key in keys for value in spread(prefix[key], tree[key])]
    return [prefix] * len(leaves(tree))

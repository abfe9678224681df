"""What the code of a function names, and whose code it is."""

from __future__ import annotations

import dis
import functools
import os
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

from autograd_core.userline import _OURS

_STANDARD = tuple({os.path.join(sysconfig.get_paths()[key], "") for key in ("stdlib", "platstdlib")})
_INSTALLED = tuple({os.path.join(sysconfig.get_paths()[key], "") for key in ("purelib", "platlib")})
# Instructions that name a global, and those that name an attribute.
_VARIABLES = {"LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME", "STORE_GLOBAL", "STORE_NAME", "DELETE_GLOBAL", "DELETE_NAME"}
_BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "attrgetter"}  # They take attributes as strings.
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM", "STORE_ATTR", "DELETE_ATTR", "LOAD_SUPER_ATTR"}


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> tuple[set[str], set[str]]:
    """The globals that code reads or assigns, and the names of attributes."""
    variables: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in _VARIABLES:
            variables.add(instruction.argval)
        elif instruction.opname in _ATTRIBUTES:
            attributes.add(instruction.argval)
    if not _BY_NAME.isdisjoint(variables):
        attributes.update(c for c in code.co_consts if c.__class__ is str and c.isidentifier())
    if "get_last_lr" in attributes:
        attributes.add("_last_lr")  # It returns this list.
    for constant in code.co_consts:
        if constant.__class__ is types.CodeType:
            inner = names_in(constant)
            variables |= inner[0]
            attributes |= inner[1]
    return variables, attributes


@functools.lru_cache(maxsize=4096)
def strings_in(code: types.CodeType) -> frozenset[str]:
    """The strings in code, such as keys that it reads."""
    inner = [strings_in(constant) for constant in code.co_consts if constant.__class__ is types.CodeType]
    return frozenset(constant for constant in code.co_consts if constant.__class__ is str).union(*inner)


def is_users(filename: str | None, root: str = "") -> bool:
    """Whether what a file names is to be followed: not the libraries', but all of the package that `root` is in."""
    if filename is None or filename.startswith(_OURS) or filename.startswith("<frozen"):
        return False
    for folder in _INSTALLED:
        if filename.startswith(folder):
            package = filename[len(folder) :].split(os.sep)[0]
            return root.startswith(os.path.join(folder, package))
    return not filename.startswith(_STANDARD)


def is_users_function(value: Any, root: str) -> bool:
    return value.__class__ is types.FunctionType and is_users(value.__code__.co_filename, root)


def functions_of(member: Any) -> Iterator[types.FunctionType]:
    """The functions of an entry of a class."""
    if isinstance(member, property):
        found: tuple[Any, ...] = (member.fget, member.fset, member.fdel)
    elif isinstance(member, staticmethod | classmethod):
        found = (member.__func__,)
    else:
        found = (member.func if isinstance(member, functools.cached_property) else member,)
    yield from (function for function in found if function.__class__ is types.FunctionType)


def held_by(f: Any) -> Iterator[Any]:
    """What a function, or what `functools.lru_cache` made of one, stands around."""
    if "__wrapped__" in f.__dict__:
        yield f.__wrapped__
    for cell in getattr(f, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # Not yet assigned.
            pass

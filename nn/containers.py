"""Modules that hold other modules or parameters: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from autograd_core import Tensor
from autograd_core.nn.module import Module, indent
from autograd_core.nn.parameter import Parameter

C = TypeVar("C", bound="_Numbered")
D = TypeVar("D", bound="ModuleDict")
P = TypeVar("P", bound="ParameterList")


class _Numbered(Module):
    """What Sequential and ModuleList share: children in order, reached by position."""

    def _position(self, index: int, extra: int = 0) -> int:
        n = len(self._modules) + extra
        if not isinstance(index, int) and hasattr(index, "__index__"):
            index = index.__index__()
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of range for a {self._get_name()} of {len(self._modules)} modules")
        return index % n

    def _key(self, index: int) -> str:
        return list(self._modules)[self._position(index)]

    def _renumber(self, modules: Iterable[Any]) -> None:
        modules = list(modules)
        self._modules.clear()
        for i, module in enumerate(modules):
            self.register_module(str(i), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._select(list(self._modules.items())[index])
        return self._modules[self._key(index)]

    def _select(self, items: list[tuple[str, Any]]) -> Any:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        keys = list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]
        for key in keys:
            del self._modules[key]
        self._renumber(self._modules.values())

    def append(self: C, module: Module) -> C:
        """Add `module` at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self: C, modules: Iterable[Module]) -> C:
        """Add all of `modules` at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"{self._get_name()}.extend expects an iterable of modules, got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put `module` before position `index`."""
        modules = list(self._modules.values())
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass: it cannot be inserted")
        modules.insert(self._position(index, extra=1) if index >= 0 else self._position(index), module)
        self._renumber(modules)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take the module at `index` out and return it."""
        module = self[index]
        del self[index]
        return module

    def __add__(self: C, other: Iterable[Module]) -> C:
        if not isinstance(other, Iterable):
            return NotImplemented
        return type(self)._from([*self, *other])  # type: ignore[return-value]

    def __iadd__(self: C, other: Iterable[Module]) -> C:
        return self.extend(other)

    @classmethod
    def _from(cls, modules: list[Any]) -> _Numbered:
        raise NotImplementedError


class Sequential(_Numbered):
    """Modules applied one after the other.

    Takes modules, or one mapping of names to modules. Raises `TypeError` for what is no module.

    >>> import autograd_core as ag
    >>> ag.nn.Sequential(ag.nn.Linear(4, 3), ag.nn.ReLU())(ag.zeros(2, 4)).shape
    ag.Size([2, 3])
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.register_module(str(name), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input

    def _renumber(self, modules: Iterable[Any]) -> None:
        # Names that the user chose stay; only a plain 0, 1, 2, ... is counted anew.
        if all(name.isdigit() for name in self._modules):
            super()._renumber(modules)

    def insert(self, index: int, module: Module) -> Sequential:
        """Put `module` before position `index`; needs children named 0, 1, 2, ..."""
        if not all(name.isdigit() for name in self._modules):
            raise ValueError("Sequential.insert needs numbered children; these have names: build a new Sequential")
        super().insert(index, module)
        return self

    def _select(self, items: list[tuple[str, Any]]) -> Any:
        return type(self)(dict(items))

    @classmethod
    def _from(cls, modules: list[Any]) -> Sequential:
        return cls(*modules)

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise TypeError(f"Sequential can be multiplied by an int only, got {type(times).__name__}")
        if times <= 0:
            raise ValueError(f"Sequential can be multiplied by a positive number only, got {times}")
        return type(self)(*(list(self) * times))

    __rmul__ = __mul__


class ModuleList(_Numbered):
    """A list of modules, each of them registered.

    >>> import autograd_core as ag
    >>> len(ag.nn.ModuleList([ag.nn.Linear(2, 2) for _ in range(3)]))
    3
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _select(self, items: list[tuple[str, Any]]) -> Any:
        return type(self)(module for _, module in items)

    @classmethod
    def _from(cls, modules: list[Any]) -> ModuleList:
        return cls(modules)

    def __repr__(self) -> str:
        # Equal neighbours are shown once, with their count.
        runs: list[tuple[int, int, str]] = []
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        if not runs:
            return f"{self._get_name()}()"
        lines = [
            f"({first}): {indent(text)}" if first == last else f"({first}-{last}): {last - first + 1} x {indent(text)}"
            for first, last, text in runs
        ]
        return f"{self._get_name()}(\n" + "".join(f"  {line}\n" for line in lines) + ")"


class ModuleDict(Module):
    """A dict of modules by name, each of them registered.

    >>> import autograd_core as ag
    >>> list(ag.nn.ModuleDict({"act": ag.nn.ReLU()}))
    ['act']
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def items(self) -> Any:
        """The pairs of name and module."""
        return self._modules.items()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def clear(self) -> None:
        """Remove all."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Take the module `key` out and return it."""
        return self._modules.pop(key)  # type: ignore[return-value]

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace modules from a mapping or from pairs."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleDict.update expects a mapping or pairs, got {type(modules).__name__}")
        for key, module in modules.items() if isinstance(modules, Mapping | ModuleDict) else modules:
            self[key] = module


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _describe(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    where = "" if value.is_cpu else f" ({value.device})"
    return f"{kind} containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}{where}]"


class ParameterList(Module):
    """A list of parameters, each of them registered; tensors become parameters, anything else is kept as it is.

    >>> import autograd_core as ag
    >>> [tuple(p.shape) for p in ag.nn.ParameterList([ag.zeros(2), ag.zeros(3)])]
    [(2,), (3,)]
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _key(self, index: int) -> str:
        if not -self._size <= index < self._size:
            raise IndexError(f"index {index} is out of range for a ParameterList of {self._size} values")
        return str(index % self._size)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(getattr(self, str(i)) for i in range(*index.indices(self._size)))
        return getattr(self, self._key(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._key(index), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._size))

    def append(self: P, value: Any) -> P:
        """Add `value` at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self: P, values: Iterable[Any]) -> P:
        """Add all of `values` at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend expects an iterable of tensors, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self: P, values: Iterable[Any]) -> P:
        return self.extend(values)

    def extra_repr(self) -> str:
        return "\n".join(f"  ({i}): {_describe(value)}" for i, value in enumerate(self))

    def __repr__(self) -> str:
        lines = self.extra_repr()
        return f"{self._get_name()}(\n{indent(f'  {lines}')}\n)" if lines else f"{self._get_name()}()"


class ParameterDict(Module):
    """A dict of parameters by name, each of them registered; tensors become parameters, anything else is kept as it is.

    >>> import autograd_core as ag
    >>> list(ag.nn.ParameterDict({"scale": ag.ones(1)}).state_dict())
    ['scale']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._keys[key] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        """The parameters."""
        return [self[key] for key in self._keys]

    def items(self) -> Iterable[tuple[str, Any]]:
        """The pairs of name and parameter."""
        return [(key, self[key]) for key in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter `key`, or `default`."""
        return self[key] if key in self else default

    def pop(self, key: str) -> Any:
        """Take the parameter `key` out and return it."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Remove all."""
        for key in list(self._keys):
            del self[key]

    def update(self, parameters: Any) -> None:
        """Add or replace parameters from pairs or a mapping: those of a plain one in the order of their names."""
        if not isinstance(parameters, Iterable) or isinstance(parameters, Tensor):
            raise TypeError(f"ParameterDict.update expects a mapping or pairs, got {type(parameters).__name__}")
        if isinstance(parameters, OrderedDict | ParameterDict):
            parameters = parameters.items()
        elif isinstance(parameters, Mapping):
            parameters = sorted(parameters.items())  # As PyTorch; the order is that of an optimiser's state, too.
        for key, value in parameters:
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(f"  ({key}): {_describe(value)}" for key, value in self.items())

    def __repr__(self) -> str:
        return f"{self._get_name()}({self.extra_repr()})"

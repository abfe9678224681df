"""Parametrisations: a parameter computed from others whenever it is read."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn.containers import ModuleDict, ModuleList
from autograd_core.nn.module import Module
from autograd_core.nn.parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

_depth = 0
_computed: dict[tuple[int, str], Tensor] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Within it each parametrised tensor is computed once, however often it is read.

    >>> import autograd_core as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 3))
    >>> with ag.nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _computed.clear()


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, applied in order, and the tensors `original` (or `original0`, ...) they
    start from.

    modules: the parametrisations. original: the tensor, whose value they are to keep where they have a
    `right_inverse`. unsafe: they may change shape and dtype, and nothing is checked. Raises `ValueError` where a
    parametrisation does not fit.
    """

    original: Any

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules")
        super().__init__(modules)
        self.unsafe = unsafe
        start: Any = original
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                with ag.no_grad():
                    start = _inverted(module, start)
        if not isinstance(start, Tensor | Sequence):
            raise ValueError(f"right_inverse must return a Tensor or a sequence of them, got {type(start).__name__}")
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        if isinstance(start, Tensor):
            if start.dtype is not original.dtype:
                raise ValueError(
                    f"right_inverse outputs one tensor, so it must keep the dtype {original.dtype}, got {start.dtype}"
                )
            with ag.no_grad():
                original.data = start.data
            self._own("original", original)
        else:
            for i, part in enumerate(start):
                if not isinstance(part, Tensor):
                    raise ValueError(f"right_inverse must return Tensors, got {type(part).__name__} at position {i}")
                if isinstance(original, Parameter):
                    part = Parameter(part.detach(), requires_grad=original.requires_grad)
                self._own(f"original{i}", part)
        if not unsafe:
            _check("parametrization", self(), original)

    def _own(self, name: str, tensor: Tensor) -> None:
        if isinstance(tensor, Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_buffer(name, tensor)

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the parametrised tensor becomes `value`: what assigning to it does."""
        with ag.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse, so its tensor "
                        "cannot be assigned to"
                    )
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, Tensor):
                    raise ValueError(f"right_inverse must return a Tensor, got {type(value).__name__}")
                if value.dtype is not self.original.dtype:
                    raise ValueError(f"right_inverse must return dtype {self.original.dtype}, got {value.dtype}")
                self.original.data = value.data
                return
            if not isinstance(value, Sequence) or len(value) != self.ntensors:
                raise ValueError(f"right_inverse must return a sequence of {self.ntensors} tensors")
            for i, part in enumerate(value):
                getattr(self, f"original{i}").data = part.data

    def forward(self) -> Any:
        first, *others = list(self)
        names = ("original",) if self.is_tensor else tuple(f"original{i}" for i in range(self.ntensors))
        value = first(*(getattr(self, name) for name in names))
        for module in others:
            value = module(value)
        return value


def _inverted(module: Any, value: Any) -> Any:
    try:
        return module.right_inverse(value)
    except NotImplementedError:
        return value


def _check(what: str, value: Any, expected: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"a {what} must return a tensor, got {type(value).__name__}")
    if value.dtype is not expected.dtype or value.shape != expected.shape:
        raise ValueError(
            f"registering a {what} may not change shape or dtype of the tensor unless unsafe=True: expected "
            f"{tuple(expected.shape)} of {expected.dtype}, got {tuple(value.shape)} of {value.dtype}"
        )


def _property(name: str) -> property:
    def get(self: Any) -> Any:
        if not _depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _computed:
            _computed[key] = self.parametrizations[name]()
        return _computed[key]

    def put(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _no_pickle(self: Any) -> Any:
    raise RuntimeError(
        "a parametrised module cannot be pickled, its class is made at run time; save its state_dict() instead"
    )


def _copied(self: Any, memo: dict[int, Any]) -> Any:
    base: Any = type_before_parametrizations(self)
    replica = base.__new__(base)
    memo[id(self)] = replica
    replica.__dict__.update(copy.deepcopy(self.__dict__, memo))
    _inject(replica, list(self.parametrizations))
    return replica


def _inject(module: Any, names: list[str]) -> None:
    """Give `module` a class of its own, whose properties compute the tensors `names`."""
    base = type(module)
    members: dict[str, Any] = {name: _property(name) for name in names}
    members |= {"__getstate__": _no_pickle, "__deepcopy__": _copied}
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), members)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """From now on `module.<tensor_name>` is `parametrization` of the tensor that it was; returns `module`.

    The original is kept as `module.parametrizations.<tensor_name>.original`, in the `state_dict`, too. A
    `right_inverse` of the parametrisation gives the original from a value, and allows assigning to the tensor; it may
    return a sequence, which is passed on to `forward` as so many arguments. A further parametrisation is applied to
    the result of those before. Raises `ValueError` if there is no such tensor, or if shape or dtype would change
    without `unsafe`.

    >>> import autograd_core as ag
    >>> class Doubled(ag.nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> layer = ag.nn.Linear(1, 1, bias=False); one = ag.nn.init.ones_(layer.weight)
    >>> ag.nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())(ag.ones(1)).tolist()
    [2.0]
    """
    parametrization.train(module.training)
    holder: Any = module
    if is_parametrized(module, tensor_name):
        if not unsafe:
            value = getattr(module, tensor_name)
            _check("parametrization", parametrization(value), value)
            if hasattr(parametrization, "right_inverse"):
                _check("right_inverse", _inverted(parametrization, value), value)
        holder.parametrizations[tensor_name].append(parametrization)
        holder.parametrizations[tensor_name].unsafe |= unsafe
    elif tensor_name in module._parameters or tensor_name in module._buffers:
        found = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            holder.parametrizations = ModuleDict()
            _inject(module, [])
        setattr(type(module), tensor_name, _property(tensor_name))
        holder.parametrizations[tensor_name] = found
    else:
        raise ValueError(f"module '{module}' does not have a parameter, a buffer, or a parametrized '{tensor_name}'")
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether `module` has parametrisations, or one of its tensor `tensor_name`.

    >>> import autograd_core as ag
    >>> ag.nn.utils.parametrize.is_parametrized(ag.nn.Linear(1, 1))
    False
    """
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary parameter or buffer again, with its present value; returns `module`.

    leave_parametrized=False: with the value of the original instead, of which there must be one (`ValueError`).

    >>> import autograd_core as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 3))
    >>> list(ag.nn.utils.parametrize.remove_parametrizations(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"module {module} does not have a parametrization on {tensor_name}")
    holder: Any = module
    found = holder.parametrizations[tensor_name]
    if not found.is_tensor and not leave_parametrized:
        raise ValueError(
            f"leave_parametrized=False needs one original tensor, but {tensor_name} is made of {found.ntensors}"
        )
    original = found.original if found.is_tensor else found.original0
    if leave_parametrized:
        with ag.no_grad():
            value = getattr(module, tensor_name)
        if found.is_tensor:
            original.data = value.data  # The object stays: optimisers may hold it.
        else:
            kind = isinstance(original, Parameter)
            original = Parameter(value, requires_grad=original.requires_grad) if kind else value
    delattr(type(module), tensor_name)
    del holder.parametrizations[tensor_name]
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, original)
    if not is_parametrized(module):
        del holder.parametrizations
        holder.__class__ = type_before_parametrizations(module)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that `module` had before it was parametrised.

    >>> import autograd_core as ag
    >>> layer = ag.nn.utils.parametrizations.weight_norm(ag.nn.Linear(2, 3))
    >>> ag.nn.utils.parametrize.type_before_parametrizations(layer).__name__
    'Linear'
    """
    found = type(module)
    return found.__bases__[0] if found.__dict__.get("__deepcopy__") is _copied else found

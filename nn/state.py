"""What a module saves and loads: `state_dict`, `load_state_dict` and the hooks around them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.engine import RemovableHandle, _register
from autograd_core.nn.parameter import Parameter

if TYPE_CHECKING:
    from autograd_core.nn.module import Module

_EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: the keys that it missed and those that it had no use for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys!r}, unexpected_keys={self.unexpected_keys!r})"


class Stateful:
    """The part of `Module` that saves and loads."""

    _version: int = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _state_hooks: dict[str, dict[int, Callable[..., Any]]]

    # -- saving -----------------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Parameters and persistent buffers of this module and all below it, by dotted name.

        The tensors share the module's memory: clone them to keep a snapshot. keep_vars: the parameters themselves
        instead of detached tensors.

        >>> import autograd_core as ag
        >>> list(ag.nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = {}  # Each module's version, by prefix.
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_hooks["pre_save"].values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_hooks["post_save"].values():
            hook(self, destination, prefix, metadata)
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Put this module's own tensors into `destination`, without those of its children."""
        for name, tensor in (*self._parameters.items(), *self._buffers.items()):
            if tensor is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if self._has_extra_state():
            destination[prefix + _EXTRA_STATE] = self.get_extra_state()

    def get_extra_state(self) -> Any:
        """Whatever else `state_dict` should hold; override together with `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__} has set_extra_state but no get_extra_state; define both")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} has get_extra_state but no set_extra_state; define both")

    def _has_extra_state(self) -> bool:
        return type(self).get_extra_state is not Stateful.get_extra_state

    # -- loading ----------------------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the tensors of `state_dict` into this module and all below it.

        strict: every key must match. assign: take the given tensors themselves instead of copying their values.
        NumPy arrays and PyTorch's CPU tensors are accepted as values. Returns the missing and the unexpected keys;
        raises `RuntimeError` that names every missing or unexpected key (if strict) and every wrong shape, and
        `TypeError` if `state_dict` is no mapping.

        >>> import autograd_core as ag
        >>> m = ag.nn.Linear(2, 3); m.load_state_dict(m.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            hint = "; read the file first, with ag.load(path)" if isinstance(state_dict, str | PathLike) else ""
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}{hint}.")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None) or {}
        values: dict[str, Any] = OrderedDict(state_dict)  # Pre-load hooks may rename keys of this copy.

        pending: list[tuple[Any, str]] = [(self, "")]
        loaded: list[Any] = []
        while pending:
            module, prefix = pending.pop()
            local = dict(metadata.get(prefix[:-1], {}))
            if assign:
                local["assign_to_params_buffers"] = True
            module._load_from_state_dict(values, prefix, local, True, missing, unexpected, errors)
            loaded.append(module)
            children = [(child, f"{prefix}{name}.") for name, child in module._modules.items() if child is not None]
            pending.extend(reversed(children))

        result = IncompatibleKeys(missing, unexpected)
        for module in reversed(loaded):  # Children before their parents.
            for hook in module._state_hooks["post_load"].values():
                if hook(module, result) is not None:
                    raise RuntimeError("a load_state_dict post hook must change its argument and return None")
        if strict:
            for kind, keys in (("Unexpected", unexpected), ("Missing", missing)):
                if keys:
                    errors.insert(0, f"{kind} key(s) in state_dict: {', '.join(repr_key(k) for k in keys)}.")
        if errors:
            details = "".join(f"\n\t{error}" for error in errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:{details}")
        return result

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load this module's own tensors; what is wrong is appended to the three lists. Subclasses may override it."""
        for hook in self._state_hooks["pre_load"].values():
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        expected: dict[str, Any] = {
            name: tensor
            for name, tensor in (*self._parameters.items(), *self._buffers.items())
            if tensor is not None and name not in self._non_persistent_buffers_set
        }
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, tensor in expected.items():
            key = prefix + name
            if key in state_dict:
                self._load_tensor(name, key, tensor, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + _EXTRA_STATE
        if type(self).set_extra_state is not Stateful.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    name, dot, _ = key[len(prefix) :].partition(".")
                    if not (name in self._modules if dot else name in expected):
                        unexpected_keys.append(key)

    def _load_tensor(self, name: str, key: str, tensor: Tensor, value: Any, assign: bool, errors: list[str]) -> None:
        if not isinstance(value, Tensor):
            if not hasattr(value, "__array__"):
                errors.append(f'"{key}": expected a Tensor, got {type(value).__name__}.')
                return
            value = ag.as_tensor(value.__array__())
        if value.shape != tensor.shape:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                f"the shape in current model is {tensor.shape}."
            )
            return
        if not assign:
            with ag.no_grad():
                tensor.copy_(value)
        elif isinstance(tensor, Parameter):
            taken = value if isinstance(value, Parameter) else Parameter(value, requires_grad=tensor.requires_grad)
            setattr(self, name, taken)
        else:
            setattr(self, name, value)

    # -- hooks ------------------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` reads this module."""
        return _register(self._state_hooks["pre_save"], hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after `state_dict` has read this module."""
        return _register(self._state_hooks["post_save"], hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)` before loading."""
        return _register(self._state_hooks["pre_load"], hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after loading; it may change the two lists in place."""
        return _register(self._state_hooks["post_load"], hook)


def repr_key(key: str) -> str:
    return f'"{key}"'

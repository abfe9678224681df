"""`Module`: a part of a model that owns parameters, buffers and other modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn.hooks import Hooked
from autograd_core.nn.parameter import Buffer, Parameter
from autograd_core.nn.state import Stateful

M = TypeVar("M", bound="Module")

_STORES = ("_parameters", "_modules", "_buffers")
_KINDS = ("parameter", "child module", "buffer")
_REQUIRED = ("nn.Parameter or None", "nn.Module or None", "a Tensor or None")


class Module(Stateful, Hooked):
    """The base of all layers and models: subclass it, assign layers in `__init__`, compute in `forward`.

    Parameters, buffers and modules that are assigned as attributes are registered: `parameters()`, `state_dict()`,
    `to()`, `train()` and `zero_grad()` reach all of them. Assigning one before `super().__init__()` raises
    `AttributeError`.

    >>> import autograd_core as ag
    >>> class Model(ag.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.linear = ag.nn.Linear(2, 1)
    ...     def forward(self, x):
    ...         return self.linear(x).tanh()
    >>> Model()(ag.zeros(3, 2)).shape
    ag.Size([3, 1])
    """

    training: bool

    def __init__(self) -> None:
        put = super().__setattr__  # Past our own __setattr__, which needs these dicts.
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_non_persistent_buffers_set", set())
        put("_modules", {})
        put("_state_hooks", {"pre_save": {}, "post_save": {}, "pre_load": {}, "post_load": {}})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; every module defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function: define forward(self, ...)'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is not None:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    # -- registration -----------------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` the parameter `name`; None keeps the name without a parameter.

        Raises `TypeError` unless it is a `Parameter` or None, `KeyError` for a name that is taken or has a dot.
        """
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_kind(param)}' object to parameter '{name}' (nn.Parameter or None required); "
                "wrap a tensor as nn.Parameter(tensor)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"cannot assign a computed tensor to parameter '{name}': model parameters must be leaves of the graph. "
                "Compute it in forward, or detach() it first"
            )
        self._claim(name, "parameter", "_parameters")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `tensor` the buffer `name`: part of the module's state, moved with it, not trained.

        persistent: whether `state_dict()` holds it. Raises as `register_parameter` does.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_kind(tensor)}' object to buffer '{name}' (a Tensor or None required)")
        self._claim(name, "buffer", "_buffers")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Make `module` the child `name`. Raises as `register_parameter` does."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_kind(module)} is not a Module subclass: it cannot be the child module '{name}'")
        self._claim(name, "module", "_modules")
        self._modules[name] = module

    add_module = register_module

    def _claim(self, name: str, kind: str, store: str) -> None:
        """Check that `name` can be registered in `store`."""
        if "_parameters" not in self.__dict__:
            raise AttributeError(_uninitialised(self, f"register {kind} '{name}'"))
        if not isinstance(name, str):
            raise TypeError(f"a {kind}'s name should be a string, got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f"{kind} name can't {'contain a dot' if name else 'be empty'}, got {name!r}")
        if name not in self.__dict__[store] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists: choose another name for the {kind}, or delete it first")

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        stores = [state.get(store) for store in _STORES]
        if isinstance(value, Parameter):
            index = 0
        elif isinstance(value, Module):
            index = 1
        elif isinstance(value, Buffer):
            index = 2
        else:
            # A registered name keeps its kind: only None, or for buffers any tensor, may take its place.
            for store, required in zip(stores, _REQUIRED, strict=True):
                if store is not None and name in store:
                    if value is not None and not (store is stores[2] and isinstance(value, Tensor)):
                        what = _KINDS[_REQUIRED.index(required)]
                        raise TypeError(f"cannot assign '{_kind(value)}' as {what} '{name}' ({required} expected)")
                    store[name] = value
                    return
            super().__setattr__(name, value)
            return
        if stores[index] is None:
            raise AttributeError(_uninitialised(self, f"assign {_KINDS[index]} '{name}'"))
        if index != 0 and name in self._parameters:
            raise TypeError(f"cannot assign '{_kind(value)}' as parameter '{name}' (nn.Parameter or None expected)")
        persistent = getattr(value, "persistent", True) and name not in self._non_persistent_buffers_set
        if name not in stores[index]:  # type: ignore[operator]
            state.pop(name, None)
            for store in stores:
                store.pop(name, None)  # type: ignore[union-attr]
            self._non_persistent_buffers_set.discard(name)
        if index == 0:
            self.register_parameter(name, value)
        elif index == 1:
            self.register_module(name, value)
        else:
            self.register_buffer(name, value, persistent)

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        if "_parameters" in state:
            if name in state["_parameters"]:
                return state["_parameters"][name]
            if name in state["_modules"]:
                return state["_modules"][name]
            if name in state["_buffers"]:
                return state["_buffers"][name]
        elif name in ("_parameters", "_buffers", "_modules", "training"):
            raise AttributeError(_uninitialised(self, f"use '{name}'"))
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for store in (self._parameters, self._modules, self._buffers):
            if name in store:
                del store[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._modules, *self._buffers}
        return sorted(name for name in names if not name[:1].isdigit())

    # -- traversal --------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first; a shared module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The immediate children with their names; a shared one once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The immediate children."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self, store: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for module_name, module in modules:
            for name, member in getattr(module, store).items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{module_name}.{name}" if module_name else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names; a shared one once.

        >>> import autograd_core as ag
        >>> [name for name, p in ag.nn.Linear(2, 3).named_parameters()]
        ['weight', 'bias']
        """
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, as optimisers take them."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names; a shared one once."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at the dotted path `target`. Raises `AttributeError` that names the missing step."""
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}` (looking for '{target}')")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module (looking for '{target}')")
        return module

    def set_submodule(self, target: str, module: Module) -> None:
        """Put `module` at the dotted path `target`."""
        if not target:
            raise ValueError("set_submodule: the target path is empty; it cannot replace the module itself")
        path, _, name = target.rpartition(".")
        self.get_submodule(target)
        setattr(self.get_submodule(path), name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at the dotted path `target`. Raises `AttributeError` if there is none."""
        return self._get_member(target, "_parameters", "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at the dotted path `target`. Raises `AttributeError` if there is none."""
        return self._get_member(target, "_buffers", "buffer")

    def _get_member(self, target: str, store: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        member = getattr(module, store).get(name)
        if member is None:
            raise AttributeError(f"{type(module).__name__} has no {kind} `{name}` (looking for '{target}')")
        return member

    # -- modes and conversion ---------------------------------------------------------------------------

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call `fn` on every module below this one and then on this one.

        >>> import autograd_core as ag
        >>> net = ag.nn.Linear(2, 1).apply(lambda m: ag.nn.init.ones_(m.weight)); net.weight.tolist()
        [[1.0, 1.0]]
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Switch to training (dropout drops, batch norm uses the batch's statistics), or out of it."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        """Switch to evaluation: `train(False)`."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Train all parameters, or freeze them."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or (set_to_none=False) set them to zero."""
        for param in self.parameters():
            if set_to_none or param.grad is None:
                param.grad = None
            else:
                param.grad = param.grad.detach().zero_()

    def _apply(self: M, fn: Callable[[Tensor], Tensor]) -> M:
        """Replace the memory of parameters (and their gradients) and the buffers by `fn` of them."""
        for module in self.children():
            module._apply(fn)
        with ag.no_grad():
            for param in self._parameters.values():
                if param is not None:
                    # The object stays the same, so an optimiser made before still holds the parameter.
                    param.data = fn(param)
                    if param.grad is not None:
                        param.grad = fn(param.grad).detach()
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Move to a device, a floating-point dtype, or both, in place: `to(device)`, `to(dtype)`, `to(device, dtype)`,
        `to(tensor)`.

        Integer buffers keep their dtype. `memory_format=ag.channels_last` changes the order of memory of what has four
        dimensions (five for `channels_last_3d`). Raises `TypeError` for a dtype that is not floating point.

        >>> import autograd_core as ag
        >>> ag.nn.Linear(2, 3).to(ag.float64).weight.dtype
        ag.float64
        """
        memory_format = kwargs.pop("memory_format", None)
        ranks = {ag.channels_last: 4, ag.channels_last_3d: 5}
        device, dtype = _parse_to(*args, **kwargs)

        def convert(t: Tensor) -> Tensor:
            target = dtype if dtype is not None and t.is_floating_point() else t.dtype
            moved = t.to(t.device if device is None else device, target)
            if memory_format is None or t.ndim != ranks.get(memory_format, t.ndim):
                return moved
            return moved.to(memory_format=memory_format)

        return self._apply(convert)

    def type(self: M, dst_type: Any) -> M:
        """Convert all parameters and buffers to `dst_type`."""
        return self._apply(lambda t: t.to(dst_type))

    def float(self: M) -> M:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(ag.float32)

    def double(self: M) -> M:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(ag.float64)

    def half(self: M) -> M:
        """Convert floating-point parameters and buffers to float16."""
        return self.to(ag.float16)

    def cpu(self: M) -> M:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self: M, device: int | str | None = None) -> M:
        """Move to a CUDA device. Raises `RuntimeError` where there is none."""
        return self.to(f"cuda:{device}" if isinstance(device, int) else device or "cuda")

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile this module's forward in place; arguments as of `ag.compile`.

        >>> import autograd_core as ag
        >>> m = ag.nn.Linear(2, 1); m.compile(); m(ag.zeros(3, 2)).shape
        ag.Size([3, 1])
        """
        self.forward = ag.compile(self.forward, *args, **kwargs)  # type: ignore[method-assign]

    # -- text -------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses beside the children; modules override it."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {indent(repr(module))}" for name, module in self._modules.items()]
        extra = self.extra_repr()
        if not children and "\n" not in extra:
            return f"{self._get_name()}({extra})"
        lines = [*extra.splitlines(), *children]
        return f"{self._get_name()}(\n" + "".join(f"  {line}\n" for line in lines) + ")"


def indent(text: str) -> str:
    """`text` with every line but the first moved right by two spaces."""
    return text.replace("\n", "\n  ")


def _kind(value: Any) -> str:
    return f"{type(value).__name__} of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def _uninitialised(module: Module, action: str) -> str:
    return (
        f"cannot {action} before Module.__init__() call: "
        f"make super().__init__() the first line of {type(module).__name__}.__init__"
    )


def _parse_to(
    *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False
) -> tuple[Any, ag.dtype | None]:
    """The device and dtype in the arguments of `Module.to`; None where not given."""
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, ag.dtype):
            dtype = arg
        elif isinstance(arg, str | int | ag.device) and not isinstance(arg, bool):
            device = ag.device(f"cuda:{arg}" if isinstance(arg, int) else arg)
        elif arg is not None and not isinstance(arg, bool):
            raise TypeError(f"Module.to expects a device, a dtype or a tensor, got {type(arg).__name__}")
    if dtype is not None and not (isinstance(dtype, ag.dtype) and dtype.is_floating_point):
        raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
    return device, dtype

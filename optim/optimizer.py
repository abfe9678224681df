"""The base of all optimisers: parameter groups, state, hooks, saving and loading."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from itertools import chain
from typing import Any, NamedTuple

from autograd_core import dtypes, interop, modes, recorder
from autograd_core.engine import RemovableHandle, _register
from autograd_core.live import LiveScalar
from autograd_core.optim import differentiable
from autograd_core.storage import mark_each, mark_mutated
from autograd_core.tensor import Tensor, wrap

__all__ = ["Optimizer", "Params"]

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Group = dict[str, Any]

# Their update has no term for a value of zero, and no state: a recorded step holds only while that stays so.
_SWITCHES = ("weight_decay", "momentum")


class Rule(NamedTuple):
    """An update as data: `kernel(param, grad, *state, *live options, *flags)`, with `state` in the kernel's order.

    arrays, scalars: the state of the parameter's shape and that of 0 dimensions, in the order of PyTorch's state dicts
    (where the scalars come first), each with the number that it starts at or the option that holds it. needs: state
    that is there only while an option is on. The live options are those of the class from `first_option` on.
    """

    kernel: str
    state: tuple[str, ...]
    arrays: dict[str, float | str]
    scalars: dict[str, float | str] = {"step": 0.0}
    needs: dict[str, str] = {}
    flags: tuple[str, ...] = ("maximize",)
    first_option: int = 0

    def positions(self, group: Group) -> list[tuple[int, str]]:
        """The state that the options of `group` do not switch off, and its places among the kernel's arguments."""
        found = [*enumerate(self.state, 2)]
        if needs := self.needs:
            found = [(i, name) for i, name in found if name not in needs or group[needs[name]]]
        return found


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between the hooks that `register_step_pre_hook` and `register_step_post_hook` have added."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        for pre in list(self._pre_hooks.values()) if self._pre_hooks else ():
            changed = pre(self, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(f"a step pre-hook must return None or (args, kwargs), got {changed!r}")
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        for post in list(self._post_hooks.values()) if self._post_hooks else ():
            post(self, args, kwargs)
        return result

    return hooked


class Optimizer:
    """Base class: holds parameters in groups with their options, and the state of each parameter.

    params: an iterable of Tensors, of (name, Tensor) pairs, or of dicts {"params": ..., option: value}.
    defaults: the options of groups that do not set them. A subclass implements `step`, or, as ours do, has a `_rule` or
    implements `_update`.

    Raises TypeError for a single Tensor or for what is no Tensor, ValueError for no parameters at all, for a tensor
    that is no leaf, and for one in two groups.

    >>> import autograd_core as ag
    >>> optimizer = ag.optim.SGD([ag.ones(2, requires_grad=True)], lr=0.5)
    >>> optimizer.param_groups[0]["lr"]
    0.5
    """

    # Of a subclass: options that reach its kernel as live scalars (those in pairs under the names of `_PAIRS`), and its
    # update.
    _live_options: tuple[str, ...] = ()
    _rule: Rule | None = None
    _opt_called = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        name = type(self).__name__
        self._prepare()
        self.defaults = defaults
        if isinstance(params, Tensor):
            raise TypeError(f"{name}: params must be an iterable of Tensors or dicts, got a Tensor; write [tensor]")
        if not isinstance(params, Iterable):
            hint = "; call it: model.parameters()" if callable(params) else ""
            raise TypeError(
                f"{name}: params must be an iterable of Tensors or dicts, not {type(params).__name__}{hint}"
            )
        groups = list(params)
        if not groups:
            raise ValueError(f"{name}: optimizer got an empty parameter list; was a generator used up?")
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)  # type: ignore[arg-type]

    def _prepare(self) -> None:
        self._pre_hooks: dict[int, Callable[..., Any]] = OrderedDict()
        self._post_hooks: dict[int, Callable[..., Any]] = OrderedDict()
        self._lives: dict[tuple[int, Any], tuple[Group, list[LiveScalar], list[Any]]] = {}

    # -- groups -----------------------------------------------------------------------------------------

    def add_param_group(self, param_group: Group) -> None:
        """Add a group: a dict with `params` and the options that differ from the defaults. Raises as the class says."""
        name = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{name}: param_group must be a dict, got {type(param_group).__name__}")
        params = param_group.get("params")
        if params is None:
            raise ValueError(f"{name}: a parameter group needs the key 'params', got {sorted(param_group)}")
        if isinstance(params, set):
            raise TypeError(f"{name}: parameters in a set have no fixed order; use a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names and len(names) != len(params):
            raise ValueError(f"{name}: {len(names)} of {len(params)} parameters have names; name all or none")
        params = [p[1] if isinstance(p, tuple) else p for p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad or self.defaults.get("differentiable")):
                raise ValueError(
                    f"{name}: can't optimize a non-leaf Tensor (shape {tuple(p.shape)}, made by {p.grad_fn}); "
                    "use .detach().requires_grad_()"
                )
        group: Group = {**param_group, "params": params}
        if names:
            group["param_names"] = names
        for key, default in self.defaults.items():
            if default is required and key not in group:
                raise ValueError(f"{name}: parameter group didn't specify a value of the required option {key!r}")
            group.setdefault(key, default)
        self._check(group)
        if len(set(params)) != len(params):
            warnings.warn(
                f"{name}: a parameter group contains duplicate parameters, updated twice a step", stacklevel=3
            )
        for other in self.param_groups:
            if ("param_names" in group) != ("param_names" in other):
                raise ValueError(f"{name}: all parameter groups must have names, or none of them")
            if not set(params).isdisjoint(other["params"]):
                raise ValueError(f"{name}: some parameters appear in more than one parameter group")
        self.param_groups.append(group)

    def _check(self, group: Group) -> None:
        """Raise ValueError where an option of `group` is out of its range."""
        if group.get("differentiable") and group.get("fused"):
            raise RuntimeError(f"{type(self).__name__}: `fused` does not support `differentiable`; leave one out")
        if group.get("fused") and group.get("foreach"):
            raise RuntimeError(f"{type(self).__name__}: `fused` and `foreach` cannot be `True` together")
        lr = group.get("lr")
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError(f"{type(self).__name__}: Tensor lr must be 1-element, got shape {tuple(lr.shape)}")
        for key, text in _AT_LEAST_ZERO.items():
            value = group.get(key)
            # Compared this way round, a NaN fails, too. A Tensor is not read: that would wait for the device.
            if value is not None and not isinstance(value, Tensor) and not 0.0 <= value:
                raise ValueError(f"{type(self).__name__}: Invalid {text}: {value}; expected a number >= 0")
        for i, beta in enumerate(group.get("betas", ())):
            if not isinstance(beta, Tensor) and not 0.0 <= beta < 1.0:
                raise ValueError(f"{type(self).__name__}: Invalid beta parameter at index {i}: {beta}; expected [0, 1)")

    # -- stepping ---------------------------------------------------------------------------------------

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. `closure` computes the loss anew, which is returned."""
        loss = None
        if closure is not None:
            with modes.enable_grad():
                loss = closure()
        if recorder.recording:
            recorder.note_optimizer(self)
        for index, group in enumerate(self.param_groups):
            if group.get("differentiable"):
                differentiable.update(self, group, lambda group, name: _getter(group, name)())
            else:
                self._update(index, group)
        return loss

    def _update(self, index: int, group: Group) -> None:
        rule, backend = self._rule, None
        if rule is None:
            raise NotImplementedError(f"{type(self).__name__} must implement step()")
        positions = rule.positions(group)
        switched = rule.needs.keys() & [name for _, name in positions] if rule.needs else None
        states = self.state
        params = [p for p in group["params"] if p._grad is not None]
        mark_each(params, type(self).__name__ + ".step")
        for p in params:
            if p._backend is not backend:
                backend = p._backend
                kernel = getattr(backend, rule.kernel)
                options = self._scalars(index, group, backend)[rule.first_option :]
                if self._live_options[-1] == "weight_decay" and _is_zero(group["weight_decay"]):
                    options[-1] = None
                # One list, whose first entries each parameter sets: making one for each takes a tenth of a small step.
                arguments = [None] * (2 + len(rule.state)) + options + [group[flag] for flag in rule.flags]
            state = states[p]
            if not state or (switched and not switched <= state.keys()):
                self._begin(p, group)
            if state["step"]._backend is not backend:
                raise self._misplaced(p, state["step"])
            arguments[0] = p._data
            arguments[1] = p._grad._data
            for i, name in positions:
                arguments[i] = state[name]._data
            kernel(*arguments)

    def _begin(self, p: Tensor, group: Group) -> None:
        """Make the state of `p` that the step needs and that is not there."""
        rule, state = self._rule, self.state[p]
        assert rule is not None
        needed = [name for _, name in rule.positions(group)]
        for name, value in (*rule.scalars.items(), *rule.arrays.items()):
            if name in state or name not in needed:
                continue
            if isinstance(value, str):
                value = group[value]
            start = self._zeros_like(p) if name in rule.arrays else self._scalar_state(p, 0.0)
            if isinstance(value, Tensor) and group.get("differentiable"):
                start = start + value.reshape(()).to(p.device)
            elif isinstance(value, Tensor):
                with recorder.paused():
                    p._backend.copy_(start._data, value.detach().reshape(()).to(p.device)._data)
            elif value != 0:
                with recorder.paused():
                    p._backend.fill_(start._data, value)
            state[name] = start

    def _scalars(self, index: int, group: Group, backend: Any) -> list[Any]:
        """The live options of `group` as buffers of `backend`, with their values of now."""
        found = self._lives.get((index, backend))
        if found is None or found[0] is not group:
            lives = [LiveScalar(backend, _getter(group, name)) for name in self._live_options]
            found = self._lives[index, backend] = (group, lives, [live.buffer for live in lives])
        for live in found[1]:
            live.refresh()
        return found[2]

    def _guard(self) -> Callable[[], None]:
        """What a recording of this step depends on beside live options: raises if it has changed."""

        def options() -> list[Any]:
            return [
                {
                    key: _is_zero(value) if key in _SWITCHES else value
                    for key, value in group.items()
                    if key in _SWITCHES or not (key in self._live_options or key in _NOT_GUARDED)
                }
                for group in self.param_groups
            ]

        recorded = options()

        def check() -> None:
            now = options()
            if now != recorded:
                raise RuntimeError(
                    f"{type(self).__name__}: an option that selects the update changed after a step was recorded "
                    f"(from {recorded} to {now}); record the step again"
                )

        return check

    def _zeros_like(self, p: Tensor) -> Tensor:
        """State of the shape of `p`. It lives on in later steps, so no recording may make it anew."""
        with recorder.paused():
            return wrap(p._backend.zeros(p._data.shape, p._data.dtype), p._backend)

    def _scalar_state(self, p: Tensor, value: float) -> Tensor:
        """A 0-d tensor such as `step`: float32, or float64 if that is the default dtype, as in PyTorch."""
        d = dtypes.float64 if dtypes.get_default_dtype() is dtypes.float64 else dtypes.float32
        with recorder.paused():
            return wrap(p._backend.full((), value, d.native), p._backend)

    def _misplaced(self, p: Tensor, state: Tensor) -> RuntimeError:
        return RuntimeError(
            f"{type(self).__name__}: a parameter {tuple(p.shape)} lies on {p.device}, its state on {state.device}; "
            "move the model before making the optimizer, or call load_state_dict(state_dict()) after moving it"
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero in place."""
        for group in self.param_groups:
            for p in group["params"]:
                grad = p._grad
                if grad is None:
                    continue
                if set_to_none:
                    p._grad = None
                else:
                    if grad._node is not None:
                        grad.detach_()
                    grad._requires_grad = False
                    grad._backend.fill_(grad._data, 0)
                    mark_mutated(grad._backend, grad._data, "zero_grad")

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; a returned pair replaces (args, kwargs)."""
        return _register(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _register(self._post_hooks, hook)

    # -- saving and loading -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number of the parameter: its state}, "param_groups": [options, with numbers as `params`]}."""
        numbers = {p: i for i, p in reversed(list(enumerate(chain(*(g["params"] for g in self.param_groups)))))}
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        for packed, group in zip(groups, self.param_groups):
            packed["params"] = [numbers[p] for p in group["params"]]
        state = {numbers[k] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over state and options from `state_dict()` of an optimiser of the same groups; tensors are copied.

        Raises ValueError, leaving everything as it was, if the groups or the shapes of the state do not match.
        """
        name = type(self).__name__
        if not {"state", "param_groups"} <= set(state_dict):
            raise ValueError(f"{name}: expected a dict with 'state' and 'param_groups', got keys {sorted(state_dict)}")
        saved = [dict(group) for group in state_dict["param_groups"]]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"{name}: loaded state dict has a different number of parameter groups: {len(saved)}, expected "
                f"{len(self.param_groups)}"
            )
        for i, (group, new) in enumerate(zip(self.param_groups, saved)):
            if len(new["params"]) != len(group["params"]):
                raise ValueError(
                    f"{name}: group {i} of the loaded state dict has {len(new['params'])} parameters, expected "
                    f"{len(group['params'])}: it doesn't match the size of optimizer's group"
                )
        params = dict(zip(chain(*(g["params"] for g in saved)), chain(*(g["params"] for g in self.param_groups))))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            p = params.get(key)
            state[key if p is None else p] = value if p is None else self._load_state(key, p, value)
        for group, new in zip(self.param_groups, saved):
            options = {k: deepcopy(v) for k, v in new.items() if k != "params"}
            # The dict itself stays: live scalars, also those of recordings, read their value there.
            options = {**self.defaults, **options, "params": group["params"]}
            if "param_names" in group:
                options.setdefault("param_names", group["param_names"])
            group.clear()
            group.update(options)
        self.state = state

    def _load_state(self, number: Any, p: Tensor, saved: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the state of one parameter, on its device; what has its shape also gets its dtype."""
        state: dict[str, Any] = {}
        for key, value in saved.items():
            if key == "step" and isinstance(value, int | float):
                value = self._scalar_state(p, value)
            if not isinstance(value, Tensor):
                if not hasattr(value, "__array__"):
                    state[key] = deepcopy(value)
                    continue
                value = interop.as_tensor(value.__array__())  # Of another library's optimiser.
            if self._rule is not None and key in self._rule.arrays and value.shape != p.shape:
                raise ValueError(
                    f"{type(self).__name__}: state {key!r} of parameter {number} has shape {tuple(value.shape)}, "
                    f"but the parameter has {tuple(p.shape)}"
                )
            with modes.no_grad():
                value = value.detach().clone().to(p.device)
                if p.is_floating_point() and value.is_floating_point() and value.ndim:
                    value = value.to(p.dtype)
            state[key] = value
        return state

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._prepare()
        self.__dict__.update(state)

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            options = (f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
            groups.append(f"\nParameter Group {i}\n{''.join(options)}")
        return f"{type(self).__name__} ({''.join(groups)})"


_AT_LEAST_ZERO = {
    "lr": "learning rate",
    "momentum": "momentum value",
    "weight_decay": "weight_decay value",
    "eps": "epsilon value",
    "alpha": "alpha value",
    "lr_decay": "lr_decay value",
    "initial_accumulator_value": "initial_accumulator_value value",
    "momentum_decay": "momentum_decay value",
}
# Live under another name, or of no effect on the update.
_NOT_GUARDED = {
    "params", "param_names", "betas", "etas", "step_sizes", "initial_lr", "max_lr", "min_lr", "base_momentum",
    "max_momentum", "foreach", "fused", "capturable",
}  # fmt: skip
_PAIRS = {
    "beta1": ("betas", 0), "beta2": ("betas", 1), "eta_minus": ("etas", 0), "eta_plus": ("etas", 1),
    "step_min": ("step_sizes", 0), "step_max": ("step_sizes", 1),
}  # fmt: skip


def _getter(group: Group, name: str) -> Callable[[], Any]:
    if name in _PAIRS:
        pair, i = _PAIRS[name]
        return lambda: group[pair][i]
    return lambda: group[name]


def _is_zero(value: Any) -> bool:
    return not isinstance(value, Tensor) and value == 0

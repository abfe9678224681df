"""`differentiable=True`: an optimiser's step as operations on the tape, so that gradients pass through the update.

The parameter may be no leaf, and is changed in place; its gradient, and options that are Tensors, keep their history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from autograd_core import dtypes, interop, modes
from autograd_core.updates import UPDATES

Start = Callable[[Any, Any, dict[str, Any]], Any]


def _zeros(optimizer: Any, p: Any, group: dict[str, Any]) -> Any:
    return optimizer._zeros_like(p)


def _count(optimizer: Any, p: Any, group: dict[str, Any]) -> Any:
    return optimizer._scalar_state(p, 0.0)


def _one(optimizer: Any, p: Any, group: dict[str, Any]) -> Any:
    return optimizer._scalar_state(p, 1.0)


def _rate(optimizer: Any, p: Any, group: dict[str, Any]) -> Any:
    return optimizer._scalar_state(p, 0.0) + group["lr"]


def _rates(optimizer: Any, p: Any, group: dict[str, Any]) -> Any:
    return optimizer._zeros_like(p) + group["lr"]


class Update(NamedTuple):
    """A kernel's arguments after parameter and gradient: state (name, start, option that switches it on), the live
    options of the class from `first_option` on, and flags."""

    kernel: str
    state: tuple[tuple[str, Start, str | None], ...]
    flags: tuple[str, ...] = ("maximize",)
    first_option: int = 0


_STEP = ("step", _count, None)
_MOMENTS = (("exp_avg", _zeros, None), ("exp_avg_sq", _zeros, None))
_DECOUPLED = ("decoupled_weight_decay", "maximize")

_TABLE = {
    "SGD": Update("sgd_", (("momentum_buffer", _zeros, "momentum"),), ("nesterov", "maximize")),
    "Adam": Update("adam_", (*_MOMENTS, ("max_exp_avg_sq", _zeros, "amsgrad"), _STEP), _DECOUPLED),
    "NAdam": Update("nadam_", (*_MOMENTS, ("mu_product", _one, None), _STEP), _DECOUPLED),
    "RAdam": Update("radam_", (*_MOMENTS, _STEP), _DECOUPLED),
    "RMSprop": Update(
        "rmsprop_",
        (
            ("square_avg", _zeros, None),
            ("grad_avg", _zeros, "centered"),
            ("momentum_buffer", _zeros, "momentum"),
            _STEP,
        ),
    ),
    "Adagrad": Update("adagrad_", (("sum", _zeros, None), _STEP)),
    "Adadelta": Update("adadelta_", (("square_avg", _zeros, None), ("acc_delta", _zeros, None), _STEP)),
    "Adamax": Update("adamax_", (("exp_avg", _zeros, None), ("exp_inf", _zeros, None), _STEP)),
    "ASGD": Update("asgd_", (("ax", _zeros, None), ("eta", _rate, None), ("mu", _one, None), _STEP)),
    "Rprop": Update("rprop_", (("prev", _zeros, None), ("step_size", _rates, None), _STEP), first_option=1),
}


def find(optimizer: Any) -> Update | None:
    """The update of the optimiser's class, or of that it derives from."""
    return next((_TABLE[c.__name__] for c in type(optimizer).__mro__ if c.__name__ in _TABLE), None)


def update(optimizer: Any, group: dict[str, Any], getter: Callable[..., Any]) -> None:
    """One step of the parameters of `group`; `getter(group, name)` reads a live option."""
    rule = find(optimizer)
    if rule is None:
        raise NotImplementedError(f"{type(optimizer).__name__}: differentiable=True is not supported; leave it False")
    with modes.enable_grad():
        for p in group["params"]:
            if p.grad is None:
                continue
            state = optimizer.state[p]
            arguments: list[Any] = []
            first = "momentum_buffer" not in state
            for name, start, switch in rule.state:
                if switch is not None and not group[switch]:
                    arguments.append(None)
                    continue
                # A copy is changed in place: backward through earlier steps reads the values of then.
                state[name] = state[name].clone() if name in state else start(optimizer, p, group)
                arguments.append(state[name])
            for name in optimizer._live_options[rule.first_option :]:
                value = getter(group, name)
                if name == "weight_decay" and isinstance(value, int | float) and value == 0:
                    arguments.append(None)
                else:
                    arguments.append(_scalar(value, p))
            arguments += [group[flag] for flag in rule.flags]
            if rule.kernel == "sgd_":
                arguments.append(first and group["dampening"] != 0)
            getattr(UPDATES, rule.kernel)(p, p.grad, *arguments)


def _scalar(value: Any, p: Any) -> Any:
    if isinstance(value, int | float):
        return interop.tensor(float(value), dtype=dtypes.float64, device=p.device)
    return value.reshape(()).to(p.device).to(dtypes.float64)

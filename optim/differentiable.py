"""`differentiable=True`: an optimiser's step as operations on the tape, so that gradients pass through the update.

The parameter may be no leaf, and is changed in place; its gradient, and options that are Tensors, keep their history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import dtypes, interop, modes
from autograd_core.updates import UPDATES


def update(optimizer: Any, group: dict[str, Any], getter: Callable[..., Any]) -> None:
    """One step of the parameters of `group`; `getter(group, name)` reads a live option."""
    rule = optimizer._rule
    if rule is None:
        raise NotImplementedError(f"{type(optimizer).__name__}: differentiable=True is not supported; leave it False")
    positions = rule.positions(group)
    with modes.enable_grad():
        for p in group["params"]:
            if p.grad is None:
                continue
            state = optimizer.state[p]
            first = "momentum_buffer" not in state
            # A copy is changed in place: backward through earlier steps reads the values of then.
            state.update({name: state[name].clone() for _, name in positions if name in state})
            optimizer._begin(p, group)
            arguments = [p, p.grad] + [None] * len(rule.state)
            for i, name in positions:
                arguments[i] = state[name]
            for name in optimizer._live_options[rule.first_option :]:
                value = getter(group, name)
                if name == "weight_decay" and isinstance(value, int | float) and value == 0:
                    arguments.append(None)
                else:
                    arguments.append(_scalar(value, p))
            arguments += [group[flag] for flag in rule.flags]
            if rule.kernel == "sgd_":
                arguments.append(first and group["dampening"] != 0)
            getattr(UPDATES, rule.kernel)(*arguments)


def _scalar(value: Any, p: Any) -> Any:
    if isinstance(value, int | float):
        return interop.tensor(float(value), dtype=dtypes.float64, device=p.device)
    return value.reshape(()).to(p.device).to(dtypes.float64)

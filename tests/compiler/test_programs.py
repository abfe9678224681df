"""Short programs around one compiled function: what they see is what they see of the function itself, at every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag

# A program is given what wraps its function, and returns what it saw.
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


class Box:
    """An object of the user's, with whatever attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def of(*values: float) -> ag.Tensor:
    return ag.tensor([float(v) for v in values])


def seen(value: Any) -> Any:
    """`value` as something that can be compared."""
    if isinstance(value, ag.Tensor):
        return value.dtype, value.tolist()
    if isinstance(value, list | tuple):
        return [seen(v) for v in value]
    if isinstance(value, dict):
        return {str(k): seen(v) for k, v in value.items()}
    return value


def many_calls(w: ag.Tensor) -> ag.Tensor:
    for _ in range(14):
        w = (w @ w).cumsum(0)
    return w


# -- passes -----------------------------------------------------------------------------------------------


def cheap_result_written_to(wrap: Wrap) -> Any:
    def f(x: ag.Tensor, w: ag.Tensor) -> Any:
        y = -x
        y.mul_(3)
        z = y * 2
        a = z.sum()
        w = many_calls(w)
        return a, z.sum(0)[0] + w.sum()

    f = wrap(f)
    return [seen(f(ag.ones(256, 256), ag.eye(2) * 0.1)) for _ in range(3)]


def every_use_computed_again(wrap: Wrap) -> Any:
    def f(x: ag.Tensor, w: ag.Tensor) -> ag.Tensor:
        a, b = x * 2, x + 1
        w = many_calls(w)
        return (a.sum(0) + b.sum(1)).sum() + w.sum()

    f = wrap(f)
    return [seen(f(ag.ones(256, 256), ag.eye(2) * 0.1)) for _ in range(3)]


# -- gradients --------------------------------------------------------------------------------------------


def second_derivative_of_some_inputs(wrap: Wrap) -> Any:
    w = of(2).requires_grad_()
    f = wrap(lambda x: ((w * x) ** 3).sum())
    found = []
    for _ in range(3):
        w.grad = None
        x = of(1).requires_grad_()
        (g,) = ag.autograd.grad(f(x), x, create_graph=True)
        g.sum().backward()
        found.append([seen(w.grad), seen(x.grad)])
    return found


# -- memory -----------------------------------------------------------------------------------------------


def argument_written_beside_a_variable(wrap: Wrap) -> Any:
    b = of(1, 2)

    def f(x: ag.Tensor) -> ag.Tensor:
        x.add_(b)
        return x * 2

    f = wrap(f)
    found = [seen(f(of(i, i))) for i in range(4)]
    return [*found, seen(f(b)), seen(b), seen(f(of(1, 1)))]


REPLAYED = [
    cheap_result_written_to, every_use_computed_again, second_derivative_of_some_inputs,
    argument_written_beside_a_variable,
]  # fmt: skip
RUN_AS_WRITTEN: list[Callable[[Wrap], Any]] = []


@pytest.mark.filterwarnings("ignore:ag.compile")
@pytest.mark.parametrize("program", [*REPLAYED, *RUN_AS_WRITTEN], ids=lambda p: p.__name__)
def test_a_program_sees_what_it_sees_uncompiled(program: Callable[[Wrap], Any]) -> None:
    made = []

    def wrap(function: Callable[..., Any]) -> Any:
        made.append(ag.compile(function))
        return made[-1]

    assert program(wrap) == program(lambda function: function)
    for f in made:
        f = getattr(f, "_compiled", f)
        if program in RUN_AS_WRITTEN:
            assert f._eager and not f.entries
        else:
            assert f.entries

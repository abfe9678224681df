"""Programs around one compiled function, as in `test_both_ways.py`: arguments, results, memory, and what may fail."""

from __future__ import annotations

from typing import Any

import pytest
from both_ways import Program, Wrap, changed_by, hold, of, seen

import autograd_core as ag
from autograd_core import nn

# -- lists and dicts that are given -----------------------------------------------------------------------


def entry_of_an_argument_assigned(wrap: Wrap) -> Any:
    def f(given: list[ag.Tensor]) -> ag.Tensor:
        given[0] = given[0] * 2
        return given[0] + 1

    f = wrap(f)
    found = []
    for i in range(4):
        given = [of(i)]
        found.append([seen(f(given)), seen(given)])
    return found


def argument_appended_to(wrap: Wrap) -> Any:
    def f(given: dict[str, list[ag.Tensor]]) -> ag.Tensor:
        given["x"].append(given["x"][0] * 2)
        return given["x"][0] + 1

    f = wrap(f)
    found = []
    for i in range(4):
        given = {"x": [of(i)]}
        found.append([seen(f(given)), seen(given)])
    return found


def argument_reversed(wrap: Wrap) -> Any:
    def f(given: list[ag.Tensor]) -> ag.Tensor:
        given.reverse()
        return given[0] * 2

    f = wrap(f)
    found = []
    for i in range(4):
        given = [of(i), of(1)]
        found.append([seen(f(given)), seen(given)])
    return found


def container_returned(wrap: Wrap) -> Any:
    kept = {"h": of(0)}

    def f(given: list[ag.Tensor]) -> Any:
        kept["h"] = given[0] * 2
        return given, kept, [given[0] * 3]

    f = wrap(f)
    found = []
    for i in range(4):
        given = [of(i)]
        same, held, new = f(given)
        found.append([same is given, held is kept, seen(held), seen(new)])
    return found


def same_argument_twice(wrap: Wrap) -> Any:
    f = wrap(lambda x, y: x * 2 if x is y else x * 3)
    g = wrap(lambda *t: t[0] * 2 if t[1] is t[2] else t[0] * 3)
    a, b, c = of(1), of(1), of(1)
    calls = [(a, b), (a, b), (a, a), (b, c), (c, c)]
    return [seen(f(*t)) for t in calls] + [seen(g(a, *t)) for t in calls]


def attribute_of_an_argument(wrap: Wrap) -> Any:
    x = of(1)
    f = wrap(lambda x: x * x.scale)
    found = []
    for i in range(4):
        x.scale = float(i)  # type: ignore[attr-defined]
        found.append(seen(f(x)))
    return found


# -- tensors that are only asked --------------------------------------------------------------------------


def dtype_of_a_parameter(wrap: Wrap) -> Any:
    m = nn.Linear(1, 1)
    return changed_by(wrap, lambda x: (x * 1).to(m.weight.dtype), lambda: m.double(), lambda: m.float())


def shape_and_layout_of_a_tensor(wrap: Wrap) -> Any:
    box = [ag.ones(2, 3)]
    return changed_by(
        wrap,
        lambda x: x * box[0].shape[0] + (1 if box[0].is_contiguous() else 2) + box[0].element_size(),
        lambda: box.__setitem__(0, ag.ones(3, 3)),
        lambda: box.__setitem__(0, ag.ones(3, 3).t()),
        lambda: box.__setitem__(0, ag.ones(3, 3, dtype=ag.float64).t()),
    )


# -- what may fail ----------------------------------------------------------------------------------------

WELL, BADLY = ag.tensor([[2.0, 0.0], [0.0, 1.0]]), ag.tensor([[0.0, 0.0], [0.0, 0.0]])


def whether_it_fails(wrap: Wrap) -> Any:
    functions = [
        lambda a: ag.linalg.inv_ex(a).info * 1,
        lambda a: ag.linalg.cholesky_ex(a).info * 1,
        lambda a: ag.linalg.solve_ex(a, a.new_ones(2)).info * 1,
        lambda a: ag.linalg.cond(a, 1) * 1,
    ]
    return [seen([f(a) for a in (WELL, WELL, BADLY, WELL)]) for f in map(wrap, functions)]


def _inverse_or_twice(a: ag.Tensor) -> ag.Tensor:
    try:
        return ag.linalg.inv(a)
    except ag.linalg.LinAlgError:
        return a * 2


def failure_that_is_caught(wrap: Wrap) -> Any:
    f = wrap(_inverse_or_twice)
    return [seen(f(a)) for a in (BADLY, BADLY, WELL, BADLY)]


def failure_that_comes_later(wrap: Wrap) -> Any:
    f = wrap(_inverse_or_twice)
    return [seen(f(a)) for a in (WELL, WELL, BADLY, WELL, BADLY)]


# -- views of what was there ------------------------------------------------------------------------------


def changed_later(result: ag.Tensor) -> str:
    try:
        result.mul_(2)
        return ""
    except RuntimeError as error:
        return str(error)[:40]


def view_of_a_parameter(wrap: Wrap) -> Any:
    w = of(1, 2).requires_grad_()
    f = wrap(lambda x: (w[:1], x * 2))
    found = []
    for _ in range(4):
        view, y = f(of(1))
        found.append([seen(y), changed_later(view), seen(w)])
    return found


def view_without_a_history(wrap: Wrap) -> Any:
    w = nn.Parameter(of(1, 2))

    def f(x: ag.Tensor) -> ag.Tensor:
        with ag.no_grad():
            v = w[:1]
            v.add_(x)
            return v

    f = wrap(f)
    found = []
    for _ in range(4):
        f(of(1))
        found.append(seen(w.detach()))
    return found


REPLAYED = [
    failure_that_comes_later, container_returned, same_argument_twice, dtype_of_a_parameter,
    shape_and_layout_of_a_tensor,
]  # fmt: skip
RUN_AS_WRITTEN = [
    attribute_of_an_argument, entry_of_an_argument_assigned, argument_appended_to, argument_reversed,
    whether_it_fails, failure_that_is_caught, view_of_a_parameter, view_without_a_history,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:ag.compile")
@pytest.mark.parametrize("program", [*REPLAYED, *RUN_AS_WRITTEN], ids=lambda p: p.__name__)
def test_a_program_sees_what_it_sees_uncompiled(program: Program) -> None:
    hold(program, replayed=program in REPLAYED)

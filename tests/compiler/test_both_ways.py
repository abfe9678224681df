"""Short programs around one compiled function: what they see is what they see of the function itself, at every call."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import pytest
from both_ways import Box, Program, Wrap, changed_by, hold, of, seen

import autograd_core as ag
from autograd_core import nn


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


# -- names and keys ---------------------------------------------------------------------------------------


def attribute_only_stored(wrap: Wrap) -> Any:
    s = Box(last=None)

    def f(x: ag.Tensor) -> ag.Tensor:
        y = x * 2
        s.last = y
        return y + 1

    f = wrap(f)
    return [(seen(f(of(i))), seen(s.last)) for i in range(4)]


stored: Any = None


def global_only_stored(wrap: Wrap) -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        global stored
        stored = x * 2
        return x + 1

    f = wrap(f)
    return [(seen(f(of(i))), seen(stored)) for i in range(4)]


def order_of_keys(wrap: Wrap) -> Any:
    f = wrap(lambda b: [v * 1 for v in b.values()])
    g = wrap(lambda **b: [v * 1 for v in b.values()])
    x, y = of(1), of(2)
    found = []
    for b in ({"x": x, "y": y}, {"y": y, "x": x}, {1: x, 2: y}, {2: y, True: x}, {"x": x, "y": y}):
        found.append([seen(list(f(b))), seen(g(x=x, y=y)), seen(g(y=y, x=x))])
    return found


def order_of_a_table(wrap: Wrap) -> Any:
    table = {"a": 2.0, "b": 3.0}
    layers = nn.ModuleDict({"a": nn.Identity(), "b": nn.Tanh()})
    f = wrap(lambda x: [x * v for v in table.values()] + [m(x) for m in layers.values()])
    found = [seen(f(of(1))) for _ in range(3)]
    table["a"] = table.pop("a")
    found += [seen(f(of(1))) for _ in range(3)]
    layers["a"] = layers.pop("a")
    return found + [seen(f(of(1))) for _ in range(3)]


def keys_that_are_no_source(wrap: Wrap) -> Any:
    inf = float("inf")
    table: dict[Any, float] = {ag.float32: 1.0, int: 2.0, inf: 3.0, (ag.int64, 1): 4.0, b"b": 5.0, None: 6.0}
    f = wrap(lambda x, d: [x * v for v in table.values()] + [v * 2 for v in d.values()])
    found = [seen(f(of(1), {"k": of(2), (1, "a"): of(3)})) for _ in range(3)]
    table[inf] = 7.0
    return found + [seen(f(of(1), {"k": of(2), (1, "a"): of(3)})) for _ in range(3)]


def keys_of_an_argument_that_are_no_source(wrap: Wrap) -> Any:
    f = wrap(lambda d: [v * 2 for v in d.values()])
    return [seen(f({ag.float32: of(2), float("nan"): of(3)})) for _ in range(3)]


def queue_that_is_rotated(wrap: Wrap) -> Any:
    queue = collections.deque([1.0, 2.0])

    def f(x: ag.Tensor) -> ag.Tensor:
        queue.rotate(1)
        return x * queue[0]

    f = wrap(f)
    return [seen(f(of(1))) for _ in range(5)]


def entry_of_a_long_list(wrap: Wrap) -> Any:
    numbers = [float(i) for i in range(100)]

    def f(x: ag.Tensor) -> ag.Tensor:
        numbers[70] += 1
        return x * numbers[70]

    f = wrap(f)
    return [seen(f(of(1))) for _ in range(5)]


# -- optimisers, and state with a history -----------------------------------------------------------------


def state_with_a_history(wrap: Wrap) -> Any:
    w = of(0.5).requires_grad_()
    st = {"h": ag.zeros(1)}

    def f(x: ag.Tensor) -> ag.Tensor:
        st["h"] = st["h"] * 0.5 + w * x
        return st["h"].sum()

    f = wrap(f)
    found = []
    for i in range(8):
        loss = f(of(i + 1))
        if i % 4 == 3:
            w.grad = None
            loss.backward()
            found.append(seen(w.grad))
            st["h"] = st["h"].detach()
        found.append(seen(loss))
    return found


class Mine(ag.optim.Optimizer):
    """Momentum by a tensor that is replaced, a count, and a factor of its own."""

    def __init__(self, params: Any, lr: float, factor: float = 1.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.1, "betas": (0.5, 0.9)})
        self.factor = factor

    def _add(self, p: ag.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        state["m"] = state.get("m", ag.zeros_like(p)) * group["betas"][0] + p.grad * self.factor
        p.sub_((state["m"] + group["weight_decay"] * p) * group["lr"])

    @ag.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                self._add(p, self.state[p], group)


class Counting(Mine):
    def _add(self, p: ag.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        state["steps"] = state.get("steps", 0) + 1
        p.sub_(p.grad * group["lr"] / state["steps"])


def trained(wrap: Wrap, kind: type[Mine]) -> Any:
    p = of(1, 2).requires_grad_()
    optimizer = kind([p], lr=0.1)

    def step(x: ag.Tensor) -> ag.Tensor:
        optimizer.zero_grad()
        loss = ((p - x) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    step = wrap(step)
    found = []
    for i in range(12):
        found += [seen(step(of(i, 1))), seen(p)]
        if i == 3:
            optimizer.factor = 2.0
        if i == 5:
            optimizer.param_groups[0]["lr"] = 0.05
        if i == 7:
            optimizer.param_groups[0]["weight_decay"] = 0.2
        if i == 9:
            optimizer.param_groups[0]["betas"] = (0.1, 0.9)
    return found


def optimiser_of_the_user(wrap: Wrap) -> Any:
    return trained(wrap, Mine)


def optimiser_that_counts(wrap: Wrap) -> Any:
    return trained(wrap, Counting)


def options_that_are_read(wrap: Wrap) -> Any:
    p = of(1).requires_grad_()
    o = ag.optim.SGD([p], lr=0.5, weight_decay=0.1)
    schedule = ag.optim.lr_scheduler.ExponentialLR(o, 0.5)
    o.step()
    return changed_by(
        wrap,
        lambda x: [x * o.param_groups[0]["lr"], x * o.param_groups[0]["weight_decay"], x * schedule.get_last_lr()[0]],
        lambda: o.param_groups[0].update(lr=0.25),
        lambda: o.param_groups[0].update(weight_decay=0.2),
        lambda: schedule.step(),
    )


def options_that_are_assigned(wrap: Wrap) -> Any:
    p = of(1).requires_grad_()
    o = ag.optim.SGD([p], lr=0.1)

    def step(x: ag.Tensor, lr: float) -> ag.Tensor:
        for g in o.param_groups:
            g["lr"] = lr
        o.zero_grad()
        loss = (p * x).sum()
        loss.backward()
        o.step()
        return loss

    step = wrap(step)
    return [(seen(step(of(1), lr)), seen(p), o.param_groups[0]["lr"]) for lr in (0.1, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1)]


def optimiser_made_inside(wrap: Wrap) -> Any:
    p = of(1).requires_grad_()

    def step(x: ag.Tensor) -> ag.Tensor:
        o = ag.optim.Adam([p], lr=0.1)
        o.zero_grad()
        loss = (p * p * x).sum()
        loss.backward()
        o.step()
        return loss

    step = wrap(step)
    return [(seen(step(of(i + 1))), seen(p)) for i in range(5)]


REPLAYED = [
    cheap_result_written_to, every_use_computed_again, second_derivative_of_some_inputs,
    argument_written_beside_a_variable, attribute_only_stored, global_only_stored, order_of_keys, order_of_a_table,
    keys_that_are_no_source, state_with_a_history, optimiser_of_the_user, options_that_are_read,
    options_that_are_assigned,
]  # fmt: skip
RUN_AS_WRITTEN = [
    keys_of_an_argument_that_are_no_source, queue_that_is_rotated, entry_of_a_long_list, optimiser_that_counts,
    optimiser_made_inside,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:ag.compile")
@pytest.mark.parametrize("program", [*REPLAYED, *RUN_AS_WRITTEN], ids=lambda p: p.__name__)
def test_a_program_sees_what_it_sees_uncompiled(program: Program) -> None:
    hold(program, replayed=program in REPLAYED)


def adjust(optimizer: Any, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


class Trainer:
    def __init__(self) -> None:
        self.w = of(1).requires_grad_()
        self.optimizer = ag.optim.SGD([self.w], lr=1.0)

    def step(self, x: ag.Tensor) -> ag.Tensor:
        self.optimizer.zero_grad()
        loss = (self.w * x).square().sum()
        loss.backward()
        self.optimizer.step()
        return loss

    def fit(self, wrap: Wrap) -> Any:
        step = wrap(self.step)
        found = []
        for i in range(6):
            found.append(seen(step(of(1))))
            adjust(self.optimizer, 0.1 / (i + 1))
            self.halve()
        return found

    def halve(self) -> None:
        self.optimizer.param_groups[0]["lr"] /= 2


def test_an_option_that_only_other_code_names_is_read_by_one_recording() -> None:
    made = []

    def wrap(function: Callable[..., Any]) -> Any:
        made.append(ag.compile(function, fullgraph=True, backend="aot_eager"))
        return made[-1]

    assert Trainer().fit(wrap) == Trainer().fit(lambda function: function)
    assert len(made[0].entries) == 1

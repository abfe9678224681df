"""What a compiled function cannot do, and what it says: each mistake once, with its message and its cure."""

from __future__ import annotations

import collections
import os
import random
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn, recorder
from autograd_core.compiler import CompileError
from autograd_core.nn import functional as F

x_of = lambda *shape: ag.arange(1, 1 + ag.Size(shape).numel(), dtype=ag.float32).reshape(shape)  # noqa: E731


# Each case makes a function, its arguments, and a part of what the error says. It is called twice: what a first call does
# once and for all is no mistake.


def item() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        return x * x.sum().item()  # line of item

    return f, (x_of(3),), r"test_compile_misuse.py:\d+: return x \* x.sum\(\).item\(\)  # line of item"


def branch() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        if x.sum() > 3:
            return x + 1
        return x - 1

    return f, (x_of(3),), r"read on the host at .*: if x.sum\(\) > 3:.*ag.where"


def host() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        return ag.tensor(x.tolist()) * 2

    return f, (x_of(3),), "a value is read on the host"


def printing() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        repr(x)
        return x * 2

    return f, (x_of(3),), r"read on the host at .*repr\(x\)"


def end_of_a_slice() -> Any:
    n = ag.tensor(2)
    return lambda x: x[:n] * 2, (x_of(3),), r"read on the host at .*x\[:n\]"


def shape_by_value() -> Any:
    return lambda x: x.nonzero(), (x_of(3),), r"shape of a result depends on values.*\(nonzero\)"


def mask() -> Any:
    return lambda x: x[x > 1].sum(), (x_of(3),), r"shape of a result depends on values.*ag.where\(mask, x, 0\)"


def unique_values() -> Any:
    return lambda x: x.unique().sum(), (x_of(3),), "shape of a result depends on values"


def appends() -> Any:
    losses: list[ag.Tensor] = []

    def f(x: ag.Tensor) -> ag.Tensor:
        losses.append(x.sum())
        return x * 2

    return f, (x_of(3),), "it changes the length of losses.*return the value"


class Counting:
    def __init__(self) -> None:
        self.steps = 0

    def step(self, x: ag.Tensor) -> ag.Tensor:
        self.steps += 1
        return x / self.steps


def counter() -> Any:
    return Counting().step, (x_of(3),), r"it changes .*\.steps \(from 1 to 2\), which a replay would not do"


class CountingModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        self.calls += 1
        return x * 2


def module_counter() -> Any:
    return CountingModule(), (x_of(3),), r"it changes CountingModule.calls \(from 1 to 2\)"


def nonlocal_counter() -> Any:
    n = 0

    def f(x: ag.Tensor) -> ag.Tensor:
        nonlocal n
        n += 1
        return x * n

    return f, (x_of(3),), r"it changes n \(from 1 to 2\)"


def scheduler() -> Any:
    p = ag.ones(3, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=0.1)
    schedule = ag.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def f(x: ag.Tensor) -> ag.Tensor:
        optimizer.zero_grad()
        loss = (p * x).sum()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    return f, (x_of(3),), r"it changes .*(param_groups\[0\]\['lr'\]|schedule).*change it outside"


def python_random() -> Any:
    return lambda x: x * random.random(), (x_of(3),), "draws from Python's `random`.*ag.rand"


def returns_object() -> Any:
    return lambda x: collections.deque([x * 2]), (x_of(3),), "it returns a deque; return tensors"


def hidden_tensor() -> Any:
    hidden = iter([ag.ones(3)] * 4)
    return lambda x: x + next(hidden), (x_of(3),), r"a tensor of shape \(3,\) and float32 that it reaches by no name"


def alias_of_parameter(whole: bool = False) -> Any:
    p = ag.ones(3, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=0.1)

    def f(x: ag.Tensor) -> ag.Tensor:
        optimizer.zero_grad()
        loss = (p * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    if whole:
        return f, (p.detach(),), "its argument x is also .*, which it reaches by itself; clone\\(\\) it"
    return f, (p.detach()[:],), "its argument x shares memory with .*, which is written to; clone\\(\\) it"


def parameter_itself() -> Any:
    return alias_of_parameter(whole=True)


def alias_of_argument() -> Any:
    memory = x_of(4)

    def f(x: ag.Tensor, y: ag.Tensor) -> ag.Tensor:
        x.mul_(2)
        return x + y

    return f, (memory[:3], memory[1:]), "its argument . shares memory with .*, which is written to"


def changes_trained_argument() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        with ag.no_grad():
            x.mul_(2)
        return x * 2

    return f, (x_of(3).requires_grad_(),), "changes its argument x, which requires grad, in place"


def changes_history() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        x.requires_grad_()
        return x * 2

    return f, (lambda: x_of(3),), "changes the history or the memory of its argument x"


class Doubled(ag.Function):
    @staticmethod
    def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
        return g * 2


def custom_function() -> Any:
    return (
        lambda x: Doubled.apply(x),
        (x_of(3).requires_grad_(),),
        "custom autograd.Function.*compile the whole training step",
    )


def hook_inside() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        y = x * 2
        y.register_hook(lambda g: g * 3)
        return y.sum()

    return f, (x_of(3).requires_grad_(),), "a hook.*compile the whole training step"


def history_on_grad() -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        loss = (x * x).sum()
        loss.backward(create_graph=True)
        return loss.detach()

    return f, (x_of(3).requires_grad_(),), "it leaves the gradient of x with a history"


def backward_to_the_outside() -> Any:
    w = ag.ones(3, requires_grad=True)

    def f(x: ag.Tensor) -> ag.Tensor:
        w.grad = None
        (x * w).sum().backward()
        return w.grad

    return f, (lambda: x_of(3) + w * 2,), "its backward goes on into a history from outside, at .*detach"


def shared_results() -> Any:
    def f(x: ag.Tensor) -> tuple[ag.Tensor, ag.Tensor]:
        y = x * 2
        return y, y.reshape(-1)

    return f, (x_of(3).requires_grad_(),), "tensors with a gradient that share memory"


def replaced_memory() -> Any:
    p = ag.ones(3, requires_grad=True)

    def f(x: ag.Tensor) -> ag.Tensor:
        p.data = x * 2
        return (p * 2).detach()

    return f, (x_of(3),), "it replaces the memory of p"


def lbfgs() -> Any:
    p = ag.ones(3, requires_grad=True)
    optimizer = ag.optim.LBFGS([p], max_iter=2)

    def f(x: ag.Tensor) -> ag.Tensor:
        def closure() -> ag.Tensor:
            optimizer.zero_grad()
            loss = ((p - x) ** 2).sum()
            loss.backward()
            return loss

        return optimizer.step(closure)

    return f, (x_of(3),), "a value is read on the host"


CASES = [
    item, branch, host, printing, end_of_a_slice, shape_by_value, mask, unique_values, appends, counter, module_counter,
    nonlocal_counter, scheduler, python_random, returns_object, hidden_tensor, alias_of_parameter, parameter_itself, alias_of_argument,
    changes_trained_argument, changes_history, custom_function, hook_inside, history_on_grad, backward_to_the_outside, shared_results,
    replaced_memory, lbfgs,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_with_fullgraph_it_is_an_error_that_says_what_to_do(case: Callable[[], Any]) -> None:
    function, arguments, message = case()
    f = ag.compile(function, fullgraph=True)
    with pytest.raises(CompileError, match=f"(?s){message}"):
        f(*made(arguments))
        f(*made(arguments))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_without_it_runs_as_it_is_with_one_warning(case: Callable[[], Any]) -> None:
    ag.manual_seed(0)
    random.seed(0)
    function, arguments, message = case()
    f = ag.compile(function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [values(f(*made(arguments))) for _ in range(4)]
    said = [str(w.message) for w in caught if "ag.compile" in str(w.message)]
    assert len(said) == 1 and "runs without being compiled" in said[0], said
    assert caught[0].filename == __file__
    ag.manual_seed(0)
    random.seed(0)
    function, arguments, _ = case()
    assert found == [values(function(*made(arguments))) for _ in range(4)]


def made(arguments: tuple[Any, ...]) -> list[Any]:
    return [a() if callable(a) and not isinstance(a, ag.Tensor) else a for a in arguments]


def values(result: Any) -> Any:
    if isinstance(result, tuple | list | collections.deque):
        return [values(r) for r in result]
    return result.tolist()


# -- arguments ----------------------------------------------------------------------------------------------------


def test_a_numpy_array_is_no_argument() -> None:
    numpy = pytest.importorskip("numpy")
    f = ag.compile(lambda x: x.sum(), fullgraph=True)
    with pytest.raises(CompileError, match=r"the argument x is a numpy.ndarray.*ag.from_numpy"):
        f(numpy.ones(3))


def test_an_object_is_no_argument() -> None:
    f = ag.compile(lambda batch: batch.x * 2, fullgraph=True)
    batch = type("Batch", (), {"x": x_of(3)})()
    with pytest.raises(
        CompileError, match="the argument batch is a .*Batch; a compiled function takes tensors, numbers"
    ):
        f(batch)
    g = ag.compile(lambda batch: batch.x * 2)
    with pytest.warns(UserWarning, match="runs without being compiled"):
        assert g(batch).tolist() == [2.0, 4.0, 6.0]


def recordings(f: Any, calls: list[tuple[Any, ...]]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for arguments in calls:
            f(*arguments)
    return [str(w.message) for w in caught]


def test_a_shape_that_keeps_changing_is_named_with_the_cure() -> None:
    f = ag.compile(lambda images, scale: (images * scale).sum(), cache_size=3)
    said = recordings(f, [(x_of(n, 2), 2.0) for n in range(1, 8)])
    assert "recorded again, as its argument images changed its shape from (1, 2) to (2, 2)" in said[0]
    assert "drop_last=True" in said[0]
    assert "the cache of 3 recordings is full: images keeps it from being replayed" in said[2]
    assert len(said) == 3 and len(f.entries) == 3


def test_a_number_that_keeps_changing_is_named_with_the_cure() -> None:
    f = ag.compile(lambda x, t: x / (t + 1))
    said = recordings(f, [(x_of(2), t) for t in range(3)])
    assert "its argument t changed from 0 to 1" in said[0] and "ag.tensor(value)" in said[0]
    assert f(x_of(2), 1).tolist() == [0.5, 1.0] and len(f.entries) == 3


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (x_of(2), x_of(2).double(), "changed its dtype from float32 to float64"),
        (x_of(2, 2), x_of(2, 2).t(), "changed its strides"),
        (x_of(2), x_of(2).requires_grad_(), "changed requires_grad"),
        (x_of(2), 3.0, "changed from Tensor to float"),
        ((x_of(2),), (x_of(2), x_of(2)), "was not given before"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_changed_is_said(first: Any, second: Any, message: str) -> None:
    if isinstance(first, ag.Tensor):
        first = first.to(ag.get_default_device())
    f = ag.compile(lambda *x: ag.ones(2) * x[0])
    first, second = (v if isinstance(v, tuple) else (v,) for v in (first, second))
    on = ag.get_default_device()
    calls = [
        tuple(v.detach().to(on).requires_grad_(v.requires_grad) if isinstance(v, ag.Tensor) else v for v in c)
        for c in (first, second)
    ]
    calls[1] = tuple(
        v if not isinstance(v, ag.Tensor) or "strides" not in message else v.t().contiguous().t() for v in calls[1]
    )
    said = recordings(f, calls)
    assert len(said) == 1 and message in said[0], said


scale = 2.0


def test_a_global_that_changed_is_named() -> None:
    global scale
    f = ag.compile(lambda x: x * scale)
    assert f(x_of(2)).tolist() == [2.0, 4.0]
    scale = 3.0
    try:
        with pytest.warns(UserWarning, match="recorded again, as scale changed"):
            assert f(x_of(2)).tolist() == [3.0, 6.0]
    finally:
        scale = 2.0
    assert f(x_of(2)).tolist() == [2.0, 4.0]


# -- results ------------------------------------------------------------------------------------------------------


def test_a_second_backward_through_a_compiled_step() -> None:
    p = ag.ones(3, requires_grad=True)

    def step(x: ag.Tensor) -> ag.Tensor:
        p.grad = None
        loss = (p * p * x).sum()
        loss.backward()
        return loss

    f = ag.compile(step, fullgraph=True)
    for _ in range(4):
        loss = f(x_of(3))
        assert loss.requires_grad
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            loss.backward()


def test_a_change_of_a_saved_tensor_before_backward() -> None:
    f = ag.compile(lambda x: (x.exp() * x).sum(), fullgraph=True)
    for _ in range(3):
        x = x_of(3).requires_grad_()
        loss = f(x)
        with ag.no_grad():
            x.mul_(2)
        with pytest.raises(RuntimeError, match=r"changed by an inplace operation \(mul_\)"):
            loss.backward()


def test_an_error_of_a_replay_is_that_of_the_operation() -> None:
    f = ag.compile(lambda table, i: F.embedding(i, table), fullgraph=True)
    table = x_of(4, 2)
    for _ in range(2):
        f(table, ag.tensor([0, 3]))
    with pytest.raises(IndexError, match="out of range"):
        f(table, ag.tensor([0, 4]))
    assert f(table, ag.tensor([3])).tolist() == [[7.0, 8.0]]


# -- what no guard sees --------------------------------------------------------------------------------------------


def test_check_finds_what_no_guard_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALE", "1")
    f = ag.compile(lambda x: x * float(os.environ["SCALE"]), check=3)
    calls = [f(x_of(2)).tolist() for _ in range(3)]
    assert calls == [[1.0, 2.0]] * 3
    monkeypatch.setenv("SCALE", "5")
    with pytest.raises(CompileError, match="the result differs by 8 .*something that no guard sees"):
        for _ in range(3):
            f(x_of(2))


def test_check_leaves_a_step_as_eager_mode_does() -> None:
    def train(check: int) -> Any:
        ag.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
        optimizer = ag.optim.Adam(model.parameters(), lr=0.1)

        @ag.compile(check=check, backend="aot_eager")
        def step(x: ag.Tensor) -> ag.Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        losses = [step(x_of(5, 3) / i).item() for i in range(1, 9)]
        return losses, [t.tolist() for t in model.state_dict().values()]

    # A checked call runs twice, so draws of random numbers, which are part of the state, are put back in between.
    assert train(2) == train(0)


# -- calls of compile itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ag.compile(3), TypeError, "expected a function or a module, got int"),
        (lambda: ag.compile(nn.Linear), TypeError, r"got the class Linear; compile an object of it"),
        (
            lambda: ag.compile(len, backend="nvfuser"),
            ValueError,
            "unknown backend 'nvfuser'; expected one of 'inductor'",
        ),
        (lambda: ag.compile(len, check=-1), ValueError, "expected check >= 0"),
        (lambda: ag.compile(len, cache_size=0), ValueError, "cache_size >= 1"),
    ],
    ids=["number", "class", "backend", "check", "cache"],
)
def test_wrong_calls_of_compile(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_several_devices() -> None:
    other = "simulated" if ag.get_default_device().type == "cpu" else "cpu"
    there = ag.ones(3, device=other)
    f = ag.compile(lambda x: (x * 2, there * 2), fullgraph=True)
    with pytest.raises(CompileError, match=r"computes on several devices \(.*\); a plan has one"):
        f(x_of(3))


def test_an_exception_in_a_recorded_step_leaves_nothing_behind() -> None:
    fails = [True]

    def step(x: ag.Tensor) -> ag.Tensor:
        y = x * 2
        if fails[0]:
            raise ZeroDivisionError("mine")
        return y

    f = ag.compile(step)
    with pytest.raises(ZeroDivisionError, match="mine"):
        f(x_of(2))
    assert recorder.recording == 0
    fails[0] = False
    assert [f(x_of(2)).tolist() for _ in range(3)] == [[2.0, 4.0]] * 3 and len(f.entries) == 1


def test_two_threads_at_once() -> None:
    f = ag.compile(lambda x: (x * 2).sum() + 1)
    results: list[Any] = []

    def run() -> None:
        for i in range(20):
            results.append((i, f(x_of(3) * i).item()))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted([(i, 12.0 * i + 1) for i in range(20)] * 4)

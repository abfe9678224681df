"""What a recording holds: what is live and what is guarded, what a replay leaves alone, and what a plan says of it."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import pytest
from test_compile_equality import noise

import autograd_core as ag
from autograd_core import nn, ones, recorder
from autograd_core.compiler.calls import results, written_by
from autograd_core.compiler.capture import record
from autograd_core.compiler.plan import ARGUMENT, LIVE, MADE
from autograd_core.nn import functional as F


class Training:
    """A model with its optimiser and step, once compiled and once eager, doing the same."""

    def __init__(self, compiled: bool, **options: Any) -> None:
        ag.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.4), nn.Linear(5, 2))
        self.optimizer = ag.optim.Adam(self.model.parameters(), **{"lr": 0.05, **options})
        model, optimizer = self.model, self.optimizer

        def step(x: ag.Tensor) -> ag.Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        self.step = ag.compile(step, fullgraph=True, backend="aot_eager") if compiled else step
        ag.manual_seed(4)

    def state(self) -> list[Any]:
        grads = [None if p.grad is None else p.grad.tolist() for p in self.model.parameters()]
        return [
            [t.tolist() for t in self.model.state_dict().values()],
            grads,
            ag.get_rng_state(ag.get_default_device()).tolist(),
        ]


def both(change: Any, **options: Any) -> Any:
    """Train, change something, train on: compiled and eager must agree bit for bit. The compiled function."""
    found = []
    for compiled in (True, False):
        training = Training(compiled, **options)
        losses = [training.step(noise(i, 4, 3)).item() for i in range(4)]
        change(training)
        losses += [training.step(noise(i, 4, 3)).item() for i in range(4, 8)]
        found.append((losses, training.state()))
        if compiled:
            step: Any = training.step
    assert found[0] == found[1]
    return step


def new_data(t: Training) -> None:
    for p in t.model.parameters():
        p.data = noise(9, *p.shape)


def load(t: Training) -> None:
    other = Training(compiled=False)
    other.step(noise(50, 4, 3))
    t.model.load_state_dict(other.model.state_dict())
    t.optimizer.load_state_dict(other.optimizer.state_dict())
    ag.manual_seed(5)


def new_gradients(t: Training) -> None:
    for p in t.model.parameters():
        p.grad = noise(9, *p.shape)


def other_statistics(t: Training) -> None:
    t.model[1].running_mean = noise(9, 5)
    t.model[1].running_var.fill_(2.0)


SAME_PLAN = {
    "nothing": lambda t: None,
    "lr": lambda t: t.optimizer.param_groups[0].update(lr=0.01),
    "betas": lambda t: t.optimizer.param_groups[0].update(betas=(0.5, 0.9)),
    "seed": lambda t: ag.manual_seed(11),
    "param.data": new_data,
    "load_state_dict": load,
    "new gradients": new_gradients,
    "statistics": other_statistics,
}


NEW_PLAN = {
    "eval": lambda t: t.model.eval(),
    "frozen": lambda t: t.model[0].weight.requires_grad_(False),
    "weight_decay": lambda t: t.optimizer.param_groups[0].update(weight_decay=0.1),
    "amsgrad": lambda t: t.optimizer.param_groups[0].update(amsgrad=True),
    "maximize": lambda t: t.optimizer.param_groups[0].update(maximize=True),
    "dropout": lambda t: setattr(t.model[3], "p", 0.1),
    "momentum": lambda t: setattr(t.model[1], "momentum", 0.5),
    "forward hook": lambda t: t.model[2].register_forward_hook(lambda m, args, out: out * 2),
    "tensor hook": lambda t: t.model[0].weight.register_hook(lambda g: g * 2),
    "step hook": lambda t: t.optimizer.register_step_post_hook(lambda o, a, k: t.model[4].bias.data.zero_()),
    "a layer": lambda t: t.model.__setitem__(2, nn.Tanh()),
    "a parameter": lambda t: setattr(t.model[1], "bias", None),
    "state": lambda t: t.optimizer.state.clear(),
    "a group": lambda t: t.optimizer.add_param_group({"params": [ag.ones(2, requires_grad=True)]}),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_PLAN)
def test_what_is_live(name: str) -> None:
    assert len(both(SAME_PLAN[name]).entries) == 1


@pytest.mark.filterwarnings("ignore:ag.compile")
@pytest.mark.parametrize("name", NEW_PLAN)
def test_what_is_guarded(name: str) -> None:
    assert len(both(NEW_PLAN[name]).entries) == 2


def test_a_gradient_forgotten_or_kept_between_calls() -> None:
    """Without zero_grad in the step, gradients accumulate where they are, and are made where there are none."""

    def train(compiled: bool) -> list[Any]:
        p = ag.ones(3, requires_grad=True)

        def step(x: ag.Tensor) -> ag.Tensor:
            loss = (p * x * p).sum()
            loss.backward()
            return loss

        run = ag.compile(step, fullgraph=True) if compiled else step
        found = []
        for i in range(12):
            if i % 4 == 0:
                p.grad = None
            if i % 4 == 2:
                kept = p.grad
            found.append((run(noise(i, 3)).item(), p.grad.tolist()))
            if i % 4 >= 2:
                assert p.grad is kept
        if compiled:
            assert len(run.entries) == 2
        return found

    assert train(True) == train(False)


def test_a_gradient_of_one_call_is_not_touched_by_the_next() -> None:
    training = Training(compiled=True)
    kept = []
    for i in range(5):
        training.step(noise(i, 4, 3))
        grad = training.model[0].weight.grad
        kept.append((grad, grad.tolist()))
    assert all(grad.tolist() == values for grad, values in kept) and len({id(g) for g, _ in kept}) == 5


def test_results_of_one_call_are_not_touched_by_the_next() -> None:
    f = ag.compile(lambda x: (x * 2, (x + 1).sum()), fullgraph=True)
    found = [f(ones(3) * i) for i in range(5)]
    assert [y.tolist() for y, _ in found] == [[2.0 * i] * 3 for i in range(5)]
    assert [s.item() for _, s in found] == [3.0 * (i + 1) for i in range(5)]


def test_dropout_differs_at_each_replay() -> None:
    f = ag.compile(lambda x: F.dropout(x, 0.5), fullgraph=True)
    ag.manual_seed(0)
    found = [f(ones(20)).tolist() for _ in range(5)]
    ag.manual_seed(0)
    assert found == [F.dropout(ones(20), 0.5).tolist() for _ in range(5)]
    assert len({str(v) for v in found}) == 5


def test_a_generator_of_the_user() -> None:
    g = ag.Generator(ag.get_default_device())
    f = ag.compile(lambda n: ag.randn(3, generator=g) + n, fullgraph=True)
    g.manual_seed(1)
    found = [f(ones(3)).tolist() for _ in range(4)]
    g.manual_seed(1)
    assert found == [(ag.randn(3, generator=g) + 1).tolist() for _ in range(4)]


class Recurrent(nn.Module):
    """Keeps a state of its own between calls."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(3, 3)
        self.register_buffer("state", ag.zeros(3))
        self.last: ag.Tensor | None = ag.zeros(3)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        self.state = (self.cell(x) + self.state).tanh().detach()
        self.last = self.state * 2
        return self.state + self.last


def test_tensors_assigned_to_attributes() -> None:
    ag.manual_seed(0)
    model = Recurrent()
    compiled = ag.compile(copy.deepcopy(model), fullgraph=True, backend="aot_eager")
    for i in range(5):
        assert compiled(noise(i, 3)).tolist() == model(noise(i, 3)).tolist()
        assert compiled.state.tolist() == model.state.tolist() and compiled.last.tolist() == model.last.tolist()
    assert "state" in compiled.state_dict() and len(compiled._compiled.entries) == 1


def test_writes_into_arguments() -> None:
    f = ag.compile(lambda x, y: x.mul_(2).add_(y), fullgraph=True)
    for _ in range(4):
        x, y = ones(3), ones(3) * 3
        version = x._version
        assert f(x, y) is x
        assert x.tolist() == [5.0] * 3 and x._version > version


def test_no_memory_is_held_beyond_what_eager_mode_holds() -> None:
    """A recording keeps no array that the step has let go."""
    freed: list[bool] = []

    def step(x: ag.Tensor) -> ag.Tensor:
        y = x * 2
        seen = weakref.ref(y._data)
        y = y + 1
        freed.append(seen() is None)
        return y

    recording = record(lambda: step(ones(1000)), strict=True)
    assert freed == [True] and recording.result.tolist() == [3.0] * 1000


def test_old_gradients_are_forgotten_before_new_ones_need_memory() -> None:
    training = Training(compiled=True)
    seen: list[bool] = []
    plan_run: Any = None
    for i in range(3):
        training.step(noise(i, 4, 3))
        (entry,) = training.step.entries
        old = weakref.ref(training.model[0].weight.grad._data)
        if i == 1:
            plan_run = entry.bound[0]

            def watching(*arrays: Any, run: Any = plan_run, old: Any = old) -> Any:
                seen.append(old() is None)
                return run(*arrays)

            entry.bound[0] = watching
    assert seen == [True]


# -- the plan ------------------------------------------------------------------------------------------------------


def test_what_a_plan_says_of_its_arrays() -> None:
    w = ag.ones(2, 3, requires_grad=True)

    def step(x: ag.Tensor) -> ag.Tensor:
        y = x @ w.t()
        y[0] += 1
        return y.detach()

    f = ag.compile(step, fullgraph=True, backend="aot_eager")
    f(ones(4, 3))
    (plan,) = f.plans
    (argument,) = plan.arguments
    assert plan.slots[argument].kind == ARGUMENT and plan.slots[argument].shape == (4, 3)
    (live,) = plan.live
    assert plan.slots[live].kind == LIVE and plan.slots[live].origin == "w"
    views = [s for s in plan.slots if s.kind == MADE and s.base == live]
    assert views and views[0].shape == (3, 2) and views[0].strides == (4, 12)
    rows = [s for s in plan.slots if s.kind == MADE and s.base not in (s.index, live)]
    assert rows and all(plan.slots[s.base].shape == (4, 2) for s in rows)
    assert not plan.written and live in plan.visible and plan.outputs[0] in plan.visible
    assert "def run(" in plan.source() and "permute" in str(plan)


def test_the_table_of_writes_is_complete() -> None:
    """Every argument that a kernel changes is listed; here for whole steps of every optimiser."""
    options = [
        ("SGD", {"momentum": 0.9}), ("Adam", {"amsgrad": True}), ("NAdam", {}), ("RAdam", {}), ("Adagrad", {}),
        ("RMSprop", {"centered": True, "momentum": 0.5}), ("Adadelta", {}), ("Adamax", {}), ("ASGD", {}), ("Rprop", {}),
        ("Adafactor", {}),
    ]  # fmt: skip
    for name, given in options:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
        optimizer = getattr(ag.optim, name)(model.parameters(), **given)

        def step(model: Any = model, optimizer: Any = optimizer) -> None:
            out = model(noise(0, 5, 3))
            (out * out + out[:, :1].clone()).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)

        step()
        with Watching(ones(1)._backend) as tape:
            step()
        assert tape.changed and not tape.unlisted, (name, tape.unlisted)


class Watching(recorder.Recorder):
    """Compares every argument before and after each call with what `written_by` says."""

    def __init__(self, backend: Any, allow_reads: bool = False) -> None:
        super().__init__(backend, allow_reads)
        self.changed: set[str] = set()
        self.unlisted: set[tuple[str, int]] = set()

    def _bytes(self, value: Any) -> bytes | None:
        if not isinstance(value, self.backend.array_type):
            return None
        self._inside += 1
        found: bytes = self.backend.to_host(value).tobytes()
        self._inside -= 1
        return found

    def _recorded(self, name: str, kernel: Any) -> Any:
        inner = super()._recorded(name, kernel)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return kernel(*args, **kwargs)
            before = [self._bytes(a) for a in args]
            count = len(self.calls)
            result = inner(*args, **kwargs)
            if len(self.calls) > count:
                listed = written_by(self.calls[count])
                for i, (a, old) in enumerate(zip(args, before)):
                    if old != self._bytes(a):
                        self.changed.add(name)
                        if self._slots[id(a)] not in listed:
                            self.unlisted.add((name, i))
            return result

        return call


@pytest.mark.parametrize("value", [1.0, float("inf")])
def test_what_a_scaled_step_writes_to_is_listed(value: float) -> None:
    model = nn.Linear(3, 2)
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)
    scaler = ag.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1)
    with Watching(ones(1)._backend, allow_reads=True) as tape:
        scaler.scale(model(noise(0, 5, 3)).sum() * value).backward()
        scaler.step(optimizer)
        scaler.update()
    assert {"unscale_", "update_scale_"} <= tape.changed and not tape.unlisted, tape.unlisted


def test_scalars_of_numpy_have_slots_of_their_own() -> None:
    """NumPy has one object for all that are true."""

    def f(x: ag.Tensor) -> ag.Tensor:
        a, b, c = x.sum() > 1, x.sum() > 2, x.sum() > 3
        return ag.stack([a, b, c, a & b, b | c])

    c = ag.compile(f, fullgraph=True)
    for value in (0.0, 1.5, 2.5, 3.5, 1.5):
        x = ones(1) * value
        assert c(x).tolist() == f(x).tolist()
    made = [k for call in c.plans[0].calls for k in results(call)]
    assert len(made) == len(set(made)) or any(written_by(call) for call in c.plans[0].calls)

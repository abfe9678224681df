"""What a recording holds: what is live, what is guarded, which calls share a plan, gradients of compiled functions."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn, recorder
from autograd_core.compiler import OptimizedModule
from autograd_core.compiler.calls import results, written_by
from autograd_core.compiler.capture import record
from autograd_core.compiler.plan import ARGUMENT, LIVE, MADE
from autograd_core.nn import functional as F


def ones(*shape: int) -> ag.Tensor:
    return ag.ones(*shape)


def noise(seed: int, *shape: int) -> ag.Tensor:
    g = ag.Generator(ag.get_default_device()).manual_seed(seed)
    return ag.randn(*shape, generator=g)


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


def test_arguments_lists_dicts_and_keywords() -> None:
    def f(batch: dict[str, Any], *more: ag.Tensor, scale: float = 1.0, flag: bool = False) -> Any:
        y = batch["x"] * scale + more[0] + batch["pair"][1]
        return {"y": y, "same": batch["x"], "flag": flag, "two": [y, (y * 2,)]}

    c = ag.compile(f, fullgraph=True)
    for i in range(4):
        x, a, b = noise(i, 2), noise(i + 10, 2), noise(i + 20, 2)
        given: Any = ({"x": x, "pair": (3, a)}, b)
        found, expected = c(*given, scale=2.0, flag=True), f(*given, scale=2.0, flag=True)
        assert found["same"] is x and found["flag"] is True and found["two"][0] is found["y"]
        assert found["two"][1][0].tolist() == expected["two"][1][0].tolist()
    assert len(c.entries) == 1


def test_one_plan_for_each_signature() -> None:
    f = ag.compile(lambda x, n: x * n, cache_size=3)
    with pytest.warns(UserWarning, match="recorded again"):
        calls = [(ones(2), 1), (ones(2), 1.0), (ones(2), True), (ones(3), 1)]
        found = [f(*c).tolist() for c in calls]
    assert found == [[1.0, 1.0]] * 3 + [[1.0] * 3] and len(f.entries) == 3
    f(ones(2), True)
    assert f.entries[0].described["n"][1] is bool  # The one used last comes first.
    f.reset()
    assert not f.entries and not f.plans


@pytest.mark.filterwarnings("ignore:ag.compile")
def test_modes_have_plans_of_their_own() -> None:
    w = ag.ones(3, requires_grad=True)
    f = ag.compile(lambda x: x * w + ag.zeros(3), fullgraph=True)
    for _ in range(2):
        assert f(ones(3)).requires_grad
        with ag.no_grad():
            assert not f(ones(3)).requires_grad
        with ag.inference_mode():
            assert f(ones(3)).is_inference()
        ag.set_default_dtype(ag.float64)
        assert f(ones(3)).dtype is ag.float64
        ag.set_default_dtype(ag.float32)
    assert len(f.entries) == 4


@pytest.mark.filterwarnings("ignore:ag.compile")
def test_autocast_has_a_plan_of_its_own() -> None:
    kind = ag.get_default_device().type
    model = nn.Linear(3, 2)
    f = ag.compile(lambda x: model(x), fullgraph=True)
    x = noise(0, 4, 3)
    for _ in range(3):
        assert f(x).dtype is ag.float32
        with ag.autocast(kind, dtype=ag.float16):
            assert f(x).dtype is ag.float16 and f(x).tolist() == model(x).tolist()
    assert len(f.entries) == 2


def test_a_compiled_function_inside_another_and_while_others_record() -> None:
    inner = ag.compile(lambda x: x * 2)
    outer = ag.compile(lambda x: inner(x) + 1, fullgraph=True)
    assert [outer(ones(2)).tolist() for _ in range(3)] == [[3.0, 3.0]] * 3 and not inner.entries
    with recorder.Recorder(ones(1)._backend) as tape:
        outer(ones(2))
    assert [call.kernel for call in tape.calls][-1] == "add"


@pytest.mark.filterwarnings("ignore:ag.compile")
def test_the_function_itself_runs_under_a_profile_and_anomaly_detection() -> None:
    f = ag.compile(lambda x: (x * 2).sqrt().sum(), fullgraph=True)
    for _ in range(3):
        f(ones(2))
    with ag.profiler.profile() as profile:
        f(ones(2))
    assert {"mul", "sqrt", "sum"} <= {event.name for event in profile.events}
    x = (-ones(2)).requires_grad_()
    f(x)
    with ag.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="returned NaN"):
        f(x).backward()


def test_is_compiling_and_reset() -> None:
    seen = []

    def f(x: ag.Tensor) -> ag.Tensor:
        if not ag.compiler.is_compiling():
            seen.append(x.sum().item())
        return x * 2

    c = ag.compile(f, fullgraph=True)
    for _ in range(3):
        assert c(ones(2)).tolist() == [2.0, 2.0]
    assert seen == [] and len(c.entries) == 1 and not ag.compiler.is_compiling()
    f(ones(2))
    ag.compiler.reset()
    assert seen == [2.0] and not c.entries


class WithMethod:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    @ag.compile
    def apply(self, x: ag.Tensor) -> ag.Tensor:
        """Doc."""
        return x * self.scale


@pytest.mark.filterwarnings("ignore:ag.compile")
def test_as_a_decorator_of_methods() -> None:
    a, b = WithMethod(2.0), WithMethod(3.0)
    for _ in range(3):
        assert a.apply(ones(1)).item() == 2.0 and b.apply(ones(1)).item() == 3.0
    a.scale = 5.0
    assert a.apply(ones(1)).item() == 5.0 and WithMethod.apply.__doc__ == "Doc."


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


def test_a_discarded_function_frees_its_model() -> None:
    model = nn.Linear(2, 2)
    seen = weakref.ref(model)
    compiled = ag.compile(model)
    for _ in range(3):
        compiled(ones(1, 2)).sum().backward()
    del model, compiled
    gc.collect()
    assert seen() is None


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

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
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


# -- gradients of compiled functions ----------------------------------------------------------------------------------


def outputs_of(x: ag.Tensor, w: ag.Tensor) -> tuple[ag.Tensor, ...]:
    h = (x @ w).tanh()
    return h, (h * h).sum(), x.exp().mean()


@pytest.mark.parametrize("mask", [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)], ids=str)
def test_gradients_of_some_of_several_results(mask: tuple[int, ...]) -> None:
    f = ag.compile(outputs_of, fullgraph=True, backend="aot_eager")
    for i in range(4):
        found = []
        for g in (f, outputs_of):
            x, w = noise(i, 3, 2).requires_grad_(), noise(i + 9, 2, 4).requires_grad_()
            total = sum((y.sum() for y, use in zip(g(x, w), mask) if use), start=ag.zeros(()))
            total.backward()
            found.append([None if t.grad is None else t.grad.tolist() for t in (x, w)])
        assert found[0] == found[1]


def test_another_mask_at_a_later_call() -> None:
    f = ag.compile(outputs_of, fullgraph=True, backend="aot_eager")
    for i, use in enumerate([0, 0, 0, 1, 1, 2, 0]):
        x, w = noise(i, 3, 2).requires_grad_(), noise(i + 9, 2, 4).requires_grad_()
        found = ag.autograd.grad(f(x, w)[use].sum(), (x, w), allow_unused=True)
        expected = ag.autograd.grad(outputs_of(x, w)[use].sum(), (x, w), allow_unused=True)
        assert [g is None or g.tolist() for g in found] == [g is None or g.tolist() for g in expected]


def test_gradients_of_gradients() -> None:
    def f(x: ag.Tensor, w: ag.Tensor) -> ag.Tensor:
        return ((x @ w).tanh().exp() * x.sum()).mean()

    c = ag.compile(f, fullgraph=True)
    for i in range(4):
        found = []
        for g in (c, f):
            x, w = noise(i, 3, 2).requires_grad_(), noise(i + 9, 2, 4).requires_grad_()
            first = ag.autograd.grad(g(x, w), (x, w), create_graph=True)
            penalty = sum((d * d).sum() for d in first)
            second = ag.autograd.grad(penalty, (x, w), create_graph=True)
            third = ag.autograd.grad(second[0].sum(), w)
            found.append([t.tolist() for t in (*first, *second, *third)])
        for a, b in zip(*found):
            assert ag.allclose(ag.tensor(a), ag.tensor(b), rtol=1e-4, atol=1e-5)


def test_retained_graphs_hooks_and_inputs_of_backward() -> None:
    w = noise(1, 3).requires_grad_()
    f = ag.compile(lambda x: (x * w).exp().sum(), fullgraph=True)
    calls: list[int] = []
    w.register_hook(lambda g: calls.append(1))
    for i in range(4):
        x = noise(i, 3).requires_grad_()
        calls.clear()
        loss = f(x)
        loss.backward(retain_graph=True)
        loss.backward(inputs=[x])
        assert len(calls) == 1
        expected = 2 * w * (x * w).exp()
        assert ag.allclose(x.grad, expected.detach())
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            loss.backward()


def test_inputs_with_a_history_and_frozen_parameters() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))
    model[2].weight.requires_grad_(False)
    c = ag.compile(model, fullgraph=True, backend="aot_eager")
    for i in range(4):
        found = []
        for m in (c, model):
            model.zero_grad()
            x = noise(i, 2, 3).requires_grad_()
            m(x.sin() * 2).sum().backward()
            found.append([x.grad.tolist(), *(None if p.grad is None else p.grad.tolist() for p in model.parameters())])
        assert found[0] == found[1] and found[0][3] is None


# -- compiled modules ---------------------------------------------------------------------------------------------------


def test_a_compiled_module_is_its_module() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    compiled = ag.compile(model)
    assert isinstance(compiled, OptimizedModule) and compiled._orig_mod is model
    assert list(compiled.state_dict()) == list(model.state_dict())
    assert all(a is b for a, b in zip(compiled.parameters(), model.parameters()))
    prefixed = {f"_orig_mod.{k}": ag.zeros(*v.shape) for k, v in model.state_dict().items()}
    compiled.load_state_dict(prefixed)
    assert model[0].weight.sum().item() == 0.0
    assert compiled.eval() is compiled and not model.training and not model[1].training and not compiled.training
    compiled.note = "mine"
    assert model.note == "mine"
    handle = compiled.register_forward_hook(lambda m, args, out: out + 1)
    assert compiled(ones(1, 3)).tolist() == [[1.0, 1.0]]
    handle.remove()
    other = copy.deepcopy(compiled)
    assert other._orig_mod is not model and other(ones(1, 3)).tolist() == [[0.0, 0.0]]
    compiled.double()
    assert model[0].weight.dtype is ag.float64
    compiled.requires_grad_(False)
    assert not model[0].weight.requires_grad
    assert "(_orig_mod): Sequential(" in repr(compiled)


class WithCompiledForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    @ag.compile(fullgraph=True)
    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return self.linear(x).tanh()


@ag.compile
def doubled(x: ag.Tensor) -> ag.Tensor:
    return x * 2


def test_a_compiled_forward_is_copied_and_pickled_with_its_module() -> None:
    model = WithCompiledForward()
    for _ in range(3):
        model(ones(4, 3)).sum().backward()
    assert list(model.state_dict()) == ["linear.weight", "linear.bias"]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with ag.no_grad():
            other.linear.weight.zero_()
            other.linear.bias.zero_()
        for _ in range(3):
            assert other(ones(4, 3)).abs().sum().item() == 0.0
        assert other.forward.entries and other.forward is not model.forward
    assert model(ones(4, 3)).abs().sum().item() > 0.0
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    method = pickle.loads(pickle.dumps(ag.compile(nn.Linear(3, 2).extra_repr)))
    assert method() == "in_features=3, out_features=2, bias=True"
    compiled = pickle.loads(pickle.dumps(ag.compile(nn.Linear(2, 1))))
    assert isinstance(compiled, OptimizedModule) and compiled(ones(1, 2)).shape == (1, 1)


def test_a_module_compiled_in_place() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = noise(0, 5, 3)
    expected = model(x).tolist()
    model.compile(fullgraph=True, backend="aot_eager")
    for _ in range(4):
        assert model(x).tolist() == expected
    assert len(model.forward.entries) == 1 and list(model.state_dict())[0] == "0.weight"
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with ag.no_grad():
            other[2].weight.zero_()
        for _ in range(3):
            assert other(x).tolist() == [other[2].bias.tolist()] * 5


@pytest.mark.parametrize("how", [{"disable": True}, {"backend": "eager"}])
def test_what_compiles_nothing(how: dict[str, Any]) -> None:
    model = nn.Linear(1, 1)
    assert ag.compile(model, **how) is model
    assert ag.compile(**how)(len) is len


def test_lazy_modules_and_first_calls() -> None:
    """What the first call does once is no objection."""
    model = ag.compile(nn.Sequential(nn.LazyLinear(4), nn.ReLU()), fullgraph=True)
    for i in range(4):
        assert model(noise(i, 2, 3)).shape == (2, 4)
    assert len(model._compiled.entries) == 1


@pytest.mark.filterwarnings("ignore:ag.compile")
def test_the_code_in_the_document_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In a module of its own, since a compiled function is recorded by the names in its code."""
    text = (Path(__file__).parents[2] / "docs" / "compile.md").read_text()
    code = "\n".join(part.split("```")[0] for part in text.split("```python")[1:])
    scope: dict[str, Any] = {"__name__": "document"}
    exec(compile(code, str(tmp_path / "document.py"), "exec"), scope)
    assert float(capsys.readouterr().out) > 0
    assert len(scope["step"].entries) == 1 and len(scope["scaled"].entries) == 1 and scope["checked"].entries


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

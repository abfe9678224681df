"""Compiled functions and modules in use: arguments, a plan for each kind of call, gradients, copies, modules."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import pytest
from test_compile_equality import noise

import autograd_core as ag
from autograd_core import nn, ones, recorder
from autograd_core.compiler import OptimizedModule


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
def test_a_method_compiled_under_another_name_is_replayed() -> None:
    class Scaled:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def slow(self, x: Any) -> Any:
            return x * self.factor

        fast = ag.compile(slow)
        nameless = ag.compile(lambda self, x: x + self.factor)

    scaled, other = Scaled(3.0), Scaled(4.0)
    for _ in range(4):
        assert scaled.fast(ag.ones(2)).tolist() == [3.0, 3.0] and other.fast(ag.ones(2)).tolist() == [4.0, 4.0]
        assert scaled.nameless(ag.ones(2)).tolist() == [4.0, 4.0]
    assert len(scaled.fast.entries) == len(other.fast.entries) == len(scaled.nameless.entries) == 1
    assert scaled.slow.__func__ is Scaled.slow


def test_as_a_decorator_of_methods() -> None:
    a, b = WithMethod(2.0), WithMethod(3.0)
    for _ in range(3):
        assert a.apply(ones(1)).item() == 2.0 and b.apply(ones(1)).item() == 3.0
    a.scale = 5.0
    assert a.apply(ones(1)).item() == 5.0 and WithMethod.apply.__doc__ == "Doc."


def test_a_discarded_function_frees_its_model() -> None:
    model = nn.Linear(2, 2)
    seen = weakref.ref(model)
    compiled = ag.compile(model)
    for _ in range(3):
        compiled(ones(1, 2)).sum().backward()
    del model, compiled
    gc.collect()
    assert seen() is None


@pytest.mark.filterwarnings("ignore:ag.compile")
def test_the_code_in_the_document_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In a module of its own, since a compiled function is recorded by the names in its code."""
    text = (Path(__file__).parents[2] / "docs" / "compile.md").read_text()
    code = "\n".join(part.split("```")[0] for part in text.split("```python")[1:])
    scope: dict[str, Any] = {"__name__": "document"}
    exec(compile(code, str(tmp_path / "document.py"), "exec"), scope)
    assert float(capsys.readouterr().out) > 0
    assert len(scope["step"].entries) == 1 and len(scope["scaled"].entries) == 1 and scope["checked"].entries


# -- gradients of compiled functions -------------------------------------------------------------------------------


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


# -- compiled modules ----------------------------------------------------------------------------------------------


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

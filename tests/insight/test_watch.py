"""`insight.watch`: the figures against the same computed by hand, and that watching disturbs nothing."""

import copy
import gc
import math
import pickle
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim


def step(model: Any, opt: Any, x: Any, y: Any) -> None:
    opt.zero_grad()
    F.cross_entropy(model(x), y).backward()
    opt.step()


def task(features: int = 5, n: int = 20) -> tuple[Any, Any]:
    return ag.randn(n, features), ag.arange(n) % 3


def mlp(act: Any = nn.Sigmoid) -> Any:
    return nn.Sequential(nn.Linear(5, 7), act(), nn.Linear(7, 6), act(), nn.Linear(6, 3))


def norm(*tensors: Any) -> float:
    return math.sqrt(sum(float(t.detach().double().square().sum()) for t in tensors))


def test_the_figures_of_a_step() -> None:
    ag.manual_seed(1)
    model, (x, y) = mlp(), task()
    reference = copy.deepcopy(model)
    with ag.insight.watch(model) as w:
        opt = optim.SGD(model.parameters(), lr=0.5)
        opt.zero_grad()
        w.loss(F.cross_entropy(model(x), y)).backward()
        opt.step()
    hidden = ag.sigmoid(reference[0](x))
    loss = F.cross_entropy(reference(x), y)
    loss.backward()
    (sample,) = w.samples
    assert [(r.layer, r.kind, r.activation) for r in sample.layers] == [
        ("0", "Linear", "sigmoid"),
        ("2", "Linear", "sigmoid"),
        ("4", "Linear", None),
    ]
    assert sample.loss == pytest.approx(float(loss), rel=1e-5)
    assert sample.input_rms == pytest.approx(float(x.square().mean(0).sqrt().amax()), rel=1e-5)
    for row, layer in zip(sample.layers, reference[::2]):
        assert row.grad_norm == pytest.approx(norm(layer.weight.grad, layer.bias.grad), rel=1e-4)
        assert row.weight_norm == pytest.approx(norm(layer.weight), rel=1e-5)
        assert row.update_ratio == pytest.approx(0.5 * norm(layer.weight.grad) / norm(layer.weight), rel=1e-3)
        assert row.changed and row.reached and row.used and row.trains
    first = sample.layers[0]
    assert first.mean == pytest.approx(float(hidden.mean()), rel=1e-4)
    assert first.variance == pytest.approx(float(hidden.var(correction=0)), rel=1e-4)
    assert first.signal == pytest.approx(float(hidden.var(0, correction=0).mean()), rel=1e-4)
    assert sample.speed_ratio == pytest.approx(first.grad_norm / sample.layers[-1].grad_norm)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("act", "values", "saturated", "dead"),
    [
        # Sigmoid: slope under 5 % of 1/4 beyond |z| = 4.35; tanh: beyond |z| = 2.18.
        (nn.Sigmoid, [-5.0, -4.2, 0.0, 4.2, 5.0], 0.4, None),
        (nn.Tanh, [-2.4, -2.0, 0.0, 2.0, 2.4], 0.4, None),
        (nn.ReLU, [-3.0, -1.0, 0.0, 1.0, 2.0], None, 0.6),
    ],
)
@pytest.mark.parametrize("functional", [False, True])
def test_saturated_and_dead(act: Any, values: list[float], saturated: Any, dead: Any, functional: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(1, 5), nn.Linear(5, 1)
            self.act = act()

        def forward(self, x: Any) -> Any:
            z = self.a(x)
            return self.b((getattr(F, act.__name__.lower())(z) if functional else self.act(z)).reshape(-1, 5))

    model = Net()
    with ag.no_grad():
        model.a.weight.zero_()
        model.a.bias.copy_(ag.tensor(values))
    with ag.insight.watch(model) as w:
        model(ag.ones(10, 1)).sum().backward()
    row = w.samples[0].layers[0]
    assert row.activation == act.__name__.lower()
    assert row.saturated == (None if saturated is None else pytest.approx(saturated))
    assert row.dead == (None if dead is None else pytest.approx(dead))


def test_a_unit_that_fires_now_and_then_is_not_dead() -> None:
    """Three units: one fires on the first batch only, one on the last only, one never."""
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with ag.no_grad():
        model[0].weight.copy_(ag.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
        model[0].bias.copy_(ag.tensor([-0.5, -0.5, -0.5]))
    with ag.insight.watch(model, every=1) as w:
        for x in ([1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]):
            model(ag.tensor([x] * 10)).sum().backward()
            with ag.no_grad():
                model[2].bias.add_(1.0)  # A step that changes nothing before the ReLU.
    assert [s.layers[0].dead for s in w.samples] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 1, 2 / 3])


def test_channels_are_the_units_of_a_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    with ag.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(ag.tensor([-1.0, 1.0, 1.0, 1.0]))
    with ag.insight.watch(model) as w:
        model(ag.ones(3, 1, 4, 4)).sum().backward()
    assert w.samples[0].layers[0].dead == pytest.approx(0.25)


def test_which_steps() -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    with ag.insight.watch(model, every=20) as w:
        for _ in range(50):
            step(model, opt, x, y)
            model.eval()
            model(x)  # Evaluation is no step,
            model.train()
            with ag.no_grad():
                model(x)  # and neither is what records nothing.
    assert [s.step for s in w.samples] == [0, 1, 4, 16, 20, 40]
    assert w.steps == 50


def test_accumulated_gradients_are_one_update() -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    with ag.insight.watch(model, every=1) as w:
        for i in range(12):
            F.cross_entropy(model(x), y).backward()
            if i % 4 == 3:
                opt.step()
                opt.zero_grad()
    assert [s.step for s in w.samples] == [0, 4, 8]
    assert all(r.update_ratio > 0 for s in w.samples for r in s.layers)  # type: ignore[operator]


@pytest.mark.parametrize(
    "make",
    [
        mlp,
        lambda: nn.Sequential(
            nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(6, 3)
        ),
    ],
    ids=["mlp", "norm, dropout, in place"],
)
def test_training_is_the_same_bit_for_bit(make: Any) -> None:
    results = []
    for watched in (False, True):
        ag.manual_seed(3)
        model, (x, y) = make(), task()
        opt = optim.Adam(model.parameters(), lr=0.01)
        w = ag.insight.watch(model, every=2) if watched else None
        for _ in range(10):
            step(model, opt, x, y)
        if w is not None:
            w.close()
            assert len(w.samples) == 6 and not w.diagnosis().illnesses
        results.append([t.tolist() for t in model.state_dict().values()])
    assert results[0] == results[1]


def test_between_watched_steps_only_the_model_has_a_hook() -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    w = ag.insight.watch(model, every=1000)
    for _ in range(3):
        step(model, opt, x, y)
    assert model._hooks is not None
    assert all(m._hooks is None for m in model.modules() if m is not model)
    assert all(p._post_hooks is None for p in model.parameters())
    w.close()
    assert model._hooks is None


def test_a_hook_of_ones_own_stays() -> None:
    model, (x, y) = mlp(), task()
    calls: list[int] = []
    model[1].register_forward_hook(lambda *a: calls.append(1))
    with ag.insight.watch(model, every=1):
        for _ in range(3):
            step(model, optim.SGD(model.parameters(), lr=0.1), x, y)
    model(x)
    assert len(calls) == 4


def test_nothing_is_read_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    reads: list[int] = []
    backend = x._backend
    to_host = backend.to_host
    monkeypatch.setattr(backend, "to_host", lambda array: (reads.append(1), to_host(array))[1], raising=False)
    with ag.insight.watch(model, every=1) as w:
        for _ in range(3):
            step(model, opt, x, y)
    assert not reads
    assert len(w.samples) == 3 and len(reads) == 3


def test_a_copy_of_the_model_is_not_watched() -> None:
    model, (x, y) = mlp(), task()
    w = ag.insight.watch(model, every=1)
    other = copy.deepcopy(model)
    for m in (model, other, other):
        step(m, optim.SGD(m.parameters(), lr=0.1), x, y)
    assert w.steps == 1 and [s.step for s in w.samples] == [0]


def test_lazy_layers_are_watched_once_they_have_parameters() -> None:
    model, (x, y) = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(3)), task()
    with ag.insight.watch(model, every=1) as w:
        model(x)
        assert w.steps == 0
        step(model, optim.SGD(model.parameters(), lr=0.1), x, y)
    assert [row.kind for row in w.samples[0].layers] == ["Linear", "Linear"]


def test_an_exception_in_forward_leaves_no_hooks() -> None:
    model = mlp()
    w = ag.insight.watch(model, every=1)
    with pytest.raises(RuntimeError):
        model(ag.ones(2, 4))
    w.close()
    assert all(m._hooks is None for m in model.modules())


def test_samples_in_the_middle_of_a_loop() -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    w = ag.insight.watch(model, every=1)
    F.cross_entropy(model(x), y).backward()
    assert w.samples == [] and "nothing was measured" in str(w.diagnosis())  # The step is not over.
    opt.step()
    assert [s.stepped for s in w.samples] == [True]


def test_half_precision_and_double() -> None:
    for dtype in (ag.float16, ag.float64):
        model = nn.Linear(4, 3).to(dtype)
        with ag.insight.watch(model) as w:
            model(ag.ones(2, 4, dtype=dtype)).sum().backward()
        assert w.samples[0].layers[0].grad_norm == pytest.approx(math.sqrt(12 * 4 + 3 * 4), rel=1e-3)


def test_a_forgotten_optimizer_step_is_named() -> None:
    model, (x, y) = mlp(), task()
    with ag.insight.watch(model, every=1) as w:
        for _ in range(100):
            F.cross_entropy(model(x), y).backward()
    assert w.diagnosis().illnesses[0] == "not updated"


@pytest.mark.parametrize(
    ("model", "every", "error", "text"),
    [
        (len, 1, TypeError, "expected an nn.Module"),
        (nn.ReLU(), 0, ValueError, "at least 1"),
        (nn.ReLU(), 1.5, ValueError, "whole number"),
    ],
)
def test_errors(model: Any, every: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ag.insight.watch(model, every)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["forward_pre_hook", "forward_hook", "full_backward_hook", "full_backward_pre_hook"])
def test_other_hooks_of_a_watched_model_are_called_at_every_step(kind: str, when: str) -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    calls: list[int] = []

    def register() -> Any:
        return getattr(model, f"register_{kind}")(lambda *_: calls.append(1))

    if when == "before":
        handle = register()
    with ag.insight.watch(model) as w:
        for i in range(12):
            if when == "after" and i == 7:  # in the middle of steps that the watch lets pass
                handle = register()
            step(model, opt, x, y)
        assert w.steps == 12
        assert [s.step for s in w.samples] == [0, 1, 4]
        assert len(calls) == (12 if when == "before" else 5)
        handle.remove()
        for _ in range(6):
            step(model, opt, x, y)
        assert w.steps == 18
    assert [s.step for s in w.samples] == [0, 1, 4, 16]
    assert len(calls) == (12 if when == "before" else 5)


def test_only_training_passes_with_gradients_count() -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    with ag.insight.watch(model) as w:
        for _ in range(10):
            step(model, opt, x, y)
            with ag.no_grad():
                model(x)
            model.eval()
            model(x)
            model.train()
            copy.deepcopy(model)(x)
        assert w.steps == 10
    assert [s.step for s in w.samples] == [0, 1, 4]
    assert model._hooks is None


def test_two_watches_of_one_model() -> None:
    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    with ag.insight.watch(model) as first:
        step(model, opt, x, y)
        with ag.insight.watch(model, every=3) as second:
            for _ in range(8):
                step(model, opt, x, y)
            assert (first.steps, second.steps) == (9, 8)
        for _ in range(9):
            step(model, opt, x, y)
    assert [s.step for s in first.samples] == [0, 1, 4, 16]
    assert [s.step for s in second.samples] == [0, 1, 3, 6]


def test_tied_weights_are_no_illness():
    ag.manual_seed(0)
    tok, head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
    head.weight = tok.weight
    model = nn.Sequential(tok, nn.Linear(8, 8), nn.ReLU(), head)
    optimizer = ag.optim.Adam(model.parameters(), 1e-2)
    x = ag.randint(0, 20, (64,))
    with ag.insight.watch(model) as w:
        for _ in range(20):
            optimizer.zero_grad()
            w.loss(nn.functional.cross_entropy(model(x), x)).backward()
            optimizer.step()
    assert "no gradient" not in str(w.diagnosis())


def test_compiled_steps_are_watched_too():
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = ag.optim.SGD(model.parameters(), lr=1e4)
    x, y = ag.randn(16, 4), ag.randint(0, 2, (16,))

    @ag.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step(x, y)
    with ag.insight.watch(model) as w:
        for _ in range(20):
            step(x, y)
    assert w.samples and w.diagnosis().findings


@pytest.mark.parametrize("inside", [False, True], ids=["the model", "a layer"])
def test_a_compiled_model_is_watched_like_the_model(inside):
    ag.manual_seed(0)
    first = nn.Linear(4, 8)
    model = nn.Sequential(ag.compile(first) if inside else first, nn.ReLU(), nn.Linear(8, 2))
    if not inside:
        model = ag.compile(model)
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)
    x, y = ag.randn(16, 4), ag.randint(0, 2, (16,))
    model(x)
    with ag.insight.watch(model) as w:
        for _ in range(6):
            optimizer.zero_grad()
            w.loss(nn.functional.cross_entropy(model(x), y)).backward()
            optimizer.step()
    rows = w.samples[0].layers
    assert [(r.layer, r.kind, r.used, r.reached) for r in rows] == [
        ("0", "Linear", True, True),
        ("2", "Linear", True, True),
    ]
    assert not w.diagnosis()


def scaled_training(w, model, optimizer, scaler, x, y, steps, clip=False, half=False):
    """The loop of the documentation of amp."""
    device = x.device.type
    for _ in range(steps):
        optimizer.zero_grad()
        with ag.autocast(device, dtype=ag.float16, enabled=half):
            loss = F.cross_entropy(model(x).float(), y)
        scaler.scale(w.loss(loss)).backward()
        if clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()


@pytest.mark.parametrize("clip", [False, True], ids=["", "clipped"])
def test_gradients_are_shown_without_the_scale_of_a_grad_scaler(clip):
    def figures(scaler):
        ag.manual_seed(0)
        model, (x, y) = mlp(nn.ReLU), task()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        with ag.insight.watch(model) as w:
            scaled_training(w, model, optimizer, scaler, x, y, 20, clip)
        assert not w.diagnosis(), w.diagnosis()
        return w.samples

    kind = ag.zeros(1).device.type
    plain = figures(ag.amp.GradScaler(kind, enabled=False))
    scaled = figures(ag.amp.GradScaler(kind, init_scale=2.0**16))
    assert [s.scale for s in plain] == [None] * 4 and [s.scale for s in scaled] == [2.0**16] * 4
    for a, b in zip(plain, scaled, strict=True):
        for row, other in zip(a.layers, b.layers, strict=True):
            assert other.grad_norm == pytest.approx(row.grad_norm, rel=1e-4)


def test_no_false_alarm_in_half_precision_and_where_the_scale_is_looked_for():
    ag.manual_seed(0)
    model, (x, y) = mlp(nn.ReLU), task()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler = ag.amp.GradScaler(x.device.type, init_scale=2.0**40)
    with ag.insight.watch(model) as w:
        scaled_training(w, model, optimizer, scaler, x, y, 12, half=True)
        assert scaler.get_scale() == 2.0**28  # Every step was skipped until now.
    (skipped,) = w.diagnosis()
    assert skipped.illness == "non-finite values" and "skipped every watched step" in skipped.evidence
    with ag.insight.watch(model) as w:
        scaled_training(w, model, optimizer, scaler, x, y, 60, half=True)
    assert scaler.get_scale() > 1 and w.samples[-1].stepped and not w.diagnosis(), w.diagnosis()


def test_what_explodes_or_is_nan_is_found_behind_a_grad_scaler():
    ag.manual_seed(0)
    model, (x, y) = nn.Sequential(*[nn.Linear(5, 5) for _ in range(6)]), task()
    for layer in model:
        nn.init.normal_(layer.weight, std=6.0)
    optimizer = optim.SGD(model.parameters(), lr=1e-9)
    with ag.insight.watch(model) as w:
        scaled_training(w, model, optimizer, ag.amp.GradScaler(x.device.type), x, y, 20)
    assert "exploding gradients" in w.diagnosis().illnesses

    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, x):
            return ag.sqrt(self.layer(x) * 0.0)  # The slope at 0 is infinite, times 0.

    model = Root()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with ag.insight.watch(model) as w:
        scaled_training(w, model, optimizer, ag.amp.GradScaler(x.device.type), x, y, 40)
    (finding,) = w.diagnosis()
    assert finding.illness == "non-finite values" and finding.layers == ["layer"]
    assert w.samples[0].scale < 1 and "gradient of layer layer" in finding.evidence


def test_measured_steps_are_forgotten():
    from autograd_core import recorder

    model, (x, y) = mlp(), task()
    opt = optim.SGD(model.parameters(), lr=0.1)
    with ag.insight.watch(model):
        step(model, opt, x, y)
        assert len(recorder.measured) == 1
    assert not recorder.measured


@pytest.mark.parametrize("model_first", [False, True])
@pytest.mark.parametrize("passes", [0, 1, 2])
def test_a_watcher_that_nobody_holds_any_more_watches_no_more(model_first, passes):
    """At once, without the collector: compiled functions are not replayed while a model is watched."""
    from autograd_core import recorder

    before = recorder.watches
    gc.disable()
    try:
        model, (x, y) = mlp(), task()
        w = ag.insight.watch(model)
        for _ in range(passes):
            F.cross_entropy(model(x), y).backward()
        assert recorder.watches == before + 1
        if model_first:
            del model
        del w
        assert recorder.watches == before and not recorder.measured
        if not model_first:
            assert all(m._hooks is None for m in model.modules())
            assert all(p._post_hooks is None for p in model.parameters())
    finally:
        gc.enable()


def test_a_pickled_model_is_not_watched():
    from autograd_core import recorder

    model, (x, y) = mlp(), task()
    before = recorder.watches
    with ag.insight.watch(model) as w:
        step(model, optim.SGD(model.parameters(), lr=0.1), x, y)
        other = pickle.loads(pickle.dumps(model))
        step(other, optim.SGD(other.parameters(), lr=0.1), x, y)
        assert w.steps == 1 and recorder.watches == before + 1
        del other
        gc.collect()
        assert recorder.watches == before + 1
    assert recorder.watches == before

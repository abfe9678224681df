"""`insight.watch`: which layer an activation belongs to, what its units are, and what of a pass is looked at."""

from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.nn.utils import parametrizations


def watched(model: Any, inputs: Any, steps: int = 4, opt: Any = None, every: int = 1) -> Any:
    opt = opt or optim.SGD(model.parameters(), lr=1e-6)
    with ag.insight.watch(model, every) as w:
        for i in range(steps):
            opt.zero_grad()
            w.loss(model(inputs(i) if callable(inputs) else inputs).square().mean()).backward()
            opt.step()
    return w


class Net(nn.Module):
    """Layers a, b, ... and a forward over them."""

    def __init__(self, forward: Any, **layers: Any) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._forward = forward

    def forward(self, *args: Any) -> Any:
        return self._forward(self, *args)


def rows(model: Any, inputs: Any, **kwargs: Any) -> dict[str, Any]:
    return {r.layer: r for r in watched(model, inputs, **kwargs).samples[-1].layers}


def dying(layer: Any, alive: int = 1) -> Any:
    """`layer` with biases so low that only the first units fire."""
    with ag.no_grad():
        layer.bias.fill_(-50.0)
        layer.bias[:alive] = 50.0
    return layer


ACROSS: list[tuple[str, Any, dict[str, str | None]]] = [
    ("two heads", lambda s, x: sum_of(F.relu(s.a(x)), s.b, s.c), {"a": "relu", "b": None, "c": None}),
    ("branches", lambda s, x: s.c(F.relu(s.a(x)) + s.b(x)), {"a": "relu", "b": None, "c": None}),
    ("dropout", lambda s, x: s.c(s.b(F.dropout(ag.tanh(s.a(x)), 0.5, s.training))), {"a": "tanh", "b": None}),
    ("before dropout", lambda s, x: s.c(s.b(F.relu(F.dropout(s.a(x), 0.5, True)))), {"a": "relu", "b": None}),
    ("residual", lambda s, x: s.c(x + F.relu(s.a(x)) + ag.sigmoid(s.b(x))), {"a": "relu", "b": "sigmoid"}),
    ("concatenated", lambda s, x: s.c(ag.cat((F.relu(s.a(x)), x), 1)[:, :4] + s.b(x)), {"a": "relu", "b": None}),
    ("sum, then activation", lambda s, x: s.c(F.relu(x + s.b(F.relu(s.a(x))))), {"a": "relu", "b": "relu"}),
    ("a second time", lambda s, x: s.c(F.relu(s.a(s.b(ag.tanh(s.a(x)))))), {"a": "tanh", "b": None}),
    ("a function's norm", lambda s, x: s.c(s.b(F.relu(F.layer_norm(s.a(x), (4,))))), {"a": "relu", "b": None}),
    ("behind the last", lambda s, x: ag.sigmoid(s.c(s.b(s.a(x)))), {"a": None, "b": None, "c": "sigmoid"}),
    ("in a dict", lambda s, x: Sums({"out": [F.relu(s.c(s.b(s.a(x))))]}), {"a": None, "b": None, "c": "relu"}),
]


class Sums(dict[str, Any]):
    def square(self) -> Any:
        return self["out"][0].square()


def sum_of(h: Any, *heads: Any) -> Any:
    return sum(head(h) for head in heads)


@pytest.mark.parametrize(("forward", "expected"), [case[1:] for case in ACROSS], ids=[case[0] for case in ACROSS])
def test_an_activation_is_that_of_the_layer_before_it(forward: Any, expected: dict[str, str | None]) -> None:
    ag.manual_seed(0)
    found = rows(Net(forward, a=nn.Linear(4, 4), b=nn.Linear(4, 4), c=nn.Linear(4, 4)), ag.randn(20, 4))
    assert {name: found[name].activation for name in expected} == expected


def test_figures_are_of_the_layer_s_own_output() -> None:
    """Not of what a sum in place makes of it, nor of another head's input."""
    model = Net(lambda s, x: s.b(s.a(x).add_(100.0)), a=nn.Linear(4, 4), b=nn.Linear(4, 1))
    x = ag.randn(20, 4)
    own = model.a(x)
    row = rows(model, x, steps=1)["a"]
    assert row.mean == pytest.approx(float(own.mean()), abs=1e-5) and abs(row.mean) < 10
    model = Net(lambda s, x: (lambda h: s.b(h) + s.c(h))(F.relu(s.a(x))), a=nn.Linear(4, 4), b=nn.Linear(4, 1),
                c=nn.Linear(4, 1))  # fmt: skip
    mean = float(model.b(F.relu(model.a(x))).mean())
    assert rows(model, x, steps=1)["b"].mean == pytest.approx(mean, rel=1e-4)


class CausalConv(nn.Conv1d):
    def forward(self, x: Any) -> Any:
        return super().forward(F.pad(x, (2, 0)))


CONVOLUTIONS: dict[str, Any] = {
    "plain": lambda: dying(nn.Conv1d(2, 10, 3)),
    "subclass": lambda: dying(CausalConv(2, 10, 3)),
    "parametrised": lambda: parametrizations.spectral_norm(dying(nn.Conv1d(2, 10, 3))),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("function", [True, False])
def test_channels_are_the_units_of_any_convolution_and_lengths_may_vary(kind: str, function: bool) -> None:
    def forward(s: Any, x: Any) -> Any:
        h = F.relu(s.a(x)) if function else s.act(s.a(x))
        return s.b(h.transpose(1, 2))[0]

    model = Net(forward, a=CONVOLUTIONS[kind](), act=nn.ReLU(), b=nn.LSTM(10, 3, batch_first=True))
    assert rows(model, lambda i: ag.randn(8, 2, 10 + i))["a"].dead == pytest.approx(0.9)


def test_where_the_shape_changes_before_the_activation_units_are_found_or_left() -> None:
    conv = dying(nn.Conv2d(1, 4, 3))
    pooled = Net(lambda s, x: s.b(F.relu(F.max_pool2d(s.a(x), 2)).flatten(1)), a=conv, b=nn.Linear(36, 1))
    assert rows(pooled, ag.rand(5, 1, 8, 8))["a"].dead == pytest.approx(0.75)
    flat = Net(lambda s, x: s.b(F.relu(s.a(x).flatten(1))), a=conv, b=nn.Linear(144, 1))
    assert rows(flat, ag.rand(5, 1, 8, 8))["a"].dead is None
    moved = Net(lambda s, x: s.b(F.relu(s.a(x).permute(0, 2, 3, 1))), a=conv, b=nn.Linear(4, 1))
    assert rows(moved, ag.rand(5, 1, 8, 8))["a"].dead == pytest.approx(0.75)


def test_the_whole_batch_decides_who_is_dead_and_what_is_not_finite() -> None:
    model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    with ag.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.fill_(-0.5)
    assert rows(model, ag.cat([ag.zeros(64, 1), ag.ones(64, 1)]))["0"].dead == 0
    with ag.no_grad():
        model[0].weight.fill_(float("inf"))
    with ag.insight.watch(model) as w:
        model(ag.ones(100, 1))
    assert w.samples[0].layers[0].nonfinite == 400


def test_small_batches_together_show_who_is_dead() -> None:
    model = nn.Sequential(dying(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 1))
    found = [s.layers[0].dead for s in watched(model, lambda i: ag.randn(2, 3), steps=6).samples]
    assert found == [None, None, None, 0.75, 0.75, 0.75]


def test_parameters_of_a_parametrisation_are_the_layer_s() -> None:
    layer = nn.Linear(3, 4)
    model = nn.Sequential(parametrizations.weight_norm(layer), nn.Tanh(), nn.Linear(4, 1))
    found = rows(model, ag.randn(10, 3))
    assert list(found) == ["0", "2"] and found["0"].activation == "tanh" and found["0"].reached


def test_what_is_watched_may_have_no_elements() -> None:
    model = nn.Sequential(nn.Linear(0, 4), nn.Linear(4, 2))
    assert len(watched(model, ag.ones(3, 0)).samples) == 4


def test_norms_beyond_float32() -> None:
    for scale in (1e-30, 1e25):
        model = nn.Linear(2, 1, bias=False).double()
        (sample,) = watched(model, ag.ones(4, 2, dtype=ag.float64) * scale, steps=1).samples
        assert 0 < sample.layers[0].grad_norm < float("inf") and not sample.layers[0].grad_nonfinite


def test_an_update_ratio_of_matrices_of_unequal_size() -> None:
    model = nn.LSTM(2000, 8)
    before = [p.detach().clone() for p in (model.weight_ih_l0, model.weight_hh_l0)]
    with ag.insight.watch(model) as w:
        model(ag.randn(3, 2, 2000))[0].sum().backward()
        with ag.no_grad():
            model.weight_ih_l0.mul_(3.0)
    norms = [float(b.square().sum()) for b in before]
    expected = 2 * (norms[0] / sum(norms)) ** 0.5
    assert w.samples[0].layers[0].update_ratio == pytest.approx(expected, rel=0.02)


def test_the_input_is_the_first_tensor_and_its_features() -> None:
    mask = nn.Transformer.generate_square_subsequent_mask(6)
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
    model = Net(lambda s, x, m: s.t(s.e(x), m), e=nn.Embedding(20, 16), t=nn.TransformerEncoder(layer, 1))
    with ag.insight.watch(model) as w:
        model(ag.randint(0, 20, (8, 6)), mask).sum().backward()
    assert w.samples[0].input_nonfinite is None
    x = ag.randn(4, 7, 10)
    x[..., 3] = 50.0
    model = Net(lambda s, x: s.a(x)[0], a=nn.LSTM(10, 3, batch_first=True))
    assert watched(model, x, steps=1).samples[0].input_rms == pytest.approx(50)
    model = Net(lambda s, x: s.a(x), a=nn.Conv1d(7, 3, 1))
    assert watched(model, x.transpose(0, 1).reshape(4, 7, 10), steps=1).samples[0].input_rms < 50
    with ag.insight.watch(nn.Linear(2, 2).half()) as w:
        w.model(ag.full((4, 2), 600.0, dtype=ag.float16))
    assert w.samples[0].input_rms == pytest.approx(600)


def test_layers_at_an_output_are_not_hidden() -> None:
    model = Net(
        lambda s, x: ag.cat((s.b(F.relu(s.a(x))), ag.sigmoid(s.c(s.a(x) + s.position))), 1),
        a=nn.Linear(4, 4), b=nn.Linear(4, 2), c=nn.Linear(4, 2), position=nn.Parameter(ag.randn(1, 4)),
    )  # fmt: skip
    found = rows(model, ag.randn(9, 4))
    assert {name: row.hidden for name, row in found.items() if name != "(model)"} == {"a": True, "b": False, "c": False}
    sample = watched(model, ag.randn(9, 4), steps=1).samples[0]
    assert sample.speed_ratio == pytest.approx(
        next(r.grad_norm for r in sample.layers if r.layer == "a")
        / next(r.grad_norm for r in sample.layers if r.layer == "c")
    )


def test_gradients_by_autograd_grad_are_seen() -> None:
    model, x = nn.Linear(3, 1), ag.randn(8, 3)
    with ag.insight.watch(model) as w:
        for _ in range(5):
            loss = w.loss(model(x).square().mean())
            for p, g in zip(model.parameters(), ag.autograd.grad(loss, list(model.parameters()))):
                p.grad = g
            optim.SGD(model.parameters(), lr=0.1).step()
    assert all(s.layers[0].grad_norm > 0 and s.layers[0].reached for s in w.samples) and not w.diagnosis()


def test_zeros_of_zero_grad_are_no_gradient() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    opt = optim.SGD(model.parameters(), lr=0.1)
    model(ag.randn(8, 3)).sum().backward()
    with ag.insight.watch(model, 1) as w:
        for _ in range(3):
            opt.zero_grad(set_to_none=False)
            model[1](model[0](ag.randn(8, 3)).detach()).sum().backward()
            model(ag.randn(8, 3))
            opt.step()
    assert not any(s.layers[0].reached for s in w.samples)


def test_summary_leaves_no_hooks() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
    ag.insight.summary(model, ag.randn(4, 8))
    watched(model, ag.randn(4, 8))
    assert all("_hooks" not in module.__dict__ for module in model.modules())

"""`insight.summary` against counts made by hand."""

from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn


def mlp(*sizes: int) -> nn.Sequential:
    return nn.Sequential(*(part for a, b in zip(sizes, sizes[1:]) for part in (nn.Linear(a, b), nn.Sigmoid())))


class Functional(nn.Module):
    """Products outside of layers count, too; one parameter serves twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        y = self.second(self.first(x))
        return y @ y.transpose(0, 1)


# name, model, input shape, parameters, multiply-adds
class Attention(nn.Module):
    def forward(self, x: Any) -> Any:
        return nn.functional.scaled_dot_product_attention(x, x, x)


COUNTS = [
    ("mlp 8-9-9-9-4", lambda: mlp(8, 9, 9, 9, 4), (1, 8), 301, 72 + 81 + 81 + 36),
    ("mlp 784-30-10", lambda: mlp(784, 30, 10), (3, 784), 23860, 3 * (784 * 30 + 300)),
    ("convolution", lambda: nn.Conv2d(1, 20, 5), (2, 1, 28, 28), 520, 2 * 20 * 24 * 24 * 25),
    ("grouped convolution", lambda: nn.Conv2d(4, 8, 3, groups=2), (1, 4, 5, 5), 8 * (2 * 9 + 1), 8 * 9 * 2 * 9),
    ("convolution of a line", lambda: nn.Conv1d(2, 3, 4), (1, 2, 10), 3 * 9, 3 * 7 * 8),
    ("transposed", lambda: nn.ConvTranspose2d(3, 6, 4, 2, 1), (1, 3, 8, 8), 3 * 6 * 16 + 6, 3 * 64 * 6 * 16),
    (
        "LSTM of two layers",
        lambda: nn.LSTM(4, 8, 2),
        (5, 2, 4),
        32 * (4 + 8 + 2) + 32 * (8 + 8 + 2),
        10 * 32 * (12 + 16),
    ),
    ("GRU both ways", lambda: nn.GRU(4, 8, bidirectional=True), (5, 2, 4), 2 * 24 * (4 + 8 + 2), 2 * 10 * 24 * 12),
    ("attention", lambda: Attention(), (3, 6, 4), 0, 2 * 3 * 6 * 6 * 4),
    ("lazy", lambda: nn.Sequential(nn.LazyLinear(5), nn.ReLU()), (2, 3), 20, 30),
    ("batch norm", lambda: nn.BatchNorm2d(5), (2, 5, 3, 3), 10, 0),
    ("functional, shared", Functional, (3, 4), 16, 3 * 4 * 4 * 2 + 3 * 3 * 4),
]


@pytest.mark.parametrize(("name", "make", "shape", "parameters", "work"), COUNTS, ids=[c[0] for c in COUNTS])
def test_counts(name: str, make: Any, shape: tuple[int, ...], parameters: int, work: int) -> None:
    s = ag.insight.summary(make(), ag.ones(*shape))
    assert (s.parameters, s.multiply_adds) == (parameters, work)
    assert sum(layer.parameters for layer in s.layers) == parameters
    assert s.parameter_bytes == 4 * parameters


def test_the_rows() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    model[0].weight.requires_grad_(False)
    s = ag.insight.summary(model, ag.ones(5, 1, 4, 4))
    assert [(row.name, row.kind, row.output_shape) for row in s.layers] == [
        ("0", "Conv2d", (5, 2, 2, 2)),
        ("1", "ReLU", (5, 2, 2, 2)),
        ("2", "Flatten", (5, 8)),
        ("3", "Linear", (5, 3)),
    ]
    assert (s.trainable, s.parameters) == (29, 47)
    text = str(s)
    assert "(5, 2, 2, 2)" in text and "trainable parameters 29 of 47" in text


def test_what_backward_keeps_is_counted_once_and_without_parameters() -> None:
    x = ag.ones(10, 4)
    # Linear keeps its input, the sigmoid its output (10 by 6 float32).
    s = ag.insight.summary(nn.Sequential(nn.Linear(4, 6), nn.Sigmoid()), x)
    assert s.kept_for_backward == x.nbytes + 10 * 6 * 4


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model[1].eval()
    before = [b.tolist() for b in model.buffers()]
    random = ag.get_rng_state().tolist()
    with ag.no_grad():
        ag.insight.summary(model, ag.ones(4, 3))
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert [b.tolist() for b in model.buffers()] == before
    assert ag.get_rng_state().tolist() == random
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._hooks and m._hooks.forward for m in model.modules())


def test_a_layer_that_forward_does_not_call_says_so() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.used(x)

    assert "not called" in str(ag.insight.summary(Idle(), ag.ones(1, 2)))


def test_only_modules() -> None:
    with pytest.raises(TypeError, match="expected an nn.Module, got function"):
        ag.insight.summary(mlp, ag.ones(1))  # type: ignore[arg-type]


class Gated(nn.Module):
    """A parameter, a product and layers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(ag.ones(4, 4))
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x: Any, scale: Any = 1.0) -> Any:
        return self.body(self.body(x)) @ self.gate * scale


class Products(nn.Module):
    """A product, but no parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gated = Gated()

    def forward(self, x: Any, *, mask: Any) -> Any:
        y = self.gated(x) * mask
        return y @ y.transpose(0, 1)


def test_rows_have_their_own_figures_and_add_up() -> None:
    s = ag.insight.summary(Products(), ag.ones(3, 4), mask=2.0)
    assert [(row.name, row.kind, row.parameters, row.multiply_adds, row.calls) for row in s.layers] == [
        ("(model)", "Products", 0, 3 * 3 * 4, 1),
        ("gated", "Gated", 16, 3 * 4 * 4, 1),
        ("gated.body.0", "Linear", 40, 2 * 3 * 32, 2),
        ("gated.body.1", "ReLU", 0, 0, 2),
        ("gated.body.2", "Linear", 36, 2 * 3 * 32, 2),
    ]
    assert sum(row.multiply_adds or 0 for row in s.layers) == s.multiply_adds
    assert "Products, its own" in str(s) and "Gated, its own" in str(s) and "Linear, its own" not in str(s)


@pytest.mark.parametrize(("name", "make", "shape", "parameters", "work"), COUNTS, ids=[c[0] for c in COUNTS])
def test_the_work_of_the_rows_adds_up(name: str, make: Any, shape: tuple[int, ...], parameters: int, work: int) -> None:
    s = ag.insight.summary(make(), ag.ones(*shape))
    assert sum(row.multiply_adds or 0 for row in s.layers) == work


def test_a_layer_that_fails_and_is_caught_leaves_the_counts_right() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(5, 5)

        def forward(self, x: Any) -> Any:
            try:
                self.second(x)
            except RuntimeError:
                return self.first(x)

    s = ag.insight.summary(Careful(), ag.ones(1, 4))
    assert s.multiply_adds == 16 and [row.multiply_adds for row in s.layers] == [16, 0]


def test_without_an_input_parameters_alone_and_what_to_give() -> None:
    s = ag.insight.summary(Products())
    assert (s.parameters, s.multiply_adds, s.call) == (92, None, "summary(model, x, mask=...)")
    assert s.parameter_bytes == 4 * 92 and all(row.multiply_adds is None for row in s.layers)
    text = str(s)
    assert "summary(model, x, mask=...)" in text and "not called" not in text and "output shape" not in text
    assert ag.insight.summary(Gated()).call == "summary(model, x)"
    assert "and the parameters of lazy layers" in str(ag.insight.summary(nn.Sequential(nn.LazyLinear(2))))
    with pytest.raises(TypeError, match="mask"):  # An input, but not all: that is the model's own error.
        ag.insight.summary(Products(), ag.ones(3, 4))


def test_a_model_that_takes_no_input_is_run() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(ag.ones(2, 2))

        def forward(self) -> Any:
            return self.w @ self.w

    assert ag.insight.summary(Constant()).multiply_adds == 8


def test_a_compiled_model_has_its_layers() -> None:
    model, x = Gated(), ag.ones(3, 4)
    plain, compiled = str(ag.insight.summary(model, x)), ag.compile(model)
    assert str(ag.insight.summary(compiled, x)) == plain
    for _ in range(3):
        compiled(x)
    assert str(ag.insight.summary(compiled, x)) == plain
    inside = ag.insight.summary(nn.Sequential(ag.compile(nn.Linear(4, 2))), x)
    assert [(row.name, row.kind, row.calls) for row in inside.layers] == [("0", "Linear", 1)]


def test_a_batch_of_a_data_set_counts_alone() -> None:
    data = ag.randn(6000, 64)
    for batch in (data[:2], data[:2].clone()):
        assert ag.insight.summary(nn.Linear(64, 5), batch).kept_for_backward == 512


@pytest.mark.parametrize("call", [lambda m: ag.insight.summary(m, (4, 64)), lambda m: ag.insight.summary(m, x=[4, 64])])
def test_a_shape_is_no_input(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"got the shape \(4, 64\).*summary\(model, ag.zeros\(4, 64\)\)"):
        call(nn.Linear(64, 5))


def test_the_projection_of_attention_is_used_without_a_call() -> None:
    text = str(ag.insight.summary(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), ag.ones(1, 3, 8)))
    assert "within attention" in text and "not called" not in text

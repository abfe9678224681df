"""The diagnosis names the illness of networks built to be sick, and is silent on healthy ones."""

from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim

Model = Any
Task = tuple[Any, Any, Callable[[Any, Any], Any]]


def classes(n: int = 64, features: int = 8, scale: float = 1.0) -> Task:
    """Three overlapping clouds of points."""
    y = ag.arange(n) % 3
    centres = ag.randn(3, features) * 1.5
    return (centres[y] + ag.randn(n, features)) / 1.8 * scale, y, F.cross_entropy


def curve(n: int = 64) -> Task:
    x = ag.linspace(-1.7, 1.7, n).unsqueeze(1)
    return x, ag.sin(2 * x), F.mse_loss


def pictures(n: int = 32) -> Task:
    y = ag.arange(n) % 2
    x = ag.randn(n, 1, 8, 8) * 0.5
    x[:, 0, 2:6, 2:6] += (y * 2.0 - 1.0).reshape(n, 1, 1)
    return x, y, F.cross_entropy


def sequences(steps: int = 12, n: int = 32) -> Task:
    x = ag.randn(steps, n, 2)
    return x, (x[0, :, 0] > 0).long(), F.cross_entropy


def mlp(
    *sizes: int, act: Callable[[], Any] = nn.ReLU, init: Callable[[Any], Any] | None = None, bias: float | None = None
) -> Model:
    parts: list[Any] = []
    for a, b in zip(sizes, sizes[1:]):
        parts += [nn.Linear(a, b), act()]
        if init is not None:
            init(parts[-2].weight)
        if bias is not None:
            nn.init.constant_(parts[-2].bias, bias)
    return nn.Sequential(*parts[:-1])


def he(w: Any) -> Any:
    return nn.init.kaiming_normal_(w, nonlinearity="relu")


def normal(std: float) -> Callable[[Any], Any]:
    return lambda w: nn.init.normal_(w, std=std)


class LastStep(nn.Module):
    """A recurrent layer, and a decision from its last output."""

    def __init__(self, kind: Callable[..., Any]) -> None:
        super().__init__()
        self.layer, self.head = kind(2, 16), nn.Linear(16, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.layer(x)[0][-1])


class Custom(nn.Module):
    """Three linear layers, with `between(x)` after the first two."""

    def __init__(self, between: Callable[[Any], Any], width: int = 16) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, 3)
        self.between = between

    def forward(self, x: Any) -> Any:
        return self.last(self.between(self.second(self.between(self.first(x)))))


class Residual(nn.Module):
    def __init__(self, depth: int, width: int = 16) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, width), nn.Linear(width, 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU()) for _ in range(depth)
        )

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.encoder = (
            nn.Embedding(11, 16),
            nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True),
        )
        self.head = nn.Linear(16, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(self.embedding(x)).mean(1))


def words(n: int = 48) -> Task:
    x = ag.randint(0, 11, (n, 6))
    return x, (x == 3).any(1).long(), F.cross_entropy


def with_nan(value: float) -> Task:
    x, y, loss = classes()
    x[3, 2] = value
    return x, y, loss


def one_huge_feature() -> Task:
    x, y, loss = classes()
    x[:, 1] = x[:, 1] * 5000 + 20000
    return x, y, loss


def cnn(act: Callable[[], Any] = nn.ReLU, norm: bool = False, convolutions: int = 2) -> Model:
    parts: list[Any] = []
    for i in range(convolutions):
        parts += [nn.Conv2d(8 if i else 1, 8, 3, padding=1), *([nn.BatchNorm2d(8)] if norm else []), act()]
    return nn.Sequential(*parts, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 2))


def with_big_recurrence(scale: float) -> Model:
    model = LastStep(lambda a, b: nn.RNN(a, b, nonlinearity="relu"))
    with ag.no_grad():
        model.layer.weight_hh_l0.copy_(ag.eye(16) * scale)
    return model


def frozen_first(model: Model) -> Model:
    model[0].requires_grad_(False)
    return model


def conv_dead() -> Model:
    model = cnn()
    nn.init.constant_(model[2].bias, -30.0)
    return model


def unused_layer() -> Model:
    model = Custom(F.relu)
    model.extra = nn.Linear(4, 4)
    return model


def sgd(lr: float, momentum: float = 0.0) -> Callable[[Model], Any]:
    return lambda model: optim.SGD(model.parameters(), lr=lr, momentum=momentum)


def adam(lr: float) -> Callable[[Model], Any]:
    return lambda model: optim.Adam(model.parameters(), lr=lr)


def summed(loss_factor: float) -> Task:
    x, y, loss = classes()
    return x, y, lambda out, y: loss(out, y) * loss_factor


class Blocks(nn.Module):
    """`between(layer, x)` for each of some layers, behind positions that are learned, too."""

    def __init__(self, between: Callable[[Any, Any], Any], count: int = 4, bias: float = 0.0, std: float = 0.2) -> None:
        super().__init__()
        self.position = nn.Parameter(ag.randn(1, 8))
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(count))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=std)
            nn.init.constant_(layer.bias, bias)
        self.head, self.between = nn.Linear(8, 3), between

    def forward(self, x: Any) -> Any:
        x = x + self.position
        for layer in self.layers:
            x = self.between(layer, x)
        return self.head(x)


class WarmUp:
    """An optimiser and a schedule that lets its learning rate grow over so many steps."""

    def __init__(self, optimizer: Any, steps: int) -> None:
        self.optimizer = optimizer
        self.schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()

    def step(self) -> None:
        self.optimizer.step()
        self.schedule.step()


class LowRank(nn.Module):
    """A frozen layer and a trained correction of low rank, which begins as zero (LoRA)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size, size).requires_grad_(False)
        self.down, self.up = nn.Linear(size, 4, bias=False), nn.Linear(4, size, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Any) -> Any:
        return self.layer(x) + self.up(self.down(x))


class Heads(nn.Module):
    """Two sigmoids at the output, which shall be certain."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 16)
        self.first, self.second = (nn.Sequential(nn.Linear(16, 1), nn.Sigmoid()) for _ in range(2))
        with ag.no_grad():
            self.first[0].bias.fill_(8.0)
            self.second[0].bias.fill_(-8.0)

    def forward(self, x: Any) -> Any:
        h = F.relu(self.body(x))
        return ag.cat((self.first(h), self.second(h)), 1)


class LeNet(nn.Module):
    """Functions between layers, and pictures whose border is black."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4 * 9, 2)
        nn.init.constant_(self.conv.bias, -0.01)

    def forward(self, x: Any) -> Any:
        return self.head(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))


def black_borders() -> Task:
    """8 x 8 in the middle of 24 x 24 pixels, in a row."""
    y = ag.arange(32) % 2
    x = ag.zeros(32, 24, 24)
    x[:, 8:16, 8:16] = ag.rand(32, 8, 8) * (0.5 + y.reshape(32, 1, 1))
    return x.flatten(1), y, F.cross_entropy


def small_pictures() -> Task:
    x, y, loss = black_borders()
    return x.reshape(32, 1, 24, 24)[:, :, 8:16, 8:16], y, loss


def zeros(layer: Any) -> Any:
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


# The case, the illness expected among the findings, model, task, optimiser.
SICK = [
    ("sigmoid, 5 hidden layers", "vanishing gradients", lambda: mlp(8, *[16] * 5, 3, act=nn.Sigmoid), classes, sgd(0.1)),
    ("sigmoid, 8 hidden layers, Adam", "vanishing gradients", lambda: mlp(8, *[16] * 8, 3, act=nn.Sigmoid), classes, adam(1e-3)),
    ("sigmoid, Glorot", "vanishing gradients", lambda: mlp(8, *[16] * 6, 3, act=nn.Sigmoid, init=nn.init.xavier_normal_), classes, sgd(0.1)),
    ("sigmoid convolutions", "vanishing gradients", lambda: cnn(nn.Sigmoid, convolutions=8), pictures, sgd(0.1)),
    ("tanh, tiny weights", "fading activations", lambda: mlp(8, *[16] * 5, 3, act=nn.Tanh, init=normal(0.02)), classes, sgd(0.1)),
    ("relu, tiny weights", "fading activations", lambda: mlp(8, *[16] * 5, 3, init=normal(0.02)), classes, sgd(0.1)),
    ("relu, unit normal weights", "growing activations", lambda: mlp(8, *[64] * 5, 3, init=normal(1.0)), classes, sgd(1e-6)),
    ("relu, large weights", "exploding gradients", lambda: mlp(8, *[32] * 6, 3, init=normal(1.0)), classes, sgd(1e-6)),
    ("large loss", "exploding gradients", lambda: mlp(8, 16, 16, 3), lambda: summed(1e5), sgd(1e-8)),
    ("recurrent, large weights", "exploding gradients", lambda: with_big_recurrence(3.0), sequences, sgd(1e-6)),
    ("tanh, large weights", "saturated units", lambda: mlp(8, 16, 16, 3, act=nn.Tanh, init=normal(3.0)), classes, sgd(0.01)),
    ("sigmoid, large weights", "saturated units", lambda: mlp(8, 16, 16, 3, act=nn.Sigmoid, init=normal(8.0)), classes, sgd(0.01)),
    ("functional tanh, large inputs to it", "saturated units", lambda: Custom(lambda z: ag.tanh(20 * z)), classes, sgd(0.001)),
    ("relu, biases of -10", "dead units", lambda: mlp(8, 16, 16, 3, bias=-10.0), classes, sgd(0.1)),
    ("functional relu, shifted", "dead units", lambda: Custom(lambda z: F.relu(z - 5)), classes, sgd(0.1)),
    ("convolution, biases of -30", "dead units", conv_dead, pictures, sgd(0.01)),
    ("relu, SGD, too large", "learning rate too large", lambda: mlp(8, 32, 32, 3), classes, sgd(100.0)),
    ("SGD, far too large", "learning rate too large", lambda: mlp(8, 16, 16, 3, act=nn.Tanh), classes, sgd(50.0)),
    ("Adam, far too large", "learning rate too large", lambda: mlp(8, 16, 16, 3), classes, adam(1.0)),
    ("regression that diverges", "learning rate too large", lambda: nn.Linear(8, 1), lambda: (*_regression(), F.mse_loss), sgd(2.0)),
    ("SGD, far too small", "learning rate too small", lambda: mlp(8, 16, 16, 3), classes, sgd(1e-7)),
    ("Adam, far too small", "learning rate too small", lambda: mlp(8, 16, 16, 3), classes, adam(1e-8)),
    ("NaN in the data", "non-finite data", lambda: mlp(8, 16, 3), lambda: with_nan(ag.nan), sgd(0.1)),
    ("infinity in the data", "non-finite data", lambda: mlp(8, 16, 3), lambda: with_nan(ag.inf), sgd(0.1)),
    ("log of negative values", "non-finite values", lambda: Custom(ag.log), classes, sgd(0.1)),
    ("division by an empty sum", "non-finite values", lambda: Custom(lambda z: z / F.relu(z - 50).sum(1, keepdim=True)), classes, sgd(0.1)),
    ("first layer frozen", "frozen layer", lambda: frozen_first(mlp(8, 16, 16, 3)), classes, sgd(0.1)),
    ("detached on the way", "no gradient", lambda: Custom(lambda z: F.relu(z).detach()), classes, sgd(0.1)),
    ("layer that forward forgot", "unused layer", unused_layer, classes, sgd(0.1)),
    ("layer not given to the optimiser", "not updated", lambda: mlp(8, 16, 16, 3), classes, lambda model: optim.SGD(model[2:].parameters(), lr=0.1)),
    ("zero initialisation", "symmetric weights", lambda: mlp(8, 16, 16, 3, init=nn.init.zeros_, bias=0.0), classes, sgd(0.1)),
    ("constant initialisation", "symmetric weights", lambda: mlp(8, 16, 16, 3, act=nn.Tanh, init=lambda w: nn.init.constant_(w, 0.2), bias=0.1), classes, sgd(0.1)),
    ("inputs of 0 to 255", "unnormalised input", lambda: mlp(8, 16, 3), lambda: classes(scale=120.0), sgd(1e-3)),
    ("one huge feature", "unnormalised input", lambda: mlp(8, 16, 3), one_huge_feature, adam(1e-3)),
    ("dead residual blocks of functions", "dead units", lambda: Blocks(lambda f, x: x + F.relu(f(x)), bias=-50.0), classes, sgd(0.01)),
    ("functional tanh before dropout", "saturated units", lambda: Blocks(lambda f, x: F.dropout(ag.tanh(f(x)), 0.1), std=8.0), classes, sgd(0.01)),
    ("tiny weights, weight norm", "fading activations", lambda: Blocks(lambda f, x: ag.tanh(f(x)), std=0.01).apply(_weight_norm), classes, sgd(0.1)),
    ("sigmoids behind positions", "vanishing gradients", lambda: Blocks(lambda f, x: ag.sigmoid(f(x)), 6), classes, sgd(0.1)),
    ("one frozen, one not given to the optimiser", "not updated", lambda: frozen_first(mlp(8, 16, 16, 3)), classes, lambda model: optim.SGD(model[4:].parameters(), lr=0.1)),
    ("one frozen, no step", "not updated", lambda: frozen_first(mlp(8, 16, 16, 3)), classes, lambda model: optim.SGD([nn.Parameter(ag.zeros(1))], lr=0.1)),
    ("tiny inputs", "unnormalised input", lambda: mlp(8, 16, 3), lambda: classes(scale=1e-4), sgd(0.1)),
]  # fmt: skip

HEALTHY = [
    ("relu, He, Adam", lambda: mlp(8, 32, 32, 3, init=he), classes, adam(1e-3)),
    ("relu, Adam, quick", lambda: mlp(8, 32, 32, 3), classes, adam(1e-2)),
    ("relu, SGD with momentum", lambda: mlp(8, 32, 32, 3), classes, sgd(0.05, 0.9)),
    ("relu, SGD, slow", lambda: mlp(8, 32, 32, 3), classes, sgd(0.003)),
    ("tanh, Glorot", lambda: mlp(8, 16, 16, 16, 3, act=nn.Tanh, init=nn.init.xavier_uniform_), classes, sgd(0.1)),
    ("one sigmoid layer", lambda: mlp(8, 16, 3, act=nn.Sigmoid), classes, sgd(0.5)),
    ("two sigmoid layers, Nielsen's", lambda: mlp(8, 30, 30, 3, act=nn.Sigmoid), classes, adam(3e-3)),
    ("ten relu layers, He", lambda: mlp(8, *[32] * 10, 3, init=he), classes, adam(1e-3)),
    ("SELU, LeCun", lambda: mlp(8, *[32] * 6, 3, act=nn.SELU, init=lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")), classes, sgd(0.03)),
    ("GELU", lambda: mlp(8, 32, 32, 3, act=nn.GELU), classes, adam(3e-3)),
    ("convolutions with batch norm", lambda: cnn(norm=True), pictures, adam(3e-3)),
    ("convolutions without", cnn, pictures, sgd(0.05, 0.9)),
    ("residual, 12 blocks", lambda: Residual(12), classes, adam(1e-3)),
    ("dropout", lambda: mlp(8, 32, 32, 3, act=lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.3))), classes, adam(3e-3)),
    ("functional relu", lambda: Custom(F.relu), classes, adam(3e-3)),
    ("LSTM", lambda: LastStep(nn.LSTM), sequences, adam(1e-2)),
    ("GRU", lambda: LastStep(nn.GRU), sequences, adam(1e-2)),
    ("transformer on words", Words, words, adam(1e-3)),
    ("linear regression", lambda: nn.Linear(8, 1), lambda: (*_regression(), F.mse_loss), sgd(0.1)),
    ("logistic regression, sigmoid at the output", lambda: nn.Sequential(nn.Linear(8, 1), nn.Sigmoid()), lambda: _two_classes(), sgd(1.0)),
    ("curve fitting", lambda: mlp(1, 32, 32, 1, act=nn.Tanh), curve, adam(1e-2)),
    ("autoencoder", lambda: mlp(8, 16, 4, 16, 8), lambda: (x := classes()[0], x, F.mse_loss), adam(3e-3)),
    ("zero output layer", lambda: _zero_head(mlp(8, 32, 32, 3)), classes, adam(3e-3)),
    ("zero output layer, slowly", lambda: _zero_head(mlp(8, 64, 64, 3)), classes, adam(3e-4)),
    ("zero output layer, warm-up", lambda: _zero_head(mlp(8, 64, 64, 3)), classes, lambda model: WarmUp(optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 100)),
    ("long warm-up", lambda: mlp(8, 32, 32, 3), classes, lambda model: WarmUp(optim.AdamW(model.parameters(), lr=3e-3), 1000)),
    ("softmax from zeros, black borders", lambda: zeros(nn.Linear(576, 2)), black_borders, sgd(0.1)),
    ("two heads that are certain", Heads, lambda: (classes()[0], ag.tensor([[1.0, 0.0]]).expand(64, 2), F.binary_cross_entropy), sgd(0.1)),
    ("functions between layers", LeNet, small_pictures, sgd(0.1)),
    ("L2 regularised", lambda: mlp(8, 32, 32, 3), classes, lambda model: optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)),
]  # fmt: skip


def _regression() -> tuple[Any, Any]:
    x = ag.randn(64, 8)
    return x, x @ ag.randn(8, 1) + 0.1 * ag.randn(64, 1)


def _two_classes() -> Task:
    x = ag.randn(64, 8)
    return x, (x[:, :1] > 0).float(), F.binary_cross_entropy


def _weight_norm(module: Any) -> None:
    if type(module) is nn.Linear:
        nn.utils.parametrizations.weight_norm(module)


def _zero_head(model: Model) -> Model:
    nn.init.zeros_(model[-1].weight)
    return model


def train(
    make: Callable[[], Model],
    task: Callable[[], Task],
    optimizer: Callable[[Model], Any],
    steps: int = 40,
    every: int = 2,
    seed: int = 0,
) -> Any:
    ag.manual_seed(seed)
    x, y, loss = task()
    model = make()
    opt = optimizer(model)
    with ag.insight.watch(model, every) as w:
        for _ in range(steps):
            opt.zero_grad()
            w.loss(loss(model(x), y)).backward()
            opt.step()
    return w


@pytest.mark.parametrize(("name", "illness", "make", "task", "optimizer"), SICK, ids=[c[0] for c in SICK])
def test_sick(name: str, illness: str, make: Any, task: Any, optimizer: Any) -> None:
    found = train(make, task, optimizer).diagnosis()
    assert illness in found.illnesses[:2], str(found)


@pytest.mark.parametrize(("name", "make", "task", "optimizer"), HEALTHY, ids=[c[0] for c in HEALTHY])
def test_healthy(name: str, make: Any, task: Any, optimizer: Any) -> None:
    found = train(make, task, optimizer).diagnosis()
    assert not found, str(found)
    found = train(make, task, optimizer, steps=450, every=200).diagnosis()
    assert not found, str(found)


class Half(nn.Module):
    """`cut` layers whose gradient is cut off, and `idle` ones that forward never calls."""

    def __init__(self, cut: int, idle: int) -> None:
        super().__init__()
        self.cut = nn.ModuleList(nn.Linear(8, 8) for _ in range(cut))
        self.idle = nn.ModuleList(nn.Linear(8, 8) for _ in range(idle))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        for layer in self.cut:
            x = F.relu(layer(x))
        return self.head(x.detach())


def test_an_unused_layer_is_not_called_cut_off() -> None:
    found = {f.illness: f for f in train(lambda: Half(1, 1), classes, sgd(0.1)).diagnosis()}
    assert set(found) == {"no gradient", "unused layer"}
    assert found["no gradient"].layers == ["cut.0"] and found["unused layer"].layers == ["idle.0"]
    cut, idle = found["no gradient"].evidence, found["unused layer"].evidence
    assert cut == "layer cut.0 (Linear) is cut off: forward called it, and backward brought no gradient"
    assert idle == "layer idle.0 (Linear) is never called in forward, and gets no gradient"
    cut, idle = (f.evidence for f in train(lambda: Half(2, 5), classes, sgd(0.1)).diagnosis())
    assert cut.startswith("layers cut.0 (Linear) and cut.1 (Linear) are cut off: forward called them, and")
    assert idle == (
        "layers idle.0 (Linear), idle.1 (Linear), idle.2 (Linear) and 2 more are never called in forward, and get "
        "no gradient"
    )


def _first_two(model: Model) -> Any:
    return optim.SGD([*model[4:].parameters()], lr=0.1)


def _frozen(count: int) -> Model:
    model = mlp(8, 16, 16, 3)
    for layer in [model[0], model[2]][:count]:
        layer.requires_grad_(False)
    return model


def test_a_low_rank_correction_is_healthy() -> None:
    def reconstruction() -> Task:
        x, _, _ = classes()
        return x, x, F.mse_loss

    found = train(lambda: nn.Sequential(LowRank(8), nn.ReLU(), LowRank(8)), reconstruction, adam(3e-3), steps=450)
    assert found.diagnosis().illnesses == ["frozen layer"]


def test_a_loss_that_is_not_finite_alone() -> None:
    model = mlp(8, 16, 3)
    with ag.insight.watch(model) as w:
        w.loss(model(classes()[0]).sum() * 0 + float("nan"))
    (found,) = [f for f in w.diagnosis() if f.illness == "non-finite values"]
    assert found.evidence == "at step 0 the loss is not finite, while all outputs and gradients are"


def test_one_and_several() -> None:
    def only(make: Any, optimizer: Any, **options: Any) -> Any:
        return next(iter(train(make, classes, optimizer, **options).diagnosis()))

    some = only(lambda: mlp(8, 16, 16, 3), _first_two)
    assert some.evidence == "layers 0 (Linear) and 2 (Linear) have gradients but never change, while others do"
    assert some.cure == "give their parameters to the optimiser"
    one = only(lambda: mlp(8, 16, 16, 3), lambda model: optim.SGD(model[2:].parameters(), lr=0.1))
    assert one.evidence == "layer 0 (Linear) has gradients but never changes, while others do"
    assert one.cure == "give its parameters to the optimiser"
    assert only(lambda: _frozen(1), sgd(0.1)).evidence == (
        "layer 0 (Linear) does not train: its parameters have requires_grad=False"
    )
    assert only(lambda: _frozen(2), sgd(0.1)).evidence == (
        "layers 0 (Linear) and 2 (Linear) do not train: their parameters have requires_grad=False"
    )
    assert str(train(lambda: mlp(8, 16, 3), classes, sgd(0.1), steps=1).diagnosis()) == (
        "no illness found in 1 watched step"
    )
    assert str(train(lambda: mlp(8, 16, 3), classes, sgd(0.1), steps=2).diagnosis()) == (
        "no illness found in 2 watched steps"
    )


def test_one_and_several_values_that_are_not_finite() -> None:
    def with_nan(count: int) -> Any:
        x, y, loss = classes()
        x[0, :count] = float("nan")
        return x, y, loss

    for count, words in ((1, "1 value is NaN or infinite"), (3, "3 values are NaN or infinite")):
        found = train(lambda: mlp(8, 16, 3), lambda n=count: with_nan(n), sgd(0.1)).diagnosis()
        assert next(iter(found)).evidence == f"in the input of step 0, {words}"

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(8, 16, 3)
            nn.init.constant_(self.body[-1].bias, float("inf"))

        def forward(self, x: Any) -> Any:
            return self.body(x)

    found = next(iter(train(Last, classes, sgd(0.1), steps=1).diagnosis()))
    assert found.evidence == "at step 0 the output of layer body.2 (Linear) is not finite, the first of 2 such layers"
    assert found.layers == ["body.0", "body.2"]  # That of the gradient of the first comes later.

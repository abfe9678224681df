"""Networks, tasks and training loops, sick and healthy."""

from collections.abc import Callable
from typing import Any

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


def scaled(task: Task, factor: float) -> Task:
    x, y, loss = task
    return x * factor, y, loss


def on_outputs(function: Callable[[Any], Any]) -> Task:
    """The loss of what `function` makes of the outputs."""
    x, y, loss = classes()
    return x, y, lambda z, y: loss(function(z), y)


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


def regression() -> tuple[Any, Any]:
    x = ag.randn(64, 8)
    return x, x @ ag.randn(8, 1) + 0.1 * ag.randn(64, 1)


def two_classes() -> Task:
    x = ag.randn(64, 8)
    return x, (x[:, :1] > 0).float(), F.binary_cross_entropy


def weight_norm(module: Any) -> None:
    if type(module) is nn.Linear:
        nn.utils.parametrizations.weight_norm(module)


def zero_head(model: Model) -> Model:
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

"""Compiled training is eager training: whole steps of models, every optimiser, compiled models in eager steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn
from autograd_core.nn import functional as F

Step = Callable[..., Any]
Made = tuple[list[nn.Module], list[Any], Step, Callable[[int], tuple[Any, ...]]]


def noise(seed: int, *shape: int) -> ag.Tensor:
    g = ag.Generator(ag.get_default_device()).manual_seed(seed)
    return ag.randn(*shape, generator=g)


def classes(seed: int, n: int, *shape: int) -> ag.Tensor:
    g = ag.Generator(ag.get_default_device()).manual_seed(seed)
    return ag.randint(0, n, shape, generator=g)


# -- models, each with its training step and batches ----------------------------------------------------------


def mlp() -> Made:
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = ag.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)

    def step(x: ag.Tensor, y: ag.Tensor) -> ag.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return [model], [optimizer], step, lambda i: (noise(i, 8, 6), classes(i, 4, 8))


def cnn() -> Made:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3),
        nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6, momentum=None), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip
    optimizer = ag.optim.AdamW(model.parameters(), lr=0.01)

    def step(x: ag.Tensor, y: ag.Tensor) -> ag.Tensor:
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return [model], [optimizer], step, lambda i: (noise(i, 4, 1, 8, 8), classes(i, 3, 4))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.lstm = nn.LSTM(6, 8, num_layers=2, dropout=0.2, batch_first=True)
        self.out = nn.Linear(8, 11)

    def forward(self, tokens: ag.Tensor) -> ag.Tensor:
        hidden, _ = self.lstm(self.embedding(tokens))
        return self.out(hidden)


def lstm() -> Made:
    model = Words()
    optimizer = ag.optim.Adam(model.parameters(), lr=0.01)

    def step(tokens: ag.Tensor) -> ag.Tensor:
        optimizer.zero_grad(set_to_none=False)
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return [model], [optimizer], step, lambda i: (classes(i, 11, 3, 6),)


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1))

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        n, t, c = x.shape
        q, k, v = (p.reshape(n, t, self.heads, -1).transpose(1, 2) for p in self.qkv(self.norm1(x)).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, c))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(13, 8), nn.Embedding(6, 8)
        self.blocks = nn.ModuleList([Block(8, 2) for _ in range(2)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 13, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: ag.Tensor) -> ag.Tensor:
        x = self.tokens(tokens) + self.places(ag.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def gpt() -> Made:
    model = Gpt()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = ag.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=3e-3)

    def step(tokens: ag.Tensor, targets: ag.Tensor) -> ag.Tensor:
        loss = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    def batch(i: int) -> tuple[ag.Tensor, ag.Tensor]:
        text = classes(i, 13, 3, 7)
        return text[:, :-1], text[:, 1:]  # Views of one memory, as in practice.

    return [model], [optimizer], step, batch


def vae() -> Made:
    encoder, decoder = nn.Linear(6, 8), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6))
    optimizer = ag.optim.RMSprop([*encoder.parameters(), *decoder.parameters()], lr=1e-3, momentum=0.5)

    def step(x: ag.Tensor) -> tuple[ag.Tensor, dict[str, ag.Tensor]]:
        optimizer.zero_grad()
        mean, logvar = encoder(x).chunk(2, dim=1)
        z = mean + ag.randn_like(mean) * (0.5 * logvar).exp()
        fit = F.mse_loss(decoder(z), x, reduction="sum")
        divergence = -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum()
        loss = fit + divergence
        loss.backward()
        optimizer.step()
        return loss, {"fit": fit.detach(), "divergence": divergence.detach()}

    return [encoder, decoder], [optimizer], step, lambda i: (noise(i, 5, 6),)


def gan() -> Made:
    generator = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(0.2), nn.Linear(8, 4))
    critic = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Linear(8, 1))
    for_generator = ag.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
    for_critic = ag.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))

    def step(real: ag.Tensor) -> tuple[ag.Tensor, ag.Tensor]:
        fake = generator(ag.randn(real.shape[0], 3))
        for_critic.zero_grad()
        ones, zeros = ag.ones(real.shape[0], 1), ag.zeros(real.shape[0], 1)
        score = F.binary_cross_entropy_with_logits
        lost = score(critic(real), ones) + score(critic(fake.detach()), zeros)
        between = (0.5 * real + 0.5 * fake.detach()).requires_grad_()
        (slope,) = ag.autograd.grad(critic(between).sum(), between, create_graph=True)
        lost = lost + 0.1 * ((slope.norm(dim=1) - 1) ** 2).mean()
        lost.backward()
        for_critic.step()
        for p in critic.parameters():
            p.requires_grad_(False)
        for_generator.zero_grad()
        fooled = score(critic(fake), ones)
        fooled.backward()
        for_generator.step()
        for p in critic.parameters():
            p.requires_grad_(True)
        return lost, fooled

    return [generator, critic], [for_generator, for_critic], step, lambda i: (noise(i, 6, 4),)


MODELS = {f.__name__: f for f in (mlp, cnn, lstm, gpt, vae, gan)}


# -- running and comparing --------------------------------------------------------------------------------------


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in leaves(value[key])]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list | tuple) else [value]


def train(make: Callable[[], Made], steps: int, backend: str) -> dict[str, Any]:
    """What a training leaves behind; a scheduler changes the learning rate as it goes."""
    ag.manual_seed(1)
    modules, optimizers, step, batch = make()
    schedulers = [ag.optim.lr_scheduler.CosineAnnealingLR(o, T_max=steps) for o in optimizers]
    run = ag.compile(step, fullgraph=True, backend=backend)
    ag.manual_seed(2)
    results = []
    for i in range(steps):
        results.append([t.item() for t in leaves(run(*batch(i)))])
        for scheduler in schedulers:
            scheduler.step()
    if backend != "eager":
        assert 1 <= len(run.entries) <= 2, run.entries
    grads = [p.grad for m in modules for p in m.parameters()]
    return {
        "results": results,
        "modules": [{k: t.tolist() for k, t in m.state_dict().items()} for m in modules],
        "grads": [None if g is None else g.tolist() for g in grads],
        "state": [
            [{k: t.tolist() for k, t in s.items()} for s in o.state_dict()["state"].values()] for o in optimizers
        ],
        "random": ag.get_rng_state(ag.get_default_device()).tolist(),
    }


def flat(value: Any) -> list[float]:
    return [float("nan") if v is None else float(v) for v in leaves(value)]


def assert_close(found: dict[str, Any], expected: dict[str, Any], tolerance: float) -> None:
    assert found["random"] == expected["random"]
    for what, value in expected.items():
        a, b = flat(found[what]), flat(value)
        assert len(a) == len(b), what
        scale = max((abs(v) for v in b if v == v), default=0.0)
        worst = max((abs(x - y) for x, y in zip(a, b) if not (x != x and y != y)), default=0.0)
        assert worst <= tolerance * max(scale, 1e-30), f"{what}: {worst} of {scale}"


@pytest.mark.parametrize("name", MODELS)
def test_a_plan_without_passes_is_eager_mode_bit_for_bit(name: str) -> None:
    assert train(MODELS[name], 8, "aot_eager") == train(MODELS[name], 8, "eager")


@pytest.mark.parametrize("steps", [30, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MODELS)
def test_many_steps_in_float64(name: str, steps: int) -> None:
    ag.set_default_dtype(ag.float64)
    assert_close(train(MODELS[name], steps, "inductor"), train(MODELS[name], steps, "eager"), 1e-10)


@pytest.mark.parametrize("steps", [10, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MODELS)
def test_many_steps_in_float32(name: str, steps: int) -> None:
    found, expected = train(MODELS[name], steps, "inductor"), train(MODELS[name], steps, "eager")
    assert_close(found, expected, 1e-4)
    for a, b in zip(found["results"][-1], expected["results"][-1]):
        assert abs(a - b) <= 0.01 * abs(b)


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.01, "betas": (0.9, 0.99)}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr": 0.05, "lr_decay": 0.1}),
    ("Adadelta", {"lr": 0.5}),
    ("Adamax", {"lr": 0.01, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.05, "t0": 2}),
    ("Rprop", {"lr": 0.01}),
    ("Adafactor", {"lr": 0.05}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=lambda v: v if isinstance(v, str) else "-".join(v))
def test_every_optimiser(name: str, options: dict[str, Any]) -> None:
    ag.set_default_dtype(ag.float64)

    def make() -> Made:
        model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2))
        optimizer = getattr(ag.optim, name)(model.parameters(), **options)

        def step(x: ag.Tensor, y: ag.Tensor) -> ag.Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return [model], [optimizer], step, lambda i: (noise(i, 6, 5), noise(1000 + i, 6, 2))

    assert_close(train(make, 15, "inductor"), train(make, 15, "eager"), 1e-10)
    assert train(make, 4, "aot_eager") == train(make, 4, "eager")


@pytest.mark.parametrize("name", ["mlp", "cnn", "lstm", "gpt"])
def test_a_compiled_model_in_an_eager_step(name: str) -> None:
    """Forward and backward replayed as two plans, the optimiser's step eager."""
    ag.set_default_dtype(ag.float64)
    ag.manual_seed(1)
    (model,), _, _, batch = MODELS[name]()
    other = copy.deepcopy(model)
    compiled = ag.compile(other, fullgraph=True)
    optimizers = [ag.optim.Adam(m.parameters(), lr=0.01) for m in (model, compiled)]
    for i in range(8):
        losses = []
        for m, optimizer in zip((model, compiled), optimizers):
            ag.manual_seed(i)
            inputs = batch(i)
            out = m(inputs[0])
            targets = inputs[1] if len(inputs) > 1 else inputs[0]
            loss = F.cross_entropy(out.flatten(0, -2), targets.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    for a, b in zip(model.state_dict().values(), compiled.state_dict().values()):
        assert ag.allclose(a, b, rtol=1e-9, atol=1e-12)
    assert len(compiled._compiled.plans) == 2


# -- layers -----------------------------------------------------------------------------------------------------


def layers() -> dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]]:
    """A layer and the shapes of its inputs; a word for token numbers."""
    sequence = (2, 5, 8)
    return {
        "Conv1d": (lambda: nn.Conv1d(3, 4, 3), ((2, 3, 8),)),
        "Conv3d": (lambda: nn.Conv3d(2, 3, 2), ((1, 2, 4, 4, 4),)),
        "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 2, 3, stride=2), ((2, 3, 4, 4),)),
        "GroupNorm": (lambda: nn.GroupNorm(2, 4), ((2, 4, 5),)),
        "InstanceNorm2d": (lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), ((2, 3, 4, 4),)),
        "RMSNorm": (lambda: nn.RMSNorm(6), ((2, 6),)),
        "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), ((1, 4, 3, 3),)),
        "attention": (lambda: nn.MultiheadAttention(8, 2, batch_first=True), (sequence,) * 3),
        "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (sequence,)),
        "decoder": (lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), (sequence, (2, 4, 8))),
        "GRU": (lambda: nn.GRU(4, 5, 2, batch_first=True, bidirectional=True, dropout=0.2), ((2, 3, 4),)),
        "RNN": (lambda: nn.RNN(4, 5), ((3, 2, 4),)),
        "LSTM": (lambda: nn.LSTM(4, 5, proj_size=3), ((3, 2, 4),)),
        "LSTMCell": (lambda: nn.LSTMCell(4, 5), ((2, 4),)),
        "activations": (
            lambda: nn.Sequential(nn.PReLU(), nn.ELU(), nn.SELU(), nn.Mish(), nn.Hardswish(), nn.LogSigmoid()), ((3, 4),),
        ),
        "pooling": (
            lambda: nn.Sequential(nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.AdaptiveMaxPool2d(1)), ((1, 2, 8, 8),),
        ),
        "random pooling": (lambda: nn.FractionalMaxPool2d(2, output_size=2), ((1, 2, 6, 6),)),
        "upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), ((1, 2, 3, 3),)),
        "Bilinear": (lambda: nn.Bilinear(3, 4, 2), ((2, 3), (2, 4))),
        "EmbeddingBag": (lambda: nn.EmbeddingBag(10, 3), ("tokens",)),
        "renormed embedding": (lambda: nn.Embedding(10, 3, max_norm=1.0), ("tokens",)),
        "AlphaDropout": (lambda: nn.Sequential(nn.AlphaDropout(0.5), nn.Dropout1d(0.5)), ((2, 3, 4),)),
        "distances": (lambda: nn.CosineSimilarity(), ((3, 4), (3, 4))),
        "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)), ((2, 4),)),
        "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), ((2, 4),)),
    }  # fmt: skip


def tensors(value: Any) -> list[ag.Tensor]:
    if isinstance(value, list | tuple):
        return [t for part in value for t in tensors(part)]
    return [value] if isinstance(value, ag.Tensor) else []


@pytest.mark.parametrize("name", layers())
def test_layers_bit_for_bit(name: str) -> None:
    """Values, gradients and what the layer keeps, in training; a result that is recorded, then replayed."""
    make, shapes = layers()[name]
    ag.manual_seed(0)
    eager = make()
    compiled = ag.compile(copy.deepcopy(eager), fullgraph=True, backend="aot_eager")
    for i in range(4):
        found = []
        for m in (eager, compiled):
            m.zero_grad()
            ag.manual_seed(i)
            inputs = [
                classes(i, 10, 3, 4) if s == "tokens" else noise(i + j, *s).requires_grad_()
                for j, s in enumerate(shapes)
            ]
            outputs = tensors(m(*inputs))
            sum((t * t).sum() for t in outputs if t.requires_grad).backward()
            grads = [t.grad for t in (*inputs, *m.parameters())]
            found.append(
                [t.tolist() for t in (*outputs, *m.state_dict().values(), *(g for g in grads if g is not None))]
            )
        assert found[0] == found[1]
    assert len(compiled._compiled.plans) == 2

"""The CPU against a CUDA device, same seed: equal weights and masks to the bit, losses within rounding; and two runs on
the device equal to the bit. On a GPU where the run is on one, else on the simulated device, in fewer steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn


class LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(11, 8), nn.LSTM(8, 12, 2, batch_first=True, dropout=0.2)
        self.out = nn.Linear(12, 11)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(self.embed(x))[0][:, -1])


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.places, self.norm = nn.Embedding(11, 16), nn.Embedding(6, 16), nn.LayerNorm(16)
        layers = [nn.TransformerEncoderLayer(16, 2, 32, 0.1, "gelu", batch_first=True, norm_first=True) for _ in "ab"]
        self.blocks, self.out = nn.ModuleList(layers), nn.Linear(16, 11)

    def forward(self, x: Any) -> Any:
        n = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n).to(x.device, self.out.weight.dtype)
        y = self.embed(x) + self.places(ag.arange(n, device=x.device))
        for block in self.blocks:
            y = block(y, src_mask=mask, is_causal=True)
        return self.out(self.norm(y)[:, -1])


def mlp() -> Any:
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 11))


def cnn() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.GELU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 11),
    )  # fmt: skip


MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "MLP": (mlp, lambda: ag.randn(16, 20)), "CNN": (cnn, lambda: ag.randn(8, 1, 14, 14)),
    "LSTM": (LSTM, lambda: ag.randint(0, 11, (8, 6))), "GPT": (GPT, lambda: ag.randint(0, 11, (8, 6))),
}  # fmt: skip


@pytest.fixture
def where(device: str) -> str:
    return "cuda" if device == "cuda" else "simulated"


@pytest.fixture
def real(where: str) -> bool:
    return not ag.devices.backend_of(where).simulated


@functools.cache
def losses(model: str, dtype: str, place: str, steps: int) -> tuple[list[float], list[bytes]]:
    """The losses of some steps, and the initial weights as bytes."""
    native = getattr(ag, dtype)
    with ag.device(place):
        ag.manual_seed(3)
        net = MODELS[model][0]().to(native)
        weights = [p.detach().cpu().numpy().tobytes() for p in net.parameters()]
        optimizer = ag.optim.AdamW(net.parameters(), lr=1e-3)
        found = []
        for _ in range(steps):
            x, y = MODELS[model][1](), ag.randint(0, 11, (16 if model == "MLP" else 8,))
            loss = F.cross_entropy(net(x if x.dtype is ag.int64 else x.to(native)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    return found, weights


@pytest.mark.parametrize("model", MODELS)
def test_initial_weights_are_equal_to_the_bit(model: str, where: str) -> None:
    assert losses(model, "float64", "cpu", 8)[1] == losses(model, "float64", where, 8)[1]


@pytest.mark.parametrize("shape", [(5,), (64, 129), (3, 1, 7)])
@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dropout_masks_are_equal_to_the_bit(shape: tuple[int, ...], p: float, dtype: str, where: str) -> None:
    masks = []
    for place in ("cpu", where):
        ag.manual_seed(11)
        x = ag.ones(shape, dtype=getattr(ag, dtype), device=place)
        masks.append([F.dropout(x, p).cpu().numpy().tobytes() for _ in range(3)])
    assert masks[0] == masks[1]


@pytest.mark.parametrize(("dtype", "steps", "tolerance"), [("float64", 100, 1e-8), ("float32", 20, 1e-4)])
@pytest.mark.parametrize("model", MODELS)
def test_losses_agree(model: str, dtype: str, steps: int, tolerance: float, where: str, real: bool) -> None:
    steps = steps if real else 8
    on_cpu, on_device = losses(model, dtype, "cpu", steps)[0], losses(model, dtype, where, steps)[0]
    assert on_device == pytest.approx(on_cpu, rel=tolerance) and len(set(on_cpu)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_losses_agree_for_a_hundred_steps(model: str, where: str) -> None:
    on_cpu, on_device = losses(model, "float64", "cpu", 100)[0], losses(model, "float64", where, 100)[0]
    assert on_device == pytest.approx(on_cpu, rel=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", MODELS)
def test_two_runs_are_equal_to_the_bit(model: str, dtype: str, where: str, real: bool) -> None:
    steps = (100 if dtype == "float64" else 20) if real else 8
    first = losses(model, dtype, where, steps)
    losses.cache_clear()
    assert losses(model, dtype, where, steps) == first

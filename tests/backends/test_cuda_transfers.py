"""A training step on a device neither copies anything to the host nor waits; and what the profiler says of copies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn
from autograd_core.backends.cuda.counts import watched
from autograd_core.utils.data import DataLoader, TensorDataset

OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {}), ("Adam", {"amsgrad": True}), ("AdamW", {}), ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {}), ("NAdam", {}), ("RAdam", {}), ("Adadelta", {}), ("Adamax", {}), ("ASGD", {}), ("Rprop", {}),
]  # fmt: skip
NAMES = [name + "-".join(("", *options)) for name, options in OPTIMIZERS]


class LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(7, 6, padding_idx=0), nn.LSTM(6, 5, 2, batch_first=True, dropout=0.2)
        self.out = nn.Linear(5, 5)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(self.embed(x))[0][:, -1])


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.places, self.norm = nn.Embedding(7, 8), nn.Embedding(5, 8), nn.LayerNorm(8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
        self.out = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        y = self.embed(x) + self.places(ag.arange(x.shape[1]))
        return self.out(self.norm(self.block(y, src_mask=mask, is_causal=True))[:, -1])


def mlp() -> Any:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 5), nn.LogSoftmax(-1))


def cnn() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1),
        nn.GroupNorm(2, 4), nn.GELU(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5),
    )  # fmt: skip


MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "MLP": (mlp, lambda: ag.randn(4, 6)), "CNN": (cnn, lambda: ag.randn(4, 1, 8, 8)),
    "LSTM": (LSTM, lambda: ag.randint(0, 7, (4, 5))), "GPT": (GPT, lambda: ag.randint(0, 7, (4, 5))),
}  # fmt: skip


def since(cuda_backend: Any, before: dict[str, int]) -> dict[str, int]:
    return {name: n - before[name] for name, n in cuda_backend.counts.as_dict().items() if n != before[name]}


@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZERS, ids=NAMES)
@pytest.mark.parametrize("model", MODELS)
def test_a_step_copies_nothing_and_waits_for_nothing(
    model: str, optimizer: str, options: dict[str, Any], cuda_backend: Any
) -> None:
    make, inputs = MODELS[model]
    net, x, target = make(), inputs(), ag.randint(0, 5, (4,))
    update = getattr(ag.optim, optimizer)(net.parameters(), **options)
    schedule = ag.optim.lr_scheduler.CosineAnnealingLR(update, 10)
    total = ag.zeros(())

    def step() -> Any:
        update.zero_grad()
        loss = F.cross_entropy(net(x), target, label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        update.step()
        schedule.step()
        total.add_(loss.detach())

    step()
    with watched(cuda_backend):
        before = cuda_backend.counts.as_dict()
        step()
        assert since(cuda_backend, before) == {}
    assert total.item() > 0


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mse": lambda x, y: F.mse_loss(x, ag.ones(4, 5)), "l1": lambda x, y: F.l1_loss(x, ag.ones(4, 5)),
    "huber": lambda x, y: F.huber_loss(x, ag.ones(4, 5)), "nll": lambda x, y: F.nll_loss(F.log_softmax(x, 1), y),
    "bce": lambda x, y: F.binary_cross_entropy(x.sigmoid(), ag.ones(4, 5)),
    "bce logits": lambda x, y: F.binary_cross_entropy_with_logits(x, F.one_hot(y, 5).float()),
    "kl": lambda x, y: F.kl_div(F.log_softmax(x, 1), F.softmax(x.detach(), 1), reduction="batchmean"),
    "margin": lambda x, y: F.multi_margin_loss(x, y), "gaussian": lambda x, y: F.gaussian_nll_loss(x, x, x.exp()),
    "weighted": lambda x, y: F.cross_entropy(x, y, weight=ag.ones(5), ignore_index=2),
    "gather": lambda x, y: x.gather(1, y[:, None]).sum(), "take": lambda x, y: x[ag.arange(4), y].sum(),
    "scatter": lambda x, y: ag.zeros(5, 5).scatter_add(0, y[:, None].expand(4, 5), x).square().sum(),
    "index_add": lambda x, y: ag.zeros(5, 5).index_add(0, y, x).square().sum(),
    "masked": lambda x, y: x.masked_fill(x > 0, 0.0).sum() + ag.where(x > 0, x, -x).sum(),
    "sorted": lambda x, y: x.sort(-1)[0].cumsum(1).sum() + x.topk(2)[0].sum() + x.median(),
}  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_lookups_wait_for_nothing(loss: str, cuda_backend: Any) -> None:
    x, y = ag.randn(4, 5, requires_grad=True), ag.randint(0, 5, (4,))
    with watched(cuda_backend):
        before = cuda_backend.counts.as_dict()
        LOSSES[loss](x, y).backward()
        assert since(cuda_backend, before) == {}
    assert ag.isfinite(x.grad).all().item()


READS: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x.sum().item(), "bool": lambda x: bool(x.sum() > 0), "print": repr, "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(), "float": lambda x: float(x[0]),
}  # fmt: skip


@pytest.mark.parametrize("read", READS)
def test_read_outs_are_counted(read: str, cuda_backend: Any) -> None:
    x = ag.ones(3)
    with watched(cuda_backend):
        before = cuda_backend.counts.as_dict()
        READS[read](x)
        found = since(cuda_backend, before)
    assert found.pop("to_host") >= 1 and found.pop("bytes_to_host") >= 1 and not found


DEPEND: dict[str, Callable[[Any], Any]] = {
    "nonzero": lambda x: x.nonzero(), "mask": lambda x: x[x > 0], "unique": lambda x: x.unique(),
    "assignment": lambda x: x.__setitem__(x > 1, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", DEPEND)
def test_shapes_that_depend_on_data_are_read_past_the_door(name: str, cuda_backend: Any) -> None:
    """They make the host wait; on a GPU CuPy does so inside, where the simulated device does not."""
    with watched(cuda_backend):
        before = cuda_backend.counts.as_dict()
        DEPEND[name](ag.tensor([0.0, 1.0, 2.0]))
        found = since(cuda_backend, before)
    assert found.get("to_host", 0) == 0 and found["to_device"] == 1


def test_a_loader_copies_a_batch_once(cuda_backend: Any) -> None:
    with ag.device("cpu"):
        data = TensorDataset(ag.randn(8, 3), ag.arange(8))
        batches = list(DataLoader(data, batch_size=4))
    before = cuda_backend.counts.as_dict()
    for x, y in batches:
        x.to(ag.get_default_device()), y.to(ag.get_default_device())
    assert since(cuda_backend, before) == {"to_device": 4, "bytes_to_device": 8 * 3 * 4 + 8 * 8}


def test_synchronize_is_counted(cuda_backend: Any) -> None:
    before = cuda_backend.counts.as_dict()
    cuda_backend.synchronize()
    assert since(cuda_backend, before) == {"synchronizations": 1}


def test_the_profiler_tells_of_transfers(cuda_backend: Any) -> None:
    x = ag.ones(4, 3)
    with ag.profiler.profile() as prof:
        y = (x * 2).sum()
        y.item()
        ag.tensor([1.0, 2.0]) + 1
    wanted = dict.fromkeys(cuda_backend.counts.as_dict(), 0) | {
        "to_host": 1, "bytes_to_host": 4, "to_device": 1, "bytes_to_device": 8,
    }  # fmt: skip
    assert prof.transfers == wanted
    assert "1 copy to the device" in prof.table() and "1 copy to the host" in prof.table()
    with ag.profiler.profile() as prof:
        x + 1
    assert not any(prof.transfers.values()) and "cop" not in prof.table().splitlines()[-1]


def test_the_profiler_has_nothing_to_tell_of_the_cpu() -> None:
    ag.set_default_device("cpu")
    with ag.profiler.profile() as prof:
        ag.ones(3).sum().item()
    assert not any(prof.transfers.values())


def test_a_kernel_that_reads_is_found(cuda_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter sees what it is there for: a kernel that makes the host wait."""
    honest = cuda_backend.exp

    @functools.wraps(honest)
    def hasty(x: Any) -> Any:
        return honest(x) if bool((x == x).all()) else x

    monkeypatch.setattr(cuda_backend, "exp", hasty)
    with watched(cuda_backend), ag.profiler.profile() as prof:
        ag.ones(3).exp()
    assert prof.transfers["hidden"] >= 1

"""Averages of weights beside PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

import autograd_core as ag


def numbers(t: Any) -> list[float]:
    return t.detach().double().reshape(-1).tolist()  # type: ignore[no-any-return]


# PyTorch's own get_swa_multi_avg_fn fails on integer buffers, and rounds its weights to float32.
@pytest.mark.parametrize(
    ("kind", "use_buffers"),
    [(kind, flag) for kind in ("swa", "ema", "ema multi", "swa multi") for flag in (False, True)][:-1],
)
def test_averaged_model(kind: str, use_buffers: bool) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    averages = []
    for lib in (torch, ag):
        swa = lib.optim.swa_utils
        options = {
            "swa": lambda swa=swa: {},
            "ema": lambda swa=swa: {"avg_fn": swa.get_ema_avg_fn(0.75)},
            "ema multi": lambda swa=swa: {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.75)},
            "swa multi": lambda swa=swa: {"multi_avg_fn": swa.get_swa_multi_avg_fn()},
        }[kind]()
        model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3)).double()
        averaged = swa.AveragedModel(model, use_buffers=use_buffers, **options)
        for step in range(4):
            with lib.no_grad():
                for i, p in enumerate((*model.parameters(), model[1].running_mean)):
                    p.fill_((step + 1) ** 2 * (i + 1))
            averaged.update_parameters(model)
        assert int(averaged.n_averaged) == 4
        averages.append({k: numbers(v) for k, v in averaged.state_dict().items()})
    assert list(averages[0]) == list(averages[1])
    for key, wanted in averages[0].items():
        assert averages[1][key] == pytest.approx(wanted, rel=1e-7), key


def test_only_one_function() -> None:
    swa = ag.optim.swa_utils
    with pytest.raises(ValueError, match="one of"):
        swa.AveragedModel(ag.nn.Linear(1, 1), avg_fn=swa.get_swa_avg_fn(), multi_avg_fn=swa.get_swa_multi_avg_fn())
    with pytest.raises(ValueError, match="decay"):
        swa.get_ema_avg_fn(1.5)


def test_update_bn() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    found = []
    for lib in (torch, ag):
        model = lib.nn.Sequential(lib.nn.BatchNorm1d(2, momentum=0.3)).eval()
        batches = [(lib.tensor([[1.0, 2.0], [3.0, -4.0]]), None), [lib.tensor([[0.5, 1.0], [2.0, 7.0], [1.0, 1.0]])]]
        lib.optim.swa_utils.update_bn(batches, model)
        assert model[0].momentum == 0.3 and not model.training
        found.append([numbers(model[0].running_mean), numbers(model[0].running_var)])
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_swalr(strategy: str, epochs: int) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    rates = []
    for lib in (torch, ag):
        params = [lib.ones(1, requires_grad=True) for _ in range(2)]
        optimizer = lib.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.3}], lr=0.1)
        decay = lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        scheduler = lib.optim.swa_utils.SWALR(optimizer, [0.05, 0.5], epochs, strategy)
        seen = []
        for step in range(20):
            optimizer.step()
            (decay if step < 5 else scheduler).step()
            seen += [group["lr"] for group in optimizer.param_groups]
        rates.append(seen)
    assert rates[1] == pytest.approx(rates[0], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anneal_strategy": "step"}, "'cos' or 'linear'"),
        ({"anneal_epochs": -1}, "at least 0"),
        ({"swa_lr": [0.1, 0.2]}, "one value or 1"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    optimizer = ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError, match=message):
        ag.optim.swa_utils.SWALR(optimizer, **{"swa_lr": 0.1, **options})

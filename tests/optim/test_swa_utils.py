"""The rate of stochastic weight averaging beside PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

import autograd_core as ag


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

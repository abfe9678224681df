"""How `GradScaler` finds its scale, against PyTorch; its states, its mistakes, and what it is good for."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from test_autocast import F
from test_autocast import _off_afterwards as _off_afterwards  # the fixtures
from test_autocast import on as on
from test_autocast import torch as torch

import autograd_core as ag


def _flow(lib: Any, device: str, optimizer: str, **options: Any) -> Iterator[Any]:
    """Steps with gradients that overflow now and then; after each the state and the parameter."""
    w = lib.ones(2, requires_grad=True)
    o = getattr(lib.optim, optimizer)([w], lr=0.1, **options)
    scaler = lib.amp.GradScaler(device, init_scale=8.0, growth_interval=2, growth_factor=4.0, backoff_factor=0.25)
    inf, nan = float("inf"), float("nan")
    for i, factor in enumerate([1.0, 0.5, inf, 1.0, nan, 1.0, 2.0, 1.0, 1.0]):
        o.zero_grad()
        scaler.scale((w * w * factor).sum()).backward()
        if i % 2:
            scaler.unscale_(o)
        scaler.step(o)
        scaler.update()
        yield scaler.state_dict(), w.detach().tolist()


@pytest.mark.parametrize(
    "optimizer", ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Rprop", "NAdam", "RAdam", "Adadelta", "Adamax", "ASGD"]
)
def test_the_scale_follows_pytorch(torch: Any, device: str, optimizer: str) -> None:
    for (state, w), (expected, v) in zip(_flow(ag, device, optimizer), _flow(torch, "cpu", optimizer), strict=True):
        assert state == expected
        assert w == pytest.approx(v, rel=1e-5)


def test_the_scale_does_not_grow_to_infinity(device: str) -> None:
    w = ag.ones(1, requires_grad=True)
    scaler = ag.amp.GradScaler(device, init_scale=3e38, growth_interval=1)
    o = ag.optim.SGD([w], lr=0.1)
    scaler.scale(w * 1e-10).backward()
    scaler.step(o)
    scaler.update()
    assert scaler.get_scale() == pytest.approx(3e38)


def test_scaling_of_several_outputs(device: str) -> None:
    scaler = ag.amp.GradScaler(device, init_scale=4.0)
    scaled = scaler.scale([ag.ones(1), (ag.ones(2),)])
    assert scaled[0].tolist() == [4.0] and scaled[1][0].tolist() == [4.0, 4.0]
    with pytest.raises(ValueError, match="expected a Tensor or an iterable"):
        scaler.scale(3)


def test_save_and_load(device: str) -> None:
    scaler = ag.amp.GradScaler(device, init_scale=16.0, growth_interval=3)
    w = ag.ones(1, requires_grad=True)
    o = ag.optim.SGD([w], lr=0.1)
    scaler.scale(w.sum()).backward()
    scaler.step(o)
    with pytest.raises(AssertionError, match="after update"):
        pickle.dumps(scaler)
    scaler.update()
    for other in (ag.amp.GradScaler(device), pickle.loads(pickle.dumps(scaler))):
        other.load_state_dict(scaler.state_dict())
        assert other.state_dict() == scaler.state_dict() and other.get_scale() == 16.0
        assert other.state_dict()["_growth_tracker"] == 1
    scaler.update(2.0)
    assert scaler.get_scale() == 2.0
    scaler.update(ag.tensor(5.0))
    assert scaler.get_scale() == 5.0
    with pytest.raises(RuntimeError, match="state dict is empty"):
        scaler.load_state_dict({})


def test_mistakes_with_the_scaler(device: str) -> None:
    w = ag.ones(1, requires_grad=True)
    o = ag.optim.SGD([w], lr=0.1)
    scaler = ag.amp.GradScaler(device)
    for use in (lambda: scaler.step(o), lambda: scaler.unscale_(o), scaler.update):
        with pytest.raises(AssertionError, match="there is no scale yet"):
            use()
    scaler.scale(w.sum())
    with pytest.raises(AssertionError, match="no parameter has a gradient"):
        scaler.step(o)
    scaler.update(1.0)
    scaler.scale(w.sum()).backward()
    for args, kwargs in (((lambda: None,), {}), ((), {"closure": lambda: None})):
        with pytest.raises(RuntimeError, match="closure"):
            scaler.step(o, *args, **kwargs)
    scaler.unscale_(o)
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        scaler.unscale_(o)
    scaler.step(o)
    with pytest.raises(RuntimeError, match="already been called since"):
        scaler.step(o)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(o)
    scaler.update()
    half = ag.ones(1, dtype=ag.float16, requires_grad=True)
    half.sum().backward()
    with pytest.raises(ValueError, match="FP16 gradients.*shape"):
        scaler.unscale_(ag.optim.SGD([half], lr=0.1))
    with pytest.raises(AssertionError, match="growth_factor must be > 1"):
        ag.amp.GradScaler(device, growth_factor=1.0)
    with pytest.raises(AssertionError, match="backoff_factor must be < 1"):
        ag.amp.GradScaler(device, backoff_factor=1.0)


def test_small_gradients_survive_by_the_scale(on: Any, device: str) -> None:
    """1e-6 of 0.01 is below float16's smallest number: without a scale the weight gets no gradient at all."""
    found = []
    for enabled in (False, True):
        w, x = ag.ones(1, 1, requires_grad=True), ag.full((1, 1), 0.01)
        scaler = ag.amp.GradScaler(device, init_scale=1024.0, enabled=enabled)
        with on():
            loss = F.linear(x, w) * 1e-6
        scaler.scale(loss.float().sum()).backward()
        scaler.unscale_(ag.optim.SGD([w], lr=1.0))
        assert w.grad is not None
        found.append(w.grad.item())
    assert found[0] == 0.0 and found[1] == pytest.approx(1e-8, rel=0.02)

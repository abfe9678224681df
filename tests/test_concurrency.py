"""Training in two threads at once and in a forked child: the same bits as alone."""

from __future__ import annotations

import os
import threading

import pytest

import autograd_core as ag
from autograd_core import nn, optim


def train(seed: int, steps: int = 4) -> list[float]:
    """Losses of a network large enough that its kernels run in parallel (Adam's pass, dropout, products)."""
    generator = ag.Generator(ag.get_default_device()).manual_seed(seed)
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.Tanh(), nn.Linear(512, 10))
    with ag.no_grad():
        for p in model.parameters():
            p.copy_(0.05 * ag.randn(p.shape, generator=generator))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(steps):
        x = ag.randn(128, 256, generator=generator)
        y = ag.randint(0, 10, (128,), generator=generator)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_two_threads_train_at_once() -> None:
    alone = [train(1), train(2)]
    found: dict[int, list[list[float]]] = {1: [], 2: []}
    default = ag.get_default_device()

    def work(seed: int) -> None:
        with default:
            for _ in range(3):
                found[seed].append(train(seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
        assert not thread.is_alive(), "the threads wait for each other"
    assert found == {1: [alone[0]] * 3, 2: [alone[1]] * 3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.host("a CUDA context does not survive a fork")
def test_a_forked_child_trains() -> None:
    expected = train(3)  # The parent has run parallel kernels before the fork.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(train(3)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    assert answer == repr(expected)
    assert train(3) == expected  # And the parent goes on.

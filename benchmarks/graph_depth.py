"""One chain of `length` negations of one number, built, differentiated and freed: in time linear in its length."""

from __future__ import annotations

from typing import Any


def graph_depth(lib: Any, kit: Any, length: int) -> Any:
    x = lib.ones(1, device=kit.device, requires_grad=True)
    kit.check = lambda: float(x.grad.item())

    def step() -> None:
        x.grad = None
        y = x
        for _ in range(length):
            y = -y
        y.backward()

    return step

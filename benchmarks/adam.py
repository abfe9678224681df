"""Adam's update alone, over `count` parameters of `size` elements with fixed gradients."""

from __future__ import annotations

from typing import Any


def adam(lib: Any, kit: Any, count: int, size: int) -> Any:
    parameters = [lib.nn.Parameter(kit.normal(size)) for _ in range(count)]
    for p in parameters:
        p.grad = kit.normal(size)
    optimizer = kit.optimizer("Adam", parameters, lr=1e-3)
    kit.check = lambda: sum(float(p.detach().sum()) for p in parameters)
    kit.bytes = 7 * 4 * count * size  # reads parameter, gradient and both means, writes all but the gradient

    def step() -> None:
        optimizer.step()

    return step

"""A product of two matrices, (rows, inner) by (inner, columns), forward only."""

from __future__ import annotations

from typing import Any


def matmul(lib: Any, kit: Any, rows: int, inner: int, columns: int) -> Any:
    x, y = kit.normal(rows, inner), kit.normal(inner, columns, scale=inner**-0.5)
    product = kit.function(lambda x, y: x @ y)
    kit.flops = 2 * rows * inner * columns
    kit.check = lambda: float((x @ y).square().sum())

    def step() -> None:
        product(x, y)

    return step

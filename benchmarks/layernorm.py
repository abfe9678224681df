"""Layer normalisation with weight and bias over the last dimension of a matrix, forward and backward."""

from __future__ import annotations

from typing import Any


def layernorm(lib: Any, kit: Any, rows: int, columns: int) -> Any:
    norm = lib.nn.functional.layer_norm
    kit.bytes = 5 * 4 * rows * columns
    inputs = kit.normal(rows, columns), kit.normal(columns), kit.normal(columns)
    return kit.differentiated(lambda x, weight, bias: norm(x, (columns,), weight, bias), *inputs)

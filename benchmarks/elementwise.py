"""`tanh(x) sigmoid(x) + gelu(x)`, forward and backward: what a chain of elementwise operations costs."""

from __future__ import annotations

from typing import Any


def elementwise(lib: Any, kit: Any, size: int) -> Any:
    gelu = lib.nn.functional.gelu
    kit.bytes = 5 * 4 * size  # read x, write y; read x and the cotangent, write the gradient
    return kit.differentiated(lambda x: x.tanh() * x.sigmoid() + gelu(x), kit.normal(size))

"""Softmax over the last dimension of a matrix, forward and backward."""

from __future__ import annotations

from typing import Any


def softmax(lib: Any, kit: Any, rows: int, columns: int) -> Any:
    kit.bytes = 5 * 4 * rows * columns
    return kit.differentiated(lambda x: lib.softmax(x, -1), kit.normal(rows, columns))

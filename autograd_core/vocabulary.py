"""The differentiable vocabulary, which the declarations of primitives fill."""

from __future__ import annotations

from typing import Any


class Vocabulary:
    """The differentiable vocabulary: one attribute a primitive. `V.mul(x, y)` is `mul` on Tensors."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the vocabulary has no primitive {name!r}: declare it with autograd_core.primitive")


V = Vocabulary()

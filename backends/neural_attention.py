"""Attention as one kernel each way.

Shapes: q (..., L, E), k (..., S, E), v (..., S, F), with equal leading sizes; `mask`: None, or what broadcasts to
(..., L, S): true where a query may look, or numbers added to the scores.
"""

from __future__ import annotations

from typing import Any

Array = Any


class AttentionKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any
    matmul: Any
    softmax_backward: Any

    def attention(self, q: Array, k: Array, v: Array, mask: Array, causal: bool, scale: float) -> tuple[Array, Array]:
        """softmax(scale q k^T + mask) v, with zeros for a query whose mask hides all; `causal`: query i sees keys up to
        i. And log sum exp of each row of scores, infinite where all are hidden."""
        scores = self._scores(q, k, mask, causal, scale)
        xp = self.xp
        top = xp.max(scores, axis=-1, keepdims=True)
        safe = top
        if mask is not None:
            safe = xp.where(top == -xp.inf, xp.zeros_like(top), top)
        total = xp.sum(xp.exp(scores - safe), axis=-1, keepdims=True)
        logsum = xp.where(total == 0, xp.full_like(total, xp.inf), safe + xp.log(total))
        return self.matmul(xp.exp(scores - logsum), v), logsum.reshape(logsum.shape[:-1])

    def attention_backward(
        self, g: Array, q: Array, k: Array, v: Array, mask: Array, y: Array, logsum: Array, causal: bool, scale: float
    ) -> tuple[Array, Array, Array]:
        """The gradients of `attention` by q, k and v."""
        xp = self.xp
        weights = xp.exp(self._scores(q, k, mask, causal, scale) - logsum.reshape((*logsum.shape, 1)))
        slope = self.matmul(g, xp.swapaxes(v, -1, -2)) - xp.sum(g * y, axis=-1, keepdims=True)
        slope = weights * slope * scale
        return (
            self.matmul(slope, k),
            self.matmul(xp.swapaxes(slope, -1, -2), q),
            self.matmul(xp.swapaxes(weights, -1, -2), g),
        )

    def _scores(self, q: Array, k: Array, mask: Array, causal: bool, scale: float) -> Array:
        xp = self.xp
        scores = self.matmul(q * scale, xp.swapaxes(k, -1, -2))
        hidden = xp.full((), -xp.inf, scores.dtype)
        if causal:
            rows, columns = (xp.arange(n) for n in scores.shape[-2:])
            scores = xp.where(rows.reshape((-1, 1)) >= columns.reshape((1, -1)), scores, hidden)
        if mask is None:
            return scores
        return xp.where(mask, scores, hidden) if mask.dtype.kind == "b" else scores + mask.astype(scores.dtype)

"""Losses and embedding: kernels that look up or add at integer indices.

Additions at equal indices happen in a fixed order, so results do not vary from run to run.
"""

from __future__ import annotations

import math
from typing import Any

from autograd_core.backends.elementwise import in_float32
from autograd_core.backends.neural_conv import widened

Array = Any
Shape = tuple[int, ...]


class LossKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any
    add_at: Any

    def check_none(self, bad: Array, error: type[Exception], message: str) -> None:
        """Raise `error(message)` if any element of `bad` is true. A device may raise it at the next read-out
        instead."""
        if bool(self.xp.any(bad)):
            raise error(message)

    def check_range(self, index: Array, low: int, high: int, error: type[Exception], message: str) -> None:
        """Raise `error` unless low <= index < high everywhere; the offending index takes the place of `{}` in
        `message`. A device may raise it at the next read-out instead."""
        if index.size:
            least, most = int(self.xp.min(index)), int(self.xp.max(index))
            if least < low or most >= high:
                raise error(message.replace("{}", str(least if least < low else most)))

    def _check_range(self, operation: str, index: Array, n: int, ignored: int | None) -> None:
        bad = self.xp.logical_or(index < 0, index >= n)
        if ignored is not None and not 0 <= ignored < n:
            bad = self.xp.logical_and(bad, index != ignored)
        self.check_none(
            bad,
            IndexError,
            f"{operation}: an index is out of range: expected every one in [0, {n - 1}]"
            + (f" or equal to ignore_index={ignored}" if ignored is not None else f" for {n} rows"),
        )

    # -- classification: logits or log-probabilities (N, C, ...), classes (N, ...) -----------------------

    def cross_entropy(self, x: Array, target: Array, ignored: int) -> tuple[Array, Array, Array]:
        """The mean of `logsumexp(x_n) - x_n[target_n]` over rows of x (N, C) not ignored; logsumexp and their count."""
        xp, n = self.xp, x.shape[0]
        self._check_range("cross_entropy", target, x.shape[1], ignored)
        wide, counts = widened(x), target != ignored
        top = xp.max(wide, axis=1, keepdims=True)
        logsum = xp.log(xp.sum(xp.exp(wide - top), axis=1)) + top.reshape((n,))
        count = xp.sum(counts).astype(wide.dtype)
        picked = wide[xp.arange(n), xp.where(counts, target, 0)]
        loss = xp.sum(xp.where(counts, logsum - picked, 0)) / count
        return loss.astype(x.dtype), logsum, count

    def cross_entropy_backward(
        self, g: Array, x: Array, target: Array, logsum: Array, count: Array, ignored: int
    ) -> Array:
        """`(softmax(x) - one_hot(target)) g / count`, zero in ignored rows."""
        xp, n, counts = self.xp, x.shape[0], target != ignored
        gx = xp.exp(widened(x) - logsum.reshape((n, 1)))
        gx[xp.arange(n), xp.where(counts, target, 0)] -= 1
        gx = xp.where(counts.reshape((n, 1)), gx * (g / count), 0)
        return gx.astype(x.dtype)

    def nll_loss(self, x: Array, target: Array, weight: Array, ignored: int) -> Array:
        """`-weight[target] x[target]` along axis 1 for each target, 0 where ignored; `weight` (C,) or None."""
        xp = self.xp
        self._check_range("nll_loss", target, x.shape[1], ignored)
        counts = target != ignored
        safe = xp.where(counts, target, 0)
        value = -x[self._at_class(safe)]
        if weight is not None:
            value = value * weight[safe]
        return xp.where(counts, value, 0).astype(x.dtype)

    def nll_loss_backward(self, g: Array, target: Array, weight: Array, shape: Shape, ignored: int) -> Array:
        """The adjoint of `nll_loss` on an input of `shape`."""
        xp, counts = self.xp, target != ignored
        safe = xp.where(counts, target, 0)
        value = -g if weight is None else -g * weight[safe]
        gx = xp.zeros(shape, g.dtype)
        gx[self._at_class(safe)] = xp.where(counts, value, 0)
        return gx

    def class_weight(self, target: Array, weight: Array, ignored: int, dtype: Any) -> Array:
        """`weight[target]` (1 without weights) for each target, 0 where ignored."""
        counts = target != ignored
        if weight is None:
            return counts.astype(dtype)
        return self.xp.where(counts, weight[self.xp.where(counts, target, 0)], 0).astype(dtype)

    def _at_class(self, target: Array) -> tuple[Array, ...]:
        """Index arrays that address `x[n, target[n, ...], ...]`."""
        places = []
        for axis, size in enumerate(target.shape):
            shape = [1] * target.ndim
            shape[axis] = size
            places.append(self.xp.arange(size).reshape(shape))
        return (places[0], target, *places[1:]) if places else (target,)

    # -- regression and binary classification -----------------------------------------------------------

    @in_float32
    def huber(self, d: Array, delta: float) -> Array:
        """`d^2 / 2` for |d| < delta, else `delta (|d| - delta / 2)`."""
        size = self.xp.abs(d)
        return self.xp.where(size < delta, 0.5 * d * d, delta * (size - 0.5 * delta))

    @in_float32
    def smooth_l1(self, d: Array, beta: float) -> Array:
        """`d^2 / (2 beta)` for |d| < beta, else `|d| - beta / 2`."""
        size = self.xp.abs(d)
        return self.xp.where(size < beta, 0.5 * d * d / beta, size - 0.5 * beta)

    @in_float32
    def logit_loss(self, x: Array, y: Array) -> Array:
        """`log(1 + e^x) - x y`; what is weighed by 0 is left out, lest an infinite x makes it NaN."""
        xp = self.xp
        weight = xp.where(x > 0, 1 - y, -y)
        linear = xp.where(weight == 0, xp.zeros_like(x), x * weight)
        return linear + xp.log1p(xp.exp(-xp.abs(x)))

    def mse_loss(self, x: Array, y: Array) -> Array:
        """The mean of `(x - y)^2`."""
        d = widened(x) - widened(y)
        return (self.xp.sum(d * d) / d.size if d.size else self.xp.full((), math.nan, d.dtype)).astype(x.dtype)

    def mse_loss_backward(self, g: Array, x: Array, y: Array) -> Array:
        """The gradient of `mse_loss` by x: `2 (x - y) g / size`."""
        d = x - y
        d *= g * (2.0 / max(x.size, 1))
        return d

    def binary_cross_entropy(self, x: Array, y: Array) -> Array:
        """`-(y log x + (1 - y) log(1 - x))`, each logarithm at least -100."""
        xp = self.xp
        self.check_none(
            xp.logical_not(xp.logical_and(x >= 0, x <= 1)),
            RuntimeError,
            "binary_cross_entropy: all elements of input must lie between 0 and 1; apply sigmoid first, or use "
            "binary_cross_entropy_with_logits",
        )
        self.check_none(
            xp.logical_not(xp.logical_and(y >= 0, y <= 1)),
            RuntimeError,
            "binary_cross_entropy: all elements of target must lie between 0 and 1",
        )
        yes, no = xp.maximum(xp.log(x), -100), xp.maximum(xp.log1p(-x), -100)
        return (y - 1) * no - y * yes

    def binary_cross_entropy_backward(self, g: Array, x: Array, y: Array) -> Array:
        """`g (x - y) / (x (1 - x))`, the denominator at least 1e-12."""
        return g * ((x - y) / self.xp.maximum(x * (1 - x), 1e-12))

    # -- embedding --------------------------------------------------------------------------------------

    def embedding(self, w: Array, index: Array, padding: int, by_frequency: bool = False) -> Array:
        """The rows of w (rows, features) at `index`. The gradient alone heeds that row `padding` (-1: none) has none,
        and `by_frequency` that a row's is divided by how often it is named."""
        self._check_range("embedding", index, w.shape[0], None)
        return w[index]

    def embedding_backward(self, g: Array, index: Array, rows: int, padding: int) -> Array:
        """Rows of `g` added at `index` into zeros (rows, features), except row `padding` (-1: none)."""
        features = g.shape[-1]
        gw = self.xp.zeros((rows, features), widened(g).dtype)
        if index.size:
            self.add_at(gw, index.reshape((-1,)), widened(g).reshape((index.size, features)))
        if padding >= 0:
            gw[padding] = 0
        return gw.astype(g.dtype)

    def embedding_renorm_(self, w: Array, index: Array, max_norm: float, p: float) -> Array:
        """Scale those rows of `w` that `index` names and whose p-norm exceeds `max_norm` down to it."""
        xp = self.xp
        self._check_range("embedding", index, w.shape[0], None)
        named = xp.zeros((w.shape[0],), "bool")
        named[index.reshape((-1,))] = True
        norm = xp.sum(xp.abs(w) ** p, axis=1) ** (1 / p) if math.isfinite(p) else xp.max(xp.abs(w), axis=1)
        scale = xp.where(xp.logical_and(named, norm > max_norm), max_norm / (norm + 1e-7), 1).astype(w.dtype)
        w *= scale.reshape((-1, 1))
        return w

    def one_hot(self, index: Array, classes: int) -> Array:
        """int64 zeros of shape (*index.shape, classes) with a 1 at each index."""
        self.check_none(
            self.xp.logical_or(index < 0, index >= classes),
            RuntimeError,
            f"one_hot: class values must be nonnegative and smaller than num_classes={classes}",
        )
        return (index.reshape((*index.shape, 1)) == self.xp.arange(classes)).astype("int64")

"""Random kernels: draws from a state buffer `[seed, call]` that each kernel advances. See `philox.py`."""

from __future__ import annotations

from typing import Any

from autograd_core.backends import philox

Array = Any


class RandomKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    def make_state(self, seed: int, call: int = 0) -> Array:
        state = philox.make_state(seed, xp=self.xp)
        if call:
            state[1] = self.xp.asarray(call, dtype="uint64")
        return state

    def random_bits(self, state: Array, shape: tuple[int, ...]) -> Array:
        return philox.random_bits(state, shape, xp=self.xp)

    def random_uniform(self, state: Array, shape: tuple[int, ...], dtype: Any, low: float, high: float) -> Array:
        return philox.random_uniform(state, shape, dtype, low, high, xp=self.xp)

    def random_normal(self, state: Array, shape: tuple[int, ...], dtype: Any, mean: float, std: float) -> Array:
        return philox.random_normal(state, shape, dtype, mean, std, xp=self.xp)

    def random_bernoulli(self, state: Array, shape: tuple[int, ...], dtype: Any, p: float) -> Array:
        return philox.random_bernoulli(state, shape, dtype, p, xp=self.xp)

    def random_integers(self, state: Array, shape: tuple[int, ...], dtype: Any, low: int, high: int) -> Array:
        return philox.random_integers(state, shape, dtype, low, high, xp=self.xp)

    def random_permutation(self, state: Array, n: int, dtype: Any) -> Array:
        return philox.random_permutation(state, n, dtype, xp=self.xp)

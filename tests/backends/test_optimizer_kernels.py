"""The one-pass optimiser kernels against the portable bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograd_core.backends.cpu.cache import kernels_enabled
from autograd_core.backends.optimizers import OptimizerKernels

pytestmark = pytest.mark.skipif(
    not kernels_enabled(), reason="compares Numba's kernels, which are off or not installed"
)

STEPS = 12


class Portable(OptimizerKernels):
    xp = np


def one_pass() -> Any:
    from autograd_core.backends.cpu.optimizers import OnePassOptimizers

    return OnePassOptimizers()


def scalar(value: float) -> np.ndarray:
    return np.array(value)


def zeros(*names: str) -> Callable[[Any], dict[str, np.ndarray]]:
    return lambda p: {name: np.zeros_like(p) for name in names}


LR, EPS, DECAY = scalar(0.01), scalar(1e-8), scalar(0.1)
BETAS = (scalar(0.9), scalar(0.999))
Update = Callable[[Any, np.ndarray, np.ndarray, dict[str, np.ndarray], int], Any]


def sgd(heavy: bool, nesterov: bool, decay: Any, maximize: bool) -> tuple[Any, Update]:
    damp = scalar(0.0 if nesterov else 0.2)

    def update(k: Any, p: Any, g: Any, s: dict[str, Any], t: int) -> None:
        k.sgd_(p, g, s.get("b"), LR, scalar(0.9), damp, decay, nesterov, maximize, heavy and t == 0)

    return zeros(*("b" * heavy)), update


def adam(amsgrad: bool, decoupled: bool, decay: Any, maximize: bool) -> tuple[Any, Update]:
    def update(k: Any, p: Any, g: Any, s: dict[str, Any], t: int) -> None:
        k.adam_(p, g, s["m"], s["v"], s.get("x"), s["t"], LR, *BETAS, EPS, decay, decoupled, maximize)

    return lambda p: {**zeros("m", "v", *("x" * amsgrad))(p), "t": np.array(0, np.float32)}, update


def nadam(decoupled: bool, decay: Any, maximize: bool) -> tuple[Any, Update]:
    def update(k: Any, p: Any, g: Any, s: dict[str, Any], t: int) -> None:
        k.nadam_(p, g, s["m"], s["v"], s["mu"], s["t"], LR, *BETAS, EPS, scalar(4e-3), decay, decoupled, maximize)

    return lambda p: {**zeros("m", "v")(p), "mu": np.array(1, np.float32), "t": np.array(0, np.float32)}, update


def rmsprop(centered: bool, heavy: bool, decay: Any, maximize: bool) -> tuple[Any, Update]:
    def update(k: Any, p: Any, g: Any, s: dict[str, Any], t: int) -> None:
        k.rmsprop_(p, g, s["v"], s.get("m"), s.get("b"), s["t"], LR, scalar(0.99), EPS, scalar(0.9), decay, maximize)

    return lambda p: {**zeros("v", *("m" * centered), *("b" * heavy))(p), "t": np.array(0, np.float32)}, update


def adagrad(decay: Any, maximize: bool) -> tuple[Any, Update]:
    def update(k: Any, p: Any, g: Any, s: dict[str, Any], t: int) -> None:
        k.adagrad_(p, g, s["s"], s["t"], LR, scalar(0.1), scalar(1e-10), decay, maximize)

    return lambda p: {**zeros("s")(p), "t": np.array(0, np.float32)}, update


CASES: dict[str, tuple[Any, Update]] = {
    "sgd": sgd(False, False, None, False),
    "sgd-decay-maximize": sgd(False, False, DECAY, True),
    "sgd-momentum-dampening": sgd(True, False, None, False),
    "sgd-nesterov-decay-maximize": sgd(True, True, DECAY, True),
    "adam": adam(False, False, None, False),
    "adam-amsgrad-decay-maximize": adam(True, False, DECAY, True),
    "adamw-amsgrad": adam(True, True, DECAY, False),
    "nadam": nadam(False, None, False),
    "nadam-decay-maximize": nadam(False, DECAY, True),
    "nadam-decoupled": nadam(True, DECAY, False),
    "rmsprop": rmsprop(False, False, None, False),
    "rmsprop-centered": rmsprop(True, False, DECAY, False),
    "rmsprop-momentum-maximize": rmsprop(False, True, None, True),
    "adagrad": adagrad(None, False),
    "adagrad-decay-maximize": adagrad(DECAY, True),
}


def run(kernels: Any, case: str, p: np.ndarray, gradients: list[np.ndarray]) -> list[np.ndarray]:
    make, update = CASES[case]
    p = p.copy()
    state = make(p)
    with np.errstate(all="ignore"):
        for t, g in enumerate(gradients):
            update(kernels, p, g, state, t)
    return [p, *state.values()]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray], dtype: Any) -> None:
    # The bias corrections are powers in float64, whose last bit depends on who computes them.
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# The second size is above the one from which the kernels run in parallel.
@pytest.mark.parametrize("shape", [(7, 5), (300, 301), (), (0, 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_equal_to_the_portable_body(case: str, dtype: Any, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    p = np.array(rng.standard_normal(shape), dtype)
    gradients = [np.array(rng.standard_normal(shape), dtype) for _ in range(STEPS)]
    for g in gradients[3:4]:
        if g.size > 20:
            g.reshape(-1)[[3, 11, 17]] = np.nan, np.inf, -np.inf
    assert_same(run(one_pass(), case, p, gradients), run(Portable(), case, p, gradients), dtype)


@pytest.mark.parametrize("case", CASES)
def test_strided_arrays(case: str) -> None:
    rng = np.random.default_rng(2)
    p = rng.standard_normal((6, 4))
    gradients = [rng.standard_normal((4, 6)).T for _ in range(3)]
    expected = run(Portable(), case, p, [g.copy() for g in gradients])
    assert_same(run(one_pass(), case, p, gradients), expected, p.dtype)
    make, update = CASES[case]
    memory = np.zeros((6, 8))
    turned = memory[:, ::2]
    turned[...] = p
    state = make(turned)
    for t, g in enumerate(gradients):
        update(one_pass(), turned, g, state, t)
    assert_same([turned, *state.values()], expected, p.dtype)
    assert not memory[:, 1::2].any()


@pytest.mark.parametrize("kernels", [Portable, one_pass], ids=["portable", "one-pass"])
@pytest.mark.parametrize(
    ("case", "moment"), [("sgd-momentum-dampening", 0), ("adam", 0), ("nadam", 0), ("rmsprop-momentum-maximize", 1)]
)
def test_moments_never_become_denormal(case: str, moment: int, kernels: Any) -> None:
    gradients = [np.full(4, 1e-3, np.float32), *[np.zeros(4, np.float32)] * 1500]
    _, *state = run(kernels(), case, np.zeros(4, np.float32), gradients)
    tiny = np.finfo(np.float32).tiny
    assert all(((a == 0) | (abs(a) >= tiny)).all() for a in state)
    assert (state[moment] == 0).all()


@pytest.mark.parametrize("case", CASES)
def test_sizes_that_do_not_match_raise_and_write_nowhere(case: str) -> None:
    make, update = CASES[case]
    p = np.ones(4)
    state = make(p)
    before = [a.copy() for a in (p, *state.values()) if a.ndim]
    with pytest.raises(ValueError):
        update(one_pass(), p, np.ones(5), state, 0)
    for a, b in zip([a for a in (p, *state.values()) if a.ndim], before):
        assert (a == b).all()

"""Remainders and floored quotients by the kernels are NumPy's, bit for bit."""

import numpy as np
import pytest
from same_bits import same_bits

import autograd_core as ag
from autograd_core.backends.cpu import division_kernels

BACKEND = ag.tensor(0.0, device="cpu")._backend
pytestmark = pytest.mark.skipif(not BACKEND.can_fuse, reason="needs Numba's kernels")
UFUNCS = {"remainder": np.remainder, "fmod": np.fmod, "floor_divide": np.floor_divide}
SPECIAL = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 3, -3, 1e-40, -1e-40, 1e-30, 7, 1e6, -1e6, 2.0**-126, 0.1, -0.1], "f")


def pairs():
    rng = np.random.default_rng(0)
    a, b = (part.ravel() for part in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        usual = np.abs(a.astype("d") / b) < 1 << 22
    yield "special", np.resize(a[usual], 3000), np.resize(b[usual], 3000)
    yield "normal", rng.standard_normal((300, 200)).astype("f"), rng.standard_normal((300, 200)).astype("f")
    whole, divisor = rng.integers(-3000, 3000, 100_000).astype("f"), (rng.random(100_000) + 0.1).astype("f")
    for name, product in [
        ("multiples", whole * divisor), ("just below", np.nextafter(whole * divisor, np.float32(-np.inf))),
        ("just above", np.nextafter(whole * divisor, np.float32(np.inf))),
    ]:  # fmt: skip
        yield name, product, divisor
    yield "whole", whole, np.resize(np.array([1, 2, 3, -7, 10], "f"), 100_000)


@pytest.mark.parametrize("name", UFUNCS)
def test_division(name):
    for kind, x, y in pairs():
        out, beyond = np.empty_like(x), np.zeros(1, bool)
        run = getattr(division_kernels, f"_{name}").serial
        run(x.reshape(-1), y.reshape(-1), out.reshape(-1), beyond)
        assert not beyond[0], kind
        with np.errstate(all="ignore"):
            expected = UFUNCS[name](x, y)
        same_bits(out, expected, any_nan=True)
        same_bits(getattr(BACKEND, name)(x, y), expected, any_nan=True)


@pytest.mark.parametrize("name", UFUNCS)
def test_what_goes_to_numpy(name):
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(5000).astype("f") for _ in range(2))
    large, infinite, by_zero = x.copy(), x.copy(), y.copy()
    large[7], infinite[:3], by_zero[9] = 1e20, (np.inf, -np.inf, np.nan), 0.0
    cases = [
        (large, y),
        (infinite, y),
        (x, by_zero),
        (x, np.full(5000, np.inf, "f")),
        (x, np.array(0.5, "f")),
        (x[::2], y[::2]),
    ]
    cases += [(x.astype("d"), y.astype("d")), (x, y.astype("d")), (x.reshape(50, 100), y[:100]), (x[:5], y[:5])]
    cases += [(np.arange(5000), np.full(5000, 7)), (x, np.array([3.0], "f"))]
    for a, b in cases:
        with np.errstate(all="ignore"):
            same_bits(np.asarray(getattr(BACKEND, name)(a, b)), UFUNCS[name](a, b), any_nan=True)

"""Conversions between float32 and float16 by bits are NumPy's."""

import numpy as np
import pytest
from same_bits import same_bits

import autograd_core as ag
from autograd_core.backends.cpu import half_kernels

BACKEND = ag.tensor(0.0, device="cpu")._backend
pytestmark = pytest.mark.skipif(not BACKEND.can_fuse, reason="needs Numba's kernels")
HALF, SINGLE = np.dtype("e"), np.dtype("f")


def test_every_half_is_widened():
    halves = np.arange(1 << 16, dtype=np.uint16).view(HALF)
    same_bits(half_kernels.cast(halves, SINGLE), halves.astype("f"), any_nan=True)
    same_bits(BACKEND.cast(halves.reshape(64, 1024), SINGLE), halves.astype("f").reshape(64, 1024), any_nan=True)


def test_rounding():
    """All halves, what lies between two of them, the floats next to either, and any floats."""
    with np.errstate(all="ignore"):
        halves = np.arange(1 << 15, dtype=np.uint16).view(HALF).astype("f")
        middle = ((halves[:-1].astype("d") + halves[1:]) / 2).astype("f")
        others = np.array([65519.99, 65520, 65536, 1e30, 1e-40, 5e-8, 2.0**-25, 2.0**-24, 0.0], "f")
        edges = np.concatenate([halves, middle, others])
        around = [edges, np.nextafter(edges, np.float32(np.inf)), np.nextafter(edges, np.float32(-np.inf))]
        any_bits = np.random.default_rng(0).integers(0, 1 << 32, 1_000_000, dtype=np.uint32).view(SINGLE)
        x = np.concatenate([*around, *[-part for part in around], any_bits])
        same_bits(half_kernels.cast(x, HALF), x.astype(HALF), any_nan=True)


def test_what_is_numpys():
    x = np.ones((50, 60), "f")
    for array, dtype in [(x[:5, :5], HALF), (x[:, ::2], HALF), (x, np.dtype("d")), (x.astype("d"), HALF)]:
        assert half_kernels.cast(array, dtype) is None
        same_bits(BACKEND.cast(array, dtype), array.astype(dtype), any_nan=True)

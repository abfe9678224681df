"""Partial sorts, scans and permutations: the kernels find what the portable bodies in NumPy find."""

import numpy as np
import pytest
from portable_backend import PORTABLE
from same_bits import same_bits

import autograd_core as ag
from autograd_core.backends.cpu import order_kernels, philox_kernels, threads

BACKEND = ag.tensor(0.0, device="cpu")._backend
pytestmark = pytest.mark.skipif(not BACKEND.can_fuse, reason="needs Numba's kernels")
SHAPES = [(2000,), (5, 700), (40, 50), (3, 50, 17), (300, 200), (20_000, 2), (7, 5)]


def samples(shape, dtype):
    """Numbers, few and therefore often equal; infinities and zeros of both signs; a NaN here and there; constants."""
    x = np.random.default_rng(0).standard_normal(shape) * 3
    yield x.astype(dtype)
    yield x.round().astype(dtype)
    yield np.zeros(shape, dtype)
    if dtype in "fde":
        special = x.round().astype(dtype)
        special.reshape(-1)[::7] = np.inf
        special.reshape(-1)[1::11] = -np.inf
        special.reshape(-1)[2::5] = -0.0
        yield special
        special = special.copy()
        special.reshape(-1)[3::97] = np.nan
        yield special
        yield np.full(shape, np.nan, dtype)


@pytest.mark.parametrize("dtype", ["f", "d", "q", "i", "e", "B"])
@pytest.mark.parametrize("shape", SHAPES)
def test_places(shape, dtype):
    for x in samples(shape, dtype):
        for axis, n in enumerate(shape):
            for descending in (False, True):
                same_bits(BACKEND.argsort(x, axis, descending), PORTABLE.argsort(x, axis, descending))
            for k in {1, 2, n // 8, n // 4, n // 4 + 1, n} - {0}:
                for descending in (False, True):
                    args = (x, axis, k, descending)
                    same_bits(BACKEND.first_sorted(*args), PORTABLE.first_sorted(*args))
                same_bits(BACKEND.nth_sorted(x, axis, k - 1), PORTABLE.nth_sorted(x, axis, k - 1))
            for smallest in (False, True):
                same_bits(BACKEND.median_place(x, axis, smallest), PORTABLE.median_place(x, axis, smallest))
                same_bits(BACKEND.running_argmax(x, axis, smallest), PORTABLE.running_argmax(x, axis, smallest))


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dtype", ["f", "d", "q", "e"])
@pytest.mark.parametrize("shape", SHAPES)
def test_running_sums_and_products(shape, dtype, name):
    for x in samples(shape, dtype):
        if dtype != "q":
            x = (x / 8 + 1).astype(dtype)
        for axis in range(len(shape)):
            with np.errstate(all="ignore"):
                found = getattr(BACKEND, name)(x, axis)
                exact = getattr(np, name)(x.astype("d") if dtype in "fe" else x, axis)
                assert found.dtype == x.dtype and found.shape == x.shape
                expected = exact.astype(dtype)
            rtol = {"f": 1e-6, "d": 1e-12, "e": 4e-3, "q": 0}[dtype]
            np.testing.assert_allclose(found, expected, rtol, rtol if dtype != "q" else 0)


def test_a_long_sum_keeps_its_digits():
    x = np.full(3_000_000, 0.1, "f")
    assert BACKEND.cumsum(x, 0)[-1] == pytest.approx(3_000_000 * float(x[0]), rel=1e-7)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_no_result_depends_on_the_number_of_threads(axis):
    x = np.random.default_rng(7).standard_normal((40, 30, 60)).round(1).astype("f")

    def results():
        return [
            BACKEND.first_sorted(x, axis, 5, True), BACKEND.nth_sorted(x, axis, 9), BACKEND.running_argmax(x, axis, True),
            BACKEND.cumsum(x, axis), BACKEND.cumprod(x, axis),
        ]  # fmt: skip

    count, several = threads.get_num_threads(), results()
    try:
        threads.set_num_threads(1)
        for a, b in zip(results(), several, strict=True):
            same_bits(a, b)
    finally:
        threads.set_num_threads(count)


@pytest.mark.parametrize("n", [0, 1, 2, 999, 1000, 1024, 1025, 60_000])
def test_permutations_are_stable_argsorts(n):
    keys = np.random.default_rng(n).integers(0, 2**64, n, dtype=np.uint64)
    for k in (keys, keys // np.uint64(2**50), keys % np.uint64(max(n // 4, 1)), keys | np.uint64(2**64 - 1)):
        same_bits(philox_kernels._places_in_order(k), np.argsort(k, kind="stable"))


def test_the_whole_is_not_sorted(monkeypatch):
    x = np.random.default_rng(1).standard_normal((50, 400)).astype("f")
    monkeypatch.setattr(BACKEND, "argsort", None)
    places = BACKEND.first_sorted(x, 1, 10, True)
    assert (np.take_along_axis(x, places, 1) == -np.sort(-x, 1)[:, :10]).all()
    assert (np.take_along_axis(x, BACKEND.median_place(x, 1, False), 1)[:, 0] == np.sort(x, 1)[:, 199]).all()
    assert order_kernels._rows(x, 0).shape == (400, 50)

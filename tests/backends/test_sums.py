"""Sums over the axes before and behind a block that stays are NumPy's, up to rounding, on any number of threads."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.backends.cpu import sums, threads

BACKEND = ag.tensor(0.0, device="cpu")._backend
pytestmark = pytest.mark.skipif(not BACKEND.can_fuse, reason="needs Numba's kernels")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((64, 6, 15, 17), (0, 2, 3)), ((8, 64, 5, 4), (2, 3)), ((8, 64, 5, 4), (-1, -2)), ((3, 5, 1, 2049), (3,)),
        ((5, 6, 7, 50), (0, 3)), ((2, 3, 7000), (0, 2)), ((1, 40000), (1,)), ((100, 1, 100), (0, 2)),
        ((513, 17), (0,)), ((40, 50, 30), (0, 1)), ((600, 5, 3, 2), (0, 2, 3)), ((9000, 1), (0,)), ((600, 40), (-2,)),
        ((13, 1000), None), ((13, 1000), (0, 1)), ((4096 * 20 + 5,), (0,)), ((8192,), (-1,)),
        ((24576, 4), (1,)), ((3, 5000, 2), (0, 2)), ((20_000, 15), (-1,)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_and_means(shape, axes, dtype, keepdims):
    x = (np.random.default_rng(0).standard_normal(shape) + 1).astype(dtype)
    found = sums.block_sums(x, axes, keepdims)
    expected = x.astype("float64").sum(axis=axes, keepdims=keepdims)
    assert found is not None and found.dtype == x.dtype and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-6 if dtype == "float32" else 1e-13)
    mean = BACKEND.mean(x, axes, keepdims)
    np.testing.assert_allclose(
        mean, x.astype("float64").mean(axis=axes, keepdims=keepdims), rtol=2e-6 if dtype == "float32" else 1e-13
    )
    assert (BACKEND.sum(x, axes, keepdims) == found).all()


def test_numpy_makes_the_others():
    x = np.ones((64, 6, 16, 16), "f")
    others = [(x.T, None), (x, (1,)), (x, (1, 3)), (x[:, ::2], (0, 2, 3)), (x.astype("e"), (2, 3))]
    others += [(x.reshape(-1, 1), (1,)), (x.transpose(0, 2, 3, 1), (0, 1, 2)), (x.astype("i4"), (2, 3))]
    for array, axes in others:
        assert sums.block_sums(array, axes, False) is None
        assert (BACKEND.sum(array, axes, False) == array.sum(axis=axes)).all()


def test_what_is_not_finite_stays_so():
    x = np.ones((4, 4, 64, 64), "f")
    x[1, 0, 3, 5], x[0, 1, 0, 0], x[2, 2, 1, 1], x[3, 2, 60, 60] = np.nan, np.inf, np.inf, -np.inf
    found = BACKEND.sum(x, (0, 2, 3), False)
    assert np.isnan(found[0]) and found[1] == np.inf and np.isnan(found[2]) and found[3] == 4 * 64 * 64


def test_columns_of_many_rows_keep_their_digits():
    x = (np.random.default_rng(0).standard_normal((100_000, 3)) + 1e6).astype("f")
    np.testing.assert_allclose(BACKEND.mean(x, (0,), False), x.astype("d").mean(0), rtol=2e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((20, 1000), None),
        ((20, 1000), (1,)),
        ((20, 1000), (-1,)),
        ((20, 10, 50), (1, 2)),
        ((300, 40), (0, 1)),
        ((9000,), (0,)),
    ],
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_products(shape, axes, dtype, keepdims):
    x = np.random.default_rng(0).uniform(0.99, 1.0101, shape).astype(dtype)
    x.reshape(-1)[3] *= -1
    found = sums.row_products(x, axes, keepdims)
    expected = x.astype("d").prod(axis=axes, keepdims=keepdims)
    assert found is not None and found.dtype == x.dtype and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-12)
    assert (BACKEND.prod(x, axes, keepdims) == found).all()


def test_products_that_numpy_makes():
    x = np.random.default_rng(0).uniform(0.9999, 1.0001, (20, 30, 50)).astype("f")
    others = [
        (x, (0,)),
        (x, (0, 2)),
        (x[:, ::2], (2,)),
        (x[:5, :5], None),
        (x.astype("e"), None),
        (x.reshape(-1, 5), (1,)),
    ]
    for array, axes in others:
        assert sums.row_products(array, axes, False) is None
        np.testing.assert_allclose(BACKEND.prod(array, axes, False), array.astype("d").prod(axis=axes), rtol=1e-2)


def test_a_sum_of_all_keeps_its_digits():
    x = (np.random.default_rng(0).standard_normal(3_000_000) + 1e4).astype("f")
    np.testing.assert_allclose(BACKEND.sum(x, None, False), x.astype("d").sum(), rtol=1e-7)


@pytest.mark.parametrize("axes", [(0, 2, 3), (0, 1), None])
def test_no_sum_depends_on_the_number_of_threads(axes):
    x = np.random.default_rng(0).standard_normal((64, 17, 40, 40)).astype("f")
    count = threads.get_num_threads()
    several = BACKEND.sum(x, axes, False)
    try:
        threads.set_num_threads(1)
        assert (BACKEND.sum(x, axes, False) == several).all()
    finally:
        threads.set_num_threads(count)

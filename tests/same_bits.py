"""How the tests of kernels compare arrays."""

import numpy as np


def same_bits(found, expected, any_nan=False):
    """Of one dtype and shape, contiguous but where `expected` is turned, and alike in every bit; with `any_nan` one NaN is
    like another."""
    assert found is not None and found.dtype == expected.dtype and found.shape == expected.shape
    assert found.flags.c_contiguous or expected.flags.f_contiguous
    if any_nan:
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        found, expected = found[~np.isnan(expected)], expected[~np.isnan(expected)]
    assert found.tobytes() == expected.tobytes()

"""The Numba-CUDA kernels, run thread by thread by `tests/fake_cuda.py`, against the portable bodies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_kernel_cases import FAMILIES, KernelBackend, NumpyBackend, cases
from fake_cuda import FakeLauncher

TOLERANCE = {"e": (2e-3, 1e-3), "f": (2e-5, 2e-6), "d": (1e-12, 1e-13)}


def compare(name: str, got: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert len(got) == len(expected)
        for g, e in zip(got, expected):
            compare(name, g, e)
    elif expected is None:
        assert got is None
    else:
        got, expected = np.asarray(got), np.asarray(expected)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype), name
        if expected.dtype.kind == "f":
            rtol, atol = TOLERANCE[expected.dtype.char]
            np.testing.assert_allclose(got.astype("d"), expected.astype("d"), rtol, atol, err_msg=name)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=name)


def copied(args: Any) -> Any:
    if isinstance(args, tuple | list):
        return type(args)(copied(a) for a in args)
    return np.copy(args, order="K") if isinstance(args, np.ndarray) else args


@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_equal_the_portable_bodies(family: str) -> None:
    launch = FakeLauncher()
    portable, backend = NumpyBackend(), KernelBackend(launch)
    for name, args in cases(family):
        theirs, ours = copied(args), copied(args)
        words = f"{name}({', '.join(str(getattr(a, 'shape', a)) for a in args)})"
        with np.errstate(all="ignore"):
            expected = getattr(portable, name)(*theirs)
            got = getattr(backend, name)(*ours)
        compare(words, got, expected)
        compare(
            f"{words}: its arguments afterwards",
            tuple(a for a in ours if isinstance(a, np.ndarray)),
            tuple(a for a in theirs if isinstance(a, np.ndarray)),
        )
    assert launch.launched, "no kernel was launched"

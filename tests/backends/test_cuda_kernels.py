"""The Numba-CUDA kernels, run thread by thread by `tests/fake_cuda.py`, against the portable bodies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_kernel_cases import FAMILIES, KernelBackend, NumpyBackend, cases
from fake_cuda import FakeLauncher

from autograd_core.backends.cuda.kernels import families

OURS = {function.__name__ for family in families() for function in family}
TOLERANCE = {"e": (2e-3, 1e-3), "f": (2e-5, 2e-6), "d": (1e-12, 1e-13)}


def compare(name: str, got: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert len(got) == len(expected)
        for g, e in zip(got, expected):
            compare(name, g, e)
    elif not isinstance(expected, np.ndarray | np.generic):
        assert got == expected
    else:
        got, expected = np.asarray(got), np.asarray(expected)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype), name
        if expected.dtype.kind == "f" and not name.startswith("random_"):
            rtol, atol = TOLERANCE[expected.dtype.char]
            np.testing.assert_allclose(got.astype("d"), expected.astype("d"), rtol, atol, err_msg=name)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=name)


def copied(args: Any) -> Any:
    if isinstance(args, tuple | list):
        return type(args)(copied(a) for a in args)
    return np.copy(args, order="K") if isinstance(args, np.ndarray) else args


def widened(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.astype("f") if isinstance(a, np.ndarray) and a.dtype == "e" else a for a in args)


@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_equal_the_portable_bodies(family: str) -> None:
    launch = FakeLauncher()
    portable, backend = NumpyBackend(), KernelBackend(launch)
    names, launched = set(), set()
    for name, args in cases(family):
        theirs, ours = copied(args), copied(args)
        words = f"{name}({', '.join(str(getattr(a, 'shape', a)) for a in args)})"
        before = launch.count
        with np.errstate(all="ignore"):
            if family == "elementwise" and args[0].dtype == "e":  # The body would round at each step.
                expected = getattr(portable, name)(*widened(theirs)).astype("e")
            else:
                expected = getattr(portable, name)(*theirs)
            got = getattr(backend, name)(*ours)
        compare(words, got, expected)
        compare(f"{words}: its arguments afterwards", ours, theirs)
        names.add(name)
        if launch.count > before:
            launched.add(name)
    assert launched >= names & OURS, f"ran as portable bodies: {sorted(names & OURS - launched)}"
    assert launched

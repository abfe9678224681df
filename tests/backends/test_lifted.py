"""The kernels made from scalar functions against their portable bodies, in both forms and dtypes."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba", reason="generated kernels need numba")

from portable_backend import PORTABLE

from autograd_core.backends import scalars
from autograd_core.backends.cpu import generated, lifted, softmax_kernels
from autograd_core.backends.cpu.backend import CpuBackend
from autograd_core.backends.cpu.vector_math import LIBRARY
from autograd_core.backends.lifting import Body

NUMBERS = {
    "leaky_relu": (0.1,),
    "elu": (1.67, 1.05, 0.9),
    "softplus": (2.0, 20.0),
    "hardtanh": (-1.5, 2.0),
    "clamp": (-1.5, 2.0),
    "huber": (1.3,),
    "smooth_l1": (1.3,),
    "dropout": (2.0,),
}
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e-7, -1e-30, 0.5, -0.5, 0.625, -0.625, 0.9, 4.0, -5.0]
EXTREME = [88.3, 88.7, 88.8, -87.3, -103.0, -105.0, 700.0, -750.0, 1e10, -1e10]

# Error allowed, in units in the last place of the result, next to the rounding of the inputs' magnitude.
ULP = 16


def sample(kind, dtype):
    rng = np.random.default_rng(0)
    if kind == "random":
        return (4 * rng.standard_normal(5000)).astype(dtype)
    if kind == "special":
        return np.resize(np.array(SPECIAL, dtype), 1100)
    if kind == "extreme":
        return np.resize(np.array(EXTREME, dtype), 1100)
    if kind == "empty":
        return np.zeros((0, 3), dtype)
    if kind == "parallel":
        return (4 * rng.standard_normal((300, 200))).astype(dtype)
    assert kind == "strided"
    return (4 * rng.standard_normal((40, 60))).astype(dtype).T[::2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*lifted.KERNELS, *lifted.PARALLEL_ONLY])
def test_kernel_equals_portable_body(name, dtype):
    backend = CpuBackend()
    numbers = NUMBERS.get(name.removesuffix("_backward"), ())
    for kind in ("random", "special", "extreme", "empty", "parallel", "strided"):
        x = sample(kind, dtype)
        count = lifted.KERNELS.get(name, 1)
        g = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
        arrays = (x,) if count == 1 else (x, g) if name == "dropout" else (g, x)
        with np.errstate(all="ignore"):
            wide = [a.astype(np.longdouble if dtype == "float64" else np.float64) for a in arrays]
            expected = getattr(PORTABLE, name)(*arrays, *numbers)
            exact = getattr(PORTABLE, name)(*wide, *numbers).astype(np.float64)
            got = getattr(backend, name)(*arrays, *numbers)
            assert got.dtype == x.dtype and got.shape == x.shape
            # Overflow inside a formula comes earlier in float32: NaN and infinity are as in the body of the same dtype.
            finite = np.isfinite(expected) & np.isfinite(exact)
            assert np.array_equal(np.isnan(got), np.isnan(expected)), (kind, x[np.isnan(got) != np.isnan(expected)])
            assert np.array_equal(np.isinf(got), np.isinf(expected)), (kind, x[np.isinf(got) != np.isinf(expected)])
            # Derivatives that cross zero are sums of terms of the cotangent's size, with their rounding.
            terms = np.abs(g) / 4 if "lu_" in name and count == 2 else 0.0
            if name in ("logaddexp", "logit_loss"):
                terms = np.abs(x) + np.abs(g) if name == "logaddexp" else 1 + np.abs(x * g)
            scale = np.maximum(np.abs(exact), terms)
            error = np.abs(got.astype(np.float64) - exact)[finite]
            allowed = (ULP * np.finfo(dtype).eps * np.maximum(scale, np.finfo(dtype).tiny))[finite]
            # What the portable body loses in the dtype (far tails, by cancellation) may be lost here.
            allowed = np.maximum(allowed, 4 * np.abs(expected.astype(np.float64) - exact)[finite])
            assert (error <= allowed).all(), (kind, x.ravel()[finite.ravel()][(error > allowed).ravel()][:5])


@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "log", "log1p", "erf"])
def test_vector_math_is_accurate(name):
    rng = np.random.default_rng(2)
    x = np.concatenate([np.ldexp(rng.uniform(0.5, 1, 4000), rng.integers(-149, 128, 4000)), rng.uniform(0, 10, 4000)])
    x = np.concatenate([x, -x, SPECIAL, EXTREME]).astype(np.float32)
    out = np.empty_like(x)
    lifted.loop(name, 1, "float32").serial(x, out)
    with np.errstate(all="ignore"):
        exact = getattr(PORTABLE, name)(x.astype(np.float64))
        rounded = exact.astype(np.float32)
        unequal = ~((out == rounded) | (np.isnan(out) & np.isnan(rounded)))
        spacing = np.maximum(np.spacing(np.abs(rounded)), np.float32(1e-45)).astype(np.float64)
        assert (np.abs(out - exact) <= 3 * spacing)[unequal].all(), x[unequal & (np.abs(out - exact) > 3 * spacing)][:5]


def test_erfinv_is_accurate():
    rng = np.random.default_rng(3)
    near_one = 1 - 10.0 ** rng.uniform(-7, -1, 5000)
    x = np.concatenate([rng.uniform(-1, 1, 5000), near_one, -near_one, 10.0 ** rng.uniform(-40, -1, 5000)]).astype("f")
    out = np.empty_like(x)
    lifted.loop("erfinv", 1, "float32").serial(x, out)
    exact = PORTABLE.erfinv(x.astype("d"))
    assert (np.abs(out - exact) <= 3 * np.spacing(np.abs(exact).astype("f"))).all()
    edge = np.array([1, -1, 0, -0.0, 1.5, -2, np.nan, np.inf], "f")
    out = np.empty_like(edge)
    lifted.loop("erfinv", 1, "float32").serial(edge, out)
    np.testing.assert_array_equal(out, np.array([np.inf, -np.inf, 0, 0, np.nan, np.nan, np.nan, np.nan], "f"))
    assert np.signbit(out[3])


def test_bits_do_not_depend_on_the_form_of_the_loop():
    x = sample("parallel", "float32").reshape(-1)
    run, a, b = lifted.loop("gelu", 1, "float32"), np.empty_like(x), np.empty_like(x)
    run(x, a)
    run.serial(x, b)
    assert np.array_equal(a, b)


def test_a_changed_function_is_a_new_file():
    def twice(x):
        return x + x

    def thrice(x):
        return x + x + x

    sources = []
    for function in (twice, thrice):
        body = Body("float32", {"f": function})
        result = body.call("f", ["x"])
        sources.append("\n".join(["def scalar(x):", *[f"    {line}" for line in body.lines], f"    return {result}\n"]))
    first, second = (generated.load("changed", source) for source in sources)
    assert first.__file__ != second.__file__ and (first.scalar(2.0), second.scalar(2.0)) == (4.0, 6.0)
    assert generated.load("changed", sources[0]) is first


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from autograd_core.backends.cpu import lifted

lifted.loop("silu", 1, "float32").serial(np.ones(3, "f"), np.empty(3, "f"))
print(sorted((path.name, path.stat().st_mtime_ns) for path in Path(sys.argv[1]).rglob("*.nbc")))
"""


def test_compiled_code_is_found_again_by_another_process(tmp_path):
    environment = {**os.environ, "AUTOGRAD_CORE_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert "nbc" in first and first == second


def test_what_is_outside_the_subset_is_named():
    def looped(x):
        for _ in range(3):
            x = x + 1
        return x

    with pytest.raises(TypeError, match="for _ in range"):
        Body("float32", {"looped": looped}).call("looped", ["x"])


def test_scalar_functions_are_kernels_of_the_backend():
    for name in scalars.FUNCTIONS:
        assert hasattr(PORTABLE, name), name
    assert set(lifted.KERNELS) <= set(scalars.FUNCTIONS) | set(LIBRARY["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 7), (300, 65), (2, 3, 16), (4, 1)])
def test_softmax_kernels_equal_the_portable_bodies(shape, dtype):
    rng = np.random.default_rng(3)
    x, g = (rng.standard_normal((2, *shape)) * 5).astype(dtype)
    specials = x.copy().reshape(-1, shape[-1])
    for row, value in zip(specials, [np.nan, np.inf, -np.inf, 1e30, -1e30]):
        row[-1] = value
    specials[-1] = -np.inf
    axis = len(shape) - 1
    for values in (x, specials.reshape(shape)):
        with np.errstate(all="ignore"):
            for name in ("softmax", "log_softmax"):
                expected = getattr(PORTABLE, name)(values.astype(np.float64), axis)
                got = softmax_kernels.rowwise(name, values)
                np.testing.assert_allclose(got, expected, rtol=3e-6 if dtype == "float32" else 1e-13, atol=1e-6)
                expected = getattr(PORTABLE, f"{name}_backward")(g.astype(np.float64), expected, axis)
                got = softmax_kernels.rowwise(f"{name}_backward", g, got)
                np.testing.assert_allclose(got, expected, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "classes"), [(3, 10), (700, 65)])
def test_cross_entropy_kernels_equal_the_portable_body(rows, classes, dtype):
    rng = np.random.default_rng(4)
    x, target = (rng.standard_normal((rows, classes)) * 5).astype(dtype), rng.integers(0, classes, rows)
    target[1] = -100
    exact = PORTABLE.cross_entropy(x.astype(np.float64), target, -100)
    found = softmax_kernels.cross_entropy(x, target, -100)
    for a, b in zip(found, exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6)
    g = np.array(2.0, dtype)
    expected = PORTABLE.cross_entropy_backward(g, x.astype(np.float64), target, exact[1], exact[2], -100)
    got = softmax_kernels.cross_entropy_backward(g, x, target, found[1], found[2], -100)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-8)

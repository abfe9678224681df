"""Generated loops against the same calls one after the other: random chains, shapes, layouts and dtypes."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="generated loops need numba")

import autograd_core as ag
from autograd_core.backends.cpu.fused import FusedLoop

BACKEND = ag.tensor(0.0, device="cpu")._backend
UNARY = ["exp", "tanh", "sigmoid", "gelu", "relu", "neg", "square", "abs", "silu", "clone"]
BINARY = ["add", "sub", "mul", "maximum", "minimum", "tanh_backward", "relu_backward"]
COMPARISONS = ["lt", "ge", "eq"]


def laid_out(rng, shape, dtype, kind):
    """An array of `shape` whose memory lies as `kind` says."""
    values = rng.standard_normal(shape).astype(dtype)
    if kind == "permuted" and len(shape) > 1:
        order = rng.permutation(len(shape))
        return np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))
    if kind == "strided" and shape:
        wide = np.repeat(values, 2, axis=-1)
        return wide[..., ::2]
    return values


def layout(name, x):
    return name, x.shape, tuple(s // x.itemsize for s in x.strides), x.dtype


def random_program(rng, shape, dtype):
    arrays = []
    for n in range(rng.integers(1, 5)):
        own = (
            tuple(int(d) if rng.random() < 0.8 else 1 for d in shape)[int(rng.integers(0, len(shape) + 1)) :]
            if n
            else shape
        )
        arrays.append(laid_out(rng, own, dtype, rng.choice(["plain", "permuted", "strided"])))
    values = {f"x{n}": x for n, x in enumerate(arrays)}
    steps = []
    for n in range(int(rng.integers(1, 9))):
        names = [name for name, v in values.items() if v.dtype.kind == "f"]
        kind = rng.random()
        if kind < 0.4:
            kernel, arguments = str(rng.choice(UNARY)), [str(rng.choice(names))]
        elif kind < 0.75:
            kernel, arguments = str(rng.choice(BINARY)), [str(rng.choice(names)), str(rng.choice(names))]
        elif kind < 0.9:
            kernel, arguments = str(rng.choice(["add", "mul", "sub"])), [str(rng.choice(names)), float(rng.normal())]
        else:
            mask = str(rng.choice(COMPARISONS))
            a, b = str(rng.choice(names)), str(rng.choice(names))
            values[f"m{n}"] = getattr(BACKEND, mask)(values[a], values[b])
            steps.append((mask, [a, b], f"m{n}"))
            kernel, arguments = "where", [f"m{n}", a, float(rng.normal())]
        filled = [values[a] if isinstance(a, str) else dtype(a) if kernel == "where" else a for a in arguments]
        with np.errstate(all="ignore"):
            values[f"y{n}"] = np.asarray(getattr(BACKEND, kernel)(*filled))
        steps.append((kernel, arguments, f"y{n}"))
    return arrays, steps, values


@pytest.mark.parametrize("seed", range(25))
def test_a_loop_equals_its_calls(seed):
    rng = np.random.default_rng(seed)
    dtype = np.float32 if seed % 2 else np.float64
    shape = [(7,), (3, 5), (2, 3, 4), (4, 1, 6), (200, 300)][int(rng.integers(0, 5))]
    arrays, steps, values = random_program(rng, shape, dtype)
    full = [name for _, _, name in steps if values[name].shape == shape]
    if not full:
        return
    kept = full[-2:]
    # As in a plan, what a group holds is of the group's shape: smaller results are its inputs.
    inside = [step for step in steps if values[step[2]].shape == shape]
    made = {step[2] for step in inside}
    needed = {a for _, arguments, _ in inside for a in arguments if isinstance(a, str)} - made
    inputs = sorted(needed)
    loop = FusedLoop(inside, [layout(n, values[n]) for n in inputs], [layout(n, values[n]) for n in kept])
    with np.errstate(all="ignore"):
        got = loop.function(*[values[n] for n in inputs])
    got = got if isinstance(got, tuple) else (got,)
    for name, array in zip(kept, got, strict=True):
        expected = values[name]
        assert array.shape == expected.shape and array.dtype == expected.dtype
        assert all(a == b for n, a, b in zip(array.shape, array.strides, expected.strides) if n > 1)
        if array.dtype.kind == "b":
            assert (array != expected).mean() < 1e-3  # A comparison of two roundings.
        else:
            tolerance = 2e-5 if dtype is np.float32 else 1e-12
            np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance, err_msg=loop.source)


def test_axes_are_taken_together():
    x, row = np.ones((4, 5, 6), "f"), np.ones((6,), "f")
    flat = FusedLoop([("add", ["x0", "x1"], "y0")], [layout("x0", x), layout("x1", x)], [layout("y0", x)])
    assert "n0 = y0.size\n" in flat.source and flat.dims == [120]
    rows = FusedLoop([("add", ["x0", "x1"], "y0")], [layout("x0", x), layout("x1", row)], [layout("y0", x)])
    assert rows.dims == [20, 6]


def test_one_source_serves_all_sizes():
    sources, nested = set(), set()
    for n in (10, 20):
        x = np.ones((n, 3), "f")
        sources.add(FusedLoop([("exp", ["x0"], "y0")], [layout("x0", x)], [layout("y0", x)]).source)
        image, channel = np.ones((n, n + 1, 4, n), "f"), np.ones((n + 1, 1, 1), "f")
        given = [layout("x0", image), layout("x1", channel)]
        nested.add(FusedLoop([("mul", ["x0", "x1"], "y0")], given, [layout("y0", image)]).source)
    assert len(sources) == 1 and len(nested) == 1


def test_a_result_takes_over_the_memory_of_an_input():
    rng = np.random.default_rng(0)
    x, y, row = (rng.standard_normal(shape).astype("f") for shape in ((70, 30), (70, 30), (30,)))
    steps = [("mul", ["x0", "x1"], "a"), ("add", ["a", "x2"], "b"), ("sub", ["x0", "b"], "c")]
    inputs, outputs = [layout("x0", x), layout("x1", y), layout("x2", row)], [layout("b", x), layout("c", x)]
    expected = [x * y + row, x - (x * y + row)]
    loop = FusedLoop(steps, inputs, outputs, {"c": "x0", "b": "x1"})
    b, c = loop.function(x, y, row)
    assert b is y and c is x
    np.testing.assert_allclose(b, expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(c, expected[1], rtol=1e-6, atol=1e-6)

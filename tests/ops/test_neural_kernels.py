"""The CPU's neural kernels against the portable bodies, at sizes that reach each of their paths."""

import math

import numpy as np
import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core.backends.neural import NeuralKernels

INF = math.inf


def cpu():
    return ag.devices.backend_of("cpu")


GEOMETRIES = [
    # images, weight, stride, padding (top, bottom, left, right), dilation, groups
    ((5, 3, 9, 8), (4, 3, 3, 2), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((70, 2, 6, 6), (6, 2, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),  # Several images a block.
    ((33, 8, 2, 2), (4, 4, 2, 2), (1, 1), (0, 1, 1, 0), (1, 1), 2),
    ((1, 16, 70, 61), (8, 16, 5, 5), (1, 1), (2, 2, 2, 2), (1, 1), 1),  # Several bands of rows an image.
    ((3, 4, 65, 50), (6, 2, 7, 3), (3, 2), (3, 0, 1, 4), (2, 3), 2),
    ((2, 6, 12, 11), (6, 1, 3, 3), (2, 1), (5, 5, 5, 5), (1, 1), 6),  # More padding than kernel.
    ((4, 5, 7, 7), (3, 5, 1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 1),
    ((2, 40, 60, 90), (20, 20, 3, 3), (1, 1), (0, 2, 2, 0), (2, 1), 2),  # Bands of dilated rows, two groups.
    ((1, 64, 30, 120), (9, 64, 2, 4), (2, 3), (1, 1, 1, 1), (1, 1), 1),  # Bands with strides.
    ((300, 1, 6, 5), (11, 1, 3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((3, 2, 1, 9), (2, 2, 1, 3), (1, 2), (0, 0, 1, 1), (1, 1), 1),  # A signal.
    ((2, 2, 5, 5), (2, 2, 1, 1), (3, 4), (2, 2, 2, 2), (1, 1), 1),  # Windows of padding alone.
    ((9, 150, 3, 3), (130, 150, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),  # Weights of which there is one sum.
]


@pytest.mark.parametrize("images, kernel, stride, padding, dilation, groups", GEOMETRIES)
def test_convolution_kernels_equal_the_portable_ones(images, kernel, stride, padding, dilation, groups):
    backend = cpu()
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype("float32") for s in (images, kernel, kernel[:1]))
    geometry = (stride, padding, dilation, groups)
    y = backend.conv2d(x, w, b, *geometry)
    exact = NeuralKernels.conv2d(backend, *(a.astype("float64") for a in (x, w, b)), *geometry)
    g = rng.standard_normal(y.shape).astype("float32")
    wide = g.astype("float64")
    pairs = [
        (y, exact),
        (
            backend.conv2d_input_grad(g, w, images, *geometry),
            NeuralKernels.conv2d_input_grad(backend, wide, w.astype("float64"), images, *geometry),
        ),
        (
            backend.conv2d_weight_grad(g, x, kernel, *geometry),
            NeuralKernels.conv2d_weight_grad(backend, wide, x.astype("float64"), kernel, *geometry),
        ),
    ]
    for found, expected in pairs:
        assert found.dtype == np.float32 and found.flags.c_contiguous
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("value", [math.nan, INF, -INF, 1e30, 1e-42, 0.0])
@pytest.mark.parametrize("where", ["x", "w", "g"])
def test_convolution_of_extreme_numbers(where, value):
    backend = cpu()
    rng = np.random.default_rng(0)
    arrays = {"x": (2, 3, 8, 7), "w": (4, 3, 3, 3), "g": (2, 4, 8, 7)}
    x, w, g = (rng.standard_normal(shape).astype("float32") for shape in arrays.values())
    {"x": x, "w": w, "g": g}[where][1, 2, 0, ::2] = value
    geometry = ((1, 1), (1, 1, 1, 1), (1, 1), 1)
    for name, arguments in (
        ("conv2d", (x, w, None)), ("conv2d_input_grad", (g, w, x.shape)), ("conv2d_weight_grad", (g, x, w.shape)),
    ):  # fmt: skip
        found = getattr(backend, name)(*arguments, *geometry)
        expected = getattr(NeuralKernels, name)(backend, *arguments, *geometry)
        scale = np.abs(expected[np.isfinite(expected)]).max()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * scale, err_msg=name)


def test_convolution_of_strided_and_empty_arrays():
    backend = cpu()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 9, 3, 4)).astype("float32").transpose(3, 2, 1, 0)[::-1]
    w = rng.standard_normal((3, 3, 3, 5)).astype("float32").transpose(3, 0, 1, 2)
    geometry = ((1, 2), (1, 1, 1, 1), (1, 1), 1)
    y = backend.conv2d(x, w, None, *geometry)
    np.testing.assert_allclose(y, NeuralKernels.conv2d(backend, x, w, None, *geometry), rtol=1e-4, atol=1e-5)
    g = np.broadcast_to(np.float32(2), y.shape)
    for name, arguments in (("conv2d_input_grad", (g, w, x.shape)), ("conv2d_weight_grad", (g, x, w.shape))):
        found = getattr(backend, name)(*arguments, *geometry)
        np.testing.assert_allclose(
            found, getattr(NeuralKernels, name)(backend, *arguments, *geometry), rtol=1e-4, atol=1e-4
        )
    none = np.zeros((0, 3, 9, 8), "float32")
    assert backend.conv2d(none, w, None, *geometry).shape == (0, *y.shape[1:])
    assert not backend.conv2d_weight_grad(y[:0], none, w.shape, *geometry).any()


@pytest.mark.host("it calls the kernels of the CPU by themselves")
def test_convolution_does_not_depend_on_the_number_of_threads():
    from autograd_core.backends.cpu import threads

    backend = cpu()
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((40, 8, 14, 14)).astype("float32"), rng.standard_normal((24, 8, 3, 3)).astype("float32")
    geometry = ((1, 1), (1, 1, 1, 1), (1, 1), 1)
    results = []
    for count in (1, 2, threads.get_num_threads()):
        threads.set_num_threads(count)
        y = backend.conv2d(x, w, None, *geometry)
        gx, gw = (
            backend.conv2d_input_grad(y, w, x.shape, *geometry),
            backend.conv2d_weight_grad(y, x, w.shape, *geometry),
        )
        results.append((y.tobytes(), gx.tobytes(), gw.tobytes()))
    threads.set_num_threads(threads._available_threads())
    assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel, stride, padding, dilation, size", [
    ((2, 2), (2, 2), (0, 0), (1, 1), (20, 15)),
    ((2, 2), (2, 2), (1, 1), (1, 1), (21, 16)),
    ((3, 3), (2, 2), (1, 1), (1, 1), (20, 16)),
    ((2, 3), (1, 3), (1, 0), (3, 2), (39, 9)),
    ((20, 15), (3, 2), (0, 0), (1, 1), (7, 9)),
])  # fmt: skip
def test_max_pooling_kernels_equal_the_portable_ones(kernel, stride, padding, dilation, size, dtype):
    backend = cpu()
    x = np.random.default_rng(0).integers(-3, 4, (3, 4, 40, 31)).astype(dtype)
    x[0, 0, :5] = -INF
    geometry = (kernel, stride, padding, dilation)
    y, place = backend.max_pool2d(x, *geometry, size)
    expected, places = NeuralKernels.max_pool2d(backend, x, *geometry, size)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(place, places)
    g = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    found = backend.max_pool2d_backward(g, place, x.shape, *geometry)
    reference = NeuralKernels.max_pool2d_backward(backend, g, place, x.shape, *geometry)
    np.testing.assert_allclose(found, reference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3, 50, 40), (300, 200)])
def test_normalization_kernels_equal_the_portable_ones(shape):
    backend = cpu()
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype("float32") for _ in range(2))
    x += 100  # Where sums of squares would cancel.
    w, b, wants = rng.standard_normal(shape[1:]).astype("float32"), None, (True, True, True)
    dims = len(shape) - 1
    y, mean, rstd = backend.layer_norm(x, w, b, dims, 1e-5)
    exact = NeuralKernels.layer_norm(backend, x.astype("float64"), w.astype("float64"), b, dims, 1e-5)
    np.testing.assert_allclose(y, exact[0], rtol=1e-4, atol=1e-4)
    gradients = backend.layer_norm_backward(g, x, w, mean, rstd, dims, 1e-5, wants)
    expected = NeuralKernels.layer_norm_backward(backend, g, x, w, mean, rstd, dims, 1e-5, wants)
    for found, reference in zip(gradients, expected):
        np.testing.assert_allclose(found, reference, rtol=1e-3, atol=1e-3)
    m, v = backend.batch_norm_stats(x)
    np.testing.assert_allclose(m, x.astype("float64").mean((0, *range(2, x.ndim))), rtol=5e-6)
    np.testing.assert_allclose(v, x.astype("float64").var((0, *range(2, x.ndim))), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 3), (300, 200), (1, 7), (64, 1), (4, 3, 50, 40), (300, 20, 1), (2, 5, 7)])
def test_batch_norm_kernels_equal_the_portable_ones(shape, dtype):
    backend = cpu()
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    w, b = (rng.standard_normal(shape[1]).astype(dtype) for _ in range(2))
    mean, var = (NeuralKernels.batch_norm_stats(backend, x.astype("float64"))[i].astype(dtype) for i in (0, 1))
    close = {"rtol": 2e-4, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-10}
    for found, reference in zip(backend.batch_norm_stats(x), (mean, var)):
        np.testing.assert_allclose(found, reference, **close)
    for weight, bias in ((w, b), (None, None)):
        args = (weight, bias, mean, var, 1e-3, True)
        np.testing.assert_allclose(backend.batch_norm(x, *args), NeuralKernels.batch_norm(backend, x, *args), **close)
        for training in (True, False):
            for want_x in (True, False):
                args = (g, x, weight, mean, var, 1e-3, training, (want_x, weight is not None, True))
                found, reference = backend.batch_norm_backward(*args), NeuralKernels.batch_norm_backward(backend, *args)
                for a, expected in zip(found, reference, strict=True):
                    if expected is None:
                        assert a is None
                    else:
                        assert a.shape == expected.shape and a.dtype == expected.dtype
                        scale = np.abs(expected).max() + 1
                        np.testing.assert_allclose(a / scale, expected / scale, **close)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape, groups", [((5, 6, 4), 2), ((16, 8, 20, 20), 4), ((3, 4, 5, 6), 4), ((2, 6, 3, 3, 3), 1), ((7, 6), 3)]
)
def test_group_norm_kernels_equal_the_portable_ones(shape, groups, dtype):
    backend = cpu()
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    x += 10
    w, b = (rng.standard_normal(shape[1]).astype(dtype) for _ in range(2))
    close = {"rtol": 2e-4, "atol": 5e-5} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-10}
    for weight, bias in ((w, b), (None, b), (None, None)):
        found = backend.group_norm(x, weight, bias, groups, 1e-3)
        reference = NeuralKernels.group_norm(backend, x, weight, bias, groups, 1e-3)
        for a, expected in zip(found, reference, strict=True):
            assert a.shape == expected.shape and a.dtype == expected.dtype
            np.testing.assert_allclose(a, expected, **close)
        _, mean, rstd = reference
        for want_x in (True, False):
            args = (g, x, weight, mean, rstd, groups, 1e-3, (want_x, weight is not None, True))
            gradients = zip(
                backend.group_norm_backward(*args), NeuralKernels.group_norm_backward(backend, *args), strict=True
            )
            for a, expected in gradients:
                assert (a is None) == (expected is None)
                if a is not None:
                    assert a.shape == expected.shape and a.dtype == expected.dtype
                    scale = np.abs(expected).max() + 1
                    np.testing.assert_allclose(a / scale, expected / scale, **close)


@pytest.mark.host("it compares the bytes of host arrays")
def test_gradients_do_not_vary_from_run_to_run():
    rng = np.random.default_rng(0)
    w = ag.tensor(rng.standard_normal((50, 8)).astype("float32"), requires_grad=True)
    k = ag.tensor(rng.standard_normal((4, 1, 3, 3)).astype("float32"), requires_grad=True)
    index = ag.tensor(rng.integers(0, 50, (64, 64)))
    seen = set()
    for _ in range(5):
        w.grad = k.grad = None
        F.conv2d(F.embedding(index, w).permute(2, 0, 1).unsqueeze(1), k, stride=2).square().mean().backward()
        seen.add((w.grad.numpy().tobytes(), k.grad.numpy().tobytes()))
    assert len(seen) == 1


def attention_arrays(lead, length, source, inner, features, kind="normal"):
    rng = np.random.default_rng(0)
    shapes = (*lead, length, inner), (*lead, source, inner), (*lead, source, features), (*lead, length, features)
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize("mask", [None, "causal", "bool", "added", "row", "whole"])
@pytest.mark.parametrize("lead, length, source, inner, features", [
    ((3, 2), 64, 64, 32, 32), ((2,), 70, 33, 5, 40), ((), 9, 130, 16, 3), ((1, 3), 1, 1, 1, 1), ((2, 2), 129, 200, 64, 48),
])  # fmt: skip
def test_attention_kernels_equal_the_portable_ones(lead, length, source, inner, features, mask):
    backend = cpu()
    q, k, v, g = attention_arrays(lead, length, source, inner, features)
    rng = np.random.default_rng(1)
    added = {
        "bool": rng.random((length, source)) < 0.7,
        "added": rng.standard_normal((*lead[:1], *(1,) * len(lead[1:]), length, source)).astype("float32"),
        "row": rng.random((1, source)) < 0.5,
        "whole": np.arange(length)[:, None] % 2 < np.ones(source),  # No query hides all, ...
    }.get(mask)
    if mask == "whole":
        added[::3] = False  # ... but these do.
    rest = (added, mask == "causal", 0.3)
    y, logsum = backend.attention(q, k, v, *rest)
    wide = [a.astype("float64") for a in (q, k, v, g)]
    exact, exact_logsum = NeuralKernels.attention(backend, *wide[:3], *rest)
    np.testing.assert_allclose(y, exact, rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(logsum, exact_logsum, rtol=1e-5, atol=1e-5)
    found = backend.attention_backward(g, q, k, v, rest[0], y, logsum, *rest[1:])
    expected = NeuralKernels.attention_backward(backend, wide[3], *wide[:3], rest[0], exact, exact_logsum, *rest[1:])
    for a, b in zip(found, expected):
        assert a.shape == b.shape and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("value", [math.nan, INF, -INF, 1e30, 1e-42])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_attention_of_extreme_numbers(where, value):
    backend = cpu()
    arrays = attention_arrays((2,), 7, 9, 4, 5)
    arrays[where][1, 2, ::2] = value
    q, k, v, g = arrays
    y, _ = backend.attention(q, k, v, None, False, 0.5)
    expected, _ = NeuralKernels.attention(backend, q, k, v, None, False, 0.5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)


def test_attention_of_strided_arrays():
    backend = cpu()
    q, k, v, g = (a.transpose(0, 2, 1, 3)[:, ::-1] for a in attention_arrays((2, 20), 3, 3, 8, 8))
    y, logsum = backend.attention(q, k, v, None, True, 1.0)
    copies = [np.ascontiguousarray(a) for a in (g, q, k, v)]
    again, _ = backend.attention(*copies[1:], None, True, 1.0)
    np.testing.assert_array_equal(y, again)
    found = backend.attention_backward(g, q, k, v, None, y, logsum, True, 1.0)
    for a, b in zip(found, backend.attention_backward(*copies, None, np.ascontiguousarray(y), logsum, True, 1.0)):
        np.testing.assert_array_equal(a, b)

"""Products of large matrices in strips, and BLAS's threads set aside while kernels call it."""

import threading

import numpy as np
import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core.backends.cpu import blas, products

LAYOUTS = {
    "rows": lambda a: np.ascontiguousarray(a),
    "columns": lambda a: np.asfortranarray(a),
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
}
SHAPES = [(3, 4, 5), (100, 100, 30), (64, 256, 120), (200, 150, 170), (33, 500, 401), (700, 90, 95), (1, 3000, 2000)]
needs_blas = pytest.mark.skipif(not blas.available(), reason="NumPy here brings no OpenBLAS of its own")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("m, k, n", SHAPES)
def test_products_of_every_layout_and_size(m, k, n, left, right, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    found = products.dot(LAYOUTS[left](a.astype(dtype)), LAYOUTS[right](b.astype(dtype)))
    assert found.dtype == dtype and found.flags.c_contiguous
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found, a @ b, rtol=0, atol=8 * eps * (np.abs(a) @ np.abs(b)).max())


def test_other_dtypes_go_to_numpy():
    a = np.ones((100, 100), np.int64)
    assert (products.dot(a, a) == 100).all()
    half = np.ones((100, 100), np.float16)
    assert products.dot(half, half).dtype == np.float16


@needs_blas
def test_blas_threads_are_restored_also_where_blocks_overlap():
    library = blas._library()
    before = library.scipy_openblas_get_num_threads64_()
    library.scipy_openblas_set_num_threads64_(2)
    try:
        entered, leave = threading.Event(), threading.Event()

        def hold():
            with blas.one_thread():
                entered.set()
                leave.wait()

        other = threading.Thread(target=hold)
        with blas.one_thread():
            assert library.scipy_openblas_get_num_threads64_() == 1
            other.start()
            entered.wait()
        assert library.scipy_openblas_get_num_threads64_() == 1  # The other thread is still inside.
        leave.set()
        other.join()
        assert library.scipy_openblas_get_num_threads64_() == 2
        with pytest.raises(ZeroDivisionError), blas.one_thread():
            raise ZeroDivisionError
        assert library.scipy_openblas_get_num_threads64_() == 2
    finally:
        library.scipy_openblas_set_num_threads64_(before)


@pytest.mark.host("it compares the bytes of host arrays")
def test_threads_that_train_at_once_get_the_bits_of_one_alone():
    rng = np.random.default_rng(0)
    images = ag.tensor(rng.standard_normal((32, 3, 24, 24)).astype("float32"))
    start = [rng.standard_normal(s).astype("float32") * 0.1 for s in ((16, 3, 5, 5), (300, 16 * 144))]

    def train(steps):
        seen = set()
        for _ in range(steps):
            k, w = (ag.tensor(a, requires_grad=True) for a in start)
            h = F.max_pool2d(F.conv2d(images, k, padding=2), 2).flatten(1)
            F.linear(h, w).square().mean().backward()
            seen.add(k.grad.numpy().tobytes() + w.grad.numpy().tobytes())
        return seen

    alone = train(2)
    assert len(alone) == 1
    results = [set() for _ in range(3)]
    threads = [threading.Thread(target=lambda r=r: r.update(train(8))) for r in results]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(r == alone for r in results)

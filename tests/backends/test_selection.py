"""`where`, gather, scatter and sums at indices: the kernels' bits are those of the portable bodies in NumPy."""

import numpy as np
import pytest
from portable_backend import PORTABLE
from same_bits import same_bits

import autograd_core as ag
from autograd_core.backends.cpu import index_kernels, selection, threads

BACKEND = ag.tensor(0.0, device="cpu")._backend
pytestmark = pytest.mark.skipif(not BACKEND.can_fuse, reason="needs Numba's kernels")
SHAPES = [(2000,), (5, 700), (3, 50, 17), (300, 200), (2, 3, 40, 200), (40_000, 1), (7, 5)]


def numbers(shape, dtype, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape) * 50
    with np.errstate(invalid="ignore"):
        return x.astype(dtype)


@pytest.mark.parametrize("dtype", ["f", "d", "e", "q", "i", "h", "B", "?"])
@pytest.mark.parametrize("shape", SHAPES)
def test_where(shape, dtype):
    condition = np.random.default_rng(1).random(shape) < 0.5
    x, y = numbers(shape, dtype), numbers(shape, dtype, 2)
    if dtype in "fde":
        x.reshape(-1)[:6] = np.nan, np.inf, -np.inf, -0.0, 1e-40, 0.0
    one, other = np.array(3, dtype), np.full((1,), 5, dtype)
    spread = np.broadcast_to(one, shape)  # As the gradient of a sum.
    row = x[..., :1, :] if x.ndim > 1 else x[:1]
    for a, b in [(x, y), (x, one), (other, y), (one, other), (spread, y), (x, spread), (spread, spread), (row, y)]:
        same_bits(BACKEND.where(condition, a, b), np.where(condition, a, b))
    same_bits(BACKEND.where(condition.T, x.T, y.T), np.where(condition.T, x.T, y.T))
    same_bits(BACKEND.where(condition, x[..., ::-1], y), np.where(condition, x[..., ::-1], y))
    same_bits(BACKEND.where(condition[..., :1], x, y), np.where(condition[..., :1], x, y))


def test_where_of_two_dtypes_is_numpys():
    x, y = numbers((3000,), "f"), numbers((3000,), "d")
    same_bits(BACKEND.where(x > 0, x, y), np.where(x > 0, x, y))


@pytest.mark.parametrize("dtype", ["f", "d", "q", "i", "e", "B"])
@pytest.mark.parametrize("shape", SHAPES)
def test_along_an_axis(shape, dtype):
    rng = np.random.default_rng(3)
    for axis in range(len(shape)):
        n, m = shape[axis], shape[axis] + 3
        indexed = (*shape[:axis], m, *shape[axis + 1 :])
        for kind in ("l", "i"):
            index = rng.integers(-n, n, indexed).astype(kind)
            x, source = numbers(shape, dtype), numbers(indexed, dtype, 4)
            for name, args in [
                ("gather", (x, index, axis)), ("scatter", (x, index, source, axis)),
                ("scatter_add", (x, index, source, axis)), ("gather_backward", (source, index, shape, axis)),
            ]:  # fmt: skip
                same_bits(getattr(BACKEND, name)(*args), np.ascontiguousarray(getattr(PORTABLE, name)(*args)))
        fewer = index[tuple(slice(None) if d == axis else slice(max(k - 1, 1)) for d, k in enumerate(indexed))]
        same_bits(BACKEND.gather(x, fewer, axis), PORTABLE.gather(x, fewer, axis))
        cut = source[tuple(slice(k) for k in fewer.shape)]
        same_bits(BACKEND.scatter_add(x, fewer, cut, axis), PORTABLE.scatter_add(x, fewer, cut, axis))
        same_bits(BACKEND.scatter(x, fewer, cut, axis), PORTABLE.scatter(x, fewer, cut, axis))


ROWS = {
    "rows": ((50, 40), lambda i: (i(50, 60),)),
    "rows, not in a tuple": ((50, 40), lambda i: i(50, 60)),
    "a table of rows": ((50, 40), lambda i: (i(50, 6, 11),)),
    "columns": ((40, 50), lambda i: (slice(None), i(50, 60))),
    "in the middle": ((9, 20, 30), lambda i: (slice(None), i(20, 40), slice(None))),
    "elements": ((40, 90), lambda i: (i(40, 2000), i(90, 2000))),
    "pairs behind an axis": ((3, 20, 30, 4), lambda i: (slice(None), i(20, 200), i(30, 200))),
    "a vector": ((70,), lambda i: (i(70, 2000),)),
    "many": ((90, 300), lambda i: (i(90, 200),)),
    # These are NumPy's.
    "apart": ((40, 30, 90), lambda i: (i(40, 20), slice(None), i(90, 20))),
    "a slice": ((50, 40), lambda i: (i(50, 60), slice(0, 30))),
    "a mask": ((50, 40), lambda i: (i(50, 50) > 20,)),
    "two shapes": ((40, 90), lambda i: (i(40, 60, 1), i(90, 60, 30))),
}


@pytest.mark.parametrize("dtype", ["f", "d", "q", "e"])
@pytest.mark.parametrize("name", ROWS)
def test_add_at(name, dtype):
    shape, make = ROWS[name]
    rng = np.random.default_rng(5)
    indices = make(lambda n, *size: rng.integers(-n, n, size))
    expected = numbers(shape, dtype)
    found = expected.copy()
    value = numbers(expected[indices].shape, dtype, 6)
    BACKEND.add_at(found, indices, value)
    PORTABLE.add_at(expected, indices, value)
    same_bits(found, expected)
    turned = np.asfortranarray(numbers(shape, dtype))
    BACKEND.add_at(turned, indices, value)
    same_bits(np.ascontiguousarray(turned), expected)
    BACKEND.add_at(found, indices, value[:1])  # Broadcast.
    PORTABLE.add_at(expected, indices, value[:1])
    same_bits(found, expected)


@pytest.mark.parametrize("wrong", [60, -61])
def test_an_index_out_of_range_is_an_error(wrong):
    x, index = np.ones((50, 60), "f"), np.zeros((50, 60), "l")
    index[7, 7] = wrong
    for name, args in [
        ("gather", (x, index, 1)), ("scatter", (x, index, x, 1)), ("scatter_add", (x, index, x, 1)),
        ("gather_backward", (x, index, (50, 60), 1)), ("gather", (x[:, :1], index[:, :1] + index[:, 7:8], 1)),
        ("gather", (x.reshape(5, 60, 10), index.reshape(5, 60, 10), 1)),
    ]:  # fmt: skip
        with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 1 with size 60|size 1"):
            getattr(BACKEND, name)(*args)
    with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0 with size 60"):
        BACKEND.add_at(x.T.copy(), (index[7],), np.ones((60, 50), "f"))
    with pytest.raises(IndexError, match=f"index {wrong} is out of bounds"):
        BACKEND.add_at(x, (np.zeros(2000, "l"), np.resize(index[7], 2000)), np.ones(2000, "f"))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_no_result_depends_on_the_number_of_threads(axis):
    rng = np.random.default_rng(7)
    x = numbers((1, 300, 200) if axis == 1 else (4, 300, 50), "f")
    index = rng.integers(0, x.shape[axis], x.shape)
    rows = rng.integers(0, 300, 400)
    value = numbers((x.shape[0], 400, x.shape[2]), "f")

    def results():
        out = x.copy()
        BACKEND.add_at(out, (slice(None), rows), value)
        return [BACKEND.gather(x, index, axis), BACKEND.scatter(x, index, x, axis)] + [
            BACKEND.scatter_add(x, index, x, axis), out, BACKEND.where(index > 20, x, x[:1, :1, :1])
        ]  # fmt: skip

    count, several = threads.get_num_threads(), results()
    try:
        threads.set_num_threads(1)
        for a, b in zip(results(), several, strict=True):
            same_bits(a, b)
    finally:
        threads.set_num_threads(count)


def test_the_kernels_are_used():
    """Not NumPy's way, which would pass all of the above."""
    x, index = np.ones((50, 60), "f"), np.zeros((50, 60), "l")
    assert selection._is_number(np.broadcast_to(x[0, 0], x.shape), x.shape)
    assert index_kernels._one_index(x, (index[0],), np.ones((60, 60), "f")) is not None
    assert index_kernels._one_index(x, (index[0], index[0]), np.ones((60,), "f")) is None

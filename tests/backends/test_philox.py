"""Philox: known answers, the same bits from NumPy and Numba, and numbers of the promised distribution."""

from __future__ import annotations

import importlib.util
import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from simulated_cuda import SimulatedCudaBackend

from autograd_core.backends import philox

SEED = 0x123456789ABCDEF
LARGE = 1_000_003  # no multiple of a block, and above the kernels' threshold for threads

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba is not installed")

DRAWS: list[tuple[str, tuple[Any, ...]]] = [
    ("random_bits", ()),
    ("random_uniform", (np.float32, 0.0, 1.0)),
    ("random_uniform", (np.float32, -1.1, 3.3)),
    ("random_uniform", (np.float64, -0.1, 7.0)),
    ("random_uniform", (np.float16, 1.0, 2.0)),
    ("random_normal", (np.float32, 0.0, 1.0)),
    ("random_normal", (np.float32, 0.3, 1.7)),
    ("random_normal", (np.float64, 0.0, 1.0)),
    ("random_normal", (np.float64, 0.1, 3.7)),
    ("random_normal", (np.float16, 0.0, 1.0)),
    ("random_bernoulli", (np.float32, 0.3)),
    ("random_bernoulli", (np.float16, 0.9)),
    ("random_bernoulli", (np.bool_, 0.5)),
    ("random_integers", (np.int64, -5, 10**15)),
    ("random_integers", (np.int64, -(2**63), 2**63)),
    ("random_integers", (np.uint8, 0, 256)),
    ("random_integers", (np.float32, -7, 8)),
]


def draw(name: str, n: int | tuple[int, ...], *args: Any, seed: int = SEED, module: Any = philox) -> Any:
    shape = n if isinstance(n, tuple) else (n,)
    return getattr(module, name)(philox.make_state(seed), shape, *args)


def words(*values: int) -> tuple[Any, ...]:
    return tuple(np.array([value], np.uint64) for value in values)


# Random123's kat_vectors, philox4x32 10.
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
class TestKnownAnswers:
    def test_numpy(self, counter: Any, key: Any, expected: Any) -> None:
        assert tuple(int(word[0]) for word in philox.philox4x32(words(*counter), words(*key))) == expected

    @needs_numba
    def test_numba(self, counter: Any, key: Any, expected: Any) -> None:
        from autograd_core.backends.cpu import philox_kernels

        state = np.array([key[0] | key[1] << 32, counter[2] | counter[3] << 32], np.uint64)
        out = np.empty(4, np.uint32)
        philox_kernels._bits.serial(out, state, np.uint64(counter[0] | counter[1] << 32))
        assert tuple(out.tolist()) == expected


def test_layout_of_seed_call_block_and_lane() -> None:
    seed, call = 0x1122334455667788, 0x99AABBCCDDEEFF00
    bits = philox.random_bits(np.array([seed, call], np.uint64), (11,))
    for i in (0, 3, 4, 10):
        block = philox.philox4x32(words(i // 4, 0, call & 0xFFFFFFFF, call >> 32), words(seed & 0xFFFFFFFF, seed >> 32))
        assert bits[i] == block[i % 4][0]


def test_64_bit_draws_take_two_words() -> None:
    low, high = draw("random_bits", 10).reshape(5, 2).astype(np.uint64).T
    expected = ((low | high << np.uint64(32)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    np.testing.assert_array_equal(draw("random_uniform", 5, np.float64), expected)


@needs_numba
class TestKernels:
    @pytest.mark.parametrize(("name", "args"), DRAWS)
    @pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 2048, 5001, LARGE])
    def test_equal_the_numpy_bodies_bit_for_bit(self, name: str, args: tuple[Any, ...], n: int) -> None:
        from autograd_core.backends.cpu import philox_kernels

        expected_state, state = philox.make_state(SEED), philox.make_state(SEED)
        expected = getattr(philox, name)(expected_state, (n,), *args)
        got = getattr(philox_kernels, name)(state, (n,), *args)
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert got.tobytes() == expected.tobytes()
        assert state.tolist() == expected_state.tolist() == [SEED, 1]

    @pytest.mark.parametrize("n", [0, 1, 1000, LARGE])
    def test_permutation(self, n: int) -> None:
        from autograd_core.backends.cpu import philox_kernels

        expected = philox.random_permutation(philox.make_state(3), n, np.int64)
        got = philox_kernels.random_permutation(philox.make_state(3), n, np.int64)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, expected)

    def test_serial_and_parallel_agree(self) -> None:
        from autograd_core.backends.cpu import philox_kernels

        one, many = np.empty(LARGE, np.float32), np.empty(LARGE, np.float32)
        philox_kernels._normal32.serial(one, philox.make_state(5), 0.0, 1.0)
        philox_kernels._normal32(many, philox.make_state(5), 0.0, 1.0)
        assert one.tobytes() == many.tobytes()


@pytest.mark.parametrize(("name", "args"), DRAWS)
def test_needs_only_its_own_arrays(name: str, args: tuple[Any, ...]) -> None:
    """On the simulated device, whose arrays refuse to mix with NumPy's, the draws give the same bits."""
    simulated = SimulatedCudaBackend(0)
    state = simulated.make_state(SEED)
    got = simulated.to_host(getattr(simulated, name)(state, (3, 5), *args))
    assert got.tobytes() == draw(name, (3, 5), *args).tobytes()
    assert simulated.to_host(state).tolist() == [SEED, 1]


class TestState:
    def test_each_draw_advances_the_call(self) -> None:
        state = philox.make_state(7)
        first, second = (philox.random_bits(state, (1000,)) for _ in range(2))
        assert state.tolist() == [7, 2]
        assert not np.isin(first, second).all()
        state[1] = 1
        np.testing.assert_array_equal(philox.random_bits(state, (1000,)), second)

    def test_an_element_does_not_depend_on_the_size(self) -> None:
        np.testing.assert_array_equal(
            draw("random_normal", 1001, np.float32)[:10], draw("random_normal", 10, np.float32)
        )

    def test_shape_is_filled_in_row_order(self) -> None:
        assert draw("random_bits", (2, 3, 4)).tobytes() == draw("random_bits", 24).tobytes()
        assert draw("random_bits", ()).shape == ()

    def test_seeds_differ_in_every_word(self) -> None:
        for other in (SEED + 1, SEED + 2**32, SEED ^ 2**63):
            assert (draw("random_bits", 1000) != draw("random_bits", 1000, seed=other)).mean() > 0.99

    def test_call_counts_past_32_bits(self) -> None:
        state = np.array([1, 2**32 - 1], np.uint64)
        first, second = philox.random_bits(state, (100,)), philox.random_bits(state, (100,))
        assert state.tolist() == [1, 2**32 + 1]
        assert not np.isin(second, [*first, *draw("random_bits", 100, seed=1)]).any()

    def test_negative_seed_is_modulo_2_64(self) -> None:
        assert philox.make_state(-1).tolist() == [2**64 - 1, 0]


def kolmogorov_smirnov(sample: Any, cdf: Any) -> float:
    """sqrt(n) times the greatest distance of the sample's distribution function from `cdf`."""
    x = np.sort(np.asarray(sample, np.float64))
    n = x.size
    expected = cdf(x)
    rank = np.arange(n)
    return math.sqrt(n) * max(np.max((rank + 1) / n - expected), np.max(expected - rank / n))


def normal_cdf(x: Any) -> Any:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x])


# Draws are fixed by the seed, so these tests pass or fail for good; the bounds are those of a 1-in-10^5 event.
class TestDistributions:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_uniform(self, dtype: Any) -> None:
        u = draw("random_uniform", LARGE, dtype)
        assert 0.0 <= u.min() < 1e-5 and 1.0 - 1e-5 < u.max() < 1.0
        assert kolmogorov_smirnov(u, lambda x: x) < 2.5
        assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4.5e-3

    def test_uniform_has_all_its_bits(self) -> None:
        k = draw("random_uniform", 100_000, np.float32).astype(np.float64) * 2**24
        assert (k == k.astype(np.int64)).all() and 0.49 < (k % 2).mean() < 0.51
        k = draw("random_uniform", 100_000, np.float64) * 2.0**53
        assert 0.49 < (k % 2).mean() < 0.51

    @pytest.mark.parametrize(
        ("dtype", "low", "high"),
        [
            (np.float32, -1.1, 3.3),
            (np.float16, 1.0, 1.25),
            (np.float32, 1.0, np.nextafter(np.float32(1), np.float32(2))),
        ],
    )
    def test_uniform_keeps_to_its_interval(self, dtype: Any, low: float, high: float) -> None:
        u = draw("random_uniform", 100_000, dtype, float(low), float(high))
        assert u.min() >= dtype(low) and u.max() < dtype(high)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_normal(self, dtype: Any, seed: int) -> None:
        n = 300_000
        z = draw("random_normal", n, dtype, seed=seed).astype(np.float64)
        for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            assert abs((z**power).mean() - mean) < 4.5 * math.sqrt(variance / n)
        assert kolmogorov_smirnov(z, normal_cdf) < 2.5
        assert (np.abs(z) > 4.0).sum() > 0

    def test_normal_has_its_tails(self) -> None:
        n, beyond = 4_000_000, 4.0
        expected = n * math.erfc(beyond / math.sqrt(2.0))
        count = sum(int((np.abs(draw("random_normal", n // 4, np.float32, seed=s)) > beyond).sum()) for s in range(4))
        assert abs(count - expected) < 4.5 * math.sqrt(expected)

    @pytest.mark.parametrize(
        ("transform", "word", "bits", "tolerance"),
        [(philox._normal32, np.uint32, 31, 1e-6), (philox._normal64, np.uint64, 63, 2e-15)],
    )
    def test_normal_is_the_inverse_distribution_function(
        self, transform: Any, word: Any, bits: int, tolerance: float
    ) -> None:
        steps = np.unique(np.geomspace(1, 2.0**bits * (1 - 2.0**-20), 4001).astype(word) - word(1))
        z = transform(np.concatenate([steps, steps | word(1 << bits)]), np)
        np.testing.assert_array_equal(z[: steps.size], -z[steps.size :])
        for m, got in zip(steps.tolist(), z[: steps.size].tolist(), strict=True):
            p = (m + 0.5) / 2.0 ** (bits + 1)
            # One Newton step tells how far `got` is from the exact quantile, also deep in the tail.
            density = math.exp(-0.5 * got * got) / math.sqrt(2.0 * math.pi)
            error = (0.5 * math.erfc(got / math.sqrt(2.0)) - p) / density
            assert abs(error) < tolerance * max(got, 0.5), (m, got, NormalDist().inv_cdf(1 - p))

    def test_normal_reaches_its_ends(self) -> None:
        ends = philox._normal32(np.array([0, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000], np.uint32), np)
        assert 6.3 < ends[0] == -ends[3] < 6.4 and ends[1] == ends[2] == 0.0

    def test_mean_and_std(self) -> None:
        z = draw("random_normal", 1000, np.float32)
        np.testing.assert_array_equal(
            draw("random_normal", 1000, np.float32, 0.5, 3.0), z * np.float32(3.0) + np.float32(0.5)
        )
        assert (draw("random_normal", 10, np.float32, 2.0, 0.0) == 2.0).all()

    @pytest.mark.parametrize("p", [0.0, 1e-3, 0.5, 0.9, 1.0])
    def test_bernoulli(self, p: float) -> None:
        kept = draw("random_bernoulli", LARGE, np.float32, p)
        np.testing.assert_array_equal(kept, draw("random_uniform", LARGE, np.float32) < p)
        assert abs(kept.mean() - p) <= 4.5 * math.sqrt(p * (1 - p) / LARGE)

    def test_integers(self) -> None:
        counts = np.bincount(draw("random_integers", 100_000, np.int64, -3, 7) + 3, minlength=10)
        assert counts.size == 10
        assert ((counts - 10_000) ** 2 / 10_000).sum() < 40.5  # chi-squared, 9 degrees of freedom, p = 6e-6

    @pytest.mark.parametrize(
        ("low", "high"), [(0, 1), (-5, 2**40), (-(2**63), 2**63), (2**63 - 2, 2**63), (-7, 12_345)]
    )
    def test_integers_are_the_high_half_of_the_product(self, low: int, high: int) -> None:
        halves = draw("random_bits", 2000).reshape(-1, 2).tolist()
        expected = [low + ((a | b << 32) * (high - low) >> 64) for a, b in halves]
        assert draw("random_integers", 1000, np.int64, low, high).tolist() == expected

    def test_permutations_are_uniform(self) -> None:
        state = philox.make_state(11)
        counts: dict[bytes, int] = {}
        for _ in range(2400):
            order = philox.random_permutation(state, 4, np.int64)
            assert sorted(order.tolist()) == [0, 1, 2, 3]
            counts[order.tobytes()] = counts.get(order.tobytes(), 0) + 1
        assert len(counts) == 24
        assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 64.4  # 23 degrees of freedom, p = 1e-5


@pytest.mark.parametrize(
    ("name", "args", "error", "message"),
    [
        ("random_uniform", (np.float32, 1.0, 0.0), ValueError, "low <= high"),
        ("random_uniform", (np.float32, math.nan, 1.0), ValueError, "low <= high"),
        ("random_uniform", (np.float32, -3e38, 3e38), ValueError, "float32 can hold"),
        ("random_uniform", (np.float32, 0.0, 1e39), ValueError, "float32 can hold"),
        ("random_uniform", (np.int64, 0.0, 1.0), TypeError, "got int64"),
        ("random_normal", (np.float32, 0.0, -1.0), ValueError, "std must be >= 0"),
        ("random_normal", (np.float32, 0.0, math.nan), ValueError, "std must be >= 0"),
        ("random_normal", (np.int32, 0.0, 1.0), TypeError, "got int32"),
        ("random_bernoulli", (np.float32, 1.5), ValueError, "probability"),
        ("random_bernoulli", (np.float32, math.nan), ValueError, "probability"),
        ("random_integers", (np.int64, 3, 3), ValueError, "low < high"),
        ("random_integers", (np.uint8, 0, 257), ValueError, "does not fit uint8"),
        ("random_integers", (np.uint8, -1, 2), ValueError, "does not fit uint8"),
        ("random_integers", (np.int64, 0, 2**63 + 1), ValueError, "does not fit int64"),
        ("random_integers", (np.float16, 0, 5000), ValueError, "does not fit float16"),
        ("random_integers", (np.complex64, 0, 5), TypeError, "complex64"),
    ],
)
def test_bad_parameters_are_refused(name: str, args: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw(name, 4, *args)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 1.5, "a"])
def test_bad_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be an integer"):
        philox.make_state(seed)


def test_negative_length_of_a_permutation_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        philox.random_permutation(philox.make_state(0), -1, np.int64)

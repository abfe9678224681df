"""Distributions of gamma draws: against PyTorch, the draws' moments, and their gradients against derivatives of quantiles."""

from __future__ import annotations

import math
from typing import Any

import pytest

import autograd_core as ag
from autograd_core.distributions.gamma import log_gamma_slope

D = ag.distributions
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("Gamma", {"concentration": [0.3, 1.0, 40.0], "rate": [0.5, 2.0, 3.0]}, [0.1, 0.5, 12.0]),
    ("Chi2", {"df": [0.5, 3.0]}, [0.2, 4.0]),
    ("Beta", {"concentration1": [0.3, 2.0, 9.0], "concentration0": [0.5, 3.0, 1.0]}, [0.1, 0.5, 0.99]),
    ("Dirichlet", {"concentration": [[0.3, 2.0, 9.0], [1.0, 1.0, 1.0]]}, [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]),
    ("StudentT", {"df": [2.5, 30.0], "loc": [0.5, -1.0], "scale": [2.0, 0.1]}, [0.0, -1.3]),
]
DIVERGENCES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Gamma", {"concentration": [0.3, 4.0], "rate": [0.5, 2.0]}, {"concentration": [2.0, 1.0], "rate": [3.0, 0.1]}),
    ("Chi2", {"df": [0.5, 3.0]}, {"df": [2.0, 7.0]}),
    ("Beta", {"concentration1": [0.3, 2.0], "concentration0": [0.5, 3.0]}, {"concentration1": [2.0, 1.0],
                                                                       "concentration0": [1.0, 9.0]}),
    ("Dirichlet", {"concentration": [[0.3, 2.0, 9.0]]}, {"concentration": [1.0, 2.0, 0.5]}),
]  # fmt: skip


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")


def _tensors(lib: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    return {k: lib.tensor(v, dtype=lib.float64, requires_grad=True) for k, v in parameters.items()}


def _flat(x: Any) -> list[float]:
    return x.detach().reshape(-1).tolist()


@pytest.mark.parametrize(("name", "parameters", "value"), CASES, ids=[c[0] for c in CASES])
def test_equal_pytorch(torch: Any, name: str, parameters: dict[str, Any], value: Any) -> None:
    found = []
    for lib in (ag, torch):
        made = _tensors(lib, parameters)
        d = getattr(lib.distributions, name)(**made)
        x = lib.tensor(value, dtype=lib.float64, requires_grad=True)
        results = [d.log_prob(x), d.mean, d.variance, d.stddev, d.entropy()]
        sum((r * r).sum() for r in results).backward()
        shapes = [tuple(r.shape) for r in results], tuple(d.batch_shape), tuple(d.event_shape), d.has_rsample
        numbers = [_flat(r) for r in [*results, x.grad, *[p.grad for p in made.values()]]]
        found.append((shapes, numbers, tuple(d.rsample((4, 2)).shape), repr(d).replace("torch.", "ag.")))
    assert found[0][0] == found[1][0] and found[0][2] == found[1][2]
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert a == pytest.approx(b, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(("name", "p", "q"), DIVERGENCES, ids=[c[0] for c in DIVERGENCES])
def test_divergences_equal_pytorch(torch: Any, name: str, p: dict[str, Any], q: dict[str, Any]) -> None:
    found = []
    for lib in (ag, torch):
        make, made, other = getattr(lib.distributions, name), _tensors(lib, p), _tensors(lib, q)
        kl = lib.distributions.kl_divergence(make(**made), make(**other))
        kl.sum().backward()
        found.append([_flat(x) for x in (kl, *[t.grad for t in (*made.values(), *other.values())])])
    for a, b in zip(*found, strict=True):
        assert a == pytest.approx(b, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(
    ("made", "kurtosis"),
    [
        (lambda dtype: D.Gamma(ag.tensor([0.05, 0.7], dtype=dtype), 2.0), 130),
        (lambda dtype: D.Gamma(ag.tensor([1.0, 50.0], dtype=dtype), 0.1), 10),
        (lambda dtype: D.Chi2(ag.tensor([1.0, 9.0], dtype=dtype)), 16),
        (lambda dtype: D.Beta(ag.tensor([0.05, 3.0], dtype=dtype), 0.2), 30),
        (lambda dtype: D.Dirichlet(ag.tensor([0.01, 0.02], dtype=dtype)), 4),
        (lambda dtype: D.StudentT(ag.tensor([5.0, 30.0], dtype=dtype), 1.0, 2.0), 12),
    ],
)
@pytest.mark.parametrize("dtype", [ag.float32, ag.float64])
def test_samples_have_the_moments(made: Any, kurtosis: float, dtype: Any) -> None:
    ag.manual_seed(5)
    n, d = 20000, made(dtype)
    x = d.sample((n,))
    assert x.dtype is dtype and x.shape == (n, 2) and not x.requires_grad and bool(ag.isfinite(x).all())
    if not isinstance(d, D.StudentT):
        assert x.min().item() > 0
    x = x.double()
    for found, expected, spread in zip(x.mean(0).tolist(), d.mean.tolist(), d.variance.tolist()):
        assert abs(found - expected) <= 5 * (spread / n) ** 0.5
    for found, expected in zip(x.var(0).tolist(), d.variance.tolist()):
        assert abs(found - expected) <= 5 * expected * (kurtosis / n) ** 0.5


def test_draws_follow_the_distribution() -> None:
    """Kolmogorov and Smirnov's distance, at a level of 1e-6."""
    special = pytest.importorskip("scipy.special", reason="the gamma distribution needs scipy")
    ag.manual_seed(1)
    n = 20000
    for a in (0.02, 0.5, 1.0, 1.5, 20.0):
        x = sorted(D.Gamma(ag.tensor(a, dtype=ag.float64), 1.0).sample((n,)).tolist())
        distance = max(abs(special.gammainc(a, v) - (i + 0.5) / n) for i, v in enumerate(x))
        assert distance < 2.7 / math.sqrt(n), a


@pytest.mark.parametrize("a", [1e-3, 0.02, 0.1, 0.5, 1.0, 2.5, 10.0, 300.0, 1e5])
def test_the_gradient_of_a_draw_is_that_of_the_quantile(a: float) -> None:
    """The derivative of the inverse cumulative distribution, by differences, from one end to the other."""
    special = pytest.importorskip("scipy.special", reason="quantiles of the gamma distribution need scipy")
    h = 1e-4 * a
    quantiles = [q for q in (1e-6, 0.01, 0.2, 0.5, 0.63, 0.8, 0.99, 1 - 1e-6) if special.gammaincinv(a, q) > 1e-280]
    x = [special.gammaincinv(a, q) for q in quantiles]
    expected = [
        (math.log(special.gammaincinv(a + h, q)) - math.log(special.gammaincinv(a - h, q))) / (2 * h) for q in quantiles
    ]
    got = log_gamma_slope(ag.full((len(x),), a, dtype=ag.float64), ag.tensor(x, dtype=ag.float64).log())
    assert got.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("a", [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9])
def test_the_gradient_of_a_draw_near_a_small_concentration(a: float) -> None:
    """By differences of the cumulative distribution: -(dF/da) / (x f)."""
    special = pytest.importorskip("scipy.special", reason="the gamma distribution needs scipy")
    h = 1e-3 * a
    x = [a * part for part in (1e-3, 0.1, 0.5, 0.9, 0.999, 1.001, 1.1, 2.0)]

    def slope(v: float) -> float:
        # The upper tail, which has all its digits where F is nearly 1; differences of fourth order.
        f = [special.gammaincc(a + i * h, v) for i in (-2, -1, 1, 2)]
        density = math.exp(a * math.log(v) - v - math.lgamma(a))
        return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h) / density

    got = log_gamma_slope(ag.full((len(x),), a, dtype=ag.float64), ag.tensor(x, dtype=ag.float64).log())
    assert got.tolist() == pytest.approx([slope(v) for v in x], rel=1e-7)


def test_draws_of_integer_parameters_are_refused() -> None:
    d = ag.distributions
    for made in (d.Gamma(ag.tensor([1, 2]), 1.0), d.Beta(ag.tensor(2), ag.tensor(3)), d.Dirichlet(ag.tensor([1, 2]))):
        with pytest.raises(RuntimeError, match=r"int64.*floating point.*\.float\(\)"):
            made.rsample()


def test_a_student_of_few_degrees_is_finite() -> None:
    ag.manual_seed(0)
    draws = ag.distributions.StudentT(0.05).sample((10_000,))
    assert draws.isfinite().all() and draws.abs().max() > 1e10


def test_gradients_of_gamma_draws_equal_pytorch(torch: Any) -> None:
    """PyTorch's are approximations, good to 1 %."""
    ag.manual_seed(2)
    a = ag.tensor([0.3, 1.0, 2.5, 12.0], dtype=ag.float64, requires_grad=True)
    rate = ag.tensor([2.0, 1.0, 0.5, 3.0], dtype=ag.float64, requires_grad=True)
    x = D.Gamma(a, rate).rsample((6,))
    ga, gr = ag.autograd.grad(x.sum(), (a, rate))
    theirs = torch._standard_gamma_grad(
        torch.tensor(a.expand(6, 4).tolist(), dtype=torch.float64),
        torch.tensor((x * rate).tolist(), dtype=torch.float64),
    ).numpy()
    assert ga.tolist() == pytest.approx((theirs.sum(0) / [2.0, 1.0, 0.5, 3.0]).tolist(), rel=1e-2)
    assert gr.tolist() == pytest.approx((-x.detach() / rate.detach()).sum(0).tolist(), rel=1e-9)


def test_gradients_of_expectations() -> None:
    """Of the mean of x^2 (gamma), of x (beta, Dirichlet), of the square (Student), which are known."""
    ag.manual_seed(4)
    n = 40000

    def check(each: Any, parameter: Any, expected: list[float]) -> None:
        (gradient,) = ag.autograd.grad(each.mean(0).sum(), parameter, retain_graph=True)
        assert gradient.tolist() == pytest.approx(expected, rel=0.06)

    def leaf(*values: float) -> Any:
        return ag.tensor(values, dtype=ag.float64, requires_grad=True)

    a, b = leaf(0.4, 3.0), leaf(2.0, 0.5)
    each = D.Gamma(a, b).rsample((n,)).square()  # a (a + 1) / b^2
    check(each, a, [1.8 / 4, 7.0 / 0.25])
    check(each, b, [-2 * 0.4 * 1.4 / 8, -2 * 12 / 0.125])
    each = D.Beta(a, b).rsample((n,))
    check(each, a, [2.0 / 2.4**2, 0.5 / 3.5**2])
    check(each, b, [-0.4 / 2.4**2, -3.0 / 3.5**2])
    c = leaf(0.4, 1.0, 3.0)
    each = D.Dirichlet(c).rsample((n,))
    check(each[:, 2:], c, [-3 / 4.4**2, -3 / 4.4**2, 1.4 / 4.4**2])
    df, scale = leaf(9.0, 20.0), leaf(2.0, 0.5)
    each = (D.StudentT(df, 1.0, scale).rsample((n,)) - 1).square()  # scale^2 df / (df - 2)
    check(each, scale, [2 * 2.0 * 9 / 7, 2 * 0.5 * 20 / 18])
    (gradient,) = ag.autograd.grad(each.mean(0).sum(), df)
    assert gradient.tolist() == pytest.approx([-2 * 4 / 49, -2 * 0.25 / 18**2], rel=0.3)


def test_the_smallest_concentrations_give_finite_draws_and_gradients() -> None:
    ag.manual_seed(6)
    for dtype in (ag.float32, ag.float64):
        a = ag.full((2000,), 1e-4, dtype=dtype, requires_grad=True)
        for d in (D.Gamma(a, 1.0), D.Beta(a, a), D.Dirichlet(a.reshape(1000, 2))):
            x = d.rsample()
            (gradient,) = ag.autograd.grad(x.sum(), a)
            assert bool(ag.isfinite(gradient).all()) and x.min().item() > 0 and bool(ag.isfinite(x).all())
            if isinstance(d, D.Beta):
                assert x.max().item() < 1
                assert bool(ag.isfinite(d.log_prob(x)).all())


def test_a_second_derivative_of_a_draw_is_refused() -> None:
    a = ag.tensor(2.0, requires_grad=True)
    (slope,) = ag.autograd.grad(D.Gamma(a, 1.0).rsample(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        ag.autograd.grad(slope, a)


def test_draws_are_compiled_and_differ() -> None:
    @ag.compile(fullgraph=True)
    def step(a: Any) -> Any:
        return D.Gamma(a, 1.0, validate_args=False).rsample((3,))

    ag.manual_seed(0)
    compiled = [step(ag.tensor(0.7)).tolist() for _ in range(4)]
    ag.manual_seed(0)
    assert compiled == [pytest.approx(D.Gamma(ag.tensor(0.7), 1.0).rsample((3,)).tolist()) for _ in range(4)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: D.Gamma(0.0, 1.0), "Gamma: expected concentration > 0"),
        (lambda: D.Gamma(1.0, math.nan), "expected rate > 0"),
        (lambda: D.Gamma(1.0, 1.0).log_prob(ag.tensor(-1.0)), "expected a value >= 0"),
        (lambda: D.Chi2(-1.0), "Chi2: expected concentration > 0"),
        (lambda: D.Beta(1.0, 0.0), "expected concentration0 > 0"),
        (lambda: D.Beta(1.0, 1.0).log_prob(ag.tensor(1.5)), r"in \[0, 1\]"),
        (lambda: D.Dirichlet(ag.tensor(1.0)), "at least one-dimensional"),
        (lambda: D.Dirichlet(ag.tensor([1.0, 0.0])), "expected concentration > 0"),
        (lambda: D.Dirichlet(ag.ones(2)).log_prob(ag.ones(2)), "sum to 1"),
        (lambda: D.StudentT(0.0), "expected df > 0"),
        (lambda: D.StudentT(1.0, 0.0, -1.0), "expected scale > 0"),
        (lambda: D.StudentT(1.0).log_prob(ag.tensor(math.nan)), "real number"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_student_without_moments() -> None:
    d = D.StudentT(ag.tensor([0.5, 1.5, 4.0]), 1.0)
    assert math.isnan(d.mean.tolist()[0]) and d.mean.tolist()[1:] == [1.0, 1.0]
    assert math.isnan(d.variance.tolist()[0]) and d.variance.tolist()[1:] == [math.inf, 2.0]
    assert repr(D.Gamma(1.0, 2.0)) == "Gamma(concentration: 1.0, rate: 2.0)" and repr(D.Chi2(2.0)) == "Chi2(df: 2.0)"

"""Distributions against PyTorch: densities, moments, entropies, divergences, and gradients of draws."""

from __future__ import annotations

import math
from typing import Any

import pytest

import autograd_core as ag

D = ag.distributions


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")


COVARIANCE = [[2.0, 0.3], [0.3, 0.5]]
TRIL = [[1.2, 0.0], [-0.3, 0.5]]
# Name, parameters, a value; lists become float64 tensors.
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("Exponential", {"rate": [0.5, 3.0]}, [0.0, 2.0]),
    ("Laplace", {"loc": [0.5, -1.0, 2.0], "scale": [1.0, 0.1, 3.0]}, [0.0, -1.1, 9.0]),
    ("LogNormal", {"loc": [0.5, -1.0], "scale": [1.0, 0.3]}, [0.4, 2.0]),
    ("Geometric", {"probs": [0.25, 0.9]}, [3.0, 0.0]),
    ("Geometric", {"logits": [-1.0, 2.0]}, [3.0, 1.0]),
    ("Poisson", {"rate": [0.5, 30.0]}, [0.0, 27.0]),
    ("OneHotCategorical", {"probs": [[1.0, 2.0, 1.0], [0.1, 0.7, 0.2]]}, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    ("OneHotCategorical", {"logits": [1.0, 2.0, -1.0]}, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    ("MultivariateNormal", {"loc": [0.5, -1.0], "covariance_matrix": COVARIANCE}, [[0.0, 1.0], [1.0, 2.0]]),
    ("MultivariateNormal", {"loc": [[0.5, -1.0]] * 3, "precision_matrix": COVARIANCE}, [0.0, 1.0]),
    ("MultivariateNormal", {"loc": [0.5, -1.0], "scale_tril": [TRIL, COVARIANCE[:1] + [[0.3, 0.5]]]}, [0.0, 1.0]),
]
CASES[-1][1]["scale_tril"][1] = [[2.0, 0.0], [0.3, 0.5]]


def _tensors(lib: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    return {k: lib.tensor(v, dtype=lib.float64, requires_grad=True) for k, v in parameters.items()}


def _flat(x: Any) -> list[float]:
    return x.detach().reshape(-1).tolist()


@pytest.mark.parametrize(("name", "parameters", "value"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_equal_pytorch(torch: Any, name: str, parameters: dict[str, Any], value: Any) -> None:
    found = []
    for lib in (ag, torch):
        made = _tensors(lib, parameters)
        d = getattr(lib.distributions, name)(**made)
        x = lib.tensor(value, dtype=lib.float64)
        results = [d.log_prob(x), d.mean, d.variance, d.stddev, *([] if name == "Poisson" else [d.entropy()])]
        if name in ("Exponential", "Laplace", "LogNormal"):
            results += [d.cdf(x), d.icdf(lib.tensor([0.125], dtype=lib.float64))]
        elif name == "MultivariateNormal":
            results += [d.covariance_matrix, d.precision_matrix, d.scale_tril]
        elif name != "Poisson":
            results += [d.probs, d.logits]
        sum((r * r).sum() for r in results).backward()
        gradients = [p.grad for p in made.values()]
        if name == "MultivariateNormal":  # A symmetric matrix has one gradient in many forms.
            gradients[1] = gradients[1] + gradients[1].mT if "scale_tril" not in parameters else gradients[1].tril()
        shapes = [tuple(r.shape) for r in results], tuple(d.batch_shape), tuple(d.event_shape)
        found.append((shapes, [_flat(r) for r in results + gradients], tuple(d.sample((4,)).shape)))
    assert found[0][0] == found[1][0] and found[0][2] == found[1][2]
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert a == pytest.approx(b, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c[0] in ("Exponential", "Laplace", "LogNormal", "MultivariateNormal")]
)
def test_gradients_of_draws_equal_pytorch(torch: Any, case: tuple[str, dict[str, Any], Any]) -> None:
    """With the noise held fixed, which for PyTorch is found from our draw."""
    name, parameters, _ = case
    made, theirs = _tensors(ag, parameters), _tensors(torch, parameters)
    z = getattr(D, name)(**made).rsample((5,))
    (z * z).sum().backward()
    d = getattr(torch.distributions, name)(**theirs)
    fixed = torch.tensor(z.tolist(), dtype=torch.float64)
    if name == "MultivariateNormal":
        noise = torch.linalg.solve_triangular(d.scale_tril, (fixed - d.loc).unsqueeze(-1), upper=False).detach()
        again = d.loc + (d.scale_tril @ noise).squeeze(-1)
    else:
        again = d.icdf(d.cdf(fixed).detach())
    (again * again).sum().backward()
    assert _flat(z) == pytest.approx(_flat(again), rel=1e-6, abs=1e-9)
    for key, p in made.items():
        mine, other = p.grad, theirs[key].grad
        if key in ("covariance_matrix", "precision_matrix"):
            mine, other = mine + mine.mT, other + other.mT
        if key == "scale_tril":
            mine, other = mine.tril(), other.tril()
        assert _flat(mine) == pytest.approx(_flat(other), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_independent(torch: Any, count: int) -> None:
    found = []
    for lib in (ag, torch):
        loc = lib.arange(6, dtype=lib.float64).reshape(2, 3).requires_grad_()
        d = lib.distributions.Independent(lib.distributions.Normal(loc, 2.0), count)
        q = lib.distributions.Independent(lib.distributions.Normal(loc.detach() * 0, 1.0), count)
        results = [d.log_prob(lib.ones(2, 3, dtype=lib.float64)), d.entropy(), d.mean, d.variance]
        results.append(lib.distributions.kl_divergence(d, q))
        sum(r.sum() for r in results).backward()
        found.append(([tuple(r.shape) for r in results], [_flat(r) for r in [*results, loc.grad]], tuple(d.batch_shape),
                      tuple(d.event_shape), tuple(d.rsample((4,)).shape), d.has_rsample))  # fmt: skip
    assert found[0][0] == found[1][0] and found[0][2:] == found[1][2:]
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert a == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "p", "q"),
    [
        ("Exponential", {"rate": [0.5, 3.0]}, {"rate": [1.0, 0.1]}),
        ("Laplace", {"loc": [0.5, -1.0], "scale": [1.0, 0.1]}, {"loc": [0.0, 0.0], "scale": [2.0, 1.0]}),
        ("LogNormal", {"loc": [0.5], "scale": [1.0]}, {"loc": [0.0], "scale": [2.0]}),
        ("Geometric", {"probs": [0.25, 0.9]}, {"probs": [0.5, 0.1]}),
        ("Poisson", {"rate": [0.5, 30.0]}, {"rate": [2.0, 3.0]}),
        ("OneHotCategorical", {"probs": [0.2, 0.8]}, {"logits": [0.0, 1.0]}),
        (
            "MultivariateNormal",
            {"loc": [0.5, -1.0], "covariance_matrix": COVARIANCE},
            {"loc": [0.0, 0.0], "scale_tril": TRIL},
        ),
    ],
)
def test_divergences_equal_pytorch(torch: Any, name: str, p: dict[str, Any], q: dict[str, Any]) -> None:
    found = []
    for lib in (ag, torch):
        make, made = getattr(lib.distributions, name), _tensors(lib, p)
        kl = lib.distributions.kl_divergence(make(**made), make(**_tensors(lib, q)))
        kl.sum().backward()
        gradients = [g.grad if g.ndim < 2 else g.grad + g.grad.mT for g in made.values()]
        found.append([_flat(x) for x in (kl, *gradients)])
    for a, b in zip(*found, strict=True):
        assert a == pytest.approx(b, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize(
    ("made", "mean", "variance", "kurtosis"),
    [
        (lambda: D.Exponential(ag.tensor([0.5, 3.0])), [2.0, 1 / 3], [4.0, 1 / 9], 9),
        (lambda: D.Laplace(ag.tensor([1.0, -2.0]), 0.5), [1.0, -2.0], [0.5, 0.5], 6),
        (lambda: D.LogNormal(ag.tensor([0.0, 1.0]), 0.25), None, None, 6),
        (lambda: D.Geometric(ag.tensor([0.5, 1.0])), [1.0, 0.0], [2.0, 0.0], 10),
        (lambda: D.Poisson(ag.tensor([0.4, 900.0])), [0.4, 900.0], [0.4, 900.0], 6),
        (lambda: D.Poisson(ag.tensor([0.0, 3.0])), [0.0, 3.0], [0.0, 3.0], 4),
        (lambda: D.OneHotCategorical(ag.tensor([1.0, 3.0])), [0.25, 0.75], [0.1875, 0.1875], 3),
        (lambda: D.MultivariateNormal(ag.tensor([1.0, 2.0]), ag.tensor(COVARIANCE)), [1.0, 2.0], [2.0, 0.5], 3),
    ],
)
def test_samples_have_the_moments(made: Any, mean: Any, variance: Any, kurtosis: float) -> None:
    ag.manual_seed(3)
    n, d = 20000, made()
    x = d.sample((n,))
    assert x.shape == (n, 2) and not x.requires_grad and bool(ag.isfinite(x).all())
    mean, variance = mean or d.mean.tolist(), variance or d.variance.tolist()
    for found, expected, spread in zip(x.double().mean(0).tolist(), mean, variance):
        assert abs(found - expected) <= 5 * (spread / n) ** 0.5 + 1e-6
    for found, expected in zip(x.double().var(0).tolist(), variance):
        assert abs(found - expected) <= 5 * expected * (kurtosis / n) ** 0.5 + 1e-6
    if isinstance(d, D.MultivariateNormal):
        away = x.double() - x.double().mean(0)
        assert (away[:, 0] * away[:, 1]).mean().item() == pytest.approx(0.3, abs=0.05)


def test_straight_through() -> None:
    logits = ag.zeros(2, 3, requires_grad=True)
    d = D.OneHotCategoricalStraightThrough(logits=logits)
    z = d.rsample((4,))
    assert z.shape == (4, 2, 3) and ag.allclose(z.sum(-1), ag.ones(4, 2)) and bool(((z - z.round()).abs() < 1e-6).all())
    weights = ag.randn(4, 2, 3)
    (z * weights).sum().backward(retain_graph=True)
    (expected,) = ag.autograd.grad((d.probs * weights.sum(0)).sum(), logits)
    assert ag.allclose(logits.grad, expected, atol=1e-6)
    with pytest.raises(NotImplementedError, match="OneHotCategorical has no rsample"):
        D.OneHotCategorical(ag.ones(2)).rsample()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: D.Exponential(0.0), "expected rate > 0"),
        (lambda: D.Exponential(1.0).log_prob(ag.tensor(-1.0)), "expected a value >= 0"),
        (lambda: D.Laplace(0.0, -1.0), "expected scale > 0"),
        (lambda: D.Laplace(0.0, 1.0).log_prob(ag.tensor(math.nan)), "real number"),
        (lambda: D.LogNormal(0.0, 1.0).log_prob(ag.tensor(0.0)), "expected a value > 0"),
        (lambda: D.Poisson(-1.0), "expected rate >= 0"),
        (lambda: D.Poisson(1.0).log_prob(ag.tensor(0.5)), "integer >= 0"),
        (lambda: D.Geometric(0.0), r"probs in \(0, 1\]"),
        (lambda: D.Geometric(), "either probs or logits"),
        (lambda: D.Geometric(0.5).log_prob(ag.tensor(0.5)), "integer >= 0"),
        (lambda: D.OneHotCategorical(ag.ones(2)).log_prob(ag.ones(2)), "1 in one place"),
        (lambda: D.Independent(D.Normal(ag.zeros(2), 1.0), 2), "reinterpreted_batch_ndims <= 1"),
        (lambda: D.MultivariateNormal(ag.zeros(2)), "exactly one of"),
        (lambda: D.MultivariateNormal(ag.zeros(2), ag.eye(2), ag.eye(2)), "exactly one of"),
        (lambda: D.MultivariateNormal(ag.tensor(0.0), ag.eye(1)), "at least one-dimensional"),
        (lambda: D.MultivariateNormal(ag.zeros(2), ag.eye(3)), r"fit loc of shape \(2,\), got \(3, 3\)"),
        (lambda: D.MultivariateNormal(ag.zeros(2), ag.tensor([[1.0, 2.0], [2.0, 1.0]])), "positive definite"),
        (lambda: D.MultivariateNormal(ag.zeros(2), ag.tensor([[1.0, 2.0], [0.0, 1.0]])), "symmetric"),
        (lambda: D.MultivariateNormal(ag.zeros(2), scale_tril=ag.ones(2, 2)), "lower triangular"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()

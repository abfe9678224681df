"""Distributions: densities, moments, entropies and divergences against PyTorch, their samples, and errors."""

from __future__ import annotations

import math
from typing import Any

import pytest

import autograd_core as ag

D = ag.distributions

# Name, parameters (by keyword), a value; lists become float64 tensors.
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("Normal", {"loc": [0.5, -1.0, 3.0], "scale": [1.0, 0.1, 2.0]}, [0.0, -1.1, 9.0]),
    ("Normal", {"loc": [[0.5], [-1.0]], "scale": 2.0}, [0.0, 1.0, 2.0]),
    ("Uniform", {"low": [0.0, -1.0], "high": [1.0, 3.0]}, [0.25, 0.0]),
    ("Bernoulli", {"probs": [0.25, 0.5, 0.99]}, [1.0, 0.0, 1.0]),
    ("Bernoulli", {"logits": [-3.0, 0.0, 20.0]}, [1.0, 0.0, 0.0]),
    ("Categorical", {"probs": [[1.0, 2.0, 1.0], [0.1, 0.7, 0.2]]}, [2.0, 1.0]),
    ("Categorical", {"logits": [[1.0, 2.0, 1.0], [0.1, 0.7, -9.0]]}, [2.0, 1.0]),
    ("Categorical", {"logits": [1.0, 2.0, 1.0]}, [[2.0, 1.0], [0.0, 0.0]]),
]
IDS = [f"{name}-{'-'.join(parameters)}-{i}" for i, (name, parameters, _) in enumerate(CASES)]


def tensors(lib: Any, parameters: dict[str, Any], factor: float = 1.0) -> dict[str, Any]:
    return {
        key: (lib.tensor(value, dtype=lib.float64) * factor).detach().requires_grad_()
        if isinstance(value, list)
        else value
        for key, value in parameters.items()
    }


def flat(x: Any) -> list[float]:
    return x.detach().reshape(-1).tolist()


@pytest.mark.parametrize(("name", "parameters", "value"), CASES, ids=IDS)
def test_equal_pytorch(name: str, parameters: dict[str, Any], value: Any) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    found = []
    for lib in (ag, torch):
        made = tensors(lib, parameters)
        d = getattr(lib.distributions, name)(**made)
        x = lib.tensor(value, dtype=lib.float64)
        results = [d.log_prob(x), d.entropy()]
        if name != "Categorical":
            results += [d.mean, d.variance, d.stddev]
            if name in ("Normal", "Uniform"):
                results += [d.cdf(x), d.icdf(lib.tensor([0.125], dtype=lib.float64))]
        else:
            results += [d.probs, d.logits]
        sum((r * r).sum() for r in results).backward()
        gradients = [p.grad for p in made.values() if hasattr(p, "grad")]
        found.append(([tuple(r.shape) for r in results], [flat(r) for r in results + gradients], tuple(d.batch_shape)))
    assert found[0][0] == found[1][0] and found[0][2] == found[1][2]
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "p", "q"),
    [
        ("Normal", {"loc": [0.5, -1.0], "scale": [1.0, 0.1]}, {"loc": 0.0, "scale": 1.0}),
        ("Uniform", {"low": [0.0, 0.0], "high": [1.0, 3.0]}, {"low": -1.0, "high": 2.0}),
        ("Bernoulli", {"probs": [0.25, 0.5]}, {"probs": [0.5, 0.9]}),
        ("Bernoulli", {"logits": [-3.0, 2.0]}, {"probs": [0.5, 0.9]}),
        ("Bernoulli", {"probs": [0.25, 0.5]}, {"probs": [0.0, 1.0]}),
        ("Categorical", {"probs": [[1.0, 2.0, 1.0], [0.0, 0.7, 0.2]]}, {"logits": [[0.0, 1.0, 0.0]]}),
        ("Categorical", {"probs": [0.5, 0.5]}, {"probs": [0.0, 1.0]}),
    ],
)
def test_divergences_equal_pytorch(name: str, p: dict[str, Any], q: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    found = []
    for lib in (ag, torch):
        make = getattr(lib.distributions, name)
        made = tensors(lib, p)
        kl = lib.distributions.kl_divergence(make(**made), make(**tensors(lib, q)))
        gradients = []
        if math.isfinite(kl.sum().item()):
            kl.sum().backward()
            gradients = [x.grad for x in made.values()]
        found.append([flat(x) for x in (kl, *gradients)])
    for a, b in zip(*found, strict=True):
        assert a == pytest.approx(b, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize(
    ("made", "mean", "variance"),
    [
        (lambda: D.Normal(ag.tensor([1.0, -2.0]), 0.5), [1.0, -2.0], [0.25, 0.25]),
        (lambda: D.Uniform(ag.tensor([0.0, 1.0]), ag.tensor([1.0, 3.0])), [0.5, 2.0], [1 / 12, 1 / 3]),
        (lambda: D.Bernoulli(ag.tensor([0.25, 1.0])), [0.25, 1.0], [0.1875, 0.0]),
        (lambda: D.Categorical(ag.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]])), [1.5, 1.0], [0.75, 0.0]),
    ],
)
def test_samples_have_the_moments(made: Any, mean: list[float], variance: list[float]) -> None:
    ag.manual_seed(3)
    n = 20000
    x = made().sample((n,))
    assert x.shape == (n, 2) and not x.requires_grad
    x = x.double()
    # Five standard errors; the fourth moments here are at most three squared variances.
    for found, expected, spread in zip(x.mean(0).tolist(), mean, variance):
        assert abs(found - expected) <= 5 * (spread / n) ** 0.5 + 1e-6
    for found, expected in zip(x.var(0).tolist(), variance):
        assert abs(found - expected) <= 5 * expected * (3 / n) ** 0.5 + 1e-6


def test_gradients_reach_the_parameters_through_rsample_only() -> None:
    loc, scale = ag.zeros(3, requires_grad=True), ag.ones(3, requires_grad=True)
    d = D.Normal(loc, scale)
    assert not d.sample().requires_grad
    z = d.rsample((2,))
    z.sum().backward()
    assert loc.grad.tolist() == [2.0] * 3
    assert scale.grad.tolist() == pytest.approx(z.detach().sum(0).tolist())
    low = ag.zeros(2, requires_grad=True)
    D.Uniform(low, 1.0).rsample().sum().backward()
    assert all(0 < g <= 1 for g in low.grad.tolist())
    with pytest.raises(NotImplementedError, match="Bernoulli has no rsample"):
        D.Bernoulli(0.5).rsample()


def test_a_policy_gradient_by_hand() -> None:
    logits = ag.zeros(2, requires_grad=True)
    d = D.Categorical(logits=logits)
    d.log_prob(ag.tensor(1)).backward()
    assert logits.grad.tolist() == [-0.5, 0.5]
    assert d.sample((3, 2)).shape == (3, 2) and d.sample().dtype is ag.int64


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: D.Normal(0.0, -1.0), ValueError, "expected scale > 0"),
        (lambda: D.Normal(float("nan"), 1.0), ValueError, "expected loc without NaN"),
        (lambda: D.Normal(0.0, float("nan")), ValueError, "expected scale > 0"),
        (lambda: D.Normal(0.0, 1.0).log_prob(ag.tensor(float("nan"))), ValueError, "real number"),
        (lambda: D.Normal(0.0, 1.0).log_prob(0.5), ValueError, "must be a Tensor, got float"),
        (lambda: D.Uniform(1.0, 1.0), ValueError, "expected low < high"),
        (lambda: D.Uniform(0.0, 1.0).log_prob(ag.tensor(2.0)), ValueError, r"in \[low, high\]"),
        (lambda: D.Bernoulli(1.5), ValueError, r"probs in \[0, 1\]"),
        (lambda: D.Bernoulli(), ValueError, "either probs or logits"),
        (lambda: D.Bernoulli(0.5).log_prob(ag.tensor(0.5)), ValueError, "0 or 1"),
        (lambda: D.Categorical(ag.tensor(0.5)), ValueError, "at least one-dimensional"),
        (lambda: D.Categorical(ag.tensor([0.5, -0.5])), ValueError, "probs >= 0"),
        (lambda: D.Categorical(ag.ones(2), ag.ones(2)), ValueError, "but not both"),
        (lambda: D.Categorical(ag.ones(2)).log_prob(ag.tensor(2)), ValueError, "integer from 0 to 1"),
        (lambda: D.kl_divergence(D.Normal(0.0, 1.0), D.Bernoulli(0.5)), NotImplementedError, "Normal and Bernoulli"),
    ],
)
def test_mistakes(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_without_validation_what_cannot_be_has_probability_zero() -> None:
    d = D.Uniform(0.0, 1.0, validate_args=False)
    assert d.log_prob(ag.tensor([2.0, 0.5])).tolist() == [-math.inf, 0.0]


def test_repr_shows_what_was_given() -> None:
    assert repr(D.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
    assert repr(D.Uniform(ag.zeros(2), 1.0)) == "Uniform(low: ag.Size([2]), high: ag.Size([2]))"
    assert repr(D.Bernoulli(probs=0.25)) == "Bernoulli(probs: 0.25)"
    assert repr(D.Categorical(logits=ag.zeros(3))) == "Categorical(logits: ag.Size([3]))"


def test_quantiles_and_their_range() -> None:
    for d in (D.Normal(1.0, 2.0), D.Uniform(-1.0, 2.0)):
        p = ag.tensor([0.1, 0.5, 0.75])
        assert ag.allclose(d.cdf(d.icdf(p)), p, atol=1e-6)
        with pytest.raises(ValueError, match="probability"):
            d.icdf(ag.tensor([0.5, 1.5]))
        with pytest.raises(ValueError, match="value"):
            d.cdf(ag.tensor(float("nan")))
    assert D.Uniform(0.0, 1.0, validate_args=False).cdf(ag.tensor([-1.0, 3.0])).tolist() == [0.0, 1.0]
    with pytest.raises(NotImplementedError, match="Bernoulli has no cdf"):
        D.Bernoulli(0.5).cdf(ag.tensor(1.0))

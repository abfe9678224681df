"""Layers that draw at random: what they draw has the distribution it should, and the gradient follows the draw."""

import math
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn

F = nn.functional
LIMIT = -1.0507009873554805 * 1.6732632423543772  # Of selu at minus infinity.


@pytest.mark.parametrize("inplace", [False, True])
def test_rrelu_draws_a_slope_for_each_negative_element(inplace: bool) -> None:
    ag.manual_seed(0)
    x = ag.linspace(-2, 2, 4001, requires_grad=True)
    y = nn.RReLU(0.2, 0.6, inplace)(x * 1)
    (y * 3).sum().backward()
    slopes = (y / x)[x < 0]
    assert ag.equal(y[x > 0], x[x > 0])
    assert 0.2 <= slopes.min().item() < 0.21 and 0.59 < slopes.max().item() <= 0.6
    assert abs(slopes.mean().item() - 0.4) < 0.01
    assert ag.allclose(x.grad[x < 0], 3 * slopes, atol=1e-5) and ag.equal(x.grad[x > 0], ag.full((2000,), 3.0))
    assert not ag.equal(nn.RReLU(0.2, 0.6)(x), y)


def test_rrelu_of_an_evaluation_takes_the_mean_slope() -> None:
    layer = nn.RReLU(0.2, 0.6, inplace=True).eval()
    assert repr(layer) == "RReLU(lower=0.2, upper=0.6, inplace=True)"
    assert ag.allclose(layer(ag.tensor([-2.0, 3.0])), ag.tensor([-0.8, 3.0]))
    x = ag.tensor([-2.0, 3.0])
    assert F.rrelu(x, 0.5, 0.5, True, True) is x and x.tolist() == [-1.0, 3.0]


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize(("make", "shape"), [(nn.AlphaDropout, (200, 200)), (nn.FeatureAlphaDropout, (100, 100, 2, 2))])
def test_alpha_dropout_keeps_mean_and_variance(make: Callable[..., Any], shape: tuple[int, ...], p: float) -> None:
    ag.manual_seed(1)
    x = ag.randn(*shape, dtype=ag.float64, requires_grad=True)
    y = make(p)(x)
    assert abs(y.mean().item()) < 0.03 and abs(y.var().item() - 1) < 0.05
    y.sum().backward()
    scale = 1 / math.sqrt((1 - p) * (1 + LIMIT * LIMIT * p))
    kept = x.grad != 0
    assert abs(kept.double().mean().item() - (1 - p)) < 0.02
    assert ag.allclose(x.grad[kept], ag.tensor(scale, dtype=ag.float64))
    assert ag.allclose(y[kept], x[kept] * scale - LIMIT * scale * p)
    assert ag.allclose(y[~kept], ag.tensor(LIMIT * scale * (1 - p), dtype=ag.float64))
    if make is nn.FeatureAlphaDropout:
        assert ag.equal(kept, kept[:, :, :1, :1].expand(shape))


def test_alpha_dropout_at_its_ends() -> None:
    x = ag.tensor([[1.0, -2.0]])
    for function in (F.alpha_dropout, F.feature_alpha_dropout):
        assert function(x, 0.7) is x and function(x, 0.0, True) is x
        assert function(x, 1.0, True).tolist() == [[0.0, 0.0]]
        assert function(ag.tensor([1, 2]), 0.5).tolist() == [1, 2]
        y = x.clone()
        assert function(y, 0.5, True, True) is y


@pytest.mark.parametrize("dims", [2, 3])
def test_fractional_pooling_draws_its_windows(dims: int) -> None:
    ag.manual_seed(0)
    make, shape = getattr(nn, f"FractionalMaxPool{dims}d"), (2, 3, *(9,) * dims)
    x = ag.randn(*shape)
    pool = make(2, output_ratio=0.6, return_indices=True)
    y, places = pool(x)
    assert y.shape == places.shape == (2, 3, *(5,) * dims)
    assert ag.equal(x.flatten(2).gather(2, places.flatten(2)), y.flatten(2))
    assert not ag.equal(pool(x)[0], y)
    fixed = make(2, output_size=4, _random_samples=ag.rand(2, 3, dims))
    assert ag.equal(fixed(x), fixed(x)) and list(fixed.state_dict()) == ["_random_samples"]


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: F.rrelu(ag.zeros(2), 0.5, 0.2), RuntimeError, ("lower=0.5", "upper=0.2")),
    (lambda: F.rrelu(ag.zeros(2), 0.5, ag.inf), RuntimeError, ("finite",)),
    (lambda: F.alpha_dropout(ag.zeros(2), 1.5), ValueError, ("between 0 and 1", "1.5")),
    (lambda: F.alpha_dropout(ag.tensor([1]), 0.5, True), RuntimeError, ("int64",)),
    (lambda: F.feature_alpha_dropout(ag.zeros(2), 0.5, True), RuntimeError, ("2 dimensions", "(2,)")),
    (lambda: nn.FractionalMaxPool2d(2), ValueError, ("output_size or an output_ratio",)),
    (lambda: nn.FractionalMaxPool2d(2, 3, 0.5), ValueError, ("not both",)),
    (lambda: nn.FractionalMaxPool2d(2, output_ratio=(0.5, 1.5)), ValueError, ("between 0 and 1", "1.5")),
    (lambda: nn.FractionalMaxPool3d(0, 3), ValueError, ("greater than 0",)),
    (lambda: nn.FractionalMaxPool2d(3, 3)(ag.zeros(1, 4, 9)), RuntimeError, ("too large", "(4, 9)")),
    (
        lambda: nn.FractionalMaxPool2d(2, 2, _random_samples=ag.zeros(1, 2, 2))(ag.zeros(1, 4, 9)),
        RuntimeError,
        ("(1, 1, 2)", "(1, 2, 2)"),
    ),
    (lambda: nn.FeatureAlphaDropout(-0.1), ValueError, ("between 0 and 1", "-0.1")),
]


@pytest.mark.parametrize(("call", "error", "parts"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)

"""What the table of operations cannot say: errors, draws, NaN, and gradients of second order at zeros."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.ops import distances

try:
    import torch
except ImportError:
    torch = None


def _long(t: Any, *values: int) -> Any:
    return t.tensor(list(values), dtype=t.int64)


ERRORS: tuple[tuple[str, Any, Any], ...] = (
    ("frac of integers", lambda t: t.frac(t.arange(2)), RuntimeError),
    ("positive of bools", lambda t: t.positive(t.ones(2, dtype=t.bool)), RuntimeError),
    ("hypot of integers", lambda t: t.hypot(t.arange(2), t.arange(2)), RuntimeError),
    ("gcd of floats", lambda t: t.gcd(t.ones(2), t.ones(2)), RuntimeError),
    ("shift of floats", lambda t: t.bitwise_left_shift(t.ones(2), t.ones(2)), RuntimeError),
    ("heaviside of dtypes", lambda t: t.heaviside(t.ones(2), t.ones(2, dtype=t.float64)), RuntimeError),
    ("isin of bools", lambda t: t.isin(t.ones(2, dtype=t.bool), t.ones(2, dtype=t.bool)), RuntimeError),
    ("polygamma", lambda t: t.polygamma(-1, t.ones(2)), RuntimeError),
    ("cumprod dim", lambda t: t.cumprod(t.ones(2), 1), IndexError),
    ("logcumsumexp of integers", lambda t: t.logcumsumexp(t.arange(2), 0), RuntimeError),
    ("diff order", lambda t: t.diff(t.ones(2), -1), RuntimeError),
    ("diff of 0-d", lambda t: t.diff(t.ones(())), RuntimeError),
    ("trapezoid points", lambda t: t.trapezoid(t.ones(3), t.ones(2)), RuntimeError),
    ("median of bools", lambda t: t.median(t.ones(2, dtype=t.bool)), RuntimeError),
    ("median over a size of 0", lambda t: t.median(t.zeros(2, 0), 1), IndexError),
    ("aminmax of nothing", lambda t: t.aminmax(t.zeros(0)), RuntimeError),
    ("nanmean of integers", lambda t: t.nanmean(t.arange(2)), RuntimeError),
    ("var_mean of integers", lambda t: t.var_mean(t.arange(2)), RuntimeError),
    ("quantile of integers", lambda t: t.quantile(t.arange(2), 0.5), RuntimeError),
    ("quantile q", lambda t: t.quantile(t.ones(2), 1.5), RuntimeError),
    ("quantile qs", lambda t: t.quantile(t.ones(2), t.tensor([0.5, -0.1])), RuntimeError),
    ("quantile interpolation", lambda t: t.quantile(t.ones(2), 0.5, interpolation="cubic"), RuntimeError),
    ("quantile of nothing", lambda t: t.quantile(t.ones(0), 0.5), RuntimeError),
    ("kthvalue", lambda t: t.kthvalue(t.ones(2), 3), RuntimeError),
    ("bincount of floats", lambda t: t.bincount(t.ones(2)), RuntimeError),
    ("bincount of negatives", lambda t: t.bincount(t.tensor([-1])), RuntimeError),
    ("bincount minlength", lambda t: t.bincount(t.tensor([1]), minlength=-1), RuntimeError),
    ("histc bins", lambda t: t.histc(t.ones(2), 0), RuntimeError),
    ("histc range", lambda t: t.histc(t.ones(2), 5, 2, 1), RuntimeError),
    ("cov dimensions", lambda t: t.cov(t.ones(2, 2, 2)), RuntimeError),
    ("cov weights", lambda t: t.cov(t.ones(2, 3), fweights=t.ones(3)), RuntimeError),
    ("take bounds", lambda t: t.take(t.ones(2), _long(t, 2)), IndexError),
    ("take dtype", lambda t: t.take(t.ones(2), t.ones(1)), RuntimeError),
    ("put bounds", lambda t: t.ones(2).put(_long(t, 5), t.ones(1)), IndexError),
    ("put sizes", lambda t: t.ones(2).put(_long(t, 0), t.ones(2)), IndexError),
    ("index_fill bounds", lambda t: t.index_fill(t.ones(2), 0, _long(t, 3), 1.0), IndexError),
    ("index_copy bounds", lambda t: t.index_copy(t.ones(2), 0, _long(t, 3), t.ones(1)), IndexError),
    ("index_copy dtype", lambda t: t.index_copy(t.ones(2), 0, _long(t, 0), t.ones(1, dtype=t.float64)), RuntimeError),
    ("masked_scatter source", lambda t: t.masked_scatter(t.ones(2), t.tensor([True, True]), t.ones(1)), RuntimeError),
    ("masked_scatter mask", lambda t: t.masked_scatter(t.ones(2), t.ones(2), t.ones(2)), RuntimeError),
    ("scatter_reduce", lambda t: t.scatter_reduce(t.ones(2), 0, _long(t, 0), t.ones(1), "foo"), RuntimeError),
    ("searchsorted shapes", lambda t: t.searchsorted(t.ones(2, 2), t.ones(3, 2)), RuntimeError),
    ("searchsorted side", lambda t: t.searchsorted(t.ones(2), 1.0, side="left", right=True), RuntimeError),
    ("bucketize boundaries", lambda t: t.bucketize(t.ones(2), t.ones(2, 2)), RuntimeError),
    ("select_scatter", lambda t: t.select_scatter(t.ones(2, 2), t.ones(3), 0, 0), RuntimeError),
    ("slice_scatter", lambda t: t.slice_scatter(t.ones(2, 2), t.ones(3, 2)), RuntimeError),
    ("hsplit", lambda t: t.hsplit(t.ones(2), 3), RuntimeError),
    ("dsplit", lambda t: t.dsplit(t.ones(2), 1), RuntimeError),
    ("tensor_split", lambda t: t.tensor_split(t.ones(2), 0), RuntimeError),
    ("fliplr", lambda t: t.fliplr(t.ones(2)), RuntimeError),
    ("rot90", lambda t: t.rot90(t.ones(2)), RuntimeError),
    ("diag_embed", lambda t: t.diag_embed(t.ones(2), dim1=0, dim2=0), RuntimeError),
    ("block_diag", lambda t: t.block_diag(t.ones(1, 1, 1)), RuntimeError),
    ("cartesian_prod", lambda t: t.cartesian_prod(t.ones(1, 1), t.ones(1)), RuntimeError),
    ("fill", lambda t: t.fill(t.ones(2), t.ones(2)), RuntimeError),
    ("sum_to_size", lambda t: t.ones(2).sum_to_size(3), RuntimeError),
    ("tensordot", lambda t: t.tensordot(t.ones(2, 3), t.ones(2, 3), 1), RuntimeError),
    ("inner", lambda t: t.inner(t.ones(2), t.ones(3)), RuntimeError),
    ("addr", lambda t: t.addr(t.ones(2, 2), t.ones(2), t.ones(3)), RuntimeError),
    ("vdot", lambda t: t.vdot(t.ones(2), t.ones(3)), RuntimeError),
    ("cross", lambda t: t.cross(t.ones(2), t.ones(2), dim=0), RuntimeError),
    ("trace", lambda t: t.trace(t.ones(2)), RuntimeError),
    ("cdist columns", lambda t: t.cdist(t.ones(2, 3), t.ones(2, 2)), RuntimeError),
    ("cdist mode", lambda t: t.cdist(t.ones(2, 3), t.ones(2, 3), compute_mode="fast"), ValueError),
    ("tril_indices", lambda t: t.tril_indices(-1, 2), RuntimeError),
    ("logspace", lambda t: t.logspace(0, 1, -1), RuntimeError),
    ("multinomial dtype", lambda t: t.multinomial(t.arange(2), 1), RuntimeError),
    ("multinomial too many", lambda t: t.multinomial(t.ones(2), 3), RuntimeError),
    ("multinomial of zeros", lambda t: t.multinomial(t.zeros(2), 1), RuntimeError),
    ("multinomial of negatives", lambda t: t.multinomial(t.tensor([-1.0, 2.0]), 1), RuntimeError),
)  # fmt: skip


@pytest.mark.parametrize("name, call, error", ERRORS, ids=[e[0] for e in ERRORS])
def test_errors(name: str, call: Any, error: Any) -> None:
    with pytest.raises(error) as ours:
        call(ag)
    if torch is not None:
        with pytest.raises(Exception) as theirs:
            call(torch)
        assert issubclass(ours.type, theirs.type), f"{name}: PyTorch raises {theirs.type.__name__}: {theirs.value}"


def test_cumprod_has_exact_gradients_at_zeros() -> None:
    """The second derivative of x0 x1 x2 by x0 and x1 is x2, whichever of them are zero."""
    for start in ([0.0, 0.0, 3.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]):
        x = ag.tensor(start, dtype=ag.float64, requires_grad=True)
        (first,) = ag.autograd.grad(ag.cumprod(x, 0)[2], x, create_graph=True)
        a, b, c = start
        assert first.tolist() == [b * c, a * c, a * b]
        (second,) = ag.autograd.grad(first[0], x)
        assert second.tolist() == [0.0, c, b]


def test_multinomial_draws_in_proportion() -> None:
    weights = ag.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    ag.manual_seed(0)
    drawn = ag.multinomial(weights, 4000, replacement=True)
    for row, shares in ((0, (0.25, 0.0, 0.75)), (1, (0.5, 0.5, 0.0))):
        found = ag.bincount(drawn[row], minlength=3).numpy(force=True) / 4000
        assert found[np.array(shares) == 0].sum() == 0
        np.testing.assert_allclose(found, shares, atol=0.03)  # Four standard deviations.


def test_multinomial_without_replacement_draws_one_after_the_other() -> None:
    """The first draw in proportion to the weights, the second to what is left; never the same twice."""
    ag.manual_seed(1)
    drawn = ag.multinomial(ag.tensor([1.0, 2.0, 5.0]).expand(4000, 3), 2).numpy(force=True)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    np.testing.assert_allclose(np.bincount(drawn[:, 0], minlength=3) / 4000, [1 / 8, 2 / 8, 5 / 8], atol=0.03)
    after = drawn[drawn[:, 0] == 2, 1]
    np.testing.assert_allclose((after == 1).mean(), 2 / 3, atol=0.04)


def test_randint_like_draws_within_its_bounds() -> None:
    drawn = ag.randint_like(ag.zeros(1000), -2, 3)
    assert drawn.dtype is ag.float32 and set(drawn.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}


def test_inplace_forms_of_the_selections() -> None:
    x = ag.zeros(4)
    x.put_(ag.tensor([1]), ag.tensor([5.0])).index_fill_(0, ag.tensor([3]), 2.0)
    x.masked_scatter_(ag.tensor([True, False, True, False]), ag.tensor([7.0, 8.0]))
    x.index_copy_(0, ag.tensor([0]), ag.tensor([1.0])).scatter_reduce_(0, ag.tensor([0]), ag.tensor([4.0]), "prod")
    assert x.tolist() == [4.0, 5.0, 8.0, 2.0]


@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist", "use_mm_for_euclid_dist_if_necessary"])
def test_distances_by_a_product_have_gradients_at_equal_rows(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_MOST_DIFFERENCES", 0)  # Then the product is necessary.
    rows = ag.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]])
    x, y = (rows.clone().requires_grad_() for _ in range(2))
    by_product = ag.cdist(x, x, compute_mode=mode)
    exact = ag.cdist(y, y, compute_mode="donot_use_mm_for_euclid_dist")
    assert by_product.tolist() == exact.tolist() == [[0, 0, 5], [0, 0, 5], [5, 5, 0]]
    by_product.sum().backward()
    exact.sum().backward()
    assert x.grad is not None and y.grad is not None
    assert ag.allclose(x.grad, y.grad) and ag.allclose(x.grad[0], ag.tensor([-1.2, -1.6]))


def test_distances_by_a_product_keep_what_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_MOST_DIFFERENCES", 0)
    x, y = ag.tensor([[math.nan, 1.0], [3.0, 0.0]]), ag.tensor([[0.0, 4.0], [1.0, 1.0]])
    found = ag.cdist(x, y)
    assert found[0].isnan().all() and found[1, 0] == 5
    assert ag.cdist(ag.full((2, 4), 300.0).half(), ag.zeros(3, 4).half()).tolist() == [[600.0] * 3] * 2


def test_numbers_in_the_place_of_tensors_are_checked() -> None:
    mask, whole = ag.tensor([True, False]), ag.zeros(2, dtype=ag.int64)
    for value in (math.nan, math.inf, 1e30):
        with pytest.raises(RuntimeError, match="cannot be converted to"):
            whole.masked_fill(mask, value)
    assert ag.zeros(2, dtype=ag.uint8).masked_fill(mask, -1).tolist() == [255, 0]
    assert ag.where(mask, ag.zeros(2, dtype=ag.uint8), -1).tolist() == [0, 255]
    for n in (3, 2000):
        assert ag.clamp(ag.full((n,), 7.0), 0, 2**70).tolist() == [7.0] * n
        with pytest.raises(RuntimeError, match="does not fit"):
            ag.clamp(ag.zeros(n), 0, 10**400)
        huber = ag.nn.functional.huber_loss(ag.full((n,), 3.0), ag.zeros(n), delta=ag.tensor(1.0))
        assert huber.item() == 2.5
    with pytest.raises(TypeError, match="equation must be a str"):
        ag.einsum(["i"], ag.ones(2))


@pytest.mark.parametrize("n", [5, 2000])
def test_smooth_l1_of_large_and_small_beta(n: int) -> None:
    loss = ag.nn.functional.smooth_l1_loss
    x = ag.full((n,), 1000.0).half()
    assert loss(x, ag.zeros(n).half(), beta=100.0, reduction="none").tolist() == [950.0] * n
    d = ag.tensor([0.0, 1.0, -3.0] * n, requires_grad=True)
    loss(d, ag.zeros(3 * n), beta=1e-38, reduction="sum").backward()
    assert d.grad is not None and d.grad.tolist() == [0.0, 1.0, -1.0] * n


def test_products_that_overflow_in_another_order() -> None:
    x = ag.tensor([1e30, 1e-30] * 5000).reshape(100, 100)
    assert x.prod(1).tolist() == pytest.approx([1.0] * 100)


def test_digamma_at_its_ends() -> None:
    x = ag.tensor([math.inf, -0.0, 0.0, -math.inf, float("nan")], requires_grad=True)
    y = x.digamma()
    assert y.tolist()[:3] == [math.inf, math.inf, -math.inf] and y[3:].isnan().all()
    y.sum().backward()
    assert x.grad.tolist()[:3] == [0.0, math.inf, math.inf]


@pytest.mark.parametrize("n", [1, 2000])
def test_the_loss_of_infinite_logits(n: int) -> None:
    x = ag.tensor([math.inf, -math.inf, math.inf, -math.inf, 1.0] * n, requires_grad=True)
    y = ag.tensor([0.0, 1.0, 1.0, 0.0, 0.25] * n, requires_grad=True)
    loss = ag.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none")
    soft = math.log1p(math.e) - 0.25
    assert loss.tolist() == pytest.approx([math.inf, math.inf, 0.0, 0.0, soft] * n)
    loss.sum().backward()
    assert x.grad.tolist() == pytest.approx([1.0, -1.0, 0.0, 0.0, 1 / (1 + math.exp(-1)) - 0.25] * n)
    assert y.grad.tolist() == [-math.inf, math.inf, -math.inf, math.inf, -1.0] * n
    single = ag.nn.functional.binary_cross_entropy_with_logits(ag.tensor(math.inf), ag.tensor(0.0))
    assert single.item() == math.inf

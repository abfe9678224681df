"""Bags of embeddings, grids of positions and the bilinear map, beside PyTorch and by numeric gradients."""

import numpy as np
import pytest
from test_neural import F, host, integers, normal

import autograd_core as ag
from autograd_core.autograd import gradcheck, gradgradcheck

BAG, STARTS = [0, 3, 3, 1, 4, 3, 0], [0, 2, 2, 5]
BAGS = [
    {"mode": mode, **options}
    for mode in ("sum", "mean", "max")
    for options in ({}, {"padding_idx": 3}, {"max_norm": 1.2}, {"max_norm": 0.8, "norm_type": 1.0})
]


def table(rng, rows=5):
    return np.round(rng.standard_normal((rows, 3)), 1)  # Rounded, so that a maximum has ties.


def both(array, grad=True):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    return ag.tensor(array, requires_grad=grad), torch.tensor(array, requires_grad=grad)


def assert_same(y, expected, *pairs):
    np.testing.assert_allclose(host(y), host(expected), rtol=1e-10, atol=1e-10)
    assert y.shape == tuple(expected.shape)
    g = np.random.default_rng(1).standard_normal(tuple(y.shape))
    y.backward(ag.tensor(g))
    expected.backward(expected.new_tensor(g))
    for t, reference in pairs:
        np.testing.assert_allclose(host(t.grad), host(reference.grad), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", ["offsets", "last offset", "rows", "weighted", "weighted rows", "no bags"])
@pytest.mark.parametrize("options", BAGS, ids=lambda o: "-".join(map(str, o.values())))
def test_embedding_bag(options, form):
    if "weighted" in form and options["mode"] != "sum":
        options = {**options, "mode": "sum"}
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    rng = np.random.default_rng(3)
    w, reference = both(table(rng))
    index = np.array(BAG[:6]).reshape(2, 3) if "rows" in form else np.array([] if form == "no bags" else BAG, "int64")
    starts = [] if form == "no bags" else [*STARTS, 7] if form == "last offset" else STARTS
    pairs, given = [(w, reference)], {**options, "include_last_offset": form == "last offset"}
    mine, theirs = dict(given), dict(given)
    if "rows" not in form:
        mine["offsets"], theirs["offsets"] = ag.tensor(starts, dtype=ag.int64), torch.tensor(starts, dtype=torch.int64)
    if "weighted" in form:
        factors = both(rng.standard_normal(index.shape))
        pairs.append(factors)
        mine["per_sample_weights"], theirs["per_sample_weights"] = factors
    y = F.embedding_bag(ag.tensor(index), w, **mine)
    expected = torch.nn.functional.embedding_bag(torch.tensor(index), reference, **theirs)
    assert_same(y, expected, *pairs)
    np.testing.assert_allclose(host(w), host(reference), rtol=1e-12)  # Rows that were too long are scaled in place.


def test_gradients_of_embedding_bags():
    rng = np.random.default_rng(0)
    w = ag.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    factors = ag.tensor(rng.standard_normal(7), requires_grad=True)
    index, starts = ag.tensor(BAG), ag.tensor(STARTS)
    for mode in ("mean", "max"):
        assert gradcheck(lambda w, mode=mode: F.embedding_bag(index, w, starts, mode=mode), w)
        assert gradgradcheck(lambda w, mode=mode: F.embedding_bag(index, w, starts, mode=mode), w)
    weighted = (lambda w, f: F.embedding_bag(index, w, starts, mode="sum", per_sample_weights=f), (w, factors))
    assert gradcheck(*weighted) and gradgradcheck(*weighted)


@pytest.mark.parametrize("options", [{}, {"padding_idx": 3}], ids=["all", "padding"])
def test_gradients_by_frequency(options):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    w, reference = both(table(np.random.default_rng(0)))
    options["scale_grad_by_freq"] = True
    y = F.embedding(ag.tensor(BAG), w, **options)
    assert_same(y, torch.nn.functional.embedding(torch.tensor(BAG), reference, **options), (w, reference))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients_of_bags_by_frequency(mode):
    # PyTorch's own embedding_bag divides by the counts of other rows here, so it is composed of its embedding.
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    w, reference = both(table(np.random.default_rng(0)))
    index = np.array(BAG[:6]).reshape(2, 3)
    rows = torch.nn.functional.embedding(torch.tensor(index), reference, scale_grad_by_freq=True)
    y = F.embedding_bag(ag.tensor(index), w, scale_grad_by_freq=True, mode=mode)
    assert_same(y, getattr(rows, mode)(1), (w, reference))


def long(*values):
    return ag.tensor(values, dtype=ag.int64)


def weights():
    return ag.ones(5, 3)


def flat():
    return long(0, 1, 2)


def one_row():
    return ag.tensor([[0, 1]])


def starts():
    return long(0, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.embedding(flat(), weights(), sparse=True), NotImplementedError, "sparse=True is not supported"),
        (lambda: F.embedding_bag(one_row(), weights(), starts()), ValueError, "offsets must be None"),
        (lambda: F.embedding_bag(flat(), weights()), ValueError, "needs offsets"),
        (lambda: F.embedding_bag(long(0).reshape(1, 1, 1), weights()), ValueError, "1-D or 2-D"),
        (lambda: F.embedding_bag(one_row(), weights(), mode="median"), ValueError, "sum, mean or max"),
        (
            lambda: F.embedding_bag(one_row(), weights(), mode="max", scale_grad_by_freq=True),
            ValueError,
            "scale_grad_by_freq",
        ),
        (
            lambda: F.embedding_bag(one_row(), weights(), per_sample_weights=ag.ones(1, 2)),
            NotImplementedError,
            "mode 'sum'",
        ),
        (
            lambda: F.embedding_bag(one_row(), weights(), mode="sum", per_sample_weights=ag.ones(2)),
            ValueError,
            "shape of input",
        ),
        (
            lambda: F.embedding_bag(
                one_row(), weights(), mode="sum", per_sample_weights=ag.ones(1, 2, dtype=ag.float64)
            ),
            RuntimeError,
            "dtype of weight",
        ),
        (lambda: F.embedding_bag(flat(), weights(), long(1, 2)), RuntimeError, "begin with 0"),
        (lambda: F.embedding_bag(flat(), weights(), long(0, 4)), RuntimeError, "at most the 3"),
        (lambda: F.embedding_bag(flat(), weights(), long(0, 2, 1)), RuntimeError, "rise"),
        (lambda: F.embedding_bag(flat(), weights(), ag.zeros(1)), RuntimeError, "ag.float32"),
        (lambda: F.embedding_bag(long(0, 5), weights(), long(0)), IndexError, "out of range"),
        (lambda: ag.nn.EmbeddingBag(5, 3, padding_idx=5), ValueError, "padding_idx 5"),
        (lambda: ag.nn.EmbeddingBag(5, 3, sparse=True), NotImplementedError, "sparse"),
        (lambda: ag.nn.EmbeddingBag.from_pretrained(ag.ones(3)), ValueError, "2-d"),
        (lambda: F.bilinear(ag.ones(2, 3), ag.ones(2, 4), ag.ones(5, 4, 3)), RuntimeError, r"\(5, 4, 3\)"),
        (lambda: F.bilinear(ag.ones(2, 3), ag.ones(1, 4), ag.ones(5, 3, 4)), RuntimeError, r"\(1, 4\)"),
        (lambda: F.bilinear(ag.ones(3), ag.ones(4), ag.ones(5, 3, 4), ag.ones(4)), RuntimeError, "bias"),
        (lambda: ag.nn.Bilinear(0, 1, 1), ValueError, "in1_features"),
        (lambda: sample(ag.ones(1, 1, 2, 2), ag.ones(1, 2, 2, 3)), RuntimeError, r"\(1, 2, 2, 3\)"),
        (lambda: sample(ag.ones(1, 1, 2, 2), ag.ones(2, 2, 2, 2)), RuntimeError, r"\(2, 2, 2, 2\)"),
        (lambda: sample(ag.ones(1, 1, 0, 2), ag.ones(1, 2, 2, 2)), RuntimeError, "non-empty"),
        (lambda: sample(ag.ones(1, 1, 2, 2), ag.ones(1, 2, 2, 2, dtype=ag.float64)), RuntimeError, "same dtype"),
        (lambda: sample(ag.ones(1, 1, 2, 2), ag.ones(1, 2, 2, 2), mode="linear"), ValueError, "bicubic"),
        (lambda: sample(ag.ones(1, 1, 2, 2), ag.ones(1, 2, 2, 2), padding_mode="wrap"), ValueError, "reflection"),
        (lambda: sample(ag.ones(1, 1, 2, 2, 2), ag.ones(1, 1, 1, 1, 3), mode="bicubic"), RuntimeError, "4-D"),
        (lambda: F.affine_grid(ag.ones(1, 2, 3), (1, 1, 2), False), NotImplementedError, "N, C, H, W"),
        (lambda: F.affine_grid(ag.ones(1, 3, 4), (1, 1, 2, 2), False), ValueError, r"\(1, 2, 3\)"),
        (lambda: F.affine_grid(ag.ones(1, 2, 3), (1, 1, 0, 2), False), ValueError, "positive"),
        (lambda: F.affine_grid(one_row(), (1, 1, 2, 2), False), ValueError, "floating"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- grids ------------------------------------------------------------------------------------------------


def sample(input, grid, **options):
    return F.grid_sample(input, grid, **{"align_corners": False, **options})


def grid_of(rng, *shape):
    """Positions inside, outside and far outside, some on the border itself, none near a kink."""
    return np.where(rng.random(shape) < 0.1, 1.0, rng.uniform(-3, 3, shape))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic", "trilinear", "nearest of volumes"])
def test_grid_sample(mode, padding, aligned):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    rng = np.random.default_rng(5)
    volume = mode in ("trilinear", "nearest of volumes")
    options = {"mode": {"trilinear": "bilinear"}.get(mode, mode.split()[0]), "padding_mode": padding}
    options["align_corners"] = aligned
    for sizes in ((2, 3, 4), (2, 1, 1)) if volume else ((3, 4), (1, 5)):
        x, other = both(rng.standard_normal((2, 3, *sizes)))
        grid, reference = both(grid_of(rng, 2, *((2, 3, 2) if volume else (5, 4)), len(sizes)))
        expected = torch.nn.functional.grid_sample(other, reference, **options)
        assert_same(F.grid_sample(x, grid, **options), expected, (x, other), (grid, reference))


def test_positions_that_are_no_numbers_or_infinite():
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    x, other = both(np.random.default_rng(0).standard_normal((1, 2, 4, 5)), False)
    positions = np.zeros((1, 1, 4, 2))
    positions[0, 0, :, 0] = float("inf"), -float("inf"), float("nan"), 1e12
    grid, reference = both(positions, False)
    for mode in ("bilinear", "nearest"):
        expected = torch.nn.functional.grid_sample(other, reference, mode, "border", False)
        np.testing.assert_allclose(host(sample(x, grid, mode=mode, padding_mode="border")), host(expected))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "trilinear"])
def test_gradients_of_grid_sample(mode, padding):
    rng = np.random.default_rng(0)
    sizes = (2, 3, 2) if mode == "trilinear" else (3, 4)
    x = ag.tensor(rng.standard_normal((1, 2, *sizes)), requires_grad=True)
    grid = ag.tensor(rng.uniform(-1.3, 1.3, (1, *((1, 1, 2) if mode == "trilinear" else (2, 2)), len(sizes))))
    function = lambda x, g: sample(x, g, mode={"trilinear": "bilinear"}.get(mode, mode), padding_mode=padding)  # noqa: E731
    assert gradcheck(function, (x, grid.requires_grad_()))
    assert gradgradcheck(function, (x, grid))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 3, 1, 4), (2, 3, 2, 3, 4)])
@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
def test_affine_grid(size, aligned):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    d = len(size) - 2
    theta, reference = both(np.random.default_rng(0).standard_normal((2, d, d + 1)))
    expected = torch.nn.functional.affine_grid(reference, size, aligned)
    assert_same(F.affine_grid(theta, size, aligned), expected, (theta, reference))


def test_half_precision_and_the_warning():
    x, grid = ag.ones(1, 1, 2, 2, dtype=ag.float16), ag.zeros(1, 1, 1, 2, dtype=ag.float16)
    with pytest.warns(UserWarning, match="align_corners"):
        y = F.grid_sample(x, grid)
    assert y.dtype is ag.float16 and y.tolist() == [[[[1.0]]]]


# -- the bilinear map -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (4,), (0,), (2, 3)])
def test_bilinear(lead):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    rng = np.random.default_rng(0)
    pairs = [both(normal(*shape)(rng)) for shape in ((*lead, 3), (*lead, 4), (5, 3, 4), (5,))]
    expected = torch.nn.functional.bilinear(*(b for _, b in pairs))
    assert_same(F.bilinear(*(a for a, _ in pairs)), expected, *pairs)


def test_gradients_of_bilinear():
    rng = np.random.default_rng(0)
    given = [ag.tensor(normal(*shape)(rng), requires_grad=True) for shape in ((2, 3), (2, 2), (2, 3, 2), (2,))]
    assert gradcheck(F.bilinear, given) and gradgradcheck(F.bilinear, given)


# -- modules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.EmbeddingBag(6, 3, padding_idx=2),
        lambda nn: nn.EmbeddingBag(6, 3, 1.0, 1.0, mode="sum"),
        lambda nn: nn.EmbeddingBag(6, 3, mode="max", include_last_offset=True),
        lambda nn: nn.Embedding(6, 3, 1, 1.0, 1.0, True),
        lambda nn: nn.Bilinear(6, 3, 2, bias=False),
        lambda nn: nn.Bilinear(6, 3, 2),
    ],
)
def test_modules(make):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    mine, theirs = make(ag.nn), make(torch.nn)
    assert repr(mine) == repr(theirs)
    weights = {key: value.numpy() for key, value in theirs.state_dict().items()}
    mine.load_state_dict(weights)
    rng = np.random.default_rng(0)
    bilinear = "Bilinear" in repr(mine)
    arrays = (
        [rng.standard_normal((4, n)).astype("float32") for n in (6, 3)] if bilinear else [integers(0, 6, 4, 5)(rng)]
    )
    y, expected = mine(*map(ag.tensor, arrays)), theirs(*map(torch.tensor, arrays))
    np.testing.assert_allclose(host(y), host(expected), rtol=1e-5, atol=1e-6)
    y.sum().backward()
    expected.sum().backward()
    for name, p in mine.named_parameters():
        np.testing.assert_allclose(host(p.grad), host(theirs.get_parameter(name).grad), rtol=1e-5, atol=1e-6)


def test_a_bag_of_given_vectors():
    bag = ag.nn.EmbeddingBag.from_pretrained(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), mode="sum")
    assert bag(ag.tensor([[0, 1, 1]])).tolist() == [[7.0, 10.0]] and not bag.weight.requires_grad
    assert ag.nn.EmbeddingBag(4, 2, padding_idx=-1).weight[3].tolist() == [0.0, 0.0]

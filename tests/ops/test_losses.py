"""CTC, label sets, triplets under a distance of one's own and distances of pairs, beside PyTorch."""

import numpy as np
import pytest
from test_neural import F, host

import autograd_core as ag
from autograd_core.autograd import gradgradcheck


def torch_or_skip():
    return pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")


def assert_same(function, arrays, *rest):
    """Values and gradients of `function(functional, library, *tensors)` beside PyTorch's."""
    torch = torch_or_skip()
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, expected = function(F, ag, *ours), function(torch.nn.functional, torch, *theirs)
    np.testing.assert_allclose(host(y), host(expected), rtol=1e-9, atol=1e-9)
    assert y.shape == tuple(expected.shape)
    g = np.random.default_rng(1).standard_normal(tuple(y.shape))
    y.backward(ag.tensor(g))
    expected.backward(torch.tensor(g))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(host(a.grad), host(b.grad), rtol=1e-8, atol=1e-9)


def scores(*shape):
    return np.random.default_rng(2).standard_normal(shape)


TARGETS = [[1, 2, 2, 0], [3, 3, 1, 0], [2, 0, 0, 0]]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    ("times", "sizes", "blank"), [([6, 5, 2], [3, 3, 1], 0), ([6, 6, 1], [2, 1, 0], 0), ([4, 3, 6], [2, 2, 1], 4)]
)
@pytest.mark.parametrize("form", ["padded", "joined", "lists"])
def test_ctc_loss(times, sizes, blank, form, reduction):
    def loss(F, lib, x):
        labels = TARGETS if form != "joined" else [label for row, m in zip(TARGETS, sizes) for label in row[:m]]
        lengths = (times, sizes) if form == "lists" else (lib.tensor(times), lib.tensor(sizes))
        return F.ctc_loss(x.log_softmax(2), lib.tensor(labels), *lengths, blank, reduction)

    assert_same(loss, [scores(6, 3, 5)])


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_loss_of_a_target_that_does_not_fit(zero_infinity):
    x = ag.tensor(scores(2, 2, 3), requires_grad=True)
    lengths = ag.tensor([2, 2])
    targets = ag.tensor([[1, 1], [1, 2]])  # A repetition needs a blank between.
    loss = F.ctc_loss(x.log_softmax(2), targets, lengths, lengths, 0, "none", zero_infinity)
    assert loss.tolist()[0] == (0.0 if zero_infinity else float("inf")) and loss.isfinite().tolist()[1]
    loss.sum().backward()
    assert x.grad[:, 0].tolist() == [[0.0] * 3] * 2 and x.grad[:, 1].isfinite().all()


def test_ctc_loss_of_one_sequence_and_certain_outputs():
    def loss(F, lib, x):
        return F.ctc_loss(x.log_softmax(1), lib.tensor([1, 2]), lib.tensor(4), lib.tensor(2))

    assert_same(loss, [scores(4, 3)])
    certain = ag.tensor([[-float("inf"), 0.0], [0.0, -float("inf")]]).unsqueeze(1)
    loss = F.ctc_loss(certain, ag.tensor([[1]]), [2], [1])
    assert loss.item() == 0.0
    nothing = F.ctc_loss(certain, ag.tensor([[1]]), [0], [0], reduction="none")
    assert nothing.tolist() == [0.0]


def test_second_gradients_of_ctc_loss():
    x = ag.tensor(scores(3, 1, 3), requires_grad=True)
    assert gradgradcheck(lambda x: F.ctc_loss(x.log_softmax(2), ag.tensor([[1, 2]]), [3], [2]), x)


@pytest.mark.parametrize("shape", [(4, 5), (5,), (0, 5)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_multilabel_margin_loss(shape, reduction):
    if shape[0] == 0 and reduction == "mean":
        return  # The mean of nothing is NaN in both.
    rows = [[0, 3, -1, 2, 1], [-1, 0, 1, 2, 3], [4, 4, 1, 0, -1], [3, 2, 1, 0, 4]]
    labels = {2: rows[: shape[0]] if shape[0] else np.zeros((0, 5), int).tolist(), 1: rows[0]}[len(shape)]

    def loss(F, lib, x):
        target = lib.tensor(labels, dtype=lib.int64).reshape(shape)
        return F.multilabel_margin_loss(x, target, reduction=reduction)

    assert_same(loss, [scores(*shape)])


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_triplet_margin_with_distance_loss(swap, reduction):
    def loss(F, lib, *t, distance=None):
        options = {"margin": 1.5, "swap": swap, "reduction": reduction}
        return F.triplet_margin_with_distance_loss(*t, distance_function=distance, **options)

    given = [scores(4, 3), scores(4, 3) * 0.5 + 0.3, scores(4, 3)[::-1].copy()]
    assert_same(loss, given)
    assert_same(lambda F, lib, *t: loss(F, lib, *t, distance=lambda a, b: 1 - F.cosine_similarity(a, b)), given)


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_pdist(n, p):
    if n < 2:  # PyTorch's own backward crashes on no pairs.
        x = ag.ones(n, 3, requires_grad=True)
        F.pdist(x, p).sum().backward()
        assert F.pdist(x, p).shape == (0,) and x.grad.tolist() == [[0.0] * 3] * n
        return
    if p == 0:
        torch = torch_or_skip()
        x = scores(5, 3).round()
        assert F.pdist(ag.tensor(x), 0).tolist() == torch.nn.functional.pdist(torch.tensor(x), 0).tolist()
        return
    assert_same(lambda F, lib, x: F.pdist(x, p), [scores(n, 3)])


def test_modules():
    torch = torch_or_skip()
    for make in (
        lambda nn: nn.CTCLoss(blank=1, zero_infinity=True),
        lambda nn: nn.MultiLabelMarginLoss(reduction="sum"),
        lambda nn: nn.TripletMarginWithDistanceLoss(margin=0.5),
    ):
        assert repr(make(ag.nn)) == repr(make(torch.nn))
    x = ag.tensor(scores(3, 4))
    assert ag.nn.TripletMarginWithDistanceLoss()(x, x, x).item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.ctc_loss(x[0, 0], x, [1], [1]), RuntimeError, "log_probs"),
        (lambda x: F.ctc_loss(x, ag.tensor([[1]]), [4], [1]), RuntimeError, "at most 3"),
        (lambda x: F.ctc_loss(x, ag.tensor([[1]]), [3, 3], [1]), RuntimeError, "size 1"),
        (lambda x: F.ctc_loss(x, ag.tensor([[1]]), [3], [2]), RuntimeError, "lengths"),
        (lambda x: F.ctc_loss(x, ag.tensor([1, 2]), [3], [1]), RuntimeError, "target_lengths"),
        (lambda x: F.ctc_loss(x, ag.tensor([[3]]), [3], [1]), RuntimeError, r"\[0, 3\)"),
        (lambda x: F.ctc_loss(x, ag.tensor([[1.0]]), [3], [1]), RuntimeError, "float32"),
        (lambda x: F.ctc_loss(x, ag.tensor([[1]]), [3], [1], blank=3), RuntimeError, "blank"),
        (lambda x: F.ctc_loss(x, ag.tensor([[1]]), [3], [1], reduction="most"), ValueError, "most"),
        (lambda x: F.multilabel_margin_loss(x[0], ag.tensor([0])), RuntimeError, "target size"),
        (lambda x: F.multilabel_margin_loss(x[0], ag.tensor([[0, 3, -1]])), RuntimeError, "below 3"),
        (lambda x: F.multilabel_margin_loss(x[0], ag.zeros(1, 3)), RuntimeError, "ag.int64"),
        (lambda x: F.multilabel_margin_loss(x[:, :, :0][0], ag.zeros(1, 0)), RuntimeError, "non-empty"),
        (lambda x: F.triplet_margin_with_distance_loss(x, x, x, margin=0), ValueError, "margin"),
        (lambda x: F.triplet_margin_with_distance_loss(x, x, x[0]), RuntimeError, "dimensions"),
        (lambda x: ag.nn.TripletMarginWithDistanceLoss(margin=0), ValueError, "margin"),
        (lambda x: F.pdist(x), RuntimeError, "2-D"),
        (lambda x: F.pdist(x[0], -1), RuntimeError, "non-negative"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call(ag.zeros(3, 1, 3))

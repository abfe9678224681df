"""The layers and losses beyond the first dozen beside PyTorch's."""

from collections.abc import Callable
from typing import Any

import pytest
import test_layers
from test_layers import assert_close

import autograd_core as ag
from autograd_core import nn
from autograd_core.nn import functional as F

# name, what makes the layer (from ag.nn or torch.nn), shape of the input
LAYERS: list[tuple[str, Callable[[Any], Any], tuple[int, ...]]] = [
    ("conv_transpose1d", lambda nn: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2, bias=False), (2, 4, 5)),
    ("conv_transpose2d", lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 0)), (2, 4, 5, 3)),
    ("conv_transpose2d unbatched", lambda nn: nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2), (4, 5, 3)),
    ("conv3d", lambda nn: nn.Conv3d(2, 3, 2), (2, 2, 3, 4, 3)),
    ("conv3d all", lambda nn: nn.Conv3d(4, 6, (3, 2, 1), (2, 1, 1), (1, 2, 0), (1, 2, 1), 2, False), (4, 5, 4, 2)),
    ("conv3d circular", lambda nn: nn.Conv3d(2, 3, (4, 3, 2), padding="same", padding_mode="circular"), (1, 2, 4, 3, 3)),
    ("conv_transpose3d", lambda nn: nn.ConvTranspose3d(4, 2, (3, 2, 1), (2, 1, 1), 0, (1, 0, 0), 2), (2, 4, 2, 3, 2)),
    ("batch_norm3d", lambda nn: nn.BatchNorm3d(3), (2, 3, 2, 3, 2)),
    ("max_pool3d", lambda nn: nn.MaxPool3d((1, 2, 2), 2, (0, 1, 0), ceil_mode=True), (2, 3, 3, 4, 5)),
    ("avg_pool3d", lambda nn: nn.AvgPool3d(2, (1, 2, 1), 1, True, False, 3), (2, 3, 3, 4, 3)),
    ("adaptive_avg_pool3d", lambda nn: nn.AdaptiveAvgPool3d((2, None, 1)), (2, 3, 3, 2, 4)),
    ("adaptive_max_pool1d", lambda nn: nn.AdaptiveMaxPool1d(3), (2, 3, 7)),
    ("adaptive_max_pool2d", lambda nn: nn.AdaptiveMaxPool2d((None, 3)), (2, 3, 2, 5)),
    ("adaptive_max_pool3d", lambda nn: nn.AdaptiveMaxPool3d(2), (2, 3, 3, 2, 5)),
    ("lp_pool1d", lambda nn: nn.LPPool1d(2, 3, 2), (2, 3, 7)),
    ("lp_pool2d", lambda nn: nn.LPPool2d(2, (2, 3), ceil_mode=True), (2, 3, 5, 7)),
    ("lp_pool3d", lambda nn: nn.LPPool3d(4, 2, 1), (2, 3, 2, 3, 3)),
    ("unfold", lambda nn: nn.Unfold((2, 3), (1, 2), 1, (2, 1)), (2, 3, 4, 5)),
    ("fold", lambda nn: nn.Fold((4, 5), (2, 3), (1, 2), 1, (2, 1)), (2, 12, 9)),
    ("channel_shuffle", lambda nn: nn.ChannelShuffle(2), (2, 6, 3)),
    ("group_norm", lambda nn: nn.GroupNorm(2, 6), (3, 6, 4)),
    ("group_norm plain", lambda nn: nn.GroupNorm(3, 6, 1e-3, False), (3, 6)),
    ("instance_norm1d", lambda nn: nn.InstanceNorm1d(3), (2, 3, 5)),
    ("instance_norm2d all", lambda nn: nn.InstanceNorm2d(3, 1e-3, 0.3, True, True), (2, 3, 4, 5)),
    ("instance_norm3d unbatched", lambda nn: nn.InstanceNorm3d(3, affine=True), (3, 2, 4, 2)),
    ("rms_norm", lambda nn: nn.RMSNorm(5), (2, 3, 5)),
    ("rms_norm plain", lambda nn: nn.RMSNorm([3, 5], 1e-3, False), (2, 3, 5)),
    ("local_response_norm", lambda nn: nn.LocalResponseNorm(3, 0.5, 0.6, 2.0), (2, 5, 4)),
    ("local_response_norm even", lambda nn: nn.LocalResponseNorm(2, 0.5), (2, 5, 4, 3)),
    ("glu", lambda nn: nn.GLU(1), (3, 4, 2)),
    ("hardsigmoid", lambda nn: nn.Hardsigmoid(), (4, 5)),
    ("hardswish", lambda nn: nn.Hardswish(), (4, 5)),
    ("mish", lambda nn: nn.Mish(), (4, 5)),
    ("softsign", lambda nn: nn.Softsign(), (4, 5)),
    ("tanhshrink", lambda nn: nn.Tanhshrink(), (4, 5)),
    ("softshrink", lambda nn: nn.Softshrink(0.7), (4, 5)),
    ("hardshrink", lambda nn: nn.Hardshrink(0.7), (4, 5)),
    ("threshold", lambda nn: nn.Threshold(0.3, -2.0), (4, 5)),
    ("softmax2d", lambda nn: nn.Softmax2d(), (2, 3, 2, 2)),
    ("mish inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.Mish(True)), (4, 3)),
    ("hardswish inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.Hardswish(True)), (4, 3)),
    ("hardsigmoid inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.Hardsigmoid(True)), (4, 3)),
    ("threshold inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.Threshold(0.1, 0.2, True)), (4, 3)),
    ("upsample", lambda nn: nn.Upsample(scale_factor=2), (2, 3, 4)),
    ("upsample size", lambda nn: nn.Upsample(size=(5, 7), mode="nearest-exact"), (2, 3, 4, 3)),
    ("upsample bilinear", lambda nn: nn.Upsample(scale_factor=(1.5, 2.3), mode="bilinear"), (2, 3, 4, 3)),
    ("upsample recomputed", lambda nn: nn.Upsample(None, 1.4, "linear", None, True), (2, 3, 4)),
    ("upsample bicubic", lambda nn: nn.Upsample(size=(3, 7), mode="bicubic"), (2, 3, 4, 5)),
    ("upsample corners", lambda nn: nn.Upsample(size=(3, 7), mode="bicubic", align_corners=True), (2, 3, 4, 5)),
    ("upsample trilinear", lambda nn: nn.Upsample(size=(3, 4, 2), mode="trilinear"), (1, 2, 2, 3, 4)),
    ("upsample area", lambda nn: nn.Upsample(size=(2, 3), mode="area"), (1, 2, 4, 5)),
    ("upsampling_bilinear2d", lambda nn: nn.UpsamplingBilinear2d((5, 1)), (1, 2, 4, 3)),
    ("upsampling_nearest2d", lambda nn: nn.UpsamplingNearest2d(scale_factor=3), (1, 2, 4, 3)),
    ("pixel_shuffle", lambda nn: nn.PixelShuffle(2), (2, 8, 3, 2)),
    ("pixel_unshuffle", lambda nn: nn.PixelUnshuffle(3), (2, 6, 3)),
    *((f"{kind}_pad{d}d", lambda nn, kind=kind, d=d: getattr(nn, f"{kind}Pad{d}d")(*((1, 0.5) if kind == "Constant" else
      (tuple(range(1, 2 * d, 2)) + (2,) * d if kind == "Zero" else 1,))), (2, 2, 5, 5, 5)[: d + 2])
      for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular") for d in (1, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "shape"), LAYERS, ids=[layer[0] for layer in LAYERS])
@pytest.mark.filterwarnings("ignore:nn.Upsampl")
def test_layer(name: str, make: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    # PyTorch's hardsigmoid takes 1/6 in single precision in its backward, whatever the dtype.
    dtype = "float32" if "hardsigmoid" in name else "float64"
    test_layers.test_layer_equals_pytorchs(name, make, shape, dtype)


# name, what makes the loss or distance, inputs and targets
LOSSES: list[tuple[str, Callable[[Any], Any], tuple[str, ...]]] = [
    ("kl_div", lambda nn: nn.KLDivLoss(reduction="batchmean"), ("real", "probability")),
    ("kl_div mean", lambda nn: nn.KLDivLoss(), ("real", "probability")),
    ("kl_div none", lambda nn: nn.KLDivLoss(reduction="none", log_target=True), ("real", "real")),
    ("gaussian_nll", lambda nn: nn.GaussianNLLLoss(), ("real", "real", "unit")),
    ("gaussian_nll full", lambda nn: nn.GaussianNLLLoss(full=True, eps=0.3, reduction="sum"), ("real", "real", "unit")),
    ("poisson_nll", lambda nn: nn.PoissonNLLLoss(), ("real", "unit")),
    ("poisson_nll full", lambda nn: nn.PoissonNLLLoss(False, True, reduction="none"), ("unit", "count")),
    ("hinge_embedding", lambda nn: nn.HingeEmbeddingLoss(0.5), ("real", "sign")),
    ("cosine_embedding", lambda nn: nn.CosineEmbeddingLoss(0.1), ("real", "real", "row sign")),
    ("margin_ranking", lambda nn: nn.MarginRankingLoss(0.2, reduction="sum"), ("real", "real", "sign")),
    ("triplet_margin", lambda nn: nn.TripletMarginLoss(), ("real", "real", "real")),
    ("triplet_margin all", lambda nn: nn.TripletMarginLoss(2.0, 3, 1e-3, True), ("real", "real", "real")),
    ("soft_margin", lambda nn: nn.SoftMarginLoss(), ("real", "sign")),
    ("multilabel_soft_margin", lambda nn: nn.MultiLabelSoftMarginLoss(), ("real", "bit")),
    ("multi_margin", lambda nn: nn.MultiMarginLoss(), ("real", "class")),
    ("multi_margin squared", lambda nn: nn.MultiMarginLoss(2, 0.7, reduction="none"), ("real", "class")),
    ("cosine_similarity", lambda nn: nn.CosineSimilarity(0), ("real", "real")),
    ("pairwise_distance", lambda nn: nn.PairwiseDistance(3.0, keepdim=True), ("real", "real")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "kinds"), LOSSES, ids=[loss[0] for loss in LOSSES])
@pytest.mark.filterwarnings("ignore:reduction")
def test_loss(name: str, make: Callable[[Any], Any], kinds: tuple[str, ...]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    draw = {
        "real": lambda: torch.randn(5, 3, dtype=torch.float64),
        "unit": lambda: torch.rand(5, 3, dtype=torch.float64) + 0.1,
        "probability": lambda: torch.randn(5, 3, dtype=torch.float64).softmax(1),
        "count": lambda: torch.randint(0, 5, (5, 3)).double(),
        "sign": lambda: torch.randint(0, 2, (5, 3)).double() * 2 - 1,
        "bit": lambda: torch.randint(0, 2, (5, 3)).double(),
        "row sign": lambda: torch.tensor([1, -1, -1, 1, -1]),
        "class": lambda: torch.tensor([0, 2, 1, 1, 0]),
    }
    given = [draw[kind]() for kind in kinds]
    wanted = [kind in ("real", "unit", "probability") for kind in kinds]
    mine, theirs = make(nn), make(torch.nn)
    assert repr(mine) == repr(theirs)
    a = [ag.tensor(x.numpy(), requires_grad=w) for x, w in zip(given, wanted)]
    for x, w in zip(given, wanted):
        x.requires_grad_(w)
    y, b = theirs(*given), mine(*a)
    assert_close(torch, b, y, "loss", "float64")
    g = torch.randn_like(y)
    y.backward(g)
    b.backward(ag.tensor(g.numpy()))
    for i, (p, q, w) in enumerate(zip(a, given, wanted)):
        if w:
            assert_close(torch, p.grad, q.grad, f"gradient of input {i}", "float64")


@pytest.mark.parametrize("size", [(11, 12), (10, 11)])
def test_transposed_convolution_of_a_size_asked_for(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    theirs, mine = torch.nn.ConvTranspose2d(2, 3, 3, 3, 1), nn.ConvTranspose2d(2, 3, 3, 3, 1)
    mine.load_state_dict({key: ag.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    x = torch.randn(1, 2, 4, 4)
    assert_close(torch, mine(ag.tensor(x.numpy()), size), theirs(x, size), "output", "float32")


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pooled_maxima_go_back_to_their_places(dims: int) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    size = (7, 5, 4)[:dims]
    found = []
    for lib in (ag, torch):
        pool = getattr(lib.nn, f"MaxPool{dims}d")(3, 2, 1, return_indices=True)
        unpool = getattr(lib.nn, f"MaxUnpool{dims}d")(3, 2, 1)
        n = 2 * 3 * (7, 35, 140)[dims - 1]
        x = ((lib.arange(n) * 7919) % 1009).double().reshape(2, 3, *size).requires_grad_()
        maxima, places = pool(x)
        y = unpool(maxima, places, x.shape)
        (y * y).sum().backward()
        found.append((repr(unpool), places, y, x.grad))
    assert found[0][0] == found[1][0]
    for mine, theirs in zip(found[0][1:], found[1][1:]):
        assert mine.tolist() == theirs.tolist()


@pytest.mark.parametrize(("make", "shape"), [(nn.Dropout1d, (5,)), (nn.Dropout2d, (5, 2)), (nn.Dropout3d, (2, 2, 2))])
def test_dropout_of_whole_channels(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    ag.manual_seed(0)
    x = ag.ones(40, 30, *shape, requires_grad=True)
    layer = make(0.25)
    y = layer(x)
    channels = y.flatten(2)
    assert ag.equal(channels.amax(2), channels.amin(2))
    kept = (channels[:, :, 0] != 0).float()
    assert abs(kept.mean().item() - 0.75) < 0.05
    assert ag.allclose(channels[:, :, 0], kept / 0.75)
    y.sum().backward()
    assert ag.allclose(x.grad, y)
    assert ag.equal(layer.eval()(x), x)


def test_normalized_vectors_and_their_zero() -> None:
    F = nn.functional
    x = ag.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    y = F.normalize(x)
    assert ag.allclose(y, ag.tensor([[0.6, 0.8], [0.0, 0.0]]))
    y.sum().backward()
    assert x.grad.isfinite().all().item()
    assert ag.allclose(F.normalize(x, 1.0, 0), ag.tensor([[1.0, 1.0], [0.0, 0.0]]))


def test_kl_div_of_impossible_events_is_zero() -> None:
    x = ag.tensor([-ag.inf, 0.0], requires_grad=True)
    loss = nn.functional.kl_div(x, ag.tensor([0.0, 1.0]), reduction="sum")
    loss.backward()
    assert loss.item() == 0.0
    assert x.grad.tolist() == [0.0, -1.0]


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: nn.GroupNorm(4, 6), ValueError, ("6", "divisible", "4")),
    (lambda: nn.InstanceNorm2d(3)(ag.zeros(2, 3)), ValueError, ("2D", "(2, 3)")),
    (lambda: nn.RMSNorm(3)(ag.zeros(2, 4)), RuntimeError, ("[3]", "(2, 4)")),
    (lambda: nn.LocalResponseNorm(2)(ag.zeros(2, 4)), ValueError, ("3D", "2")),
    (lambda: nn.ConvTranspose2d(2, 2, 3, padding_mode="reflect"), ValueError, ("zeros", "reflect")),
    (lambda: nn.ConvTranspose2d(2, 2, 3, 2)(ag.zeros(1, 2, 3, 3), (9, 9)), ValueError, ("(9, 9)", "[7, 7]", "[8, 8]")),
    (lambda: nn.GLU()(ag.zeros(3)), RuntimeError, ("even", "3")),
    (lambda: nn.Softshrink(-1.0)(ag.zeros(3)), RuntimeError, ("greater or equal to 0", "-1.0")),
    (lambda: nn.Upsample()(ag.zeros(1, 1, 2)), ValueError, ("size or scale_factor",)),
    (lambda: nn.Upsample(size=3, mode="bilinear")(ag.zeros(1, 1, 2)), NotImplementedError, ("bilinear", "(1, 1, 2)")),
    (lambda: nn.Upsample(size=3, align_corners=True)(ag.zeros(1, 1, 2)), ValueError, ("align_corners", "nearest")),
    (lambda: nn.Upsample(size=(3, 3))(ag.zeros(1, 1, 2)), ValueError, ("1 spatial", "(3, 3)")),
    (lambda: nn.Conv3d(2, 3, 3)(ag.zeros(1, 2, 2, 3, 3)), RuntimeError, ("conv3d", "(2, 3, 3)", "(3, 3, 3)")),
    (lambda: nn.BatchNorm3d(2)(ag.zeros(2, 2, 3, 3)), ValueError, ("5D", "(2, 2, 3, 3)")),
    (lambda: nn.MaxPool3d(2)(ag.zeros(1, 2, 1, 3, 3)), RuntimeError, ("max_pool3d", "(0, 1, 1)")),
    (lambda: nn.AdaptiveMaxPool2d((2, -1))(ag.zeros(1, 2, 2)), RuntimeError, ("2 nonnegative ints", "(2, -1)")),
    (lambda: nn.LPPool2d(0, 2)(ag.zeros(1, 2, 2)), RuntimeError, ("norm_type", "0")),
    (lambda: nn.MaxUnpool1d(2)(ag.zeros(1, 2), ag.tensor([[0, 4]])), RuntimeError, ("[0, 4)", "index: 4")),
    (lambda: nn.MaxUnpool1d(2)(ag.zeros(1, 2), ag.tensor([[0, 2]]), (6,)), ValueError, ("(6,)", "2 and 6")),
    (lambda: nn.Unfold(3)(ag.zeros(1, 1, 2, 4)), RuntimeError, ("(2, 4)", "(3, 3)", "(0, 2)")),
    (lambda: nn.Fold(3, 2)(ag.zeros(1, 4, 5)), RuntimeError, ("4 windows", "5")),
    (lambda: nn.Fold(3, 2)(ag.zeros(1, 5, 4)), RuntimeError, ("divisible by the 4", "(1, 5, 4)")),
    (lambda: nn.ChannelShuffle(2)(ag.zeros(1, 3, 2)), RuntimeError, ("groups=2", "(1, 3, 2)")),
    (lambda: nn.PixelShuffle(2)(ag.zeros(1, 6, 2, 2)), RuntimeError, ("6", "4")),
    (lambda: nn.PixelUnshuffle(2)(ag.zeros(1, 6, 3, 2)), RuntimeError, ("2", "(1, 6, 3, 2)")),
    (lambda: nn.ReflectionPad2d((1, 2)), ValueError, ("4 ints", "(1, 2)")),
    (lambda: nn.ZeroPad2d(1)(ag.zeros(2, 2)), ValueError, ("3D or 4D", "(2, 2)")),
    (lambda: nn.KLDivLoss()(ag.zeros(2), ag.zeros(2, 1)), ValueError, ("(2, 1)", "(2,)")),
    (lambda: nn.KLDivLoss(reduction="avg"), ValueError, ("avg",)),
    (lambda: nn.GaussianNLLLoss()(ag.zeros(2), ag.zeros(2), -ag.ones(2)), ValueError, ("negative",)),
    (lambda: nn.GaussianNLLLoss()(ag.zeros(2), ag.zeros(2), ag.ones(3)), ValueError, ("(3,)", "(2,)")),
    (lambda: nn.MultiMarginLoss(3), ValueError, ("p == 1", "3")),
    (lambda: nn.MultiMarginLoss()(ag.zeros(2, 3), ag.zeros(2)), RuntimeError, ("int64", "float32")),
    (lambda: nn.TripletMarginLoss(0.0), ValueError, ("greater than 0",)),
    (lambda: nn.MarginRankingLoss()(ag.zeros(2), ag.zeros(3), ag.ones(2)), RuntimeError, ("(2,)", "(3,)")),
    (lambda: nn.CosineSimilarity()(ag.zeros(2, 3), ag.zeros(2, 4)), RuntimeError, ("(2, 3)", "(2, 4)")),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "parts"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


def test_gumbel_softmax_draws_categories_by_their_probabilities():
    ag.manual_seed(0)
    p = ag.tensor([0.1, 0.2, 0.7])
    logits = p.log().expand(4000, 3).clone().requires_grad_()
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    assert ((hard == 0) | ((hard - 1).abs() < 1e-6)).all() and ag.allclose(hard.sum(-1), ag.ones(4000))
    assert ag.allclose(hard.mean(0), p, atol=0.03)
    (hard * ag.tensor([1.0, 2.0, 3.0])).sum().backward()
    # The gradient is that of the soft sample: along the probabilities it sums to 0, and it is not 0 everywhere.
    assert logits.grad.sum(-1).abs().max() < 1e-4 and logits.grad.abs().max() > 0.1
    soft = F.gumbel_softmax(logits.t(), tau=2.0, dim=0)
    assert ag.allclose(soft.sum(0), ag.ones(4000)) and soft.std() > 0
    with pytest.raises(NotImplementedError, match="int64"):
        F.gumbel_softmax(ag.tensor([1, 2]))


@pytest.mark.parametrize("name", ["relu", "elu", "celu", "selu", "leaky_relu", "hardtanh"])
def test_functional_names_that_end_in_an_underscore_overwrite(name):
    x = ag.tensor([-2.0, 0.5, 3.0])
    expected = getattr(F, name)(x)
    assert getattr(F, f"{name}_")(x) is x and x.tolist() == expected.tolist() and x[0] != -2.0
    y = ag.tensor([-2.0, 3.0])
    assert F.threshold_(y, 0.0, 9.0) is y and y.tolist() == [9.0, 3.0]


def test_a_model_with_its_channels_last():
    model = ag.nn.Sequential(ag.nn.Conv2d(3, 4, 3), ag.nn.BatchNorm2d(4)).double()
    before = model[0].weight.tolist()
    model.to(ag.float32, memory_format=ag.channels_last)
    assert model[0].weight.stride() == (27, 1, 9, 3) and model[0].weight.dtype is ag.float32
    assert ag.allclose(model[0].weight, ag.tensor(before)) and model[1].weight.stride() == (1,)

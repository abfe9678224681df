"""The operations of neural networks: one table drives the comparison with PyTorch, gradients of first and second order,
float32, non-contiguous inputs and empty batches. A case's function takes `nn.functional`, ours or PyTorch's, and
tensors.

Each test runs on the CPU, with its own kernels, and on the simulated CUDA device, with the portable ones.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from neural_cases import Case, distinct, distribution, integers, ints, normal, off_zero, positive, probability
from spatial_cases import CASES as SPATIAL

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core.autograd import gradcheck, gradgradcheck


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = metafunc.config.getoption("--device")
    metafunc.parametrize("where", ("cuda",) if chosen == "cuda" else ("cpu", "simulated"), indirect=True)


@pytest.fixture(autouse=True)
def where(request: pytest.FixtureRequest, device: str) -> Iterator[str]:
    if request.param == "cuda" and not ag.devices.is_available("cuda"):
        pytest.skip("no CUDA device")
    ag.set_default_device(request.param)
    yield request.param
    ag.set_default_device(device)


def host(t):
    return t.detach().cpu().numpy()


X, W = normal(2, 4, 5, 4), normal(6, 4, 3, 2)
CASES = [
    Case("linear", lambda F, x, w, b: F.linear(x, w, b), (normal(3, 4), normal(5, 4), normal(5))),
    Case("linear, no bias", lambda F, x, w: F.linear(x, w), (normal(3, 4), normal(5, 4))),
    Case(
        "linear, leading dimensions", lambda F, x, w, b: F.linear(x, w, b), (normal(2, 3, 4), normal(5, 4), normal(5))
    ),
    Case("linear, a vector", lambda F, x, w, b: F.linear(x, w, b), (normal(4), normal(5, 4), normal(5)), batch=False),
    Case("linear, a vector as weight", lambda F, x, w: F.linear(x, w), (normal(3, 4), normal(4))),
    Case("conv2d", lambda F, x, w, b: F.conv2d(x, w, b), (X, W, normal(6))),
    Case("conv2d, stride and padding", lambda F, x, w: F.conv2d(x, w, stride=(2, 1), padding=(1, 2)), (X, W)),
    Case("conv2d, dilation", lambda F, x, w: F.conv2d(x, w, dilation=(2, 1), padding=1, stride=2), (X, W)),
    Case(
        "conv2d, groups", lambda F, x, w, b: F.conv2d(x, w, b, groups=2, padding=1), (X, normal(6, 2, 3, 2), normal(6))
    ),
    Case("conv2d, depthwise", lambda F, x, w: F.conv2d(x, w, groups=4), (X, normal(8, 1, 3, 3))),
    Case("conv2d, same", lambda F, x, w: F.conv2d(x, w, padding="same", dilation=(1, 3)), (X, W)),
    Case("conv2d, valid, 1 x 1", lambda F, x, w: F.conv2d(x, w, padding="valid"), (X, normal(2, 4, 1, 1))),
    Case("conv2d, 1 x 1 with stride", lambda F, x, w: F.conv2d(x, w, stride=2), (X, normal(2, 4, 1, 1))),
    Case("conv2d, unbatched", lambda F, x, w: F.conv2d(x, w, padding=1), (normal(4, 5, 4), W), batch=False),
    Case(
        "conv1d",
        lambda F, x, w, b: F.conv1d(x, w, b, stride=2, padding=1),
        (normal(3, 4, 7), normal(6, 4, 3), normal(6)),
    ),
    Case("conv1d, same", lambda F, x, w: F.conv1d(x, w, padding="same"), (normal(3, 4, 7), normal(6, 4, 2))),
    Case(
        "conv_transpose2d",
        lambda F, x, w, b: F.conv_transpose2d(x, w, b, stride=(2, 1), padding=1, output_padding=(1, 0), groups=2),
        (normal(2, 4, 3, 4), normal(4, 3, 3, 2), normal(6)),
    ),
    Case(
        "conv_transpose1d",
        lambda F, x, w: F.conv_transpose1d(x, w, stride=2, dilation=2),
        (normal(2, 4, 3), normal(4, 2, 3)),
    ),
    Case("max_pool2d", lambda F, x: F.max_pool2d(x, 2), (distinct(2, 3, 4, 6),)),
    Case("max_pool2d, remainder", lambda F, x: F.max_pool2d(x, 2), (distinct(2, 2, 5, 7),)),
    Case("max_pool2d, overlap", lambda F, x: F.max_pool2d(x, 3, stride=2, padding=1), (distinct(2, 2, 6, 7),)),
    Case(
        "max_pool2d, dilation",
        lambda F, x: F.max_pool2d(x, (2, 3), 1, dilation=(2, 1), padding=(1, 0)),
        (distinct(2, 2, 6, 5),),
    ),
    Case("max_pool2d, ceil", lambda F, x: F.max_pool2d(x, 3, 2, ceil_mode=True), (distinct(2, 2, 6, 8),)),
    Case("max_pool2d, unbatched", lambda F, x: F.max_pool2d(x, 2), (distinct(2, 4, 4),), batch=False),
    Case("max_pool1d", lambda F, x: F.max_pool1d(x, 3, 2, padding=1), (distinct(2, 3, 8),)),
    Case("avg_pool2d", lambda F, x: F.avg_pool2d(x, 2), (normal(2, 3, 4, 6),)),
    Case("avg_pool2d, overlap", lambda F, x: F.avg_pool2d(x, 3, 2, padding=1), (normal(2, 2, 6, 7),)),
    Case(
        "avg_pool2d, pad not counted",
        lambda F, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        (normal(2, 2, 6, 7),),
    ),
    Case("avg_pool2d, ceil", lambda F, x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), (normal(2, 2, 6, 8),)),
    Case("avg_pool2d, divisor", lambda F, x: F.avg_pool2d(x, 2, divisor_override=3), (normal(2, 2, 4, 4),)),
    Case("avg_pool1d", lambda F, x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False), (normal(2, 3, 8),)),
    Case("adaptive_avg_pool2d", lambda F, x: F.adaptive_avg_pool2d(x, (3, None)), (normal(2, 2, 7, 4),)),
    Case("adaptive_avg_pool2d, even bins", lambda F, x: F.adaptive_avg_pool2d(x, (2, 3)), (normal(2, 2, 4, 6),)),
    Case("adaptive_avg_pool2d, to one", lambda F, x: F.adaptive_avg_pool2d(x, 1), (normal(2, 2, 4, 5),)),
    Case("adaptive_avg_pool1d", lambda F, x: F.adaptive_avg_pool1d(x, 3), (normal(2, 2, 7),)),
    Case(
        "batch_norm, training",
        lambda F, x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        (normal(4, 3, 2, 3), positive(3), normal(3)),
    ),
    Case("batch_norm, training, plain", lambda F, x: F.batch_norm(x, None, None, training=True), (normal(5, 3),)),
    Case(
        "batch_norm, evaluation",
        lambda F, x, w, b, m, v: F.batch_norm(x, m, v, w, b),
        (normal(4, 3, 2), positive(3), normal(3), normal(3), positive(3)),
        constant=(3, 4),
    ),
    Case(
        "layer_norm",
        lambda F, x, w, b: F.layer_norm(x, (3, 4), w, b),
        (normal(2, 5, 3, 4), positive(3, 4), normal(3, 4)),
    ),
    Case("layer_norm, plain", lambda F, x: F.layer_norm(x, (6,), eps=1e-3), (normal(4, 6),)),
    Case("group_norm", lambda F, x, w, b: F.group_norm(x, 2, w, b), (normal(3, 4, 2, 3), positive(4), normal(4))),
    Case("instance_norm", lambda F, x, w: F.instance_norm(x, weight=w), (normal(3, 4, 5), positive(4))),
    Case("softmax", lambda F, x: F.softmax(x, dim=-1), (normal(3, 5),)),
    Case("softmax, inner dimension", lambda F, x: F.softmax(x, dim=1), (normal(3, 4, 2),)),
    Case("log_softmax", lambda F, x: F.log_softmax(x, dim=1), (normal(3, 5),)),
    Case("softmin", lambda F, x: F.softmin(x, dim=0), (normal(3, 5),)),
    Case("leaky_relu", lambda F, x: F.leaky_relu(x, 0.2), (off_zero(4, 5),)),
    Case("prelu", lambda F, x, w: F.prelu(x, w), (off_zero(4, 3, 2), positive(3))),
    Case("prelu, one weight", lambda F, x, w: F.prelu(x, w), (off_zero(4, 3), positive(1))),
    Case("elu", lambda F, x: F.elu(x, 1.3), (off_zero(4, 5),)),
    Case("selu", lambda F, x: F.selu(x), (off_zero(4, 5),)),
    Case("celu", lambda F, x: F.celu(x, 0.5), (off_zero(4, 5),)),
    Case("softplus", lambda F, x: F.softplus(x, 1.5, 4.0), (off_zero(4, 5),)),
    Case("gelu", lambda F, x: F.gelu(x), (normal(4, 5),)),
    Case("gelu, tanh", lambda F, x: F.gelu(x, approximate="tanh"), (normal(4, 5),)),
    Case("silu", lambda F, x: F.silu(x), (normal(4, 5),)),
    Case("hardtanh", lambda F, x: F.hardtanh(x, -1.0, 1.2), (off_zero(4, 5),)),
    Case("relu6", lambda F, x: F.relu6(x), (off_zero(4, 5),)),
    Case("logsigmoid", lambda F, x: F.logsigmoid(x), (normal(4, 5),)),
    Case("mse_loss", lambda F, x, y: F.mse_loss(x, y), (normal(4, 3), normal(4, 3)), batch=False),
    Case(
        "mse_loss, none", lambda F, x, y: F.mse_loss(x, y, reduction="none"), (normal(4, 3), normal(4, 3)), batch=False
    ),
    Case("mse_loss, sum", lambda F, x, y: F.mse_loss(x, y, reduction="sum"), (normal(4, 3), normal(4, 3)), batch=False),
    Case("l1_loss", lambda F, x, y: F.l1_loss(x, y), (off_zero(4, 3), lambda rng: np.full((4, 3), 0.05)), batch=False),
    Case(
        "smooth_l1_loss",
        lambda F, x, y: F.smooth_l1_loss(x, y, beta=0.8),
        (off_zero(9), lambda rng: np.zeros(9)),
        batch=False,
    ),
    Case(
        "huber_loss", lambda F, x, y: F.huber_loss(x, y, delta=1.3), (off_zero(9), lambda rng: np.zeros(9)), batch=False
    ),
    Case(
        "binary_cross_entropy",
        lambda F, x, y, w: F.binary_cross_entropy(x, y, weight=w),
        (probability(4, 3), probability(4, 3), positive(3)),
        batch=False,
        constant=(2,),
    ),
    Case(
        "bce_with_logits",
        lambda F, x, y: F.binary_cross_entropy_with_logits(x, y),
        (normal(4, 3), probability(4, 3)),
        batch=False,
    ),
    Case(
        "bce_with_logits, weights",
        lambda F, x, y, w, p: F.binary_cross_entropy_with_logits(x, y, weight=w, pos_weight=p, reduction="sum"),
        (normal(4, 3), probability(4, 3), positive(4, 1), positive(3)),
        batch=False,
        constant=(2, 3),
    ),
    Case("cross_entropy", lambda F, x, t: F.cross_entropy(x, t), (normal(5, 4), integers(0, 4, 5)), batch=False),
    Case(
        "cross_entropy, ignored",
        lambda F, x, t: F.cross_entropy(x, t, ignore_index=2),
        (normal(5, 4), ints(0, 2, 3, 2, 1)),
        batch=False,
    ),
    Case(
        "cross_entropy, -100", lambda F, x, t: F.cross_entropy(x, t), (normal(4, 3), ints(0, -100, 2, 1)), batch=False
    ),
    Case(
        "cross_entropy, none",
        lambda F, x, t: F.cross_entropy(x, t, reduction="none"),
        (normal(4, 3), ints(0, -100, 2, 1)),
        batch=False,
    ),
    Case(
        "cross_entropy, weight",
        lambda F, x, t, w: F.cross_entropy(x, t, w, label_smoothing=0.2),
        (normal(5, 4), ints(0, -100, 3, 1, 1), positive(4)),
        batch=False,
        constant=(2,),
    ),
    Case(
        "cross_entropy, smoothing, sum",
        lambda F, x, t: F.cross_entropy(x, t, label_smoothing=0.1, reduction="sum"),
        (normal(5, 4), integers(0, 4, 5)),
        batch=False,
    ),
    Case(
        "cross_entropy, images",
        lambda F, x, t: F.cross_entropy(x, t),
        (normal(2, 3, 2, 2), integers(0, 3, 2, 2, 2)),
        batch=False,
    ),
    Case(
        "cross_entropy, single",
        lambda F, x, t: F.cross_entropy(x, t),
        (normal(4), lambda rng: np.array(2)),
        batch=False,
    ),
    Case(
        "cross_entropy, probabilities",
        lambda F, x, p, w: F.cross_entropy(x, p, w, label_smoothing=0.1),
        (normal(5, 4), distribution(5, 4), positive(4)),
        batch=False,
        constant=(2,),
    ),
    Case("nll_loss", lambda F, x, t: F.nll_loss(x, t), (normal(5, 4), integers(0, 4, 5)), batch=False),
    Case(
        "nll_loss, weight, images",
        lambda F, x, t, w: F.nll_loss(x, t, w, ignore_index=1),
        (normal(2, 3, 2, 2), integers(0, 3, 2, 2, 2), positive(3)),
        batch=False,
        constant=(2,),
    ),
    Case(
        "nll_loss, sum",
        lambda F, x, t: F.nll_loss(x, t, reduction="sum"),
        (normal(3), lambda rng: np.array(1)),
        batch=False,
    ),
    Case("embedding", lambda F, w, i: F.embedding(i, w), (normal(4, 3), ints([0, 3, 3], [1, 3, 0])), batch=False),
    Case(
        "embedding, padding",
        lambda F, w, i: F.embedding(i, w, padding_idx=-1),
        (normal(4, 3), ints([0, 3, 3], [1, 3, 0])),
        batch=False,
        numeric=False,
    ),
    Case("dropout, evaluation", lambda F, x: F.dropout(x, 0.5, training=False), (normal(3, 2),)),
    *SPATIAL,
]
IDS = [case.name for case in CASES]
TOLERANCE = {"float64": 1e-10, "float32": 2e-5}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_values_and_gradients_equal_pytorch(case, dtype):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    ours = case.tensors(dtype)
    theirs = [torch.tensor(a, requires_grad=t.requires_grad) for a, t in zip(case.arrays(dtype), ours)]
    y, expected = case.function(F, *ours), case.function(torch.nn.functional, *theirs)
    assert tuple(y.shape) == tuple(expected.shape)
    assert str(y.dtype).split(".")[1] == str(expected.dtype).split(".")[1] == dtype
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(host(y), host(expected), **tolerance)
    g = np.random.default_rng(1).standard_normal(tuple(y.shape)).astype(dtype)
    y.backward(ag.tensor(g))
    expected.backward(torch.tensor(g))
    for t, reference in zip(ours, theirs):
        if reference.grad is not None:
            assert t.grad.dtype is t.dtype
            np.testing.assert_allclose(host(t.grad), host(reference.grad), **tolerance)


@pytest.mark.parametrize("case", [c for c in CASES if c.numeric], ids=lambda c: c.name)
def test_gradients(case, where):
    assert gradcheck(lambda *t: case.function(F, *t), case.tensors(), fast_mode=where != "cpu")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients_of_gradients(case, where):
    assert gradgradcheck(lambda *t: case.function(F, *t), case.tensors(), fast_mode=where != "cpu")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_float32_rounds_float64(case):
    results = {}
    for dtype in ("float64", "float32"):
        tensors = case.tensors(dtype)
        y = case.function(F, *tensors)
        y.backward(ag.ones_like(y))
        results[dtype] = [y.detach(), *(t.grad for t in tensors if t.requires_grad)]
    for exact, rounded in zip(results["float64"], results["float32"]):
        assert rounded.dtype is ag.float32
        np.testing.assert_allclose(host(rounded), host(exact), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_non_contiguous_inputs_and_gradients(case):
    def run(*tensors):
        y = case.function(F, *tensors)
        # An expanded cotangent, whose strides are 0.
        return [y.detach(), *ag.autograd.grad(y.sum(), [t for t in tensors if t.requires_grad])]

    def strided(t):
        if not t.ndim:
            return t
        spread = ag.stack([t.detach(), t.detach()], -1)[..., 0]  # Every second element in memory.
        backward = ag.flip(spread, (0,)).transpose(0, -1).contiguous().transpose(0, -1)
        return (
            ag.flip(backward, (0,)).requires_grad_(t.requires_grad)
            if t.ndim > 1
            else spread.requires_grad_(t.requires_grad)
        )

    tensors = case.tensors()
    for expected, found in zip(run(*tensors), run(*map(strided, tensors))):
        np.testing.assert_allclose(host(found), host(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if c.batch and "training" not in c.name], ids=lambda c: c.name)
def test_empty_batch(case):
    whole = case.tensors()
    shape = tuple(case.function(F, *whole).shape)
    tensors = [whole[0][:0].detach().requires_grad_(), *(t.detach().requires_grad_(t.requires_grad) for t in whole[1:])]
    y = case.function(F, *tensors)
    assert tuple(y.shape) == (0, *shape[1:])
    y.sum().backward()
    assert tensors[0].grad.shape == tensors[0].shape
    for t in tensors[1:]:
        if t.requires_grad:
            assert not host(t.grad).any()


@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "avg_pool2d", "layer_norm", "softmax", "gelu", "cross_entropy", "embedding"]
)
def test_half_precision_computes_in_float32(name):
    case = next(c for c in CASES if c.name == name)
    exact = case.function(F, *case.tensors())
    tensors = case.tensors("float16")
    y = case.function(F, *tensors)
    assert y.dtype is ag.float16
    np.testing.assert_allclose(host(y), host(exact), rtol=4e-3, atol=4e-3)
    y.sum().backward()
    assert all(t.grad.dtype is ag.float16 and bool(ag.isfinite(t.grad).all()) for t in tensors if t.requires_grad)

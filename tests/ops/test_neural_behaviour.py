"""What the operations of neural networks do at the edges: bad input, extremes, state, randomness."""

import math

import numpy as np
import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core.backends.neural import NeuralKernels
from autograd_core.ops.losses import LossShapeError

NAN, INF = math.nan, math.inf


def host(t):
    return t.detach().cpu().numpy()


def cpu():
    return ag.devices.backend_of("cpu")


def pytorch():
    return pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")


def ones(*shape, dtype=ag.float32):
    return ag.ones(*shape, dtype=dtype)


LONG = ag.int64


def classes():
    return ag.tensor([0, 1, 2])


MISTAKES = [
    ("linear: features", lambda: F.linear(ones(2, 3), ones(4, 5)), RuntimeError, r"\(2, 3\).*\(4, 5\).*in_features"),
    ("linear: dtype", lambda: F.linear(ones(2, 3), ones(4, 3, dtype=ag.float64)), RuntimeError, "float32.*float64.*to"),
    (
        "linear: bias",
        lambda: F.linear(ones(2, 3), ones(4, 3), ones(3)),
        RuntimeError,
        r"bias of shape \(3,\), expected \(4,\)",
    ),
    (
        "linear: array",
        lambda: F.linear(np.ones((2, 3)), ones(4, 3)),
        TypeError,
        "'input' must be a Tensor, got ndarray.*ag.tensor",
    ),
    (
        "linear: bools",
        lambda: F.linear(ones(2, 3, dtype=ag.bool), ones(4, 3, dtype=ag.bool)),
        RuntimeError,
        "ag.bool.*float",
    ),
    ("conv2d: channels", lambda: F.conv2d(ones(1, 3, 8, 8), ones(4, 2, 3, 3)), RuntimeError, "2 channels, got 3"),
    ("conv2d: dimensions", lambda: F.conv2d(ones(8, 8), ones(4, 2, 3, 3)), RuntimeError, r"\(N, C, H, W\).*\(8, 8\)"),
    (
        "conv2d: kernel",
        lambda: F.conv2d(ones(1, 1, 2, 2), ones(1, 1, 3, 3)),
        RuntimeError,
        r"\(2, 2\) is smaller than the kernel \(3, 3\)",
    ),
    (
        "conv2d: groups",
        lambda: F.conv2d(ones(1, 4, 8, 8), ones(3, 2, 3, 3), groups=2),
        RuntimeError,
        "3 output channels.*groups=2",
    ),
    (
        "conv2d: stride",
        lambda: F.conv2d(ones(1, 1, 8, 8), ones(1, 1, 3, 3), stride=0),
        RuntimeError,
        "stride must be at least 1",
    ),
    (
        "conv2d: padding",
        lambda: F.conv2d(ones(1, 1, 8, 8), ones(1, 1, 3, 3), padding=-1),
        RuntimeError,
        "padding must be at least 0",
    ),
    (
        "conv2d: padding word",
        lambda: F.conv2d(ones(1, 1, 8, 8), ones(1, 1, 3, 3), padding="full"),
        RuntimeError,
        "'valid', 'same'",
    ),
    (
        "conv2d: same, stride",
        lambda: F.conv2d(ones(1, 1, 8, 8), ones(1, 1, 3, 3), 2 * ones(1), 2, "same"),
        RuntimeError,
        "strided",
    ),
    (
        "conv2d: bias",
        lambda: F.conv2d(ones(1, 1, 8, 8), ones(2, 1, 3, 3), ones(3)),
        RuntimeError,
        r"bias of shape \(3,\), expected \(2,\)",
    ),
    (
        "conv2d: pair",
        lambda: F.conv2d(ones(1, 1, 8, 8), ones(1, 1, 3, 3), stride=(1, 1, 1)),
        TypeError,
        "tuple of 2 ints",
    ),
    ("max_pool2d: padding", lambda: F.max_pool2d(ones(1, 1, 8, 8), 2, padding=2), RuntimeError, "at most half"),
    ("max_pool2d: small", lambda: F.max_pool2d(ones(1, 1, 2, 2), 3), RuntimeError, "too small"),
    ("max_pool2d: dimensions", lambda: F.max_pool2d(ones(4, 4), 2), RuntimeError, r"\(4, 4\)"),
    ("avg_pool2d: divisor", lambda: F.avg_pool2d(ones(1, 1, 4, 4), 2, divisor_override=0), RuntimeError, "nonzero"),
    ("adaptive: size", lambda: F.adaptive_avg_pool2d(ones(1, 1, 4, 4), (2, -1)), RuntimeError, "nonnegative"),
    (
        "batch_norm: one value",
        lambda: F.batch_norm(ones(1, 3), None, None, training=True),
        ValueError,
        r"more than 1 value.*\(1, 3\)",
    ),
    (
        "batch_norm: size",
        lambda: F.batch_norm(ones(2, 3), ones(4), ones(4)),
        RuntimeError,
        "running_mean should contain 3",
    ),
    ("batch_norm: statistics", lambda: F.batch_norm(ones(2, 3), None, None), RuntimeError, "training=False"),
    ("layer_norm: shape", lambda: F.layer_norm(ones(2, 3), (4,)), RuntimeError, r"\[\*, 4\].*\[2, 3\]"),
    ("layer_norm: weight", lambda: F.layer_norm(ones(2, 3), (3,), ones(2)), RuntimeError, r"weight.*\[3\], got \[2\]"),
    (
        "group_norm: groups",
        lambda: F.group_norm(ones(2, 3), 2),
        RuntimeError,
        r"\(3\) to be divisible by num_groups \(2\)",
    ),
    ("softmax: dim", lambda: F.softmax(ones(2, 3), dim=2), IndexError, "out of range"),
    ("softmax: integers", lambda: F.softmax(classes(), dim=0), NotImplementedError, "int64"),
    ("gelu: name", lambda: F.gelu(ones(2), approximate="erf"), RuntimeError, "'none' or 'tanh'"),
    ("prelu: weight", lambda: F.prelu(ones(2, 3), ones(2)), RuntimeError, r"\(1,\) or \(3,\), got \(2,\)"),
    ("hardtanh: bounds", lambda: F.hardtanh(ones(2), 1.0, -1.0), ValueError, "cannot be greater"),
    ("dropout: p", lambda: F.dropout(ones(2), 1.5), ValueError, "between 0 and 1, but got 1.5"),
    (
        "mse_loss: (N,) and (N, 1)",
        lambda: F.mse_loss(ones(4, 1), ones(4)),
        LossShapeError,
        r"\(4,\).*\(4, 1\).*reshape\(4, 1\)",
    ),
    ("l1_loss: (N, 1) and (N,)", lambda: F.l1_loss(ones(4), ones(4, 1)), LossShapeError, r"\(4, 1\).*\(4,\).*squeeze"),
    ("smooth_l1_loss: shapes", lambda: F.smooth_l1_loss(ones(4), ones(4, 1)), LossShapeError, "same"),
    ("huber_loss: shapes", lambda: F.huber_loss(ones(4), ones(4, 1)), LossShapeError, "same"),
    ("bce: (N, 1) and (N,)", lambda: F.binary_cross_entropy(ones(4, 1), ones(4)), LossShapeError, r"\(4,\).*\(4, 1\)"),
    (
        "bce logits: shapes",
        lambda: F.binary_cross_entropy_with_logits(ones(4, 1), ones(4)),
        LossShapeError,
        r"\(4,\).*\(4, 1\)",
    ),
    (
        "bce: input range",
        lambda: F.binary_cross_entropy(ones(2) * 1.1, ones(2)),
        RuntimeError,
        "between 0 and 1.*sigmoid",
    ),
    ("bce: NaN", lambda: F.binary_cross_entropy(ones(2) * NAN, ones(2)), RuntimeError, "between 0 and 1"),
    (
        "bce: target range",
        lambda: F.binary_cross_entropy(ones(2) * 0.5, -ones(2)),
        RuntimeError,
        "target must lie between",
    ),
    (
        "bce: weight",
        lambda: F.binary_cross_entropy(ones(2) * 0.5, ones(2), ones(3)),
        LossShapeError,
        r"weight of shape \(3,\)",
    ),
    ("bce: dtype", lambda: F.binary_cross_entropy(ones(2) * 0.5, ones(2, dtype=LONG)), RuntimeError, "float32.*int64"),
    ("cross_entropy: class", lambda: F.cross_entropy(ones(3, 2), classes()), IndexError, r"out of range.*\[0, 1\]"),
    ("cross_entropy: negative", lambda: F.cross_entropy(ones(3, 3), classes() - 1), IndexError, "out of range"),
    (
        "cross_entropy: class, sum",
        lambda: F.cross_entropy(ones(3, 2), classes(), reduction="sum"),
        IndexError,
        "out of range",
    ),
    (
        "cross_entropy: class, large",
        lambda: F.cross_entropy(ones(3, 2000), classes() + 1998),
        IndexError,
        "out of range",
    ),
    ("nll_loss: class", lambda: F.nll_loss(ones(3, 2), classes()), IndexError, "out of range"),
    ("cross_entropy: float", lambda: F.cross_entropy(ones(3, 4), ones(3)), RuntimeError, "int64.*float32.*long"),
    ("cross_entropy: int32", lambda: F.cross_entropy(ones(3, 4), classes().int()), RuntimeError, "int64.*int32.*long"),
    (
        "cross_entropy: batch",
        lambda: F.cross_entropy(ones(2, 4), classes()),
        ValueError,
        r"batch_size \(2\).*batch_size \(3\)",
    ),
    (
        "cross_entropy: (N, 1)",
        lambda: F.cross_entropy(ones(3, 4), classes()[:, None]),
        RuntimeError,
        r"\(3,\), got \(3, 1\).*squeeze",
    ),
    ("cross_entropy: weight", lambda: F.cross_entropy(ones(3, 4), classes(), ones(3)), RuntimeError, "all 4 classes"),
    (
        "cross_entropy: smoothing",
        lambda: F.cross_entropy(ones(3, 4), classes(), label_smoothing=2.0),
        RuntimeError,
        "between 0.0 and 1.0",
    ),
    (
        "cross_entropy: reduction",
        lambda: F.cross_entropy(ones(3, 4), classes(), reduction="avg"),
        ValueError,
        "'avg' is not a valid",
    ),
    ("embedding: index", lambda: F.embedding(classes(), ones(2, 5)), IndexError, r"out of range.*\[0, 1\].*2 rows"),
    ("embedding: negative", lambda: F.embedding(classes() - 1, ones(3, 5)), IndexError, "out of range"),
    ("embedding: float", lambda: F.embedding(ones(2), ones(3, 5)), RuntimeError, "int64.*float32.*long"),
    ("one_hot: range", lambda: F.one_hot(classes(), 2), RuntimeError, "smaller than num_classes=2"),
    ("one_hot: dtype", lambda: F.one_hot(classes().int(), 3), RuntimeError, "int64"),
]


@pytest.mark.parametrize("call, error, message", [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- extremes ---------------------------------------------------------------------------------------------

EXTREMES = [
    ("softmax", lambda F, x: F.softmax(x, dim=0)),
    ("log_softmax", lambda F, x: F.log_softmax(x, dim=0)),
    ("logsigmoid", lambda F, x: F.logsigmoid(x)),
    ("softplus", lambda F, x: F.softplus(x)),
    ("elu", lambda F, x: F.elu(x)),
    ("selu", lambda F, x: F.selu(x)),
    ("celu", lambda F, x: F.celu(x, 0.5)),
    ("gelu", lambda F, x: F.gelu(x)),
    ("gelu, tanh", lambda F, x: F.gelu(x, approximate="tanh")),
    ("silu", lambda F, x: F.silu(x)),
    ("hardtanh", lambda F, x: F.hardtanh(x)),
    ("leaky_relu", lambda F, x: F.leaky_relu(x)),
    ("bce_with_logits", lambda F, x: F.binary_cross_entropy_with_logits(x, x.detach() * 0 + 0.25, reduction="none")),
    ("cross_entropy", lambda F, x: F.cross_entropy(x.reshape(2, -1), (x[:2].detach() * 0).long() + 3)),
]


@pytest.mark.parametrize("function", [e[1] for e in EXTREMES], ids=[e[0] for e in EXTREMES])
def test_extreme_values_and_gradients_equal_pytorch(function):
    torch = pytorch()
    values = [-200.0, -90.0, -30.0, -1.0, -0.0, 0.0, 1e-30, 1.0, 25.0, 95.0]
    x, reference = ag.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    y, expected = function(F, x), function(torch.nn.functional, reference)
    y.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(host(y), host(expected), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(host(x.grad), host(reference.grad), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["elu", "gelu", "leaky_relu", "silu", "softplus", "logsigmoid", "hardtanh", "selu"])
def test_nan_stays_nan(name):
    x = ag.tensor([NAN, 1.0])
    assert ag.isnan(getattr(F, name)(x)).tolist() == [True, False]


def test_second_derivatives_at_large_inputs_are_finite():
    x = ag.tensor([-300.0, 300.0], dtype=ag.float64, requires_grad=True)
    for function in (F.elu, F.selu, F.softplus, F.gelu, F.silu, F.logsigmoid):
        (g,) = ag.autograd.grad(function(x).sum(), x, create_graph=True)
        (h,) = ag.autograd.grad(g.sum(), x)
        assert bool(ag.isfinite(h).all()), function.__name__


def test_erf_to_the_last_bits():
    x = np.concatenate([np.linspace(-7, 7, 4001), [0.46875, 4.0, 1e-300, 30.0, INF, -INF]])
    exact = np.array([math.erf(v) for v in x])
    for backend_erf in (lambda a: host(ag.erf(ag.tensor(a))), lambda a: NeuralKernels.erf(cpu(), a)):
        assert np.max(np.abs(backend_erf(x) - exact)) < 5e-16
        single = backend_erf(x.astype("float32"))
        assert single.dtype == np.float32
        assert np.max(np.abs(single - [math.erf(v) for v in x.astype("float32")])) < 2e-7
    assert math.isnan(ag.erf(ag.tensor([NAN])).item())


def test_binary_cross_entropy_at_certainty_is_limited_to_100():
    x = ag.tensor([0.0, 1.0, 0.0], requires_grad=True)
    loss = F.binary_cross_entropy(x, ag.tensor([1.0, 0.0, 0.0]), reduction="none")
    assert loss.tolist() == [100.0, 100.0, 0.0]
    loss.sum().backward()
    assert bool(ag.isfinite(x.grad).all())


def test_mean_over_ignored_targets_alone_is_nan():
    target = ag.tensor([-100, -100])
    assert math.isnan(F.cross_entropy(ones(2, 3), target).item())
    assert math.isnan(F.nll_loss(ones(2, 3), target).item())
    assert F.cross_entropy(ones(2, 3), target, reduction="sum").item() == 0.0


# -- pooling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kernel, stride, padding, dilation, ceil", [(2, 2, 0, 1, False), (3, 2, 1, 1, True), (3, 1, 1, 2, False)]
)
def test_max_pool_indices_equal_pytorch_with_ties_nan_and_infinity(kernel, stride, padding, dilation, ceil):
    torch = pytorch()
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (2, 3, 8, 9)).astype("float32")
    x[0, 0] = -INF
    x[1, 2, 3, 3] = NAN
    arguments = (kernel, stride, padding, dilation, ceil, True)
    y, indices = F.max_pool2d(ag.tensor(x), *arguments)
    expected, places = torch.nn.functional.max_pool2d(torch.tensor(x), *arguments)
    np.testing.assert_array_equal(host(y), host(expected))
    settled = ~np.isnan(host(y))
    assert indices.dtype is ag.int64
    np.testing.assert_array_equal(host(indices)[settled], host(places)[settled])
    _, line = F.max_pool1d(ag.tensor(x[0]), 2, return_indices=True)
    np.testing.assert_array_equal(
        host(line)[1:], torch.nn.functional.max_pool1d(torch.tensor(x[0]), 2, return_indices=True)[1][1:]
    )


# -- state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_running_statistics_follow_pytorch(shape):
    torch = pytorch()
    ours, theirs = (ag.zeros(3), ag.ones(3)), (torch.zeros(3), torch.ones(3))
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = (rng.standard_normal(shape) * 2 + 5).astype("float32")
        F.batch_norm(ag.tensor(x), *ours, training=True, momentum=0.3)
        torch.nn.functional.batch_norm(torch.tensor(x), *theirs, training=True, momentum=0.3)
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(host(mine), host(other), rtol=1e-5)


def test_momentum_may_be_a_live_tensor():
    x = ag.tensor(np.random.default_rng(0).standard_normal((4, 3, 2)))
    results = []
    for momentum in (0.25, ag.tensor(0.25, dtype=ag.float64)):
        mean, var = ag.zeros(3, dtype=ag.float64), ag.ones(3, dtype=ag.float64)
        F.batch_norm(x, mean, var, training=True, momentum=momentum)
        results.append(mean.tolist() + var.tolist())
    assert results[0] == results[1]


def test_running_statistics_changed_between_forward_and_backward_are_noticed():
    mean, var = ag.zeros(3), ag.ones(3)
    x = ag.tensor(np.random.default_rng(0).standard_normal((4, 3)).astype("float32"), requires_grad=True)
    y = F.batch_norm(x, mean, var)
    F.batch_norm(x.detach(), mean, var, training=True)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


@pytest.mark.parametrize("change", ["input", "weight"])
def test_saved_tensors_changed_in_place_are_noticed(change):
    tensors = {"input": ones(1, 1, 4, 4) * 2, "weight": ones(1, 1, 2, 2) * 2}
    x, w = (t.requires_grad_() * 1 for t in tensors.values())
    y = F.conv2d(x, w)
    {"input": x, "weight": w}[change].mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


def test_a_first_layer_computes_no_input_gradient(monkeypatch):
    backend, called = ones(1)._backend, []
    for name in ("matmul", "conv2d_input_grad"):
        kernel = getattr(backend, name)
        monkeypatch.setattr(
            backend, name, lambda *a, name=name, kernel=kernel: called.append(name) or kernel(*a), raising=False
        )
    F.linear(ones(2, 3), ones(4, 3).requires_grad_(), ones(4).requires_grad_()).sum().backward()
    F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2).requires_grad_()).sum().backward()
    assert called == []
    F.conv2d(ones(1, 1, 4, 4).requires_grad_(), ones(1, 1, 2, 2)).sum().backward()
    assert called == ["conv2d_input_grad"]


def test_embedding_max_norm_scales_the_rows_in_place():
    torch = pytorch()
    table = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    w, reference = ag.tensor(table), torch.tensor(table)
    index = [[0, 3], [3, 4]]
    y = F.embedding(ag.tensor(index), w, max_norm=1.0, norm_type=1.0)
    expected = torch.nn.functional.embedding(torch.tensor(index), reference, max_norm=1.0, norm_type=1.0)
    np.testing.assert_allclose(host(y), host(expected), rtol=1e-6)
    np.testing.assert_allclose(host(w), host(reference), rtol=1e-6)


def test_embedding_padding_row_gets_no_gradient():
    w = ones(3, 2).requires_grad_()
    F.embedding(ag.tensor([0, 1, 1, 2]), w, padding_idx=1).sum().backward()
    assert w.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]


# -- randomness -------------------------------------------------------------------------------------------


def test_dropout():
    x = ones(100, 100).requires_grad_()
    ag.manual_seed(3)
    y = F.dropout(x, 0.2)
    assert set(np.unique(host(y))) == {0.0, np.float32(1.25)}
    assert abs((y == 0).float().mean().item() - 0.2) < 0.02
    y.sum().backward()
    assert ag.equal(x.grad, y.detach())  # x is all ones.
    ag.manual_seed(3)
    assert ag.equal(F.dropout(x, 0.2), y)
    assert not ag.equal(F.dropout(x, 0.2), y)
    assert F.dropout(x, 0.5, training=False) is x and F.dropout(x, 0.0) is x
    assert not host(F.dropout(x, 1.0)).any()


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "selu", "celu", "silu", "hardtanh", "relu6"])
def test_inplace_writes_into_the_argument(name):
    leaf = ag.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    x = leaf * 1
    expected = getattr(F, name)(leaf)
    y = getattr(F, name)(x, inplace=True)
    assert y is x and ag.equal(x, expected)
    y.sum().backward()
    found, leaf.grad = leaf.grad, None
    expected.sum().backward()
    assert ag.equal(found, leaf.grad)


def test_hardtanh_and_hardswish_where_the_input_is_not_finite() -> None:
    x = ag.tensor([float("inf"), -float("inf"), float("nan"), 0.0, 3.0], requires_grad=True)
    F.hardswish(x)[[0, 1, 3, 4]].sum().backward()
    assert x.grad[[0, 1, 3, 4]].tolist() == [1.0, 0.0, 0.5, 1.0]
    x.grad = None
    F.hardtanh(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]

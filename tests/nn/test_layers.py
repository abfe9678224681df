"""Every layer beside PyTorch's: text, state, outputs and gradients; and what bad input gives."""

from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn

# name, what makes the layer (from ag.nn or torch.nn), shape of the input
LAYERS: list[tuple[str, Callable[[Any], Any], tuple[int, ...]]] = [
    ("linear", lambda nn: nn.Linear(4, 3), (5, 4)),
    ("linear without bias", lambda nn: nn.Linear(4, 3, bias=False), (2, 5, 4)),
    ("linear, one sample", lambda nn: nn.Linear(4, 3), (4,)),
    ("identity", lambda nn: nn.Identity(1, a=2), (2, 3)),
    ("flatten", lambda nn: nn.Flatten(), (2, 3, 4)),
    ("flatten some", lambda nn: nn.Flatten(0, 1), (2, 3, 4)),
    ("unflatten", lambda nn: nn.Unflatten(1, (2, -1)), (2, 6)),
    ("conv1d", lambda nn: nn.Conv1d(4, 6, 3, stride=2, padding=1), (2, 4, 9)),
    ("conv1d groups", lambda nn: nn.Conv1d(4, 6, 3, dilation=2, groups=2, bias=False), (2, 4, 9)),
    ("conv1d same circular", lambda nn: nn.Conv1d(2, 3, 4, padding="same", padding_mode="circular"), (2, 2, 7)),
    ("conv2d", lambda nn: nn.Conv2d(3, 4, 3), (2, 3, 6, 5)),
    ("conv2d unbatched", lambda nn: nn.Conv2d(3, 4, 3), (3, 6, 5)),
    ("conv2d all", lambda nn: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, False), (2, 4, 7, 6)),
    ("conv2d same", lambda nn: nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2)), (2, 2, 6, 7)),
    ("conv2d valid", lambda nn: nn.Conv2d(2, 3, 3, padding="valid"), (2, 2, 6, 7)),
    ("conv2d reflect", lambda nn: nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect"), (2, 2, 6, 5)),
    ("conv2d replicate", lambda nn: nn.Conv2d(2, 3, 3, 2, padding=1, padding_mode="replicate"), (2, 2, 6, 5)),
    ("conv2d circular", lambda nn: nn.Conv2d(2, 3, 4, padding="same", padding_mode="circular"), (2, 2, 6, 5)),
    ("max_pool1d", lambda nn: nn.MaxPool1d(3, 2, 1), (2, 3, 9)),
    ("max_pool2d", lambda nn: nn.MaxPool2d(2), (2, 3, 6, 4)),
    ("max_pool2d all", lambda nn: nn.MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True), (2, 3, 8, 7)),
    ("avg_pool1d", lambda nn: nn.AvgPool1d(3, 2, 1), (2, 3, 9)),
    ("avg_pool2d", lambda nn: nn.AvgPool2d(3, (2, 1), 1, ceil_mode=True, count_include_pad=False), (2, 3, 6, 7)),
    ("avg_pool2d divisor", lambda nn: nn.AvgPool2d(2, divisor_override=3), (3, 6, 7)),
    ("adaptive_avg_pool1d", lambda nn: nn.AdaptiveAvgPool1d(3), (2, 3, 8)),
    ("adaptive_avg_pool2d", lambda nn: nn.AdaptiveAvgPool2d((3, None)), (2, 3, 7, 5)),
    ("adaptive_avg_pool2d to 1", lambda nn: nn.AdaptiveAvgPool2d(1), (2, 3, 7, 5)),
    ("batch_norm1d", lambda nn: nn.BatchNorm1d(3), (6, 3)),
    ("batch_norm1d sequence", lambda nn: nn.BatchNorm1d(3, eps=1e-3, momentum=0.3), (4, 3, 5)),
    ("batch_norm2d", lambda nn: nn.BatchNorm2d(3), (4, 3, 5, 6)),
    ("batch_norm2d plain", lambda nn: nn.BatchNorm2d(3, affine=False), (4, 3, 5, 6)),
    ("batch_norm2d no stats", lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 5, 6)),
    ("batch_norm2d average", lambda nn: nn.BatchNorm2d(3, momentum=None), (4, 3, 5, 6)),
    ("batch_norm2d no bias", lambda nn: nn.BatchNorm2d(3, bias=False), (4, 3, 5, 6)),
    ("layer_norm", lambda nn: nn.LayerNorm(5), (2, 3, 5)),
    ("layer_norm 2d", lambda nn: nn.LayerNorm([3, 5], eps=1e-3, bias=False), (2, 3, 5)),
    ("layer_norm plain", lambda nn: nn.LayerNorm(5, elementwise_affine=False), (2, 3, 5)),
    ("dropout off", lambda nn: nn.Dropout(0.0), (4, 3)),
    ("dropout in evaluation", lambda nn: nn.Dropout(0.7).eval(), (4, 3)),
    ("sigmoid", lambda nn: nn.Sigmoid(), (4, 3)),
    ("tanh", lambda nn: nn.Tanh(), (4, 3)),
    ("relu", lambda nn: nn.ReLU(), (4, 3)),
    ("relu6", lambda nn: nn.ReLU6(), (4, 3)),
    ("leaky_relu", lambda nn: nn.LeakyReLU(0.2), (4, 3)),
    ("prelu", lambda nn: nn.PReLU(), (4, 3)),
    ("prelu by channel", lambda nn: nn.PReLU(3, init=0.1), (4, 3, 2)),
    ("elu", lambda nn: nn.ELU(0.7), (4, 3)),
    ("celu", lambda nn: nn.CELU(0.5), (4, 3)),
    ("selu", lambda nn: nn.SELU(), (4, 3)),
    ("softplus", lambda nn: nn.Softplus(2.0, 1.0), (4, 3)),
    ("gelu", lambda nn: nn.GELU(), (4, 3)),
    ("gelu tanh", lambda nn: nn.GELU("tanh"), (4, 3)),
    ("silu", lambda nn: nn.SiLU(), (4, 3)),
    ("hardtanh", lambda nn: nn.Hardtanh(-0.5, 0.7), (4, 3)),
    ("log_sigmoid", lambda nn: nn.LogSigmoid(), (4, 3)),
    ("softmax", lambda nn: nn.Softmax(dim=1), (4, 3)),
    ("softmin", lambda nn: nn.Softmin(dim=0), (4, 3)),
    ("log_softmax", lambda nn: nn.LogSoftmax(dim=-1), (4, 3)),
    ("inplace after linear", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True)), (4, 3)),
    ("elu inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.ELU(1.5, True)), (4, 3)),
    ("hardtanh inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.Hardtanh(-1, 1, True)), (4, 3)),
    ("leaky inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.1, inplace=True)), (4, 3)),
    ("silu inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.SiLU(inplace=True)), (4, 3)),
    (
        "CNN",
        lambda nn: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 5),
            nn.LogSoftmax(1),
        ),
        (3, 1, 6, 6),
    ),
]  # fmt: skip

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def numpy_of(t: Any) -> Any:
    return t.numpy(force=True)


def dtype_name(t: Any) -> str:
    return str(t.dtype).split(".")[1]


def transfer(mine: Any, theirs: Any) -> None:
    """Give `mine` the values of PyTorch's `theirs`."""
    mine.load_state_dict({key: ag.tensor(value.numpy()) for key, value in theirs.state_dict().items()})


def assert_close(torch: Any, mine: Any, theirs: Any, what: str, dtype: str) -> None:
    assert tuple(mine.shape) == tuple(theirs.shape), what
    torch.testing.assert_close(
        torch.from_numpy(numpy_of(mine).copy()),
        theirs.detach(),
        rtol=TOLERANCE[dtype],
        atol=TOLERANCE[dtype],
        msg=lambda text: f"{what}: {text}",
    )


@pytest.mark.parametrize(("name", "make", "shape"), LAYERS, ids=[layer[0] for layer in LAYERS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_layer_equals_pytorchs(name: str, make: Callable[[Any], Any], shape: tuple[int, ...], dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    theirs = make(torch.nn).to(getattr(torch, dtype))
    mine = make(nn).to(getattr(ag, dtype))
    assert repr(mine) == repr(theirs)

    state, expected = mine.state_dict(), theirs.state_dict()
    assert list(state) == list(expected)
    assert [tuple(t.shape) for t in state.values()] == [tuple(t.shape) for t in expected.values()]
    assert [dtype_name(t) for t in state.values()] == [dtype_name(t) for t in expected.values()]
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in mine.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert [n for n, _ in mine.named_modules()] == [n for n, _ in theirs.named_modules()]

    for p in theirs.parameters():  # away from ones and zeros
        p.data += 0.1 * torch.randn_like(p)
    transfer(mine, theirs)
    for step in range(2):  # the second with other running statistics
        x = torch.randn(shape, dtype=getattr(torch, dtype)) * 2
        a = ag.tensor(x.numpy(), requires_grad=True)
        x.requires_grad_()
        y, b = theirs(x), mine(a)
        assert_close(torch, b, y, f"output {step}", dtype)
        g = torch.randn_like(y)
        y.backward(g)
        b.backward(ag.tensor(g.numpy()))
        assert_close(torch, a.grad, x.grad, f"input gradient {step}", dtype)
    for (key, p), (_, q) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        assert_close(torch, p.grad, q.grad, f"gradient of {key}", dtype)
    for (key, p), (_, q) in zip(mine.named_buffers(), theirs.named_buffers(), strict=True):
        assert_close(torch, p, q, f"buffer {key}", dtype)
    if "unbatched" not in name:
        assert_close(torch, mine.eval()(a), theirs.eval()(x), "output in evaluation", dtype)


# name, what makes the loss, kind of target
LOSSES: list[tuple[str, Callable[..., Any], str]] = [
    ("mse", lambda nn, w: nn.MSELoss(), "real"),
    ("mse sum", lambda nn, w: nn.MSELoss(reduction="sum"), "real"),
    ("l1 none", lambda nn, w: nn.L1Loss(reduction="none"), "real"),
    ("old names", lambda nn, w: nn.MSELoss(size_average=False), "real"),
    ("smooth_l1", lambda nn, w: nn.SmoothL1Loss(beta=0.5), "real"),
    ("huber", lambda nn, w: nn.HuberLoss(delta=0.5), "real"),
    ("cross_entropy", lambda nn, w: nn.CrossEntropyLoss(), "class"),
    ("cross_entropy all", lambda nn, w: nn.CrossEntropyLoss(w, ignore_index=1, label_smoothing=0.1), "class"),
    ("cross_entropy sum", lambda nn, w: nn.CrossEntropyLoss(w, reduction="sum"), "class"),
    ("cross_entropy probabilities", lambda nn, w: nn.CrossEntropyLoss(), "probability"),
    ("nll", lambda nn, w: nn.NLLLoss(), "class"),
    ("nll weighted", lambda nn, w: nn.NLLLoss(weight=w, ignore_index=2), "class"),
    ("bce", lambda nn, w: nn.BCELoss(), "unit"),
    ("bce weighted", lambda nn, w: nn.BCELoss(w), "unit"),
    ("bce_with_logits", lambda nn, w: nn.BCEWithLogitsLoss(), "probability"),
    ("bce_with_logits weighted", lambda nn, w: nn.BCEWithLogitsLoss(w, pos_weight=w), "probability"),
]


@pytest.mark.parametrize(("name", "make", "kind"), LOSSES, ids=[loss[0] for loss in LOSSES])
@pytest.mark.filterwarnings("ignore:size_average")
def test_loss_equals_pytorchs(name: str, make: Callable[..., Any], kind: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    w = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
    x = torch.randn(5, 3, dtype=torch.float64)
    target = {
        "real": torch.randn(5, 3, dtype=torch.float64),
        "class": torch.tensor([0, 2, 1, 1, 0]),
        "probability": torch.rand(5, 3, dtype=torch.float64).softmax(1),
        "unit": torch.rand(5, 3, dtype=torch.float64),
    }[kind]
    if kind == "unit":
        x = x.sigmoid()
    a = ag.tensor(x.numpy(), requires_grad=True)
    x.requires_grad_()
    theirs, mine = make(torch.nn, w), make(nn, ag.tensor(w.numpy()))
    assert repr(theirs) == repr(mine)
    assert list(theirs.state_dict()) == list(mine.state_dict())
    y, b = theirs(x, target), mine(a, ag.tensor(target.numpy()))
    assert_close(torch, b, y, "loss", "float64")
    y.sum().backward()
    b.sum().backward()
    assert_close(torch, a.grad, x.grad, "gradient", "float64")


EMBEDDINGS: list[tuple[str, Callable[[Any], Any]]] = [
    ("plain", lambda nn: nn.Embedding(5, 3)),
    ("padding", lambda nn: nn.Embedding(5, 3, padding_idx=-2)),
    ("max_norm", lambda nn: nn.Embedding(5, 3, max_norm=0.5, norm_type=1.0)),
]


@pytest.mark.parametrize(("name", "make"), EMBEDDINGS, ids=[e[0] for e in EMBEDDINGS])
def test_embedding_equals_pytorchs(name: str, make: Callable[[Any], Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    theirs, mine = make(torch.nn), make(nn)
    assert repr(theirs) == repr(mine)
    transfer(mine, theirs)
    index = torch.tensor([[0, 3, 3], [1, 0, 0]])
    y, b = theirs(index), mine(ag.tensor(index.numpy()))
    assert_close(torch, b, y, "output", "float32")
    y.square().sum().backward()
    (b * b).sum().backward()
    assert_close(torch, mine.weight.grad, theirs.weight.grad, "gradient", "float32")
    assert_close(torch, mine.weight, theirs.weight, "table", "float32")


def test_embedding_of_given_vectors() -> None:
    table = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table)
    assert layer(ag.tensor([1, 0])).tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    assert nn.Embedding(4, 2, padding_idx=1).weight[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    ("shape", "sizes"), [((2, 3, 5), (2, 1)), ((2, 3, 5), (-1, 3)), ((2, 3, 5, 4), (1, 2, 3, -2)), ((3, 5), (2, 0))]
)
def test_pad_equals_pytorchs(mode: str, shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    x = torch.randn(shape, dtype=torch.float64)
    a = ag.tensor(x.numpy(), requires_grad=True)
    x.requires_grad_()
    value = 1.5 if mode == "constant" else None
    y = torch.nn.functional.pad(x, sizes, mode, value)
    b = nn.functional.pad(a, sizes, mode, value)
    assert_close(torch, b, y, "output", "float64")
    g = torch.randn_like(y)
    y.backward(g)
    b.backward(ag.tensor(g.numpy()))
    assert_close(torch, a.grad, x.grad, "gradient", "float64")


def test_batch_norm_counts_batches_and_freezes_in_evaluation() -> None:
    layer = nn.BatchNorm1d(2, momentum=None)
    batches = [ag.tensor([[0.0, 1.0], [2.0, 1.0]]), ag.tensor([[4.0, 3.0], [6.0, 5.0]])]
    for batch in batches:
        layer(batch)
    assert int(layer.num_batches_tracked) == 2
    assert layer.running_mean.tolist() == [3.0, 2.5]  # the mean of (1, 1) and (5, 4)
    assert layer.running_var.tolist() == [2.0, 1.0]
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    layer.eval()(batches[0] * 10)
    assert all(ag.equal(value, before[key]) for key, value in layer.state_dict().items())


def test_dropout_drops_in_training_only() -> None:
    ag.manual_seed(0)
    x = ag.ones(100, 100, requires_grad=True)
    layer = nn.Dropout(0.25)
    y = layer(x)
    kept = (y != 0).float()
    assert abs(kept.mean().item() - 0.75) < 0.02
    assert ag.allclose(y, kept / 0.75)
    y.sum().backward()
    assert ag.allclose(x.grad, kept / 0.75)
    assert ag.equal(layer.eval()(x), x)
    assert layer.train().training and nn.Dropout(1.0)(x).abs().max().item() == 0


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: nn.Linear(4, 3)(ag.zeros(5, 3)), RuntimeError, ("Linear(in_features=4", "in_features=4", "(5, 3)")),
    (lambda: nn.Linear(4, 3)(ag.zeros(())), RuntimeError, ("in_features=4", "()")),
    (lambda: nn.Linear(4, 3)(ag.zeros(2, 4, dtype=ag.float64)), RuntimeError, ("float32", "float64")),
    (lambda: nn.Linear(4, 3)([1.0] * 4), TypeError, ("Tensor", "list")),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, ("in_channels", "3", "groups=2")),
    (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, ("out_channels", "3", "groups=2")),
    (lambda: nn.Conv2d(4, 3, 3, groups=0), ValueError, ("groups", "positive")),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError, ("'full'", "'same'")),
    (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"), ValueError, ("same", "strided")),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="wrap"), ValueError, ("'wrap'", "circular")),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ValueError, ("kernel_size", "2 ints")),
    (lambda: nn.Conv2d(3, 4, 3)(ag.zeros(1, 2, 8, 8)), RuntimeError, ("(1, 2, 8, 8)",)),
    (lambda: nn.Conv2d(3, 4, 3)(ag.zeros(8, 8)), RuntimeError, ("(8, 8)",)),
    (lambda: nn.BatchNorm2d(3)(ag.zeros(2, 3)), ValueError, ("4D", "2D")),
    (lambda: nn.BatchNorm1d(3)(ag.zeros(2, 4)), RuntimeError, ("num_features=3", "(2, 4)")),
    (lambda: nn.BatchNorm1d(3)(ag.zeros(1, 3)), ValueError, ("1", "(1, 3)")),
    (lambda: nn.LayerNorm(3)(ag.zeros(2, 4)), RuntimeError, ("normalized_shape=[3]", "[2, 4]")),
    (lambda: nn.Dropout(1.5), ValueError, ("between 0 and 1", "1.5")),
    (lambda: nn.Embedding(3, 2)(ag.tensor([0, 3])).tolist(), IndexError, ("out of range",)),
    (lambda: nn.Embedding(3, 2)(ag.tensor([0.0])), RuntimeError, ("float32",)),
    (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, ("padding_idx", "3")),
    (lambda: nn.Embedding(3, 2, sparse=True), NotImplementedError, ("sparse",)),
    (lambda: nn.Embedding.from_pretrained(ag.zeros(3)), ValueError, ("2-d", "(3,)")),
    (lambda: nn.Unflatten(1, (2, 3))(ag.zeros(1, 5)), RuntimeError, ("5", "2, 3")),
    (lambda: nn.Unflatten("name", (2, 3)), TypeError, ("dim", "name")),
    (lambda: nn.Hardtanh(1.0, -1.0), ValueError, ("min_val",)),
    (lambda: nn.MSELoss(reduction="avg"), ValueError, ("avg", "reduction")),
    (lambda: nn.MSELoss()(ag.zeros(3), ag.zeros(3, 1)), ValueError, ("(3,)", "(3, 1)")),
    (lambda: nn.CrossEntropyLoss()(ag.zeros(2, 3), ag.tensor([0, 3])).item(), IndexError, ("[0, 2]",)),
    (lambda: nn.functional.pad(ag.zeros(2, 2), (1,)), RuntimeError, ("pair", "(2, 2)")),
    (lambda: nn.functional.pad(ag.zeros(1, 2, 2), (2, 0), "reflect"), RuntimeError, ("reflect", "2")),
    (lambda: nn.functional.pad(ag.zeros(2, 2), (1, 1), "mirror"), NotImplementedError, ("mirror",)),
    (lambda: nn.functional.pad(ag.zeros(1, 2), (-2, -1)), RuntimeError, ("cut", "2")),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "parts"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)

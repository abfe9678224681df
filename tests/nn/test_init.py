"""Initialisation: the distributions asked for, PyTorch's defaults, the same numbers for the same seed."""

import math
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn
from autograd_core.nn import init

FAN_IN, FAN_OUT = 300 * 9, 200 * 9  # of the weight (200, 300, 3, 3) below

# name, initialiser, expected bound (None: normal), expected standard deviation
SCHEMES: list[tuple[str, Callable[[Any], Any], float | None, float]] = [
    ("uniform", lambda w: init.uniform_(w, -2, 4), None, 6 / math.sqrt(12)),
    ("normal", lambda w: init.normal_(w, 0.0, 0.3), None, 0.3),
    ("xavier_uniform", lambda w: init.xavier_uniform_(w, gain=2.0), 2 * math.sqrt(6 / (FAN_IN + FAN_OUT)), 0),
    ("xavier_normal", lambda w: init.xavier_normal_(w), None, math.sqrt(2 / (FAN_IN + FAN_OUT))),
    ("kaiming_uniform", lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(6 / FAN_IN), 0),
    ("kaiming_uniform a", lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), 1 / math.sqrt(FAN_IN), 0),
    ("kaiming_normal", lambda w: init.kaiming_normal_(w, mode="fan_out"), None, math.sqrt(2 / FAN_OUT)),
    ("lecun_uniform", lambda w: init.lecun_uniform_(w), math.sqrt(3 / FAN_IN), 0),
    ("lecun_normal", lambda w: init.lecun_normal_(w), None, math.sqrt(1 / FAN_IN)),
]


@pytest.mark.parametrize(("name", "fill", "bound", "std"), SCHEMES, ids=[s[0] for s in SCHEMES])
def test_scale(name: str, fill: Callable[[Any], Any], bound: float | None, std: float) -> None:
    ag.manual_seed(1)
    w = nn.Parameter(ag.empty(200, 300, 3, 3))
    assert fill(w) is w and w.is_leaf and w.requires_grad
    if bound is not None:
        largest = w.abs().max().item()
        assert 0.999 * bound < largest <= bound * (1 + 1e-6)
        std = bound / math.sqrt(3)
    assert w.std().item() == pytest.approx(std, rel=0.01)
    assert w.mean().item() == pytest.approx(1.0 if name == "uniform" else 0.0, abs=0.01 * std + 1e-9)


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0.0, 1.0, -2.0, 2.0),
        (0.5, 2.0, 0.0, 1.0),
        (0.0, 1.0, 2.0, 5.0),
        (0.0, 1.0, -100.0, 100.0),
        (1.0, 0.5, -9.0, 1.2),
    ],
)
def test_trunc_normal_has_the_distribution_asked_for(mean: float, std: float, a: float, b: float) -> None:
    ag.manual_seed(2)
    w = init.trunc_normal_(ag.empty(200, 200), mean, std, a, b)
    values = sorted(w.flatten().tolist())
    assert a <= values[0] and values[-1] <= b

    def cdf(x: float) -> float:
        return (1 + math.erf((x - mean) / (std * math.sqrt(2)))) / 2

    n, low, high = len(values), cdf(a), cdf(b)
    # Kolmogorov-Smirnov: above 1.95 / sqrt(n) with probability 0.001.
    distance = max(abs((cdf(x) - low) / (high - low) - (i + 0.5) / n) for i, x in enumerate(values))
    assert distance < 1.95 / math.sqrt(n)


def test_constant_patterns() -> None:
    w = nn.Parameter(ag.empty(2, 3))
    assert init.constant_(w, 2.5).tolist() == [[2.5] * 3] * 2
    assert init.ones_(w).tolist() == [[1.0] * 3] * 2 and init.zeros_(w).tolist() == [[0.0] * 3] * 2
    assert init.eye_(w).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize(("shape", "groups"), [((4, 2, 3), 1), ((4, 2, 3, 4), 2), ((2, 3, 1, 3, 2), 1)])
def test_dirac_equals_pytorchs(shape: tuple[int, ...], groups: int) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    assert init.dirac_(ag.empty(*shape), groups).tolist() == torch.nn.init.dirac_(torch.empty(shape), groups).tolist()


def test_gains_equal_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    for name in ("linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


DEFAULTS: list[tuple[str, Callable[[Any], Any]]] = [
    ("linear", lambda nn: nn.Linear(400, 300)),
    ("conv1d", lambda nn: nn.Conv1d(60, 200, 5)),
    ("conv2d", lambda nn: nn.Conv2d(40, 100, 3, groups=2)),
    ("embedding", lambda nn: nn.Embedding(300, 100)),
    ("batch_norm", lambda nn: nn.BatchNorm2d(5)),
    ("layer_norm", lambda nn: nn.LayerNorm(5)),
    ("prelu", lambda nn: nn.PReLU(4)),
]


@pytest.mark.parametrize(("name", "make"), DEFAULTS, ids=[d[0] for d in DEFAULTS])
def test_layers_start_as_pytorchs(name: str, make: Callable[[Any], Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    ag.manual_seed(0)
    mine, theirs = make(nn).state_dict(), make(torch.nn).state_dict()
    for key, t in theirs.items():
        w = mine[key]
        if t.dtype is not torch.float32 or t.unique().numel() == 1:
            assert w.tolist() == t.tolist(), key
            continue
        scale = t.std().item()
        assert w.mean().item() == pytest.approx(t.mean().item(), abs=6 * scale / math.sqrt(t.numel())), key
        assert w.std().item() == pytest.approx(scale, rel=4 / math.sqrt(t.numel()) + 0.01), key
        if name != "embedding":
            assert w.abs().max().item() == pytest.approx(t.abs().max().item(), rel=0.03), key


def test_same_seed_same_weights() -> None:
    def draw() -> list[Any]:
        ag.manual_seed(5)
        return [t.tolist() for t in nn.Sequential(nn.Linear(3, 4), nn.Embedding(4, 2)).state_dict().values()]

    first, second = draw(), draw()
    assert first == second
    ag.manual_seed(6)
    assert nn.Linear(3, 4).weight.tolist() != first[0]
    device = ag.get_default_device()
    a, b = (init.normal_(ag.empty(4), generator=ag.Generator(device).manual_seed(3)) for _ in range(2))
    assert a.tolist() == b.tolist()


def test_layers_are_made_in_the_dtype_asked_for() -> None:
    layer = nn.Conv2d(2, 3, 3, device="cpu", dtype=ag.float64)
    assert layer.weight.dtype is layer.bias.dtype is ag.float64 and layer.weight.device == ag.device("cpu")
    assert nn.BatchNorm1d(2, dtype=ag.float64).running_var.dtype is ag.float64


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: init.xavier_uniform_(ag.empty(3)), r"xavier_uniform_: fan in .*\(3,\)"),
    (lambda: init.kaiming_normal_(ag.empty(3, 3), mode="fan"), "mode 'fan'.*'fan_in'"),
    (lambda: init.kaiming_normal_(ag.empty(3, 3), nonlinearity="swish"), "'swish'.*relu"),
    (lambda: init.calculate_gain("leaky_relu", "a"), "negative_slope 'a'"),  # type: ignore[arg-type]
    (lambda: init.eye_(ag.empty(3)), r"2 dimensions.*\(3,\)"),
    (lambda: init.dirac_(ag.empty(3, 3)), r"3, 4, or 5 dimensions.*\(3, 3\)"),
    (lambda: init.dirac_(ag.empty(3, 1, 3), groups=2), "divisible by groups=2"),
    (lambda: init.trunc_normal_(ag.empty(3), a=2, b=1), "a < b"),
    (lambda: init.trunc_normal_(ag.empty(3), std=0), "std > 0"),
]


@pytest.mark.parametrize(("call", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 3), (4, 4), (0, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = init.orthogonal_(ag.empty(shape, dtype=ag.float64), gain=2.0).reshape(shape[0], math.prod(shape[1:]))
    gram = w @ w.t() if w.shape[0] <= w.shape[1] else w.t() @ w
    assert ag.allclose(gram, 4 * ag.eye(len(gram), dtype=ag.float64))


def test_sparse_zeroes_part_of_each_column() -> None:
    w = init.sparse_(nn.Parameter(ag.empty(50, 40)), 0.31, std=0.5)
    assert (w == 0).sum(0).tolist() == [16] * 40
    assert w[w != 0].std().item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("fill", [lambda w: init.orthogonal_(w), lambda w: init.sparse_(w, 0.5)])
def test_vectors_have_no_columns(fill: Any) -> None:
    with pytest.raises(ValueError, match=r"dimensions.*\(3,\)"):
        fill(ag.empty(3))

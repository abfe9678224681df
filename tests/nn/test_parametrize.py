"""Parametrised weights beside PyTorch's: values, gradients, keys, and the errors."""

import copy
import pickle

import pytest
from test_layers import assert_close, transfer

import autograd_core as ag
from autograd_core import nn
from autograd_core.nn.utils import parametrize


def torch_or_skip():
    return pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")


CASES = [
    ("weight", lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), (5, 3)),
    ("weight, one length", lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4), dim=None), (5, 3)),
    ("weight, dim 1", lambda nn: nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 4, 2), dim=1), (2, 3, 5)),
    ("weight, bias", lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4), "bias"), (5, 3)),
    ("weight, lstm", lambda nn: nn.utils.parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"), (5, 2, 3)),
    ("spectral", lambda nn: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)), (5, 3)),
    ("spectral, conv", lambda nn: nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 2), n_power_iterations=3),
     (2, 3, 4, 4)),
    ("spectral, transposed", lambda nn: nn.utils.parametrizations.spectral_norm(nn.ConvTranspose2d(3, 4, 2)),
     (2, 3, 4, 4)),
    ("spectral, bias", lambda nn: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4), "bias"), (5, 3)),
    ("old weight", lambda nn: nn.utils.weight_norm(nn.Linear(3, 4)), (5, 3)),
    ("old weight, one length", lambda nn: nn.utils.weight_norm(nn.Linear(3, 4), dim=None), (5, 3)),
    ("old spectral", lambda nn: nn.utils.spectral_norm(nn.Linear(3, 4)), (5, 3)),
    ("old spectral, transposed", lambda nn: nn.utils.spectral_norm(nn.ConvTranspose1d(3, 4, 2), eps=1e-3), (2, 3, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "shape"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_normalised_weights(name, make, shape):
    torch = torch_or_skip()
    torch.manual_seed(0)
    theirs, mine = make(torch.nn).double(), make(nn).double()
    assert sorted(mine.state_dict()) == sorted(theirs.state_dict())
    transfer(mine, theirs)
    x = torch.randn(shape, dtype=torch.float64)
    for training in (True, True, False):  # The power iteration moves on in training only.
        theirs.train(training)
        mine.train(training)
        y, b = theirs(x), mine(ag.tensor(x.numpy()))
        if isinstance(y, tuple):
            y, b = y[0], b[0]
        assert_close(torch, b, y, "output", "float64")
        theirs.zero_grad()
        mine.zero_grad()
        (y**2).sum().backward()
        (b**2).sum().backward()
        for key, p in mine.named_parameters():
            assert_close(torch, p.grad, theirs.get_parameter(key).grad, key, "float64")
    for key, value in mine.state_dict().items():
        assert_close(torch, value, theirs.state_dict()[key], key, "float64")


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_the_older_form_is_removed_and_loads_into_the_newer(kind):
    layer = getattr(nn.utils, kind)(nn.Linear(3, 4)).eval()
    x = ag.ones(1, 3)
    y = layer(x).tolist()
    with pytest.raises(RuntimeError, match="two"):
        getattr(nn.utils, kind)(layer)
    if kind == "weight_norm":
        newer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
        newer.load_state_dict(layer.state_dict())
        assert newer(x).tolist() == y
    remove = getattr(nn.utils, f"remove_{kind}")
    assert remove(layer)(x).tolist() == y and sorted(layer.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="not found"):
        remove(layer)


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, value):
        return value.triu()


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2


class Column(nn.Module):
    def forward(self, x):
        return x[:, :1]


def test_a_parametrisation_of_ones_own():
    layer = nn.Linear(3, 3)
    before = layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert layer.parametrizations.weight.original is before and not hasattr(layer._parameters, "weight")
    assert layer.weight.tolist() == layer.weight.t().tolist()
    layer.weight = ag.ones(3, 3)
    assert layer.weight.tolist() == [[1.0] * 3] * 3 and before.tolist() == [[1.0] * 3, [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert layer(ag.ones(1, 3)).tolist() == (layer.bias + 6).reshape(1, 3).tolist()
    with pytest.raises(RuntimeError, match="Doubled does not implement right_inverse"):
        layer.weight = ag.ones(3, 3)
    layer(ag.ones(1, 3)).sum().backward()
    assert before.grad.tolist() == [[2.0, 4.0, 4.0], [0.0, 2.0, 4.0], [0.0, 0.0, 2.0]]
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is before and before.tolist() == [[2.0] * 3] * 3
    assert not parametrize.is_parametrized(layer) and list(layer.state_dict()) == ["bias", "weight"]


def test_without_the_parametrised_value():
    layer = parametrize.register_parametrization(nn.Linear(1, 1), "weight", Doubled())
    layer.parametrizations.weight.original.data.fill_(3.0)
    assert layer.weight.item() == 6.0
    assert parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False).weight.item() == 3.0


def test_cached_values_are_computed_once():
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    assert layer.weight is not layer.weight
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


def test_a_copy_stands_alone():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    other = copy.deepcopy(layer)
    parametrize.remove_parametrizations(other, "weight")
    assert parametrize.is_parametrized(layer, "weight") and layer.weight.shape == (2, 2)
    assert type(other) is nn.Linear and other.weight.tolist() == layer.weight.tolist()
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(layer)


def test_buffers_and_unsafe_shapes():
    layer = nn.BatchNorm1d(2)
    parametrize.register_parametrization(layer, "running_mean", Doubled())
    assert sorted(dict(layer.named_buffers())) == [
        "num_batches_tracked", "parametrizations.running_mean.original", "running_var"]  # fmt: skip
    layer = parametrize.register_parametrization(nn.Linear(3, 2, bias=False), "weight", Column(), unsafe=True)
    assert layer.weight.shape == (2, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: parametrize.register_parametrization(nn.Linear(3, 2), "weight", Column()), ValueError, "unsafe"),
        (lambda: parametrize.register_parametrization(nn.Linear(3, 2), "weigth", Column()), ValueError, "weigth"),
        (lambda: parametrize.remove_parametrizations(nn.Linear(3, 2), "weight"), ValueError, "does not have"),
        (
            lambda: parametrize.remove_parametrizations(
                nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), "weight", leave_parametrized=False
            ),
            ValueError,
            "one original",
        ),
        (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2), "w"), ValueError, "'w'"),
        (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2), dim=2), IndexError, "got 2"),
        (
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2), n_power_iterations=0),
            ValueError,
            "positive",
        ),
        (lambda: nn.utils.spectral_norm(nn.Linear(3, 2), n_power_iterations=0), ValueError, "positive"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("use_trivialization", [True, False])
@pytest.mark.parametrize("orthogonal_map", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (4, 1)])
def test_orthogonal(shape, orthogonal_map, use_trivialization):
    torch = torch_or_skip()
    torch.manual_seed(0)
    theirs, mine = torch.nn.Linear(*shape).double(), nn.Linear(*shape).double()
    transfer(mine, theirs)
    for lib, layer in ((torch, theirs), (ag, mine)):
        lib.nn.utils.parametrizations.orthogonal(
            layer, orthogonal_map=orthogonal_map, use_trivialization=use_trivialization
        )
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert_close(torch, mine.weight, theirs.weight, "the weight made orthogonal", "float64")
    original = theirs.parametrizations.weight.original
    assert_close(torch, mine.parametrizations.weight.original, original, "original", "float64")
    with torch.no_grad():
        original.add_(torch.randn(original.shape) * 0.1)
    transfer(mine, theirs)
    assert_close(torch, mine.weight, theirs.weight, "the weight of another original", "float64")
    factor = torch.randn(original.shape, dtype=torch.float64)
    (theirs.weight * factor).sum().backward()
    (mine.weight * ag.tensor(factor.numpy())).sum().backward()
    assert_close(torch, mine.parametrizations.weight.original.grad, original.grad, "gradient", "float64")


def test_assigning_to_orthogonal_weights():
    orthogonal = nn.utils.parametrizations.orthogonal
    for options in ({}, {"orthogonal_map": "householder", "use_trivialization": False}):
        layer = orthogonal(nn.Linear(3, 3).double(), **options)
        wanted = ag.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=ag.float64)
        layer.weight = wanted
        assert ag.allclose(layer.weight, wanted, atol=1e-12)
        with pytest.raises(ValueError, match="shape"):
            layer.weight = ag.zeros(2, 3, dtype=ag.float64)
    fixed = orthogonal(nn.Linear(3, 3), use_trivialization=False)
    with pytest.raises(NotImplementedError, match="householder"):
        fixed.weight = ag.eye(3)
    with pytest.raises(ValueError, match="no parameter"):
        orthogonal(nn.Linear(3, 3), "weights")
    with pytest.raises(ValueError, match="batch of matrices"):
        orthogonal(nn.Linear(3, 3), "bias")
    with pytest.raises(ValueError, match="'cayley'"):
        orthogonal(nn.Linear(3, 3), orthogonal_map="qr")


def test_skip_init():
    for cls, args in ((nn.Linear, (5, 2)), (nn.LSTM, (3, 4)), (nn.Conv2d, (1, 2, 3)), (nn.BatchNorm1d, (3,))):
        state = ag.get_rng_state().tolist()
        layer = nn.utils.skip_init(cls, *args, dtype=ag.float64)
        assert ag.get_rng_state().tolist() == state, f"{cls.__name__} drew numbers"
        assert type(layer) is cls
        assert {k: (v.shape, v.dtype) for k, v in layer.state_dict().items()} == {
            k: (v.shape, v.dtype) for k, v in cls(*args, dtype=ag.float64).state_dict().items()
        }
    with pytest.raises(RuntimeError, match="class of modules"):
        nn.utils.skip_init(list)
    with pytest.raises(RuntimeError, match="'device'"):
        nn.utils.skip_init(nn.ReLU)

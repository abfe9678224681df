"""Layers that get their sizes at the first call, beside PyTorch's."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from test_layers import assert_close

import autograd_core as ag
from autograd_core import nn

# name, what makes the layer (from ag.nn or torch.nn), shape of the input
LAYERS: list[tuple[str, Callable[[Any], Any], tuple[int, ...]]] = [
    ("linear", lambda nn: nn.LazyLinear(3), (2, 4, 5)),
    ("linear without bias", lambda nn: nn.LazyLinear(3, False), (5,)),
    ("conv1d", lambda nn: nn.LazyConv1d(4, 2, groups=2), (2, 6, 5)),
    ("conv2d", lambda nn: nn.LazyConv2d(4, (3, 2), 2, 1, bias=False), (6, 5, 4)),
    ("conv2d padded", lambda nn: nn.LazyConv2d(4, 3, padding="same", padding_mode="reflect"), (2, 3, 5, 4)),
    ("conv3d", lambda nn: nn.LazyConv3d(2, 2, dilation=2), (2, 3, 3, 4, 3)),
    ("conv_transpose1d", lambda nn: nn.LazyConvTranspose1d(4, 2, 2, groups=2), (2, 6, 5)),
    ("conv_transpose2d", lambda nn: nn.LazyConvTranspose2d(4, 2, 2, 0, 1), (2, 3, 4, 5)),
    ("conv_transpose3d", lambda nn: nn.LazyConvTranspose3d(4, 2, bias=False), (3, 2, 2, 2)),
    ("batch_norm1d", lambda nn: nn.LazyBatchNorm1d(), (4, 3)),
    ("batch_norm2d", lambda nn: nn.LazyBatchNorm2d(1e-3, None, bias=False), (4, 3, 2, 2)),
    ("batch_norm3d", lambda nn: nn.LazyBatchNorm3d(affine=False), (4, 3, 2, 2, 2)),
    ("instance_norm1d", lambda nn: nn.LazyInstanceNorm1d(), (4, 3, 5)),
    ("instance_norm2d", lambda nn: nn.LazyInstanceNorm2d(track_running_stats=False), (2, 3, 2, 2)),
    ("instance_norm3d", lambda nn: nn.LazyInstanceNorm3d(affine=False), (2, 3, 2, 2, 2)),
]
IDS = [layer[0] for layer in LAYERS]


@pytest.mark.parametrize(("name", "make", "shape"), LAYERS, ids=IDS)
def test_lazy_layer_equals_pytorchs(name: str, make: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    mine, theirs = make(nn).double(), make(torch.nn).double()
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    x = torch.randn(shape, dtype=torch.float64)
    theirs(x)
    drawn = make(nn)
    drawn(ag.zeros(shape))
    mine(ag.tensor(x.numpy()))
    assert repr(mine) == repr(theirs)
    assert type(mine).__name__ == type(theirs).__name__
    for layer in (mine, drawn):
        state = {key: tuple(value.shape) for key, value in layer.state_dict().items()}
        assert state == {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert all(type(p) is nn.Parameter and p.requires_grad and p.dtype is ag.float64 for p in mine.parameters())
    if hasattr(mine, "kernel_size") or hasattr(mine, "in_features"):
        assert all(p.std().item() > 0 for p in drawn.parameters() if p.numel() > 2), "drawn as the ordinary layer's"
    given = {key: ag.tensor(value.numpy()) for key, value in theirs.state_dict().items()}
    mine.load_state_dict(given)
    loaded_first = make(nn).double()
    loaded_first.load_state_dict(given)
    for p in theirs.parameters():
        p.grad = None
    y = theirs(x)
    for layer in (mine, loaded_first):
        assert_close(torch, layer(ag.tensor(x.numpy())), y, "output", "float64")
        assert type(layer) is type(mine)
    if [*theirs.parameters()]:
        y.square().sum().backward()
        mine.load_state_dict(given)
        mine(ag.tensor(x.numpy())).square().sum().backward()
        for p, q in zip(mine.parameters(), theirs.parameters()):
            assert_close(torch, p.grad, q.grad, "gradient", "float64")


def test_a_model_and_its_optimiser_before_the_first_call() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    optimizer = ag.optim.SGD(model.parameters(), 0.1)
    assert len([*model.parameters()]) == 6
    model.zero_grad()
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    x = ag.randn(3, 2, 5, 5)
    model(x).sum().backward()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    assert [tuple(p.shape) for p in model.parameters()] == [(4, 2, 3, 3), (4,), (4,), (4,), (2, 36), (2,)]
    assert not ag.equal(before[-1], model[4].bias)
    for twin in twins:
        assert repr(twin[0].weight) == "<UninitializedParameter>"
        twin.load_state_dict(model.state_dict())
        assert ag.allclose(twin.eval()(x), model.eval()(x))
        assert [type(m) for m in twin] == [type(m) for m in model]


def test_state_without_a_shape_loads_into_lazy_layers_only() -> None:
    lazy = nn.LazyLinear(3)
    other = nn.LazyLinear(3)
    assert not other.load_state_dict(lazy.state_dict()).missing_keys
    assert other.has_uninitialized_params()
    with pytest.raises(RuntimeError, match="shape of an uninitialized Parameter"):
        nn.Linear(2, 3).load_state_dict(lazy.state_dict())


def test_norms_learn_the_channels_also_without_parameters_and_of_a_single_sample() -> None:
    plain, single = nn.LazyBatchNorm1d(affine=False, track_running_stats=False), nn.LazyInstanceNorm2d()
    plain(ag.randn(4, 3))
    single(ag.randn(3, 2, 4))
    assert plain.num_features == single.num_features == 3


def test_a_class_of_ones_own() -> None:
    class Scale(nn.lazy.LazyModuleMixin, nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.UninitializedParameter()
            self.mean = nn.UninitializedBuffer(persistent=False)

        def initialize_parameters(self, x: ag.Tensor, n: int = 1) -> None:
            self.weight.materialize(x.shape[-1:])
            nn.init.constant_(self.weight, n)
            if n:
                self.mean.materialize(x.shape[-1:])

        def forward(self, x: ag.Tensor, n: int = 1) -> ag.Tensor:
            return x * self.weight

    scale = Scale()
    seen: list[Any] = []
    scale.register_forward_pre_hook(lambda module, args: seen.append(module.weight.shape))
    assert scale(ag.ones(2), n=3).tolist() == [3.0, 3.0]
    assert scale(ag.ones(2), n=5).tolist() == [3.0, 3.0]
    assert seen == [(2,), (2,)]
    assert list(scale.state_dict()) == ["weight"]
    with pytest.raises(RuntimeError, match="Scale has not been fully initialized"):
        Scale()(ag.ones(2), n=0)


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: nn.LazyLinear(2).weight + 1, ValueError, ("uninitialized Parameter", "first call")),
    (lambda: ag.ones(2) * nn.LazyLinear(2).weight, ValueError, ("uninitialized Parameter",)),
    (lambda: nn.LazyLinear(2).weight.numel(), ValueError, ("uninitialized",)),
    (lambda: nn.init.ones_(nn.LazyLinear(2).weight), ValueError, ("uninitialized",)),
    (lambda: nn.LazyLinear(2).weight.shape, RuntimeError, ("shape of an uninitialized Parameter",)),
    (lambda: nn.LazyBatchNorm1d().running_mean.shape, RuntimeError, ("shape of an uninitialized Buffer",)),
    (lambda: nn.LazyLinear(2)(ag.zeros(())), IndexError, ("at least 1 dimension",)),
    (lambda: nn.LazyConv2d(2, 3)(ag.zeros(3, 3)), RuntimeError, ("3D", "4D", "LazyConv2d", "(3, 3)")),
    (lambda: nn.LazyConv2d(3, 2, groups=3)(ag.zeros(1, 4, 5, 5)), ValueError, ("divisible", "groups=3")),
    (lambda: nn.LazyConv2d(4, 2, groups=3)(ag.zeros(1, 3, 5, 5)), RuntimeError, ("divisible", "groups=3")),
    (lambda: nn.LazyBatchNorm2d()(ag.zeros(2, 3)), ValueError, ("4D", "(2, 3)")),
]


@pytest.mark.parametrize(("call", "error", "parts"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)

"""The diagnosis names the illness of networks built to be sick, and is silent on healthy ones."""

from typing import Any

import pytest
from networks import (
    Blocks,
    Custom,
    Heads,
    LastStep,
    LeNet,
    Residual,
    WarmUp,
    Words,
    adam,
    black_borders,
    classes,
    cnn,
    conv_dead,
    curve,
    frozen_first,
    he,
    mlp,
    normal,
    on_outputs,
    one_huge_feature,
    pictures,
    regression,
    scaled,
    sequences,
    sgd,
    small_pictures,
    summed,
    train,
    two_classes,
    unused_layer,
    weight_norm,
    with_big_recurrence,
    with_nan,
    words,
    zero_head,
    zeros,
)

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim

# The case, the illness expected among the findings, model, task, optimiser.
SICK = [
    ("sigmoid, 5 hidden layers", "vanishing gradients", lambda: mlp(8, *[16] * 5, 3, act=nn.Sigmoid), classes, sgd(0.1)),
    ("sigmoid, 8 hidden layers, Adam", "vanishing gradients", lambda: mlp(8, *[16] * 8, 3, act=nn.Sigmoid), classes, adam(1e-3)),
    ("sigmoid, Glorot", "vanishing gradients", lambda: mlp(8, *[16] * 6, 3, act=nn.Sigmoid, init=nn.init.xavier_normal_), classes, sgd(0.1)),
    ("sigmoid convolutions", "vanishing gradients", lambda: cnn(nn.Sigmoid, convolutions=8), pictures, sgd(0.1)),
    ("tanh, tiny weights", "fading activations", lambda: mlp(8, *[16] * 5, 3, act=nn.Tanh, init=normal(0.02)), classes, sgd(0.1)),
    ("relu, tiny weights", "fading activations", lambda: mlp(8, *[16] * 5, 3, init=normal(0.02)), classes, sgd(0.1)),
    ("relu, unit normal weights", "growing activations", lambda: mlp(8, *[64] * 5, 3, init=normal(1.0)), classes, sgd(1e-6)),
    ("relu, large weights", "exploding gradients", lambda: mlp(8, *[32] * 6, 3, init=normal(1.0)), classes, sgd(1e-6)),
    ("large loss", "exploding gradients", lambda: mlp(8, 16, 16, 3), lambda: summed(1e5), sgd(1e-2)),
    ("recurrent, large weights", "exploding gradients", lambda: with_big_recurrence(3.0), sequences, sgd(1e-6)),
    ("tanh, large weights", "saturated units", lambda: mlp(8, 16, 16, 3, act=nn.Tanh, init=normal(3.0)), classes, sgd(0.01)),
    ("sigmoid, large weights", "saturated units", lambda: mlp(8, 16, 16, 3, act=nn.Sigmoid, init=normal(8.0)), classes, sgd(0.01)),
    ("functional tanh, large inputs to it", "saturated units", lambda: Custom(lambda z: ag.tanh(20 * z)), classes, sgd(0.001)),
    ("relu, biases of -10", "dead units", lambda: mlp(8, 16, 16, 3, bias=-10.0), classes, sgd(0.1)),
    ("functional relu, shifted", "dead units", lambda: Custom(lambda z: F.relu(z - 5)), classes, sgd(0.1)),
    ("convolution, biases of -30", "dead units", conv_dead, pictures, sgd(0.01)),
    ("relu, SGD, too large", "learning rate too large", lambda: mlp(8, 32, 32, 3), classes, sgd(100.0)),
    ("SGD, far too large", "learning rate too large", lambda: mlp(8, 16, 16, 3, act=nn.Tanh), classes, sgd(50.0)),
    ("Adam, far too large", "learning rate too large", lambda: mlp(8, 16, 16, 3), classes, adam(1.0)),
    ("regression that diverges", "learning rate too large", lambda: nn.Linear(8, 1), lambda: (*regression(), F.mse_loss), sgd(2.0)),
    ("SGD, far too small", "learning rate too small", lambda: mlp(8, 16, 16, 3), classes, sgd(1e-7)),
    ("Adam, far too small", "learning rate too small", lambda: mlp(8, 16, 16, 3), classes, adam(1e-8)),
    ("NaN in the data", "non-finite data", lambda: mlp(8, 16, 3), lambda: with_nan(ag.nan), sgd(0.1)),
    ("infinity in the data", "non-finite data", lambda: mlp(8, 16, 3), lambda: with_nan(ag.inf), sgd(0.1)),
    ("log of negative values", "non-finite values", lambda: Custom(ag.log), classes, sgd(0.1)),
    ("division by an empty sum", "non-finite values", lambda: Custom(lambda z: z / F.relu(z - 50).sum(1, keepdim=True)), classes, sgd(0.1)),
    ("first layer frozen", "frozen layer", lambda: frozen_first(mlp(8, 16, 16, 3)), classes, sgd(0.1)),
    ("detached on the way", "no gradient", lambda: Custom(lambda z: F.relu(z).detach()), classes, sgd(0.1)),
    ("layer that forward forgot", "unused layer", unused_layer, classes, sgd(0.1)),
    ("layer not given to the optimiser", "not updated", lambda: mlp(8, 16, 16, 3), classes, lambda model: optim.SGD(model[2:].parameters(), lr=0.1)),
    ("zero initialisation", "symmetric weights", lambda: mlp(8, 16, 16, 3, init=nn.init.zeros_, bias=0.0), classes, sgd(0.1)),
    ("constant initialisation", "symmetric weights", lambda: mlp(8, 16, 16, 3, act=nn.Tanh, init=lambda w: nn.init.constant_(w, 0.2), bias=0.1), classes, sgd(0.1)),
    ("inputs of 0 to 255", "unnormalised input", lambda: mlp(8, 16, 3), lambda: classes(scale=120.0), sgd(1e-3)),
    ("one huge feature", "unnormalised input", lambda: mlp(8, 16, 3), one_huge_feature, adam(1e-3)),
    ("dead residual blocks of functions", "dead units", lambda: Blocks(lambda f, x: x + F.relu(f(x)), bias=-50.0), classes, sgd(0.01)),
    ("functional tanh before dropout", "saturated units", lambda: Blocks(lambda f, x: F.dropout(ag.tanh(f(x)), 0.1), std=8.0), classes, sgd(0.01)),
    ("tiny weights, weight norm", "fading activations", lambda: Blocks(lambda f, x: ag.tanh(f(x)), std=0.01).apply(weight_norm), classes, sgd(0.1)),
    ("sigmoids behind positions", "vanishing gradients", lambda: Blocks(lambda f, x: ag.sigmoid(f(x)), 6), classes, sgd(0.1)),
    ("one frozen, one not given to the optimiser", "not updated", lambda: frozen_first(mlp(8, 16, 16, 3)), classes, lambda model: optim.SGD(model[4:].parameters(), lr=0.1)),
    ("one frozen, no step", "not updated", lambda: frozen_first(mlp(8, 16, 16, 3)), classes, lambda model: optim.SGD([nn.Parameter(ag.zeros(1))], lr=0.1)),
    ("tiny inputs", "unnormalised input", lambda: mlp(8, 16, 3), lambda: classes(scale=1e-4), sgd(0.1)),
    ("clamped outputs", "zero gradients", lambda: mlp(8, 16, 3), lambda: on_outputs(lambda z: z.clamp(5, 6)), sgd(0.1)),
    ("hinge that nothing reaches", "zero gradients", lambda: mlp(8, 16, 1), lambda: (classes()[0], None, lambda z, _: F.relu(z - 9).mean()), adam(1e-3)),
    ("softmax before cross-entropy", "no better than chance", lambda: mlp(8, 16, 3), lambda: on_outputs(lambda z: (z / 50).softmax(1)), sgd(0.01)),
    ("weight decay of 1", "shrinking weights", lambda: mlp(8, 16, 16, 3), classes, lambda model: optim.SGD(model.parameters(), lr=0.1, weight_decay=2.0)),
    ("he times 5, ten layers", "growing activations", lambda: mlp(8, *[32] * 10, 3, init=normal(1.0)), classes, sgd(0.05)),
    ("targets of 60,000", "exploding gradients", lambda: mlp(8, 16, 1), lambda: (classes()[0], classes()[0][:, :1] * 1e4 + 6e4, F.mse_loss), adam(1e-3)),
    ("learning rate 0", "learning rate too small", lambda: mlp(8, 16, 3), classes, sgd(0.0)),
]  # fmt: skip

HEALTHY = [
    ("relu, He, Adam", lambda: mlp(8, 32, 32, 3, init=he), classes, adam(1e-3)),
    ("relu, Adam, quick", lambda: mlp(8, 32, 32, 3), classes, adam(1e-2)),
    ("relu, SGD with momentum", lambda: mlp(8, 32, 32, 3), classes, sgd(0.05, 0.9)),
    ("relu, SGD, slow", lambda: mlp(8, 32, 32, 3), classes, sgd(0.003)),
    ("tanh, Glorot", lambda: mlp(8, 16, 16, 16, 3, act=nn.Tanh, init=nn.init.xavier_uniform_), classes, sgd(0.1)),
    ("one sigmoid layer", lambda: mlp(8, 16, 3, act=nn.Sigmoid), classes, sgd(0.5)),
    ("two sigmoid layers, Nielsen's", lambda: mlp(8, 30, 30, 3, act=nn.Sigmoid), classes, adam(3e-3)),
    ("ten relu layers, He", lambda: mlp(8, *[32] * 10, 3, init=he), classes, adam(1e-3)),
    ("SELU, LeCun", lambda: mlp(8, *[32] * 6, 3, act=nn.SELU, init=lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")), classes, sgd(0.03)),
    ("GELU", lambda: mlp(8, 32, 32, 3, act=nn.GELU), classes, adam(3e-3)),
    ("convolutions with batch norm", lambda: cnn(norm=True), pictures, adam(3e-3)),
    ("convolutions without", cnn, pictures, sgd(0.05, 0.9)),
    ("residual, 12 blocks", lambda: Residual(12), classes, adam(1e-3)),
    ("dropout", lambda: mlp(8, 32, 32, 3, act=lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.3))), classes, adam(3e-3)),
    ("functional relu", lambda: Custom(F.relu), classes, adam(3e-3)),
    ("LSTM", lambda: LastStep(nn.LSTM), sequences, adam(1e-2)),
    ("GRU", lambda: LastStep(nn.GRU), sequences, adam(1e-2)),
    ("transformer on words", Words, words, adam(1e-3)),
    ("linear regression", lambda: nn.Linear(8, 1), lambda: (*regression(), F.mse_loss), sgd(0.1)),
    ("logistic regression, sigmoid at the output", lambda: nn.Sequential(nn.Linear(8, 1), nn.Sigmoid()), lambda: two_classes(), sgd(1.0)),
    ("curve fitting", lambda: mlp(1, 32, 32, 1, act=nn.Tanh), curve, adam(1e-2)),
    ("autoencoder", lambda: mlp(8, 16, 4, 16, 8), lambda: (x := classes()[0], x, F.mse_loss), adam(3e-3)),
    ("zero output layer", lambda: zero_head(mlp(8, 32, 32, 3)), classes, adam(3e-3)),
    ("zero output layer, slowly", lambda: zero_head(mlp(8, 64, 64, 3)), classes, adam(3e-4)),
    ("zero output layer, warm-up", lambda: zero_head(mlp(8, 64, 64, 3)), classes, lambda model: WarmUp(optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 100)),
    ("long warm-up", lambda: mlp(8, 32, 32, 3), classes, lambda model: WarmUp(optim.AdamW(model.parameters(), lr=3e-3), 1000)),
    ("softmax from zeros, black borders", lambda: zeros(nn.Linear(576, 2)), black_borders, sgd(0.1)),
    ("two heads that are certain", Heads, lambda: (classes()[0], ag.tensor([[1.0, 0.0]]).expand(64, 2), F.binary_cross_entropy), sgd(0.1)),
    ("functions between layers", LeNet, small_pictures, sgd(0.1)),
    ("normalised within, 0 to 255", lambda: nn.Sequential(nn.BatchNorm1d(8), *mlp(8, 16, 3)), lambda: classes(scale=120.0), adam(1e-2)),
    ("convolution and batch norm on 0 to 255", lambda: cnn(norm=True), lambda: scaled(pictures(), 200.0), adam(3e-3)),
    ("sum over the batch", lambda: mlp(8, 16, 8), lambda: (x := classes()[0] * 3, x, lambda z, y: F.mse_loss(z, y, reduction="sum")), adam(1e-2)),
    ("clearest of sequences, LSTM", lambda: LastStep(nn.LSTM), lambda: sequences(4), adam(3e-2)),
    ("L2 regularised", lambda: mlp(8, 32, 32, 3), classes, lambda model: optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "illness", "make", "task", "optimizer"), SICK, ids=[c[0] for c in SICK])
def test_sick(name: str, illness: str, make: Any, task: Any, optimizer: Any) -> None:
    steps = 150 if illness in ("no better than chance", "shrinking weights") else 40
    found = train(make, task, optimizer, steps).diagnosis()
    assert illness in found.illnesses[:2], str(found)


@pytest.mark.parametrize(("name", "make", "task", "optimizer"), HEALTHY, ids=[c[0] for c in HEALTHY])
def test_healthy(name: str, make: Any, task: Any, optimizer: Any) -> None:
    found = train(make, task, optimizer).diagnosis()
    assert not found, str(found)
    found = train(make, task, optimizer, steps=450, every=200).diagnosis()
    assert not found, str(found)

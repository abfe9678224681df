"""PyTorch's import paths of the modules."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import autograd_core as ag
from autograd_core.nn.modules import Conv2d, Module
from autograd_core.nn.modules import loss as losses
from autograd_core.nn.modules.batchnorm import _BatchNorm
from autograd_core.nn.modules.conv import _ConvNd
from autograd_core.nn.modules.linear import Linear
from autograd_core.nn.modules.utils import _ntuple, _pair, _triple


def test_they_are_the_same_classes() -> None:
    assert Linear is ag.nn.Linear and Conv2d is ag.nn.Conv2d and Module is ag.nn.Module
    assert losses.MSELoss is ag.nn.MSELoss and ag.nn.modules.rnn.LSTM is ag.nn.LSTM
    assert issubclass(losses.MSELoss, losses._Loss) and issubclass(losses.NLLLoss, losses._WeightedLoss)
    assert isinstance(ag.nn.ConvTranspose2d(1, 1, 1), _ConvNd) and not isinstance(ag.nn.Linear(1, 1), _ConvNd)
    assert isinstance(ag.nn.BatchNorm2d(1), _BatchNorm) and not isinstance(ag.nn.InstanceNorm2d(1), _BatchNorm)
    assert _pair(3) == (3, 3) and _pair([1, 2]) == (1, 2) and _triple(0) == (0, 0, 0) and _ntuple(4)(1) == (1,) * 4


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match="autograd_core.nn.modules.loss' has no attribute 'Linear'"):
        losses.Linear  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        ag.nn.modules.Nothing  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("autograd_core.nn.modules.nothing")


def test_every_place_of_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    for found in pkgutil.iter_modules(torch.nn.modules.__path__):
        theirs = importlib.import_module(f"torch.nn.modules.{found.name}")
        names = [
            n
            for n, v in vars(theirs).items()
            if isinstance(v, type) and v.__module__ == theirs.__name__ and n[0] != "_"
        ]
        names = [n for n in names if hasattr(ag.nn, n)]
        if names:
            ours = importlib.import_module(f"autograd_core.nn.modules.{found.name}")
            assert [getattr(ours, n) for n in names] == [getattr(ag.nn, n) for n in names]

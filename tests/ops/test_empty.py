"""Reductions over no dimension or no element, and layers on an empty batch: what PyTorch does."""

from __future__ import annotations

import math
from typing import Any

import pytest

import autograd_core as ag

F = ag.nn.functional


@pytest.mark.parametrize("keepdim", [False, True])
def test_any_and_all_over_no_dimension(keepdim: bool) -> None:
    x = ag.tensor([[0.0, 2.0, math.nan]])
    for function in (ag.any, ag.all):
        assert function(x, dim=(), keepdim=keepdim).tolist() == [[False, True, True]]
        assert function(ag.tensor([0, 2], dtype=ag.uint8), dim=[]).tolist() == [0, 1]
        assert function(x, dim=()).dtype is ag.bool and function(x, dim=None).shape == ()


@pytest.mark.parametrize("p", [math.inf, -math.inf, -1])
def test_norms_of_no_elements(p: float) -> None:
    for call in (
        lambda: ag.linalg.vector_norm(ag.zeros(2, 0), p, dim=1),
        lambda: ag.linalg.vector_norm(ag.zeros(2, 0), p),
        lambda: ag.zeros(0).half().norm(p),
    ):
        with pytest.raises(RuntimeError, match="norm: p="):
            call()
    assert ag.linalg.vector_norm(ag.zeros(2, 0), p, dim=0).shape == (0,)
    assert ag.linalg.vector_norm(ag.zeros(2, 0), 2).item() == 0


def test_kthvalue_of_no_elements() -> None:
    for x in (ag.zeros(2, 0), ag.zeros(0)):
        with pytest.raises(IndexError, match="kthvalue"):
            x.kthvalue(1)
    with pytest.raises(RuntimeError, match="out of range"):
        ag.zeros(2, 3).kthvalue(4)


@pytest.mark.parametrize("dtype", [ag.float32, ag.float16])
@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 5), (2, 3, 0)])
def test_batch_norm_of_an_empty_batch_has_gradients_of_zeros(shape: tuple[int, ...], dtype: Any) -> None:
    x = ag.ones(*shape, dtype=dtype, requires_grad=True)
    layer: Any = (ag.nn.BatchNorm1d if len(shape) < 4 else ag.nn.BatchNorm2d)(3)
    y = layer(x)
    assert y.shape == shape and y.dtype is dtype
    y.sum().backward()
    assert x.grad.shape == shape
    assert layer.weight.grad.tolist() == layer.bias.grad.tolist() == [0.0] * 3
    assert layer.running_mean.tolist() == [0.0] * 3


def test_group_norm_of_one_value_a_group() -> None:
    for shape in ((1, 4), (1, 4, 1, 1)):
        with pytest.raises(ValueError, match="more than 1 value"):
            F.group_norm(ag.ones(*shape), 4)
        with pytest.raises(ValueError, match="more than 1 value"):
            ag.nn.GroupNorm(4, 4).eval()(ag.ones(*shape))
        assert F.group_norm(ag.ones(*shape), 2).tolist() == ag.zeros(*shape).tolist()
    assert F.group_norm(ag.ones(2, 4), 4).shape == (2, 4) and F.group_norm(ag.ones(0, 4), 4).shape == (0, 4)


def test_interpolate_checks_lists_before_the_mode() -> None:
    for x, size in ((ag.ones(1, 1), (2,)), (ag.ones(1, 1, 4, 4), [2]), (ag.ones(1, 1, 4), [2, 3])):
        for mode in ("nearest", "bilinear"):
            with pytest.raises(ValueError, match="spatial dimensions"):
                F.interpolate(x, size=size, mode=mode)
    with pytest.raises(NotImplementedError):
        F.interpolate(ag.ones(1, 1), size=2)

"""A NumPy array beside a tensor: to its right it counts as a tensor, as in PyTorch; to its left where it does there."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import autograd_core as ag

pytestmark = pytest.mark.host("NumPy arrays meet tensors in host memory only")

ARRAYS = [np.array([1.0, 2.0, 3.0]), np.array([[1], [2]], dtype=np.int32), np.array([1.5, 0.5, 2.5], dtype=np.float32)]
OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.floordiv,
    operator.mod,
    operator.eq,
]


@pytest.mark.parametrize("function", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: str(a.dtype))
def test_to_the_right_as_in_pytorch(function: Any, array: np.ndarray) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    expected = function(torch.tensor([2.0, 3.0, 4.0]), torch.from_numpy(array))
    got = function(ag.tensor([2.0, 3.0, 4.0]), array)
    assert isinstance(got, ag.Tensor) and str(got.dtype).removeprefix("ag.") == str(expected.dtype).removeprefix(
        "torch."
    )
    assert ag.allclose(got.double(), ag.tensor(expected.double().numpy()), rtol=1e-6)


def test_products_and_gradients() -> None:
    x = ag.ones(2, 3, dtype=ag.float64, requires_grad=True)
    (x @ ARRAYS[0] * np.array([1.0, 2.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]
    with pytest.raises(RuntimeError, match="same dtype"):
        ag.ones(3) @ ARRAYS[0]


REFUSED = [operator.add, operator.mul, operator.sub, operator.matmul, operator.pow, operator.floordiv, operator.mod]


@pytest.mark.parametrize("function", REFUSED)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_to_the_left_it_is_refused_as_in_pytorch(function: Any, requires_grad: bool) -> None:
    with pytest.raises(TypeError, match=r"ndarray.*; convert .*ag.from_numpy\(\.\.\.\)"):
        function(ARRAYS[0], ag.ones(3, dtype=ag.float64, requires_grad=requires_grad))
    try:
        import torch
    except ImportError:
        return
    with pytest.raises(TypeError):
        function(ARRAYS[0], torch.ones(3, dtype=torch.float64, requires_grad=requires_grad))


@pytest.mark.filterwarnings("ignore:__array_wrap__")
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: str(a.dtype))
@pytest.mark.parametrize("function", [operator.truediv, operator.eq])
def test_to_the_left_where_pytorch_takes_it(function: Any, array: np.ndarray) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    got = function(array, ag.tensor([1.0, 2.0, 3.0], dtype=ag.float64))
    expected = function(array, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert isinstance(got, ag.Tensor) and isinstance(expected, torch.Tensor)
    assert str(got.dtype)[3:] == str(expected.dtype)[6:]
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-12)


def test_an_array_over_a_tensor_has_gradients() -> None:
    x = ag.tensor([1.0, 2.0, 4.0], requires_grad=True)
    (np.array([2.0, 8.0, 16.0], dtype=np.float32) / x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [-2.0, -2.0, -1.0]


def test_what_is_no_array_of_numbers() -> None:
    with pytest.raises(TypeError, match="not supported"):
        ag.ones(2) + np.array(["a", "b"])
    with pytest.raises(TypeError, match="cannot combine"):
        ag.ones(2) + [1, 2]

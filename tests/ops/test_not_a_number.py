"""Values and gradients where an input is NaN. The numbers are PyTorch 2.13's.

Each case also on the simulated CUDA device, and compiled on many elements, where kernels of their own run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag

F = ag.nn.functional
NAN, INF = math.nan, math.inf
X = [NAN, 1.0, NAN]
BOTH = [0.0, NAN, NAN]
MIXED = [NAN, 1.0, NAN, 0.0, 2.0, 1.0]
LOW, HIGH = [0.0, NAN, NAN, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, NAN, 1.0, 1.0]


def _zeros(x: Any) -> Any:
    return ag.zeros_like(x)


# Name -> function, inputs, and the gradient of each.
CASES: dict[str, tuple[Callable[..., Any], list[list[float]], list[list[float]]]] = {
    "maximum": (ag.maximum, [X, BOTH], [[1, 1, 1]] * 2),
    "minimum": (ag.minimum, [X, BOTH], [[1, 1, 1]] * 2),
    "maximum of a number": (lambda x: ag.maximum(x, _zeros(x)), [X], [[1, 1, 1]]),
    "minimum of a number": (lambda x: ag.minimum(x, _zeros(x)), [X], [[1, 0, 1]]),
    "ties": (ag.maximum, [[1.0, 2.0], [1.0, 1.0]], [[0.5, 1], [0.5, 0]]),
    "max": (lambda x: x.max(), [X], [[0.5, 0, 0.5]]),
    "min": (lambda x: x.min(), [X], [[0.5, 0, 0.5]]),
    "median": (lambda x: x.median(), [X], [[0.5, 0, 0.5]]),
    "nanmedian": (lambda x: x.nanmedian(), [X], [[0, 1, 0]]),
    "amax": (lambda x: x.amax(), [X], [X[:1] * 3]),
    "amin of rows": (lambda x: x.reshape(2, 2).amin(1), [[NAN, 1.0, 2.0, 2.0]], [[NAN, NAN, 0.5, 0.5]]),
    "aminmax": (lambda x: sum(ag.aminmax(x)), [X], [X[:1] * 3]),
    "clamp": (lambda x: x.clamp(0, 1), [X], [[0, 1, 0]]),
    "clamp to NaN": (lambda x: x.clamp(NAN, 1), [[NAN, 1.0, 2.0]], [[0, 0, 0]]),
    "clamp to tensors": (
        lambda x, low, high: x.clamp(low, high),
        [MIXED, LOW, HIGH], [[0, 0, 0, 0, 0, 1], [0] * 6, [0, 0, 0, 0, 1, 0]],
    ),
    "clamp to a least tensor": (
        lambda x, low: x.clamp(min=low), [MIXED, LOW], [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0]],
    ),
    "abs": (ag.abs, [X], [[0, 1, 0]]),
    "l1_loss": (lambda x: F.l1_loss(x, _zeros(x), reduction="sum"), [X], [[0, 1, 0]]),
    "norm 1": (lambda x: x.norm(1), [X], [[0, 1, 0]]),
    "norm inf": (lambda x: x.norm(INF), [X], [[0, 0, 0]]),
    "norm -inf": (lambda x: x.norm(-INF), [X], [[0, 0, 0]]),
    "hardtanh": (F.hardtanh, [[NAN, 0.5, 1.0, INF]], [[1, 1, 0, 0]]),
    "max_pool1d": (lambda x: F.max_pool1d(x.reshape(1, 1, 3), 3), [X], [[0, 0, 1]]),
    "max_pool2d": (lambda x: F.max_pool2d(x.reshape(1, 1, 2, 2), 2), [[NAN, 1.0, NAN, 2.0]], [[0, 0, 1, 0]]),
}  # fmt: skip


def _same(found: Any, expected: list[float]) -> bool:
    return all(a == b or (a != a and b != b) for a, b in zip(found.tolist(), expected, strict=True))


@pytest.mark.parametrize("where", ["default", "simulated"])
@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str, where: str, device: str) -> None:
    if where == "simulated" and device != "cpu":
        pytest.skip("the run is on another device than the CPU")
    function, inputs, expected = CASES[name]
    with ag.device(device if where == "default" else where):
        given = [ag.tensor(x, requires_grad=True) for x in inputs]
        function(*given).sum().backward()
    for x, gradient in zip(given, expected):
        assert _same(x.grad, gradient), x.grad


ELEMENTWISE = [
    "maximum", "minimum", "ties", "clamp", "clamp to NaN", "clamp to tensors", "clamp to a least tensor", "abs", "hardtanh"
]  # fmt: skip


@pytest.mark.parametrize("repeats", [1, 2000])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradients_in_compiled_loops(name: str, repeats: int) -> None:
    function, inputs, expected = CASES[name]

    @ag.compile
    def step(*given: Any) -> Any:
        return ag.autograd.grad((function(*[x * 1 for x in given]) * 2).sum(), given)

    given = [ag.tensor(x * repeats, requires_grad=True) for x in inputs]
    for _ in range(2):
        for found, gradient in zip(step(*given), expected):
            assert _same(found, [2 * g for g in gradient * repeats]), name


@pytest.mark.parametrize("repeats", [1, 1000, 20000])
def test_the_sign_of_nan_is_0(repeats: int) -> None:
    x = ag.tensor([NAN, -2.0, 3.0, -0.0] * repeats)
    assert ag.sign(x).tolist() == [0.0, -1.0, 1.0, 0.0] * repeats
    assert ag.sign(x.half()).tolist() == ag.sgn(x).tolist() == ag.sign(x).tolist()
    assert ag.sign(ag.tensor([-3, 0, 5])).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("where", ["default", "simulated"])
def test_pools_give_the_place_of_the_last_nan(where: str, device: str) -> None:
    if where == "simulated" and device != "cpu":
        pytest.skip("the run is on another device than the CPU")
    with ag.device(device if where == "default" else where):
        x = ag.tensor([[[1.0, 2.0, NAN, 3.0, NAN, 4.0, NAN, NAN, NAN]]])
        assert F.max_pool1d(x, 3, return_indices=True)[1].tolist() == [[[2, 4, 8]]]
        assert F.max_pool2d(x[:, :, :8].reshape(1, 1, 2, 4), 2, return_indices=True)[1].tolist() == [[[[4, 7]]]]

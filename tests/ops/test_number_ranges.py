"""Python numbers that the integer dtype of the tensor beside them cannot hold, and bools in differences."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag

RESULTS: tuple[tuple[str, Callable[[Any], Any], str, Any], ...] = (
    # Sums, products and bits wrap, as in PyTorch.
    ("u + -1", lambda x: x + (-1), "uint8", 2),
    ("u - -1", lambda x: x - (-1), "uint8", 4),
    ("u * -1", lambda x: x * (-1), "uint8", 253),
    ("u + 300", lambda x: x + 300, "uint8", 47),
    ("300 - u", lambda x: 300 - x, "uint8", 41),
    ("u // 300", lambda x: x // 300, "uint8", 0),
    ("u % 300", lambda x: x % 300, "uint8", 3),
    ("300 ** u", lambda x: 300**x, "uint8", 192),
    ("u | -1", lambda x: x | -1, "uint8", 255),
    ("add(u, 1, alpha=-1)", lambda x: ag.add(x, 1, alpha=-1), "uint8", 2),
    ("add_", lambda x: x.clone().add_(-1), "uint8", 2),
    ("clamp", lambda x: x.clamp(-1, 5), "uint8", 5),
    ("i8 + 200", lambda x: x + 200, "int8", -53),
    ("i8 & 255", lambda x: x & 255, "int8", 3),
    ("i32 + 2^31", lambda x: x + 2**31, "int32", -2147483645),
    ("i64 + 2^63", lambda x: x + 2**63, "int64", -9223372036854775805),
    # Quotients and comparisons are those of the number itself.
    ("u / -2", lambda x: x / -2, "uint8", -1.5),
    ("i8 / 300", lambda x: x / 300, "int8", pytest.approx(0.01)),
    ("300 / i8", lambda x: 300 / x, "int8", 100.0),
    ("u == -1", lambda x: x == -1, "uint8", False),
    ("u != 300", lambda x: x != 300, "uint8", True),
    ("u < 300", lambda x: x < 300, "uint8", True),
    ("u >= -1", lambda x: x >= -1, "uint8", True),
    ("-1 > u", lambda x: -1 > x, "uint8", False),
    ("i32 > 2^40", lambda x: x > 2**40, "int32", False),
    ("i64 < 2^70", lambda x: x < 2**70, "int64", True),
)


@pytest.mark.parametrize("where", ["default", "simulated"])
@pytest.mark.parametrize(("name", "function", "dtype", "expected"), RESULTS, ids=[r[0] for r in RESULTS])
def test_numbers_beyond_the_range(
    name: str, function: Callable[[Any], Any], dtype: str, expected: Any, where: str, device: str
) -> None:
    if where == "simulated" and device != "cpu":
        pytest.skip("the run is on another device than the CPU")
    x = ag.tensor([3], dtype=getattr(ag, dtype), device=device if where == "default" else where)
    for _ in range(2):  # The constant is kept after the first call.
        found = function(x)
        assert found.tolist() == [expected]
        wanted = {bool: ag.bool, int: x.dtype}.get(type(expected), ag.float32)
        assert found.dtype is wanted, name


def test_bounds_exponents_and_numbers_of_more_than_64_bits_do_not_wrap() -> None:
    x = ag.tensor([3], dtype=ag.uint8)
    for call in (lambda: x.clamp(max=300), lambda: x**300, lambda: x + 2**64, lambda: x.long() - 2**65):
        with pytest.raises(RuntimeError, match=r"does not fit|cannot be converted"):
            call()


@pytest.mark.parametrize("call", [operator.sub, ag.sub, ag.subtract, ag.rsub, operator.isub])
def test_differences_with_bools_are_refused(call: Callable[[Any, Any], Any]) -> None:
    mask = ag.tensor([True])
    for x, y in ((ag.ones(1), True), (ag.ones(1), mask), (mask, ag.ones(1)), (mask, mask), (mask, 1), (mask, False)):
        with pytest.raises(RuntimeError, match="logical_xor"):
            call(x, y)
    for number in (True, 1, 2.5):
        with pytest.raises(RuntimeError, match="logical_xor"):
            number - mask
    with pytest.raises(RuntimeError, match="logical_xor"):
        True - ag.ones(1)
    assert (ag.ones(1) + True).tolist() == [2.0]


def test_inverting_floats_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="logical_not"):
        ~ag.ones(1)
    assert (~ag.tensor([True, False])).tolist() == [False, True]

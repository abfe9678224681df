"""Dtypes of results, by PyTorch's documented promotion; written out, so that it needs no PyTorch."""

from __future__ import annotations

import math
from typing import Any

import pytest

import autograd_core as ag

I32, I64, U8, I8 = (ag.ones(2, dtype=d) for d in (ag.int32, ag.int64, ag.uint8, ag.int8))
B, F16, F32, F64 = (ag.ones(2, dtype=d) for d in (ag.bool_, ag.float16, ag.float32, ag.float64))
ZERO_F64, ZERO_I64 = ag.tensor(1.0, dtype=ag.float64), ag.tensor(1)

RESULTS: list[tuple[str, Any, ag.dtype]] = [
    ("int32 + int64", lambda: I32 + I64, ag.int64),
    ("uint8 + int8", lambda: U8 + I8, ag.int16),
    ("int64 + float16", lambda: I64 + F16, ag.float16),
    ("float16 + float32", lambda: F16 + F32, ag.float32),
    ("bool + bool", lambda: B + B, ag.bool_),
    ("bool + int8", lambda: B + I8, ag.int8),
    ("a 0-d float64 does not widen float32", lambda: F32 + ZERO_F64, ag.float32),
    ("a 0-d float64 makes an integer tensor float64", lambda: I32 + ZERO_F64, ag.float64),
    ("a 0-d int64 does not widen int8", lambda: I8 + ZERO_I64, ag.int8),
    ("a Python float makes integers the default float", lambda: I64 + 1.5, ag.float32),
    ("a Python float does not widen float16", lambda: F16 * 2.5, ag.float16),
    ("a Python int keeps uint8", lambda: U8 + 1, ag.uint8),
    ("a Python int makes bool int64", lambda: B + 1, ag.int64),
    ("integers divide to the default float", lambda: I32 / I32, ag.float32),
    ("floor division keeps integers", lambda: I32 // I32, ag.int32),
    ("exp of integers", lambda: I64.exp(), ag.float32),
    ("sum of int32", lambda: I32.sum(), ag.int64),
    ("sum of bools", lambda: B.sum(), ag.int64),
    ("sum with a dtype", lambda: F32.sum(dtype=ag.float64), ag.float64),
    ("comparison", lambda: F64 < I32, ag.bool_),
    ("where of float32 and int64", lambda: ag.where(B, F32, I64), ag.float32),
    ("cat of int64 and float16", lambda: ag.cat([I64, F16]), ag.float16),
    ("arange of ints", lambda: ag.arange(3), ag.int64),
    ("arange of floats", lambda: ag.arange(0.0, 3.0), ag.float32),
    ("a list of bools", lambda: ag.tensor([True]), ag.bool_),
    ("argmax", lambda: F16.argmax(), ag.int64),
]


@pytest.mark.parametrize(("call", "expected"), [row[1:] for row in RESULTS], ids=[row[0] for row in RESULTS])
@pytest.mark.host("the tensors above are made at import")
def test_dtype_of_the_result(call: Any, expected: ag.dtype) -> None:
    assert call().dtype is expected


REFUSED: list[tuple[str, Any]] = [
    ("mean of integers", lambda: I64.mean()),
    ("bool - bool", lambda: B - B),
    ("integer to a negative power", lambda: I64**-1),
    ("bits of floats", lambda: F32 & F32),
    ("product of float32 and float64", lambda: ag.ones(1, 2) @ ag.ones(2, 1, dtype=ag.float64)),
    ("an integer tensor that requires grad", lambda: ag.ones(2, dtype=ag.int64, requires_grad=True)),
    ("adding a float in place to integers", lambda: ag.ones(2, dtype=ag.int64).add_(1.5)),
]


@pytest.mark.parametrize("call", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
@pytest.mark.host("the tensors above are made at import")
def test_refused(call: Any) -> None:
    with pytest.raises(RuntimeError):
        call()


def test_constants_that_are_kept_are_not_mistaken_for_one_another():
    x = ag.tensor([1.0, 2.0])
    for _ in range(2):
        for number in (0.5, 0.0, -0.0, 1.0, 1, True, 0, False, -0.5, -1.0):
            product = x * number
            assert product.tolist() == [number, 2 * number]
            assert ag.signbit(product).tolist() == [math.copysign(1, number) < 0] * 2
        assert (x * math.nan).isnan().all() and (ag.tensor([1]) * 0.5).dtype is ag.float32
        assert (ag.tensor([1]) * 0).dtype is ag.int64 and (ag.tensor([True]) & False).dtype is ag.bool

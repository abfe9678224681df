"""`FloatTensor` and its kin, and `Tensor.type`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag

NAMES = {
    "HalfTensor": ag.float16, "FloatTensor": ag.float32, "DoubleTensor": ag.float64, "ByteTensor": ag.uint8,
    "CharTensor": ag.int8, "ShortTensor": ag.int16, "IntTensor": ag.int32, "LongTensor": ag.int64, "BoolTensor": ag.bool_,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_type(name: str) -> None:
    kind = getattr(ag, name)
    made = kind([1, 0])
    assert made.dtype is NAMES[name] and made.tolist() == [1, 0] and made.device.type == "cpu"
    assert isinstance(made, kind) and made.type() == f"torch.{name}"
    assert (
        ag.ones(2, device="cpu").type(kind).dtype is ag.ones(2, device="cpu").type(f"torch.{name}").dtype is NAMES[name]
    )
    assert sum(isinstance(made, getattr(ag, other)) for other in NAMES) == 1


def test_constructors() -> None:
    assert ag.FloatTensor(2, 3).shape == (2, 3) and ag.FloatTensor().shape == (0,) and ag.FloatTensor(4).shape == (4,)
    assert ag.FloatTensor(ag.Size([2, 2])).shape == (2, 2) and ag.FloatTensor((2, 3)).tolist() == [2.0, 3.0]
    assert ag.LongTensor([1.7, 2]).tolist() == [1, 2] and ag.FloatTensor(np.ones(2)).dtype is ag.float32
    x = ag.ones(2, device="cpu")
    ag.FloatTensor(x)[0] = 5
    assert x.tolist() == [5, 1]
    with ag.device("cpu"):
        assert ag.FloatTensor([1.0], device="cpu").tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ag.FloatTensor(2.5), TypeError, "data must be a sequence"),
        (
            lambda: ag.FloatTensor(ag.ones(2, dtype=ag.int64, device="cpu")),
            TypeError,
            "expected a tensor of ag.float32",
        ),
        (lambda: ag.FloatTensor([1], device="cuda"), RuntimeError, "expects device type cpu"),
        (lambda: ag.ones(2).type("Foo"), ValueError, "invalid type: 'Foo'"),
        (lambda: ag.ones(2).type("foo.FloatTensor"), ValueError, "invalid type"),
        (lambda: ag.cuda.ComplexTensor, AttributeError, "ComplexTensor"),
    ],
)
def test_mistakes(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_on_cuda(device: str) -> None:
    assert not isinstance(ag.ones(2, device="cpu"), ag.cuda.FloatTensor)
    if device == "cuda":
        made = ag.cuda.FloatTensor([1, 2])
        assert made.type() == "torch.cuda.FloatTensor" and isinstance(made, ag.cuda.FloatTensor)
        assert made.type("torch.FloatTensor").device.type == "cpu" and made.type(ag.float64).device.type == "cuda"
        assert ag.ones(1, device="cpu").type(ag.cuda.LongTensor).type() == "torch.cuda.LongTensor"

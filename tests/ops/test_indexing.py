"""Indexing where PyTorch's reading of an index or a value is easily missed."""

from typing import Any

import numpy as np
import pytest

import autograd_core as ag

INDICES: list[tuple[str, Any, Any]] = [
    ("a byte of NumPy's", np.uint8(2), 2),
    ("a byte of NumPy's behind another", (1, np.uint8(2)), (1, 2)),
    ("a number of NumPy's", np.int64(-1), -1),
    ("a list of lists is one index, as in NumPy", [[0, 1], [1, 2]], ag.tensor([[0, 1], [1, 2]])),
    ("a list of tensors, too", [ag.tensor([0, 1]), ag.tensor([1, 2])], ag.tensor([[0, 1], [1, 2]])),
]


@pytest.mark.parametrize(("index", "plain"), [case[1:] for case in INDICES], ids=[case[0] for case in INDICES])
def test_what_an_index_means(index: Any, plain: Any) -> None:
    x = ag.arange(20.0).reshape(4, 5)
    assert x[index].shape == x[plain].shape and ag.equal(x[index], x[plain])
    written, expected = x.clone(), x.clone()
    written[index] = expected[plain] = -1.0
    assert ag.equal(written, expected)


def test_a_list_of_numbers_is_an_index() -> None:
    x = ag.arange(20.0).reshape(4, 5)
    assert x[[0, 2]].shape == (2, 5) and x[[True, False, False, True]].shape == (2, 5)


WRITES: dict[str, Any] = {
    "fill_": lambda x, value: x.fill_(value),
    "a whole": lambda x, value: x.__setitem__(slice(None), value),
    "an int": lambda x, value: x.__setitem__(0, value),
    "a tensor": lambda x, value: x.__setitem__(ag.tensor([0]), value),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (ag.int64, float("inf")),
        (ag.int32, float("nan")),
        (ag.int64, np.float32("nan")),
        (ag.uint8, 300),
        (ag.int8, -129),
        (ag.int64, 2**63),
    ],
)
def test_a_number_that_an_integer_cannot_hold_is_not_written(write: str, dtype: Any, value: Any) -> None:
    x = ag.tensor([3, 4], dtype=dtype)
    with pytest.raises(RuntimeError, match="cannot be converted to ag.* without overflow"):
        WRITES[write](x, value)
    assert x.tolist() == [3, 4]


@pytest.mark.parametrize("write", WRITES)
def test_bytes_wrap_and_fractions_are_cut(write: str) -> None:
    for dtype, value, expected in ((ag.uint8, -1, 255), (ag.int64, -2.7, -2), (ag.bool, float("nan"), True)):
        x = ag.zeros(2, dtype=dtype)
        WRITES[write](x, value)
        assert x[0].item() == expected


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda x: x.fill_(x[1]), [1.0, 1.0, 1.0]),
        (lambda x: x.__setitem__(slice(None), x[1]), [1.0, 1.0, 1.0]),
        (lambda x: x.masked_fill_(x > 1, x[1]), [0.0, 1.0, 1.0]),
        (lambda x: x.index_fill_(0, ag.tensor([0, 2]), x[1]), [1.0, 1.0, 1.0]),
    ],
)
@pytest.mark.parametrize("grad", [False, True])
def test_a_number_of_the_tensor_itself_is_read_first(write: Any, expected: list[float], grad: bool) -> None:
    leaf = ag.arange(3.0).requires_grad_(grad)
    x = leaf * 1
    write(x)
    assert x.tolist() == expected
    if grad:
        x.sum().backward()
        assert leaf.grad is not None and leaf.grad.sum().item() == 3.0

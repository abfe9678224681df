"""Orders of memory: strides, values and gradients of what takes `memory_format`."""

import pytest

import autograd_core as ag

LAST = (60, 1, 15, 3)  # Strides of (2, 3, 4, 5) with the channels last.
WAYS = {
    "contiguous": lambda x: x.contiguous(memory_format=ag.channels_last),
    "to": lambda x: x.to(memory_format=ag.channels_last),
    "to with dtype": lambda x: x.to(ag.float32, memory_format=ag.channels_last),
    "clone": lambda x: x.clone(memory_format=ag.channels_last),
    "float": lambda x: x.float(memory_format=ag.channels_last),
}


@pytest.mark.parametrize("way", WAYS)
def test_channels_last(way: str) -> None:
    x = ag.arange(120.0).reshape(2, 3, 4, 5).requires_grad_()
    y = WAYS[way](x)
    assert y.stride() == LAST and y.tolist() == x.tolist()
    (y * ag.arange(120.0).reshape(2, 3, 4, 5)).sum().backward()
    assert x.grad.flatten().tolist() == list(range(120))


def test_volumes_and_back() -> None:
    x = ag.arange(48).reshape(1, 2, 2, 3, 4)
    y = x.contiguous(memory_format=ag.channels_last_3d)
    assert y.stride() == (48, 1, 24, 8, 2) and y.contiguous(memory_format=ag.channels_last_3d) is y
    assert y.contiguous().stride() == x.stride() and y.contiguous().tolist() == x.tolist()
    assert y.to(memory_format=ag.preserve_format) is y
    assert x.contiguous(memory_format=ag.contiguous_format) is x


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ag.zeros(2, 3).contiguous(memory_format=ag.channels_last), RuntimeError, "4 dimensions.*(2, 3)"),
        (lambda: ag.zeros(2, 3).to(memory_format="channels_last"), TypeError, "ag.contiguous_format"),
    ],
)
def test_mistakes(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("(", r"\(").replace(")", r"\)")):
        call()

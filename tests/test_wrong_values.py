"""Values that make no sense are refused, as PyTorch refuses them, and nothing is spoilt by them."""

import re
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import distributions, nn
from autograd_core.nn import functional as F


class Triple(ag.autograd.Function):
    """Changes its input in place."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(3)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 3


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "an event of another shape": (
        lambda: distributions.Dirichlet(ag.ones(3)).log_prob(ag.ones(5, 1)),
        ValueError, "ends in the event shape (3,), got (5, 1)",
    ),
    "a number in place of an event": (
        lambda: distributions.MultivariateNormal(ag.zeros(2), ag.eye(2)).log_prob(ag.tensor(1.0)),
        ValueError, "ends in the event shape (2,), got ()",
    ),
    "one-hot of one": (
        lambda: distributions.OneHotCategorical(ag.ones(3) / 3).log_prob(ag.ones(1)),
        ValueError, "ends in the event shape (3,), got (1,)",
    ),
    "another batch": (
        lambda: distributions.Normal(ag.zeros(3), 1.0).log_prob(ag.ones(4)),
        ValueError, "(4,) cannot be broadcast with the batch shape (3,)",
    ),
    "a diagonal of what is not square": (
        lambda: ag.einsum("iij->j", ag.ones(2, 3, 4)),
        RuntimeError, "label 'i' is repeated for one operand with sizes 2 and 3",
    ),
    "a diagonal that would broadcast": (
        lambda: ag.einsum("ii->i", ag.ones(1, 3)), RuntimeError, "is repeated for one operand with sizes 1 and 3"
    ),
    "labels that are no numbers": (
        lambda: ag.einsum(ag.ones(2), ["a"]), RuntimeError, "a list of numbers from 0 to 51 or ..., got ['a']"
    ),
    "a label of 52": (lambda: ag.einsum(ag.ones(2), [52]), RuntimeError, "from 0 to 51"),
    "more numbers than bytes": (
        lambda: ag.randperm(257, dtype=ag.uint8), RuntimeError, "ag.uint8 does not hold the 257 numbers from 0 to 256"
    ),
    "more numbers than float16 counts": (lambda: ag.randperm(2050, dtype=ag.float16), RuntimeError, "does not hold"),
    "negative deviations": (lambda: ag.normal(ag.zeros(2), -ag.ones(2)), RuntimeError, "deviations of at least 0"),
    "a negative deviation": (lambda: ag.normal(ag.zeros(2), -1.0), RuntimeError, "deviations of at least 0"),
    "a probability of 1.5": (lambda: ag.bernoulli(ag.tensor([0.5, 1.5])), RuntimeError, "probabilities from 0 to 1"),
    "a probability that is NaN": (lambda: ag.bernoulli(ag.tensor([ag.nan])), RuntimeError, "probabilities from 0 to 1"),
    "a generator that is none": (lambda: ag.rand(3, generator=3), TypeError, "expected an ag.Generator, got int"),
    "dropout of integers": (lambda: nn.Dropout()(ag.arange(3)), NotImplementedError, "dropout is not implemented for"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    call, error, words = REFUSED[case]
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_taken() -> None:
    assert sorted(ag.randperm(256, dtype=ag.uint8).tolist()) == list(range(256))
    assert sorted(ag.randperm(2049, dtype=ag.float16).tolist()) == list(range(2049))
    assert ag.randperm(0, dtype=ag.uint8).shape == (0,)
    assert ag.normal(0.0, ag.zeros(2)).tolist() == [0.0, 0.0]
    assert ag.bernoulli(ag.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert nn.Dropout().eval()(ag.arange(3)).tolist() == [0, 1, 2]
    assert distributions.Normal(ag.zeros(3), 1.0).log_prob(ag.ones(4, 1)).shape == (4, 3)
    x, y = ag.randn(2, 3, 4), ag.randn(4, 5)
    assert ag.equal(ag.einsum(x, [..., 7], y, [7, 30], [..., 30]), x @ y)
    assert ag.equal(ag.einsum(x, [2, 1, 0]), x.permute(2, 1, 0))


def test_a_leaf_is_not_changed_into_a_result() -> None:
    x = ag.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Triple: a leaf that requires grad was changed in place"):
        Triple.apply(x)
    assert x.is_leaf
    assert Triple.apply(x * 1).tolist() == Triple.apply(ag.full((2,), 3.0)).tolist() == [9.0, 9.0]


def test_attention_without_keys_is_zero() -> None:
    q, k = ag.ones(2, 4, 5), ag.ones(2, 0, 5)
    for mask in (ag.ones(4, 1, dtype=ag.bool), ag.ones(4, 0, dtype=ag.bool), ag.zeros(1, 1)):
        assert F.scaled_dot_product_attention(q, k, k, attn_mask=mask).tolist() == ag.zeros(2, 4, 5).tolist()


def test_cumulative_batch_norm() -> None:
    layer = nn.BatchNorm1d(2, momentum=None)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(ag.ones(1, 2))
    assert layer.running_mean.tolist() == [0, 0] and layer.running_var.tolist() == [1, 1]
    layer.reset_running_stats()
    batches = [ag.randn(8, 2), ag.randn(8, 2)]
    for x in batches:
        layer(x)
    for running, each in (
        (layer.running_mean, [x.mean(0) for x in batches]), (layer.running_var, [x.var(0) for x in batches]),
    ):  # fmt: skip
        assert ag.allclose(running, ag.stack(each).mean(0), atol=1e-6)
    before = layer.running_var.clone()
    layer(ag.ones(0, 2))
    assert ag.equal(layer.running_var, before)
    layer.reset_running_stats()
    layer((ag.randn(64, 2) * 400 + 100).half())
    assert layer.running_var.isfinite().all()


def test_a_dict_of_parameters_has_pytorchs_order() -> None:
    names = {"z": ag.ones(1), "a": ag.ones(1)}
    assert list(nn.ParameterDict(names)) == ["a", "z"]
    assert list(nn.ParameterDict(names.items())) == ["z", "a"]


def test_packed_sequences_convert() -> None:
    packed = nn.utils.rnn.pack_sequence([ag.ones(2), ag.ones(1)])
    assert packed.double().data.dtype is ag.float64 and packed.half().float().data.dtype is ag.float32
    assert packed.cpu().data.is_cpu and not packed.cpu().is_cuda

"""Attention and the transformer's layers beside PyTorch's, with all masks; and bad input."""

from collections.abc import Callable
from typing import Any

import pytest
from test_layers import assert_close
from test_recurrent import compare_gradients, flat, same_text_and_state

import autograd_core as ag
from autograd_core import nn


def both(torch: Any, *shape: int) -> tuple[Any, Any]:
    """The same random leaf, here and in PyTorch."""
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    return ag.tensor(x.detach().numpy(), requires_grad=True), x


def compare(torch: Any, b: Any, y: Any, pairs: list[Any], mine: Any = None, theirs: Any = None) -> None:
    for v, w in zip(flat(b), flat(y), strict=True):
        assert_close(torch, v, w, "output", "float64")
    sum((w * w).sum() for w in flat(y)).backward()
    sum((v * v).sum() for v in flat(b)).backward()
    if mine is not None:
        compare_gradients(torch, mine, theirs, pairs)
    for i, (a, x) in enumerate(pairs):
        assert_close(torch, a.grad, x.grad, f"gradient of input {i}", "float64")


# name, what is called with F, query, key, value and the converter of a constant, shapes
ATTENTION: list[tuple[str, Callable[..., Any], tuple[tuple[int, ...], ...]]] = [
    ("plain", lambda F, q, k, v, c: F.scaled_dot_product_attention(q, k, v),
     ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7))),
    ("causal", lambda F, q, k, v, c: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
     ((2, 5, 4), (2, 6, 4), (2, 6, 4))),
    ("no batch", lambda F, q, k, v, c: F.scaled_dot_product_attention(q, k, v), ((5, 4), (6, 4), (6, 4))),
    ("bool mask, one row all hidden", lambda F, q, k, v, c: F.scaled_dot_product_attention(q, k, v, c("bool")),
     ((2, 3, 4, 4), (2, 3, 5, 4), (2, 3, 5, 4))),
    ("added mask", lambda F, q, k, v, c: F.scaled_dot_product_attention(q, k, v, c("float")),
     ((2, 3, 4, 4), (2, 3, 5, 4), (2, 3, 5, 4))),
    ("grouped", lambda F, q, k, v, c: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
     ((2, 4, 5, 4), (2, 2, 6, 4), (2, 2, 6, 4))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call", "shapes"), ATTENTION, ids=[a[0] for a in ATTENTION])
def test_attention_equals_pytorchs(name: str, call: Callable[..., Any], shapes: tuple[tuple[int, ...], ...]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    constants = {"bool": torch.rand(4, 5) > 0.4, "float": torch.randn(2, 1, 4, 5, dtype=torch.float64)}
    constants["bool"][1] = False
    pairs = [both(torch, *shape) for shape in shapes]
    b = call(nn.functional, *(a for a, _ in pairs), lambda key: ag.tensor(constants[key].numpy()))
    y = call(torch.nn.functional, *(x for _, x in pairs), constants.__getitem__)
    compare(torch, b, y, pairs)


MASKS = ["none", "causal", "bool", "float", "padding", "all heads and padding"]


def masks(torch: Any, kind: str, n: int, heads: int, length: int) -> tuple[dict[str, Any], dict[str, Any]]:
    given: dict[str, Any] = {}
    if kind in ("causal", "float"):
        given["attn_mask"] = torch.nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)
        if kind == "causal":
            given["is_causal"] = True
        else:
            given["attn_mask"] = given["attn_mask"] + 0.5
    if kind == "bool":
        given["attn_mask"] = torch.ones(length, length, dtype=torch.bool).triu(1)
    if "heads" in kind:
        given["attn_mask"] = torch.rand(n * heads, length, length) > 0.8
    if "padding" in kind:
        given["key_padding_mask"] = torch.zeros(n, length, dtype=torch.bool)
        given["key_padding_mask"][1, 2:] = True
    converted = {k: ag.tensor(v.numpy()) if isinstance(v, torch.Tensor) else v for k, v in given.items()}
    return converted, given


MULTIHEAD: list[tuple[str, Callable[[Any], Any]]] = [
    ("plain", lambda nn: nn.MultiheadAttention(6, 2)),
    ("batch first, all", lambda nn: nn.MultiheadAttention(6, 3, 0.0, False, True, True, batch_first=True)),
]


@pytest.mark.parametrize(("name", "make"), MULTIHEAD, ids=[m[0] for m in MULTIHEAD])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_multihead_self_attention_equals_pytorchs(name: str, make: Callable[[Any], Any], kind: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    theirs, mine = make(torch.nn).double(), make(nn).double()
    same_text_and_state(mine, theirs)
    a, x = both(torch, *((2, 4, 6) if theirs.batch_first else (4, 2, 6)))
    ours, given = masks(torch, kind, 2, theirs.num_heads, 4)
    compare(torch, mine(a, a, a, **ours), theirs(x, x, x, **given), [(a, x)], mine, theirs)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("sizes", [{}, {"kdim": 3, "vdim": 5}])
@pytest.mark.parametrize("options", [{"average_attn_weights": False}, {"need_weights": False}])
def test_multihead_attention_to_others(single: bool, sizes: dict[str, int], options: dict[str, bool]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    theirs, mine = torch.nn.MultiheadAttention(6, 2, **sizes).double(), nn.MultiheadAttention(6, 2, **sizes).double()
    same_text_and_state(mine, theirs)
    lead = ((4,), (5,), (5,)) if single else ((4, 2), (5, 2), (5, 2))
    last = (6, sizes.get("kdim", 6), sizes.get("vdim", 6))
    pairs = [both(torch, *shape, size) for shape, size in zip(lead, last)]
    b, y = mine(*(a for a, _ in pairs), **options), theirs(*(x for _, x in pairs), **options)
    compare(torch, b, y, pairs, mine, theirs)


ENCODERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("layer", lambda nn: nn.TransformerEncoderLayer(6, 2, 8, 0.0)),
    ("layer norm first", lambda nn: nn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", 1e-3, True, True, False)),
    ("stack", lambda nn: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True), 2, nn.LayerNorm(6), enable_nested_tensor=False)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), ENCODERS, ids=[e[0] for e in ENCODERS])
@pytest.mark.parametrize("kind", ["none", "causal", "padding"])
def test_encoder_equals_pytorchs(name: str, make: Callable[[Any], Any], kind: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    theirs, mine = make(torch.nn).double(), make(nn).double()
    same_text_and_state(mine, theirs)
    a, x = both(torch, *((4, 2, 6) if name == "layer" else (2, 4, 6)))
    ours, given = masks(torch, kind, 2, 2, 4)
    for options in (ours, given):
        options["mask" if name == "stack" else "src_mask"] = options.pop("attn_mask", None)
        options["src_key_padding_mask"] = options.pop("key_padding_mask", None)
    compare(torch, mine(a, **ours), theirs(x, **given), [(a, x)], mine, theirs)


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_equals_pytorchs(norm_first: bool) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    options = (6, 2, 1, 2, 8, 0.0)
    theirs = torch.nn.Transformer(*options, norm_first=norm_first).double()
    mine = nn.Transformer(*options, norm_first=norm_first).double()
    assert [n for n, _ in mine.named_modules()] == [n for n, _ in theirs.named_modules()]
    same_text_and_state(mine, theirs)
    pairs = [both(torch, 5, 2, 6), both(torch, 4, 2, 6)]
    causal = nn.Transformer.generate_square_subsequent_mask(4)
    expected = torch.nn.Transformer.generate_square_subsequent_mask(4)
    assert_close(torch, causal, expected, "causal mask", "float32")
    b = mine(*(a for a, _ in pairs), tgt_mask=causal.double(), tgt_is_causal=True)
    compare(
        torch, b, theirs(*(x for _, x in pairs), tgt_mask=expected.double(), tgt_is_causal=True), pairs, mine, theirs
    )


def test_a_query_that_sees_nothing_gets_zeros_and_no_nan_gradient() -> None:
    q, k, v = (ag.randn(3, 2).requires_grad_() for _ in range(3))
    mask = ag.tensor([[True, True, False], [False, False, False], [True, False, False]])
    y = nn.functional.scaled_dot_product_attention(q, k, v, mask)
    assert y[1].tolist() == [0.0, 0.0]
    assert y[2].tolist() == v[0].tolist()
    y.sum().backward()
    assert all(t.grad.isfinite().all().item() for t in (q, k, v))


def test_dropped_weights_are_scaled() -> None:
    ag.manual_seed(0)
    q = ag.zeros(200, 4)
    y = nn.functional.scaled_dot_product_attention(q, q[:50], ag.ones(50, 1), dropout_p=0.5)
    assert abs(y.mean().item() - 1.0) < 0.05
    assert y.std().item() > 0.05


def test_gradients_of_gradients() -> None:
    ag.manual_seed(0)
    q, k, v = (ag.randn(2, 3, 4, dtype=ag.float64).requires_grad_() for _ in range(3))
    attend = nn.functional.scaled_dot_product_attention
    assert ag.autograd.gradgradcheck(lambda q, k, v: attend(q, k, v, is_causal=True), (q, k, v))


def attend(*shapes: tuple[int, ...], **options: Any) -> Any:
    return nn.functional.scaled_dot_product_attention(*(ag.zeros(*shape) for shape in shapes), **options)


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: attend((3, 4), (3, 5), (3, 4)), RuntimeError, ("(3, 4)", "(3, 5)", "last size")),
    (lambda: attend((3, 4), (3, 4), (3, 4), is_causal=True, attn_mask=ag.zeros(3, 3)), RuntimeError, ("is_causal",)),
    (lambda: attend((3, 4), (3, 4), (3, 4), attn_mask=ag.zeros(2, 3)), RuntimeError, ("(2, 3)", "(3, 3)")),
    (lambda: attend((3, 4), (3, 4), (3, 4), attn_mask=ag.zeros(3, 3).long()), RuntimeError, ("int64", "bool")),
    (lambda: attend((1, 3, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), enable_gqa=True), RuntimeError, ("multiple",)),
    (lambda: nn.MultiheadAttention(5, 2), AssertionError, ("divisible", "5")),
    (lambda: nn.MultiheadAttention(0, 2), ValueError, ("greater than 0",)),
    (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(3, 1, 6)] * 3), AssertionError, ("last size 4", "(3, 1, 6)")),
    (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(3, 1, 4)] * 3, is_causal=True), RuntimeError, ("attn_mask",)),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), RuntimeError, ("relu/gelu", "tanh")),
    (lambda: nn.Transformer(4, 2, 1, 1, 4)(ag.zeros(3, 2, 4), ag.zeros(3, 1, 4)), RuntimeError, ("batch number",)),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "parts"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)

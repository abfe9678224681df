"""Attention: one primitive, or where the weights are wanted, products, a softmax and masks."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import Any

from autograd_core import dtypes
from autograd_core.ops.checks import composite, require_same
from autograd_core.ops.creation import ones, zeros
from autograd_core.ops.dropout import dropout
from autograd_core.ops.joining import cat, chunk
from autograd_core.ops.linear import linear
from autograd_core.ops.padding import pad
from autograd_core.primitive import V, edge_of, primitive
from autograd_core.tensor import Tensor

_F: Any = V
_FLOAT32 = dtypes.float32.native


def _attention_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    q, k, v, mask, y, logsum = ctx.saved
    gradients = F.attention_backward(g, q, k, v, mask, y, logsum, *ctx.params)
    return (*[None if edge is None else gradient for edge, gradient in zip(ctx.inputs, gradients)], None)


_attention = primitive("attention", _attention_rule, inputs=4, saves=(0, 1, 2, 3), saves_output=True, extras=1)


@composite
def attention_backward(
    g: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, y: Any, logsum: Any, causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What the backend's kernel of this name returns, from primitives; the weights are computed once more."""
    weights = _weights(q, k, mask, causal, scale)
    slope = _F.softmax_backward(_F.matmul(g, v.transpose(-2, -1)), weights, weights.ndim - 1)
    slope = _F.mul(slope, scale)
    return (
        _F.matmul(slope, k),
        _F.matmul(slope.transpose(-2, -1), q),
        _F.matmul(weights.transpose(-2, -1), g),
    )


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale query key^T + mask) value (Vaswani et al., "Attention is all you need", 2017).

    query: (*, L, E), key: (*, S, E), value: (*, S, Ev); scale: 1 / sqrt(E) unless given. attn_mask: broadcastable to
    (*, L, S), True where a query may look, or numbers added to the scores; `is_causal`: query i looks at keys up to i.
    A query that may look nowhere gets zeros. `dropout_p` drops weights, also in evaluation. `enable_gqa`: heads
    (dimension -3) of query are a multiple of those of key and value. Returns (*, L, Ev). Raises `RuntimeError` for
    shapes, dtypes or devices that do not fit, or a mask beside `is_causal`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.scaled_dot_product_attention(ag.zeros(1, 2), ag.zeros(2, 2), ag.tensor([[1.0], [3.0]]))
    tensor([[2.]])
    """
    return _attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa, False)[0]


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
    need_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    """The attention's result, and its weights, if they are needed."""
    name = "scaled_dot_product_attention"
    require_same(name, query=query, key=key, value=value)
    if query._data.dtype.itemsize == 2:  # Computed in float32, rounded once.
        q, k, v = (_F.cast(t, _FLOAT32) for t in (query, key, value))
        added = mask is not None and mask._data.dtype.kind == "f"
        wide = _F.cast(mask, _FLOAT32) if added else mask
        y, weights = _attend(q, k, v, wide, dropout_p, is_causal, scale, enable_gqa, need_weights)
        return y.to(query.dtype), None if weights is None else weights.to(query.dtype)
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(f"{name}: expected query, key and value of at least 2 dimensions, got {shapes}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"{name}: expected query (*, L, E), key (*, S, E), value (*, S, Ev), got {shapes}; query and key must "
            "agree in the last size, key and value in the last but one"
        )
    if is_causal and mask is not None:
        raise RuntimeError(f"{name}: explicit attn_mask should not be set when is_causal=True; leave one out")
    if enable_gqa:
        heads = [t.shape[-3] if t.ndim > 2 else 0 for t in (query, key, value)]
        if not heads[1] or not heads[2] or heads[0] % heads[1] or heads[0] % heads[2]:
            raise RuntimeError(
                f"{name}: enable_gqa asks for query heads a multiple of key and value heads, got {shapes}"
            )
        key = key.repeat_interleave(heads[0] // heads[1], -3)
        value = value.repeat_interleave(heads[0] // heads[2], -3)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None and query.shape[-1] else scale or 0.0
    lead = query.shape[:-2]
    alike = tuple(lead) == tuple(key.shape[:-2]) == tuple(value.shape[:-2]) and query._data.size and key._data.size
    if mask is not None:
        _check_mask(name, mask, query, key, value)
    if alike and not need_weights and not dropout_p and not (mask is not None and _records(mask)):
        return _attention(query, key, value, mask, is_causal, factor), None
    weights = _weights(query, key, mask, is_causal, factor)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return _F.matmul(weights, value), weights


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, factor: float) -> Tensor:
    scores = _F.matmul(_F.mul(query, factor), key.transpose(-2, -1))
    if causal:
        visible = ones(query.shape[-2], key.shape[-2], dtype=_boolean(), device=query.device).tril()
        scores = _F.where(visible, scores, _F.fill(scores, -math.inf))
    return _F.softmax(scores, scores.ndim - 1) if mask is None else _masked_softmax(scores, mask)


def _records(t: Tensor) -> bool:
    return edge_of(t) is not None


def _boolean() -> Any:
    from autograd_core.dtypes import bool_

    return bool_


def _check_mask(name: str, mask: Tensor, query: Tensor, key: Tensor, value: Tensor) -> None:
    if mask._data.dtype.kind not in "bf":
        raise RuntimeError(
            f"{name}: expected attn_mask of dtype ag.bool (True where a query may look) or floating point, got "
            f"{mask.dtype}"
        )
    lead = [max(sizes) for sizes in zip_longest(query.shape[-3::-1], key.shape[-3::-1], fillvalue=1)]
    shape = (*lead[::-1], query.shape[-2], key.shape[-2])
    if mask.ndim > len(shape) or any(a not in (1, b) for a, b in zip(mask.shape[::-1], shape[::-1])):
        raise RuntimeError(f"{name}: attn_mask of shape {tuple(mask.shape)} does not broadcast to the scores, {shape}")


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax of the masked scores, with zeros instead of NaN in a row where all are masked."""
    if mask._data.dtype.kind == "b":
        scores = _F.where(mask, scores, _F.fill(scores, -math.inf))
    else:
        scores = _F.add(scores, _F.cast(mask, scores._data.dtype))
    axis = scores.ndim - 1
    if not scores._data.shape[axis]:
        return scores  # No keys.
    some = _F.gt(_F.amax(scores.detach(), (axis,), True), -math.inf)
    safe = _F.softmax(_F.where(some, scores, _F.fill(scores, 0.0)), axis)
    return _F.where(some, safe, _F.fill(safe, 0.0))


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The function of `nn.MultiheadAttention`, its parameters as arguments.

    query: (L, N, E) or (L, E), key: (S, N, ...), value: (S, N, ...). attn_mask: (L, S) or (N * heads, L, S);
    key_padding_mask: (N, S); in both True (or -inf) hides. `is_causal` says that attn_mask is the causal one, and
    needs it. Returns the output of the query's shape and, if `need_weights`, the weights (N, L, S), or
    (N, heads, L, S) unless `average_attn_weights`. `static_k` and `static_v` raise `NotImplementedError`.

    >>> import autograd_core as ag
    >>> x, eye = ag.ones(2, 1, 1), ag.ones(1, 1)
    >>> ag.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 1, 1, ag.ones(3, 1), None, None, None, False, 0.0, eye, None)[1]
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    name = "multi_head_attention_forward"
    if static_k is not None or static_v is not None:
        raise NotImplementedError(f"{name}: static_k and static_v are not supported; leave them None")
    require_same(name, query=query, key=key, value=value, out_proj_weight=out_proj_weight)
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    single = query.ndim == 2
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise AssertionError(f"{name}: expected query, key and value all 2-D (unbatched) or all 3-D, got {shapes}")
    if single:
        query, key, value = (t.unsqueeze(1) for t in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, n, size = query.shape
    source = key.shape[0]
    if size != embed_dim_to_check or size % num_heads or tuple(key.shape[:2]) != tuple(value.shape[:2]):
        raise AssertionError(
            f"{name}: expected a query of last size {embed_dim_to_check}, divisible by num_heads={num_heads}, and key "
            f"and value of equal length and batch, got {shapes}; see batch_first"
        )
    if key.shape[1] != n:
        raise AssertionError(f"{name}: expected one batch size, got {shapes}; see batch_first")
    if is_causal and attn_mask is None:
        raise RuntimeError(f"{name}: need attn_mask if specifying the is_causal hint")
    hide = _merge_masks(name, attn_mask, key_padding_mask, (n, num_heads, length, source), query)

    biases = (None,) * 3 if in_proj_bias is None else chunk(in_proj_bias, 3)
    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
        if any(w is None for w in weights):
            raise AssertionError(f"{name}: use_separate_proj_weight asks for q_, k_ and v_proj_weight")
    else:
        if in_proj_weight is None:
            raise AssertionError(f"{name}: use_separate_proj_weight=False asks for in_proj_weight")
        weights = (in_proj_weight,) if query is key is value else chunk(in_proj_weight, 3)
    if len(weights) == 1:  # Self-attention: one product for all three.
        q, k, v = chunk(linear(query, weights[0], in_proj_bias), 3, -1)
    else:
        q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))

    extra = 0
    if bias_k is not None and bias_v is not None:
        k, v = cat([k, bias_k.expand(1, n, size)]), cat([v, bias_v.expand(1, n, size)])
        extra += 1
    if add_zero_attn:
        k, v = (cat([t, t.new_zeros((1, n, size))]) for t in (k, v))
        extra += 1
    if hide is not None and extra:
        hide = pad(hide, (0, extra))

    def heads(t: Tensor) -> Tensor:
        return t.reshape(t.shape[0], n, num_heads, size // num_heads).permute(1, 2, 0, 3)

    drop = dropout_p if training else 0.0
    y, attention = _attend(heads(q), heads(k), heads(v), hide, drop, False, None, False, need_weights)
    y = linear(y.permute(2, 0, 1, 3).reshape(length, n, size), out_proj_weight, out_proj_bias)
    if attention is None or not need_weights:
        return (y.squeeze(1) if single else y), None
    if average_attn_weights:
        attention = attention.mean(1)
    return (y.squeeze(1), attention.squeeze(0)) if single else (y, attention)


def _merge_masks(
    name: str, mask: Tensor | None, padding: Tensor | None, shape: tuple[int, ...], like: Tensor
) -> Tensor | None:
    """Both masks as one that is added to the scores (N, heads, L, S)."""
    n, heads, length, source = shape
    total: Tensor | None = None
    if mask is not None:
        expected = ((length, source), (n * heads, length, source))
        if tuple(mask.shape) not in expected:
            raise RuntimeError(
                f"{name}: the shape of the attn_mask is {tuple(mask.shape)}, but should be {expected[0]} or "
                f"{expected[1]}"
            )
        total = _added(name, "attn_mask", mask, like)
        if mask.ndim == 3:
            total = total.reshape(n, heads, length, source)
    if padding is not None:
        if tuple(padding.shape) != (n, source):
            raise AssertionError(
                f"{name}: expected key_padding_mask of shape {(n, source)}, got {tuple(padding.shape)}"
            )
        hidden = _added(name, "key_padding_mask", padding, like).reshape(n, 1, 1, source)
        total = hidden if total is None else total + hidden
    return total


def _added(name: str, what: str, mask: Tensor, like: Tensor) -> Tensor:
    if mask._data.dtype.kind == "f":
        return _F.cast(mask, like._data.dtype)
    if mask._data.dtype.kind != "b":
        raise RuntimeError(f"{name}: only bool and floating types of {what} are supported, got {mask.dtype}")
    return zeros(*mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask, -math.inf)


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

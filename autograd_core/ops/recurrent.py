"""Recurrent networks: one layer over a sequence as a primitive, and the steps of which it consists."""

from __future__ import annotations

from typing import Any

from autograd_core import autograd
from autograd_core.ops.checks import composite
from autograd_core.ops.joining import chunk, stack
from autograd_core.ops.linear import linear
from autograd_core.primitive import Primitive, V, apply_many
from autograd_core.tensor import Tensor

_F: Any = V


def _parts_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    # One join for all steps: slice by slice, the gradient of T steps would write T^2 of them.
    axis = ctx.params[0]
    like = next(part for part in g if part is not None)
    shape = tuple(like.shape)
    rows = [F.reshape(F.fill(like, 0.0) if part is None else part, (*shape[:axis], 1, *shape[axis:])) for part in g]
    return (F.cat(rows, axis),)


_PARTS = Primitive("parts", _parts_rule, ())


def parts(x: Tensor, axis: int) -> tuple[Tensor, ...]:
    """All slices of `x` along `axis`; unlike those of `unbind` they may not be changed in place."""
    return apply_many(_PARTS, (x,), (axis,), x.shape[axis]) if x.shape[axis] else ()


# -- a step -----------------------------------------------------------------------------------------------


def rnn_step(gx: Tensor, h: Tensor, w: Tensor, b: Tensor | None, relu: bool) -> Tensor:
    """h' = tanh(gx + w h + b), or relu (Elman, "Finding structure in time", 1990); gx the input's share."""
    z = _F.add(gx, linear(h, w, b))
    return _F.relu(z) if relu else _F.tanh(z)


def lstm_step(
    gx: Tensor, h: Tensor, c: Tensor, w: Tensor, b: Tensor | None, project: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(i, f, g, o) = gx + w h + b; c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c') (Hochreiter,
    Schmidhuber, "Long short-term memory", 1997), and h' projected (Sak, Senior, Beaufays, 2014)."""
    i, f, g, o = chunk(_F.add(gx, linear(h, w, b)), 4, -1)
    c = _F.add(_F.mul(_F.sigmoid(f), c), _F.mul(_F.sigmoid(i), _F.tanh(g)))
    h = _F.mul(_F.sigmoid(o), _F.tanh(c))
    return h if project is None else linear(h, project), c


def gru_step(gx: Tensor, h: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """r, z = sigmoid of their thirds of gx + w h + b; n = tanh(gx_n + r (w h + b)_n); h' = (1 - z) n + z h (Cho et
    al., 2014, with the reset after the product)."""
    size = h.shape[-1]
    gh = linear(h, w, b)
    r, z = chunk(_F.sigmoid(_F.add(gx.narrow(-1, 0, 2 * size), gh.narrow(-1, 0, 2 * size))), 2, -1)
    n = _F.tanh(_F.add(gx.narrow(-1, 2 * size, size), _F.mul(r, gh.narrow(-1, 2 * size, size))))
    return _F.add(n, _F.mul(z, _F.sub(h, n)))


def step(mode: str, gx: Tensor, state: tuple[Tensor, ...], weights: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The state after one step; mode: LSTM, GRU, RNN_TANH or RNN_RELU; weights: (w_hh, b_hh, w_hr)."""
    w, b, project = weights
    if mode == "LSTM":
        h, c = state
        return lstm_step(gx, h, c, w, b, project)
    if mode == "GRU":
        return (gru_step(gx, state[0], w, b),)
    return (rnn_step(gx, state[0], w, b, mode == "RNN_RELU"),)


# -- a sequence -------------------------------------------------------------------------------------------


def recurrent(
    mode: str,
    x: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    mask: Tensor | None = None,
    reverse: bool = False,
    project: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction over x (T, N, I): all states (T, N, H), and the last ones.

    state: (h,) or (h, c); weights: (w_ih, w_hh, b_ih, b_hh); mask (T, N): false where a sequence keeps its state;
    project: the weight by which an LSTM's h is made shorter.
    """
    if project is not None or x._data.dtype.itemsize == 2:
        return _composed(mode, x, state, weights, mask, reverse, project)
    h0, c0 = (*state, None)[:2]
    count = 3 if mode == "LSTM" else 2
    y, *finals = apply_many(_RECURRENT, (x, h0, c0, *weights, mask), (mode, reverse), count)
    return y, tuple(finals)


def _composed(
    mode: str, x: Any, state: Any, weights: Any, mask: Any, reverse: bool, project: Any = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`recurrent` step by step."""
    w_ih, w_hh, b_ih, b_hh = weights
    inputs = parts(linear(x, w_ih, b_ih), 0)
    seen = None if mask is None else parts(mask.unsqueeze(2), 0)
    outputs: list[Any] = [None] * len(inputs)
    for t in reversed(range(len(inputs))) if reverse else range(len(inputs)):
        moved = step(mode, inputs[t], state, (w_hh, b_hh, project))
        if seen is not None:  # A sequence that has ended, or (backwards) not begun, keeps its state.
            moved = tuple(_F.where(seen[t], new, old) for new, old in zip(moved, state))
        state = moved
        outputs[t] = state[0]
    return stack(outputs), state


def _recurrent_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    mode, reverse = ctx.params
    *inputs, out, z, side = ctx.saved
    wants = tuple(edge is not None for edge in ctx.inputs[:7])
    cotangents = (*g, None)[:3]
    return (*F.recurrent_backward(*cotangents, *inputs, out, z, side, mode, reverse, wants), None)


_RECURRENT = Primitive("recurrent", _recurrent_rule, tuple(range(8)), extras=3)


@composite
def recurrent_backward(
    g: Any, gh: Any, gc: Any, x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, mask: Any,
    out: Any, z: Any, side: Any, mode: str, reverse: bool, wants: tuple[bool, ...],
) -> tuple[Any, ...]:  # fmt: skip
    """What the backend's kernel of this name returns, differentiable: through the composition, run once more."""
    inputs = (x, h0, c0, w_ih, w_hh, b_ih, b_hh)
    # Fresh nodes: two of the inputs may be one tensor, and each has a gradient of its own.
    x, h0, c0, *weights = (None if t is None else _F.reshape(t, tuple(t.shape)) for t in inputs)
    y, finals = _composed(mode, x, (h0,) if c0 is None else (h0, c0), tuple(weights), mask, reverse)
    used = [(t, c) for t, c in zip((y, *finals), (g, gh, gc)) if c is not None]
    wanted = [t for t, want in zip((x, h0, c0, *weights), wants) if want]
    found = iter(
        autograd.grad(
            [t for t, _ in used], wanted, [c for _, c in used], create_graph=True, allow_unused=True
        )
    )  # fmt: skip
    return tuple(next(found) if want else None for want in wants)


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

"""One time step of the recurrent networks, and the cut of a sequence into its steps."""

from __future__ import annotations

from typing import Any

from autograd_core.ops.joining import chunk
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


def rnn_step(gx: Tensor, h: Tensor, w: Tensor, b: Tensor | None, relu: bool) -> Tensor:
    """h' = tanh(gx + w h + b), or relu (Elman, "Finding structure in time", 1990); gx the input's share."""
    z = _F.add(gx, linear(h, w, b))
    return _F.relu(z) if relu else _F.tanh(z)  # type: ignore[no-any-return]


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
    r, z = chunk(_F.sigmoid(_F.add(gx.narrow(-1, 0, 2 * size), gh.narrow(-1, 0, 2 * size))), 2, -1)  # type: ignore[attr-defined]
    n = _F.tanh(_F.add(gx.narrow(-1, 2 * size, size), _F.mul(r, gh.narrow(-1, 2 * size, size))))  # type: ignore[attr-defined]
    return _F.add(n, _F.mul(z, _F.sub(h, n)))  # type: ignore[no-any-return]


FUNCTIONS: tuple[str, ...] = ()
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

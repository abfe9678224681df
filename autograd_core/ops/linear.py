"""The affine map of a fully connected layer, as one primitive, and the map that is linear in each of two inputs."""

from __future__ import annotations

from typing import Any

from autograd_core.ops.checks import require_alike, require_float
from autograd_core.ops.products import matmul
from autograd_core.primitive import primitive
from autograd_core.tensor import Tensor


def _linear_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, w = ctx.saved
    ex, ew, eb = ctx.inputs
    gx = None
    if ex is not None:
        # A product with a matrix for all leading dimensions at once, where `matmul` would take them one by one.
        gx = F.matmul(g, w) if len(ctx.shape) == 2 else F.linear(g, F.permute(w, (1, 0)), None)
    return (
        gx,
        None if ew is None else F.linear_weight_grad(g, x),
        None if eb is None else F.sum(g, tuple(range(len(ctx.shape) - 1)), False),
    )


def _weight_grad_rule(F: Any, c: Any, ctx: Any) -> tuple[Any, ...]:
    g, x = ctx.saved
    eg, ex = ctx.inputs
    return None if eg is None else F.linear(x, c, None), None if ex is None else F.linear(g, F.permute(c, (1, 0)), None)


_linear = primitive("linear", _linear_rule, inputs=3, saves=(0, 1))
linear_weight_grad = primitive("linear_weight_grad", _weight_grad_rule, inputs=2, saves=(0, 1))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x A^T + b.

    input: (*, in_features); weight A: (out_features, in_features), or (in_features,) for a result of shape (*);
    bias b: (out_features,). Returns (*, out_features). Raises `RuntimeError` if shapes, dtypes or devices do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.linear(ag.tensor([[1.0, 2.0]]), ag.tensor([[1.0, 1.0], [0.0, 3.0]]), ag.ones(2))
    tensor([[4., 7.]])
    """
    try:
        x, w = input._data, weight._data
        fits = (
            w.ndim == 2
            and x.ndim > 0
            and x.shape[-1] == w.shape[1]
            and x.dtype is w.dtype
            and (bias is None or (bias._data.shape == w.shape[:1] and bias._data.dtype is w.dtype))
        )
    except AttributeError:
        fits = False
    if fits and x.dtype.kind == "f":
        return _linear(input, weight, bias)
    return _checked_linear(input, weight, bias)


def _checked_linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    alike = require_alike("linear", input=input, weight=weight, bias=bias)
    x, w = input._data, weight._data
    if w.ndim not in (1, 2) or x.ndim == 0 or x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            f"linear: input of shape {tuple(x.shape)} and weight of shape {tuple(w.shape)} do not fit: the last size "
            "of the input (in_features) must equal the weight's last size. Expected input (*, "
            f"{w.shape[-1] if w.ndim else '?'}) and weight (out_features, in_features)."
        )
    if w.ndim == 1:
        y = linear(input, weight.reshape(1, -1)).reshape(tuple(x.shape[:-1]))
        return y if bias is None else y + bias
    if bias is not None and bias._data.shape not in (w.shape[:1], (1,), ()):
        raise RuntimeError(
            f"linear: bias of shape {tuple(bias.shape)}, expected ({w.shape[0]},) for a weight of {tuple(w.shape)}"
        )
    if alike._data.dtype.kind in "iu":  # Exact, and without gradients.
        product = matmul(input, weight.t())
        return product if bias is None else product + bias
    require_float("linear", alike)
    if bias is None or bias._data.shape == w.shape[:1]:
        return _linear(input, weight, bias)
    return _linear(input, weight, bias.expand(w.shape[0]))


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = x1^T A_k x2 + b_k.

    input1: (*, in1), input2: (*, in2), weight A: (out, in1, in2), bias b: (out,). Returns (*, out). Raises
    `RuntimeError` if shapes, dtypes or devices do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.functional.bilinear(ag.tensor([[1.0, 2.0]]), ag.tensor([[3.0]]), ag.ones(1, 2, 1), ag.ones(1))
    tensor([[10.]])
    """
    require_alike("bilinear", input1=input1, input2=input2, weight=weight, bias=bias)
    a, b, w = tuple(input1.shape), tuple(input2.shape), tuple(weight.shape)
    if len(w) != 3 or not a or not b or a[:-1] != b[:-1] or (a[-1], b[-1]) != w[1:]:
        raise RuntimeError(
            f"bilinear: input1 {a}, input2 {b} and weight {w} do not fit: expected (*, in1), (*, in2) and "
            "(out, in1, in2)"
        )
    if bias is not None and bias._data.shape != w[:1]:
        raise RuntimeError(f"bilinear: bias of shape {tuple(bias.shape)}, expected ({w[0]},) for a weight of {w}")
    # The matrices A_k^T below one another give A_k^T x1 for all k in one product.
    inner: Any = linear(input1, weight.permute(0, 2, 1).reshape(w[0] * w[2], w[1]))
    inner = inner.reshape(*a[:-1], w[0], w[2])
    y = (inner @ input2.unsqueeze(-1)).squeeze(-1)
    return y if bias is None else y + bias


FUNCTIONS: tuple[str, ...] = ("bilinear",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

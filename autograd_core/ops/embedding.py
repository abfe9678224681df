"""Look-up of rows by integer index, and one-hot vectors."""

from __future__ import annotations

from typing import Any

from autograd_core import dtypes, modes, storage
from autograd_core.operands import device_error
from autograd_core.ops.checks import require_float, require_tensors
from autograd_core.primitive import primitive
from autograd_core.tensor import Tensor, wrap


def _embedding_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    rows, index = ctx.inputs[0].shape[0], ctx.saved[0]
    if len(ctx.params) > 1 and ctx.params[1]:
        ones = F.fill(F.slice(g, (..., slice(0, 1))), 1.0)
        g = F.div(g, F.embedding(F.embedding_backward(ones, index, rows, -1), index, -1))
    return F.embedding_backward(g, index, rows, ctx.params[0]), None


def _backward_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    index, padding = ctx.saved[0], ctx.params[1]
    picked = F.embedding(g, index, padding)
    if padding >= 0:
        counts = F.reshape(F.ne(index, padding), (*index.shape, 1))
        picked = F.where(counts, picked, F.fill(picked, 0.0))
    return picked, None


_embedding = primitive("embedding", _embedding_rule, inputs=2, saves=(1,))
embedding_backward = primitive("embedding_backward", _backward_rule, inputs=2, saves=(1,))


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """y[..., :] = weight[input[...], :].

    input: int64 or int32 of any shape (*); weight: (rows, features). Returns (*, features). Row `padding_idx` gets no
    gradient. With `max_norm`, rows looked up whose `norm_type`-norm exceeds it are first scaled down in place. With
    `scale_grad_by_freq` the gradient of a row is divided by how often `input` names it. Gradients of equal indices add
    up in a fixed order. Raises `IndexError` for an index outside [0, rows), `RuntimeError` for an input that is not
    integer, `NotImplementedError` for `sparse=True`.

    >>> import autograd_core as ag
    >>> ag.nn.functional.embedding(ag.tensor([1, 1]), ag.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [3., 4.]])
    """
    check_table("embedding", input, weight, sparse)
    rows = weight.shape[0]
    padding = -1
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"embedding: padding_idx must be within the {rows} rows of weight, got {padding_idx}")
        padding = padding_idx % rows
    if max_norm is not None:
        with modes.no_grad():
            weight._backend.embedding_renorm_(weight._data, input._data, max_norm, norm_type)
        storage.mark_mutated(weight._backend, weight._data, "embedding")
    if scale_grad_by_freq:
        return _embedding(weight, input, padding, True)
    return _embedding(weight, input, padding)


def check_table(name: str, input: Tensor, weight: Tensor, sparse: bool) -> None:
    """Raise unless `input` holds integers and `weight` is a table on the same device."""
    require_tensors(name, input=input, weight=weight)
    if input._data.dtype.char not in "lqi":
        raise RuntimeError(f"{name}: expected indices of dtype ag.int64 or ag.int32, got {input.dtype}; use .long()")
    require_float(name, weight)
    if weight.ndim != 2:
        raise RuntimeError(f"{name}: 'weight' must be 2-D (rows, features), got shape {tuple(weight.shape)}")
    if input._backend is not weight._backend:
        raise device_error(name, (input, weight))
    if sparse:
        raise NotImplementedError(f"{name}: sparse=True is not supported, gradients are dense; leave it False")


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros of shape (*, num_classes) with a 1 at each index; `num_classes` is one more than the greatest unless
    given.

    Raises `RuntimeError` for a tensor that is not int64, or an index outside [0, num_classes).

    >>> import autograd_core as ag
    >>> ag.nn.functional.one_hot(ag.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    require_tensors("one_hot", tensor=tensor)
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensors of dtype ag.int64, got {tensor.dtype}; use .long()"
        )
    if num_classes < 0:
        if not tensor.numel():
            raise RuntimeError("one_hot: cannot infer the number of classes from an empty tensor; give num_classes")
        num_classes = int(tensor.max().item()) + 1
    elif num_classes == 0 and tensor.numel():
        raise RuntimeError("one_hot: num_classes should be positive")
    return wrap(tensor._backend.one_hot(tensor._data, num_classes), tensor._backend)


FUNCTIONS: tuple[str, ...] = ("embedding",)
METHODS: tuple[str, ...] = ()
INPLACE: tuple[str, ...] = ()

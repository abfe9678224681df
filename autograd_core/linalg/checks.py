"""What the functions of linear algebra ask of their arguments, and the pieces their rules are made of."""

from __future__ import annotations

from typing import Any

from autograd_core.ops.checks import require_float
from autograd_core.primitive import V
from autograd_core.tensor import Tensor


def floating(name: str, *tensors: Tensor) -> None:
    """Raise `RuntimeError` unless all have one floating-point dtype and lie on one device."""
    require_float(name, *tensors)
    for x in tensors:
        if x._data.dtype != tensors[0]._data.dtype:
            found = ", ".join(str(m.dtype) for m in tensors)
            raise RuntimeError(f"{name}: expected one floating-point dtype, got {found}; use .to(dtype)")
        if x._backend is not tensors[0]._backend:
            found = ", ".join(str(m.device) for m in tensors)
            raise RuntimeError(f"{name}: expected all tensors on one device, got {found}; move one with .to(device)")


def matrices(name: str, *tensors: Tensor) -> None:
    """Raise `RuntimeError` unless all are floating-point and have two dimensions or more."""
    floating(name, *tensors)
    for x in tensors:
        if x._data.ndim < 2:
            raise RuntimeError(f"{name}: expected a tensor with 2 or more dimensions, got shape {tuple(x.shape)}")


def square(name: str, *tensors: Tensor) -> None:
    """Raise `RuntimeError` unless the first is of square matrices, and all have one floating-point dtype."""
    shape = tensors[0]._data.shape if isinstance(tensors[0], Tensor) else ()
    if isinstance(tensors[0], Tensor) and (len(shape) < 2 or shape[-1] != shape[-2]):
        raise RuntimeError(f"{name}: A must be batches of square matrices, got shape {tuple(shape)}")
    floating(name, *tensors)


def expanded(x: Tensor, *shape: int) -> Tensor:
    """`x` broadcast to `shape`; itself where it has that shape already."""
    return x if tuple(x._data.shape) == shape else x.expand(*shape)


def rows_in_order(x: Tensor, order: Tensor) -> Tensor:
    """The rows `order` (..., m) of matrices (..., m, n), which the library made itself and need not be checked."""
    return V.gather(x, expanded(order.unsqueeze(-1), *x._data.shape), x._data.ndim - 2)


# -- for rules: F is a backend or the differentiable vocabulary --------------------------------------------


def transposed(F: Any, x: Any) -> Any:
    n = len(x.shape)
    return F.permute(x, (*range(n - 2), n - 1, n - 2))


def identity(F: Any, like: Any) -> Any:
    """Identity matrices of the shape of `like`."""
    return F.tril(F.triu(F.fill(like, 1.0), 0), 0)


def as_row(F: Any, x: Any) -> Any:
    return F.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def as_column(F: Any, x: Any) -> Any:
    return F.reshape(x, (*x.shape, 1))


def columns(F: Any, x: Any, start: int | None, end: int | None) -> Any:
    return F.slice(x, (Ellipsis, slice(start, end)))


def rows(F: Any, x: Any, start: int | None, end: int | None) -> Any:
    return F.slice(x, (Ellipsis, slice(start, end), slice(None)))


def total(F: Any, *terms: Any) -> Any:
    """The sum of those terms that are not None."""
    out = None
    for term in terms:
        if term is not None:
            out = term if out is None else F.add(out, term)
    return out

"""Views as copies (`permute_copy`, ...), and the names that complex tensors need, which for real ones say little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core.ops import joining, shape
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_COPIED: dict[str, Callable[..., Any]] = {
    "alias": lambda input: input,
    "detach": lambda input: input.detach(),
    "diagonal": shape.diagonal,
    "expand": shape.expand,
    "narrow": lambda input, dim, start, length: _narrowed(input, dim, start, length),
    "permute": shape.permute,
    "select": shape.select,
    "slice": lambda input, dim=0, start=None, end=None, step=1: _sliced(input, dim, start, end, step),
    "split": joining.split,
    "split_with_sizes": lambda input, split_sizes, dim=0: joining.split(input, list(split_sizes), dim),
    "squeeze": shape.squeeze,
    "t": shape.t,
    "transpose": shape.transpose,
    "unbind": joining.unbind,
    "unfold": shape.unfold,
    "unsqueeze": shape.unsqueeze,
    "view": shape.view,
}


def _sliced(input: Tensor, dim: int, start: int | None, end: int | None, step: int) -> Tensor:
    if step < 1:
        raise RuntimeError(f"slice_copy: step must be positive, got {step}")
    return input[(slice(None),) * input._dim(dim) + (slice(start, end, step),)]


def _narrowed(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    if dim >= max(input.ndim, 1):  # PyTorch's class of error here, though not in `narrow`.
        raise RuntimeError(f"narrow_copy: expected dim < {input.ndim}, got {dim}")
    return shape.narrow(input, dim, start, length)


def _copying(name: str, view: Callable[..., Any]) -> Callable[..., Any]:
    def call(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        made = view(input, *args, **kwargs)
        return tuple(V.clone(t) for t in made) if isinstance(made, tuple) else V.clone(made)

    call.__name__ = call.__qualname__ = f"{name}_copy"
    call.__doc__ = f"A copy of what `{name}` gives as a view (of a tuple of views, a tuple of copies)."
    return call


# -- of real tensors --------------------------------------------------------------------------------------


def _itself(name: str, doc: str) -> Callable[[Tensor], Tensor]:
    def call(input: Tensor) -> Tensor:
        return input

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return call


_SAME = {
    "conj": "The complex conjugate: of a real tensor the tensor itself.",
    "conj_physical": "The complex conjugate: of a real tensor the tensor itself.",
    "real": "The real part: of a real tensor the tensor itself.",
    "resolve_conj": "The tensor itself: no tensor is conjugated lazily.",
    "resolve_neg": "The tensor itself: no tensor is negated lazily.",
}


def imag(input: Tensor) -> Tensor:
    """Raises `RuntimeError`: real tensors have no imaginary part to look at."""
    raise RuntimeError(f"imag is not implemented for tensors with non-complex dtypes, got {input.dtype}")


def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of the last two dimensions; of real tensors the transpose (a view).

    >>> import autograd_core as ag
    >>> ag.adjoint(ag.zeros(2, 3)).shape
    ag.Size([3, 2])
    """
    if input._data.ndim == 1:
        raise RuntimeError(
            "adjoint: expected a matrix or a batch of matrices, got a tensor of shape "
            f"{tuple(input.shape)}; use unsqueeze"
        )
    return shape.transpose(input, -2, -1) if input._data.ndim else input


def _matrix_adjoint(self: Tensor) -> Tensor:
    if self._data.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is for matrices (2-D tensors), got {self._data.ndim}-D; use tensor.mH")
    return adjoint(self)


def _unsafe(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(input, *args, **kwargs)

    call.__name__ = call.__qualname__ = f"unsafe_{name}"
    call.__doc__ = f"The same as `{name}`."
    return call


PUBLIC = {
    **{f"{name}_copy": _copying(name, view) for name, view in _COPIED.items()},
    **{name: _itself(name, doc) for name, doc in _SAME.items()},
    **{
        f"unsafe_{name}": _unsafe(name, function)
        for name, function in (
            ("chunk", joining.chunk), ("split", joining.split), ("split_with_sizes", _COPIED["split_with_sizes"]),
        )
    },
}  # fmt: skip
FUNCTIONS = (*PUBLIC, "imag", "adjoint")
METHODS = (
    *(name for name in _SAME if name != "real"),
    "adjoint",
    "narrow_copy",
    "unsafe_chunk",
    "unsafe_split",
    "unsafe_split_with_sizes",
)
INPLACE = ("conj_physical",)
PROPERTIES = {"H": _matrix_adjoint, "mH": adjoint, "imag": imag, "real": lambda self: self}

"""Makers of tensors from others: numbers, logarithmic ranges, index pairs of triangles; and draws of categories."""

from __future__ import annotations

from typing import Any

from autograd_core import dtypes
from autograd_core.ops import arithmetic
from autograd_core.ops import elementwise as e
from autograd_core.ops.creation import arange, full, linspace
from autograd_core.ops.sorting import searchsorted, topk
from autograd_core.random import Generator, draw, randint
from autograd_core.tensor import Tensor


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor of the number `s`, in the default floating-point dtype unless `dtype` is given.

    >>> import autograd_core as ag
    >>> ag.scalar_tensor(2)
    tensor(2.)
    """
    d = dtypes.get_default_dtype() if dtype is None else dtype
    return full((), s, dtype=d, device=device, requires_grad=requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from base^start to base^end, both included, evenly spaced on a logarithmic scale.

    >>> import autograd_core as ag
    >>> ag.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if not isinstance(steps, int):
        raise TypeError(f"logspace: steps must be an int, got {steps!r}")
    if steps < 0:
        raise RuntimeError(f"logspace: number of steps must be non-negative, got {steps}")
    d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    if d.category == 1:
        start, end = int(start), int(end)
    out = arithmetic.pow(float(base), linspace(start, end, steps, dtype=dtypes.float64, device=device)).to(d)
    return out.requires_grad_() if requires_grad else out


def _triangle(name: str, row: int, col: int, offset: int, dtype: Any, device: Any, upper: bool) -> Tensor:
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}: row and col must be non-negative, got {row} and {col}")
    d = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    if d not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"{name}: dtype must be int64 or int32, got {d}")
    i, j = arange(row, device=device).unsqueeze(1), arange(col, device=device).unsqueeze(0)
    inside = j - i >= offset if upper else j - i <= offset
    return inside.nonzero().t().contiguous().to(d)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The indices (2, n) of the elements of a (row, col) matrix on and below the diagonal `offset`, row by row.

    >>> import autograd_core as ag
    >>> ag.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle("tril_indices", row, col, offset, dtype, device, False)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The indices (2, n) of the elements of a (row, col) matrix on and above the diagonal `offset`, row by row.

    >>> import autograd_core as ag
    >>> ag.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle("triu_indices", row, col, offset, dtype, device, True)


def randint_like(
    input: Tensor, *bounds: int, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`randint` with the shape, dtype and device of `input`: `randint_like(input, high)` or `(input, low, high)`.

    >>> import autograd_core as ag
    >>> ag.randint_like(ag.zeros(2), 3).shape
    ag.Size([2])
    """
    if len(bounds) not in (1, 2):
        raise TypeError("randint_like: expected randint_like(input, high) or randint_like(input, low, high)")
    d, where = dtype or input.dtype, device or input.device
    try:
        return randint(*bounds, input.shape, dtype=d, device=where, requires_grad=requires_grad)
    except ValueError as error:
        raise RuntimeError(f"randint_like: {error}") from None


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with the probabilities that each row of `input` is proportional to: (n, num_samples) of (n, m).

    With `replacement` by bisection of the running sum. Without, the greatest of log p + Gumbel noise, which are draws
    one after the other from what is left (Vieira, "Gumbel-max trick and weighted reservoir sampling", 2014;
    Efraimidis and
    Spirakis, "Weighted random sampling with a reservoir", 2006). Raises `RuntimeError` for weights that are negative,
    infinite, NaN or all zero, or more draws without replacement than there are weights (or nonzero ones).

    >>> import autograd_core as ag
    >>> ag.multinomial(ag.tensor([0.0, 1.0]), 1)
    tensor([1])
    """
    if input._data.dtype.kind != "f":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    if input._data.ndim not in (1, 2) or not input._data.shape[-1]:
        raise RuntimeError(f"multinomial: prob_dist must be 1 or 2 dim and not empty, got shape {tuple(input.shape)}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples, got {num_samples}")
    n = input._data.shape[-1]
    if not replacement and num_samples > n:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: got {num_samples} of {n}"
        )
    p = input.detach().to(dtypes.float64)
    if not bool(e.logical_and(e.isfinite(p), p >= 0).all()):
        raise RuntimeError(
            "multinomial: probability tensor contains either `inf`, `nan` or element < 0; of logits, take softmax first"
        )
    if not bool((p.sum(-1) > 0).all()):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if replacement:
        running = p.cumsum(-1)
        shape = (*p._data.shape[:-1], num_samples)
        u = draw("uniform", generator, p._backend, shape, p._data.dtype, 0.0, 1.0)
        drawn = searchsorted(running, u * running[..., -1:], right=True)
        # Rounding of u * total must not lead past the last weight that is not zero.
        last = searchsorted(running, running[..., -1:])
        return e.minimum(drawn, last)
    if not bool((e.ne(p, 0).sum(-1) >= num_samples).all()):
        raise RuntimeError(
            f"multinomial: fewer than num_samples={num_samples} weights are not zero: set replacement=True"
        )
    u = draw("uniform", generator, p._backend, p._data.shape, p._data.dtype, 0.0, 1.0)
    noise = e.log(p) - e.log(-e.log1p(-u))
    return topk(noise, num_samples).indices


FUNCTIONS = (
    "scalar_tensor",
    "logspace",
    "tril_indices",
    "triu_indices",
    "randint_like",
    "multinomial",
)
METHODS = ("multinomial",)
INPLACE: tuple[str, ...] = ()

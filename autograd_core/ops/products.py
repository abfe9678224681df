"""Matrix products."""

from __future__ import annotations

import functools
import string
from typing import Any

from autograd_core.operands import array_operand, device_error
from autograd_core.ops import elementwise as e
from autograd_core.ops.shape import _reshape
from autograd_core.primitive import binary
from autograd_core.tensor import Tensor


def _matmul_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    ex, ey = ctx.inputs
    return (None if ex is None else F.matmul_nt(g, y)), (None if ey is None else F.matmul_tn(x, g))


def _nt_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    ex, ey = ctx.inputs
    return (None if ex is None else F.matmul(g, y)), (None if ey is None else F.matmul_tn(g, x))


def _tn_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    ex, ey = ctx.inputs
    return (None if ex is None else F.matmul_nt(y, g)), (None if ey is None else F.matmul(x, g))


def _mismatch(name: str, x: Tensor, y: Tensor) -> RuntimeError:
    a, b = tuple(x.shape), tuple(y.shape)
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] == inner:
        return RuntimeError(f"{name}: the batch dimensions of shapes {a} and {b} cannot be broadcast together")
    return RuntimeError(
        f"{name}: shapes {a} and {b} cannot be multiplied: the last size of the first ({a[-1]}) must equal "
        f"the {'second last' if len(b) > 1 else 'only'} size of the second ({inner}). Is a transpose (.mT) missing?"
    )


def _check(name: str, floating: bool, x: Any, y: Any) -> tuple[Tensor, Tensor, bool]:
    """Products do not promote: an error unless the operands are of one dtype, not bool, and on one device."""
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        array = array_operand(x, y) if isinstance(x, Tensor) else None
        if array is not None:
            return _check(name, floating, x, array)
        raise TypeError(
            f"{name}: expected two Tensors, got {type(x).__name__} and {type(y).__name__}; convert with ag.tensor(...) "
            "or ag.from_numpy(...)"
        )
    if x._data.dtype != y._data.dtype:
        raise RuntimeError(
            f"{name}: expected both operands to have the same dtype, but got {x.dtype} and {y.dtype}; convert one "
            "with .to()"
        )
    if x._data.dtype.kind == "b":
        raise NotImplementedError(f"{name}: not defined for bool tensors; convert with .float()")
    if x._backend is not y._backend:
        raise device_error(name, (x, y))
    return x, y, False


_matmul = binary(
    "matmul",
    _matmul_rule,
    saves=(0, 1),
    floating=True,
    crosswise=True,
    mismatch=_mismatch,
    promote=_check,
    elementwise=False,
)
matmul_nt = binary("matmul_nt", _nt_rule, saves=(0, 1), crosswise=True, elementwise=False)  # x @ y.mT
matmul_tn = binary("matmul_tn", _tn_rule, saves=(0, 1), crosswise=True, elementwise=False)  # x.mT @ y


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product over the last two dimensions, the others broadcast; vectors count as a row or a column.

    input: (..., n, k) or (k,); other: (..., k, m) or (k,). Raises `RuntimeError` where the inner sizes differ.

    >>> import autograd_core as ag
    >>> ag.matmul(ag.ones(2, 3), ag.ones(3))
    tensor([3., 3.])
    """
    try:
        if input._data.ndim == 2 == other._data.ndim:
            return _matmul(input, other)
    except AttributeError:
        pass
    input, other, _ = _check("matmul", True, input, other)
    a, b = input._data.shape, other._data.shape
    if not a or not b:
        raise RuntimeError(
            f"matmul: both arguments need to be at least 1D, but they are {len(a)}D and {len(b)}D; use * for scalars"
        )
    if a[-1] != b[-2 if len(b) > 1 else 0]:
        raise _mismatch("matmul", input, other)
    rows = input if len(a) > 1 else _reshape(input, (1, a[0]))
    columns = other if len(b) > 1 else _reshape(other, (b[0], 1))
    out = _matmul(rows, columns)
    shape = out._data.shape
    if len(a) == 1:
        shape = shape[:-2] + shape[-1:]
    if len(b) == 1:
        shape = shape[:-1]
    return out if shape == out._data.shape else _reshape(out, shape)


def _exactly(name: str, dims: tuple[int, ...], *operands: Tensor) -> None:
    for i, (x, n) in enumerate(zip(operands, dims)):
        if x._data.ndim != n:
            raise RuntimeError(f"{name}: operand {i} must be {n}D, got shape {tuple(x.shape)}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices.

    >>> import autograd_core as ag
    >>> ag.mm(ag.ones(1, 2), ag.ones(2, 1))
    tensor([[2.]])
    """
    _exactly("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices, (b, n, k) with (b, k, m).

    >>> import autograd_core as ag
    >>> ag.bmm(ag.ones(1, 1, 2), ag.ones(1, 2, 1))
    tensor([[[2.]]])
    """
    _exactly("bmm", (3, 3), input, mat2)
    if input._data.shape[0] != mat2._data.shape[0]:
        raise RuntimeError(f"bmm: batch sizes differ, {tuple(input.shape)} and {tuple(mat2.shape)}")
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector.

    >>> import autograd_core as ag
    >>> ag.mv(ag.ones(2, 2), ag.ones(2))
    tensor([2., 2.])
    """
    _exactly("mv", (2, 1), input, vec)
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors.

    >>> import autograd_core as ag
    >>> ag.dot(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _exactly("dot", (1, 1), input, tensor)
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The outer product of two vectors: out[i, j] = input[i] * vec2[j].

    >>> import autograd_core as ag
    >>> ag.outer(ag.tensor([1, 2]), ag.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _exactly("outer", (1, 1), input, vec2)
    return e.mul(input.unsqueeze(1), vec2.unsqueeze(0))


def scaled_sum(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * product; of integers the factors are truncated, as in PyTorch."""
    if product._data.dtype.kind != "f":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        product = e.mul(product, alpha)
    if beta == 0:
        return product  # As in PyTorch, a NaN in the input does not count then.
    return e.add(input if beta == 1 else e.mul(input, beta), product)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2.

    >>> import autograd_core as ag
    >>> ag.addmm(ag.ones(1), ag.ones(1, 2), ag.ones(2, 1))
    tensor([[3.]])
    """
    return scaled_sum(input, mm(mat1, mat2), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * batch1 @ batch2, for batches of matrices.

    >>> import autograd_core as ag
    >>> ag.baddbmm(ag.ones(1), ag.ones(1, 1, 2), ag.ones(1, 2, 1))
    tensor([[[3.]]])
    """
    return scaled_sum(input, bmm(batch1, batch2), beta, alpha)


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sum of products by index letters: 'ik,kj->ij' is the matrix product; '...' stands for further dimensions.

    Each operand's dimensions are moved to the order of all letters, multiplied with broadcasting, and summed over the
    letters that the output lacks; two operands go through `matmul`. With numbers below 52 in place of letters, each
    operand is followed by the list of its own, and the output's comes last: `einsum(a, [0, 1], b, [1, 2], [0, 2])`.

    Raises RuntimeError for an equation that makes no sense, or does not fit the operands' shapes.

    >>> import autograd_core as ag
    >>> ag.einsum("ij->ji", ag.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if isinstance(equation, Tensor):
        equation, operands = _from_lists((equation, *operands))
    parts = list(operands[0]) if len(operands) == 1 and not isinstance(operands[0], Tensor) else list(operands)
    if not isinstance(equation, str):
        raise TypeError(f"einsum(): the equation must be a str, got {type(equation).__name__}")
    inputs, output = _parse_einsum(equation, tuple([getattr(x, "ndim", 0) for x in parts]))
    current, letters = _canonical(parts[0], inputs[0])
    for i, (x, subscript) in enumerate(zip(parts[1:], inputs[1:]), start=1):
        x, other = _canonical(x, subscript)
        needed = set(output).union(*(set(s) for s in inputs[i + 1 :]))
        current, letters = _contract(current, letters, x, other, needed)
    drop = tuple(i for i, c in enumerate(letters) if c not in output)
    if drop:
        current = current.sum(drop)
        letters = [c for c in letters if c in output]
    order = tuple(letters.index(c) for c in output)
    return current if order == tuple(range(len(order))) else current.permute(*order)


def _from_lists(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The equation of operands that are each followed by a list of numbers, and perhaps by that of the output."""
    letters = string.ascii_uppercase + string.ascii_lowercase

    def term(labels: Any) -> str:
        try:
            return "".join("..." if label is Ellipsis else letters[range(52).index(label)] for label in labels)
        except (TypeError, ValueError):
            raise RuntimeError(f"einsum(): expected a list of numbers from 0 to 51 or ..., got {labels!r}") from None

    operands, lists = given[: len(given) // 2 * 2 : 2], given[1::2]
    equation = ",".join(map(term, lists))
    return equation + ("->" + term(given[-1]) if len(given) % 2 else ""), operands


@functools.lru_cache(256)
def _parse_einsum(equation: str, dims: tuple[int, ...]) -> tuple[list[list[str]], list[str]]:
    """Subscripts as lists of labels, for operands of `dims` dimensions; those of '...' are labelled by numbers from the
    last."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(dims):
        raise RuntimeError(f"einsum(): {len(terms)} subscripts in {equation!r} for {len(dims)} operands")

    def labels(term: str, ndim: int | None, dots: int) -> list[str]:
        before, ellipsis, after = term.partition("...")
        if not (before + after).isalpha() and before + after:
            raise RuntimeError(f"einsum(): invalid subscript {term!r} in {equation!r}")
        if ndim is not None:
            dots = ndim - len(before) - len(after)
            if dots < 0 or (dots and not ellipsis):
                raise RuntimeError(f"einsum(): subscript {term!r} does not match an operand of {ndim} dimensions")
        return [*before, *(str(i) for i in reversed(range(dots if ellipsis else 0))), *after]

    inputs = [labels(term, ndim, 0) for term, ndim in zip(terms, dims)]
    widest = max((sum(c.isdigit() for c in s) for s in inputs), default=0)
    if arrow:
        output = labels(right, None, widest)
    else:
        flat = [c for s in inputs for c in s]
        output = [str(i) for i in reversed(range(widest))] + sorted(
            c for c in set(flat) if flat.count(c) == 1 and c.isalpha()
        )
    unknown = set(output) - {c for s in inputs for c in s}
    if unknown or len(set(output)) != len(output):
        raise RuntimeError(f"einsum(): output subscript {right!r} repeats a letter or names one that no operand has")
    return inputs, output


def _canonical(x: Tensor, subscript: list[str]) -> tuple[Tensor, list[str]]:
    """Repeated labels of one operand taken as diagonals."""
    letters = list(subscript)
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            first = letters.index(c)
            second = letters.index(c, first + 1)
            n, m = x._data.shape[first], x._data.shape[second]
            if n != m:
                raise RuntimeError(f"einsum(): label {c!r} is repeated for one operand with sizes {n} and {m}")
            x = x.diagonal(0, first, second)
            letters = [d for i, d in enumerate(letters) if i not in (first, second)] + [c]
    return x, letters


def _contract(x: Tensor, a: list[str], y: Tensor, b: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    """The product of two operands, summed over the shared labels that nobody needs any more, as one `matmul`."""
    sizes: dict[str, int] = {}
    for letters, t in ((a, x), (b, y)):
        for c, n in zip(letters, t._data.shape):
            if sizes.get(c, 1) not in (1, n) and n != 1:
                raise RuntimeError(f"einsum(): label {c!r} has sizes {sizes[c]} and {n}")
            sizes[c] = max(sizes.get(c, 1), n) if n else 0
    batch = [c for c in a if c in b and c in needed]
    inner = [c for c in a if c in b and c not in needed]
    rows, columns = [c for c in a if c not in b], [c for c in b if c not in a]

    def arrange(t: Tensor, letters: list[str], *groups: list[str]) -> Tensor:
        order = [letters.index(c) for group in groups for c in group]
        t = t.permute(*order) if order else t
        full = [
            sizes[c] if c in batch or c in inner else n for c, n in zip([c for g in groups for c in g], t._data.shape)
        ]
        t = t.expand(*full) if list(t._data.shape) != full else t
        shape, start = [], 0
        for group in groups:
            n = 1
            for size in full[start : start + len(group)]:
                n *= size
            shape.append(n)
            start += len(group)
        return t.reshape(*shape)

    out = matmul(arrange(x, a, batch, rows, inner), arrange(y, b, batch, inner, columns))
    letters = batch + rows + columns
    return out.reshape(*[sizes[c] for c in letters]) if letters else out.reshape(()), letters


OPERATORS = {"__matmul__": matmul, "__rmatmul__": lambda self, other: matmul(other, self)}
FUNCTIONS = ("matmul", "mm", "bmm", "mv", "dot", "outer", "addmm", "baddbmm", "einsum")
METHODS = FUNCTIONS[:-1]
INPLACE = ("addmm", "baddbmm")

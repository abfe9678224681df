"""Derivatives of functions: products with the Jacobian and the Hessian, and the matrices themselves.

Everything is made from reverse mode. A product J v from the left-hand side is the derivative of u -> u^T J with respect
to u, weighted by v (the "double-backward trick": Townsend, "A new trick for calculating Jacobian vector products",
2017). `inputs` is a tensor or a tuple of tensors; results are tensors or tuples as inputs and outputs are. Without
`create_graph` results have no history. `strict`: an output that does not depend on an input is an error, not zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import autograd, modes
from autograd_core.tensor import Tensor

Tensors = tuple[Tensor, ...]
Function = Callable[..., Any]


def _tensors(value: Any, what: str) -> tuple[Tensors, bool]:
    """`value` as a tuple of tensors, and whether it was one."""
    several = isinstance(value, tuple)
    given = value if several else (value,)
    for i, t in enumerate(given):
        if not isinstance(t, Tensor):
            place = f"element {i} of {what}" if several else what
            raise TypeError(f"autograd.functional: {place} must be a Tensor, got {type(t).__name__}")
    return given, several


def _fresh(tensors: Tensors, create_graph: bool, wanted: bool = True) -> Tensors:
    """The tensors apart from the caller's: on the caller's graph if that is to be kept, else leaves."""
    if create_graph:
        made = tuple(t.view_as(t) if t.requires_grad else t.detach() for t in tensors)
    else:
        made = tuple(t.detach() for t in tensors)
    return tuple(t if t.requires_grad else t.requires_grad_(wanted) for t in made)


def _finished(tensors: Tensors, create_graph: bool, several: bool) -> Any:
    found = tensors if create_graph else tuple(t.detach() for t in tensors)
    return found if several else found[0]


def _direction(v: Any, like: Tensors, what: str, create_graph: bool) -> tuple[Tensor | None, ...]:
    """The weights `v`, of the shapes of `like`; may be left out for a single number."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"autograd.functional: v may be None only if there is one {what} with one element, got shapes "
                f"{[tuple(t.shape) for t in like]}; pass v with these shapes"
            )
        return (like[0].new_ones(like[0].shape),)
    given = _fresh(_tensors(v, "v")[0], create_graph, wanted=False)
    if [t.shape for t in given] != [t.shape for t in like]:
        raise RuntimeError(
            f"autograd.functional: v has shapes {[tuple(t.shape) for t in given]}, expected those of the {what}s, "
            f"{[tuple(t.shape) for t in like]}"
        )
    return given


def _pull(outputs: Sequence[Tensor | None], inputs: Tensors, weights: Any, keep: bool) -> list[Tensor | None]:
    """weights^T J, None where it is independent of an input; outputs without history are left out."""
    pairs = [(y, w) for y, w in zip(outputs, weights or [None] * len(outputs)) if y is not None and y.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    ys, ws = zip(*pairs)
    return list(autograd.grad(ys, inputs, ws, retain_graph=True, create_graph=keep, allow_unused=True))


def _filled(found: Sequence[Tensor | None], like: Tensors, strict: bool, create_graph: bool, what: str) -> Tensors:
    """Zeros in the place of None; an error under `strict`."""
    if strict:
        _require_history(found if create_graph else [f if f is None else like[0] for f in found], what)
    return tuple(x.new_zeros(x.shape) if f is None else f for f, x in zip(found, like))


def _require_history(tensors: Sequence[Tensor | None], what: str) -> None:
    for i, t in enumerate(tensors):
        if t is None or not t.requires_grad:
            raise RuntimeError(
                f"autograd.functional: {what} {i} does not depend on the inputs, which strict=True does not allow; "
                "with strict=False its derivative is zero"
            )


def _called(func: Function, inputs: Any, create_graph: bool, strict: bool) -> tuple[Tensors, Tensors, bool, bool]:
    """Inputs, outputs, and whether each was a tuple."""
    given, several = _tensors(inputs, "inputs")
    xs = _fresh(given, create_graph)
    ys, several_out = _tensors(func(*xs), "the outputs of the function")
    if strict:
        _require_history(ys, "output")
    return xs, ys, several, several_out


def _called_for_number(name: str, func: Function, inputs: Any, create_graph: bool, strict: bool) -> Any:
    xs, ys, several, several_out = _called(func, inputs, create_graph, strict)
    if several_out or ys[0].numel() != 1:
        found = [tuple(y.shape) for y in ys] if several_out else tuple(ys[0].shape)
        raise RuntimeError(f"{name}: the function must return a single Tensor with one element, got {found}")
    slopes = _pull(ys, xs, None, True)
    if strict:
        _require_history(slopes, "the gradient with respect to input")
    return xs, ys, several, slopes


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs of `func`, and v^T J, with the shapes of the inputs.

    v: the shapes of the outputs. Raises `RuntimeError` for other shapes, `TypeError` for what is no tensor.

    >>> import autograd_core as ag
    >>> ag.autograd.functional.vjp(lambda x: x**2, ag.tensor([1.0, 2.0]), ag.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with modes.enable_grad():
        xs, ys, several, several_out = _called(func, inputs, create_graph, strict)
        found = _pull(ys, xs, _direction(v, ys, "output", create_graph), create_graph)
        result = _filled(found, xs, strict, create_graph, "the product for input")
    return _finished(ys, create_graph, several_out), _finished(result, create_graph, several)


def _push(ys: Sequence[Tensor | None], xs: Tensors, v: Any, strict: bool, keep: bool) -> list[Tensor | None]:
    """J v for the outputs that are there, by the double-backward trick."""
    weights = [None if y is None else y.new_zeros(y.shape).requires_grad_() for y in ys]
    back = _pull(ys, xs, weights, True)
    if strict:
        _require_history(back, "the product for input")
    given = [w for w in weights if w is not None]
    found = iter(_pull(back, tuple(given), v, keep) if given else ())
    return [None if w is None else next(found) for w in weights]


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs of `func`, and J v, with the shapes of the outputs.

    v: the shapes of the inputs. Raises `RuntimeError` for other shapes, `TypeError` for what is no tensor.

    >>> import autograd_core as ag
    >>> ag.autograd.functional.jvp(lambda x: x**2, ag.tensor([1.0, 2.0]), ag.ones(2))[1]
    tensor([2., 4.])
    """
    with modes.enable_grad():
        weights = _direction(v, _tensors(inputs, "inputs")[0], "input", create_graph)
        xs, ys, _, several_out = _called(func, inputs, create_graph, strict)
        found = _push(ys, xs, weights, strict, create_graph)
        result = _filled(found, ys, strict, create_graph, "the product for output")
    return _finished(ys, create_graph, several_out), _finished(result, create_graph, several_out)


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """J[i][j]: the derivative of output i with respect to input j, of shape output i + input j.

    strategy: "reverse-mode" takes one backward pass an element of the outputs, "forward-mode" one an element of the
    inputs. `vectorize` promises speed in PyTorch; the result is the same and so is, here, the time. As there, strict
    cannot be combined with vectorize (`RuntimeError`), and "forward-mode" needs vectorize and no `create_graph`
    (`NotImplementedError`).

    >>> import autograd_core as ag
    >>> ag.autograd.functional.jacobian(lambda x: x**2, ag.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', got {strategy!r}")
    forward = strategy == "forward-mode"
    if forward and (create_graph or not vectorize):
        raise NotImplementedError("jacobian: strategy='forward-mode' needs vectorize=True and create_graph=False")
    if strict and vectorize:
        raise RuntimeError("jacobian: strict=True and vectorize=True cannot be combined; set vectorize=False")
    with modes.enable_grad():
        xs, ys, several, several_out = _called(func, inputs, create_graph, strict)
        blocks = _columns(ys, xs) if forward else [_rows(y, xs, strict, create_graph) for y in ys]
    rows = tuple(_finished(block, create_graph, several) for block in blocks)
    return rows if several_out else rows[0]


def _rows(y: Tensor, xs: Tensors, strict: bool, create_graph: bool) -> Tensors:
    """The derivatives of one output, one backward pass an element."""
    found: list[list[Tensor]] = [[] for _ in xs]
    for element in y.reshape(-1).unbind():
        slopes = _filled(_pull([element], xs, None, create_graph), xs, strict, create_graph, "the Jacobian of input")
        for column, slope in zip(found, slopes):
            column.append(slope)
    return tuple(_stacked(column, (*y.shape, *x.shape), y) for column, x in zip(found, xs))


def _columns(ys: Tensors, xs: Tensors, keep: bool = False) -> list[Tensors]:
    """The derivatives of all outputs, one pass an element of the inputs through the derivative of u -> u^T J."""
    weights = tuple(y.new_zeros(y.shape).requires_grad_() for y in ys)
    back = _pull(ys, xs, weights, True)
    blocks: list[list[Tensor]] = [[] for _ in ys]
    for x, slope in zip(xs, back):
        found: list[list[Tensor]] = [[] for _ in ys]
        for element in () if slope is None else slope.reshape(-1).unbind():
            pushed = _filled(_pull([element], weights, None, keep), ys, False, False, "")
            for rows, column in zip(found, pushed):
                rows.append(column.reshape(-1))
        for block, y, columns in zip(blocks, ys, found):
            shape = (*y.shape, *x.shape)
            block.append(_stacked(columns, (x.numel(), y.numel()), y).t().reshape(shape))
    return [tuple(block) for block in blocks]


def _stacked(parts: list[Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    from autograd_core.ops.joining import stack

    return stack(parts).reshape(shape) if parts else like.new_zeros(shape)


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """H[i][j]: the second derivatives of a number by inputs i and j, of shape input i + input j.

    The options are those of `jacobian`, which is applied twice. Raises `RuntimeError` unless `func` returns one number.

    >>> import autograd_core as ag
    >>> ag.autograd.functional.hessian(lambda x: (x**3).sum(), ag.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    given, several = _tensors(inputs, "inputs")

    def number(*xs: Tensor) -> Tensor:
        (value, *more), _ = _tensors(func(*xs), "the outputs of the function")
        if more or value.numel() != 1:
            shapes = [tuple(y.shape) for y in (value, *more)]
            raise RuntimeError(f"hessian: the function must return a single Tensor with one element, got {shapes}")
        return value.reshape(())

    def slopes(*xs: Tensor) -> Tensors:
        found = jacobian(number, xs, create_graph=True)
        if strict:
            _require_history(found, "the gradient with respect to input")
        return found

    rows = jacobian(slopes, given, create_graph, strict, vectorize, outer_jacobian_strategy)
    return rows if several else rows[0][0]


def vhp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The number that `func` returns, and v^T H, with the shapes of the inputs, as `v` has.

    >>> import autograd_core as ag
    >>> ag.autograd.functional.vhp(lambda x: (x**3).sum(), ag.tensor([1.0, 2.0]), ag.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with modes.enable_grad():
        weights = _direction(v, _tensors(inputs, "inputs")[0], "input", create_graph)
        xs, ys, several, slopes = _called_for_number("vhp", func, inputs, create_graph, strict)
        result = _filled(_pull(slopes, xs, weights, create_graph), xs, strict, create_graph, "the product for input")
    return _finished(ys, create_graph, False), _finished(result, create_graph, several)


def hvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The number that `func` returns, and H v, with the shapes of the inputs, as `v` has.

    Where the second derivatives are continuous, H is symmetric and `vhp` is the same in fewer passes.

    >>> import autograd_core as ag
    >>> ag.autograd.functional.hvp(lambda x: (x**3).sum(), ag.tensor([1.0, 2.0]), ag.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with modes.enable_grad():
        weights = _direction(v, _tensors(inputs, "inputs")[0], "input", create_graph)
        xs, ys, several, slopes = _called_for_number("hvp", func, inputs, create_graph, strict)
        found = _push(slopes, xs, weights, strict, create_graph)
        result = _filled(found, xs, strict, create_graph, "the product for input")
    return _finished(ys, create_graph, False), _finished(result, create_graph, several)

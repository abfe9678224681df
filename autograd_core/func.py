"""Transforms of functions, as in `torch.func`: `grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`, `functional_call`
and, from `mapping.py`, `vmap`.

A transform takes a function of tensors, or of lists, tuples and dicts of them, and gives the function that computes a
derivative. Transforms nest, and their results can be differentiated with respect to whatever else they depend on.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autograd_core import modes, trees
from autograd_core.autograd.functional import _columns, _filled, _fresh, _pull, _push, _require_history, _rows
from autograd_core.engine import nodes_behind
from autograd_core.mapping import vmap
from autograd_core.primitive import edge_of
from autograd_core.tensor import Tensor
from autograd_core.trees import rebuilt, structure

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp", "vmap"]

Function = Callable[..., Any]
Tensors = tuple[Tensor, ...]


def _leaves(name: str, tree: Any) -> list[Tensor]:
    found = trees.leaves(tree)
    for leaf in found:
        if not isinstance(leaf, Tensor):
            raise ValueError(f"{name}: expected Tensors, or lists, tuples and dicts of them, got {type(leaf).__name__}")
    return found


# -- one call of a function whose derivative is wanted ----------------------------------------------------


class _Call:
    """`function(*args)` on the tape, apart from the caller's graph: `xs` go in where `argnums` say, `ys` come out.

    `keep`: the outcome also depends on something else that requires grad, so derivatives need a history.
    """

    def __init__(self, name: str, function: Function, argnums: Any, args: Any, kwargs: Any, has_aux: bool) -> None:
        places = _places(argnums, len(args))
        chosen = [args[i] for i in places]
        self.inputs = chosen if isinstance(argnums, tuple) else chosen[0]
        recording = modes.is_grad_enabled()
        with modes.enable_grad():
            self.xs = _fresh(tuple(_leaves(name, chosen)), recording)
            fresh = rebuilt(chosen, iter(self.xs))
            given = list(args)
            for i, value in zip(places, fresh):
                given[i] = value
            output = function(*given, **kwargs)
        self.aux: Any = None
        if has_aux:
            if not (isinstance(output, tuple) and len(output) == 2):
                raise RuntimeError(f"{name}: with has_aux=True the function must return a tuple (output, aux)")
            output, self.aux = output
        self.output, self.has_aux = output, has_aux
        try:
            self.ys = tuple(_leaves(name, output))
        except ValueError as error:
            raise RuntimeError(f"{error} from the function") from None
        self.keep = recording and _depends_on_others(self.ys, self.xs)

    def finished(self, tree: Any, tensors: Sequence[Tensor]) -> Any:
        """`tensors` in the structure of `tree`, without a history that nobody asked for."""
        return rebuilt(tree, iter(tensors if self.keep else [t.detach() for t in tensors]))

    def with_aux(self, *results: Any) -> Any:
        if self.has_aux:
            aux = self.aux
            if not self.keep:
                aux = aux.detach() if isinstance(aux, Tensor) else aux
            results = (*results, aux)
        return results if len(results) > 1 else results[0]


def _places(argnums: Any, count: int) -> list[int]:
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    if not numbers or not all(isinstance(n, int) for n in numbers):
        raise RuntimeError(f"argnums must be an int or a non-empty tuple of ints, got {argnums!r}")
    for n in numbers:
        if not -count <= n < count:
            raise RuntimeError(f"argnums names argument {n}, but there are only {count} positional arguments")
    found = [n % count for n in numbers]
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums must be distinct, got {argnums}")
    return found


def _depends_on_others(outputs: Tensors, inputs: Tensors) -> bool:
    """Whether the graph of `outputs` ends in leaves that are not among `inputs`."""
    own = {id(edge_of(x)) for x in inputs if x.is_leaf}
    roots = [edge_of(y) for y in outputs]
    edges = itertools.chain(roots, *(node.inputs for node in nodes_behind(roots)))
    return any(isinstance(edge, Tensor) and id(edge) not in own for edge in edges)


# -- the transforms ---------------------------------------------------------------------------------------


def grad_and_value(func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """The function that returns the gradient of `func`, and its value (a number; with `has_aux`, also what else it
    returns).

    argnums: the argument, or several, to differentiate by. Raises `RuntimeError` unless `func` returns one number.

    >>> import autograd_core as ag
    >>> ag.func.grad_and_value(lambda x: x**2)(ag.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        call = _Call("grad", func, argnums, args, kwargs, has_aux)
        value = call.output
        if not isinstance(value, Tensor) or value.ndim:
            found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise RuntimeError(f"grad: the function must return a scalar Tensor, got {found}; reduce it, or use jacrev")
        with modes.enable_grad():
            slopes = _filled(_pull([value], call.xs, None, call.keep), call.xs, False, False, "")
        gradient = call.finished(call.inputs, slopes)
        if isinstance(argnums, tuple):
            gradient = tuple(gradient)
        (value,) = [call.finished(value, [value])]
        return gradient, call.with_aux(value)

    return transformed


def grad(func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """The function that returns the gradient of `func`; options as in `grad_and_value`.

    >>> import autograd_core as ag
    >>> ag.func.grad(ag.func.grad(lambda x: x**3))(ag.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """The output of `func(*primals)`, and the function that maps a cotangent v of its structure to v^T J.

    That function returns a tuple with one entry a primal.

    >>> import autograd_core as ag
    >>> y, pull = ag.func.vjp(lambda x: x**2, ag.tensor([1.0, 2.0])); pull(ag.ones(2))
    (tensor([2., 4.]),)
    """
    call = _Call("vjp", func, tuple(range(len(primals))), primals, {}, has_aux)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        weights = tuple(_leaves("vjp", cotangents))
        if structure(cotangents) != structure(call.output):
            raise RuntimeError("vjp: the cotangents must have the structure of the function's output")
        keep = create_graph is not False and modes.is_grad_enabled()
        keep = keep and (bool(create_graph) or call.keep or any(w.requires_grad for w in weights))
        with modes.enable_grad():
            slopes = _filled(_pull(call.ys, call.xs, weights, keep), call.xs, False, False, "")
        return tuple(rebuilt(call.inputs, iter(slopes)))

    return call.with_aux(call.finished(call.output, call.ys), pull)


def jvp(func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """The output of `func(*primals)`, and J v for the tangents v, which have the structure of the primals.

    strict: an output that does not depend on the primals is a `RuntimeError`.

    >>> import autograd_core as ag
    >>> ag.func.jvp(lambda x: x**2, (ag.tensor([1.0, 2.0]),), (ag.ones(2),))[1]
    tensor([2., 4.])
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(f"jvp: primals must be a tuple of the function's arguments, got {type(primals).__name__}")
    if structure(tangents) != structure(primals):
        raise RuntimeError("jvp: the tangents must have the structure of the primals")
    weights = tuple(_leaves("jvp", tangents))
    call = _Call("jvp", func, tuple(range(len(primals))), primals, {}, has_aux)
    for x, v in zip(call.xs, weights):
        if x.shape != v.shape:
            raise RuntimeError(f"jvp: a primal has shape {tuple(x.shape)}, its tangent {tuple(v.shape)}")
    call.keep = call.keep or (modes.is_grad_enabled() and any(v.requires_grad for v in weights))
    if strict:
        _require_history(call.ys, "output")
    with modes.enable_grad():
        pushed = _filled(_push(call.ys, call.xs, weights, False, call.keep), call.ys, False, False, "")
    return call.with_aux(call.finished(call.output, call.ys), call.finished(call.output, pushed))


def _jacobian(name: str, func: Function, argnums: Any, has_aux: bool, blocks: Callable[[_Call], Any]) -> Function:
    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        call = _Call(name, func, argnums, args, kwargs, has_aux)
        with modes.enable_grad():
            found = [call.finished(call.inputs, row) for row in blocks(call)]
        if isinstance(argnums, tuple):
            found = [tuple(row) for row in found]
        return call.with_aux(rebuilt(call.output, iter(found)))

    return transformed


def jacrev(
    func: Function, argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Function:
    """The function that returns the Jacobian, one backward pass an element of the output: output shape + input shape.

    `chunk_size` bounds memory in PyTorch; here rows are computed one at a time in any case.

    >>> import autograd_core as ag
    >>> ag.func.jacrev(lambda x: x**2)(ag.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"jacrev: chunk_size must be greater than 0, got {chunk_size}")
    return _jacobian(
        "jacrev", func, argnums, has_aux, lambda call: [_rows(y, call.xs, False, call.keep) for y in call.ys]
    )


def jacfwd(
    func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """The same as `jacrev`, one pass an element of the inputs. The function is called once, so that `randomness`,
    which says in PyTorch whether the passes draw alike, changes nothing.

    >>> import autograd_core as ag
    >>> ag.func.jacfwd(lambda x: x.sum())(ag.tensor([1.0, 2.0]))
    tensor([1., 1.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"jacfwd: randomness must be 'error', 'different' or 'same', got {randomness!r}")
    return _jacobian("jacfwd", func, argnums, has_aux, lambda call: _columns(call.ys, call.xs, call.keep))


def hessian(func: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """The function that returns the second derivatives of `func`.

    >>> import autograd_core as ag
    >>> ag.func.hessian(lambda x: (x**3).sum())(ag.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


# -- modules ----------------------------------------------------------------------------------------------


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with other tensors, by name, in the place of its parameters and buffers.

    The module is afterwards as it was. tie_weights: a tensor given for one name also stands for the others of the same
    parameter. strict: names that are missing or unknown are a `RuntimeError`.

    >>> import autograd_core as ag
    >>> m = ag.nn.Linear(2, 1)
    >>> ag.func.functional_call(m, {"weight": ag.ones(1, 2), "bias": ag.zeros(1)}, ag.tensor([1.0, 2.0]))
    tensor([3.])
    """
    given = _merged(parameter_and_buffer_dicts)
    slots: dict[str, tuple[dict[str, Any], str]] = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for store in (part._parameters, part._buffers):
            slots.update({f"{prefix}.{name}" if prefix else name: (store, name) for name in store})
    if tie_weights:
        replacement = {id(slots[key][0][slots[key][1]]): key for key in given if key in slots}
        for key, (store, name) in slots.items():
            if store[name] is not None and id(store[name]) in replacement and key not in given:
                given[key] = given[replacement[id(store[name])]]
    missing = [key for key, (store, name) in slots.items() if key not in given and store[name] is not None]
    unknown = [key for key in given if key not in slots]
    if strict and (missing or unknown):
        raise RuntimeError(
            f"functional_call of {type(module).__name__}: missing key(s): {missing}, unexpected key(s): {unknown}"
        )
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    chosen = [(*slots[key], tensor) for key, tensor in given.items() if key in slots]
    before = [store[name] for store, name, _ in chosen]
    try:
        for store, name, tensor in chosen:
            store[name] = tensor
        return module(*args, **(kwargs or {}))
    finally:
        for (store, name, _), tensor in zip(chosen, before):
            store[name] = tensor


def _merged(dicts: Any) -> dict[str, Tensor]:
    given = (dicts,) if isinstance(dicts, Mapping) else dicts
    if not isinstance(given, list | tuple) or not all(isinstance(d, Mapping) for d in given):
        raise ValueError(f"functional_call: expected a dict or a sequence of dicts, got {type(dicts).__name__}")
    merged: dict[str, Tensor] = {}
    for d in given:
        for key, tensor in d.items():
            if key in merged:
                raise ValueError(f"functional_call: {key!r} appears in several dicts")
            if not isinstance(tensor, Tensor):
                raise TypeError(f"functional_call: {key!r} must be a Tensor, got {type(tensor).__name__}")
            merged[key] = tensor
    return merged

"""`vmap`: a function of one example made a function of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autograd_core import modes
from autograd_core.ops.joining import stack
from autograd_core.random import default_generator
from autograd_core.tensor import Tensor
from autograd_core.trees import leaves, rebuilt, spread


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that applies `func` to each slice of its inputs along `in_dims`, its results stacked at `out_dims`.

    It calls `func` once a slice: a convenience for per-example gradients and the like, not the faster kernels that
    PyTorch makes of it. in_dims, out_dims: an int for all, or a structure that matches the inputs (the outputs); None
    for what is not mapped, as keyword arguments never are. randomness: "error" raises `RuntimeError` where
    `func` draws from the default generator, "different" lets each slice draw anew, "same" lets all draw the same.
    chunk_size bounds memory in PyTorch and changes nothing here. Raises `ValueError` for inputs that cannot be mapped.

    >>> import autograd_core as ag
    >>> loss = lambda w, x: (w * x).sum() ** 2
    >>> ag.vmap(ag.func.grad(loss), in_dims=(None, 0))(ag.ones(2), ag.tensor([[1.0, 2.0], [0.0, 1.0]]))
    tensor([[ 6., 12.],
            [ 0.,  2.]])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"vmap: randomness must be 'error', 'different' or 'same', got {randomness!r}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size must be None or greater than 0, got {chunk_size}")
    if not isinstance(in_dims, int | tuple | list):
        raise ValueError(f"vmap: in_dims must be an int or a tuple that matches the inputs, got {in_dims!r}")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        inputs, places = _inputs(args, in_dims)
        sizes = {x.shape[d] for x, d in zip(inputs, places) if d is not None}
        if len(sizes) != 1:
            found = [tuple(x.shape) for x, d in zip(inputs, places) if d is not None]
            raise ValueError(f"vmap: the mapped dimensions must be of one size, got inputs of shapes {found}")
        (size,) = sizes
        draws = _Draws(randomness, inputs)

        def call(i: int) -> Any:
            chosen = iter([x if d is None else x.select(d, i) for x, d in zip(inputs, places)])
            return draws.watch(lambda: func(*rebuilt(args, chosen), **kwargs))

        if size:
            return _stacked([call(i) for i in range(size)], out_dims)
        # Of nothing, one call on zeros tells the shapes.
        inputs = [x if d is None else x.sum(d, keepdim=True, dtype=x.dtype) for x, d in zip(inputs, places)]
        with modes.no_grad():
            one = _stacked([call(0)], out_dims)
        dims = [d if d is None else d % t.ndim for t, d in zip(leaves(one), spread(out_dims, one))]
        return rebuilt(one, iter([t if d is None else t.narrow(d, 0, 0) for t, d in zip(leaves(one), dims)]))

    return mapped


def _inputs(args: tuple[Any, ...], in_dims: Any) -> tuple[list[Any], list[int | None]]:
    """All leaves of the arguments, and the dimension along which each is mapped."""
    if not args:
        raise ValueError("vmap: got no inputs to map over")
    try:
        dims = spread(in_dims, args)
    except ValueError as error:
        raise ValueError(f"vmap: in_dims does not match the inputs: {error}") from None
    inputs = leaves(args)
    places: list[int | None] = []
    for x, d in zip(inputs, dims):
        if d is None:
            places.append(None)
            continue
        if not isinstance(x, Tensor):
            raise ValueError(f"vmap: cannot map over a {type(x).__name__}; set its in_dims to None")
        if not isinstance(d, int) or not -x.ndim <= d < x.ndim:
            raise ValueError(f"vmap: in_dims {d!r} is out of range for an input of shape {tuple(x.shape)}")
        places.append(d % x.ndim)
    return inputs, places


class _Draws:
    """What `randomness` asks of the default generators of the inputs' devices."""

    def __init__(self, randomness: str, inputs: list[Any]) -> None:
        self.randomness = randomness
        backends = {x._backend for x in inputs if isinstance(x, Tensor)}
        self.generators = [] if randomness == "different" else [default_generator(b) for b in backends]
        self.states = [g.get_state() for g in self.generators]

    def watch(self, call: Callable[[], Any]) -> Any:
        if self.randomness == "same":
            for generator, state in zip(self.generators, self.states):
                generator.set_state(state)
        result = call()
        if self.randomness == "error":
            for generator, state in zip(self.generators, self.states):
                if generator.get_state().tolist() != state.tolist():
                    raise RuntimeError(
                        "vmap: the function draws random numbers; pass randomness='different' or 'same', or draw "
                        "them outside"
                    )
        return result


def _stacked(results: list[Any], out_dims: Any) -> Any:
    first = results[0]
    try:
        dims = spread(out_dims, first)
    except ValueError as error:
        raise ValueError(f"vmap: out_dims does not match the outputs: {error}") from None
    columns = zip(*(leaves(result) for result in results))
    return rebuilt(first, iter([_joined(list(column), d) for column, d in zip(columns, dims)]))


def _joined(parts: list[Any], d: int | None) -> Any:
    if d is None:
        if any(isinstance(p, Tensor) and not p.equal(parts[0]) for p in parts[1:]):
            raise ValueError("vmap: an output with out_dims None differs between the slices; give it a dimension")
        return parts[0]
    if not all(isinstance(p, Tensor) for p in parts):
        raise ValueError(f"vmap: the function must only return Tensors, got {type(parts[0]).__name__}")
    return stack(parts, d)


FUNCTIONS = ("vmap",)
METHODS = ()
INPLACE = ()

"""`check=N`: a replay and the function itself, from the same start, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from autograd_core import storage
from autograd_core.compiler.capture import CompileError
from autograd_core.compiler.entry import MISS, Entry
from autograd_core.tensor import Tensor

# By the number of bytes of a floating-point element: the largest difference allowed, of the largest magnitude.
_TOLERANCE = {2: 1e-2, 4: 1e-4, 8: 1e-10}


def checked(entry: Entry, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of `function(*args, **kwargs)`, which a replay of `entry` was compared with; `MISS` as `attempt`.

    Raises `CompileError` if a result, a gradient, or any memory that the step writes to differs.
    """
    backend = entry.plan.backend
    scope = dict(entry.names, args=args, kwargs=kwargs)
    try:
        for local, expr in entry.locals.items():
            scope[local] = eval(expr, scope)
        memory = [(name, eval(expr, scope)) for name, expr in entry.changed]  # What the step writes to.
        objects = [eval(expr, scope) for _, expr, _ in entry.assigned]
    except (AttributeError, IndexError, KeyError, TypeError):
        return MISS

    def assigned() -> list[tuple[str, Any]]:
        return [(name, _array(eval(expr, scope))) for name, expr, _ in entry.assigned]

    before = [backend.clone(array) for _, array in memory]
    result = entry.attempt(args, kwargs)
    if result is MISS:
        return MISS
    replayed = [
        *(("the result", _array(t)) for t in _tensors(result)),
        *((name, backend.clone(array)) for name, array in memory),
        *assigned(),
    ]
    for (_, array), old in zip(memory, before):
        backend.copy_(array, old)
        storage.mark_mutated(backend, array, "compile(check=...)")
    for (_, _, store), old in zip(entry.assigned, objects):
        exec(store, dict(scope, value=old))
    result = function(*args, **kwargs)
    own = [*(("the result", _array(t)) for t in _tensors(result)), *memory, *assigned()]
    for (name, x), (_, y) in zip(replayed, own, strict=True):
        _compare(entry.name, name, x, y, backend)
    return result


def _array(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)


def _compare(step: str, name: str, x: Any, y: Any, backend: Any) -> None:
    """Raise where the replay's `x` is not the function's `y`."""
    if x is None or y is None:
        if x is not y:
            raise CompileError(
                f"ag.compile: {step}: {name} is missing in {'a replay' if x is None else 'the function'}"
            )
        return
    a, b = backend.to_host(x), backend.to_host(y)
    if a.shape == b.shape and a.dtype == b.dtype:
        if a.dtype.kind != "f":
            difference = 0.0 if (a == b).all() else 1.0
            limit = 0.0
        else:
            wrong = (a != b) & ~((a != a) & (b != b))
            difference = float(abs(a - b)[wrong].max()) if wrong.any() else 0.0
            limit = _TOLERANCE[a.dtype.itemsize] * (float(abs(b[b == b]).max()) if (b == b).any() else 0.0)
        if difference <= limit:
            return
        found = f"differs by {difference:.3g}"
    else:
        found = f"is {a.dtype}{list(a.shape)} in the replay and {b.dtype}{list(b.shape)} in the function"
    raise CompileError(
        f"ag.compile: {step}: {name} {found} between a replay and the function itself: it depends on something that no "
        "guard sees, such as a counter inside an object. Pass that as an argument, or keep it in a tensor"
    )

"""Random programs: what a compiled function gives is what the function gives, values and gradients.

A program is a list of steps on a growing pool of arrays of shape (R, C), (C,), (R, 1) or (): elementwise functions,
broadcasting, reductions, products, views, writes into views, joins. It runs as a function whose result is differentiated
outside (two plans behind one node), and as a step that does so itself (one plan).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag

hypothesis = pytest.importorskip("hypothesis", reason="random programs are drawn by hypothesis")
from hypothesis import strategies as st  # noqa: E402

R, C = 3, 4
T = ag.Tensor

UNARY: dict[str, Callable[[T], T]] = {
    "sin": ag.sin,
    "tanh": ag.tanh,
    "sigmoid": ag.sigmoid,
    "relu": ag.relu,
    "exp of -|x|": lambda x: (-x.abs()).exp(),
    "log1p of x^2": lambda x: (x * x).log1p(),
    "sqrt of 1 + x^2": lambda x: (1 + x.square()).sqrt(),
    "1 / (1 + x^2)": lambda x: (1 + x**2).reciprocal(),
    "x * 0.5 - 1": lambda x: x * 0.5 - 1,
    "2 / (3 + x^2)": lambda x: 2 / (3 + x * x),
    "gelu": ag.nn.functional.gelu,
    "softplus": ag.nn.functional.softplus,
    "clamp": lambda x: x.clamp(-0.5, 0.8),
    "where": lambda x: ag.where(x > 0, x * 2, x - 1),
    "detach": lambda x: x.detach() + x,
    "clone": lambda x: x.clone(),
    "cast": lambda x: x.to(ag.float32).to(ag.float64),
    "mask": lambda x: x.masked_fill(x > 0.5, 0.25),
    "no_grad": lambda x: x + _without_history(x),
}
MATRIX: dict[str, Callable[[T], T]] = {
    "sum 0": lambda x: x.sum(0),
    "sum 1": lambda x: x.sum(1, keepdim=True),
    "mean": lambda x: x.mean(),
    "amax": lambda x: x.amax(1, keepdim=True),
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(-1),
    "logsumexp": lambda x: x.logsumexp(0),
    "var": lambda x: x.var(1, keepdim=True),
    "norm": lambda x: x.norm(),
    "cumsum": lambda x: x.cumsum(1),
    "layer_norm": lambda x: ag.nn.functional.layer_norm(x, (C,)),
    "row": lambda x: x[1],
    "column": lambda x: x[:, 2:3],
    "flip": lambda x: x.flip(0),
    "transposed product": lambda x: x @ x.t() @ x,
    "reshape": lambda x: x.reshape(C, R).t().reshape(R, C),
    "roll": lambda x: ag.cat([x[1:], x[:1]]),
    "stack": lambda x: ag.stack([x[0], x[2], x[1]]),
    "rows by index": lambda x: x[ag.tensor([2, 0, 0])],
    "take_along": lambda x: x.gather(1, ag.tensor([[0, 1, 1, 3]] * R)),
    "sort": lambda x: x.sort(1).values,
    "expand": lambda x: x.mean(0, keepdim=True).expand(R, C),
    "write into a row": lambda x: _written(x, 0),
    "write into a column": lambda x: _written(x, (slice(None), slice(1, 3))),
    "in place": lambda x: x.clone().mul_(2).add_(x).sub_(1),
    "pad": lambda x: ag.nn.functional.pad(x, (1, 0))[:, :C],
    "chunk": lambda x: ag.cat([p * (i + 1) for i, p in enumerate(x.chunk(2, 1))], 1),
}
BINARY: dict[str, Callable[[T, T], T]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (1 + y * y),
    "maximum": ag.maximum,
    "minimum": ag.minimum,
    "lerp": lambda x, y: ag.lerp(x, y, 0.3) if x.shape == y.shape else x * 0.7 + y * 0.3,
    "hypot": lambda x, y: (x * x + y * y + 1).sqrt(),
    "where less": lambda x, y: ag.where(x < y, x, y * 0.5),
    "addcmul": lambda x, y: x + x * y * 0.5,
}


def _without_history(x: T) -> T:
    with ag.no_grad():
        return x * 0.5


def _written(x: T, index: Any) -> T:
    y = x.clone()
    y[index] = y[index] * 3 + 1
    return y


Step = tuple[str, int, int]


def run(program: list[Step], inputs: tuple[T, ...]) -> T:
    pool = list(inputs)
    for name, i, j in program:
        x, y = pool[i % len(pool)], pool[j % len(pool)]
        if name in UNARY:
            pool.append(UNARY[name](x))
        elif name in BINARY:
            pool.append(BINARY[name](x, y))
        else:
            pool.append(MATRIX[name](x if x.shape == (R, C) else x + pool[0]))
        if pool[-1].shape == (R,):
            pool[-1] = pool[-1].reshape(R, 1)
    return sum((p * p).mean() for p in pool[len(inputs) :])


steps = st.tuples(st.sampled_from([*UNARY, *MATRIX, *BINARY]), st.integers(0, 30), st.integers(0, 30))
programs = st.lists(steps, min_size=1, max_size=8)


def inputs_of(seed: int) -> tuple[T, ...]:
    g = ag.Generator(ag.get_default_device()).manual_seed(seed)
    shapes = ((R, C), (C,), (R, 1), ())
    return tuple(ag.randn(*s, generator=g, dtype=ag.float64).requires_grad_() for s in shapes)


def check(program: list[Step], backend: str, mode: str | None = None) -> None:
    ag.set_default_dtype(ag.float64)

    def function(*inputs: T) -> T:
        return run(program, inputs)

    def step(*inputs: T) -> tuple[T, ...]:
        loss = run(program, inputs)
        return loss.detach(), *ag.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)

    compiled = ag.compile(function, fullgraph=True, backend=backend, mode=mode)
    compiled_step = ag.compile(step, fullgraph=True, backend=backend, mode=mode)
    for seed in range(3 if mode is None else 5):  # Graphs are there from the fourth call on, or the fifth.
        expected = [t.tolist() for t in step(*inputs_of(seed))]
        inputs = inputs_of(seed)
        loss = compiled(*inputs)
        grads = ag.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
        for found in ([loss, *grads], compiled_step(*inputs_of(seed))):
            for a, b in zip([t.tolist() for t in found], expected):
                assert close(a, b), (program, a, b)


def close(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    return a == b or a != a and b != b or abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b))


def drawn(count: int, backend: str, mode: str | None = None) -> Callable[[], None]:
    @hypothesis.settings(
        max_examples=count, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(programs)
    def test(program: list[Step]) -> None:
        check(program, backend, mode)

    return test


def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the fused loops as the Python that they are written in: compiling each would take most of the time."""
    from autograd_core.backends.cpu import fused

    def as_it_is(**options: Any) -> Callable[..., Any]:
        def decorate(loop: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arrays: Any) -> Any:
                return loop(*arrays, 0, 1)

            run.serial = run  # type: ignore[attr-defined]
            return run

        return decorate

    monkeypatch.setattr(fused, "kernel", as_it_is)


def test_random_programs_replayed() -> None:
    drawn(20, "aot_eager")()


def test_random_programs_optimised(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted(monkeypatch)
    drawn(20, "inductor")()


def test_random_programs_compiled() -> None:
    drawn(2, "inductor")()


def test_random_programs_in_graphs(cuda_backend: Any) -> None:
    drawn(10, "inductor", "reduce-overhead")()


@pytest.mark.slow
def test_five_hundred_random_programs_in_graphs(cuda_backend: Any) -> None:
    drawn(500, "inductor", "reduce-overhead")()


@pytest.mark.slow
def test_two_thousand_random_programs_replayed() -> None:
    drawn(2000, "aot_eager")()


@pytest.mark.slow
def test_two_thousand_random_programs_optimised(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted(monkeypatch)
    drawn(2000, "inductor")()


@pytest.mark.slow
def test_a_hundred_random_programs_compiled() -> None:
    drawn(100, "inductor")()

"""Random programs of views and in-place changes, run under PyTorch and here: same values, same gradients, or same class of error."""

from __future__ import annotations

import random
import warnings

import pytest
from inplace_programs import outcome
from test_inplace_views import check

import autograd_core as ag

Variable = tuple[str, tuple[int, ...]]
UNARY = ("tanh_", "exp_", "relu_", "neg_", "sigmoid_", "abs_", "square_")


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    if any(x != y and 1 not in (x, y) for x, y in zip(a, b, strict=True)):
        return None
    return tuple(max(x, y) for x, y in zip(a, b, strict=True))


def view_of(rng: random.Random, v: str, shape: tuple[int, ...]) -> Variable:
    """An expression for a view (rarely a copy) of `v`, and its shape."""
    n, size = len(shape), 1
    for s in shape:
        size *= s
    found: list[Variable] = [(f"{v}.reshape({size})", (size,)), (f"{v}.unsqueeze(0)", (1, *shape))]
    if n:
        d = rng.randrange(n)
        i, start = rng.randrange(-shape[d], shape[d]), rng.randrange(shape[d])
        stop, step = rng.randrange(start, shape[d]) + 1, rng.choice((1, 1, 2))
        index = ", ".join([":"] * d + [f"{start}:{stop}:{step}"])
        found += [
            (f"{v}.select({d}, {i})", shape[:d] + shape[d + 1 :]),
            (f"{v}[{index}]", shape[:d] + (len(range(start, stop, step)),) + shape[d + 1 :]),
            (f"{v}.narrow({d}, {start}, {stop - start})", shape[:d] + (stop - start,) + shape[d + 1 :]),
        ]
        if shape[0] > 1:
            found += [(f"{v}.unbind(0)[1]", shape[1:]), (f"{v}.split(1)[0]", (1, *shape[1:]))]
        if 1 in shape:
            one = shape.index(1)
            sizes = ", ".join("2" if k == one else "-1" for k in range(n))
            found += [
                (f"{v}.expand({sizes})", shape[:one] + (2,) + shape[one + 1 :]),
                (f"{v}.squeeze({one})", shape[:one] + shape[one + 1 :]),
            ]
    if n > 1:
        order = rng.sample(range(n), n)
        a, b = rng.sample(range(n), 2)
        rest = tuple(shape[k] for k in range(n) if k not in (a, b))
        found += [
            (f"{v}.permute({tuple(order)})", tuple(shape[k] for k in order)),
            (f"{v}.diagonal(0, {a}, {b})", (*rest, min(shape[a], shape[b]))),
        ]
    if size == 6:
        found.append((f"{v}.view(3, 2)" if rng.random() < 0.3 else f"{v}.reshape(3, 2)", (3, 2)))
    if rng.random() < 0.2:
        found += [(f"{v}.detach()", shape), (f"{v}.clone()", shape)]
    return rng.choice(found)


def change_of(rng: random.Random, v: str, shape: tuple[int, ...]) -> str:
    """A statement that changes `v` in place."""
    fitting = [name for name, s in (("b", (2, 3)), ("c", (3,))) if broadcast(shape, s) == shape]
    other = rng.choice(fitting) if fitting and rng.random() < 0.8 else rng.choice(("2", "0.5", "-1"))
    statements = [
        f"{v}.add_({other})", f"{v}.mul_({other})", f"{v}.sub_({other})", f"{v} += {other}", f"{v}[...] = {other}",
        f"{v}.{rng.choice(UNARY)}()", f"{v}[{v}.detach() > 0] = {rng.choice(('1.5', 'c[1]'))}", f"{v}.zero_()",
        f"{v}.fill_({rng.choice(('2.0', 'c[2]'))})",
    ]  # fmt: skip
    if shape:
        statements.append(f"{v}[torch.tensor([{rng.randrange(shape[0])}])] = {rng.choice(('1.5', 'b[1, 1]'))}")
    if fitting:
        statements.append(f"{v}.copy_({fitting[0]})")
    return rng.choice(statements)


def reshaping_of(rng: random.Random, v: str, shape: tuple[int, ...]) -> Variable:
    """A statement that changes the shape of `v` in place, and the shape that it has then."""
    d = rng.randrange(len(shape) + 1)
    found: list[Variable] = [(f"{v}.unsqueeze_({d})", (*shape[:d], 1, *shape[d:]))]
    found.append((f"{v}.squeeze_()", tuple(n for n in shape if n != 1)))
    if len(shape) < 3:
        found.append((f"{v}.t_()", shape[::-1]))
    if shape:
        i, j = rng.randrange(len(shape)), rng.randrange(len(shape))
        order = list(shape)
        order[i], order[j] = order[j], order[i]
        found.append((f"{v}.transpose_({i}, {j})", tuple(order)))
    return rng.choice(found)


def program(seed: int, reshaping: bool = False) -> str:
    rng = random.Random(seed)
    lines = [rng.choice(("x = a * 1", "x = k.clone()", "x = a * b"))]
    variables: list[Variable] = [("x", (2, 3)), ("k", (2, 3))]
    for i in range(rng.randrange(3, 9)):
        v, shape = rng.choice(variables)
        if reshaping and v != "k" and rng.random() < 0.25:
            line, new = reshaping_of(rng, v, shape)
            lines.append(line)
            variables[variables.index((v, shape))] = (v, new)
            continue
        kind = rng.random()
        if kind < 0.35:
            expression, new = view_of(rng, v, shape)
        elif kind < 0.8:
            line = change_of(rng, v, shape)
            lines.append(f"with torch.no_grad():\n    {line}" if rng.random() < 0.1 else line)
            continue
        elif kind < 0.9:
            w, other = rng.choice([*variables, ("b", (2, 3)), ("c", (3,))])
            common = broadcast(shape, other)
            if common is None:
                continue
            expression, new = f"{v} {rng.choice('*+-')} {w}", common
        else:
            expression, new = f"{v}.{rng.choice(('tanh', 'exp', 'relu', 'sin'))}()", shape
        lines.append(f"v{i} = {expression}")
        variables.append((f"v{i}", new))
    names = [name for name, _ in variables if name != "k"]
    terms = [f"({name} * {name}).sum()" for name in rng.sample(names, min(len(names), 3))]
    return "\n".join([*lines, f"out = {' + '.join(terms)} + a.sum() * 0"])


def run(first: int, last: int, reshaping: bool = False) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.set_warn_always(True)
    for seed in range(first, last):
        source = program(seed, reshaping)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            expected = outcome(torch, source)
        if any("on expanded tensors is deprecated" in str(warning.message) for warning in caught):
            continue  # An error here already: docs/differences-from-pytorch.md.
        try:
            check(outcome(ag, source), expected)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\n{source}") from None


@pytest.mark.parametrize("block", range(10))
def test_random_programs(block: int) -> None:
    run(60 * block, 60 * (block + 1))


@pytest.mark.parametrize("block", range(5))
def test_random_programs_that_change_shapes(block: int) -> None:
    run(60 * block, 60 * (block + 1), reshaping=True)


@pytest.mark.slow
def test_many_random_programs() -> None:
    run(600, 6000)
    run(300, 6000, reshaping=True)

"""`autograd.functional` and `func`: Jacobians, Hessians, products with them, and transforms of functions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autograd_core as ag

FUNCTIONS: dict[str, tuple[Any, tuple[tuple[int, ...], ...]]] = {
    "elementwise": (lambda x: x**3, ((3,),)),
    "two in, two out": (lambda x, y: (x @ y, (x * x * x).sum()), ((2, 3), (3, 2))),
    "one input unused": (lambda x, y: x.exp().sum(1), ((2, 3), (2,))),
    "linear": (lambda x: 3 * x, ((2,),)),
    "number of two": (lambda x, y: (x**3 * y.sum()).sum(), ((2, 2), (3,))),
    "number, one unused": (lambda x, y: (x**3).sum(), ((2,), (2,))),
    "number of shape 1": (lambda x: (x**3).sum().reshape(1), ((3,),)),
    "linear number": (lambda x: x.sum(), ((3,),)),
    "constant": (lambda x: (x * 0).detach(), ((3,),)),
    "0-d": (lambda x: x.sin(), ((),)),
    "identity": (lambda x: x, ((2,),)),
    "no tensor": (lambda x: 3, ((2,),)),
}
MATRICES: dict[str, tuple[dict[str, Any], ...]] = {
    "jacobian": ({}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}, {"strategy": "sideways"}),
    "hessian": ({}, {"vectorize": True}, {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}),
}


def flat(result: Any) -> list[Any]:
    return [leaf for part in result for leaf in flat(part)] if isinstance(result, tuple | list) else [result]


def structure(result: Any) -> Any:
    return tuple(map(structure, result)) if isinstance(result, tuple | list) else tuple(result.shape)


def outcome(t: Any, operation: str, name: str, wanted: bool, v_shape: str | None, options: dict[str, Any]) -> Any:
    """The result of one call under the library `t`, or the exception."""
    function, shapes = FUNCTIONS[name]
    rng = np.random.default_rng(0)

    def several(sizes: Any) -> Any:
        made = tuple(t.tensor(rng.normal(size=tuple(s) if v_shape != "wrong" else (7,))) for s in sizes)
        return made if len(made) > 1 else made[0]

    xs = tuple(t.tensor(rng.normal(size=s)).requires_grad_(wanted) for s in shapes)
    v: tuple[Any, ...] = ()
    try:
        if v_shape is not None:
            v = (several([y.shape for y in flat(function(*xs))] if operation == "vjp" else shapes),)
        inputs = xs if len(xs) > 1 else xs[0]
        return getattr(t.autograd.functional, operation)(function, inputs, *v, **options)
    except Exception as error:
        return error


def cases() -> list[Any]:
    found = []
    for operation in ("vjp", "jvp", "jacobian", "hessian", "vhp", "hvp"):
        vs: tuple[Any, ...] = (None,) if operation in MATRICES else (None, "right", "wrong")
        found += [(operation, v, more) for v in vs for more in MATRICES.get(operation, ({},))]
    return found


@pytest.mark.parametrize("operation, v, more", cases(), ids=str)
def test_functional_is_that_of_torch(operation: str, v: Any, more: dict[str, Any]) -> None:
    """Values, nesting, history and errors, over functions, `create_graph`, `strict` and inputs that require grad."""
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    for name, create_graph, strict, wanted in itertools.product(FUNCTIONS, *[(False, True)] * 3):
        options = {"create_graph": create_graph, "strict": strict, **more}
        mine, theirs = (outcome(t, operation, name, wanted, v, options) for t in (ag, torch))
        what = f"{operation} of {name}, {options}, v {v}, requires_grad {wanted}: {mine} against {theirs}"
        if isinstance(theirs, Exception):
            early = strict and "vectorize" in more  # PyTorch asks for this after it called the function, we before.
            assert isinstance(mine, Exception if early else type(theirs)), what
            continue
        assert not isinstance(mine, Exception), what
        assert structure(mine) == structure(theirs), what
        for a, b in zip(flat(mine), flat(theirs), strict=True):
            np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().numpy(), rtol=1e-12, err_msg=what)
            # Of constants (zeros of unused inputs, second derivatives of squares) PyTorch's often require grad.
            assert a.requires_grad <= b.requires_grad and (create_graph or not a.requires_grad), what


def test_results_with_create_graph_can_be_differentiated() -> None:
    x = ag.tensor([1.0, 2.0], dtype=ag.float64, requires_grad=True)
    f = ag.autograd.functional
    for call in (
        lambda x: f.jacobian(lambda y: y**3, x, create_graph=True),
        lambda x: f.hessian(lambda y: (y**4).sum(), x, create_graph=True),
        lambda x: f.vjp(lambda y: y**3, x, 2 * x, create_graph=True),
        lambda x: f.jvp(lambda y: y**3, x, 2 * x, create_graph=True),
        lambda x: f.hvp(lambda y: (y**4).sum(), x, x, create_graph=True),
        lambda x: f.vhp(lambda y: (y**4).sum(), x, x, create_graph=True),
    ):
        assert ag.autograd.gradcheck(call, x)


def test_an_empty_jacobian() -> None:
    assert ag.autograd.functional.jacobian(lambda x: x * 2, ag.zeros(0)).shape == (0, 0)


# -- func: each line is run under both libraries -----------------------------------------------------------

TRANSFORMS = """
grad(lambda x: x)(t.ones(2))
grad(lambda x: (x.sum(), x))(t.ones(2))
grad(lambda x: x.sum(), has_aux=True)(t.ones(2))
grad(lambda x: x.sum(), argnums=1)(t.ones(2))
grad(lambda x: x.sum(), argnums=-1)(t.ones(2))
grad(lambda x, y: (x * y).sum(), argnums=(1, 0))(t.ones(2), 2 * t.ones(2))
grad(lambda x: x.sum(), argnums=(0, 0))(t.ones(2))
grad(lambda x: x.sum(), argnums=())(t.ones(2))
grad(lambda x: x.sum(), argnums="a")(t.ones(2))
grad(lambda x: x.sum())(t.ones(2, dtype=t.int64))
grad(lambda x: 3.0)(t.ones(2))
grad(lambda x: t.ones(()))(t.ones(2))
grad(lambda x: x)(3.0)
grad(lambda x: x["a"].sum() * x["b"][0].sum())({"a": t.ones(2), "b": [3 * t.ones(1)]})
grad(lambda x, scale: (x * scale).sum())(t.ones(2), scale=2.0)
grad(lambda x: ((x**2).sum(), x), has_aux=True)(t.ones(2))
grad_and_value(lambda x: ((x**2).sum(), x), has_aux=True)(t.ones(2))
grad(grad(lambda x: x**3))(t.tensor(2.0))
grad(grad(grad(lambda x: x**4)))(t.tensor(2.0))
grad(lambda x: (x * w).sum())(t.ones(2))
grad_and_value(lambda x: (x * w).sum())(t.ones(2))
grad(lambda x: (x * 2).sum())(w)
t.no_grad()(grad(lambda x: (x * w).sum()))(w)
t.autograd.grad(grad(lambda x: (x**3).sum())(w).sum(), w)
vjp(lambda x: 3, t.ones(2))
vjp(lambda x: x * 2, t.ones(2))[1](t.ones(3))
vjp(lambda x, y: x * 2, t.ones(2), t.ones(2))[1](t.ones(2))
vjp(lambda x: (x * 2,), t.ones(2))[1](t.ones(2))
vjp(lambda x: (x * 2,), t.ones(2))[1]((t.ones(2),))
vjp(lambda x: (x * 2, x), t.ones(2), has_aux=True)[::2]
jvp(lambda x: (x * 2, 3 * x), (t.ones(2),), (t.ones(2),))
jvp(lambda x: x * 2, t.ones(2), t.ones(2))
jvp(lambda x: x * 2, (t.ones(2),), (t.ones(3),))
jvp(lambda x: t.ones(2), (t.ones(2),), (t.ones(2),))
jvp(lambda x: t.ones(2), (t.ones(2),), (t.ones(2),), strict=True)
jacrev(lambda x, y: (x * y, x), argnums=(0, 1))(t.ones(1), t.ones(1))
jacrev(lambda x: {"p": x["a"] * 2})({"a": t.ones(1)})
jacfwd(lambda x: {"p": x["a"] * 2})({"a": t.ones(1)})
jacfwd(lambda x, y: (x * y, x), argnums=(0, 1))(t.ones(2), t.ones(2))
jacrev(lambda x: (x**2, x), has_aux=True)(t.ones(2))
jacrev(lambda x: x, chunk_size=0)(t.ones(1))
hessian(lambda x, y: (x * x * y).sum(), argnums=(0, 1))(t.ones(2), t.ones(2))
jacfwd(jacrev(lambda x: x**3))(t.tensor([1.0, 2.0]))
functional_call(m, {"weight": t.ones(2, 2)}, t.ones(1, 2))
functional_call(m, [{"weight": t.ones(2, 2)}, {"bias": t.ones(2)}], (t.ones(1, 2),), {})
functional_call(m, {"weight": t.ones(2, 2), "other": t.ones(1)}, t.ones(1, 2))
functional_call(m, {"weight": t.ones(2, 2)}, t.ones(1, 2), strict=True)
functional_call(m, {"weight": t.ones(2, 2), "bias": t.ones(2), "other": t.ones(1)}, t.ones(1, 2), strict=True)
functional_call(m, {"weight": 3}, t.ones(1, 2))
functional_call(m, ({"weight": t.ones(2, 2)}, {"weight": t.ones(2, 2)}), t.ones(1, 2))
functional_call(m, 3, t.ones(1, 2))
functional_call(m, {}, t.ones(1, 2))
functional_call(twice, {"0.weight": t.ones(2, 2)}, t.ones(1, 2))
functional_call(twice, {"0.weight": t.ones(2, 2)}, t.ones(1, 2), tie_weights=False)
vmap(lambda a: a.sum())(x)
vmap(lambda a: a * 2, out_dims=1)(x)
vmap(lambda a: a * 2, out_dims=-1)(x)
vmap(lambda a, b: a * b, in_dims=(0, None))(x, t.ones(3))
vmap(lambda a, b: a * b, in_dims=(0, None))(x, 3)
vmap(lambda a: 3)(x)
vmap(lambda a: None)(x)
vmap(lambda a: a, in_dims=None)(x)
vmap(lambda a, b: a + b)(x, t.ones(3, 3))
vmap(lambda a: a, in_dims=5)(x)
vmap(lambda a: a.sum(), in_dims=-1)(x)
vmap(lambda a: a, in_dims=(0, 0))(x)
vmap(lambda a, b: a + b, in_dims=(None, None))(x, x)
vmap(lambda d, y: d["a"] + y, in_dims=({"a": 0}, None))({"a": x}, 1.0)
vmap(lambda d: d["a"])({"a": x})
vmap(lambda l: l[0] + l[1])([x, x])
vmap(lambda a, b: a * b)(x, 3)
vmap(lambda a: (a, a.sum()), out_dims=(1, 0))(x)
vmap(lambda a: (a, t.ones(2)), out_dims=(0, None))(x)
vmap(lambda a: a, out_dims=(0, 1))(x)
vmap(lambda a: a, out_dims=3)(x)
vmap(lambda a: a, out_dims=None)(x)
vmap(lambda a: t.ones(2))(x)
vmap(lambda: 1)()
vmap(lambda a: a * 2)(t.ones(0, 3))
vmap(lambda a: (a.sum(), a[:2]), out_dims=(0, 1))(t.ones(3, 0))
vmap(lambda a: a[:2] * 2, in_dims=1, out_dims=1)(t.ones(3, 0))
vmap(lambda a: a + t.rand(()))(x)
vmap(lambda a: a, randomness="x")(x)
vmap(lambda a: a, chunk_size=0)(x)
vmap(lambda a: a, chunk_size=1)(x)
vmap(lambda a, b=None: a + b)(x, b=t.ones(2, 3))
vmap(vmap(lambda a: a * a))(x)
vmap(grad(lambda v, a: (v * a).sum() ** 2), in_dims=(None, 0))(t.ones(3), x)
vmap(jacrev(lambda a: a**2))(x)
t.autograd.grad(vmap(lambda v: (v * w).sum())(x[:, :2]).sum(), w)
t.vmap(lambda a: a.sum())(x)
grad(lambda p: functional_call(m, p, t.ones(1, 2)).sum())({"weight": t.ones(2, 2), "bias": t.ones(2)})
"""


def evaluated(t: Any, line: str) -> str:
    names = {name: getattr(t.func, name) for name in ag.func.__all__}
    m = t.nn.Linear(2, 2)
    twice = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.Linear(2, 2))
    with t.no_grad():
        for p in (*m.parameters(), *twice.parameters()):
            p.fill_(0.5)
    twice[1].weight = twice[0].weight
    x = t.arange(6.0).reshape(2, 3)
    try:
        found = eval(line, {**names, "t": t, "w": t.ones(2, requires_grad=True), "m": m, "twice": twice, "x": x})
    except Exception as error:
        return type(error).__name__
    assert sorted(m._parameters) == ["bias", "weight"] and bool((m.weight == 0.5).all())

    def shown(x: Any) -> str:
        if isinstance(x, dict):
            return str({key: shown(value) for key, value in x.items()})
        return (
            str(list(map(shown, x)))
            if isinstance(x, tuple | list)
            else f"{x.tolist()} {tuple(x.shape)} {x.requires_grad}"
        )

    return shown(found)


@pytest.mark.parametrize("line", TRANSFORMS.strip().splitlines())
def test_transforms_are_those_of_torch(line: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    assert evaluated(ag, line) == evaluated(torch, line)


def test_vmap_draws_as_randomness_says() -> None:
    x = ag.ones(3, 2)
    same = ag.vmap(lambda a: ag.rand(2), randomness="same")(x)
    assert ag.equal(same[0], same[1]) and ag.equal(same[1], same[2])
    different = ag.vmap(lambda a: ag.rand(2), randomness="different")(x)
    assert not ag.equal(different[0], different[1])
    with pytest.raises(RuntimeError, match="draws random numbers"):
        ag.vmap(lambda a: ag.rand(2))(x)
    with pytest.raises(ValueError, match="differs between the slices"):
        ag.vmap(lambda a: a, out_dims=None)(ag.arange(2))


def test_older_names() -> None:
    x = ag.autograd.Variable(ag.ones(2), requires_grad=True)
    with ag.autograd.grad_mode.no_grad():
        assert isinstance(x, ag.autograd.Variable) and not (x * 2).requires_grad
    assert not isinstance(3.0, ag.autograd.Variable)
    with pytest.raises(TypeError):
        ag.autograd.Variable([1.0])


def test_transforms_on_the_chosen_device() -> None:
    x = ag.tensor([1.0, 2.0])
    assert ag.func.jacrev(lambda x: x**2)(x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert ag.func.hessian(lambda x: (x**3).sum())(x).tolist() == [[6.0, 0.0], [0.0, 12.0]]

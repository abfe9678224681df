"""LBFGS: against PyTorch, on Rosenbrock's valley, resumed, and its errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import autograd_core as ag

LBFGS: list[dict[str, Any]] = [
    {"lr": 0.1},
    {"lr": 0.05, "max_iter": 4, "history_size": 3},
    {"line_search_fn": "strong_wolfe"},
    {"lr": 0.3, "line_search_fn": "strong_wolfe", "max_iter": 5, "max_eval": 7, "history_size": 2},
    {"lr": 10.0, "line_search_fn": "strong_wolfe", "max_iter": 3},
    {"lr": 0.1, "tolerance_change": 1e-2},
    {"lr": 0.1, "tolerance_grad": 0.5},
]


def valley(params: list[Any]) -> Any:
    """Rosenbrock's function along the first parameter, and the squares of the second."""
    x, y = params[0][1:], params[0][:-1]
    return (100 * (x - y**2) ** 2 + (1 - y) ** 2).sum() / 10 + ((params[1] - 1) ** 2).sum()


def descended(lib: Any, dtype: str, steps: int, options: dict[str, Any]) -> tuple[Any, list[Any], list[float], int]:
    params = [
        lib.tensor(start, dtype=getattr(lib, dtype), requires_grad=True)
        for start in ([-1.2, 1.0, 0.5, -0.5], [[2.0], [-3.0]], [5.0])
    ]
    optimizer = lib.optim.LBFGS(params, **options)
    calls = 0

    def closure() -> Any:
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = valley(params)
        loss.backward()
        return loss

    return optimizer, params, [optimizer.step(closure).item() for _ in range(steps)], calls


@pytest.mark.parametrize("options", LBFGS, ids=lambda options: "-".join(options))
def test_lbfgs_equals_pytorch(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    ours, p, losses, calls = descended(ag, "float64", 6, options)
    theirs, q, expected, expected_calls = descended(torch, "float64", 6, options)
    assert losses == pytest.approx(expected, rel=1e-6, abs=1e-9) and calls == expected_calls
    for a, b in zip(p, q, strict=True):
        assert a.reshape(-1).tolist() == pytest.approx(b.reshape(-1).tolist(), rel=1e-6, abs=1e-6)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    assert set(mine["state"][0]) == set(other["state"][0])
    for key in ("n_iter", "func_evals"):
        assert mine["state"][0][key] == other["state"][0][key]
    for key in ("old_dirs", "old_stps", "ro", "al"):
        assert len(mine["state"][0][key]) == len(other["state"][0][key])


def test_lbfgs_minimises_and_goes_on_after_loading() -> None:
    options = {"line_search_fn": "strong_wolfe", "max_iter": 3}
    whole, p, _, _ = descended(ag, "float64", 30, options)
    assert p[0].tolist() == pytest.approx([1.0] * 4, rel=1e-4) and p[1].tolist() == [pytest.approx([1.0])] * 2
    assert p[2].tolist() == [5.0]  # It has no gradient.
    half, q, _, _ = descended(ag, "float64", 2, options)
    resumed = ag.optim.LBFGS(q, **options)
    resumed.load_state_dict(copy.deepcopy(half.state_dict()))

    def closure() -> Any:
        resumed.zero_grad()
        loss = valley(q)
        loss.backward()
        return loss

    for _ in range(28):
        resumed.step(closure)
    assert [x.tolist() for x in q] == [x.tolist() for x in p]


def test_lbfgs_mistakes() -> None:
    with pytest.raises(ValueError, match="parameter groups: got 2"):
        ag.optim.LBFGS([{"params": [ag.ones(2, requires_grad=True)]}, {"params": [ag.ones(2, requires_grad=True)]}])
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        ag.optim.LBFGS([ag.ones(2, requires_grad=True)], lr=-1)
    with pytest.raises(TypeError, match="expected a closure"):
        ag.optim.LBFGS([ag.ones(2, requires_grad=True)]).step(None)
    with pytest.raises(RuntimeError, match="only 'strong_wolfe'"):
        ag.optim.LBFGS([ag.ones(2, requires_grad=True)], line_search_fn="armijo").step(lambda: 1.0)

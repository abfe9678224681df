"""Views and in-place changes: each program gives PyTorch's values and gradients, or PyTorch's class of error.

The programs are text, run under `autograd_core as torch` and compared with the outcome that PyTorch 2.13 had; where PyTorch
is installed it runs them too. None against zeros counts as a difference.
"""

from __future__ import annotations

import builtins
import gc
import json
import weakref
from pathlib import Path
from typing import Any

import pytest
from inplace_programs import PROGRAMS, outcome

import autograd_core as ag

EXPECTED: dict[str, Any] = json.loads(Path(__file__).with_name("inplace_expected.json").read_text())


def differs(ours: Any, theirs: Any) -> bool:
    if ours is None or theirs is None:
        return ours is not theirs
    if isinstance(theirs, list):
        return not isinstance(ours, list) or len(ours) != len(theirs) or any(map(differs, ours, theirs))
    if ours == theirs or (ours != ours and theirs != theirs):
        return False
    return not abs(ours - theirs) <= 1e-11 * max(1.0, abs(theirs))


def check(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, type) or isinstance(ours, type):
        assert isinstance(theirs, type), f"an error, {ours.__name__}, where PyTorch gives {theirs}"
        assert isinstance(ours, type), f"{ours}, where PyTorch gives an error, {theirs.__name__}"
        assert issubclass(ours, theirs), f"{ours.__name__}, where PyTorch raises {theirs.__name__}"
        return
    for name, value in theirs.items():
        assert not differs(ours[name], value), f"{name} is {ours[name]}, PyTorch's is {value}"


def test_the_outcomes_are_those_of_these_programs() -> None:
    assert EXPECTED.keys() == PROGRAMS.keys(), "run tests/inplace_programs.py with PyTorch installed"


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    expected = EXPECTED[name]
    check(outcome(ag, PROGRAMS[name]), getattr(builtins, expected) if isinstance(expected, str) else expected)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_beside_torch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    check(outcome(ag, PROGRAMS[name]), outcome(torch, PROGRAMS[name]))


def test_an_error_names_the_operation_and_the_shape() -> None:
    x = ag.ones(2, 3, requires_grad=True) * 1
    y = x * x
    x[0].mul_(2)
    with pytest.raises(RuntimeError, match=r"shape \(2, 3\) that mul saved .* inplace operation \(mul_\)"):
        y.sum().backward()


def test_data_shares_the_version_counter() -> None:
    """PyTorch lets `.data` change saved values unseen, and then the gradient is wrong; here it is an error."""
    x = ag.ones(3, requires_grad=True) * 2
    y = x * x
    x.data.mul_(5)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


def test_random_fill_cuts_the_history() -> None:
    x = ag.ones(2, 3, requires_grad=True)
    y = x * 2
    y[0].uniform_()
    (y * y).sum().backward()
    assert x.grad.tolist() == [[0.0] * 3, [8.0] * 3]


def test_views_of_views_of_a_long_history_do_not_recurse() -> None:
    x = ag.zeros(4, requires_grad=True) * 1
    for _ in range(3000):
        x[1:][0].add_(1)
    x.sum().backward()
    assert x.tolist() == [0.0, 3000.0, 0.0, 0.0]


def test_changes_of_shape_leave_no_cycles() -> None:
    """What a program drops is freed at once, also with the garbage collector off."""
    a = ag.ones(2, 3, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        x = a * 1
        v, u = x[0], x[:, 1:]
        x.t_().unsqueeze_(0).squeeze_()
        u.unsqueeze_(0).transpose_(0, 1)
        v.mul_(2)
        k = ag.ones(3).resize_(5).resize_(2)
        (x.sum() + u.sum()).backward()
        held = [weakref.ref(t) for t in (x, v, u, k)] + [weakref.ref(t._before) for t in (x, u, k)]
        del x, v, u, k
        assert [r() is None for r in held] == [True] * len(held)
    finally:
        gc.enable()

"""`differentiable=True`: the update beside the fused kernel's, and its gradients beside PyTorch's and numeric ones."""

from __future__ import annotations

from typing import Any

import pytest
from test_optim import CASES as ALL
from test_optim import converted, parameters, run

import autograd_core as ag
from autograd_core.autograd import gradcheck

CASES = [(name, options) for name, options in ALL if name != "Adafactor"]  # It has no such option.
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_steps_equal_those_of_the_kernel(name: str, options: dict[str, Any]) -> None:
    plain = parameters(ag, "float64")
    taped = [p.clone() for p in plain]
    expected = run(name, getattr(ag.optim, name)(plain, **options), plain, 0, 7)
    optimizer = getattr(ag.optim, name)(taped, **options, differentiable=True)
    for found, wanted in zip(run(name, optimizer, taped, 0, 7), expected, strict=True):
        assert ag.tensor(found).reshape(-1).tolist() == pytest.approx(ag.tensor(wanted).reshape(-1).tolist(), abs=1e-6)
    assert all(p.grad_fn is not None for p in taped)


def unrolled(lib: Any, name: str, options: dict[str, Any], steps: int, start: Any, *scales: Any) -> Any:
    """The parameter after some steps along gradients that depend on it and on `scales`."""
    p = start.clone()
    optimizer = getattr(lib.optim, name)([p], **options, differentiable=True)
    for _ in range(steps):
        p.grad = scales[0] * (p - scales[1])
        optimizer.step()
    return p


def starts(lib: Any) -> list[Any]:
    values = ([0.5, -1.25, 2.0], [1.5, 0.75, -0.5], [3.0, 1.0, -2.0])
    return [lib.tensor(v, dtype=lib.float64, requires_grad=True) for v in values]


SMOOTH = [(name, options) for name, options in CASES if name != "Rprop"]
# PyTorch's SGD lets no gradient pass through the first momentum; the numeric gradients below cover it.
COMPARED = [(name, options) for name, options in CASES if not (name == "SGD" and "momentum" in options)]


@pytest.mark.parametrize(("name", "options"), COMPARED, ids=lambda v: v if isinstance(v, str) else "-".join(v))
def test_gradients_equal_pytorchs_after_a_step(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    ours, theirs = starts(ag), starts(torch)
    y, expected = unrolled(ag, name, options, 1, *ours), unrolled(torch, name, options, 1, *theirs)
    assert y.tolist() == pytest.approx(expected.tolist(), rel=1e-6)  # Its bias corrections are float32.
    y.square().sum().backward()
    expected.square().sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        wanted = [0.0] * 3 if b.grad is None else b.grad.tolist()  # A step by the sign alone has no gradient.
        assert ([0.0] * 3 if a.grad is None else a.grad.tolist()) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("name", "options"), SMOOTH, ids=[i for i in IDS if "Rprop" not in i])
def test_gradients_through_several_steps(name: str, options: dict[str, Any]) -> None:
    assert gradcheck(lambda *t: unrolled(ag, name, options, 3, *t), starts(ag), fast_mode=True)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "ASGD"])
def test_a_rate_that_learns(name: str) -> None:
    lr = ag.tensor(0.1, dtype=ag.float64, requires_grad=True)
    assert gradcheck(lambda lr: unrolled(ag, name, {"lr": lr, "weight_decay": 0.1}, 2, *starts(ag)), lr)


def test_the_gradient_of_a_step_by_hand() -> None:
    # p' = p - lr 2 p, so dp'^2/dp = 2 p' (1 - 2 lr) and dp'^2/dlr = 2 p' (-2 p).
    p = ag.tensor([3.0], requires_grad=True)
    lr = ag.tensor(0.25, requires_grad=True)
    q = p.clone()
    optimizer = ag.optim.SGD([q], lr=lr, differentiable=True)
    (gradient,) = ag.autograd.grad(q.square().sum(), q, create_graph=True)
    q.grad = gradient
    optimizer.step()
    q.square().sum().backward()
    assert p.grad.tolist() == [1.5] and lr.grad.item() == -18.0


def test_a_leaf_that_is_trained_is_refused_and_state_loads() -> None:
    p = ag.ones(2, requires_grad=True)
    optimizer = ag.optim.Adam([p], differentiable=True)
    p.grad = ag.ones(2)
    with pytest.raises(RuntimeError, match="leaf"):
        optimizer.step()
    first = ag.optim.Adam([ag.ones(2)], differentiable=True)
    first.param_groups[0]["params"][0].grad = ag.ones(2)
    first.step()
    second = ag.optim.Adam([ag.ones(2)])
    second.load_state_dict(converted(first.state_dict(), ag))
    assert second.state_dict()["state"][0]["step"].item() == 1.0


def test_ones_own_optimizer_of_a_known_name_is_none_of_ours() -> None:
    class Adam(ag.optim.Optimizer):
        def _update(self, index: int, group: dict[str, Any]) -> None:
            for p in group["params"]:
                p.sub_(p.grad * group["lr"])

    p = ag.ones(2)
    p.grad = ag.ones(2)
    Adam([p], {"lr": 0.5}).step()
    assert p.tolist() == [0.5, 0.5]
    with pytest.raises(NotImplementedError, match="Adam: differentiable=True is not supported"):
        Adam([p], {"lr": 0.5, "differentiable": True}).step()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Rprop"])
def test_a_class_derived_from_one_of_ours_may_have_its_own_update(name: str) -> None:
    class Mine(getattr(ag.optim, name)):  # type: ignore[misc]
        def _update(self, index: int, group: dict[str, Any]) -> None:
            super()._update(index, group)
            for p in group["params"]:
                p.clamp_(-0.5, 0.5)

    p = ag.ones(2)
    p.grad = ag.ones(2)
    optimizer = Mine([p], lr=0.25)
    optimizer.step()
    assert p.abs().tolist() == [0.5, 0.5] and optimizer.state_dict()["param_groups"][0]["lr"] == 0.25

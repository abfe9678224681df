"""The sweep itself: each kind of fault, put into an operation on purpose, is found by the comparison meant for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sweep_scope import Name, read_scope

torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
pytest.importorskip("expecttest", reason="PyTorch's samples need expecttest")

from sweep_names import sweep  # noqa: E402
from sweep_report import SAMPLED  # noqa: E402

import autograd_core as ag  # noqa: E402

NAMES = {name.title: name for name in read_scope()}


def _first_order_only(x: Any, *args: Any, **kwargs: Any) -> Any:
    """sinh, whose gradient is right and has no history."""

    class Sinh(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return ag.exp(x).sub(ag.exp(-x)) / 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * (ag.exp(x.detach()) + ag.exp(-x.detach())) / 2

    return Sinh.apply(x)


sin, maximum, exp_ = ag.sin, ag.maximum, ag.Tensor.exp_

FAULTS: list[tuple[str, str, Any, str, Callable[..., Any]]] = [
    ("sin", "values", ag, "sin", lambda x: sin(x) * 1.0001),
    ("sin", "values", ag, "sin", lambda x: sin(x).double()),
    ("sin", "values", ag, "sin", lambda x: sin(x).reshape(-1)),
    ("sin", "non-contiguous", ag, "sin", lambda x: sin(x) if x.is_contiguous() else sin(x) + 1),
    ("sin", "method", ag.Tensor, "sin", lambda x: sin(x) + 1),
    ("sin", "gradient", ag, "sin", lambda x: sin(x).detach()),
    ("sin", "gradient", ag, "sin", lambda x: sin(x.detach()) + x - x.detach()),
    ("sinh", "second gradient", ag, "sinh", _first_order_only),
    ("exp", "in-place", ag.Tensor, "exp_", lambda x: exp_(x).clone()),
    ("maximum", "error", ag, "maximum", lambda x, y: maximum(x, y) if isinstance(y, ag.Tensor) else x),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("title", "check", "owner", "attribute", "fault"), FAULTS, ids=[f"{f[0]}-{f[1]}" for f in FAULTS]
)
def test_a_fault_is_found(
    title: str, check: str, owner: Any, attribute: str, fault: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweep(NAMES[title], ("cpu",)).state == "complete"
    monkeypatch.setattr(owner, attribute, fault)
    report = sweep(NAMES[title], ("cpu",))
    assert report.state == "partial" and check in {found for found, _, _ in report.failed}, report.text(3)


@pytest.mark.filterwarnings("ignore")
def test_a_module_s_parameters_and_buffers_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    momentum = ag.nn.BatchNorm1d.__init__

    def wrong(self: Any, *args: Any, **kwargs: Any) -> None:
        momentum(self, *args, **kwargs)
        if self.momentum is not None:
            self.momentum *= 1.01

    monkeypatch.setattr(ag.nn.BatchNorm1d, "__init__", wrong)
    assert sweep(NAMES["nn.BatchNorm1d"], ("cpu",), SAMPLED).state == "partial"


@pytest.mark.filterwarnings("ignore")
def test_an_optimiser_s_steps_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    step = ag.optim.SGD.step

    def wrong(self: Any, closure: Any = None) -> Any:
        self.param_groups[0]["lr"] = 1.001 * self.param_groups[0]["lr"]
        return step(self, closure)

    monkeypatch.setattr(ag.optim.SGD, "step", wrong)
    assert sweep(NAMES["optim.SGD"], ("cpu",)).state == "partial"


def test_a_missing_name_is_missing() -> None:
    assert sweep(Name(1, "functions", "", "no_such_name"), ("cpu",)).state == "missing"

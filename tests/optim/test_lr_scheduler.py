"""Learning-rate schedulers: against PyTorch, by hand, saved and resumed, and their errors."""

from __future__ import annotations

from typing import Any

import pytest

import autograd_core as ag

schedulers = ag.optim.lr_scheduler


class Warmup:
    """A callable with a state of its own."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, epoch: int) -> float:
        return min(1.0, (epoch + 1) / self.length)


CASES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 3}),
    ("StepLR", {"step_size": 1, "gamma": 0.7}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), Warmup(4)]}),
    ("CosineAnnealingLR", {"T_max": 6}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.01}),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]


def optimizer(lib: Any = ag, rates: tuple[float, ...] = (0.5, 0.2)) -> Any:
    return lib.optim.SGD([{"params": [lib.ones(1, requires_grad=True)], "lr": lr} for lr in rates], lr=1.0)


def rates(scheduler: Any, epochs: int) -> list[list[float]]:
    result = [scheduler.get_last_lr()]
    for _ in range(epochs):
        scheduler.optimizer.step()
        scheduler.step()
        assert scheduler.get_last_lr() == [group["lr"] for group in scheduler.optimizer.param_groups]
        result.append(scheduler.get_last_lr())
    return result


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_rates_and_state_equal_pytorch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    ours = getattr(schedulers, name)(optimizer(), **options)
    theirs = getattr(torch.optim.lr_scheduler, name)(optimizer(torch), **options)
    assert rates(ours, 25) == rates(theirs, 25)
    assert ours.state_dict() == theirs.state_dict()
    # A plain dict carries on in the other library, in both directions.
    a, b = (
        getattr(schedulers, name)(optimizer(), **options),
        getattr(torch.optim.lr_scheduler, name)(optimizer(torch), **options),
    )
    a.load_state_dict(theirs.state_dict())
    b.load_state_dict(ours.state_dict())
    for scheduler in (a, b):
        for group, lr in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr()):
            group["lr"] = lr
    assert rates(a, 9) == rates(b, 9)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_resuming_by_last_epoch_equals_pytorch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    results = []
    for lib in (ag, torch):
        o = optimizer(lib)
        for group in o.param_groups:
            group["initial_lr"] = 2 * group["lr"]
        results.append(rates(getattr(lib.optim.lr_scheduler, name)(o, **options, last_epoch=3), 10))
    assert results[0] == results[1]


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_going_to_an_epoch_equals_pytorch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    results = []
    for lib in (ag, torch):
        scheduler = getattr(lib.optim.lr_scheduler, name)(optimizer(lib), **options)
        scheduler.optimizer.step()
        reached = []
        for epoch in (1, 7, 3):
            with pytest.warns(UserWarning):
                scheduler.step(epoch)
            reached.append(scheduler.get_last_lr())
        results.append(reached)
    for a, b in zip(*results):
        assert a == pytest.approx(b, rel=1e-14)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda o: schedulers.StepLR(o, 2, 0.5), [1.0, 1.0, 0.5, 0.5, 0.25]),
        (lambda o: schedulers.MultiStepLR(o, [1, 3, 3], 0.5), [1.0, 0.5, 0.5, 0.125, 0.125]),
        (lambda o: schedulers.ExponentialLR(o, 0.5), [1.0, 0.5, 0.25, 0.125, 0.0625]),
        (lambda o: schedulers.LambdaLR(o, lambda epoch: 1 / (1 + epoch)), [1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
        (lambda o: schedulers.CosineAnnealingLR(o, 2), [1.0, 0.5, 0.0, 0.5, 1.0]),
    ],
)
def test_by_hand(make: Any, expected: list[float]) -> None:
    found = [r[0] for r in rates(make(optimizer(rates=(1.0,))), 4)]
    assert found == pytest.approx(expected, abs=1e-15)


def test_schedulers_chain() -> None:
    o = optimizer(rates=(1.0,))
    first, second = schedulers.ExponentialLR(o, 0.5), schedulers.StepLR(o, 1, 0.5)
    o.step()
    first.step()
    second.step()
    assert o.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_a_loaded_scheduler_goes_on(name: str, options: dict[str, Any]) -> None:
    whole = getattr(schedulers, name)(optimizer(), **options)
    rates(whole, 4)
    o = optimizer()
    resumed = getattr(schedulers, name)(o, **options)
    o.load_state_dict(whole.optimizer.state_dict())
    resumed.load_state_dict(whole.state_dict())
    assert rates(resumed, 8) == rates(whole, 8)


def test_state_holds_nothing_that_cannot_be_saved(tmp_path: Any) -> None:
    for name, options in CASES:
        state = getattr(schedulers, name)(optimizer(), **options).state_dict()
        ag.save(state, tmp_path / "scheduler")
        assert ag.load(tmp_path / "scheduler") == state


def test_a_tensor_rate_is_changed_in_place() -> None:
    lr = ag.tensor(0.5)
    p = ag.ones(1, requires_grad=True)
    o = ag.optim.SGD([p], lr=lr)
    scheduler = schedulers.ExponentialLR(o, 0.5)
    p.grad = ag.ones(1)
    o.step()
    scheduler.step()
    o.step()
    assert o.param_groups[0]["lr"] is lr and lr.item() == 0.25
    assert p.tolist() == [0.25]


def test_the_schedule_before_the_step_warns() -> None:
    scheduler = schedulers.ExponentialLR(optimizer(), 0.5)
    with pytest.warns(UserWarning, match="before optimizer.step"):
        scheduler.step()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: schedulers.StepLR("adam", 1), TypeError, "str is not an Optimizer"),
        (lambda o: schedulers.StepLR(o, 0), ValueError, "step_size of at least 1"),
        (lambda o: schedulers.CosineAnnealingLR(o, 0), ValueError, "T_max of at least 1"),
        (lambda o: schedulers.StepLR(o, 1, last_epoch=2), KeyError, "initial_lr"),
        (lambda o: schedulers.LambdaLR(o, [abs]), ValueError, "expected 2 lr_lambdas"),
        (lambda o: schedulers.StepLR(o, 1).load_state_dict({"gamma": 1}), ValueError, "missing"),
        (
            lambda o: schedulers.StepLR(o, 1).load_state_dict(
                schedulers.StepLR(optimizer(rates=(1.0,)), 1).state_dict()
            ),
            ValueError,
            "1 groups, expected 2",
        ),
    ],
)
def test_mistakes(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(optimizer())

"""Learning-rate schedulers: against PyTorch, by hand, saved and resumed, and their errors."""

from __future__ import annotations

import copy
from contextlib import nullcontext
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
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 1 - 0.1 / epoch}),
    ("MultiplicativeLR", {"lr_lambda": [lambda epoch: 0.9, Warmup(4)]}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.3, "total_iters": 7}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.9, "end_factor": 0.0, "total_iters": 12}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 12, "power": 2.5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2, "eta_min": 0.01}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 4}),
    ("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": [0.3, 0.9], "step_size_up": 3, "step_size_down": 5,
                  "mode": "triangular2", "base_momentum": 0.5, "max_momentum": [0.6, 0.8]}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9,
                  "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "scale_fn": Warmup(3)}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "scale_fn": Warmup(9),
                  "scale_mode": "iterations"}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 34}),
    ("OneCycleLR", {"max_lr": [0.7, 0.3], "epochs": 5, "steps_per_epoch": 7, "pct_start": 0.4, "three_phase": True,
                    "anneal_strategy": "linear", "div_factor": 5.0, "final_div_factor": 100.0,
                    "base_momentum": [0.5, 0.6], "max_momentum": 0.7}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 40, "cycle_momentum": False}),
]  # fmt: skip
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]


def optimizer(lib: Any = ag, rates: tuple[float, ...] = (0.5, 0.2)) -> Any:
    return lib.optim.SGD([{"params": [lib.ones(1, requires_grad=True)], "lr": lr} for lr in rates], lr=1.0)


def rates(scheduler: Any, epochs: int) -> list[list[float]]:
    result = [scheduler.get_last_lr()]
    for _ in range(epochs):
        scheduler.optimizer.step()
        scheduler.step()
        groups = scheduler.optimizer.param_groups
        assert scheduler.get_last_lr() == [group["lr"] for group in groups]
        result.append([*scheduler.get_last_lr(), *(group["momentum"] for group in groups)])
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
            if name == "OneCycleLR":  # Its other bounds are in the groups, too, and saved with the optimizer.
                group.update(max_lr=4 * group["lr"], min_lr=0.01, base_momentum=0.5, max_momentum=0.9)
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
            # For the warm restarts it is a way of its own, and says nothing.
            with nullcontext() if "Restarts" in name else pytest.warns(UserWarning):
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
        (lambda o: schedulers.CosineAnnealingWarmRestarts(o, 2), [1.0, 0.5, 1.0, 0.5, 1.0]),
        (lambda o: schedulers.CosineAnnealingWarmRestarts(o, 1, 2), [1.0, 1.0, 0.5, 1.0, 0.5 + 0.125**0.5]),
        (lambda o: schedulers.MultiplicativeLR(o, lambda epoch: 1 / epoch), [1.0, 1.0, 1 / 2, 1 / 6, 1 / 24]),
        (lambda o: schedulers.ConstantLR(o, 0.25, 2), [0.25, 0.25, 1.0, 1.0, 1.0]),
        (lambda o: schedulers.ConstantLR(o, 0.0, 2), [0.0, 0.0, 1.0, 1.0, 1.0]),
        (lambda o: schedulers.LinearLR(o, 0.25, total_iters=3), [0.25, 0.5, 0.75, 1.0, 1.0]),
        (lambda o: schedulers.PolynomialLR(o, 4, 2.0), [1.0, 0.5625, 0.25, 0.0625, 0.0]),
        (lambda o: schedulers.CyclicLR(o, 0.5, 1.0, 2, 1), [0.5, 0.75, 1.0, 0.5, 0.75]),
        (lambda o: schedulers.CyclicLR(o, 0.5, 1.0, 1, mode="triangular2"), [0.5, 1.0, 0.5, 0.75, 0.5]),
        (
            lambda o: schedulers.OneCycleLR(
                o, 1.0, 5, pct_start=0.6, anneal_strategy="linear", div_factor=2.0, final_div_factor=2.0
            ),
            [0.5, 0.75, 1.0, 0.625, 0.25],
        ),
        # The rise has no length: its end is reached at once.
        (
            lambda o: schedulers.OneCycleLR(
                o, 1.0, 5, pct_start=0.2, anneal_strategy="linear", div_factor=2.0, final_div_factor=2.0
            ),
            [1.0, 0.8125, 0.625, 0.4375, 0.25],
        ),
        (
            lambda o: schedulers.SequentialLR(
                o, [schedulers.ConstantLR(o, 0.5, 9), schedulers.ExponentialLR(o, 0.5)], [2]
            ),
            [0.5, 0.5, 1.0, 0.5, 0.25],
        ),
        (
            lambda o: schedulers.ChainedScheduler([schedulers.ConstantLR(o, 0.5, 2), schedulers.ExponentialLR(o, 0.5)]),
            [0.5, 0.25, 0.25, 0.125, 0.0625],
        ),
    ],
)
def test_by_hand(make: Any, expected: list[float]) -> None:
    found = [r[0] for r in rates(make(optimizer(rates=(1.0,))), 4)]
    assert found == pytest.approx(expected, abs=1e-15)


# Schedulers of schedulers, made by `make(schedulers of a library, optimizer)`.
COMPOSITES: dict[str, Any] = {
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, total_iters=4), s.CosineAnnealingLR(o, 6), s.StepLR(o, 2)], [4, 9]
    ),
    "sequential-restarts": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o), s.CosineAnnealingWarmRestarts(o, 3)], [5]),
    "chained": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.PolynomialLR(o, 8)]
    ),
    "chained-in-sequential": lambda s, o: s.SequentialLR(
        o, [s.ChainedScheduler([s.ConstantLR(o), s.ExponentialLR(o, 0.9)]), s.PolynomialLR(o, 5)], [6]
    ),
}


# A chain in a sequence is stepped before the optimizer is, in both libraries.
@pytest.mark.filterwarnings("ignore:.*`?lr_scheduler.step:UserWarning")
@pytest.mark.parametrize("case", COMPOSITES)
def test_composites_equal_pytorch_and_go_on_after_loading(case: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    make = COMPOSITES[case]
    ours, theirs = make(schedulers, optimizer()), make(torch.optim.lr_scheduler, optimizer(torch))
    assert rates(ours, 5) == rates(theirs, 5)
    assert ours.state_dict() == theirs.state_dict()
    o = optimizer()
    resumed = make(schedulers, o)
    o.load_state_dict(ours.optimizer.state_dict())
    resumed.load_state_dict(copy.deepcopy(ours.state_dict()))
    assert rates(ours, 8) == rates(theirs, 8) == rates(resumed, 8)


PLATEAUS: list[dict[str, Any]] = [
    {"patience": 1},
    {"patience": 0, "factor": 0.5, "min_lr": [0.1, 0.15], "cooldown": 2},
    {"mode": "max", "patience": 2, "threshold": 0.2},
    {"mode": "max", "patience": 1, "threshold": 0.3, "threshold_mode": "abs", "eps": 0.01},
    {"patience": 1, "threshold": 0.3, "threshold_mode": "abs"},
]


@pytest.mark.parametrize("options", PLATEAUS, ids="-".join)
def test_plateaus_equal_pytorch(options: dict[str, Any], tmp_path: Any) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    ours = schedulers.ReduceLROnPlateau(optimizer(), **options)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer(torch), **options)
    ag.save(ours.state_dict(), tmp_path / "scheduler")
    for i, metric in enumerate([3.0, 2.0, 2.5, 1.9, 1.9, float("nan"), 1.0, 5.0, 5.5, 5.4, 5.3, 5.9, 5.2, 5.1, 6.0]):
        if i == 8:  # Saved and resumed.
            state = ours.state_dict()
            ours = schedulers.ReduceLROnPlateau(ours.optimizer, **options)
            ours.load_state_dict(state)
        ours.step(metric)
        theirs.step(metric)
        assert [group["lr"] for group in ours.optimizer.param_groups] == theirs.get_last_lr() == ours.get_last_lr()
    assert ours.state_dict() == theirs.state_dict()


def test_a_plateau_by_hand_with_a_tensor_as_metric() -> None:
    o = optimizer(rates=(1.0,))
    scheduler = schedulers.ReduceLROnPlateau(o, patience=1, factor=0.5)
    found = []
    for metric in (1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.3):
        scheduler.step(ag.tensor(metric))
        found.append(o.param_groups[0]["lr"])
    assert found == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]


def test_the_first_beta_cycles_where_there_is_no_momentum() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    for name, options in (("OneCycleLR", (1.0, 9)), ("CyclicLR", (0.1, 1.0, 3))):
        betas = []
        for lib in (ag, torch):
            o = lib.optim.Adam([lib.ones(1, requires_grad=True)])
            scheduler = getattr(lib.optim.lr_scheduler, name)(o, *options)
            found = []
            for _ in range(8):
                o.step()
                scheduler.step()
                found.append(o.param_groups[0]["betas"])
            betas.append(found)
        assert betas[0] == betas[1]


def test_fractions_of_epochs_and_exact_restarts() -> None:
    scheduler = schedulers.CosineAnnealingWarmRestarts(optimizer(rates=(1.0,)), T_0=1, T_mult=3)
    scheduler.step(0.5)
    assert scheduler.get_last_lr() == pytest.approx([0.5])
    scheduler.step(121)  # 1 + 3 + 9 + 27 + 81: a restart, though math.log(243, 3) is less than 5.
    assert scheduler.get_last_lr() == [1.0] and scheduler.T_i == 243


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
        (lambda o: schedulers.LambdaLR(o, [abs]), ValueError, "lr_lambda: expected one value or 2"),
        (lambda o: schedulers.StepLR(o, 1).load_state_dict({"gamma": 1}), ValueError, "missing"),
        (lambda o: schedulers.MultiplicativeLR(o, 0.5), TypeError, "should be a function, got float"),
        (lambda o: schedulers.ConstantLR(o, 1.5), ValueError, "between 0 and 1, got 1.5"),
        (lambda o: schedulers.LinearLR(o, 0.0), ValueError, "start_factor above 0"),
        (lambda o: schedulers.LinearLR(o, end_factor=2.0), ValueError, "end_factor between 0 and 1"),
        (lambda o: schedulers.CosineAnnealingWarmRestarts(o, 2.5), ValueError, "positive integer T_0, got 2.5"),
        (lambda o: schedulers.CosineAnnealingWarmRestarts(o, 2).step(-1), ValueError, "at least 0, got -1"),
        (lambda o: schedulers.CyclicLR(o, [0.1], 1.0), ValueError, "base_lr: expected one value or 2"),
        (lambda o: schedulers.CyclicLR(o, 0.1, 1.0, mode="square"), ValueError, "mode is invalid"),
        (lambda o: schedulers.CyclicLR(o, 0.1, 1.0, scale_mode="up"), ValueError, "scale_mode 'up' is unknown"),
        (lambda o: schedulers.OneCycleLR(o, 1.0), ValueError, "either total_steps or both"),
        (lambda o: schedulers.OneCycleLR(o, 1.0, 0), ValueError, "positive integer total_steps, got 0"),
        (lambda o: schedulers.OneCycleLR(o, 1.0, 9, pct_start=2.0), ValueError, "pct_start, got 2.0"),
        (lambda o: schedulers.OneCycleLR(o, 1.0, 9, anneal_strategy="sin"), ValueError, "got 'sin'"),
        (lambda o: rates(schedulers.OneCycleLR(o, 1.0, 2), 3), ValueError, "tried to step 3 times"),
        (
            lambda o: schedulers.OneCycleLR(ag.optim.Rprop(o.param_groups[0]["params"]), 1.0, 9),
            ValueError,
            "Rprop does not",
        ),
        (lambda o: schedulers.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor should be < 1.0"),
        (lambda o: schedulers.ReduceLROnPlateau(o, "least"), ValueError, "mode least is unknown"),
        (lambda o: schedulers.ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "min_lr: expected one value or 2"),
        (lambda o: schedulers.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold mode x is unknown"),
        (lambda o: schedulers.ChainedScheduler([]), ValueError, "at least one scheduler"),
        (lambda o: schedulers.ChainedScheduler([schedulers.ReduceLROnPlateau(o)]), ValueError, "needs a metric"),
        (lambda o: schedulers.SequentialLR(o, [o], []), TypeError, "has no `optimizer`"),
        (lambda o: schedulers.SequentialLR(o, [schedulers.ConstantLR(o)], [3]), ValueError, "one milestone less"),
        (
            lambda o: schedulers.SequentialLR(o, [schedulers.ConstantLR(optimizer())], []),
            ValueError,
            "same optimizer",
        ),
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

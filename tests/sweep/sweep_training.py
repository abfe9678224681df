"""The optimisers (PyTorch's OptimizerInfo samples), the schedulers and nn.utils (rows of our own): step for step."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from sweep_checks import Call, check_call, check_error, check_first, check_second, their_gradients, theirs
from sweep_compare import Converter, Copier, Wrong, check_close, show
from sweep_report import Effort, Report, chosen
from sweep_scope import Name
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

import autograd_core as ag

STEPS = 8


def _attempts(report: Report, devices: tuple[str, ...], check: str, dtype: str, text: str, action: Any) -> None:
    for device in devices:
        with ag.device(device):
            report.attempt(check, dtype, device, text, lambda device=device: action(device))


def _start(name: str, dtype: torch.dtype) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Parameters and the targets of a convex loss. Muon takes matrices only."""
    generator = torch.Generator().manual_seed(2)
    shapes = [(4, 3), (3, 5)] if name == "Muon" else [(4, 3), (5,)]
    return tuple([torch.randn(s, dtype=dtype, generator=generator) for s in shapes] for _ in range(2))  # type: ignore[return-value]


def _train(root: Any, name: str, groups: bool, options: dict[str, Any], start: Any) -> tuple[list[Any], Any]:
    """The parameters after each step, and the optimiser's state in the end."""
    parameters, targets = start
    for p in parameters:
        p.requires_grad_()
    given = parameters
    if groups:
        given = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.02}]
    optimizer = getattr(root.optim, name)(given, **options)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = sum((((p - t) ** 2).sum() + (p * t).sin().sum()) for p, t in zip(parameters, targets, strict=True))
        loss.backward()
        return loss

    seen = []
    for _ in range(STEPS):
        if name == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
        seen += [p.detach().clone() for p in parameters]
    state = optimizer.state_dict()
    return seen, ([dict(sorted(state["state"][key].items())) for key in sorted(state["state"])], state["param_groups"])


def sweep_optimiser(name: Name, devices: tuple[str, ...], effort: Effort) -> Report:
    """Every option PyTorch's tests set: the parameters after each of eight steps, then the state and the groups."""
    report = Report(name)
    if getattr(ag.optim, name.path, None) is None:
        report.missing = True
        return report
    info = next(info for info in optim_db if info.optim_cls is getattr(torch.optim, name.path))
    samples = [
        (groups, dict(sample.kwargs))
        for sample in info.optim_inputs_func(device="cpu")
        for groups in ((False,) if name.path == "LBFGS" else (False, True))
    ]
    for dtype in (torch.float64, torch.float32):
        for groups, options in chosen(samples, effort.values, f"{name.path} {dtype}"):
            _optimiser(name.path, groups, options, dtype, report, devices)
    if info.optim_error_inputs_func is not None:
        cases = list(info.optim_error_inputs_func("cpu", torch.float64))
        for case in chosen(cases, effort.errors, f"{name.path} errors"):
            if case.error_on == OptimizerErrorEnum.CONSTRUCTION_ERROR:
                sample = case.optimizer_error_input
                parameters = [torch.zeros(2, 3, requires_grad=True)] if sample.params is None else sample.params
                _error(name.path, Call((parameters,), dict(sample.kwargs)), report, devices)
    return report


def _optimiser(
    name: str, groups: bool, options: dict[str, Any], dtype: torch.dtype, report: Report, devices: tuple[str, ...]
) -> None:
    label = str(dtype).removeprefix("torch.")
    text = f"{name}({'two groups, ' if groups else ''}{show(options)})"
    call = Call((_start(name, dtype), options), {})

    def run(root: Any, convert: Converter) -> Any:
        (start, kwargs), _ = call.arguments(convert)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _train(root, name, groups, kwargs, start)

    wanted_steps, (wanted_state, wanted_groups) = run(torch, Copier())

    def compare(device: str) -> None:
        steps, (state, param_groups) = run(ag, Converter(device))
        check_close(steps, wanted_steps, "parameters", 10)
        if len(state) != len(wanted_state):
            raise Wrong(f"state of {len(state)} parameters, expected {len(wanted_state)}")
        for ours, expected in zip(state, wanted_state, strict=True):
            if name != "LBFGS":  # Its state is lists of lists; the steps have shown it.
                if list(ours) != list(expected):
                    raise Wrong(f"state {list(ours)}, expected {list(expected)}")
                check_close(list(ours.values()), list(expected.values()), "state", 10)
        for ours, expected in zip(param_groups, wanted_groups, strict=True):
            if sorted(ours) != sorted(expected):
                raise Wrong(f"group {sorted(ours)}, expected {sorted(expected)}")

    _attempts(report, devices, "steps", label, text, compare)


def _error(name: str, call: Call, report: Report, devices: tuple[str, ...]) -> None:
    try:
        args, kwargs = call.arguments(Copier())
        getattr(torch.optim, name)(*args, **kwargs)
    except Exception as raised:
        error = raised
    else:
        return

    def run(device: str) -> None:
        args, kwargs = call.arguments(Converter(device))
        check_error(error, lambda: getattr(ag.optim, name)(*args, **kwargs))

    _attempts(report, devices, "error", "", f"{show(list(call.args))} {show(call.kwargs)}", run)


def _halved(epoch: int) -> float:
    return 0.5 ** (epoch // 3)


def _decayed(epoch: int) -> float:
    return 1 - 0.1 / (1 + epoch)


SCHEDULES: dict[str, list[dict[str, Any]]] = {
    "StepLR": [{"step_size": 3}, {"step_size": 1, "gamma": 0.7}, {"step_size": 4, "gamma": 2.0}],
    "MultiStepLR": [{"milestones": [2, 5, 5, 9], "gamma": 0.5}, {"milestones": [1]}, {"milestones": []}],
    "ExponentialLR": [{"gamma": 0.9}, {"gamma": 1.0}],
    "CosineAnnealingLR": [{"T_max": 6}, {"T_max": 5, "eta_min": 0.01}, {"T_max": 40}],
    "LambdaLR": [{"lr_lambda": _halved}, {"lr_lambda": [_halved, _decayed]}],
    "MultiplicativeLR": [{"lr_lambda": _decayed}, {"lr_lambda": [_decayed, _halved]}],
    "OneCycleLR": [
        {"max_lr": 0.7, "total_steps": 34},
        {"max_lr": [0.7, 0.3], "epochs": 5, "steps_per_epoch": 7, "pct_start": 0.4, "three_phase": True},
        {"max_lr": 0.7, "total_steps": 40, "anneal_strategy": "linear", "div_factor": 5.0, "final_div_factor": 100.0},
        {"max_lr": 0.7, "total_steps": 40, "cycle_momentum": False},
    ],
    "ReduceLROnPlateau": [
        {"patience": 1},
        {"mode": "max", "factor": 0.5, "patience": 0, "cooldown": 2},
        {"patience": 1, "threshold": 0.3, "threshold_mode": "abs", "min_lr": 0.05},
        {"patience": 0, "factor": 0.3, "min_lr": [0.1, 0.02], "eps": 1e-3},
    ],
    "LinearLR": [{}, {"start_factor": 0.9, "end_factor": 0.0, "total_iters": 12}],
    "ConstantLR": [{}, {"factor": 0.3, "total_iters": 7}],
    "PolynomialLR": [{}, {"total_iters": 12, "power": 2.5}],
    "CosineAnnealingWarmRestarts": [{"T_0": 4}, {"T_0": 2, "T_mult": 2, "eta_min": 0.01}],
    "CyclicLR": [
        {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 4},
        {"base_lr": [0.1, 0.2], "max_lr": [0.3, 0.9], "step_size_up": 3, "step_size_down": 5, "mode": "triangular2"},
        {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9, "cycle_momentum": False},
        {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "scale_fn": _decayed, "scale_mode": "iterations"},
    ],
    # Composites: the parts, as (name, options), and the epochs at which SequentialLR goes on.
    "SequentialLR": [
        {"parts": [("ConstantLR", {}), ("ExponentialLR", {"gamma": 0.9})], "milestones": [6]},
        {"parts": [("LinearLR", {}), ("StepLR", {"step_size": 2}), ("CosineAnnealingLR", {"T_max": 5})], "milestones": [3, 9]},
    ],
    "ChainedScheduler": [
        {"parts": [("ConstantLR", {}), ("ExponentialLR", {"gamma": 0.9})]},
        {"parts": [("LinearLR", {"total_iters": 7}), ("StepLR", {"step_size": 4}), ("PolynomialLR", {})]},
    ],
}  # fmt: skip

REFUSED: dict[str, list[dict[str, Any]]] = {
    "StepLR": [{}],
    "MultiStepLR": [{"milestones": 3}],
    "LambdaLR": [{"lr_lambda": [_halved]}],
    "MultiplicativeLR": [{"lr_lambda": [_halved]}],
    "OneCycleLR": [{"max_lr": 0.1}, {"max_lr": 0.1, "total_steps": -1}, {"max_lr": 0.1, "total_steps": 9, "pct_start": 2.0}],
    "ReduceLROnPlateau": [{"factor": 1.0}, {"mode": "mean"}, {"min_lr": [0.1]}],
    "LinearLR": [{"start_factor": 0.0}, {"end_factor": 2.0}],
    "ConstantLR": [{"factor": 2.0}],
    "CosineAnnealingWarmRestarts": [{"T_0": 0}, {"T_0": 2, "T_mult": 0}],
    "CyclicLR": [{"base_lr": 0.1, "max_lr": 0.2, "mode": "square"}, {"base_lr": [0.1], "max_lr": 0.2}],
    "SequentialLR": [{"parts": [("ConstantLR", {})], "milestones": [2, 3]}],
}  # fmt: skip


def _scheduler(root: Any, name: str, options: dict[str, Any]) -> Any:
    schedulers = root.optim.lr_scheduler
    groups = [{"params": [root.ones(1, requires_grad=True)], "lr": lr} for lr in (0.5, 0.2)]
    optimizer = root.optim.SGD(groups, lr=1.0, momentum=0.9)
    if "parts" not in options:
        return getattr(schedulers, name)(optimizer, **options)
    parts = [getattr(schedulers, part)(optimizer, **given) for part, given in options["parts"]]
    rest = {key: value for key, value in options.items() if key != "parts"}
    return (
        schedulers.SequentialLR(optimizer, parts, **rest)
        if name == "SequentialLR"
        else schedulers.ChainedScheduler(parts)
    )


def _rates(root: Any, name: str, options: dict[str, Any]) -> list[Any]:
    """The rates and momenta of 30 epochs, saved and loaded into a new scheduler in the middle."""
    metrics = [1.0, 0.8, 0.8, 0.9, 0.7, 0.7, 0.71, 0.7, 0.72, 0.7] * 3
    scheduler = _scheduler(root, name, options)
    seen: list[Any] = []
    for epoch, metric in enumerate(metrics):
        if epoch == 14 and "parts" not in options:
            saved, old = scheduler.state_dict(), scheduler.optimizer.state_dict()
            scheduler = _scheduler(root, name, options)
            scheduler.load_state_dict(saved)
            scheduler.optimizer.load_state_dict(old)
        scheduler.optimizer.step()
        scheduler.step(metric) if name == "ReduceLROnPlateau" else scheduler.step()
        groups = scheduler.optimizer.param_groups
        seen.append([*(float(g["lr"]) for g in groups), *(float(g["momentum"]) for g in groups)])
    return seen


def sweep_scheduler(name: Name, devices: tuple[str, ...], effort: Effort) -> Report:
    report = Report(name)
    if getattr(ag.optim.lr_scheduler, name.path, None) is None:
        report.missing = True
        return report
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in SCHEDULES[name.path]:
            wanted = _rates(torch, name.path, options)

            def compare(device: str, options: Any = options, wanted: Any = wanted) -> None:
                check_close(_rates(ag, name.path, options), wanted, "rates")

            _attempts(report, devices, "rates", "", show(options), compare)
        for options in REFUSED.get(name.path, []):
            outcome = theirs(functools.partial(_scheduler, torch, name.path), Call((options,), {}))
            if outcome.error is None:
                raise AssertionError(f"PyTorch takes {name.path}({options})")

            def refuse(device: str, options: Any = options, error: Exception = outcome.error) -> None:
                check_error(error, lambda: _scheduler(ag, name.path, options))

            _attempts(report, devices, "error", "", show(options), refuse)
    return report


def _clip_norm(root: Any, grads: list[Any], *args: Any, **kwargs: Any) -> Any:
    parameters = [root.zeros_like(g, requires_grad=True) for g in grads]
    for p, g in zip(parameters, grads, strict=True):
        p.grad = g
    return root.nn.utils.clip_grad_norm_(parameters, *args, **kwargs), [p.grad for p in parameters]


def _clip_value(root: Any, grads: list[Any], *args: Any, **kwargs: Any) -> Any:
    parameters = [root.zeros_like(g, requires_grad=True) for g in grads]
    for p, g in zip(parameters, grads, strict=True):
        p.grad = g
    return root.nn.utils.clip_grad_value_(parameters, *args, **kwargs), [p.grad for p in parameters]


def _to_vector(root: Any, parameters: list[Any]) -> Any:
    return root.nn.utils.parameters_to_vector(parameters)


def _from_vector(root: Any, vector: Any, shapes: list[Any]) -> Any:
    parameters = [root.zeros(shape, dtype=vector.dtype) for shape in shapes]
    return root.nn.utils.vector_to_parameters(vector, parameters), parameters


Row = tuple[Callable[..., Any], Callable[[torch.dtype, bool], list[Call]]]


def _grads(dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(s, dtype=torch.float64, generator=generator).to(dtype) for s in ((3, 4), (5,), ())]


def _norm_calls(dtype: torch.dtype, grad: bool) -> list[Call]:
    grads = _grads(dtype)
    calls = [Call((grads, limit), {"norm_type": p}) for limit in (0.5, 100.0) for p in (1, 2.0, 3, float("inf"))]
    bad = [grads[0] * float("nan"), grads[1]]
    return [*calls, Call(([], 1.0), {}), Call((bad, 1.0), {}), Call((bad, 1.0), {"error_if_nonfinite": True})]


def _value_calls(dtype: torch.dtype, grad: bool) -> list[Call]:
    return [Call((_grads(dtype), limit), {}) for limit in (0.1, 1, 100.0)]


def _vector_calls(dtype: torch.dtype, grad: bool) -> list[Call]:
    grads = [g.requires_grad_(grad) for g in _grads(dtype)]
    return [Call((grads,), {}), Call((grads[:1],), {}), Call(([grads[0].detach()[:, :0]],), {})]


def _parameters_calls(dtype: torch.dtype, grad: bool) -> list[Call]:
    return [
        Call((torch.arange(18, dtype=dtype), [(3, 4), (5,), (1,)]), {}),
        Call((torch.arange(3, dtype=dtype), [(3,)]), {}),
    ]


UTILITIES: dict[str, Row] = {
    "clip_grad_norm_": (_clip_norm, _norm_calls),
    "clip_grad_value_": (_clip_value, _value_calls),
    "parameters_to_vector": (_to_vector, _vector_calls),
    "vector_to_parameters": (_from_vector, _parameters_calls),
}


def sweep_utility(name: Name, devices: tuple[str, ...], effort: Effort) -> Report:
    report = Report(name)
    leaf = name.path.rpartition(".")[2]
    if getattr(ag.nn.utils, leaf, None) is None:
        report.missing = True
        return report
    function, calls = UTILITIES[leaf]
    ours, expected = functools.partial(function, ag), functools.partial(function, torch)
    for dtype in (torch.float64, torch.float32):
        label = str(dtype).removeprefix("torch.")
        for call in calls(dtype, False):
            outcome = theirs(expected, call)
            check = functools.partial(check_call, ours, call, outcome)
            _attempts(report, devices, "values", label, show(list(call.args)) + show(call.kwargs), check)
    for call in calls(torch.float64, True):
        found = their_gradients(expected, call, True) if leaf == "parameters_to_vector" else None
        if found is not None:
            first = functools.partial(_first, ours, call, found)
            _attempts(report, devices, "gradient", "float64", show(list(call.args)), first)
    return report


def _first(function: Any, call: Call, found: Any, device: str) -> None:
    check_first(function, call, found, device, 1.0)
    if found.second is not None:
        check_second(function, call, found, device, 1.0)

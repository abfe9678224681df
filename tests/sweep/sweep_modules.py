"""The modules: PyTorch's ModuleInfo samples. Ours gets PyTorch's state_dict, so keys and shapes must agree too."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from sweep_checks import Call, check_call, check_error, check_first, check_second, their_gradients, theirs
from sweep_compare import Converter, Copier, Wrong, dtype_name, our_dtype, show
from sweep_report import Effort, Report, chosen
from sweep_scope import Name
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

import autograd_core as ag

DTYPES = (torch.float64, torch.float32, torch.float16)

# In the narrower dtypes, so many samples.
OTHER_DTYPES = 24

# One rounding of the input moves their result by many.
ROUGH = {"MultiheadAttention": 20, "TransformerEncoderLayer": 100, "TransformerDecoderLayer": 100, "Transformer": 500,
         "TransformerEncoder": 100, "LSTM": 5, "GRU": 5, "RNN": 5, "LPPool1d": 10, "LPPool2d": 10}  # fmt: skip


@functools.cache
def infos(path: str) -> tuple[Any, ...]:
    return tuple(info for info in module_db if info.module_cls is getattr(torch.nn, path))


class _Pair:
    """PyTorch's module and ours with the same parameters, and the call of both as a function of them."""

    def __init__(self, path: str, sample: Any, dtype: torch.dtype, training: bool) -> None:
        self.path, self.training, self.dtype = path, training, dtype_name(dtype)
        build = sample.constructor_input
        self.build = Call(tuple(build.args), dict(build.kwargs))
        torch.manual_seed(3)
        args, kwargs = self.build.arguments(Copier())
        self.module = getattr(torch.nn, path)(*args, **kwargs).to(dtype).train(training)
        forward = sample.forward_input
        self.lazy = path.startswith("Lazy")
        if self.lazy:  # The first call makes the parameters.
            self.module(*Copier()(forward.args), **Copier()(dict(forward.kwargs)))
        self.state = {key: value.detach().clone() for key, value in self.module.state_dict().items()}
        parameters = {key: value.detach().clone().requires_grad_() for key, value in self.module.named_parameters()}
        self.call = Call((parameters, *forward.args), dict(forward.kwargs))

    def theirs(self, parameters: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        self.module.load_state_dict(self.state)
        result = torch.func.functional_call(self.module, parameters, args, kwargs)
        return result, list(self.module.buffers())

    def ours(self, parameters: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        device = ag.get_default_device()
        convert = Converter(str(device))
        build, options = self.build.arguments(convert)
        module = getattr(ag.nn, self.path)(*build, **options).to(dtype=our_dtype(self.dtype)).train(self.training)
        if self.lazy:
            module(*args, **kwargs)
        ours = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        theirs = {key: tuple(value.shape) for key, value in self.state.items()}
        if list(ours.items()) != list(theirs.items()):
            raise Wrong(f"state_dict {ours}, expected {theirs}")
        module.load_state_dict({key: convert(value) for key, value in self.state.items()})
        for key, value in parameters.items():
            owner, _, leaf = key.rpartition(".")
            module.get_submodule(owner)._parameters[leaf] = value
        result = module(*args, **kwargs)
        return result, list(module.buffers())


def sweep_module(name: Name, devices: tuple[str, ...], effort: Effort) -> Report:
    """All of PyTorch's samples for one module: results, buffers, gradients of inputs and parameters, errors."""
    report = Report(name)
    if getattr(ag.nn, name.path, None) is None:
        report.missing = True
        return report
    for info in infos(name.path):
        modes = (True, False) if info.train_and_eval_differ else (True,)
        for training in modes:
            for dtype in DTYPES:
                if dtype in info.dtypes:
                    _sweep(name.path, info, dtype, training, report, devices, effort)
        if info.module_error_inputs_func is not None:
            _errors(name.path, info, report, devices, effort)
    return report


def _sweep(
    path: str, info: Any, dtype: torch.dtype, training: bool, report: Report, devices: tuple[str, ...], effort: Effort
) -> None:
    torch.manual_seed(5)
    whole = dtype is torch.float64
    make = functools.partial(info.module_inputs_func, info, device="cpu", dtype=dtype, training=training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = [sample for sample in make(requires_grad=whole) if sample.forward_input is not None]
    count = effort.values if whole else (effort.other_dtypes or OTHER_DTYPES)
    for sample in chosen(samples, count, f"{path} {dtype} {training}"):
        build, forward = sample.constructor_input, sample.forward_input
        text = f"{path}({show(list(build.args))[1:-1]} {show(dict(build.kwargs))})"
        text += f"({show(list(forward.args))[1:-1]} {show(dict(forward.kwargs))}){'' if training else '.eval()'}"
        try:
            pair = _Pair(path, sample, dtype, training)
        except Exception:  # PyTorch itself does not take this sample in this dtype.
            continue
        _compare(pair, text, info.supports_gradgrad, report, devices)


def _compare(pair: _Pair, text: str, twice: bool, report: Report, devices: tuple[str, ...]) -> None:
    outcome = theirs(pair.theirs, pair.call, random=True)
    if outcome.error is not None:
        return
    factor = float(ROUGH.get(pair.path, 1))

    def attempt(check: str, action: Callable[..., None], **options: Any) -> None:
        for device in devices:
            run = functools.partial(action, pair.ours, pair.call, device=device, factor=factor, **options)
            with ag.device(device):
                report.attempt(check, pair.dtype, device, text, run)

    attempt("values", check_call, outcome=outcome)
    if pair.dtype != "float64" or not outcome.repeats:
        return
    expected = their_gradients(pair.theirs, pair.call, twice)
    if expected is not None:
        attempt("gradient", check_first, expected=expected)
        if expected.second is not None:
            attempt("second gradient", check_second, expected=expected)


def _errors(path: str, info: Any, report: Report, devices: tuple[str, ...], effort: Effort) -> None:
    torch.manual_seed(5)
    make = info.module_error_inputs_func
    cases = list(make(info, device="cpu", dtype=torch.float64, requires_grad=False, training=True))
    for case in chosen(cases, effort.errors, f"{path} errors"):
        sample = case.module_error_input
        build = Call(tuple(sample.constructor_input.args), dict(sample.constructor_input.kwargs))
        at_construction = case.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR
        forward = None if at_construction else Call(tuple(sample.forward_input.args), dict(sample.forward_input.kwargs))

        def run(root: Any, convert: Converter, build: Call = build, forward: Call | None = forward) -> Any:
            args, kwargs = build.arguments(convert)
            module = getattr(root.nn, path)(*args, **kwargs)
            if forward is not None:
                args, kwargs = forward.arguments(convert)
                return module(*args, **kwargs)
            return module

        try:
            run(torch, Copier())
        except Exception as error:
            wanted = error
        else:
            continue
        text = f"{show(list(build.args))} {show(build.kwargs)}"
        for device in devices:
            action = functools.partial(check_error, wanted, functools.partial(run, ag, Converter(device)))
            with ag.device(device):
                report.attempt("error", "", device, text, action)

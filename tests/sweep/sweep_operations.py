"""The operations: PyTorch's own OpInfo samples for each name."""

from __future__ import annotations

import functools
import itertools
import random
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sweep_checks import (
    Call,
    check_call,
    check_error,
    check_first,
    check_inplace,
    check_second,
    their_gradients,
    theirs,
)
from sweep_compare import DTYPES, Converter, dtype_name, follow, show, translated
from sweep_report import Effort, Report, chosen
from sweep_scope import Name
from torch.testing._internal.common_methods_invocations import op_db

import autograd_core as ag

# The samples of a name that has no OpInfo of its own: (the name in op_db, the path below `torch`).
ELSEWHERE = {
    "nn.functional.softmax": ("softmax", "nn.functional.softmax"),
    "nn.functional.log_softmax": ("log_softmax", "nn.functional.log_softmax"),
    "nn.functional.native_batch_norm": ("native_batch_norm", "native_batch_norm"),
    "nn.functional.native_layer_norm": ("native_layer_norm", "native_layer_norm"),
    "nn.functional.native_group_norm": ("native_group_norm", "native_group_norm"),
    "nn.functional.constant_pad_nd": ("constant_pad_nd", "constant_pad_nd"),
}

SAMPLED_FROM = 60

# Their values are anything.
UNDEFINED = {"empty", "empty_like", "new_empty", "resize_", "resize_as_", "empty_permuted"}

# Their values are random, unless PyTorch's are the same twice.
RANDOM = {"randn", "randn_like", "rand_like", "randint", "randint_like", "nn.functional.rrelu"} | {
    f"nn.functional.{name}"
    for name in ("dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
                 "scaled_dot_product_attention", "multi_head_attention_forward")
}  # fmt: skip

# Factors on the tolerance, where one rounding of the input moves the result by many.
ROUGH = {
    "nn.functional.scaled_dot_product_attention": 5, "linalg.matrix_power": 100, "linalg.pinv": 1000,
    "nn.functional.group_norm": 2, "nn.functional.native_group_norm": 2, "nn.functional.interpolate": 2,
    "nn.functional.conv3d": 4,
    "cov": 100,  # Its weights are float32, in a difference that cancels.
    "cdist": 100, "nn.functional.multi_head_attention_forward": 20, "logcumsumexp": 5, "polygamma": 100, "digamma": 10,
}  # fmt: skip


def _vectors(result: Any, args: Any, kwargs: Any) -> Any:
    """Vectors of a decomposition are unique up to sign, and those of a null space up to a rotation of it."""
    if not isinstance(result, list | tuple):
        return result
    values = min(result, key=lambda part: part.ndim)
    count = values.shape[-1]
    parts: list[Any] = [values]
    for index, part in enumerate(result):
        if part is not values:
            m = part.transpose(-1, -2) if index == 2 and "full_matrices" in kwargs else part
            rest = m[..., count:]
            parts += [m[..., :count].abs(), rest @ rest.transpose(-1, -2)]
    return tuple(parts)


def _chosen_values(first: int, alone: bool = False) -> Callable[[Any, Any, Any], Any]:
    """Among equal values any may be chosen: an index stands for the value it chooses. `first` is where `dim` comes;
    `alone`: the result is the index.
    """

    def post(result: Any, args: Any, kwargs: Any) -> Any:
        x = args[0]
        dim = kwargs.get("dim", args[first] if len(args) > first else -1)
        if (
            kwargs.get("stable")
            or x.ndim == 0
            or isinstance(dim, bool)
            or (not alone and not isinstance(result, list | tuple))
        ):
            return result
        values, index = (None, result) if not isinstance(result, list | tuple) else result
        if index.ndim < x.ndim:
            index = index.unsqueeze(dim)
        if index.numel() == 0:
            return values, index
        return values if values is not None else index.shape, x.gather(dim, index), index.dtype

    return post


POSTS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "svd": _vectors, "linalg.svd": _vectors, "linalg.eigh": _vectors,
    "sort": _chosen_values(1), "argsort": _chosen_values(1, True), "topk": _chosen_values(2), "kthvalue": _chosen_values(2),
    "median": _chosen_values(1), "nanmedian": _chosen_values(1), "mode": _chosen_values(1),
}  # fmt: skip


@functools.cache
def infos(path: str) -> tuple[Any, ...]:
    wanted = ELSEWHERE.get(path, (path, path))[0]
    return tuple(info for info in op_db if info.name == wanted)


def ours_of(path: str) -> Any:
    """Our function, found where PyTorch has it."""
    path = ELSEWHERE.get(path, (path, path))[1]
    return follow(ag if follow(torch, path) is not None else ag.Tensor, path)


def _lambda(function: Any) -> bool:
    return isinstance(function, types.FunctionType) and "testing" in (function.__module__ or "")


def functions(path: str, info: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """PyTorch's function and ours."""
    if _lambda(info.op):
        return translated(info.op, torch), translated(info.op)
    at = ELSEWHERE.get(path, (path, path))[1]
    return follow(torch, at) or follow(torch.Tensor, at), ours_of(path)


def _call(sample: Any, info: Any) -> Call:
    process = sample.output_process_fn_grad
    return Call((sample.input, *sample.args), dict(sample.kwargs), translated(process) if process else None)


def _text(call: Call) -> str:
    return ", ".join(part for part in (show(list(call.args))[1:-1], show(call.kwargs)) if part)


def _seed() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)


def _samples(info: Any, dtype: torch.dtype, grad: bool, count: int | None) -> list[Any]:
    _seed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A small number comes from the first ones: some names have a thousand samples, and making them takes its time.
        # (The function itself: `info.sample_inputs` walks the stack for each sample, to track it.)
        samples = info.sample_inputs_func(info, "cpu", dtype, grad)
        found = list(itertools.islice(samples, count and SAMPLED_FROM))
    return chosen(found, count, f"{info.name} {info.variant_test_name} {dtype}")


def sweep_operation(name: Name, devices: tuple[str, ...], effort: Effort) -> Report:
    """Everything PyTorch's samples say about one name."""
    report = Report(name)
    if ours_of(name.path) is None and follow(ag.Tensor, name.path) is None:
        report.missing = True
        return report
    for info in infos(name.path):
        _Sweep(name.path, info, report, devices, effort).run()
    return report


class _Sweep:
    """One OpInfo."""

    def __init__(self, path: str, info: Any, report: Report, devices: tuple[str, ...], effort: Effort) -> None:
        self.path, self.info, self.report, self.devices, self.effort = path, info, report, devices, effort
        self.theirs, self.ours = functions(path, info)
        self.factor = float(ROUGH.get(path, 1))
        self.values = path not in UNDEFINED
        self.post = POSTS.get(path)

    def run(self) -> None:
        dtypes = [getattr(torch, name) for name in DTYPES]
        dtypes = [dtype for dtype in dtypes if dtype in self.info.dtypes]
        if not dtypes:
            return
        main = torch.float64 if torch.float64 in dtypes else dtypes[-1]
        self.forward(main, self.effort.values, variants=True)
        if self.info.supports_autograd and torch.float64 in dtypes:
            self.gradients()
        others = [dtype for dtype in dtypes if dtype is not main]
        for dtype in chosen(others, self.effort.other_dtypes, f"{self.path} {self.info.variant_test_name}"):
            self.forward(dtype, self.effort.values, variants=False)
        if self.info.error_inputs_func is not None:
            self.errors()

    def forward(self, dtype: torch.dtype, count: int | None, variants: bool) -> None:
        label = dtype_name(dtype)
        method, inplace = self.info.get_method(), self.info.get_inplace()
        if self.path in ELSEWHERE:
            method = inplace = None
        for sample in _samples(self.info, dtype, False, count):
            call = _call(sample, self.info)
            text = _text(call)
            outcome = theirs(self.theirs, call, self.path in RANDOM)
            self.attempt("values", label, text, lambda device, c=call, o=outcome: self.check(self.ours, c, o, device))
            if variants:
                self.attempt(
                    "non-contiguous",
                    label,
                    text,
                    lambda device, c=call, o=outcome: self.check(self.ours, c, o, device, True),
                )
            if variants and method is not None and isinstance(sample.input, torch.Tensor):
                expected = theirs(method, call, self.path in RANDOM)
                self.attempt(
                    "method",
                    label,
                    text,
                    lambda device, c=call, o=expected: self.check(translated(method), c, o, device),
                )
            if inplace is not None and isinstance(sample.input, torch.Tensor):
                expected = theirs(translated(inplace, torch), call, self.path in RANDOM)
                self.attempt(
                    "in-place",
                    label,
                    text,
                    lambda device, c=call, o=expected: self.check_inplace(inplace, c, o, device),
                )

    def check(self, function: Any, call: Call, outcome: Any, device: str, strided: bool = False) -> None:
        check_call(function, call, outcome, device, strided, self.factor, self.values, self.post, self.theirs)

    def check_inplace(self, inplace: Any, call: Call, outcome: Any, device: str) -> None:
        check_inplace(translated(inplace), call, outcome, device, self.factor, self.values)

    def gradients(self) -> None:
        for sample in _samples(self.info, torch.float64, True, self.effort.gradients):
            call = _call(sample, self.info)
            if self.path in RANDOM and not theirs(self.theirs, call, True).repeats:
                continue
            expected = their_gradients(self.theirs, call, self.info.supports_gradgrad)
            if expected is None:
                continue
            text = _text(call)
            self.attempt(
                "gradient", "float64", text,
                lambda device, c=call, e=expected: check_first(self.ours, c, e, device, self.factor),
            )  # fmt: skip
            if expected.second is not None:
                self.attempt(
                    "second gradient", "float64", text,
                    lambda device, c=call, e=expected: check_second(self.ours, c, e, device, self.factor),
                )  # fmt: skip

    def errors(self) -> None:
        _seed()
        try:
            found = list(self.info.error_inputs_func(self.info, "cpu"))
        except (RuntimeError, AssertionError, NotImplementedError):
            return
        for case in chosen(found, self.effort.errors, f"{self.path} errors"):
            call = _call(case.sample_input, self.info)
            outcome = theirs(self.theirs, call)
            if outcome.error is None:
                continue

            def run(device: str, call: Call = call, error: Exception = outcome.error) -> None:
                args, kwargs = call.arguments(Converter(device))
                check_error(error, lambda: self.ours(*args, **kwargs))

            try:
                text = _text(call)
            except Exception:
                text = "?"
            self.attempt("error", "", text, run)

    def attempt(self, check: str, dtype: str, text: str, action: Callable[[str], None]) -> None:
        for device in self.devices:
            with ag.device(device):
                self.report.attempt(check, dtype, device, text, lambda device=device: action(device))

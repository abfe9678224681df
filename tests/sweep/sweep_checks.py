"""The comparisons of one call: its value or its error, and its gradients of first and second order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from sweep_compare import Beyond, Converter, Copier, Wrong, check_close, leaves, our_dtype

import autograd_core as ag

# One comparison of error classes: ours may be a subclass.
AS_RUNTIME_ERROR = (NotImplementedError, torch.OutOfMemoryError, torch.linalg.LinAlgError)


@dataclass
class Call:
    """A call as PyTorch's tests describe it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    process: Callable[[Any], Any] | None = None

    def arguments(self, convert: Converter) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = convert((self.args, self.kwargs))
        return args, kwargs


@dataclass
class Outcome:
    """What PyTorch did: a result or an error; `repeats` is False for a random result."""

    result: Any = None
    error: Exception | None = None
    repeats: bool = True


def theirs(function: Callable[..., Any], call: Call, random: bool = False) -> Outcome:
    """PyTorch's outcome; a random name is run again, and only what repeats itself is compared by value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            args, kwargs = call.arguments(Copier())
            outcome = Outcome(function(*args, **kwargs))
            if random:
                for seed in range(12):
                    torch.manual_seed(seed)
                    args, kwargs = call.arguments(Copier())
                    outcome.repeats &= _same(outcome.result, function(*args, **kwargs))
            return outcome
        except Exception as error:
            return Outcome(error=error)


def _same(first: Any, second: Any) -> bool:
    pairs = zip(leaves([first], torch.Tensor), leaves([second], torch.Tensor), strict=True)
    return all(torch.equal(a.nan_to_num(0), b.nan_to_num(0)) for a, b in pairs)


def check_error(error: Exception, action: Callable[[], Any]) -> None:
    """PyTorch raised: `action` must raise its class or a subclass."""
    wanted = RuntimeError if isinstance(error, AS_RUNTIME_ERROR) else type(error)
    try:
        got = action()
    except wanted:
        return
    except Beyond:
        raise
    except Exception as ours:
        raise Wrong(f"raises {type(ours).__name__} ({ours}), expected {wanted.__name__} ({error})") from ours
    raise Wrong(f"returns {type(got).__name__}, expected {wanted.__name__}: {error}")


def check_call(
    function: Callable[..., Any],
    call: Call,
    outcome: Outcome,
    device: str,
    strided: bool = False,
    factor: float = 1.0,
    values: bool = True,
    post: Callable[[Any, Any, Any], Any] | None = None,
    reference: Callable[..., Any] | None = None,
) -> None:
    """Ours against PyTorch's outcome.

    PyTorch rounds many float16 results in between: with its function as `reference`, ours may also be what that makes
    of the same numbers in float64, rounded once.
    """

    args, kwargs = call.arguments(Converter(device, strided))

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    if outcome.error is not None:
        check_error(outcome.error, run)
        return
    got = run()
    check_device(got, device)
    expected = outcome.result
    if post is not None and isinstance(expected, list | tuple | torch.Tensor):
        check_close(got, expected, "result", factor, False)
        args, kwargs = call.arguments(Converter(device, strided))
        got, expected = post(got, args, kwargs), post(expected, call.args, call.kwargs)
    try:
        check_close(got, expected, "result", factor, values and outcome.repeats)
    except Wrong:
        wide = None if reference is None else _wide(reference, call)
        if wide is None:
            raise
        check_close(got, expected, "result", factor, False)
        check_close(got, _narrow(wide, expected), "result", factor)


class _Widener(Copier):
    """Copies in which float16 is float64."""

    def tensor(self, x: torch.Tensor) -> Any:
        made = super().tensor(x)
        return made.double() if x.dtype == torch.float16 else made


def _wide(reference: Callable[..., Any], call: Call) -> Any:
    if not any(x.dtype == torch.float16 for x in leaves([call.args, call.kwargs], torch.Tensor)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            args, kwargs = call.arguments(_Widener())
            return reference(*args, **kwargs)
        except Exception:
            return None


def _narrow(wide: Any, like: Any) -> Any:
    if isinstance(like, torch.Tensor):
        return wide.to(like.dtype)
    if isinstance(like, list | tuple):
        return [_narrow(a, b) for a, b in zip(wide, like, strict=True)]
    return wide


def check_device(got: Any, device: str) -> None:
    for leaf in leaves([got], ag.Tensor):
        if leaf.device.type != device:
            raise Wrong(f"the result is on {leaf.device}")


def check_inplace(
    function: Callable[..., Any], call: Call, outcome: Outcome, device: str, factor: float, values: bool
) -> None:
    """As `check_call`; and what is returned is the tensor that was changed."""

    def run() -> tuple[Any, Any]:
        args, kwargs = call.arguments(Converter(device))
        return args[0], function(*args, **kwargs)

    if outcome.error is not None:
        check_error(outcome.error, run)
        return
    target, got = run()
    if isinstance(outcome.result, torch.Tensor) and got is not target:
        raise Wrong("an in-place change returns another object than its tensor")
    check_close(got, outcome.result, "in place", factor, values and outcome.repeats)


@dataclass
class Gradients:
    """PyTorch's gradients of a call, and the weights that both sides use."""

    flags: list[bool]
    weights: list[torch.Tensor]
    first: list[torch.Tensor | None]
    weights_second: list[torch.Tensor | None] = field(default_factory=list)
    second: list[torch.Tensor | None] | None = None


def _differentiable(result: Any, kind: type) -> list[Any]:
    return [out for out in leaves([result], kind) if out.is_floating_point()]


def _random_like(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(x.shape, dtype=x.dtype, generator=generator)


def their_gradients(function: Callable[..., Any], call: Call, twice: bool) -> Gradients | None:
    """None where PyTorch has none or refuses."""
    generator = torch.Generator().manual_seed(11)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            args, kwargs = call.arguments(Copier())
            sources = [t for t in leaves([args, kwargs], torch.Tensor) if t.requires_grad]
            result = function(*args, **kwargs)
            outs = _differentiable(call.process(result) if call.process else result, torch.Tensor)
            flags = [out.requires_grad for out in outs]
            outs = [out for out in outs if out.requires_grad]
            if not sources:
                return None
            if not outs:
                return Gradients(flags, [], [])
            weights = [_random_like(out, generator).requires_grad_() for out in outs]
            first = torch.autograd.grad(outs, sources, weights, create_graph=True, allow_unused=True)
        except Exception:
            return None
        plain = [None if g is None else g.detach() for g in first]
        found = Gradients(flags, [w.detach() for w in weights], plain)
        live = [g for g in first if g is not None and g.requires_grad]
        if twice and live:
            found.weights_second = [
                _random_like(g, generator) if g is not None and g.requires_grad else None for g in first
            ]
            chosen = [w for w in found.weights_second if w is not None]
            try:
                found.second = list(torch.autograd.grad(live, sources + weights, chosen, allow_unused=True))
            except Exception:
                found.second = None
        return found


def our_first(function: Callable[..., Any], call: Call, expected: Gradients, device: str) -> tuple[Any, ...]:
    """Our sources, weights and first gradients, the latter with their graph."""
    convert = Converter(device)
    args, kwargs = call.arguments(convert)
    sources = [t for t in leaves([args, kwargs], ag.Tensor) if t.requires_grad]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function(*args, **kwargs)
        outs = _differentiable(call.process(result) if call.process else result, ag.Tensor)
    flags = [out.requires_grad for out in outs]
    whole = next((x for x in leaves([result], ag.Tensor) if x.requires_grad and not x.is_floating_point()), None)
    if whole is not None:
        raise Wrong(f"a result of {whole.dtype} requires a gradient")
    if flags != expected.flags:
        raise Wrong(f"requires_grad of the results: {flags}, expected {expected.flags}")
    outs = [out for out in outs if out.requires_grad]
    weights = [convert(w).requires_grad_() for w in expected.weights]
    if not outs:
        return sources, weights, []
    first = ag.autograd.grad(outs, sources, weights, create_graph=True, allow_unused=True)
    return sources, weights, first


def check_first(function: Callable[..., Any], call: Call, expected: Gradients, device: str, factor: float) -> None:
    first = our_first(function, call, expected, device)[2]
    _check_gradients(first, expected.first, "gradient", factor)


def check_second(function: Callable[..., Any], call: Call, expected: Gradients, device: str, factor: float) -> None:
    assert expected.second is not None
    sources, weights, first = our_first(function, call, expected, device)
    convert = Converter(device)
    pairs = [
        (g, convert(w))
        for g, w in zip(first, expected.weights_second, strict=True)
        if g is not None and g.requires_grad and w is not None
    ]
    wanted = [*sources, *weights]
    second: Any = [None] * len(wanted)
    if pairs:
        grads, chosen = zip(*pairs, strict=True)
        second = ag.autograd.grad(grads, wanted, chosen, allow_unused=True)
    _check_gradients(second, expected.second, "second gradient", factor * 10)


def _check_gradients(ours: Any, theirs: list[torch.Tensor | None], what: str, factor: float) -> None:
    """None and zeros are the same gradient."""
    if len(ours) != len(theirs):
        raise Wrong(f"{what}: of {len(ours)} tensors, expected {len(theirs)}")
    for index, (got, want) in enumerate(zip(ours, theirs, strict=True)):
        label = f"{what} of tensor {index}"
        if got is None and want is None:
            continue
        if want is None:
            want = torch.zeros(tuple(got.shape), dtype=torch.float64)
        if got is None:
            got = ag.zeros(tuple(want.shape), dtype=our_dtype(str(want.dtype).removeprefix("torch.")))
        check_close(got, want, label, factor)

"""Numerical checks of gradients: random directions against central differences, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import modes
from autograd_core.tensor import Tensor


class GradcheckError(RuntimeError):
    """The analytical gradient differs from the numerical one."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Compare the gradients of `func(*inputs)` with central differences, element by element.

    For output y and a fixed, non-constant cotangent v, d(v.y)/dx_i must equal
    (v.y(x + eps e_i) - v.y(x - eps e_i)) / 2 eps within atol + rtol |numerical|.
    fast_mode: one random direction an input instead of every element. Floating-point inputs that require grad must be
    float64. Raises `GradcheckError` (or returns False) where they differ.

    >>> import autograd_core as ag
    >>> ag.autograd.gradcheck(lambda x: x * x, ag.ones(3, dtype=ag.float64, requires_grad=True))
    True
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not checked:
        raise ValueError("gradcheck expects at least one input tensor with requires_grad=True")
    for i in checked:
        if args[i].dtype.name != "float64":
            raise ValueError(f"gradcheck: input {i} is {args[i].dtype}; central differences need float64")
    try:
        outputs = _outputs(func(*args))
        if not outputs:
            raise GradcheckError("gradcheck: no output requires grad")
        for k, out in enumerate(outputs):
            _check_output(func, args, checked, out, k, eps, atol, rtol, nondet_tol, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _outputs(result: Any) -> list[Tensor]:
    results = [result] if isinstance(result, Tensor) else list(result)
    return [r for r in results if isinstance(r, Tensor) and r.requires_grad]


def _cotangent(shape: Sequence[int], seed: int) -> list[float]:
    """Fixed numbers away from zero and from each other: a constant one would hide rules that ignore their input."""
    n = 1
    for size in shape:
        n *= size
    return [0.5 + ((i * 37 + seed * 11) % 101) / 101.0 - (1.5 if (i + seed) % 3 == 0 else 0.0) for i in range(n)]


def _check_output(
    func: Any, args: tuple[Any, ...], checked: list[int], out: Tensor, k: int, eps: float, atol: float, rtol: float,
    nondet_tol: float, fast_mode: bool,
) -> None:  # fmt: skip
    from autograd_core import autograd, interop

    v = interop.tensor(_cotangent(out.shape, k), dtype=out.dtype, device=out.device).reshape(out.shape)
    sources = [args[i] for i in checked]
    grads = autograd.grad(out, sources, v, retain_graph=True, allow_unused=True)
    again = autograd.grad(out, sources, v, retain_graph=True, allow_unused=True)
    for i, g, h in zip(checked, grads, again):
        if g is not None and h is not None and g.numel() and float((g - h).abs().max()) > nondet_tol:
            raise GradcheckError(f"backward is not reentrant: two runs gave different gradients for input {i}")
        if g is not None and g.shape != args[i].shape:
            raise GradcheckError(f"gradient of input {i} has shape {tuple(g.shape)}, expected {tuple(args[i].shape)}")

    def value(i: int, moved: Tensor) -> float:
        with modes.no_grad():
            trial = list(args)
            trial[i] = moved
            # Outputs that require grad are found by position: recompute with history on.
        with modes.enable_grad():
            result = _outputs(func(*trial))[k]
        return float((result.detach() * v).sum())

    for i, g in zip(checked, grads):
        x = args[i].detach()
        analytical = [0.0] * x.numel() if g is None else g.detach().reshape(-1).tolist()
        base = x.reshape(-1).tolist()
        directions = [_cotangent(x.shape, 5)] if fast_mode else _unit_directions(x.numel())
        for j, direction in enumerate(directions):

            def moved(step: float, direction: Any = direction, base: list[float] = base, x: Tensor = x) -> Tensor:
                pairs = direction.items() if isinstance(direction, dict) else enumerate(direction)
                values = list(base)
                for position, amount in pairs:
                    values[position] += step * amount
                made = x.clone()  # Keeps strides where the input is not contiguous.
                made = interop.tensor(values, dtype=x.dtype, device=x.device).reshape(x.shape)
                return made.requires_grad_()

            numerical = (value(i, moved(eps)) - value(i, moved(-eps))) / (2 * eps)
            pairs = direction.items() if isinstance(direction, dict) else enumerate(direction)
            ours = sum(analytical[p] * amount for p, amount in pairs)
            if not abs(ours - numerical) <= atol + rtol * abs(numerical):
                raise GradcheckError(
                    f"gradient mismatch for output {k} with respect to input {i} (shape {tuple(x.shape)}), "
                    f"element {j}: "
                    f"analytical {ours:.9g}, numerical {numerical:.9g}"
                )


def _unit_directions(n: int) -> list[dict[int, float]]:
    return [{i: 1.0} for i in range(n)]


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    gen_non_contig_grad_outputs: bool = False,
) -> bool:
    """`gradcheck` of the gradient: the second derivatives of `func`, in its inputs and in the cotangent.

    >>> import autograd_core as ag
    >>> ag.autograd.gradgradcheck(lambda x: x * x * x, ag.ones(2, dtype=ag.float64, requires_grad=True))
    True
    """
    from autograd_core import autograd, interop

    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = _outputs(func(*args))
    if grad_outputs is None:
        cotangents = []
        for k, out in enumerate(outputs):
            made = interop.tensor(_cotangent(out.shape, k + 3), dtype=out.dtype, device=out.device).reshape(out.shape)
            if gen_non_contig_grad_outputs and made.ndim:
                made = made.unsqueeze(-1).expand(*made.shape, 2).clone()[..., 0]
            cotangents.append(made.detach().requires_grad_())
    else:
        cotangents = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    count = len(cotangents)

    def first_order(*everything: Any) -> tuple[Any, ...]:
        originals, gs = everything[:-count], everything[-count:]
        sources = [a for a in originals if isinstance(a, Tensor) and a.requires_grad]
        found = autograd.grad(_outputs(func(*originals)), sources, gs, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first_order, (*args, *cotangents), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, fast_mode=fast_mode,
    )  # fmt: skip

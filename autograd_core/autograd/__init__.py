"""Gradients: `backward`, `grad`, custom `Function`s, numerical checks, anomaly mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd_core import engine, modes
from autograd_core.autograd import grad_mode as grad_mode
from autograd_core.autograd.function import Function as Function
from autograd_core.autograd.function import FunctionCtx as FunctionCtx
from autograd_core.autograd.function import once_differentiable as once_differentiable
from autograd_core.autograd.gradcheck import GradcheckError as GradcheckError
from autograd_core.autograd.gradcheck import gradcheck as gradcheck
from autograd_core.autograd.gradcheck import gradgradcheck as gradgradcheck
from autograd_core.autograd.variable import Variable as Variable
from autograd_core.modes import detect_anomaly as detect_anomaly
from autograd_core.modes import enable_grad as enable_grad
from autograd_core.modes import inference_mode as inference_mode
from autograd_core.modes import no_grad as no_grad
from autograd_core.modes import set_detect_anomaly as set_detect_anomaly
from autograd_core.modes import set_grad_enabled as set_grad_enabled
from autograd_core.primitive import V, edge_of
from autograd_core.tensor import Tensor, wrap


def _backward_method(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate d(self)/d(leaf), weighted by `gradient`, into the `.grad` of every leaf that requires it.

    gradient: same shape as self; may be left out for a scalar. Raises `RuntimeError` for a non-scalar without
    `gradient`, for a tensor without history, and on a second call when `retain_graph` was not set.

    >>> import autograd_core as ag
    >>> x = ag.ones(2, requires_grad=True); (3 * x).backward(ag.ones(2)); x.grad
    tensor([3., 3.])
    """
    backward(self, gradient, retain_graph, create_graph, inputs)


Tensor.backward = _backward_method


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Accumulate the sum of d(tensor)/d(leaf), each weighted by its entry of `grad_tensors`, into the leaves' `.grad`.

    inputs: accumulate into these only. Raises `RuntimeError` as `Tensor.backward` does.

    >>> import autograd_core as ag
    >>> x = ag.ones(2, requires_grad=True); ag.autograd.backward([(2 * x).sum()]); x.grad
    tensor([2., 2.])
    """
    outputs = _as_tuple(tensors)
    edges, cotangents = _roots(outputs, grad_tensors, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        _walk(edges, cotangents, retain, create_graph)
        return
    targets = _as_tuple(inputs)
    if not targets:
        raise RuntimeError("backward: inputs must not be an empty sequence")
    grads = _run_for(targets, edges, cotangents, retain, create_graph)
    for target, g in zip(targets, grads):
        if g is not None:
            target._accumulate_grad(g, create_graph, steal=False)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs`, weighted by `grad_outputs`, with respect to `inputs`; no `.grad` changes.

    create_graph: record the computation, so that the result can be differentiated again. An input that the outputs do
    not depend on is an error, unless `allow_unused` (None) or `materialize_grads` (zeros).

    >>> import autograd_core as ag
    >>> x = ag.tensor(3.0, requires_grad=True)
    >>> ag.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if is_grads_batched:
        raise RuntimeError(
            "grad: is_grads_batched=True needs vmap, which does not exist here; loop over the grad_outputs"
        )
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is gone; use backward() to accumulate into all leaves")
    outs, targets = _as_tuple(outputs), _as_tuple(inputs)
    if not targets:
        raise RuntimeError("grad: inputs must not be an empty sequence")
    edges, cotangents = _roots(outs, grad_outputs, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    grads = _run_for(targets, edges, cotangents, retain, create_graph)
    results: list[Tensor | None] = []
    for i, (target, g) in enumerate(zip(targets, grads)):
        if g is None:
            if materialize_grads:
                results.append(target.new_zeros(target.shape))
                continue
            if not allow_unused:
                raise RuntimeError(
                    f"grad: input {i} (shape {tuple(target.shape)}) appears not to have been used in the graph of the "
                    "outputs. Set allow_unused=True if this is the desired behavior."
                )
            results.append(None)
        else:
            results.append(g if create_graph else wrap(target._backend.as_array(g), target._backend))
    return tuple(results)


def _walk(
    edges: list[Any], cotangents: list[Any], retain: bool, create_graph: bool, wanted: dict[Any, int] | None = None
) -> list[Any]:
    if not create_graph:
        return engine.run_backward(edges, cotangents, retain_graph=retain, wanted=wanted)
    with modes.enable_grad():  # As in PyTorch, also when called within no_grad.
        return engine.run_backward(edges, cotangents, retain_graph=retain, wanted=wanted, vocabulary=V)


def _as_tuple(value: Any) -> tuple[Tensor, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _run_for(
    targets: tuple[Tensor, ...], edges: list[Any], cotangents: list[Any], retain: bool, create_graph: bool
) -> list[Any]:
    wanted: dict[Any, int] = {}
    order = []
    for i, target in enumerate(targets):
        edge = edge_of(target)
        if edge is None:
            raise RuntimeError(
                f"One of the differentiated Tensors does not require grad: input {i} of shape {tuple(target.shape)}"
            )
        order.append(wanted.setdefault(edge, len(wanted)))
    found = _walk(edges, cotangents, retain, create_graph, wanted)
    return [found[i] for i in order]


def _roots(outputs: tuple[Tensor, ...], grad_outputs: Any, create_graph: bool) -> tuple[list[Any], list[Any]]:
    """Edges and cotangents of the outputs: raw arrays, or Tensors under create_graph."""
    given: tuple[Any, ...] = (
        (None,) * len(outputs)
        if grad_outputs is None
        else ((grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs))
    )
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    edges: list[Any] = []
    cotangents: list[Any] = []
    backend: Any = None
    ones: Any = None  # Shared by the scalar outputs: the engine writes only into what it made itself.
    for out, g in zip(outputs, given):
        edge = edge_of(out)
        if edge is None:
            raise RuntimeError(
                "element 0 of tensors does not require grad and does not have a grad_fn: nothing to differentiate. "
                "Did the loss come from tensors with requires_grad=True, outside no_grad() and without detach()?"
            )
        if g is None:
            data = out._data
            if data.size != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, got shape {tuple(out.shape)}; "
                    "reduce it (loss.mean()) or pass gradient="
                )
            if backend is not out._backend or ones.dtype is not data.dtype or ones.shape != data.shape:
                backend = out._backend
                ones = backend.ones(data.shape, data.dtype)
            edges.append(edge)
            cotangents.append(wrap(ones, backend) if create_graph else ones)
            continue
        if not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        if g._data.shape != out._data.shape:
            raise RuntimeError(f"Mismatch in shape: gradient {tuple(g.shape)}, output {tuple(out.shape)}")
        if g._backend is not out._backend:
            raise RuntimeError(f"the gradient is on {g.device}, its output on {out.device}; move it with .to()")
        if g._data.dtype != out._data.dtype:
            g = V.cast(g, out._data.dtype)
        edges.append(edge)
        cotangents.append(g if create_graph else g._data)
    return edges, cotangents


from autograd_core.autograd import functional as functional  # noqa: E402 - it is made from the above

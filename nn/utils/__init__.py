"""Gradient clipping, parameters as one vector, and weights computed from others."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn.module import Module
from autograd_core.nn.utils import parametrizations as parametrizations
from autograd_core.nn.utils import parametrize as parametrize
from autograd_core.nn.utils import rnn as rnn
from autograd_core.nn.utils.reparametrize import remove_spectral_norm as remove_spectral_norm
from autograd_core.nn.utils.reparametrize import remove_weight_norm as remove_weight_norm
from autograd_core.nn.utils.reparametrize import spectral_norm as spectral_norm
from autograd_core.nn.utils.reparametrize import weight_norm as weight_norm
from autograd_core.ops.together import scale_together_, total_norm

M = TypeVar("M", bound=Module)


def _tensors(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in _tensors(parameters) if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all `tensors` together as one vector: (sum |x|^p)^(1/p), a 0-d tensor.

    `error_if_nonfinite=True` reads the result back, and raises `RuntimeError` if it is not finite. `foreach` is
    accepted for PyTorch's sake and changes nothing.

    >>> import autograd_core as ag
    >>> ag.nn.utils.get_total_norm([ag.tensor([3.0]), ag.tensor([4.0])])
    tensor(5.)
    """
    p = float(norm_type)
    # Norms of float16 are taken in float32: its squares overflow from 256 on.
    grads = [g.float() if g.dtype is ag.float16 else g for g in _tensors(tensors)]
    if not grads:
        return ag.tensor(0.0)
    device = grads[0].device
    total = total_norm(grads) if p == 2 else None
    if total is None:
        total = ag.stack([ag.norm(g.detach(), p).to(device) for g in grads]).norm(p)
    if error_if_nonfinite and not bool(ag.isfinite(total)):
        raise RuntimeError(
            f"the total norm of order {norm_type} of the gradients is not finite, so they cannot be clipped; look for "
            "the loss that overflowed, or pass error_if_nonfinite=False to scale them all the same"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale the gradients in place by min(1, max_norm / (total_norm + 1e-6)).

    >>> import autograd_core as ag
    >>> p = ag.zeros(1, requires_grad=True); p.grad = ag.tensor([10.0])
    >>> ag.nn.utils.clip_grads_with_norm_(p, 1.0, ag.tensor(10.0)); p.grad
    tensor([1.0000])
    """
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    grads = _grads(parameters)
    with ag.no_grad():
        if not scale_together_(grads, factor):
            for g in grads:
                g.mul_(factor.to(g.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients in place so that their total norm is at most `max_norm`; returns the norm they had.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013. Errors and options as
    `get_total_norm`.

    >>> import autograd_core as ag
    >>> p = ag.zeros(2, requires_grad=True); p.grad = ag.tensor([3.0, 4.0])
    >>> ag.nn.utils.clip_grad_norm_([p], 1.0), p.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    parameters = _tensors(parameters)  # It may be a generator, and is needed twice.
    total = get_total_norm(_grads(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Limit each element of the gradients to [-clip_value, clip_value], in place.

    >>> import autograd_core as ag
    >>> p = ag.zeros(2, requires_grad=True); p.grad = ag.tensor([3.0, -0.5])
    >>> ag.nn.utils.clip_grad_value_([p], 1.0); p.grad
    tensor([ 1.0000, -0.5000])
    """
    limit = float(clip_value)
    with ag.no_grad():
        for g in _grads(parameters):
            g.clamp_(-limit, limit)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All `parameters` one after the other as one 1-d tensor.

    >>> import autograd_core as ag
    >>> ag.nn.utils.parameters_to_vector([ag.zeros(2, 3), ag.zeros(4)]).shape
    ag.Size([10])
    """
    return ag.cat([p.reshape(-1) for p in _tensors(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give the parameters the values in `vec`, in order: the inverse of `parameters_to_vector`.

    As in PyTorch, the parameters become views of `vec`. Raises `TypeError` if `vec` is no tensor, `ValueError` if its
    size is not that of the parameters together.

    >>> import autograd_core as ag
    >>> p = ag.zeros(2); ag.nn.utils.vector_to_parameters(ag.ones(2), [p]); p
    tensor([1., 1.])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, but got {type(vec).__name__}")
    targets: list[Any] = _tensors(parameters)
    needed = sum(p.numel() for p in targets)
    if tuple(vec.shape) != (needed,):
        raise ValueError(
            f"vector_to_parameters: the parameters hold {needed} values, so the vector must have shape ({needed},), "
            f"got {tuple(vec.shape)}"
        )
    start = 0
    for p in targets:
        p.data = vec[start : start + p.numel()].view_as(p).data
        start += p.numel()


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """`module_cls(*args, **kwargs)` without its `reset_parameters`: for weights that will be overwritten anyway.

    The parameters hold whatever the memory held, and no random number is drawn for them; child modules are initialised
    as ever. Raises `RuntimeError` for what is no class of modules, or one that takes no `device`.

    >>> import autograd_core as ag
    >>> ag.nn.utils.skip_init(ag.nn.Linear, 5, 1).weight.shape
    ag.Size([1, 5])
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"skip_init: expected a class of modules, got {module_cls!r}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"skip_init: {module_cls.__name__} must take a 'device' argument")
    # A class of its own for the time of the call: the given one may be in use on another thread.
    silent = dict.fromkeys(("reset_parameters", "_reset_parameters"), lambda self: None)
    module: Any = type(module_cls.__name__, (module_cls,), silent)(*args, **kwargs)
    module.__class__ = module_cls
    return module

"""Many tensors at once, where their backend has a kernel for that: a GPU takes as long to start one as to run it."""

from __future__ import annotations

from autograd_core.storage import mark_mutated
from autograd_core.tensor import Tensor, wrap


def _alike(tensors: list[Tensor]) -> bool:
    """Whether they lie on one backend that takes many at once, are of one dtype, and no tape knows them."""
    backend = tensors[0]._backend
    return bool(backend.updates_together) and all(
        t._backend is backend and t.dtype is tensors[0].dtype and t._node is None for t in tensors
    )


def total_norm(tensors: list[Tensor]) -> Tensor | None:
    """The Euclidean norm of all `tensors` as one vector; None where they are to be taken one by one."""
    if not _alike(tensors):
        return None
    backend = tensors[0]._backend
    return wrap(backend.total_norm(tuple([t._data for t in tensors])), backend)


def scale_together_(tensors: list[Tensor], factor: Tensor) -> bool:
    """Multiply each of the tensors by the 0-d `factor`, unless they are to be taken one by one: then False."""
    if not tensors or not _alike(tensors) or factor._backend is not tensors[0]._backend:
        return False
    backend = factor._backend
    backend.scale_all_(tuple([t._data for t in tensors]), factor._data)
    for t in tensors:
        mark_mutated(backend, t._data, "clip_grads_with_norm_")
    return True

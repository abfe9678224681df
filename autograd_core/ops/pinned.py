"""Page-locked host memory: what a GPU copies from and to while the host goes on."""

from __future__ import annotations

from typing import Any

from autograd_core import devices, modes
from autograd_core.backends.cuda.memory import is_pinned as _is_pinned_array
from autograd_core.primitive import V, edge_of, make_node
from autograd_core.tensor import Tensor, wrap


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """A copy of this CPU tensor in page-locked memory, for `to(device, non_blocking=True)`; itself if it lies there.

    Raises `RuntimeError` for a tensor of another device, and where there is no CUDA device.
    """
    if self._backend.name != "cpu":
        raise RuntimeError(f"pin_memory: cannot pin a tensor on {self.device}; only CPU tensors can be pinned")
    if is_pinned(self):
        return self
    try:
        gpu: Any = devices.backend_of("cuda" if device is None else device)
    except RuntimeError as error:
        raise RuntimeError(f"pin_memory: page-locked memory comes with a CUDA device; {error}") from None
    data = self._data
    pinned = self._backend.copy_(gpu.pinned_empty(data.shape, data.dtype), data)
    made = wrap(pinned, self._backend)
    edge = edge_of(self)
    if edge is not None and modes.state.grad:
        clone = V.clone.primitive
        made._node = make_node(clone, self._backend, (edge,), (), (), data.shape)
    return made


def is_pinned(self: Tensor) -> bool:
    """Whether this tensor lies in page-locked memory."""
    return self._backend.name == "cpu" and _is_pinned_array(self._backend.storage_key(self._data))


FUNCTIONS: tuple[str, ...] = ()
METHODS = ("pin_memory", "is_pinned")
INPLACE: tuple[str, ...] = ()

"""Live scalars: numbers that change between steps and reach a kernel as a small buffer.

A learning rate passed to a kernel as a Python number would be frozen into a recording of the step. A `LiveScalar` holds
it in a 0-d buffer on the device instead, and writes the current value there before each step and each replay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import dtypes, recorder
from autograd_core.tensor import Tensor


class LiveScalar:
    """The number that `getter()` returns, as a 0-d float64 array `buffer` of `backend`.

    `getter` returns a Python number or a one-element Tensor, whose value is copied on its device, without reading it.
    """

    __slots__ = ("_backend", "_getter", "_value", "buffer")

    def __init__(self, backend: Any, getter: Callable[[], Any]) -> None:
        self._backend = backend
        self._getter = getter
        self._value: float | None = None
        with recorder.paused():
            self.buffer = backend.zeros((), dtypes.float64.native)

    def refresh(self) -> None:
        """Write the current value into `buffer` if it changed; a recorder repeats this before each replay."""
        if recorder.recording:
            recorder.note_live(self, self._backend)
        value = self._getter()
        if value is self._value:
            return
        if isinstance(value, Tensor):
            self._copy(value)
            self._value = None
        elif value != self._value:
            self._backend.write_scalar(self.buffer, float(value))
            self._value = value

    def _copy(self, value: Tensor) -> None:
        with recorder.paused():
            if value._backend is not self._backend:
                value = value.to(self.device)
            self._backend.copy_(self.buffer, self._backend.reshape(value._data, ()))

    @property
    def device(self) -> Any:
        from autograd_core.devices import device_of

        return device_of(self._backend)

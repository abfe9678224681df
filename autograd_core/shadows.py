"""Standing before a backend's kernels: functions in their place for a while, as recorders, profiles and checks have.

While nothing stands before them, the kernels are untouched, so none of it costs anything when it is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

# Methods that compute nothing, and those that make or refresh what is live.
NOT_KERNELS = {
    "fuse", "write_scalar", "make_state", "storage_key", "address", "synchronize", "describe", "device_count",
    "unavailable_reason", "capture", "here", "copied",
}  # fmt: skip
_MISSING = object()


def _kernels(backend: Any) -> Iterator[tuple[str, Any]]:
    cls = type(backend)
    for name in dir(backend):
        if name.startswith("_") or name in NOT_KERNELS or isinstance(getattr(cls, name, None), property):
            continue
        attribute = getattr(backend, name)
        if callable(attribute) and not isinstance(attribute, type):
            yield name, attribute


class Shadows:
    """The functions that stand in the place of kernels; false once they are gone."""

    def __init__(self) -> None:
        self._standing: list[tuple[Any, str, Any, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._standing)

    def cast(self, backend: Any, shadow_of: Callable[[str, Any], Any]) -> None:
        """Put `shadow_of(name, kernel)` in the place of each kernel for which it is not None."""
        for name, kernel in list(_kernels(backend)):
            shadow = shadow_of(name, kernel)
            if shadow is not None:
                self._standing.append((backend, name, backend.__dict__.get(name, _MISSING), shadow))
                setattr(backend, name, shadow)

    def remove(self) -> None:
        """Put back what was there before, but for places that somebody else has taken since."""
        for backend, name, before, shadow in self._standing:
            own = backend.__dict__
            if own.get(name) is shadow:
                if before is _MISSING:
                    del own[name]
                else:
                    own[name] = before
        self._standing.clear()


def is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")

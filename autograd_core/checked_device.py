"""`--device check`: a program runs on a CUDA device, and the CPU does every kernel once more and compares.

Every array computation is a call of a backend's kernel by name (see `recorder.py`). Here each call on the checked
device is followed by the same call on the CPU, on copies of what the device was given, so that rounding errors do not
add up over a program: what differs is this one kernel. The first result that differs by more than its dtype allows is
an error that names the kernel, the arrays, the line and the worst element.

What a kernel returns for its own backward alone may look different on the two devices. Of that the CPU's own is kept,
and handed to the CPU when the device is handed its.
"""

from __future__ import annotations

import sys
import threading
import weakref
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from autograd_core import devices, engine, primitive, storage
from autograd_core.shadows import NOT_KERNELS, Shadows, is_array
from autograd_core.userline import user_line

# What brings memory here or there, or has no values that could be compared.
_NOT_COMPARED = NOT_KERNELS | {
    "as_array", "as_strided", "empty", "from_backend", "from_host", "from_host_async", "import_dlpack", "library",
    "memory_held", "memory_held_peak", "memory_info", "memory_peak", "memory_used", "on_device", "pinned_empty",
    "raise_pending", "release_memory", "reset_memory_peak", "to_host", "to_host_async",
}  # fmt: skip
# Their vectors are unique up to sign only: the values are compared (the result of that position).
_VALUES_ONLY = {"svd": 1, "eigh": 0}
# Relative to an element, to the largest element of the result, and to the largest element of what was given.
_ALLOWED = {2: (1e-2, 2e-3, 1e-3), 4: (1e-4, 1e-5, 1e-5), 8: (1e-9, 1e-11, 1e-13)}

_lock = threading.Lock()
_active: dict[Any, check_devices] = {}
_APPLY, _APPLY_MANY = primitive.apply.__code__, primitive.apply_many.__code__
_RUN_BACKWARD = engine.run_backward.__code__
_PROCESS: list[check_devices] = []  # What `ag.device("check")` has started.


class DeviceDisagreementError(RuntimeError):
    """Two devices compute different results of one kernel."""


class check_devices:
    """Inside, every kernel on `device` is also run by `reference` on the same numbers, and compared.

    device, reference: devices or their names. Slow: everything is copied to the host. Differences count beyond 1e-4 of
    an element (float32; float64: 1e-9, float16: 1e-2) and a tenth of that of the largest; integers and random draws
    must be equal. After the block `compared` is how many calls were.

    Raises `DeviceDisagreementError` (a `RuntimeError`) at the first kernel that differs, `RuntimeError` if a device is
    not there, is the same, or is being checked already.

    >>> import autograd_core as ag
    >>> if ag.cuda.is_available():
    ...     with ag.check_devices("cuda"):
    ...         y = ag.ones(3, device="cuda").exp()
    """

    def __init__(self, device: Any = "cuda", reference: Any = "cpu") -> None:
        self.backend, self.reference = devices.backend_of(device), devices.backend_of(reference)
        if self.backend is self.reference:
            raise RuntimeError(f"check_devices: {device} would be compared with itself; name two devices")
        self.compared = 0
        self._shadows = Shadows()
        self._local = threading.local()
        self._own: dict[int, tuple[weakref.ref[Any], Any]] = {}  # id of an array -> it, and the reference's own
        self._ticks: list[int] = []  # When which line was running, to find that of a node.
        self._lines: list[str] = []

    def __enter__(self) -> check_devices:
        with _lock:
            if self.backend in _active:
                raise RuntimeError(f"check_devices: {devices.device_of(self.backend)} is being checked already")
            _active[self.backend] = self
        self._read = self.backend.to_host
        self._shadows.cast(self.backend, self._checked)
        return self

    def __exit__(self, *error: object) -> None:
        self._shadows.remove()
        with _lock:
            del _active[self.backend]

    # -- one call ---------------------------------------------------------------------------------------

    def _checked(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any] | None:
        local, other = self._local, getattr(self.reference, name, None)
        if name in _NOT_COMPARED or other is None:
            return None

        def call(*args: Any, **kwargs: Any) -> Any:
            if getattr(local, "inside", False):
                return kernel(*args, **kwargs)
            local.inside = True
            try:
                copies: dict[int, tuple[Any, Any]] = {}
                given = self._copied(args, copies), self._copied(kwargs, copies)
                largest = max((_largest(copy) for _, copy in copies.values()), default=0.0)
                result = kernel(*args, **kwargs)
                frame = sys._getframe(1)
                public = len(result) if result.__class__ in (tuple, list) else 1
                if frame.f_code is _APPLY_MANY:
                    public = frame.f_locals["outputs"]
                elif frame.f_code is _APPLY and frame.f_locals["p"].extras:
                    public = 1
                what = _Call(name, [copy for _, copy in copies.values()], largest, self, frame)
                try:
                    expected = other(*given[0], **given[1])
                except Exception as error:
                    raise DeviceDisagreementError(
                        f"{what}\n{self._where(self.reference)} raised {type(error).__name__}: {error}"
                    ) from error
                self._compare(what, result, expected, public)
                # What was written to: the arrays of kernels in place, and an array given for the result.
                if name.endswith("_") or name.startswith("random_"):
                    for array, copy in copies.values():
                        what.compare(f"argument of shape {tuple(copy.shape)} afterwards", self._read(array), copy)
                self.compared += 1
            finally:
                local.inside = False
            return result

        return call

    def _copied(self, value: Any, copies: dict[int, tuple[Any, Any]]) -> Any:
        """`value` with the device's arrays replaced by the reference's; one array stays one array."""
        if isinstance(value, self.backend.array_type):
            own = self._own.get(id(value))
            if own is not None and own[0]() is value:
                return own[1]
            if id(value) not in copies:
                copies[id(value)] = value, self.reference.clone(self.reference.from_host(self._read(value)))
            return copies[id(value)][1]
        if value.__class__ in (tuple, list):
            return value.__class__([self._copied(v, copies) for v in value])
        if value.__class__ is dict:
            return {k: self._copied(v, copies) for k, v in value.items()}
        if value.__class__ is slice:
            return slice(*(self._copied(v, copies) for v in (value.start, value.stop, value.step)))
        return value

    def _compare(self, what: _Call, result: Any, expected: Any, public: int) -> None:
        """`public`: how many results are for more than the kernel's own backward."""
        if result.__class__ in (tuple, list):
            only = _VALUES_ONLY.get(what.name)
            for i, (got, wanted) in enumerate(zip(result, expected, strict=True)):
                if i >= public:
                    self._keep(got, wanted)
                elif only is None or i == only:
                    self._compare_one(what, f"result {i}", got, wanted)
        else:
            self._compare_one(what, "the result", result, expected)

    def _compare_one(self, what: _Call, name: str, got: Any, wanted: Any) -> None:
        if is_array(got) and is_array(wanted):
            host = self._read(got) if isinstance(got, self.backend.array_type) else got
            what.compare(name, host, self.reference.to_host(self.reference.as_array(wanted)))

    def _keep(self, got: Any, own: Any) -> None:
        if isinstance(got, self.backend.array_type):
            key = id(got)
            self._own[key] = weakref.ref(got, lambda _: self._own.pop(key, None)), own

    def _where(self, backend: Any) -> str:
        return str(devices.device_of(backend))

    # -- where in the program ---------------------------------------------------------------------------

    def _line(self, frame: Any) -> str:
        """The user's line; in backward also the forward line of the node."""
        line = user_line()
        while frame is not None:
            if frame.f_code is _RUN_BACKWARD:
                node = frame.f_locals.get("node")
                place = -1 if node is None else bisect_right(self._ticks, node.stamp) - 1
                forward = f"; {node.primitive.name} was recorded at {self._lines[place]}" if place >= 0 else ""
                return f"in backward, called at {line}{forward}"
            frame = frame.f_back
        if not self._lines or self._lines[-1] != line:
            self._ticks.append(storage.tick())
            self._lines.append(line)
        return f"at {line}"


class _Call:
    """One call while it is compared."""

    def __init__(self, name: str, arrays: list[Any], largest: float, check: check_devices, frame: Any) -> None:
        self.name, self.largest, self.check = name, largest, check
        self._given = ", ".join(f"{tuple(x.shape)} {x.dtype}" for x in arrays)
        self._line = check._line(frame)

    def __str__(self) -> str:
        devices_ = f"{self.check._where(self.check.backend)} and {self.check._where(self.check.reference)}"
        return f"{devices_} disagree in {self.name}({self._given}), {self._line}"

    def compare(self, name: str, got: Any, wanted: Any) -> None:
        """Raise unless the host arrays agree."""
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            raise DeviceDisagreementError(
                f"{self}\n{name}: {tuple(got.shape)} {got.dtype}, on the other {tuple(wanted.shape)} {wanted.dtype}"
            )
        reference: Any = self.check.reference
        xp = reference.xp
        same = xp.logical_or(got == wanted, xp.logical_and(got != got, wanted != wanted))
        if got.dtype.kind == "f" and not self.name.startswith("random_"):
            element, result, given = _ALLOWED[got.dtype.itemsize]
            if self.name.startswith(("matmul", "linear", "conv")) and _allow_tf32():
                element, result = 1e-2, 1e-2
            wide, target = got.astype("float64"), wanted.astype("float64")
            allowed = element * abs(target) + (result * _largest(wanted) + given * self.largest)
            same = xp.logical_or(same, abs(wide - target) <= allowed)
        if same.all():
            return
        difference = xp.where(same, 0.0, abs(got.astype("float64") - wanted.astype("float64")))
        difference = xp.where(difference == difference, difference, xp.inf)
        worst = xp.unravel_index(int(difference.argmax()), got.shape)
        place = tuple(int(i) for i in worst)
        raise DeviceDisagreementError(
            f"{self}\n{name} of shape {tuple(got.shape)} and {got.dtype}: {int((~same).sum())} of {got.size} elements "
            f"differ, most of all element {place}: {got[place]!s} on {self.check._where(self.check.backend)}, "
            f"{wanted[place]!s} on {self.check._where(self.check.reference)}"
        )


def _largest(x: Any) -> float:
    """The largest magnitude among the finite elements."""
    if x.dtype.kind != "f" or not x.size:
        return 0.0
    magnitudes = abs(x.astype("float64"))
    return float(magnitudes[magnitudes < float("inf")].max(initial=0.0))


def _allow_tf32() -> bool:
    from autograd_core.backends.cuda import matmul

    return bool(matmul.allow_tf32)


def start() -> str:
    """Check the first CUDA device against the CPU for the rest of the process; its name. For `ag.device("check")`."""
    if not _PROCESS:
        if not devices.is_available("cuda"):
            reason = devices._kinds["cuda"]().unavailable_reason()
            raise RuntimeError(f"device check compares a CUDA device with the CPU, but there is none: {reason}")
        check = check_devices("cuda:0")
        check.__enter__()
        _PROCESS.append(check)
    return "cuda:0"

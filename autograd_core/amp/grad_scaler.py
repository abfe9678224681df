"""`GradScaler`: a factor on the loss that keeps small float16 gradients from vanishing, found while training.

Source: Micikevicius et al., "Mixed precision training" (2018), section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autograd_core import devices, dtypes, modes, recorder
from autograd_core.storage import mark_mutated
from autograd_core.tensor import Tensor, wrap
from autograd_core.userline import warn_user

_READY, _UNSCALED, _STEPPED = "ready", "unscaled", "stepped"


class GradScaler:
    """Scales the loss, takes the scale out of the gradients again, and skips the steps in which they overflowed.

    device: kind of device of the losses; "cuda" without a GPU warns and disables the scaler. init_scale: the first
    scale. `update` multiplies it by backoff_factor after a step with an infinite or NaN gradient, and by growth_factor
    after growth_interval steps in a row without. enabled=False: `scale` and `unscale_` do nothing, `step` steps.

    Gradients are checked on the device; `step` reads one number from it to decide whether to step. Raises
    `AssertionError` for growth_factor <= 1 or backoff_factor >= 1.

    >>> import autograd_core as ag
    >>> scaler = ag.amp.GradScaler("cpu", init_scale=4.0)
    >>> w = ag.ones(1, requires_grad=True)
    >>> optimizer = ag.optim.SGD([w], lr=1.0)
    >>> scaler.scale(w * 3).backward(); w.grad
    tensor([12.])
    >>> scaler.step(optimizer); scaler.update(); w.data
    tensor([-2.])
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = devices.device(device).type
        if enabled and self._device == "cuda" and not devices.is_available("cuda"):
            warn_user("GradScaler is enabled, but CUDA is not available. Disabling.")
            enabled = False
        self._enabled = enabled
        if enabled and growth_factor <= 1.0:
            raise AssertionError(f"GradScaler: growth_factor must be > 1, got {growth_factor}")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError(f"GradScaler: backoff_factor must be < 1, got {backoff_factor}")
        self._init_scale = float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._scale: Tensor | None = None
        self._growth_tracker: Tensor | None = None
        self._stages: dict[int, str] = {}  # id of an optimiser -> how far it is in this iteration
        self._found_inf: dict[int, dict[Any, Tensor]] = {}  # id of an optimiser -> a flag for each backend

    # -- scaling ----------------------------------------------------------------------------------------

    def scale(self, outputs: Any) -> Any:
        """`outputs` (a tensor, or an iterable of them) times the scale; unchanged if the scaler is disabled.

        Raises `ValueError` for what is no tensor.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            for step in tuple(recorder.measured):
                step.scaled = True
            return outputs * self._scale_on(outputs._backend)
        if isinstance(outputs, Iterable) and not isinstance(outputs, str | bytes):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, list | tuple) else scaled
        raise ValueError(f"GradScaler.scale: expected a Tensor or an iterable of Tensors, got {type(outputs).__name__}")

    def _scale_on(self, backend: Any) -> Tensor:
        if self._scale is None:
            with recorder.paused():  # A recording must read the scale as it is then, not make it again.
                self._scale = wrap(backend.full((), self._init_scale, dtypes.float32.native), backend)
                self._growth_tracker = wrap(backend.full((), self._init_growth_tracker, dtypes.int32.native), backend)
        return self._scale.to(devices.device_of(backend))

    def _state(self, what: str) -> tuple[Tensor, Tensor]:
        if self._scale is None or self._growth_tracker is None:
            raise AssertionError(
                f"GradScaler: attempted {what}, but there is no scale yet. Call scale(loss) earlier in the iteration"
            )
        return self._scale, self._growth_tracker

    # -- gradients --------------------------------------------------------------------------------------

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimiser's parameters by the scale, and note whether all were finite.

        `step` does it unless it was called before, to clip or look at gradients. Raises `RuntimeError` if it was called
        for this optimiser since the last `update`, `ValueError` for float16 gradients (keep the parameters float32).
        """
        if not self._enabled:
            return
        scale, _ = self._state("unscale_")
        stage = self._stages.get(id(optimizer), _READY)
        if stage is _UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update()")
        if stage is _STEPPED:
            raise RuntimeError("unscale_() is being called after step()")
        inverses: dict[Any, Tensor] = {}
        found: dict[Any, Tensor] = {}
        with modes.no_grad():
            inverse = scale.double().reciprocal().float()
            for group in optimizer.param_groups:
                for number, p in enumerate(group["params"]):
                    grad = p._grad
                    if grad is None:
                        continue
                    if grad.dtype is dtypes.float16:
                        raise ValueError(
                            f"GradScaler: attempting to unscale FP16 gradients: parameter {number} of shape "
                            f"{tuple(p.shape)} is float16. Keep parameters in float32; autocast casts what needs it"
                        )
                    backend = grad._backend
                    if backend not in found:
                        found[backend] = wrap(backend.full((), 0.0, dtypes.float32.native), backend)
                        inverses[backend] = inverse.to(grad.device)
                    backend.unscale_(grad._data, found[backend]._data, inverses[backend]._data)
                    mark_mutated(backend, grad._data, "unscale_")
                    for step in tuple(recorder.measured):
                        step.unscaled(p, inverses[backend])
        self._found_inf[id(optimizer)] = found
        self._stages[id(optimizer)] = _UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`unscale_`, then `optimizer.step(*args, **kwargs)`, whose result is returned, if all gradients were finite.

        Raises `RuntimeError` for a closure, which would compute gradients anew, and for a second step of one optimiser
        before `update`; `AssertionError` if there is no scale, or none of the parameters has a gradient.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or any(callable(a) for a in args):
            raise RuntimeError(
                "GradScaler.step: closure use is not supported if the scaler is enabled: the gradients that a closure "
                "computes would still be scaled"
            )
        self._state("step")
        key = id(optimizer)
        if self._stages.get(key) is _STEPPED:
            raise RuntimeError("step() has already been called since the last update()")
        if self._stages.get(key, _READY) is _READY:
            self.unscale_(optimizer)
        flags = self._found_inf[key]
        if not flags:
            raise AssertionError("GradScaler.step: no inf checks were recorded: no parameter has a gradient")
        result = None
        if not any(flag.item() for flag in flags.values()):
            result = optimizer.step(*args, **kwargs)
        self._stages[key] = _STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the scale, at the end of an iteration; or set it to `new_scale`, a float or tensor of one element.

        Raises `AssertionError` if no gradients were checked since the last time.
        """
        if not self._enabled:
            return
        scale, tracker = self._state("update")
        backend = scale._backend
        if new_scale is None:
            flags = [flag for found in self._found_inf.values() for flag in found.values()]
            if not flags:
                raise AssertionError("GradScaler.update: no inf checks were recorded before update; call step() first")
            with modes.no_grad():
                total: Any = flags[0].to(scale.device)
                for flag in flags[1:]:
                    total = total + flag.to(scale.device)
            factors = self._growth_factor, self._backoff_factor, self._growth_interval
            backend.update_scale_(scale._data, tracker._data, total._data, *factors)
            mark_mutated(backend, scale._data, "update_scale_")
        elif isinstance(new_scale, Tensor):
            if new_scale.numel() != 1 or new_scale.requires_grad or new_scale.device.type != self._device:
                raise AssertionError(
                    f"GradScaler.update: new_scale should be a float, or a tensor of one element on {self._device} "
                    "that does not require grad"
                )
            scale.copy_(new_scale.reshape(()))
        else:
            scale.fill_(float(new_scale))
        self._stages, self._found_inf = {}, {}

    # -- the numbers ------------------------------------------------------------------------------------

    def get_scale(self) -> float:
        """The scale, 1.0 if disabled. Waits for the device."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale.item())

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else int(self._growth_tracker.item())

    def get_growth_factor(self) -> float:
        """By what the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set by what the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the scale is multiplied after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set by what the scale is multiplied after an overflow."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps in a row the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many good steps in a row the scale grows."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether the scaler does anything."""
        return self._enabled

    # -- saving and loading -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The scale, the factors and the count of good steps, as Python numbers; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict()` gave; nothing if disabled. Raises `RuntimeError` for an empty one."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "GradScaler: the state dict is empty; it was probably saved from a scaler that was disabled"
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None and self._growth_tracker is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)

    def __getstate__(self) -> dict[str, Any]:
        if self._stages:
            raise AssertionError("GradScaler: pickle it at the beginning of an iteration, or at its end after update()")
        state = dict(self.__dict__)
        if self._enabled:
            state["_init_scale"], state["_init_growth_tracker"] = self.get_scale(), self._get_growth_tracker()
        state["_scale"] = state["_growth_tracker"] = None
        return state

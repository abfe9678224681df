"""`autocast`: operations run in the dtype that suits each of them; and its decorators for custom functions.

Source: Micikevicius et al., "Mixed precision training" (2018).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from autograd_core import dtypes
from autograd_core.amp import state as s
from autograd_core.tensor import Tensor
from autograd_core.userline import warn_user

Function = TypeVar("Function", bound=Callable[..., Any])


class autocast:
    """Inside, matrix products and convolutions run in `dtype`, and what needs the range or the sums in float32.

    device_type: "cuda", "cpu" or another kind. dtype: float16, the only lower precision here; on the CPU it must be
    named, since PyTorch's default there is bfloat16. enabled=False turns autocast off inside. cache_enabled: keep the
    casts of float32 leaves that require grad until the outermost block ends. A context manager or a decorator; holds in
    this thread only. docs/amp.md lists the operations.

    Raises `ValueError` for a device_type that is no str, `RuntimeError` for an unknown one or for the CPU without a
    dtype. Warns and stays off for a dtype other than float16, and for "cuda" where there is no GPU.

    >>> import autograd_core as ag
    >>> with ag.autocast("cpu", dtype=ag.float16):
    ...     (ag.ones(1, 2) @ ag.ones(2, 1)).dtype
    ag.float16
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtypes.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        self.device = s.check_kind(device_type)
        if enabled and dtype is None:
            dtype = s.get_autocast_dtype(device_type)
        if enabled and dtype is not dtypes.float16:
            warn_user(f"autocast: on {device_type!r} only float16 is supported, got {dtype!r}. Disabling autocast.")
            enabled = False
        if enabled and device_type == "cuda" and not s.devices.is_available("cuda"):
            warn_user("autocast: CUDA is not available. Disabling autocast.")
            enabled = False
        self.fast_dtype = dtype
        self._enabled = enabled
        self._cache_enabled = s.state.cache_enabled if cache_enabled is None else cache_enabled
        self._before: list[tuple[bool, dtypes.dtype | None, bool]] = []

    def __enter__(self) -> autocast:
        state, kind = s.state, self.device
        # One object may be entered several times: a decorated function that calls itself.
        self._before.append((kind in state.active, state.dtypes.get(kind), state.cache_enabled))
        if self._enabled and self.fast_dtype is not None:
            s.set_autocast_dtype(kind, self.fast_dtype)
        s.set_autocast_enabled(kind, self._enabled)
        s.autocast_increment_nesting()
        state.cache_enabled = self._cache_enabled
        return self

    def __exit__(self, *error: object) -> None:
        state, kind = s.state, self.device
        if s.autocast_decrement_nesting() == 0:
            s.clear_autocast_cache()
        enabled, dtype, state.cache_enabled = self._before.pop()
        s.set_autocast_enabled(kind, enabled)
        if dtype is None:
            state.dtypes.pop(kind, None)
        else:
            s.set_autocast_dtype(kind, dtype)

    def __call__(self, function: Function) -> Function:
        if not callable(function):
            raise TypeError(
                f"autocast: a decorator needs a function, got {type(function).__name__}; write `with ag.autocast(...):`"
            )

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: dtypes.dtype | None = None
) -> Any:
    """Decorates `forward` of an `autograd.Function` for use under autocast.

    cast_inputs: within autocast, cast the floating-point arguments (float64 apart) to this dtype and run with autocast
    off; None: run under autocast as it is. Outside of autocast it changes nothing.

    >>> import autograd_core as ag
    >>> class Double(ag.autograd.Function):
    ...     @staticmethod
    ...     @ag.amp.custom_fwd(device_type="cpu", cast_inputs=ag.float32)
    ...     def forward(ctx, x):
    ...         return x * 2
    >>> with ag.autocast("cpu", dtype=ag.float16):
    ...     Double.apply(ag.ones(1, dtype=ag.float16)).dtype
    ag.float32
    """
    s.check_kind(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = s.dtype_or_none(device_type)
        ctx._fwd_used_autocast = enabled = s.is_autocast_enabled(device_type)
        if cast_inputs is None or not enabled:
            ctx._fwd_used_autocast = enabled and cast_inputs is None
            return fwd(ctx, *args, **kwargs)
        ctx._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            return fwd(ctx, *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorates `backward` of an `autograd.Function`: it runs with autocast as its `custom_fwd` forward did.

    >>> import autograd_core as ag
    >>> class Double(ag.autograd.Function):
    ...     @staticmethod
    ...     @ag.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     @ag.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         return g * 2
    """
    s.check_kind(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return backward


def autocast_again() -> Callable[[], contextlib.ExitStack]:
    """A function that makes a context in which autocast is on as it is now, without the cache of casts."""
    now = dict(s.state.active)

    def enter() -> contextlib.ExitStack:
        stack = contextlib.ExitStack()
        for kind, dtype in now.items():
            stack.enter_context(autocast(kind, dtype, cache_enabled=False))
        return stack

    return enter


def _cast(value: Any, kind: str, to: dtypes.dtype) -> Any:
    if isinstance(value, Tensor):
        eligible = value.is_floating_point() and value.dtype is not dtypes.float64 and value._backend.name == kind
        return value.to(to) if eligible else value
    if isinstance(value, Mapping):
        return {_cast(k, kind, to): _cast(v, kind, to) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cast(v, kind, to) for v in value)
    return value

"""Making tensors: constants, ranges, copies of another's shape; and conversion of dtype and device."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from autograd_core import devices, dtypes, modes
from autograd_core.ops import elementwise as e
from autograd_core.ops.memory_format import arranged, preserve_format
from autograd_core.primitive import Primitive, V, edge_of, make_node
from autograd_core.tensor import Tensor, wrap


def _shape(size: tuple[Any, ...], name: str) -> tuple[int, ...]:
    sizes = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    try:
        shape = tuple([n.__index__() for n in sizes])
    except (TypeError, AttributeError):
        raise TypeError(f"{name}: expected sizes as ints, got {size}") from None
    if shape and min(shape) < 0:
        raise RuntimeError(f"{name}: Trying to create tensor with negative dimension in size {shape}")
    return shape


def _made(array: Any, backend: Any, requires_grad: bool) -> Tensor:
    t = wrap(array, backend)
    if modes.overrides and modes.state.inference:
        t._inference = True
    return t.requires_grad_() if requires_grad else t


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros.

    >>> import autograd_core as ag
    >>> ag.zeros(2)
    tensor([0., 0.])
    """
    backend = devices.backend_of(device)
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    return _made(backend.zeros(_shape(size, "zeros"), d.native), backend, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones.

    >>> import autograd_core as ag
    >>> ag.ones(2, dtype=ag.int64)
    tensor([1, 1])
    """
    backend = devices.backend_of(device)
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    return _made(backend.ones(_shape(size, "ones"), d.native), backend, requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose values are whatever the memory held.

    >>> import autograd_core as ag
    >>> ag.empty(2, 3).shape
    ag.Size([2, 3])
    """
    backend = devices.backend_of(device)
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    return _made(backend.empty(_shape(size, "empty"), d.native), backend, requires_grad)


def full(
    size: Sequence[int], fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor filled with one number, whose kind decides the dtype.

    >>> import autograd_core as ag
    >>> ag.full((2,), 7)
    tensor([7, 7])
    """
    backend = devices.backend_of(device)
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.of_number(fill_value)
    return _made(_filled(backend, _shape((size,), "full"), fill_value, d), backend, requires_grad)


def _filled(backend: Any, shape: tuple[int, ...], value: Any, d: dtypes.dtype) -> Any:
    return backend.full(shape, dtypes.whole_number(value, d, "full") if d.category == 1 else value, d.native)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A matrix with ones on the diagonal and zeros elsewhere.

    >>> import autograd_core as ag
    >>> ag.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    rows = arange(n, device=device).reshape(n, 1)
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    out = e.eq(rows, arange(n if m is None else m, device=device)).to(d)
    return out.requires_grad_() if requires_grad else out


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from `start` (0) up to but without `end`, `step` apart; int64 if all three are ints.

    >>> import autograd_core as ag
    >>> ag.arange(1, 4)
    tensor([1, 2, 3])
    """
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}; both must be finite")
    if (end - start) / step < 0:
        raise RuntimeError(f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    backend = devices.backend_of(device)
    whole = all(isinstance(v, int) for v in (start, end, step))
    d = dtypes.as_dtype(dtype) if dtype is not None else (dtypes.int64 if whole else dtypes.get_default_dtype())
    if d.category == 1:
        # As PyTorch: start and step are cut to integers, and int64 also counts with those.
        start, step, count = int(start), int(step), math.ceil((end - start) / step)
        if d is dtypes.int64:
            if step == 0:
                raise ValueError("arange: step must be nonzero, and is 0 as an integer")
            count = builtins.max(-((start - int(end)) // step), 0)
        if d is dtypes.uint8 and (start < 0 or step < 0 or start + step * count > 255):
            steps = wrap(backend.arange(0, count, 1, dtypes.int64.native), backend)
            return e.add(e.mul(steps, step), start).to(d)
        return _made(backend.arange(start, start + step * count, step, d.native), backend, requires_grad)
    if not whole:
        # start + i * step, element by element: adding up the step would drift.
        count = builtins.max(math.ceil((end - start) / step), 0)
        steps = wrap(backend.arange(0, count, 1, dtypes.float64.native), backend)
        return _made(e.add(e.mul(steps, float(step)), float(start)).to(d)._data, backend, requires_grad)
    return _made(backend.arange(start, end, step, d.native), backend, requires_grad)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` numbers from `start` to `end`, both included, evenly spaced.

    >>> import autograd_core as ag
    >>> ag.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if not isinstance(steps, int):
        raise TypeError(f"linspace: steps must be an int, got {steps!r}")
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative, got {steps}")
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    backend = devices.backend_of(device)
    i = wrap(backend.arange(0, steps, 1, dtypes.float64.native), backend)
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    if d.category == 1:
        start, end = int(start), int(end)
    width = (end - start) / builtins.max(steps - 1, 1)
    # From both ends to the middle, so that the last value is exactly `end`.
    values = e.where(
        e.lt(i, steps / 2),
        e.add(e.mul(i, width), float(start)),
        e.sub(float(end), e.mul(e.sub(float(steps - 1), i), width)),
    )
    return _made(values.to(d)._data, backend, requires_grad)


# -- like another tensor ----------------------------------------------------------------------------------


def _like(name: str) -> Any:
    def call(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        backend = input._backend if device is None else devices.backend_of(device)
        native = input._data.dtype if dtype is None else dtypes.as_dtype(dtype).native
        return _made(getattr(backend, name)(input._data.shape, native), backend, requires_grad)

    call.__name__ = call.__qualname__ = f"{name}_like"
    call.__doc__ = f"`{name}` with the shape, dtype and device of `input`."
    return call


zeros_like, ones_like, empty_like = _like("zeros"), _like("ones"), _like("empty")


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of the shape, dtype and device of `input`, filled with one number.

    >>> import autograd_core as ag
    >>> ag.full_like(ag.zeros(2), 3)
    tensor([3., 3.])
    """
    return new_full(input, input._data.shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def new_full(
    self: Tensor,
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of `size` filled with one number, with the dtype and device of this one."""
    backend = self._backend if device is None else devices.backend_of(device)
    d = self.dtype if dtype is None else dtypes.as_dtype(dtype)
    return _made(_filled(backend, _shape((size,), "new_full"), fill_value, d), backend, requires_grad)


def _new_method(name: str) -> Any:
    def call(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        backend = self._backend if device is None else devices.backend_of(device)
        native = self._data.dtype if dtype is None else dtypes.as_dtype(dtype).native
        return _made(getattr(backend, name)(_shape(size, f"new_{name}"), native), backend, requires_grad)

    call.__name__ = call.__qualname__ = f"new_{name}"
    call.__doc__ = f"`{name}(size)` with the dtype and device of this tensor."
    return call


new_zeros, new_ones, new_empty = _new_method("zeros"), _new_method("ones"), _new_method("empty")


def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`ag.tensor(data)` with the dtype and device of this tensor."""
    from autograd_core import interop

    return interop.tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


# -- conversion -------------------------------------------------------------------------------------------


def _to_device_rule(F: Any, g: Any, ctx: Any) -> tuple[Any, ...]:
    (source,) = ctx.params
    if isinstance(g, Tensor):
        return (to_backend(g, source),)
    return (source.from_backend(g, ctx.backend),)


_TO_DEVICE = Primitive("to_device", _to_device_rule)


def to_backend(x: Tensor, backend: Any, non_blocking: bool = False) -> Tensor:
    """A copy of `x` on another device, on the tape. `non_blocking`: the host goes on, where the devices can do so."""
    source = x._backend
    if non_blocking and source.name == "cpu" and hasattr(backend, "from_host_async"):
        t = wrap(backend.from_host_async(x._data), backend)
    elif non_blocking and backend.name == "cpu" and hasattr(source, "to_host_async"):
        t = wrap(source.to_host_async(x._data), backend)
    else:
        t = wrap(backend.from_backend(x._data, source), backend)
    edge = edge_of(x)
    if edge is not None and modes.state.grad:
        t._node = make_node(_TO_DEVICE, backend, (edge,), (), (source,), t._data.shape)
    return t


def to(
    self: Tensor,
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """This tensor on another device or in another dtype: `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(other)`.

    Itself where nothing changes (unless `copy`). Differentiable between floating-point dtypes. `non_blocking`: between
    host and GPU the copy is only queued; the host may not change the source, if it is pinned, nor read the result of a
    copy to the host, before `cuda.synchronize()`.
    """
    if len(args) > 1:  # PyTorch's positional non_blocking and copy.
        flags = [arg for arg in args if isinstance(arg, bool)]
        non_blocking = non_blocking or (len(flags) > 0 and flags[0])
        copy = copy or (len(flags) > 1 and flags[1])
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, dtypes.dtype) or arg in (float, int, bool):
            dtype = arg
        elif arg is not None and not isinstance(arg, bool):  # A bool here is PyTorch's positional non_blocking.
            device = arg
    x = self
    if device is not None:
        backend = devices.backend_of(device)
        if backend is not x._backend:
            x = to_backend(x, backend, non_blocking)
    if dtype is not None:
        native = dtypes.as_dtype(dtype).native
        if native != x._data.dtype:
            x = e.cast(x, native)
    if copy and x is self:
        x = V.clone(x)
    return x if memory_format is preserve_format else arranged("to", x, memory_format)


def _to_dtype(name: str, d: dtypes.dtype) -> Any:
    def call(self: Tensor, memory_format: Any = preserve_format) -> Tensor:
        converted: Tensor = self if self._data.dtype == d.native else e.cast(self, d.native)
        return converted if memory_format is preserve_format else arranged(name, converted, memory_format)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"This tensor as {d}; itself if it is that already."
    return call


CONVERSIONS = {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16,
    "long": dtypes.int64, "int": dtypes.int32,
    "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool_,
}  # fmt: skip


def type_(self: Tensor, dtype: Any = None) -> Any:
    """Dtype and kind of device as PyTorch names them ('torch.FloatTensor'), or this tensor as `dtype`, which may be
    such a name or type, too. Raises `ValueError` for a name that says nothing."""
    from autograd_core import tensor_types

    if dtype is None:
        return tensor_types.name_of(self.dtype, self.device.type)
    found = tensor_types.find(dtype)
    if found is None:
        return to(self, dtype)
    return to(self, found.dtype) if found.kind == self.device.type else to(self, found.kind, found.dtype)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype of `other`."""
    return to(self, other.dtype)


def cpu(self: Tensor) -> Tensor:
    """This tensor in host memory."""
    return to(self, device="cpu")


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """This tensor on a CUDA device; `non_blocking` as in `to`."""
    return to(self, device="cuda" if device is None else device, non_blocking=non_blocking)


FUNCTIONS = (
    "zeros", "ones", "empty", "full", "eye", "arange", "linspace", "zeros_like", "ones_like", "empty_like", "full_like",
)  # fmt: skip
METHODS = ("new_full", "new_zeros", "new_ones", "new_empty", "new_tensor", "to", "type_as", "cpu", "cuda")
INPLACE = ()
PUBLIC = {"type": type_}

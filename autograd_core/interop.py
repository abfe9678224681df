"""Between tensors and the host: Python data, NumPy arrays, text. One of the few core files that may use NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core import devices, dtypes, modes
from autograd_core.tensor import Tensor, wrap


def tensor(
    data: Any,
    *,
    dtype: dtypes.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor holding a copy of `data`: a number, nested sequences, a NumPy array or a tensor.

    Python floats become the default dtype, ints int64, bools bool; arrays keep their dtype. Raises `ValueError` for
    ragged sequences, `TypeError` for what is no number.

    >>> import autograd_core as ag
    >>> ag.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    backend = devices.backend_of(device) if device is not None or not isinstance(data, Tensor) else data._backend
    host = _host_array(data, None if dtype is None else dtypes.as_dtype(dtype))
    made = wrap(backend.from_host(host), backend)
    if pin_memory:
        made = made.pin_memory()
    return made.requires_grad_() if requires_grad else made


def _host_array(data: Any, dtype: dtypes.dtype | None) -> Any:
    """`data` as a NumPy array of one of our dtypes, by PyTorch's inference."""
    if isinstance(data, Tensor):
        host = data._backend.to_host(data._data)
    elif isinstance(data, np.ndarray | np.generic):
        host = np.asarray(data)
    else:
        if dtype is None:
            dtype = _infer(data)
        try:
            host = np.array(_plain(data), dtype=None if dtype is None else dtype.native)
        except (ValueError, TypeError) as error:
            raise type(error)(f"tensor: cannot make a tensor of {type(data).__name__}: {error}") from None
        except OverflowError as error:
            raise RuntimeError(f"tensor: {error}; pass a wider dtype") from None
    native = host.dtype if dtype is None else dtype.native
    if not host.dtype.isnative:
        host = host.astype(host.dtype.newbyteorder("="))
        native = host.dtype if dtype is None else native
    dtypes.from_native(native)
    return host if host.dtype == native else host.astype(native)


def _plain(data: Any) -> Any:
    """Nested sequences with tensors in them turned into nested lists."""
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, list | tuple):
        return [_plain(item) if isinstance(item, Tensor | Sequence) else item for item in data]
    return [_plain(item) for item in data] if _is_sequence(data) else data


def _is_sequence(data: Any) -> bool:
    """Lists, tuples, and others such as ranges and deques; not text."""
    return isinstance(data, list | tuple) or (isinstance(data, Sequence) and not isinstance(data, str | bytes))


def _infer(data: Any) -> dtypes.dtype | None:
    """The dtype of Python data: the widest of its leaves; None leaves it to NumPy (arrays inside)."""
    found: dtypes.dtype | None = None
    stack = [data]
    while stack:
        item = stack.pop()
        if _is_sequence(item):
            stack.extend(item)
            continue
        if isinstance(item, Tensor):
            leaf = item.dtype
        elif isinstance(item, bool | int | float):
            leaf = dtypes.of_number(item)
        elif isinstance(item, np.ndarray | np.generic):
            leaf = dtypes.from_native(item.dtype)
        elif hasattr(item, "__array__"):
            return None
        else:
            error = ValueError if isinstance(item, str) and item is not data else TypeError
            raise error(f"tensor: expected numbers or nested sequences of numbers, found {type(item).__name__}")
        found = leaf if found is None else dtypes.promote_types(found, leaf)
    return found or dtypes.get_default_dtype()


def as_tensor(data: Any, dtype: dtypes.dtype | None = None, device: Any = None) -> Tensor:
    """Like `tensor`, but without a copy where `data` is a tensor or an array of another library that already fits.

    >>> import autograd_core as ag
    >>> ag.as_tensor([1.5])
    tensor([1.5000])
    """
    if isinstance(data, Tensor):
        return data.to(device=device if device is not None else data.device, dtype=dtype or data.dtype)
    backend = devices.backend_of(device)
    if isinstance(data, np.ndarray) and backend.name == "cpu" and (dtype is None or dtype.native == data.dtype):
        if _obstacle(data) is None:
            return from_numpy(data)
    if hasattr(data, "__dlpack__") and not isinstance(data, np.ndarray | np.generic):
        return asarray(data, dtype=dtype, device=device)
    return tensor(data, dtype=dtype, device=device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Tensor:
    """`obj` as a tensor: a tensor, NumPy array, object with `__dlpack__`, buffer, number or nested sequence of numbers.

    copy: None copies only where it must, True always, False never (ValueError where a copy is needed). A buffer (bytes,
    bytearray, memoryview, array) is read as a flat sequence of `dtype`. requires_grad: None keeps that of a tensor.

    >>> import autograd_core as ag
    >>> x = ag.zeros(2); ag.asarray(x) is x
    True
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(obj, Tensor):
        source, shared = obj, True
    elif isinstance(obj, np.ndarray):
        shared = _obstacle(obj) is None
        source = from_numpy(obj) if shared else tensor(obj, device="cpu")
    elif hasattr(obj, "__dlpack__") and not isinstance(obj, np.generic):
        source, shared = from_dlpack(obj, copy=copy), copy is not True
    elif _is_buffer(obj):
        wanted = wanted or dtypes.get_default_dtype()
        shared = not memoryview(obj).readonly
        flat = np.frombuffer(obj, **_buffer_layout(obj, wanted, -1, 0))
        source = from_numpy(flat) if shared else tensor(flat, device="cpu")
    else:
        source, shared = tensor(obj, dtype=wanted, device=device), False
    if device is None:
        device = source.device if isinstance(obj, Tensor) else devices.get_default_device()
    with modes.set_grad_enabled(requires_grad is not False and modes.state.grad):
        found: Tensor = source.to(device=device, dtype=wanted or source.dtype)
        if copy is False and not (shared and found is source):
            raise ValueError(
                f"asarray: copy=False, but this {type(obj).__name__} cannot become a tensor without a copy"
            )
        if copy and shared and found is source:
            found = found.clone()
    if requires_grad is False and found.requires_grad:
        return found.detach()
    return found.requires_grad_() if requires_grad else found


def _is_buffer(obj: Any) -> bool:
    try:
        memoryview(obj)
    except TypeError:
        return False
    return not isinstance(obj, np.generic)


def from_numpy(array: Any) -> Tensor:
    """A CPU tensor on the memory of a NumPy array: a change of one is seen in the other.

    A read-only array is copied, with a warning. Raises `TypeError` for what is no array or has an unsupported dtype,
    `ValueError` for foreign byte order and negative strides.

    >>> import autograd_core as ag, numpy as np
    >>> ag.from_numpy(np.arange(3.0)).dtype
    ag.float64
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}; use ag.tensor(...)")
    dtypes.from_native(array.dtype.newbyteorder("="))
    obstacle = _obstacle(array)
    if obstacle == "is read-only":
        _warn_read_only("from_numpy: the array")
        array = array.copy()
    elif obstacle is not None:
        raise ValueError(f"from_numpy: the array {obstacle}, so its memory cannot be shared; use ag.tensor(array)")
    return wrap(array.view(np.ndarray), devices.backend_of("cpu"))


def _obstacle(array: Any) -> str | None:
    """Why a tensor cannot lie on the memory of `array`."""
    if not array.dtype.isnative:
        return "has the byte order of another machine"
    if any(step < 0 or step % array.itemsize for step in array.strides):
        return f"has the strides {array.strides} (in bytes), negative or no multiple of the element size"
    return None if array.flags.writeable else "is read-only"


def _warn_read_only(what: str) -> None:
    warnings.warn(
        f"{what} is read-only, and a tensor can always be written to: its memory is copied, not shared. "
        "Pass a writable one to share it, or ag.tensor(...) for a copy without this warning",
        stacklevel=3,
    )


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A one-dimensional CPU tensor on the memory of an object with Python's buffer protocol.

    `count` elements of `dtype` (-1: all that there are), beginning at byte `offset`. Read-only buffers, such as bytes,
    are copied, with a warning. Raises ValueError where the numbers do not fit the buffer.

    >>> import autograd_core as ag
    >>> ag.frombuffer(bytearray([1, 0, 2, 0]), dtype=ag.int16)
    tensor([1, 2], dtype=ag.int16)
    """
    wanted = dtypes.as_dtype(dtype)
    if not _is_buffer(buffer):
        raise ValueError(f"frombuffer: a {type(buffer).__name__} does not implement Python's buffer protocol")
    flat = np.frombuffer(buffer, **_buffer_layout(buffer, wanted, count, offset))
    if not flat.flags.writeable:
        _warn_read_only("frombuffer: the buffer")
        flat = flat.copy()
    made = wrap(flat, devices.backend_of("cpu"))
    return made.requires_grad_() if requires_grad else made


def _buffer_layout(buffer: Any, dtype: dtypes.dtype, count: int, offset: int) -> dict[str, Any]:
    """Arguments for `np.frombuffer`, checked."""
    length, size = memoryview(buffer).nbytes, dtype.itemsize
    if not length or not count:
        raise ValueError(f"frombuffer: neither the buffer ({length} bytes) nor count ({count}) may be empty")
    if not 0 <= offset < length:
        raise ValueError(f"frombuffer: offset {offset} lies outside of the buffer of {length} bytes")
    if count < 0 and (length - offset) % size:
        raise ValueError(
            f"frombuffer: {length - offset} bytes after offset {offset} are no multiple of {size}, the size of {dtype}"
        )
    if count > 0 and count * size > length - offset:
        raise ValueError(
            f"frombuffer: {count} elements of {size} bytes after offset {offset} do not fit into {length} bytes"
        )
    return {"dtype": dtype.native, "count": count, "offset": offset}


_CUDA_KINDS = (2, 13)  # of DLPack's DLDeviceType: device memory, managed memory
_HOST_KINDS = (1, 3)  # host memory, pinned host memory


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of an array of another library (NumPy, CuPy, PyTorch, ...), by the DLPack protocol.

    device: where it shall lie, by default where it is. copy: None copies only where it must (another device, read-only
    memory), True always, False never. Raises RuntimeError for an object without the protocol or on an unknown device,
    ValueError where copy=False cannot be kept, TypeError for an unsupported dtype.

    >>> import autograd_core as ag, numpy as np
    >>> a = np.zeros(2); x = ag.from_dlpack(a); a[0] = 1; x
    tensor([1., 0.], dtype=ag.float64)
    """
    if not (hasattr(ext_tensor, "__dlpack__") and hasattr(ext_tensor, "__dlpack_device__")):
        raise RuntimeError(
            f"from_dlpack: a {type(ext_tensor).__name__} has no __dlpack__ and __dlpack_device__; pass the array itself"
        )
    if isinstance(ext_tensor, Tensor):
        return asarray(ext_tensor.detach(), device=device, copy=copy)
    kind, index = ext_tensor.__dlpack_device__()
    if int(kind) not in (*_CUDA_KINDS, *_HOST_KINDS):
        raise RuntimeError(f"from_dlpack: DLPack's device type {int(kind)} is not known here; copy it to the host")
    backend = devices.backend_of("cpu" if int(kind) in _HOST_KINDS else f"cuda:{index}")
    array = backend.import_dlpack(ext_tensor)
    dtypes.from_native(array.dtype)
    obstacle = _obstacle(array) if isinstance(array, np.ndarray) else None
    if obstacle is not None:
        if copy is False:
            raise ValueError(f"from_dlpack: copy=False, but the memory {obstacle}")
        array = array.copy()
    found = wrap(array, backend)
    return asarray(found, device=device, copy=copy if obstacle is None else None)


def to_dlpack(
    t: Tensor, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
) -> Any:
    """For the DLPack protocol: a capsule on the tensor's memory."""
    if t.requires_grad:
        raise BufferError("__dlpack__: a tensor that requires grad cannot be exported; use tensor.detach()")
    options = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
    if t._backend.name != "cpu":
        options["stream"] = stream
    return _exporter(t).__dlpack__(**{name: value for name, value in options.items() if value is not None})


def _exporter(t: Tensor) -> Any:
    if not hasattr(t._data, "__dlpack__"):
        raise BufferError(f"__dlpack__: memory of device {t.device} cannot be shared; use tensor.cpu()")
    return t._data


def dlpack_device(t: Tensor) -> tuple[int, int]:
    kind, index = _exporter(t).__dlpack_device__()
    return int(kind), int(index)


def as_host_array(t: Tensor, dtype: Any, copy: bool | None) -> Any:
    """For NumPy's `__array__` protocol."""
    return np.array(to_numpy(t, False), dtype=dtype, copy=copy)


def to_numpy(t: Tensor, force: bool) -> Any:
    if not force:
        if t.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if t._backend.name != "cpu":
            raise TypeError(
                f"can't convert {t.device} device type tensor to numpy. "
                "Use Tensor.cpu() to copy it to host memory first."
            )
    return t._backend.to_host(t._data)


# -- printing ---------------------------------------------------------------------------------------------

_print = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}


def set_printoptions(
    precision: int | None = None, threshold: int | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """How tensors print: digits after the point, elements before summarising, edge items, width.

    >>> import autograd_core as ag
    >>> ag.set_printoptions(precision=4)
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _print.update({name: value for name, value in given.items() if value is not None})
    _print["sci_mode"] = sci_mode


def format_tensor(t: Tensor) -> str:
    """The text of `repr`: values, then what is not the default."""
    host = t._backend.to_host(t._data)
    prefix = "Parameter containing:\ntensor(" if type(t).__name__ == "Parameter" else "tensor("
    values = _format_values(host) if host.size else "[]"
    notes = []
    if not host.size and host.shape != (0,):
        notes.append(f"size={tuple(host.shape)}")
    if t._backend.name != "cpu":
        notes.append(f"device='{t.device}'")
    if t.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_) or (
        not host.size and t.dtype is dtypes.int64
    ):
        notes.append(f"dtype={t.dtype}")
    node = t.grad_fn
    if node is not None:
        notes.append(f"grad_fn={node!r}")
    elif t._requires_grad:
        notes.append("requires_grad=True")
    return prefix + ", ".join([values, *notes]) + ")"


def _format_values(host: Any) -> str:
    options: dict[str, Any] = {"separator": ", ", "prefix": "tensor(", "threshold": _print["threshold"]}
    options |= {"edgeitems": _print["edgeitems"], "max_line_width": _print["linewidth"]}
    if host.dtype.kind == "f":
        options["formatter"] = {"float_kind": _float_format(host)}
    elif host.dtype.kind == "b":
        options["formatter"] = {"bool": lambda b: "True" if b else "False"}
    return str(np.array2string(host, **options))


def _float_format(host: Any) -> Any:
    """One format for all elements, aligned, as PyTorch chooses it."""
    finite = np.abs(host[np.isfinite(host)].astype(np.float64))
    digits = _print["precision"]
    nonzero = finite[finite != 0]
    integral = bool((finite == np.rint(finite)).all())
    scientific = nonzero.size > 0 and (
        nonzero.max() / nonzero.min() > 1000 or nonzero.max() > 1e8 or (not integral and nonzero.min() < 1e-4)
    )
    if integral:
        scientific = nonzero.size > 0 and nonzero.max() > 1e8
    if _print["sci_mode"] is not None:
        scientific = bool(_print["sci_mode"])
    if scientific:
        spec = f".{digits}e"
    else:
        spec = ".0f" if integral else f".{digits}f"
    point = "." if integral and not scientific else ""
    texts = [
        format(float(v), spec) + (point if np.isfinite(v) else "") for v in host.reshape(-1)[: _print["threshold"]]
    ]
    width = max(map(len, texts), default=0)
    return lambda v: (format(float(v), spec) + (point if np.isfinite(v) else "")).rjust(width)

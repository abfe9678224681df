"""Questions about tensors, and the ways of old programs to fill, test and convert them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from autograd_core import devices, dtypes
from autograd_core.inplace import update
from autograd_core.ops import elementwise as e
from autograd_core.ops.creation import _made, _shape, arange
from autograd_core.ops.indexing import masked_fill
from autograd_core.tensor import Tensor

# -- questions --------------------------------------------------------------------------------------------

# No tensor is one of these.
_NEVER_METHODS = ("is_conj", "is_neg", "is_coalesced", "is_distributed", "is_shared")
_NEVER_FUNCTIONS = ("is_conj", "is_neg", "is_distributed")
_NEVER_PROPERTIES = (
    "is_meta", "is_mkldnn", "is_mps", "is_nested", "is_quantized", "is_sparse", "is_sparse_csr", "is_vulkan", "is_xla",
    "is_xpu",
)  # fmt: skip


def _never(name: str) -> Callable[[Tensor], bool]:
    def call(input: Tensor) -> bool:
        return False

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "False: there are no such tensors here."
    return call


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor.

    >>> import autograd_core as ag
    >>> ag.is_tensor([1, 2])
    False
    """
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a floating-point one.

    >>> import autograd_core as ag
    >>> ag.is_floating_point(ag.ones(1))
    True
    """
    return input._data.dtype.kind == "f"


def is_complex(input: Tensor) -> bool:
    """False: there are no complex tensors."""
    return False


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    return input.is_inference()


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers.

    >>> import autograd_core as ag
    >>> ag.is_signed(ag.ones(1, dtype=ag.uint8))
    False
    """
    return input.dtype.is_signed


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element of `input` is not zero. Raises `RuntimeError` for any other number of elements.

    >>> import autograd_core as ag
    >>> ag.is_nonzero(ag.tensor([0.0]))
    False
    """
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape.

    >>> import autograd_core as ag
    >>> ag.is_same_size(ag.ones(2), ag.ones(1, 2))
    False
    """
    return bool(input._data.shape == other._data.shape)


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both tensors are the same view of the same memory."""
    x, y = self._data, tensor._data
    same = self._backend is tensor._backend and self._backend.storage_key(x) is self._backend.storage_key(y)
    return bool(same and self.data_ptr() == tensor.data_ptr() and x.shape == y.shape and x.strides == y.strides)


def numel(input: Tensor) -> int:
    """The number of elements.

    >>> import autograd_core as ag
    >>> ag.numel(ag.ones(2, 3))
    6
    """
    return input.numel()


def get_device(input: Tensor) -> int:
    """The index of the tensor's GPU; -1 in host memory.

    >>> import autograd_core as ag
    >>> ag.get_device(ag.ones(1, device="cpu"))
    -1
    """
    return -1 if input._backend.name == "cpu" else int(input._backend.ordinal)


def dim_order(self: Tensor) -> tuple[int, ...]:
    """The dimensions from the one of the largest step to that of the smallest."""
    steps = self._data.strides
    return tuple(sorted(range(self.ndim), key=lambda d: -steps[d]))


def can_cast(from_: dtypes.dtype, to: dtypes.dtype) -> bool:
    """Whether an in-place operation may write a result of one dtype into a tensor of the other: not from
    floating-point to integer, and only from bool to bool.

    >>> import autograd_core as ag
    >>> ag.can_cast(ag.float32, ag.int64)
    False
    """
    return from_.category <= to.category


def typename(obj: Any) -> str:
    """The dtype's name of a tensor; of other objects, the class with its module.

    >>> import autograd_core as ag
    >>> ag.typename(ag.ones(1))
    'ag.float32'
    """
    if isinstance(obj, Tensor):
        return str(obj.dtype)
    cls = obj if isinstance(obj, type) else type(obj)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


# -- creation ---------------------------------------------------------------------------------------------


def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of `size` and `stride` whose values are whatever the memory held.

    >>> import autograd_core as ag
    >>> ag.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    sizes, strides = _shape((size,), "empty_strided"), _shape((stride,), "empty_strided")
    if len(sizes) != len(strides):
        raise RuntimeError(f"empty_strided: dimensionality of sizes {sizes} must match that of strides {strides}")
    backend = devices.backend_of(device)
    d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    reach = 1 + sum((n - 1) * m for n, m in zip(sizes, strides)) if math.prod(sizes) else 0
    return _made(backend.as_strided(backend.empty((reach,), d.native), sizes, strides, 0), backend, requires_grad)


def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """An `empty` tensor without gaps whose dimensions lie in memory in the order `physical_layout`, outermost first.

    >>> import autograd_core as ag
    >>> ag.empty_permuted((2, 3, 4), (0, 2, 1)).stride()
    (12, 1, 3)
    """
    sizes, order = _shape((size,), "empty_permuted"), tuple(physical_layout)
    if sorted(order) != list(range(len(sizes))):
        raise RuntimeError(f"empty_permuted: {order} is no order of the {len(sizes)} dimensions of {sizes}")
    strides, step = [0] * len(sizes), 1
    for d in reversed(order):
        strides[d] = step
        step *= max(sizes[d], 1)
    return empty_strided(sizes, strides, dtype=dtype, device=device, requires_grad=requires_grad)


def new_empty_strided(
    self: Tensor, size: Any, stride: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`empty_strided` with the dtype and device of this tensor."""
    return empty_strided(
        size, stride, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad
    )


def new(self: Tensor, *args: Any) -> Tensor:
    """An older form of `new_tensor(values)` and `new_empty(sizes)`."""
    if len(args) == 1 and isinstance(args[0], list | tuple) and not hasattr(args[0], "numel"):
        return self.new_tensor(args[0])
    return self.new_empty(*(args or (0,)))


def range_(start: Any = 0, end: Any = None, step: Any = 1, **options: Any) -> Tensor:
    """Numbers from `start` to `end`, both included, `step` apart, of the default floating-point dtype; see `arange`.

    >>> import autograd_core as ag
    >>> ag.range(1, 3)
    tensor([1., 2., 3.])
    """
    if end is None:
        start, end = 0, start
    if not step:
        raise RuntimeError("range: step must be nonzero")
    if (end - start) / step < 0:
        raise RuntimeError(f"range: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    count = math.floor((end - start) / step) + 1
    d = options.pop("dtype", None) or dtypes.get_default_dtype()
    requires_grad = options.pop("requires_grad", False)
    made = arange(count, dtype=dtypes.float64, **options) * float(step) + float(start)
    return made.to(d).requires_grad_(requires_grad)


# -- in place ---------------------------------------------------------------------------------------------


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write `fill_value` on the main diagonal; of more than two dimensions, which must be equal, where all indices
    are. wrap: in a tall matrix the diagonal starts again after a row in between."""
    shape = tuple(self.shape)
    if len(shape) < 2:
        raise RuntimeError(f"fill_diagonal_: the tensor needs at least 2 dimensions, got shape {shape}")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError(f"fill_diagonal_: all dimensions must be of equal length, got shape {shape}")
    places = [
        arange(n, device=self.device).reshape(*[-1 if d == axis else 1 for d, _ in enumerate(shape)])
        for axis, n in enumerate(shape)
    ]
    if wrap and len(shape) == 2:
        chosen = e.eq((places[0] * shape[1] + places[1]) % (shape[1] + 1), 0)
    else:
        chosen = e.eq(places[0], places[1])
        for place in places[2:]:
            chosen = chosen.logical_and(e.eq(places[0], place))
    if self._data.dtype.kind in "iu":
        fill_value = int(fill_value)
    return update(self, "fill_diagonal_", lambda old: masked_fill(old, chosen, fill_value))


def _elementwise(name: str, count: int, doc: str) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any) -> Tensor:
        *others, function = args
        if len(others) != count:
            raise TypeError(f"{name}: expected {count} tensors and a function")
        if self._backend.name != "cpu":
            raise TypeError(f"{name} is only implemented on CPU tensors, got one on {self.device}")
        if self.requires_grad:
            raise RuntimeError(f"Can't call {name}() on a tensor that requires grad; use detach().{name}()")
        for other in others:
            if not isinstance(other, Tensor) or other.dtype is not self.dtype:
                raise TypeError(f"{name}: expected tensors of {self.dtype}, got {getattr(other, 'dtype', other)}")
        columns = [t.expand(self.shape).reshape(-1).tolist() for t in (self, *others)]
        kind = {"b": bool, "f": float}.get(self._data.dtype.kind, int)
        made = [kind(function(*values)) for values in zip(*columns)]
        self.copy_(self.new_tensor(made).reshape(self.shape))
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    return method


# -- tables -----------------------------------------------------------------------------------------------

PUBLIC = {
    **{name: _never(name) for name in (*_NEVER_METHODS, *_NEVER_FUNCTIONS)},
    "range": range_,
    "apply_": _elementwise("apply_", 0, "Replace each element x by `function(x)`, one by one, on the CPU only."),
    "map_": _elementwise("map_", 1, "Replace each element x by `function(x, y)`, y of `tensor`, one by one."),
    "map2_": _elementwise("map2_", 2, "Replace each element x by `function(x, y, z)`, one by one."),
}  # fmt: skip
_SHARED = ("is_signed", "is_nonzero", "is_same_size", "get_device")
FUNCTIONS = (
    *_NEVER_FUNCTIONS, *_SHARED, "is_tensor", "is_floating_point", "is_complex", "is_inference", "numel", "can_cast",
    "typename", "empty_strided", "empty_permuted", "range",
)  # fmt: skip
METHODS = (
    *_NEVER_METHODS, *_SHARED, "is_set_to", "dim_order", "new_empty_strided", "new", "fill_diagonal_", "apply_", "map_",
    "map2_",
)  # fmt: skip
INPLACE = ()
PROPERTIES = {
    **{name: _never(name) for name in _NEVER_PROPERTIES},
    "name": lambda self: None,
    "output_nr": lambda self: 0,
}

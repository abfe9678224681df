"""The Tensor: a raw array of some backend, and its place in the computational graph.

This file holds what a tensor *is*: attributes, gradients, history. What it can *do* is attached as methods by the
files of `autograd_core/ops`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from autograd_core import dtypes, modes, storage
from autograd_core.engine import Node, RemovableHandle, _register
from autograd_core.userline import warn_user

if TYPE_CHECKING:
    from autograd_core.devices import device as Device

_new = object.__new__


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple with `numel()`.

    >>> import autograd_core as ag
    >>> ag.zeros(2, 3).shape.numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        n = 1
        for size in self:
            n *= size
        return n

    def __repr__(self) -> str:
        return f"ag.Size({list(self)})"


class Tensor:
    """A multi-dimensional array that remembers how it was computed.

    `Tensor(data)` makes a float tensor from nested sequences, as `ag.tensor(data, dtype=ag.float32)` does.

    >>> import autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward(); x.grad
    tensor([2., 4.])
    """

    # The hot attributes, read by every operation: always set (slots: a read costs 5 ns, a class default 40 ns).
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_backend",
        "_base",
        "_data",
        "_node",
        "_requires_grad",
        "_seen",
        "_source",
        "_step",
    )

    _copies_grad = True  # Whether a deep copy has the gradient, too.

    _data: Any
    _backend: Any
    _node: Node | None
    _requires_grad: bool
    _base: Tensor | None  # Of a view: the tensor that owns the memory. The next three are set on views only.
    _source: Tensor  # The tensor that the view was taken of.
    # The kernel and parameters that took it; None: not to be changed in place.
    _step: tuple[str, tuple[Any, ...]] | None
    _seen: int  # The last change of any storage when `_node` was known to be current.

    # The rare ones: the default lies on the class.
    _grad: Tensor | None = None
    _hooks: dict[int, Any] | None = None
    _post_hooks: dict[int, Any] | None = None
    _inference = False
    _reshaped = 0  # When the shape was last changed in place; `_before` is then this tensor as it was.
    _before: Tensor

    # NumPy must let our reflected operators run instead of iterating over the tensor.
    __array_ufunc__ = None

    def __init__(self, data: Any = (), *sizes: int) -> None:
        from autograd_core import interop

        if isinstance(data, int) or sizes:
            made = interop.tensor(0.0).new_empty((data, *sizes))
        else:
            made = interop.tensor(data, dtype=dtypes.get_default_dtype())
        adopt(self, made)

    # -- attributes -------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self._data.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of dimension `dim`."""
        return Size(self._data.shape) if dim is None else self._data.shape[self._dim(dim)]

    def _dim(self, dim: int, extra: int = 0) -> int:
        """`dim` counted from 0; IndexError when out of range, as in PyTorch."""
        n = self._data.ndim + extra
        limit = max(n, 1)
        if not isinstance(dim, int):
            raise TypeError(f"dim must be an int, got {dim!r}")
        if not -limit <= dim < limit:
            raise IndexError(f"Dimension out of range (expected to be in [{-limit}, {limit - 1}], got {dim})")
        return dim % limit

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes.FROM_NATIVE[self._data.dtype]

    @property
    def device(self) -> Device:
        from autograd_core.devices import device_of

        return device_of(self._backend)

    @property
    def ndim(self) -> int:
        return int(self._data.ndim)

    dim = ndimension = lambda self: int(self._data.ndim)

    def numel(self) -> int:
        return int(self._data.size)

    nelement = numel

    def element_size(self) -> int:
        return int(self._data.dtype.itemsize)

    @property
    def itemsize(self) -> int:
        return int(self._data.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        return int(self._data.size) * int(self._data.dtype.itemsize)

    def stride(self, dim: int | None = None) -> Any:
        """Steps in elements (not bytes) along each dimension."""
        itemsize = self._data.dtype.itemsize
        strides = tuple(s // itemsize for s in self._data.strides)
        return strides if dim is None else strides[self._dim(dim)]

    def data_ptr(self) -> int:
        """The address of the first element in the memory of its device."""
        return int(self._backend.address(self._data))

    def is_contiguous(self) -> bool:
        return bool(self._data.flags.c_contiguous)

    @property
    def is_cuda(self) -> bool:
        return bool(self._backend.name == "cuda")

    @property
    def is_cpu(self) -> bool:
        return bool(self._backend.name == "cpu")

    def is_floating_point(self) -> bool:
        return bool(self._data.dtype.kind == "f")

    def is_complex(self) -> bool:
        return False

    def is_inference(self) -> bool:
        return self._inference

    @property
    def _version(self) -> int:
        return storage.version(self._backend, self._data)

    # -- history ----------------------------------------------------------------------------------------

    @property
    def grad_fn(self) -> Node | None:
        return self._node if self._base is None else self._current_node()

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        if self._base is None:
            return self._requires_grad or self._node is not None
        try:
            return self._requires_grad or self._current_node() is not None
        except RuntimeError:  # A view whose history was lost: asking is no error, using it is.
            return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for this tensor's gradient, or no longer. Only floating-point leaves can change."""
        if self.grad_fn is not None:
            if requires_grad:
                return self
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in "
                "a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if requires_grad and self._data.dtype.kind != "f":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {self.dtype}; use .float()"
            )
        if requires_grad and self._inference and not modes.state.inference:
            raise RuntimeError(
                "requires_grad=True on an inference tensor outside inference_mode is not allowed; use a clone()"
            )
        self._requires_grad = bool(requires_grad)
        return self

    def _current_node(self) -> Node | None:
        """The node of a view. If its memory was changed since, the node is made anew from the base's history."""
        if self._seen != storage.last_change:
            if storage.changed_since(self._backend, self._data, self._seen):
                if self._step is None and not modes.state.grad:
                    return self._node  # Nothing is recorded now, so a history that cannot be made anew is no error.
                from autograd_core.inplace import regenerate_view

                regenerate_view(self)
            self._seen = storage.last_change
        return self._node

    @property
    def _chain(self) -> tuple[tuple[str, tuple[Any, ...]], ...] | None:
        """The view kernels that lead from the base here; None where the way cannot be replayed."""
        steps: list[tuple[str, tuple[Any, ...]]] = []
        t = self
        while t._base is not None:
            if t._step is None:
                return None
            steps.append(t._step)
            while t._seen < t._source._reshaped:
                t._source = t._source._before  # The view was taken of another shape.
            t = t._source
        return tuple(reversed(steps))

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has accumulated here, or None."""
        if self._grad is None and self._node is not None and not self.retains_grad:
            warn_user(
                "the .grad of a tensor that is not a leaf is None: backward() fills it for leaves only. Call "
                "retain_grad() on this tensor before backward(), or read the .grad of the leaf"
            )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None, got {type(value).__name__}")
            if value._data.shape != self._data.shape or value._data.dtype != self._data.dtype:
                raise RuntimeError(
                    f"assigned grad has shape {tuple(value.shape)} and {value.dtype}; expected {tuple(self.shape)} "
                    f"and {self.dtype}, as its tensor has"
                )
            if value._backend is not self._backend:
                raise RuntimeError(f"assigned grad lies on {value.device}, its tensor on {self.device}; use .to()")
        self._grad = value

    def _accumulate_grad(self, g: Any, create_graph: bool, steal: bool) -> None:
        """Add `g` (a raw array, or a Tensor under create_graph) to `.grad`; `steal` allows keeping the array itself."""
        backend = self._backend
        old = self._grad
        if create_graph:
            self._grad = g.clone() if old is None else old + g
        elif old is None:
            self._grad = wrap(backend.as_array(g) if steal else backend.clone(g), backend)
        elif old._node is None:
            backend.add(old._data, g, old._data)
            storage.mark_mutated(backend, old._data, "accumulate grad")
        else:
            self._grad = old + wrap(g, backend)
        if self._post_hooks is not None:
            for hook in list(self._post_hooks.values()):
                hook(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(grad)` when this tensor's gradient is computed; what it returns (if not None) replaces it."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        node = self.grad_fn
        if node is not None:
            return _register(node._ensure_extra().hooks, hook)
        if self._hooks is None:
            self._hooks = {}
        return _register(self._hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(tensor)` after `.grad` of this leaf was updated."""
        if not self.is_leaf or not self.requires_grad:
            raise RuntimeError("post accumulate grad hooks can only be registered on leaf tensors that require grad")
        if self._post_hooks is None:
            self._post_hooks = {}
        return _register(self._post_hooks, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in its `.grad`."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        node = self.grad_fn
        if node is not None:
            node._ensure_extra().retained = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        node = self.grad_fn
        return node is not None and node.extra is not None and node.extra.retained is not None

    def detach(self) -> Tensor:
        """A tensor on the same memory without history."""
        return wrap(self._data, self._backend)

    def detach_(self) -> Tensor:
        """Cut this tensor from its history, in place."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        self._requires_grad = False
        return self

    @property
    def data(self) -> Tensor:
        """A tensor on the same memory without history. Assigning replaces the memory."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Tensor.data expects a Tensor, got {type(value).__name__}; use ag.tensor(...)")
        self._data, self._backend = value._data, value._backend

    # -- Python protocol --------------------------------------------------------------------------------

    __hash__ = object.__hash__

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return int(self._data.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._data.size} elements cannot be converted to Scalar: item(), float(), int() "
                "and bool() need exactly one; reduce it first, or use tolist()"
            )
        return self._backend.to_host(self._data).item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._backend.to_host(self._data).tolist()

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {'no' if not self._data.size else 'more than one'} value"
                f"{'s' if not self._data.size else ''} is ambiguous; use .any() or .all()"
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        value = self.item()
        if not isinstance(value, int):
            raise TypeError(f"only integer tensors of a single element can be converted to an index, got {self.dtype}")
        return int(value)

    def __contains__(self, element: Any) -> bool:
        return bool((self == element).any().item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and not self._data.ndim else repr(self)

    def __repr__(self) -> str:
        from autograd_core.interop import format_tensor

        return format_tensor(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        from autograd_core.interop import as_host_array

        return as_host_array(self, dtype, copy)

    def __dlpack__(self, **options: Any) -> Any:
        from autograd_core.interop import to_dlpack

        return to_dlpack(self, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        from autograd_core.interop import dlpack_device

        return dlpack_device(self)

    def numpy(self, *, force: bool = False) -> Any:
        """A NumPy array on the memory of a CPU tensor without history; `force` detaches and copies to the host."""
        from autograd_core.interop import to_numpy

        return to_numpy(self, force)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "only leaf Tensors (created explicitly by the user) support deepcopy; use .detach().clone()"
            )
        found = memo.get(id(self))
        if found is None:
            from autograd_core.pickling import copy_in_storage

            found = adopt(_new(type(self)), wrap(copy_in_storage(self, memo), self._backend))
            found._requires_grad = self._requires_grad
            if self._grad is not None and self._copies_grad:
                found._grad = self._grad.__deepcopy__(memo)
            memo[id(self)] = found
        return found

    def __reduce_ex__(self, protocol: Any) -> Any:
        from autograd_core.pickling import reduce

        return reduce(self)

    if TYPE_CHECKING:
        # The operations of autograd_core/ops are attached as methods when the package is imported.
        def __getattr__(self, name: str) -> Any: ...

        backward: Callable[..., None]

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...


def wrap(array: Any, backend: Any, edge: Any = None) -> Tensor:
    """A Tensor on a raw array. `edge`: its history, as `primitive.edge_of` gives it; a leaf stands for itself."""
    if edge is not None and edge.__class__ is not Node:
        return edge
    t = _new(Tensor)
    t._data = array
    t._backend = backend
    t._node = edge
    t._base = None
    t._requires_grad = False
    return t


def adopt(t: Any, made: Tensor) -> Any:
    """Make `t`, a bare object of Tensor or a subclass, a leaf on the memory of `made`."""
    t._data, t._backend = made._data, made._backend
    t._node = t._base = None
    t._requires_grad = False
    return t

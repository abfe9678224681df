"""The backend protocol: device identity, memory, and the vocabulary of kernels.

A backend owns the arrays of one device. Every array computation of the library is a call of one of
the methods below, by name, on raw arrays: the tape makes them in forward, the engine in backward, the
optimisers in their updates. That makes this class the single door a recorder stands at.

Each kernel has a body here in terms of `self.xp`, an array namespace with NumPy's names (NumPy itself,
CuPy, or any other that speaks them). A backend overrides a kernel where it has a faster one, and
`register_backend` adds a third backend from outside without touching the core.

Rules of the vocabulary:
- arrays come first and positionally, then static parameters (shapes, axes, native dtypes, numbers);
- only kernels whose names end in an underscore write to their arguments: to the first, those of optimisers also to
  their state; besides them `add_at` and `add` with `out` do, and random draws advance the generator's state;
- reshape, permute, expand, slice and diagonal return views where the memory allows it;
- floating-point exceptions pass silently as infinities and NaNs, as IEEE 754 says;
- a kernel may return a NumPy scalar for a zero-dimensional result: the tape makes an array of it.

The kernels are mixed in by family: `elementwise`, `functions` and `functions_more` (special functions, scans),
`matrices`, `neural`, `optimizers`, `random`, and `structure` (shape, indexing, reductions).
"""

from __future__ import annotations

from typing import Any

from autograd_core.backends.elementwise import ElementwiseKernels
from autograd_core.backends.functions import FunctionKernels
from autograd_core.backends.matrices import MatrixKernels
from autograd_core.backends.neural import NeuralKernels
from autograd_core.backends.optimizers import OptimizerKernels
from autograd_core.backends.random import RandomKernels
from autograd_core.backends.structure import StructureKernels

Array = Any


class Backend(
    NeuralKernels,
    OptimizerKernels,
    ElementwiseKernels,
    FunctionKernels,
    MatrixKernels,
    StructureKernels,
    RandomKernels,
):
    """Arrays and kernels of one device; subclass and set `name` and `xp`."""

    name: str = "abstract"
    xp: Any = None
    array_type: type = object
    can_fuse = False  # Whether there is `fuse`.
    can_capture = False  # Whether there is `capture`.
    survives_fork = True  # Whether a forked child may use the device.

    def __init__(self, index: int = 0) -> None:
        self.ordinal = index  # Not `index`: that is a kernel.

    # -- device -----------------------------------------------------------------------------------------

    @classmethod
    def device_count(cls) -> int:
        """How many devices of this kind can be used; 0 when there is none."""
        return 1

    @classmethod
    def unavailable_reason(cls) -> str:
        """Why `device_count` is 0, and what to install or change."""
        return f"no {cls.name} device is available"

    def synchronize(self) -> None:
        """Wait until all work given to the device is done."""

    def describe(self) -> str:
        """The device's name as a person knows it."""
        return self.name

    def fuse(self, steps: Any, inputs: Any, outputs: Any, into: Any) -> Any:
        """A function from the arrays of `inputs` to those of `outputs`: several elementwise kernels in one pass.

        steps: a kernel's name, its arguments (names of arrays and earlier results, or numbers), its result's name.
        inputs, outputs: name, shape, strides in elements, dtype. All broadcast to the one shape of the outputs.
        into: output -> the input whose memory it takes over, of the same layout.
        """
        raise NotImplementedError(f"{self.name} has no generated kernels")

    def capture(self) -> Any:
        """A context manager that notes the kernels inside, in place of running them; `launch()` then runs them."""
        raise NotImplementedError(f"{self.name} has no graphs")

    # -- memory -----------------------------------------------------------------------------------------

    def from_host(self, host: Array) -> Array:
        """A device array holding a copy of the NumPy array `host`."""
        raise NotImplementedError

    def to_host(self, x: Array) -> Array:
        """The values of `x` as a NumPy array (shared with `x` where `x` already lies in host memory)."""
        raise NotImplementedError

    def from_backend(self, x: Array, source: Backend) -> Array:
        """A copy of `x`, an array of another device's backend."""
        return self.from_host(source.to_host(x))

    def as_array(self, x: Array) -> Array:
        """`x` itself, or a 0-d array when a kernel returned a scalar."""
        return x

    def import_dlpack(self, source: Any) -> Array:
        """An array on the memory of another library's array, by the DLPack protocol."""
        return self.xp.from_dlpack(source)

    def storage_key(self, x: Array) -> Array:
        """The array that owns the memory of `x`: equal (`is`) for all views of one storage."""
        base = getattr(x, "base", None)
        return x if base is None else base

    def address(self, x: Array) -> int:
        """Where the first element of `x` lies in the device's memory: tells what overlaps with what."""
        interface = getattr(x, "__cuda_array_interface__", None) or x.__array_interface__
        return int(interface["data"][0])

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.empty(shape, dtype)

    def full(self, shape: tuple[int, ...], value: Any, dtype: Any) -> Array:
        return self.xp.full(shape, value, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.zeros(shape, dtype)

    def ones(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.ones(shape, dtype)

    def arange(self, start: Any, end: Any, step: Any, dtype: Any) -> Array:
        return self.xp.arange(start, end, step, dtype)

    def clone(self, x: Array) -> Array:
        """A copy of `x`, C-contiguous."""
        return self.xp.array(x, copy=True, order="C")

    def contiguous(self, x: Array) -> Array:
        return self.xp.ascontiguousarray(x) if x.ndim else x

    def cast(self, x: Array, dtype: Any, source: Any = None) -> Array:
        """A copy of `x` as `dtype`; `source`, its old dtype, is there for the rule."""
        return x.astype(dtype)

    def copy_(self, x: Array, source: Array) -> Array:
        """Write `source`, broadcast and cast to `x`, into `x`."""
        x[...] = source
        return x

    def fill_(self, x: Array, value: Any) -> Array:
        """Write the number `value` into every element of `x`."""
        x[...] = value
        return x

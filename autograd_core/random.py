"""Random numbers: generators, seeds, and the drawing functions.

Every draw is a function of seed, call number and element index (Philox 4x32-10: Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", SC'11), so one seed gives the same bits on every device. A generator's state is a
small buffer on its device, `[seed, call]`, which the drawing kernels advance themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from autograd_core import devices, dtypes, recorder
from autograd_core.ops.creation import _shape
from autograd_core.tensor import Tensor, wrap

_DEFAULT_SEED = 67280421310721  # PyTorch's, so that an unseeded program is reproducible here too.
_seed = _DEFAULT_SEED
_defaults: dict[Any, Generator] = {}


class Generator:
    """A stream of random numbers on one device, apart from the default one.

    >>> import autograd_core as ag
    >>> g = ag.Generator().manual_seed(0)
    >>> ag.rand(1, generator=g).shape
    ag.Size([1])
    """

    def __init__(self, device: Any = None) -> None:
        self._backend = devices.backend_of("cpu" if device is None else device)
        self.state = self._backend.make_state(_seed)

    @property
    def device(self) -> Any:
        return devices.device_of(self._backend)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` (taken modulo 2^64) from its beginning."""
        self._write(_checked(seed), 0)
        return self

    def seed(self) -> int:
        """Start the stream of a seed from the system's entropy; returns it."""
        chosen = _entropy()
        self._write(chosen, 0)
        return chosen

    def initial_seed(self) -> int:
        return int(self._backend.to_host(self.state)[0])

    def _write(self, seed: int, call: int) -> None:
        self._backend.copy_(self.state, self._backend.make_state(seed, call))

    def get_state(self) -> Tensor:
        """The state as an int64 CPU tensor of two numbers, for `set_state`."""
        from autograd_core import interop

        return interop.tensor(
            [_signed(int(v)) for v in self._backend.to_host(self.state)], dtype=dtypes.int64, device="cpu"
        )

    def set_state(self, new_state: Tensor) -> Generator:
        """Continue from a state that `get_state` gave. Raises `TypeError` or `RuntimeError` for anything else."""
        if not isinstance(new_state, Tensor) or new_state.dtype is not dtypes.int64:
            raise TypeError("set_state: expected the int64 tensor that get_state() returned")
        if tuple(new_state.shape) != (2,):
            raise RuntimeError(f"set_state: expected a state of shape (2,), got {tuple(new_state.shape)}")
        seed, call = new_state.tolist()
        self._write(seed % 2**64, call % 2**64)
        return self

    def __reduce__(self) -> Any:
        return _load_generator, (str(self.device), self.get_state())


def _load_generator(where: str, state: Tensor) -> Generator:
    """A copied or unpickled generator, on the CPU where its device is missing."""
    return Generator(where if devices.is_available(where.partition(":")[0]) else "cpu").set_state(state)


def _entropy() -> int:
    return int.from_bytes(os.urandom(8), "little") >> 1


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _checked(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"manual_seed: expected an int, got {seed!r}")
    if not -(2**63) <= seed < 2**64:
        raise RuntimeError(f"manual_seed: {seed} does not fit into 64 bits")
    return seed % 2**64


def default_generator(backend: Any) -> Generator:
    """The generator that draws on this device use when none is given."""
    found = _defaults.get(backend)
    if found is None:
        found = Generator.__new__(Generator)
        found._backend, found.state = backend, backend.make_state(_seed)
        _defaults[backend] = found
    return found


def _in_child() -> None:
    """A forked child, such as a worker that reads data, does not touch devices that are lost to it."""
    for backend in [backend for backend in _defaults if not backend.survives_fork]:
        del _defaults[backend]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def manual_seed(seed: int) -> Generator:
    """Seed the default generators of all devices; returns the CPU's.

    >>> import autograd_core as ag
    >>> _ = ag.manual_seed(0); a = ag.rand(2); _ = ag.manual_seed(0); ag.equal(a, ag.rand(2))
    True
    """
    global _seed
    _seed = _checked(seed)
    for generator in _defaults.values():
        generator.manual_seed(_seed)
    return default_generator(devices.backend_of("cpu"))


def seed() -> int:
    """Seed the default generators from the system's entropy; returns the seed.

    >>> import autograd_core as ag
    >>> before = ag.get_rng_state(); s = ag.seed(); ag.set_rng_state(before)
    """
    chosen = _entropy()
    manual_seed(chosen)
    return chosen


def initial_seed() -> int:
    """The seed of the CPU's default generator.

    >>> import autograd_core as ag
    >>> _ = ag.manual_seed(3); ag.initial_seed()
    3
    """
    return default_generator(devices.backend_of("cpu")).initial_seed()


def get_rng_state(device: Any = "cpu") -> Tensor:
    """The state of the default generator of a device.

    >>> import autograd_core as ag
    >>> ag.get_rng_state().shape
    ag.Size([2])
    """
    return default_generator(devices.backend_of(device)).get_state()


def set_rng_state(new_state: Tensor, device: Any = "cpu") -> None:
    """Continue the default generator of a device from a saved state.

    >>> import autograd_core as ag
    >>> state = ag.get_rng_state(); a = ag.rand(1); ag.set_rng_state(state); ag.equal(a, ag.rand(1))
    True
    """
    default_generator(devices.backend_of(device)).set_state(new_state)


# -- drawing ----------------------------------------------------------------------------------------------


def draw(name: str, generator: Generator | None, backend: Any, *params: Any) -> Tensor:
    """One draw of the kernel `random_<name>` on `backend`, from `generator` or the device's default one."""
    if generator is None:
        generator = default_generator(backend)
    elif not isinstance(generator, Generator):
        raise TypeError(f"random: expected an ag.Generator, got {type(generator).__name__}")
    elif generator._backend is not backend:
        raise RuntimeError(f"Expected a generator on {devices.device_of(backend)}, got one on {generator.device}")
    return wrap(backend.as_array(getattr(backend, f"random_{name}")(generator.state, *params)), backend)


def _target(dtype: Any, device: Any) -> tuple[Any, Any]:
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    if not d.is_floating_point:
        raise RuntimeError(f"random: expected a floating-point dtype, got {d}; use randint for integers")
    return devices.backend_of(device), d.native


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Uniform numbers in [0, 1).

    >>> import autograd_core as ag
    >>> bool((ag.rand(100) < 1).all())
    True
    """
    backend, native = _target(dtype, device)
    return draw("uniform", generator, backend, _shape(size, "rand"), native, 0.0, 1.0).requires_grad_(requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Normally distributed numbers with mean 0 and variance 1.

    >>> import autograd_core as ag
    >>> ag.randn(2, 3).shape
    ag.Size([2, 3])
    """
    backend, native = _target(dtype, device)
    return draw("normal", generator, backend, _shape(size, "randn"), native, 0.0, 1.0).requires_grad_(requires_grad)


def randint(
    *args: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Integers in [low, high): `randint(high, size)` or `randint(low, high, size)`.

    >>> import autograd_core as ag
    >>> bool((ag.randint(3, (10,)) < 3).all())
    True
    """
    if len(args) == 2:
        low, (high, size) = 0, args
    elif len(args) == 3:
        low, high, size = args
    else:
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size)")
    if high <= low:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    backend = devices.backend_of(device)
    native = (dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64).native
    return draw("integers", generator, backend, _shape((size,), "randint"), native, low, high).requires_grad_(
        requires_grad
    )


def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """The numbers 0 to n - 1 in random order.

    >>> import autograd_core as ag
    >>> ag.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    backend = devices.backend_of(device)
    d = dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64
    if not dtypes.holds(d, max(n - 1, 0)) or (d.is_floating_point and n - 1 > 2 / dtypes.finfo(d).eps):
        raise RuntimeError(f"randperm: {d} does not hold the {n} numbers from 0 to {n - 1}; use a wider dtype")
    return draw("permutation", generator, backend, n, d.native)


def _as_input(input: Tensor, dtype: Any, device: Any) -> dict[str, Any]:
    return {"dtype": dtype or input.dtype, "device": device or input.device}


def rand_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`rand` with the shape, dtype and device of `input`.

    >>> import autograd_core as ag
    >>> ag.rand_like(ag.zeros(2, 3)).shape
    ag.Size([2, 3])
    """
    return rand(input.shape, **_as_input(input, dtype, device), requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`randn` with the shape, dtype and device of `input`.

    >>> import autograd_core as ag
    >>> ag.randn_like(ag.zeros(2, 3)).shape
    ag.Size([2, 3])
    """
    return randn(input.shape, **_as_input(input, dtype, device), requires_grad=requires_grad)


def _check(name: str, values: Any, expected: str, holds: Callable[[Any], Any]) -> None:
    """That a parameter has values that make sense; not in a recorded step, which can read none."""
    if isinstance(values, Tensor) and recorder.recording:
        return
    if not (bool(holds(values).all()) if isinstance(values, Tensor) else holds(values)):
        raise RuntimeError(f"{name}: expected {expected}, got others")


def normal(
    mean: Any, std: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None
) -> Tensor:
    """Normally distributed numbers; `mean` and `std` are numbers (with `size`) or tensors that broadcast.

    >>> import autograd_core as ag
    >>> ag.normal(0.0, 1.0, (2,)).shape
    ag.Size([2])
    """
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        like = mean if isinstance(mean, Tensor) else std
        shape = (mean + std * 0).shape if isinstance(mean, Tensor) else std.shape
        _check("normal", std, "standard deviations of at least 0", lambda std: std >= 0)
        return randn(shape, generator=generator, dtype=like.dtype, device=like.device) * std + mean
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    backend, native = _target(dtype, device)
    return draw("normal", generator, backend, _shape((size,), "normal"), native, float(mean), float(std))


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element of `input` gives (or `p`), else 0.

    >>> import autograd_core as ag
    >>> ag.bernoulli(ag.ones(3))
    tensor([1., 1., 1.])
    """
    if p is not None:
        return draw("bernoulli", generator, input._backend, input._data.shape, input._data.dtype, float(p))
    _check("bernoulli", input, "probabilities from 0 to 1", lambda p: (p >= 0).logical_and(p <= 1))
    u = draw("uniform", generator, input._backend, input._data.shape, input._data.dtype, 0.0, 1.0)
    return (u < input.detach()).to(input.dtype)


FUNCTIONS = ("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "normal", "bernoulli")
METHODS = ("bernoulli",)
INPLACE = ()

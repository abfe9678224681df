"""The default generators of the CUDA devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autograd_core import devices, random
from autograd_core.cuda.common import backend_of
from autograd_core.tensor import Tensor


def _count() -> int:
    return devices._kinds["cuda"]().device_count()


def _generator(device: Any) -> random.Generator:
    return random.default_generator(backend_of(device))


def manual_seed(seed: int) -> None:
    """Seed the default generator of the current CUDA device; does nothing where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.manual_seed(1)
    """
    if _count():
        _generator(None).manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the default generators of all CUDA devices; does nothing where there is none.

    >>> import autograd_core as ag
    >>> ag.cuda.manual_seed_all(1)
    """
    for index in range(_count()):
        _generator(index).manual_seed(seed)


def seed() -> None:
    """Seed the default generator of the current CUDA device at random; does nothing where there is none."""
    if _count():
        _generator(None).seed()


def seed_all() -> None:
    """Seed the default generators of all CUDA devices at random, alike; does nothing where there is none."""
    if _count():
        manual_seed_all(_generator(0).seed())


def initial_seed() -> int:
    """The seed of the default generator of the current CUDA device. Raises `RuntimeError` if there is none."""
    return int(_generator(None).initial_seed())


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The state of a CUDA device's default generator, for `set_rng_state`. Raises `RuntimeError` if there is none."""
    return _generator(device).get_state()


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Set the state of a CUDA device's default generator. Raises `RuntimeError` if there is none."""
    _generator(device).set_state(new_state)


def get_rng_state_all() -> list[Tensor]:
    """The states of all CUDA devices' default generators.

    >>> import autograd_core as ag
    >>> len(ag.cuda.get_rng_state_all()) == ag.cuda.device_count()
    True
    """
    return [get_rng_state(index) for index in range(_count())]


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Set the states of all CUDA devices' default generators, in order.

    >>> import autograd_core as ag
    >>> ag.cuda.set_rng_state_all(ag.cuda.get_rng_state_all())
    """
    for index, state in enumerate(new_states):
        set_rng_state(state, index)

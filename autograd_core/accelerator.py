"""`ag.accelerator`: the device that is faster than the CPU, where there is one, without naming its kind."""

from __future__ import annotations

from autograd_core import cuda, devices


def is_available() -> bool:
    """Whether there is an accelerator that can be used.

    >>> import autograd_core as ag
    >>> ag.accelerator.is_available() == ag.cuda.is_available()
    True
    """
    return cuda.is_available()


def device_count() -> int:
    """How many accelerators can be used.

    >>> import autograd_core as ag
    >>> ag.accelerator.device_count() >= 0
    True
    """
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> devices.device | None:
    """The kind of accelerator, `device("cuda")`; None where there is none that can be used.

    PyTorch answers without looking for a device unless `check_available`; here it is always looked for.

    >>> import autograd_core as ag
    >>> (ag.accelerator.current_accelerator() is None) != ag.accelerator.is_available()
    True
    """
    return devices.device("cuda") if cuda.is_available() else None


def synchronize(device: object = None) -> None:
    """Wait until all work given to the accelerator is done. Raises `RuntimeError` where there is none."""
    cuda.synchronize(device)

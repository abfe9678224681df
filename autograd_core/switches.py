"""Process-wide switches under PyTorch's names: precision of products, determinism, the number of CPU threads."""

from __future__ import annotations

from autograd_core.backends.cuda import matmul

_precision = "highest"
_deterministic = False
_warn_only = False


def set_float32_matmul_precision(precision: str) -> None:
    """Allow products of float32 matrices less precision: "highest" (the default), "high" or "medium".

    Other than "highest" lets CUDA devices use TF32, as `backends.cuda.matmul.allow_tf32 = True` does; on the CPU all is
    computed in float32. Raises `RuntimeError` for another word.

    >>> import autograd_core as ag
    >>> ag.set_float32_matmul_precision("highest")
    """
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(
            f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', but got {precision!r}"
        )
    _precision = precision
    matmul.allow_tf32 = precision != "highest"


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` last set.

    >>> import autograd_core as ag
    >>> ag.get_float32_matmul_precision()
    'highest'
    """
    return _precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Remembered and otherwise without effect: every algorithm here is deterministic in any case.

    >>> import autograd_core as ag
    >>> ag.use_deterministic_algorithms(False)
    """
    global _deterministic, _warn_only
    _deterministic, _warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` last set.

    >>> import autograd_core as ag
    >>> ag.are_deterministic_algorithms_enabled()
    False
    """
    return _deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """The `warn_only` that `use_deterministic_algorithms` last set.

    >>> import autograd_core as ag
    >>> ag.is_deterministic_algorithms_warn_only_enabled()
    False
    """
    return _warn_only


def set_num_threads(n: int) -> None:
    """Let the CPU's kernels, and BLAS where `threadpoolctl` is installed, use `n` threads (no more than there are).

    Raises `TypeError` if `n` is no integer, `RuntimeError` if it is below 1.

    >>> import autograd_core as ag
    >>> ag.set_num_threads(ag.get_num_threads())
    """
    from autograd_core.backends.cpu import threads

    threads.set_num_threads(n)


def get_num_threads() -> int:
    """How many threads the CPU's parallel kernels use.

    >>> import autograd_core as ag
    >>> ag.get_num_threads() >= 1
    True
    """
    from autograd_core.backends.cpu import threads

    return threads.get_num_threads()

"""PyTorch's cuDNN switches, so that programs that set them run.

`benchmark = True` changes nothing: algorithms are chosen by a fixed rule, never by timing. `deterministic` is always
the case. `enabled` and `allow_tf32` are remembered without effect: no kernel uses cuDNN, and convolutions, which are
matrix products here, follow `backends.cuda.matmul.allow_tf32`.
"""

benchmark = False
deterministic = True
enabled = True
allow_tf32 = False


def is_available() -> bool:
    """Whether convolutions can use cuDNN: not yet."""
    return False


def version() -> int | None:
    """The version of cuDNN in use: None, since none is."""
    return None

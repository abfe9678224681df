"""Apple's Metal, for programs that ask whether it is there. It is not."""


def is_available() -> bool:
    """Whether an MPS device can be used: never."""
    return False


def is_built() -> bool:
    """Whether the library has an MPS backend: it has none."""
    return False

"""Where in the user's program a call came from."""

from __future__ import annotations

import os.path
import sys
from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_OURS = tuple(
    os.path.join(folder, "")
    for folder in (_PACKAGE, *(os.path.join(os.path.dirname(_PACKAGE), name) for name in ("nn", "optim", "backends")))
)


def user_line() -> str:
    """`file.py:12: the source line` of the innermost frame outside this library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return line_of(frame)


def line_of(frame: Any) -> str:
    """`file.py:12: the source line` of a frame."""
    import linecache

    filename, line = frame.f_code.co_filename, frame.f_lineno
    return f"{filename}:{line}: {linecache.getline(filename, line).strip()}"


def warn_user(message: str) -> None:
    """A warning that points at the user's line."""
    import warnings

    frame: Any = sys._getframe(1)
    level = 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)

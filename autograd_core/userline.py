"""Where in the user's program a call came from."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_OURS = tuple(str(p) + "/" for p in (_PACKAGE, *(_PACKAGE.parent / d for d in ("nn", "optim", "backends"))))


def user_line() -> str:
    """`file.py:12: the source line` of the innermost frame outside this library."""
    import linecache

    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    filename, line = frame.f_code.co_filename, frame.f_lineno
    return f"{filename}:{line}: {linecache.getline(filename, line).strip()}"

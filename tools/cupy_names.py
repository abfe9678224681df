"""Write what CuPy offers to tests/backends/cupy_names.txt: names, parameters, and the dtypes of its ufuncs.

    python tools/cupy_names.py

CuPy has to be installed; a GPU is not needed. The tests hold every use of the array namespace in `backends/` against
this list, and the simulated device has nothing that is not on it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "tests" / "backends" / "cupy_names.txt"
MODULES = ("", "linalg.", "lib.stride_tricks.")


def parameters(found: Any) -> str:
    """The names of the parameters, `*` before those that are keywords only; '...' where nothing tells them."""
    try:
        listed = inspect.signature(found).parameters.values()
    except (ValueError, TypeError):
        text = re.match(r"[\w.]+\(([^)]*)\)", (getattr(found, "__doc__", None) or "").strip())
        if text is None:
            return "..."
        names = [part.split("=")[0].strip() for part in text.group(1).split(",")]
        return ", ".join(name.split()[-1] for name in names if name not in ("self", ""))  # Without the C type.
    parts: list[str] = []
    for p in listed:
        if p.kind is p.KEYWORD_ONLY and "*" not in parts and not any(part.startswith("*") for part in parts):
            parts.append("*")
        parts.append({p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name)
    return ", ".join(part for part in parts if part != "self")


def lines(cupy: Any) -> Iterator[str]:
    for prefix in MODULES:
        module = cupy
        for part in filter(None, prefix.split(".")):
            module = getattr(module, part)
        for name in sorted(dir(module)):
            found = getattr(module, name)
            if name.startswith("_") or name == "annotations" or inspect.ismodule(found):
                continue
            if isinstance(found, cupy.ufunc):
                yield f"{prefix}{name}: {' '.join(found.types)}"
            elif callable(found) and not isinstance(found, type):
                yield f"{prefix}{name}({parameters(found)})"
            else:
                yield f"{prefix}{name}"
    for name in sorted(dir(cupy.ndarray)):
        if not name.startswith("_"):
            found = getattr(cupy.ndarray, name)
            yield f"ndarray.{name}({parameters(found)})" if callable(found) else f"ndarray.{name}"


def main() -> int:
    import cupy

    head = (
        f"# CuPy {cupy.__version__}. By tools/cupy_names.py: functions with their parameters, ufuncs with their loops."
    )
    PAGE.write_text("\n".join([head, *lines(cupy)]) + "\n")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Generated kernels: a source file in the cache folder, compiled by Numba as any other and found again next time.

The file's name holds a hash of the source and of what its machine code depends on, so that a changed scalar function is
a new file: Numba's own cache would not notice. Folders of other versions that nobody has used for a month are removed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from autograd_core.backends.cpu.cache import cache_dir

NAMES = {"f": "float32", "d": "float64"}  # Of dtypes, by their character: `dtype.name` takes 2 us.
_MONTH = 30 * 86400.0
_HEADER = """import math
from math import inf, nan

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy import float32, float64


def as_bits(kind):
    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(kind))

    return generate


@intrinsic
def bits(context, x):
    return types.int32(types.float32), as_bits(types.int32)


@intrinsic
def from_bits(context, x):
    return types.float32(types.int32), as_bits(types.float32)


# x + y where the order of a sum does not matter: its loop may take several numbers at once.
@intrinsic
def plus(context, x, y):
    def generate(context, builder, signature, args):
        return builder.fadd(*args, flags=("reassoc", "nsz"))

    return x(x, x), generate


"""
_lock = threading.Lock()
_loaded: dict[str, ModuleType] = {}


@cache
def folder() -> Path:
    """Where generated sources and their machine code lie: one folder for each version of what they depend on."""
    import numba
    from llvmlite import binding

    parts = (numba.__version__, platform.python_version(), binding.get_host_cpu_name(), _HEADER)
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
    parent = cache_dir() / "generated"
    chosen = parent / name
    chosen.mkdir(parents=True, exist_ok=True)
    os.utime(chosen)
    for other in parent.iterdir():
        try:
            if other != chosen and time.time() - other.stat().st_mtime > _MONTH:
                shutil.rmtree(other, ignore_errors=True)
        except OSError:  # Another process was faster.
            pass
    return chosen


def load(name: str, source: str) -> Any:
    """The module made of `source`, functions below the common header, from a file called `name` and a hash.

    The file is written under another name and renamed, so that two processes may do so at once.
    """
    text = _HEADER + source
    stem = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    with _lock:
        module = _loaded.get(stem)
        if module is None:
            path = folder() / f"{stem}.py"
            if not path.exists():
                handle, temporary = tempfile.mkstemp(dir=folder(), prefix=stem, suffix=".part")
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(temporary, path)
            module_name = f"autograd_core.generated.{stem}"
            spec = importlib.util.spec_from_file_location(module_name, path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            spec.loader.exec_module(module)
            _loaded[stem] = module
    return module

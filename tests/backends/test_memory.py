"""Whether the C library keeps freed memory, asked of the C library itself in processes of their own."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import numpy as np
import autograd_core as ag

x = ag.zeros(1 << 18)  # 1 MiB, above the size that comes from mmap by default


class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
print("kept" if mallinfo2().hblkhd < 1 << 20 else "mapped")
"""


def outcome(**variables):
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "AUTOGRAD_CORE_MALLOC"))
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**environment, **variables}, capture_output=True, text=True
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc's malloc is told to keep memory")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "kept"),
        ({"AUTOGRAD_CORE_MALLOC": "system"}, "mapped"),
        ({"MALLOC_ARENA_MAX": "2"}, "mapped"),
        ({"MALLOC_ARENA_MAX": "2", "AUTOGRAD_CORE_MALLOC": "keep"}, "kept"),
    ],
)
def test_large_arrays_come_from_memory_that_is_kept(variables, expected):
    run = outcome(**variables)
    if "mallinfo2" in run.stderr:
        pytest.skip("this C library cannot tell where its memory comes from (no mallinfo2)")
    assert run.stdout.strip() == expected, run.stderr


def test_an_unknown_setting_is_refused():
    run = outcome(AUTOGRAD_CORE_MALLOC="mine")
    assert "AUTOGRAD_CORE_MALLOC='mine': expected 'keep' or 'system'" in run.stderr

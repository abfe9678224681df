"""Every Numba-CUDA kernel compiled, as the cases of `cuda_kernel_cases.py` launch it; needs no GPU and no driver.

`make test-ptx` installs what it needs: numba-cuda with CUDA 12's compiler, the last that knows sm_70.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from cuda_kernel_cases import FAMILIES, KernelBackend, cases, on_device

from autograd_core.backends import scalars
from autograd_core.backends.cuda import numba_cuda
from autograd_core.backends.cuda.launch import signature_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(numba_cuda.missing()), reason=f"compiles kernels, but {numba_cuda.missing()}"),
]

# The last is compiled in all of the kernels' forms, the others in the first form of each.
CAPABILITIES = ((7, 0), (9, 0), (8, 0))


class Compiler:
    """In the place of the launcher: notes what would be launched."""

    def __init__(self) -> None:
        self.asked: dict[Any, None] = {}

    def __call__(self, factory: Any, constants: tuple[Any, ...], grid: int, block: int, *arguments: Any) -> None:
        self.asked[factory, constants, signature_of(arguments)] = None


def compile_ptx(factory: Any, constants: Any, signature: Any, cc: tuple[int, int]) -> bytes:
    """PTX, or a skip where this compiler no longer knows the card."""
    try:
        return numba_cuda.compile_ptx(factory, constants, signature, cc)
    except Exception as error:
        if "nsupported" in str(error) or "compute_70" in str(error) or "sm_70" in str(error):
            pytest.skip(f"{numba_cuda.version()} with this compiler does not know sm_{cc[0]}{cc[1]}: {error}")
        raise


@pytest.mark.parametrize("cc", CAPABILITIES, ids=lambda cc: f"sm_{cc[0]}{cc[1]}")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_kernel_compiles(family: str, cc: tuple[int, int]) -> None:
    compiler = Compiler()
    backend = KernelBackend(compiler)
    for name, args in cases(family):
        with np.errstate(all="ignore"):
            getattr(backend, name)(*on_device(args))
    assert compiler.asked
    forms = list(compiler.asked)
    if cc != CAPABILITIES[-1]:
        forms = list({factory: (factory, *rest) for factory, *rest in reversed(forms)}.values())
    for factory, constants, signature in forms:
        ptx = compile_ptx(factory, constants, signature, cc).decode()
        assert f".target sm_{cc[0]}{cc[1]}" in ptx and f".entry {factory.__name__}(" in ptx
        if np.float32 in constants and "d" not in "".join(signature):
            double = [line.strip() for line in ptx.splitlines() if re.search(r"\.f64\b", line)]
            assert not double, f"{factory.__name__}{constants} computes in float64: {double[:3]}"
        if family == "draws":  # A joined product and sum is rounded once: other bits than everywhere else.
            assert not re.search(r"\bfma\.", ptx), f"{factory.__name__}{constants} has fused multiply-adds"
        numba_cuda.link_cubin(ptx.encode(), cc)


@pytest.mark.parametrize("cc", CAPABILITIES, ids=lambda cc: f"sm_{cc[0]}{cc[1]}")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_kernels_compile(dtype: str, cc: tuple[int, int]) -> None:
    """With every function of scalars, masks, numbers, and arrays that are broadcast, permuted or have gaps."""
    real = np.dtype(dtype)
    compiler = Compiler()
    backend = KernelBackend(compiler)
    calls = [
        (name, ["x0", "x1", *[0.5] * 3][: len(inspect.signature(f).parameters)])
        for name, f in scalars.FUNCTIONS.items()
    ]
    calls += [(name, ["x0"]) for name in ("exp", "expm1", "log", "log1p", "tanh", "erf", "sqrt", "abs", "isnan")]
    steps = [(name, arguments, f"y{k}") for k, (name, arguments) in enumerate(calls) if name != "where"]
    inputs = [("x0", (3, 4), (4, 1), real), ("x1", (4,), (1,), real), ("x2", (3, 4), (1, 3), np.dtype(bool))]
    inputs += [("x3", (3, 4), (8, 2), real), ("x4", (), (), real)]
    steps += [("where", ["x2", "x3", "x4"], "z")]
    masks = {"eq", "ne", "lt", "le", "gt", "ge", "isnan"}
    outputs = [(y, (3, 4), (4, 1), np.dtype(bool) if name in masks else real) for name, _, y in steps]
    for few in (outputs[k : k + 8] for k in range(0, len(outputs), 8)):
        made = {name for name, *_ in few}
        function = backend.fuse([step for step in steps if step[2] in made], inputs, few, {})
        function(*[on_device(np.ones(shape, dtype)) for _, shape, _, dtype in inputs])
    assert len(compiler.asked) == -(-len(outputs) // 8)
    for factory, constants, signature in compiler.asked:
        ptx = compile_ptx(factory, constants, signature, cc).decode()
        assert dtype == "float64" or not re.search(r"\.f64\b", ptx), factory.__name__
        numba_cuda.link_cubin(ptx.encode(), cc)

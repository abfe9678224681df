"""The most memory that a compiled step of the benchmarks' workloads holds at a time, beside that of the eager step.

`pytest tests/compiler/test_peak_memory.py -m slow -s` prints the table of docs/compile.md. Counted is what NumPy
allocates in a step, results and what kernels allocate for themselves; parameters, optimiser state and data stay and do
not count, the gradients of the step before do until they are let go.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

import autograd_core as ag
from autograd_core.benchmarks.kit import Kit, workload

BACKEND = ag.tensor(0.0, device="cpu")._backend
pytestmark = pytest.mark.skipif(not BACKEND.can_fuse, reason="generated loops need Numba's kernels")


def peak(name: str, compiled: bool, **sizes: Any) -> int:
    step = getattr(workload("mlp" if name == "mlp_small" else name), name)(ag, Kit(ag, compiled=compiled), **sizes)
    for _ in range(4):
        step()
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(2):  # Gradients are counted from here on.
            step()
        peaks = []
        for _ in range(5):  # In some a thread lets go of its share of an array late.
            tracemalloc.reset_peak()
            step()
            peaks.append(tracemalloc.get_traced_memory()[1])
        return min(peaks)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "sizes"), [("resnet", {"batch": 8, "blocks": 1}), ("lstm", {"batch": 64, "length": 16, "width": 64})]
)
def test_small_steps(name: str, sizes: dict[str, Any]) -> None:
    assert peak(name, True, **sizes) <= 0.85 * peak(name, False, **sizes)


# Of mlp and mlp_small nearly all is the gradients, which a step leaves in `.grad`.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("mlp", 1.02), ("mlp_small", 1.05), ("lenet", 0.8), ("resnet", 0.8), ("lstm", 0.8), ("gpt", 0.81),
        ("elementwise", 0.4),
    ],
)  # fmt: skip
def test_the_steps_of_the_benchmark(name: str, most: float) -> None:
    sizes = {"size": 1 << 20} if name == "elementwise" else {}
    eager, found = peak(name, False, **sizes), peak(name, True, **sizes)
    print(f"\n{name:12} eager {eager / 2**20:6.2f} MiB, compiled {found / 2**20:6.2f} MiB: {found / eager:.2f}")
    assert found <= most * eager

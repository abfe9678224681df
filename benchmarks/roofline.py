"""The ceilings that no workload can pass: arithmetic of a large matrix product, traffic of a large copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import autograd_core as ag


def ceilings(
    device: str, threads: int, size: int = 2048, megabytes: int = 128, seconds: float = 1.0
) -> dict[str, float]:
    """`flops` (of a float32 product of two `size` x `size` matrices) and `bytes` (read and written by a copy) a second.

    The best of what `seconds` have room for. On the CPU the better of NumPy's product, its BLAS as it is set, and ours;
    the copy is shared among `threads` threads.
    """
    elements = megabytes * 2**20 // 4
    if device.startswith("cuda"):
        x, source = ag.ones(size, size, device=device), ag.ones(elements, device=device)
        product = _fastest(lambda: _waited(x @ x), seconds)
        copy = _fastest(lambda: _waited(source.clone()), seconds)
    else:
        a = np.ones((size, size), np.float32)
        out = np.empty_like(a)
        x = ag.from_numpy(a)
        product = min(_fastest(lambda: np.matmul(a, a, out=out), seconds / 2), _fastest(lambda: x @ x, seconds / 2))
        sources, targets = (np.array_split(np.ones(elements, np.float32), threads) for _ in range(2))
        with ThreadPoolExecutor(threads) as pool:
            copy = _fastest(lambda: list(pool.map(np.copyto, targets, sources)), seconds)
    return {"flops": 2 * size**3 / product, "bytes": 2 * 4 * elements / copy}


def _waited(result: Any) -> None:
    ag.cuda.synchronize()


def _fastest(function: Callable[[], Any], seconds: float) -> float:
    function()
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)

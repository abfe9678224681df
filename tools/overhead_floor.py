"""What of `autograd-core bench overhead` is NumPy's: the calls of its chain and its mix without a library around them.

    python tools/overhead_floor.py

Prints microseconds an operation, forward and backward: NumPy's calls by themselves, on the same shapes and in the same
order; our whole step; and a link of a chain without arithmetic in backward, which is what a node costs.
"""

from __future__ import annotations

import gc
import statistics
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import autograd_core as ag
from autograd_core.backends.cpu import lifted
from autograd_core.benchmarks import kit, overhead


def numpy_chain() -> Callable[[], None]:
    x, a, b = (overhead._normal(seed, 8, 8) for seed in range(3))
    one, slope = np.ones((), np.float32), lifted.ufunc("tanh_backward", "float32")

    def step() -> None:
        y, saved = x, []
        for _ in range(50):
            y = np.tanh(np.add(np.multiply(y, a), b))
            saved.append(y)
            y = np.subtract(y, a)
        g = np.empty((8, 8), np.float32)
        g.fill(one)
        while saved:
            g = np.multiply(slope(g, saved.pop()), a)

    return step


def numpy_mix() -> Callable[[], None]:
    x, w, a, b = (overhead._normal(seed, *shape) for seed, shape in enumerate([(8, 8), (8, 8), (8,), (8,)]))
    one, ones, slope = np.ones((), np.float32), np.ones(32, np.float32), lifted.ufunc("tanh_backward", "float32")
    rows = (slice(1, 3),)

    def step() -> None:
        gx, gw = np.zeros_like(x), np.zeros_like(w)
        for _ in range(25):
            t = np.tanh(np.add(np.multiply(x.dot(w), a), b))
            e = np.exp(t)
            e.reshape((4, 16))[rows].ravel().dot(ones, np.empty((), np.float32))
            g = np.empty((2, 16), np.float32)
            g.fill(one)
            whole = np.zeros((4, 16), np.float32)
            whole[rows] = g
            g = np.multiply(slope(np.multiply(whole.reshape((8, 8)), e), t), a)
            np.add(gx, g.dot(w.T), gx)
            np.add(gw, x.T.dot(g), gw)

    return step


def numpy_sums() -> Callable[[], None]:
    x, a = overhead._normal(0, 8, 8), overhead._normal(1, 8, 8)

    def step() -> None:
        y = x
        for _ in range(200):
            y = np.add(y, a)

    return step


def sums() -> Callable[[], None]:
    """200 additions in a row: their rule hands the cotangent on."""
    x = ag.from_numpy(overhead._normal(0, 8, 8)).requires_grad_()
    a = ag.from_numpy(overhead._normal(1, 8, 8))

    def step() -> None:
        x.grad = None
        y = x
        for _ in range(200):
            y = y + a
        y.sum().backward()

    return step


def main() -> None:
    ag.set_num_threads(1)
    ours = kit.Kit(ag, "cpu")
    rows = {
        "chain, NumPy's calls": numpy_chain(),
        "chain": overhead.chain(ag, ours),
        "mix, NumPy's calls": numpy_mix(),
        "mix": overhead.mix(ag, ours),
        "additions, NumPy's calls": numpy_sums(),
        "additions": sums(),
    }
    times: dict[str, list[float]] = {title: [] for title in rows}
    gc.disable()
    for _ in range(200):  # In turn, so that a slow moment of the machine meets all.
        for title, step in rows.items():
            times[title].append(timeit.timeit(step, number=3) / 3 / 200)
    for title, found in times.items():
        print(f"{title:26}{1e6 * statistics.quantiles(found, n=10)[0]:6.2f}")


if __name__ == "__main__":
    main()

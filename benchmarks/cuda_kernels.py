"""Is every CUDA kernel of Numba worth it? On a GPU: `python -m autograd_core.benchmarks.cuda_kernels`.

Each kernel against the same call in CuPy's operations (the portable body); a kernel that is not at least 1.2 times as
fast is marked. Then what one launch costs the host: compiled by Numba and launched by CuPy (our way), by Numba's own
launcher, and CuPy's `RawKernel` on the same kernel in CUDA C.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import autograd_core as ag
from autograd_core.backends.cuda import kernels

Calls = list[tuple[str, tuple[Any, ...]]]

WORTH = 1.2
_SOURCE = """
extern "C" __global__ void scale(float* out, const float* x, long long n, float factor) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        out[i] = x[i] * factor;
}
"""


def calls(backend: Any, scale: float = 1.0) -> Calls:
    """(kernel, arguments): the sizes of a training step of a character GPT, a ResNet and an LSTM, times `scale`."""
    state = backend.make_state(0)

    def size(n: int) -> int:
        return max(2, round(n * scale))

    def normal(*shape: int) -> Any:
        return backend.random_normal(state, shape, ag.float32.native, 0.0, 1.0)

    def below(n: int, *shape: int) -> Any:
        return backend.random_integers(state, shape, ag.int64.native, 0, n)

    rows, width, vocabulary = size(16384), size(384), size(256)
    batch, channels, side = size(128), size(64), size(32)
    x, g, w, b = normal(rows, width), normal(rows, width), normal(width), normal(width)
    attention = normal(size(4096), vocabulary)
    images, gradients = normal(batch, channels, side, side), normal(batch, channels, side, side)
    weight, bias = normal(channels), normal(channels)
    mean, var = backend.batch_norm_stats(images)
    _, middle, rstd = backend.layer_norm(x, w, b, 1, 1e-5)
    logits, target = normal(rows, vocabulary), below(vocabulary, rows)
    _, logsum, count = backend.cross_entropy(logits, target, -100)
    one = backend.full((), 1.0, ag.float32.native)
    half = (side // 2, side // 2)
    window: tuple[Any, ...] = ((2, 2), (2, 2), (0, 0))
    pooled, place = backend.max_pool2d(images, *window, (1, 1), half)
    params = tuple(normal(width, width) for _ in range(24)) + tuple(normal(width) for _ in range(24))
    states = [tuple(backend.full(p.shape, 0.0, p.dtype) for p in params) for _ in range(2)]
    steps = tuple(backend.full((), 1.0, ag.float32.native) for _ in params)
    lr, momentum, beta, eps, nothing = (backend.full((), v, ag.float64.native) for v in (1e-4, 0.9, 0.999, 1e-8, 0.0))
    units, samples = size(256), size(32)
    lstm = (
        normal(size(64), samples, 4 * units), normal(samples, units), normal(samples, units), normal(4 * units, units),
        normal(4 * units), normal(4 * units), None,
    )  # fmt: skip
    kept = backend.recurrent_scan(*lstm, "LSTM", False)
    found: Calls = [
        ("softmax", (attention, 1)), ("softmax_backward", (attention, attention, 1)),
        ("log_softmax", (logits, 1)), ("log_softmax_backward", (logits, logits, 1)),
        ("cross_entropy", (logits, target, -100)),
        ("cross_entropy_backward", (one, logits, target, logsum, count, -100)),
        ("layer_norm", (x, w, b, 1, 1e-5)),
        ("layer_norm_backward", (g, x, w, middle, rstd, 1, 1e-5, (True, True, True))),
        ("batch_norm_stats", (images,)), ("batch_norm", (images, weight, bias, mean, var, 1e-5, True)),
        ("batch_norm_backward", (gradients, images, weight, mean, var, 1e-5, True, (True, True, True))),
        ("gelu", (x,)), ("gelu_backward", (g, x)), ("gelu_tanh", (x,)), ("gelu_tanh_backward", (g, x)),
        ("silu", (x,)), ("silu_backward", (g, x)), ("sigmoid", (x,)), ("tanh_backward", (g, x)),
        ("relu_backward", (g, x)),
        ("random_bernoulli", (state, x.shape, ag.float32.native, 0.9)),
        ("random_normal", (state, x.shape, ag.float32.native, 0.0, 1.0)), ("dropout", (x, g, 1.1)),
        ("embedding_backward", (x, below(vocabulary, rows), vocabulary, -1)),
        ("max_pool2d", (images, *window, (1, 1), half)),
        ("max_pool2d_backward", (pooled, place, images.shape, *window, (1, 1))),
        ("avg_pool2d", (images, *window, half, "padded")),
        ("avg_pool2d_backward", (pooled, images.shape, *window, "padded")),
        ("im2col", (images, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1))),
        ("conv2d", (images, normal(channels, channels, 3, 3), None, (1, 1), (1, 1, 1, 1), (1, 1), 1)),
        ("recurrent_scan", (*lstm, "LSTM", False)),
        ("recurrent_scan_backward", (None, lstm[1], None, *lstm[1:4], *kept, None, "LSTM", False)),
        ("sgd_all_", (params, params, states[0], lr, momentum, nothing, None, False, False, False)),
        ("adam_all_", (params, params, *states, None, steps, lr, momentum, beta, eps, None, False, False)),
        ("total_norm", (params,)), ("scale_all_", (params, one)),
    ]  # fmt: skip
    return found


def microseconds(backend: Any, call: Callable[[], Any], seconds: float = 0.2, repeats: int = 5) -> float:
    """The median time of a call when many are queued."""
    call()
    backend.synchronize()
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            call()
        backend.synchronize()
        passed = time.perf_counter() - start
        if passed > seconds / repeats:
            break
        count *= 2
    times = [passed]
    for _ in range(repeats - 1):
        start = time.perf_counter()
        for _ in range(count):
            call()
        backend.synchronize()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times) / count


def compare(backend: Any, found: Calls, seconds: float = 0.2) -> list[dict[str, Any]]:
    """Time each call with the kernels of `backend` and without."""
    rows = []
    print(f"{'kernel':28}{'Numba, us':>12}{'CuPy, us':>12}{'ratio':>8}")
    for name, args in found:
        ours = microseconds(backend, lambda: getattr(backend, name)(*args), seconds)  # noqa: B023
        with kernels.switched_off(backend):
            theirs = microseconds(backend, lambda: getattr(backend, name)(*args), seconds)  # noqa: B023
        rows.append({"kernel": name, "numba": ours, "cupy": theirs})
        note = "" if theirs >= WORTH * ours else f"  below {WORTH}"
        print(f"{name:28}{ours:12.1f}{theirs:12.1f}{theirs / ours:8.2f}{note}", flush=True)
    return rows


def launches(backend: Any) -> dict[str, float]:
    """Microseconds of the host for a launch of one small kernel, three ways."""
    from autograd_core.backends.cuda import numba_cuda
    from autograd_core.backends.cuda.kernels.elementwise import define
    from autograd_core.backends.cuda.launch import Launcher, signature_of

    kernel = define(
        "scale",
        "def scale(cuda):\n    def body(out, x, n, factor):\n        i = cuda.grid(1)\n        while i < n:\n"
        "            out[i] = x[i] * factor\n            i += cuda.gridsize(1)\n\n    return body\n",
    )
    xp = backend.xp
    x = xp.ones((1024,), "float32")
    out = xp.empty_like(x)
    arguments = (out, x, 1024, xp.float32(2))
    launcher: Any = Launcher(xp, divmod(int(backend.device.compute_capability), 10))
    own = numba_cuda.numba_launcher(kernel, (), signature_of(arguments))
    raw = xp.RawKernel(_SOURCE, "scale")
    addresses = (out.data.ptr, x.data.ptr, 1024, xp.float32(2))
    stream = xp.cuda.get_current_stream().ptr
    ways: dict[str, Callable[[], Any]] = {
        "Numba's kernel, CuPy's launch": lambda: launcher(kernel, (), 4, 256, *arguments),
        "Numba's kernel and launch": lambda: own(4, 256, addresses, stream),
        "CuPy's RawKernel": lambda: raw((4,), (256,), arguments),
    }
    times = {title: microseconds(backend, call) for title, call in ways.items()}
    for title, value in times.items():
        print(f"{title:40}{value:8.2f} us")
    return times


def main() -> int:
    """Run both; the exit status is 1 where there is no GPU, or no kernels on it."""
    if not ag.devices.is_available("cuda"):
        print(f"no GPU: {ag.devices._kinds['cuda']().unavailable_reason()}", file=sys.stderr)
        return 1
    backend: Any = ag.devices.backend_of("cuda")
    status = kernels.status(backend)
    print(f"{backend.describe()}: {status}")
    if backend.kernels_off:
        return 1
    compare(backend, calls(backend))
    launches(backend)
    return 0


if __name__ == "__main__":
    sys.exit(main())

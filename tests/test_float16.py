"""float16 is a storage format: sums, products of matrices, norms and losses are computed in float32 and rounded once.

The numbers are chosen so that float16 in between would overflow, or would stop adding up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag

F = ag.nn.functional
N = 4096


def _x(*shape: int, scale: float = 1.0, shift: float = 0.0, seed: int = 0) -> Any:
    generator = ag.Generator("cpu").manual_seed(seed)
    return (ag.randn(*shape, generator=generator, device="cpu") * scale + shift).half()


def _rows(x: Any, n: int) -> Any:
    return ag.zeros(n, dtype=ag.int64, device=x.device)


_TENTHS = ag.full((N,), 0.1, device="cpu").half()
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "sum": (lambda x: x.sum(), (_TENTHS,)),
    "sum over rows": (lambda x: x.sum(0), (_x(N, 4, shift=1),)),
    "nansum": (lambda x: x.nansum(), (_TENTHS,)),
    "mean": (lambda x: x.mean(0), (_x(N, 3, scale=10, shift=300),)),
    "prod": (lambda x: x.prod(0), (_x(40, 3, scale=0.3, shift=1),)),
    "cumsum": (lambda x: x.cumsum(0), (_TENTHS,)),
    "matmul": (lambda x, y: x @ y, (_x(3, N, shift=0.1), _x(N, 4, shift=0.1, seed=1))),
    "bmm": (lambda x, y: x @ y, (_x(2, 3, N, shift=0.1), _x(2, N, 4, shift=0.1, seed=1))),
    "linear": (F.linear, (_x(N, 8, shift=0.1), _x(4, 8, seed=1), _x(4, seed=2))),
    "conv2d": (F.conv2d, (_x(1, 256, 6, 6, shift=0.1), _x(3, 256, 3, 3, shift=0.1, seed=1))),
    "broadcast": (lambda x, y: x * y, (_x(N, 3, shift=0.5), _x(3, seed=1))),
    "var": (lambda x: x.var(), (_x(N, scale=100),)),
    "std": (lambda x: x.std(0), (_x(N, 3, scale=300),)),
    "norm": (lambda x: x.norm(), (_x(100, scale=300),)),
    "vector_norm": (ag.linalg.vector_norm, (_x(100, scale=300),)),
    "cosine_similarity": (F.cosine_similarity, (_x(5, 64, scale=300), _x(5, 64, scale=300, seed=1))),
    "softmax": (lambda x: x.softmax(0), (_x(N),)),
    "log_softmax": (lambda x: x.log_softmax(0), (_x(N, scale=3),)),
    "logsumexp": (lambda x: x.logsumexp(0), (_x(N, scale=3),)),
    "layer_norm": (lambda x: F.layer_norm(x, (64,)), (_x(5, 64, scale=100, shift=1000),)),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), (_x(500, 4, scale=100, shift=1000),)),
    "group_norm": (lambda x: F.group_norm(x, 2), (_x(5, 4, 30, scale=100, shift=1000),)),
    "rms_norm": (lambda x: F.rms_norm(x, (64,)), (_x(5, 64, scale=1000),)),
    "mse_loss": (F.mse_loss, (_x(N, scale=150), _x(N, scale=150, seed=1))),
    "l1_loss": (F.l1_loss, (_x(N, scale=150), _x(N, scale=150, seed=1))),
    "cross_entropy": (lambda x: F.cross_entropy(x, _rows(x, 300)), (_x(300, 50, scale=20),)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 30), (_x(1, 2, 30, 30, scale=10, shift=300),)),
    "gelu": (F.gelu, (_x(500, scale=3),)),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), (_x(500, scale=30),)),
    "silu": (F.silu, (_x(500, scale=3),)),
    "softplus": (F.softplus, (_x(500, scale=3),)),
    "attention": (F.scaled_dot_product_attention, (_x(2, 300, 64), _x(2, 300, 64, seed=1), _x(2, 300, 64, seed=2))),
    "embedding": (lambda w: F.embedding(_rows(w, 3000), w), (_x(2, 3),)),
    "indexing": (lambda x: x[_rows(x, 3000)], (_x(2, 3),)),
    "index_add": (lambda x, y: x.index_add(0, _rows(x, 3000), y), (_x(2, 3), _x(3000, 3, shift=0.1))),
}


# Their gradients are in part too small for float16, whoever computes them.
_VALUES_ONLY = {"cosine_similarity", "cross_entropy", "mse_loss", "l1_loss"}


def _values(x: Any) -> Any:
    return x.detach().cpu().double()


@pytest.mark.parametrize("where", ["default", "simulated"])
@pytest.mark.parametrize("name", CASES)
def test_in_float32_rounded_once(name: str, where: str, device: str) -> None:
    if where == "simulated" and device != "cpu":
        pytest.skip("the run is on another device than the CPU")
    function, given = CASES[name]
    wide = [x.double().requires_grad_() for x in given]
    with ag.device("cpu"):
        expected = function(*wide)
        weights = _x(*expected.shape, seed=9)
        (expected * weights.double()).sum().backward()
    target = device if where == "default" else where
    ours = [x.clone().to(target).requires_grad_() for x in given]
    with ag.device(target):
        result = function(*ours)
    assert result.dtype is ag.float16
    result.backward(weights.to(target))
    pairs = [("the result", result, expected)]
    if name not in _VALUES_ONLY:
        pairs += [(f"gradient {i}", x.grad, w.grad) for i, (x, w) in enumerate(zip(ours, wide))]
    for what, got, wanted in pairs:
        got, wanted = _values(got), _values(wanted)
        assert bool(ag.isfinite(got).all()), f"{what} overflows"
        # Half a unit in the last place is 5e-4; a second rounding (of the result's gradient) may add as much.
        allowed = wanted.abs() * 3e-3 + 3e-5 * max(1.0, wanted.abs().max().item())
        assert bool(((got - wanted).abs() <= allowed).all()), f"{what}: {(got - wanted).abs().max().item()}"


INF = float("inf")
# Name -> function, input, the gradient that comes from above, result, gradient. PyTorch's numbers.
BEYOND: dict[str, tuple[Callable[..., Any], list[float], float, list[float], list[float]]] = {
    "sigmoid": (ag.sigmoid, [-12.0, 4.566], 1.0, [6.14e-6, 0.98975], [6.14e-6, 0.010147]),
    "sinc": (ag.sinc, [2.018, 0.0], 1.0, [0.0087051, 1.0], [0.4907, 0.0]),
    "rms_norm": (lambda x: F.rms_norm(x, (3,)), [0.01, 0.02, 0.03], 1.0, [0.463, 0.926, 1.389], [26.45, 6.613, -13.2]),
    "local_response_norm": (
        lambda x: F.local_response_norm(x.reshape(1, 3, 1), 2).reshape(3),
        [200.0, 201.0, 3.0], 1.0, [87.75, 59.94, 1.31], [-0.1791, 0.1116, 0.4363],
    ),
    "hardsigmoid": (F.hardsigmoid, [-20.0, 2.0, 10.0], 8192.0, [0.0, 0.8334961, 1.0], [0.0, 1365.0, 0.0]),
    "hardswish": (F.hardswish, [-20.0, 2.0, 10.0], 8192.0, [0.0, 1.66699, 10.0], [0.0, 9560.0, 8192.0]),
    "mish": (F.mish, [-20.0, 2.0, 10.0], 8192.0, [-6e-8, 1.94434, 10.0], [-0.00032, 8760.0, 8192.0]),
    "glu": (F.glu, [10.0, 20.0], 8192.0, [10.0], [8192.0, 0.0]),
    "softsign": (F.softsign, [-20.0, 2.0], 8192.0, [-0.952, 0.6665], [18.58, 910.0]),
    "vector_norm": (lambda x: ag.linalg.vector_norm(x).reshape(1), [6e-8, 0.0], 1.0, [6e-8], [1.0, 0.0]),
    "normalize": (lambda x: F.normalize(x, dim=0), [3e-5, 4e-5], 1.0, [0.5996, 0.8], [3216.0, -2400.0]),
    "rsqrt": (ag.rsqrt, [6e-4], 1.0, [40.84], [-34080.0]),
    "hypot": (lambda x: ag.hypot(x, 400 * ag.ones_like(x)), [300.0], 200.0, [500.0], [120.0]),
    "atan2": (lambda x: ag.atan2(x, 400 * ag.ones_like(x)), [300.0], 1.0, [0.6435], [0.0016]),
    "logcumsumexp": (lambda x: x.logcumsumexp(0), [0.0, 0.0, 0.0], 4096.0, [0.0, 0.6934, 1.099], [7508.0, 3414.0, 1365.0]),
    "prod": (lambda x: x.prod().reshape(1), [300.0, 300.0, 0.01], 1.0, [900.0], [3.0, 3.0, INF]),
    "cumprod": (lambda x: x.cumprod(0), [300.0, 300.0, 0.01], 0.0, [300.0, INF, 900.0], [0.0, 0.0, 0.0]),
}  # fmt: skip


@pytest.mark.parametrize("where", ["default", "simulated"])
@pytest.mark.parametrize("name", BEYOND)
def test_what_lies_between_may_be_beyond_float16(name: str, where: str, device: str) -> None:
    if where == "simulated" and device != "cpu":
        pytest.skip("the run is on another device than the CPU")
    function, given, above, expected, gradient = BEYOND[name]
    target = device if where == "default" else where
    x = ag.tensor(given, dtype=ag.float16, device=target, requires_grad=True)
    with ag.device(target):
        y = function(x)
        y.backward(ag.full_like(y, above))
    assert y.dtype is ag.float16 and x.grad.dtype is ag.float16
    assert y.tolist() == pytest.approx(expected, rel=2e-3, abs=1e-8)
    assert x.grad.tolist() == pytest.approx(gradient, rel=4e-3, abs=1e-6)


def test_the_rules_in_float32_have_second_derivatives() -> None:
    x = ag.tensor([3.0, 4.0], dtype=ag.float16, requires_grad=True)
    (first,) = ag.autograd.grad(ag.linalg.vector_norm(x), x, create_graph=True)
    (second,) = ag.autograd.grad(first[0], x)
    assert first.dtype is second.dtype is ag.float16
    assert second.tolist() == pytest.approx([0.128, -0.096], rel=3e-3)

"""The kernels that fused calls become on CUDA, run by the kernels' interpreter; random programs as for the CPU's loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="random programs are made with the CPU's kernels")

from cuda_kernel_cases import KernelBackend, on_device, on_host
from fake_cuda import FakeLauncher
from test_fused_loops import layout, random_program

import autograd_core as ag
from autograd_core.backends.cuda.kernels import blocks
from autograd_core.backends.cuda.launch import Unusable


@pytest.mark.parametrize("seed", range(40))
def test_a_kernel_equals_its_calls(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 32)
    monkeypatch.setattr(blocks, "_BLOCKS", 2)
    rng = np.random.default_rng(seed)
    dtype = np.float32 if seed % 2 else np.float64
    shape = [(7,), (3, 5), (2, 3, 4), (4, 1, 6), (20, 9)][int(rng.integers(0, 5))]
    _, steps, values = random_program(rng, shape, dtype)
    inside = [step for step in steps if values[step[2]].shape == shape]
    if not inside:
        return
    kept = [name for _, _, name in inside][-2:]
    made = {name for _, _, name in inside}
    inputs = sorted({a for _, arguments, _ in inside for a in arguments if isinstance(a, str)} - made)
    launch = FakeLauncher()
    backend = KernelBackend(launch)
    given = [layout(n, values[n]) for n in inputs], [layout(n, values[n]) for n in kept]
    function = backend.fuse(inside, *given, {})
    got = on_host(function(*[on_device(values[n]) for n in inputs]))
    assert launch.count == 1
    for name, array in zip(kept, got if isinstance(got, tuple) else (got,), strict=True):
        expected = values[name]
        assert array.shape == expected.shape and array.dtype == expected.dtype
        if array.dtype.kind == "b":
            assert (array != expected).mean() < 0.1  # A comparison of two roundings.
        else:
            tolerance = 2e-5 if dtype is np.float32 else 1e-12
            np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance, err_msg=function.source)


def test_results_lie_in_memory_as_asked_or_where_an_input_was() -> None:
    rng = np.random.default_rng(0)
    x, y, row = (rng.standard_normal(shape).astype("f") for shape in ((7, 3), (7, 3), (3,)))
    steps = [("mul", ["x0", "x1"], "a"), ("add", ["a", "x2"], "b"), ("sub", ["x0", "b"], "c")]
    inputs, outputs = [layout("x0", x), layout("x1", y), layout("x2", row)], [layout("b", x.T.copy().T), layout("c", x)]
    backend = KernelBackend(FakeLauncher())
    on = [on_device(a) for a in (x, y, row)]
    b, c = backend.fuse(steps, inputs, outputs, {"c": "x0"})(*on)
    assert c is on[0] and b.strides == (4, 28)
    np.testing.assert_allclose(b.get(), x * y + row, rtol=1e-6)
    np.testing.assert_allclose(c.get(), x - (x * y + row), rtol=1e-5)


def test_where_no_kernel_can_be_loaded_the_calls_run_one_by_one() -> None:
    def launch(*args: Any) -> None:
        raise Unusable("no driver")

    x = np.arange(6, dtype="f").reshape(2, 3)
    backend = KernelBackend(launch)
    function = backend.fuse([("exp", ["x0"], "a"), ("add", ["a", 1.0], "b")], [layout("x0", x)], [layout("b", x)], {})
    with pytest.warns(UserWarning, match="no driver"):
        first = function(on_device(x))
    np.testing.assert_allclose(on_host(first), np.exp(x) + 1, rtol=1e-6)
    np.testing.assert_allclose(on_host(function(on_device(x))), np.exp(x) + 1, rtol=1e-6)
    assert not backend.can_fuse


class FusingBackend(KernelBackend):
    name = "fusing"

    def __init__(self, index: int = 0) -> None:
        self.launch = FakeLauncher()
        super().__init__(self.launch, index)


ag.register_backend("fusing", lambda: FusingBackend)


def test_a_compiled_step_launches_less_and_gives_the_same() -> None:
    ag.set_default_device("fusing")
    ag.manual_seed(0)
    w, x = ag.randn(4, 3, requires_grad=True), ag.randn(5, 4)

    def loss(x: Any) -> Any:
        y = x @ w
        return ((y * 2 + 1).tanh() * y.sigmoid() - y.square()).sum()

    loss(x).backward()
    expected = w.grad.clone()
    w.grad = None
    compiled = ag.compile(loss, fullgraph=True)
    for _ in range(3):
        w.grad = None
        compiled(x).backward()
    assert ag.allclose(w.grad, expected, 1e-5, 1e-6)
    launch = w._backend.launch
    before = launch.count
    compiled(x)
    assert 1 <= launch.count - before <= 2


def test_a_compiled_training_step_updates_all_parameters_together() -> None:
    ends = []
    for compiled in (False, True):
        ag.set_default_device("fusing")
        ag.manual_seed(1)
        model = ag.nn.Sequential(ag.nn.Linear(4, 6), ag.nn.SiLU(), ag.nn.LayerNorm(6), ag.nn.Linear(6, 3))
        optimizer = ag.optim.AdamW(model.parameters(), 0.05)
        x, y = ag.randn(5, 4), ag.randint(0, 3, (5,))

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = ag.nn.functional.cross_entropy(model(x) * 2 + 1, y)
            loss.backward()
            ag.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            return loss

        run = ag.compile(step, fullgraph=True) if compiled else step
        losses = [run(x, y).item() for _ in range(6)]
        ends.append((losses, [p.detach().cpu() for p in model.parameters()]))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-5)
    for a, b in zip(ends[0][1], ends[1][1]):
        assert ag.allclose(a, b, 1e-4, 1e-6)

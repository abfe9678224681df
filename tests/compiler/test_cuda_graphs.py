"""Replays by CUDA graphs: on a GPU with `--device cuda`, else on the simulated device, whose streams capture, too.

The stand-in for a stream notes what is given to it in place of doing it, refuses what CuPy refuses, and makes the noted
calls on the memory of the capture: a result that nobody copied changes under its owner, an argument that nobody copied
stays the first one.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import simulated_runtime as runtime
import test_fused_on_cuda  # noqa: F401 - registers "fusing", a device with our kernels, interpreted
from test_compile_equality import MODELS, assert_close, train

import autograd_core as ag
from autograd_core import nn
from autograd_core.backends.cuda import graphs as capturing
from autograd_core.backends.cuda.launch import Launcher, PointerTable
from autograd_core.compiler import graphs
from autograd_core.nn import functional as F


@pytest.fixture(autouse=True)
def backend(cuda_backend: Any) -> Any:
    """The device. Checks of values that raise at once read in the middle of a step, and keep graphs off."""
    return cuda_backend


def in_graphs(function: Callable[..., Any]) -> Any:
    return ag.compile(function, fullgraph=True, mode="reduce-overhead")


def graphed(compiled: Any) -> graphs.GraphedRun:
    found = compiled.plans[0].graphed
    assert found is not None
    return found


# -- what is computed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_training_in_graphs_is_eager_training(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ag.set_default_dtype(ag.float64)
    expected = train(MODELS[name], 8, "eager")
    runs: list[graphs.GraphedRun] = []
    capture = graphs.GraphedRun._capture
    monkeypatch.setattr(graphs.GraphedRun, "_capture", lambda run, *rest: runs.append(run) or capture(run, *rest))
    compile_ = ag.compile
    monkeypatch.setattr(ag, "compile", lambda f, backend, **rest: compile_(f, mode="reduce-overhead", **rest))
    assert_close(train(MODELS[name], 8, "inductor"), expected, 1e-10)
    (run,) = set(runs)
    assert not run.why_not and run.graphs and run.calls > run.graphs


def trained(step: Callable[..., Any], batches: list[Any]) -> list[Any]:
    return [step(*batch) for batch in batches]


def test_what_a_call_returned_stays_when_the_next_one_runs() -> None:
    layer = nn.Linear(3, 2)

    @in_graphs
    def step(x: ag.Tensor) -> Any:
        layer.zero_grad()
        loss = layer(x).sigmoid().sum()
        loss.backward()
        return loss, loss * 2

    losses, grads, expected = [], [], []
    for i in range(6):
        x = ag.full((4, 3), float(i))
        losses.append(step(x))
        grads.append(layer.bias.grad)
        y = layer(x).sigmoid()
        expected.append((y.sum().item(), (y * (1 - y)).sum(0).tolist()))
        x.fill_(100.0)  # What a call was given is the caller's again.
    assert graphed(step).graphs
    for (loss, twice), grad, (value, slope) in zip(losses, grads, expected):
        assert loss.item() == pytest.approx(value, rel=1e-5) and twice.item() == pytest.approx(2 * value, rel=1e-5)
        assert grad is not None and grad.tolist() == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_results_that_no_graph_reads_are_not_copied() -> None:
    weight = ag.randn(3, 3)
    f = in_graphs(lambda x: weight @ (weight @ x.t()).t()[:3])
    for i in range(6):
        x = ag.full((4, 3), float(i))
        assert ag.allclose(f(x), weight @ (weight @ x.t()).t()[:3])
    assert graphed(f).graphs == 0 and not graphed(f).why_not and graphed(f).nbytes == 0
    assert "0 of 5 calls in 0 graphs" in f.plans[0].explain()


def test_a_compiled_model_in_an_eager_step() -> None:
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2))
    compiled = ag.compile(model, mode="reduce-overhead")
    for i in range(6):
        x = ag.randn(5, 4)
        found, expected = [], []
        for m, kept in ((compiled, found), (model, expected)):
            model.zero_grad()
            m(x).square().mean().backward()
            kept += [p.grad.clone() for p in model.parameters() if p.grad is not None]
        assert len(found) == 6 and all(ag.allclose(a, b, 1e-5, 1e-6) for a, b in zip(found, expected)), i
    assert all(plan.graphed is not None and plan.graphed.graphs for plan in compiled._compiled.plans)


def test_gradients_that_lie_backwards_in_memory() -> None:
    f = in_graphs(lambda x: x.tanh() * 2)
    for i in range(6):
        x = (ag.arange(12.0).reshape(3, 4) * 0.1 + i).requires_grad_()
        f(x).cumsum(1).square().sum().backward()  # Gradients come through flip(), a view.
        y = x.detach().requires_grad_()
        (y.tanh() * 2).cumsum(1).square().sum().backward()
        assert x.grad is not None and y.grad is not None and ag.allclose(x.grad, y.grad)


@pytest.mark.parametrize("lead", [(), (slice(None, None, -1),), (slice(1, None), slice(None, None, -2))])
def test_copies_with_the_same_strides(lead: tuple[slice, ...], backend: Any) -> None:
    x = backend.from_host(np.arange(24.0).reshape(4, 6))[lead]
    copy, values = backend.copied(x), backend.to_host(x).tolist()
    assert copy.strides == x.strides and backend.to_host(copy).tolist() == values
    backend.fill_(copy, -1.0)
    assert backend.to_host(x).tolist() == values


def test_the_kernels_of_the_optimiser_and_of_clipping_are_in_graphs() -> None:
    ends = []
    for mode in (None, "reduce-overhead"):
        ag.set_default_device("fusing")
        fusing: Any = ag.devices.backend_of("fusing")
        fusing.checks.immediate = False
        ag.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 6), nn.SiLU(), nn.LayerNorm(6), nn.Dropout(0.2), nn.Linear(6, 3))
        optimizer = ag.optim.AdamW(model.parameters(), 0.05)

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x) * 2 + 1, y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            return loss

        run = ag.compile(step, fullgraph=True, mode=mode) if mode else step
        ag.manual_seed(2)
        losses = [run(ag.randn(5, 4), ag.randint(0, 3, (5,))).item() for _ in range(6)]
        ends.append((losses, [p.tolist() for p in model.parameters()]))
        fusing.checks.immediate = True
    assert ends[0] == ends[1]
    assert {getattr(kernel, "__name__", kernel) for kernel in graphed(run).outside} == {
        "linear", "matmul", "linear_weight_grad",
    }  # fmt: skip
    assert graphed(run).graphs


# -- what changes between calls ------------------------------------------------------------------------------------


def test_parameters_that_move_are_captured_again_and_those_that_always_move_are_not(backend: Any) -> None:
    layer = nn.Linear(2, 2)
    f = in_graphs(lambda x: layer(x).tanh() * 2)
    x = ag.ones(1, 2)

    def agrees() -> None:
        with ag.no_grad():
            assert ag.allclose(f(x), layer(x).tanh() * 2)

    with ag.no_grad():
        for _ in range(4):
            agrees()
        first = graphed(f)
        layer.weight.data = ag.randn(2, 2)
        for _ in range(4):
            agrees()
        assert graphed(f) is not first and graphed(f).graphs
        for _ in range(8):
            layer.weight.data = ag.randn(2, 2)
            for _ in range(3):
                agrees()
    assert "lie elsewhere" in graphed(f).why_not


def test_a_graph_stays_on_its_stream(backend: Any) -> None:
    f = in_graphs(lambda x: x.exp() + 1)
    x = ag.ones(3)
    launched = []
    for _ in range(4):
        f(x)
    replay = graphed(f)._replay
    assert replay is not None
    graphed(f)._replay = lambda *a: launched.append(1) or replay(*a)
    with ag.cuda.stream(ag.cuda.Stream()) if backend.name == "cuda" else backend.xp.cuda.Stream(non_blocking=True):
        assert ag.allclose(f(x), x.exp() + 1)
    assert not launched
    assert ag.allclose(f(x), x.exp() + 1) and launched


def test_checks_of_values_are_made_by_graphs_too(backend: Any) -> None:
    table = ag.arange(8.0).reshape(4, 2)
    f = in_graphs(lambda i: F.embedding(i, table) * 2)
    for _ in range(4):
        f(ag.tensor([0, 3])).tolist()
    assert graphed(f).graphs
    wrong = f(ag.tensor([0, 4]))
    with pytest.raises(IndexError, match="embedding: index 4 is out of range"):
        wrong.tolist()
    assert f(ag.tensor([1, 2])).tolist() == [[4.0, 6.0], [8.0, 10.0]]
    backend.checks.turn += 1  # As if so many different checks had come that the numbers were given to others.
    first = graphed(f)._launched[0]
    assert first.is_stale
    for _ in range(2):
        assert f(ag.tensor([0, 3])).tolist() == [[0.0, 2.0], [12.0, 14.0]]
    assert graphed(f)._launched[0] is not first
    backend.checks.immediate = True
    with pytest.raises(IndexError, match="index 4 is out of range"):
        f(ag.tensor([0, 4]))


def test_the_memory_of_graphs_is_freed_with_them(backend: Any) -> None:
    f = in_graphs(lambda x: x.exp() + 1)
    x = ag.ones(1000)
    gc.collect()
    before = backend.memory_used()
    for _ in range(4):
        f(x)
    held = backend.memory_used() - before
    assert held >= 4000 and graphed(f).nbytes >= 4000
    f.reset()
    gc.collect()  # A recording is generated functions, which hold one another.
    assert backend.memory_used() == before


# -- what cannot be in a graph -------------------------------------------------------------------------------------


def test_kernels_that_wait_for_the_device_stay_outside(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = backend.tanh

    def reading(x: Any) -> Any:
        x.get()
        return plain(x)

    monkeypatch.setattr(backend, "tanh", reading)
    monkeypatch.setattr(backend, "can_fuse", False)
    f = in_graphs(lambda x: ((x * 2).tanh() + 1).tanh().exp())
    for i in range(5):
        x = ag.full((3,), float(i))
        assert ag.allclose(f(x), ((x * 2).tanh() + 1).tanh().exp())
    assert list(graphed(f).outside) == ["tanh"] and graphed(f).graphs == 3
    text = f.plans[0].explain()
    assert "3 of 5 calls in 3 graphs" in text and "not in graphs: tanh" in text


def test_copies_from_the_host_stay_outside(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, host = backend.exp, np.ones(3, np.float32)
    monkeypatch.setattr(backend, "exp", lambda x: plain(x) * backend.from_host(host))
    monkeypatch.setattr(backend, "can_fuse", False)
    f = in_graphs(lambda x: x.exp() + 1)
    for i in range(4):
        assert ag.allclose(f(ag.full((3,), float(i))), ag.full((3,), float(i)).exp() + 1)
    assert graphed(f).outside == {"exp": "NotCapturable: an array is copied from the host"} and graphed(f).graphs == 1


def test_where_capture_fails_the_calls_are_made(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(stream: Any) -> Any:
        end(stream)
        raise RuntimeError("cudaErrorStreamCaptureInvalidated")

    stream = backend.xp.cuda.Stream
    end = stream.end_capture
    monkeypatch.setattr(stream, "end_capture", broken)
    total = ag.zeros(3)
    f = in_graphs(lambda x: total.add_(x).exp())
    for _ in range(5):
        f(ag.ones(3))
    assert total.tolist() == [5.0] * 3  # Nothing was done twice, or not at all.
    assert "Invalidated" in graphed(f).why_not and "no graphs: RuntimeError" in f.plans[0].explain()


def test_a_loop_that_writes_over_an_argument_may_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd_core.backends.cuda import fused
    from autograd_core.compiler.passes import reuse

    def refusing(loop: Any, gpu: Any) -> Any:
        function = make(loop, gpu)
        if not loop.into:
            return function

        def run(*inputs: Any) -> Any:
            if capturing.current.graph is not None:
                raise MemoryError
            return function(*inputs)

        run.__dict__.update(function.__dict__, __name__=function.__name__)
        return run

    make = fused.CudaFusedLoop.function_on
    monkeypatch.setattr(fused.CudaFusedLoop, "function_on", refusing)
    monkeypatch.setattr(reuse, "_SMALLEST", 0)
    ag.set_default_device("fusing")
    fusing: Any = ag.devices.backend_of("fusing")
    monkeypatch.setattr(fusing.checks, "immediate", False)
    f = in_graphs(lambda x: ((x * 2).relu().softmax(1) * 3 + 1).tanh())
    grid = ag.arange(4.0).reshape(4, 1) * ag.arange(4.0)
    found = [(f(grid * float(i)), ((grid * float(i) * 2).relu().softmax(1) * 3 + 1).tanh()) for i in range(6)]
    assert graphed(f).graphs and graphed(f).outside
    assert all(ag.allclose(a, b, 1e-4, 1e-5) for a, b in found)


def test_many_arrays_are_joined_in_graphs(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f = in_graphs(lambda x: ag.cat([x * i for i in range(12)], 1).exp())
    for i in range(5):
        x = ag.full((2, 3), 0.1 * i)
        assert ag.allclose(f(x), ag.cat([x * i for i in range(12)], 1).exp())
    assert graphed(f).graphs == 1 and not graphed(f).outside


def test_a_capture_that_cannot_begin_leaves_nothing_behind(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(stream: Any) -> None:
        raise RuntimeError("cudaErrorStreamCaptureUnsupported")

    monkeypatch.setattr(backend.xp.cuda.Stream, "begin_capture", refused)
    stream, allocator = backend.xp.cuda.get_current_stream().ptr, backend.xp.cuda.get_allocator()
    f = in_graphs(lambda x: x.exp() + 1)
    for _ in range(4):
        assert f(ag.zeros(3)).tolist() == [2.0] * 3
    assert backend.xp.cuda.get_current_stream().ptr == stream and backend.xp.cuda.get_allocator() is allocator
    assert "Unsupported" in graphed(f).why_not


def test_who_waits_for_the_device_waits_for_a_capture(backend: Any) -> None:
    done = threading.Event()
    waiting = threading.Thread(target=lambda: (backend.wait(), done.set()))
    x = backend.from_host(np.ones(3, "f"))
    with backend.capture() as graph:
        waiting.start()
        assert not done.wait(0.2)
        y = backend.add(x, x)
    waiting.join(10)
    graph.launch()
    assert done.is_set() and backend.to_host(y).tolist() == [2.0] * 3


PARTLY: dict[str, tuple[Callable[[], Any], str]] = {
    "an argument that is written to": (lambda: in_graphs(lambda x: x.mul_(2).sum()), "writes to an argument"),
    "a view of an argument": (lambda: in_graphs(lambda x: (x.exp(), x[1:])), "returns a view of an argument"),
    "results that share memory": (lambda: in_graphs(lambda x: (lambda y: (y, y[0]))(x.exp())), "two results share"),
}


@pytest.mark.parametrize("name", PARTLY)
def test_plans_that_are_replayed_call_by_call(name: str) -> None:
    make, why = PARTLY[name]
    f = make()
    for i in range(4):
        f(ag.full((2, 2), float(i)))
    assert why in graphed(f).why_not and why in f.plans[0].explain()


def test_arguments_and_results_keep_their_strides() -> None:
    f = in_graphs(lambda x, y: ((x + y).exp()[1:], x.sum()))
    for i in range(5):
        text = ag.full((3, 5), float(i)).t()
        x, y = text[:-1], text[1:]  # Views of one memory, with gaps.
        found, total = f(x, y)
        expected = (x + y).exp()[1:]
        assert ag.equal(found, expected) and found.stride() == expected.stride() and total.item() == 12.0 * i
    assert graphed(f).graphs


def test_large_plans_are_replayed_call_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_BYTES", 1000)
    f = in_graphs(lambda x: x.exp())
    for _ in range(3):
        f(ag.ones(300))
    assert "launches are a small part" in graphed(f).why_not
    f = in_graphs(F.gelu)  # What its kernel makes in between counts, too.
    for _ in range(3):
        assert ag.allclose(f(ag.ones(200)), F.gelu(ag.ones(200)))
    assert "would keep more than" in graphed(f).why_not


def test_modes_are_those_of_pytorch() -> None:
    with pytest.raises(ValueError, match="unknown mode 'fast'; expected one of None, 'default', 'reduce-overhead'"):
        ag.compile(lambda x: x, mode="fast")
    f = ag.compile(lambda x: x + 1, mode="default")
    for _ in range(3):
        f(ag.ones(2))
    assert f.plans[0].graphed is None and "graph" not in f.plans[0].explain().split("explain(")[0]
    ag.set_default_device("cpu")
    f = in_graphs(lambda x: x.exp() + 1)
    for _ in range(4):
        assert ag.allclose(f(ag.ones(2)), ag.ones(2).exp() + 1)
    assert f.plans[0].graphed is None and "graphs: cpu has none" in f.plans[0].explain()


# -- the stand-in --------------------------------------------------------------------------------------------------


def test_a_capture_notes_and_does_not_do(backend: Any) -> None:
    x, y = backend.from_host(np.ones(3, "f")), backend.from_host(np.zeros(3, "f"))
    with backend.capture() as graph:
        backend.copy_(y, backend.add(x, x))
    assert backend.to_host(y).tolist() == [0.0] * 3
    backend.fill_(x, 5.0)
    graph.launch()
    assert backend.to_host(y).tolist() == [10.0] * 3
    assert graph.nbytes >= 12


def test_a_capture_that_an_error_ends_leaves_the_stream_as_it_was(backend: Any) -> None:
    stream = backend.xp.cuda.get_current_stream().ptr
    with pytest.raises(ZeroDivisionError), backend.capture():
        raise ZeroDivisionError
    x = backend.from_host(np.ones(3, "f"))
    assert backend.xp.cuda.get_current_stream().ptr == stream
    assert backend.to_host(backend.add(x, x)).tolist() == [2.0] * 3
    if backend.simulated:
        assert runtime.capturing() is None


def test_tables_of_addresses_are_filled_once_before_a_launch(backend: Any) -> None:
    launcher = Launcher(backend.xp, (8, 0))
    arrays = [backend.from_host(np.ones(2, "f")) for _ in range(3)]
    with backend.capture() as graph:
        table = launcher._table(PointerTable(arrays))
        assert launcher._table(PointerTable(arrays)) is not table, "a kept table may be dropped while the graph lives"
    assert backend.to_host(table).tolist() == [a.data.ptr for a in arrays] and len(graph._uploads) == 2

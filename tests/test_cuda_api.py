"""`ag.cuda`: devices, streams, memory and random numbers, on a GPU or (SIMULATED) on the stand-in for CuPy."""

from __future__ import annotations

import collections
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import simulated_cuda
import simulated_runtime

import autograd_core as ag
from autograd_core import devices
from autograd_core.backends.cuda import backend as cuda_backend


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """A CUDA device; whether it is simulated. In a run on the CPU without a GPU it is there for one test only."""
    if ag.cuda.is_available():
        yield bool(devices.backend_of("cuda").simulated)  # type: ignore[attr-defined]
        return
    monkeypatch.setattr(cuda_backend, "_cupy", lambda: (simulated_cuda.CUPY, simulated_runtime.DEVICES, ""))
    monkeypatch.setattr(cuda_backend.CudaBackend, "simulated", True)
    monkeypatch.setattr(cuda_backend.CudaBackend, "_errors", simulated_cuda.SimulatedCudaBackend._errors)
    yield True
    for key in [key for key in devices._backends if key[0] == "cuda"]:
        del devices._backends[key]


@pytest.fixture
def two(gpu: bool) -> None:
    if ag.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")


# -- without a device -------------------------------------------------------------------------------------


@pytest.mark.skipif(ag.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device() -> None:
    assert not ag.cuda.is_available() and ag.cuda.device_count() == 0 and not ag.cuda.is_initialized()
    assert ag.cuda.memory_allocated() == ag.cuda.max_memory_allocated() == ag.cuda.memory_reserved() == 0
    assert ag.cuda.max_memory_reserved() == 0 and ag.cuda.memory_stats() == {}
    for nothing in (ag.cuda.empty_cache, ag.cuda.reset_peak_memory_stats, ag.cuda.seed, ag.cuda.seed_all):
        assert nothing() is None
    ag.cuda.manual_seed(1)
    ag.cuda.manual_seed_all(1)
    assert ag.cuda.get_rng_state_all() == []
    for use in (
        ag.cuda.init, ag.cuda.current_device, ag.cuda.get_device_name, ag.cuda.get_device_properties,
        ag.cuda.get_device_capability, ag.cuda.synchronize, ag.cuda.mem_get_info, ag.cuda.memory_summary,
        ag.cuda.get_rng_state, ag.cuda.initial_seed, ag.cuda.Stream, ag.cuda.current_stream, ag.cuda.default_stream,
        ag.cuda.Event().record, lambda: ag.cuda.set_device(0), lambda: ag.cuda.device(0),
        ag.ones(1, device="cpu").pin_memory, lambda: ag.tensor([1.0], device="cpu", pin_memory=True),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"device cuda(:0)?: CuPy .*(pip install|nvidia-smi)"):
            use()
    with ag.cuda.stream(None), ag.cuda.device(None):
        ag.cuda.set_stream(None)
    assert ag.cuda.Event().query()


@pytest.mark.skipif(ag.cuda.is_available(), reason="there is a CUDA device")
def test_pinning_batches_without_a_device_warns() -> None:
    data = ag.utils.data.TensorDataset(ag.ones(4, 1, device="cpu"))
    with pytest.warns(UserWarning, match="pin_memory=True has no effect"):
        (batch,) = next(iter(ag.utils.data.DataLoader(data, 2, pin_memory=True)))
    assert not batch.is_pinned()


# -- devices ----------------------------------------------------------------------------------------------


def test_what_a_device_is(gpu: bool) -> None:
    found = ag.cuda.get_device_properties()
    assert found.name == ag.cuda.get_device_name(0)
    assert found.total_memory == pytest.approx(ag.cuda.mem_get_info()[1], rel=0.1)
    assert ag.cuda.get_device_capability("cuda:0") == (found.major, found.minor)
    ag.cuda.init()
    assert ag.cuda.is_initialized() and not ag.cuda.is_bf16_supported()
    ag.cuda.synchronize()
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        ag.cuda.get_device_name("cpu")
    with pytest.raises(RuntimeError, match="there is no such device"):
        ag.cuda.set_device(99)


def test_the_current_device(two: None) -> None:
    assert ag.cuda.current_device() == 0
    with ag.cuda.device(1):
        assert ag.cuda.current_device() == 1
        x = ag.ones(2, device="cuda")
        assert x.device == ag.device("cuda:1") and (x + x).sum().item() == 4
        with ag.cuda.device("cuda:0"):
            assert ag.ones(2, device="cuda").device.index == 0
        with ag.cuda.device(-1):
            assert ag.cuda.current_device() == 1
        thread = threading.Thread(target=lambda: seen.append(ag.cuda.current_device()))
        seen: list[int] = []
        thread.start()
        thread.join()
        assert seen == [0]
    with ag.cuda.device_of(x):
        assert ag.cuda.current_device() == 1
    with ag.cuda.device_of(ag.ones(1, device="cpu")):
        assert ag.cuda.current_device() == 0
    ag.cuda.set_device(1)
    try:
        assert ag.zeros(1, device="cuda").device.index == 1 and ag.zeros(1, device="cpu").device.type == "cpu"
    finally:
        ag.cuda.set_device(0)


# -- streams ----------------------------------------------------------------------------------------------


def test_streams_and_events(gpu: bool) -> None:
    default, side = ag.cuda.default_stream(), ag.cuda.Stream(priority=-1)
    assert ag.cuda.current_stream() == default != side
    start, end = (ag.cuda.Event(enable_timing=True) for _ in range(2))
    x = ag.ones(4, device="cuda")
    side.wait_stream(default)
    with ag.cuda.stream(side):
        assert ag.cuda.current_stream() == side
        start.record()
        y = x * 3
        end.record()
    assert ag.cuda.current_stream() == default
    default.wait_event(end)
    end.synchronize()
    assert start.query() and side.query() and start.elapsed_time(end) >= 0
    assert y.tolist() == [3.0] * 4
    side.record_event().wait()
    side.synchronize()
    ag.cuda.set_stream(side)
    assert ag.cuda.current_stream() == side and hash(ag.cuda.current_stream()) == hash(side)
    ag.cuda.set_stream(default)
    assert "cuda:0" in repr(side) and "recorded" in repr(start)


def test_mistakes_with_events(gpu: bool) -> None:
    timed, plain = ag.cuda.Event(enable_timing=True), ag.cuda.Event()
    with pytest.raises(RuntimeError, match="the end event must be created with enable_timing"):
        timed.record()
        timed.elapsed_time(plain)
    with pytest.raises(RuntimeError, match="the end event must be recorded"):
        timed.elapsed_time(ag.cuda.Event(enable_timing=True))
    with pytest.raises(RuntimeError, match="shared between processes"):
        ag.cuda.Event(enable_timing=True, interprocess=True)


def test_a_stream_of_another_device(two: None) -> None:
    with ag.cuda.stream(ag.cuda.Stream("cuda:1")):
        assert ag.cuda.current_device() == 1 and ag.ones(1, device="cuda").device.index == 1
    assert ag.cuda.current_device() == 0


# -- random numbers ---------------------------------------------------------------------------------------


def test_random_states(gpu: bool) -> None:
    ag.cuda.manual_seed_all(7)
    assert ag.cuda.initial_seed() == 7
    state, every = ag.cuda.get_rng_state(), ag.cuda.get_rng_state_all()
    first = ag.rand(3, device="cuda").tolist()
    ag.cuda.set_rng_state(state)
    assert ag.rand(3, device="cuda").tolist() == first
    ag.cuda.set_rng_state_all(every)
    assert ag.rand(3, device="cuda").tolist() == first
    ag.cuda.manual_seed(7)
    assert ag.rand(3, device="cuda").tolist() == first
    ag.cuda.seed_all()
    assert ag.rand(3, device="cuda").tolist() != first


# -- memory -----------------------------------------------------------------------------------------------


def test_memory_in_use_and_its_peak(gpu: bool) -> None:
    gc.collect()
    ag.cuda.empty_cache()
    before, size = ag.cuda.memory_allocated(), 1 << 20
    ag.cuda.reset_peak_memory_stats()
    assert ag.cuda.max_memory_allocated() == before
    kept = ag.ones(size // 4, device="cuda")
    assert ag.cuda.memory_allocated() - before >= size
    for _ in range(3):
        ag.ones(3 * size // 4, device="cuda")  # Given back at once.
    peak = ag.cuda.max_memory_allocated() - before
    assert 4 * size <= peak < 5 * size
    small = ag.ones(4, device="cuda") * kept[0]
    assert ag.cuda.max_memory_allocated() - before == peak
    ag.cuda.reset_max_memory_allocated()
    assert ag.cuda.max_memory_allocated() < before + 2 * size
    assert ag.cuda.memory_reserved() >= ag.cuda.memory_allocated()
    ag.cuda.empty_cache()
    assert ag.cuda.max_memory_reserved() >= ag.cuda.memory_reserved()
    stats = ag.cuda.memory_stats()
    assert stats["allocated_bytes.all.peak"] >= stats["allocated_bytes.all.current"] == ag.cuda.memory_allocated()
    assert stats["reserved_bytes.all.peak"] >= stats["reserved_bytes.all.current"] == ag.cuda.memory_reserved()
    del kept, small
    text = ag.cuda.memory_summary()
    assert "most in use" in text and "The largest of" in text
    assert "The largest" not in ag.cuda.memory_summary(abbreviated=True)


def test_out_of_memory_names_the_operation_the_line_and_the_largest_arrays(gpu: bool, monkeypatch: Any) -> None:
    with ag.device("cuda"):
        model = ag.nn.Linear(100, 300)
        optimizer = ag.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x = ag.randn(1000, 100)
        model(x[:2]).sum().backward()
        optimizer.step()
        wanted = ag.OutOfMemoryError
        assert wanted is ag.cuda.OutOfMemoryError and issubclass(wanted, RuntimeError)
        if gpu:
            monkeypatch.setattr(simulated_runtime, "TOTAL", simulated_runtime.used[0] + 500_000)
            with pytest.raises(wanted) as caught:
                model(x)
        else:
            x = x.expand(ag.cuda.mem_get_info()[1] // 100_000, 1000, 100)
            with pytest.raises(wanted) as caught:
                model(x)
    text = str(caught.value)
    assert "cuda:0 out of memory" in text and "were asked for" in text
    if gpu:
        assert "1.14 MiB were asked for" in text and "In linear((1000, 100) float32, (300, 100) float32" in text
    assert f"{__file__}:" in text and "model(x)" in text
    assert "Linear.weight of shape (300, 100), float32" in text
    assert "momentum_buffer of SGD" in text and "the gradient of Linear.weight" in text
    assert "utils.checkpoint" in text


def test_out_of_memory_in_backward(gpu: bool, monkeypatch: Any) -> None:
    if not gpu:
        pytest.skip("the size of the device is set, so it must be the simulated one")
    x = ag.ones(1000, 100, device="cuda", requires_grad=True)
    loss = (x.exp() * 2).sum()
    gc.collect()  # What earlier tests left is not to be freed in between.
    monkeypatch.setattr(simulated_runtime, "TOTAL", simulated_runtime.used[0] + 100_000)
    with pytest.raises(ag.OutOfMemoryError, match=r"loss.backward\(\)[\s\S]*saved by exp for backward"):
        loss.backward()


# -- host memory ------------------------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "a b")


class Own:
    def pin_memory(self) -> str:
        return "pinned"


def test_pinned_tensors(gpu: bool) -> None:
    x = ag.arange(6, device="cpu").reshape(2, 3)
    p = x.pin_memory()
    assert p.is_pinned() and p[0].is_pinned() and p.t().is_pinned() and not x.is_pinned()
    assert p.pin_memory() is p and p.tolist() == x.tolist() and p.dtype is x.dtype and p.device.type == "cpu"
    p[0, 0] = 9
    assert x[0, 0] == 0
    assert ag.tensor([1.5], device="cpu", pin_memory=True).is_pinned()
    assert ag.ones((), device="cpu").pin_memory().item() == 1 and ag.ones(0, 3, device="cpu").pin_memory().numel() == 0
    leaf = ag.ones(2, device="cpu", requires_grad=True)
    (leaf.pin_memory() * 3).sum().backward()
    assert leaf.grad is not None and leaf.grad.tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="only CPU tensors can be pinned"):
        ag.ones(1, device="cuda").pin_memory()
    assert not ag.ones(1, device="cuda").is_pinned()


def test_copies_that_do_not_wait(gpu: bool) -> None:
    counts = devices.backend_of("cuda").counts  # type: ignore[attr-defined]
    before = counts.as_dict()
    for host in (
        ag.arange(6.0, device="cpu").reshape(2, 3).pin_memory(),
        ag.arange(6.0, device="cpu").reshape(2, 3).t(),
    ):
        there = host.to("cuda", non_blocking=True)
        back = (there * 2).to("cpu", non_blocking=True)
        ag.cuda.synchronize()
        assert there.device.type == "cuda" and back.is_pinned()
        assert back.tolist() == (host * 2).tolist()
    after = counts.as_dict()
    assert after["to_device"] - before["to_device"] == 2 and after["bytes_to_device"] - before["bytes_to_device"] == 48
    assert ag.ones(2, device="cpu").cuda(non_blocking=True).device.type == "cuda"
    leaf = ag.ones(2, device="cpu", requires_grad=True)
    (leaf.to("cuda", non_blocking=True) * 3).sum().backward()
    assert leaf.grad is not None and leaf.grad.device.type == "cpu" and leaf.grad.tolist() == [3.0, 3.0]


def test_the_loader_pins_batches(gpu: bool) -> None:
    rows = ag.utils.data.TensorDataset(ag.randn(6, 2, device="cpu"), ag.arange(6, device="cpu"))
    for x, y in ag.utils.data.DataLoader(rows, 4, pin_memory=True):
        assert x.is_pinned() and y.is_pinned() and x.to("cuda", non_blocking=True).tolist() == x.tolist()

    def collate(samples: list[Any]) -> Any:
        a = ag.ones(1, device="cpu")
        return {"pair": Pair(a, "text"), "list": [a, (a,)], "own": Own(), "number": 3}

    for workers in (0, 1):
        loader = ag.utils.data.DataLoader([0], collate_fn=collate, pin_memory=True, num_workers=workers)
        (batch,) = list(loader)
        assert isinstance(batch["pair"], Pair) and batch["pair"].a.is_pinned() and batch["pair"].b == "text"
        assert batch["list"][0].is_pinned() and batch["list"][1][0].is_pinned()
        assert batch["own"] == "pinned" and batch["number"] == 3
    assert not next(iter(ag.utils.data.DataLoader(rows, 4)))[0].is_pinned()

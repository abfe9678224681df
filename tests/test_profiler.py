"""The profiler counts exactly, attributes calls to modules forward and backward, and leaves nothing behind."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.profiler import profile
from autograd_core.recorder import Recorder


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.head = nn.Linear(8, 3)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return self.head(self.body(x) * 2)


def counts(prof: profile) -> Counter[tuple[str, str, str]]:
    return Counter((event.name, event.module, event.phase) for event in prof.events)


def test_calls_are_counted_exactly() -> None:
    x = ag.ones(3, requires_grad=True)
    with profile() as prof:
        y = x * x
        for _ in range(3):
            y = y.tanh()
    assert counts(prof) == {("mul", "", "forward"): 1, ("tanh", "", "forward"): 3}
    assert {row.name: row.calls for row in prof.operations()} == {"mul": 1, "tanh": 3}
    with profile() as prof:
        y.backward(ag.ones(3))
    assert {name: n for (name, _, phase), n in counts(prof).items() if phase == "backward"} == {
        "tanh_backward": 3, "mul": 2, "add": 1,
    }  # fmt: skip


def test_a_training_step_by_module_and_phase() -> None:
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = ag.ones(5, 4), ag.tensor([0, 1, 2, 0, 1])
    with profile() as prof:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    found = counts(prof)
    for module in ("Net.body.0", "Net.head"):
        assert found["linear", module, "forward"] == 1 and found["linear_weight_grad", module, "backward"] == 1
    # The input's gradient is wanted by the second layer alone.
    assert found["matmul", "Net.head", "backward"] == 1 and found["matmul", "Net.body.0", "backward"] == 0
    assert found["tanh", "Net.body.1", "forward"] == found["tanh_backward", "Net.body.1", "backward"] == 1
    assert found["mul", "Net", "forward"] == found["mul", "Net", "backward"] == 1
    assert found["cross_entropy", "", "forward"] == found["cross_entropy_backward", "", "backward"] == 1
    updates = [event for event in prof.events if event.phase == "update"]
    assert len(updates) >= 1 and {event.module for event in updates} == {"SGD.step"}

    rows = {row.name: row for row in prof.modules()}
    assert sum(row.calls for row in rows.values()) == len(prof.events)
    inside = sum(event.seconds for event in prof.events if event.module.startswith("Net"))
    assert rows["Net"].total == pytest.approx(inside) and rows["Net"].seconds < inside
    assert rows["Net.body"].calls == 0
    assert rows["Net.head"].seconds == pytest.approx(rows["Net.head"].forward + rows["Net.head"].backward)
    assert sum(event.seconds for event in prof.events) < prof.seconds


def test_a_module_of_no_other_is_named_by_its_class() -> None:
    class Outer(nn.Module):
        def forward(self, x: ag.Tensor) -> ag.Tensor:
            return hidden(x)

    hidden = nn.Tanh()
    with profile() as prof:
        Outer()(ag.ones(2))
        hidden(ag.ones(2))
    assert [event.module for event in prof.events if event.name == "tanh"] == ["Outer.Tanh", "Tanh"]


def test_gradients_of_gradients_are_backward() -> None:
    x = ag.ones(2, requires_grad=True)
    with profile() as prof:
        (g,) = ag.autograd.grad(x.exp().sum(), x, create_graph=True)
        g.sum().backward()
    assert counts(prof)["exp", "", "forward"] == 1
    assert all(event.phase == "backward" for event in prof.events if event.name == "mul")
    assert counts(prof)["mul", "", "backward"] >= 2


def test_bytes_and_memory() -> None:
    x = ag.ones(1000)
    with profile() as prof:
        y = x + x  # reads 2 x 4000, writes 4000
        z = y.reshape(10, 100)  # the same memory
        del y, z
        w = x.exp()
    assert [(event.name, event.bytes, event.memory) for event in prof.events] == [
        ("add", 12_000, 4000), ("reshape", 8000, 4000), ("exp", 8000, 4000),
    ]  # fmt: skip
    assert prof.peak == 4000 and w.shape == (1000,)
    with profile() as prof:
        kept = [x.exp() for _ in range(3)]
        del kept
        x.exp()
    assert [event.memory for event in prof.events] == [4000, 8000, 12_000, 4000]
    assert [(row.bytes, row.peak) for row in prof.operations()] == [(32_000, 12_000)] and prof.peak == 12_000


def test_in_place_kernels_take_no_memory() -> None:
    x, y = ag.ones(1000), ag.ones(1000)
    with profile() as prof:
        x._backend.copy_(x._data, y._data)
    assert [(event.name, event.memory) for event in prof.events] == [("copy_", 0)]


def test_nothing_is_left_behind() -> None:
    backend, call = ag.ones(1)._backend, nn.Module.__call__
    before = dict(backend.__dict__)
    with pytest.raises(ZeroDivisionError), profile():
        assert backend.__dict__ != before
        1 / 0  # noqa: B018
    assert backend.__dict__ == before and nn.Module.__call__ is call
    with profile() as prof, pytest.raises(RuntimeError, match="active already"):
        profile().__enter__()
    ag.ones(2) * 2
    assert prof.events == [] and backend.__dict__ == before


def test_other_threads_are_not_profiled() -> None:
    layer, x = nn.Tanh(), ag.ones(2)
    with profile() as prof:
        thread = threading.Thread(target=lambda: layer(x))
        thread.start()
        thread.join()
        x.exp()
    assert [event.name for event in prof.events] == ["exp"] and prof.spans == []


def test_with_a_recorder() -> None:
    x = ag.ones(2)
    with profile() as prof, Recorder(x._backend) as tape:
        x.exp().tanh()
    assert [call.kernel for call in tape.calls] == [event.name for event in prof.events] == ["exp", "tanh"]


def test_tables() -> None:
    model, x = Net(), ag.ones(1, 4)
    with profile() as prof:
        model(x).sum().backward()
    lines = prof.table().splitlines()
    assert lines[0].split()[:3] == ["operation", "calls", "ms"] and len(lines) == len(prof.operations()) + 2
    linear = next(line for line in lines if line.startswith("linear "))
    assert linear.split()[1] == "2"
    assert prof.table("module", limit=1).splitlines()[1].startswith("Net ")
    assert prof.table("module", limit=1).splitlines()[2] == f"... and {len(prof.modules()) - 1} more"
    with pytest.raises(ValueError, match="by must be 'operation' or 'module', got 'line'"):
        prof.table("line")


def test_an_empty_profile_has_a_table() -> None:
    with profile() as prof:
        pass
    assert prof.table().splitlines()[-1].startswith("0 kernel calls") and prof.modules() == []


def test_the_trace_file(tmp_path: Path) -> None:
    model = Net()
    with profile() as prof:
        model(ag.ones(1, 4)).sum().backward()
    prof.export_chrome_trace(tmp_path / "trace.json")
    events: list[dict[str, Any]] = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    kernels = [event for event in events if event.get("cat") in ("forward", "backward")]
    assert [event["name"] for event in kernels] == [event.name for event in prof.events]
    spans = {
        event["name"]: (event["ts"], event["ts"] + event["dur"]) for event in events if event.get("cat") == "module"
    }
    assert set(spans) == {"Net", "Net.body", "Net.body.0", "Net.body.1", "Net.head"}
    tanh = next(event for event in kernels if event["name"] == "tanh")
    assert spans["Net.body.1"][0] <= tanh["ts"] and tanh["ts"] + tanh["dur"] <= spans["Net.body.1"][1]
    assert sum(event["ph"] == "C" for event in events) == len(prof.events)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        prof.export_chrome_trace(tmp_path / "none" / "trace.json")

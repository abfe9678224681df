"""Recording at the single door and replaying: what is caught, what is live, what is refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import recorder
from autograd_core.live import LiveScalar
from autograd_core.recorder import Recorder


def backend() -> Any:
    return ag.ones(1)._backend


def batch(seed: int, *shape: int) -> ag.Tensor:
    g = ag.Generator(ag.get_default_device()).manual_seed(seed)
    return ag.randn(*shape, generator=g)


def test_the_calls_of_a_step_are_listed_flat_and_by_name() -> None:
    x = ag.ones(3, requires_grad=True)
    with Recorder(backend()) as tape:
        (x * x).sum().backward()
    names = [call.kernel for call in tape.calls]
    assert names[0] == "mul" and "sum" in names and names.count("mul") >= 2
    assert repr(tape.calls[0]) == "%1 = mul(%0, %0)"


def test_results_for_new_inputs() -> None:
    x, w = batch(0, 4, 3), batch(1, 3, 2)
    with Recorder(backend()) as tape:
        hidden = (x @ w).tanh()
        loss = (hidden * hidden).mean()
    for seed in (2, 3):
        new = batch(seed, 4, 3)
        replayed = tape.replay({x: new})
        expected = (new @ w).tanh()
        assert replayed[hidden].tolist() == expected.tolist()
        assert replayed[loss].tolist() == (expected * expected).mean().tolist()
        raw = tape.replay([(x._data, new._data)])
        assert raw[loss].tolist() == replayed[loss].tolist()


def test_what_was_there_before_is_live() -> None:
    x, w = ag.ones(2), ag.ones(2)
    with Recorder(backend()) as tape:
        y = x * w
    w.mul_(3)
    assert tape.replay()[y].tolist() == [3.0, 3.0]


def test_views_and_slices_written_in_a_replay() -> None:
    x, out = batch(0, 4, 3), ag.zeros(4, 3)
    with Recorder(backend()):
        pass  # A recorder leaves nothing behind for the next one.
    with Recorder(backend()) as tape:
        out[1:3] = x[:2] * 2
        out[:, 0].add_(1)
    version = out._version
    new = batch(1, 4, 3)
    expected = out.clone()
    expected[1:3] = new[:2] * 2
    expected[:, 0].add_(1)
    tape.replay({x: new})
    assert out.tolist() == expected.tolist()
    assert out._version > version


def test_nested_calls_are_recorded_once() -> None:
    x = batch(0, 4)
    index = ag.tensor([0, 0, 2])
    with Recorder(backend()) as tape:
        x.index_put((index,), ag.ones(3), accumulate=True)
    names = [call.kernel for call in tape.calls]
    assert "index_put" in names and "clone" not in names and "add_at" not in names


def test_nothing_is_left_on_the_backend() -> None:
    b = backend()
    before = dict(b.__dict__)
    with pytest.raises(ZeroDivisionError), Recorder(b):
        assert b.__dict__ != before
        1 / 0  # noqa: B018
    assert b.__dict__ == before and recorder.recording == 0


def test_other_threads_are_not_recorded() -> None:
    x = ag.ones(2)
    with Recorder(backend()) as tape:
        thread = threading.Thread(target=lambda: x * 2)
        thread.start()
        thread.join()
        y = x + x
    assert [call.kernel for call in tape.calls] == ["add"]
    assert tape.replay()[y].tolist() == [2.0, 2.0]


def test_a_live_scalar_is_read_before_each_replay() -> None:
    b, value = backend(), [2.0]
    live = LiveScalar(b, lambda: value[0])
    x = ag.ones(2, dtype=ag.float64)
    with Recorder(b) as tape:
        live.refresh()
        y = b.mul(x._data, live.buffer)
    assert [call.kernel for call in tape.calls] == ["mul"]
    value[0] = 5.0
    assert b.to_host(tape.replay()[y]).tolist() == [5.0, 5.0]


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05}),
    ("NAdam", {"lr": 0.05}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
    ("RAdam", {"lr": 0.05, "betas": (0.9, 0.9)}),
    ("Adadelta", {"lr": 0.5}),
    ("Adamax", {"lr": 0.05, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.05, "t0": 2}),
    ("Rprop", {"lr": 0.01}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=lambda v: v if isinstance(v, str) else "-".join(v))
def test_replayed_training_equals_eager_bit_for_bit(name: str, options: dict[str, Any]) -> None:
    """The very first step is recorded: state that it makes is live in the replays, and so is the learning rate."""

    def train(replaying: bool) -> tuple[list[Any], Any]:
        weights = [batch(7, 5, 4).requires_grad_(), batch(8, 4).requires_grad_(), batch(9, 4, 2).requires_grad_()]
        optimizer = getattr(ag.optim, name)(weights, **options)
        scheduler = ag.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)

        def step(x: ag.Tensor, y: ag.Tensor) -> ag.Tensor:
            optimizer.zero_grad()
            loss = (((x @ weights[0] + weights[1]).tanh() @ weights[2] - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        losses = []
        x, y = batch(100, 6, 5), batch(200, 6, 2)
        with Recorder(x._backend) as tape:
            first = step(x, y)
        losses.append(first.item())
        for i in range(1, 6):
            scheduler.step()
            new_x, new_y = batch(100 + i, 6, 5), batch(200 + i, 6, 2)
            losses.append((tape.replay({x: new_x, y: new_y})[first] if replaying else step(new_x, new_y)).item())
        state = {k: {n: t.tolist() for n, t in v.items()} for k, v in optimizer.state_dict()["state"].items()}
        return [losses, [w.tolist() for w in weights]], state

    assert train(replaying=True) == train(replaying=False)


class Digits(ag.nn.Module):
    """A small CNN with what makes a step hard to replay: batch statistics, random masks, writes into slices."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ag.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = ag.nn.BatchNorm2d(4)
        self.dropout = ag.nn.Dropout(0.3)
        self.out = ag.nn.Linear(4 * 4 * 4, 10)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        x = x.clone()
        x[:, :, 0] = 0.5
        x = ag.nn.functional.max_pool2d(ag.nn.functional.relu(self.norm(self.conv(x))), 2)
        x[:, 1:3, ::2] *= 2
        return self.out(self.dropout(x.flatten(1)))


def test_the_single_door() -> None:
    """One step of a CNN, recorded and replayed on five more batches, is five eager steps bit for bit."""

    def train(replaying: bool) -> dict[str, Any]:
        ag.manual_seed(3)
        model = Digits()
        optimizer = ag.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01, amsgrad=True)
        scheduler = ag.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
        batches = [(batch(i, 6, 1, 8, 8), ag.tensor([(i + j) % 10 for j in range(6)])) for i in range(6)]
        ag.manual_seed(4)

        def step(x: ag.Tensor, y: ag.Tensor) -> ag.Tensor:
            optimizer.zero_grad()
            loss = ag.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        (x, y), *others = batches
        with Recorder(x._backend) as tape:
            first = step(x, y)
        losses = [first.item()]
        for new_x, new_y in others:
            scheduler.step()
            losses.append((tape.replay({x: new_x, y: new_y})[first] if replaying else step(new_x, new_y)).item())
        return {
            "losses": losses,
            "model": {name: t.tolist() for name, t in model.state_dict().items()},
            "optimizer": [{k: t.tolist() for k, t in s.items()} for s in optimizer.state_dict()["state"].values()],
            "random": ag.rand(3).tolist(),
        }

    eager, replayed = train(replaying=False), train(replaying=True)
    assert replayed == eager
    assert eager["model"]["norm.num_batches_tracked"] == 6 and eager["optimizer"][0]["step"] == 6.0
    assert len(set(eager["losses"])) == 6


@pytest.mark.parametrize(
    ("name", "options", "change"),
    [
        ("SGD", {"lr": 0.1}, {"weight_decay": 0.1}),
        ("SGD", {"lr": 0.1}, {"momentum": 0.9}),
        ("SGD", {"lr": 0.1}, {"maximize": True}),
        ("Adam", {}, {"amsgrad": True}),
        ("AdamW", {}, {"weight_decay": 0}),
    ],
)
def test_an_option_that_selects_another_update_makes_the_recording_stale(
    name: str, options: dict[str, Any], change: dict[str, Any]
) -> None:
    p = ag.ones(2, requires_grad=True)
    optimizer = getattr(ag.optim, name)([p], **options)
    p.grad = ag.ones(2)
    with Recorder(p._backend) as tape:
        optimizer.step()
    tape.replay()
    optimizer.param_groups[0].update(change)
    before = p.tolist()
    with pytest.raises(RuntimeError, match="record the step again"):
        tape.replay()
    assert p.tolist() == before


def test_a_first_step_with_dampening_cannot_be_replayed() -> None:
    p = ag.ones(2, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=0.1, momentum=0.9, dampening=0.5)
    p.grad = ag.ones(2)
    with Recorder(p._backend) as tape:
        optimizer.step()
    with pytest.raises(RuntimeError, match="make one step before recording"):
        tape.replay()
    with Recorder(p._backend) as tape:
        optimizer.step()
    tape.replay()


def test_recordings_outlive_loading_a_state() -> None:
    p = ag.ones(1, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=0.5)
    p.grad = ag.ones(1)
    with Recorder(p._backend) as tape:
        optimizer.step()
    optimizer.load_state_dict(ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.25).state_dict())
    tape.replay()
    assert p.tolist() == [0.25]


# -- mistakes -----------------------------------------------------------------------------------------------


def test_reading_a_value_names_the_line() -> None:
    x = ag.ones(2)
    with Recorder(backend()) as tape:
        y = x.sum()
        with pytest.raises(RuntimeError, match=r"test_recorder.py:\d+: y.item\(\)  # this line"):
            y.item()  # this line
        with pytest.raises(RuntimeError, match="read on the host"):
            bool(y > 1)
    assert tape.replay()[y].item() == 2.0
    with Recorder(backend(), allow_reads=True):
        assert x.sum().item() == 2.0


def test_two_recorders_of_one_backend() -> None:
    with Recorder(backend()), pytest.raises(RuntimeError, match="recorded already"), Recorder(backend()):
        pass


def test_inputs_that_do_not_fit() -> None:
    x, other = ag.ones(2, 3), ag.ones(2, 3)
    with Recorder(backend()) as tape:
        y = x * 2
        with pytest.raises(RuntimeError, match="not finished"):
            tape.replay()
    for inputs, message in (
        ({other: other}, "did not use a tensor of shape"),
        ({y: other}, "did not use a tensor of shape"),
        ({x: ag.ones(3, 2)}, r"got a tensor of shape \(3, 2\) and float32 in place of a tensor of shape \(2, 3\)"),
        ({x: ag.ones(2, 3, dtype=ag.float64)}, "and float64 in place of"),
    ):
        with pytest.raises(ValueError, match=message):
            tape.replay(inputs)
    with pytest.raises(KeyError, match="no part of the recording"):
        tape.replay()[other]

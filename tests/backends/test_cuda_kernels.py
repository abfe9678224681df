"""The Numba-CUDA kernels, run thread by thread by `tests/fake_cuda.py`, against the portable bodies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_kernel_cases import FAMILIES, KernelBackend, NumpyBackend, cases, on_device, on_host
from fake_cuda import FakeLauncher

import autograd_core as ag
from autograd_core.backends.cuda.kernels import blocks, families

OURS = {function.__name__ for family in families() for function in family}
TOLERANCE = {"e": (2e-3, 1e-3), "f": (2e-5, 2e-6), "d": (1e-12, 1e-13)}


def compare(name: str, got: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert len(got) == len(expected)
        for g, e in zip(got, expected):
            compare(name, g, e)
    elif not isinstance(expected, np.ndarray | np.generic):
        assert got == expected
    else:
        got, expected = np.asarray(got), np.asarray(expected)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype), name
        if expected.dtype.kind == "f" and not name.startswith("random_"):
            rtol, atol = TOLERANCE[expected.dtype.char]
            np.testing.assert_allclose(got.astype("d"), expected.astype("d"), rtol, atol, err_msg=name)
            if name.startswith(("sgd", "adam")):  # What would be a denormal is zero.
                np.testing.assert_array_equal(got == 0, expected == 0, err_msg=name)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=name)


def copied(args: Any) -> Any:
    if isinstance(args, tuple | list):
        return type(args)(copied(a) for a in args)
    return np.copy(args, order="K") if isinstance(args, np.ndarray) else args


def widened(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.astype("f") if isinstance(a, np.ndarray) and a.dtype == "e" else a for a in args)


def test_the_cases_reach_every_kernel() -> None:
    names = {name for family in FAMILIES for name, _ in cases(family)}
    assert OURS <= names | {"_columns", "_from_columns"}  # Those are inside of the convolutions.


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_equal_the_portable_bodies(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 32)  # So few that threads take several elements.
    monkeypatch.setattr(blocks, "_BLOCKS", 3)
    launch = FakeLauncher()
    portable, backend = NumpyBackend(), KernelBackend(launch)
    names, launched = set(), set()
    for name, args in cases(family):
        theirs, ours = copied(args), on_device(args)
        words = f"{name}({', '.join(str(getattr(a, 'shape', a)) for a in args)})"
        before = launch.count
        with np.errstate(all="ignore"):
            if family == "elementwise" and args[0].dtype == "e":  # The body would round at each step.
                expected = getattr(portable, name)(*widened(theirs)).astype("e")
            else:
                expected = getattr(portable, name)(*theirs)
            got = getattr(backend, name)(*ours)
        compare(words, on_host(got), expected)
        compare(f"{words}: its arguments afterwards", on_host(ours), theirs)
        names.add(name)
        if launch.count > before:
            launched.add(name)
    assert launched >= names & OURS, f"ran as portable bodies: {sorted(names & OURS - launched)}"
    assert launched


# -- whole training steps -------------------------------------------------------------------------------------------------


class InterpretedBackend(KernelBackend):
    def __init__(self, index: int = 0) -> None:
        self.launch = FakeLauncher()
        super().__init__(self.launch, index)


ag.register_backend("interpreted", lambda: InterpretedBackend)


def image_classifier() -> tuple[Any, Any, Any]:
    nn = ag.nn
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.SiLU(), nn.MaxPool2d(2), nn.GroupNorm(3, 3), nn.AvgPool2d(2),
        nn.Flatten(), nn.Dropout(0.4), nn.Linear(12, 4), nn.LogSoftmax(1),
    )  # fmt: skip
    x, y = ag.rand(3, 1, 8, 8), ag.randint(0, 4, (3,))
    return model, ag.optim.SGD(model.parameters(), 0.1, momentum=0.9), lambda: nn.functional.nll_loss(model(x), y)


def token_classifier() -> tuple[Any, Any, Any]:
    nn = ag.nn
    model = nn.Sequential(
        nn.Embedding(5, 6), nn.LayerNorm(6), nn.Linear(6, 8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 5)
    )
    x, y = ag.randint(0, 5, (2, 7)), ag.randint(0, 5, (2, 7))
    optimizer = ag.optim.AdamW(model.parameters(), 0.02)
    return model, optimizer, lambda: nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


def sequence_classifier() -> tuple[Any, Any, Any]:
    nn = ag.nn
    lstm, gru, last = nn.LSTM(3, 4, bidirectional=True), nn.GRU(8, 4), nn.Linear(4, 2)
    params = [*lstm.parameters(), *gru.parameters(), *last.parameters()]
    x, y = ag.randn(3, 2, 3), ag.randint(0, 2, (2,))
    model = nn.ModuleList([lstm, gru, last])
    optimizer = ag.optim.Adam(params, 0.02)
    return model, optimizer, lambda: nn.functional.cross_entropy(last(gru(lstm(x)[0])[0][-1]), y)


@pytest.mark.parametrize("made", [image_classifier, token_classifier, sequence_classifier])
def test_training_on_the_kernels_goes_as_on_the_cpu(made: Any) -> None:
    ends = []
    for device in ("cpu", "interpreted"):
        ag.set_default_device(device)
        ag.manual_seed(3)
        model, optimizer, loss_of = made()
        before = [p.detach().cpu().clone() for p in model.parameters()]
        for _ in range(2):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            ag.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        ends.append((before, loss.item(), [p.detach().cpu() for p in model.parameters()]))
    for x, y in zip(ends[0][0], ends[1][0]):
        assert ag.equal(x, y), "the initial weights differ"
    assert ends[1][1] == pytest.approx(ends[0][1], rel=1e-5)
    for x, y in zip(ends[0][2], ends[1][2]):
        assert ag.allclose(y, x, 1e-4, 1e-6)


def sgd(params: Any) -> Any:
    return ag.optim.SGD(params, 0.1, momentum=0.9, dampening=0.5, weight_decay=0.01)


def amsgrad(params: Any) -> Any:
    return ag.optim.Adam(params, 0.1, amsgrad=True, maximize=True)


@pytest.mark.parametrize("make", [sgd, amsgrad])
def test_an_update_is_launched_once_for_all_parameters(make: Any) -> None:
    ends = []
    for device in ("cpu", "interpreted"):
        ag.set_default_device(device)
        ag.manual_seed(4)
        params = [ag.randn(*shape, requires_grad=True) for shape in ((3, 2), (4,), (), (2, 2))]
        launch = getattr(params[0]._backend, "launch", FakeLauncher())
        optimizer, launches = make(params), []
        for _ in range(3):
            for p in params[:3]:
                p.grad = ag.randn(*p.shape)
            before, versions = launch.count, [p._version for p in params]
            optimizer.step()
            launches.append(launch.count - before)
            assert [p._version - v for p, v in zip(params, versions)] == [1, 1, 1, 0]
        ends.append([p.detach().cpu() for p in params])
    assert launches == ([1] * 3 if make is sgd else [2] * 3)
    for x, y in zip(*ends):
        assert ag.allclose(x, y, 1e-5, 1e-7)


def test_clipping_takes_four_launches_and_no_read() -> None:
    ag.set_default_device("interpreted")
    params = [ag.zeros(*shape, requires_grad=True) for shape in ((3, 2), (4,), (2, 2))]
    backend = params[0]._backend
    for p in params:
        p.grad = ag.full(tuple(p.shape), 3.0)
    before, reads = backend.launch.count, backend.counts.to_host
    total = ag.nn.utils.clip_grad_norm_(params, 1.0)
    assert backend.launch.count - before == 4 and backend.counts.to_host == reads
    assert total.item() == pytest.approx(3 * 14**0.5)
    assert params[1].grad is not None and params[1].grad.tolist() == pytest.approx([14**-0.5] * 4, rel=1e-5)

"""Indices out of range and the like, on a device: noted there, raised at the next read-out, naming the operation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn
from autograd_core.backends.cuda.checks import Check


def bad(*values: int) -> Any:
    return ag.tensor(values)


X = (3, 4)
# Name, call, error, what the message says.
CHECKS: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("gather", lambda: ag.gather(ag.ones(X), 1, bad(0, 4).reshape(1, 2)), RuntimeError, "gather.*index 4.*size 4"),
    ("gather below", lambda: ag.gather(ag.ones(X), 0, bad(-1).reshape(1, 1)), RuntimeError, "gather.*index -1.*size 3"),
    ("int32", lambda: ag.gather(ag.ones(4), 0, bad(-2).int()), RuntimeError, "gather.*index -2"),
    ("take_along_dim", lambda: ag.take_along_dim(ag.ones(4), bad(9), 0), RuntimeError, "index 9"),
    ("scatter", lambda: ag.zeros(4).scatter(0, bad(4), 1.0), RuntimeError, "scatter.*index 4"),
    ("scatter_add", lambda: ag.zeros(4).scatter_add(0, bad(4), ag.ones(1)), RuntimeError, "scatter_add.*index 4"),
    ("index_add", lambda: ag.zeros(4).index_add(0, bad(5), ag.ones(1)), RuntimeError, "index_add.*index 5"),
    ("index_fill", lambda: ag.zeros(4).index_fill(0, bad(-5), 1.0), IndexError, "index_fill.*index -5"),
    ("index_copy", lambda: ag.zeros(4).index_copy(0, bad(4), ag.ones(1)), IndexError, "index_copy.*index 4"),
    ("index_select", lambda: ag.ones(4).index_select(0, bad(4)), IndexError, "index 4 is out of bounds.*size 4"),
    ("take", lambda: ag.take(ag.ones(4), bad(4)), IndexError, "take.*index 4"),
    ("put", lambda: ag.zeros(4).put(bad(-5), ag.ones(1)), IndexError, "put.*index -5"),
    ("indexing", lambda: ag.ones(X)[bad(0, 3)], IndexError, "index 3 is out of bounds for axis 0 with size 3"),
    ("indexing after others", lambda: ag.ones(X)[:, bad(-5)], IndexError, "index -5 is out of bounds for axis 1"),
    ("assignment", lambda: _assigned(ag.zeros(X)), IndexError, "index 7 is out of bounds for axis 0 with size 4"),
    ("index_put", lambda: ag.zeros(4).index_put((bad(4),), ag.ones(1), True), IndexError, "index 4 is out of bounds"),
    ("embedding", lambda: F.embedding(bad(1, 3), ag.ones(X)), IndexError, "embedding: index 3 is out of range.*3 rows"),
    ("cross_entropy", lambda: F.cross_entropy(ag.ones(1, 4), bad(4)), IndexError, "cross_entropy: index 4.*ignore_inde"),
    ("nll_loss", lambda: F.nll_loss(ag.ones(1, 4), bad(-1)), IndexError, "nll_loss: index -1"),
    ("integer division", lambda: ag.ones(2).long() // bad(1, 0), RuntimeError, "floor_divide: ZeroDivisionError"),
    ("one_hot", lambda: F.one_hot(bad(5), 4), RuntimeError, "one_hot"),
    ("max_unpool1d", lambda: F.max_unpool1d(ag.ones(1, 1, 1), bad(9).reshape(1, 1, 1), 2), RuntimeError, "index: 9"),
    ("binary_cross_entropy", lambda: F.binary_cross_entropy(ag.tensor([2.0]), ag.ones(1)), RuntimeError, "between 0"),
    ("gaussian_nll_loss", lambda: F.gaussian_nll_loss(ag.ones(1), ag.ones(1), -ag.ones(1)), ValueError, "var has neg"),
]  # fmt: skip
each = pytest.mark.parametrize(("call", "error", "message"), [c[1:] for c in CHECKS], ids=[c[0] for c in CHECKS])


def _assigned(x: Any) -> Any:
    x[0, bad(7)] = 1.0
    return x


@each
def test_noted_now_raised_at_the_read_out(
    call: Callable[[], Any], error: type[Exception], message: str, cuda_backend: Any
) -> None:
    before = cuda_backend.counts.as_dict()
    result = call()
    after = cuda_backend.counts.as_dict()
    assert (before["to_host"], before["synchronizations"]) == (after["to_host"], after["synchronizations"])
    with pytest.raises(error, match=message):
        result.tolist()
    assert ag.ones(2).tolist() == [1, 1], "an error is raised once"


@each
def test_raised_at_once_where_asked_for(
    call: Callable[[], Any], error: type[Exception], message: str, cuda_backend: Any
) -> None:
    cuda_backend.checks.immediate = True
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("call", "error"), [(c[1], c[2]) for c in CHECKS], ids=[c[0] for c in CHECKS])
def test_the_cpu_raises_at_once(call: Callable[[], Any], error: type[Exception]) -> None:
    with ag.device("cpu"), pytest.raises(error):
        call()


@pytest.mark.parametrize("read", ["item", "print", "bool", "synchronize", "numpy", "float"])
def test_every_read_out_raises(read: str, cuda_backend: Any) -> None:
    ag.gather(ag.ones(2), 0, bad(2))
    x = ag.ones(1)
    reads: dict[str, Callable[[], Any]] = {
        "item": x.item, "print": lambda: repr(x), "bool": lambda: bool(x), "numpy": lambda: x.cpu().numpy(),
        "synchronize": cuda_backend.synchronize, "float": lambda: float(x),
    }  # fmt: skip
    with pytest.raises(RuntimeError, match="gather"):
        reads[read]()


def test_what_is_right_raises_nothing(cuda_backend: Any) -> None:
    x, index = ag.ones(3, 4), bad(-3, 2)
    assert x[index].sum().item() == 8 and x[:, bad(-4)].sum().item() == 3
    assert x[bad(1), ..., bad(-1)].item() == 1 and x[None, bad(2)].sum().item() == 4
    assert x[x[:, 0] > 0, bad(0, 1, 3)].tolist() == [1, 1, 1]
    assert F.cross_entropy(ag.zeros(2, 4), bad(-100, 1)).item() == pytest.approx(1.3862943611198906)
    assert ag.gather(x, 1, ag.zeros(0, 1, dtype=ag.int64)).shape == (0, 1)
    assert F.embedding(ag.zeros(0, dtype=ag.int64), x).shape == (0, 4)
    cuda_backend.synchronize()


def test_the_right_one_of_several_is_raised(cuda_backend: Any) -> None:
    x = ag.ones(4)
    ag.gather(x, 0, bad(1))
    ag.take(x, bad(6))
    ag.take(x, bad(2))
    with pytest.raises(IndexError, match="take.*index 6"):
        x.sum().item()
    ag.take(x, bad(2))
    cuda_backend.synchronize()


def test_more_checks_than_there_are_places(cuda_backend: Any) -> None:
    number = cuda_backend.xp.zeros((), "uint64")
    for i in range(3000):
        cuda_backend.checks.note(Check(ValueError, f"check {i}: {{}}", 1, 0), number)
    cuda_backend.checks.note(Check(ValueError, "the last: {}", 1, 5), number + 3)
    with pytest.raises(ValueError, match="the last: 8"):
        cuda_backend.synchronize()


def test_a_training_step_notes_and_goes_on(cuda_backend: Any) -> None:
    model = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 2))
    optimizer = ag.optim.SGD(model.parameters(), lr=0.1)
    loss = F.cross_entropy(model(ag.tensor([[0, 9]])), bad(1))
    loss.backward()
    optimizer.step()
    with pytest.raises(IndexError, match="embedding: index 9"):
        loss.item()


def test_the_environment_variable(tmp_path: Path) -> None:
    """AUTOGRAD_CORE_CHECK=1 raises on the line, without it the read-out does."""
    program = """
import sys; sys.path[:0] = sys.argv[1:]
import autograd_core as ag, simulated_cuda
ag.register_backend("simulated", lambda: simulated_cuda.SimulatedCudaBackend)
try:
    x = ag.ones(2, device="simulated")[ag.tensor([5], device="simulated")]
except IndexError:
    print("at once")
else:
    try:
        x.item()
    except IndexError:
        print("at the read-out")
"""
    root = Path(__file__).parents[2]
    for value, expected in (("1", "at once"), ("0", "at the read-out"), (None, "at the read-out")):
        environment = {k: v for k, v in os.environ.items() if k != "AUTOGRAD_CORE_CHECK"}
        environment |= {} if value is None else {"AUTOGRAD_CORE_CHECK": value}
        command = [sys.executable, "-c", program, str(root), str(root / "tests")]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stdout + done.stderr


def test_compiled_functions_check_too(cuda_backend: Any) -> None:
    x, ones = ag.arange(4.0), ag.ones(2).long()
    for place in ("cpu", ag.get_default_device()):
        lookup = ag.compile(lambda x, index: ag.gather(x, 0, index) * 2)
        divide = ag.compile(lambda x, y: x // y)
        a, b, on = x.to(place), ones.to(place), {"device": place}
        for _ in range(2):
            assert lookup(a, ag.tensor([1, 2], **on)).tolist() == [2, 4]
            assert divide(b, ag.tensor([1, 1], **on)).tolist() == [1, 1]
        with pytest.raises(RuntimeError, match="gather.*index 9"):
            lookup(a, ag.tensor([1, 9], **on)).tolist()
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            divide(b, ag.tensor([1, 0], **on)).tolist()

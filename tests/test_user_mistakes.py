"""What users get wrong, and the message each mistake gets: the class of PyTorch's error, what was given, and the fix.

Never a wrong number, a silent NaN or a lost file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn, optim
from autograd_core.cli import main as command
from autograd_core.nn import functional as F
from autograd_core.utils import data

PAGE = "docs/differences-from-pytorch.md"


def leaf() -> ag.Tensor:
    return ag.ones(2, 3, requires_grad=True)


def saved_then_changed() -> None:
    y = leaf().exp()
    y.add_(1)
    y.sum().backward()


def view_of_a_leaf() -> None:
    leaf()[0].mul_(2)


class NotStatic(ag.autograd.Function):
    def forward(ctx, x):  # noqa: N805
        return x


def backward_twice() -> None:
    y = (leaf() ** 2).sum()
    y.backward()
    y.backward()


def backward_outside() -> None:
    with ag.no_grad():
        y = leaf().sum()
    y.backward()


def other_device(*_: Any) -> ag.Tensor:
    return ag.ones(2, 3, device="cpu" if ag.get_default_device().type == "simulated" else "simulated")


def wrong_keys(**changes: Any) -> None:
    state = nn.Linear(2, 3).state_dict()
    state.update(changes)
    nn.Linear(2, 3).load_state_dict({key: value for key, value in state.items() if value is not None})


def other_optimizers_state() -> None:
    mine = optim.Adam([leaf()], lr=0.1)
    mine.load_state_dict(optim.Adam([leaf(), leaf()], lr=0.1).state_dict())


# Mistake, what the user wrote, class of error, what the message must hold.
MISTAKES: tuple[tuple[str, Callable[[], Any], type[Exception] | tuple[type[Exception], ...], str], ...] = (
    # Shapes.
    ("matmul of shapes", lambda: ag.ones(2, 3) @ ag.ones(2, 3), RuntimeError, r"\(2, 3\) and \(2, 3\).*transpose"),
    ("batched matmul", lambda: ag.ones(2, 2, 3) @ ag.ones(3, 3, 2), RuntimeError, r"batch dimensions.*\(2, 2, 3\)"),
    ("add of shapes", lambda: ag.ones(2, 3) + ag.ones(2), RuntimeError, r"\(2, 3\) and \(2,\).*broadcast"),
    ("linear of the wrong width", lambda: nn.Linear(4, 2)(ag.ones(5, 3)), RuntimeError, r"3.*4|4.*3"),
    ("conv2d of the wrong channels", lambda: nn.Conv2d(3, 8, 3)(ag.ones(1, 1, 8, 8)), RuntimeError, "channels"),
    ("conv2d kernel too large", lambda: nn.Conv2d(1, 1, 5)(ag.ones(1, 1, 3, 3)), RuntimeError, "[Kk]ernel"),
    ("conv2d of a matrix", lambda: nn.Conv2d(1, 1, 3)(ag.ones(8, 8)), RuntimeError, r"\(8, 8\)"),
    ("batch norm of one sample", lambda: nn.BatchNorm1d(3)(ag.ones(1, 3)), ValueError, "more than 1 value"),
    ("layer norm of the wrong width", lambda: nn.LayerNorm(4)(ag.ones(2, 3)), RuntimeError, r"4.*3|normalized_shape"),
    ("mse of (N,) and (N, 1)", lambda: F.mse_loss(ag.ones(4), ag.ones(4, 1)), (RuntimeError, ValueError), r"\(4, 1\).*\(4,\).*squeeze"),
    ("l1 of (N, 1) and (N,)", lambda: nn.L1Loss()(ag.ones(4, 1), ag.ones(4)), (RuntimeError, ValueError), r"\(4,\).*\(4, 1\).*squeeze"),
    ("reshape", lambda: ag.ones(6).reshape(4, 2), RuntimeError, r"\[4, 2\].*size 6"),
    ("view of a transpose", lambda: ag.ones(2, 3).t().view(6), RuntimeError, "reshape"),
    ("cat of shapes", lambda: ag.cat([ag.ones(2, 3), ag.ones(2, 2)]), RuntimeError, r"\(2, 3\) and \(2, 2\)"),
    ("index of a float", lambda: ag.ones(2)[1.0], IndexError, "float"),
    ("index of a name", lambda: ag.ones(2)["a"], TypeError, "str"),
    ("dimension out of range", lambda: ag.ones(2, 3).sum(dim=2), IndexError, r"\[-2, 1\], got 2"),
    ("assignment of the wrong shape", lambda: ag.ones(3).__setitem__(slice(0, 2), ag.ones(3)), RuntimeError, r"\(2,\).*\(3,\)"),
    # Types and ranges.
    ("class index out of range", lambda: F.cross_entropy(ag.ones(2, 3), ag.tensor([0, 3])), IndexError, r"range.*\[0, 2\]"),
    ("negative class index", lambda: F.cross_entropy(ag.ones(2, 3), ag.tensor([0, -2])), IndexError, r"range.*\[0, 2\]"),
    ("class index as float32 vector", lambda: F.cross_entropy(ag.ones(2, 3), ag.ones(2)), (RuntimeError, ValueError), "long|shape|dtype"),
    ("class index as int32", lambda: F.nll_loss(ag.ones(2, 3), ag.tensor([0, 1], dtype=ag.int32)), RuntimeError, "int32|long|int64"),
    ("embedding index out of range", lambda: nn.Embedding(4, 2)(ag.tensor([4])), IndexError, "4"),
    ("embedding of floats", lambda: nn.Embedding(4, 2)(ag.ones(2)), RuntimeError, "int|long"),
    ("bce target outside [0, 1]", lambda: F.binary_cross_entropy(ag.tensor([1.5]), ag.tensor([1.0])), RuntimeError, "between 0 and 1"),
    ("linear of float64", lambda: nn.Linear(2, 2)(ag.ones(2, 2, dtype=ag.float64)), RuntimeError, "dtype.*float64|float64.*dtype|float32"),
    ("conv2d of integers", lambda: nn.Conv2d(1, 1, 1)(ag.ones(1, 1, 2, 2, dtype=ag.int64)), RuntimeError, "int64"),
    ("mean of integers", lambda: ag.arange(3).mean(), RuntimeError, "int64.*float"),
    ("integer gradient", lambda: ag.arange(3).requires_grad_(), RuntimeError, "int64.*float"),
    ("in-place to another dtype", lambda: ag.arange(3).div_(2), RuntimeError, "float32.*int64"),
    ("softmax without brackets", lambda: F.softmax([1.0, 2.0], 0), TypeError, "list.*ag.tensor"),
    ("NumPy dtype", lambda: ag.ones(2, dtype="float32"), TypeError, "ag.float32"),
    ("dropout probability", lambda: nn.Dropout(1.5), ValueError, "1.5"),
    ("ragged lists", lambda: ag.tensor([[1, 2], [3]]), ValueError, "list"),
    ("overflow", lambda: ag.tensor([300], dtype=ag.uint8), RuntimeError, "300|uint8"),
    ("truth of several values", lambda: bool(ag.ones(2) > 0), RuntimeError, r"\.any\(\) or \.all\(\)"),
    ("item of several values", lambda: ag.ones(2).item(), RuntimeError, "2 elements"),
    # Devices.
    ("mixed devices", lambda: ag.ones(2, 3) + other_device(), RuntimeError, r"on \w+:?\d?, argument 1.*on \w+.*\.to\("),
    ("linear on another device", lambda: nn.Linear(3, 2)(other_device()), RuntimeError, r"on \w+:?\d?, argument 1.*on \w+"),
    ("no such device", lambda: ag.device("gpu"), RuntimeError, "cpu, cuda.*auto"),
    ("bad device index", lambda: ag.device("cuda:x"), RuntimeError, "cuda:0"),
    ("cpu:7", lambda: ag.ones(1, device="cpu:7"), RuntimeError, "cpu:7"),
    ("gradient on another device", lambda: (leaf() * 2).backward(other_device()), RuntimeError, r"\.to\("),
    # The tape.
    ("backward twice", backward_twice, RuntimeError, "retain_graph=True"),
    ("backward from a non-scalar", lambda: (leaf() * 2).backward(), RuntimeError, r"scalar.*\(2, 3\)"),
    ("backward of what no_grad made", backward_outside, RuntimeError, "no_grad"),
    ("in-place on a leaf", lambda: leaf().add_(1), RuntimeError, "leaf.*no_grad"),
    ("in-place on a view of a leaf", view_of_a_leaf, RuntimeError, "view of a leaf"),
    ("in-place on a saved tensor", saved_then_changed, RuntimeError, r"\(2, 3\) that exp saved.*add_"),
    ("in-place on an expanded tensor", lambda: ag.ones(1).expand(3).add_(1), RuntimeError, r"clone\(\)"),
    ("grad of an unused input", lambda: ag.autograd.grad(leaf().sum(), leaf()), RuntimeError, "allow_unused"),
    ("numpy of what requires grad", lambda: leaf().numpy(), RuntimeError, r"detach\(\)"),
    ("detached by flag", lambda: (leaf() * 2).requires_grad_(False), RuntimeError, r"detach\(\)"),
    ("grad of the wrong shape", lambda: setattr(leaf(), "grad", ag.ones(3)), RuntimeError, r"\(3,\).*\(2, 3\)"),
    ("forward that is not static", lambda: NotStatic.apply(leaf()), RuntimeError, "@staticmethod"),
    ("a Function called", lambda: NotStatic()(leaf()), RuntimeError, r"NotStatic\.apply"),
    # Names and losses.
    ("what is not there yet", lambda: ag.bfloat16, AttributeError, "differences-from-pytorch"),
    ("what will never be", lambda: ag.jit, AttributeError, "never.*differences-from-pytorch"),
    ("loss made of its inputs", lambda: nn.MSELoss(ag.ones(2), ag.ones(2)), RuntimeError, r"MSELoss\(\)\(input, target\)"),
    ("one-hot targets of integers", lambda: F.cross_entropy(ag.ones(2, 3), ag.eye(3).long()[:2]), ValueError, "argmax"),
    ("stack of one tensor", lambda: ag.stack(ag.ones(2)), TypeError, "not a Tensor"),
    ("probabilities that are logits", lambda: ag.multinomial(-ag.ones(3), 1), RuntimeError, "softmax"),
    # Modules and their state.
    ("a path for a state_dict", lambda: nn.Linear(1, 1).load_state_dict("model.safetensors"), TypeError, r"ag\.load"),
    ("missing key", lambda: wrong_keys(bias=None), RuntimeError, r"(?s)Missing key.*bias"),
    ("unexpected key", lambda: wrong_keys(scale=ag.ones(1)), RuntimeError, r"(?s)Unexpected key.*scale"),
    ("state of another shape", lambda: wrong_keys(weight=ag.ones(3, 3)), RuntimeError, r"(?s)size mismatch.*weight"),
    ("parameter before super().__init__", lambda: type("M", (nn.Module,), {"__init__": lambda s: setattr(s, "w", nn.Parameter(ag.ones(1)))})(),
     AttributeError, "__init__"),
    ("module without forward", lambda: nn.Module()(ag.ones(1)), NotImplementedError, "forward"),
    ("no such attribute", lambda: nn.Linear(1, 1).wieght, AttributeError, "wieght"),
    # Optimisers and data.
    ("negative learning rate", lambda: optim.SGD([leaf()], lr=-0.1), ValueError, "-0.1"),
    ("empty parameter list", lambda: optim.Adam([]), ValueError, "empty parameter list"),
    ("a tensor for parameters", lambda: optim.SGD(leaf(), lr=0.1), TypeError, r"\[tensor\]"),
    ("a value for a parameter", lambda: optim.SGD([leaf() * 2], lr=0.1), ValueError, "leaf"),
    ("bad beta", lambda: optim.Adam([leaf()], betas=(0.9, 1.0)), ValueError, "1.0"),
    ("state of another optimiser", other_optimizers_state, ValueError, "group|parameters"),
    ("scheduler of no optimiser", lambda: optim.lr_scheduler.StepLR(nn.Linear(1, 1), 3), TypeError, "Optimizer"),
    ("tensors of different length", lambda: data.TensorDataset(ag.ones(2), ag.ones(3)), AssertionError, "size mismatch"),
    ("batch size 0", lambda: data.DataLoader(data.TensorDataset(ag.ones(2)), batch_size=0), ValueError, "batch_size"),
    ("split that does not add up", lambda: data.random_split(data.TensorDataset(ag.ones(4)), [1, 2]), ValueError, "3|4"),
)  # fmt: skip


@pytest.mark.parametrize("call, error, message", [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistake(call: Callable[[], Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_there_are_many() -> None:
    assert len(MISTAKES) >= 30 and len({m[0] for m in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize("name", ag._NOT_YET + ag._NEVER)
def test_the_page_that_the_error_names_has_the_word(name: str) -> None:
    with pytest.raises(AttributeError, match=PAGE):
        getattr(ag, name)
    assert f"`{name}`" in (Path(__file__).resolve().parent.parent / PAGE).read_text(encoding="utf-8")


@pytest.mark.host("it is about a machine without a GPU")
def test_cuda_that_is_not_there() -> None:
    if ag.devices.is_available("cuda"):
        pytest.skip("this machine has a GPU")
    for call in (lambda: ag.ones(1, device="cuda"), lambda: ag.ones(1).cuda(), lambda: nn.Linear(1, 1).to("cuda:1")):
        with pytest.raises(RuntimeError, match="pip install 'cupy|nvidia-smi"):
            call()


# -- files ------------------------------------------------------------------------------------------------


def _idx(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_data_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.mnist(tmp_path / "nowhere")
    whole = struct.pack(">BBBBI", 0, 0, 8, 1, 10) + bytes(10)
    with pytest.raises(ValueError, match="short.*truncated"):
        data.read_idx(_idx(tmp_path, "short", whole[:-3]))
    with pytest.raises(ValueError, match="long"):
        data.read_idx(_idx(tmp_path, "long", whole + b"xyz"))
    with pytest.raises(ValueError, match="foreign"):
        data.read_idx(_idx(tmp_path, "foreign", b"\x89PNG\r\n\x1a\n" + bytes(20)))
    with pytest.raises(ValueError, match=r"broken\.gz"):
        data.read_idx(_idx(tmp_path, "broken.gz", b"\x1f\x8b" + bytes(20)))


def test_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    ag.save({"weight": ag.ones(4, 4), "epoch": 3}, path)
    content = path.read_bytes()
    with pytest.raises(FileNotFoundError, match="absent"):
        ag.load(tmp_path / "absent")
    broken = tmp_path / "broken"
    for damaged in (
        content[:-5],
        content[:20],
        b"",
        bytes(100),
        b"PK\x03\x04" + content,
        content[:-1] + bytes([content[-1] ^ 1]),
    ):
        broken.write_bytes(damaged)
        with pytest.raises(RuntimeError, match="broken"):
            ag.load(broken)
    with pytest.raises(TypeError, match="lambda|function"):
        ag.save({"f": lambda: 0}, path)
    assert path.read_bytes() == content, "a save that failed must leave the old file as it was"
    assert sorted(os.listdir(tmp_path)) == ["broken", "state.safetensors"], "a failed save leaves nothing behind"


@pytest.mark.host("the command line has its own --device")
@pytest.mark.parametrize(
    "arguments, message",
    (
        (["train", "mnist", "--data", "nowhere"], "nowhere"),
        (["train", "digits", "--lr", "-1"], "positive"),
        (["train", "digits", "--epochs", "0"], "positive"),
        (["train", "digits", "--device", "gpu"], "cpu, cuda"),
        (["train", "digits", "--lr", "1e30", "--epochs", "1"], "not finite|nan|inf"),
        (["train", "digits", "--resume", "nowhere"], "nowhere"),
        (["bench", "nothing"], "nothing"),
        (["fly"], "fly"),
    ),
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_command_line(arguments: list[str], message: str, tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    try:
        status = command(arguments)
    except SystemExit as stop:
        status = stop.code
    printed = capfd.readouterr()
    text = printed.out + printed.err
    assert status not in (0, None), f"the mistake passed: {text}"
    assert re.search(message, text, re.IGNORECASE), text
    assert "Traceback" not in text

"""`--device check`: two devices run one program, and the first kernel on which they differ is named.

The checked device is the simulated one, or `cuda` in a run on it; the faults are put into one kernel of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from test_cuda_api import gpu  # noqa: F401 (a fixture)

import autograd_core as ag
from autograd_core import checked_device, devices
from autograd_core.cli import main

F = ag.nn.functional


@pytest.fixture
def checked(device: str) -> Iterator[str]:
    """The device to be checked, as the default device."""
    name = "cuda" if device == "cuda" else "simulated"
    before = ag.get_default_device()
    ag.set_default_device(name)
    yield name
    ag.set_default_device(before)


def _spoil(monkeypatch: pytest.MonkeyPatch, device: str, name: str, spoil: Any) -> None:
    backend = devices.backend_of(device)
    kernel = getattr(backend, name)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        return spoil(kernel(*args, **kwargs))

    monkeypatch.setattr(backend, name, wrong)


def _one_element(x: Any) -> Any:
    flat = x.reshape(-1)
    flat[2:3] = flat[2:3] * 1.01 + 0.01
    return x


def _step() -> None:
    """Forward, backward and an update of a network of many kinds of layers."""
    nn = ag.nn
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(27, 10), nn.Tanh(), nn.LayerNorm(10),
    )  # fmt: skip
    optimizer = ag.optim.Adam(model.parameters())
    x, y = ag.randn(4, 1, 8, 8), ag.randint(10, (4,))
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def test_a_sound_program_passes(checked: str) -> None:
    before = {name: getattr(devices.backend_of(checked), name) for name in ("add", "matmul", "exp")}
    with ag.check_devices(checked) as check:
        _step()
        out, _ = ag.nn.LSTM(3, 4)(ag.randn(5, 2, 3))
        out.sum().backward()
        ag.nn.TransformerEncoderLayer(8, 2, 16)(ag.randn(5, 2, 8)).sum().backward()
        x = ag.randn(5, 4)
        ag.linalg.svd(x)
        ag.topk(x.sort().values, 2)
        ag.exp(ag.tensor([0.0, 1e4, float("nan")]))
        ag.randperm(5)
        assert x[x > 0].numel() == (x > 0).sum()
        with ag.autocast(checked, dtype=ag.float16):
            F.softmax(x @ x.t(), 1)
        x.double().mul_(2)
        x[1:3, ::2].add_(1)
    assert check.compared > 200
    assert {name: getattr(devices.backend_of(checked), name) for name in before} == before


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("linear", [r"linear\(\(4, 27\) float32, \(10, 27\) float32, \(10,\) float32\), at .*model\(x\)"]),
        ("tanh_backward", [r"in backward, called at .*loss.backward\(\)", r"tanh was recorded at .*model\(x\)"]),
        ("adam_", [r"adam_\(", r"optimizer.step\(\)"]),
        ("random_bernoulli", [r"random_bernoulli\(\(2,\) uint64\)"]),
    ],
)
def test_the_first_wrong_kernel_is_named(
    checked: str, monkeypatch: pytest.MonkeyPatch, name: str, phrases: list[str]
) -> None:
    _spoil(monkeypatch, checked, name, _one_element)
    with pytest.raises(ag.DeviceDisagreementError, match=f"disagree in {name}") as caught, ag.check_devices(checked):
        _step()
    text = str(caught.value)
    assert "elements differ, most of all element (" in text and "on cpu" in text and __file__ in text
    for phrase in phrases:
        assert re.search(phrase, text), f"{phrase!r} is not in {text}"


def test_the_worst_element(checked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(x: Any) -> Any:
        x[1, 0], x[1, 2] = 5.0, 7.0
        return x

    _spoil(monkeypatch, checked, "exp", spoil)
    with pytest.raises(
        RuntimeError, match=r"2 of 6 elements differ, most of all element \(1, 2\): 7.0 on .*, 1.0 on cpu"
    ):
        with ag.check_devices(checked):
            ag.exp(ag.zeros(2, 3))


@pytest.mark.parametrize(
    ("dtype", "off", "found"),
    [("float64", 1e-12, False), ("float64", 1e-7, True), ("float32", 1e-6, False), ("float32", 1e-3, True),
     ("float16", 1e-3, False), ("float16", 0.1, True)],
)  # fmt: skip
def test_the_tolerance_is_that_of_the_dtype(
    checked: str, monkeypatch: pytest.MonkeyPatch, dtype: str, off: float, found: bool
) -> None:
    _spoil(monkeypatch, checked, "exp", lambda x: x * (1 + off))
    x = ag.ones(3, dtype=getattr(ag, dtype))
    with ag.check_devices(checked):
        if found:
            with pytest.raises(ag.DeviceDisagreementError):
                ag.exp(x)
        else:
            ag.exp(x)


def test_a_nan_or_another_shape_differs(checked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, checked, "exp", lambda x: x * float("nan"))
    _spoil(monkeypatch, checked, "sin", lambda x: x[:1])
    _spoil(monkeypatch, checked, "argmax", lambda x: x + 1)
    with ag.check_devices(checked):
        with pytest.raises(ag.DeviceDisagreementError, match="nan on"):
            ag.exp(ag.ones(2))
        with pytest.raises(ag.DeviceDisagreementError, match=r"\(1,\) float32, on the other \(2,\) float32"):
            ag.sin(ag.ones(2))
        with pytest.raises(ag.DeviceDisagreementError, match="disagree in argmax"):
            ag.argmax(ag.ones(2))


def test_what_is_refused(checked: str) -> None:
    with pytest.raises(RuntimeError, match="compared with itself"):
        ag.check_devices("cpu")
    with ag.check_devices(checked), pytest.raises(RuntimeError, match="is being checked already"):
        ag.check_devices(checked).__enter__()


@pytest.mark.skipif(ag.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        RuntimeError, match=r"device check compares a CUDA device with the CPU.*(pip install|nvidia-smi)"
    ):
        ag.device("check")
    assert main(["train", "digits", "--device", "check"]) == 2
    assert "--device: device check compares a CUDA device" in capsys.readouterr().err


@pytest.fixture
def whole_process(gpu: bool) -> Iterator[None]:  # noqa: F811
    before = ag.get_default_device()
    yield
    while checked_device._PROCESS:
        checked_device._PROCESS.pop().__exit__()
    ag.set_default_device(before)


def test_device_check_in_a_program(whole_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ag.device("check") == ag.device("cuda:0")
    x = ag.ones(3, device=ag.device("check"))
    assert (x + 1).tolist() == [2.0] * 3
    assert checked_device._PROCESS[0].compared >= 2
    checked_device._PROCESS.pop().__exit__()
    _spoil(monkeypatch, "cuda:0", "exp", _one_element)
    with pytest.raises(ag.DeviceDisagreementError, match="disagree in exp"):
        ag.ones(3, device="check").exp()


def test_on_the_command_line(
    whole_process: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    pytest.importorskip("safetensors", reason="a run saves a checkpoint")
    options = ["train", "digits", "--device", "check", "--epochs", "1", "--limit", "64", "--batch-size", "32", "--out"]
    assert main([*options, str(tmp_path / "sound")]) == 0
    assert checked_device._PROCESS[0].compared > 100
    checked_device._PROCESS.pop().__exit__()
    capsys.readouterr()
    _spoil(monkeypatch, "cuda:0", "linear", _one_element)
    assert main([*options, str(tmp_path / "spoiled")]) == 1
    assert "error: cuda:0 and cpu disagree in linear(" in capsys.readouterr().err

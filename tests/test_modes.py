"""Modes of the tape: gradients on and off, per thread, inference, anomaly detection; and the choice of a device."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import autograd_core as ag


def leaf(*values: float) -> ag.Tensor:
    return ag.tensor(values, dtype=ag.float64, requires_grad=True)


# -- modes ------------------------------------------------------------------------------------------------


def test_modes_as_contexts_decorators_and_in_generators() -> None:
    x = leaf(1.0)

    @ag.no_grad()
    def off() -> bool:
        return (x * 2).requires_grad

    @ag.no_grad()
    def values() -> Any:
        for _ in range(2):
            yield ag.is_grad_enabled()

    @ag.enable_grad()
    def on() -> bool:
        return (x * 2).requires_grad

    assert not off() and ag.is_grad_enabled()
    for inside in values():
        assert not inside and ag.is_grad_enabled(), "the mode of a generator leaks into its consumer"
    with ag.no_grad():
        assert on() and not (x * 2).requires_grad
        with ag.enable_grad():
            assert (x * 2).requires_grad
        with ag.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not ag.is_grad_enabled()
    with pytest.raises(ValueError), ag.no_grad():
        raise ValueError
    assert ag.is_grad_enabled()


def test_no_grad_without_parentheses_is_a_decorator_too() -> None:
    @ag.no_grad
    def off() -> bool:
        return ag.is_grad_enabled()

    assert off() is False and ag.is_grad_enabled()


def test_inference_mode() -> None:
    x = leaf(1.0)
    with ag.inference_mode():
        y = x * 2
        assert ag.is_inference_mode_enabled() and not ag.is_grad_enabled()
    assert y.is_inference() and not y.requires_grad and not x.is_inference()
    assert not ag.is_inference_mode_enabled() and ag.is_grad_enabled()
    with pytest.raises(RuntimeError, match="inference"):
        y.add_(1)
    with pytest.raises(RuntimeError, match="inference"):
        y.requires_grad_()


def test_two_threads_differ_in_grad_mode() -> None:
    x, found = leaf(1.0), {}
    inside, done = threading.Event(), threading.Event()

    def without() -> None:
        with ag.no_grad():
            inside.set()
            done.wait(10)
            found["without"] = (x * 2).requires_grad

    thread = threading.Thread(target=without)
    thread.start()
    inside.wait(10)
    found["with"] = (x * 2).requires_grad
    done.set()
    thread.join()
    assert found == {"with": True, "without": False}


def test_threads_differentiate_their_own_graphs_at_once() -> None:
    failures: list[Any] = []

    def work(seed: int) -> None:
        for i in range(50):
            x = leaf(float(seed), float(i))
            y = x
            for _ in range(20):
                y = y + x * 2
            y.sum().backward()
            if x.grad.tolist() != [41.0, 41.0]:
                failures.append(x.grad.tolist())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


# -- anomaly mode -----------------------------------------------------------------------------------------


def test_anomaly_mode_names_the_forward_line_of_the_first_nan() -> None:
    x = leaf(0.0, 1.0)
    with ag.autograd.detect_anomaly():
        y = x * 2
        z = y.sqrt() * y  # the NaN: 0 * inf in the gradient of sqrt
        with pytest.raises(RuntimeError) as error:
            (z * 0).sqrt().sum().backward()
    text = str(error.value)
    assert "test_modes.py:" in text and "(z * 0).sqrt()" in text, text


def test_anomaly_mode_finds_the_nan_that_began_in_forward() -> None:
    x = leaf(-1.0, 1.0)
    with ag.autograd.detect_anomaly():
        y = x.log()  # the first NaN
        z = y * 2
        w = z.exp() + z
        with pytest.raises(RuntimeError) as error:
            (w * w).sum().backward()
    assert "y = x.log()  # the first NaN" in str(error.value) and "test_modes.py:" in str(error.value)


def test_anomaly_mode_is_quiet_without_a_nan_and_ends_with_its_context() -> None:
    x = leaf(2.0)
    with ag.autograd.detect_anomaly():
        (x.log() * 3).sum().backward()
    assert x.grad.tolist() == [1.5]
    y = (x * 0).sqrt() * (x * 0).sqrt()
    y.sum().backward()  # 0 * inf, unnoticed outside
    assert x.grad.isnan().all()


# -- devices ----------------------------------------------------------------------------------------------


@pytest.mark.host("it is about the choice of a device")
def test_device_auto_falls_back_and_says_so() -> None:
    if ag.devices.is_available("cuda"):
        assert str(ag.device("auto")) == "cuda:0"
        return
    with pytest.warns(UserWarning, match="auto.*CPU.*(CuPy|GPU)"):
        assert str(ag.device("auto")) == "cpu"
    with pytest.raises(RuntimeError, match="CuPy|GPU"):
        ag.zeros(1, device="cuda")


def test_gradients_flow_between_devices() -> None:
    x = leaf(1.0, 2.0)
    y = (x * 2).to("simulated").exp()
    assert str(y.device).startswith("simulated")
    y.cpu().sum().backward()
    assert x.grad.device == x.device
    assert x.grad.tolist() == pytest.approx([2 * 7.38905609893065, 2 * 54.598150033144236])

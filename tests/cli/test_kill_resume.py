"""Training runs killed with SIGKILL, at any moment and in the middle of a write, go on as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag

pytestmark = [
    pytest.mark.host("child processes that train on the CPU"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 needs SIGKILL, which Windows lacks"),
]

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 30
STEPS_PER_EPOCH = 37
EPOCHS = 20
SAVE_EVERY = 5


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data set in MNIST's format: ten noisy patterns of 8 x 8 pixels."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (10, 8, 8))
    for prefix, count in (("train", 8 * STEPS_PER_EPOCH), ("t10k", 20)):
        labels = rng.integers(0, 10, count)
        images = np.clip(patterns[labels] + rng.normal(0, 60, (count, 8, 8)), 0, 255)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return folder


def start(data: Path, out: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "autograd_core", "train", "mnist", "--data", str(data), "--out", str(out)]
    command += ["--epochs", str(EPOCHS), "--batch-size", "8", "--checkpoint-every", str(SAVE_EVERY), "--device", "cpu"]
    if (out / "checkpoint.safetensors").exists():
        command.append("--resume")
    # One thread: on arrays this small more only cost, above all where other processes want the cores.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=out.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def identity(path: Path) -> int:
    """The file's inode: another one after each checkpoint. 0 where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def half_written(out: Path) -> set[Path]:
    return set(out.glob(".checkpoint.safetensors.*.tmp"))


def kill_after(child: "subprocess.Popen[str]", out: Path, checkpoints: int, delay: float) -> None:
    """Kill `child` `delay` seconds after it has written this many checkpoints."""
    last = identity(out / "checkpoint.safetensors")
    while checkpoints and child.poll() is None:  # So it is in the middle of training, not of starting.
        now = identity(out / "checkpoint.safetensors")
        if now != last:
            last, checkpoints = now, checkpoints - 1
        time.sleep(0.0005)
    time.sleep(delay)
    child.kill()


def kill_during_write(child: "subprocess.Popen[str]", out: Path, old: set[Path]) -> None:
    """Kill `child` while the new file has its temporary name. A stopped process cannot rename it before it dies."""
    while child.poll() is None:
        if half_written(out) - old:
            child.send_signal(signal.SIGSTOP)
            time.sleep(0.001)
            if half_written(out) - old:
                break
            child.send_signal(signal.SIGCONT)
    child.kill()


def test_killed_runs_continue_bit_for_bit(data: Path, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    whole = start(data, straight)
    output, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, output

    killed.mkdir()
    chance = random.Random(0)
    mid_epoch = writes = 0
    steps = [0]
    for kill in range(KILLS):
        old = half_written(killed)
        child = start(data, killed)
        if kill % 3 == 0:
            kill_during_write(child, killed, old)
        else:
            kill_after(child, killed, checkpoints=chance.randrange(1, 4), delay=0.02 * chance.random())
        output, _ = child.communicate(timeout=300)
        assert child.returncode == -signal.SIGKILL, f"ended by itself at kill {kill}: {output}"
        writes += bool(half_written(killed) - old)  # A dead process's new file that never got its name.
        if not (killed / "checkpoint.safetensors").exists():
            continue
        state = ag.load(killed / "checkpoint.safetensors")  # What a kill leaves is always whole.
        steps.append(state["position"]["step"])
        mid_epoch += state["loader"]["given"] is not None
    print(f"{KILLS} kills: {mid_epoch} left a checkpoint in mid-epoch, {writes} fell into a write; at steps {steps}")
    child = start(data, killed)
    output, _ = child.communicate(timeout=300)
    assert child.returncode == 0, output
    assert f"at step {steps[-1]} of {EPOCHS * STEPS_PER_EPOCH}" in output

    assert steps == sorted(steps) and steps[-1] > 100, f"the killed runs made no headway: {steps}"
    assert mid_epoch >= 20, f"only {mid_epoch} kills fell after the first checkpoint in mid-epoch"
    assert writes >= 5, f"only {writes} kills fell into a write"
    expected, found = (ag.load(out / "checkpoint.safetensors") for out in (straight, killed))
    assert found["history"] == expected["history"]
    for part in ("model", "optimizer", "random"):
        assert_same_bits(expected[part], found[part], part)
    assert not half_written(killed), "what the killed writes left behind was never removed"


def assert_same_bits(expected: Any, found: Any, place: str) -> None:
    assert type(expected) is type(found), place
    if isinstance(expected, ag.Tensor):
        assert expected.numpy().tobytes() == found.numpy().tobytes(), f"{place} differs"
    elif isinstance(expected, dict):
        assert expected.keys() == found.keys(), place
        for key in expected:
            assert_same_bits(expected[key], found[key], f"{place}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(found), place
        for index, pair in enumerate(zip(expected, found, strict=True)):
            assert_same_bits(*pair, f"{place}[{index}]")
    else:
        assert expected == found, place

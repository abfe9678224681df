"""ag.save and ag.load where something goes wrong: what is refused, and that no failure loses a file."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from saved_files import forge, same, write_raw
from saved_files import path as path  # the fixture

import autograd_core as ag
from autograd_core._atomic import write_atomically
from autograd_core.serialization import CheckpointError, load, save

pytest.importorskip("safetensors", reason="checkpoints need safetensors")

Pair = namedtuple("Pair", "a b")


# ---- what is refused

REFUSED = [
    (
        lambda: {"optimizer": {"state": [0, 1, 2, object()]}},
        TypeError,
        r"obj\['optimizer'\]\['state'\]\[3\] is a .*obj",
    ),
    (lambda: {1, 2}, TypeError, r"obj is a builtins\.set"),
    (lambda: {"f": abs}, TypeError, r"obj\['f'\]"),
    (lambda: [b"bytes"], TypeError, r"obj\[0\] is a builtins\.bytes"),
    (lambda: {"z": 1j}, TypeError, r"obj\['z'\] is a builtins\.complex"),
    (lambda: Pair(1, 2), TypeError, "Pair"),
    (lambda: {(1, 2): 3}, TypeError, r"obj has the key \(1, 2\) of type tuple; use str or int"),
    (lambda: {"a": {True: 1}}, TypeError, r"obj\['a'\] has the key True of type bool"),
    (lambda: {1.5: 1}, TypeError, "key 1.5 of type float"),
    (lambda: {"x": np.zeros(2)}, TypeError, r"obj\['x'\] is a numpy\.ndarray.*ag\.from_numpy"),
    (lambda: [ag.Generator()], TypeError, r"obj\[0\].*get_state\(\)"),
    (lambda: {"d": ag.float32}, TypeError, r"obj\['d'\]"),
    (lambda: _cycle(), ValueError, r"obj\['me'\]\[0\] contains itself"),
    (lambda: _deep(), ValueError, "nested more than 200 deep"),
]


def _cycle():
    inner = []
    outer = {"me": [inner]}
    inner.append(outer)
    outer["me"][0] = outer
    return outer


def _deep():
    obj = []
    for _ in range(5000):
        obj = [obj]
    return obj


@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=[case[2] for case in REFUSED])
def test_refused_objects_name_the_place_and_leave_the_old_file(make, error, message, path):
    save({"old": 1}, path)
    with pytest.raises(error, match=message):
        save(make(), path)
    assert load(path) == {"old": 1}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_path_mistakes(tmp_path):
    for error, call in [
        (FileNotFoundError, lambda: save(1, tmp_path / "no" / "file")),
        (IsADirectoryError, lambda: save(1, tmp_path)),
        (TypeError, lambda: save(1, 3)),
        (FileNotFoundError, lambda: load(tmp_path / "missing")),
        (IsADirectoryError, lambda: load(tmp_path)),
        (TypeError, lambda: load(None)),
        (TypeError, lambda: load(tmp_path / "missing", map_location=lambda storage, place: storage)),
    ]:
        with pytest.raises(error):
            call()
    assert not list(tmp_path.iterdir())


# ---- failures while writing


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_no_litter(function, path, monkeypatch):
    save({"old": 1}, path)
    with monkeypatch.context() as patch:

        def refuse(*args, **kwargs):
            raise OSError(28, "No space left on device")

        patch.setattr(os, function, refuse)
        with pytest.raises(OSError, match="No space left"):
            save({"new": ag.zeros(10)}, path)
    assert load(path) == {"old": 1}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file_and_no_litter(path):
    resource = pytest.importorskip("resource", reason="this system cannot limit the size of files")
    save({"old": 1}, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            save({"new": ag.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load(path) == {"old": 1}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "runs").mkdir()
    link = tmp_path / "latest"
    try:
        link.symlink_to(tmp_path / "runs" / "file")
    except OSError:
        pytest.skip("this system makes no symbolic links")
    save({"a": 1}, link)
    assert link.is_symlink() and load(tmp_path / "runs" / "file") == {"a": 1}


def test_threads_saving_to_one_path_never_tear_it(path):
    versions = [{"number": ag.full((20_000,), float(k)), "k": k} for k in range(4)]
    save(versions[0], path)
    stop = threading.Event()
    failures = []

    def write(version):
        try:
            while not stop.is_set():
                save(version, path)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            loaded = load(path)
            assert (loaded["number"] == loaded["k"]).all().item()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_writers_never_take_each_others_file_for_a_leftover(path):
    failures = []

    def write():
        try:
            for _ in range(400):
                write_atomically(path, [b"content"])
        except OSError as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=write) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


WRITER = """
import sys
import autograd_core as ag
from autograd_core.serialization import load, save
path, step = sys.argv[1], int(sys.argv[2])
while True:
    step += 1
    save({"step": step, "weights": [ag.full((300_000,), float(step)) for _ in range(4)]}, path)
    print(step, flush=True)
"""


def _leftovers(path):
    return {name for name in os.listdir(path.parent) if name.endswith(".tmp")}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_kill_9_while_writing_leaves_the_old_or_the_new_version(path):
    kills, torn_off, seen, leftovers = 24, 0, 0, set()
    pause = random.Random(0)
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
    for kill in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(seen)], stdout=subprocess.PIPE, text=True, env=environment
        )
        written = int(child.stdout.readline())
        if kill % 2:  # aim at a write: its new file has just appeared
            deadline = time.monotonic() + 5
            while not _leftovers(path) - leftovers and time.monotonic() < deadline:
                pass
            time.sleep(pause.uniform(0, 0.002))
        else:
            time.sleep(pause.uniform(0, 0.03))
        child.kill()
        written = int((child.stdout.read().split() or [written])[-1])
        child.wait()
        torn_off += bool(_leftovers(path) - leftovers)
        leftovers = _leftovers(path)
        loaded = load(path)
        assert loaded["step"] in (written, written + 1)
        assert all((weight.numpy() == loaded["step"]).all() for weight in loaded["weights"])
        seen = loaded["step"]
    assert torn_off >= 5, f"only {torn_off} of {kills} kills came during a write: this proves little"
    save({"step": -1}, path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "the next save removes what was left behind"


# ---- files that cannot be loaded


def test_every_truncation_is_noticed(path):
    save({"a": ag.arange(5), "b": [1.5, "x"]}, path)
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(CheckpointError, match=path.name):
            load(path)
    path.write_bytes(raw + b"\0")
    with pytest.raises(CheckpointError, match=path.name):
        load(path)


def test_a_flipped_bit_in_any_byte_is_noticed_or_harmless(path):
    obj = {"a": ag.arange(3), "b": [1.5, "x", (2,)], "c": ag.ones(2, 1, requires_grad=True)}
    save(obj, path)
    raw = path.read_bytes()
    noticed = 0
    bits = random.Random(0)
    for place in range(len(raw)):
        bit = bits.randrange(8)
        damaged = bytearray(raw)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            loaded = load(path)
        except CheckpointError as error:
            assert path.name in str(error)
            noticed += 1
        else:
            assert same(loaded, obj), f"bit {bit} of byte {place}"
    assert noticed > 0.95 * len(raw)


FOREIGN = [
    (b"", "is empty"),
    (b"PK\x03\x04" + bytes(100), "torch.save"),
    (b"\x80\x02}q\x00.", "pickle"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a safetensors file"),
    (b"hello, world, this is some text", "not a safetensors file"),
    (b"\xff" * 100, "not a safetensors file"),
    ((500).to_bytes(8, "little") + b'{"a": ', "cut short"),
]


@pytest.mark.parametrize(("content", "message"), FOREIGN, ids=[case[1] for case in FOREIGN])
def test_foreign_files(content, message, path):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path.name}.*{message}"):
        load(path)


def test_structures_that_make_no_sense(path):
    for change in (
        lambda text: text.replace('"tensors"', '"tensor5"'),
        lambda text: text.replace('{"tensor": 0}', '{"tensor": 7}'),
        lambda text: text.replace('{"tensor": 0}', '{"unknown": 0}'),
        lambda text: text.replace('{"tensor": 0}', '{"dict": [[[], 1]]}'),
        lambda text: text.replace('"data": "a"', '"data": "b"'),
        lambda text: "[" * 100_000,
        lambda text: "3",
    ):
        save({"a": ag.arange(5)}, path)
        forge(path, change)
        with pytest.raises(CheckpointError, match=path.name):
            load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"offset": 4', '"offset": 9'), ('"shape": [4]', '"shape": [9]'), ('"stride": [1]', '"stride": [-1]')],
)
def test_views_that_leave_their_memory_are_refused(old, new, path):
    base = ag.arange(12.0).reshape(3, 4)
    save([base, base[1]], path)
    forge(path, lambda text: text.replace(old, new))
    with pytest.raises(CheckpointError, match="leaves its 12 elements"):
        load(path)


def test_a_newer_format_is_refused(path):
    for metadata in ({"autograd_core.v2": "{}", "autograd_core.crc32": "0"}, {"autograd_core.crc32": "0"}):
        write_raw(path, {"__metadata__": metadata})
        with pytest.raises(CheckpointError, match="upgrade autograd-core"):
            load(path)


@pytest.mark.parametrize(("code", "name"), [("F8_E4M3", "F8_E4M3"), ("U16", "U16")])
def test_dtypes_not_supported_are_named(code, name, path):
    size = 1 if code.startswith("F8") else 2
    write_raw(path, {"x": {"dtype": code, "shape": [2], "data_offsets": [0, 2 * size]}}, bytes(2 * size))
    with pytest.raises(CheckpointError, match=f"tensor 'x' has dtype {name}.*not supported.*float32"):
        load(path)

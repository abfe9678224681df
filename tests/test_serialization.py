"""ag.save and ag.load: what comes back, what is refused, and that no failure loses a file."""

import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag
from autograd_core._atomic import write_atomically
from autograd_core.serialization import CheckpointError, load, save

pytest.importorskip("safetensors", reason="checkpoints need safetensors")
pytest.importorskip("hypothesis", reason="some of the values that are saved are drawn by hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
Pair = namedtuple("Pair", "a b")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def round_trip(obj, path):
    save(obj, path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return load(path)


def same(a, b):
    """Equal in type, structure, and every bit; only a NaN outside of tensors may lose its sign."""
    if type(a) is not type(b):
        return False
    if isinstance(a, ag.Tensor):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.requires_grad == b.requires_grad
            and a.detach().cpu().numpy().tobytes() == b.detach().cpu().numpy().tobytes()
        )
    if isinstance(a, dict):
        return [*a] == [*b] and all(type(k) is type(m) and same(a[k], b[m]) for k, m in zip(a, b, strict=True))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return math.isnan(a) and math.isnan(b) or a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b


VALUES = [
    None,
    True,
    0,
    -1,
    2**80,
    0.1,
    -0.0,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    "",
    'naïve ✓ \ud800 \0 " \\',
    [],
    (),
    {},
    [[], [()], {"": {}}],
    (1, 1.0, True, None, "1"),
    {1: "int", "1": "str", -5: [1, (2, {"x": 3})]},
    {"dict": [1], "tuple": (2,), "tensor": 0, "float": "nan"},
    {"betas": (0.9, 0.999), "lr": 1e-3, "nested": {"state": {0: {"step": 3}}}},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values_come_back_as_they_were(value, path):
    assert same(round_trip(value, path), value)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_and_shape(name, shape, path):
    array = np.asarray(np.random.default_rng(0).integers(0, 100, shape)).astype(name)
    tensor = ag.from_numpy(array)
    loaded = round_trip({"x": tensor}, path)["x"]
    assert same(loaded, tensor)
    assert str(loaded.dtype).split(".")[-1] == name


def test_special_floats_keep_their_bits(path):
    bits = np.array([0x7FC00001, 0xFFC12345, 0x7F800000, 0xFF800000, 0x80000000, 0x00000001], np.uint32)
    tensor = ag.from_numpy(bits.view(np.float32).copy())
    assert (round_trip(tensor, path).numpy().view(np.uint32) == bits).all()


NON_CONTIGUOUS = {
    "transposed": lambda: ag.arange(6).reshape(2, 3).t(),
    "permuted": lambda: ag.arange(24).reshape(2, 3, 4).permute(1, 2, 0),
    "column": lambda: ag.arange(6).reshape(2, 3)[:, 1],
    "step": lambda: ag.arange(10)[1::3],
    "expanded": lambda: ag.arange(3).reshape(3, 1).expand(3, 4),
}


@pytest.mark.parametrize("name", NON_CONTIGUOUS)
def test_non_contiguous(name, path):
    tensor = NON_CONTIGUOUS[name]()
    loaded = round_trip([tensor], path)[0]
    assert loaded.tolist() == tensor.tolist()
    if name in ("transposed", "permuted"):
        assert loaded.stride() == tensor.stride()  # a resumed product then rounds the same way


def test_loaded_tensors_can_be_written(path):
    loaded = round_trip({"x": ag.zeros(3), "y": ag.zeros(2, 2).t()}, path)
    loaded["x"][0] = 5.0
    loaded["y"].add_(1)
    assert loaded["x"].tolist() == [5, 0, 0] and loaded["y"].sum().item() == 4
    assert load(path)["x"].tolist() == [0, 0, 0]


def test_requires_grad_comes_back_and_the_graph_does_not(path):
    leaf = ag.ones(2, requires_grad=True)
    loaded = round_trip({"leaf": leaf, "result": leaf * 2, "plain": ag.ones(2)}, path)
    assert [loaded[key].requires_grad for key in ("leaf", "result", "plain")] == [True, True, False]
    assert all(tensor.is_leaf and tensor.grad is None for tensor in loaded.values())


def test_a_parameter_becomes_a_tensor(path):
    nn = pytest.importorskip("autograd_core.nn")
    if not hasattr(nn, "Parameter"):
        pytest.skip("nn.Parameter is not there yet")
    loaded = round_trip(nn.Parameter(ag.ones(2)), path)
    assert type(loaded) is ag.Tensor and loaded.requires_grad


CONVERTED = [
    (np.float64(0.1), 0.1),
    (np.float32(0.5), 0.5),
    (np.int32(-3), -3),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
]


@pytest.mark.parametrize(("given_", "expected"), CONVERTED, ids=lambda value: repr(value))
def test_converted_values(given_, expected, path):
    assert same(round_trip([given_], path), [expected])


def test_a_size_becomes_a_tuple(path):
    assert same(round_trip(ag.zeros(2, 3).shape, path), (2, 3))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
arrays = st.sampled_from(DTYPES).flatmap(
    lambda name: st.lists(st.integers(0, 1), max_size=3).map(lambda values: np.array(values, name))
)
objects = st.recursive(
    scalars | arrays.map(lambda array: ag.from_numpy(array)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(obj=objects)
def test_any_nested_object(obj, tmp_path_factory):
    assert same(round_trip(obj, tmp_path_factory.mktemp("any") / "f"), obj)


# ---- tensors that share memory


def test_the_same_tensor_twice_is_stored_once_and_is_one_tensor_again(path):
    weight = ag.rand(1000)
    loaded = round_trip({"encoder": weight, "decoder": [weight]}, path)
    assert loaded["encoder"] is loaded["decoder"][0]
    assert path.stat().st_size < 1.5 * 4000


def _tied():
    base = ag.arange(12.0).reshape(3, 4)
    yield "detached", [base, base.detach()]
    yield "row", [base, base[1]]
    yield "row first", [base[1], base]
    yield "transpose", [base, base.t()]
    yield "overlapping slices", [base[:2], base[1:]]
    yield "columns", [base[:, :3], base[:, 1:]]
    yield "element", [base, base[2, 3]]
    yield "flat", [base.view(-1), base, base[0]]


@pytest.mark.parametrize("case", range(8))
def test_shared_memory_is_stored_once_and_shared_again(case, path):
    name, tensors = list(_tied())[case]
    loaded = round_trip(tensors, path)
    assert [t.tolist() for t in loaded] == [t.tolist() for t in tensors], name
    # A change through one shows in the others exactly where it does in the originals.
    for original, copy in zip(tensors, loaded, strict=True):
        original.mul_(2).add_(1)
        copy.mul_(2).add_(1)
        assert [t.tolist() for t in loaded] == [t.tolist() for t in tensors], name
    assert len({t._version for t in loaded}) == 1, "one storage has one count of its changes"
    assert sum(1 for key in _header(path) if key != "__metadata__") == 1


def test_neighbours_that_do_not_overlap_stay_apart(path):
    first, second = ag.arange(4.0).reshape(2, 2)
    save({"a": first, "b": second}, path)
    assert set(_header(path)) == {"__metadata__", "a", "b"}


def test_the_whole_lends_its_name_and_shape(path):
    weight = ag.arange(6.0).reshape(2, 3)
    save({"row": weight[1], "weight": weight}, path)
    assert _header(path)["weight"]["shape"] == [2, 3]


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


def test_repeated_containers_are_no_cycle(path):
    item = [1]
    assert round_trip({"a": item, "b": [item, item]}, path) == {"a": [1], "b": [[1], [1]]}


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


def _header(path):
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])


def _write_raw(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def _forge(path, change, checksum=True):
    """Change the structure in a file, and make its checksum right again."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = _header(path)
    text = change(header["__metadata__"]["autograd_core.v1"])
    header["__metadata__"]["autograd_core.v1"] = text
    if checksum:
        header["__metadata__"]["autograd_core.crc32"] = f"{zlib.crc32(text.encode()):08x}"
    _write_raw(path, header, raw[start:])


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
        _forge(path, change)
        with pytest.raises(CheckpointError, match=path.name):
            load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"offset": 4', '"offset": 9'), ('"shape": [4]', '"shape": [9]'), ('"stride": [1]', '"stride": [-1]')],
)
def test_views_that_leave_their_memory_are_refused(old, new, path):
    base = ag.arange(12.0).reshape(3, 4)
    save([base, base[1]], path)
    _forge(path, lambda text: text.replace(old, new))
    with pytest.raises(CheckpointError, match="leaves its 12 elements"):
        load(path)


def test_a_newer_format_is_refused(path):
    for metadata in ({"autograd_core.v2": "{}", "autograd_core.crc32": "0"}, {"autograd_core.crc32": "0"}):
        _write_raw(path, {"__metadata__": metadata})
        with pytest.raises(CheckpointError, match="upgrade autograd-core"):
            load(path)


@pytest.mark.parametrize(("code", "name"), [("F8_E4M3", "F8_E4M3"), ("U16", "U16")])
def test_dtypes_not_supported_are_named(code, name, path):
    size = 1 if code.startswith("F8") else 2
    _write_raw(path, {"x": {"dtype": code, "shape": [2], "data_offsets": [0, 2 * size]}}, bytes(2 * size))
    with pytest.raises(CheckpointError, match=f"tensor 'x' has dtype {name}.*not supported.*float32"):
        load(path)


# ---- devices, and files of and for other programs


def test_bfloat16_becomes_float32_value_for_value(path):
    bits = np.array([0x3F80, 0xC040, 0x0001, 0x7F80, 0xFFC0], "<u2")  # 1, -3, the smallest, infinity, NaN
    header = {
        "before": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]},
        "x": {"dtype": "BF16", "shape": [5, 1], "data_offsets": [2, 12]},
    }
    _write_raw(path, header, np.float16(2.5).tobytes() + bits.tobytes())
    loaded = load(path)
    assert loaded["x"].dtype == ag.float32 and loaded["x"].shape == (5, 1)
    assert loaded["x"].flatten().tolist()[:4] == [1.0, -3.0, 2.0**-133, float("inf")] and loaded["x"].isnan()[4].item()
    assert loaded["before"].dtype == ag.float16 and loaded["before"].tolist() == [2.5]


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_a_pytorch_model_saved_as_safetensors_loads(name, path):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    from safetensors.torch import save_file

    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).to(getattr(torch, name))
    save_file(theirs.state_dict(), path, metadata={"format": "pt"})
    ours = ag.nn.Sequential(ag.nn.Linear(3, 4), ag.nn.BatchNorm1d(4))
    ours.load_state_dict(load(path, map_location=ag.get_default_device()))
    for key, value in theirs.state_dict().items():
        found = ours.state_dict()[key].double().cpu().numpy()
        assert (found == value.double().numpy().astype("float32")).all(), key


def test_map_location(path):
    save({"x": ag.ones(2, device="cpu"), "y": 1}, path)
    for place in ("cpu", ag.device("cpu"), {"cpu": "cpu"}, {"cuda:0": "cpu"}, None):
        assert str(load(path, map_location=place)["x"].device) == "cpu"
    _forge(path, lambda text: text.replace('"device": "cpu"', '"device": "cuda:77"'))
    assert load(path, map_location="cpu")["x"].tolist() == [1, 1]
    assert load(path, map_location={"cuda:77": "cpu"})["x"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match=r"cuda:77.*map_location=\"cpu\""):
        load(path)


def test_plain_safetensors_files_give_a_flat_dict(path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    arrays = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "flag": np.array([True])}
    for metadata in (None, {"format": "pt"}):
        numpy_files.save_file(arrays, path, metadata=metadata)
        loaded = load(path)
        assert {name: tensor.tolist() for name, tensor in loaded.items()} == {
            "layer.weight": [[0, 1, 2], [3, 4, 5]],
            "flag": [True],
        }
        assert loaded["layer.weight"].dtype == ag.float32


def test_other_programs_read_our_tensors(path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    state = {f"t.{name}": ag.from_numpy(np.ones((2, 3), name)) for name in DTYPES}
    save({"model": {**state, "0d": ag.tensor(3.0), "none": ag.zeros(0, 2), "t": ag.arange(6).reshape(2, 3).t()}}, path)
    arrays = numpy_files.load_file(path)
    for name in DTYPES:
        array = arrays[f"model.t.{name}"]
        assert array.dtype == name and array.shape == (2, 3) and (array == 1).all()
    assert arrays["model.0d"] == 3 and arrays["model.none"].shape == (0, 2)
    assert arrays["model.t"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_pytorch_reads_our_files_and_we_read_its(path):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    from safetensors.torch import load_file, save_file

    save({"weight": ag.arange(6.0).reshape(2, 3)}, path)
    assert torch.equal(load_file(path)["weight"], torch.arange(6.0).reshape(2, 3))
    save_file({"weight": torch.arange(6.0).reshape(2, 3)}, path)
    assert load(path)["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    torch.save({"weight": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="safetensors.torch.save_file"):
        load(path)


def test_file_objects() -> None:
    buffer = io.BytesIO(b"before")
    buffer.seek(6)
    ag.save({"weight": ag.arange(3), "step": 3}, buffer)
    buffer.seek(6)
    loaded = ag.load(buffer)
    assert loaded["weight"].tolist() == [0, 1, 2] and loaded["step"] == 3
    for damaged in (b"", buffer.getvalue()[6:-2]):
        with pytest.raises(ag.serialization.CheckpointError, match="BytesIO cannot be loaded"):
            ag.load(io.BytesIO(damaged))
    for use in (lambda f: ag.save({}, f), ag.load):
        with pytest.raises(TypeError, match="binary mode, got a StringIO"):
            use(io.StringIO())
        with pytest.raises(TypeError, match="a path or a binary file object, got a int"):
            use(3)

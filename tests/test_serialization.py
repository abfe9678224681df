"""ag.save and ag.load: what comes back, in which form, and from the files of other programs."""

import io
import math
from collections import OrderedDict

import numpy as np
import pytest
from saved_files import forge, header_of, same, write_raw
from saved_files import path as path  # the fixture

import autograd_core as ag
from autograd_core.serialization import CheckpointError, load, save

pytest.importorskip("safetensors", reason="checkpoints need safetensors")
pytest.importorskip("hypothesis", reason="some of the values that are saved are drawn by hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def round_trip(obj, path):
    save(obj, path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return load(path)


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


def test_repeated_containers_are_no_cycle(path):
    item = [1]
    assert round_trip({"a": item, "b": [item, item]}, path) == {"a": [1], "b": [[1], [1]]}


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
    assert sum(1 for key in header_of(path) if key != "__metadata__") == 1


def test_neighbours_that_do_not_overlap_stay_apart(path):
    first, second = ag.arange(4.0).reshape(2, 2)
    save({"a": first, "b": second}, path)
    assert set(header_of(path)) == {"__metadata__", "a", "b"}


def test_the_whole_lends_its_name_and_shape(path):
    weight = ag.arange(6.0).reshape(2, 3)
    save({"row": weight[1], "weight": weight}, path)
    assert header_of(path)["weight"]["shape"] == [2, 3]


# ---- devices, file objects, and files of and for other programs


def test_map_location(path):
    save({"x": ag.ones(2, device="cpu"), "y": 1}, path)
    for place in ("cpu", ag.device("cpu"), {"cpu": "cpu"}, {"cuda:0": "cpu"}, None):
        assert str(load(path, map_location=place)["x"].device) == "cpu"
    forge(path, lambda text: text.replace('"device": "cpu"', '"device": "cuda:77"'))
    assert load(path, map_location="cpu")["x"].tolist() == [1, 1]
    assert load(path, map_location={"cuda:77": "cpu"})["x"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match=r"cuda:77.*map_location=\"cpu\""):
        load(path)


def test_file_objects(tmp_path) -> None:
    buffer = io.BytesIO(b"before")
    buffer.seek(6)
    ag.save({"weight": ag.arange(3), "step": 3}, buffer)
    buffer.seek(6)
    loaded = ag.load(buffer)
    assert loaded["weight"].tolist() == [0, 1, 2] and loaded["step"] == 3
    for damaged in (b"", buffer.getvalue()[6:-2]):
        with pytest.raises(ag.serialization.CheckpointError, match="^BytesIO cannot be loaded"):
            ag.load(io.BytesIO(damaged))
    (tmp_path / "model").write_bytes(buffer.getvalue()[6:-2])
    with pytest.raises(ag.serialization.CheckpointError) as of_path:
        ag.load(tmp_path / "model")
    with pytest.raises(ag.serialization.CheckpointError) as of_file, open(tmp_path / "model", "rb") as file:
        ag.load(file)
    assert str(of_file.value) == str(of_path.value)
    for use in (lambda f: ag.save({}, f), ag.load):
        with pytest.raises(TypeError, match="binary mode, got a StringIO"):
            use(io.StringIO())
        with pytest.raises(TypeError, match="a path or a binary file object, got a int"):
            use(3)


def test_bfloat16_becomes_float32_value_for_value(path):
    bits = np.array([0x3F80, 0xC040, 0x0001, 0x7F80, 0xFFC0], "<u2")  # 1, -3, the smallest, infinity, NaN
    header = {
        "before": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]},
        "x": {"dtype": "BF16", "shape": [5, 1], "data_offsets": [2, 12]},
    }
    write_raw(path, header, np.float16(2.5).tobytes() + bits.tobytes())
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

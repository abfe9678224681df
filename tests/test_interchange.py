"""Tensors and the arrays of others: shared memory by `from_numpy`, DLPack, buffers and `__array__`."""

import array
import copy
import pickle

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import nn, optim

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
host = pytest.mark.host("memory shared with NumPy is host memory")


def read_only(values):
    values = np.asarray(values)
    values.flags.writeable = False
    return values


# ---- from_numpy, asarray, frombuffer


@host
@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("make", [ag.from_numpy, ag.as_tensor, ag.asarray, ag.from_dlpack], ids=lambda f: f.__name__)
def test_memory_is_shared_both_ways(make, name):
    a = np.zeros((2, 3), name)[:, ::2]
    x = make(a)
    assert x.dtype is getattr(ag, name) and x.shape == (2, 2) and x.stride() == (3, 2)
    a[0, 1] = 1
    x[1, 0] = 1
    assert x.tolist() == a.tolist() == [[0, 1], [1, 0]]
    assert np.shares_memory(x.numpy(), a)


@host
def test_read_only_memory_is_never_written_to():
    a = read_only(np.ones(3))
    with pytest.warns(UserWarning, match="from_numpy: the array is read-only.*copied"):
        x = ag.from_numpy(a)
    with pytest.warns(UserWarning, match="frombuffer: the buffer is read-only"):
        y = ag.frombuffer(b"\x01\x02", dtype=ag.uint8)
    for t in (x, y, ag.as_tensor(a), ag.asarray(a), ag.from_dlpack(a), ag.asarray(b"\x01", dtype=ag.uint8)):
        t.add_(1)
    assert a.tolist() == [1, 1, 1] and x.tolist() == [2, 2, 2] and y.tolist() == [2, 3]


@host
def test_asarray_copies_as_told():
    x = ag.ones(2, requires_grad=True)
    assert ag.asarray(x) is x and ag.asarray(x, copy=False) is x
    assert not ag.asarray(x, requires_grad=False).requires_grad
    assert ag.asarray(x, copy=True).data_ptr() != x.data_ptr()
    a = np.ones(2)
    b = ag.asarray(a, copy=True)
    a[0] = 5
    assert b.tolist() == [1, 1] and ag.asarray(a, dtype=ag.float32).dtype is ag.float32
    assert ag.asarray([1, 2.5], requires_grad=True).requires_grad
    assert ag.asarray(3).tolist() == 3 and ag.asarray(np.float64(3)).dtype is ag.float64
    data = array.array("h", [1, 2, 3])
    x = ag.asarray(data, dtype=ag.int16)
    x[0] = 9
    assert data[0] == 9
    y = ag.asarray(np.ones(2, np.float32), requires_grad=True)
    (y * 2).sum().backward()
    assert y.grad.tolist() == [2, 2]


@host
def test_frombuffer():
    data = bytearray(range(8))
    x = ag.frombuffer(data, dtype=ag.int16, count=2, offset=2)
    assert x.tolist() == np.frombuffer(data, np.int16, 2, 2).tolist()
    x[0] = 0
    assert data[2:4] == b"\0\0"
    assert ag.frombuffer(np.ones(3), dtype=ag.float64, requires_grad=True).requires_grad


class Foreign:
    def __dlpack__(self, **options):
        raise AssertionError("not asked")

    def __dlpack_device__(self):
        return (10, 0)  # an AMD GPU


def buffer(**options):
    return lambda: ag.frombuffer(bytearray(b"abcd"), **{"dtype": ag.int16, **options})


MISTAKES = [
    (lambda: ag.from_numpy([1]), TypeError, "expected a NumPy array, got list"),
    (lambda: ag.from_numpy(np.array(["a"])), TypeError, "<U1"),
    (lambda: ag.from_numpy(np.arange(3)[::-1]), ValueError, r"strides \(-8,\).*negative"),
    (lambda: ag.from_numpy(np.zeros(5, [("a", "i1"), ("b", "f4")])["b"]), ValueError, "no multiple of the element"),
    (lambda: ag.from_numpy(np.arange(3).astype(">i4")), ValueError, "byte order of another machine"),
    (buffer(offset=1), ValueError, "3 bytes after offset 1 are no multiple of 2"),
    (buffer(offset=4), ValueError, "offset 4 lies outside of the buffer of 4 bytes"),
    (buffer(offset=-1), ValueError, "offset -1 lies outside"),
    (buffer(count=3), ValueError, "3 elements of 2 bytes after offset 0 do not fit into 4 bytes"),
    (buffer(count=0), ValueError, "may be empty"),
    (buffer(requires_grad=True), RuntimeError, "floating point"),
    (lambda: ag.frombuffer(bytearray(), dtype=ag.int16), ValueError, "may be empty"),
    (lambda: ag.frombuffer(3, dtype=ag.int16), ValueError, "int does not implement Python's buffer protocol"),
    (lambda: ag.asarray([1.0], copy=False), ValueError, "copy=False, but this list"),
    (lambda: ag.asarray(np.ones(2), dtype=ag.float32, copy=False), ValueError, "copy=False, but this ndarray"),
    (lambda: ag.asarray(b"ab", dtype=ag.uint8, copy=False), ValueError, "copy=False, but this bytes"),
    (lambda: ag.from_dlpack(3), RuntimeError, "int has no __dlpack__"),
    (lambda: ag.from_dlpack(Foreign()), RuntimeError, "device type 10 is not known"),
    (lambda: ag.from_dlpack(read_only(np.ones(2)), copy=False), ValueError, "copy=False, but the memory is read-only"),
    (lambda: ag.from_dlpack(np.ones(2, complex)), TypeError, "complex128"),
    (lambda: np.from_dlpack(ag.ones(2, requires_grad=True)), BufferError, r"requires grad.*detach\(\)"),
    (lambda: np.asarray(ag.ones(2, requires_grad=True)), RuntimeError, "detach"),
    (lambda: np.asarray(ag.ones(2), dtype=np.float64, copy=False), ValueError, "copy"),
]


@host
@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


@host
def test_numpy_reads_tensors():
    x = ag.arange(6).reshape(2, 3)
    assert np.shares_memory(np.asarray(x), x.numpy()) and np.shares_memory(np.from_dlpack(x), x.numpy())
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(x), x.numpy())
    assert x.__dlpack_device__() == (1, 0)
    assert np.from_dlpack(x[:, 1:].t()).tolist() == [[1, 4], [2, 5]]


@pytest.mark.skipif("config.getoption('--device') == 'cpu'", reason="the CPU's memory can be shared")
def test_what_cannot_be_shared_says_so(device):
    if device == "cuda":
        pytest.skip("CUDA memory can be shared")
    with pytest.raises(BufferError, match=f"device {device}.*cannot be shared"):
        ag.ones(2).__dlpack__()


@host
@pytest.mark.parametrize("name", DTYPES)
def test_dlpack_with_pytorch(name):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    theirs = torch.zeros(2, 3, dtype=getattr(torch, name)).t()
    ours = ag.from_dlpack(theirs)
    assert ours.dtype is getattr(ag, name) and ours.shape == (3, 2) and ours.stride() == theirs.stride()
    ours[0, 1] = 1
    back = torch.from_dlpack(ours)
    back[2, 0] = 1
    assert theirs.tolist() == ours.tolist() == [[0, 1], [0, 0], [1, 0]]
    assert back.data_ptr() == theirs.data_ptr() == ours.data_ptr() == ag.as_tensor(theirs).data_ptr()


def test_dlpack_on_cuda():
    cupy = pytest.importorskip("cupy", reason="sharing CUDA memory needs CuPy")
    if not ag.devices.is_available("cuda") or getattr(ag.devices.backend_of("cuda"), "simulated", False):
        pytest.skip("no GPU")
    a = cupy.zeros(3)
    x = ag.from_dlpack(a)
    x[1] = 7
    assert a.tolist() == [0, 7, 0] and str(x.device) == "cuda:0"
    assert cupy.from_dlpack(x).data.ptr == a.data.ptr
    assert str(ag.from_dlpack(a, device="cpu").device) == "cpu"


# ---- pickle and copy


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


BOTH = pytest.mark.parametrize("clone", [through_pickle, copy.deepcopy], ids=["pickle", "deepcopy"])


@BOTH
@pytest.mark.parametrize("name", DTYPES)
def test_a_tensor_comes_back(clone, name):
    x = ag.tensor([[0, 1, 1], [1, 0, 1]], dtype=getattr(ag, name))
    for t in (x, x.t(), x[:, 1], x[1, 2], x[:0], ag.expand_copy(x, (2, 2, 3)) if hasattr(ag, "expand_copy") else x):
        y = clone(t)
        assert ag.equal(y, t) and y.dtype is t.dtype and y.device == t.device and y.stride() == t.stride()
        y.zero_()
    assert x.tolist()[0][1] == 1


@BOTH
def test_views_share_memory_again(clone):
    base = ag.arange(6.0).reshape(2, 3)
    row, column, whole = clone({"v": [base[0], base[:, 1], base.detach()]})["v"]
    row[1] = 50.0
    assert column.tolist() == [50, 4] and whole[0].tolist() == [0, 50, 2]
    assert base.tolist() == [[0, 1, 2], [3, 4, 5]]
    weight = nn.Parameter(ag.ones(2))
    one, other = clone([weight, weight])
    assert one is other and type(one) is nn.Parameter and one.requires_grad


@host
@BOTH
@pytest.mark.parametrize(
    "make",
    [
        lambda: through_pickle([ag.arange(1000.0)] * 2)[0],
        lambda: pickle.loads(pickle.dumps(ag.arange(1000.0), 2)),
        lambda: ag.frombuffer(bytearray(4000), dtype=ag.float32),
        lambda: ag.from_dlpack(np.zeros(1000, np.float32)),
        lambda: ag.from_numpy(np.zeros((10, 1000), np.float32)[3]),
    ],
)
def test_views_of_memory_from_elsewhere_share_it_again(make, clone):
    base = make()
    whole, part = clone([base, base[1:5]])
    whole[2] = 50.0
    assert part.tolist()[1] == 50 and base[2].item() != 50 and whole.shape == (1000,)


@host
def test_of_a_mapped_file_only_the_part_is_copied(tmp_path):
    mapped = np.memmap(tmp_path / "file", np.float32, "w+", shape=(100000,))
    x = ag.from_numpy(np.asarray(mapped)[5:8])
    assert len(pickle.dumps(x)) < 2000 and through_pickle(x).tolist() == copy.deepcopy(x).tolist() == [0, 0, 0]


def test_copy_copy_shares_memory():
    x = ag.ones(2)
    y = copy.copy(x)
    y[0] = 7
    assert y is not x and x.tolist() == [7, 1]


@BOTH
def test_attributes_and_kinds_stay(clone):
    x = nn.Buffer(ag.ones(2), persistent=False)
    y = clone(x)
    assert type(y) is nn.Buffer and y.persistent is False
    p = nn.Parameter(ag.ones(2), requires_grad=False)
    p.note = "mine"
    q = through_pickle(p)
    assert type(q) is nn.Parameter and not q.requires_grad and q.note == "mine"


def test_of_a_result_the_values_are_pickled_and_deepcopy_is_refused():
    x = ag.ones(2, requires_grad=True)
    y = through_pickle(x * 2)
    assert y.tolist() == [2, 2] and y.is_leaf and y.requires_grad
    with pytest.raises(RuntimeError, match="only leaf Tensors"):
        copy.deepcopy(x * 2)
    x.sum().backward()
    assert through_pickle(x).grad is None and copy.deepcopy(x).grad.tolist() == [1, 1]


@BOTH
def test_generators_go_on_where_they_were(clone):
    g = ag.Generator().manual_seed(3)
    ag.rand(5, generator=g, device="cpu")
    h = clone(g)
    assert ag.equal(ag.rand(4, generator=g, device="cpu"), ag.rand(4, generator=h, device="cpu"))


@BOTH
def test_small_things(clone):
    for value in (ag.float32, ag.bool_, ag.device("cpu"), ag.Size([2, 3])):
        assert clone(value) == value and type(clone(value)) is type(value)
    assert clone(ag.float16) is ag.float16


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5))
        self.memory = nn.GRU(32, 4, batch_first=True)
        self.head = nn.Linear(4, 3)
        self.tied = self.head.weight
        self.scale = nn.Buffer(ag.ones(1))

    def forward(self, x):
        return self.head(self.memory(self.body(x).unsqueeze(1))[0][:, -1]) * self.scale


def trained(model, optimizer, scheduler, steps):
    for k in range(steps):
        ag.manual_seed(k)
        x = ag.randn(4, 1, 6, 6)

        def closure(x=x, k=k):
            optimizer.zero_grad()
            ag.manual_seed(k)
            loss = model(x).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        scheduler.step()
    return [p.detach().clone() for p in model.parameters()]


OPTIMIZERS = {
    "SGD": {"momentum": 0.9}, "Adam": {"amsgrad": True}, "AdamW": {}, "RMSprop": {"centered": True}, "Adagrad": {},
    "NAdam": {}, "RAdam": {}, "Adadelta": {}, "Adamax": {}, "ASGD": {}, "Rprop": {}, "LBFGS": {"max_iter": 3},
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_model_optimizer_and_scheduler_go_on_with_the_same_bits(clone, kind):
    ag.manual_seed(0)
    model = Classifier()
    optimizer = getattr(optim, kind)(model.parameters(), lr=0.01, **OPTIMIZERS[kind])
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    trained(model, optimizer, scheduler, 2)
    other, its_optimizer, its_scheduler = clone((model, optimizer, scheduler))
    assert other.tied is other.head.weight and its_optimizer.param_groups[0]["params"][0] is next(other.parameters())
    assert all(map(ag.equal, trained(model, optimizer, scheduler, 2), trained(other, its_optimizer, its_scheduler, 2)))
    assert its_scheduler.get_last_lr() == scheduler.get_last_lr()

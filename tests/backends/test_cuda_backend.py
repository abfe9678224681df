"""The CUDA backend's own kernels: order, views, several devices. On a GPU where the run is on one, else simulated."""

from __future__ import annotations

import copy
import math
import os
import re
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest
import simulated_cuda

import autograd_core as ag
from autograd_core import nn
from autograd_core.backends.cuda import backend as cuda_backend
from autograd_core.backends.cuda.counts import watched


@pytest.fixture
def where(device: str) -> str:
    return "cuda" if device == "cuda" else "simulated"


@pytest.fixture
def backend(where: str) -> Any:
    return ag.devices.backend_of(where)


def rng(*key: Any) -> np.random.Generator:
    return np.random.default_rng(abs(hash(tuple(map(str, key)))) % 2**32)


# -- adding and writing at indices that repeat ----------------------------------------------------------------

FOLDS = [
    ((7,), 40, (0,)), ((7, 3), 20, (0,)), ((4, 6), 9, (1,)), ((3, 5, 2), 8, (1,)), ((5,), 1, (0,)), ((1, 4), 17, (0,)),
]  # fmt: skip


@pytest.mark.parametrize("name", ["add", "maximum", "minimum", "multiply"])
@pytest.mark.parametrize(("shape", "count", "axes"), FOLDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_folds_equal_numpys_loop(backend: Any, name: str, shape: Any, count: int, axes: Any, dtype: str) -> None:
    r = np.random.default_rng(7)
    axis = axes[0]
    x = r.integers(1, 9, shape).astype(dtype)
    index = r.integers(-shape[axis], shape[axis], count)
    value = r.integers(1, 3, (*shape[:axis], count, *shape[axis + 1 :])).astype(dtype)
    expected = x.copy()
    getattr(np, name).at(expected, (slice(None),) * axis + (index,), value)
    got = backend.from_host(x)
    indices = (slice(None),) * axis + (backend.from_host(index),)
    backend._fold_at(getattr(backend.xp, name), got, indices, backend.from_host(value))
    np.testing.assert_allclose(backend.to_host(got), expected, rtol=1e-6)


def test_folds_by_several_index_arrays_and_slices(backend: Any) -> None:
    r = np.random.default_rng(8)
    x, i, j = r.normal(size=(4, 5, 3)), r.integers(0, 4, (2, 6)), r.integers(0, 3, (2, 6))
    value = r.normal(size=(2, 6, 5))
    expected = x.copy()
    np.add.at(expected, (i, slice(None), j), value)
    got = backend.from_host(x)
    backend.add_at(got, (backend.from_host(i), slice(None), backend.from_host(j)), backend.from_host(value))
    np.testing.assert_allclose(backend.to_host(got), expected, rtol=1e-12)


def test_folds_along_an_axis_of_a_view_change_its_memory(backend: Any) -> None:
    whole = backend.from_host(np.zeros((4, 6)))
    backend.add_at(whole[:, ::2].T, (backend.from_host(np.array([2, 2, 0])),), backend.from_host(np.ones((3, 4))))
    assert backend.to_host(whole).sum(0).tolist() == [4, 0, 0, 0, 8, 0]


def test_sums_of_float16_are_rounded_once(backend: Any) -> None:
    got = backend.from_host(np.zeros(1, "float16"))
    backend.add_at(got, (backend.from_host(np.zeros(4096, "int64")),), backend.from_host(np.ones(4096, "float16")))
    assert backend.to_host(got).tolist() == [4096]


def test_nan_passes_maxima(backend: Any) -> None:
    x, index = backend.from_host(np.zeros(2)), backend.from_host(np.array([0, 0, 1]))
    got = backend.scatter_amax(x, index, backend.from_host(np.array([3.0, math.nan, -1.0])), 0)
    assert math.isnan(backend.to_host(got)[0]) and backend.to_host(got)[1] == 0


@pytest.mark.parametrize("count", [5, 60])
def test_the_last_writer_wins(backend: Any, count: int) -> None:
    r = np.random.default_rng(count)
    x, i, j, value = np.zeros((6, 4)), r.integers(-6, 6, count), r.integers(0, 4, count), r.normal(size=count)
    pairs, rows = x.copy(), x.copy()
    pairs[i, j] = value
    rows[i] = value[:, None] * np.ones(4)
    host = lambda a: backend.to_host(a)  # noqa: E731
    got = backend.set_index_(
        backend.from_host(x), backend.from_host(value), (backend.from_host(i), backend.from_host(j))
    )
    assert np.array_equal(host(got), pairs)
    value_rows = backend.from_host(value[:, None] * np.ones(4))
    assert np.array_equal(host(backend.set_index_(backend.from_host(x), value_rows, (backend.from_host(i),))), rows)
    columns = backend.index_put(
        backend.from_host(x.T.copy()), backend.from_host(value), (slice(None), backend.from_host(i)), False
    )
    assert np.array_equal(host(columns), np.stack([rows[:, 0]] * 4))
    index = np.abs(i)[:, None] % 6
    scattered = x.copy()
    np.put_along_axis(scattered[:, :1], index, value[:, None], 0)
    got = backend.scatter(backend.from_host(x), backend.from_host(index), backend.from_host(value[:, None]), 0)
    assert np.array_equal(host(got), scattered)


def test_embedding_gradients_have_the_same_bits_every_time(where: str) -> None:
    index = ag.randint(0, 3, (500,), device=where)
    g = ag.randn(500, 8, device=where)

    def gradient() -> Any:
        w = ag.zeros(3, 8, device=where, requires_grad=True)
        nn.functional.embedding(index, w).backward(g)
        return w.grad.cpu().numpy().tobytes()

    assert gradient() == gradient()


@pytest.mark.parametrize("shape", [(6, 3), (5, 2, 2), (4, 0), (0, 3), (1, 1), (7,)])
@pytest.mark.parametrize("axis", [0, -1])
def test_unique_slices_equal_numpys(backend: Any, shape: Any, axis: int) -> None:
    x = np.random.default_rng(3).integers(0, 2, shape)
    if not x.size and not x.shape[axis]:
        pytest.skip("NumPy's own answer for no slices is of another shape in every release")
    found = np.unique(x, axis=axis, return_inverse=True, return_counts=True)
    got = [backend.to_host(a) for a in backend.unique(backend.from_host(x), axis % x.ndim)]
    for ours, theirs in zip(got, found, strict=True):
        assert np.array_equal(ours, theirs.reshape(ours.shape))


@pytest.mark.parametrize("weights", [None, "float32", "int64"])
def test_bincount(backend: Any, weights: str | None) -> None:
    x = np.array([1, 5, 1, 0])
    w = None if weights is None else np.array([1, 2, 3, 4]).astype(weights)
    got = backend.bincount(backend.from_host(x), None if w is None else backend.from_host(w), 8)
    assert np.array_equal(backend.to_host(got), np.bincount(x, w, 8))


# -- views ------------------------------------------------------------------------------------------------


def test_views_share_a_storage_whatever_made_them(backend: Any) -> None:
    x = backend.from_host(np.arange(12.0).reshape(3, 4))
    strided = backend.as_strided(x, (2, 3), (1, 2), 1)
    views = [x[1], x.T, strided, strided[0], strided.T[1:], backend.unfold(x, 1, 2, 1), backend.expand(x[:1], (5, 4))]
    assert all(backend.storage_key(v) is x for v in views)
    assert backend.storage_key(backend.clone(x)) is not x
    assert backend.to_host(strided).tolist() == [[1, 3, 5], [2, 4, 6]]


def test_the_owner_is_forgotten_with_the_view(backend: Any) -> None:
    before = len(backend._owners)
    x = backend.from_host(np.arange(6.0))
    view = backend.as_strided(x, (2,), (2,), 0)
    later = view[1:]
    del view
    assert backend.storage_key(later) is x and len(backend._owners) == before + 1
    del later
    assert len(backend._owners) == before


def test_a_change_through_a_strided_view_is_noticed(where: str) -> None:
    x = ag.ones(4, device=where, requires_grad=True)
    y = x * 1
    z = y * y
    with ag.no_grad():
        y.as_strided((2,), (2,)).zero_()
    with pytest.raises(RuntimeError, match="zero_"):
        z.sum().backward()


def test_an_unfolded_view_can_be_written(where: str) -> None:
    x = ag.zeros(6, device=where)
    x.unfold(0, 2, 2)[1] = 3.0
    assert x.tolist() == [0, 0, 3, 3, 0, 0]


def test_addresses_lie_where_the_elements_are(backend: Any) -> None:
    x = backend.from_host(np.zeros((4, 3)))
    assert backend.address(x[2]) - backend.address(x) == 6 * 8


# -- numbers that do not fit ---------------------------------------------------------------------------------


def test_a_number_that_does_not_fit_is_refused(where: str) -> None:
    with pytest.raises((RuntimeError, OverflowError), match=r"300|out of bounds"):
        ag.full((2,), 300, dtype=ag.uint8, device=where)


# -- several devices ----------------------------------------------------------------------------------------


@pytest.fixture
def second(where: str) -> str:
    if ag.devices.backend_of(where).device_count() < 2:
        pytest.skip("one GPU only")
    return f"{where}:1"


def test_a_model_trains_on_the_second_device(second: str, where: str) -> None:
    losses: dict[str, list[float]] = {}
    start = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 2))
    inputs = ag.randn(6, 4)
    for place in (f"{where}:0", second):
        model = copy.deepcopy(start).to(place)
        optimizer = ag.optim.Adam(model.parameters(), lr=0.01)
        x, y = inputs.to(place), ag.tensor([0, 1, 0, 1, 1, 0], device=place)
        ag.random.default_generator(ag.devices.backend_of(place)).manual_seed(5)
        losses[place] = []
        for _ in range(3):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[place].append(loss.item())
        assert str(loss.device) == place
    assert losses[second] == losses[f"{where}:0"]


def test_devices_do_not_mix(second: str, where: str) -> None:
    with pytest.raises(RuntimeError, match=f"{where}:0.*{second}"):
        ag.ones(2, 3, device=where) + ag.ones(2, 3, device=second)


def test_copies_between_devices_go_past_the_host(second: str, where: str) -> None:
    x = ag.arange(6.0, device=where).requires_grad_()
    counts = [ag.devices.backend_of(d).counts for d in (where, second)]
    before = [c.as_dict() for c in counts]
    y = x.to(second)
    (y * 2).sum().backward()
    assert [c.as_dict() for c in counts] == before
    assert str(y.device) == second and x.grad.tolist() == [2.0] * 6 and str(x.grad.device) == f"{where}:0"


def test_the_current_device_is_left_as_it_was(second: str) -> None:
    backend = ag.devices.backend_of(second)
    current = backend.xp.cuda.runtime.getDevice
    before = current()
    ag.randn(3, 3, device=second).softmax(-1).sum().item()
    with pytest.raises(RuntimeError):
        ag.ones(2, device=second).reshape(3)
    assert current() == before


def test_threads_on_several_devices(second: str, where: str) -> None:
    def work(place: str) -> None:
        for _ in range(20):
            x = ag.ones(3, 3, device=place, requires_grad=True)
            (x @ x).softmax(-1).sum().backward()
            found.append((place, str(x.grad.device), (x * 2).sum().item()))

    found: list[Any] = []
    threads = [threading.Thread(target=work, args=(place,)) for place in (f"{where}:0", second) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80 and all(place == of and total == 18 for place, of, total in found)


# -- the stand-ins are as strict as CuPy --------------------------------------------------------------------


class TestSimulated:
    """What the simulated device refuses; each of these would go wrong on a GPU, or be slow there."""

    backend = simulated_cuda.SimulatedCudaBackend(0)
    xp = simulated_cuda.CUPY

    @pytest.mark.parametrize(
        "call",
        [
            lambda x, xp: np.asarray(x),
            lambda x, xp: np.add(x, 1),
            lambda x, xp: np.sum(x),
            lambda x, xp: x + np.ones(3),
            lambda x, xp: xp.add(np.ones(3), x),
            lambda x, xp: xp.where(True, x, x),
            lambda x, xp: xp.add([1, 2, 3], x),
            lambda x, xp: x.__setitem__(0, np.ones(())),
        ],
    )
    def test_refuses_host_arrays(self, call: Any) -> None:
        with pytest.raises(TypeError):
            call(self.backend.from_host(np.ones(3)), self.xp)

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda x, xp: xp.einsum_path, AttributeError),
            (lambda x, xp: xp.isnat, AttributeError),
            (lambda x, xp: xp.sum(x, where=x > 0), TypeError),
            (lambda x, xp: xp.argsort(x, kind="quicksort"), ValueError),
            (lambda x, xp: xp.linalg.inv(x.astype("float16").reshape(1, 3)), TypeError),
            (lambda x, xp: x.flags.writeable, AttributeError),
            (lambda x, xp: xp.add.at(x, xp.zeros(2, "int64"), 1.0), AssertionError),
            (lambda x, xp: x.__setitem__(xp.zeros(2, "int64"), xp.arange(2.0)), AssertionError),
            (lambda x, xp: xp.lib.stride_tricks.sliding_window_view(x, 2, writeable=True), NotImplementedError),
        ],
    )
    def test_has_what_cupy_has(self, call: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            call(self.backend.from_host(np.ones(3)), self.xp)

    def test_results_are_arrays(self) -> None:
        x = self.backend.from_host(np.ones((2, 3)))
        for result in (x.sum(), x[0, 0], self.xp.max(x), x[0, 0] + 1, -x[0, 0]):
            assert isinstance(result, simulated_cuda.ndarray) and result.shape == ()

    def test_indices_wrap_around(self) -> None:
        x = self.backend.from_host(np.arange(3))
        assert self.backend.to_host(x[self.backend.from_host(np.array([4, -5]))]).tolist() == [1, 1]

    def test_arrays_of_another_device_are_refused(self) -> None:
        x = simulated_cuda.SimulatedCudaBackend(1).from_host(np.ones(3))
        with pytest.raises(ValueError, match="different from the current device"):
            x + 1

    def test_singular_matrices_give_no_error_by_themselves(self) -> None:
        x = self.backend.from_host(np.zeros((2, 2)))
        assert np.isnan(self.backend.to_host(self.xp.linalg.inv(x))).all()
        with pytest.raises(RuntimeError, match="singular"):
            self.backend.inverse(x)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_device_does_not_survive_a_fork(self) -> None:
        self.backend.from_host(np.ones(3))
        child = os.fork()
        if not child:
            try:
                self.backend.from_host(np.ones(3))
            except RuntimeError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    def test_its_name_says_what_it_is(self) -> None:
        assert "SIMULATED" in self.backend.describe() and "SIMULATED" in self.xp.__version__

    def test_reads_inside_kernels_are_seen(self) -> None:
        x = self.backend.from_host(np.ones(3))
        with watched(self.backend) as counts:
            before = counts.hidden
            bool(x[0] > 0), int(x[0]), float(x[0]), x[0].item(), x.tolist(), x.get()
            assert counts.hidden == before + 6
            self.backend.to_host(x)
            assert counts.hidden == before + 6
        x.get()
        assert counts.hidden == before + 6


# -- TF32 ---------------------------------------------------------------------------------------------------


def test_tf32_is_a_switch_of_every_device_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (simulated_cuda.SimulatedCudaBackend(i) for i in (0, 1))
    monkeypatch.setattr(cuda_backend.matmul, "listeners", [first.set_tf32, second.set_tf32])
    types_ = simulated_cuda.CUPY._core._routines_linalg
    try:
        ag.backends.cuda.matmul.allow_tf32 = True
        assert types_.chosen == {(0, "float32"): types_.COMPUTE_TYPE_TF32, (1, "float32"): types_.COMPUTE_TYPE_TF32}
        assert ag.backends.cuda.matmul.allow_tf32 is True
        types_.chosen.clear()
        simulated_cuda.SimulatedCudaBackend(1)
        assert types_.chosen == {(1, "float32"): types_.COMPUTE_TYPE_TF32}
        with pytest.raises(RuntimeError, match="expected a bool, got 1"):
            ag.backends.cuda.matmul.allow_tf32 = 1
    finally:
        ag.backends.cuda.matmul.allow_tf32 = False
    assert set(types_.chosen.values()) == {types_.COMPUTE_TYPE_DEFAULT}


def test_the_precision_of_products_sets_it() -> None:
    try:
        for word, allowed in (("high", True), ("highest", False), ("medium", True)):
            ag.set_float32_matmul_precision(word)
            assert ag.backends.cuda.matmul.allow_tf32 is allowed
    finally:
        ag.set_float32_matmul_precision("highest")


@pytest.mark.gpu("rounds on tensor cores")
def test_tf32_rounds_products(where: str) -> None:
    x = ag.randn(512, 512, device=where)
    exact = x.double() @ x.double()
    off = (x @ x - exact).abs().max().item()
    try:
        ag.backends.cuda.matmul.allow_tf32 = True
        on = (x @ x - exact).abs().max().item()
    finally:
        ag.backends.cuda.matmul.allow_tf32 = False
    assert off < 1e-3 < on


# -- finding CuPy -------------------------------------------------------------------------------------------


def found_with(monkeypatch: pytest.MonkeyPatch, version: str, devices: Any) -> tuple[Any, int, str]:
    def count() -> int:
        if isinstance(devices, Exception):
            raise devices
        return int(devices)

    runtime = types.SimpleNamespace(getDeviceCount=count)
    module = types.SimpleNamespace(__version__=version, cuda=types.SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", module)
    return cuda_backend.find_cupy()


@pytest.mark.parametrize(
    ("version", "devices", "count", "reason"),
    [
        ("14.2.0", 2, 2, ""),
        ("15.0.0a1", 1, 1, ""),
        ("13.6.0", 1, 0, "13.6.0 is too old.*pip install"),
        ("14.0.0", RuntimeError("cudaErrorNoDevice"), 0, "no usable GPU.*cudaErrorNoDevice.*nvidia-smi"),
        ("14.0.0", 0, 0, "finds no GPU"),
    ],
)
def test_which_cupy_is_used(
    version: str, devices: Any, count: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, n, why = found_with(monkeypatch, version, devices)
    assert n == count and re.search(reason, why) is not None and bool(why) == (count == 0)


def test_without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    module, n, why = cuda_backend.find_cupy()
    assert module is None and n == 0 and "pip install" in why

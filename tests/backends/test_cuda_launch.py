"""The launcher with stand-ins for CuPy and the compiler, and what the kernels' interpreter in `fake_cuda.py` refuses."""

from __future__ import annotations

import math
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_kernel_cases import KernelBackend, on_device
from fake_cuda import FakeLauncher, KernelError

import autograd_core as ag
from autograd_core.backends.cpu import cache
from autograd_core.backends.cuda import kernels, numba_cuda
from autograd_core.backends.cuda.launch import Launcher, PointerTable, Unusable, signature_of
from autograd_core.benchmarks import cuda_kernels

# -- a CuPy that notes what it is asked -------------------------------------------------------------------------------


class DeviceArray:
    """What the launcher sees of a CuPy array."""

    def __init__(self, host: Any, address: int = 0x1000) -> None:
        self.host = np.asarray(host)
        self.dtype, self.data = self.host.dtype, types.SimpleNamespace(ptr=address)


class FakeCupy:
    """`RawModule` loads what `accepts` allows; `launched` lists (entry, grid, block, arguments)."""

    def __init__(self, accepts: tuple[str, ...] = (".cubin", ".ptx")) -> None:
        self.accepts, self.loaded, self.launched, self.copied = accepts, [], [], 0
        self.cuda = types.SimpleNamespace(get_current_stream=lambda: types.SimpleNamespace(ptr=77))

    def asarray(self, host: Any) -> DeviceArray:
        self.copied += 1
        return DeviceArray(host, 0xA0000 + self.copied)

    def RawModule(self, *, path: str) -> Any:
        self.loaded.append(path)
        code = Path(path).read_bytes()
        if Path(path).suffix not in self.accepts or b"entry" not in code:
            raise RuntimeError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION")

        def function(name: str) -> Any:
            assert f"entry {name}(".encode() in code, "RawModule has no such entry"

            def start(grid: Any, block: Any, arguments: Any) -> None:
                assert type(grid) is tuple and type(block) is tuple and type(arguments) is tuple
                self.launched.append((name, grid, block, arguments))

            start.kernel = None  # type: ignore[attr-defined]
            return start

        return types.SimpleNamespace(get_function=function)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What was compiled: (kernel, constants, signature, cc); the compiler is a stand-in, the cache folder empty."""
    calls: list[Any] = []

    def compile_ptx(factory: Any, constants: Any, signature: Any, cc: Any) -> bytes:
        calls.append((factory.__name__, constants, signature, cc))
        return f".entry {factory.__name__}(".encode()

    monkeypatch.setattr(numba_cuda, "compile_ptx", compile_ptx)
    monkeypatch.setattr(numba_cuda, "link_cubin", lambda ptx, cc: b"ELF " + ptx)
    monkeypatch.setattr(numba_cuda, "version", lambda: "a compiler")
    monkeypatch.setattr(cache, "_usable_folder", lambda chosen: tmp_path)
    return calls


def fill(cuda: Any, real: Any) -> Any:
    def body(out: Any, n: Any, value: Any) -> None:
        i = cuda.grid(1)
        if i < n:
            out[i] = value

    return body


def test_a_kernel_is_compiled_once_and_launched_with_its_arguments(compiled: list[Any], tmp_path: Path) -> None:
    cupy, out = FakeCupy(), DeviceArray(np.zeros(3, "f"))
    launch = Launcher(cupy, (8, 6))
    for _ in range(2):
        launch(fill, (np.float32,), 5, 64, out, 3, np.float32(1.5))
    assert cupy.launched == [("fill", (5,), (64,), (out, 3, np.float32(1.5)))] * 2 and launch.launches == 2
    assert compiled == [("fill", (np.float32,), ("f*", "q", "f"), (8, 6))]
    assert [Path(p).suffix for p in cupy.loaded] == [".cubin"]
    # Other types are another kernel; a new process finds the first on disk.
    launch(fill, (np.float64,), 5, 64, DeviceArray(np.zeros(3)), 3, np.float64(1.5))
    assert compiled[1:] == [("fill", (np.float64,), ("d*", "q", "d"), (8, 6))]
    Launcher(FakeCupy(), (8, 6))(fill, (np.float32,), 5, 64, out, 3, np.float32(1.5))
    assert len(compiled) == 2
    Launcher(FakeCupy(), (9, 0))(fill, (np.float32,), 5, 64, out, 3, np.float32(1.5))
    assert compiled[2][3] == (9, 0)
    assert len(list((tmp_path / "cuda").iterdir())) == 3


def test_signatures() -> None:
    table = PointerTable([DeviceArray(np.zeros(2, "d"))])
    arrays = [DeviceArray(np.zeros(1, c)) for c in "efdBilL?"]
    assert signature_of((*arrays, table)) == ("e*", "f*", "d*", "B*", "i*", "l*", "L*", "?*", "d**")
    numbers = (1, 1.0, np.float32(1), np.float64(1), np.uint64(1))
    assert signature_of(numbers) == ("q", "d", "f", "d", "Q")


def test_tables_of_addresses_are_copied_once(compiled: list[Any]) -> None:
    cupy = FakeCupy()
    launch = Launcher(cupy, (8, 0))
    for addresses in ((16, 32), (16, 32), (16, 48)):
        launch(fill, (np.float32,), 1, 32, PointerTable([DeviceArray(np.zeros(1, "f"), a) for a in addresses]))
    (first,), (second,), (third,) = (arguments for *_, arguments in cupy.launched)
    assert first is second and first.host.tolist() == [16, 32] and first.dtype == np.uint64
    assert third.host.tolist() == [16, 48] and cupy.copied == 2


def test_what_the_driver_refuses_is_tried_another_way(compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    out = DeviceArray(np.zeros(3, "f"), 0x2000)
    cupy = FakeCupy(accepts=(".ptx",))
    Launcher(cupy, (8, 0))(fill, (np.float32,), 1, 32, out, 3, np.float32(2))
    assert [Path(p).suffix for p in cupy.loaded] == [".cubin", ".ptx"] and len(cupy.launched) == 1

    started = []
    monkeypatch.setattr(numba_cuda, "numba_launcher", lambda *key: lambda *rest: started.append(rest))
    launch = Launcher(FakeCupy(accepts=()), (8, 0))
    launch(fill, (np.float32,), 4, 32, out, 3, np.float32(2))
    assert started == [(4, 32, (0x2000, 3, np.float32(2)), 77)]

    def refuse(*key: Any) -> Any:
        raise OSError("no driver")

    monkeypatch.setattr(numba_cuda, "numba_launcher", refuse)
    with pytest.raises(
        Unusable, match=r"fill for sm_80: cubin: .*UNSUPPORTED_PTX.*ptx: .*Numba's launcher: OSError: no driver"
    ):
        Launcher(FakeCupy(accepts=()), (8, 0))(fill, (np.float32,), 4, 32, out, 3, np.float32(2))


def test_a_broken_file_in_the_cache_is_made_anew(compiled: list[Any], tmp_path: Path) -> None:
    launch = (fill, (np.float32,), 1, 32, DeviceArray(np.zeros(3, "f")), 3, np.float32(2))
    Launcher(FakeCupy(), (8, 0))(*launch)
    (file,) = (tmp_path / "cuda").iterdir()
    file.write_bytes(b"half a fil")
    cupy = FakeCupy()
    Launcher(cupy, (8, 0))(*launch)
    assert len(cupy.launched) == 1 and file.read_bytes() == b"ELF .entry fill(" and len(compiled) == 2


# -- install ----------------------------------------------------------------------------------------------------------


def test_kernels_that_cannot_be_loaded_give_way_to_the_portable_bodies() -> None:
    def launch(*args: Any) -> None:
        raise Unusable("softmax_rows for sm_80: no driver")

    backend, x = KernelBackend(launch), on_device(np.ones((2, 4), "f"))
    assert backend.updates_together
    with pytest.warns(UserWarning, match="kernels are off, CuPy's operations take their place: softmax_rows for sm_80"):
        np.testing.assert_allclose(backend.softmax(x, 1).get(), 0.25)
    np.testing.assert_allclose(backend.log_softmax(x, 1).get(), -math.log(4), rtol=1e-6)  # And no second warning.
    assert backend.kernels_off.endswith("no driver") and not backend.updates_together
    assert kernels.status(backend) == "CuPy's operations alone (softmax_rows for sm_80: no driver)"


def test_kernels_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = KernelBackend(FakeLauncher())
    assert backend.kernels_off == "" and kernels.status(backend).startswith("Numba's kernels (")
    monkeypatch.setenv("AUTOGRAD_CORE_KERNELS", "numpy")
    assert kernels.why_off() == "AUTOGRAD_CORE_KERNELS=numpy"
    plain = KernelBackend(None)
    assert plain.kernels_off == "AUTOGRAD_CORE_KERNELS=numpy" and not plain.updates_together
    monkeypatch.setenv("AUTOGRAD_CORE_KERNELS", "numba")
    monkeypatch.setattr(numba_cuda, "missing", lambda: "numba-cuda cannot be imported (ImportError: no)")
    assert kernels.why_off() == "numba-cuda cannot be imported (ImportError: no)"


def test_the_benchmark_calls_every_kernel_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    ways = [FakeLauncher()]
    backend = KernelBackend(lambda *args: ways[-1](*args))
    found = cuda_kernels.calls(backend, 0.01)
    ways.append(lambda *args: None)  # The numbers do not matter from here on.
    rows = cuda_kernels.compare(backend, found[::6], seconds=1e-6)
    assert [row["kernel"] for row in rows] == [name for name, _ in found[::6]]
    assert all(row["numba"] > 0 and row["cupy"] > 0 for row in rows)
    assert capsys.readouterr().out.count("\n") == len(rows) + 1
    for name, args in found:
        getattr(backend, name)(*args)
        with kernels.switched_off(backend):
            getattr(backend, name)(*args)
    assert not backend.kernels_off


def test_without_a_gpu_the_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ag.devices, "is_available", lambda kind: False)
    assert cuda_kernels.main() == 1
    assert capsys.readouterr().err.startswith("no GPU: ")


# -- what the interpreter refuses ---------------------------------------------------------------------------------------


def reversed_without_barrier(cuda: Any, barrier: bool) -> Any:
    def with_barrier(out: Any, n: Any) -> None:
        buffer = cuda.shared.array(8, np.float32)
        t = cuda.threadIdx.x
        buffer[t] = out[t]
        cuda.syncthreads()
        out[t] = buffer[n - 1 - t]

    def without(out: Any, n: Any) -> None:
        buffer = cuda.shared.array(8, np.float32)
        t = cuda.threadIdx.x
        buffer[t] = out[t]
        out[t] = buffer[n - 1 - t]

    return with_barrier if barrier else without


def body_of(text: str) -> Any:
    """A kernel of (out, n) from the statements of its body."""
    from autograd_core.backends.cuda.kernels.elementwise import define

    lines = "\n".join("        " + line for line in text.splitlines())
    return define("kernel", f"def kernel(cuda):\n    def body(out, n):\n{lines}\n\n    return body\n")


@pytest.mark.parametrize(
    "text, grid, block, message",
    [
        ("out[cuda.grid(1)] = n", 1, 9, r"out\[8\] is outside of its 8 elements \(block 0, thread 8\)"),
        ("out[cuda.grid(1) - 1] = n", 1, 8, r"out\[-1\] is outside"),
        ("out[cuda.threadIdx.x // 2] = n", 1, 8, r"race: block 0, thread 1 writes out\[0\], block 0, thread 0 writes it"),
        ("out[0] = out[cuda.threadIdx.x]", 1, 2, r"race: .* thread 1 writes out\[0\], block 0, thread 0"),
        ("out[cuda.threadIdx.x] = n", 2, 4, r"race: block 1, thread 0 writes out\[0\], block 0, thread 0 writes it"),
        ("v = out[0]\nif cuda.grid(1) == 4:\n    out[0] = v", 2, 4, r"writes out\[0\], .* reads it"),
        ("if cuda.threadIdx.x == 0:\n    cuda.syncthreads()", 1, 2, r"1 threads ended while 1 wait at barrier 1"),
        ("s = cuda.shared.array(4, float32)\nout[cuda.threadIdx.x] = s[cuda.threadIdx.x]", 1, 4, "read before it is written"),
        ("out[cuda.threadIdx.x] = out[cuda.threadIdx.x] * 0.5", 1, 4, r"a float64 in float32 memory"),
        ("out[out[0]] = 1", 1, 1, "an index must be an integer"),
    ],
)  # fmt: skip
def test_the_interpreter_finds(text: str, grid: int, block: int, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        FakeLauncher()(body_of(text), (), grid, block, np.zeros(8, "f"), 8)


def test_the_interpreter_lets_threads_meet() -> None:
    x = np.arange(8, dtype="f")
    FakeLauncher()(reversed_without_barrier, (True,), 1, 8, x, 8)
    assert x.tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    with pytest.raises(KernelError, match="before it is written|race"):
        FakeLauncher()(reversed_without_barrier, (False,), 1, 8, x, 8)


def test_the_interpreter_refuses_memory_out_of_order() -> None:
    with pytest.raises(KernelError, match="out is not C-contiguous"):
        FakeLauncher()(body_of("out[cuda.grid(1)] = n"), (), 1, 2, np.zeros((4, 2), "f")[:, 0], 4)
    with pytest.raises(KernelError, match=r"takes \['out', 'n'\], got 1"):
        FakeLauncher()(body_of("out[0] = n"), (), 1, 1, np.zeros(1, "f"))

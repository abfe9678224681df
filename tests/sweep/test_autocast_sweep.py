"""The dtypes of results under autocast, over PyTorch's own samples, against PyTorch under autocast.

PyTorch's rules for CUDA are those of its dispatcher on fake CUDA tensors, which have shapes and dtypes but no values; ours
run on the device `strict`, which like every device from outside has the rules of CUDA.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import autograd_core as ag
from autograd_core.amp import rules

torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
pytest.importorskip("expecttest", reason="PyTorch's samples need expecttest")

from sweep_compare import Beyond, Converter, follow, leaves  # noqa: E402
from sweep_operations import _call, _samples, functions, op_db, ours_of  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils._pytree import tree_map  # noqa: E402

# Ours differs on purpose, or PyTorch's answer says nothing about autocast.
EXCUSED = {
    "cpu": {
        # PyTorch multiplies where nothing is summed, in float32; ours is always a product of matrices.
        "einsum", "tensordot",
        "linalg.pinv",  # Ours stays in float32.
    },
    "cuda": {
        "nn.functional.multi_head_attention_forward",  # PyTorch's weights are float32, ours float16.
        "linalg.pinv",  # PyTorch refuses what its own autocast makes of it.
        "native_batch_norm",  # The statistics, which without autocast differ from the CPU's as well.
    },
}  # fmt: skip
# What ours refuses with any floating-point dtype, and fake tensors do not check.
REFUSED = {"NotImplementedError"}
OUTSIDE = {"as_strided", "nn.functional.gaussian_nll_loss"}  # Errors of the samples, the same without autocast.


def _dtypes(result: Any, kind: type) -> list[str]:
    return [str(x.dtype).rpartition(".")[2] for x in leaves([result], kind)]


def _theirs(kind: str, function: Any, call: Any) -> list[str]:
    if kind == "cpu":
        with torch.autocast("cpu", dtype=torch.float16):
            return _dtypes(function(*call.args, **call.kwargs), torch.Tensor)

    def fake(x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="cuda")
        return torch.device("cuda") if isinstance(x, torch.device) or x == "cpu" else x

    with FakeTensorMode():
        args, kwargs = tree_map(fake, (call.args, call.kwargs))
        torch.set_autocast_dtype("cuda", torch.float16)
        torch.set_autocast_enabled("cuda", True)
        try:
            return _dtypes(function(*args, **kwargs), torch.Tensor)
        finally:
            torch.set_autocast_enabled("cuda", False)


def _ours(kind: str, function: Any, call: Any) -> list[str] | str:
    device = "cpu" if kind == "cpu" else "simulated"
    try:
        args, kwargs = call.arguments(Converter(device))
    except AttributeError as error:  # A constant that ours does not have, such as a layout.
        raise Beyond(str(error)) from None
    with ag.autocast(device, dtype=ag.float16):
        try:
            return _dtypes(function(*args, **kwargs), ag.Tensor)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def _differences(kind: str, names: set[str] | None, count: int) -> Iterator[str]:
    compared = 0
    for info in op_db:
        path = info.name
        if (names is not None and path.rpartition(".")[2] not in names) or path in EXCUSED[kind] | OUTSIDE:
            continue
        if ours_of(path) is None and follow(ag.Tensor, path) is None:
            continue
        theirs, ours = functions(path, info)
        for dtype in (torch.float16, torch.float32):
            try:
                samples = _samples(info, dtype, False, count)
            except (RuntimeError, NotImplementedError):  # PyTorch makes no samples of this dtype.
                continue
            for sample in samples:
                call = _call(sample, info)
                try:
                    expected = _theirs(kind, theirs, call)
                except Exception:
                    continue  # Not for this dtype, or not with fake tensors.
                try:
                    got = _ours(kind, ours, call)
                except Beyond:
                    continue
                compared += 1
                if got != expected and not (isinstance(got, str) and got.partition(":")[0] in REFUSED):
                    yield f"{path} of {dtype}: {got}, expected {expected}"
    assert compared > 100, "hardly anything was compared"


def _listed() -> set[str]:
    lists = [*rules.CUDA.values(), *rules.CPU.values(), "interpolate pad max_pool3d"]
    return {name.removeprefix("linalg_") for names in lists for name in names.split()}


@pytest.mark.host("names both of its devices itself")
@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["listed", "all"])
def test_dtypes_of_results_are_those_of_pytorch(kind: str, whole: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(_differences(kind, None if whole else _listed(), 4 if whole else 1))
    assert not found, "\n" + "\n".join(found)

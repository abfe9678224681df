"""Every operation of `table.py`: values, gradients to second order, dtypes, strides, broadcasting, special inputs.

Each test runs on the CPU and on the simulated CUDA device, and on the GPU under `--device cuda`. PyTorch, where installed, is
the second opinion. Child processes repeat the run with NumPy's bodies, and with Numba not installed.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table import OPS as TABLE
from table import Op
from table_functions import FUNCTION_OPS

import autograd_core as ag
from autograd_core import ops

try:
    import torch
except ImportError:
    torch = None
OPS = (*TABLE, *FUNCTION_OPS)
needs_torch = pytest.mark.skipif(torch is None, reason="comparisons with PyTorch need torch==2.13.0")

# Stated once: relative and absolute tolerance by dtype.
TOLERANCE = {"float16": (2e-3, 2e-3), "float32": (2e-6, 2e-6), "float64": (1e-12, 1e-12)}

# PyTorch's trigamma is good to nine digits.
ROUGH_IN_TORCH = ("digamma", "polygamma")

ALL_DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "where" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--device")
        metafunc.parametrize("where", ("cuda",) if chosen == "cuda" else ("cpu", "simulated"))


@pytest.fixture(autouse=True)
def _default_device(request: pytest.FixtureRequest) -> Iterator[None]:
    if "where" in request.fixturenames:
        with ag.device(request.getfixturevalue("where")):
            yield
    else:
        yield


def rows(condition: Any = lambda op: True) -> Any:
    chosen = [op for op in OPS if condition(op)]
    return pytest.mark.parametrize("op", chosen, ids=[op.name for op in chosen])


def outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def values(x: Any) -> Any:
    return np.asarray(x.detach().cpu().numpy()) if hasattr(x, "detach") else np.asarray(x)


def assert_close(ours: Any, expected: Any, what: str, dtype: str = "float64") -> None:
    ours, expected = outputs(ours), outputs(expected)
    assert len(ours) == len(expected), f"{what}: {len(ours)} outputs, expected {len(expected)}"
    rtol, atol = TOLERANCE.get(dtype, (0.0, 0.0))
    for got, want in zip(ours, expected, strict=True):
        got, want = values(got), values(want)
        assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol, atol, err_msg=what)


def ours(array: np.ndarray, grad: bool = False) -> ag.Tensor:
    t = ag.tensor(array)
    return t.requires_grad_() if grad and t.is_floating_point() else t


def strided(array: np.ndarray) -> ag.Tensor:
    """The same values where no dimension is contiguous: reversed order of axes, every second element."""
    if not array.ndim:
        return ag.tensor(np.stack([array, array]))[1]
    wide = np.zeros((*(2 * n for n in array.shape[::-1]),), array.dtype)
    view = ag.tensor(wide).permute(*range(array.ndim)[::-1])
    view = view[tuple(slice(1, None, 2) for _ in array.shape)]
    with ag.no_grad():
        view[...] = ag.tensor(array)
    return view


# -- values -----------------------------------------------------------------------------------------------


@rows()
def test_forward(op: Op, where: str) -> None:
    """float64 against NumPy, on contiguous, strided and read-as-expanded inputs; inputs stay as they were."""
    for sample in (*op.samples, *op.empty):
        expected = op.ref(*sample)
        tensors = [ours(a) for a in sample]
        assert_close(op.call(ag, *tensors), expected, op.name)
        for t, a in zip(tensors, sample, strict=True):
            np.testing.assert_array_equal(values(t), a, err_msg=f"{op.name} changed its input")
        if "view" not in op.name:
            assert_close(op.call(ag, *(strided(a) for a in sample)), expected, f"{op.name}, strided")


@needs_torch
@rows()
def test_forward_and_gradients_are_those_of_torch(op: Op) -> None:
    for sample in (*op.samples, *op.empty):
        mine = [ours(a, op.differentiable) for a in sample]
        theirs = [torch.tensor(a, requires_grad=op.differentiable and a.dtype.kind == "f") for a in sample]
        a, b = outputs(op.call(ag, *mine)), outputs(op.call(torch, *theirs))
        for x, y in zip(a, b, strict=True):
            if hasattr(y, "dtype"):
                assert str(x.dtype)[3:] == str(y.dtype)[6:], op.name
                assert x.requires_grad == y.requires_grad, op.name
        precision = "float32" if op.name in ROUGH_IN_TORCH else "float64"
        assert_close(a, b, op.name, precision)
        pairs = [(x, y) for x, y in zip(a, b, strict=True) if getattr(y, "requires_grad", False)]
        if pairs:
            weights = [np.linspace(0.5, 2.0, values(x).size).reshape(x.shape) for x, _ in pairs]
            ag.autograd.backward(
                [x for x, _ in pairs], [ag.tensor(w, device=x.device) for (x, _), w in zip(pairs, weights)]
            )
            if op.name in ("scatter", "scatter_add") and sample[1].shape != sample[2].shape:
                continue  # PyTorch's own gradient of a scatter of part of the source is an error.
            torch.autograd.backward([y for _, y in pairs], [torch.tensor(w) for w in weights])
        for x, y in zip(mine, theirs, strict=True):
            if y.grad is not None:
                assert_close(x.grad, y.grad, f"gradient of {op.name}", precision)


@rows(lambda op: op.elementwise > 0 and op.result != "sum")
def test_special_values(op: Op, where: str) -> None:
    """NaN, infinities, signed zeros and the extremes, elementwise, as NumPy has them; 0-d and empty inputs too."""
    for dtype in ("float32", "float64"):
        _check_special_values(op, dtype)


def _check_special_values(op: Op, dtype: str) -> None:
    limits = np.finfo(dtype)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, limits.max, limits.tiny, 0.5], dtype)
    with np.errstate(all="ignore"):
        if op.elementwise == 1:
            arrays: tuple[Any, ...] = (special,)
        else:
            pairs = np.array(list(itertools.product(special, special)), dtype)
            arrays = (pairs[:, 0].copy(), pairs[:, 1].copy())
        expected = op.ref(*arrays)
        got = values(op.call(ag, *(ours(a) for a in arrays)))
        rtol, atol = TOLERANCE[dtype]
        np.testing.assert_allclose(
            got.astype(float), np.asarray(expected).astype(float), 4 * rtol, atol, err_msg=op.name
        )
        for shape in ((0,), (2, 0)):
            empty = [np.zeros(shape, dtype)] * op.elementwise
            assert values(op.call(ag, *(ours(a) for a in empty))).shape == shape


# -- gradients --------------------------------------------------------------------------------------------


def _floating_outputs(op: Op) -> Any:
    def function(*tensors: Any) -> Any:
        return tuple(t for t in outputs(op.call(ag, *tensors)) if t.is_floating_point())

    return function


def _differentiable(op: Op) -> bool:
    return op.differentiable and any(a.dtype.kind == "f" for a in op.samples[0] if op.samples) if op.samples else False


@rows(_differentiable)
def test_gradcheck(op: Op, where: str) -> None:
    for sample in op.samples:
        assert ag.autograd.gradcheck(_floating_outputs(op), [ours(a, True) for a in sample]), op.name


@rows(lambda op: _differentiable(op) and op.twice)
def test_gradgradcheck(op: Op, where: str) -> None:
    for sample in op.samples[:2]:
        assert ag.autograd.gradgradcheck(_floating_outputs(op), [ours(a, True) for a in sample]), op.name


@rows(_differentiable)
def test_gradients_of_strided_and_expanded_cotangents(op: Op, where: str) -> None:
    """The gradient depends on the cotangent's values alone, not on its strides."""
    for sample in (*op.samples[:1], *op.empty):
        found = []
        for spread in (False, True):
            tensors = [ours(a, True) for a in sample]
            results = [t for t in outputs(op.call(ag, *tensors)) if t.requires_grad]
            for t in results:
                shape = tuple(t.shape)
                g = t.new_full((), 1.5).expand(*shape) if spread else t.new_full(shape, 1.5)
                t.backward(g, retain_graph=True)
            found.append([t.grad for t in tensors])
        for a, b, array in zip(*found, sample, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert a.shape == array.shape
                assert_close(a, b, op.name)


@rows(lambda op: _differentiable(op) and not op.name.endswith(".large"))
def test_gradient_in_float32_and_float16(op: Op) -> None:
    """Half and single precision give the double precision gradient up to rounding, in their own dtype."""
    for dtype in ("float32", "float16"):
        sample = op.samples[0]
        low = [ours(a.astype(dtype) if a.dtype.kind == "f" else a, True) for a in sample]
        result = [t for t in outputs(op.call(ag, *low)) if t.requires_grad and t.dtype is not ag.float64]
        if not result:
            continue
        high = [ours(values(t).astype(np.float64) if t.is_floating_point() else values(t), True) for t in low]
        exact = [t for t in outputs(op.call(ag, *high)) if t.requires_grad]
        for outs in (result, exact):
            ag.autograd.backward(outs, [ag.ones_like(t) for t in outs])
        for a, b in zip(low, high, strict=True):
            if a.grad is not None:
                assert a.grad.dtype is a.dtype, op.name
                rtol, atol = (2e-2, 3e-2) if dtype == "float16" else (2e-5, 2e-5)
                np.testing.assert_allclose(values(a.grad).astype(float), values(b.grad), rtol, atol, err_msg=op.name)


# -- dtypes -----------------------------------------------------------------------------------------------


def _cast(sample: tuple[Any, ...], dtype: str) -> tuple[Any, ...]:
    return tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in sample)


def _promised(op: Op, dtype: str) -> str:
    integral = np.dtype(dtype).kind in "bui"
    return {
        "same": dtype, "float": "float32" if integral else dtype, "bool": "bool", "index": "int64",
        "sum": "int64" if integral else dtype, "double": "float64",
    }[op.result]  # fmt: skip


# Where we differ on purpose: a value where PyTorch refuses.
WIDER = {
    (name, "b") for name in ("abs", "absolute", "abs.kink", "relu", "sub.number", "rsub", "addcmul", "clamp.tensors")
}
# PyTorch multiplies bools where an einsum needs no sum, and refuses them elsewhere; we refuse them always.
QUIRKS = {("einsum i,j->ij", "b")}


@rows(lambda op: bool(op.samples) and any(a.dtype.kind == "f" for s in op.samples for a in s) and op.samples[0] != ())
def test_dtypes(op: Op) -> None:
    """The dtype of the result, or a RuntimeError for inputs that the operation does not take; as PyTorch has it."""
    for dtype in ALL_DTYPES:
        _check_dtype(op, dtype)


def _check_dtype(op: Op, dtype: str) -> None:
    sample = _cast(op.samples[0], dtype)
    kind = {"b": "b", "u": "i", "i": "i", "f": "f"}[np.dtype(dtype).kind]
    theirs: Any = None
    if torch is not None:
        try:
            theirs = outputs(op.call(torch, *(torch.tensor(a) for a in sample)))
        except (RuntimeError, IndexError, TypeError) as error:
            theirs = error
    if (op.name, kind) in QUIRKS or (theirs is None and kind != "f"):
        return  # Which operation takes integers or bools follows no rule: PyTorch has to say it (and tests/test_dtypes.py).
    if isinstance(theirs, Exception):
        if kind == "f" or (op.name, kind) in WIDER:
            return  # PyTorch lacks a float16 kernel here; ours may have it.
        with pytest.raises(type(theirs)):
            op.call(ag, *(ours(a) for a in sample))
        return
    if theirs is None and kind not in op.kinds and (op.name, kind) not in WIDER:
        with pytest.raises(RuntimeError):
            op.call(ag, *(ours(a) for a in sample))
        return
    with np.errstate(all="ignore"):
        mine = outputs(op.call(ag, *(ours(a) for a in sample)))
    if theirs is not None:
        for a, b in zip(mine, theirs, strict=True):
            if hasattr(b, "dtype"):
                assert str(a.dtype)[3:] == str(b.dtype)[6:], f"{op.name} of {dtype}"
                if dtype != "float16" and not (
                    kind == "i" and op.name.startswith(("topk", "kthvalue"))
                ):  # Ties have no order there.
                    np.testing.assert_allclose(
                        values(a).astype(float), values(b).astype(float), 3e-6, 3e-6, err_msg=op.name
                    )
    elif op.elementwise or op.name in ("sum", "prod", "argmax", "cumsum", "cat", "matmul"):
        assert mine[0].dtype.name == _promised(op, dtype), f"{op.name} of {dtype}"


PROMOTING = ("add", "mul", "div", "maximum", "eq", "logical_and", "pow", "where", "cat", "atan2")


@needs_torch
@pytest.mark.parametrize("name", PROMOTING)
def test_promotion_is_that_of_torch(name: str) -> None:
    """Each pair of dtypes, with and without dimensions, and each dtype with each kind of Python number."""

    def call(t: Any, x: Any, y: Any) -> Any:
        if name == "where":
            return t.where(t.ones((), dtype=t.bool), x, y)
        return t.cat([x, y]) if name == "cat" else getattr(t, name)(x, y)

    shapes = (((2,), (2,)),) if name == "cat" else (((2,), (2,)), ((2,), ()), ((), (2,)), ((), ()))
    for a, b in itertools.product(ALL_DTYPES, ALL_DTYPES):
        for s1, s2 in shapes:

            def result(t: Any, a: str = a, b: str = b, s1: Any = s1, s2: Any = s2) -> Any:
                try:
                    return str(call(t, t.ones(s1, dtype=getattr(t, a)), t.ones(s2, dtype=getattr(t, b))).dtype).split(
                        "."
                    )[1]
                except RuntimeError:
                    return "error"

            assert result(ag) == result(torch), f"{name}({a} {s1}, {b} {s2})"
    if name in ("maximum", "cat", "logical_and", "atan2"):
        return
    for a, number, shape in itertools.product(ALL_DTYPES, (True, 2, 2.5), ((2,), ())):
        for swap in (False, True):
            if swap and name != "where" or name == "eq" and swap:
                continue

            def result(t: Any, a: str = a, number: Any = number, shape: Any = shape, swap: bool = swap) -> Any:
                x = t.ones(shape, dtype=getattr(t, a))
                try:
                    return str((call(t, number, x) if swap else call(t, x, number)).dtype).split(".")[1]
                except RuntimeError:
                    return "error"

            assert result(ag) == result(torch), f"{name}({a} {shape}, {number!r}), swapped: {swap}"


# -- errors -----------------------------------------------------------------------------------------------

ERRORS: tuple[tuple[str, Any, type[Exception], str], ...] = (
    ("add of shapes", lambda t: t.ones(2) + t.ones(3), RuntimeError, r"\(2,\) and \(3,\)|size"),
    ("add of a string", lambda t: t.ones(2) + "1", TypeError, "str"),
    ("sub of bools", lambda t: t.ones(2, dtype=t.bool) - t.ones(2, dtype=t.bool), RuntimeError, "bool"),
    ("negative integer power", lambda t: t.arange(3) ** -1, RuntimeError, "negative integer powers"),
    ("integer division by zero", lambda t: t.ones(2, dtype=t.int64) // 0, RuntimeError, "ZeroDivisionError"),
    ("rounding mode", lambda t: t.div(t.ones(2), 2, rounding_mode="up"), RuntimeError, "rounding_mode"),
    ("clamp of nothing", lambda t: t.clamp(t.ones(2)), RuntimeError, "'min' or 'max'|At least one"),
    ("bitwise of floats", lambda t: t.ones(2) & t.ones(2), RuntimeError, "bitwise|not implemented"),
    ("where with numbers", lambda t: t.where(t.ones(2), t.ones(2), t.ones(2)), RuntimeError, "bool"),
    ("isclose of dtypes", lambda t: t.isclose(t.ones(2), t.ones(2, dtype=t.float64)), RuntimeError, "float32|Float"),
    ("mean of integers", lambda t: t.arange(3).mean(), RuntimeError, "floating point"),
    ("dim out of range", lambda t: t.ones(2, 3).sum(2), IndexError, "Dimension out of range"),
    ("dim twice", lambda t: t.ones(2, 3).sum((0, 0)), RuntimeError, "multiple times"),
    ("max of nothing", lambda t: t.ones(0).max(), RuntimeError, "max"),
    ("argmax of nothing", lambda t: t.ones(0).argmax(), IndexError, "argmax"),
    ("amax over a size of 0", lambda t: t.ones(2, 0).amax(1), IndexError, "amax"),
    ("reshape", lambda t: t.ones(6).reshape(4, 2), RuntimeError, "invalid for input of size 6"),
    ("reshape twice -1", lambda t: t.ones(6).reshape(-1, -1), RuntimeError, "only one dimension"),
    ("view of a transpose", lambda t: t.ones(2, 3).t().view(6), RuntimeError, "reshape"),
    ("permute", lambda t: t.ones(2, 3).permute(0, 0), RuntimeError, "dup|unique|repeated"),
    ("permute too few", lambda t: t.ones(2, 3).permute(0), RuntimeError, "dim"),
    ("t of 3-d", lambda t: t.ones(2, 3, 4).t(), RuntimeError, "2"),
    ("expand", lambda t: t.ones(2).expand(3), RuntimeError, "must match the existing size"),
    ("cat of shapes", lambda t: t.cat([t.ones(2, 3), t.ones(2, 4)]), RuntimeError, "must match except in dimension 0"),
    ("cat of nothing", lambda t: t.cat([]), (RuntimeError, ValueError), "non-empty"),
    ("cat of 0-d", lambda t: t.cat([t.ones(()), t.ones(1)]), RuntimeError, "zero-dimensional"),
    ("stack of shapes", lambda t: t.stack([t.ones(2), t.ones(3)]), RuntimeError, "equal size"),
    ("split sizes", lambda t: t.ones(5).split([2, 2]), RuntimeError, "sum exactly to 5"),
    ("narrow", lambda t: t.ones(3).narrow(0, 2, 2), RuntimeError, "exceeds dimension size"),
    ("squeeze dim", lambda t: t.ones(3).squeeze(2), IndexError, "Dimension out of range"),
    ("broadcast_shapes", lambda t: t.broadcast_shapes((2,), (3,)), RuntimeError, "Shape mismatch|broadcast"),
    ("index out of range", lambda t: t.ones(3)[3], IndexError, "out of (range|bounds)"),
    ("index vector out of range", lambda t: t.ones(3)[t.tensor([0, 3])], IndexError, "out of (range|bounds)"),
    ("too many indices", lambda t: t.ones(3)[0, 0], IndexError, "too many indices"),
    ("negative step", lambda t: t.ones(3)[::-1], ValueError, "step"),
    ("float index", lambda t: t.ones(3)[t.ones(1)], IndexError, "tensors used as indices"),
    ("string index", lambda t: t.ones(3)["a"], (TypeError, IndexError), "indices"),
    ("mask of a wrong shape", lambda t: t.ones(3)[t.ones(2, dtype=t.bool)], IndexError, "mask"),
    ("assignment of a wrong shape", lambda t: t.ones(3).__setitem__(slice(0, 2), t.ones(3)), RuntimeError, "size"),
    ("gather dtype", lambda t: t.gather(t.ones(2, 2), 0, t.ones(2, 2)), RuntimeError, "int64"),
    ("gather bounds", lambda t: t.gather(t.ones(2, 2), 0, t.full((1, 2), 2)), RuntimeError, "out of bounds"),
    ("gather dims", lambda t: t.gather(t.ones(2, 2), 0, t.zeros(2, dtype=t.int64)), RuntimeError, "same number of dimensions"),
    ("scatter dtype", lambda t: t.scatter(t.ones(2), 0, t.tensor([0]), t.ones(1, dtype=t.float64)), RuntimeError, "dtype"),
    ("index_select matrix", lambda t: t.index_select(t.ones(2, 2), 0, t.zeros(1, 1, dtype=t.int64)), IndexError, "vector"),
    ("masked_fill mask", lambda t: t.masked_fill(t.ones(2), t.ones(2), 0.0), RuntimeError, "bool"),
    ("masked_fill value", lambda t: t.masked_fill(t.ones(2), t.ones(2, dtype=t.bool), t.ones(2)), RuntimeError, "0-dim"),
    ("topk", lambda t: t.topk(t.ones(2), 3), RuntimeError, "out of range"),
    ("matmul of shapes", lambda t: t.ones(2, 3) @ t.ones(2, 3), RuntimeError, r"\(2, 3\) and \(2, 3\)|2x3"),
    ("matmul of dtypes", lambda t: t.ones(2, 2) @ t.ones(2, 2, dtype=t.float64), RuntimeError, "dtype"),
    ("matmul of 0-d", lambda t: t.ones(()) @ t.ones(2), RuntimeError, "at least 1D"),
    ("mm of vectors", lambda t: t.mm(t.ones(2), t.ones(2, 2)), RuntimeError, "2D|matrix|matrices"),
    ("bmm of batches", lambda t: t.bmm(t.ones(2, 1, 1), t.ones(3, 1, 1)), RuntimeError, "batch"),
    ("einsum operands", lambda t: t.einsum("ij,jk->ik", t.ones(2, 2)), (RuntimeError, ValueError), "einsum"),
    ("einsum sizes", lambda t: t.einsum("ij,jk->ik", t.ones(2, 3), t.ones(2, 3)), RuntimeError, "einsum"),
    ("einsum output", lambda t: t.einsum("ij->k", t.ones(2, 3)), RuntimeError, "einsum"),
    ("zeros of a negative size", lambda t: t.zeros(-1), RuntimeError, "negative dimension"),
    ("arange of step 0", lambda t: t.arange(0, 3, 0), RuntimeError, "step must be nonzero"),
    ("arange of wrong sign", lambda t: t.arange(3, 0), RuntimeError, "inconsistent with step"),
    ("linspace of -1 steps", lambda t: t.linspace(0, 1, -1), RuntimeError, "non-negative"),
    ("ragged data", lambda t: t.tensor([[1, 2], [3]]), ValueError, "list|length"),
    ("data of strings", lambda t: t.tensor(["a"]), (ValueError, TypeError), "str"),
    ("truth of several", lambda t: bool(t.ones(2)), RuntimeError, "ambiguous"),
    ("item of several", lambda t: t.ones(2).item(), RuntimeError, "Scalar"),
    ("requires_grad of integers", lambda t: t.arange(2).requires_grad_(), RuntimeError, "floating point"),
    ("in-place cast", lambda t: t.arange(2).add_(0.5), RuntimeError, "can't be cast"),
    ("in-place broadcast", lambda t: t.ones(2).add_(t.ones(2, 2)), RuntimeError, "broadcast shape"),
)  # fmt: skip


@pytest.mark.parametrize("name, call, error, message", ERRORS, ids=[e[0] for e in ERRORS])
def test_errors(name: str, call: Any, error: Any, message: str, where: str) -> None:
    with pytest.raises(error, match=message) as ours:
        call(ag)
    if torch is not None:
        with pytest.raises(Exception) as theirs:
            call(torch)
        assert issubclass(ours.type, theirs.type), f"{name}: PyTorch raises {theirs.type.__name__}: {theirs.value}"


# -- the table itself, and other ways to run it -----------------------------------------------------------


# Where functions that have no row are tested, by family.
ELSEWHERE = {
    ops.shape: ("sweep/scope.txt",),
    ops.indexing: ("sweep/scope.txt",),
    ops.creation: ("test_cuda_api.py",),
    ops.linear: ("ops/test_spatial.py",),
    ops.convolution: ("sweep/scope.txt",),
    ops.pooling: ("ops/test_spatial.py",),
    ops.normalization: ("ops/test_neural.py",),
    ops.activations: ("sweep/scope.txt",),
    ops.losses: ("ops/test_neural.py",),
    ops.embedding: ("ops/test_neural.py",),
    ops.cumulative: ("sweep/scope.txt",),
    ops.statistics: ("sweep/scope.txt",),
    ops.selection: ("sweep/scope.txt",),
    ops.distances: ("sweep/scope.txt",),
    ops.resampling: ("nn/test_more_layers.py",),
    ops.normalization_rms: ("ops/test_spatial.py",),
    ops.normalization_native: ("ops/test_spatial.py",),
    ops.dropout: ("ops/test_neural_behaviour.py",),
    ops.padding: ("ops/test_spatial.py",),
    ops.pooling_adaptive: ("ops/test_neural.py",),
    ops.unfolding: ("ops/spatial_cases.py",),
    ops.copies: ("ops/test_lines.py", "sweep/scope.txt"),
    ops.special: ("ops/test_lines.py",),
    ops.bessel: ("ops/test_lines.py",),
    ops.floats: ("ops/test_lines.py",),
    ops.counting: ("ops/test_lines.py", "sweep/scope.txt"),
    ops.windows: ("ops/test_lines.py",),
    ops.strided: ("inplace_programs.py", "ops/test_lines.py"),
    ops.drawing: ("ops/test_lines.py",),
    ops.inspection: ("ops/test_lines.py", "test_modes.py"),
    ops.mapping: ("test_functional.py",),
    ops.pinned: ("test_cuda_api.py",),
}


def test_each_public_function_has_a_row_or_is_tested_elsewhere() -> None:
    rows = {op.name.split(".")[0].split(" ")[0] for op in OPS}
    without = {family: {*family.FUNCTIONS, *family.METHODS} - rows for family in ops.FAMILIES}
    assert {family for family, names in without.items() if names} == set(ELSEWHERE)
    tests = Path(__file__).parents[1]
    for family, files in ELSEWHERE.items():
        words = {word for file in files for word in re.findall(r"\w+", (tests / file).read_text(encoding="utf-8"))}
        missing = without[family] - words
        assert not missing, f"{family.__name__}: {sorted(missing)} have no row in table.py and no test in {files}"


# Elementwise functions that have no in-place form, in PyTorch neither: those whose result has another dtype, or is to be
# a tensor of its own.
NOT_IN_PLACE = """
clone fmax fmin isfinite isinf isnan isneginf isposinf isreal logaddexp logaddexp2 maximum minimum positive rsub signbit
"""


class InPlace:
    """A library for the calls of the table whose functions change their first operand: `clamp` is `clamp_`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ag.Tensor, f"{name}_")


def test_every_inplace_form_equals_its_function(where: str) -> None:
    """`x.name_()` gives what `name(x)` gives, for each elementwise row."""
    elementwise = [op for op in OPS if op.elementwise and "." not in op.name]
    compared = [op for op in elementwise if hasattr(ag.Tensor, f"{op.name}_")]
    assert sorted({op.name for op in elementwise} - {op.name for op in compared}) == NOT_IN_PLACE.split()
    for op in compared:
        x, *rest = (ours(a) for a in op.samples[0])
        expected = op.call(ag, x, *rest).to(ag.float64)
        assert op.call(InPlace(), x, *rest) is x
        assert_close(x, expected, f"{op.name}_")


def _child(environment: dict[str, str], *extra: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    path = os.pathsep.join((str(root / "tests"), str(root)))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *extra, str(Path(__file__)),
               "-k", "(test_forward or gradcheck or special or announces) and not simulated and not torch"]  # fmt: skip
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path} | environment, cwd=root, capture_output=True, text=True
    )


@pytest.mark.host("the child processes test the CPU backend")
@pytest.mark.parametrize("mode", ("numpy", "without numba"))
def test_again_without_compiled_kernels(mode: str) -> None:
    if os.environ.get("EXPECT_KERNELS"):
        pytest.skip("already in a child process")
    extra = ("-p", "without_numba") if mode == "without numba" else ()
    done = _child({"EXPECT_KERNELS": mode} | ({"AUTOGRAD_CORE_KERNELS": "numpy"} if mode == "numpy" else {}), *extra)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_the_child_process_announces_its_kernels() -> None:
    """In the children: the compiled kernels are indeed absent (else they would repeat the main run)."""
    expected = os.environ.get("EXPECT_KERNELS")
    if expected is None:
        pytest.skip("runs in the child processes of test_again_without_compiled_kernels")
    backend = ag.devices.backend_of("cpu")
    ag.tanh(ag.ones(3, requires_grad=True)).sum().backward()
    assert "tanh_backward" not in vars(backend), "the CPU backend has compiled kernels installed"
    if expected == "without numba":
        with pytest.raises(ImportError):
            import numba  # noqa: F401

"""From PyTorch's samples to ours, and ours against PyTorch's results.

Conversions go through NumPy and keep what a sample is about: its layout, which tensor is which (one tensor given twice
stays one), and what requires a gradient. A sample of a kind that autograd-core never has (complex, sparse, quantised,
bfloat16, another device) raises `Beyond`, and is left out.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import autograd_core as ag

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
BEYOND = {torch.complex32, torch.complex64, torch.complex128, torch.bfloat16, torch.uint16, torch.uint32, torch.uint64}

# Relative and absolute tolerance by dtype; PyTorch rounds to float16 in between where we keep float32, and the reverse.
TOLERANCE = {"float16": (4e-3, 4e-3), "float32": (2e-5, 1e-5), "float64": (1e-7, 1e-8)}


class Beyond(Exception):
    """The sample uses what autograd-core does not have on purpose."""


class Wrong(AssertionError):
    """Ours differs from PyTorch's."""


def dtype_name(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise Beyond(name)
    return name


def our_dtype(name: str) -> Any:
    return ag.bool_ if name == "bool" else getattr(ag, name)


class Converter:
    """Turns one sample's arguments into ours, on one device. `strided`: every tensor becomes non-contiguous."""

    def __init__(self, device: str, strided: bool = False) -> None:
        self.device, self.strided = device, strided
        self.seen: dict[int, Any] = {}

    def __call__(self, x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            if id(x) not in self.seen:
                self.seen[id(x)] = self.tensor(x)
            return self.seen[id(x)]
        if isinstance(x, list | tuple):
            return type(x)(self(item) for item in x) if type(x) in (list, tuple) else tuple(self(item) for item in x)
        if isinstance(x, dict):
            return {key: self(item) for key, item in x.items()}
        return self.static(x)

    def static(self, x: Any) -> Any:
        if isinstance(x, torch.dtype):
            return our_dtype(dtype_name(x))
        if isinstance(x, torch.device):
            if x.type != "cpu":
                raise Beyond(str(x))
            return ag.device(self.device)
        if isinstance(x, str) and x.startswith(("cpu", "cuda", "meta")):
            if x != "cpu":
                raise Beyond(x)
            return self.device
        if isinstance(x, torch.layout | torch.memory_format):
            if x not in (torch.strided, torch.contiguous_format, torch.preserve_format):
                raise Beyond(str(x))
            return getattr(ag, str(x).removeprefix("torch."))
        if isinstance(x, torch.Generator):
            return ag.Generator(self.device)
        if isinstance(x, torch.nn.Module):
            return _module(x)
        if isinstance(x, types.FunctionType | types.BuiltinFunctionType):
            return translated(x)
        if isinstance(x, complex):
            raise Beyond("complex")
        return x

    def tensor(self, x: torch.Tensor) -> Any:
        made = self.plain(x)
        if isinstance(x, torch.nn.Parameter):
            return ag.nn.Parameter(made, requires_grad=x.requires_grad)
        return made.requires_grad_() if x.requires_grad else made

    def plain(self, x: torch.Tensor) -> Any:
        if x.layout != torch.strided or x.device.type != "cpu" or x.is_quantized or x.dtype in BEYOND:
            raise Beyond(f"{x.layout} {x.dtype} on {x.device}")
        if x.ndim > 63:  # More than NumPy's arrays can have.
            raise Beyond(f"{x.ndim} dimensions")
        host = x.detach().numpy()
        if self.strided:
            spread = np.stack([host, np.full_like(host, True)], -1) if host.ndim else host
            made = ag.tensor(spread, device=self.device)
            return made[..., 0] if host.ndim else made
        # A permuted dense tensor keeps its order of memory.
        order = sorted(range(host.ndim), key=lambda axis: -host.strides[axis])
        if host.size and order != list(range(host.ndim)) and min(host.strides, default=1) > 0:
            made = ag.tensor(np.ascontiguousarray(host.transpose(order)), device=self.device)
            return made.permute(*np.argsort(order).tolist())
        return ag.tensor(np.array(host), device=self.device)


def _module(x: torch.nn.Module) -> Any:
    """A module given as an argument, as ours; its parameters come from the whole's state_dict."""
    if isinstance(x, torch.nn.TransformerEncoderLayer):
        return ag.nn.TransformerEncoderLayer(
            x.self_attn.embed_dim,
            x.self_attn.num_heads,
            x.linear1.out_features,
            dropout=x.dropout.p,
            activation=x.activation.__name__,
            batch_first=x.self_attn.batch_first,
            norm_first=x.norm_first,
            bias=x.linear1.bias is not None,
        )
    return getattr(ag.nn, type(x).__name__)()


class Copier(Converter):
    """Copies for PyTorch itself."""

    def __init__(self, strided: bool = False) -> None:
        super().__init__("cpu", strided)

    def static(self, x: Any) -> Any:
        return x

    def tensor(self, x: torch.Tensor) -> Any:
        if x.layout != torch.strided:
            raise Beyond(str(x.layout))
        made = x.detach().clone()
        if self.strided and x.ndim:
            made = torch.stack([made, torch.ones_like(made)], -1)[..., 0]
        if isinstance(x, torch.nn.Parameter):
            return torch.nn.Parameter(made, requires_grad=x.requires_grad)
        return made.requires_grad_() if x.requires_grad else made


def _seeded(operation: Any, *args: Any, **kwargs: Any) -> Any:
    return operation(*args, **kwargs)


def translated(function: Any, root: Any = ag) -> Any:
    """The same function over `root`: PyTorch's by its path, a lambda of its tests with `torch` standing for `root`."""
    if isinstance(function, functools.partial):
        return functools.partial(translated(function.func, root), *function.args, **function.keywords)
    if isinstance(function, types.FunctionType) and "testing" in (function.__module__ or ""):
        names = {**function.__globals__, "torch": root, "wrapper_set_seed": _seeded}
        made = types.FunctionType(
            function.__code__, names, function.__name__, function.__defaults__, function.__closure__
        )
        made.__kwdefaults__ = function.__kwdefaults__
        return made
    name = function.__name__
    for space in ("Tensor", "nn.functional", "special", "linalg"):
        if follow(torch, f"{space}.{name}") is function:
            return _found(root, f"{space}.{name}")
    if follow(torch, name) is function:
        return _found(root, name)
    raise Beyond(f"a function {function!r}")


def _found(root: Any, path: str) -> Any:
    found = follow(root, path)
    if found is None:
        raise Wrong(f"there is no {path}")
    return found


def follow(root: Any, path: str) -> Any:
    """`root.path`, or None."""
    for part in path.split("."):
        root = getattr(root, part, None)
        if root is None:
            return None
    return root


def leaves(x: Any, kind: type) -> Iterator[Any]:
    """The distinct tensors of a nest, in order."""
    seen: set[int] = set()
    for leaf in _flat(x):
        if isinstance(leaf, kind) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf


def _flat(x: Any) -> Iterator[Any]:
    if isinstance(x, list | tuple):
        for item in x:
            yield from _flat(item)
    elif isinstance(x, dict):
        for item in x.values():
            yield from _flat(item)
    else:
        yield x


def host_values(x: Any) -> np.ndarray:
    if isinstance(x, torch.Tensor) and x._is_zerotensor():  # PyTorch's zeros without memory
        x = torch.zeros(x.shape, dtype=x.dtype)
    return np.asarray(x.detach().cpu().numpy())


def check_close(ours: Any, theirs: Any, what: str = "", factor: float = 1.0, values: bool = True) -> None:
    """Raise `Wrong` unless structure, types, shapes, dtypes and (with `values`) values agree."""
    if isinstance(theirs, torch.Tensor):
        if not isinstance(ours, ag.Tensor):
            raise Wrong(f"{what}: {type(ours).__name__}, expected a tensor")
        _check_tensor(ours, theirs, what, factor, values)
    elif isinstance(theirs, list | tuple):
        if not isinstance(ours, list | tuple):
            raise Wrong(f"{what}: {type(ours).__name__}, expected {type(theirs).__name__}")
        if len(ours) != len(theirs):
            raise Wrong(f"{what}: {len(ours)} results, expected {len(theirs)}")
        fields = getattr(type(theirs), "__match_args__", ()) if type(theirs).__module__ == "torch.return_types" else ()
        missing = [field for field in fields if not hasattr(ours, field)]
        if missing:
            raise Wrong(f"{what}: the result has no field {missing[0]}")
        for index, (got, want) in enumerate(zip(ours, theirs, strict=True)):
            check_close(got, want, f"{what}[{index}]", factor, values)
    elif isinstance(theirs, float | np.floating):
        if not isinstance(ours, float) or (values and not np.allclose(ours, theirs, 1e-6, 1e-9, equal_nan=True)):
            raise Wrong(f"{what}: {ours!r}, expected {theirs!r}")
    elif isinstance(theirs, torch.dtype):
        if str(ours).removeprefix("ag.") != str(theirs).removeprefix("torch."):
            raise Wrong(f"{what}: {ours}, expected {theirs}")
    elif type(ours) is not type(theirs) or ours != theirs:
        raise Wrong(f"{what}: {ours!r}, expected {theirs!r}")


def _check_tensor(ours: Any, theirs: torch.Tensor, what: str, factor: float, values: bool) -> None:
    wanted = dtype_name(theirs.dtype)
    if tuple(ours.shape) != tuple(theirs.shape):
        raise Wrong(f"{what}: shape {tuple(ours.shape)}, expected {tuple(theirs.shape)}")
    if ours.dtype is not our_dtype(wanted):
        raise Wrong(f"{what}: dtype {ours.dtype}, expected {wanted}")
    if not values:
        return
    got, want = host_values(ours), host_values(theirs.resolve_neg().resolve_conj())
    if wanted not in TOLERANCE:
        different = got != want
    else:
        rtol, atol = TOLERANCE[wanted]
        got, want = got.astype(np.float64), want.astype(np.float64)
        # A value much smaller than the others is mostly a sum of terms of their size, and carries their rounding.
        atol += 2 * np.finfo(wanted).eps * np.abs(want[np.isfinite(want)]).max(initial=0)
        different = ~np.isclose(got, want, rtol * factor, atol * factor, equal_nan=True)
    if different.any():
        first = tuple(int(i) for i in np.argwhere(different)[0])
        count = int(different.sum())
        raise Wrong(f"{what}: {count} of {got.size} values differ; at {first} {got[first]}, expected {want[first]}")


def show(x: Any) -> str:
    """A sample's arguments, short."""
    if isinstance(x, torch.Tensor):
        name = str(x.dtype).removeprefix("torch.")
        text = f"{x.item()}:{name}" if x.ndim == 0 and x.layout == torch.strided else f"{name}{list(x.shape)}"
        return text + ("*" if x.requires_grad else "")
    if isinstance(x, list | tuple):
        inside = ", ".join(show(item) for item in x)
        return f"[{inside}]" if isinstance(x, list) else f"({inside})"
    if isinstance(x, dict):
        return ", ".join(f"{key}={show(item)}" for key, item in x.items())
    return getattr(x, "__name__", None) or repr(x)

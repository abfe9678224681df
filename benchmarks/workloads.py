"""The timed workloads by their names on the command line, with the ratios aimed at."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from autograd_core.benchmarks import operations, overhead

# The ways in which PyTorch may run a workload; it gets the one that proves fastest.
_FOREACH, _FUSED = {"optimizer": {"foreach": True}}, {"optimizer": {"fused": True}}
_LAST = {"channels_last": True}
OPTIMIZERS: tuple[dict[str, Any], ...] = ({}, _FOREACH, _FUSED)
LAYOUTS: tuple[dict[str, Any], ...] = ({}, _LAST)
IMAGES = tuple(optimizer | layout for optimizer in OPTIMIZERS for layout in LAYOUTS)

# The batch sizes of a sweep.
SWEPT = {
    "mlp": (8, 32, 128, 512, 2048),
    "lenet": (4, 16, 64, 256, 1024),
    "resnet": (4, 16, 32, 128),
    "lstm": (4, 16, 32, 128),
    "gpt": (2, 4, 12, 48),
}


@dataclass(frozen=True)
class Workload:
    """What to time: `function` of `file` with `sizes` makes a step that does `units` of `unit`.

    tiny: sizes for a test that everything runs. size: where this one stands on the axis of its group's curve.
    target: the ratio aimed at. variants: the peer's options to choose from. task: see `child.py`.
    """

    name: str
    file: str
    function: str
    sizes: dict[str, Any] = field(default_factory=dict)
    tiny: dict[str, Any] = field(default_factory=dict)
    units: int = 1
    unit: str = "step"
    target: float | None = None
    variants: tuple[dict[str, Any], ...] = ({},)
    size: float | None = None
    task: str = "serve"
    before: tuple[str, ...] = ()  # imported first, uncounted
    cold: bool = False  # with an empty cache of compiled kernels


def _trained() -> dict[str, list[Workload]]:
    """One step of training each."""
    small = {"batch": 2}
    return {
        "mlp": [Workload("mlp 784-512-512-10", "mlp", "mlp", {}, small, target=1.0, variants=OPTIMIZERS)],
        "mlp-small": [Workload("mlp-small 784-30-10", "mlp", "mlp_small", target=0.5, variants=OPTIMIZERS)],
        "lenet": [Workload("lenet, batch 256", "lenet", "lenet", {}, small, target=1.0, variants=IMAGES)],
        "resnet": [
            Workload("resnet-14, batch 32", "resnet", "resnet", {}, small | {"blocks": 1}, target=1.0, variants=IMAGES)
        ],
        "lstm": [
            Workload(
                "lstm 256, 32 x 64", "lstm", "lstm", {}, {"batch": 2, "length": 3, "width": 8}, target=1.0,
                variants=OPTIMIZERS,
            )
        ],
        "gpt": [
            Workload(
                "gpt 4 x 128, 12 x 64", "gpt", "gpt", {}, {"batch": 2, "layers": 1, "width": 16, "block": 8},
                target=1.0, variants=OPTIMIZERS,
            )
        ],
    }  # fmt: skip


def _adam(count: int, size: int, name: str) -> Workload:
    sizes, tiny = {"count": count, "size": size}, {"count": 2, "size": 5}
    return Workload(name, "adam", "adam", sizes, tiny, target=1.0, variants=OPTIMIZERS)


def _elementwise(size: int) -> Workload:
    sizes, tiny = {"size": size}, {"size": 9}
    return Workload(f"elementwise {size:,}", "elementwise", "elementwise", sizes, tiny, target=1.0, size=size)


def _rows(kind: str, rows: int, columns: int) -> Workload:
    sizes, tiny = {"rows": rows, "columns": columns}, {"rows": 3, "columns": 5}
    return Workload(f"{kind} {rows} x {columns}", kind, kind, sizes, tiny, target=1.0, size=rows * columns)


def _conv(batch: int, inside: int, outside: int, image: int, kernel: int = 3, stride: int = 1) -> Workload:
    sizes = dict(batch=batch, inside=inside, outside=outside, image=image, kernel=kernel, stride=stride)
    name = f"conv {batch}x{inside}x{image}x{image} to {outside}, {kernel}x{kernel}" + (f"/{stride}" * (stride > 1))
    return Workload(name, "conv", "conv", sizes, sizes | {"batch": 1, "image": 6}, variants=LAYOUTS)


def _matmul(rows: int, inner: int, columns: int, size: int | None = None) -> Workload:
    sizes = {"rows": rows, "inner": inner, "columns": columns}
    name = f"matmul {rows} x {inner} x {columns}"
    return Workload(name, "matmul", "matmul", sizes, {"rows": 3, "inner": 4, "columns": 5}, size=size)


def _inference(network: str, batch: int) -> Workload:
    return Workload(
        f"inference {network}, batch {batch}", "inference", "inference", {"network": network, "batch": batch},
        {"network": network, "batch": 2}, target=1.0, variants=LAYOUTS, size=batch if network == "lenet" else None,
    )  # fmt: skip


def _first(group: str, cold: bool) -> Workload:
    of = _trained()[group][0]
    name = f"first step of {group}, {'cold' if cold else 'cached'}"
    return Workload(name, of.file, of.function, of.sizes, of.tiny, task="first", cold=cold)


def sweep(group: str) -> list[Workload]:
    """The training step of `group` at several batch sizes, in the order of size, instead of the usual one alone."""
    (usual,) = _trained()[group]
    return [
        replace(usual, name=f"{group}, batch {batch}", sizes=usual.sizes | {"batch": batch}, target=None, size=batch)
        for batch in SWEPT[group]
    ]


def _memory(group: str, **sizes: int) -> Workload:
    of = _trained()[group][0]
    name = f"memory of {group}, batch {sizes['batch']}"
    return Workload(name, of.file, of.function, of.sizes | sizes, of.tiny, variants=of.variants)


WORKLOADS: dict[str, list[Workload]] = {
    "overhead": [
        Workload("chain of 200", "overhead", "chain", units=201, unit="op", target=0.4),
        Workload("mix of 200", "overhead", "mix", units=200, unit="op", target=0.4),
        *(
            Workload(
                f"{name} alone", "overhead", "alone", {"operation": name}, {"operation": name},
                units=overhead.LEAVES, unit="op", target=0.4,
            )
            for name in overhead.OPERATIONS
        ),
    ],
    **_trained(),
    "adam": [_adam(100, 100_000, "adam 100 x 100,000"), _adam(1000, 100, "adam 1000 x 100")],
    "elementwise": [_elementwise(4**exponent) for exponent in range(5, 12)],
    "softmax": [_rows("softmax", 768, 65), _rows("softmax", 4096, 1024)],
    "layernorm": [_rows("layernorm", 768, 128), _rows("layernorm", 4096, 1024)],
    "operations": [
        Workload(name, "operations", "operation", {"name": name}, {"name": name, "side": 20}, target=1.0)
        for name in operations.OPERATIONS
    ],
    "layers": [
        Workload(name, "operations", "layer", {"name": name}, {"name": name, "batch": 2}, target=1.0)
        for name in operations.LAYERS
    ],
    "conv": [
        _conv(256, 1, 6, 28, 5),
        _conv(256, 6, 16, 14, 5),
        _conv(32, 16, 16, 32),
        _conv(32, 32, 64, 16, 3, 2),
        _conv(32, 64, 64, 8),
        _conv(8, 128, 128, 28),
        _conv(8, 256, 64, 28, 1),
    ],
    "matmul": [
        *(_matmul(size, size, size, size) for size in (16, 64, 128, 256, 512, 1024, 2048)),
        _matmul(128, 784, 512),
        _matmul(784, 128, 512),
        _matmul(768, 128, 512),
    ],
    "inference": [
        *(_inference("lenet", batch) for batch in (1, 16, 256)),
        *(_inference("resnet", batch) for batch in (1, 64)),
    ],
    "graph-depth": [
        Workload(f"chain of {n:,}", "graph_depth", "graph_depth", {"length": n}, {"length": 50}, n, "op", 1.0, size=n)
        for n in (100_000, 1_000_000)
    ],
    "import": [
        Workload("import", "", "", task="import", unit="import"),
        Workload("import beyond NumPy's", "", "", task="import", unit="import", before=("numpy",)),
    ],
    "first-step": [
        _first(group, cold) for group in ("mlp", "lenet", "resnet", "lstm", "gpt") for cold in (True, False)
    ],
    "memory": [_memory("mlp", batch=8192), _memory("lenet", batch=2048), _memory("gpt", batch=96)],
}  # fmt: skip

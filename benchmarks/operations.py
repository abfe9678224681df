"""One operation on a million numbers, or one layer on a batch, forward and backward: where is a library slow?

An operation in which nothing is differentiable is timed forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SIDE = 1000  # Matrices are SIDE x SIDE.

# The letters are the arguments: X, Y any numbers, P positive ones, Q between 0 and 1, M a mask, I indices along a side,
# V a vector of them, D the device.
OPERATIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "abs": ("X", lambda lib, x: x.abs()),
    "add": ("XY", lambda lib, x, y: x + y),
    "argmax": ("X", lambda lib, x: x.argmax(1)),
    "argsort": ("X", lambda lib, x: x.argsort(1)),
    "bernoulli": ("Q", lambda lib, q: lib.bernoulli(q.detach())),
    "cat": ("XY", lambda lib, x, y: lib.cat([x, y], 1)),
    "clamp": ("X", lambda lib, x: x.clamp(-0.5, 0.5)),
    "cos": ("X", lambda lib, x: x.cos()),
    "cummax": ("X", lambda lib, x: x.cummax(1)[0]),
    "cumprod": ("P", lambda lib, p: p.cumprod(1)),
    "cumsum": ("X", lambda lib, x: x.cumsum(1)),
    "div": ("XP", lambda lib, x, p: x / p),
    "einsum ij,ij->i": ("XY", lambda lib, x, y: lib.einsum("ij,ij->i", x, y)),
    "erf": ("X", lambda lib, x: x.erf()),
    "erfinv": ("Q", lambda lib, q: q.erfinv()),
    "exp": ("X", lambda lib, x: x.exp()),
    "flip": ("X", lambda lib, x: x.flip(1)),
    "floor_divide": ("XP", lambda lib, x, p: x.detach() // p.detach()),
    "gather": ("XI", lambda lib, x, i: x.gather(1, i)),
    "index_add": ("XVY", lambda lib, x, v, y: x.index_add(0, v, y)),
    "index_select": ("XV", lambda lib, x, v: x.index_select(0, v)),
    "lgamma": ("P", lambda lib, p: p.lgamma()),
    "log": ("P", lambda lib, p: p.log()),
    "logaddexp": ("XY", lambda lib, x, y: lib.logaddexp(x, y)),
    "logsumexp": ("X", lambda lib, x: x.logsumexp(1)),
    "masked_fill": ("XM", lambda lib, x, m: x.masked_fill(m, -1.0)),
    "masked_select": ("XM", lambda lib, x, m: x[m]),
    "maximum": ("XY", lambda lib, x, y: lib.maximum(x, y)),
    "mean": ("X", lambda lib, x: x.mean()),
    "median": ("X", lambda lib, x: x.median(1)[0]),
    "mul by a row": ("XY", lambda lib, x, y: x * y[0]),
    "norm": ("X", lambda lib, x: x.norm()),
    "pow 3": ("X", lambda lib, x: x**3),
    "prod": ("P", lambda lib, p: p.prod(1)),
    "rand": ("D", lambda lib, device: lib.rand(SIDE, SIDE, device=device)),
    "randn": ("D", lambda lib, device: lib.randn(SIDE, SIDE, device=device)),
    "randperm": ("D", lambda lib, device: lib.randperm(SIDE * SIDE, device=device)),
    "remainder": ("XP", lambda lib, x, p: x % p),
    "repeat": ("X", lambda lib, x: x.repeat(2, 2)),
    "rsqrt": ("P", lambda lib, p: p.rsqrt()),
    "scatter": ("XIY", lambda lib, x, i, y: x.scatter(1, i, y)),
    "scatter_add": ("XIY", lambda lib, x, i, y: x.scatter_add(1, i, y)),
    "softmax over rows": ("X", lambda lib, x: x.softmax(0)),
    "sort": ("X", lambda lib, x: x.sort(1)[0]),
    "std": ("X", lambda lib, x: x.std(1)),
    "sum": ("X", lambda lib, x: x.sum()),
    "sum of rows": ("X", lambda lib, x: x.sum(0)),
    "to float16": ("X", lambda lib, x: x.half()),
    "topk": ("X", lambda lib, x: x.topk(10, 1)[0]),
    "transpose, contiguous": ("X", lambda lib, x: x.t().contiguous()),
    "tril": ("X", lambda lib, x: x.tril()),
    "where": ("MXY", lambda lib, m, x, y: lib.where(m, x, y)),
    "x[v]": ("XV", lambda lib, x, v: x[v]),
    "x[:, v]": ("XV", lambda lib, x, v: x[:, v]),
}

_IMAGES, _SERIES, _VOLUME, _TEXT, _ROWS = (16, 16, 28, 28), (16, 16, 200), (4, 8, 12, 12, 12), (16, 64, 128), (256, 512)
LAYERS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "AvgPool2d": (_IMAGES, lambda nn: nn.AvgPool2d(2)),
    "BatchNorm1d": (_ROWS, lambda nn: nn.BatchNorm1d(512)),
    "BatchNorm2d": (_IMAGES, lambda nn: nn.BatchNorm2d(16)),
    "Conv1d": (_SERIES, lambda nn: nn.Conv1d(16, 32, 5, padding=2)),
    "Conv2d": (_IMAGES, lambda nn: nn.Conv2d(16, 32, 3, padding=1)),
    "Conv2d, channel by channel": (_IMAGES, lambda nn: nn.Conv2d(16, 16, 3, padding=1, groups=16)),
    "Conv3d": (_VOLUME, lambda nn: nn.Conv3d(8, 16, 3, padding=1)),
    "ConvTranspose2d": (_IMAGES, lambda nn: nn.ConvTranspose2d(16, 16, 4, 2, 1)),
    "Dropout": (_ROWS, lambda nn: nn.Dropout(0.5)),
    "GLU": (_TEXT, lambda nn: nn.GLU()),
    "GRU": (_TEXT, lambda nn: nn.GRU(128, 128, batch_first=True)),
    "GroupNorm": (_IMAGES, lambda nn: nn.GroupNorm(4, 16)),
    "InstanceNorm2d": (_IMAGES, lambda nn: nn.InstanceNorm2d(16, affine=True)),
    "LSTM, both ways": (_TEXT, lambda nn: nn.LSTM(128, 64, batch_first=True, bidirectional=True)),
    "LayerNorm": (_TEXT, lambda nn: nn.LayerNorm(128)),
    "Linear": (_ROWS, lambda nn: nn.Linear(512, 512)),
    "LocalResponseNorm": (_IMAGES, lambda nn: nn.LocalResponseNorm(5)),
    "MaxPool1d": (_SERIES, lambda nn: nn.MaxPool1d(2)),
    "MaxPool2d": (_IMAGES, lambda nn: nn.MaxPool2d(2)),
    "MaxPool3d": (_VOLUME, lambda nn: nn.MaxPool3d(2)),
    "PReLU": (_IMAGES, lambda nn: nn.PReLU(16)),
    "RMSNorm": (_TEXT, lambda nn: nn.RMSNorm(128)),
    "RNN": (_TEXT, lambda nn: nn.RNN(128, 128, batch_first=True)),
    "ReflectionPad2d": (_IMAGES, lambda nn: nn.ReflectionPad2d(2)),
    "Softmax": (_TEXT, lambda nn: nn.Softmax(-1)),
    "TransformerEncoderLayer": (_TEXT, lambda nn: nn.TransformerEncoderLayer(128, 4, 512, 0.0, batch_first=True)),
    "Upsample": (_IMAGES, lambda nn: nn.Upsample(scale_factor=2)),
    "Upsample, bilinear": (_IMAGES, lambda nn: nn.Upsample(scale_factor=2, mode="bilinear")),
}


def operation(lib: Any, kit: Any, name: str, side: int = SIDE) -> Any:
    letters, function = OPERATIONS[name]
    make: dict[str, Callable[[], Any]] = {
        "X": lambda: kit.normal(side, side),
        "Y": lambda: kit.normal(side, side),
        "P": lambda: kit.normal(side, side).abs() + 0.1,
        "Q": lambda: kit.tensor(kit.rng.random((side, side), "float32") * 0.98 + 0.01),
        "M": lambda: kit.normal(side, side) > 0,
        "I": lambda: kit.integers(side, side, side),
        "V": lambda: kit.integers(side, side),
        "D": lambda: kit.device,
    }
    inputs = [make[letter]() for letter in letters]
    leaves = [x.requires_grad_() for letter, x in zip(letters, inputs) if letter in "XYPQ"]
    found = function(lib, *inputs)
    if not found.requires_grad:
        drawn = name in ("bernoulli", "rand", "randn", "randperm")  # Each library has draws of its own.
        kit.check = lambda: float(len(found)) if drawn else float(found.double().square().sum())

        def forward() -> None:
            function(lib, *inputs)

        return forward
    cotangent = kit.normal(found.numel()).reshape(found.shape).to(found.dtype)
    kit.check = lambda: float(leaves[0].grad.square().sum())

    def step() -> None:
        for x in leaves:
            x.grad = None
        function(lib, *inputs).backward(cotangent)

    return step


def layer(lib: Any, kit: Any, name: str, batch: int = 0) -> Any:
    shape, make = LAYERS[name]
    model = kit.model(make(lib.nn))
    leaves = [kit.normal(batch or shape[0], *shape[1:]).requires_grad_(), *model.parameters()]

    def first(out: Any) -> Any:
        return out[0] if isinstance(out, tuple) else out

    cotangent = kit.normal(*first(model(leaves[0])).shape)
    kit.check = lambda: float(len(leaves)) if name == "Dropout" else float(leaves[0].grad.square().sum())

    def step() -> None:
        for x in leaves:
            x.grad = None
        first(model(leaves[0])).backward(cotangent)

    return step

"""The operations, one file a family. Importing this package attaches their methods to `Tensor`.

Each file ends with tables: `FUNCTIONS` (exported as `ag.name`), `METHODS` (attached to Tensor), `INPLACE` (methods
`name_` made from the function `name`), and `PUBLIC` where a public form goes by another name than its function.
"""

from __future__ import annotations

from typing import Any

from autograd_core import linalg, mapping, random
from autograd_core.inplace import inplace
from autograd_core.ops import (
    activations,
    arithmetic,
    arrangement,
    bessel,
    contractions,
    convolution,
    copies,
    counting,
    creation,
    cumulative,
    distances,
    docs,
    drawing,
    dropout,
    elementwise,
    embedding,
    floats,
    gathering,
    indexing,
    inplace_names,
    inspection,
    joining,
    linear,
    losses,
    memory_format,
    normalization,
    normalization_native,
    normalization_rms,
    numpy_names,
    out,
    padding,
    pinned,
    pooling,
    pooling_adaptive,
    products,
    reductions,
    resampling,
    sampling,
    selection,
    shape,
    sorting,
    special,
    statistics,
    strided,
    unfolding,
)
from autograd_core.signal import windows
from autograd_core.tensor import Tensor

FAMILIES: tuple[Any, ...] = (
    elementwise, arithmetic, reductions, shape, joining, gathering, sorting, indexing, products, creation, linear,
    convolution, pooling, normalization, activations, losses, embedding, special, cumulative, statistics, selection,
    bessel, floats, arrangement, contractions, sampling, linalg, distances, resampling, normalization_rms,
    normalization_native, dropout, padding, pooling_adaptive, unfolding, memory_format, copies, counting, windows,
    strided, drawing, inspection, mapping, pinned,
)  # fmt: skip


def _collect() -> dict[str, Any]:
    exported: dict[str, Any] = {}
    for family in FAMILIES:
        public = getattr(family, "PUBLIC", {})

        def find(name: str, family: Any = family, public: dict[str, Any] = public) -> Any:
            return public[name] if name in public else getattr(family, name)

        for name in family.FUNCTIONS:
            exported[name] = find(name)
        for name in family.METHODS:
            setattr(Tensor, name, find(name))
        for name in family.INPLACE:
            setattr(Tensor, f"{name}_", inplace(f"{name}_", find(name)))
        for name, function in getattr(family, "OPERATORS", {}).items():
            setattr(Tensor, name, function)
        for name, getter in getattr(family, "PROPERTIES", {}).items():
            setattr(Tensor, name, property(getter))
    for name in random.FUNCTIONS:
        exported[name] = getattr(random, name)
    for name in random.METHODS:
        setattr(Tensor, name, getattr(random, name))
    for name, function in arithmetic.INPLACE_OPERATORS.items():
        setattr(Tensor, name, inplace(f"{name[3:-2]}_", function))
    for name, d in creation.CONVERSIONS.items():
        setattr(Tensor, name, creation._to_dtype(name, d))
    for name in inplace_names.NAMES:
        exported[f"{name}_"] = getattr(Tensor, f"{name}_")
    exported["detach"] = Tensor.detach
    exported["memory_format"] = memory_format.memory_format
    exported.update({constant.name: constant for constant in memory_format.CONSTANTS})
    Tensor.type = creation.type_  # type: ignore[attr-defined]
    docs.attach(exported)  # Before the functions are wrapped: a wrapper takes the docstring over.
    for name in numpy_names.NAMES:
        exported[name] = numpy_names.accepting(exported[name])
        if hasattr(Tensor, name):
            setattr(Tensor, name, numpy_names.accepting(getattr(Tensor, name)))
    for name in out.NAMES:
        exported[name] = out.accepting(name, exported[name])
    for name in out.LINALG:
        setattr(linalg, name, out.accepting(name, getattr(linalg, name), linalg.__name__))
    return exported


EXPORTED = _collect()

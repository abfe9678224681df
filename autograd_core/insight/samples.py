"""What `watch` measured: one `Sample` a watched step, with one `LayerSample` a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import autograd_core as ag
from autograd_core.engine import Node, nodes_behind
from autograd_core.nn import Module
from autograd_core.tensor import Tensor
from autograd_core.trees import tensors_in

# The share of a sigmoid's or tanh's slope that is left where a unit counts as saturated: 5 % of the greatest.
SATURATED_SLOPE = 0.05


@dataclass
class LayerSample:
    """One layer in one step. Figures that do not apply, or could not be measured, are None."""

    layer: str
    kind: str
    grad_norm: float | None = None
    weight_norm: float | None = None
    update_ratio: float | None = None  # |change of the weights| / |weights|
    spread: float | None = None  # The greatest difference between the weights of two units; 0: all are alike.
    mean: float | None = None  # Of the layer's output.
    variance: float | None = None
    signal: float | None = None  # The variance over the batch, unit by unit, averaged.
    activation: str | None = None  # The function that the output went through.
    saturated: float | None = None  # Share of its values.
    dead: float | None = None  # Share of its units that were 0 on the batches of the last three measured steps.
    nonfinite: float | None = None  # NaN and infinite values in the output.
    grad_nonfinite: bool = False
    weight_nonfinite: bool = False
    trains: bool = True  # Some parameter requires a gradient.
    used: bool = True  # Forward called the layer.
    hidden: bool | None = None  # A layer with weights reads what it puts out; None: unknown.
    reached: bool = False  # Backward brought a gradient.
    changed: bool = False  # Some parameter was changed after it.
    moved: bool = False  # Or between the sample before and this one.
    units: int | None = None  # That its output has: features or channels.


@dataclass
class Sample:
    """One watched step."""

    step: int
    layers: list[LayerSample] = field(default_factory=list)
    loss: float | None = None
    input_rms: float | None = None  # The greatest root mean square of a feature that the first layer with weights gets.
    input_nonfinite: float | None = None
    stepped: bool = False  # Some weight changed.
    passes: int = 1  # Forward passes: more, where gradients are accumulated.
    uncleared: bool = False  # The gradients were added to those of the step before.
    scale: float | None = None  # Of the loss, by a `GradScaler`; the gradients' figures are without it.
    scaled: bool = False  # By one that has not taken its scale out again, if `scale` is None.

    @property
    def moved(self) -> bool:
        """Some weight changed between the sample before and this one."""
        return any(row.moved for row in self.layers)

    @property
    def speed_ratio(self) -> float | None:
        """Gradient norm of the first layer over that of the last: Nielsen's speeds of learning compared."""
        norms = [row.grad_norm for row in weighted(self.layers) if row.grad_norm is not None]
        if len(norms) < 2 or not all(isfinite(n) for n in norms) or not norms[-1]:
            return None
        return norms[0] / norms[-1]

    @property
    def overflowed(self) -> bool:
        """A `GradScaler` skipped the step: its scale was too large, which it looks for in this way."""
        bad = [r for r in self.layers if r.grad_nonfinite]
        sound = not self.input_nonfinite and not any(r.nonfinite or r.weight_nonfinite for r in self.layers)
        return bool(bad) and sound and not self.stepped and self.scale is not None and self.scale > 1

    def as_dict(self) -> dict[str, Any]:
        """For JSON, in which a value that is not finite is its name."""
        row = _plain(asdict(self))
        row["speed_ratio"] = self.speed_ratio
        return row


@dataclass
class Ending:
    """What was there after all watched steps."""

    steps: int  # Training passes in all.
    loss: float | None  # The last that the watcher was told.
    broken: list[LayerSample]  # Layers whose weights are not finite.
    moved: bool  # Some weight changed since the last sample.


def layers_of(model: Module) -> dict[Module, str]:
    """Every module of `model` with its name; of a compiled one what was compiled, since hooks see that."""
    return {m.__dict__.get("_orig_mod", m): name or "(model)" for name, m in model.named_modules()}


def forward_graph(output: Any) -> list[Node]:
    """The nodes of the graph behind the tensors in `output`, the youngest first: each before those it reads."""
    nodes = nodes_behind(t.grad_fn for t in tensors_in(output))
    return sorted(nodes, key=lambda node: node.stamp, reverse=True)


def weighted(layers: Sequence[LayerSample]) -> list[LayerSample]:
    """The layers that have a weight matrix or kernels, in the order of forward; normalisation layers have not."""
    return [row for row in layers if row.spread is not None and row.trains and row.used]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def read(tensors: Sequence[Tensor]) -> list[float]:
    """The values of 0-d tensors, with one transfer a device."""
    values: list[float] = [0.0] * len(tensors)
    places: dict[Any, list[int]] = {}
    for i, t in enumerate(tensors):
        places.setdefault(t._backend, []).append(i)
    for indices in places.values():
        for i, value in zip(indices, ag.stack([tensors[i] for i in indices]).tolist()):
            values[i] = value
    return values

"""One measured step: the figures of every layer, by hooks on the modules and a look at the graph that forward made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, sqrt
from typing import Any

import autograd_core as ag
from autograd_core import modes, nn, recorder
from autograd_core.engine import Node
from autograd_core.insight.samples import SATURATED_SLOPE, LayerSample, Sample, forward_graph, layers_of
from autograd_core.nn import Module
from autograd_core.nn.convolution import _Conv
from autograd_core.nn.hooks import forget_empty_tables
from autograd_core.nn.normalization import _BatchNorm
from autograd_core.nn.utils.parametrize import is_parametrized
from autograd_core.tensor import Tensor, wrap

# Of a batch the first so many entries are looked at: enough for shares of a per cent, and cheap for large batches.
_ROWS = 64
# Of a weight matrix so many values are compared before and after a step.
_VALUES = 16384
# Of a weight matrix at most so many units, and of each so many weights, are compared with the first unit's.
_UNITS = 2048
# Below so many values of a unit, its being 0 on all of them says little.
_ROWS_TO_CALL_DEAD = 8
# Dead is a unit that was 0 on the batches of so many measured steps: on one batch alone a unit for one class may be.
_STEPS_TO_CALL_DEAD = 3

# What an activation is called on the graph, and as a module.
_ACTIVATIONS = ("sigmoid", "tanh", "relu")
_MODULES = (nn.Sigmoid, nn.Tanh, nn.ReLU)
# What may lie between a layer and its activation: shapes, pooling, normalisation by a function, sums, scaling, dropout.
_PASSED = frozenset(
    "reshape permute slice pick contiguous clone cast expand max_pool2d max_pool2d_pick max_pool3d max_pool3d_pick "
    "avg_pool2d avg_pool3d dropout add sub mul div batch_norm group_norm layer_norm".split()
)
_DEPTH = 6

Versions = dict[Any, int]
Silent = dict[Module, list[tuple[Any, int]]]  # Of the last steps, which units were 0, and on how many values.


class Measurement:
    """One watched step, from the beginning of its forward pass to the next one after the optimiser's step.

    What a layer puts out is looked at as soon as it is there, in the first forward pass of the step: a later change in
    place does not show.
    """

    def __init__(
        self, model: Module, step: int, inputs: Sequence[Any], silent: Silent, versions: Versions, fresh: bool
    ) -> None:
        """inputs: what the model was called with. versions: of the parameters, at the end of the measurement before.

        fresh: the step before this one was measured, and is over.
        """
        self.step, self.silent, self.passes = step, silent, 1
        self.scaled = False  # A `GradScaler` has scaled the loss.
        self.loss: Tensor | None = None
        self.rows: dict[Module, LayerSample] = {}
        self.order: list[Module] = []
        self.figures: dict[Module, dict[str, Any]] = {}
        # Of a layer's output: how many dimensions it has, in which the units lie, how many they are.
        self.units: dict[Module, tuple[int, int, int]] = {}
        self.made: dict[Node, Module] = {}  # The node of each layer's first output.
        self.matrices: set[Module] = set()  # Layers with weight matrices or kernels.
        self.parameters: dict[Any, Module] = {}  # Each parameter once, with the first module that owns it.
        self.before: dict[Any, tuple[Any, int]] = {}  # Some of its values, one in how many.
        self.weights: dict[Any, Any] = {}  # Sums of squares.
        self.grads: dict[Any, Any] = {}
        self.stale: dict[Any, tuple[Any, int]] = {}  # Gradients from before.
        self.uncleared: dict[Any, Any] = {}  # Of these, the squares of those to which nothing was done before backward.
        self.summed: dict[Any, int] = {}  # And their versions, once others were added to them.
        self.spreads: dict[Any, Any] = {}
        self.versions: dict[Any, int] = {}
        self.handles: list[Any] = []
        self.grad_handles: list[Any] = []
        self.model = model
        self.last: Module | None = None
        self.input_nonfinite: Tensor | None = None
        self.first_nonfinite: Tensor | None = None  # Of what the first layer gets: the model may fill gaps itself.
        self.input_rms: Tensor | None = None
        self.first: Module | None = None  # The first layer with weights that was called.
        self.inverse: Tensor | None = None
        within: set[Module] = set()  # Parametrisations: their parameters are the layer's.
        with modes.no_grad():
            for module, name in layers_of(model).items():
                if module in within:
                    continue
                own = [p for p in module._parameters.values() if p is not None]
                if is_parametrized(module):
                    inner: Any = module._modules["parametrizations"]
                    within.update(inner.modules())
                    own += inner.parameters()
                if own:
                    self._begin_layer(module, name, own)
                if own or not module._modules:
                    self.handles.append(module.register_forward_hook(self._layer_ends))
            x = next((a for a in inputs if isinstance(a, Tensor)), None)
            if x is not None and x.is_floating_point():
                self.input_nonfinite = ag.logical_not(ag.isfinite(x.detach())).sum()
            if fresh:
                self.uncleared = {p: _square_sum(grad.detach()) for p, (grad, _) in self.stale.items()}
        self.handles.append(model.register_forward_hook(self._forward_ends))
        recorder.measured.add(self)
        self.versions = {p: p._version for p in self.parameters}
        for p, module in self.parameters.items():
            self.rows[module].moved |= versions.get(p, p._version) != p._version

    def _begin_layer(self, module: Module, name: str, own: list[Any]) -> None:
        if all(p in self.parameters for p in own):
            return  # Tied weights are those of the layer that has them first.
        trains = any(p.requires_grad for p in own)
        self.rows[module] = LayerSample(name, type(module).__name__, trains=trains, used=False)
        matrices = any(p.ndim >= 2 for p in own)
        if matrices and not (module is self.model and set(module._modules) - {"parametrizations"}):
            self.matrices.add(module)  # What a model has beside its layers (positions, a class token) is no layer.
        for p in own:
            if p in self.parameters or not p.is_floating_point():
                continue
            self.parameters[p] = module
            if p.requires_grad:
                self.grad_handles.append(p.register_post_accumulate_grad_hook(self._gradient_came))
                if p.grad is not None:
                    self.stale[p] = p.grad, p.grad._version
            if matrices and p.ndim < 2:
                continue  # Of a bias beside a matrix the gradient is enough.
            w = p.detach()
            self.weights[p] = _square_sum(w)
            some, every = _some(w)
            self.before[p] = some.clone(), every
            # Rows of an embedding that no input has named are still as they began.
            if p.ndim >= 2 and p.shape[0] > 1 and p.numel() and not isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
                w = w.flatten(1)
                w = w[:: 1 + w.shape[0] // _UNITS, :: 1 + w.shape[1] // _UNITS]
                self.spreads[p] = ag.sub(w, w[:1]).abs().amax()

    # -- hooks ------------------------------------------------------------------------------------------

    def _look_at_input(self, module: Any, x: Any) -> None:
        """How large the features are that the first layer with weights gets, after what the model does to its input."""
        if not isinstance(x, Tensor) or not x.is_floating_point() or not x.numel() or not x.ndim:
            return
        x = _widened(x.detach())
        self.first_nonfinite = ag.logical_not(ag.isfinite(x)).sum()
        features = _units(module, x)
        dims = [d for d in range(x.ndim) if d != features] or list(range(x.ndim))
        self.input_rms = ag.sqrt(ag.mean(ag.square(x), dims)).amax()

    def _layer_ends(self, module: Any, args: Any, output: Any) -> None:
        if self.first is None and module in self.matrices:
            self.first = module
            with modes.no_grad():
                self._look_at_input(module, args[0] if args else None)
        out = output
        while isinstance(out, (tuple, list)) and out:
            out = out[0]
        if not isinstance(out, Tensor):
            return
        row = self.rows.get(module)
        if row is not None and not row.used:
            row.used = True
            self.order.append(module)
            self.last = module
            if out.grad_fn is not None:
                self.made.setdefault(out.grad_fn, module)
            if out.ndim:
                units = _units(module, out)
                self.units[module] = out.ndim, units, out.shape[units]
                self._look_at_output(module, out)
        elif row is None and out.grad_fn is None and self.last is not None and isinstance(module, _MODULES):
            # After frozen layers, of which there is no graph.
            self._activated(self.last, type(module).__name__.lower(), out)

    def _forward_ends(self, module: Any, args: Any, output: Any) -> None:
        with modes.no_grad():
            self._look_at_graph(output)
        self.end_forward()

    def _look_at_graph(self, output: Any) -> None:
        """Which activation the output of each layer goes through, and which layers others read."""
        nodes = forward_graph(output)
        read: set[Any] = set()
        for node in nodes:  # The youngest first, so that what reads a node comes before it.
            module = self.made.get(node)
            if module is not None:
                self.rows[module].hidden = node in read
            if node in read or module in self.matrices:
                read.update(node.inputs)
        for node in reversed(nodes):
            name = node.primitive.name if hasattr(node, "primitive") else ""
            if (
                name in _ACTIVATIONS and node.saved and hasattr(node.saved[-1], "dtype")
            ):  # Else: recomputed in backward.
                layer = self._layer_before(node)
                if layer is not None:
                    self._activated(layer, name, wrap(node.saved[-1], node.backend))
        self.made.clear()

    def _layer_before(self, node: Node) -> Module | None:
        """The layer whose output goes into `node`, the nearest one, and of those equally near the last one called."""
        level = [node.inputs[0]]
        for _ in range(_DEPTH):
            found = [self.made[n] for n in level if n in self.made]
            if found:
                return max(found, key=self.order.index)
            level = [
                edge
                for n in level
                if isinstance(n, Node) and hasattr(n, "primitive") and n.primitive.name in _PASSED
                for edge in n.inputs
            ]
        return None

    def _activated(self, module: Module, name: str, x: Tensor) -> None:
        """`x` is what the activation `name` made of the layer's output."""
        row = self.rows[module]
        if row.activation is None:
            row.activation = name
            self._look_at_output(module, x)

    def _look_at_output(self, module: Module, x: Tensor) -> None:
        if not x.is_floating_point() or not x.numel() or not x.ndim or module not in self.units:
            return
        x, row, figures = x.detach(), self.rows[module], self.figures.setdefault(module, {})
        ndim, units, count = self.units[module]
        if x.ndim != ndim or x.shape[units] != count:  # Between the two is what changes the shape.
            units = x.ndim - 1
        rows = x.numel() // x.shape[units]
        others = [d for d in range(x.ndim) if d != units]
        figures.setdefault("nonfinite", ag.logical_not(ag.isfinite(x)).sum())  # Before an activation hides them.
        part = _widened(x[:_ROWS])
        if others and rows > 1:
            variance, mean = ag.var_mean(part, others, correction=0)
            figures["mean"], figures["signal"] = mean.mean(), variance.mean()
            figures["variance"] = ag.add(figures["signal"], mean.var(correction=0))
        if row.activation == "sigmoid":
            figures["saturated"] = _share(ag.lt(ag.mul(part, ag.rsub(part, 1.0)), SATURATED_SLOPE / 4))
        elif row.activation == "tanh":
            figures["saturated"] = _share(ag.gt(ag.square(part), 1 - SATURATED_SLOPE))
        elif row.activation == "relu" and others and x.shape[units] == count:
            self._look_for_dead(module, ag.le(x.amax(others), 0), rows)

    def _look_for_dead(self, module: Module, dead: Any, rows: int) -> None:
        history = self.silent.setdefault(module, [])
        if history and (history[-1][0].shape != dead.shape or history[-1][0]._backend is not dead._backend):
            history.clear()
        history.append((dead, rows))
        keep = _STEPS_TO_CALL_DEAD  # More, where each has but a few values of a unit.
        while keep < len(history) and sum(n for _, n in history[-keep:]) < _ROWS_TO_CALL_DEAD:
            keep += 1
        del history[:-keep]
        if sum(n for _, n in history) >= _ROWS_TO_CALL_DEAD:
            for before, _ in history[:-1]:
                dead = ag.logical_and(dead, before)
            self.figures[module]["dead"] = _share(dead)

    def _gradient_came(self, p: Any) -> None:
        if p in self.uncleared:
            before, version = self.stale[p]
            version = self.summed.get(p, version) + 1
            if p.grad is before and before._version == version:
                self.summed[p] = version
            else:
                del self.uncleared[p]
        self._measure_gradient(p)

    def _measure_gradient(self, p: Any) -> None:
        if p.grad is None:
            return  # A hook of the user's has used it up, as an optimiser that steps within backward does.
        with modes.no_grad():
            self.grads[p] = _square_sum(p.grad.detach())

    def unscaled(self, p: Any, inverse: Tensor) -> None:
        """A `GradScaler` has multiplied the gradient by `inverse`."""
        if p in self.grads:
            self._measure_gradient(p)
            self.inverse = inverse

    # -- results ----------------------------------------------------------------------------------------

    def end_forward(self) -> None:
        """Forward is over: take the layers' hooks away, so that evaluation in between is not measured."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
        self.made.clear()
        forget_empty_tables(self.model)

    def stepped(self) -> bool:
        """Whether a parameter was changed since the forward pass."""
        return any(p._version != version for p, version in self.versions.items())

    def release(self) -> None:
        """Take all hooks away."""
        self.end_forward()
        recorder.measured.discard(self)
        for handle in self.grad_handles:
            handle.remove()
        for p in self.parameters:
            if not p._post_hooks:
                p._post_hooks = None

    def finish(self) -> tuple[list[Tensor], Callable[[list[float]], Sample]]:
        """The device's part of the figures, and what makes the sample from their values."""
        self.release()
        for p, version in self.versions.items():
            if p._version != version:
                self.rows[self.parameters[p]].changed = True
        stepped = any(row.changed for row in self.rows.values())
        keys: list[Any] = []
        tensors: list[Any] = []

        def want(key: Any, tensor: Any) -> None:
            keys.append(key)
            tensors.append(tensor if tensor.dtype is ag.float64 else tensor.to(ag.float64))

        with modes.no_grad():
            for module, figures in self.figures.items():
                for name, value in figures.items():
                    want((module, name), value)
            given = {p: _square_sum(p.grad.detach()) for p in self.parameters if self._given_by_hand(p)}
            for kind, found in (
                ("weight", self.weights), ("spread", self.spreads), ("grad", self.grads), ("given", given),
            ):  # fmt: skip
                for p, value in found.items():
                    want((p, kind), value)
            for p, (before, every) in self.before.items():
                now, _ = _some(p.detach())
                if stepped and now._backend is before._backend and now.dtype is before.dtype:
                    want((p, "update"), ag.mul(_square_sum(ag.sub(now, before)), every))
                    want((p, "part"), ag.mul(_square_sum(before), every))
            if self.loss is not None:
                want("loss", self.loss.mean())
            for name, value in (
                ("input_rms", self.input_rms), ("input_nonfinite", self.input_nonfinite), ("inverse", self.inverse),
                ("first_nonfinite", self.first_nonfinite),
            ):  # fmt: skip
                if value is not None:
                    want(name, value)
            for p in self.summed.keys() & self.uncleared.keys():
                if p._version != self.versions[p]:  # One that no optimiser has is never cleared, either.
                    want((p, "uncleared"), self.uncleared[p])
        rows, order, parameters, matrices = self.rows, self._in_order(), self.parameters, self.matrices
        step, passes, scaled = self.step, self.passes, self.scaled
        units = {module: count for module, (_, _, count) in self.units.items()}
        self.figures.clear()
        self.before.clear()
        self.stale.clear()
        self.uncleared.clear()

        def resolve(values: list[float]) -> Sample:
            found = dict(zip(keys, values))
            for module, row in rows.items():
                for name in ("mean", "variance", "signal", "saturated", "dead", "nonfinite"):
                    setattr(row, name, found.get((module, name)))
                _weights_into(row, [p for p, owner in parameters.items() if owner is module], found)
                if module not in matrices:
                    row.spread = None
                row.units = units.get(module)
            sample = Sample(step, [rows[module] for module in order], stepped=stepped, passes=passes, scaled=scaled)
            sample.uncleared = stepped and any(found.get((p, "uncleared")) for p in parameters)
            sample.loss = found.get("loss")
            inverse = found.get("inverse")
            sample.scale = None if inverse is None else 1 / inverse if inverse else float("inf")
            sample.input_rms, sample.input_nonfinite = found.get("input_rms"), found.get("input_nonfinite")
            if found.get("first_nonfinite") == 0:
                sample.input_nonfinite = 0.0
            return sample

        return tensors, resolve

    def _in_order(self) -> list[Module]:
        """The layers as forward called them; one that was not called comes behind the one that is defined before it."""
        order, before = list(self.order), None
        for module in self.rows:
            if module not in order:
                order.insert(0 if before is None else order.index(before) + 1, module)
            before = module
        return order

    def _given_by_hand(self, p: Any) -> bool:
        """Whether `p.grad` was set in this step, and not by `backward()`: by what `autograd.grad` returned."""
        if p in self.grads or p.grad is None:
            return False
        before, version = self.stale.get(p, (None, 0))
        return p.grad is not before or p.grad._version != version


def _weights_into(row: LayerSample, parameters: list[Any], found: dict[Any, float]) -> None:
    """The figures of a layer from those of its parameters."""

    def norm(*kinds: str) -> float | None:
        squares = [found[p, kind] for p in parameters for kind in kinds if (p, kind) in found]
        return sqrt(sum(squares)) if squares else None

    row.weight_norm, row.grad_norm = norm("weight"), norm("grad", "given")
    if row.grad_norm == 0 and norm("grad") is None:
        row.grad_norm = None  # Zeros that `zero_grad(set_to_none=False)` has left.
    row.reached = row.grad_norm is not None
    spreads = [found[p, "spread"] for p in parameters if (p, "spread") in found]
    row.spread = max(spreads) if spreads else float("inf")  # One unit, which nothing can be like.
    update, before = norm("update"), norm("part")
    if update is not None and before is not None:
        row.update_ratio = _ratio(update, before)
    row.grad_nonfinite = row.grad_norm is not None and not isfinite(row.grad_norm)
    row.weight_nonfinite = row.weight_norm is not None and not isfinite(row.weight_norm)


def _ratio(update: float, before: float) -> float:
    """|update| / |weights|; a start from zero counts as 1, not as infinity."""
    return update / before if before else float(update > 0)


def _share(x: Any) -> Any:
    return x.to(ag.float32).mean()


def _widened(x: Any) -> Any:
    """float16 as float32, whose squares do not overflow."""
    return x.to(ag.float32) if x.dtype is ag.float16 else x


def _square_sum(x: Any) -> Any:
    """In float64, so that what is finite neither overflows nor vanishes."""
    x = x.flatten().to(ag.float64)
    return ag.dot(x, x)


def _some(x: Any) -> tuple[Any, int]:
    """At most some thousand values of `x`, evenly spread: as good for a ratio of norms, and quick for large layers."""
    every = 1 + x.numel() // _VALUES
    return x.flatten()[::every], every


def _units(module: Any, x: Tensor) -> int:
    """The dimension of a layer's output in which its units lie: channels, else the last."""
    if isinstance(module, _Conv):
        return x.ndim - 1 - len(module.kernel_size)
    return 1 if isinstance(module, (_BatchNorm, nn.GroupNorm)) and x.ndim > 1 else x.ndim - 1

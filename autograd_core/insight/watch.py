"""`watch`: figures of every layer while a model trains, by hooks on the model alone."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, sqrt
from pathlib import Path
from typing import Any
from weakref import ref

import autograd_core as ag
from autograd_core import modes, recorder
from autograd_core.insight import diagnosis, report
from autograd_core.insight.samples import SATURATED_SLOPE, LayerSample, Sample, layers_of, read
from autograd_core.nn import Module
from autograd_core.nn.hooks import Passing
from autograd_core.nn.parameter import UninitializedParameter
from autograd_core.tensor import Tensor

# Of a batch the first so many entries are looked at: enough for shares of a per cent, and cheap for large batches.
_ROWS = 64
# Of a weight matrix so many values are compared before and after a step.
_VALUES = 16384
# Below so many values of a unit, its being 0 on all of them says little.
_ROWS_TO_CALL_DEAD = 8
# Dead is a unit that was 0 on the batches of so many measured steps: on one batch alone a unit for one class may be.
_STEPS_TO_CALL_DEAD = 3
# So many forward passes may share one optimiser step (accumulated gradients) and still be seen as one.
_ACCUMULATED = 32

# What an activation is called on the graph, and the shape-only or pooling nodes behind which it is looked for.
_ACTIVATIONS = {"SigmoidBackward": "sigmoid", "TanhBackward": "tanh", "ReluBackward": "relu"}
_KINDS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "ReLU": "relu"}
_PASSED = ("reshape", "permute", "slice", "max_pool", "avg_pool", "adaptive")
_CHANNELS_SECOND = ("Conv", "BatchNorm", "GroupNorm", "InstanceNorm", "LazyConv", "LazyBatchNorm")


class Watcher:
    """See `watch`. `samples` are the figures, `diagnosis()` what they mean. `jsonl`, `html`, `png` write files."""

    def __init__(self, model: Module, every: int = 200) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"insight.watch: expected an nn.Module, got {type(model).__name__}")
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"insight.watch: every must be a whole number of steps, at least 1, got {every!r}")
        self.model, self.every = next(iter(layers_of(model))), every
        self._samples: list[Sample] = []
        self._unread: list[tuple[list[Tensor], Callable[[list[float]], Sample]]] = []
        self._next = 0
        # Passes that need not be looked at, and the number of passes once they are over.
        self._passing, self._until = Passing(), 0
        self._open: _Measurement | None = None
        self._silent: dict[Module, list[Any]] = {}  # Of the last steps, which units were 0 on the batch.
        self._on_sample: list[Callable[[Watcher], None]] = []
        self._handle: Any = model.register_forward_pre_hook(_Hook(self))
        recorder.watches += 1

    # -- the training loop's side -----------------------------------------------------------------------

    def _forward_begins(self, module: Module, args: Any) -> None:
        if not module.training or not modes.state.grad or module is not self.model:
            return
        if self._passing.left:
            self._passing.left -= 1
            self._let_pass()
            return
        if recorder.recording:
            return
        if any(isinstance(p, UninitializedParameter) for p in module.parameters()):
            return  # Lazy layers: what they will be is known after this pass.
        step = self.steps
        self._until += 1
        if self._open is not None:
            if not self._open.stepped() and step - self._open.step < _ACCUMULATED:
                self._open.end_forward()
                return
            self._finish()
        if step >= self._next:
            self._open = _Measurement(self.model, step, args, self._silent)
            # At first often, since a bad start shows at once: 0, 1, 4, 16, 64, ..., every, 2 every, 3 every, ...
            self._next = min(max(1, 4 * step), (step // self.every + 1) * self.every)
        else:
            self._passing.left = self._next - self.steps
            self._until = self._next
            self._let_pass()

    def _let_pass(self) -> None:
        """Where no other hook is there, the model need not even call ours for the passes that are left."""
        hooks = self.model._hooks
        if hooks is None or hooks.forward or hooks.backward or hooks.backward_pre or len(hooks.forward_pre) > 1:
            return
        hooks.passing = self._passing

    @property
    def steps(self) -> int:
        """Training passes seen."""
        return self._until - self._passing.left

    def loss(self, loss: Tensor) -> Tensor:
        """Tell the watcher the loss of this step; returns it. Optional: the diagnosis can then see it rise.

        With a `GradScaler` the loss itself: `scaler.scale(w.loss(loss)).backward()`.
        """
        if self._open is not None:
            self._open.loss = loss.detach()
        return loss

    def _finish(self) -> None:
        measurement, self._open = self._open, None
        if measurement is not None:
            self._unread.append(measurement.finish())
            for call in self._on_sample:
                call(self)

    def close(self) -> None:
        """Stop watching. What was measured stays."""
        if self._handle is not None:
            self._leave()
            self._finish()

    def _leave(self) -> None:
        self._handle.remove()
        self._handle = None
        recorder.watches -= 1
        if self.model._hooks is not None:
            self.model._hooks.passing = None
        _forget_empty_hooks(self.model)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:  # Nobody can ask for its figures any more.
            self._leave()
            if self._open is not None:
                self._open.release()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- results ----------------------------------------------------------------------------------------

    @property
    def samples(self) -> list[Sample]:
        """The watched steps. Reading them waits for the device; a step that is not over yet is not among them."""
        if self._open is not None and self._open.stepped():
            self._finish()
        for tensors, resolve in self._unread:
            self._samples.append(resolve(read(tensors)))
        self._unread.clear()
        return self._samples

    def diagnosis(self) -> diagnosis.Diagnosis:
        """What the figures say: the illnesses found, each with its evidence and the usual cure."""
        return diagnosis.diagnose(self.samples)

    def jsonl(self, path: str | Path) -> Path:
        """Write one JSON object a watched step, a line each."""
        return report.write_jsonl(self.samples, path)

    def html(self, path: str | Path, title: str | None = None) -> Path:
        """Write a report of one file, which needs no network."""
        note = f", of {self.steps} in all: watch(model, every={self.every})"
        note += ", a smaller number shows more" if self.every > 1 else ""
        return report.write_html(self.samples, path, title or type(self.model).__name__, note)

    def png(self, path: str | Path) -> Path:
        """Write the curves as a picture. Needs matplotlib (ImportError says how to get it)."""
        from autograd_core.insight import views

        return views.write_png(self.samples, path, type(self.model).__name__)

    def live(self) -> Any:
        """A context manager that shows the latest figures in the terminal while the loop runs. Needs rich."""
        from autograd_core.insight import views

        return views.Live(self)

    def __repr__(self) -> str:
        return f"<watch of {type(self.model).__name__}: {self.steps} steps, every {self.every}>"


class _Hook:
    """Calls a watcher, and does not keep it alive. A copy of the model, or a pickled one, is not watched."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        self._watcher = None if watcher is None else ref(watcher)

    def __call__(self, module: Module, args: Any) -> None:
        watcher = None if self._watcher is None else self._watcher()
        if watcher is not None:
            watcher._forward_begins(module, args)

    def __reduce__(self) -> Any:
        return _Hook, ()


def watch(model: Module, every: int = 200) -> Watcher:
    """Watch `model` train: a context manager around any training loop, or an object, kept until its `close()`.

    A forward pass in training mode with gradients on counts as a step. Steps 0, 1, 4, 16, 64, ... and then every
    `every`-th are measured: per layer the gradient norm, weight norm, update-to-weight ratio, mean and variance of the
    activations, saturated share, dead units and non-finite values. Nothing is read from the device before you ask.

    Raises TypeError if `model` is no Module, ValueError if `every` is no positive int.

    >>> import autograd_core as ag
    >>> model = ag.nn.Linear(2, 1); opt = ag.optim.SGD(model.parameters(), lr=0.1)
    >>> with ag.insight.watch(model) as w:
    ...     for _ in range(3):
    ...         opt.zero_grad(); w.loss(model(ag.ones(4, 2)).square().mean()).backward(); opt.step()
    >>> [s.step for s in w.samples], w.samples[0].layers[0].grad_norm > 0
    ([0, 1], True)
    """
    return Watcher(model, every)


class _Measurement:
    """One watched step, from the beginning of its forward pass to the next one after the optimiser's step."""

    def __init__(self, model: Module, step: int, args: Any, silent: dict[Module, list[Any]]) -> None:
        self.step, self.silent = step, silent
        self.loss: Tensor | None = None
        self.rows: dict[Module, LayerSample] = {}
        self.seen: dict[Module, Any] = {}  # The output of each layer, or what its activation made of it.
        self.order: list[Module] = []
        self.names = layers_of(model)
        self.parameters: dict[Any, Module] = {}  # Each parameter once, with the first module that owns it.
        self.before: dict[Any, Any] = {}  # Some of its values.
        self.weights: dict[Any, Any] = {}  # Sums of squares.
        self.grads: dict[Any, Any] = {}
        self.spreads: dict[Any, Any] = {}
        self.versions: dict[Any, int] = {}
        self.handles: list[Any] = []
        self.grad_handles: list[Any] = []
        self.model = model
        self.last: Module | None = None
        self.input: tuple[Any, Any] | None = None
        self.inverse: Tensor | None = None
        with modes.no_grad():
            self._look_at_input(args)
            for module in self.names:
                own = [p for p in module._parameters.values() if p is not None]
                if own:
                    self._begin_layer(module, own)
                if own or not module._modules:
                    self.handles.append(module.register_forward_pre_hook(self._layer_begins))
                    self.handles.append(module.register_forward_hook(self._layer_ends))
        self.handles.append(model.register_forward_hook(self._forward_ends))
        recorder.measured.add(self)
        self.versions = {p: p._version for p in self.parameters}

    def _begin_layer(self, module: Module, own: list[Any]) -> None:
        if all(p in self.parameters for p in own):
            return  # Tied weights are those of the layer that has them first.
        self.rows[module] = LayerSample(
            self.names[module], type(module).__name__, trains=any(p.requires_grad for p in own), used=False
        )
        matrices = any(p.ndim >= 2 for p in own)
        for p in own:
            if p in self.parameters or not p.is_floating_point():
                continue
            self.parameters[p] = module
            if p.requires_grad:
                self.grad_handles.append(p.register_post_accumulate_grad_hook(self._gradient_came))
            if matrices and p.ndim < 2:
                continue  # Of a bias beside a matrix the gradient is enough.
            w = p.detach()
            self.weights[p] = _square_sum(w)
            self.before[p] = _some(w).clone()
            if p.ndim >= 2 and p.shape[0] > 1:
                part = w[:_ROWS].flatten(1)[:, :_ROWS]  # type: ignore[attr-defined]
                self.spreads[p] = _float(ag.sub(part, part[:1]).abs().amax())

    # -- hooks ------------------------------------------------------------------------------------------

    def _look_at_input(self, args: Any) -> None:
        x = next((a for a in args if isinstance(a, Tensor) and a.is_floating_point() and a.numel()), None)
        if x is not None:
            x = x.detach()
            dims = [d for d in range(x.ndim) if d != 1] if x.ndim > 1 else [0] if x.ndim else []
            size = _float(ag.sqrt(ag.mean(ag.square(x), dims)).amax() if dims else ag.abs(x))
            self.input = size, _float(ag.logical_not(ag.isfinite(x)).sum())

    def _layer_begins(self, module: Any, args: Any) -> None:
        if args and isinstance(args[0], Tensor):
            self._note_activation(args[0], _activation_behind(args[0]))

    def _layer_ends(self, module: Any, args: Any, output: Any) -> None:
        out = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(out, Tensor):
            return
        row = self.rows.get(module)
        if row is None:
            self._note_activation(out, _KINDS.get(type(module).__name__) or _activation_behind(out))
        elif not row.used:
            row.used = True
            self.order.append(module)
            self.seen[module] = out.detach()
            self.last = module

    def _forward_ends(self, module: Any, args: Any, output: Any) -> None:
        out = output[0] if isinstance(output, tuple) and output else output
        if isinstance(out, Tensor):
            self._note_activation(out, _activation_behind(out))
        self.end_forward()

    def _note_activation(self, x: Tensor, name: str | None) -> None:
        """`x` is what the activation `name` made of the last layer's output."""
        row = None if self.last is None else self.rows[self.last]
        if name is not None and row is not None and row.activation is None:
            row.activation = name
            self.seen[self.last] = x.detach()  # type: ignore[index]

    def _gradient_came(self, p: Any) -> None:
        with modes.no_grad():
            self.grads[p] = _square_sum(p.grad.detach())

    def unscaled(self, p: Any, inverse: Tensor) -> None:
        """A `GradScaler` has multiplied the gradient by `inverse`."""
        if p in self.grads:
            self._gradient_came(p)
            self.inverse = inverse

    # -- results ----------------------------------------------------------------------------------------

    def end_forward(self) -> None:
        """Forward is over: take the layers' hooks away, so that evaluation in between is not measured."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
        _forget_empty_hooks(self.model)

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
            tensors.append(tensor)

        with modes.no_grad():
            for module, x in self.seen.items():
                for name, value in _activation_figures(
                    x, self.rows[module], self.silent.setdefault(module, [])
                ).items():
                    want((module, name), value)
            for kind, found in (("weight", self.weights), ("spread", self.spreads), ("grad", self.grads)):
                for p, value in found.items():
                    want((p, kind), value)
            for p, before in self.before.items():
                now = _some(p.detach())
                if stepped and now._backend is before._backend and now.dtype is before.dtype:
                    want((p, "update"), _square_sum(ag.sub(now, before)))
                    want((p, "part"), _square_sum(before))
            if self.loss is not None:
                want("loss", _float(self.loss.mean()))  # type: ignore[attr-defined]
            if self.input is not None:
                want("input_rms", self.input[0])
                want("input_nonfinite", self.input[1])
            if self.inverse is not None:
                want("inverse", self.inverse)
        rows, order, parameters, step = self.rows, self.order, self.parameters, self.step
        self.seen.clear()
        self.before.clear()

        def resolve(values: list[float]) -> Sample:
            found = dict(zip(keys, values))
            for module, row in rows.items():
                for name in ("mean", "variance", "signal", "saturated", "dead", "nonfinite"):
                    setattr(row, name, found.get((module, name)))
                _weights_into(row, [p for p, owner in parameters.items() if owner is module], found)
            unused = [row for module, row in rows.items() if not row.used]
            sample = Sample(step, [rows[module] for module in order] + unused, stepped=stepped)
            sample.loss = found.get("loss")
            inverse = found.get("inverse")
            sample.scale = None if inverse is None else 1 / inverse if inverse else float("inf")
            sample.input_rms, sample.input_nonfinite = found.get("input_rms"), found.get("input_nonfinite")
            return sample

        return tensors, resolve


def _weights_into(row: LayerSample, parameters: list[Any], found: dict[Any, float]) -> None:
    """The figures of a layer from those of its parameters."""

    def norm(kind: str) -> float | None:
        squares = [found[p, kind] for p in parameters if (p, kind) in found]
        return sqrt(sum(squares)) if squares else None

    row.weight_norm, row.grad_norm = norm("weight"), norm("grad")
    row.reached = row.grad_norm is not None
    spreads = [found[p, "spread"] for p in parameters if (p, "spread") in found]
    if spreads:
        row.spread = max(spreads)
    elif any(p.ndim >= 2 for p in parameters):
        row.spread = float("inf")  # One unit, which nothing can be like.
    update, before = norm("update"), norm("part")
    if update is not None and before is not None:
        row.update_ratio = _ratio(update, before)
    row.grad_nonfinite = row.grad_norm is not None and not isfinite(row.grad_norm)
    row.weight_nonfinite = row.weight_norm is not None and not isfinite(row.weight_norm)


def _ratio(update: float, before: float) -> float:
    """|update| / |weights|; a start from zero counts as 1, not as infinity."""
    return update / before if before else float(update > 0)


def _float(x: Any) -> Any:
    return x if x.dtype is ag.float32 else x.to(ag.float32)


def _square_sum(x: Any) -> Any:
    x = x.flatten()
    if x.dtype is ag.float16:
        x = x.to(ag.float32)
    return _float(ag.dot(x, x))


def _some(x: Any) -> Any:
    """At most some thousand values of `x`, evenly spread: as good for a ratio of norms, and quick for large layers."""
    return x.flatten()[:: 1 + x.numel() // _VALUES]


def _activation_figures(x: Any, row: LayerSample, silent: list[Any]) -> dict[str, Any]:
    """0-d tensors: the figures of a layer's values `x`, of which dimension 0 is the batch.

    silent: which units were 0 on the batches of the last steps; this step's are added.
    """
    if not x.is_floating_point() or not x.numel() or not x.ndim:
        return {}
    x = x[:_ROWS]
    units = 1 if x.ndim == 2 or (x.ndim > 2 and row.kind.startswith(_CHANNELS_SECOND)) else x.ndim - 1
    others = [d for d in range(x.ndim) if d != units]
    rows = x.numel() // x.shape[units]
    figures: dict[str, Any] = {"nonfinite": ag.logical_not(ag.isfinite(x)).sum()}
    if others and rows > 1:
        variance, mean = ag.var_mean(x, others, correction=0)
        figures["mean"], figures["signal"] = mean.mean(), variance.mean()
        figures["variance"] = ag.add(figures["signal"], mean.var(correction=0))
    if row.activation == "sigmoid":
        figures["saturated"] = ag.lt(ag.mul(x, ag.rsub(x, 1.0)), SATURATED_SLOPE / 4)
    elif row.activation == "tanh":
        figures["saturated"] = ag.gt(ag.square(x), 1 - SATURATED_SLOPE)
    elif row.activation == "relu" and others and rows >= _ROWS_TO_CALL_DEAD:
        figures["dead"] = ag.le(x.amax(others), 0)
        silent[:] = [*silent[1 - _STEPS_TO_CALL_DEAD :], figures["dead"]]
        for before in silent[:-1]:
            figures["dead"] = ag.logical_and(figures["dead"], before)
    for name in ("saturated", "dead"):
        if name in figures:
            figures[name] = figures[name].to(ag.float32).mean()
    return {name: _float(value) for name, value in figures.items()}


def _activation_behind(x: Tensor) -> str | None:
    """The activation that made `x`, seen through reshaping and pooling, or None."""
    node = x.grad_fn
    for _ in range(6):
        if node is None or not hasattr(node, "primitive"):
            return None
        name = _ACTIVATIONS.get(node.name())
        if name is not None:
            return name
        if not node.primitive.name.startswith(_PASSED):
            return None
        node = node.inputs[0]
    return None


def _forget_empty_hooks(model: Module) -> None:
    """A module without hooks takes the short way again: that is what keeps the steps in between free."""
    for module in model.modules():
        hooks = module._hooks
        if hooks is not None and not (hooks.forward_pre or hooks.forward or hooks.backward_pre or hooks.backward):
            module._hooks = None

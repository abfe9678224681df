"""`watch`: figures of every layer while a model trains, by hooks on the model alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import ref

import autograd_core as ag
from autograd_core import modes, recorder
from autograd_core.insight import report
from autograd_core.insight.diagnosis import Diagnosis, diagnose
from autograd_core.insight.measurement import Measurement, Silent
from autograd_core.insight.samples import Ending, LayerSample, Sample, layers_of, read
from autograd_core.nn import Module
from autograd_core.nn.hooks import Passing, forget_empty_tables
from autograd_core.nn.parameter import UninitializedParameter
from autograd_core.tensor import Tensor, wrap

# So many forward passes may share one optimiser step (accumulated gradients) and still be seen as one.
_ACCUMULATED = 32


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
        self._open: Measurement | None = None
        self._silent: Silent = {}
        self._on_sample: list[Callable[[Watcher], None]] = []
        self._versions: dict[Any, int] = {}  # Of the parameters, at the end of the last measurement.
        self._last_loss: tuple[Any, Any] | None = None
        self._end: tuple[list[Tensor], Callable[[list[float]], Ending]] | None = None
        self._idle = "the model was never called; watch the module that the training loop calls"
        self._handle: Any = model.register_forward_pre_hook(_Hook(self), with_kwargs=True)
        recorder.watches += 1

    # -- the training loop's side -----------------------------------------------------------------------

    def _forward_begins(self, module: Module, inputs: Sequence[Any]) -> None:
        if not module.training or not modes.state.grad or module is not self.model:
            self._idle = (
                "the model was only called without gradients (no_grad)"
                if module.training
                else "the model was only called in evaluation mode: model.train() before training"
            )
            return
        if self._passing.left:
            self._passing.left -= 1
            self._let_pass()
            return
        if recorder.recording:
            return
        if any(isinstance(p, UninitializedParameter) or not p.is_leaf for p in module.parameters()):
            return  # Lazy layers, which have no weights yet; or `functional_call` with others in their place.
        step = self.steps
        self._until += 1
        if self._open is not None:
            if not self._open.stepped() and step - self._open.step < _ACCUMULATED:
                self._open.end_forward()
                self._open.passes += 1
                return
            fresh = self._open.stepped()
            self._finish()
        else:
            fresh = False
        if step >= self._next:
            self._open = Measurement(self.model, step, inputs, self._silent, self._versions, fresh)
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

        With a `GradScaler` the loss itself: `scaler.scale(w.loss(loss)).backward()`. Of a loss that is no scalar the
        mean counts. A loss that need not fall, as of two networks that play against one another, is none to tell.
        Raises TypeError if it is no tensor.
        """
        if not isinstance(loss, Tensor):
            raise TypeError(f"w.loss: expected the loss as a tensor, before .item(), got {type(loss).__name__}")
        self._last_loss = loss._data, loss._backend  # Without its graph.
        if self._open is not None:
            self._open.loss = loss.detach()
        return loss

    def _finish(self) -> None:
        measurement, self._open = self._open, None
        if measurement is not None:
            self._unread.append(measurement.finish())
            self._versions = {p: p._version for p in measurement.parameters}
            for call in self._on_sample:
                call(self)

    def close(self) -> None:
        """Stop watching. What was measured stays."""
        if self._handle is not None:
            self._leave()
            self._finish()
            self._end = self._look_at_the_end()

    def _moved(self) -> bool:
        """Whether a weight has changed since the last measurement."""
        return any(p._version != version for p, version in self._versions.items())

    def _look_at_the_end(self) -> tuple[list[Tensor], Callable[[list[float]], Ending]]:
        """What the device is asked for, and what makes the ending of the values."""
        with modes.no_grad():
            owners = [
                (LayerSample(name, type(module).__name__, weight_nonfinite=True), p.detach())
                for module, name in layers_of(self.model).items()
                for p in module._parameters.values()
                if p is not None and not isinstance(p, UninitializedParameter) and p.is_floating_point()
            ]
            tensors = [ag.isfinite(p).all().to(ag.float64) for _, p in owners]
            if self._last_loss is not None:
                tensors.append(wrap(*self._last_loss).to(ag.float64).mean())
        steps, moved, told = self.steps, self._moved(), self._last_loss is not None

        def resolve(values: list[float]) -> Ending:
            broken = {row.layer: row for (row, _), finite in zip(owners, values) if not finite}
            return Ending(steps, values[-1] if told else None, list(broken.values()), moved)

        return tensors, resolve

    def _leave(self) -> None:
        self._handle.remove()
        self._handle = None
        recorder.watches -= 1
        if self.model._hooks is not None:
            self.model._hooks.passing = None
        forget_empty_tables(self.model)

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

    def diagnosis(self, ignore: Sequence[str] = ()) -> Diagnosis:
        """What the figures say: the illnesses found, each with its evidence and the usual cure.

        ignore: names of illnesses that are meant, such as "frozen layer". Raises ValueError for a name that is none.
        """
        samples = self.samples
        tensors, resolve = self._end or self._look_at_the_end()
        idle = "a step has begun and is not over: it ends with the next forward pass, or with close()"
        return diagnose(samples, resolve(read(tensors)), ignore, self._idle if self._open is None else idle)

    def _measured(self) -> list[Sample]:
        if not self.samples:
            raise ValueError(f"insight.watch: there is nothing to write: {self.diagnosis()}")
        return self.samples

    def jsonl(self, path: str | Path) -> Path:
        """Write one JSON object a watched step, a line each. As `html` and `png`: ValueError if there is none."""
        return report.write_jsonl(self._measured(), path)

    def html(self, path: str | Path, title: str | None = None) -> Path:
        """Write a report of one file, which needs no network."""
        note = f", of {self.steps} in all: watch(model, every={self.every})"
        note += ", a smaller number shows more" if self.every > 1 else ""
        return report.write_html(self._measured(), self.diagnosis(), path, title or type(self.model).__name__, note)

    def png(self, path: str | Path) -> Path:
        """Write the curves as a picture. Needs matplotlib (ImportError says how to get it)."""
        from autograd_core.insight import views

        return views.write_png(self._measured(), path, type(self.model).__name__)

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

    def __call__(self, module: Module, args: Any, kwargs: Any) -> None:
        watcher = None if self._watcher is None else self._watcher()
        if watcher is not None:
            watcher._forward_begins(module, (*args, *kwargs.values()))

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

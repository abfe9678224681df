"""`summary`: the layers of a model, their shapes, parameters and work."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from autograd_core import modes
from autograd_core.insight.samples import forward_graph, layers_of
from autograd_core.nn import Module
from autograd_core.nn.hooks import forget_empty_tables
from autograd_core.nn.parameter import _Uninitialized
from autograd_core.recorder import Recorder, Ref
from autograd_core.tensor import Tensor
from autograd_core.trees import tensors_in

Shape = tuple[int, ...]


@dataclass
class LayerSummary:
    """One row: a module with parameters or products of its own, or which holds no other module.

    All figures are the module's own, without those of the modules in it, so that rows add up to the total. parameters:
    its numbers, shared ones counted at their first owner. multiply_adds: of all its calls in one forward; None if the
    model was not run. holds_others: there are modules in it.
    """

    name: str
    kind: str
    output_shape: Shape | None = None
    parameters: int = 0
    multiply_adds: int | None = 0
    calls: int = 0
    holds_others: bool = False


@dataclass
class Summary:
    """What `summary` found; `print` it. Sizes are in bytes.

    kept_for_backward: what the graph of one forward holds until backward, each array once, without the parameters.
    multiply_adds: of products and convolutions, the model's own beside its layers' included. Without an input the
    model was not run: `multiply_adds` is None then, `call` what to write.
    """

    model: str
    layers: list[LayerSummary] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int | None = 0
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    input_bytes: int = 0
    kept_for_backward: int = 0
    call: str = ""

    def __str__(self) -> str:
        ran = self.multiply_adds is not None
        rows = [("layer", "kind", "output shape", "parameters", "multiply-adds")]
        for layer in self.layers:
            within = layer.kind == "NonDynamicallyQuantizableLinear"  # Attention uses its weights without a call.
            idle = "within attention" if within else "not called"
            shape = idle if not layer.calls else "" if layer.output_shape is None else str(layer.output_shape)
            times = f" ({layer.calls} calls)" if layer.calls > 1 else ""
            kind = f"{layer.kind}, its own" if layer.holds_others else layer.kind
            rows.append((layer.name, kind, shape + times, f"{layer.parameters:,}", f"{layer.multiply_adds or 0:,}"))
        rows.append(("total", self.model, "", f"{self.parameters:,}", f"{self.multiply_adds or 0:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        columns = range(5) if ran else (0, 1, 3)
        lines = [
            "  ".join(row[i].rjust(widths[i]) if i > 2 else row[i].ljust(widths[i]) for i in columns) for row in rows
        ]
        rule = "-" * len(lines[0])
        lines = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
        lines.append(f"trainable parameters {self.trainable:,} of {self.parameters:,}")
        memory = f"memory: parameters {size_text(self.parameter_bytes)}, buffers {size_text(self.buffer_bytes)}"
        if ran:
            memory += f", input {size_text(self.input_bytes)}, kept for backward {size_text(self.kept_for_backward)}"
        lines.append(memory)
        if not ran:
            lazy = any(layer.kind.startswith("Lazy") for layer in self.layers)
            what = "shapes, multiply-adds, the memory of a step" + ", and the parameters of lazy layers," * lazy
            lines.append(f"for {what} give an input: {self.call}")
        return "\n".join(line.rstrip() for line in lines)


def summary(model: Module, *inputs: Any, **kwargs: Any) -> Summary:
    """Run `model(*inputs, **kwargs)` once in evaluation mode and tell what it is made of.

    Without an input, parameters and memory of the model alone; the printed text says what to give.

    Parameters are counted as the textbooks do: a dense layer from n to m units has m (n + 1), a convolution with k by k
    kernels from c to o channels o (c k^2 + 1); of a frozen or shared parameter each number counts once. A multiply-add
    is one product with its sum: a dense layer takes n m for each sample, also inside attention and recurrent layers;
    elementwise work is not counted.

    model: any Module. inputs: what it takes, a batch of any size. Returns a `Summary`. The model is left as it was,
    but that lazy layers are initialised. Raises TypeError if `model` is no Module, and what the model itself raises.

    >>> import autograd_core as ag
    >>> model = ag.nn.Sequential(ag.nn.Linear(8, 9), ag.nn.Sigmoid(), ag.nn.Linear(9, 4))
    >>> s = ag.insight.summary(model, ag.ones(1, 8))
    >>> s.parameters, s.multiply_adds
    (121, 108)
    >>> ag.insight.summary(model).call
    'summary(model, input)'
    """
    if not isinstance(model, Module):
        raise TypeError(f"insight.summary: expected an nn.Module, got {type(model).__name__}")
    names = layers_of(model)
    model = next(iter(names))
    rows = {module: LayerSummary(name, "") for module, name in names.items()}
    result = Summary(type(model).__name__)
    result.call = "" if inputs or kwargs else _wanted(model)
    given = tensors_in((inputs, kwargs))
    if not result.call:
        try:
            output = _run(model, inputs, kwargs, rows, result, given)
            result.kept_for_backward = _kept_bytes(output, list(model.parameters()), given)
        except Exception:
            shape = next((v for v in (*inputs, *kwargs.values()) if _is_shape(v)), None)
            if shape is not None:
                wanted = ", ".join(map(str, shape))
                raise TypeError(
                    f"insight.summary: expected what the model takes, got the shape ({wanted}); give a batch of that "
                    f"shape: summary(model, ag.zeros({wanted}))"
                ) from None
            if inputs or kwargs:
                raise
            result.call = _wanted(model, True) or "summary(model, input)"  # Its forward has defaults that do not do.
            rows = {module: LayerSummary(name, "") for module, name in names.items()}
    if result.call:
        result.multiply_adds = None
    seen: set[int] = set()
    for module, row in rows.items():  # Now, since lazy layers have their kind and parameters from the first call on.
        own = [p for p in module._parameters.values() if p is not None]
        row.kind, row.holds_others = type(module).__name__, bool(module._modules)
        row.parameters = sum(_numbers(p) for p in own if id(p) not in seen)
        seen.update(map(id, own))
        if result.call:
            row.multiply_adds = None
        if own or row.multiply_adds or not row.holds_others:
            result.layers.append(row)
    parameters = list(model.parameters())
    result.parameters = sum(map(_numbers, parameters))
    result.trainable = sum(_numbers(p) for p in parameters if p.requires_grad)
    result.parameter_bytes = sum(p.dtype.itemsize * _numbers(p) for p in parameters)
    result.buffer_bytes = sum(b.dtype.itemsize * _numbers(b) for b in model.buffers())
    result.input_bytes = sum(t.nbytes for t in given)
    return result


def _run(
    model: Module, inputs: Any, kwargs: Any, rows: dict[Module, LayerSummary], result: Summary, given: list[Tensor]
) -> Any:
    """The model's output; calls, shapes and multiply-adds are noted in `rows`."""
    backends = {t._backend for t in (*given, *model.parameters(), *model.buffers())}
    with ExitStack() as stack:
        stack.callback(forget_empty_tables, model)
        stack.enter_context(_evaluating(model))
        stack.enter_context(modes.inference_mode(False))
        stack.enter_context(modes.enable_grad())
        tapes = [stack.enter_context(Recorder(backend, allow_reads=True)) for backend in backends]
        inner = [0]  # For each call under way, the work of the calls in it.
        for module, row in rows.items():
            _count_calls(stack, module, row, tapes, inner)
        output = model(*inputs, **kwargs)
    result.multiply_adds = sum(_multiply_adds(tape, 0) for tape in tapes)
    return output


def _wanted(model: Module, optional: bool = False) -> str:
    """How `summary` is to be called if the model's forward cannot be called without arguments, else "".

    optional: with those that have a default, too.
    """
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return ""
    parameters = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    wanted = [p for p in parameters if optional or p.default is p.empty]
    texts = [f"{p.name}=..." if p.kind is p.KEYWORD_ONLY else p.name for p in wanted]
    return f"summary({', '.join(['model', *texts])})" if wanted else ""


def _numbers(t: Any) -> int:
    """The numbers in a tensor; of a lazy one that is not initialised yet, none."""
    return 0 if isinstance(t, _Uninitialized) else int(t.numel())


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    """`model` in evaluation mode, so that no running statistics and no random numbers change; then each as it was."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def _count_calls(stack: ExitStack, module: Module, row: LayerSummary, tapes: list[Recorder], inner: list[int]) -> None:
    starts: list[tuple[int, list[int]]] = []

    def before(module: Module, args: Any) -> None:
        starts.append((len(inner), [len(tape.calls) for tape in tapes]))
        inner.append(0)

    def after(module: Module, args: Any, output: Any) -> None:
        depth, start = starts.pop()
        row.calls += 1
        work = sum(_multiply_adds(tape, n) for tape, n in zip(tapes, start))
        row.multiply_adds = (row.multiply_adds or 0) + work - sum(inner[depth:])
        del inner[depth:]
        inner[-1] += work
        if row.output_shape is None:
            first = next(iter(tensors_in(output)), None)
            row.output_shape = None if first is None else tuple(first.shape)

    stack.enter_context(module.register_forward_pre_hook(before))
    stack.enter_context(module.register_forward_hook(after))


def _multiply_adds(tape: Recorder, start: int) -> int:
    """The multiply-adds of the recorded calls from `start` on."""

    def shape(slot: Any) -> Shape:
        return tuple(tape._arrays[slot.index].shape) if isinstance(slot, Ref) else ()

    total = 0
    for call in tape.calls[start:]:
        count = _WORK.get(call.kernel)
        if count is not None:
            result = call.result[0] if isinstance(call.result, tuple) else call.result
            total += count(shape(result), *map(shape, call.args))
    return total


# Kernel -> the multiply-adds of one call, from the shapes of its (first) result and its arguments. What else multiplies
# (recurrent layers with projections, transposed convolutions) is composed of these.
_WORK: dict[str, Any] = {
    "linear": lambda out, x, w, *rest: prod(out) * x[-1],
    "matmul": lambda out, x, y: prod(out) * x[-1],
    "matmul_nt": lambda out, x, y: prod(out) * x[-1],
    "matmul_tn": lambda out, x, y: prod(out) * x[-2],
    "conv2d": lambda out, x, w, *rest: prod(out) * prod(w[1:]),
    "conv3d": lambda out, x, w, *rest: prod(out) * prod(w[1:]),
    "conv2d_input_grad": lambda out, g, w, *rest: prod(g) * prod(w[1:]),
    "conv3d_input_grad": lambda out, g, w, *rest: prod(g) * prod(w[1:]),
    "attention": lambda out, q, k, v, *rest: (prod(q) + prod(out)) * k[-2],
    "recurrent": lambda out, x, h, c, w_ih, w_hh, *rest: prod(x[:2]) * (prod(w_ih) + prod(w_hh)),
}


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) > 0 and all(type(n) is int for n in value)


def _kept_bytes(output: Any, parameters: list[Any], given: list[Tensor]) -> int:
    """The memory that the graph behind `output` holds beside the parameters, each storage once.

    Of an input that is a part of something larger, as a batch of a data set, the part alone counts.
    """
    parts: dict[int, int] = {}
    for t in given:
        key = id(t._backend.storage_key(t._data))
        parts[key] = parts.get(key, 0) + t.nbytes
    owners: dict[int, Any] = {}
    for node in forward_graph(output):
        for array in node.saved or ():
            if hasattr(array, "dtype"):
                owner = node.backend.storage_key(array)
                owners[id(owner)] = owner
    for p in parameters:
        owners.pop(id(p._backend.storage_key(p._data)), None)
    return sum(min(int(owner.nbytes), parts.get(key, int(owner.nbytes))) for key, owner in owners.items())


def size_text(n: float) -> str:
    """Bytes as people write them: 1536 -> '1.5 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            break
        n /= 1024
    return f"{n:.0f} B" if unit == "B" else f"{n:.1f} {unit}"

"""`summary`: the layers of a model, their shapes, parameters and work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from autograd_core import modes
from autograd_core.engine import Node
from autograd_core.nn import Module
from autograd_core.recorder import Recorder, Ref
from autograd_core.tensor import Tensor

Shape = tuple[int, ...]


@dataclass
class LayerSummary:
    """One row: a module that holds parameters of its own, or holds no other module.

    parameters: its numbers, shared ones counted at their first owner. multiply_adds: of all its calls in one forward.
    """

    name: str
    kind: str
    output_shape: Shape | None = None
    parameters: int = 0
    multiply_adds: int = 0
    calls: int = 0


@dataclass
class Summary:
    """What `summary` found; `print` it. Sizes are in bytes.

    kept_for_backward: what the graph of one forward holds until backward, each array once, without the parameters.
    multiply_adds: of products and convolutions, the model's own beside its layers' included.
    """

    model: str
    layers: list[LayerSummary] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int = 0
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    input_bytes: int = 0
    kept_for_backward: int = 0

    def __str__(self) -> str:
        rows = [("layer", "kind", "output shape", "parameters", "multiply-adds")]
        for layer in self.layers:
            shape = "not called" if not layer.calls else "" if layer.output_shape is None else str(layer.output_shape)
            times = f" ({layer.calls} calls)" if layer.calls > 1 else ""
            rows.append((layer.name, layer.kind, shape + times, f"{layer.parameters:,}", f"{layer.multiply_adds:,}"))
        rows.append(("total", self.model, "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [
            "  ".join(cell.rjust(w) if i > 2 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths)))
            for row in rows
        ]
        rule = "-" * len(lines[0])
        lines = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
        lines.append(f"trainable parameters {self.trainable:,} of {self.parameters:,}")
        lines.append(
            f"memory: parameters {size_text(self.parameter_bytes)}, buffers {size_text(self.buffer_bytes)}, "
            f"input {size_text(self.input_bytes)}, kept for backward {size_text(self.kept_for_backward)}"
        )
        return "\n".join(line.rstrip() for line in lines)


def summary(model: Module, *inputs: Any, **kwargs: Any) -> Summary:
    """Run `model(*inputs, **kwargs)` once in evaluation mode and tell what it is made of.

    Parameters are counted as the textbooks do: a dense layer from n to m units has m (n + 1), a convolution with k by k
    kernels from c to o channels o (c k^2 + 1); of a frozen or shared parameter each number counts once. A multiply-add
    is one product with its sum: a dense layer takes n m for each sample, also inside attention and recurrent layers;
    elementwise work is not counted.

    model: any Module. inputs: what it takes, a batch of any size. Returns a `Summary`. The model is left as it was,
    but that lazy layers are initialised. Raises TypeError if `model` is no Module, and what the model itself raises.

    >>> import autograd_core as ag
    >>> s = ag.insight.summary(ag.nn.Sequential(ag.nn.Linear(8, 9), ag.nn.Sigmoid(), ag.nn.Linear(9, 4)), ag.ones(1, 8))
    >>> s.parameters, s.multiply_adds
    (121, 108)
    """
    if not isinstance(model, Module):
        raise TypeError(f"insight.summary: expected an nn.Module, got {type(model).__name__}")
    result = Summary(type(model).__name__)
    tensors = list(_tensors((inputs, kwargs)))
    backends = {t._backend for t in (*tensors, *model.parameters(), *model.buffers())}
    owners: list[tuple[LayerSummary, Module]] = []
    with ExitStack() as stack:
        stack.enter_context(_evaluating(model))
        stack.enter_context(modes.inference_mode(False))
        stack.enter_context(modes.enable_grad())
        tapes = [stack.enter_context(Recorder(backend, allow_reads=True)) for backend in backends]
        for name, module in model.named_modules():
            if not module._modules or any(p is not None for p in module._parameters.values()):
                row = LayerSummary(name or "(model)", type(module).__name__)
                result.layers.append(row)
                owners.append((row, module))
                _count_calls(stack, module, row, tapes)
        output = model(*inputs, **kwargs)
    seen: set[int] = set()
    for row, module in owners:  # Now, since lazy layers have their parameters from the first call on.
        row.kind = type(module).__name__
        new = [p for p in module._parameters.values() if p is not None and id(p) not in seen]
        seen.update(id(p) for p in new)
        row.parameters = sum(p.numel() for p in new)
    parameters = list(model.parameters())
    result.parameters = sum(p.numel() for p in parameters)
    result.trainable = sum(p.numel() for p in parameters if p.requires_grad)
    result.multiply_adds = sum(_multiply_adds(tape, 0) for tape in tapes)
    result.parameter_bytes = sum(p.nbytes for p in parameters)
    result.buffer_bytes = sum(b.nbytes for b in model.buffers())
    result.input_bytes = sum(t.nbytes for t in tensors)
    result.kept_for_backward = _kept_bytes(output, parameters)
    return result


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


def _count_calls(stack: ExitStack, module: Module, row: LayerSummary, tapes: list[Recorder]) -> None:
    starts: list[list[int]] = []

    def before(module: Module, args: Any) -> None:
        starts.append([len(tape.calls) for tape in tapes])

    def after(module: Module, args: Any, output: Any) -> None:
        start = starts.pop()
        row.calls += 1
        row.multiply_adds += sum(_multiply_adds(tape, n) for tape, n in zip(tapes, start))
        if row.output_shape is None:
            first = next(_tensors(output), None)
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


def _kept_bytes(output: Any, parameters: list[Any]) -> int:
    """The memory that the graph behind `output` holds beside the parameters, each storage once."""
    stack: list[Any] = [t.grad_fn for t in _tensors(output)]
    nodes: set[Any] = set()
    owners: dict[int, Any] = {}
    while stack:
        node = stack.pop()
        if not isinstance(node, Node) or node in nodes:
            continue
        nodes.add(node)
        for array in node.saved or ():
            if hasattr(array, "dtype"):
                owner = node.backend.storage_key(array)
                owners[id(owner)] = owner
        stack.extend(node.inputs)
    for p in parameters:
        owners.pop(id(p._backend.storage_key(p._data)), None)
    return sum(int(owner.nbytes) for owner in owners.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested containers."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def size_text(n: float) -> str:
    """Bytes as people write them: 1536 -> '1.5 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            break
        n /= 1024
    return f"{n:.0f} B" if unit == "B" else f"{n:.1f} {unit}"

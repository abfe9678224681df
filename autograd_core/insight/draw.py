"""`draw`: the computational graph behind a tensor, as SVG or text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

from autograd_core._atomic import write_atomically
from autograd_core.engine import Node
from autograd_core.nn import Module
from autograd_core.tensor import Tensor

_ROW, _GAP, _HEIGHT, _CHARACTER = 62, 18, 38, 7.2  # Pixels: between rows, between boxes, of a box, of a letter.
_STYLE = (
    "text{font:12px ui-monospace,monospace;fill:#1d2430}.shape{font-size:10px;fill:#667085}"
    "rect{fill:#eef4ff;stroke:#6b8fd6}.leaf rect{fill:#e8f6ec;stroke:#5aa772}.result rect{fill:#fff1e5;stroke:#d9822b}"
    "path{fill:none;stroke:#98a2b3;stroke-width:1.3}"
)


@dataclass
class _Box:
    """A call of an operation, a leaf tensor, the result, or a bend of an edge. `inputs` are the boxes above it."""

    label: str
    shape: str
    kind: str
    inputs: list[int] = field(default_factory=list)
    row: int = 0
    place: float = 0.0  # Its order in the row, then its middle in pixels.


class Drawing:
    """A drawn graph: `svg` and `text` are strings, `save(path)` writes by the ending; notebooks show it as it is."""

    def __init__(self, boxes: list[_Box]) -> None:
        self._boxes = boxes

    @property
    def svg(self) -> str:
        """The picture, leaves at the top and the result at the bottom; each operation with the shape of its result."""
        return _svg(self._boxes)

    @property
    def text(self) -> str:
        """The calls as a numbered list, in an order in which they can be made."""
        numbers = {box: i for i, box in enumerate(_in_order(self._boxes))}
        lines = []
        for box, number in numbers.items():
            b = self._boxes[box]
            inputs = ", ".join(f"%{numbers[i]}" for i in b.inputs)
            lines.append(
                f"%{number} = {b.label}{f'({inputs})' if b.kind == 'call' or inputs else ''}  {b.shape}".rstrip()
            )
        return "\n".join(lines)

    def save(self, path: str | Path) -> Path:
        """Write the picture (.svg) or the list (.txt). Raises ValueError for another ending."""
        path = Path(path)
        if path.suffix not in (".svg", ".txt"):
            raise ValueError(f"insight.draw: expected a name that ends in .svg or .txt, got {path.name!r}")
        write_atomically(path, [(self.svg if path.suffix == ".svg" else self.text + "\n").encode()])
        return path

    def __str__(self) -> str:
        return self.text

    def __len__(self) -> int:
        return len(self._boxes)

    def _repr_svg_(self) -> str:
        return self.svg


def draw(tensor: Tensor, names: Module | dict[str, Tensor] | None = None, max_nodes: int = 500) -> Drawing:
    """The graph that `tensor.backward()` would walk.

    tensor: one that requires gradients. names: a model, or a dict, that names the leaves. max_nodes: of a larger graph
    that many nearest to `tensor` are drawn, and what leads on is marked "...".
    Raises TypeError for what is no tensor, ValueError for one without history, or max_nodes < 1.

    >>> import autograd_core as ag
    >>> x = ag.ones(3, requires_grad=True)
    >>> print(ag.insight.draw((x * 2).sum(), {"x": x}))
    %0 = x  (3,)
    %1 = mul(%0)  (3,)
    %2 = sum(%1)  ()
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"insight.draw: expected a Tensor, got {type(tensor).__name__}")
    if max_nodes < 1:
        raise ValueError(f"insight.draw: max_nodes must be at least 1, got {max_nodes}")
    if not tensor.requires_grad:
        raise ValueError("insight.draw: the tensor has no history; draw a result computed from what requires gradients")
    named = names.named_parameters() if isinstance(names, Module) else (names or {}).items()
    known = {id(t): name for name, t in named}
    boxes: list[_Box] = []
    numbers: dict[Any, int] = {}

    def box_of(edge: Any) -> int:
        if edge not in numbers:
            numbers[edge] = len(boxes)
            boxes.append(_box(edge, known))
        return numbers[edge]

    waiting: list[Any] = [tensor if tensor.grad_fn is None else tensor.grad_fn]
    box_of(waiting[0])
    for edge in waiting:  # It grows while it is read: breadth first.
        if not isinstance(edge, Node):
            continue
        box = boxes[numbers[edge]]
        for source in edge.inputs:
            if source is None:
                continue
            if source not in numbers and len(numbers) >= max_nodes:
                if not box.label.endswith("..."):
                    box.label += " ..."
                continue
            if source not in numbers:
                waiting.append(source)
            box.inputs.append(box_of(source))
    boxes[0].kind = "result" if boxes[0].kind == "call" else boxes[0].kind
    return Drawing(boxes)


def _box(edge: Any, known: dict[int, str]) -> _Box:
    if isinstance(edge, Node):
        shape = "" if edge.shape is None else str(tuple(edge.shape))
        return _Box("output" if edge.primitive.is_pick else edge.primitive.name, shape, "call")
    return _Box(known.get(id(edge), "leaf"), str(tuple(edge.shape)), "leaf")


def _in_order(boxes: list[_Box]) -> Iterator[int]:
    """Inputs before those that read them."""
    done: set[int] = set()
    stack: list[tuple[int, bool]] = [(0, False)]
    while stack:
        i, ready = stack.pop()
        if ready:
            yield i
        elif i not in done:
            done.add(i)
            stack.append((i, True))
            stack.extend((j, False) for j in reversed(boxes[i].inputs) if j not in done)


def _svg(calls: list[_Box]) -> str:
    boxes, rows = _layout(calls)
    width = [
        0.0 if b.kind == "bend" else max(len(b.label) * _CHARACTER, len(b.shape) * _CHARACTER * 0.85) + 20
        for b in boxes
    ]
    total = max(sum(width[i] + _GAP for i in row) for row in rows) + _GAP
    for row in rows:
        x = (total - sum(width[i] + _GAP for i in row)) / 2 + _GAP / 2
        for i in row:
            boxes[i].place = x + width[i] / 2
            x += width[i] + _GAP
    height = len(rows) * _ROW + 2 * _GAP - (_ROW - _HEIGHT)

    def top(i: int) -> float:
        return (len(rows) - 1 - boxes[i].row) * _ROW + _GAP

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {height:.0f}" width="{total:.0f}" '
        f'height="{height:.0f}"><style>{_STYLE}</style><rect width="100%" height="100%" style="fill:#fff;stroke:none"/>'
    ]
    for i, box in enumerate(boxes):
        for j in box.inputs:
            x, y, x2, y2 = boxes[j].place, top(j) + _HEIGHT, box.place, top(i)
            middle = (y + y2) / 2
            parts.append(f'<path d="M{x:.1f} {y:.1f}C{x:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"/>')
        if box.kind == "bend":
            parts.append(f'<path d="M{box.place:.1f} {top(i):.1f}V{top(i) + _HEIGHT:.1f}"/>')
    for i, box in enumerate(boxes[: len(calls)]):
        parts.append(
            f'<g class="{box.kind}"><rect x="{box.place - width[i] / 2:.1f}" y="{top(i):.1f}" width="{width[i]:.1f}" '
            f'height="{_HEIGHT}" rx="6"/><text x="{box.place:.1f}" y="{top(i) + 16:.1f}" text-anchor="middle">'
            f'{escape(box.label)}</text><text class="shape" x="{box.place:.1f}" y="{top(i) + 30:.1f}" '
            f'text-anchor="middle">{escape(box.shape)}</text></g>'
        )
    return "".join(parts) + "</svg>"


def _layout(calls: list[_Box]) -> tuple[list[_Box], list[list[int]]]:
    """Boxes with bends for long edges, and their rows, the result's first.

    Rows by longest path; an edge over several rows bends around what lies between, all edges of one source together;
    the order in a row by the neighbours' middle (Sugiyama, Tagawa, Toda, "Methods for visual understanding of
    hierarchical system structures", 1981).
    """
    boxes = [replace(box, inputs=[], row=0, place=0.0) for box in calls]
    order = list(_in_order(calls))
    for i in reversed(order):  # A box lies one row above the highest that reads it.
        for j in calls[i].inputs:
            boxes[j].row = max(boxes[j].row, boxes[i].row + 1)
    bends: dict[tuple[int, int], int] = {}  # (source, row) -> bend

    def above(source: int, row: int) -> int:
        """What stands for `source` in `row`."""
        return source if boxes[source].row == row else bends[source, row]

    for i in order:
        for j in calls[i].inputs:
            row = boxes[i].row + 1
            while row < boxes[j].row and (j, row) not in bends:
                bends[j, row] = len(boxes)
                boxes.append(_Box("", "", "bend", row=row))
                row += 1
    for (source, row), bend in bends.items():
        boxes[bend].inputs.append(above(source, row + 1))
    for i in order:
        boxes[i].inputs = [above(j, boxes[i].row + 1) for j in calls[i].inputs]
    readers: list[list[int]] = [[] for _ in boxes]
    rows: list[list[int]] = [[] for _ in range(1 + max(box.row for box in boxes))]
    for i, box in enumerate(boxes):
        rows[box.row].append(i)
        for j in box.inputs:
            readers[j].append(i)
    for sweep in range(6):
        for line in rows if sweep % 2 == 0 else rows[::-1]:
            for i in line:
                near = readers[i] if sweep % 2 == 0 else boxes[i].inputs
                if near:
                    boxes[i].place = sum(boxes[k].place for k in near) / len(near)
            line.sort(key=lambda i: boxes[i].place)
            for position, i in enumerate(line):
                boxes[i].place = (position + 0.5) / len(line)
    return boxes, rows

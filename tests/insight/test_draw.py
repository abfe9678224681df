"""`insight.draw`: what is on the picture, and that nothing overlaps."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn

SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> list[tuple[str, str, float, float, float]]:
    """(kind, label, left, right, top) of each box."""
    found = []
    for group in ET.fromstring(svg).iter(SVG + "g"):
        rect = group.find(SVG + "rect")
        text = group.find(SVG + "text")
        assert rect is not None and text is not None
        x, y, width = (float(rect.attrib[key]) for key in ("x", "y", "width"))
        found.append((group.attrib["class"], str(text.text), x, x + width, y))
    return found


def test_the_text_lists_calls_in_order() -> None:
    x, w = ag.ones(2, 3, requires_grad=True), ag.ones(3, requires_grad=True)
    y = (x * w).exp()
    assert str(ag.insight.draw(y + y.sum(), {"x": x, "w": w})).splitlines() == [
        "%0 = x  (2, 3)",
        "%1 = w  (3,)",
        "%2 = mul(%0, %1)  (2, 3)",
        "%3 = exp(%2)  (2, 3)",
        "%4 = sum(%3)  ()",
        "%5 = add(%3, %4)  (2, 3)",
    ]


def test_a_model_names_its_parameters() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    svg = ag.insight.draw(F.cross_entropy(model(ag.ones(2, 4)), ag.tensor([0, 1])), model).svg
    found = boxes(svg)
    assert sorted(label for kind, label, *_ in found if kind == "leaf") == ["0.bias", "0.weight", "2.bias", "2.weight"]
    assert [label for kind, label, *_ in found if kind == "result"] == ["cross_entropy"]
    assert "(8, 4)" in svg


@pytest.mark.parametrize("make", [lambda: nn.LSTM(3, 4), lambda: nn.GRU(3, 4, 2)], ids=["lstm", "gru"])
def test_boxes_do_not_overlap_and_lie_inside(make: Any) -> None:
    model = make()
    drawing = ag.insight.draw(model(ag.ones(4, 1, 3))[0].sum(), model)
    found = boxes(drawing.svg)
    assert len(found) == len(drawing)
    width = float(ET.fromstring(drawing.svg).attrib["width"])
    rows: dict[float, list[tuple[float, float]]] = {}
    for _, _, left, right, top in found:
        assert 0 <= left and right <= width
        rows.setdefault(top, []).append((left, right))
    for row in rows.values():
        row.sort()
        assert all(a[1] < b[0] for a, b in zip(row, row[1:]))


def test_every_edge_leads_down() -> None:
    x = ag.ones(2, requires_grad=True)
    a = x.exp()
    svg = ag.insight.draw((a + a.sin().sin().sin() * x).sum()).svg  # 9 edges, two of which pass 4 rows each
    edges = re.findall(r'<path d="M\S+ (\S+?)C.*? (\S+)"/>', svg)
    assert len(edges) == 9 + 8 and all(float(y) < float(end) for y, end in edges)


def test_long_edges_go_around_the_boxes() -> None:
    """A residual sum: the edge that skips three calls has a lane of its own beside them."""
    x = ag.ones(2, requires_grad=True)
    svg = ag.insight.draw(x + x.exp().sin().cos()).svg
    found = {label: (left, right) for _, label, left, right, _ in boxes(svg)}
    lanes = [float(x) for x in re.findall(r'<path d="M(\S+) \S+V', svg)]
    assert len(lanes) == 3
    for lane in lanes:
        assert not any(left <= lane <= right for label in ("exp", "sin", "cos") for left, right in [found[label]])


def test_large_graphs() -> None:
    y = ag.ones(1, requires_grad=True)
    for _ in range(5000):
        y = y + 1
    assert len(ag.insight.draw(y, max_nodes=10_000)) == 5001
    short = ag.insight.draw(y, max_nodes=3)
    assert len(short) == 3 and "..." in short.text and "..." in short.svg


def test_names_are_escaped() -> None:
    x = ag.ones(1, requires_grad=True)
    assert boxes(ag.insight.draw(x * 2, {"<a & b>": x}).svg)[1][1] == "<a & b>"


def test_files(tmp_path: Path) -> None:
    drawing = ag.insight.draw(ag.ones(1, requires_grad=True).exp())
    assert drawing.save(tmp_path / "a.svg").read_text().startswith("<svg")
    assert drawing.save(tmp_path / "a.txt").read_text() == drawing.text + "\n"
    with pytest.raises(ValueError, match=r"\.svg or \.txt, got 'a\.jpg'"):
        drawing.save(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("value", "options", "error", "text"),
    [
        (1.0, {}, TypeError, "expected a Tensor, got float"),
        (ag.ones(1), {}, ValueError, "has no history"),
        (ag.ones(1, requires_grad=True), {"max_nodes": 0}, ValueError, "at least 1"),
    ],
)
def test_errors(value: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ag.insight.draw(value, **options)

"""Files of what was watched: JSON lines, and a report of one HTML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log10, sqrt
from pathlib import Path

from autograd_core._atomic import write_atomically
from autograd_core.insight.diagnosis import Diagnosis
from autograd_core.insight.samples import LayerSample, Sample

Curve = list[tuple[float, float]]

# Title, what a row gives (None: no point), logarithmic axis.
CHARTS = (
    ("gradient norm", lambda r: r.grad_norm, True),
    ("update-to-weight ratio", lambda r: r.update_ratio, True),
    ("weight norm", lambda r: r.weight_norm, True),
    ("deviation of the activations", lambda r: None if r.variance is None else sqrt(max(r.variance, 0.0)), True),
    ("saturated share", lambda r: r.saturated, False),
    ("dead share", lambda r: r.dead, False),
)
# Blue to orange by depth, readable by the colour-blind and on dark ground.
_FIRST, _LAST = (38, 110, 200), (225, 120, 30)

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #667085; --line: #d0d5dd; --ground: #fff; --card: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #3a4250; --ground: #14171c; --card: #1d222a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 1200px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 1rem; }
figure, .finding, .well { margin: 0; padding: .8rem 1rem; background: var(--card); border-radius: 8px; }
.finding { border-left: 4px solid #d9480f; margin: .6rem 0; } .well { border-left: 4px solid #2b8a3e; }
.finding p { margin: .2rem 0; } figcaption { font-weight: 600; } .soft { color: var(--soft); }
svg text { font-size: 10px; fill: var(--soft); } svg .grid { stroke: var(--line); stroke-width: 1; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } .key { display: inline-block; margin-right: 1rem; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
"""


def write_jsonl(samples: Sequence[Sample], path: str | Path) -> Path:
    """One JSON object a sample, a line each; what is not finite is "nan", "inf" or "-inf"."""
    lines = [json.dumps(sample.as_dict(), allow_nan=False) + "\n" for sample in samples]
    write_atomically(path, [line.encode() for line in lines])
    return Path(path)


def write_html(samples: Sequence[Sample], found: Diagnosis, path: str | Path, title: str, note: str = "") -> Path:
    """The diagnosis, the curves and the last figures in one file, which loads nothing."""
    write_atomically(path, [html(samples, found, title, note).encode()])
    return Path(path)


def html(samples: Sequence[Sample], found: Diagnosis, title: str, note: str = "") -> str:
    """The text of the report. note: what to say of the steps that were watched."""
    steps = f"{len(samples)} watched steps, from {samples[0].step} to {samples[-1].step}"
    steps = steps if len(samples) > 1 else f"one watched step, number {samples[0].step}"
    body = [
        f"<h1>{escape(title)}: how its training goes</h1>",
        f'<p class="soft">{escape(steps + note)}</p>',
        "<h2>Diagnosis</h2>",
    ]
    for finding in found:
        body.append(
            f'<div class="finding"><p><b>{escape(finding.illness)}</b></p><p>{escape(finding.evidence)}.</p>'
            f'<p class="soft">Try: {escape(finding.cure)}.</p></div>'
        )
    if not found:
        body.append(f'<p class="well">{escape(str(found))}</p>')
    names = layer_names(samples)
    keys = "".join(
        f'<span class="key"><i style="background:{colour(i, len(names))}"></i>{escape(name)}</span>'
        for i, name in enumerate(names)
    )
    body += ["<h2>Curves by layer</h2>", f"<p>{keys}</p>", '<div class="charts">', *_figures(samples, names)]
    last = samples[-1]
    body += ["</div>", f"<h2>Figures of step {last.step}</h2>", f"<p>{escape(_of_the_step(last))}</p>", _table(last)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def layer_names(samples: Sequence[Sample]) -> list[str]:
    """All layers, in the order of the last sample."""
    return [row.layer for row in samples[-1].layers]


def curves(samples: Sequence[Sample], names: Sequence[str], value: object, log: bool) -> list[Curve]:
    """The points (step, value) of each layer; without those that are not finite, or not positive on a log axis."""
    found: dict[str, Curve] = {name: [] for name in names}
    for sample in samples:
        for row in sample.layers:
            y = value(row)  # type: ignore[operator]
            if y is not None and isfinite(y) and (y > 0 or not log) and row.layer in found:
                found[row.layer].append((sample.step, y))
    return list(found.values())


def loss_curve(samples: Sequence[Sample]) -> Curve:
    return [(s.step, s.loss) for s in samples if s.loss is not None and isfinite(s.loss)]


def colour(i: int, n: int) -> str:
    """The colour of layer `i` of `n`, from the first's blue to the last's orange."""
    part = i / max(n - 1, 1)
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(_FIRST, _LAST))


def _figures(samples: Sequence[Sample], names: Sequence[str]) -> list[str]:
    loss = loss_curve(samples)
    found = [("loss", [loss], ["loss"], False)] if loss else []
    found += [(title, curves(samples, names, value, log), list(names), log) for title, value, log in CHARTS]
    return [
        f"<figure><figcaption>{escape(title)}</figcaption>{chart(lines, labels, log)}</figure>"
        for title, lines, labels, log in found
        if any(lines)
    ]


def chart(lines: Sequence[Curve], names: Sequence[str], log: bool, width: int = 420, height: int = 200) -> str:
    """The curves as SVG; a mouse over one shows its name."""
    points = [point for line in lines for point in line]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    ticks = _ticks([y for _, y in points], log)
    low, high = (log10(ticks[0]), log10(ticks[-1])) if log else (ticks[0], ticks[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        y = log10(y) if log else y
        across = (x - left) / (right - left) if right > left else 0.5
        return 46 + across * (width - 60), height - 22 - (y - low) / (high - low) * (height - 36)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" width="100%">']
    for tick in ticks:
        _, y = at(left, tick)
        parts.append(f'<line class="grid" x1="46" x2="{width - 14}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="42" y="{y + 3:.1f}" text-anchor="end">{tick:.3g}</text>')
    for x, anchor in ((left, "start"), (right, "end"))[: 2 if right > left else 1]:
        parts.append(f'<text x="{at(x, ticks[0])[0]:.1f}" y="{height - 6}" text-anchor="{anchor}">{x:g}</text>')
    parts.append(f'<text x="{46 + (width - 60) / 2:.1f}" y="{height - 6}" text-anchor="middle">step</text>')
    for i, (line, name) in enumerate(zip(lines, names)):
        places = [at(x, y) for x, y in line]
        paint = colour(i, len(lines))
        parts.append(f"<g><title>{escape(name)}</title>")
        if len(places) > 1:
            track = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{track}" fill="none" stroke="{paint}" stroke-width="1.8"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{paint}"/>' for x, y in places]
        parts.append("</g>")
    return "".join(parts) + "</svg>"


def _ticks(values: Sequence[float], log: bool) -> list[float]:
    """About four round values around all of `values`."""
    if log:
        low, high = floor(log10(min(values))), ceil(log10(max(values)))
        high = max(high, low + 1)
        step = max(1, ceil((high - low) / 4))
        return [10.0**e for e in range(low, high + step, step) if -300 < e < 300]
    low_value, high_value = min(values), max(values)
    if 0 <= low_value < high_value / 2 or high_value <= low_value:
        low_value = min(0.0, low_value)  # From zero where that hides nothing.
    if high_value <= low_value:
        high_value = low_value + 1.0
    size = 10.0 ** floor(log10((high_value - low_value) / 2))
    step_size = next(size * m for m in (1, 2, 5, 10) if (high_value - low_value) / (size * m) <= 4)
    first, last = floor(low_value / step_size), ceil(high_value / step_size)
    return [i * step_size for i in range(first, last + 1)]


COLUMNS = (
    ("gradient", lambda r: figure(r.grad_norm)),
    ("weights", lambda r: figure(r.weight_norm)),
    ("update / weights", lambda r: figure(r.update_ratio)),
    ("mean", lambda r: figure(r.mean)),
    ("variance", lambda r: figure(r.variance)),
    ("signal", lambda r: figure(r.signal)),
    ("activation", lambda r: r.activation or ""),
    ("saturated", lambda r: share(r.saturated)),
    ("dead", lambda r: share(r.dead)),
    ("not finite", lambda r: f"{r.nonfinite:.0f}" if r.nonfinite is not None else ""),
)


def label(row: LayerSample) -> str:
    return f"{row.layer} ({row.kind})"


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _of_the_step(sample: Sample) -> str:
    """What concerns no single layer."""
    figures = (
        ("loss", sample.loss), ("speed ratio, first layer's gradient over the last's", sample.speed_ratio),
        ("root mean square of the largest input feature", sample.input_rms),
    )  # fmt: skip
    return "; ".join(f"{name} {figure(value)}" for name, value in figures if value is not None)


def _table(sample: Sample) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in ("layer", *(title for title, _ in COLUMNS)))
    rows = [
        f"<tr><td>{escape(label(row))}</td>" + "".join(f"<td>{escape(cell(row))}</td>" for _, cell in COLUMNS) + "</tr>"
        for row in sample.layers
    ]
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'

"""What the numbers look like: rows in the terminal, markdown, one run against another, pictures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]  # a `harness.Result` as a dict
_HEADS = (
    ("", 30), ("ours us", 11), ("peer us", 11), ("ratio", 7), ("quartiles", 12), ("target", 7), ("of", 7),
    ("apart", 8), ("ours MiB", 12), ("peer MiB", 12), ("GFLOP/s", 13), ("GB/s", 12),
)  # fmt: skip


def header() -> str:
    return "".join(f"{head:<{width}}" if i == 0 else f"{head:>{width}}" for i, (head, width) in enumerate(_HEADS))


def line(row: Row, ceilings: dict[str, float] | None = None) -> str:
    """One row of the table; what was not measured is blank."""
    widths = [width for _, width in _HEADS]
    texts = zip(cells(row, ceilings), widths)
    return "".join(
        f"{text:<{width}}" if i == 0 else f"{text:>{width}}" for i, (text, width) in enumerate(texts)
    ).rstrip()


def cells(row: Row, ceilings: dict[str, float] | None = None) -> list[str]:
    spread = "" if row["low"] is None else f"{row['low']:.2f}-{row['high']:.2f}"
    return [
        row["name"], _number(row["ours"]), _number(row["peer"]), _number(row["ratio"], ".2f"), spread,
        _number(row["target"], ".1f"), row["unit"], _number(row["loss_difference"], ".0e"),
        _mebibytes(row, "ours"), _mebibytes(row, "peer"),
        _reached(row, ceilings, "flops"), _reached(row, ceilings, "bytes"),
    ]  # fmt: skip


def _number(value: float | None, form: str | None = None) -> str:
    if value is None:
        return ""
    return format(value, form or (",.0f" if value >= 1000 else ".2f"))


def _mebibytes(row: Row, side: str) -> str:
    """The peak above the imports, and that of the whole process (which older files do not have)."""
    above, whole = row[f"{side}_memory"], row.get(f"{side}_whole")
    if above is None:
        return ""
    return f"{above / 2**20:,.1f}" + ("" if whole is None else f"/{whole / 2**20:,.0f}")


def _reached(row: Row, ceilings: dict[str, float] | None, key: str) -> str:
    """What we reached, in units of 10^9 a second, and its share of the ceiling."""
    if row[key] is None:
        return ""
    rate = row[key] / (row["ours"] * 1e-6)
    share = "" if not ceilings else f" {rate / ceilings[key]:.0%}"
    return f"{rate / 1e9:,.1f}{share}"


def ceiling_line(device: str, found: dict[str, float]) -> str:
    flops, traffic = found["flops"] / 1e9, found["bytes"] / 1e9
    return f"ceilings on {device}: {flops:,.0f} GFLOP/s (matrix product), {traffic:,.1f} GB/s (copy)"


def markdown(report: Row) -> str:
    """The whole run as a page."""
    machine, count = report["machine"], report["thread_count"]
    threads = f"{count} thread" + "s" * (count != 1)
    text = [f"# Benchmark of autograd-core {report['version']}", ""]
    if report["tiny"]:
        text += ["Made with `--tiny`: everything has the smallest size, whatever its name says.", ""]
    text.append(
        f"{report['date']}, {machine['processor']}, {threads} each, Python {machine['python']}, "
        f"NumPy {machine['numpy']}. Microseconds a unit, medians; ratio = ours / peer with its quartiles over pairs "
        "of blocks; `apart` is the relative difference of the final losses; memory is the peak above what the imports "
        "cost / of the whole process; the last two columns are what autograd-core reached, and its share of the "
        "ceiling."
    )
    if not report["complete"]:
        text += ["", "The run was broken off: what comes after the last row was not measured."]
    for (device, beside), rows in _grouped(report["results"]).items():
        found = report["ceilings"].get(device)
        version = report["peers"].get(beside or "")
        title = "alone" if beside is None else f"beside {beside} {version or '(not installed)'}"
        text += ["", f"## {device}, {title}", ""]
        if found:
            text += [ceiling_line(device, found)[0].upper() + ceiling_line(device, found)[1:] + ".", ""]
        text.append("| " + " | ".join(head or "workload" for head, _ in _HEADS) + " |")
        text.append("| --- |" + " ---: |" * (len(_HEADS) - 1))
        text += ["| " + " | ".join(cells(row, found)) + " |" for row in rows]
    return "\n".join(text) + "\n"


def _grouped(rows: Iterable[Row]) -> dict[tuple[str, str | None], list[Row]]:
    groups: dict[tuple[str, str | None], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["device"], row["beside"]), []).append(row)
    return groups


# -- one run against another ------------------------------------------------------------------------------


def load(path: Path) -> Row:
    """The report in a JSON file, or in a results folder. Raises ValueError where there is none, OSError."""
    file = path / "results.json" if path.is_dir() else path
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{file} is no JSON file") from None
    if not isinstance(report, dict) or "results" not in report or "format" not in report:
        raise ValueError(f"{file} is no report of `autograd-core bench`")
    return report


def compare(a: Row, b: Row) -> list[str]:
    """Lines that set run `b` beside run `a`: what both have measured, and what one alone has.

    The word at the end is there only where the quartiles of the two runs do not overlap. Raises ValueError where one
    run was tiny and the other was not.
    """
    if a["tiny"] != b["tiny"]:
        raise ValueError("one of the two was made with --tiny, so their sizes differ")
    first, second = ({(r["name"], r["device"], r["beside"]): r for r in report["results"]} for report in (a, b))
    lines = [f"{'':30}{'A us':>11}{'B us':>11}{'B / A':>8}{'ratio A':>9}{'ratio B':>9}  device, peer"]
    for key in [key for key in first if key in second]:
        before, after = first[key], second[key]
        word = ""
        if after["ours_low"] > before["ours_high"]:
            word = "  slower"
        elif after["ours_high"] < before["ours_low"]:
            word = "  faster"
        lines.append(
            f"{key[0]:30}{_number(before['ours']):>11}{_number(after['ours']):>11}"
            f"{after['ours'] / before['ours']:>8.2f}{_number(before['ratio'], '.2f'):>9}"
            f"{_number(after['ratio'], '.2f'):>9}  {key[1]}{'' if key[2] is None else ', ' + key[2]}{word}"
        )
    for title, mine, other in (("A", first, second), ("B", second, first)):
        lines += [f"{key[0]:30}only in {title} ({key[1]}, {key[2] or 'alone'})" for key in mine if key not in other]
    return lines


# -- pictures ---------------------------------------------------------------------------------------------


def plot(report: Row, folder: Path) -> list[Path]:
    """PNGs in `folder`: the ratios, and for each group with sizes the time against the size. Needs matplotlib.

    A line is one device of ours or one peer on it; where ours on the CPU and on another device cross is marked.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def save(figure: Any, name: str) -> None:
        FigureCanvasAgg(figure)
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=120)

    for (device, beside), rows in _grouped(report["results"]).items():
        rows = [row for row in rows if row["ratio"] is not None]
        if rows:
            figure = Figure(figsize=(8, 1 + 0.25 * len(rows)), layout="constrained")
            axes = figure.subplots()
            places = range(len(rows), 0, -1)
            errors = [[row["ratio"] - row["low"] for row in rows], [row["high"] - row["ratio"] for row in rows]]
            axes.barh(places, [row["ratio"] for row in rows], xerr=errors, color="tab:blue")
            axes.set_yticks(places, [row["name"] for row in rows])
            axes.axvline(1, color="black", linewidth=0.8)
            axes.set(xlabel=f"time, ours / {beside} on {device} (below 1: ours is faster)")
            save(figure, f"ratio-{device}-{beside}".replace(":", ""))
    for group in dict.fromkeys(row["group"] for row in report["results"]):
        curves = _curves([row for row in report["results"] if row["group"] == group and row["size"] is not None])
        if any(len(points) > 1 for points in curves.values()):
            figure = Figure(figsize=(7, 4.5), layout="constrained")
            axes = figure.subplots()
            for label, points in curves.items():
                axes.plot(*zip(*points), marker=".", label=label)
            for label, points in curves.items():
                at = (
                    None
                    if not label.startswith("autograd-core on cuda")
                    else crossover(curves.get("autograd-core on cpu", ()), points)
                )
                if at is not None:
                    axes.axvline(at, linestyle=":", color="grey", label=f"crossover at {at:,.0f}")
            axes.set(xscale="log", yscale="log", xlabel="size", ylabel="microseconds", title=group)
            axes.grid(alpha=0.3)
            axes.legend()
            save(figure, f"curve-{group}")
    return written


def _curves(rows: Sequence[Row]) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, dict[float, float]] = {}
    for row in rows:
        curves.setdefault(f"autograd-core on {row['device']}", {})[row["size"]] = row["ours"]
        if row["peer"] is not None:
            curves.setdefault(f"{row['beside']} on {row['device']}", {})[row["size"]] = row["peer"]
    return {label: sorted(points.items()) for label, points in curves.items()}


def crossover(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]) -> float | None:
    """The size from where `second` takes less time than `first`, straight lines on logarithmic axes between points.

    None where it never does, or where it does from the smallest common size on.
    """
    times = dict(first)
    gaps = [(size, math.log(time / times[size])) for size, time in second if size in times]
    for (size, gap), (next_size, next_gap) in zip(gaps, gaps[1:]):
        if gap > 0 >= next_gap:
            return float(size * (next_size / size) ** (gap / (gap - next_gap)))
    return None


def folder_name(report: Row) -> str:
    """Of a run's folder: its devices and its date."""
    devices = "+".join(dict.fromkeys(row["device"] for row in report["results"])) or "none"
    name = f"{devices}-{report['machine']['processor']}-{report['date'][:16]}"
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-").lower()

"""What a watcher writes: JSON lines, HTML, PNG, and the live table."""

import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.insight.report import chart


def watched(lr: float = 0.1, act: Any = nn.ReLU, value: float = 1.0, steps: int = 10) -> Any:
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), act(), nn.Linear(6, 3))
    opt = optim.SGD(model.parameters(), lr=lr)
    x, y = ag.randn(12, 4), ag.arange(12) % 3
    x[0, 0] = value
    with ag.insight.watch(model, every=1) as w:
        for _ in range(steps):
            opt.zero_grad()
            w.loss(F.cross_entropy(model(x), y)).backward()
            opt.step()
    return w


class Page(HTMLParser):
    """The tags of a page, their addresses, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "line", "circle", "polyline"):
            self.open.append(tag)
        self.addresses += [str(v) for k, v in attrs if k in ("src", "href", "data", "srcset")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_json_lines(tmp_path: Path) -> None:
    w = watched()
    rows = [json.loads(line) for line in w.jsonl(tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(10))
    assert rows[3]["loss"] == w.samples[3].loss and rows[3]["speed_ratio"] == w.samples[3].speed_ratio
    assert rows[3]["layers"][0]["grad_norm"] == w.samples[3].layers[0].grad_norm


def test_json_has_no_nan_that_other_readers_refuse(tmp_path: Path) -> None:
    text = watched(value=ag.nan).jsonl(tmp_path / "a.jsonl").read_text()
    assert '"loss": "nan"' in text
    json.loads(text.splitlines()[0], parse_constant=lambda name: pytest.fail(f"bare {name}"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["no illness found in 10 watched steps", "gradient norm", "update-to-weight ratio"]),
        ({"lr": 1e-8}, ["learning rate too small", "Try: a learning rate above 0, 10 to 1000 times larger"]),
        ({"value": ag.nan}, ["non-finite data"]),
    ],
)
def test_html_is_one_sound_file(tmp_path: Path, options: dict[str, float], words: list[str]) -> None:
    w = watched(**options)  # type: ignore[arg-type]
    text = w.html(tmp_path / "a.html", title="my <net>").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open and not page.addresses and "script" not in page.tags
    assert not re.search(r"https?:|url\(|@import", text)
    for word in (*words, "my <net>", "0 (Linear)", "update / weights"):
        assert word in page.text
    # That few points come from few measured steps, and how to get more.
    assert f"10 watched steps, from 0 to {w.samples[-1].step}, of {w.steps} in all: watch(model, every=" in page.text
    assert not re.search(r'="[^"]*\b(nan|inf)\b', text)  # No coordinate without a place.


def test_nothing_is_written_before_anything_was_measured(tmp_path: Path) -> None:
    w = ag.insight.watch(nn.Linear(1, 1))
    for write in (w.html, w.png, w.jsonl):
        with pytest.raises(ValueError, match="nothing to write: nothing was measured: the model was never called"):
            write(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1e-30, 1e30], [0.1, 0.5, 0.3], [1e-3, 2e-3]])
def test_charts_hold_all_points(values: list[float], log: bool) -> None:
    svg = chart([list(enumerate(values))], ["layer <1>"], log)
    assert "<title>layer &lt;1&gt;</title>" in svg
    points = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="(\S+)" cy="(\S+)"', svg)]
    assert len(points) == len(values)
    assert all(46 <= x <= 406 and 14 <= y <= 178 for x, y in points)
    heights = [y for _, y in points]
    assert sorted(range(len(values)), key=lambda i: values[i]) == sorted(range(len(values)), key=lambda i: -heights[i])


def test_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="PNG plots need matplotlib")
    image = watched(act=nn.Tanh).png(tmp_path / "a.png").read_bytes()
    assert image.startswith(b"\x89PNG") and len(image) > 10_000
    with pytest.raises(ValueError, match="nothing was measured"):
        ag.insight.watch(nn.Linear(1, 1)).png(tmp_path / "b.png")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        watched().png(tmp_path)
    assert watched().png(tmp_path / "curves").read_bytes().startswith(b"\x89PNG")


def test_png_names_every_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="PNG plots need matplotlib").Figure
    made: list[Any] = []
    monkeypatch.setattr(figure, "legend", lambda self, keys, labels, **_: made.append((self, labels)))
    model = nn.Sequential()
    for name in ("_a", "$b$", "frozen"):
        model.add_module(name, nn.Linear(3, 3))
    model.frozen.requires_grad_(False)
    with ag.insight.watch(model) as w:
        model(ag.ones(4, 3)).sum().backward()
    w.png(tmp_path / "a.png")
    ((drawn, labels),) = made
    assert [label.strip("\u200b").replace("\\$", "$") for label in labels] == ["_a", "$b$", "frozen"]
    titles = [axes.get_title() for axes in drawn.axes]
    assert [axes.axison for axes in drawn.axes] == [bool(title) for title in titles] and titles[0] == "gradient norm"
    with ag.insight.watch(nn.ReLU()) as w:
        w.model(ag.ones(2, requires_grad=True))
    assert w.png(tmp_path / "b.png").exists()


def test_live_table() -> None:
    console_module = pytest.importorskip("rich.console", reason="the live view needs rich")
    from autograd_core.insight.views import Live

    out = io.StringIO()
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    w = ag.insight.watch(model, every=1)
    with Live(w, console_module.Console(file=out, width=80, force_terminal=True)):
        for _ in range(3):
            model(ag.ones(9, 4)).sum().backward()
            optim.SGD(model.parameters(), lr=0.01).step()
    text = out.getvalue()
    assert "Sequential, step 0" in text and "Sequential, step 2" in text
    assert "0 (Linear)" in text and "update" in text and "% dead" in text
    assert not w._on_sample


def test_extras_are_asked_for_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg", "rich.live"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    w = watched(steps=1)
    for use in (lambda: w.png(tmp_path / "a.png"), w.live):
        with pytest.raises(ImportError, match=r"pip install 'autograd-core\[examples\]'"):
            use()


@pytest.mark.slow
@pytest.mark.host("the page is the same whatever the device")
def test_the_page_in_a_browser_without_a_network(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image", reason="reading the screenshot needs matplotlib")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on the PATH")
    page = watched(act=nn.Sigmoid).html(tmp_path / "a.html")
    shot = tmp_path / "a.png"
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1150,1300",
        f"--screenshot={shot}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    pixels = image.imread(shot)[..., :3] * 255
    assert pixels.shape[:2] == (1300, 1150)
    # The first layer's blue and the last one's orange: more than the two keys (12 by 12) above the curves.
    for colour in ((38, 110, 200), (225, 120, 30)):
        near = abs(pixels - colour).max(axis=2) < 12
        assert near.sum() > 500, f"{near.sum()} pixels of {colour}"
        assert near[400:].any(axis=0).sum() > 300, "the curves do not spread over the page"

"""The README's example of the instruments runs as it stands and finds what it says."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert "trainable parameters" in out and "1. vanishing gradients: layer 0 (Linear) learns " in out
    assert "vanishing gradients" in (tmp_path / "report.html").read_text(encoding="utf-8")

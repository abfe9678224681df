"""What the README shows runs as it stands."""

import re
from pathlib import Path

import pytest

from autograd_core.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.host("the model shown asks for the CPU")
def test_the_model_learns(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    namespace = {"__name__": "readme"}
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(code, "README.md", "exec"), namespace)
    assert float(namespace["loss"]) < 0.5 and namespace["step"].plans
    shown = re.fullmatch(r"([\d.]+)% of the held-out images are right\n", capsys.readouterr().out)
    assert shown and float(shown[1]) >= 95


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^autograd-core (\w+)", README, re.MULTILINE))))
def test_the_commands_shown_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((docs/[^)]+)\)", README))))
def test_the_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).is_file()


def test_every_folder_is_on_the_map() -> None:
    named = set(re.findall(r"^\| `(\w+)/`", README, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert named == packages | {"tests", "docs"}


def test_every_folder_is_on_the_map_of_the_design() -> None:
    layout = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").split("```")[1]
    packages = {path.parent.name for folder in (ROOT, ROOT / "autograd_core") for path in folder.glob("*/__init__.py")}
    assert set(re.findall(r"(\w+)/", layout)) == packages | {"tests", "docs", "tools"}

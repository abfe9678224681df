"""docs/coverage.md is of the names and the devices that the sweep has now; what it says of them needs `make coverage`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sweep_scope import read_scope

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "coverage.md").read_text(encoding="utf-8")


@pytest.mark.host("a page is read")
def test_the_page_has_the_names_and_the_devices_of_the_sweep() -> None:
    rows = [row.split(" | ") for row in re.findall(r"^\| (`.*) \|$", PAGE, re.MULTILINE)]
    assert sorted(row[0].strip("`") for row in rows) == sorted(name.title for name in read_scope())
    assert {row[-2] for row in rows if row[1] == "complete"} == {"cpu, simulated"}

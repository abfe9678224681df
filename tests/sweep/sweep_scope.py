"""The names of `scope.txt`. Needs neither PyTorch nor autograd-core."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HEADER = re.compile(r"\[(\d) / (\w+) / (.+)\]")


@dataclass(frozen=True)
class Name:
    """`path` is the name as PyTorch spells it below `torch`, `nn`, `optim` or `optim.lr_scheduler`, by `kind`."""

    tier: int
    kind: str
    family: str
    path: str

    @property
    def title(self) -> str:
        prefix = {"modules": "nn.", "optimisers": "optim.", "schedulers": "optim.lr_scheduler."}
        return prefix.get(self.kind, "") + self.path


def read_scope() -> list[Name]:
    """Every name once, in the earliest tier that lists it."""
    names: dict[tuple[str, str], Name] = {}
    tier, kind, family = 0, "", ""
    for line in (Path(__file__).parent / "scope.txt").read_text().splitlines():
        header = HEADER.fullmatch(line)
        if header:
            tier, kind, family = int(header[1]), header[2], header[3]
        elif not line.startswith("#"):
            for path in line.split():
                names.setdefault((kind, path), Name(tier, kind, family, path))
    return list(names.values())


def read_unfinished() -> set[str]:
    """The titles in `unfinished.txt`."""
    lines = (Path(__file__).parent / "unfinished.txt").read_text().splitlines()
    return {title for line in lines if not line.startswith("#") for title in line.split()}

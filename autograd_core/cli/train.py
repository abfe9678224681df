"""`autograd-core train`."""

from __future__ import annotations

import argparse
from typing import Any

from autograd_core.cli.errors import UserError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("train", help="train")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    raise UserError("not there yet")

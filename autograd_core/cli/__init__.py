"""The command `autograd-core`: `info`, `train`, `experiment` and `bench`; also as `python -m autograd_core`.

Exit status: 0, 1 for a failure, 2 for a bad argument. A user's mistake gives a message, never a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import autograd_core as ag
from autograd_core.cli.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command (default: the process's own arguments) and return its exit status.

    >>> from autograd_core.cli import main
    >>> main(["info"])  # doctest: +SKIP
    0
    """
    from autograd_core.cli import bench, experiment, info, train

    parser = argparse.ArgumentParser(
        prog="autograd-core", description="Deep learning in pure Python; see --help of each command."
    )
    parser.add_argument("--version", action="version", version=f"autograd-core {ag.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for command in (info, train, experiment, bench):
        command.add_parser(commands)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed its message
        return int(stop.code or 0)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return int(arguments.run(arguments))
        except UserError as error:
            return _fail(arguments.command, str(error), error.status)
        except (ag.DeviceDisagreementError, ag.OutOfMemoryError) as error:
            return _fail(arguments.command, str(error), 1)
        except KeyboardInterrupt:
            return _fail(arguments.command, "interrupted", 130)
        except BrokenPipeError:  # the reader, such as `head`, has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1


def _fail(command: str, message: str, status: int) -> int:
    print(f"autograd-core {command}: error: {message}", file=sys.stderr)
    return status


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)

"""What a command raises for its user's mistakes."""

from __future__ import annotations


class UserError(Exception):
    """Ends the command with this message and the exit status: 2 for a bad argument, 1 for a failure."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status

"""Progress of a long run: a bar in a terminal or a notebook, now and then a line in a log file.

With `rich` the bar is rich's; without it, one line that is written over. Where the output is no terminal, nothing is
overwritten: a line for each epoch, and one every 15 seconds between.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

_LOG_EVERY = 15.0  # seconds
_DRAW_EVERY = 0.1


class Display(Protocol):
    def show(self, step: int, text: str) -> None:
        """The state now; cheap to call often."""

    def note(self, text: str) -> None:
        """A line that stays."""

    def close(self) -> None: ...


class Progress:
    """Shows `steps` of training, of which `done` are behind us when it opens. A context manager.

    update: after each step, with the number of images it took; loss and accuracy (0..1) are those of late.
    """

    def __init__(self, steps: int, done: int = 0) -> None:
        self._display = display(steps, done)
        self._images, self._since, self._rate = 0, time.perf_counter(), 0.0

    def update(self, step: int, images: int, loss: float, accuracy: float) -> None:
        self._images += images
        elapsed = time.perf_counter() - self._since
        if elapsed >= 0.5 or not self._rate:
            self._rate = self._images / max(elapsed, 1e-9)
        if elapsed >= 5.0:  # the rate is that of the last seconds, so that a pause is soon forgotten
            self._images, self._since = 0, time.perf_counter()
        self._display.show(step, f"loss {loss:.4f}  accuracy {accuracy:6.2%}  {self._rate:,.0f} images/s")

    def note(self, text: str) -> None:
        self._display.note(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._display.close()


def display(steps: int, done: int) -> Display:
    try:
        from rich.console import Console
    except ImportError:
        return _Terminal(steps) if sys.stdout.isatty() else _Log(steps)
    console = Console()
    return _Rich(console, steps, done) if console.is_terminal or console.is_jupyter else _Log(steps)


class _Log:
    def __init__(self, steps: int) -> None:
        self._steps, self._last = steps, time.perf_counter()

    def show(self, step: int, text: str) -> None:
        if time.perf_counter() - self._last >= _LOG_EVERY:
            self.note(f"step {step} of {self._steps}  {text}")

    def note(self, text: str) -> None:
        print(text, flush=True)
        self._last = time.perf_counter()

    def close(self) -> None:
        pass


class _Terminal:
    """A bar of plain characters on one line, drawn again and again."""

    def __init__(self, steps: int) -> None:
        self._steps, self._width, self._last = steps, 0, 0.0

    def show(self, step: int, text: str) -> None:
        if time.perf_counter() - self._last < _DRAW_EVERY and step < self._steps:
            return
        self._last = time.perf_counter()
        filled = 20 * step // max(self._steps, 1)
        line = f"[{'#' * filled}{'.' * (20 - filled)}] {step}/{self._steps}  {text}"
        print("\r" + line.ljust(self._width), end="", flush=True)
        self._width = len(line)

    def note(self, text: str) -> None:
        print("\r" + text.ljust(self._width), flush=True)
        self._width = 0

    def close(self) -> None:
        if self._width:
            print(flush=True)


class _Rich:
    def __init__(self, console: Any, steps: int, done: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._console = console
        self._bar = Bar(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn(), console=console
        )
        self._task = self._bar.add_task("", total=steps, completed=done)
        self._bar.start()

    def show(self, step: int, text: str) -> None:
        self._bar.update(self._task, completed=step, description=text)

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        self._bar.stop()

"""What a long experiment has when it is killed, kept in files, so that it continues from there bit for bit."""

from __future__ import annotations

import json
import re
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import autograd_core as ag
from autograd_core._atomic import write_atomically

if TYPE_CHECKING:
    from autograd_core.experiments.settings import Settings


class InputError(ValueError):
    """A file that an experiment reads cannot be used; the message says which, and what to do."""


def seed_of(seed: int, name: str) -> int:
    """A seed for the part `name` of an experiment: the same whatever ran before it.

    >>> from autograd_core.experiments.resume import seed_of
    >>> seed_of(0, "LSTM") != seed_of(0, "GRU")
    True
    """
    return (seed * 0x9E3779B97F4A7C15 + zlib.crc32(name.encode())) % 2**63


class Unfinished:
    """The folder `unfinished` of an experiment's results: `parts.json` and the checkpoints of trainings under way.

    run: what must be the same for a run to continue another (name, seed, quick, device). resume: continue what is
    there, else start with an empty folder. Raises ValueError if what is there is damaged or of another run.
    """

    def __init__(self, folder: Path, run: dict[str, Any], resume: bool, every: float = 30.0) -> None:
        self.folder, self.run, self.every = folder, run, every
        self.parts: dict[str, Any] = {}
        path = folder / "parts.json"
        if resume and path.exists():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                earlier, self.parts = found["run"], dict(found["parts"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path} is damaged ({error}); remove {folder} to start again") from None
            if earlier != run:
                raise ValueError(f"{folder} holds the run {earlier}, which cannot be continued as {run}")
        elif not resume:
            self.clear()

    def keep(self, name: str, result: Any) -> None:
        """A part is finished: write its result; its checkpoint is no longer needed."""
        self.parts[name] = result
        self.begin()
        self._write()
        self.checkpoint(name).unlink(missing_ok=True)

    def checkpoint(self, name: str) -> Path:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower())
        return self.folder / f"{slug}-{zlib.crc32(name.encode()):08x}.safetensors"

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self) -> None:
        """Make the folder, before the first thing that is kept in it."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self._write()

    def _write(self) -> None:
        text = json.dumps({"run": self.run, "parts": self.parts}, indent=1)
        write_atomically(self.folder / "parts.json", [text.encode()])


class Training:
    """The state of a training under way: objects with a `state_dict`, the step, figures, and the random numbers.

    `steps(n)` counts from where an earlier run was killed, with all of that as it was, and keeps it now and then.
    notes: what else the loop remembers, in plain numbers, lists and dicts. seconds: of all runs together.
    """

    def __init__(self, settings: Settings, name: str, **parts: Any) -> None:
        self._unfinished, self.parts = settings.unfinished, parts
        self.step, self.seconds = 0, 0.0
        self.notes: dict[str, Any] = {}
        self._path = self._unfinished.checkpoint(name) if self._unfinished is not None else None
        self._devices = {"cpu", str(ag.get_default_device())}
        if self._path is not None and self._path.exists():
            try:
                state = ag.load(self._path, map_location=ag.get_default_device())
                for key, part in parts.items():
                    part.load_state_dict(state["parts"][key])
                for device in self._devices:
                    ag.set_rng_state(state["random"][device].cpu(), device)
                self.step, self.seconds, self.notes = state["step"], state["seconds"], state["notes"]
            except (RuntimeError, KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{self._path} cannot be continued ({error}); remove it to train this part from its beginning"
                ) from error
            settings.done += self.step

    def steps(self, count: int, keep_every: int = 1) -> Iterator[int]:
        """Steps from where we are to `count`. keep_every: a checkpoint may come only after so many whole steps."""
        kept = last = time.perf_counter()
        while self.step < count:
            yield self.step
            self.step += 1
            now = time.perf_counter()
            self.seconds += now - last
            last = now
            if self._unfinished is not None and self.step % keep_every == 0 and now - kept >= self._unfinished.every:
                self.save()
                kept = last = time.perf_counter()

    def save(self) -> None:
        if self._unfinished is not None and self._path is not None:
            self._unfinished.begin()
            state = {
                "parts": {key: dict(part.state_dict()) for key, part in self.parts.items()},
                "random": {device: ag.get_rng_state(device) for device in self._devices},
                "step": self.step,
                "seconds": self.seconds,
                "notes": self.notes,
            }
            ag.save(state, self._path)

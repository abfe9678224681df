"""The training loop of `autograd-core train`, with checkpoints from which it continues bit for bit."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import optim
from autograd_core.cli.data import Data
from autograd_core.cli.errors import UserError
from autograd_core.cli.progress import Progress
from autograd_core.examples.digits import DigitNet
from autograd_core.serialization import CheckpointError
from autograd_core.utils.data import DataLoader, TensorDataset

_KIND = "autograd-core train"
_SMOOTHING = 0.1  # of the labels; the loss of a perfect prediction is then 0.5, not 0
_READ_EVERY = 10  # steps: on a GPU each read-out of the loss waits for all that was asked of it


@dataclass(frozen=True)
class Settings:
    """What must be the same for a run to continue as if nothing had happened."""

    task: str
    epochs: int
    batch_size: int
    lr: float
    seed: int
    limit: int | None


DEFAULTS = {
    "digits": Settings("digits", epochs=20, batch_size=64, lr=4e-3, seed=0, limit=None),
    "mnist": Settings("mnist", epochs=5, batch_size=128, lr=3e-3, seed=0, limit=None),
}
_WIDTH = {"digits": 32, "mnist": 16}


def read_checkpoint(path: Path, device: ag.device) -> tuple[Settings, dict[str, Any]]:
    """The settings and the state in a checkpoint. Raises UserError if it is missing, damaged, or of another origin."""
    try:
        state = ag.load(path, map_location=device)
        if not isinstance(state, dict) or state.get("kind") != _KIND:
            raise UserError(f"{path} is no checkpoint of `{_KIND}`; load it with ag.load")
        return Settings(**state["settings"]), state
    except (CheckpointError, OSError) as error:
        raise UserError(str(error)) from None
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is a checkpoint of another version: {error}") from None


class Trainer:
    """A network, its optimiser, and how far they have come.

    save_to: the checkpoint's file. save_every: steps between checkpoints, besides one after each epoch (0: only those).
    """

    def __init__(self, settings: Settings, data: Data, device: ag.device, save_to: Path, save_every: int = 0) -> None:
        self.settings, self.device, self.save_to, self.save_every = settings, device, save_to, save_every
        self.checksum = data.checksum
        ag.manual_seed(settings.seed)
        self.model = DigitNet(data.size, _WIDTH[settings.task]).to(device)
        self.optimizer = optim.Adam(self.model.parameters(), lr=settings.lr)
        train = TensorDataset(data.train_images.to(device), data.train_labels.to(device))
        self.test = DataLoader(TensorDataset(data.test_images.to(device), data.test_labels.to(device)), batch_size=500)
        self.loader = DataLoader(train, batch_size=settings.batch_size, shuffle=True)
        self.steps = settings.epochs * len(self.loader)
        self.scheduler = optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=self.steps)

        self.epoch = self.step = self.saved_step = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []
        # Of the current epoch: images seen, images right, and the sum of their losses.
        self._seen = self._right = 0
        self._loss_sum = 0.0
        # Losses and numbers of images right (on the device), and numbers of images, that were not yet read.
        self._unread: list[tuple[ag.Tensor, ag.Tensor, int]] = []

    def run(self) -> None:
        """Train from where we are to the end. Raises UserError on a loss that is not finite, or if the disk refuses."""
        with Progress(self.steps, self.step) as progress:
            while self.epoch < self.settings.epochs:
                start = time.perf_counter()
                self._train_epoch(progress)
                accuracy = self.evaluate()
                self.epoch += 1
                self.history.append(
                    {
                        "epoch": self.epoch,
                        "loss": self._loss_sum / self._seen,
                        "train_accuracy": self._right / self._seen,
                        "test_accuracy": accuracy,
                    }
                )
                self._seen, self._right, self._loss_sum = 0, 0, 0.0
                self.save()
                row = self.history[-1]
                progress.note(
                    f"epoch {self.epoch:2} of {self.settings.epochs}  loss {row['loss']:.4f}  "
                    f"accuracy {row['train_accuracy']:.2%}  test accuracy {accuracy:.2%}  "
                    f"{time.perf_counter() - start:.1f} s"
                )

    def _train_epoch(self, progress: Progress) -> None:
        self.model.train()
        last = time.perf_counter()
        for images, labels in self.loader:
            self.optimizer.zero_grad()
            logits = self.model(images)
            loss = F.cross_entropy(logits, labels, label_smoothing=_SMOOTHING)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            self.step += 1
            self._unread.append((loss.detach(), (logits.detach().argmax(1) == labels).sum(), len(labels)))
            if len(self._unread) == _READ_EVERY:
                self._read(progress)
            now = time.perf_counter()
            self.seconds += now - last
            last = now
            if self.save_every and self.step % self.save_every == 0:
                self._read(progress)
                self.save()
        self._read(progress)

    def _read(self, progress: Progress) -> None:
        """Read the losses of the steps since the last reading, in their order."""
        if not self._unread:
            return
        losses = ag.stack([loss for loss, _, _ in self._unread]).tolist()
        rights = ag.stack([right for _, right, _ in self._unread]).tolist()
        first = self.step - len(losses) + 1
        images = 0
        for step, loss, right, (_, _, count) in zip(
            range(first, self.step + 1), losses, rights, self._unread, strict=True
        ):
            if not math.isfinite(loss):
                self._stop(f"the loss became {loss} at step {step} (epoch {self.epoch + 1})")
            self._loss_sum += loss * count
            self._right += right
            self._seen += count
            images += count
        self._unread.clear()
        progress.update(self.step, images, self._loss_sum / self._seen, self._right / self._seen)

    def _stop(self, problem: str) -> None:
        kept = (
            f"the checkpoint of step {self.saved_step} is kept: {self.save_to}"
            if self.saved_step
            else "there is no checkpoint yet"
        )
        raise UserError(
            f"{problem}. Likely cures: a smaller --lr (now {self.settings.lr:g}), a larger --batch-size "
            f"(now {self.settings.batch_size}), or data without wrong values; {kept}"
        )

    def evaluate(self) -> float:
        """The accuracy on the test images."""
        self.model.eval()
        with ag.no_grad():
            right = [(self.model(images).argmax(1) == labels).sum() for images, labels in self.test]
        self.model.train()
        return sum(int(count) for count in right) / len(self.test.dataset)

    def save(self) -> None:
        """Write a checkpoint. Weights that are not finite never take the place of good ones."""
        model = self.model.state_dict()
        for name, value in model.items():
            if not bool(ag.isfinite(value).all()):
                self._stop(f"{name} is no longer finite at step {self.step} (epoch {self.epoch + 1})")
        state = {
            "kind": _KIND,
            "settings": asdict(self.settings),
            "data": self.checksum,
            "model": dict(model),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "loader": self.loader.state_dict(),
            "random": {name: ag.get_rng_state(name) for name in {"cpu", str(self.device)}},
            "position": {"epoch": self.epoch, "step": self.step, "seconds": self.seconds},
            "running": {"seen": self._seen, "right": self._right, "loss_sum": self._loss_sum},
            "history": self.history,
        }
        try:
            ag.save(state, self.save_to)
        except OSError as error:
            raise UserError(f"cannot write the checkpoint: {error}") from None
        self.saved_step = self.step

    def restore(self, state: dict[str, Any], path: Path) -> None:
        """Continue from what `read_checkpoint` read at `path`."""
        if state.get("data") != self.checksum:
            raise UserError(f"{path} comes from a run on other data; pass the same --data to continue it")
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
            self.loader.load_state_dict(state["loader"])
            # A run that moves to another device draws there as it would have drawn here.
            known = state["random"]
            other = next((value for name, value in known.items() if name != "cpu"), known["cpu"])
            for name in {"cpu", str(self.device)}:
                ag.set_rng_state(known.get(name, other).cpu(), name)
            self.epoch, self.step, self.seconds = (state["position"][key] for key in ("epoch", "step", "seconds"))
            self._seen, self._right, self._loss_sum = (state["running"][key] for key in ("seen", "right", "loss_sum"))
            self.history = list(state["history"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{path} does not fit this run: {error}") from None
        self.saved_step = self.step
